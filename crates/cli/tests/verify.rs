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
}
