//! `cargo xtask tidy`: the rules of the house that a machine can see.

mod floors;
mod paths;

use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer than somebody reads to its end.
const LINES: usize = 700;

/// Names that say nothing about what lives there.
const BANNED: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc"];

/// Operators that no PyTorch program is read into: only quantization or a .tflite of another writer has them.
const FOREIGN: &[&str] = &["squared_difference", "quantize", "dequantize"];

/// Runs every check and errs with everything that is found.
pub(crate) fn run(_: &[String]) -> Result<(), String> {
    let mut found = Vec::new();
    let files = sources(&["crates", "xtask", "python", "cases", "tests", "examples", "bench"]);
    for file in &files {
        look(file, &mut found);
    }
    floors::check(&files, &mut found);
    paths::check(&mut found);
    operators(&mut found);
    found.extend(crate::docs::run(&["--check".into()]).err());
    if found.is_empty() {
        eprintln!("{} files are tidy", files.len());
        return Ok(());
    }
    for line in &found {
        eprintln!("{line}");
    }
    Err(format!("{} things to mend", found.len()))
}

/// One file by itself.
fn look(file: &Path, found: &mut Vec<String>) {
    let name = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let place = file.display();
    if BANNED.contains(&name) {
        found.push(format!("{place}: the name says nothing about what is in it"));
    }
    let Ok(text) = fs::read_to_string(file) else { return };
    let generated = text.lines().next().is_some_and(|l| l.contains("generated"));
    if text.lines().count() > LINES && !generated {
        found.push(format!("{place}: {} lines; nobody reads more than {LINES}", text.lines().count()));
    }
    if file.extension().is_some_and(|e| e == "rs") {
        let opened = text.lines().find(|l| !l.starts_with("#!")).is_some_and(|l| l.starts_with("//! "));
        let test = file.components().any(|c| c.as_os_str() == "tests");
        if !opened && !test {
            found.push(format!("{place}: does not open with a sentence on what is in it"));
        }
    }
}

/// Every operator page is in the catalog, and every operator has cases: `docs/operators.md`, which is checked to be
/// fresh, counts them.
fn operators(found: &mut Vec<String>) {
    let catalog = fs::read_to_string("crates/compiler/src/ops/catalog.rs").unwrap_or_default();
    let listed = catalog.split("operators! {").last().unwrap_or_default();
    for file in sources(&["crates/compiler/src/ops"]) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        let page = text.contains("impl Definition for");
        if page && !listed.contains(&format!("{stem}::")) {
            found.push(format!("{}: an operator that the catalog does not list", file.display()));
        }
    }
    let counted = fs::read_to_string("docs/operators.md").unwrap_or_default();
    let table = counted.split("\n## ").next().unwrap_or_default();
    for row in table.lines().filter(|row| row.ends_with("| 0 |")) {
        let name = row.split('`').nth(1).unwrap_or_default();
        if FOREIGN.contains(&name) {
            continue;
        }
        found.push(format!("cases/ops: no case has the operator '{name}'"));
    }
}

/// The Rust and Python files below these folders, in order.
fn sources(roots: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut stack: Vec<PathBuf> = roots.iter().map(PathBuf::from).collect();
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            let hidden = path
                .file_name()
                .is_some_and(|n| n == "target" || n == "__pycache__" || n.to_string_lossy().starts_with('.'));
            if !hidden {
                stack.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
            }
        } else if path.extension().is_some_and(|e| e == "rs" || e == "py") {
            files.push(path);
        }
    }
    files.sort();
    files
}
