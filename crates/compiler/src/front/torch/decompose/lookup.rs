//! Elements looked up by indices, and elements in the opposite order.

use ir::{DType, Tensor, ValueId};

use super::indexing::{part, place, product};
use super::shaping::expanded;
use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Arithmetic, Flip, Gather, Order, Transpose};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.index_select.default"], index_select),
    (&["aten.index.Tensor", "aten._unsafe_index.Tensor"], index),
    (&["aten.gather.default"], gather),
    (&["aten.take.default"], take),
    (&["aten.take_along_dim.default"], take_along_dim),
    (&["aten.flip.default"], |b| {
        let axes = b.call.axes("dims", b.call.tensor("self")?.ty.rank())?;
        flipped(b, &axes)
    }),
    (&["aten.fliplr.default"], |b| flipped(b, &[1])),
    (&["aten.flipud.default"], |b| flipped(b, &[0])),
    (&["aten.rot90.default"], rot90),
    (
        &[
            "aten.index_put.default",
            "aten.index_copy.default",
            "aten.index_add.default",
            "aten.index_fill.int_Scalar",
            "aten.index_fill.int_Tensor",
            "aten.masked_scatter.default",
            "aten.scatter.src",
            "aten.scatter.value",
            "aten.scatter_add.default",
        ],
        |b| {
            Err(b.call.malformed(
                "places that are written by index are not supported; write by slices or torch.where",
            ))
        },
    ),
    (&["aten.masked_select.default"], |b| {
        Err(b.call.malformed("the number of elements that a mask picks depends on the data; use torch.where"))
    }),
];

/// The largest constant whose indices are read and counted from the front at once, in elements.
const READ: usize = 1 << 20;

/// Indices of an axis of `size` places as PyTorch counts them, counted from the front: `i mod size`.
fn counted(b: &mut Builder<'_>, indices: ValueId, size: usize) -> Result<ValueId, Malformed> {
    let small = b.ty(indices).count().is_ok_and(|n| n <= READ);
    let Some(constant) = b.graph.constant(indices).filter(|_| small).cloned() else {
        let dtype = b.ty(indices).dtype;
        if dtype == DType::I32 && i32::try_from(size).is_err() {
            return Err(b.call.malformed(format!("an axis of {size} places is indexed by i32")));
        }
        let size = b.number(dtype, Scalar::Int(size as i64));
        return b.add(Arithmetic::Remainder, &[indices, size]);
    };
    let read = constant.read().map_err(|e| b.call.malformed(format!("its indices cannot be read: {e}")))?;
    let counted = read.to_i64s().into_iter().map(|i| Ok(place(b, i, size)? as i64));
    let counted = counted.collect::<Result<Vec<i64>, Malformed>>()?;
    let counted = Tensor::from_i64s(read.dtype(), read.sizes(), counted);
    Ok(if counted == read { indices } else { b.constant(counted) })
}

/// An index tensor, which is one of integers.
fn integers(b: &mut Builder<'_>, indices: ValueId) -> Result<ValueId, Malformed> {
    match b.ty(indices).dtype {
        DType::I32 | DType::I64 => Ok(indices),
        DType::I8 | DType::I16 => b.cast(indices, DType::I32),
        DType::Bool | DType::U8 => Err(b.call.malformed(
            "a mask as an index picks a number of elements that depends on the data; use torch.where",
        )),
        other => Err(b.call.malformed(format!("its indices are {other}"))),
    }
}

fn index_select(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, indices) = (b.tensor("self")?, b.tensor("index")?);
    let rank = b.sizes(value)?.len();
    let (indices, count) = (integers(b, indices)?, product(b, &b.sizes(indices)?)?);
    let indices = b.reshape(indices, &[count])?;
    if rank == 0 {
        return Ok(vec![b.reshape(value, &[])?]);
    }
    let axis = b.call.axis("dim", rank)?;
    Ok(vec![b.add(Gather { axis, batch: 0 }, &[value, indices])?])
}

/// `x[i, :, j]`: the indexed axes as one, looked up by `i·n + j`.
fn index(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (call, mut value) = (b.call, b.tensor("self")?);
    let mut sizes = b.sizes(value)?;
    let given = call.optional_tensors("indices")?;
    let (mut axes, mut indices) = (Vec::new(), Vec::new());
    for (axis, tensor) in given.into_iter().enumerate() {
        let Some(tensor) = tensor else { continue };
        let &size =
            sizes.get(axis).ok_or_else(|| call.malformed(format!("there is no axis {axis} to index")))?;
        let tensor = integers(b, b.value(tensor))?;
        axes.push(axis);
        indices.push(counted(b, tensor, size)?);
    }
    let (Some(&first), Some(&last)) = (axes.first(), axes.last()) else { return Ok(vec![value]) };
    let mut lead = first;
    if last - first + 1 != axes.len() {
        // Where other axes stand between the indexed ones, PyTorch puts the result's new axes first.
        let others = (0..sizes.len()).filter(|a| !axes.contains(a));
        let order = Order::new(axes.iter().copied().chain(others).collect()).map_err(|m| Malformed(m.0))?;
        sizes = order.apply(&sizes);
        value = b.add(Transpose { order }, &[value])?;
        lead = 0;
    }
    let indexed = sizes[lead..lead + axes.len()].to_vec();
    let at = linear(b, &indices, &indexed)?;
    sizes.splice(lead..lead + axes.len(), [product(b, &indexed)?]);
    let value = b.reshape(value, &sizes)?;
    Ok(vec![b.add(Gather { axis: lead, batch: 0 }, &[value, at])?])
}

