//! Permutations that the target lacks, as several that it has.
//!
//! Layout and axes are decided by now, so what is left is left for good: each forbidden transpose becomes the fewest that
//! are allowed, on axes that are merged where they stay neighbours.

use ir::{Diagnostic, Journal};

use super::rank::{Allowed, permuted, shaped};
use super::{Limits, simplify};
use crate::ops::{Graph, Op, Pass, Patch, Site};

const NAME: &str = "permutations";

/// The most axes of a step where no limit is given.
const AXES: usize = 4;

/// Takes every run-time transpose by a forbidden permutation in steps that are allowed. What has none stays, and
/// [`super::legalize`] tells of it.
pub fn within(limits: &Limits) -> Pass {
    let forbidden = limits.rules.orders.clone();
    let most = limits.rules.max_rank.unwrap_or(AXES);
    Pass::new(NAME, "take permutations that the target lacks in steps", move |graph, journal| {
        if forbidden.is_empty() {
            return Ok(());
        }
        run(graph, journal, Allowed { most, forbidden: &forbidden }).map_err(|d| vec![d])
    })
}

fn run(graph: &mut Graph, journal: &mut Journal, allowed: Allowed<'_>) -> Result<(), Diagnostic> {
    let constant = graph.constness();
    let mut patch = Patch::new(graph);
    for (id, node) in graph.nodes() {
        let Op::Transpose(transpose) = &node.op else { continue };
        let output = node.outputs[0];
        if constant[output.index()] || !allowed.forbidden.contains(&transpose.order) {
            continue;
        }
        patch.at(id);
        let Some((last, _)) = permuted(Site::new(graph, id), &mut patch, &transpose.order, allowed) else {
            continue;
        };
        let Ok(sizes) = graph.ty(output).sizes() else { continue };
        let whole = shaped(&mut patch, last, &sizes);
        let (name, axes) = (&graph.value(output).name, transpose.order.axes());
        journal.decisions.push(format!("%{name} is transposed by {axes:?}, which is forbidden, in steps"));
        patch.and_replace(output, whole);
    }
    patch.finish().apply(graph, NAME)?;
    let merge = ir::rules_pass(NAME, "", simplify::RESHAPES);
    merge.run(graph, journal).map_err(|mut found| found.remove(0))
}
