//! Each operator where it stands: what it reads and makes, its neighbours, and the PyTorch lines it came from.

use indexmap::IndexMap;
use serde::Serialize;

use super::Typed;
use super::histogram::macs;
use crate::dialect::aten::Argument;
use crate::dialect::tfl::{Model, Provenance, Spot, Subgraph};
use crate::front::torch::Program;

/// One operator of a .tflite, or one call of a program.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Occurrence {
    /// Its place in the order of execution of its graph, from 0.
    pub index: usize,
    /// The graph it stands in; 0 is the main one.
    pub graph: usize,
    /// The builtin's or custom operator's name, or the ATen overload.
    pub name: String,
    /// The version of a builtin.
    pub version: Option<u32>,
    /// Its options, or the arguments that are no tensors.
    pub options: IndexMap<String, String>,
    /// Multiply-accumulate operations; 0 for what is no product, and for calls of a program.
    pub macs: u64,
    /// What it reads, in order.
    pub inputs: Vec<Read>,
    /// What it makes, in order.
    pub outputs: Vec<Made>,
    /// The call of the PyTorch program that tells best where it came from.
    pub origin: Option<Spot>,
    /// The other calls it came from, where several became one.
    pub also: Vec<Spot>,
}

/// A tensor that an operator reads.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Read {
    /// The tensor; `None` where an optional operand is left out.
    #[serde(flatten)]
    pub tensor: Option<Typed>,
    /// What makes it.
    pub source: Source,
    /// The index of the operator that makes it, where one does.
    pub producer: Option<usize>,
}

/// What makes a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It is fed.
    Input,
    /// It lies in the file.
    Constant,
    /// An operator computes it.
    Operator,
    /// The operand is left out.
    Absent,
}

/// A tensor that an operator makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Made {
    /// The tensor.
    #[serde(flatten)]
    pub tensor: Typed,
    /// The indices of the operators that read it.
    pub consumers: Vec<usize>,
    /// Does the graph give it?
    pub output: bool,
}

/// Every operator of a file, graph by graph in the order of execution.
pub fn of_file(model: &Model, provenance: Option<&Provenance>) -> Vec<Occurrence> {
    let graphs = model.subgraphs.iter().enumerate();
    let origins = |graph: usize| provenance.filter(|_| graph == 0).map_or(&[][..], |p| &p.operators);
    graphs.flat_map(|(i, graph)| of_subgraph(i, graph, model, origins(i))).collect()
}

fn of_subgraph(at: usize, graph: &Subgraph, model: &Model, origins: &[Vec<Spot>]) -> Vec<Occurrence> {
    let mut producers = vec![None; graph.tensors.len()];
    let mut consumers = vec![Vec::new(); graph.tensors.len()];
    for (index, operator) in graph.operators.iter().enumerate() {
        operator.outputs.iter().for_each(|&t| producers[t] = Some(index));
        for &tensor in operator.inputs.iter().flatten() {
            if consumers[tensor].last() != Some(&index) {
                consumers[tensor].push(index);
            }
        }
    }
    let typed = |tensor: usize| Typed::of_entry(&graph.tensors[tensor].name, &graph.tensors[tensor]);
    let read = |operand: &Option<usize>| {
        let Some(tensor) = *operand else {
            return Read { tensor: None, source: Source::Absent, producer: None };
        };
        let data = model.buffers[graph.tensors[tensor].buffer].bytes > 0;
        let source = match producers[tensor] {
            Some(_) => Source::Operator,
            None if graph.inputs.contains(&tensor) => Source::Input,
            // An empty constant has no bytes, and a variable begins as zeros.
            None if data || !graph.tensors[tensor].variable => Source::Constant,
            None => Source::Input,
        };
        Read { tensor: Some(typed(tensor)), source, producer: producers[tensor] }
    };
    let made = |tensor: &usize| Made {
        tensor: typed(*tensor),
        consumers: consumers[*tensor].clone(),
        output: graph.outputs.contains(tensor),
    };
    let of = |(index, operator): (usize, &crate::dialect::tfl::Operator)| {
        let spots = origins.get(index).map_or(&[][..], Vec::as_slice);
        Occurrence {
            index,
            graph: at,
            name: operator.name(),
            version: Some(operator.version),
            options: operator.options.shown().map(|(name, value)| (name.to_string(), value)).collect(),
            macs: macs(operator, &graph.tensors).unwrap_or(0),
            inputs: operator.inputs.iter().map(read).collect(),
            outputs: operator.outputs.iter().map(made).collect(),
            origin: spots.first().cloned(),
            also: spots.iter().skip(1).cloned().collect(),
        }
    };
    graph.operators.iter().enumerate().map(of).collect()
}

