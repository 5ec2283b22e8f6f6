//! The model that is verified: a .tflite, given or compiled for the purpose.

use std::path::{Path, PathBuf};

use compiler::back::tflite::{INLINE_LIMIT, encode};
use compiler::compile::{compile, pipeline};
use compiler::front::{tflite, torch};
use compiler::ops::Graph;
use compiler::verify::paired;
use ir::{Diagnostic, Journal, Silent};
use tempfile::TempDir;

use super::litert::folder;
use crate::convert::{Reading, Target};

/// A .tflite with its graph.
pub(crate) struct Subject {
    /// Where the file is.
    pub(crate) path: PathBuf,
    /// The graph; or why the file has operators that are not read.
    pub(crate) graph: Result<Graph, Vec<Diagnostic>>,
    /// What its outputs are called, in order.
    pub(crate) outputs: Vec<String>,
    _folder: Option<TempDir>,
}

impl Subject {
    /// Opens a file. Errs where it is none of LiteRT's.
    pub(crate) fn open(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let file = tflite::open(path).map_err(|d| vec![d])?;
        let outputs = file.model.signatures.first().map(|s| s.outputs.iter().map(|(name, _)| name.clone()));
        let outputs = outputs.map(Iterator::collect).unwrap_or_default();
        Ok(Subject { path: path.to_owned(), graph: tflite::import(&file), outputs, _folder: None })
    }

    /// Compiles an archive to a file that is gone when this value is.
    pub(crate) fn compiled(
        archive: &Path,
        reading: &Reading,
        target: &Target,
    ) -> Result<Self, Vec<Diagnostic>> {
        let options = target.options()?;
        let program = torch::read(archive, &reading.options()?)?;
        let compiled = compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent)?;
        let folder = folder().map_err(|d| vec![d])?;
        let path = folder.path().join("model.tflite");
        encode(&compiled.graph, &compiled.interface, &compiled.source, &compiled.journal.ledger)?
            .write(&path, INLINE_LIMIT, &mut |_| {})
            .map_err(|d| vec![d])?;
        Ok(Subject { _folder: Some(folder), ..Subject::open(&path)? })
    }

    /// Does this file hold the same operators as another? Errs with the first that differs.
    pub(crate) fn paired(&self, other: &Subject) -> Result<(), String> {
        let (Ok(own), Ok(others)) = (&self.graph, &other.graph) else {
            return Err("one of them has operators that are not read".into());
        };
        paired(own, others).map(drop)
    }

    /// What the output of this index is called.
    pub(crate) fn output(&self, index: usize) -> String {
        self.outputs.get(index).cloned().unwrap_or_else(|| format!("output {index}"))
    }
}
