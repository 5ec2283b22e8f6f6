//! Every operator of every compiled case says in the file which PyTorch line it came from, in both layouts.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod cases;

use std::path::Path;

use edgewright_compiler as compiler;

use compiler::compile::{Options, compile, pipeline};
use compiler::front::{tflite, torch};
use compiler::ops::Layout;
use compiler::report::{FileReport, Occurrence};
use ir::{Journal, Silent};
use rayon::prelude::*;

/// What an archive becomes with this layout at its interface; `None` where the compiler refuses it.
fn report(archive: &Path, io_layout: Layout, folder: &Path) -> Option<FileReport> {
    let program = torch::read(archive, &torch::Options::default()).ok()?;
    let options = Options { io_layout, ..Options::default() };
    let compiled = compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent).ok()?;
    let path = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
    cases::write(&compiled, &path).ok()?;
    let bytes = path.metadata().unwrap().len();
    Some(FileReport::of(&tflite::open(&path).unwrap(), bytes).unwrap())
}

/// What is missing in what the file says of an operator.
fn missing(occurrence: &Occurrence) -> Option<&'static str> {
    let Some(origin) = &occurrence.origin else { return Some("an origin") };
    // An input that is given as it is has no call.
    if &*origin.target == "output" {
        return None;
    }
    if origin.line == 0 || origin.file.is_empty() {
        return Some("a line");
    }
    if origin.module.is_empty() && origin.class.is_empty() {
        return Some("a module");
    }
    if !origin.target.contains('.') || origin.node.is_empty() { Some("a call") } else { None }
}

#[test]
fn every_operator_of_every_case_has_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let archives = cases::archives();
    let found: Vec<(String, Option<&str>)> = archives
        .par_iter()
        .flat_map_iter(|(name, path)| [(name, path, Layout::Nchw), (name, path, Layout::Nhwc)])
        .flat_map_iter(|(name, path, layout)| {
            let report = report(path, layout, folder.path());
            let occurrences = report.map(|r| r.occurrences).unwrap_or_default();
            occurrences
                .into_iter()
                .map(move |o| (format!("{name} ({layout:?}): #{} {}", o.index, o.name), missing(&o)))
        })
        .collect();
    assert!(!cases::all() || found.len() > 2 * archives.len(), "{} operators were looked at", found.len());
    let wrong: Vec<String> =
        found.into_iter().filter_map(|(place, what)| Some(format!("{place} lacks {}", what?))).collect();
    assert!(wrong.is_empty(), "{} operators:\n{}", wrong.len(), wrong.join("\n"));
}
