//! The pages under `tests/lint`: a graph, and what the lints warn of.
//!
//! A section holds a block `ir` and a block `text`, which is empty where nothing is amiss.
//! `BLESS=1 cargo test -p edgewright-compiler --test lint` writes the second.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test is told by the environment, and stops where its pages are amiss"
)]

use std::path::{Path, PathBuf};
use std::{env, fs};

use edgewright_compiler as compiler;

use compiler::lint::{LINTS, look};
use compiler::ops::Graph;

fn pages() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/lint");
    let mut pages: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    pages.sort();
    pages
}

/// A page with its second blocks written anew, and the sections whose block was another.
fn written(page: &str) -> (String, Vec<String>) {
    let (mut out, mut changed) = (String::new(), Vec::new());
    let mut rest = page;
    while let Some(at) = rest.find("```ir\n") {
        let (before, block) = rest.split_at(at + "```ir\n".len());
        let (text, after) = block.split_once("\n```\n\n```text\n").expect("a block of text follows a graph");
        let (old, after) = after.split_once("```\n").expect("a block ends");
        let graph: Graph = ir::parse(text, &|_| None).unwrap_or_else(|e| panic!("{e}:\n{text}"));
        let new = look(&graph).iter().map(|d| d.to_string()).collect::<Vec<_>>().join("\n");
        if new != old {
            changed.push(new.clone());
        }
        out.push_str(&format!("{before}{text}\n```\n\n```text\n{new}```\n"));
        rest = after;
    }
    (out + rest, changed)
}

#[test]
fn every_page_shows_what_the_lints_warn_of() {
    let mut wrong = Vec::new();
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        let (new, changed) = written(&page);
        assert!(new.contains("```text\nwarning["), "{} shows no warning", path.display());
        if env::var_os("BLESS").is_some() {
            fs::write(&path, new).unwrap();
        } else if !changed.is_empty() {
            wrong.push(format!("{}:\n{}", path.display(), changed.join("\n")));
        }
    }
    assert!(wrong.is_empty(), "these say something else now (BLESS=1 writes it):\n{}", wrong.join("\n"));
}

#[test]
fn every_lint_has_a_page_and_its_documentation() {
    let stems: Vec<String> =
        pages().iter().map(|p| p.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    for lint in LINTS {
        assert!(stems.contains(&lint.code.name.to_string()), "tests/lint has no page on {}", lint.code.name);
        for heading in ["What it finds", "Why it is seldom meant", "Example", "What to do"] {
            let explained = lint.code.explanation;
            assert!(explained.contains(&format!(" ## {heading}\n")), "{}: no '{heading}'", lint.code.name);
        }
    }
    assert_eq!(stems.len(), LINTS.len(), "every page is of a lint");
}
