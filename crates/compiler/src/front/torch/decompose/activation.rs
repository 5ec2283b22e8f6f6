//! Activation functions that take numbers or are made of several operators.

use ir::{DType, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Arithmetic, Clamp, Compare, Elu, LeakyRelu, Prelu, Slice, Softplus, Unary};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.clamp.default", "aten.clip.default"], |b| {
        let (min, max) = (b.call.optional_scalar("min")?, b.call.optional_scalar("max")?);
        bounded(b, min, max)
    }),
    (&["aten.clamp_min.default"], |b| bounded(b, Some(b.call.scalar("min")?), None)),
    (&["aten.clamp_max.default"], |b| bounded(b, None, Some(b.call.scalar("max")?))),
    (&["aten.hardtanh.default"], |b| {
        let (min, max) = (b.call.scalar("min_val")?, b.call.scalar("max_val")?);
        bounded(b, Some(min), Some(max))
    }),
    (&["aten.clamp.Tensor", "aten.clip.Tensor"], |b| {
        let min = b.call.optional_tensor("min")?.is_some();
        let max = b.call.optional_tensor("max")?.is_some();
        bounded_by_tensors(b, min, max)
    }),
    (&["aten.clamp_min.Tensor"], |b| bounded_by_tensors(b, true, false)),
    (&["aten.clamp_max.Tensor"], |b| bounded_by_tensors(b, false, true)),
    (&["aten.leaky_relu.default"], leaky_relu),
    (&["aten.prelu.default"], prelu),
    (&["aten.elu.default"], |b| {
        let [alpha, scale, input_scale] = ["alpha", "scale", "input_scale"].map(|name| b.call.float(name));
        elu(b, Elu { alpha: alpha?, scale: scale?, input_scale: input_scale? })
    }),
    (&["aten.celu.default"], |b| {
        let alpha = b.call.float("alpha")?;
        elu(b, Elu { alpha, scale: 1.0, input_scale: 1.0 / alpha })
    }),
    // The numbers of `torch.nn.functional.selu`, as its documentation has them.
    (&["aten.selu.default"], |b| {
        elu(b, Elu { alpha: 1.6732632423543772, scale: 1.0507009873554805, input_scale: 1.0 })
    }),
    (&["aten.softplus.default"], softplus),
    (&["aten.glu.default"], glu),
    (&["aten.threshold.default"], threshold),
    (&["aten.hardshrink.default"], hardshrink),
    (&["aten.softshrink.default"], softshrink),
    (&["aten.frac.default"], frac),
];

/// A number as an element of `dtype`: rounded to it once, as PyTorch does before it computes.
fn rounded(b: &Builder<'_>, number: Scalar, dtype: DType) -> Result<f64, Malformed> {
    match (number, dtype) {
        (Scalar::Float(x), DType::F32) => Ok(f64::from(x as f32)),
        (Scalar::Float(x), dtype) if dtype.is_float() => Ok(x),
        (Scalar::Int(n), DType::F32) => Ok(f64::from(n as f32)),
        // Up to 2⁵³ a double is the integer; the largest of all bound nothing.
        (Scalar::Int(n), _) if n.unsigned_abs() <= 1 << 53 || n == i64::MAX || n == i64::MIN => Ok(n as f64),
        (Scalar::Bool(x), _) => Ok(f64::from(u8::from(x))),
        _ => Err(b.call.malformed(format!("{number:?} is not exact in the arithmetic of {dtype}"))),
    }
}

/// `min(max(x, min), max)`, by the operator that is best at it.
fn bounded(b: &mut Builder<'_>, min: Option<Scalar>, max: Option<Scalar>) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let x = b.operand("self", dtype)?;
    let min = min.map(|n| rounded(b, n, dtype)).transpose()?;
    let max = max.map(|n| rounded(b, n, dtype)).transpose()?;
    let result = match (min, max) {
        (None, None) => return Err(b.call.malformed("needs a bound")),
        (Some(low), high) if low == 0.0 && high.is_none_or(|h| h == f64::INFINITY) && dtype.is_float() => {
            b.add(Unary::Relu, &[x])?
        }
        (Some(low), Some(high)) if (low, high) == (0.0, 6.0) && dtype.is_float() => {
            b.add(Unary::Relu6, &[x])?
        }
        (min, max) => b.add(Clamp { min, max }, &[x])?,
    };
    Ok(vec![result])
}

