//! Activations that the target lacks, in terms of those that it has.

use ir::rules;

use super::formula::Formula;
use crate::ops::{
    Approximate, Arithmetic, Clamp, Compare, Elu, Gelu, LeakyRelu, LogSoftmax, Order, Patch, Prelu, Reduce,
    Reduction, Reshape, Rule, Site, Softmax, Softplus, Transpose, Unary,
};

pub(super) const RULES: &[Rule] = rules![
    silu_by_sigmoid,
    hardsigmoid_by_relu6,
    hardswish_by_relu6,
    mish_by_exponential,
    log_sigmoid_by_log1p,
    softplus_by_log1p,
    elu_with_factors,
    relu_by_bound,
    relu6_by_bounds,
    bounds_one_by_one,
    leaky_relu_by_choice,
    prelu_by_choice,
    gelu_by_tanh,
    softmax_on_last_axis,
    log_softmax_on_last_axis,
    softmax_by_exponentials,
    an_axis_for_one_element,
];

/// `silu(x)  =>  x · sigmoid(x)`
fn silu_by_sigmoid(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Silu = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let gate = f.unary(Unary::Sigmoid, x);
    let result = f.mul(x, gate);
    f.is(result)
}

/// `hardsigmoid(x)  =>  relu6(x + 3) / 6`
fn hardsigmoid_by_relu6(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::HardSigmoid = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let shifted = f.plus(x, 3.0);
    let bounded = f.unary(Unary::Relu6, shifted);
    let six = f.number(6.0);
    let result = f.div(bounded, six);
    f.is(result)
}

/// `hardswish(x)  =>  x · relu6(x + 3) / 6`
fn hardswish_by_relu6(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::HardSwish = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let shifted = f.plus(x, 3.0);
    let bounded = f.unary(Unary::Relu6, shifted);
    let product = f.mul(x, bounded);
    let six = f.number(6.0);
    let result = f.div(product, six);
    f.is(result)
}

/// `mish(x)  =>  x · n / (n + 2)`, where `n = e·(e + 2)` and `e = exp(min(x, 20))`
///
/// That is `tanh(ln(1 + e))` without its logarithm; above 20 it is one.
fn mish_by_exponential(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Mish = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let bounded = f.at_most(x, 20.0);
    let e = f.unary(Unary::Exp, bounded);
    let e2 = f.plus(e, 2.0);
    let n = f.mul(e, e2);
    let n2 = f.plus(n, 2.0);
    let gate = f.div(n, n2);
    let result = f.mul(x, gate);
    f.is(result)
}

/// `log_sigmoid(x)  =>  min(x, 0) − log1p(exp(−|x|))`
fn log_sigmoid_by_log1p(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::LogSigmoid = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let size = f.unary(Unary::Abs, x);
    let negative = f.unary(Unary::Neg, size);
    let power = f.unary(Unary::Exp, negative);
    let tail = f.unary(Unary::Log1p, power);
    let line = f.at_most(x, 0.0);
    let result = f.sub(line, tail);
    f.is(result)
}

