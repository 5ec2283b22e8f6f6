//! `edgewright weights`, and `convert --weights`: what is printed, what is written, and what does not fit.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{Ended, command, ended, fixture, names, repository};
use serde_json::Value;

fn weights(words: &[&str], files: &[&Path]) -> Ended {
    ended(command().arg("weights").args(words).args(files))
}

fn checkpoint(name: &str) -> PathBuf {
    repository("crates/weights/tests/fixtures").join(name)
}

#[test]
fn tensors_are_listed() {
    let run = weights(&["list"], &[&fixture("tuned.pth")]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.contains("model.inner.weight              f32    [6, 6]    144\n"), "{run:?}");
    assert!(run.stdout.ends_with("9 tensors, 440 bytes\n"), "{run:?}");

    let run = weights(&["list", "--prefix", "inner.", "--json", "-"], &[&fixture("tuned.pt2")]);
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["tensors"].as_array().unwrap().len(), 2);
    assert_eq!(json["bytes"], 168);
}

#[test]
fn what_a_checkpoint_would_run_is_named() {
    let run = weights(&["list"], &[&checkpoint("evil.pth")]);
    assert!(run.code == Some(0) && run.stderr.contains("posix.system"), "{run:?}");
    assert_eq!(weights(&["list", "-q"], &[&checkpoint("evil.pth")]).stderr, "");
    let run = weights(&["list"], &[&checkpoint("script.pt")]);
    assert!(run.code == Some(4) && run.stderr.contains("TorchScript"), "{run:?}");
    assert_eq!(weights(&["list"], &[Path::new("no-such-file.pth")]).code, Some(5));
}

#[test]
fn a_part_is_extracted_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("part.safetensors");
    let extract = ["extract", "--prefix", "model.", "--strip", "-o", output.to_str().unwrap()];
    let run = weights(&extract, &[&checkpoint("nested.pth")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(fs::read(&output).unwrap() == fs::read(checkpoint("state.safetensors")).unwrap());
    assert_eq!(names(folder.path()), ["part.safetensors"]);

    let run = weights(&extract, &[&checkpoint("nested.pth")]);
    assert!(run.code == Some(2) && run.stderr.contains("--force"), "{run:?}");
    let none = ["extract", "--prefix", "decoder.", "-o", "never.safetensors"];
    assert_eq!(weights(&none, &[&checkpoint("nested.pth")]).code, Some(2));

    let run = weights(&["diff", "--values"], &[&output, &checkpoint("state.pth")]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    let run = weights(&["diff", "--json", "-"], &[&output, &checkpoint("nested.pth")]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let json: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["extra"].as_array().unwrap().len(), json["missing"].as_array().unwrap().len() + 2);
}

#[test]
fn a_checkpoint_is_written_as_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("all.safetensors");
    let run = weights(&["convert", "-o", output.to_str().unwrap()], &[&checkpoint("views.pth")]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(fs::read(&output).unwrap() == fs::read(checkpoint("views.safetensors")).unwrap());
}

/// Converts the archive with the checkpoint's weights.
fn filled(words: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let run = ended(
        command()
            .arg("convert")
            .arg(fixture("tuned.pt2"))
            .arg("--weights")
            .arg(fixture("tuned.pth"))
            .arg("-o")
            .arg(folder.path().join("tuned.tflite"))
            .args(words),
    );
    assert_eq!(run.code == Some(0), folder.path().join("tuned.tflite").exists(), "{run:?}");
    run
}

#[test]
fn an_archive_is_compiled_with_the_weights_of_a_checkpoint() {
    let recorded = fixture("tuned.recorded.safetensors");
    let verify = ["--verify", "--runtime", "evaluator", "--recorded", recorded.to_str().unwrap()];
    let run = filled(&[&["--strip-prefix", "model."], &verify[..]].concat());
    assert!(run.code == Some(0) && run.stdout.contains("PASS"), "{run:?}");

    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own.tflite");
    let run = ended(command().arg("convert").arg(fixture("tuned.pt2")).arg("-o").arg(&own).args(verify));
    assert_eq!(run.code, Some(1), "the recording is of the checkpoint's weights: {run:?}");
}

#[test]
fn weights_that_do_not_fit_are_told_all_at_once() {
    let run = filled(&[]);
    assert_eq!(run.code, Some(4), "{run:?}");
    for words in [
        "weights of the model are not in the file: 9",
        "tensors of the file are no weights of the model: 9",
        "--strip-prefix model.",
        "2 errors; nothing was written",
    ] {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    let run = filled(&["--strip-prefix", "no.such."]);
    assert!(run.code == Some(2) && run.stderr.contains("model.inner.weight"), "{run:?}");
    let run = filled(&["--strip-prefix", "model.", "--verify"]);
    assert!(run.code == Some(2) && run.stderr.contains("--recorded"), "{run:?}");
}

/// Runs `edgewright weights fill` on an archive: how it ended, and the file that it should have written.
fn fill(folder: &Path, archive: &Path, words: &[&str]) -> (Ended, PathBuf) {
    let output = folder.join(format!("{}.pt2", names(folder).len()));
    let run = ended(command().args(["weights", "fill"]).arg(archive).arg("-o").arg(&output).args(words));
    assert_eq!(run.code == Some(0), output.exists(), "{run:?}");
    (run, output)
}

#[test]
fn an_archive_is_written_with_the_weights_of_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (tuned, own) = (fixture("tuned.pth"), fixture("tuned.pt2"));
    let words = ["--weights", tuned.to_str().unwrap(), "--strip-prefix", "model."];
    let (run, output) = fill(folder.path(), &own, &words);
    assert!(run.code == Some(0) && run.stdout.contains("9 tensors"), "{run:?}");

    let target = folder.path().join("filled.tflite");
    let recorded = fixture("tuned.recorded.safetensors");
    let run = ended(
        command()
            .args(["convert", "--check-sums", "--verify", "--runtime", "evaluator", "--recorded"])
            .args([&recorded, &output])
            .arg("-o")
            .arg(&target),
    );
    assert!(run.code == Some(0) && run.stdout.contains("PASS"), "{run:?}");

    let (_, back) = fill(folder.path(), &output, &["--weights", own.to_str().unwrap()]);
    assert!(fs::read(&back).unwrap() == fs::read(&own).unwrap(), "its own weights make the first file again");
    let run = ended(command().args(["weights", "fill"]).arg(&own).arg("-o").arg(&output).args(words));
    assert!(run.code == Some(2) && run.stderr.contains("--force"), "{run:?}");
}

#[test]
fn an_archive_is_not_written_with_weights_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let (run, _) =
        fill(folder.path(), &fixture("tuned.pt2"), &["--weights", fixture("tuned.pth").to_str().unwrap()]);
    assert_eq!(run.code, Some(4), "{run:?}");
    for words in [
        "weights of the model are not in the file: 9",
        "--strip-prefix model.",
        "2 errors; nothing was written",
    ] {
        assert!(run.stderr.contains(words), "{words}: {run:?}");
    }
    assert_eq!(names(folder.path()), [""; 0]);
}
