//! Elements told apart by their place: triangles of matrices, and codes of one place each.

use ir::{DType, Tensor, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Compare, Where};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.tril.default"], |b| triangle(b, |away, diagonal| away <= diagonal)),
    (&["aten.triu.default"], |b| triangle(b, |away, diagonal| away >= diagonal)),
    (&["aten.one_hot.default"], one_hot),
];

/// The largest mask that is made, in elements.
const MOST: usize = 16 << 20;

/// `where(column − row …, x, 0)`
fn triangle(b: &mut Builder<'_>, kept: fn(i128, i128) -> bool) -> Result<Vec<ValueId>, Malformed> {
    let value = b.tensor("self")?;
    let diagonal = i128::from(b.call.int("diagonal")?);
    let sizes = b.sizes(value)?;
    let &[.., rows, columns] = &sizes[..] else {
        return Err(b.call.malformed(format!("takes triangles of {}", b.ty(value))));
    };
    if rows.checked_mul(columns).is_none_or(|n| n > MOST) {
        return Err(b
            .call
            .malformed(format!("triangles of {rows} rows and {columns} columns are too large")));
    }
    let places = (0..rows as i128).flat_map(|row| (0..columns as i128).map(move |column| column - row));
    let mask: Vec<bool> = places.map(|away| kept(away, diagonal)).collect();
    let mask = b.constant(Tensor::from_bools(&[rows, columns], &mask));
    let zero = b.number(b.ty(value).dtype, Scalar::Int(0));
    Ok(vec![b.add(Where {}, &[mask, value, zero])?])
}

/// `cast(i = [0, 1, …])`, the classes along a new last axis
fn one_hot(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (value, ty) = (b.tensor("self")?, b.result(0)?);
    let (dtype, mut sizes) = (b.ty(value).dtype, b.sizes(value)?);
    let classes = *ty.sizes().map_err(|m| Malformed(m.0))?.last().ok_or_else(|| Malformed(ty.to_string()))?;
    if classes > MOST {
        return Err(b.call.malformed(format!("{classes} classes are too many")));
    }
    sizes.push(1);
    let indices = b.reshape(value, &sizes)?;
    let all = b.constant(Tensor::from_i64s(dtype, &[classes], 0..classes as i64));
    let hot = b.add(Compare::Equal, &[indices, all])?;
    Ok(vec![b.cast(hot, DType::I64)?])
}