/// `softplus(x)  =>  where(y > threshold, x, (relu(y) + log1p(exp(−|y|))) / β)`, where `y = β·x`
///
/// Taking the line out of the logarithm keeps NaN, which XNNPACK's EXP loses, and never overflows.
fn softplus_by_log1p(at: Site<'_>) -> Option<Patch<'_>> {
    let Softplus { beta, threshold } = at.op()?;
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let y = f.times(x, *beta);
    let size = f.unary(Unary::Abs, y);
    let negative = f.unary(Unary::Neg, size);
    let power = f.unary(Unary::Exp, negative);
    let tail = f.unary(Unary::Log1p, power);
    let line = f.unary(Unary::Relu, y);
    let mut bend = f.add(line, tail);
    if *beta != 1.0 {
        let beta = f.number(*beta);
        bend = f.div(bend, beta);
    }
    let straight = f.against(Compare::Greater, y, *threshold);
    let result = f.choose(straight, x, bend);
    f.is(result)
}

/// `elu(x) {α, σ, ι}  =>  where(x > 0, σ·x, α·σ·elu(ι·x))`
fn elu_with_factors(at: Site<'_>) -> Option<Patch<'_>> {
    let elu: &Elu = at.op()?;
    // With a negative input scale the plain one would be in its straight half.
    if *elu == Elu::PLAIN || elu.input_scale <= 0.0 {
        return None;
    }
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let positive = f.times(x, elu.scale);
    let inner = f.times(x, elu.input_scale);
    let bend = f.op(Elu::PLAIN, &[inner]);
    let negative = f.times(bend, elu.alpha * elu.scale);
    let above = f.against(Compare::Greater, x, 0.0);
    let result = f.choose(above, positive, negative);
    f.is(result)
}

/// `relu(x)  =>  max(0, x)`
fn relu_by_bound(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Relu = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    let result = f.op(Clamp { min: Some(0.0), max: None }, &[x]);
    f.is(result)
}

/// `relu6(x)  =>  clamp(x, 0, 6)`
fn relu6_by_bounds(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Relu6 = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    let result = f.op(Clamp { min: Some(0.0), max: Some(6.0) }, &[x]);
    f.is(result)
}

/// `clamp(x, low, high)  =>  clamp(clamp(x, low), high)`
fn bounds_one_by_one(at: Site<'_>) -> Option<Patch<'_>> {
    let Clamp { min: Some(low), max: Some(high) } = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    let below = f.op(Clamp { min: Some(*low), max: None }, &[x]);
    let result = f.op(Clamp { min: None, max: Some(*high) }, &[below]);
    f.is(result)
}

/// `leaky_relu(x)  =>  where(x > 0, x, slope·x)`
fn leaky_relu_by_choice(at: Site<'_>) -> Option<Patch<'_>> {
    let LeakyRelu { slope } = at.op()?;
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let leak = f.times(x, *slope);
    let above = f.against(Compare::Greater, x, 0.0);
    let result = f.choose(above, x, leak);
    f.is(result)
}

/// `prelu(x, slope)  =>  where(x > 0, x, slope·x)`
fn prelu_by_choice(at: Site<'_>) -> Option<Patch<'_>> {
    let Prelu {} = at.op()?;
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let leak = f.mul(x, at.input(1)?);
    let above = f.against(Compare::Greater, x, 0.0);
    let result = f.choose(above, x, leak);
    f.is(result)
}

/// `gelu(x) {approximate = tanh}  =>  ½·x · (1 + tanh(√(2/π) · (x + 0.044715·x³)))`
fn gelu_by_tanh(at: Site<'_>) -> Option<Patch<'_>> {
    let Gelu { approximate: Approximate::Tanh } = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let square = f.mul(x, x);
    let cube = f.mul(square, x);
    let part = f.times(cube, 0.044715);
    let sum = f.add(x, part);
    let inner = f.times(sum, (2.0 / std::f64::consts::PI).sqrt());
    let tanh = f.unary(Unary::Tanh, inner);
    let gate = f.plus(tanh, 1.0);
    let half = f.times(x, 0.5);
    let result = f.mul(half, gate);
    f.is(result)
}

/// `softmax(x, axis)  =>  transpose(softmax(transpose(x), last))`
fn softmax_on_last_axis(at: Site<'_>) -> Option<Patch<'_>> {
    let Softmax { axis } = at.op()?;
    on_last_axis(at, *axis, |axis| Softmax { axis }.into())
}

/// `log_softmax(x, axis)  =>  transpose(log_softmax(transpose(x), last))`
fn log_softmax_on_last_axis(at: Site<'_>) -> Option<Patch<'_>> {
    let LogSoftmax { axis } = at.op()?;
    on_last_axis(at, *axis, |axis| LogSoftmax { axis }.into())
}

fn on_last_axis(at: Site<'_>, axis: usize, op: fn(usize) -> crate::ops::Op) -> Option<Patch<'_>> {
    let last = at.output_ty().rank().checked_sub(1).filter(|last| *last != axis)?;
    let mut axes: Vec<usize> = (0..=last).collect();
    axes.swap(axis, last);
    let order = Order::new(axes).ok()?;
    let mut patch = at.patch();
    let turned = patch.add(Transpose { order: order.clone() }, [at.input(0)?]);
    let result = patch.add(op(last), [turned]);
    let result = patch.add(Transpose { order: order.inverse() }, [result]);
    Some(patch.replace(at.output(), result))
}

/// `softmax(x)  =>  e / Σ e`, where `e = exp(x − amax(x))`
fn softmax_by_exponentials(at: Site<'_>) -> Option<Patch<'_>> {
    let Softmax { axis } = at.op()?;
    if *axis >= at.output_ty().rank() {
        return None;
    }
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let along = |function: Reduction| Reduce { function, axes: vec![*axis], keep: true };
    let most = f.op(along(Reduction::Max), &[x]);
    let difference = f.sub(x, most);
    let power = f.unary(Unary::Exp, difference);
    let total = f.op(along(Reduction::Sum), &[power]);
    let result = f.op(Arithmetic::Div, &[power, total]);
    f.is(result)
}

/// `op(x)  =>  reshape(op(reshape(x, [1])), [])`, for kernels that take at least one axis
fn an_axis_for_one_element(at: Site<'_>) -> Option<Patch<'_>> {
    use crate::ops::Op;
    let op = at.node().op.clone();
    let asked = matches!(
        op,
        Op::Gelu(_) | Op::LeakyRelu(_) | Op::Prelu(_) | Op::Softmax(_) | Op::LogSoftmax(_) | Op::Cumsum(_)
    );
    if !asked || at.output_ty().rank() != 0 {
        return None;
    }
    let mut patch = at.patch();
    let mut inputs = at.inputs().to_vec();
    inputs[0] = patch.add(Reshape { sizes: vec![1] }, [inputs[0]]);
    let result = patch.add(op, inputs);
    let result = patch.add(Reshape { sizes: vec![] }, [result]);
    Some(patch.replace(at.output(), result))
}
