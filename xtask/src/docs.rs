//! `cargo xtask docs`: the pages of `docs/` that the program writes from its own data.

use std::fs;
use std::process::Command;

/// The pages, each with the word that the hidden verb `document` takes for it.
const PAGES: &[(&str, &str)] = &[
    ("docs/cli.md", "cli"),
    ("docs/diagnostics.md", "diagnostics"),
    ("docs/lints.md", "lints"),
    ("docs/operators.md", "operators"),
    ("docs/profiles.md", "profiles"),
];

/// Writes the pages, or with `--check` says which are stale.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("takes nothing or --check".into()),
    };
    let mut stale = Vec::new();
    for (path, word) in PAGES {
        let page = page(word)?;
        if check && fs::read_to_string(path).ok().as_ref() != Some(&page) {
            stale.push(*path);
        } else if !check {
            fs::write(path, page).map_err(|e| format!("{path}: {e}"))?;
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("{} is stale: run `cargo xtask docs`", stale.join(", ")))
}

/// What the program prints for a page. It is built in the profile that the tests use too.
fn page(word: &str) -> Result<String, String> {
    let words = ["run", "--quiet", "--release", "--package", "edgewright-cli", "--", "document", word];
    let output = Command::new(env!("CARGO")).args(words).output().map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!("document {word}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("document {word}: {e}"))
}
