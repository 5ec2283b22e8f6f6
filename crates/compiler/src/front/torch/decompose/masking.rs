//! Elements told apart by their place: triangles of matrices, and codes of one place each.

use ir::{DType, Tensor, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Compare, Where};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.tril.default"], |b| triangle(b, |away, diagonal| away <= diagonal)),
    (&["aten.triu.default"], |b| triangle(b, |away, diagonal| away >= diagonal)),
    (&["aten.one_hot.default"], one_hot),
    (&["aten.eye.default", "aten.eye.m"], eye),
    (&["aten.tril_indices.default"], |b| triangle_indices(b, |away, offset| away <= offset)),
    (&["aten.triu_indices.default"], |b| triangle_indices(b, |away, offset| away >= offset)),
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

/// Ones where row and column are the same.
fn eye(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let ty = b.result(0)?;
    let sizes = ty.sizes().map_err(|m| Malformed(m.0))?;
    let &[rows, columns] = &sizes[..] else { return Err(b.call.malformed(format!("makes {ty}"))) };
    if rows.checked_mul(columns).is_none_or(|n| n > MOST) {
        return Err(b.call.malformed(format!("a matrix of {rows} rows and {columns} columns is too large")));
    }
    let ones = (0..rows).flat_map(|row| (0..columns).map(move |column| row == column));
    let ones = Tensor::from_bools(&sizes, &ones.collect::<Vec<bool>>());
    let ones = b.constant(ones);
    Ok(vec![b.cast(ones, ty.dtype)?])
}

/// The rows and the columns of a triangle's places, row after row.
fn triangle_indices(b: &mut Builder<'_>, inside: fn(i128, i128) -> bool) -> Result<Vec<ValueId>, Malformed> {
    let (rows, columns, dtype) = (b.call.size("row")?, b.call.size("col")?, b.result(0)?.dtype);
    let offset = i128::from(b.call.int("offset")?);
    if rows.checked_mul(columns).is_none_or(|n| n > MOST) || !dtype.is_int() || dtype == DType::I4 {
        return Err(b.call.malformed(format!("a triangle of {rows} rows and {columns} columns as {dtype}")));
    }
    let places = (0..rows as i64).flat_map(|row| (0..columns as i64).map(move |column| (row, column)));
    let places: Vec<(i64, i64)> =
        places.filter(|&(row, column)| inside(i128::from(column) - i128::from(row), offset)).collect();
    let both = places.iter().map(|p| p.0).chain(places.iter().map(|p| p.1));
    Ok(vec![b.constant(Tensor::from_i64s(dtype, &[2, places.len()], both))])
}
