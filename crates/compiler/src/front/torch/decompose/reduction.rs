//! Sums, means, extremes, norms and variances, and what runs along an axis.

use ir::{DType, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar, Schema};
use crate::ops::{
    ArgReduce, Arithmetic, Compare, Cumsum, Extreme, LogSoftmax, Reduce, Reduction, Softmax, Unary,
};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.sum.default", "aten.sum.dim_IntList"], |b| reduced(b, Reduction::Sum)),
    (&["aten.mean.default", "aten.mean.dim"], |b| reduced(b, Reduction::Mean)),
    (&["aten.prod.default", "aten.prod.dim_int"], |b| reduced(b, Reduction::Prod)),
    (&["aten.amax.default", "aten.max.default"], |b| reduced(b, Reduction::Max)),
    (&["aten.amin.default", "aten.min.default"], |b| reduced(b, Reduction::Min)),
    (&["aten.any.default", "aten.any.dim", "aten.any.dims"], |b| of_truths(b, Reduction::Any)),
    (&["aten.all.default", "aten.all.dim", "aten.all.dims"], |b| of_truths(b, Reduction::All)),
    (&["aten.max.dim"], |b| extreme_with_index(b, Reduction::Max, Extreme::Max)),
    (&["aten.min.dim"], |b| extreme_with_index(b, Reduction::Min, Extreme::Min)),
    (&["aten.argmax.default"], |b| index_of(b, Extreme::Max)),
    (&["aten.argmin.default"], |b| index_of(b, Extreme::Min)),
    (&["aten.aminmax.default"], both_extremes),
    (&["aten.count_nonzero.default", "aten.count_nonzero.dim_IntList"], count_nonzero),
    (&["aten.linalg_vector_norm.default"], |b| norm(b, "ord")),
    (
        &[
            "aten.norm.Scalar",
            "aten.norm.ScalarOpt_dim",
            "aten.norm.ScalarOpt_dim_dtype",
            "aten.norm.ScalarOpt_dtype",
        ],
        |b| norm(b, "p"),
    ),
    (&["aten.var.correction", "aten.var.default", "aten.var.dim"], |b| Ok(vec![variance(b)?.0])),
    (&["aten.std.correction", "aten.std.default", "aten.std.dim"], |b| Ok(vec![deviation(b)?.0])),
    (&["aten.var_mean.correction", "aten.var_mean.default", "aten.var_mean.dim"], |b| {
        let (variance, mean) = variance(b)?;
        Ok(vec![variance, mean])
    }),
    (&["aten.std_mean.correction", "aten.std_mean.default", "aten.std_mean.dim"], |b| {
        let (deviation, mean) = deviation(b)?;
        Ok(vec![deviation, mean])
    }),
    (&["aten.logsumexp.default"], logsumexp),
    (&["aten.softmax.int", "aten._softmax.default", "aten.special_softmax.default"], |b| {
        along(b, |axis| Softmax { axis }.into())
    }),
    (&["aten.log_softmax.int", "aten._log_softmax.default", "aten.special_log_softmax.default"], |b| {
        along(b, |axis| LogSoftmax { axis }.into())
    }),
    (&["aten.cumsum.default"], |b| along(b, |axis| Cumsum { axis }.into())),
];

/// Does the call have an argument of this name?
fn has(b: &Builder<'_>, name: &str) -> bool {
    Schema::of(&b.call.target).is_some_and(|schema| schema.parameters.contains_key(name))
}

fn keeps(b: &Builder<'_>) -> Result<bool, Malformed> {
    if has(b, "keepdim") { b.call.bool("keepdim") } else { Ok(false) }
}

/// The axes that the call reduces, in rising order: all of them where it names none.
fn axes(b: &Builder<'_>, rank: usize) -> Result<Vec<usize>, Malformed> {
    if !has(b, "dim") {
        return Ok((0..rank).collect());
    }
    // A tensor without axes has one for the purpose of naming it.
    let mut axes = b.call.axes_or_all("dim", rank.max(1))?;
    axes.retain(|&axis| axis < rank);
    axes.sort_unstable();
    Ok(axes)
}

