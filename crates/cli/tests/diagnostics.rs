//! The pages under `tests/diagnostics`: what the program says where it refuses something.
//!
//! A section holds a block `console` with the command, and a block `text` with what comes on standard error and the exit
//! status. Commands run in the root of the repository; `OUT` is a folder of their own.
//! `BLESS=1 cargo test -p edgewright-cli --test diagnostics` writes the second block.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test is told by the environment, and stops where its pages are amiss"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a command says, with its exit status. The folder `OUT` is told as that again; lines on progress are left out.
fn said(command: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let mut words = command.split_whitespace().map(|word| word.replace("OUT", &out));
    assert_eq!(words.next().as_deref(), Some("edgewright"), "{command}");
    let output =
        Command::new(env!("CARGO_BIN_EXE_edgewright")).args(words).current_dir(root()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap().replace(&out, "OUT");
    let lines = text.trim_end().lines().filter(|line| !["reading", "writing"].contains(line));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    format!("{text}exit status {}\n", output.status.code().unwrap())
}

/// A page with its second blocks written anew, and the commands whose block was another.
fn written(page: &str) -> (String, Vec<String>) {
    let (mut out, mut changed) = (String::new(), Vec::new());
    let mut rest = page;
    while let Some(at) = rest.find("```console\n$ ") {
        let (before, block) = rest.split_at(at + "```console\n$ ".len());
        let (command, after) =
            block.split_once("\n```\n\n```text\n").expect("a block of text follows a command");
        let (old, after) = after.split_once("```\n").expect("a block ends");
        let new = said(command);
        if new != old {
            changed.push(format!("$ {command}\n{new}"));
        }
        out.push_str(&format!("{before}{command}\n```\n\n```text\n{new}```\n"));
        rest = after;
    }
    (out + rest, changed)
}

#[test]
fn every_page_shows_what_the_program_says() {
    let mut pages: Vec<PathBuf> =
        fs::read_dir(root().join("tests/diagnostics")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    let mut wrong = Vec::new();
    let mut sections = 0;
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let (new, changed) = written(&page);
        sections += new.matches("```console").count();
        if env::var_os("BLESS").is_some() {
            fs::write(&path, new).unwrap();
        } else if !changed.is_empty() {
            wrong.push(format!("{}:\n{}", path.file_name().unwrap().to_string_lossy(), changed.join("\n")));
        }
    }
    assert!(sections > 0, "there are pages");
    assert!(wrong.is_empty(), "these say something else now (BLESS=1 writes it):\n{}", wrong.join("\n"));
}
