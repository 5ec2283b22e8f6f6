//! Windows that move over a tensor, laid side by side.

use ir::{DType, Tensor, ValueId};

use super::indexing::{part, product};
use super::lookup::transposed;
use super::{Builder, Row};
use crate::dialect::aten::Malformed;
use crate::ops::{Gather, Order, Pad, Padding};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.as_strided.default"], as_strided),
    (&["aten.im2col.default"], im2col),
    (&["aten.unfold.default"], unfold),
];

/// The most places that the windows along one axis may have together.
const MOST: usize = 1 << 20;

/// The dtype of indices below this number.
fn wide(size: usize) -> DType {
    if i32::try_from(size).is_ok() { DType::I32 } else { DType::I64 }
}

/// Windows of `size` places, `dilation` apart, every `step` places along an axis. The axis becomes two: the windows
/// and the places in each. Places of windows that touch without overlap are there already; others are looked up.
fn windows(
    b: &mut Builder<'_>,
    value: ValueId,
    axis: usize,
    [size, step, dilation]: [usize; 3],
) -> Result<ValueId, Malformed> {
    let mut sizes = b.sizes(value)?;
    let reach = size.checked_sub(1).and_then(|n| n.checked_mul(dilation));
    let last = reach.and_then(|reach| sizes[axis].checked_sub(reach)?.checked_sub(1));
    let (Some(last), true) = (last, step > 0) else {
        let what = format!("windows of {size} places, {dilation} apart, every {step} of {}", sizes[axis]);
        return Err(b.call.malformed(what));
    };
    let count = last / step + 1;
    if size.checked_mul(count).is_none_or(|n| n > MOST) {
        return Err(b.call.malformed(format!("{count} windows of {size} places are too many")));
    }
    if size == step && dilation == 1 {
        sizes.splice(axis..=axis, [count, size]);
        let covered = part(b, value, axis, 0, count * size)?;
        return b.reshape(covered, &sizes);
    }
    let places = (0..count).flat_map(|w| (0..size).map(move |i| (w * step + i * dilation) as i64));
    let places = b.constant(Tensor::from_i64s(wide(sizes[axis]), &[count, size], places));
    b.add(Gather { axis, batch: 0 }, &[value, places])
}

/// The windows along one axis, whose places become the last axis.
fn unfold(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let rank = b.sizes(value)?.len();
    let axis = b.call.axis("dimension", rank)?;
    let size = [b.call.size("size")?, b.call.size("step")?, 1];
    let apart = windows(b, value, axis, size)?;
    let order = (0..=rank).filter(|&a| a != axis + 1).chain([axis + 1]).collect();
    Ok(vec![transposed(b, apart, &Order::new(order).map_err(|m| Malformed(m.0))?)?])
}

/// The windows of an image as columns: `[n, c·kh·kw, oh·ow]`.
fn im2col(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let mut value = b.tensor("self")?;
    let result = b.result(0)?.sizes().map_err(|m| Malformed(m.0))?;
    let mut sizes = b.sizes(value)?;
    if sizes.len() == 3 {
        sizes.insert(0, 1);
        value = b.reshape(value, &sizes)?;
    }
    if sizes.len() != 4 {
        return Err(b.call.malformed(format!("takes the windows of {}", b.ty(value))));
    }
    let [kernel, dilation] = [b.call.pair("kernel_size")?, b.call.pair("dilation")?];
    let [padding, stride] = [b.call.pair("padding")?, b.call.pair("stride")?];
    if padding != [0, 0] {
        let [h, w] = padding.map(Padding::both);
        value = b.add(Pad::constant(vec![Padding::default(), Padding::default(), h, w], 0.0), &[value])?;
    }
    // The width first, so that the height's axis stays where it is.
    value = windows(b, value, 3, [kernel[1], stride[1], dilation[1]])?;
    value = windows(b, value, 2, [kernel[0], stride[0], dilation[0]])?;
    let order = Order::new(vec![0, 1, 3, 5, 2, 4]).map_err(|m| Malformed(m.0))?;
    let columns = transposed(b, value, &order)?;
    if product(b, &result)? != product(b, &b.sizes(columns)?)? {
        return Err(b.call.malformed(format!("gives {}", b.ty(columns))));
    }
    Ok(vec![b.reshape(columns, &result)?])
}

/// The elements at `start + Σ iₖ·strideₖ` of a tensor that lies in memory in their order, which is all that reaches
/// this row.
fn as_strided(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let all = product(b, &b.sizes(value)?)?;
    let flat = b.reshape(value, &[all])?;
    let start = b.call.optional_int("storage_offset")?.map_or(Ok(0), usize::try_from);
    let (sizes, strides) = (b.call.ints("size")?, b.call.ints("stride")?);
    let counted = |list: Vec<i64>| list.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    let (Ok(start), Ok(sizes), Ok(strides)) = (start, counted(sizes), counted(strides)) else {
        return Err(b.call.malformed("sizes, strides and offsets are not below zero"));
    };
    let count = product(b, &sizes)?;
    let reach = sizes
        .iter()
        .zip(&strides)
        .try_fold(start, |at, (&n, &step)| at.checked_add(n.saturating_sub(1).checked_mul(step)?));
    if sizes.len() != strides.len() || count == 0 || reach.is_none_or(|last| last >= all) {
        return Err(b.call.malformed(format!("{sizes:?} by {strides:?} from {start} is not within {all}")));
    }
    let packed = sizes
        .iter()
        .zip(&strides)
        .rev()
        .try_fold(1usize, |step, (&n, &stride)| (n == 1 || stride == step).then(|| step * n));
    if packed.is_some() {
        let run = part(b, flat, 0, start, count)?;
        return Ok(vec![b.reshape(run, &sizes)?]);
    }
    if count > MOST {
        return Err(b.call.malformed(format!("takes {count} elements one by one, which are too many")));
    }
    let mut places = vec![start as i64];
    for (&n, &step) in sizes.iter().zip(&strides) {
        places = places.iter().flat_map(|&at| (0..n).map(move |i| at + (i * step) as i64)).collect();
    }
    let places = b.constant(Tensor::from_i64s(wide(all), &sizes, places));
    Ok(vec![b.add(Gather { axis: 0, batch: 0 }, &[flat, places])?])
}
