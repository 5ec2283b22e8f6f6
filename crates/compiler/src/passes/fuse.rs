//! Operators taken into the one that makes their operand, or into those that read it: scales, biases, padding,
//! activations.

mod consumers;
mod factors;
mod norm;
mod readers;
mod scale;

use ir::{Constant, DType, Tensor, ValueId, rules};

use super::lower::batch_norm_as_line;
use crate::ops::{
    Activation, Arithmetic, Binary, Conv2d, DepthwiseConv2d, FullyConnected, Op, Pad, PadMode, Padding, Pass,
    Patch, Pool2d, Reshape, Rule, Site, Unary,
};

/// Scales, biases and padding go into convolutions and fully connected layers.
pub fn producers() -> Pass {
    ir::rules_pass(
        "fuse",
        "take batch norms, scales, biases and padding into convolutions and linear layers",
        RULES,
    )
}

/// Scales and shifts go into the weighted operators that read them, unless weights will be integers: a row of a weight
/// has one scale, and columns that differ in size lose by it. Of int8, the detectors of VideoSeal lose 2 to 4 dB.
pub fn consumers(integer_weights: bool) -> Pass {
    let rules = if integer_weights { &[] } else { consumers::RULES };
    ir::rules_pass(
        "fuse::consumers",
        "take scales and shifts into the convolutions and linear layers that read them",
        rules,
    )
}

/// Activations go into what makes their operand.
pub fn activations() -> Pass {
    ir::rules_pass("fuse::activations", "take activations into what makes their operand", ACTIVATIONS)
}

const RULES: &[Rule] = rules![
    norm::layer_norm_of_means,
    norm::affine_into_layer_norm,
    batch_norm_as_line,
    scale_weight,
    shift_bias,
    subtract_from_bias,
    pad_into_convolution,
    scale::merge_factors,
    scale::scale_into_readers,
    scale::scale_behind_shift,
    factors::scale_in_weight_of_factor,
];

const ACTIVATIONS: &[Rule] = rules![fuse_activation];

/// An operator with a weight, one row of which makes one channel of the result.
struct Weighted<'g> {
    site: Site<'g>,
    /// The axis of the result that holds channels.
    channel: usize,
    channels: usize,
}

impl<'g> Weighted<'g> {
    /// The operator behind this site, where it has a constant weight, fuses no activation yet, and no one else reads
    /// its result.
    fn below(at: Site<'g>, input: usize) -> Option<Self> {
        let site = at.sole_producer(input)?;
        let rank = site.output_ty().rank();
        let (activation, channel) = match &site.node().op {
            Op::Conv2d(op) => (op.activation, op.layout.channel()),
            Op::FullyConnected(op) => (op.activation, rank.checked_sub(1)?),
            _ => return None,
        };
        let channels = site.output_ty().sizes().ok()?[channel];
        let constant = (1..site.inputs().len()).all(|i| site.is_constant(i));
        (activation == Activation::None && constant).then_some(Weighted { site, channel, channels })
    }

    /// The other operand of a binary operator as one number per channel, where it is constant and has one number
    /// per channel or one for all.
    fn per_channel(&self, at: Site<'g>, input: usize) -> Option<ValueId> {
        let value = at.input(input).filter(|_| at.is_constant(input))?;
        let (ty, rank) = (at.input_ty(input)?, self.site.output_ty().rank());
        if at.output_ty() != self.site.output_ty() || ty.dtype != at.output_ty().dtype {
            return None;
        }
        let sizes = ty.sizes().ok()?;
        let lead = rank.checked_sub(sizes.len())?;
        let fits =
            |(axis, &n): (usize, &usize)| n == 1 || (lead + axis == self.channel && n == self.channels);
        sizes.iter().enumerate().all(fits).then_some(value)
    }

    /// The weight, and the bias or zeros.
    fn weight(&self) -> ValueId {
        self.site.inputs()[1]
    }

    /// The bias, or zeros.
    fn bias(&self, patch: &mut Patch<'_>) -> ValueId {
        self.site.input(2).unwrap_or_else(|| {
            let zeros = Tensor::zeros(self.site.output_ty().dtype, &[self.channels]);
            patch.constant("bias", Constant::from(zeros))
        })
    }
}

/// The value in these sizes: itself where it has them.
fn reshaped(patch: &mut Patch<'_>, value: ValueId, sizes: Vec<usize>) -> ValueId {
    if patch.ty(value).sizes().is_ok_and(|s| s == sizes) {
        return value;
    }
    patch.add(Reshape { sizes }, [value])
}

/// One number per channel along one of `rank` axes; a single number, which needs none, stays one.
fn along(patch: &mut Patch<'_>, numbers: ValueId, axis: Option<usize>, rank: usize) -> ValueId {
    let mut sizes = vec![1; rank];
    if let Some(axis) = axis {
        sizes[axis] = patch.ty(numbers).count().unwrap_or(1);
    }
    reshaped(patch, numbers, sizes)
}

/// A function of two operands with nothing fused behind it.
pub(super) fn plain(function: Arithmetic) -> Binary {
    Binary { function, activation: Activation::None }
}

