//! Identities of slices and concatenations.

use super::{instead, one_for_two};
use crate::ops::{Concat, Patch, Site, Slice};

/// `slice(x, all of it)  =>  x`
pub(super) fn drop_whole_slice(at: Site<'_>) -> Option<Patch<'_>> {
    let slice: &Slice = at.op()?;
    if !slice.is_whole(&at.input_ty(0)?.sizes().ok()?) {
        return None;
    }
    instead(at, at.input(0)?)
}

/// `slice(slice(x))  =>  slice(x)`
pub(super) fn merge_slices(at: Site<'_>) -> Option<Patch<'_>> {
    let outer: &Slice = at.op()?;
    let below = at.producer(0)?;
    let inner: &Slice = below.op()?;
    let axes = inner.start.iter().zip(&inner.step).zip(outer.start.iter().zip(&outer.step));
    let (start, step) = axes.map(|((start, step), (from, by))| (start + from * step, step * by)).unzip();
    one_for_two(at, below, Slice { start, sizes: outer.sizes.clone(), step }, below.inputs().to_vec())
}

/// `concat(x)  =>  x`
pub(super) fn concat_of_one(at: Site<'_>) -> Option<Patch<'_>> {
    let Concat { .. } = at.op()?;
    let &[only] = at.inputs() else { return None };
    instead(at, only)
}

/// `concat(concat(x, y), z)  =>  concat(x, y, z)`, along one axis
pub(super) fn merge_concats(at: Site<'_>) -> Option<Patch<'_>> {
    let outer: &Concat = at.op()?;
    (0..at.inputs().len()).find_map(|index| {
        let below = at.sole_producer(index)?;
        let inner: &Concat = below.op()?;
        if inner.axis != outer.axis {
            return None;
        }
        let mut inputs = at.inputs().to_vec();
        inputs.splice(index..=index, below.inputs().iter().copied());
        one_for_two(at, below, outer.clone(), inputs)
    })
}

/// `slice(concat(x, y))  =>  slice(y)`, where it lies within one operand
pub(super) fn slice_of_concat(at: Site<'_>) -> Option<Patch<'_>> {
    let slice: &Slice = at.op()?;
    let below = at.producer(0)?;
    let &Concat { axis } = below.op()?;
    let first = slice.start[axis];
    let end = first + slice.sizes[axis].checked_sub(1)? * slice.step[axis];
    let mut from = 0;
    for &part in below.inputs() {
        let size = at.graph().ty(part).sizes().ok()?[axis];
        if first >= from && end < from + size {
            let mut within = slice.clone();
            within.start[axis] -= from;
            return one_for_two(at, below, within, vec![part]);
        }
        from += size;
    }
    None
}
