//! Everything `inspect` says about a .tflite, whoever wrote it.

use std::collections::BTreeSet;

use ir::Diagnostic;
use serde::Serialize;

use super::Typed;
use super::histogram::Histogram;
use super::occurrence::{Occurrence, of_file};
use crate::back::tflite::least_runtime;
use crate::dialect::tfl::{Entry, Model, PROVENANCE, decode};
use crate::front::tflite::{File, MALFORMED_TFLITE};

/// What a file is made of, what it needs, and where its operators came from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// Counts of operators, tensors and bytes, and the signatures.
    #[serde(flatten)]
    pub histogram: Histogram,
    /// The length of the file.
    pub bytes: u64,
    /// The bytes of constant tensors.
    pub weight_bytes: u64,
    /// Name and bytes of each metadata buffer.
    pub metadata: Vec<(String, u64)>,
    /// The largest constants with their bytes, the largest first.
    pub largest: Vec<(Typed, u64)>,
    /// The oldest LiteRT that has every operator in its version.
    pub minimum_runtime: String,
    /// Who wrote the file: `edgewright 0.1.0`. `None` without provenance.
    pub producer: Option<String>,
    /// What the model was saved by: `torch 2.14.1`. `None` without provenance.
    pub source: Option<String>,
    /// What was narrowed or pinned, with its proof.
    pub ledger: Vec<Entry>,
    /// How many operators have a PyTorch line.
    pub traced: usize,
    /// Every operator.
    pub occurrences: Vec<Occurrence>,
}

/// How many of the largest constants are told.
const LARGEST: usize = 5;

impl FileReport {
    /// Of a file of `bytes` bytes. Errs where provenance is there and cannot be read.
    pub fn of(file: &File, bytes: u64) -> Result<Self, Diagnostic> {
        let malformed = |why: String| Diagnostic::new(MALFORMED_TFLITE, why);
        let provenance = match file.metadata(PROVENANCE) {
            None => None,
            Some(Err(e)) => return Err(malformed(format!("the provenance cannot be read: {e}"))),
            Some(Ok(bytes)) => Some(decode(&bytes).map_err(|why| malformed(why.0))?),
        };
        let model = &file.model;
        let histogram = Histogram::of(model);
        let occurrences = of_file(model, provenance.as_ref());
        Ok(FileReport {
            bytes,
            weight_bytes: histogram.constants.values().map(|size| size.bytes).sum(),
            metadata: model
                .metadata
                .iter()
                .map(|m| (m.name.clone(), model.buffers[m.buffer].bytes))
                .collect(),
            largest: largest(model),
            minimum_runtime: least_runtime(model),
            traced: occurrences.iter().filter(|o| o.origin.as_ref().is_some_and(|s| s.line > 0)).count(),
            producer: provenance.as_ref().map(|p| p.producer.clone()),
            source: provenance.as_ref().map(|p| p.source.clone()),
            ledger: provenance.map(|p| p.ledger).unwrap_or_default(),
            occurrences,
            histogram,
        })
    }

    /// The bytes that are neither weights nor metadata: the tables, and the gaps that alignment asks for.
    pub fn table_bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.weight_bytes + self.histogram.metadata_bytes)
    }
}

fn largest(model: &Model) -> Vec<(Typed, u64)> {
    let mut counted = BTreeSet::new();
    let tensors = model.subgraphs.iter().flat_map(|graph| &graph.tensors);
    let mut constants: Vec<_> = tensors
        .filter(|t| model.buffers[t.buffer].bytes > 0 && counted.insert(t.buffer))
        .map(|t| (Typed::of_entry(&t.name, t), model.buffers[t.buffer].bytes))
        .collect();
    // A stable sort keeps equal ones in the order of the file.
    constants.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    constants.truncate(LARGEST);
    constants
}