fn bounded_by_tensors(b: &mut Builder<'_>, min: bool, max: bool) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let mut x = b.operand("self", dtype)?;
    for (name, given, function) in [("min", min, Arithmetic::Maximum), ("max", max, Arithmetic::Minimum)] {
        if given {
            let bound = b.operand(name, dtype)?;
            x = b.add(function, &[x, bound])?;
        }
    }
    Ok(vec![x])
}

fn leaky_relu(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let slope = rounded(b, b.call.scalar("negative_slope")?, b.ty(x).dtype)?;
    Ok(vec![b.add(LeakyRelu { slope }, &[x])?])
}

/// One slope, or one for each index of the second axis.
fn prelu(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (x, slope) = (b.tensor("self")?, b.tensor("weight")?);
    let (rank, count) = (b.ty(x).rank(), b.ty(slope).count().map_err(|m| Malformed(m.0))?);
    let mut sizes = vec![1; rank];
    if count != 1 {
        let slopes = b.ty(slope).to_string();
        let channel =
            sizes.get_mut(1).ok_or_else(|| Malformed(format!("{slopes} has no axis to go along")))?;
        *channel = count;
    }
    let slope = b.reshape(slope, &sizes)?;
    Ok(vec![b.add(Prelu {}, &[x, slope])?])
}

fn elu(b: &mut Builder<'_>, elu: Elu) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    Ok(vec![b.add(elu, &[x])?])
}

fn softplus(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let (beta, threshold) = (b.call.float("beta")?, b.call.float("threshold")?);
    Ok(vec![b.add(Softplus { beta, threshold }, &[x])?])
}

/// The first half along an axis times the sigmoid of the second.
fn glu(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let sizes = b.sizes(x)?;
    let axis = b.call.axis("dim", sizes.len())?;
    let half = sizes[axis] / 2;
    if sizes[axis] % 2 != 0 {
        return Err(b.call.malformed(format!("halves an axis of {} elements", sizes[axis])));
    }
    let value = b.add(Slice::along(&sizes, axis, 0, half), &[x])?;
    let gate = b.add(Slice::along(&sizes, axis, half, half), &[x])?;
    let gate = b.add(Unary::Sigmoid, &[gate])?;
    Ok(vec![b.add(Arithmetic::Mul, &[value, gate])?])
}

/// `value` where `x` is at most the threshold, elsewhere `x`
fn threshold(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let dtype = b.ty(x).dtype;
    let (least, value) = (b.operand("threshold", dtype)?, b.operand("value", dtype)?);
    let low = b.add(Compare::LessEqual, &[x, least])?;
    Ok(vec![b.choose(low, value, x)?])
}

/// 0 where `|x|` is at most `lambd`, elsewhere `x`
fn hardshrink(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let dtype = b.ty(x).dtype;
    let size = b.add(Unary::Abs, &[x])?;
    let least = b.operand("lambd", dtype)?;
    let low = b.add(Compare::LessEqual, &[size, least])?;
    let zero = b.number(dtype, Scalar::Int(0));
    Ok(vec![b.choose(low, zero, x)?])
}

/// `x` less what of it is within `±lambd`
fn softshrink(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let bound = rounded(b, b.call.scalar("lambd")?, b.ty(x).dtype)?;
    let within = b.add(Clamp { min: Some(-bound), max: Some(bound) }, &[x])?;
    Ok(vec![b.add(Arithmetic::Sub, &[x, within])?])
}

/// `x` less its whole part
fn frac(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let whole = b.add(Unary::Trunc, &[x])?;
    Ok(vec![b.add(Arithmetic::Sub, &[x, whole])?])
}
