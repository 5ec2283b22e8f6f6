//! Parts of tensors, and tensors with parts of them replaced.

use ir::ValueId;

use super::joining::joined;
use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Order, Slice, Transpose};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.select.int"], select),
    (
        &[
            "aten.chunk.default",
            "aten.split.Tensor",
            "aten.split.sizes",
            "aten.split_with_sizes.default",
            "aten.tensor_split.sections",
        ],
        |b| {
            let axis = b.call.axis("dim", b.call.tensor("self")?.ty.rank())?;
            split(b, axis)
        },
    ),
    (&["aten.hsplit.int"], |b| {
        let axis = usize::from(b.call.tensor("self")?.ty.rank() > 1);
        split(b, axis)
    }),
    (&["aten.vsplit.int"], |b| split(b, 0)),
    (&["aten.dsplit.int"], |b| split(b, 2)),
    (&["aten.tensor_split.indices"], |b| {
        let axis = b.call.axis("dim", b.call.tensor("self")?.ty.rank())?;
        split_at(b, axis)
    }),
    (&["aten.hsplit.array"], |b| {
        let axis = usize::from(b.call.tensor("self")?.ty.rank() > 1);
        split_at(b, axis)
    }),
    (&["aten.vsplit.array"], |b| split_at(b, 0)),
    (&["aten.dsplit.array"], |b| split_at(b, 2)),
    (&["aten.unbind.int"], unbind),
    (&["aten.roll.default"], roll),
    (&["aten.diagonal.default"], |b| {
        let rank = b.call.tensor("self")?.ty.rank();
        diagonal(b, b.call.axis("dim1", rank)?, b.call.axis("dim2", rank)?, b.call.int("offset")?)
    }),
    (&["aten.diagonal_scatter.default"], diagonal_scatter),
    (&["aten.diag.default"], |b| match b.call.tensor("self")?.ty.rank() {
        1 => diag_embed(b, 0, 1, b.call.int("diagonal")?),
        _ => diagonal(b, 0, 1, b.call.int("diagonal")?),
    }),
    (&["aten.diag_embed.default"], |b| {
        let rank = b.result(0)?.rank();
        diag_embed(b, b.call.axis("dim1", rank)?, b.call.axis("dim2", rank)?, b.call.int("offset")?)
    }),
    (&["aten.copy.default"], |b| copy(b, "src")),
    (&["aten.fill.Tensor"], |b| copy(b, "value")),
    (&["aten.select_scatter.default"], select_scatter),
    (&["aten.slice_scatter.default"], slice_scatter),
];

/// `len` indices from `start` on along one axis: the value itself where that is all of it.
pub(super) fn part(
    b: &mut Builder<'_>,
    value: ValueId,
    axis: usize,
    start: usize,
    len: usize,
) -> Result<ValueId, Malformed> {
    let sizes = b.sizes(value)?;
    if axis >= sizes.len() {
        return Err(b.call.malformed(format!("there is no axis {axis} in {}", b.ty(value))));
    }
    let slice = Slice::along(&sizes, axis, start, len);
    if slice.is_whole(&sizes) {
        return Ok(value);
    }
    b.add(slice, &[value])
}

/// The number of elements of a tensor of these sizes.
pub(super) fn product(b: &Builder<'_>, sizes: &[usize]) -> Result<usize, Malformed> {
    let product = sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    product.ok_or_else(|| b.call.malformed(format!("{sizes:?} is too large")))
}

/// An index of an axis of `size` places, counted from the front.
pub(super) fn place(b: &Builder<'_>, index: i64, size: usize) -> Result<usize, Malformed> {
    let counted = if index < 0 { index.saturating_add(size as i64) } else { index };
    usize::try_from(counted)
        .ok()
        .filter(|&i| i < size)
        .ok_or_else(|| b.call.malformed(format!("index {index} is not in an axis of {size}")))
}

/// The range `start..end` of an axis of `size` places, as Python counts: from the end below zero, never outside.
fn range(start: Option<i64>, end: Option<i64>, size: usize) -> std::ops::Range<usize> {
    let full = size as i64;
    let bounded =
        |index: i64| (if index < 0 { index.saturating_add(full) } else { index }).clamp(0, full) as usize;
    let start = bounded(start.unwrap_or(0));
    start..bounded(end.unwrap_or(full)).max(start)
}

/// `x[…, index, …]`: the slice of one place, without its axis.
fn select(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let mut sizes = b.sizes(value)?;
    let axis = b.call.axis("dim", sizes.len())?;
    let index = place(b, b.call.int("index")?, sizes[axis])?;
    let one = part(b, value, axis, index, 1)?;
    sizes.remove(axis);
    Ok(vec![b.reshape(one, &sizes)?])
}

