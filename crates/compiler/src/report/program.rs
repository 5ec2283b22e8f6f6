//! Everything `inspect` says about a saved PyTorch program: its calls, and the graph they are read into.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use ir::{Diagnostic, Operator, TensorType};
use serde::Serialize;

use super::Typed;
use super::histogram::Size;
use super::occurrence::{Occurrence, of_program};
use crate::front::torch::import::{import, known};
use crate::front::torch::{Program, Weight};
use crate::ops::{Graph, Op};

/// What a program is made of, before any pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProgramReport {
    /// What the program was saved by: `torch 2.14.1`.
    pub source: String,
    /// What `forward` takes.
    pub inputs: Vec<Typed>,
    /// What `forward` gives.
    pub outputs: Vec<Typed>,
    /// The ATen overloads in use, the most frequent first.
    pub calls: Vec<Target>,
    /// How many tensors that are fed or computed have how many axes.
    pub ranks: BTreeMap<usize, usize>,
    /// How many of them are of which dtype.
    pub elements: BTreeMap<String, usize>,
    /// Weights in use and their bytes, by dtype.
    pub weights: BTreeMap<String, Size>,
    /// What each symbolic size was pinned to.
    pub pins: IndexMap<String, i64>,
    /// The graph that the calls are read into; `None` where some are not supported.
    pub graph: Option<Imported>,
    /// Every call.
    pub occurrences: Vec<Occurrence>,
}

/// How often an ATen overload is called.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Target {
    /// `aten.conv2d.default`
    pub name: String,
    /// How often.
    pub count: usize,
    /// Is it read at all? What is read may still be refused for its arguments.
    pub supported: bool,
}

/// The imported graph.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Imported {
    /// How often each operator stands in it, the most frequent first.
    pub histogram: IndexMap<String, usize>,
    /// Multiply-accumulate operations of one run, of the operators that are products.
    pub macs: u64,
}

impl ProgramReport {
    /// Of a program that has been read, with everything that is not supported in it.
    pub fn of(program: &Program) -> (Self, Vec<Diagnostic>) {
        let (graph, unsupported) = match import(program) {
            Ok(graph) => (Some(Imported::of(&graph)), Vec::new()),
            Err(found) => (None, found),
        };
        let types = types(program);
        let mut ranks = BTreeMap::new();
        let mut elements = BTreeMap::new();
        for ty in types.values() {
            *ranks.entry(ty.shape.rank()).or_default() += 1;
            *elements.entry(ty.dtype.to_string()).or_default() += 1;
        }
        let output = |output: &crate::front::torch::Output| {
            let ty = types.get(&*output.tensor).copied().cloned();
            let ty = ty.or_else(|| Some(program.constants.get(&output.tensor)?.data.ty()));
            let name = output.name.as_deref().unwrap_or(&output.tensor);
            ty.map(|ty| Typed::of_type(name, &ty))
        };
        let report = ProgramReport {
            source: format!("torch {}", program.torch_version),
            inputs: program.inputs.iter().map(|i| Typed::of_type(&i.name, &i.ty)).collect(),
            outputs: program.outputs.iter().filter_map(output).collect(),
            calls: calls(program),
            ranks,
            elements,
            weights: weights(program.constants.values()),
            pins: program.pins.iter().map(|(name, value)| (name.to_string(), *value)).collect(),
            graph,
            occurrences: of_program(program),
        };
        (report, unsupported)
    }
}

/// The type of each tensor that is fed or computed, by its name.
fn types(program: &Program) -> IndexMap<&str, &TensorType> {
    let fed = program.inputs.iter().map(|i| (&*i.name, &i.ty));
    let computed = program.calls.iter().flat_map(|c| c.results.iter().flatten()).map(|t| (&*t.name, &t.ty));
    fed.chain(computed).collect()
}

fn calls(program: &Program) -> Vec<Target> {
    let mut counts: IndexMap<&str, usize> = IndexMap::new();
    for call in &program.calls {
        *counts.entry(&call.target).or_default() += 1;
    }
    counts.sort_by(|a, n, b, m| m.cmp(n).then(a.cmp(b)));
    let target = |(name, count): (&str, usize)| Target {
        name: name.to_string(),
        count,
        supported: known().any(|target| target == name),
    };
    counts.into_iter().map(target).collect()
}

fn weights<'a>(constants: impl Iterator<Item = &'a Weight>) -> BTreeMap<String, Size> {
    let mut sizes: BTreeMap<String, Size> = BTreeMap::new();
    for weight in constants {
        let ty = weight.data.ty();
        let size = sizes.entry(ty.dtype.to_string()).or_default();
        size.tensors += 1;
        size.bytes += ty.bytes().unwrap_or(0) as u64;
    }
    sizes
}

impl Imported {
    fn of(graph: &Graph) -> Self {
        let mut histogram: IndexMap<String, usize> = IndexMap::new();
        let mut total: u64 = 0;
        for (_, node) in graph.nodes() {
            *histogram.entry(node.op.name().to_string()).or_default() += 1;
            let macs = macs(&node.op, &graph.types(&node.inputs), &graph.types(&node.outputs));
            total = total.saturating_add(macs.unwrap_or(0));
        }
        histogram.sort_by(|a, n, b, m| m.cmp(n).then(a.cmp(b)));
        Imported { histogram, macs: total }
    }
}

/// The multiplications of an operator that is a product, with channels first as it is imported. `None` for others.
fn macs(op: &Op, inputs: &[&TensorType], outputs: &[&TensorType]) -> Option<u64> {
    let sizes = |ty: &TensorType| -> Option<Vec<u64>> {
        Some(ty.shape.known()?.into_iter().map(|n| n as u64).collect())
    };
    let product = |sizes: &[u64]| sizes.iter().try_fold(1u64, |n, &size| n.checked_mul(size));
    let (of, each) = match op {
        // A weight is (outputs, what one result sees…).
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_) => {
            (outputs[0], sizes(inputs[1])?.split_off(1))
        }
        // A weight is (channels, what one element of the image reaches…).
        Op::ConvTranspose2d(_) => (inputs[0], sizes(inputs[1])?.split_off(1)),
        Op::BatchMatmul(matmul) => {
            let a = sizes(inputs[0])?;
            let axis = a.len().checked_sub(if matmul.transpose_a { 2 } else { 1 })?;
            (outputs[0], vec![a[axis]])
        }
        _ => return None,
    };
    product(&sizes(of)?)?.checked_mul(product(&each)?)
}
