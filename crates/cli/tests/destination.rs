//! Where results go: nothing that is read is replaced, and what cannot be written is told before any work.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod command;

use std::fs;
use std::path::Path;

use command::{Ended, command, ended, fixture, names};
use tempfile::TempDir;

/// A folder of these files.
fn folder(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in files {
        fs::copy(fixture(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn said(folder: &Path, line: &str) -> Ended {
    ended(command().args(line.split_whitespace()).current_dir(folder))
}

/// Runs a command that is to end with this status and these words on standard error, and to leave every file as it is.
fn refused(folder: &Path, line: &str, code: i32, words: &str) {
    let bytes = || -> Vec<(String, Option<Vec<u8>>)> {
        names(folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(&name)).ok())).collect()
    };
    let before = bytes();
    let run = said(folder, line);
    assert_eq!(run.code, Some(code), "{line}: {run:?}");
    assert!(run.stderr.contains(words), "{line}: {run:?}");
    assert!(before == bytes(), "{line}: files changed");
}

#[test]
fn what_is_read_is_not_replaced() {
    let there = folder(&["tuned.pt2", "tuned.pth", "tuned.safetensors", "steps_int8.tflite", "plain.toml"]);
    fs::copy(fixture("video.safetensors"), there.path().join("tuned.2.safetensors")).unwrap();
    for line in [
        "convert tuned.pt2 -o tuned.pt2 --force",
        "convert tuned.pt2 -o ./tuned.pt2 --force",
        "convert tuned.pt2 -o tuned.safetensors --force",
        "convert tuned.pt2 -o tuned.2.safetensors --force",
        "convert tuned.pt2 --json tuned.pt2",
        "convert tuned.pt2 --weights tuned.pth -o tuned.pth --force",
        "convert tuned.pt2 --profile plain.toml --json plain.toml",
        "quantize tuned.pt2 -o tuned.pt2 --force",
        "quantize steps_int8.tflite -o steps_int8.tflite --force",
        "quantize steps_int8.tflite --plan --json steps_int8.tflite",
        "weights convert tuned.pth -o tuned.pth --force",
        "weights extract tuned.pth --prefix model. -o tuned.pth --force",
        "weights fill tuned.pt2 --weights tuned.pth -o tuned.pt2 --force",
        "weights list tuned.pth --json tuned.pth",
        "weights diff tuned.pth tuned.pt2 --json tuned.pt2",
        "verify steps_int8.tflite --json steps_int8.tflite",
        "verify tuned.pt2 --json tuned.safetensors",
        "check tuned.pt2 --json tuned.pt2",
        "inspect tuned.pt2 --json tuned.pt2",
    ] {
        refused(there.path(), line, 2, "read");
    }
    refused(there.path(), "convert tuned.pt2 -o x.tflite --json x.tflite", 2, "would be one file");
}

#[cfg(unix)]
#[test]
fn what_is_read_is_known_by_every_name() {
    let there = folder(&["tuned.pt2"]);
    fs::hard_link(there.path().join("tuned.pt2"), there.path().join("hard.tflite")).unwrap();
    std::os::unix::fs::symlink("tuned.pt2", there.path().join("soft.tflite")).unwrap();
    for name in ["hard.tflite", "soft.tflite"] {
        let line = format!("convert tuned.pt2 -o {name} --force");
        refused(there.path(), &line, 2, &format!("{name} is the file tuned.pt2"));
    }
}

#[test]
fn an_ending_is_that_of_what_is_written() {
    let there = folder(&["tuned.pt2", "tuned.pth"]);
    refused(there.path(), "convert tuned.pt2 -o other.pt2", 2, "-o other.tflite");
    refused(there.path(), "weights convert tuned.pth -o other.pth", 2, "-o other.safetensors");
    assert_eq!(said(there.path(), "convert tuned.pt2 -o model.lite").code, Some(0));
}

#[test]
fn a_folder_is_no_model_and_has_no_recordings() {
    let place = folder(&[]);
    for line in ["convert . -o q.tflite", "quantize . -o q.tflite", "verify ."] {
        refused(place.path(), line, 4, "not-an-exported-program");
    }
}

#[test]
fn a_folder_that_is_missing_is_told_first() {
    let there = folder(&["tuned.pt2", "tuned.pth"]);
    for line in [
        "convert tuned.pt2 -o none/x.tflite",
        "convert tuned.pt2 -o x.tflite --json none/x.json",
        "quantize tuned.pt2 -o none/x.tflite",
        "quantize tuned.pt2 -o x.tflite --json none/x.json",
        "weights convert tuned.pth -o none/x.safetensors",
        "weights extract tuned.pth --prefix model. -o none/x.safetensors",
        "weights fill tuned.pt2 --weights tuned.pth -o none/x.pt2",
        "verify tuned.pt2 --json none/x.json",
        "verify tuned.pt2 --picture none/x.png",
    ] {
        refused(there.path(), line, 5, "the folder none does not exist");
    }
    refused(there.path(), "convert tuned.pt2 -o tuned.pth/x.tflite", 5, "tuned.pth is no folder");
    refused(there.path(), "convert tuned.pt2 --dump-ir tuned.pth", 5, "tuned.pth is a file, not a folder");
    for force in ["", "--force"] {
        refused(there.path(), &format!("convert tuned.pt2 -o . {force}"), 5, ". is a folder, not a file");
    }
}
