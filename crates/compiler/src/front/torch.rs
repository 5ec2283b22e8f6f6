//! Reading what `torch.export` saved.
//!
//! ```text
//! archive      the ZIP container; weights become ranges of the file
//! program      the JSON of the program
//! symbol       the sizes that were asked for, given to the symbols
//! inline       one straight list of calls, every size a number
//! functionalize    no call writes its arguments
//! masked       updates under masks are choices, of known sizes
//! decompose    what each call is in our operators
//! ```
//!
//! [`read`] goes as far as a [`Program`].

mod archive;
pub(crate) mod code;
pub mod decompose;
mod functionalize;
pub mod import;
mod inline;
mod live;
mod masked;
mod number;
mod origin;
mod program;
mod signature;
mod symbol;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{Constant, Diagnostic, Origins, TensorType};

use crate::dialect::aten::{Argument, Call};
use archive::{Archive, Payloads};
use inline::Straight;
use program::ExportedProgram;
pub use symbol::{SizedInput, Sizes, Symbol};

/// What is asked of a reading.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program that is meant, where the archive holds several.
    pub model: Option<String>,
    /// Shapes of inputs that were exported with dynamic sizes, by the names of `forward`'s parameters.
    pub shapes: Vec<(String, Vec<usize>)>,
    /// Values of symbols, such as `s0`.
    pub pins: Vec<(String, i64)>,
    /// The folder of the user's own code: lines in it are preferred to those of libraries.
    pub source_root: Option<PathBuf>,
    /// Compare every weight with its checksum, which reads the whole file once.
    pub verify_checksums: bool,
}

/// A program of ATen calls that write nothing, with every size a number.
#[derive(Debug)]
pub struct Program {
    /// The tensors that `forward` takes, in order.
    pub inputs: Vec<Input>,
    /// The weights in use, by the names that calls have for them.
    pub constants: IndexMap<Arc<str>, Weight>,
    /// The calls that the outputs need, in order.
    pub calls: Vec<Call>,
    /// The tensors that hold elements picked by a mask, each at its place in a tensor of all: elsewhere they mean nothing.
    pub picked: IndexSet<Arc<str>>,
    /// What `forward` gives, in order.
    pub outputs: Vec<Output>,
    /// Where the calls come from.
    pub origins: Origins,
    /// The version of PyTorch that saved it, such as `2.14.1`.
    pub torch_version: String,
    /// What each symbolic size was pinned to.
    pub pins: IndexMap<Arc<str>, i64>,
    /// What the user should know.
    pub warnings: Vec<Diagnostic>,
}

/// A tensor that `forward` takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The name of `forward`'s parameter (with its place in it, where that is a list or a dict).
    pub name: Arc<str>,
    /// Dtype and sizes.
    pub ty: TensorType,
    /// Was it passed by keyword?
    pub keyword: bool,
}

/// A parameter, buffer or other tensor of the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Its fully qualified name, such as `layer1.0.conv1.weight`.
    pub name: String,
    /// Its elements.
    pub data: Constant,
}

/// A tensor that `forward` gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The name that calls have for it.
    pub tensor: Arc<str>,
    /// Its key in the dict that `forward` gives, such as `boxes` or `levels.0`; `None` where it has none.
    pub name: Option<String>,
}

/// Reads a `.pt2` archive. Errs with all that is wrong with it, or with the sizes asked for.
pub fn read(path: &Path, options: &Options) -> Result<Program, Vec<Diagnostic>> {
    let archive = Archive::open(path).map_err(|d| vec![d])?;
    if options.verify_checksums {
        let wrong = archive.check_sums();
        if !wrong.is_empty() {
            return Err(wrong);
        }
    }
    let model = archive.choose(options.model.as_deref()).map_err(|d| vec![d])?;
    let exported = archive.program(&model).map_err(|d| vec![d])?;
    let payloads = archive.payloads(&model).map_err(|d| vec![d])?;
    assemble(&archive, &payloads, &exported, options)
}

/// What an archive says of the sizes of its program's inputs, before any is asked for. Errs where it is no archive, or
/// a size cannot be understood.
pub fn sizes(path: &Path, options: &Options) -> Result<Sizes, Vec<Diagnostic>> {
    let archive = Archive::open(path).map_err(|d| vec![d])?;
    let model = archive.choose(options.model.as_deref()).map_err(|d| vec![d])?;
    symbol::sizes(&archive.program(&model).map_err(|d| vec![d])?)
}

