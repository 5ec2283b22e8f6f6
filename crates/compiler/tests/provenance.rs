//! In the file of every compiled case, in both layouts, each operator says which PyTorch line it came from, and each
//! tensor has a name of its own.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

mod cases;

use std::collections::BTreeSet;
use std::path::Path;

use edgewright_compiler as compiler;

use compiler::compile::{Options, compile, pipeline};
use compiler::dialect::tfl::TensorEntry;
use compiler::front::tflite::{self, File};
use compiler::front::torch;
use compiler::ops::Layout;
use compiler::report::{FileReport, Occurrence};
use ir::{Journal, Silent};
use rayon::prelude::*;

/// The file that an archive becomes with this layout at its interface; `None` where the compiler refuses it.
fn written(archive: &Path, io_layout: Layout, folder: &Path) -> Option<File> {
    let program = torch::read(archive, &torch::Options::default()).ok()?;
    let options = Options { io_layout, ..Options::default() };
    let compiled = compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent).ok()?;
    let path = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
    cases::write(&compiled, &path).ok()?;
    Some(tflite::open(&path).unwrap())
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

/// Looks at each thing that `things` finds in the file of each case, in both layouts, and fails with all that is wrong.
fn hold(things: impl Fn(&File) -> Vec<(String, Option<String>)> + Sync) {
    let folder = tempfile::tempdir().unwrap();
    let archives = cases::archives();
    let found: Vec<(String, Option<String>)> = archives
        .par_iter()
        .flat_map_iter(|(name, path)| [(name, path, Layout::Nchw), (name, path, Layout::Nhwc)])
        .flat_map_iter(|(name, path, layout)| {
            let found = written(path, layout, folder.path()).map(|file| things(&file)).unwrap_or_default();
            found.into_iter().map(move |(thing, why)| (format!("{name} ({layout:?}): {thing}"), why))
        })
        .collect();
    assert!(!cases::all() || found.len() > 2 * archives.len(), "{} things were looked at", found.len());
    let wrong: Vec<String> =
        found.into_iter().filter_map(|(place, why)| Some(format!("{place} {}", why?))).collect();
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_operator_of_every_case_has_a_line() {
    hold(|file| {
        let report = FileReport::of(file, 0).unwrap();
        let looked = |o: Occurrence| {
            (format!("#{} {}", o.index, o.name), missing(&o).map(|what| format!("lacks {what}")))
        };
        report.occurrences.into_iter().map(looked).collect()
    });
}

#[test]
fn every_tensor_of_every_case_has_a_name_of_its_own() {
    hold(|file| {
        let mut names = BTreeSet::new();
        let tensors = file.model.subgraphs.iter().flat_map(|graph| &graph.tensors);
        let looked = |tensor: &TensorEntry| {
            let again = !names.insert(tensor.name.clone());
            (format!("tensor {}", tensor.name), again.then(|| "is there twice".to_string()))
        };
        tensors.map(looked).collect()
    });
}