impl Builder<'_> {
    /// A number of all elements along some axes; the value itself where there are none.
    fn reduce(
        &mut self,
        value: ValueId,
        function: Reduction,
        axes: &[usize],
        keep: bool,
    ) -> Result<ValueId, Malformed> {
        if axes.is_empty() {
            return Ok(value);
        }
        self.add(Reduce { function, axes: axes.to_vec(), keep }, &[value])
    }
}

/// In the dtype of the result, which is what PyTorch sums in: i64 for integers and truth values.
fn reduced(b: &mut Builder<'_>, function: Reduction) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let x = b.operand("self", dtype)?;
    let function = match (dtype, function) {
        (DType::Bool, Reduction::Max) => Reduction::Any,
        (DType::Bool, Reduction::Min) => Reduction::All,
        _ => function,
    };
    let (axes, keep) = (axes(b, b.ty(x).rank())?, keeps(b)?);
    Ok(vec![b.reduce(x, function, &axes, keep)?])
}

fn of_truths(b: &mut Builder<'_>, function: Reduction) -> Result<Vec<ValueId>, Malformed> {
    if b.call.target.ends_with(".dims") && b.call.optional_ints("dim")?.is_some_and(|dims| dims.is_empty()) {
        return Err(b.call.malformed("reduces along an empty list of axes"));
    }
    let x = b.tensor("self")?;
    let x = b.truths(x)?;
    let (axes, keep, dtype) = (axes(b, b.ty(x).rank())?, keeps(b)?, b.result(0)?.dtype);
    let result = b.reduce(x, function, &axes, keep)?;
    Ok(vec![b.cast(result, dtype)?])
}

fn extreme_with_index(
    b: &mut Builder<'_>,
    function: Reduction,
    extreme: Extreme,
) -> Result<Vec<ValueId>, Malformed> {
    Ok(vec![reduced(b, function)?[0], index_of(b, extreme)?[0]])
}

/// The index of the first largest or smallest element, of the flattened tensor where no axis is named.
fn index_of(b: &mut Builder<'_>, extreme: Extreme) -> Result<Vec<ValueId>, Malformed> {
    let mut x = b.tensor("self")?;
    let rank = b.ty(x).rank();
    let axis =
        if b.call.optional_int("dim")?.is_some() { Some(b.call.axis("dim", rank.max(1))?) } else { None };
    let axis = match axis {
        Some(axis) if rank > 0 => axis,
        _ => {
            let count = b.ty(x).count().map_err(|m| Malformed(m.0))?;
            x = b.reshape(x, &[count])?;
            0
        }
    };
    // The index stands last among the results.
    let at = b.call.results.len().saturating_sub(1);
    let sizes = b.result(at)?.sizes().map_err(|m| Malformed(m.0))?;
    let found = b.add(ArgReduce { extreme, axis, dtype: DType::I64 }, &[x])?;
    Ok(vec![b.reshape(found, &sizes)?])
}

fn both_extremes(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let rank = b.ty(x).rank();
    let axes = match b.call.optional_int("dim")? {
        Some(_) if rank > 0 => vec![b.call.axis("dim", rank)?],
        _ => (0..rank).collect(),
    };
    let keep = keeps(b)?;
    Ok(vec![b.reduce(x, Reduction::Min, &axes, keep)?, b.reduce(x, Reduction::Max, &axes, keep)?])
}

fn count_nonzero(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let truths = b.truths(x)?;
    let ones = b.cast(truths, DType::I64)?;
    let axes = axes(b, b.ty(ones).rank())?;
    Ok(vec![b.reduce(ones, Reduction::Sum, &axes, false)?])
}