/// Parts that follow each other along an axis, of the lengths that PyTorch recorded.
fn split(b: &mut Builder<'_>, axis: usize) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let mut start = 0;
    let mut parts = Vec::new();
    for index in 0..b.call.results.len() {
        let sizes = b.result(index)?.sizes().map_err(|m| Malformed(m.0))?;
        let &len = sizes.get(axis).ok_or_else(|| b.call.malformed(format!("splits axis {axis}")))?;
        parts.push(part(b, value, axis, start, len)?);
        start += len;
    }
    if b.sizes(value)?.get(axis) != Some(&start) {
        return Err(b.call.malformed(format!("its parts are {start} long together, unlike {}", b.ty(value))));
    }
    Ok(parts)
}

/// `x[:i₀]`, `x[i₀:i₁]`, …: indices may decrease, which makes a part empty.
fn split_at(b: &mut Builder<'_>, axis: usize) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let &size = b.sizes(value)?.get(axis).ok_or_else(|| b.call.malformed(format!("splits axis {axis}")))?;
    let indices = b.call.ints("indices")?;
    let starts = [None].into_iter().chain(indices.iter().copied().map(Some));
    let ends = indices.iter().copied().map(Some).chain([None]);
    starts
        .zip(ends)
        .map(|(start, end)| {
            let range = range(start, end, size);
            part(b, value, axis, range.start, range.len())
        })
        .collect()
}

/// Every place along an axis, without the axis.
fn unbind(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let mut sizes = b.sizes(value)?;
    let axis = b.call.axis("dim", sizes.len())?;
    let count = sizes.remove(axis);
    if count != b.call.results.len() {
        return Err(b.call.malformed(format!("{count} places give {} results", b.call.results.len())));
    }
    (0..count)
        .map(|index| {
            let one = part(b, value, axis, index, 1)?;
            b.reshape(one, &sizes)
        })
        .collect()
}

/// Each index moves on by the shift, and round the end to the front; without axes, in the flattened tensor.
fn roll(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let (sizes, shifts) = (b.sizes(value)?, b.call.ints("shifts")?);
    let mut axes = b.call.ints("dims")?;
    let flat = axes.is_empty();
    let mut rolled = value;
    if flat {
        let count = product(b, &sizes)?;
        rolled = b.reshape(value, &[count])?;
        axes = vec![0];
    }
    if axes.len() != shifts.len() {
        return Err(b.call.malformed(format!("{} shifts of {} axes", shifts.len(), axes.len())));
    }
    for (axis, shift) in axes.into_iter().zip(shifts) {
        let now = b.sizes(rolled)?;
        let axis = place(b, axis, now.len())?;
        let size = now[axis];
        if size == 0 {
            continue;
        }
        let front = shift.rem_euclid(size as i64) as usize;
        if front != 0 {
            let tail = part(b, rolled, axis, size - front, front)?;
            let head = part(b, rolled, axis, 0, size - front)?;
            rolled = joined(b, &[tail, head], axis)?;
        }
    }
    Ok(vec![b.reshape(rolled, &sizes)?])
}

/// The source as the dtype and in the sizes of the tensor that it is written over.
fn copy(b: &mut Builder<'_>, source: &str) -> Result<Vec<ValueId>, Malformed> {
    let ty = b.result(0)?;
    let source = b.tensor(source)?;
    let source = b.cast(source, ty.dtype)?;
    let sizes = ty.sizes().map_err(|m| Malformed(m.0))?;
    Ok(vec![super::shaping::expanded(b, source, &sizes)?])
}

/// One place along an axis replaced.
fn select_scatter(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, source) = (b.tensor("self")?, b.tensor("src")?);
    let mut sizes = b.sizes(value)?;
    let axis = b.call.axis("dim", sizes.len())?;
    let index = place(b, b.call.int("index")?, sizes[axis])?;
    sizes[axis] = 1;
    let source = b.cast(source, b.ty(value).dtype)?;
    let source = b.reshape(source, &sizes)?;
    Ok(vec![replaced(b, value, source, axis, index, 1)?])
}

/// Every `step`-th place of a range along an axis replaced.
fn slice_scatter(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, source) = (b.tensor("self")?, b.tensor("src")?);
    let sizes = b.sizes(value)?;
    let axis = b.call.axis("dim", sizes.len())?;
    let range = range(b.call.optional_int("start")?, b.call.optional_int("end")?, sizes[axis]);
    let step = b.call.size("step")?;
    if step == 0 {
        return Err(b.call.malformed("the step is 0"));
    }
    let source = b.cast(source, b.ty(value).dtype)?;
    let mut written = sizes;
    written[axis] = range.len().div_ceil(step);
    let source = super::shaping::expanded(b, source, &written)?;
    Ok(vec![replaced(b, value, source, axis, range.start, step)?])
}

