//! Tensors repeated along their axes.

use ir::ValueId;

use super::indexing::product;
use super::{Builder, Row};
use crate::dialect::aten::Malformed;
use crate::ops::{BroadcastTo, Tile};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.broadcast_to.default", "aten.expand.default", "aten.expand_as.default"], |b| {
        let (value, sizes) = (b.tensor("self")?, recorded(b, 0)?);
        Ok(vec![expanded(b, value, &sizes)?])
    }),
    (&["aten.broadcast_tensors.default"], |b| {
        let call = b.call;
        let tensors = call.tensors("tensors")?.into_iter().enumerate();
        tensors.map(|(i, t)| expanded(b, b.value(t), &recorded(b, i)?)).collect()
    }),
    (&["aten.meshgrid.default"], |b| meshgrid(b, "ij")),
    (&["aten.meshgrid.indexing"], |b| meshgrid(b, b.call.text("indexing")?)),
    (&["aten.repeat.default"], |b| repeat(b, "repeats")),
    (&["aten.tile.default"], |b| repeat(b, "dims")),
    (&["aten.repeat_interleave.self_int"], repeat_interleave),
];

fn recorded(b: &Builder<'_>, result: usize) -> Result<Vec<usize>, Malformed> {
    b.result(result)?.sizes().map_err(|m| Malformed(m.0))
}

/// The value broadcast to these sizes: itself or a reshape where no element is repeated.
pub(super) fn expanded(b: &mut Builder<'_>, value: ValueId, sizes: &[usize]) -> Result<ValueId, Malformed> {
    let from = b.sizes(value)?;
    let lead = sizes.len().saturating_sub(from.len());
    if from == sizes[lead..] && sizes[..lead].iter().all(|&s| s == 1) {
        return b.reshape(value, sizes);
    }
    b.add(BroadcastTo { sizes: sizes.to_vec() }, &[value])
}

/// Each vector along its own axis of one grid; for "xy", the first two axes change places.
fn meshgrid(b: &mut Builder<'_>, indexing: &str) -> Result<Vec<ValueId>, Malformed> {
    let call = b.call;
    let tensors = call.tensors("tensors")?;
    let (rank, swap) = (tensors.len(), indexing == "xy" && tensors.len() > 1);
    if !matches!(indexing, "ij" | "xy") {
        return Err(call.malformed(format!("indexing is '{indexing}'")));
    }
    let mut results = Vec::new();
    for (index, tensor) in tensors.into_iter().enumerate() {
        let value = b.value(tensor);
        let mut along = vec![1; rank];
        along[if swap && index < 2 { 1 - index } else { index }] = product(b, &b.sizes(value)?)?;
        let value = b.reshape(value, &along)?;
        results.push(expanded(b, value, &recorded(b, index)?)?);
    }
    Ok(results)
}

/// Each element along an axis several times in a row; without an axis, of the flattened tensor.
fn repeat_interleave(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let mut value = b.tensor("self")?;
    let mut sizes = b.sizes(value)?;
    let times = b.call.size("repeats")?;
    let axis = match b.call.optional_int("dim")? {
        Some(_) => b.call.axis("dim", sizes.len())?,
        None => {
            sizes = vec![product(b, &sizes)?];
            value = b.reshape(value, &sizes)?;
            0
        }
    };
    let mut apart = sizes.clone();
    apart.insert(axis + 1, 1);
    let apart_value = b.reshape(value, &apart)?;
    apart[axis + 1] = times;
    let repeated = expanded(b, apart_value, &apart)?;
    sizes[axis] = sizes[axis]
        .checked_mul(times)
        .ok_or_else(|| b.call.malformed(format!("repeats {} elements {times} times", sizes[axis])))?;
    Ok(vec![b.reshape(repeated, &sizes)?])
}

/// The tensor whole several times along each axis, new axes first: a broadcast where only sizes of one repeat.
fn repeat(b: &mut Builder<'_>, argument: &str) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let (mut sizes, given) = (b.sizes(value)?, b.call.ints(argument)?);
    let repeats: Result<Vec<usize>, _> = given.iter().map(|&n| usize::try_from(n)).collect();
    let mut repeats =
        repeats.map_err(|_| b.call.malformed(format!("'{argument}' is {given:?}, below zero")))?;
    let rank = sizes.len().max(repeats.len());
    sizes.splice(0..0, vec![1; rank - sizes.len()]);
    repeats.splice(0..0, vec![1; rank - repeats.len()]);
    if sizes.iter().zip(&repeats).all(|(&size, &times)| size == 1 || times == 1) {
        let repeated: Vec<usize> =
            sizes.iter().zip(&repeats).map(|(&a, &b)| if a == 1 { b } else { a }).collect();
        return Ok(vec![expanded(b, value, &repeated)?]);
    }
    let value = b.reshape(value, &sizes)?;
    Ok(vec![b.add(Tile { repeats }, &[value])?])
}
