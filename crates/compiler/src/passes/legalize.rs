//! The last word on what the target can run: everything that cannot be spelled is told at once.

use indexmap::IndexMap;
use ir::{Diagnostic, ILLEGAL_OPERATOR, Operator};

use super::Limits;
use crate::ops::{Graph, Pass};

ir::codes! {
    /// A tensor has more axes than the limit allows.
    ///
    /// `--max-rank` (or the hardware profile) limits the axes of run-time tensors. Edgewright merges axes that stay
    /// neighbours and splits permutations into steps; what is left here has no such form.
    RANK_ABOVE_LIMIT = "rank-above-limit", Unsupported;
}

/// Checks that every run-time operator is within the limits; errs with each one that is not.
pub fn within(limits: &Limits) -> Pass {
    let limits = limits.clone();
    Pass::new("legalize", "check that the target can run every operator", move |graph, _| {
        let found = violations(graph, &limits);
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
}

/// What is not within the limits, alike ones grouped.
fn violations(graph: &Graph, limits: &Limits) -> Vec<Diagnostic> {
    let constant = graph.constness();
    let mut groups: IndexMap<String, Diagnostic> = IndexMap::new();
    for (_, node) in graph.nodes() {
        if node.outputs.iter().all(|o| constant[o.index()]) {
            continue;
        }
        let types = graph.types(&node.inputs);
        let mut add = |code, message: String| {
            let d = groups.entry(message.clone()).or_insert_with(|| Diagnostic::new(code, message));
            *d = d.clone().at(&graph.origins, node.origin);
        };
        if let Err(why) = node.op.to_tfl(&types).and_then(|call| limits.admit_call(&call)) {
            let operands: Vec<String> = types.iter().map(|ty| ty.to_string()).collect();
            add(
                ILLEGAL_OPERATOR,
                format!("{} of {} cannot be spelled: {why}", node.op.name(), operands.join(", ")),
            );
        }
        for &output in &node.outputs {
            let ty = graph.ty(output);
            if let Some(most) = limits.max_rank.filter(|_| !limits.admits_rank(ty)) {
                let message = format!(
                    "{} makes {ty}, of rank {}, where {most} is the limit",
                    node.op.name(),
                    ty.rank()
                );
                add(RANK_ABOVE_LIMIT, message);
            }
        }
    }
    groups.into_values().collect()
}
