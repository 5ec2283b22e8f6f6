//! Dtypes that LiteRT's kernels lack, narrowed where that is proved to change nothing.
//!
//! An operator on 64-bit integers that has a kernel for 32-bit ones only is computed on 32 bits where the range of
//! every operand and result is known to fit; where the target has no 64-bit integers at all, so is every other, and so are
//! inputs and outputs. Floats of other widths than 32 bits are computed in f32 only where the
//! user allows it. Both stand in the ledger.

mod range;

use indexmap::{IndexMap, IndexSet};
use ir::{Assumption, DType, Diagnostic, Journal, NodeId, TensorType, ValueId};

use self::range::Range;
use super::Limits;
use crate::ops::{ArgReduce, Cast, Graph, Op, Pass, Patch};

ir::codes! {
    /// The model computes in a float type that LiteRT's kernels do not have.
    ///
    /// Kernels compute in f32. A model in f64, f16 or bf16 rounds at other places, so its numbers differ. Where that
    /// is all right, `--narrow-floats` computes it in f32 and says so in the file's ledger; the interface changes to
    /// f32 too. Or convert the module first: `model.float()`.
    FLOAT_WIDTH = "float-width", Unsupported;
}

const INTEGERS: &str = "narrow::integers";
const FLOATS: &str = "narrow::floats";

/// 64-bit integers on 32 bits, where the kernel has only those and their range is proved.
pub fn integers(limits: &Limits) -> Pass {
    let limits = limits.clone();
    Pass::new(
        INTEGERS,
        "compute on 32 bits what has no 64-bit kernel, where the range is proved",
        move |graph, journal| narrow_integers(graph, &limits, journal).map_err(|d| vec![d]),
    )
}

fn narrow_integers(graph: &mut Graph, limits: &Limits, journal: &mut Journal) -> Result<(), Diagnostic> {
    let forbidden = limits.rules.dtypes.contains(&DType::I64);
    if forbidden {
        narrow_ends(graph, journal)?;
    }
    let ranges = range::of_values(graph);
    let fits = |v: ValueId| fits(ranges[v.index()]);
    let constant = graph.constness();
    let wide = |v: ValueId| graph.ty(v).dtype == DType::I64;
    let narrowable = |id: NodeId| {
        let node = graph.node(id);
        let values = || node.inputs.iter().chain(&node.outputs).copied().filter(|&v| wide(v));
        let runs = node.outputs.iter().any(|o| !constant[o.index()]);
        let types = graph.types(&node.inputs);
        if !runs || values().next().is_none() || !values().all(fits) || limits.admit(&node.op, &types).is_ok()
        {
            return false;
        }
        let narrowed: Vec<TensorType> = types.iter().map(|ty| narrow_type(ty)).collect();
        // What is forbidden is narrowed whatever becomes of the operator: lowering comes after.
        forbidden || limits.admit(&node.op, &narrowed.iter().collect::<Vec<_>>()).is_ok()
    };
    let found: Vec<NodeId> = graph.order().iter().copied().filter(|&id| narrowable(id)).collect();
    if found.is_empty() {
        return Ok(());
    }
    let mut patch = Patch::new(graph);
    let mut narrowed: IndexSet<ValueId> = IndexSet::new();
    for id in found {
        let node = graph.node(id);
        patch.at(id);
        narrowed
            .extend(node.inputs.iter().chain(&node.outputs).filter(|v| wide(**v) && !constant[v.index()]));
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            inputs.push(if wide(input) { patch.add(Cast { dtype: DType::I32 }, [input]) } else { input });
        }
        let op = if forbidden { making_i32(&node.op) } else { node.op.clone() };
        let outputs = patch.add_all(op, inputs);
        for (&old, new) in node.outputs.iter().zip(outputs) {
            let dtype = graph.ty(old).dtype;
            let back = if patch.ty(new).dtype == dtype { new } else { patch.add(Cast { dtype }, [new]) };
            patch.and_replace(old, back);
        }
    }
    let note = |v: ValueId| note(graph.value(v).name.clone(), ranges[v.index()].unwrap_or_default());
    journal.ledger.extend(narrowed.into_iter().map(note));
    let patch = patch.finish();
    patch.apply(graph, INTEGERS)
}

/// Does the range fit 32 bits?
fn fits(range: Option<Range>) -> bool {
    range.is_some_and(|(low, high)| low >= i128::from(i32::MIN) && high <= i128::from(i32::MAX))
}

fn note(subject: String, (low, high): Range) -> Assumption {
    let reason = format!("i64 as i32: its elements lie in {low} to {high}");
    Assumption { kind: "narrowed".into(), subject, reason }
}

/// The operator that makes i32 where this one makes i64 by itself.
fn making_i32(op: &Op) -> Op {
    match op {
        Op::Cast(Cast { dtype: DType::I64 }) => Cast { dtype: DType::I32 }.into(),
        Op::ArgReduce(reduce) => ArgReduce { dtype: DType::I32, ..*reduce }.into(),
        op => op.clone(),
    }
}

