//! A graph as text.
//!
//! ```text
//! graph @forward(%x: f32[1,8,4,4]) -> f32[1,8,4,4] {
//!   %scale = constant [0.5] : f32[1]
//!   %w = constant #3fa9c1d2e4f5 : f32[8,8]
//!   %mul = mul(%x, %scale) : f32[1,8,4,4]  @0
//!   return %mul
//! }
//! @0 = model.py:40 in Head.forward, module head.attn, aten.mul.Tensor "mul"
//! ```

use std::fmt::Write;

use indexmap::IndexSet;

use crate::constant::Constant;
use crate::graph::{Graph, ValueId};
use crate::operator::{Attribute, Operator};
use crate::origin::{Origin, OriginId};

/// Constants of at most this many elements print their elements; larger ones print their fingerprint.
const SHOWN: usize = 16;

/// The graph's text form, in which [`crate::parse`] reads it back.
pub fn print<O: Operator>(graph: &Graph<O>) -> String {
    let mut out = String::new();
    let name = |v: ValueId| format!("%{}", graph.value(v).name);
    let names = |vs: &[ValueId]| vs.iter().map(|&v| name(v)).collect::<Vec<_>>().join(", ");
    let typed = |v: &ValueId| format!("{}: {:#}", name(*v), graph.ty(*v));
    let inputs: Vec<String> = graph.inputs().iter().map(typed).collect();
    let results: Vec<String> = graph.outputs().iter().map(|&v| format!("{:#}", graph.ty(v))).collect();
    let _ = writeln!(out, "graph @{}({}) -> {} {{", graph.name, inputs.join(", "), results.join(", "));

    // A constant stands before its first reader.
    let mut shown: IndexSet<ValueId> = IndexSet::new();
    let mut origins: IndexSet<OriginId> = IndexSet::new();
    let mut constants = |out: &mut String, values: &[ValueId]| {
        for &v in values {
            if let Some(constant) = graph.constant(v)
                && shown.insert(v)
            {
                let _ = writeln!(out, "  {} = constant {} : {:#}", name(v), contents(constant), graph.ty(v));
            }
        }
    };
    for (_, node) in graph.nodes() {
        constants(&mut out, &node.inputs);
        origins.insert(node.origin);
        let attributes = node.op.attributes();
        let braces = if attributes.0.is_empty() { String::new() } else { format!(" {attributes}") };
        let types: Vec<String> = node.outputs.iter().map(|&v| format!("{:#}", graph.ty(v))).collect();
        let _ = writeln!(
            out,
            "  {} = {}({}){braces} : {}  {}",
            names(&node.outputs),
            node.op.name(),
            names(&node.inputs),
            types.join(", "),
            number(&mut origins, node.origin),
        );
    }
    constants(&mut out, graph.outputs());
    let _ = writeln!(out, "  return {}\n}}", names(graph.outputs()));

    // Origins are numbered by their first appearance, those that they derive from following.
    let mut at = 0;
    while let Some(&id) = origins.get_index(at) {
        match graph.origins.get(id) {
            Origin::Leaf(leaf) => {
                let _ = writeln!(out, "@{at} = {leaf}");
            }
            Origin::Derived { rule, from } => {
                let from: Vec<String> = from.iter().map(|&f| number(&mut origins, f)).collect();
                let _ = writeln!(out, "@{at} = {rule}({})", from.join(", "));
            }
        }
        at += 1;
    }
    out
}

fn number(origins: &mut IndexSet<OriginId>, id: OriginId) -> String {
    format!("@{}", origins.insert_full(id).0)
}

fn contents(constant: &Constant) -> String {
    let Some(tensor) = constant.inline().filter(|t| t.count() <= SHOWN) else {
        return format!("#{}", constant.fingerprint());
    };
    let dtype = tensor.dtype();
    let list: Vec<Attribute> = if dtype == crate::DType::Bool {
        tensor.to_bools().into_iter().map(Attribute::Bool).collect()
    } else if dtype.is_int() {
        tensor.to_i64s().into_iter().map(Attribute::Int).collect()
    } else if matches!(dtype, crate::DType::F16 | crate::DType::Bf16 | crate::DType::F32 | crate::DType::F64)
    {
        tensor.to_f64s().into_iter().map(Attribute::Float).collect()
    } else {
        return format!("#{}", constant.fingerprint());
    };
    Attribute::List(list).to_string()
}
