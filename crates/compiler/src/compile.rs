//! The pipeline, as a list, and the way from a program to a graph that can be written.

use ir::{Assumption, Diagnostic, Journal, Observer, Pipeline, Stage, validate};

use crate::back::tflite::{Interface, LEAST_RUNTIME};
use crate::dialect::tfl::PROVENANCE;
use crate::front::tflite::{File, import as import_tflite, main_signature, provenance};
use crate::front::torch::{Program, import};
use crate::lint;
use crate::ops::{Graph, Layout, Op};
use crate::passes::{
    Limits, accumulate, assume, dedupe, fold, fuse, interface, layout, legalize, lower, narrow, permutations,
    rank, regroup, simplify, sink,
};

ir::codes! {
    /// The .tflite holds more than one graph or signature.
    ///
    /// What is written again has one graph and one signature; the others would be lost.
    SEVERAL_GRAPHS = "several-graphs", Unsupported;

    /// Metadata of a .tflite is left out of the file that is made of it.
    ///
    /// What it says, such as the names of labels, may still hold; whoever wrote it can write it again.
    METADATA_LEFT_OUT = "metadata-left-out", Unsupported;
}

/// What a user may ask of a compilation.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the target can run.
    pub limits: Limits,
    /// Whether images at the interface stay as in PyTorch or come with channels last.
    pub io_layout: Layout,
    /// Whether floats of other widths may be computed in f32.
    pub narrow_floats: bool,
    /// What inputs are said to hold, by the names of `forward`'s parameters.
    pub assume: Vec<(String, assume::Holds)>,
    /// Whether weights will be quantized to integers.
    pub integer_weights: bool,
    /// Whether the interface is named as applications look it up (`args_0`, `output_0`) or as in PyTorch.
    pub names: Names,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            limits: Limits::default(),
            io_layout: Layout::Nchw,
            narrow_floats: false,
            assume: Vec::new(),
            integer_weights: false,
            names: Names::Positional,
        }
    }
}

impl Options {
    /// Which images change their layout at the interface.
    fn ends(&self) -> layout::Ends {
        match self.io_layout {
            Layout::Nchw if self.limits.interface.channels_last => layout::Ends::Images,
            io_layout => io_layout.into(),
        }
    }
}

/// How inputs and outputs are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `args_0`, `args_1`, … (keyword inputs by their names) and `output_0`, `output_1`, …
    Positional,
    /// The names of `forward`'s parameters, and of the outputs where PyTorch names them.
    Forward,
}

/// A graph that can be written, with what became of the interface.
pub struct Compiled {
    /// The graph, every run-time operator of which can be spelled.
    pub graph: Graph,
    /// The names of inputs and outputs, in PyTorch's order.
    pub interface: Interface,
    /// What the passes remember: firings, decisions, the ledger.
    pub journal: Journal,
    /// What the model was saved by: `torch 2.14.1`.
    pub source: String,
}

/// The passes in their order.
pub fn pipeline(options: &Options) -> Pipeline<Op> {
    Pipeline::new()
        .then(fold::constants())
        .then(simplify::identities())
        .expect_stage(Stage::Static)
        .then(assume::inputs(&options.assume))
        .then(fuse::producers())
        .then(interface::within(&options.limits))
        .then(narrow::floats(options.narrow_floats))
        .then(narrow::integers(&options.limits))
        .then(lower::within(&options.limits))
        .then(regroup::terms())
        .then(fuse::consumers(options.integer_weights))
        .then(fuse::activations())
        .then(simplify::identities())
        .then(layout::assign(options.ends()))
        .then(rank::within(&options.limits))
        .then(simplify::identities())
        .then(sink::reshapes())
        .then(accumulate::rows())
        .then(fold::constants())
        .then(dedupe::equals())
        .then(permutations::within(&options.limits))
        .then(legalize::within(&options.limits))
        .expect_stage(Stage::Legal)
}

/// Compiles a program. Errs with everything that is wrong at the first stage that fails.
pub fn compile(
    program: &Program,
    pipeline: &Pipeline<Op>,
    options: &Options,
    mut journal: Journal,
    observer: &mut dyn Observer<Op>,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut graph = import::import(program)?;
    journal.warnings.extend(program.warnings.iter().cloned());
    journal.warnings.extend(lint::look(&graph));
    journal.ledger.extend(program.pins.iter().map(|(symbol, value)| Assumption {
        kind: "pinned".into(),
        subject: symbol.to_string(),
        reason: format!("the sizes asked for make it {value}"),
    }));
    pipeline.run(&mut graph, &mut journal, observer)?;
    let interface = interface(program, options.names);
    Ok(Compiled { graph, interface, journal, source: format!("torch {}", program.torch_version) })
}

/// A .tflite as a graph that can be written again, with its interface, its source and its ledger. Errs with everything
/// in it that would be lost.
pub fn reopened(file: &File) -> Result<Compiled, Vec<Diagnostic>> {
    let model = &file.model;
    if model.subgraphs.len() > 1 || model.signatures.len() > 1 {
        let (graphs, signatures) = (model.subgraphs.len(), model.signatures.len());
        let message = format!("the file has {graphs} graphs and {signatures} signatures");
        return Err(vec![Diagnostic::new(SEVERAL_GRAPHS, message)]);
    }
    let mut graph = import_tflite(file)?;
    validate(&graph, Stage::Legal)?;
    let signature = main_signature(file);
    // Inputs are read under the names of the signature, and written under those of their tensors.
    for (input, (_, tensor)) in graph.inputs().to_vec().into_iter().zip(&signature.inputs) {
        graph.rename(input, &model.subgraphs[0].tensors[*tensor].name);
    }
    let provenance = provenance(file);
    let ledger = provenance.ledger.iter().map(|entry| Assumption {
        kind: entry.what.clone().into(),
        subject: entry.value.clone(),
        reason: entry.why.clone(),
    });
    let mut journal = Journal { ledger: ledger.collect(), ..Journal::default() };
    let others = model.metadata.iter().map(|named| named.name.as_str());
    let others: Vec<&str> = others.filter(|name| ![PROVENANCE, LEAST_RUNTIME].contains(name)).collect();
    if !others.is_empty() {
        let message = format!("the file's {} is not written again", others.join(", "));
        journal.warnings.push(Diagnostic::warning(METADATA_LEFT_OUT, message));
    }
    let names = |tensors: Vec<(String, usize)>| tensors.into_iter().map(|(name, _)| name).collect();
    let key = if signature.key.is_empty() { "serving_default".into() } else { signature.key };
    let interface = Interface { key, inputs: names(signature.inputs), outputs: names(signature.outputs) };
    Ok(Compiled { graph, interface, journal, source: provenance.source })
}

/// The names that applications look the interface up by.
fn interface(program: &Program, names: Names) -> Interface {
    let input = |(i, input): (usize, &crate::front::torch::Input)| match names {
        Names::Positional if !input.keyword => format!("args_{i}"),
        _ => input.name.to_string(),
    };
    let output = |(i, output): (usize, &crate::front::torch::Output)| match (names, &output.name) {
        (Names::Forward, Some(name)) => name.clone(),
        _ => format!("output_{i}"),
    };
    Interface {
        key: "serving_default".into(),
        inputs: program.inputs.iter().enumerate().map(input).collect(),
        outputs: program.outputs.iter().enumerate().map(output).collect(),
    }
}
