//! Repetition without its builtins: elements are copied, never computed with, so that every bit stays.

use ir::{Tensor, ValueId, rules};

use crate::ops::{BroadcastTo, Concat, Gather, Patch, Reshape, Rule, Site, Tile};

pub(super) const RULES: &[Rule] = rules![broadcast_as_tile, broadcast_as_gather, tile_as_concat];

/// The sizes of what a broadcast reads, with the axes of size one that it adds in front.
fn lengthened(at: Site<'_>, op: &BroadcastTo) -> Option<Vec<usize>> {
    let from = at.input_ty(0)?.sizes().ok()?;
    let mut sizes = vec![1; op.sizes.len().checked_sub(from.len())?];
    sizes.extend(from);
    Some(sizes)
}

/// `broadcast_to(x)  =>  tile(reshape(x))`
fn broadcast_as_tile(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &BroadcastTo = at.op()?;
    let sizes = lengthened(at, op)?;
    let repeats = op.sizes.iter().zip(&sizes).map(|(&to, &from)| if from == 1 { to } else { 1 }).collect();
    let mut patch = at.patch();
    let value = reshaped(&mut patch, at.input(0)?, &sizes);
    let tiled = patch.add(Tile { repeats }, [value]);
    Some(patch.replace(at.output(), tiled))
}

/// `broadcast_to(x)  =>  gather(reshape(x), [0, 0, …])`, once for each axis that is repeated
fn broadcast_as_gather(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &BroadcastTo = at.op()?;
    let sizes = lengthened(at, op)?;
    let mut patch = at.patch();
    let mut value = reshaped(&mut patch, at.input(0)?, &sizes);
    for (axis, (&from, &to)) in sizes.iter().zip(&op.sizes).enumerate() {
        if from != to {
            let zeros = patch.constant("zeros", Tensor::zeros(ir::DType::I32, &[to]));
            value = patch.add(Gather { axis, batch: 0 }, [value, zeros]);
        }
    }
    Some(patch.replace(at.output(), value))
}

/// `tile(x) { n along a }  =>  concat(x, x, …) { axis = a }`, doubling where `n` is large
fn tile_as_concat(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Tile = at.op()?;
    if op.repeats.contains(&0) {
        return None;
    }
    let mut patch = at.patch();
    let mut value = at.input(0)?;
    for (axis, &times) in op.repeats.iter().enumerate() {
        value = repeated(&mut patch, value, axis, times);
    }
    Some(patch.replace(at.output(), value))
}

/// As many copies as XNNPACK joins at once.
const AT_ONCE: usize = 5;

/// `times` copies of a value along an axis, at least one.
fn repeated(patch: &mut Patch<'_>, value: ValueId, axis: usize, times: usize) -> ValueId {
    if times == 1 {
        return value;
    }
    if times <= AT_ONCE {
        return patch.add(Concat { axis }, vec![value; times]);
    }
    let pair = patch.add(Concat { axis }, [value, value]);
    let pairs = repeated(patch, pair, axis, times / 2);
    match times % 2 {
        0 => pairs,
        _ => patch.add(Concat { axis }, [pairs, value]),
    }
}

/// The value in other sizes: itself where it has them.
pub(super) fn reshaped(patch: &mut Patch<'_>, value: ValueId, sizes: &[usize]) -> ValueId {
    if patch.ty(value).sizes().is_ok_and(|own| own == sizes) {
        return value;
    }
    patch.add(Reshape { sizes: sizes.to_vec() }, [value])
}