/// Inputs and outputs of i64 become such of i32, where the range of their elements is known to fit.
fn narrow_ends(graph: &mut Graph, journal: &mut Journal) -> Result<(), Diagnostic> {
    let ranges = range::of_values(graph);
    let narrow = |graph: &Graph, v: ValueId| graph.ty(v).dtype == DType::I64 && fits(ranges[v.index()]);
    let mut given: Vec<(ValueId, ValueId)> = Vec::new();
    for index in 0..graph.inputs().len() {
        let input = graph.inputs()[index];
        if narrow(graph, input) {
            journal.ledger.push(note(format!("input {index}"), ranges[input.index()].unwrap_or_default()));
            let ty = graph.ty(input).with_dtype(DType::I32);
            given.push((graph.replace_input(index, ty), graph.inputs()[index]));
        }
    }
    let graph_ref = &*graph;
    let mut patch = Patch::new(graph_ref);
    for &(old, new) in &given {
        if let Some(&user) = graph_ref.users(old).iter().min() {
            patch.at(user);
            let back = patch.add(Cast { dtype: DType::I64 }, [new]);
            patch.and_replace(old, back);
        }
    }
    let mut outputs = Vec::new();
    for (index, &output) in graph_ref.outputs().iter().enumerate() {
        if let Some((_, new)) = given.iter().find(|(old, _)| *old == output) {
            outputs.push(*new);
            continue;
        }
        if !narrow(graph_ref, output) {
            outputs.push(output);
            continue;
        }
        if let Some((maker, _)) = graph_ref.producer(output) {
            patch.at(maker);
        }
        journal.ledger.push(note(format!("output {index}"), ranges[output.index()].unwrap_or_default()));
        outputs.push(patch.add(Cast { dtype: DType::I32 }, [output]));
    }
    patch.set_outputs(outputs);
    patch.finish().apply(graph, INTEGERS)
}

fn narrow_type(ty: &TensorType) -> TensorType {
    if ty.dtype == DType::I64 { ty.with_dtype(DType::I32) } else { ty.clone() }
}

/// Floats of other widths in f32, where the user allows it; an error that says so where not.
pub fn floats(allowed: bool) -> Pass {
    Pass::new(
        FLOATS,
        "compute floats of other widths in f32, where that is allowed",
        move |graph, journal| {
            let found = odd_widths(graph);
            match allowed {
                _ if found.is_empty() => Ok(()),
                true => widen(graph, journal).map_err(|d| vec![d]),
                false => Err(found),
            }
        },
    )
}

fn odd(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F16 | DType::Bf16)
}

/// One diagnostic per dtype, with the places where it begins: run-time nodes that make it from something else.
fn odd_widths(graph: &Graph) -> Vec<Diagnostic> {
    let constant = graph.constness();
    let mut found: IndexMap<DType, Diagnostic> = IndexMap::new();
    for (_, node) in graph.nodes() {
        let Some(&output) = node.outputs.iter().find(|o| !constant[o.index()] && odd(graph.ty(**o).dtype))
        else {
            continue;
        };
        let dtype = graph.ty(output).dtype;
        let d = found.entry(dtype).or_insert_with(|| {
            Diagnostic::new(
                FLOAT_WIDTH,
                format!("the model computes in {dtype}, for which LiteRT has no kernels"),
            )
            .help(
                "export model.float(), or say --narrow-floats to compute it in f32, which rounds differently",
            )
        });
        *d = d.clone().at(&graph.origins, node.origin);
    }
    found.into_values().collect()
}

/// Every value of an odd width becomes f32, the interface included.
fn widen(graph: &mut Graph, journal: &mut Journal) -> Result<(), Diagnostic> {
    let mut old_inputs: IndexMap<ValueId, ValueId> = IndexMap::new();
    for index in 0..graph.inputs().len() {
        let ty = graph.ty(graph.inputs()[index]).clone();
        if odd(ty.dtype) {
            let old = graph.replace_input(index, ty.with_dtype(DType::F32));
            old_inputs.insert(old, graph.inputs()[index]);
            let reason = format!("{} as f32: allowed by --narrow-floats", ty.dtype);
            journal.ledger.push(Assumption {
                kind: "narrowed".into(),
                subject: format!("input {index}"),
                reason,
            });
        }
    }
    let graph_ref = &*graph;
    let mut patch = Patch::new(graph_ref);
    let mut became: IndexMap<ValueId, ValueId> = old_inputs;
    for (id, node) in graph_ref.nodes() {
        patch.at(id);
        let mut changed = false;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let new = match became.get(&input) {
                Some(&new) => new,
                None if odd(graph_ref.ty(input).dtype) => patch.add(Cast { dtype: DType::F32 }, [input]),
                None => input,
            };
            changed |= new != input;
            inputs.push(new);
        }
        let op = match &node.op {
            Op::Cast(cast) if odd(cast.dtype) => Cast { dtype: DType::F32 }.into(),
            op => op.clone(),
        };
        if !changed && op == node.op {
            continue;
        }
        let outputs = patch.add_all(op, inputs);
        for (&old, new) in node.outputs.iter().zip(outputs) {
            became.insert(old, new);
            if odd(graph_ref.ty(old).dtype) {
                let reason = format!("{} as f32: allowed by --narrow-floats", graph_ref.ty(old).dtype);
                journal.ledger.push(Assumption {
                    kind: "narrowed".into(),
                    subject: graph_ref.value(old).name.clone(),
                    reason,
                });
            }
        }
    }
    let outputs: Vec<ValueId> = graph_ref.outputs().to_vec();
    // Outputs change their dtype, so they are set anew behind the patch rather than replaced within it.
    let mut keep = Vec::new();
    for &output in &outputs {
        let new = became.get(&output).copied().unwrap_or(output);
        keep.push(if odd(patch.ty(new).dtype) { patch.add(Cast { dtype: DType::F32 }, [new]) } else { new });
    }
    patch.set_outputs(keep);
    let patch = patch.finish();
    patch.apply(graph, FLOATS)
}
