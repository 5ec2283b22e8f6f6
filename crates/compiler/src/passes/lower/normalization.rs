//! Normalizations as means, differences and products.

use ir::{DType, Tensor, ValueId, rules};

use super::shaping::reshaped;
use crate::ops::{Arithmetic, BatchNorm, GroupNorm, LayerNorm, Patch, Reduce, Reduction, Rule, Site, Unary};

pub(super) const RULES: &[Rule] = rules![batch_norm_as_line, layer_norm_as_means, group_norm_as_means];

fn mean(patch: &mut Patch<'_>, x: ValueId, axes: &[usize]) -> ValueId {
    patch.add(Reduce { function: Reduction::Mean, axes: axes.to_vec(), keep: true }, [x])
}

fn number(patch: &mut Patch<'_>, dtype: DType, name: &str, value: f64) -> ValueId {
    patch.constant(name, Tensor::scalar(dtype, value))
}

/// `1` along every axis but one.
fn along(rank: usize, axis: usize, size: usize) -> Vec<usize> {
    (0..rank).map(|a| if a == axis { size } else { 1 }).collect()
}

/// `1 / √(variance + eps)`
fn inverse_deviation(patch: &mut Patch<'_>, variance: ValueId, eps: f64) -> ValueId {
    let eps = number(patch, patch.ty(variance).dtype, "eps", eps);
    let sum = patch.add(Arithmetic::Add, [variance, eps]);
    patch.add(Unary::Rsqrt, [sum])
}

/// `batch_norm(x)  =>  x · s + (beta − mean · s)` with `s = gamma / √(variance + eps)`
pub(crate) fn batch_norm_as_line(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &BatchNorm = at.op()?;
    let &[x, gamma, beta, centre, variance] = at.inputs() else { return None };
    let (sizes, dtype) = (at.output_ty().sizes().ok()?, at.output_ty().dtype);
    let wide = along(sizes.len(), op.axis, sizes[op.axis]);
    let mut patch = at.patch();
    let eps = number(&mut patch, dtype, "eps", op.eps);
    let sum = patch.add(Arithmetic::Add, [variance, eps]);
    let deviation = patch.add(Unary::Sqrt, [sum]);
    let scale = patch.add(Arithmetic::Div, [gamma, deviation]);
    let moved = patch.add(Arithmetic::Mul, [centre, scale]);
    let shift = patch.add(Arithmetic::Sub, [beta, moved]);
    let (scale, shift) = (reshaped(&mut patch, scale, &wide), reshaped(&mut patch, shift, &wide));
    let y = patch.add(Arithmetic::Mul, [x, scale]);
    let y = patch.add(Arithmetic::Add, [y, shift]);
    Some(patch.replace(at.output(), y))
}

/// `layer_norm(x)  =>  d / √(mean(d²) + eps) · gamma + beta` with `d = x − mean(x)`
fn layer_norm_as_means(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &LayerNorm = at.op()?;
    let (x, sizes) = (at.input(0)?, at.output_ty().sizes().ok()?);
    let mut patch = at.patch();
    let centre = mean(&mut patch, x, &op.axes);
    let apart = patch.add(Arithmetic::Sub, [x, centre]);
    let square = patch.add(Arithmetic::Mul, [apart, apart]);
    let variance = mean(&mut patch, square, &op.axes);
    let scale = inverse_deviation(&mut patch, variance, op.eps);
    let mut y = patch.add(Arithmetic::Mul, [apart, scale]);
    for (i, function) in [(1, Arithmetic::Mul), (2, Arithmetic::Add)] {
        if let Some(affine) = at.input(i) {
            let affine = reshaped(&mut patch, affine, &op.broadcast(&sizes));
            y = patch.add(function, [y, affine]);
        }
    }
    Some(patch.replace(at.output(), y))
}

/// `group_norm(x)  =>  d · s + beta` with `d = x − m` and `s = gamma / √(mean(d²) + eps)`; means are taken of each
/// channel, then of the channels of each group, so that the image keeps its axes
fn group_norm_as_means(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &GroupNorm = at.op()?;
    let (x, sizes, dtype) = (at.input(0)?, at.output_ty().sizes().ok()?, at.output_ty().dtype);
    let (rank, channels) = (sizes.len(), sizes[op.axis]);
    let mut each = along(rank, op.axis, channels);
    each[0] = sizes[0];
    let grouped = [sizes[0], op.groups, channels / op.groups];
    let wide = along(rank, op.axis, channels);
    let pixels: Vec<usize> = (1..rank).filter(|&a| a != op.axis).collect();
    let alone = op.groups == channels;
    let mut patch = at.patch();
    let gamma = match at.input(1) {
        Some(gamma) => Some(gamma),
        None if alone => None,
        // Ones that repeat a group's number for each of its channels.
        None => {
            let ones = Tensor::from_f64s(dtype, &[channels], std::iter::repeat_n(1.0, channels));
            Some(patch.constant("ones", ones))
        }
    };
    // Mean over a group, still with one number per group: `[batch, groups, 1]`, or per channel where these are alike.
    let over_group = |patch: &mut Patch<'_>, value: ValueId| {
        let own = if pixels.is_empty() { value } else { mean(patch, value, &pixels) };
        match alone {
            true => own,
            false => {
                let own = reshaped(patch, own, &grouped);
                mean(patch, own, &[2])
            }
        }
    };
    let mut centre = over_group(&mut patch, x);
    if !alone {
        let ones = Tensor::from_f64s(dtype, &[1, 1, grouped[2]], std::iter::repeat_n(1.0, grouped[2]));
        let ones = patch.constant("ones", ones);
        centre = patch.add(Arithmetic::Mul, [centre, ones]);
        centre = reshaped(&mut patch, centre, &each);
    }
    let apart = patch.add(Arithmetic::Sub, [x, centre]);
    let square = patch.add(Arithmetic::Mul, [apart, apart]);
    let variance = over_group(&mut patch, square);
    let mut scale = inverse_deviation(&mut patch, variance, op.eps);
    if let Some(gamma) = gamma {
        let shape = if alone { wide.clone() } else { vec![1, op.groups, grouped[2]] };
        let gamma = reshaped(&mut patch, gamma, &shape);
        scale = patch.add(Arithmetic::Mul, [scale, gamma]);
    }
    scale = reshaped(&mut patch, scale, &each);
    let mut y = patch.add(Arithmetic::Mul, [apart, scale]);
    if let Some(beta) = at.input(2) {
        let beta = reshaped(&mut patch, beta, &wide);
        y = patch.add(Arithmetic::Add, [y, beta]);
    }
    Some(patch.replace(at.output(), y))
}