/// The parameters and persistent buffers of an archive's program, by their names in `state_dict`. Errs where it is no
/// archive, or with each that cannot be read.
pub fn state(path: &Path, options: &Options) -> Result<IndexMap<String, Constant>, Vec<Diagnostic>> {
    let archive = Archive::open(path).map_err(|d| vec![d])?;
    let model = archive.choose(options.model.as_deref()).map_err(|d| vec![d])?;
    let payloads = archive.payloads(&model).map_err(|d| vec![d])?;
    let mut state = IndexMap::new();
    let mut errors = Vec::new();
    for name in payloads.state() {
        match archive.constant(&payloads, name) {
            Ok(data) => drop(state.insert(name.to_string(), data)),
            Err(why) => errors.push(Diagnostic::new(code::INVALID_WEIGHT, format!("weight '{name}': {why}"))),
        }
    }
    if errors.is_empty() { Ok(state) } else { Err(errors) }
}

impl Program {
    /// Gives the parameters and persistent buffers other elements: those of `state`, by their names in `state_dict`.
    /// Errs with each of another type than the archive's.
    pub fn fill(&mut self, state: &IndexMap<String, Constant>) -> Result<(), Vec<Diagnostic>> {
        let mut errors = Vec::new();
        for weight in self.constants.values_mut() {
            let Some(data) = state.get(&weight.name) else { continue };
            let (old, new) = (weight.data.ty(), data.ty());
            if old == new {
                weight.data = data.clone();
            } else {
                let message = format!("weight '{}': it is {new}, but used as {old}", weight.name);
                errors.push(Diagnostic::new(code::INVALID_WEIGHT, message));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

fn assemble(
    archive: &Archive,
    payloads: &Payloads,
    exported: &ExportedProgram,
    options: &Options,
) -> Result<Program, Vec<Diagnostic>> {
    let module = &exported.graph_module;
    let mut warnings = Vec::new();
    let interface = signature::read(module).map_err(|d| vec![d])?;
    let pins = symbol::bind(exported, &options.shapes, &options.pins, &mut warnings)?;
    let reader = origin::Reader::new(&module.graph, options.source_root.as_deref());
    let straight = inline::straighten(&module.graph, &pins, &reader)?;

    let inputs = interface.inputs(&straight);
    let sources = interface.sources(&straight);
    let stored = sources
        .iter()
        .filter_map(|(name, source)| Some((name.clone(), payloads.stored(&source.fqn)?)))
        .collect();
    let functional = functionalize::functionalize(straight, &stored);
    let outputs = interface.outputs(&functional.outputs, &mut warnings);
    let results: Vec<Arc<str>> = outputs.iter().map(|o| o.tensor.clone()).collect();
    let mut live = live::reduce(functional.steps, &results, &functional.origins);
    let picked = masked::resolve(&mut live);

    let mut errors = live.errors;
    functional.errors.into_iter().for_each(|error| live::group(&mut errors, error));
    errors.extend(interface.open_outputs(&functional.outputs));
    let changed = interface.changed(&functional.outputs);
    let writes = live::Writes { written: &functional.written, changed: &changed, sources: &sources };
    live::check_writes(&writes, &live.names, &functional.origins, &mut errors, &mut warnings);
    let constants = weights(archive, payloads, &sources, &live.names, &mut errors);
    let program = Program {
        inputs,
        constants,
        calls: live.calls,
        picked,
        outputs,
        origins: functional.origins,
        torch_version: exported.torch_version.clone(),
        pins,
        warnings,
    };
    if errors.is_empty() {
        return Ok(program);
    }
    // What else is not supported is told in the same run.
    errors.extend(import::unsupported(&program, &live.refused));
    Err(errors)
}

/// The weights that are in use. What is wrong with any goes to `errors`.
fn weights(
    archive: &Archive,
    payloads: &Payloads,
    sources: &IndexMap<Arc<str>, Source>,
    live: &IndexSet<Arc<str>>,
    errors: &mut Vec<Diagnostic>,
) -> IndexMap<Arc<str>, Weight> {
    let mut weights = IndexMap::new();
    for (name, source) in sources.iter().filter(|(name, _)| live.contains(*name)) {
        let data = archive.constant(payloads, &source.fqn).and_then(|data| {
            let (stored, used) = (data.ty(), &source.ty);
            if stored == *used {
                Ok(data)
            } else {
                Err(format!("it is stored as {stored}, but used as {used}"))
            }
        });
        match data {
            Ok(data) => {
                weights.insert(name.clone(), Weight { name: source.fqn.clone(), data });
            }
            Err(why) => {
                errors.push(Diagnostic::new(code::INVALID_WEIGHT, format!("weight '{}': {why}", source.fqn)))
            }
        }
    }
    weights
}

/// A tensor of the module that the graph takes as an input.
#[derive(Clone, Debug)]
struct Source {
    fqn: String,
    ty: TensorType,
}
