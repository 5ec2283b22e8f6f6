//! `edgewright quantize` on a file: what the file says of itself stays in it.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod command;

use std::path::Path;

use command::{ended, repository};
use serde_json::Value;

/// The ledger of what a command writes to `output`.
fn ledger(verb: &str, model: &Path, output: &Path, words: &[&str]) -> Vec<Value> {
    let mut command = command::command();
    let run =
        ended(command.arg(verb).arg(model).arg("-o").arg(output).args(words).args(["--json", "-", "-q"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    let said: Value = serde_json::from_str(&run.stdout).unwrap();
    said["ledger"].as_array().unwrap().clone()
}

#[test]
fn the_ledger_of_a_file_is_kept_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, halved) = (folder.path().join("plain.tflite"), folder.path().join("halved.tflite"));
    let archive = repository("examples/watermark/watermark.pt2");
    let before = ledger("convert", &archive, &plain, &["--profile", "bstm"]);
    // Verification reads from these which images have their channels last.
    assert!(before.iter().any(|entry| entry["kind"] == "channels last"), "{before:?}");
    let after = ledger("quantize", &plain, &halved, &["--recipe", "fp16"]);
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 1);
}

#[test]
fn a_file_that_is_quantized_already_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (once, twice) = (folder.path().join("once.tflite"), folder.path().join("twice.tflite"));
    let run = |model: &Path, output: &Path| {
        let words = ["quantize", "--recipe", "weight-int8", "-o"];
        ended(command::command().args(words).args([output, model]))
    };
    let first = run(&repository("examples/watermark/watermark.pt2"), &once);
    assert!(first.stdout.contains("  weight-int8: ") && first.stdout.contains(" kB, now "), "{first:?}");
    let again = run(&once, &twice);
    let said = "  weight-int8: this run changes no weight; they were quantized before, as the ledger says\n";
    assert!(again.code == Some(0) && again.stdout.ends_with(said), "{again:?}");
    assert!(again.stderr.contains("ledger: weights quantized"), "{again:?}");
}
