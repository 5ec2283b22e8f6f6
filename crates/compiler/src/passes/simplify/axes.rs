//! Identities of transposes, reshapes and broadcasts.

use super::{instead, one_for_two};
use crate::ops::{BatchMatmul, BroadcastTo, Op, Order, Patch, Reshape, Site, Transpose};

/// `transpose(x, identity)  =>  x`
pub(super) fn drop_identity_transpose(at: Site<'_>) -> Option<Patch<'_>> {
    let Transpose { order } = at.op()?;
    if !order.is_identity() {
        return None;
    }
    instead(at, at.input(0)?)
}

/// `transpose(transpose(x, p), q)  =>  transpose(x, q∘p)`
pub(super) fn merge_transposes(at: Site<'_>) -> Option<Patch<'_>> {
    let Transpose { order: outer } = at.op()?;
    let below = at.producer(0)?;
    let Transpose { order: inner } = below.op()?;
    one_for_two(at, below, Transpose { order: outer.after(inner) }, below.inputs().to_vec())
}

/// `transpose(reshape(transpose(x, p)), q)  =>  transpose(reshape(x), q∘p)`, where the reshape can be said on the memory
/// of `x`: each part of its axes stays together there
pub(super) fn merge_transposes_around_reshape(at: Site<'_>) -> Option<Patch<'_>> {
    let Transpose { order: outer } = at.op()?;
    let between = at.producer(0)?;
    let reshape: &Reshape = between.op()?;
    let below = between.producer(0)?;
    let Transpose { order: inner } = below.op()?;
    let carried = Op::from(reshape.clone()).carry(&[between.input_ty(0)?], &inner.inverse())?;
    let stored = carried.outputs.first()?;
    let merged = outer.axes().iter().map(|&axis| stored.position(axis)).collect();
    let mut patch = at.patch();
    patch.consume(&between);
    patch.consume(&below);
    let reshaped = patch.try_add(carried.op, [below.input(0)?]).ok()?;
    let merged = patch.try_add(Transpose { order: Order::new(merged).ok()? }, [reshaped]).ok()?;
    (patch.ty(merged) == at.output_ty()).then(|| patch.replace(at.output(), merged))
}

/// `transpose(x, p)  =>  reshape(x)`, where `p` keeps the axes longer than 1 in their order
pub(super) fn transpose_without_motion(at: Site<'_>) -> Option<Patch<'_>> {
    let Transpose { order } = at.op()?;
    let (from, sizes) = (at.input_ty(0)?.sizes().ok()?, at.output_ty().sizes().ok()?);
    let long: Vec<usize> = order.axes().iter().copied().filter(|&axis| from[axis] != 1).collect();
    if !long.is_sorted() || order.is_identity() {
        return None;
    }
    let mut patch = at.patch();
    let reshaped = patch.add(Reshape { sizes }, [at.input(0)?]);
    (patch.ty(reshaped) == at.output_ty()).then(|| patch.replace(at.output(), reshaped))
}

/// `reshape(x, sizes of x)  =>  x`
pub(in crate::passes) fn drop_identity_reshape(at: Site<'_>) -> Option<Patch<'_>> {
    let Reshape { .. } = at.op()?;
    instead(at, at.input(0)?)
}

/// `reshape(reshape(x, s), t)  =>  reshape(x, t)`
pub(in crate::passes) fn merge_reshapes(at: Site<'_>) -> Option<Patch<'_>> {
    let outer: &Reshape = at.op()?;
    let below = at.producer(0)?;
    let Reshape { .. } = below.op()?;
    one_for_two(at, below, outer.clone(), below.inputs().to_vec())
}

/// `broadcast_to(x, sizes of x)  =>  x`
pub(super) fn drop_identity_broadcast(at: Site<'_>) -> Option<Patch<'_>> {
    let BroadcastTo { .. } = at.op()?;
    instead(at, at.input(0)?)
}

/// `broadcast_to(broadcast_to(x, s), t)  =>  broadcast_to(x, t)`
pub(super) fn merge_broadcasts(at: Site<'_>) -> Option<Patch<'_>> {
    let outer: &BroadcastTo = at.op()?;
    let below = at.producer(0)?;
    let BroadcastTo { .. } = below.op()?;
    one_for_two(at, below, outer.clone(), below.inputs().to_vec())
}

/// `broadcast_to(x, [1, …, sizes of x])  =>  reshape(x)`
pub(super) fn broadcast_of_nothing(at: Site<'_>) -> Option<Patch<'_>> {
    let BroadcastTo { sizes } = at.op()?;
    let from = at.input_ty(0)?;
    if from.count().ok()? != at.output_ty().count().ok()? || from.rank() == sizes.len() {
        return None;
    }
    let mut patch = at.patch();
    let reshaped = patch.add(Reshape { sizes: sizes.clone() }, [at.input(0)?]);
    (patch.ty(reshaped) == at.output_ty()).then(|| patch.replace(at.output(), reshaped))
}

/// `batch_matmul(a, transpose(b))  =>  batch_matmul(a, b)ᵀᵇ`, where the transpose swaps rows and columns; where it
/// moves other axes too, and columns away from the end, it is left with those, so that rows stay together
pub(super) fn transpose_of_factor(at: Site<'_>) -> Option<Patch<'_>> {
    let BatchMatmul { transpose_a, transpose_b } = *at.op()?;
    let below = at.producer(1)?;
    let Transpose { order } = below.op()?;
    let last = order.rank().checked_sub(1)?;
    let mut axes = order.axes().to_vec();
    axes.swap(last, last.checked_sub(1)?);
    if axes[last] != last {
        return None;
    }
    let product = BatchMatmul { transpose_a, transpose_b: !transpose_b };
    if axes.is_sorted() {
        return one_for_two(at, below, product, vec![at.input(0)?, below.input(0)?]);
    }
    let mut patch = at.patch();
    patch.consume(&below);
    let rest = patch.add(Transpose { order: Order::new(axes).ok()? }, [below.input(0)?]);
    let merged = patch.try_add(product, [at.input(0)?, rest]).ok()?;
    (patch.ty(merged) == at.output_ty()).then(|| patch.replace(at.output(), merged))
}

/// Does the operator repeat its operands along axes of size 1 by itself?
pub(super) fn broadcasts(op: &Op) -> bool {
    matches!(op, Op::Binary(_) | Op::Compare(_) | Op::Logical(_) | Op::Prelu(_) | Op::Where(_))
}

/// `f(broadcast_to(x), y)  =>  f(x, y)`, where `f` broadcasts by itself to the same sizes
pub(super) fn drop_broadcast_of_operand(at: Site<'_>) -> Option<Patch<'_>> {
    let alike = broadcasts(&at.node().op) || matches!(at.node().op, Op::BatchMatmul(_));
    if !alike {
        return None;
    }
    without_below(at, |below| matches!(below.node().op, Op::BroadcastTo(_)))
}

/// `f(reshape(x, [1, …, sizes of x]), y)  =>  f(x, y)`, where `f` broadcasts by itself to the same sizes
pub(super) fn drop_leading_ones_of_operand(at: Site<'_>) -> Option<Patch<'_>> {
    if !broadcasts(&at.node().op) {
        return None;
    }
    without_below(at, |below| {
        let (Op::Reshape(Reshape { sizes }), Some(from)) = (&below.node().op, below.input_ty(0)) else {
            return false;
        };
        let Ok(from) = from.sizes() else { return false };
        sizes.len() > from.len()
            && sizes.ends_with(&from)
            && sizes[..sizes.len() - from.len()].iter().all(|&n| n == 1)
    })
}

/// The operator on what the first fitting node below it reads.
fn without_below<'g>(at: Site<'g>, fits: impl Fn(Site<'g>) -> bool) -> Option<Patch<'g>> {
    (0..at.inputs().len()).find_map(|index| {
        let below = at.producer(index).filter(|below| fits(*below))?;
        let mut inputs = at.inputs().to_vec();
        inputs[index] = below.input(0)?;
        one_for_two(at, below, at.node().op.clone(), inputs)
    })
}
