//! `edgewright verify` and `convert --verify`: what passes, what fails, and what is said about it.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod command;
mod litert;

use std::fs;
use std::path::{Path, PathBuf};

use compiler::dialect::tfl::Builtin;
use compiler::front::tflite;
use ir::Constant;
use serde_json::Value;
use tempfile::TempDir;

use command::{Ended, command, edgewright, ended, fixture, names, repository};

/// A .tflite of an archive in a folder of its own.
fn converted(archive: &Path, words: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.tflite");
    let run = ended(command().arg("convert").arg(archive).arg("-o").arg(&file).args(words));
    assert_eq!(run.code, Some(0), "{run:?}");
    (folder, file)
}

fn verified(file: &Path, words: &[&str]) -> Ended {
    ended(command().arg("verify").arg(file).args(words))
}

fn json(run: &Ended) -> Value {
    let value: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    assert_eq!(value["schema_version"], 1);
    value
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Adds one to the constant of this operand of the n-th operator of a kind. The file knows the operator's line.
fn plant(file: &Path, kind: Builtin, nth: usize, operand: usize) -> u32 {
    let read = tflite::open(file).unwrap();
    let main = &read.model.subgraphs[0];
    let operator = main.operators.iter().filter(|o| o.operator == kind).nth(nth).unwrap();
    let tensor = &main.tensors[operator.inputs[operand].unwrap()];
    let Some(Constant::Range(range)) = read.constant(tensor).unwrap() else {
        panic!("no constant in the file")
    };
    let at = range.base as usize;
    let mut bytes = fs::read(file).unwrap();
    let value = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    bytes[at..at + 4].copy_from_slice(&(value + 1.0).to_le_bytes());
    fs::write(file, bytes).unwrap();
    let graph = tflite::import(&read).unwrap();
    let mut same = graph.nodes().filter(|(_, node)| ir::Operator::name(&node.op) == "fully_connected");
    let (_, node) = same.nth(nth).unwrap();
    graph.origins.leaf(node.origin).unwrap().line().unwrap().line
}

#[test]
fn an_archive_and_its_file_pass() {
    let archive = fixture("steps.pt2");
    let run = verified(&archive, &["--runtime", "evaluator"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.lines().last().unwrap().starts_with("PASS"), "{run:?}");

    let (_folder, file) = converted(&archive, &[]);
    let recorded = fixture("steps.safetensors");
    let run = verified(&file, &["--runtime", "evaluator", "--recorded", text(&recorded), "--json", "-"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let found = json(&run);
    assert_eq!((&found["pass"], &found["reference"]), (&true.into(), &"PyTorch".into()));
    let row = &found["comparisons"][0];
    assert_eq!((&row["runtime"], &row["name"]), (&"evaluator".into(), &"output_0".into()));
    assert!(row["metrics"]["margin"].as_f64().unwrap() > 1.0, "{row}");
}

#[test]
fn channels_last_at_the_interface_pass() {
    let case = repository("tests/ops/conv2d/padding-uneven");
    let archive = case.with_extension("pt2");
    let (_folder, file) = converted(&archive, &["--io-layout", "nhwc", "--verify"]);
    let recorded = case.with_extension("safetensors");
    let run = verified(&file, &["--recorded", text(&recorded), "--io-layout", "nhwc"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn a_wrong_constant_fails_and_its_line_is_named() {
    let (_folder, file) = converted(&fixture("steps.pt2"), &[]);
    let line = plant(&file, Builtin::FULLY_CONNECTED, 1, 1);
    let source = fs::read_to_string(fixture("make.py")).unwrap();
    assert_eq!(source.lines().nth(line as usize - 1).unwrap().trim(), "x = self.second(x)");

    let (archive, recorded) = (fixture("steps.pt2"), fixture("steps.safetensors"));
    let run = verified(&file, &["--recorded", text(&recorded)]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.lines().last().unwrap().starts_with("FAIL"), "{run:?}");
    assert!(run.stderr.contains("error[verification-failed]"), "{run:?}");

    let words = ["--recorded", text(&recorded), "--per-operator", "--against", text(&archive)];
    let run = verified(&file, &words);
    assert_eq!(run.code, Some(1), "{run:?}");
    let told =
        format!("the error begins at fully_connected \"linear_1\": make.py:{line} in forward, module second");
    assert!(run.stdout.contains(&told), "{told}\n{run:?}");

    let found = json(&verified(&file, &[&words[..], &["--json", "-"]].concat()));
    let operators = &found["per_operator"][0];
    let first = &operators["operators"][operators["first_beyond"].as_u64().unwrap() as usize];
    assert_eq!((&first["line"], &first["module"]), (&line.into(), &"second".into()));
}

#[test]
fn litert_and_its_operators_are_verified_too() {
    let Some(library) = litert::library() else { return };
    let (_folder, file) = converted(&fixture("steps.pt2"), &[]);
    let line = plant(&file, Builtin::FULLY_CONNECTED, 0, 1);
    let (archive, recorded) = (fixture("steps.pt2"), fixture("steps.safetensors"));
    let words =
        ["--litert-lib", text(&library), "--recorded", text(&recorded), "--per-operator", "--json", "-"];
    let found = json(&verified(&file, &[&words[..], &["--against", text(&archive)]].concat()));
    let runtimes: Vec<&Value> =
        found["comparisons"].as_array().unwrap().iter().map(|r| &r["runtime"]).collect();
    assert_eq!(runtimes, ["evaluator", "LiteRT XNNPACK", "LiteRT builtin"]);
    for operators in found["per_operator"].as_array().unwrap() {
        let first = &operators["operators"][operators["first_beyond"].as_u64().unwrap() as usize];
        assert_eq!(first["line"], line, "{operators}");
    }
    // Without the archive the file itself says what is right, and LiteRT computes what the file says.
    let found = json(&verified(&file, &words));
    assert_eq!(found["pass"], false);
    assert_eq!(found["per_operator"][0]["first_beyond"], Value::Null, "{found}");
}

#[test]
fn every_inner_value_of_a_model_is_looked_at_on_litert() {
    let Some(library) = litert::library() else { return };
    let archive = repository("examples/watermark/watermark.pt2");
    let run = verified(&archive, &["--litert-lib", text(&library), "--per-operator", "--json", "-"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    for operators in json(&run)["per_operator"].as_array().unwrap() {
        let all = operators["operators"].as_array().unwrap();
        assert!(all.len() > 50, "{} operators", all.len());
        assert!(all.iter().all(|o| o["isolated"]["count"].is_u64() && o["pass"] == true), "{operators}");
    }
}

#[test]
fn what_cannot_be_verified_is_said() {
    let (folder, file) = converted(&fixture("steps.pt2"), &[]);
    // Neither a recording nor LiteRT: nothing was verified, and that is no success.
    let run = verified(&file, &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("error[nothing-verified]"), "{run:?}");
    assert!(run.stderr.contains("edgewright setup"), "{run:?}");
    // A recording beside the file, and no LiteRT.
    fs::copy(fixture("steps.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let run = verified(&file, &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("not checked: LiteRT") && run.stdout.contains("edgewright setup"), "{run:?}");
    // LiteRT asked for by name.
    let run = verified(&file, &["--runtime", "litert"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    assert!(run.stderr.contains("error[litert-missing]"), "{run:?}");
}

/// A file of `steps.pt2` under this name, beside nothing but recordings of the names that follow.
fn beside_recordings(name: &str, recordings: &[&str]) -> (TempDir, PathBuf) {
    let (folder, file) = converted(&fixture("steps.pt2"), &[]);
    let renamed = folder.path().join(name);
    fs::rename(file, &renamed).unwrap();
    for recording in recordings {
        fs::copy(fixture("steps.safetensors"), folder.path().join(recording)).unwrap();
    }
    (folder, renamed)
}

#[test]
fn runtimes_that_agree_are_consistent_and_no_pass() {
    let Some(library) = litert::library() else { return };
    let (_folder, file) = beside_recordings("other.tflite", &["model.safetensors"]);
    let words = ["--litert-lib", text(&library)];
    let run = verified(&file, &words);
    assert_eq!(run.code, Some(0), "{run:?}");
    let last = run.stdout.lines().last().unwrap();
    for part in [
        "CONSISTENT  ",
        "on inputs made from a fixed seed: evaluator and LiteRT XNNPACK and LiteRT builtin agree",
        "PyTorch's numbers are not checked: there is no recording (",
        "other.safetensors); say --recorded FILE",
    ] {
        assert!(last.contains(part), "{part}\n{run:?}");
    }
    let found = json(&verified(&file, &[&words[..], &["--json", "-"]].concat()));
    assert_eq!(found["verdict"], "CONSISTENT");
}

#[test]
fn the_recording_of_what_a_file_was_made_of_is_found_by_its_name() {
    let (_folder, file) = beside_recordings("model_nhwc.fp16.tflite", &["model.safetensors"]);
    let words = ["--runtime", "evaluator"];
    let run = verified(&file, &words);
    let last = run.stdout.lines().last().unwrap();
    assert!(last.starts_with("PASS") && last.contains("one recorded run ("), "{run:?}");
    assert!(last.contains("model.safetensors)"), "{run:?}");

    // Of two that may be meant, none is taken.
    let names = ["model.safetensors", "model_nhwc.safetensors"];
    let (_folder, file) = beside_recordings("model_nhwc.fp16.tflite", &names);
    assert!(verified(&file, &words).stderr.contains("there is no recording ("));

    // One of other inputs is not this model's.
    let (folder, file) = beside_recordings("model.fp16.tflite", &[]);
    fs::copy(fixture("video.safetensors"), folder.path().join("model.safetensors")).unwrap();
    assert!(verified(&file, &words).stderr.contains("there is no recording ("));
}

#[test]
fn the_last_line_says_that_litert_was_not_asked() {
    let run = verified(&fixture("steps.pt2"), &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let last = run.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("PASS") && last.contains("; LiteRT was not asked, as it is not set up"),
        "{run:?}"
    );
}

#[test]
fn recordings_that_do_not_fit_are_refused() {
    let (folder, file) = converted(&fixture("steps.pt2"), &[]);
    let run = verified(&file, &["--recorded", "no-such-file.safetensors"]);
    assert_eq!(run.code, Some(5), "{run:?}");
    let other = repository("tests/ops/softmax/last-axis.safetensors");
    let run = verified(&file, &["--recorded", text(&other)]);
    assert_eq!(run.code, Some(4), "{run:?}");
    assert!(run.stderr.contains("input 0: ") && run.stderr.contains("f32[6,4]"), "{run:?}");
    let broken = folder.path().join("broken.safetensors");
    fs::write(&broken, b"\x08\0\0\0\0\0\0\0{\"a\":1}}").unwrap();
    assert_eq!(verified(&file, &["--recorded", text(&broken)]).code, Some(4));
}

#[test]
fn every_recording_is_compared() {
    let (folder, file) = converted(&fixture("steps.pt2"), &[]);
    let recorded = fs::read(fixture("steps.safetensors")).unwrap();
    fs::write(folder.path().join("model.safetensors"), &recorded).unwrap();
    // The last four bytes are the last element of the output.
    let end = recorded.len() - 4;
    let wrong = [&recorded[..end], &9f32.to_le_bytes()].concat();
    fs::write(folder.path().join("model.2.safetensors"), wrong).unwrap();
    let run = verified(&file, &["--json", "-"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let found = json(&run);
    let passes: Vec<&Value> =
        found["comparisons"].as_array().unwrap().iter().map(|row| &row["pass"]).collect();
    assert_eq!(passes, [true, false]);
}

#[test]
fn an_archive_of_another_model_is_no_reference() {
    let (_folder, file) = converted(&fixture("steps.pt2"), &[]);
    let other = repository("tests/ops/softmax/last-axis.pt2");
    let recorded = fixture("steps.safetensors");
    let words = ["--recorded", text(&recorded), "--per-operator", "--against", text(&other)];
    let run = verified(&file, &words);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("does not compile to the operators of"), "{run:?}");
}

#[test]
fn conversion_verifies_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("steps.tflite");
    let words = |more: &[&str]| {
        let mut words = vec!["convert".to_string(), fixture("steps.pt2").display().to_string()];
        words.extend(["-o".to_string(), file.display().to_string(), "--force".to_string()]);
        words.extend(more.iter().map(|w| w.to_string()));
        words
    };
    let run = edgewright(words(&["--verify", "--json", "-"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    let verification = &json(&run)["verification"];
    assert_eq!((&verification["pass"], &verification["schema_version"]), (&true.into(), &1.into()));
    assert_eq!(names(folder.path()), ["steps.tflite"]);
    // Another model's numbers of the same sizes.
    let wrong = folder.path().join("wrong.safetensors");
    let recorded = fs::read(fixture("steps.safetensors")).unwrap();
    let last = recorded.len() - 4;
    fs::write(&wrong, [&recorded[..last], &9f32.to_le_bytes()].concat()).unwrap();
    let run = edgewright(words(&["--verify", "--recorded", text(&wrong)]));
    assert_eq!(run.code, Some(1), "{run:?}");
    let run = edgewright(words(&["--recorded", text(&wrong)]));
    assert_eq!(run.code, Some(2), "{run:?}");
    // What is required of the file is judged as `verify` does, and a name that is misspelt is told before there is one.
    let run = edgewright(words(&["--verify", "--runtime", "evaluator", "--require", "*.max_abs<=0"]));
    assert!(run.code == Some(1) && run.stdout.contains("where <= 0 is required"), "{run:?}");
    fs::remove_file(&file).unwrap();
    let run = edgewright(words(&["--verify", "--require", "image.psnr>=45"]));
    assert!(run.code == Some(2) && !file.exists(), "{run:?}");
}

#[test]
fn recordings_of_other_sizes_are_told_before_a_file_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.tflite");
    let archive = repository("tests/archives/2.14/message-dynamic.pt2");
    let sizes = ["--shape", "latents=3,3,6,7", "--shape", "msg=3,16", "--verify", "-o", text(&file)];
    let run = edgewright([&["convert", text(&archive)], &sizes[..]].concat());
    assert!(run.code == Some(4) && run.stderr.contains("--recorded FILE"), "{run:?}");
    assert_eq!(names(folder.path()).len(), 0);
}

#[test]
fn a_quantized_file_is_measured_and_held_to_what_is_required() {
    let Some(library) = litert::library() else { return };
    let recorded = fixture("steps.safetensors");
    let words = ["--runtime", "litert", "--litert-lib", text(&library), "--recorded", text(&recorded)];
    let run = |file: &str, more: &[&str]| verified(&fixture(file), &[&words[..], more].concat());

    let measured = run("steps_int8.tflite", &[]);
    assert_eq!(measured.code, Some(0), "{measured:?}");
    let last = measured.stdout.lines().last().unwrap();
    assert!(
        last.starts_with("MEASURED") && last.contains("i8 weights") && last.contains("--require"),
        "{last}"
    );
    let found = json(&run("steps_int8.tflite", &["--json", "-", "--data-range", "*=1"]));
    assert_eq!((&found["pass"], &found["weights"][0]), (&Value::Null, &"i8".into()), "{found}");
    for row in found["comparisons"].as_array().unwrap() {
        // The difference that LiteRT's Python interpreter shows is 4.4e-4 under XNNPACK.
        let metrics = &row["metrics"];
        let error = metrics["max_abs"].as_f64().unwrap();
        assert!((1e-4..1e-3).contains(&error), "{row}");
        let (psnr, range) = (metrics["psnr_db"].as_f64().unwrap(), metrics["data_range"].as_f64().unwrap());
        assert!((65.0..75.0).contains(&psnr) && range == 1.0, "{row}");
    }
    let half = json(&run("steps_f16.tflite", &["--json", "-", "--require", "output_0.snr>=80"]));
    assert_eq!((&half["pass"], &half["weights"][0]), (&true.into(), &"f16".into()), "{half}");

    let kept = run("steps_int8.tflite", &["--require", "output_0.snr>=60", "*.bits>=1", "*.top1>=1"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert!(kept.stdout.lines().last().unwrap().starts_with("PASS"), "{kept:?}");
    let broken = run("steps_int8.tflite", &["--require", "*.bits>=1", "--require", "output_0.snr>=80"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(
        broken.stdout.contains("output_0: snr is 6") && broken.stdout.contains(">= 80 is required"),
        "{broken:?}"
    );
    assert!(broken.stderr.contains("error[verification-failed]"), "{broken:?}");
}

#[test]
fn what_is_required_of_a_float_model_comes_beside_its_bar() {
    let words = |limit: &str| {
        verified(
            &fixture("steps.pt2"),
            &["--runtime", "evaluator", "--require", &format!("output_0.snr>={limit}")],
        )
    };
    let run = words("100");
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("\noutput_0.snr >= 100: 1") && run.stdout.contains(" at least\n"), "{run:?}");
    let run = words("1000");
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stdout.contains("snr is 1") && run.stdout.contains("FAIL"), "{run:?}");
}

#[test]
fn a_file_is_compared_with_another_on_the_same_runtime() {
    let Some(library) = litert::library() else { return };
    let (_folder, file) = converted(&fixture("steps.pt2"), &[]);
    let words = ["--litert-lib", text(&library), "--reference", text(&file), "--json", "-"];
    let found = json(&verified(&fixture("steps_int8.tflite"), &words));
    let rows: Vec<(&Value, &Value)> =
        found["comparisons"].as_array().unwrap().iter().map(|r| (&r["runtime"], &r["against"])).collect();
    for runtime in ["LiteRT XNNPACK", "LiteRT builtin"] {
        assert!(rows.contains(&(&runtime.into(), &"model.tflite".into())), "{found}");
    }
    assert_eq!(found["reference"], "model.tflite");
    // Two float files are held to the bar of float models.
    let (_other, same) = converted(&fixture("steps.pt2"), &["--names", "forward"]);
    let run = verified(&same, &["--runtime", "evaluator", "--reference", text(&file)]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("exact") && run.stdout.contains("PASS"), "{run:?}");
    plant(&file, Builtin::FULLY_CONNECTED, 1, 1);
    let run = verified(&same, &["--runtime", "evaluator", "--reference", text(&file)]);
    assert_eq!(run.code, Some(1), "{run:?}");
}

#[test]
fn a_misspelt_requirement_is_told_with_the_names_there_are() {
    let file = fixture("steps_int8.tflite");
    let run = verified(&file, &["--require", "output_0.pnsr>=45"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("'pnsr'") && run.stderr.contains("snr, psnr, bits, top1"), "{run:?}");
    for words in [["--require", "output_1.psnr>=45"], ["--data-range", "output_1=1"]] {
        let run = verified(&file, &words);
        assert_eq!(run.code, Some(2), "{run:?}");
        assert!(run.stderr.contains("no output is called 'output_1'"), "{run:?}");
        assert!(run.stderr.contains("they are output_0"), "{run:?}");
    }
    assert_eq!(verified(&file, &["--data-range", "output_0=-1"]).code, Some(2));
}

/// The example's archive: an image of one channel and a message of 16 bits, and an image back.
fn watermark() -> PathBuf {
    repository("examples/watermark/watermark.pt2")
}

#[test]
fn pictures_are_inputs() {
    let pictures = fixture("pictures");
    let words = ["--runtime", "evaluator", "--images", text(&pictures), "--bits", "args_1", "--json", "-"];
    let run =
        verified(&watermark(), &[&words[..], &["--preprocess", "luma=bt601 resize=antialias"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    let found = json(&run);
    // What the archive says, computed before any pass, is what the compiled file must give.
    assert_eq!((&found["pass"], &found["reference"]), (&true.into(), &"watermark.pt2, evaluated".into()));
    let names: Vec<&str> =
        found["recordings"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert!(
        names.len() == 2 && names[0].ends_with("a_square.png") && names[1].ends_with("b_wide.jpg"),
        "{names:?}"
    );
    for row in found["comparisons"].as_array().unwrap() {
        assert!(row["metrics"]["max_abs"].as_f64().unwrap() > 0.0, "another way of computing: {row}");
    }
}

#[test]
fn pictures_that_do_not_fit_are_refused_with_what_would_mend_it() {
    let wide = fixture("pictures/b_wide.jpg");
    let refused = |words: &[&str]| {
        let all = [&["--runtime", "evaluator", "--images", text(&wide)], words].concat();
        let run = verified(&watermark(), &all);
        (run.code, run.stderr)
    };
    let (code, said) = refused(&[]);
    assert!(
        code == Some(4) && said.contains("error[picture-unfit]") && said.contains("luma=bt601"),
        "{said}"
    );
    let (code, said) = refused(&["--preprocess", "luma=bt601"]);
    assert!(code == Some(4) && said.contains("80×72") && said.contains("resize=antialias"), "{said}");
    let (code, said) = refused(&["--recorded", "no-such.safetensors"]);
    assert!(code == Some(5), "{said}");
    // The recording beside the archive has a message; with made-up bits none is needed.
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("model.pt2");
    fs::copy(watermark(), &alone).unwrap();
    let run = verified(&alone, &["--runtime", "evaluator", "--images", text(&wide)]);
    assert!(run.code == Some(2) && run.stderr.contains("say --bits args_1"), "{run:?}");
    let run = verified(&alone, &["--images", text(&wide), "--bits", "args_1=01a"]);
    assert!(run.code == Some(2) && run.stderr.contains("not of zeros and ones"), "{run:?}");
    let run = verified(&alone, &["--images", text(&wide), "--bits", "args_1=0110"]);
    assert!(run.code == Some(2) && run.stderr.contains("has 4 bits where the input takes 16"), "{run:?}");
    let run = verified(&alone, &["--images", text(&wide), "--bits", "message"]);
    assert!(run.code == Some(2) && run.stderr.contains("they are args_0, args_1"), "{run:?}");
    let run = verified(&fixture("steps.pt2"), &["--images", text(&wide)]);
    assert!(run.code == Some(2) && run.stderr.contains("no input of steps.pt2 takes a picture"), "{run:?}");
    let run = verified(&alone, &["--images", text(folder.path())]);
    assert!(run.code == Some(2) && run.stderr.contains("holds no file that ends in .png"), "{run:?}");
}

#[test]
fn what_an_embedder_changes_is_drawn_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = folder.path().join("drawn.png");
    let words = ["--runtime", "evaluator", "--picture", text(&drawn), "--amplify", "4", "--json", "-"];
    // The example's own archive stands for a detector here: it takes an image, but a message too.
    let run = verified(&watermark(), &[&words[..], &["--then", text(&watermark())]].concat());
    assert!(run.code == Some(2) && run.stderr.contains("a detector takes one image"), "{run:?}");

    let run = verified(&watermark(), &words);
    assert_eq!(run.code, Some(0), "{run:?}");
    let psnr = json(&run)["picture"]["psnr_db"][0].as_f64().unwrap();
    let mut reader =
        png::Decoder::new(std::io::BufReader::new(fs::File::open(&drawn).unwrap())).read_info().unwrap();
    let mut levels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut levels).unwrap();
    assert_eq!((frame.width, frame.height), (3 * 64, 64));
    // The error of 8 bits aside, the picture shows the PSNR that is told.
    let rows = levels.chunks_exact(3 * 64);
    let squares = rows.flat_map(|row| (0..64).map(|x| (f64::from(row[x]) - f64::from(row[64 + x])).powi(2)));
    let seen = 10.0 * (255f64.powi(2) / (squares.sum::<f64>() / 4096.0)).log10();
    assert!((seen - psnr).abs() < 0.2, "{seen} dB is drawn, {psnr} dB told");
    let run = verified(&watermark(), &["--picture", "drawn.jpg"]);
    assert!(run.code == Some(2) && run.stderr.contains("does not end in .png"), "{run:?}");
    let run = verified(&fixture("steps.pt2"), &["--runtime", "evaluator", "--picture", text(&drawn)]);
    assert!(run.code == Some(2) && run.stderr.contains("does not take and give an image"), "{run:?}");
}

#[test]
fn detectors_read_what_an_embedder_gives() {
    let Some(library) = litert::library() else { return };
    let (_folder, detector) = converted(&fixture("detector.pt2"), &[]);
    let program = fixture("detector.pt2");
    let words =
        ["--litert-lib", text(&library), "--then", text(&program), "--then", text(&detector), "--json", "-"];
    let run = |more: &[&str]| verified(&watermark(), &[&words[..], more].concat());
    let ended = run(&["--require", "logits.bits>=1", "logits.snr>=90"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let found = json(&ended);
    let links = found["links"].as_array().unwrap();
    let named = |l: &Value| (l["embedder"].clone(), l["detector"].clone(), l["runtime"].clone());
    let all: Vec<_> = links.iter().map(named).collect();
    let (torch, file) = (Value::from("PyTorch"), Value::from("watermark.pt2"));
    let (evaluated, compiled) = (Value::from("detector.pt2, evaluated"), Value::from("model.tflite"));
    // PyTorch's image goes to each detector on each runtime, and each runtime's to each on the same.
    assert_eq!(all[0], (torch.clone(), evaluated.clone(), "evaluator".into()));
    for runtime in ["evaluator", "LiteRT XNNPACK", "LiteRT builtin"] {
        for one in [
            (torch.clone(), compiled.clone(), runtime.into()),
            (file.clone(), evaluated.clone(), runtime.into()),
            (file.clone(), compiled.clone(), runtime.into()),
        ] {
            assert!(all.contains(&one), "{one:?} in {all:?}");
        }
    }
    assert_eq!(all.len(), 10);
    // This detector was never taught: it finds the same bits everywhere, but not the message.
    let recovered: Vec<&Value> = links.iter().map(|l| &l["recovered"]).collect();
    assert!(
        recovered.iter().all(|r| *r == recovered[0]) && recovered[0].as_f64().unwrap() < 1.0,
        "{recovered:?}"
    );
    assert!(links.iter().skip(1).all(|l| l["as_first"] == 1.0 && l["bits"] == 16), "{found}");

    let ended = run(&["--require", "message.bits>=1"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        json(&ended)["links"][0]["fault"].as_str().unwrap().ends_with("where >= 1 is required"),
        "{ended:?}"
    );
}

#[test]
fn the_operators_that_add_most_noise_come_first() {
    let Some(library) = litert::library() else { return };
    let (archive, recorded) = (fixture("steps.pt2"), fixture("steps.safetensors"));
    let words = ["--litert-lib", text(&library), "--recorded", text(&recorded), "--per-operator"];
    let file = fixture("steps_int8.tflite");
    let run = |more: &[&str]| verified(&file, &[&words[..], more].concat());
    let told = run(&["--against", text(&archive), "--worst", "2"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    // On LiteRT as on the evaluator, the second layer is the noisier, and its line is that of the source.
    let source = fs::read_to_string(fixture("make.py")).unwrap();
    let line = 1 + source.lines().position(|l| l.contains("self.second(x)")).unwrap();
    let rows: Vec<&str> = told.stdout.lines().filter(|l| l.contains("fully_connected")).collect();
    assert_eq!(rows.len(), 6, "{told:?}");
    for pair in rows.chunks(2) {
        assert!(
            pair[0].starts_with('4') && pair[0].contains(&format!("make.py:{line} in forward")),
            "{pair:?}"
        );
        assert!(pair[1].starts_with('2') && pair[1].contains(" i8 "), "{pair:?}");
    }

    let found = json(&run(&["--against", text(&archive), "--json", "-"]));
    let per_runtime = found["per_operator"].as_array().unwrap();
    assert_eq!(per_runtime.len(), 3);
    for operators in per_runtime {
        assert_eq!(operators["against"], "steps.pt2");
        let all = operators["operators"].as_array().unwrap();
        let narrow: Vec<&Value> = all.iter().map(|o| &o["weights"]).collect();
        let i8 = &Value::from("i8");
        assert_eq!(narrow, [&Value::Null, &Value::Null, i8, &Value::Null, i8, &Value::Null]);
        for operator in all {
            // What the parts are apart from their sum is their own rounding.
            let of = |part: &str| operator[part]["max_abs"].as_f64().unwrap();
            let (local, inherited, total) = (of("isolated"), of("inherited"), of("accumulated"));
            assert!(
                total <= (local + inherited) * 1.000_001 && local <= (total + inherited) * 1.000_001,
                "{operator}"
            );
        }
        // The first layer has the model's own input before it: what it inherits is rounding.
        assert!(all[2]["inherited"]["max_abs"].as_f64().unwrap() < 1e-6, "{operators}");
        assert!(all[2]["isolated"]["max_abs"].as_f64().unwrap() > 1e-4, "{operators}");
    }

    // A file of floats says the same as the archive that it was made of.
    let (_folder, float) = converted(&archive, &[]);
    let again = json(&run(&["--reference", text(&float), "--json", "-"]));
    let local = |found: &Value, runtime: usize| {
        found["per_operator"][runtime]["operators"][4]["isolated"]["max_abs"].as_f64().unwrap()
    };
    assert_eq!(again["per_operator"][1]["against"], "model.tflite");
    assert_eq!(local(&again, 1), local(&found, 1));
    // Against its own weights, what is left is what the kernels round.
    let own = json(&run(&["--json", "-"]));
    assert_eq!(own["per_operator"].as_array().unwrap().len(), 2);
    assert!(local(&own, 0) < local(&found, 1), "{own}");
}
