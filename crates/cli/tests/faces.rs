//! The face of the command: exit codes, files that appear whole or not at all, everything wrong told at once.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod command;

use std::fs;
use std::path::Path;
use std::process::Command;

use command::{command, edgewright, ended, fixture, names, repository};

/// Converts into an empty folder, which a failure must leave empty.
fn refused(archive: &Path, words: &[&str]) -> command::Ended {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.tflite");
    let run = ended(command().arg("convert").arg(archive).arg("-o").arg(&output).args(words));
    assert_eq!(names(folder.path()), [""; 0], "{run:?}");
    assert_eq!(run.stdout, "");
    run
}

#[test]
fn success_is_0_and_prints_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.tflite");
    let run = ended(command().arg("convert").arg(fixture("steps.pt2")).arg("-o").arg(&output).arg("-q"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(run.stdout.starts_with(output.to_str().unwrap()), "{run:?}");
    assert_eq!(names(folder.path()), ["out.tflite"]);
}

#[test]
fn wrong_usage_is_2() {
    let run = edgewright(["convert"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_eq!(edgewright(["no-such-verb"]).code, Some(2));
    let run = refused(&fixture("steps.pt2"), &["--forbid", "NO_SUCH_OP"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("NO_SUCH_OP"), "{run:?}");
    assert_eq!(refused(&fixture("steps.pt2"), &["--stop-after", "no-such-pass"]).code, Some(2));
    assert_eq!(refused(&fixture("steps.pt2"), &["--shape", "nonsense"]).code, Some(2));
    assert_eq!(edgewright(["explain", "no-such-code"]).code, Some(2));
}

#[test]
fn what_is_not_supported_is_3_and_all_of_it_is_told() {
    let run = refused(&fixture("unsupported.pt2"), &[]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let source = fs::read_to_string(fixture("make.py")).unwrap();
    for operator in ["cumprod", "lgamma", "digamma", "erfinv", "logcumsumexp"] {
        assert!(run.stderr.contains(&format!("aten.{operator}.default")), "{operator}: {run:?}");
        let line = source.lines().position(|line| line.contains(&format!("torch.{operator}("))).unwrap() + 1;
        assert!(run.stderr.contains(&format!("make.py:{line} in forward")), "{operator}: {run:?}");
    }
    assert!(run.stderr.contains("5 errors; nothing was written"), "{run:?}");
}

#[test]
fn what_is_corrupt_is_4() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("cut.pt2");
    let whole = fs::read(fixture("steps.pt2")).unwrap();
    fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    let run = refused(&archive, &[]);
    assert_eq!(run.code, Some(4), "{run:?}");
    fs::write(&archive, b"not an archive").unwrap();
    assert_eq!(refused(&archive, &[]).code, Some(4));
    let file = folder.path().join("cut.tflite");
    fs::write(&file, b"\x1c\0\0\0TFL3").unwrap();
    let run = ended(command().arg("verify").arg(&file));
    assert_eq!(run.code, Some(4), "{run:?}");
}

#[test]
fn what_cannot_be_read_or_written_is_5() {
    let run = refused(Path::new("no-such-file.pt2"), &[]);
    assert_eq!(run.code, Some(5), "{run:?}");
    let run =
        ended(command().arg("convert").arg(fixture("steps.pt2")).args(["-o", "/nonexistent/out.tflite"]));
    assert_eq!(run.code, Some(5), "{run:?}");
    assert_eq!(ended(command().args(["verify", "no-such-file.tflite"])).code, Some(5));
}

#[test]
fn a_file_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.tflite");
    fs::write(&output, "mine").unwrap();
    let convert = |words: &[&str]| {
        ended(command().arg("convert").arg(fixture("steps.pt2")).arg("-o").arg(&output).args(words))
    };
    let run = convert(&[]);
    assert_eq!(run.code, Some(2), "{run:?}");
    assert!(run.stderr.contains("--force"), "{run:?}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "mine");
    // A conversion that fails leaves the old file, even by force.
    let failed =
        ended(command().arg("convert").arg(fixture("unsupported.pt2")).arg("-o").arg(&output).arg("--force"));
    assert_eq!(failed.code, Some(3), "{failed:?}");
    assert_eq!(fs::read_to_string(&output).unwrap(), "mine");
    assert_eq!(convert(&["--force"]).code, Some(0));
    assert_eq!(&fs::read(&output).unwrap()[4..8], b"TFL3");
    assert_eq!(names(folder.path()), ["out.tflite"]);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = repository("examples/watermark/watermark.pt2");
    let bytes = ["a", "b"].map(|name| {
        let output = folder.path().join(name);
        let run = ended(command().arg("convert").arg(&archive).arg("-o").arg(&output));
        assert_eq!(run.code, Some(0), "{run:?}");
        fs::read(output).unwrap()
    });
    assert!(bytes[0] == bytes[1]);
}

/// The system ends a process that writes beyond its limit, in the middle of the file, with no time to clean up.
#[test]
fn a_conversion_that_is_killed_while_it_writes_leaves_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.tflite");
    let archive = repository("examples/watermark/watermark.pt2");
    let run = ended(
        Command::new("sh")
            .arg("-c")
            .arg("ulimit -c 0; ulimit -f 32; exec \"$0\" convert \"$1\" -o \"$2\"")
            .arg(env!("CARGO_BIN_EXE_edgewright"))
            .args([&archive, &output]),
    );
    assert_ne!(run.code, Some(0), "{run:?}");
    assert!(!output.exists(), "{:?}", names(folder.path()));
    // What is left beside does not stand in the way.
    let run = ended(command().arg("convert").arg(&archive).arg("-o").arg(&output));
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn every_code_is_explained() {
    let list = edgewright(["explain"]);
    assert_eq!(list.code, Some(0));
    let codes: Vec<&str> = list.stdout.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.contains(&"verification-failed") && codes.contains(&"unsupported-operator"), "{codes:?}");
    let mut names = codes.clone();
    names.dedup();
    assert_eq!(names, codes, "a name is that of one code");
    for code in &codes {
        let run = edgewright(["explain", code]);
        assert!(run.code == Some(0) && run.stdout.contains("exit status"), "{code}: {run:?}");
    }
}

#[test]
fn a_code_is_explained_as_it_is_printed_and_guessed_where_it_is_cut_off() {
    for printed in
        ["error[rank-above-limit]", "warning[rank-above-limit]: a tensor has more axes", "rank-above-limit"]
    {
        let run = edgewright(["explain", printed]);
        assert!(run.stdout.starts_with("rank-above-limit\n"), "{printed}: {run:?}");
    }
    let run = edgewright(["explain", "unpinned"]);
    assert!(run.code == Some(2) && run.stderr.contains("did you mean unpinned-size?"), "{run:?}");
    assert!(edgewright(["explain", "unpinned-size"]).stdout.contains("exit status 2"));
}

#[test]
fn every_verb_has_help_on_standard_output() {
    let help = edgewright(["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    let lines = help.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs: Vec<&str> =
        lines.take_while(|l| !l.is_empty()).filter_map(|l| l.split_whitespace().next()).collect();
    assert!(verbs.contains(&"convert") && verbs.contains(&"verify"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        let run = edgewright([verb, "--help"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{verb}");
    }
}