/// `((i₀·n₁ + i₁)·n₂ + i₂)…`
fn linear(b: &mut Builder<'_>, indices: &[ValueId], sizes: &[usize]) -> Result<ValueId, Malformed> {
    let mut at = indices[0];
    if indices.len() == 1 {
        return Ok(at);
    }
    // Of one dtype, and wide enough for the product.
    let narrow =
        product(b, sizes)? <= i32::MAX as usize && indices.iter().all(|&i| b.ty(i).dtype == DType::I32);
    let dtype = if narrow { DType::I32 } else { DType::I64 };
    at = b.cast(at, dtype)?;
    for (&next, &size) in indices.iter().zip(sizes).skip(1) {
        let (next, size) = (b.cast(next, dtype)?, b.number(dtype, Scalar::Int(size as i64)));
        at = b.add(Arithmetic::Mul, &[at, size])?;
        at = b.add(Arithmetic::Add, &[at, next])?;
    }
    Ok(at)
}

/// `out[i][j][k] = x[i][index[i][j][k]][k]`: with the axis last, each row looks up its own indices.
fn gather(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, indices) = (b.tensor("self")?, b.tensor("index")?);
    let rank = b.sizes(value)?.len();
    let axis = if rank == 0 { 0 } else { b.call.axis("dim", rank)? };
    Ok(vec![gathered(b, value, indices, axis)?])
}

fn gathered(
    b: &mut Builder<'_>,
    mut value: ValueId,
    indices: ValueId,
    axis: usize,
) -> Result<ValueId, Malformed> {
    let mut indices = integers(b, indices)?;
    let (sizes, wanted) = (b.sizes(value)?, b.sizes(indices)?);
    let rank = sizes.len();
    if rank != wanted.len() {
        return Err(b.call.malformed(format!("{rank} axes are indexed by {} axes", wanted.len())));
    }
    if rank == 0 {
        return Ok(value);
    }
    for other in (0..rank).filter(|&a| a != axis) {
        value = part(b, value, other, 0, wanted[other])?;
    }
    let last: Vec<usize> = (0..rank).filter(|&a| a != axis).chain([axis]).collect();
    let last = Order::new(last).map_err(|m| Malformed(m.0))?;
    value = transposed(b, value, &last)?;
    indices = transposed(b, indices, &last)?;
    let found = b.add(Gather { axis: rank - 1, batch: rank - 1 }, &[value, indices])?;
    transposed(b, found, &last.inverse())
}

/// [`gather`] of tensors that broadcast against each other but for the axis; flattened where none is given.
fn take_along_dim(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (mut value, mut indices) = (b.tensor("self")?, b.tensor("indices")?);
    if b.call.optional_int("dim")?.is_none() {
        for flat in [&mut value, &mut indices] {
            let count = product(b, &b.sizes(*flat)?)?;
            *flat = b.reshape(*flat, &[count])?;
        }
        return Ok(vec![gathered(b, value, indices, 0)?]);
    }
    let (sizes, wanted) = (b.sizes(value)?, b.sizes(indices)?);
    let axis = b.call.axis("dim", sizes.len())?;
    if wanted.len() != sizes.len() {
        return Err(b.call.malformed(format!("{} axes are indexed by {} axes", sizes.len(), wanted.len())));
    }
    let mut all = b.result(0)?.sizes().map_err(|m| Malformed(m.0))?;
    indices = expanded(b, indices, &all)?;
    if let (Some(own), Some(size)) = (all.get_mut(axis), sizes.get(axis)) {
        *own = *size;
    }
    value = expanded(b, value, &all)?;
    Ok(vec![gathered(b, value, indices, axis)?])
}

pub(super) fn transposed(b: &mut Builder<'_>, value: ValueId, order: &Order) -> Result<ValueId, Malformed> {
    if order.is_identity() {
        return Ok(value);
    }
    b.add(Transpose { order: order.clone() }, &[value])
}

/// The elements of the flattened tensor at the indices.
fn take(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, indices) = (b.tensor("self")?, b.tensor("index")?);
    let count = product(b, &b.sizes(value)?)?;
    let value = b.reshape(value, &[count])?;
    let indices = integers(b, indices)?;
    let indices = counted(b, indices, count)?;
    Ok(vec![b.add(Gather { axis: 0, batch: 0 }, &[value, indices])?])
}

fn flipped(b: &mut Builder<'_>, axes: &[usize]) -> Result<Vec<ValueId>, Malformed> {
    let mut value = b.tensor("self")?;
    let sizes = b.sizes(value)?;
    for &axis in axes {
        if sizes.get(axis).is_none_or(|&size| size > 1) {
            value = b.add(Flip { axis }, &[value])?;
        }
    }
    Ok(vec![value])
}

/// Quarter turns of the plane of two axes.
fn rot90(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let rank = b.sizes(value)?.len();
    let &[one, two] = &b.call.axes("dims", rank)?[..] else {
        return Err(b.call.malformed("turns a plane of two axes"));
    };
    let turns = b.call.int("k")?.rem_euclid(4);
    let axes: &[usize] = match turns {
        0 => &[],
        1 => &[two],
        2 => &[one, two],
        _ => &[one],
    };
    let flipped = flipped(b, axes)?[0];
    let mut order: Vec<usize> = (0..rank).collect();
    if turns % 2 == 1 {
        order.swap(one, two);
    }
    Ok(vec![transposed(b, flipped, &Order::new(order).map_err(|m| Malformed(m.0))?)?])
}
