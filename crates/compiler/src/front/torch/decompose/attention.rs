//! Attention of scaled dot products, as products of matrices and a softmax.

use ir::{DType, Tensor, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Arithmetic, BatchMatmul, Compare, Logical, Reduce, Reduction, Softmax, Unary, Where};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.scaled_dot_product_attention.default"], |b| {
        let grouped = b.call.bool("enable_gqa")?;
        attention(b, grouped)
    }),
    (&["aten._scaled_dot_product_flash_attention_for_cpu.default"], |b| attention(b, false)),
];

/// The most elements of a causal mask.
const MOST: usize = 1 << 26;

/// `softmax(q · kᵀ · scale + mask) · v`; a row that the mask leaves nothing of is zero.
fn attention(b: &mut Builder<'_>, grouped: bool) -> Result<Vec<ValueId>, Malformed> {
    let (q, k, v) = (b.tensor("query")?, b.tensor("key")?, b.tensor("value")?);
    let (sizes, keys) = (b.sizes(q)?, b.sizes(k)?);
    let (&[.., length, depth], &[.., seen, _], true) =
        (&sizes[..], &keys[..], !grouped || keys.len() == sizes.len())
    else {
        return Err(b.call.malformed(format!("attends from {} to {}", b.ty(q), b.ty(k))));
    };
    if b.call.float("dropout_p")? != 0.0 {
        return Err(b.call.malformed("drops out at random; call .eval() on the model before export"));
    }
    if depth == 0 {
        return Err(b.call.malformed(format!("attends from {}", b.ty(q))));
    }
    let dtype = b.ty(q).dtype;
    let scale = b.call.optional_float("scale")?.unwrap_or(1.0 / (depth as f64).sqrt());
    let scale = b.number(dtype, Scalar::Float(scale));
    let mut rows = b.add(Arithmetic::Mul, &[q, scale])?;
    // The heads of a group see the same keys: they are rows of one product.
    let grouped = grouped && sizes.len() > 2 && sizes[sizes.len() - 3] != keys[keys.len() - 3];
    let mut together = sizes.clone();
    if grouped {
        let axis = sizes.len() - 3;
        let heads = keys[axis];
        if heads == 0 || !sizes[axis].is_multiple_of(heads) || sizes[..axis] != keys[..axis] {
            return Err(b.call.malformed(format!("groups heads of {sizes:?} over {keys:?}")));
        }
        (together[axis], together[axis + 1]) = (heads, sizes[axis] / heads * length);
        rows = b.reshape(rows, &together)?;
    }
    let mut scores = b.add(BatchMatmul { transpose_a: false, transpose_b: true }, &[rows, k])?;
    let mut each = sizes.clone();
    each[sizes.len() - 1] = seen;
    if grouped {
        scores = b.reshape(scores, &each)?;
    }
    let mut empty = None;
    if let Some(mask) = b.optional_tensor("attn_mask")? {
        (scores, empty) = masked(b, scores, mask)?;
    }
    if b.call.bool("is_causal")? {
        if length.checked_mul(seen).is_none_or(|n| n > MOST) {
            return Err(b.call.malformed(format!("has a mask of {length} by {seen}")));
        }
        let mask =
            (0..length).flat_map(|i| (0..seen).map(move |j| if j <= i { 0.0 } else { f64::NEG_INFINITY }));
        let mask = b.constant(Tensor::from_f64s(dtype, &[length, seen], mask));
        scores = b.add(Arithmetic::Add, &[scores, mask])?;
    }
    let axis = b.ty(scores).rank() - 1;
    let mut shares = b.add(Softmax { axis }, &[scores])?;
    if let Some(empty) = empty {
        let zero = b.number(dtype, Scalar::Float(0.0));
        shares = b.add(Where {}, &[empty, zero, shares])?;
    }
    if grouped {
        *together.last_mut().expect("an operand has axes") = seen;
        shares = b.reshape(shares, &together)?;
    }
    let y = b.add(BatchMatmul::plain(), &[shares, v])?;
    let recorded = b.result(0)?.sizes().map_err(|m| b.call.malformed(m))?;
    let mut results = vec![b.reshape(y, &recorded)?];
    if b.call.results.len() > 1 {
        results.push(log_of_sum(b, scores)?);
    }
    Ok(results)
}

/// `log Σ exp(scores)` of each row, which training would need; it is swept away where nothing reads it.
fn log_of_sum(b: &mut Builder<'_>, scores: ValueId) -> Result<ValueId, Malformed> {
    let axes = vec![b.ty(scores).rank() - 1];
    let most = b.add(Reduce { function: Reduction::Max, axes: axes.clone(), keep: true }, &[scores])?;
    let apart = b.add(Arithmetic::Sub, &[scores, most])?;
    let powers = b.add(Unary::Exp, &[apart])?;
    let sum = b.add(Reduce { function: Reduction::Sum, axes, keep: true }, &[powers])?;
    let log = b.add(Unary::Log, &[sum])?;
    let log = b.add(Arithmetic::Add, &[log, most])?;
    let recorded = b.result(1)?.sizes().map_err(|m| b.call.malformed(m))?;
    b.reshape(log, &recorded)
}

/// The scores where the mask lets them be seen, and the rows of which it lets nothing be seen.
fn masked(
    b: &mut Builder<'_>,
    scores: ValueId,
    mask: ValueId,
) -> Result<(ValueId, Option<ValueId>), Malformed> {
    let (dtype, rank) = (b.ty(scores).dtype, b.ty(mask).rank());
    if rank == 0 {
        return Err(b.call.malformed("has a mask without axes"));
    }
    let least = b.number(dtype, Scalar::Float(f64::NEG_INFINITY));
    let boolean = b.ty(mask).dtype == DType::Bool;
    let additive = match boolean {
        true => {
            let zero = b.number(dtype, Scalar::Float(0.0));
            b.add(Where {}, &[mask, zero, least])?
        }
        false => b.cast(mask, dtype)?,
    };
    let scores = b.add(Arithmetic::Add, &[scores, additive])?;
    if !leaves_nothing(b, mask) {
        return Ok((scores, None));
    }
    let hidden = match boolean {
        true => b.add(Logical::Not, &[mask])?,
        false => b.add(Compare::Equal, &[additive, least])?,
    };
    let empty = b.add(Reduce { function: Reduction::All, axes: vec![rank - 1], keep: true }, &[hidden])?;
    Ok((scores, Some(empty)))
}

/// May the mask leave nothing of some row? Of a constant in memory, this is known.
fn leaves_nothing(b: &Builder<'_>, mask: ValueId) -> bool {
    let Some(Ok(tensor)) = b.graph.constant(mask).map(|c| c.read()) else { return true };
    let row = tensor.sizes().last().copied().unwrap_or(0).max(1);
    let hidden: Vec<bool> = match tensor.dtype() {
        DType::Bool => tensor.to_bools().into_iter().map(|seen| !seen).collect(),
        dtype if dtype.is_float() && dtype.bits() > 8 => {
            tensor.to_f64s().into_iter().map(|x| x == f64::NEG_INFINITY).collect()
        }
        _ => return true,
    };
    hidden.chunks(row).any(|row| row.iter().all(|&h| h))
}