/// The operand of a binary operator that a weighted operator makes, and the index of the other.
fn weighted_operand<'g>(at: Site<'g>, function: Arithmetic) -> Option<(Weighted<'g>, usize)> {
    let binary: &Binary = at.op()?;
    if *binary != plain(function) {
        return None;
    }
    let commutes = matches!(function, Arithmetic::Add | Arithmetic::Mul);
    let sides: &[usize] = if commutes { &[0, 1] } else { &[0] };
    sides.iter().find_map(|&i| Some((Weighted::below(at, i)?, 1 - i)))
}

/// `mul(conv(x, w, b), s)  =>  conv(x, w·s, b·s)`, s one number per channel; likewise for fully connected layers
fn scale_weight(at: Site<'_>) -> Option<Patch<'_>> {
    let (below, other) = weighted_operand(at, Arithmetic::Mul)?;
    let scale = below.per_channel(at, other)?;
    let mut patch = at.patch();
    patch.consume(&below.site);
    let rank = patch.ty(below.weight()).rank();
    let column = along(&mut patch, scale, Some(0), rank);
    let mut inputs =
        vec![below.site.inputs()[0], patch.add(plain(Arithmetic::Mul), [below.weight(), column])];
    if let Some(bias) = below.site.input(2) {
        let row = along(&mut patch, scale, Some(0), 1);
        inputs.push(patch.add(plain(Arithmetic::Mul), [bias, row]));
    }
    let scaled = patch.add(below.site.node().op.clone(), inputs);
    Some(patch.replace(at.output(), scaled))
}

/// `add(conv(x, w, b), c)  =>  conv(x, w, b + c)`, c one number per channel; likewise for fully connected layers
fn shift_bias(at: Site<'_>) -> Option<Patch<'_>> {
    shifted(at, Arithmetic::Add)
}

/// `sub(conv(x, w, b), c)  =>  conv(x, w, b − c)`
fn subtract_from_bias(at: Site<'_>) -> Option<Patch<'_>> {
    shifted(at, Arithmetic::Sub)
}

fn shifted(at: Site<'_>, function: Arithmetic) -> Option<Patch<'_>> {
    let (below, other) = weighted_operand(at, function)?;
    let shift = below.per_channel(at, other)?;
    let mut patch = at.patch();
    patch.consume(&below.site);
    let bias = below.bias(&mut patch);
    let row = along(&mut patch, shift, Some(0), 1);
    let sum = patch.add(plain(function), [bias, row]);
    let inputs = [below.site.inputs()[0], below.weight(), sum];
    let shifted = patch.add(below.site.node().op.clone(), inputs);
    Some(patch.replace(at.output(), shifted))
}

/// `conv2d(pad(x, 0))  =>  conv2d(x) { padding += … }`, where only height and width are padded
fn pad_into_convolution(at: Site<'_>) -> Option<Patch<'_>> {
    let conv: &Conv2d = at.op()?;
    let below = at.sole_producer(0)?;
    let pad: &Pad = below.op()?;
    let zeros = pad.mode == PadMode::Constant && pad.value == 0.0 && pad.value.is_sign_positive();
    let height = conv.layout.height();
    let image_only = pad
        .padding
        .iter()
        .enumerate()
        .all(|(axis, p)| axis == height || axis == height + 1 || *p == Padding::default());
    if !zeros || !image_only || pad.padding.len() != 4 {
        return None;
    }
    let grown = |i: usize| Padding {
        before: conv.padding[i].before + pad.padding[height + i].before,
        after: conv.padding[i].after + pad.padding[height + i].after,
    };
    let mut patch = at.patch();
    patch.consume(&below);
    let op = Conv2d { padding: [grown(0), grown(1)], ..conv.clone() };
    let inputs = std::iter::once(below.inputs()[0]).chain(at.inputs()[1..].iter().copied());
    let result = patch.add(op, inputs);
    Some(patch.replace(at.output(), result))
}

/// `relu(conv(x, w, b))  =>  conv(x, w, b) { activation = relu }`, for each operator and activation that fuse
fn fuse_activation(at: Site<'_>) -> Option<Patch<'_>> {
    let activation = match at.op()? {
        Unary::Relu => Activation::Relu,
        Unary::Relu6 => Activation::Relu6,
        _ => return None,
    };
    let below = at.sole_producer(0).filter(|_| at.output_ty().dtype == DType::F32)?;
    let fused = with_activation(&below.node().op, activation)?;
    let mut patch = at.patch();
    patch.consume(&below);
    let result = patch.add(fused, below.inputs().iter().copied());
    Some(patch.replace(at.output(), result))
}

/// The operator with this activation fused, where it takes one and has none yet.
fn with_activation(op: &Op, activation: Activation) -> Option<Op> {
    let none = Activation::None;
    Some(match op {
        Op::Conv2d(op) if op.activation == none => Conv2d { activation, ..op.clone() }.into(),
        Op::DepthwiseConv2d(op) if op.activation == none => {
            DepthwiseConv2d { activation, ..op.clone() }.into()
        }
        Op::Pool2d(op) if op.activation == none => Pool2d { activation, ..op.clone() }.into(),
        Op::FullyConnected(op) if op.activation == none => FullyConnected { activation }.into(),
        Op::Binary(op) if op.activation == none && fuses(op.function) => Binary { activation, ..*op }.into(),
        _ => return None,
    })
}

fn fuses(function: Arithmetic) -> bool {
    matches!(function, Arithmetic::Add | Arithmetic::Sub | Arithmetic::Mul | Arithmetic::Div)
}
