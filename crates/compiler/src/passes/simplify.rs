//! Identities: operators that do nothing, or that say in two steps what one says.
//!
//! Each rule holds for every input, bit for bit (but for a linear resize to the same size beside an infinity, which says
//! so), and its right-hand side is never worse. None decides about
//! layout: where a transpose stands, [`super::layout`] has said.

mod axes;
mod choices;
mod copies;
mod elements;
mod motion;
mod parts;

pub(super) use elements::is_power_of_two;
use ir::ValueId;

pub(super) use axes::{drop_identity_reshape, merge_reshapes};

use crate::ops::{Op, Pass, Patch, Rule, Site};

/// Applies the identities until none is left.
pub fn identities() -> Pass {
    ir::rules_pass(
        "simplify",
        "drop operators that do nothing, and merge those that one operator says",
        RULES,
    )
}

/// The identities of reshapes alone, for passes that must not have their transposes merged again.
pub(super) const RESHAPES: &[Rule] = ir::rules![axes::drop_identity_reshape, axes::merge_reshapes];

/// The rules that make one transpose of two.
pub(super) const TRANSPOSES: &[Rule] =
    ir::rules![axes::merge_transposes, axes::merge_transposes_around_reshape];

const RULES: &[Rule] = ir::rules![
    axes::drop_identity_transpose,
    axes::merge_transposes,
    axes::merge_transposes_around_reshape,
    axes::transpose_without_motion,
    axes::drop_identity_reshape,
    axes::merge_reshapes,
    axes::drop_identity_broadcast,
    axes::merge_broadcasts,
    axes::broadcast_of_nothing,
    axes::drop_broadcast_of_operand,
    axes::drop_leading_ones_of_operand,
    axes::transpose_of_factor,
    parts::drop_whole_slice,
    parts::merge_slices,
    parts::concat_of_one,
    parts::merge_concats,
    parts::slice_of_concat,
    parts::drop_empty_pad,
    parts::merge_pads,
    parts::drop_single_tile,
    parts::drop_flips,
    parts::drop_identity_resize,
    copies::concat_of_neighbours,
    copies::gather_of_a_run,
    copies::product_for_tile,
    motion::slice_before_transpose,
    motion::slice_before_reshape,
    motion::slice_before_fully_connected,
    elements::drop_identity_cast,
    elements::merge_casts,
    elements::drop_factor_of_one,
    elements::drop_term_of_zero,
    elements::product_for_quotient,
    elements::once_is_enough,
    elements::undone,
    elements::drop_unbounded_clamp,
    choices::choice_of_one,
    choices::choice_by_opposite,
    choices::choice_within_choice,
    elements::reduction_of_one,
];

/// `value` in the place of the node's only output. `None` where its type is another.
fn instead<'g>(at: Site<'g>, value: ValueId) -> Option<Patch<'g>> {
    let same = at.node().outputs.len() == 1 && at.graph().ty(value) == at.output_ty();
    same.then(|| at.patch().replace(at.output(), value))
}

/// A node in the place of this one and the one `below` it. `None` where that gives another type, or cannot be
/// spelled though this one can.
fn one_for_two<'g>(
    at: Site<'g>,
    below: Site<'g>,
    op: impl Into<Op>,
    inputs: Vec<ValueId>,
) -> Option<Patch<'g>> {
    let op = op.into();
    let spelled = |op: &Op, inputs: &[ValueId]| op.to_tfl(&at.graph().types(inputs)).is_ok();
    if spelled(&at.node().op, at.inputs()) && !spelled(&op, &inputs) {
        return None;
    }
    let mut patch = at.patch();
    patch.consume(&below);
    let merged = patch.try_add(op, inputs).ok()?;
    (patch.ty(merged) == at.output_ty()).then(|| patch.replace(at.output(), merged))
}
