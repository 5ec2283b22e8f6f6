//! `edgewright check` and `profiles`, and `convert --profile`: what holds, what is solved for, and which line cannot.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod command;

use std::fs;
use std::path::{Path, PathBuf};

use command::{Ended, edgewright, fixture, repository};
use compiler::back::tflite::{INLINE_LIMIT, WriteError, write_file};
use compiler::dialect::tfl::{Builtin, Options};
use compiler::front::tflite;
use serde_json::Value;

fn check(model: &Path, profile: &str, more: &[&str]) -> Ended {
    let words = ["check", model.to_str().unwrap(), "--profile", profile, "-q"];
    edgewright(words.iter().chain(more))
}

fn json(run: &Ended) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"))
}

/// A case of `tests/ops`, converted.
fn converted(folder: &Path, case: &str, more: &[&str]) -> PathBuf {
    let output = folder.join("model.tflite");
    let archive = repository("tests/ops").join(case).with_extension("pt2");
    let words = ["convert", archive.to_str().unwrap(), "-o", output.to_str().unwrap(), "--force", "-q"];
    let run = edgewright(words.iter().chain(more));
    assert_eq!(run.code, Some(0), "{case}: {run:?}");
    output
}

/// The file with each GATHER renamed to GATHER_ND, as if another compiler had put one there.
fn planted(file: &Path, provenance: bool) -> PathBuf {
    let read = tflite::open(file).unwrap();
    let mut model = read.model.clone();
    for operator in model.subgraphs.iter_mut().flat_map(|graph| &mut graph.operators) {
        if operator.operator == Builtin::GATHER {
            (operator.operator, operator.options) = (Builtin::GATHER_ND, Options::of(Builtin::GATHER_ND));
        }
    }
    if !provenance {
        model.metadata.clear();
    }
    let output = file.with_file_name("planted.tflite");
    let copy = |buffer: usize, out: &mut dyn std::io::Write| read.copy(buffer, out).map_err(WriteError::from);
    write_file(&output, &model, INLINE_LIMIT, copy).unwrap();
    output
}

#[test]
fn a_planted_gather_nd_is_found_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = planted(&converted(folder.path(), "gather/index-select", &[]), true);
    // The opcode is a number: looking for the name among the bytes, as others do, finds nothing.
    let bytes = fs::read(&file).unwrap();
    assert!(!bytes.windows(b"GATHER_ND".len()).any(|window| window == b"GATHER_ND"));

    let run = check(&file, "bstm", &[]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(run.stderr.contains("error[profile-broken]: 1 of 1 operators do not hold under bstm"), "{run:?}");
    assert!(run.stdout.contains("  GATHER_ND is forbidden (once)\n    #0 GATHER_ND  FLOAT32["), "{run:?}");
    assert!(run.stdout.contains("      --> gather.py:"), "{run:?}");

    let found = json(&check(&file, "bstm", &["--json", "-"]));
    let operators = found["operators"].as_array().unwrap();
    let gather = operators.iter().find(|o| o["kind"] == "operator").unwrap();
    assert_eq!(
        (&gather["name"], &gather["index"], &gather["holds"]),
        (&"GATHER_ND".into(), &0.into(), &false.into())
    );
    assert!(gather["origin"]["line"].as_u64().unwrap() > 0);

    let stranger = planted(&file.with_file_name("model.tflite"), false);
    let run = check(&stranger, "bstm", &[]);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("--> the file does not say where it came from"), "{run:?}");
}

#[test]
fn what_is_converted_for_a_profile_holds_for_it() {
    let folder = tempfile::tempdir().unwrap();
    for case in ["gather/index-select", "gather/embedding", "pad/reflect", "transpose/rank-6-windows"] {
        let plain = converted(folder.path(), case, &[]);
        let before = check(&plain, "bstm", &[]).code;
        let solved = converted(folder.path(), case, &["--profile", "bstm"]);
        let run = check(&solved, "bstm", &[]);
        assert_eq!(run.code, Some(0), "{case}: {run:?}");
        assert!(run.stdout.ends_with("operators and the interface hold\n"), "{case}: {run:?}");
        let needed = case.starts_with("gather");
        assert_eq!(before, Some(i32::from(needed)), "{case} without the profile");
    }
}

#[test]
fn an_archive_is_checked_before_it_is_converted() {
    let embedding = repository("tests/ops/gather/embedding.pt2");
    let run = check(&embedding, "bstm", &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stdout.contains("as it is compiled without the profile, "), "{run:?}");
    assert!(run.stdout.contains("as it is compiled for it, all "), "{run:?}");

    let sum = repository("tests/ops/binary/add-integers.pt2");
    let run = check(&sum, "bstm", &["--json", "-"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let found = json(&run);
    assert_eq!(found["holds"], false);
    assert_eq!(found["unsolved"][0]["code"], "forbidden-dtype");
    assert!(found["unsolved"][0]["places"][0]["line"].as_u64().unwrap() > 0);
    assert!(found["solved"].is_null());
}

#[test]
fn the_twice_mapped_range_is_a_warning_of_check_and_convert() {
    let folder = tempfile::tempdir().unwrap();
    let archive = fixture("twice.pt2");
    let words = ["convert", archive.to_str().unwrap(), "-o"];
    let output = folder.path().join("twice.tflite");
    let run = edgewright(words.iter().copied().chain([output.to_str().unwrap()]));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("warning[double-preprocessing]: an input is mapped by 2·x − 1,"), "{run:?}");
    // Of the file, the compiler has made one map of the two already.
    let run = edgewright(["check", archive.to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let places = run.stderr.lines().filter(|line| line.contains("--> make.py:")).count();
    assert_eq!(places, 2, "{run:?}");
    let found = json(&edgewright(["check", archive.to_str().unwrap(), "--json", "-"]));
    assert_eq!(found["lints"][0]["code"], "double-preprocessing");
}

#[test]
fn what_a_profile_changes_nothing_of_is_judged_once() {
    let archive = fixture("steps.pt2");
    let run = edgewright(["check", archive.to_str().unwrap()]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let verdicts: Vec<&str> = run.stdout.lines().filter(|line| line.ends_with("hold")).collect();
    assert_eq!(verdicts, ["as it is compiled, all 6 operators and the interface hold"]);
}

#[test]
fn profiles_are_listed_and_printed() {
    let run = edgewright(["profiles"]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.stdout.contains("template       no target: a file to copy for a profile of your own"),
        "{run:?}"
    );
    for name in ["litert-cpu", "xnnpack-only", "xnnpack-fast", "bstm", "template"] {
        assert!(run.stdout.lines().any(|line| line.starts_with(name)), "{run:?}");
        let text = fs::read_to_string(repository("profiles").join(name).with_extension("toml")).unwrap();
        assert_eq!(edgewright(["profiles", name]).stdout, text);
    }
}
