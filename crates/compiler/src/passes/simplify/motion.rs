//! Parts are taken first: a product with a constant weight that is only cut up, be it after transposes and reshapes,
//! is computed part by part, so that no run-time value is cut.

use crate::ops::{FullyConnected, Op, Patch, Reshape, Site, Slice, Transpose};

/// Do slices alone read what this node makes, which together have no more elements than it?
fn only_sliced(of: Site<'_>) -> bool {
    let graph = of.graph();
    let users = graph.users(of.output());
    let cut = |&user: &ir::NodeId| matches!(graph.node(user).op, Op::Slice(_));
    if users.len() != graph.use_count(of.output()) || !users.iter().all(cut) {
        return false;
    }
    let count = |user: &ir::NodeId| graph.ty(graph.node(*user).outputs[0]).count().unwrap_or(usize::MAX);
    let taken = users.iter().map(count).fold(0usize, usize::saturating_add);
    of.output_ty().count().is_ok_and(|whole| taken <= whole)
}

/// Is it a product with a constant weight, maybe reshaped and transposed, that nothing reads but what cuts it up or
/// leads there?
fn reaches_product(of: Site<'_>) -> bool {
    let graph = of.graph();
    let leads =
        |&user: &ir::NodeId| matches!(graph.node(user).op, Op::Reshape(_) | Op::Slice(_) | Op::Transpose(_));
    let mut at = of;
    loop {
        let users = graph.users(at.output());
        if users.len() != graph.use_count(at.output()) || !users.iter().all(leads) {
            return false;
        }
        match &at.node().op {
            Op::FullyConnected(_) => return (1..at.inputs().len()).all(|i| at.is_constant(i)),
            Op::Reshape(_) | Op::Transpose(_) => {}
            _ => return false,
        }
        let Some(below) = at.producer(0) else { return false };
        at = below;
    }
}

/// `slice(transpose(x, p))  =>  transpose(slice(x), p)`, where only slices read what is transposed, which is a
/// product
pub(super) fn slice_before_transpose(at: Site<'_>) -> Option<Patch<'_>> {
    let slice: &Slice = at.op()?;
    let below = at.producer(0).filter(|below| only_sliced(*below) && reaches_product(*below))?;
    let Transpose { order } = below.op()?;
    let back = order.inverse();
    let part = Slice {
        start: back.apply(&slice.start),
        sizes: back.apply(&slice.sizes),
        step: back.apply(&slice.step),
    };
    let mut patch = at.patch();
    patch.consume(&below);
    let part = patch.add(part, [below.input(0)?]);
    let moved = patch.add(Transpose { order: order.clone() }, [part]);
    (patch.ty(moved) == at.output_ty()).then(|| patch.replace(at.output(), moved))
}

/// `slice(reshape(x))  =>  reshape(slice(x))`, where only slices read what is reshaped, which is a product, and what
/// is taken is a box of `x` too
pub(super) fn slice_before_reshape(at: Site<'_>) -> Option<Patch<'_>> {
    let slice: &Slice = at.op()?;
    let below = at.producer(0).filter(|below| only_sliced(*below) && reaches_product(*below))?;
    let Reshape { sizes } = below.op()?;
    let from = below.input_ty(0)?.sizes().ok()?;
    let part = box_before(slice, &from, sizes)?;
    let mut patch = at.patch();
    patch.consume(&below);
    let part = patch.add(part, [below.input(0)?]);
    let reshaped = patch.add(Reshape { sizes: slice.sizes.clone() }, [part]);
    (patch.ty(reshaped) == at.output_ty()).then(|| patch.replace(at.output(), reshaped))
}

/// The slice of a value of sizes `from` that has the elements of a slice of it in sizes `to`. `None` where there is
/// none.
fn box_before(slice: &Slice, from: &[usize], to: &[usize]) -> Option<Slice> {
    let mut part = Slice { start: vec![0; from.len()], sizes: from.to_vec(), step: vec![1; from.len()] };
    let whole = |axis: usize| slice.sizes[axis] == to[axis];
    let inner = |sizes: &[usize], axis: usize| sizes[axis + 1..].iter().product::<usize>();
    if slice.sizes.contains(&0) {
        return None;
    }
    for axis in (0..to.len()).filter(|&axis| !whole(axis)) {
        // The axis of `from` that begins where this one does: it holds this one as its outermost part, or is the
        // outermost part of it. What else is cut lies within one step of both, or has no such axis.
        let row = inner(to, axis);
        let end = row.checked_mul(to[axis])?;
        let source = (0..from.len()).find(|&s| from[s] != 1 && inner(from, s) * from[s] == end)?;
        let step = inner(from, source);
        let (start, len) = (slice.start[axis] * row, slice.sizes[axis] * row);
        if slice.step[axis] != 1 || row == 0 || step == 0 || start % step != 0 || len % step != 0 {
            return None;
        }
        part.start[source] = start / step;
        part.sizes[source] = len / step;
    }
    Some(part)
}

/// `slice(fully_connected(x, w, b))  =>  fully_connected(x, slice(w), slice(b))`, where only slices of its last axis
/// read the product, and the weight is constant
pub(super) fn slice_before_fully_connected(at: Site<'_>) -> Option<Patch<'_>> {
    let below = at.producer(0).filter(|below| only_sliced(*below))?;
    let linear: &FullyConnected = below.op()?;
    let constant = (1..below.inputs().len()).all(|i| below.is_constant(i));
    let alone = |user: &ir::NodeId| columns(Site::new(at.graph(), *user)).is_some();
    if !constant || !at.graph().users(below.output()).iter().all(alone) {
        return None;
    }
    let (start, len) = columns(at)?;
    let mut patch = at.patch();
    patch.consume(&below);
    let mut inputs = vec![below.input(0)?];
    for index in 1..below.inputs().len() {
        let sizes = below.input_ty(index)?.sizes().ok()?;
        // A bias of one number per output, as the weight has one row per output.
        inputs.push(patch.add(Slice::along(&sizes, 0, start, len), [below.input(index)?]));
    }
    let result = patch.add(linear.clone(), inputs);
    (patch.ty(result) == at.output_ty()).then(|| patch.replace(at.output(), result))
}

/// The range of the last axis that a slice takes, where it takes all of the other axes.
fn columns(at: Site<'_>) -> Option<(usize, usize)> {
    let slice: &Slice = at.op()?;
    let from = at.input_ty(0)?.sizes().ok()?;
    let last = from.len().checked_sub(1)?;
    let whole = (0..last).all(|axis| slice.sizes[axis] == from[axis]);
    (whole && slice.step[last] == 1).then(|| (slice.start[last], slice.sizes[last]))
}