/// The value with the places `start + i·step` along an axis taken from `source`.
fn replaced(
    b: &mut Builder<'_>,
    value: ValueId,
    source: ValueId,
    axis: usize,
    start: usize,
    step: usize,
) -> Result<ValueId, Malformed> {
    let (sizes, count) = (b.sizes(value)?, b.sizes(source)?[axis]);
    if count == 0 {
        return Ok(value);
    }
    let head = part(b, value, axis, 0, start)?;
    let after = start + (count - 1) * step + 1;
    let tail = part(b, value, axis, after, sizes[axis] - after)?;
    if step == 1 || count == 1 {
        return joined(b, &[head, source, tail], axis);
    }
    // All but the last place stand before `step - 1` that stay: rows of `step`, of which the first is replaced.
    let rows = |len: usize| {
        let mut rows = sizes.clone();
        rows.splice(axis..=axis, [count - 1, len]);
        rows
    };
    let between = part(b, value, axis, start, (count - 1) * step)?;
    let between = b.reshape(between, &rows(step))?;
    let kept = part(b, between, axis + 1, 1, step - 1)?;
    let written = part(b, source, axis, 0, count - 1)?;
    let written = b.reshape(written, &rows(1))?;
    let woven = joined(b, &[written, kept], axis + 1)?;
    let mut flat = sizes.clone();
    flat[axis] = (count - 1) * step;
    let woven = b.reshape(woven, &flat)?;
    let last = part(b, source, axis, count - 1, 1)?;
    joined(b, &[head, woven, last, tail], axis)
}

/// A diagonal of two axes, which stand last and are one: every `step`-th place from `start` on.
struct Diagonal {
    order: Order,
    /// The sizes with the two axes as one.
    flat: Vec<usize>,
    start: usize,
    step: usize,
    count: usize,
}

impl Diagonal {
    fn of(b: &Builder<'_>, sizes: &[usize], one: usize, two: usize, offset: i64) -> Result<Self, Malformed> {
        let rank = sizes.len();
        if one >= rank || two >= rank {
            return Err(b.call.malformed(format!("takes a diagonal of {rank} axes")));
        }
        let others = (0..rank).filter(|&a| a != one && a != two);
        let order = Order::new(others.clone().chain([one, two]).collect()).map_err(|m| Malformed(m.0))?;
        let (rows, columns) = (sizes[one], sizes[two]);
        let away = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let (down, right) = if offset < 0 { (away, 0) } else { (0, away) };
        let count = rows.saturating_sub(down).min(columns.saturating_sub(right));
        // A diagonal of no places may begin anywhere.
        let places = product(b, &[rows, columns])?;
        let start = if count == 0 { 0 } else { down * columns + right };
        let flat = others.map(|a| sizes[a]).chain([places]).collect();
        Ok(Diagonal { order, flat, start, step: columns + 1, count })
    }

    fn flattened(&self, b: &mut Builder<'_>, value: ValueId) -> Result<ValueId, Malformed> {
        let value = b.add(Transpose { order: self.order.clone() }, &[value])?;
        b.reshape(value, &self.flat)
    }

    /// The value with this diagonal taken from `source`.
    fn replaced(&self, b: &mut Builder<'_>, value: ValueId, source: ValueId) -> Result<ValueId, Malformed> {
        let sizes = b.sizes(value)?;
        let flat = self.flattened(b, value)?;
        let last = self.flat.len() - 1;
        let mut written = self.flat.clone();
        written[last] = self.count;
        let source = b.cast(source, b.ty(value).dtype)?;
        let source = super::shaping::expanded(b, source, &written)?;
        let flat = replaced(b, flat, source, last, self.start, self.step)?;
        let woven = b.reshape(flat, &self.order.apply(&sizes))?;
        b.add(Transpose { order: self.order.inverse() }, &[woven])
    }
}

fn diagonal(b: &mut Builder<'_>, one: usize, two: usize, offset: i64) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let of = Diagonal::of(b, &b.sizes(value)?, one, two, offset)?;
    let flat = of.flattened(b, value)?;
    let last = of.flat.len() - 1;
    let mut slice = Slice::along(&of.flat, last, of.start, of.count);
    slice.step[last] = of.step;
    Ok(vec![b.add(slice, &[flat])?])
}

/// A diagonal replaced.
fn diagonal_scatter(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, source) = (b.tensor("self")?, b.tensor("src")?);
    let rank = b.ty(value).rank();
    let (one, two) = (b.call.axis("dim1", rank)?, b.call.axis("dim2", rank)?);
    let of = Diagonal::of(b, &b.sizes(value)?, one, two, b.call.int("offset")?)?;
    Ok(vec![of.replaced(b, value, source)?])
}

/// Zeros with a diagonal replaced.
fn diag_embed(b: &mut Builder<'_>, one: usize, two: usize, offset: i64) -> Result<Vec<ValueId>, Malformed> {
    let (source, ty) = (b.tensor("self")?, b.result(0)?);
    let sizes = ty.sizes().map_err(|m| Malformed(m.0))?;
    let of = Diagonal::of(b, &sizes, one, two, offset)?;
    let zero = b.number(ty.dtype, Scalar::Int(0));
    let zeros = super::shaping::expanded(b, zero, &sizes)?;
    Ok(vec![of.replaced(b, zeros, source)?])
}
