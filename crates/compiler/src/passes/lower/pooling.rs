//! Pools whose padding or dilation TFLite lacks.

use ir::{Tensor, rules};

use crate::ops::{
    Activation, Arithmetic, Layout, Op, Pad, Padding, Patch, Pool2d, Pooling, Rule, Site, Slice, Unary,
};

pub(super) const RULES: &[Rule] =
    rules![pad_before_max_pool, count_after_average_pool, dilated_pool_as_slices];

/// The padding of all axes of an image.
pub(super) fn around(layout: Layout, padding: [Padding; 2]) -> Vec<Padding> {
    let mut all = vec![Padding::default(); 4];
    let h = layout.height();
    all[h..h + 2].copy_from_slice(&padding);
    all
}

const NOTHING: [Padding; 2] = [Padding { before: 0, after: 0 }; 2];

/// `pool2d(x) { max, padding }  =>  pool2d(pad(x, −∞)) { max }`; zero does as well where nothing is below it, and has
/// a builtin that XNNPACK takes
fn pad_before_max_pool(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Pool2d = at.op()?;
    if op.pooling != Pooling::Max || op.padding == NOTHING {
        return None;
    }
    let least = if is_rectified(at) { 0.0 } else { f64::NEG_INFINITY };
    let mut patch = at.patch();
    let x = patch.add(Pad::constant(around(op.layout, op.padding), least), [at.input(0)?]);
    let y = patch.add(Pool2d { padding: NOTHING, ..op.clone() }, [x]);
    Some(patch.replace(at.output(), y))
}

/// Does the input come out of a function that gives nothing below zero?
fn is_rectified(at: Site<'_>) -> bool {
    let Some(below) = at.producer(0) else { return false };
    let activation = match &below.node().op {
        Op::Unary(function) => return matches!(function, Unary::Relu | Unary::Relu6),
        Op::Binary(op) => op.activation,
        Op::Conv2d(op) => op.activation,
        Op::DepthwiseConv2d(op) => op.activation,
        Op::FullyConnected(op) => op.activation,
        _ => return false,
    };
    matches!(activation, Activation::Relu | Activation::Relu6)
}

/// The most numbers that are made for the sake of an average.
const MOST_CELLS: usize = 1 << 24;

/// `pool2d(x) { average, padding }  =>  pool2d(pad(x, 0)) { average } · (taps / elements)`
fn count_after_average_pool(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Pool2d = at.op()?;
    if op.pooling != Pooling::Average || op.padding == NOTHING || op.activation != Activation::None {
        return None;
    }
    let (x, y) = (at.input_ty(0)?.sizes().ok()?, at.output_ty().sizes().ok()?);
    let h = op.layout.height();
    let elements = |i: usize| -> Vec<usize> {
        let Padding { before, .. } = op.padding[i];
        let inside = |at: usize, tap: usize| {
            (at * op.stride[i] + tap * op.dilation[i]).checked_sub(before).is_some_and(|p| p < x[h + i])
        };
        (0..y[h + i]).map(|at| (0..op.kernel[i]).filter(|&tap| inside(at, tap)).count()).collect()
    };
    let (rows, columns) = (elements(0), elements(1));
    if rows.len().checked_mul(columns.len())? > MOST_CELLS {
        return None;
    }
    let taps = (op.kernel[0] * op.kernel[1]) as f64;
    let factors = rows.iter().flat_map(|r| columns.iter().map(move |c| taps / (r * c) as f64));
    let sizes = op.layout.image(1, 1, [rows.len(), columns.len()]);
    let factors = Tensor::from_f64s(at.output_ty().dtype, &sizes, factors);
    let mut patch = at.patch();
    let padded = patch.add(Pad::constant(around(op.layout, op.padding), 0.0), [at.input(0)?]);
    let mean = patch.add(Pool2d { padding: NOTHING, ..op.clone() }, [padded]);
    let factors = patch.constant("factors", factors);
    let y = patch.add(Arithmetic::Mul, [mean, factors]);
    Some(patch.replace(at.output(), y))
}

/// More taps than this make a graph that no one wants.
const MOST_TAPS: usize = 64;

/// `pool2d(x) { max, dilation }  =>  maximum(slice(x), slice(x), …)`, a slice for each tap
fn dilated_pool_as_slices(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Pool2d = at.op()?;
    let taps = op.kernel[0].checked_mul(op.kernel[1])?;
    let plain = op.dilation == [1, 1] || op.activation != Activation::None;
    if op.pooling != Pooling::Max || op.padding != NOTHING || plain || taps > MOST_TAPS {
        return None;
    }
    let (x, y) = (at.input_ty(0)?.sizes().ok()?, at.output_ty().sizes().ok()?);
    let h = op.layout.height();
    let mut patch = at.patch();
    let mut most = None;
    for tap in 0..taps {
        let place = [tap / op.kernel[1], tap % op.kernel[1]];
        let mut slice = Slice::along(&x, h, 0, y[h]);
        for i in 0..2 {
            slice.start[h + i] = place[i] * op.dilation[i];
            slice.sizes[h + i] = y[h + i];
            slice.step[h + i] = op.stride[i];
        }
        let part = patch.add(slice, [at.input(0)?]);
        most = Some(match most {
            Some(most) => patch.add(Arithmetic::Maximum, [most, part]),
            None => part,
        });
    }
    Some(patch.replace(at.output(), most?))
}
