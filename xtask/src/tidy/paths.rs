//! Paths of somebody's machine, which must not stand in the tree: not in text, and not in the archives of the tests.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders in which people and machines keep their own things.
const FOLDERS: &[&str] = &["home", "root", "work", "Users"];

/// The made-up users of tests, Ann and Anna.
const MADE_UP: &str = "ann";

/// What is looked at; an archive's entries lie in it uncompressed.
const ROOTS: &[&str] =
    &[".cargo", ".ci", "bench", "cases", "crates", "docs", "examples", "python", "tests", "xtask", "."];

/// Notes each file that has such a path, with the first.
pub(super) fn check(found: &mut Vec<String>) {
    for file in ROOTS.iter().flat_map(|root| files(Path::new(root), *root != ".")) {
        let Ok(bytes) = fs::read(&file) else { continue };
        if let Some(path) = first(&bytes) {
            found.push(format!("{}: has '{path}', a path of somebody's machine", file.display()));
        }
    }
}

/// The first path below one of the folders.
fn first(bytes: &[u8]) -> Option<String> {
    FOLDERS.iter().find_map(|folder| {
        let start = format!("/{folder}/");
        let at = places(bytes, start.as_bytes()).find(|&at| {
            let rest = &bytes[at + start.len()..];
            rest.first().is_some_and(u8::is_ascii_alphanumeric) && !rest.starts_with(MADE_UP.as_bytes())
        })?;
        let shown = bytes[at..].iter().take(40).take_while(|b| b.is_ascii_graphic() && **b != b'"');
        Some(shown.map(|&b| char::from(b)).collect())
    })
}

/// Where a pattern that begins with a slash begins.
fn places<'b>(bytes: &'b [u8], pattern: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let slashes = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    slashes.filter(move |&at| bytes[at..].starts_with(pattern))
}

/// The files of a folder, and of those in it where `deep`.
fn files(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && name != ".git" {
            found.push(path);
        } else if deep
            && path.is_dir()
            && !["target", "__pycache__", ".pytest_cache"].contains(&&*name)
            && !name.ends_with(".egg-info")
        {
            found.extend(files(&path, true));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn a_path_of_a_machine_is_found_in_text_and_in_bytes() {
        let path = format!("/{}/bob/x.py", "home");
        assert_eq!(first(format!("\0File \"{path}\", line 1").as_bytes()), Some(path));
        assert_eq!(first(b"/home/ann/net, /homes/x, a /work/ b, https://e.org/home"), None);
    }
}