/// `(Σ |x|ᵖ)^(1/p)`, with its limits at 0 and ±∞.
fn norm(b: &mut Builder<'_>, order: &str) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let x = b.operand("self", dtype)?;
    let (axes, keep) = (axes(b, b.ty(x).rank())?, keeps(b)?);
    let order = b.call.optional_scalar(order)?.map_or(2.0, Scalar::as_f64);
    if order == 2.0 {
        let squares = b.add(Unary::Square, &[x])?;
        let total = b.reduce(squares, Reduction::Sum, &axes, keep)?;
        return Ok(vec![b.add(Unary::Sqrt, &[total])?]);
    }
    if order == 0.0 {
        let truths = b.truths(x)?;
        let ones = b.cast(truths, dtype)?;
        return Ok(vec![b.reduce(ones, Reduction::Sum, &axes, keep)?]);
    }
    let sizes = b.add(Unary::Abs, &[x])?;
    if order == f64::INFINITY {
        return Ok(vec![b.reduce(sizes, Reduction::Max, &axes, keep)?]);
    }
    if order == f64::NEG_INFINITY {
        return Ok(vec![b.reduce(sizes, Reduction::Min, &axes, keep)?]);
    }
    if order == 1.0 {
        return Ok(vec![b.reduce(sizes, Reduction::Sum, &axes, keep)?]);
    }
    let (power, root) = (b.number(dtype, Scalar::Float(order)), b.number(dtype, Scalar::Float(1.0 / order)));
    let powers = b.add(Arithmetic::Pow, &[sizes, power])?;
    let total = b.reduce(powers, Reduction::Sum, &axes, keep)?;
    Ok(vec![b.add(Arithmetic::Pow, &[total, root])?])
}

/// The mean of the squared differences from the mean, over the count less a correction; and the mean.
fn variance(b: &mut Builder<'_>) -> Result<(ValueId, ValueId), Malformed> {
    let x = b.tensor("self")?;
    let (ty, keep) = (b.ty(x).clone(), keeps(b)?);
    let axes = axes(b, ty.rank())?;
    if axes.is_empty() || !ty.dtype.is_float() {
        return Err(b.call.malformed(format!("is not computed of {ty}")));
    }
    let correction = if has(b, "correction") {
        b.call.optional_scalar("correction")?.map_or(1.0, Scalar::as_f64)
    } else {
        f64::from(u8::from(b.call.bool("unbiased")?))
    };
    let sizes = b.sizes(x)?;
    let count: usize = axes.iter().map(|&a| sizes[a]).product();
    let mean = b.reduce(x, Reduction::Mean, &axes, true)?;
    let difference = b.add(Arithmetic::Sub, &[x, mean])?;
    let squares = b.add(Unary::Square, &[difference])?;
    let variance = if correction == 0.0 {
        b.reduce(squares, Reduction::Mean, &axes, keep)?
    } else {
        let total = b.reduce(squares, Reduction::Sum, &axes, keep)?;
        let divisor = b.number(ty.dtype, Scalar::Float((count as f64 - correction).max(0.0)));
        b.add(Arithmetic::Div, &[total, divisor])?
    };
    let sizes = b.sizes(variance)?;
    Ok((variance, b.reshape(mean, &sizes)?))
}

fn deviation(b: &mut Builder<'_>) -> Result<(ValueId, ValueId), Malformed> {
    let (variance, mean) = variance(b)?;
    Ok((b.add(Unary::Sqrt, &[variance])?, mean))
}

/// `m + ln Σ exp(x − m)`, where `m` is the largest, or 0 where that is infinite.
fn logsumexp(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let x = b.operand("self", dtype)?;
    let (axes, keep) = (axes(b, b.ty(x).rank())?, keeps(b)?);
    let most = b.reduce(x, Reduction::Max, &axes, true)?;
    let size = b.add(Unary::Abs, &[most])?;
    let (infinity, zero) = (b.number(dtype, Scalar::Float(f64::INFINITY)), b.number(dtype, Scalar::Int(0)));
    let infinite = b.add(Compare::Equal, &[size, infinity])?;
    let most = b.choose(infinite, zero, most)?;
    let difference = b.add(Arithmetic::Sub, &[x, most])?;
    let powers = b.add(Unary::Exp, &[difference])?;
    let total = b.reduce(powers, Reduction::Sum, &axes, keep)?;
    let logarithm = b.add(Unary::Log, &[total])?;
    let sizes = b.sizes(logarithm)?;
    let most = b.reshape(most, &sizes)?;
    Ok(vec![b.add(Arithmetic::Add, &[logarithm, most])?])
}

/// What keeps the sizes and works along one axis, in the dtype of the result.
fn along(b: &mut Builder<'_>, op: fn(usize) -> crate::ops::Op) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let x = b.operand("self", dtype)?;
    // A tensor without axes has one for the purpose of naming it.
    let axis = b.call.axis("dim", b.ty(x).rank().max(1))?;
    Ok(vec![b.add(op(axis), &[x])?])
}
