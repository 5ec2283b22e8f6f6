//! The floors of the compiler, read from ARCHITECTURE.md: imports only point down.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the floors stand: the first fenced block after this line of ARCHITECTURE.md, the highest floor first.
const HEADING: &str = "## Floors";

/// Notes every `use crate::…` of the compiler that points up, or sideways to another module of the same floor.
pub(super) fn check(files: &[PathBuf], found: &mut Vec<String>) {
    let Some(floors) = floors() else {
        found.push("ARCHITECTURE.md: no block of floors under '## Floors'".into());
        return;
    };
    let floor = |module: &str| floors.iter().position(|names| names.iter().any(|n| n == module));
    let source = Path::new("crates/compiler/src");
    for file in files.iter().filter(|f| f.starts_with(source)) {
        let Some(module) = module(file, source) else { continue };
        let Some(own) = floor(&module) else {
            if module != "lib" {
                found.push(format!("{}: ARCHITECTURE.md gives '{module}' no floor", file.display()));
            }
            continue;
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        for (i, line) in text.lines().enumerate() {
            for used in used(line) {
                let up = floor(&used).is_some_and(|other| other < own || (other == own && used != module));
                if up {
                    found.push(format!("{}:{}: '{module}' must not import '{used}'", file.display(), i + 1));
                }
            }
        }
    }
}

/// The modules of each floor, the highest first: the words before the dash of each line of the block.
fn floors() -> Option<Vec<Vec<String>>> {
    let text = fs::read_to_string("ARCHITECTURE.md").ok()?;
    let block = text.split_once(HEADING)?.1.split("```").nth(1)?;
    let names = |line: &str| {
        line.split('—').next().unwrap_or_default().split_whitespace().map(str::to_string).collect()
    };
    Some(block.lines().skip(1).filter(|l| !l.trim().is_empty()).map(names).collect())
}

/// The module below `src` that a file belongs to.
fn module(file: &Path, source: &Path) -> Option<String> {
    let first = file.strip_prefix(source).ok()?.components().next()?;
    Some(Path::new(first.as_os_str()).file_stem()?.to_str()?.to_string())
}

/// The modules that a line reaches by `crate::`.
fn used(line: &str) -> Vec<String> {
    if line.trim_start().starts_with("//") {
        return Vec::new();
    }
    let word = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    line.match_indices("crate::")
        .map(|(at, found)| word(&line[at + found.len()..]))
        .filter(|w| !w.is_empty())
        .collect()
}
