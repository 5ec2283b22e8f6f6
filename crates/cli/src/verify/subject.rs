//! The model that is verified: a .tflite, given or compiled for the purpose.

use std::path::{Path, PathBuf};

use compiler::back::tflite::{INLINE_LIMIT, encode};
use compiler::compile::{compile, pipeline};
use compiler::dialect::tfl::{self, Model, PROVENANCE, decode};
use compiler::front::{tflite, torch};
use compiler::ops::{Graph, Layout};
use compiler::passes::layout::CHANNELS_LAST;
use files::Scratch;
use indexmap::IndexSet;
use ir::{DType, Diagnostic, Journal, Silent, TensorType};

use super::NOTHING_VERIFIED;
use super::litert::folder;
use crate::convert::{Reading, Target};

/// A .tflite with its graph.
pub(crate) struct Subject {
    /// What reports call it: the name of the file that the user gave.
    pub(crate) name: String,
    /// Where the file is.
    pub(crate) path: PathBuf,
    /// The graph; or why the file has operators that are not read.
    pub(crate) graph: Result<Graph, Vec<Diagnostic>>,
    /// What its inputs are called, in order.
    pub(crate) inputs: Vec<String>,
    /// The types of its inputs; or why they are not known.
    pub(crate) types: Result<Vec<TensorType>, Diagnostic>,
    /// What its outputs are called, in order.
    pub(crate) outputs: Vec<String>,
    /// The dtypes of its weights that are narrower than floats of 32 bits; none where it is no quantized file.
    pub(crate) narrow: Vec<DType>,
    /// The inputs and outputs that the file says have their channels last: `input 0`.
    last: Vec<String>,
    _folder: Option<Scratch>,
}

impl Subject {
    /// Opens a file. Errs where it is none of LiteRT's.
    pub(crate) fn open(path: &Path) -> Result<Self, Vec<Diagnostic>> {
        let file = tflite::open(path).map_err(|d| vec![d])?;
        let (inputs, outputs) = interface(&file.model);
        let ty = |(name, tensor): &(String, usize)| {
            file.model.subgraphs[0].tensors[*tensor].ty().map_err(|why| {
                Diagnostic::new(NOTHING_VERIFIED, format!("input '{name}' cannot be given: {why}"))
            })
        };
        Ok(Subject {
            name: named(path),
            path: path.to_owned(),
            graph: tflite::import(&file),
            types: inputs.iter().map(ty).collect(),
            inputs: inputs.into_iter().map(|(name, _)| name).collect(),
            outputs: outputs.into_iter().map(|(name, _)| name).collect(),
            narrow: narrow(&file.model),
            last: channels_last(&file),
            _folder: None,
        })
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
        Ok(Subject { _folder: Some(folder), name: named(archive), ..Subject::open(&path)? })
    }

    /// Where channels are in the input of this index: as the file says, or else as `io` has it.
    pub(crate) fn input_layout(&self, index: usize, io: Layout) -> Layout {
        if self.last.contains(&format!("input {index}")) { Layout::Nhwc } else { io }
    }

    /// Where channels are in the output of this index.
    pub(crate) fn output_layout(&self, index: usize, io: Layout) -> Layout {
        if self.last.contains(&format!("output {index}")) { Layout::Nhwc } else { io }
    }

    /// What the output of this index is called.
    pub(crate) fn output(&self, index: usize) -> String {
        self.outputs.get(index).cloned().unwrap_or_else(|| format!("output {index}"))
    }
}

/// What reports call a file: its name without its folder.
pub(crate) fn named(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Names and tensors of the inputs and of the outputs, as the first signature has them.
type Interface = (Vec<(String, usize)>, Vec<(String, usize)>);

fn interface(model: &Model) -> Interface {
    let Some(main) = model.subgraphs.first() else { return Interface::default() };
    let named = |tensors: &[usize]| tensors.iter().map(|&t| (main.tensors[t].name.clone(), t)).collect();
    match model.signatures.first().filter(|s| s.subgraph == 0) {
        Some(signature) => (signature.inputs.clone(), signature.outputs.clone()),
        None => (named(&main.inputs), named(&main.outputs)),
    }
}

/// The dtypes of constants that stand for floats of 32 bits and are narrower: those with a scale, and half floats.
fn narrow(model: &Model) -> Vec<DType> {
    let tensors = model.subgraphs.iter().flat_map(|graph| &graph.tensors);
    let constant = tensors.filter(|t| model.buffers[t.buffer].bytes > 0);
    let found: IndexSet<DType> = constant
        .filter_map(|t| Some((t, tfl::dtype(t.element)?)))
        .filter(|(t, dtype)| match dtype {
            DType::F16 | DType::Bf16 => true,
            _ => t.quantization.as_ref().is_some_and(|q| !q.scale.is_empty() || q.details.is_some()),
        })
        .map(|(_, dtype)| dtype)
        .collect();
    found.into_iter().collect()
}

/// Calls files by their whole paths where their names alone are the same.
pub(crate) fn tell_apart(subject: &Subject, references: &mut [Subject]) {
    let names: Vec<String> = references.iter().map(|r| r.name.clone()).collect();
    let alike = |name: &str| names.iter().filter(|n| *n == name).count() > 1 || name == subject.name;
    let twice: Vec<bool> = names.iter().map(|name| alike(name)).collect();
    for (reference, twice) in references.iter_mut().zip(twice) {
        if twice {
            reference.name = reference.path.display().to_string();
        }
    }
}

/// What the ledger of a file says of images that were given another layout than PyTorch's, each by itself.
fn channels_last(file: &tflite::File) -> Vec<String> {
    let provenance = file.metadata(PROVENANCE).and_then(|bytes| decode(&bytes.ok()?).ok());
    let entries = provenance.into_iter().flat_map(|provenance| provenance.ledger);
    entries.filter(|entry| entry.what == CHANNELS_LAST).map(|entry| entry.value).collect()
}
