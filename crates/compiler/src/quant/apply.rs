//! What is done: the decided weights become expressions, which the writer computes as it streams.

use indexmap::IndexMap;
use ir::{DType, Diagnostic, Journal, NodeId, ValueId};

use super::form::Form;
use super::plan::{Decision, Plan};
use crate::ops::{Cast, Dequantize, Graph, Op, Patch, Quantize, Reshape};
use crate::passes::legalize;

/// Changes a graph as planned. Errs with every operator that the target cannot run then.
pub fn apply(graph: &mut Graph, plan: &Plan) -> Result<(), Vec<Diagnostic>> {
    // Each operator is made anew once, with all of its weights.
    let mut changed: IndexMap<NodeId, Vec<(usize, Form, &Decision)>> = IndexMap::new();
    for decision in plan.decisions.iter().filter(|d| d.dtype != DType::F32) {
        for reader in &decision.readers {
            changed.entry(reader.node).or_default().push((reader.operand, reader.form, decision));
        }
    }
    let mut patch = Patch::new(graph);
    let mut stored: IndexMap<ValueId, ValueId> = IndexMap::new();
    let mut replaced = Vec::new();
    for (id, weights) in changed {
        let node = graph.node(id);
        patch.at(id);
        let (op, mut inputs) = (node.op.clone(), node.inputs.clone());
        let mut rows = None;
        for (operand, form, decision) in weights {
            let weight = *stored.entry(decision.weight).or_insert_with(|| store(&mut patch, decision));
            inputs[operand] = match form {
                Form::Float | Form::Hybrid(_) => weight,
                Form::Stored(_) => patch.add(Dequantize {}, [weight]),
                Form::Rows(dtype) => {
                    rows = Some(dtype);
                    weight
                }
            };
        }
        let result = match rows {
            Some(dtype) => looked_up(&mut patch, graph, op, dtype, &inputs),
            None => patch.add(op, inputs),
        };
        patch.and_replace(node.outputs[0], result);
        replaced.push((node.outputs[0], result));
    }
    patch.finish().apply(graph, "quantize").map_err(|bug| vec![bug])?;
    // Recipes name operators by what they make: it is called as before.
    replaced.into_iter().for_each(|(old, new)| graph.swap_names(old, new));
    // What kernels lack was not chosen; what a target lacks besides is told before there is a file.
    legalize::within(&plan.limits).run(graph, &mut Journal::default())
}

/// The weight in the dtype that it is stored in.
fn store(patch: &mut Patch<'_>, decision: &Decision) -> ValueId {
    match &decision.quant {
        Some(quant) => patch.add(Quantize::new(decision.dtype, quant.clone()), [decision.weight]),
        None => patch.add(Cast { dtype: decision.dtype }, [decision.weight]),
    }
}

/// Rows of a table in fewer bits. Those of integers are widened as they are looked up, which takes one axis of i32;
/// those of f16 afterwards.
fn looked_up(patch: &mut Patch<'_>, graph: &Graph, op: Op, dtype: DType, inputs: &[ValueId]) -> ValueId {
    let (table, mut indices) = (inputs[0], inputs[1]);
    if dtype == DType::F16 {
        let rows = patch.add(op, [table, indices]);
        return patch.add(Dequantize {}, [rows]);
    }
    let ty = graph.ty(indices).clone();
    let sizes = ty.sizes().expect("a graph that can be written has known sizes");
    if ty.dtype != DType::I32 {
        indices = patch.add(Cast { dtype: DType::I32 }, [indices]);
    }
    if sizes.len() == 1 {
        return patch.add(op, [table, indices]);
    }
    let flat = patch.add(Reshape { sizes: vec![sizes.iter().product()] }, [indices]);
    let rows = patch.add(op, [table, flat]);
    let mut whole = sizes;
    whole.extend(patch.ty(rows).sizes().expect("rows have known sizes").last());
    patch.add(Reshape { sizes: whole }, [rows])
}
