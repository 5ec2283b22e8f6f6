//! Identities of operators that take parts and put parts together: slices, concatenations, padding and the like.

use super::{instead, one_for_two};
use crate::ops::{Concat, Flip, Interpolation, Pad, PadMode, Padding, Patch, Resize, Site, Slice, Tile};

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

/// As many operands as XNNPACK joins at once (measured on LiteRT 2.3.0).
const JOINED: usize = 5;

/// `concat(concat(x, y), z)  =>  concat(x, y, z)`, along one axis, where that keeps it within XNNPACK
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
        if inputs.len() > JOINED && at.inputs().len().max(below.inputs().len()) <= JOINED {
            return None;
        }
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

/// `pad(x, nothing)  =>  x`
pub(super) fn drop_empty_pad(at: Site<'_>) -> Option<Patch<'_>> {
    let pad: &Pad = at.op()?;
    let empty = pad.padding.iter().all(|p| *p == Padding::default());
    empty.then(|| instead(at, at.input(0)?))?
}

/// `pad(pad(x, p), q)  =>  pad(x, p + q)`, of one number
pub(super) fn merge_pads(at: Site<'_>) -> Option<Patch<'_>> {
    let outer: &Pad = at.op()?;
    let below = at.producer(0)?;
    let inner: &Pad = below.op()?;
    let plain = [outer, inner].iter().all(|p| p.mode == PadMode::Constant);
    if !plain || outer.value.to_bits() != inner.value.to_bits() {
        return None;
    }
    let both = |(p, q): (&Padding, &Padding)| {
        Some(Padding { before: p.before.checked_add(q.before)?, after: p.after.checked_add(q.after)? })
    };
    let padding = inner.padding.iter().zip(&outer.padding).map(both).collect::<Option<_>>()?;
    one_for_two(at, below, Pad { padding, ..outer.clone() }, below.inputs().to_vec())
}

/// `tile(x, once)  =>  x`
pub(super) fn drop_single_tile(at: Site<'_>) -> Option<Patch<'_>> {
    let tile: &Tile = at.op()?;
    tile.repeats.iter().all(|&n| n == 1).then(|| instead(at, at.input(0)?))?
}

/// `flip(flip(x))  =>  x`, and `flip(x)  =>  x` along an axis of size 1
pub(super) fn drop_flips(at: Site<'_>) -> Option<Patch<'_>> {
    let flip: &Flip = at.op()?;
    if at.output_ty().sizes().ok()?[flip.axis] == 1 {
        return instead(at, at.input(0)?);
    }
    let below = at.producer(0)?;
    (below.op() == Some(flip)).then(|| instead(at, below.input(0)?))?
}

/// `resize(x, size of x)  =>  x`
///
/// Between an infinity and its neighbour PyTorch's linear resize computes `0 · ∞`, as LiteRT's does not always; the
/// image itself is what both compute of numbers.
pub(super) fn drop_identity_resize(at: Site<'_>) -> Option<Patch<'_>> {
    let resize: &Resize = at.op()?;
    let in_place = resize.align_corners || resize.step == [1.0, 1.0];
    let whole = matches!(
        resize.interpolation,
        Interpolation::Nearest | Interpolation::NearestExact | Interpolation::Linear
    );
    (in_place && whole).then(|| instead(at, at.input(0)?))?
}
