//! Normalizations: how each call's arguments become the operands of one operator.

use ir::{DType, Tensor, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Arithmetic, BatchNorm, GroupNorm, LayerNorm, Reduce, Reduction, Unary};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (
        &[
            "aten.batch_norm.default",
            "aten._native_batch_norm_legit_no_training.default",
            "aten._native_batch_norm_legit.no_stats",
            "aten._native_batch_norm_legit.default",
            "aten._native_batch_norm_legit_functional.default",
            "aten.native_batch_norm.default",
        ],
        batch_norm,
    ),
    (&["aten.layer_norm.default", "aten.native_layer_norm.default"], layer_norm),
    (&["aten.group_norm.default"], |b| group_norm(b, b.call.size("num_groups")?)),
    (&["aten.native_group_norm.default"], |b| {
        let said = [b.call.size("N")?, b.call.size("C")?, b.call.size("HxW")?];
        let sizes = b.sizes(b.tensor("input")?)?;
        let pixels = sizes.iter().skip(2).try_fold(1usize, |n, &size| n.checked_mul(size));
        if sizes.get(..2) != Some(&said[..2]) || pixels != Some(said[2]) {
            return Err(b.call.malformed(format!("normalizes {sizes:?} as {said:?}")));
        }
        group_norm(b, b.call.size("group")?)
    }),
    (&["aten.instance_norm.default"], instance_norm),
    (&["aten.rms_norm.default"], rms_norm),
];

/// The most numbers that are made for an argument that is left out.
const MOST: usize = 1 << 24;

/// The value of an argument, or `count` times a number.
fn or_repeated(b: &mut Builder<'_>, name: &str, count: usize, number: f64) -> Result<ValueId, Malformed> {
    if let Some(value) = b.optional_tensor(name)? {
        return Ok(value);
    }
    let dtype = real(b)?;
    Ok(b.constant(Tensor::from_f64s(dtype, &[count], std::iter::repeat_n(number, count))))
}

/// The dtype of the input, which must be one that is computed with.
fn real(b: &Builder<'_>) -> Result<DType, Malformed> {
    match b.call.tensor("input")?.ty.dtype {
        dtype @ (DType::F16 | DType::Bf16 | DType::F32 | DType::F64) => Ok(dtype),
        other => Err(b.call.malformed(format!("normalizes {other}"))),
    }
}

fn channels(b: &Builder<'_>, x: ValueId) -> Result<usize, Malformed> {
    match b.sizes(x)?[..] {
        [_, channels, ..] if channels <= MOST => Ok(channels),
        _ => Err(b.call.malformed(format!("{} has no channels", b.ty(x)))),
    }
}

/// With the statistics that were learned, or else with those of the batch.
fn batch_norm(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("input")?;
    let (count, eps) = (channels(b, x)?, b.call.float("eps")?);
    let learned = match &*b.call.target {
        "aten._native_batch_norm_legit_no_training.default" => true,
        _ => !b.call.bool("training")?,
    };
    let (gamma, beta) = (or_repeated(b, "weight", count, 1.0)?, or_repeated(b, "bias", count, 0.0)?);
    let has_statistics = b.call.get("running_mean").is_ok() && b.optional_tensor("running_mean")?.is_some();
    let (mean, variance) = match (learned, has_statistics) {
        (true, true) => (b.tensor("running_mean")?, b.tensor("running_var")?),
        (false, false) => statistics(b, x)?,
        (false, true) => {
            let message = "learns from the batch as in training; call .eval() on the model before export";
            return Err(b.call.malformed(message));
        }
        (true, false) => return Err(b.call.malformed("has no statistics to normalize with")),
    };
    let y = b.add(BatchNorm { axis: 1, eps }, &[x, gamma, beta, mean, variance])?;
    let mut results = vec![y];
    // What training would have kept: nothing, where the statistics were learned before.
    for i in 1..b.call.results.len() {
        let Some(ty) = b.call.results[i].as_ref().map(|t| t.ty.clone()) else { break };
        match ty.count() {
            Ok(0) => results.push(b.constant(Tensor::zeros(ty.dtype, &[0]))),
            // Where they were learned, they stay as they were: the last two results of the functional overload.
            _ if i == 1 || i == 3 => results.push(mean),
            _ if i == 4 => results.push(variance),
            _ => {
                let eps = b.number(ty.dtype, Scalar::Float(eps));
                let sum = b.add(Arithmetic::Add, &[variance, eps])?;
                results.push(b.add(Unary::Rsqrt, &[sum])?);
            }
        }
    }
    Ok(results)
}

/// Mean and variance of each channel over the batch and all of its elements.
fn statistics(b: &mut Builder<'_>, x: ValueId) -> Result<(ValueId, ValueId), Malformed> {
    let sizes = b.sizes(x)?;
    let axes: Vec<usize> = (0..sizes.len()).filter(|&a| a != 1).collect();
    let mean_of = |b: &mut Builder<'_>, value: ValueId| {
        b.add(Reduce { function: Reduction::Mean, axes: axes.clone(), keep: true }, &[value])
    };
    let mean = mean_of(b, x)?;
    let apart = b.add(Arithmetic::Sub, &[x, mean])?;
    let square = b.add(Arithmetic::Mul, &[apart, apart])?;
    let variance = mean_of(b, square)?;
    Ok((b.reshape(mean, &[sizes[1]])?, b.reshape(variance, &[sizes[1]])?))
}

