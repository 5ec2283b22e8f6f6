//! Operators on many axes, said on fewer: neighbouring axes that an operator treats alike become one.
//!
//! Each operator above the limit is put between reshapes; what one gives back is what the next takes, so
//! [`super::simplify`] leaves few of these. A permutation that has too many axes after all that stay together are
//! one is taken in several steps. What has no such form is left as it is, and [`super::legalize`] tells of it.

mod merge;
mod parts;
mod permute;
mod regions;

use indexmap::IndexMap;
use ir::{Diagnostic, Operator, ValueId};

use self::merge::Merged;
pub(super) use self::permute::Allowed;
use super::Limits;
use crate::ops::{Graph, Op, Order, Pass, Patch, Reshape, Site, Transpose};

const NAME: &str = "rank";

/// The most axes that are aimed at where no limit is given but an operator's kernel takes fewer than it has.
const KERNELS: usize = 4;

/// Says every run-time operator on at most this many axes, where that is exact; without a limit, those that cannot
/// be spelled otherwise, and the [`regions`] all of which four axes say.
pub fn at_most(most: impl Into<Option<usize>>) -> Pass {
    within(&Limits::of_rank(most))
}

/// The same for the limits of a target, by no permutation that it forbids.
pub fn within(limits: &Limits) -> Pass {
    let limits = limits.clone();
    Pass::new(NAME, "say operators on many axes with fewer", move |graph, journal| {
        run(graph, journal, &limits).map_err(|found| vec![found])
    })
}

fn run(graph: &mut Graph, journal: &mut ir::Journal, limits: &Limits) -> Result<(), Diagnostic> {
    let most = limits.rules.max_rank;
    let at_most = |most: usize| Allowed { most, forbidden: &limits.rules.orders };
    let constant = graph.constness();
    let mut patch = Patch::new(graph);
    let mut flat: IndexMap<ValueId, Vec<usize>> = IndexMap::new();
    let mut decisions = Vec::new();
    let sayable = match most {
        Some(_) => Vec::new(),
        None => regions::sayable(graph, &constant, at_most(KERNELS)),
    };
    for (id, node) in graph.nodes() {
        let site = Site::new(graph, id);
        let is_weight = node.outputs.iter().all(|o| constant[o.index()]);
        let [output] = node.outputs[..] else { continue };
        if let Some(sizes) = reshaped_from(site, &flat) {
            flat.insert(output, sizes);
        }
        if is_weight || matches!(node.op, Op::Reshape(_)) {
            continue;
        }
        let above = |most: usize| node.inputs.iter().chain(&node.outputs).any(|&v| graph.ty(v).rank() > most);
        let limit = match most {
            Some(most) if above(most) => most,
            _ if sayable.get(id.index()) == Some(&true) => KERNELS,
            _ if above(KERNELS) && node.op.to_tfl(&graph.types(&node.inputs)).is_err() => KERNELS,
            _ => continue,
        };
        patch.at(id);
        let Some((new, sizes)) = rewritten(site, &mut patch, at_most(limit), &flat) else { continue };
        if let Op::Transpose(_) = node.op {
            let name = &graph.value(output).name;
            decisions.push(format!("%{name} permutes {} axes in at most {limit}", site.output_ty().rank()));
        }
        flat.insert(output, sizes);
        patch.and_replace(output, new);
    }
    let patch = patch.finish();
    journal.decisions.extend(decisions);
    patch.apply(graph, NAME)
}

/// The sizes in which what a reshape makes is already there, with fewer axes.
fn reshaped_from(at: Site<'_>, flat: &IndexMap<ValueId, Vec<usize>>) -> Option<Vec<usize>> {
    let Op::Reshape(_) = at.node().op else { return None };
    let input = at.input(0)?;
    match flat.get(&input) {
        Some(sizes) => Some(sizes.clone()),
        None => at.graph().ty(input).sizes().ok(),
    }
}

/// The node's output, made as it is allowed, and the sizes in which it is made. `None` where that cannot be,
/// or cannot be spelled though the node can.
fn rewritten<'g>(
    at: Site<'g>,
    patch: &mut Patch<'g>,
    allowed: Allowed<'_>,
    flat: &IndexMap<ValueId, Vec<usize>>,
) -> Option<(ValueId, Vec<usize>)> {
    let sizes = at.output_ty().sizes().ok()?;
    let (last, made) = if let Some(Transpose { order }) = at.op() {
        permuted(at, patch, order, allowed)?
    } else {
        let types = at.graph().types(at.inputs());
        let hint = at.input(0).and_then(|v| flat.get(&v)).map(Vec::as_slice);
        let Merged { op, inputs } = merge::merged(&at.node().op, &types, at.output_ty(), allowed.most, hint)?;
        let stored: Vec<_> = types.iter().zip(&inputs).map(|(ty, s)| ty.with_sizes(s)).collect();
        let stored: Vec<_> = stored.iter().collect();
        if op.to_tfl(&stored).is_err() && at.node().op.to_tfl(&types).is_ok() {
            return None;
        }
        let made = op.infer(&stored).ok()?.first()?.sizes().ok()?;
        let count = |s: &[usize]| s.iter().product::<usize>();
        if made.len() > allowed.most || count(&made) != count(&sizes) {
            return None;
        }
        let operands: Vec<ValueId> =
            at.inputs().iter().zip(&inputs).map(|(&v, s)| shaped(patch, v, s)).collect();
        (patch.add(op, operands), made)
    };
    let result = shaped(patch, last, &sizes);
    (patch.ty(result) == at.output_ty()).then_some((result, made))
}

/// A value in these sizes.
pub(super) fn shaped(patch: &mut Patch<'_>, value: ValueId, sizes: &[usize]) -> ValueId {
    match patch.ty(value).sizes() {
        Ok(own) if own == sizes => value,
        _ => patch.add(Reshape { sizes: sizes.to_vec() }, [value]),
    }
}

/// A permutation in steps that are allowed, and the sizes of its result.
pub(super) fn permuted<'g>(
    at: Site<'g>,
    patch: &mut Patch<'g>,
    order: &Order,
    allowed: Allowed<'_>,
) -> Option<(ValueId, Vec<usize>)> {
    let sizes = at.input_ty(0)?.sizes().ok()?;
    let steps = permute::steps(&sizes, order, allowed, &wanted_sizes(at))?;
    let mut value = at.input(0)?;
    for step in &steps {
        value = shaped(patch, value, &step.sizes);
        value = patch.add(Transpose { order: step.order.clone() }, [value]);
    }
    let made = patch.ty(value).sizes().ok()?;
    Some((value, made))
}

/// The sizes in which a value is read: those of the reshapes behind it where these are alike, else its own.
fn wanted_sizes(at: Site<'_>) -> Vec<usize> {
    let graph = at.graph();
    let mut users = graph.users(at.output()).iter().map(|&user| match &graph.node(user).op {
        Op::Reshape(Reshape { sizes }) => Some(sizes.clone()),
        _ => None,
    });
    let first = users.next().flatten();
    match first {
        Some(sizes) if users.all(|other| other.as_ref() == Some(&sizes)) => sizes,
        _ => at.output_ty().sizes().unwrap_or_default(),
    }
}