/// Every call of a program, in order.
pub fn of_program(program: &Program) -> Vec<Occurrence> {
    let mut producers: IndexMap<&str, usize> = IndexMap::new();
    let mut consumers: IndexMap<&str, Vec<usize>> = IndexMap::new();
    for (index, call) in program.calls.iter().enumerate() {
        for tensor in call.arguments.values().flat_map(Argument::tensors) {
            let readers = consumers.entry(&tensor.name).or_default();
            if readers.last() != Some(&index) {
                readers.push(index);
            }
        }
        producers.extend(call.results.iter().flatten().map(|t| (&*t.name, index)));
    }
    let of = |(index, call): (usize, &crate::dialect::aten::Call)| {
        let reads = call.arguments.values().flat_map(Argument::tensors).map(|tensor| {
            let producer = producers.get(&*tensor.name).copied();
            let weight = program.constants.get(&tensor.name);
            let source = match (producer, weight) {
                (Some(_), _) => Source::Operator,
                (None, Some(_)) => Source::Constant,
                (None, None) => Source::Input,
            };
            let name = weight.map_or(&*tensor.name, |w| &w.name);
            Read { tensor: Some(Typed::of_type(name, &tensor.ty)), source, producer }
        });
        let makes = call.results.iter().flatten().map(|tensor| Made {
            tensor: Typed::of_type(&tensor.name, &tensor.ty),
            consumers: consumers.get(&*tensor.name).cloned().unwrap_or_default(),
            output: program.outputs.iter().any(|o| o.tensor == tensor.name),
        });
        let mut spots = program.origins.leaves(call.origin).into_iter().map(Spot::from);
        let options = call.arguments.iter().filter_map(|(name, argument)| Some((name, show(argument)?)));
        Occurrence {
            index,
            graph: 0,
            name: call.target.to_string(),
            version: None,
            options: options.map(|(name, value)| (name.to_string(), value)).collect(),
            macs: 0,
            inputs: reads.collect(),
            outputs: makes.collect(),
            origin: spots.next(),
            also: spots.collect(),
        }
    };
    program.calls.iter().enumerate().map(of).collect()
}

/// An argument as Python writes it; `None` for tensors.
fn show(argument: &Argument) -> Option<String> {
    Some(match argument {
        Argument::Tensor(_) | Argument::Tensors(_) => return None,
        Argument::None => "None".into(),
        Argument::Int(n) => n.to_string(),
        Argument::Float(x) => format!("{x:?}"),
        Argument::Bool(b) => python(*b).into(),
        Argument::Text(text) => format!("{text:?}"),
        Argument::Ints(list) => format!("{list:?}"),
        Argument::Floats(list) => format!("{list:?}"),
        Argument::Bools(list) => {
            format!("[{}]", list.iter().map(|&b| python(b)).collect::<Vec<_>>().join(", "))
        }
        Argument::Texts(list) => format!("{list:?}"),
        Argument::DType(dtype) => dtype.to_string(),
        Argument::Complex(re, im) => format!("complex({re:?}, {im:?})"),
    })
}

fn python(truth: bool) -> &'static str {
    if truth { "True" } else { "False" }
}
