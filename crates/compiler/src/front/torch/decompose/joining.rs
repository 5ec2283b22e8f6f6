//! Several tensors put together.

use ir::ValueId;

use super::{Builder, Row};
use crate::dialect::aten::Malformed;
use crate::ops::Concat;

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.cat.default", "aten.concat.default", "aten.concatenate.default"], concatenated),
    (&["aten.stack.default"], stacked),
    (&["aten.hstack.default"], |b| {
        let first = b.call.tensors("tensors")?.first().map_or(1, |t| t.ty.rank());
        grown(b, usize::from(first > 1), |sizes| if sizes.is_empty() { vec![1] } else { sizes.to_vec() })
    }),
    (&["aten.vstack.default"], |b| {
        grown(b, 0, |sizes| match sizes {
            [] => vec![1, 1],
            [n] => vec![1, *n],
            more => more.to_vec(),
        })
    }),
    (&["aten.dstack.default"], |b| {
        grown(b, 2, |sizes| match sizes {
            [] => vec![1, 1, 1],
            [n] => vec![1, *n, 1],
            [m, n] => vec![*m, *n, 1],
            more => more.to_vec(),
        })
    }),
    (&["aten.column_stack.default"], |b| {
        grown(b, 1, |sizes| match sizes {
            [] => vec![1, 1],
            [n] => vec![*n, 1],
            more => more.to_vec(),
        })
    }),
];

/// The values along `axis`, one after the other; those of no length there add nothing.
pub(super) fn joined(b: &mut Builder<'_>, values: &[ValueId], axis: usize) -> Result<ValueId, Malformed> {
    let mut parts = Vec::new();
    for &value in values {
        if b.sizes(value)?.get(axis) != Some(&0) {
            parts.push(value);
        }
    }
    match parts[..] {
        [] => Ok(values[0]),
        [one] => Ok(one),
        _ => b.add(Concat { axis }, &parts),
    }
}

/// The tensors of the call as the result's dtype.
fn parts(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (call, dtype) = (b.call, b.result(0)?.dtype);
    call.tensors("tensors")?.into_iter().map(|t| b.cast(b.value(t), dtype)).collect()
}

fn concatenated(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let ty = b.result(0)?;
    let axis = b.call.axis("dim", ty.rank())?;
    let mut values = parts(b)?;
    // PyTorch lets a tensor of sizes [0] stand beside tensors of any rank.
    values.retain(|&v| b.ty(v).rank() == ty.rank() || b.ty(v).count() != Ok(0));
    if values.is_empty() {
        return Err(b.call.malformed("joins no tensors"));
    }
    Ok(vec![joined(b, &values, axis)?])
}

fn stacked(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let axis = b.call.axis("dim", b.result(0)?.rank())?;
    let mut values = Vec::new();
    for value in parts(b)? {
        let mut sizes = b.sizes(value)?;
        if axis > sizes.len() {
            return Err(b.call.malformed(format!("adds axis {axis} to {} axes", sizes.len())));
        }
        sizes.insert(axis, 1);
        values.push(b.reshape(value, &sizes)?);
    }
    if values.is_empty() {
        return Err(b.call.malformed("stacks no tensors"));
    }
    Ok(vec![joined(b, &values, axis)?])
}

/// The tensors in the sizes that `sizes` makes of theirs, along `axis`.
fn grown(
    b: &mut Builder<'_>,
    axis: usize,
    sizes: fn(&[usize]) -> Vec<usize>,
) -> Result<Vec<ValueId>, Malformed> {
    let mut values = Vec::new();
    for value in parts(b)? {
        let grown = sizes(&b.sizes(value)?);
        values.push(b.reshape(value, &grown)?);
    }
    if values.is_empty() {
        return Err(b.call.malformed("stacks no tensors"));
    }
    Ok(vec![joined(b, &values, axis)?])
}