/// Gamma and beta where there are any; gamma is of ones where beta stands alone.
fn affine(b: &mut Builder<'_>, sizes: &[usize]) -> Result<Vec<ValueId>, Malformed> {
    let (gamma, beta) = (b.optional_tensor("weight")?, b.optional_tensor("bias")?);
    let gamma = match (gamma, beta) {
        (None, Some(_)) => {
            let (dtype, count) = (real(b)?, sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s)));
            let count = count.filter(|&n| n <= MOST);
            let count = count.ok_or_else(|| b.call.malformed(format!("normalizes {sizes:?} elements")))?;
            Some(b.constant(Tensor::from_f64s(dtype, sizes, std::iter::repeat_n(1.0, count))))
        }
        _ => gamma,
    };
    Ok(gamma.into_iter().chain(beta).collect())
}

/// The trailing axes of the given sizes.
fn trailing(b: &Builder<'_>, x: ValueId) -> Result<Vec<usize>, Malformed> {
    let (rank, count) = (b.sizes(x)?.len(), b.call.ints("normalized_shape")?.len());
    match rank.checked_sub(count) {
        Some(first) if count > 0 => Ok((first..rank).collect()),
        _ => Err(b.call.malformed(format!("normalizes {count} axes of {}", b.ty(x)))),
    }
}

fn layer_norm(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("input")?;
    let (axes, eps, sizes) = (trailing(b, x)?, b.call.float("eps")?, b.sizes(x)?);
    let mut inputs = vec![x];
    inputs.extend(affine(b, &sizes[axes[0]..])?);
    let y = b.add(LayerNorm { axes: axes.clone(), eps }, &inputs)?;
    if b.call.results.len() < 3 {
        return Ok(vec![y]);
    }
    // The mean and one over the deviation are swept away where nothing reads them.
    let mean_of = |b: &mut Builder<'_>, value: ValueId| {
        b.add(Reduce { function: Reduction::Mean, axes: axes.clone(), keep: true }, &[value])
    };
    let mean = mean_of(b, x)?;
    let apart = b.add(Arithmetic::Sub, &[x, mean])?;
    let square = b.add(Arithmetic::Mul, &[apart, apart])?;
    let variance = mean_of(b, square)?;
    let eps = b.number(b.ty(x).dtype, Scalar::Float(eps));
    let sum = b.add(Arithmetic::Add, &[variance, eps])?;
    let rstd = b.add(Unary::Rsqrt, &[sum])?;
    Ok(vec![y, mean, rstd])
}

fn group_norm(b: &mut Builder<'_>, groups: usize) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("input")?;
    let (count, eps) = (channels(b, x)?, b.call.float("eps")?);
    let mut inputs = vec![x];
    inputs.extend(affine(b, &[count])?);
    let y = b.add(GroupNorm { axis: 1, groups, eps }, &inputs)?;
    if b.call.results.len() < 3 {
        return Ok(vec![y]);
    }
    let sizes = b.sizes(x)?;
    let (batch, inside) = (sizes[0], sizes[2..].iter().product::<usize>());
    if groups == 0 {
        return Err(b.call.malformed("makes no groups"));
    }
    let rows = b.reshape(x, &[batch, groups, count / groups * inside])?;
    let mean_of = |b: &mut Builder<'_>, value: ValueId| {
        b.add(Reduce { function: Reduction::Mean, axes: vec![2], keep: true }, &[value])
    };
    let mean = mean_of(b, rows)?;
    let apart = b.add(Arithmetic::Sub, &[rows, mean])?;
    let square = b.add(Arithmetic::Mul, &[apart, apart])?;
    let variance = mean_of(b, square)?;
    let eps = b.number(b.ty(x).dtype, Scalar::Float(eps));
    let sum = b.add(Arithmetic::Add, &[variance, eps])?;
    let rstd = b.add(Unary::Rsqrt, &[sum])?;
    Ok(vec![y, b.reshape(mean, &[batch, groups])?, b.reshape(rstd, &[batch, groups])?])
}

/// Each channel of each sample is a group of its own, unless learned statistics serve all samples.
fn instance_norm(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("input")?;
    let (count, eps) = (channels(b, x)?, b.call.float("eps")?);
    if !b.call.bool("use_input_stats")? {
        let (gamma, beta) = (or_repeated(b, "weight", count, 1.0)?, or_repeated(b, "bias", count, 0.0)?);
        let (mean, variance) = (b.tensor("running_mean")?, b.tensor("running_var")?);
        return Ok(vec![b.add(BatchNorm { axis: 1, eps }, &[x, gamma, beta, mean, variance])?]);
    }
    let mut inputs = vec![x];
    inputs.extend(affine(b, &[count])?);
    Ok(vec![b.add(GroupNorm { axis: 1, groups: count, eps }, &inputs)?])
}

/// `x · 1 / √(mean(x²) + eps) · gamma`; without an eps, that of the dtype.
fn rms_norm(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("input")?;
    let (axes, dtype) = (trailing(b, x)?, real(b)?);
    if !matches!(dtype, DType::F32 | DType::F64) {
        return Err(b.call.malformed(format!("normalizes {dtype}")));
    }
    let eps = b.call.optional_float("eps")?.unwrap_or(match dtype {
        DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    });
    let square = b.add(Arithmetic::Mul, &[x, x])?;
    let mean = b.add(Reduce { function: Reduction::Mean, axes, keep: true }, &[square])?;
    let eps = b.number(dtype, Scalar::Float(eps));
    let sum = b.add(Arithmetic::Add, &[mean, eps])?;
    let scale = b.add(Unary::Rsqrt, &[sum])?;
    let mut y = b.add(Arithmetic::Mul, &[x, scale])?;
    if let Some(gamma) = b.optional_tensor("weight")? {
        y = b.add(Arithmetic::Mul, &[y, gamma])?;
    }
    Ok(vec![y])
}
