//! Arithmetic that the target lacks, in terms of what it has.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10, SQRT_2};

use ir::{DType, rules};

use super::formula::Formula;
use crate::ops::{
    Approximate, Arithmetic, Binary, BroadcastTo, Cast, Clamp, Compare, Elu, Gelu, Logical, Patch, Rule,
    Site, Unary,
};

pub(super) const RULES: &[Rule] = rules![
    reciprocal_by_quotient,
    rsqrt_by_quotient,
    square_by_product,
    squared_difference_by_square,
    negation_by_difference,
    size_by_maximum,
    sign_by_comparisons,
    trunc_by_floor_and_ceil,
    exp2_by_power,
    log2_by_log,
    log10_by_log,
    tan_by_quotient,
    expm1_by_elu,
    log1p_by_series,
    erf_by_gelu,
    atan_by_atan2,
    atan2_of_one_shape,
    extreme_by_bound,
    maximum_by_choice,
    minimum_by_choice,
    fmod_by_remainder,
    fmod_of_integers,
    floor_of_quotient,
    floor_of_any_quotient,
    not_by_difference,
    xor_by_not_equal,
];

/// `reciprocal(x)  =>  1 / x`
fn reciprocal_by_quotient(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Reciprocal = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let one = f.number(1.0);
    let result = f.div(one, x);
    f.is(result)
}

/// `rsqrt(x)  =>  1 / √x`
fn rsqrt_by_quotient(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Rsqrt = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let one = f.number(1.0);
    let root = f.unary(Unary::Sqrt, x);
    let result = f.div(one, root);
    f.is(result)
}

/// `square(x)  =>  x · x`
fn square_by_product(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Square = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    let result = f.mul(x, x);
    f.is(result)
}

/// `squared_difference(a, b)  =>  square(a − b)`
fn squared_difference_by_square(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::SquaredDifference = plain(at)? else { return None };
    let mut f = Formula::of(at)?;
    let difference = f.sub(at.input(0)?, at.input(1)?);
    let result = f.unary(Unary::Square, difference);
    f.is(result)
}

/// `−x  =>  0 − x` of integers, `(−1) · x` of reals, where zero has a sign
fn negation_by_difference(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Neg = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    let result = if f.dtype().is_float() {
        f.times(x, -1.0)
    } else {
        let zero = f.number(0.0);
        f.sub(zero, x)
    };
    f.is(result)
}

/// `|x|  =>  max(x, −x)` of integers
fn size_by_maximum(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Abs = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    if !f.dtype().is_int() {
        return None;
    }
    let negative = f.unary(Unary::Neg, x);
    let result = f.op(Arithmetic::Maximum, &[x, negative]);
    f.is(result)
}

/// `sign(x)  =>  cast(x > 0) − cast(x < 0)`, which is 0 of NaN
fn sign_by_comparisons(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Sign = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    let dtype = f.dtype();
    let (above, below) = (f.against(Compare::Greater, x, 0.0), f.against(Compare::Less, x, 0.0));
    let (above, below) = (f.op(Cast { dtype }, &[above]), f.op(Cast { dtype }, &[below]));
    let result = f.sub(above, below);
    f.is(result)
}

/// `trunc(x)  =>  where(x < 0, ⌈x⌉, ⌊x⌋)`
fn trunc_by_floor_and_ceil(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Trunc = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let below = f.against(Compare::Less, x, 0.0);
    let (up, down) = (f.unary(Unary::Ceil, x), f.unary(Unary::Floor, x));
    let result = f.choose(below, up, down);
    f.is(result)
}

/// `exp2(x)  =>  pow(2, x)`
///
/// The exponential of `x·ln 2` would multiply the rounding of that product by `x`.
fn exp2_by_power(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Exp2 = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let two = f.number(2.0);
    let result = f.op(Arithmetic::Pow, &[two, x]);
    f.is(result)
}

/// `log2(x)  =>  ln(x) · (1 / ln 2)`
fn log2_by_log(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Log2 = at.op()? else { return None };
    scaled_log(at, LN_2)
}

/// `log10(x)  =>  ln(x) · (1 / ln 10)`
fn log10_by_log(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Log10 = at.op()? else { return None };
    scaled_log(at, LN_10)
}

/// `tan(x)  =>  sin(x) / cos(x)`
fn tan_by_quotient(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Tan = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let (sine, cosine) = (f.unary(Unary::Sin, x), f.unary(Unary::Cos, x));
    let result = f.div(sine, cosine);
    f.is(result)
}

fn scaled_log(at: Site<'_>, base: f64) -> Option<Patch<'_>> {
    let mut f = Formula::of_reals(at)?;
    let log = f.unary(Unary::Log, at.input(0)?);
    let result = f.times(log, 1.0 / base);
    f.is(result)
}

/// `expm1(x)  =>  where(x > 0, −elu(−x) · exp(x), elu(x))`
///
/// Below zero the unit is `exp(x) − 1`, which its kernels compute without cancellation; above, `exp(x) − 1` is
/// `(1 − exp(−x)) · exp(x)`.
fn expm1_by_elu(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Expm1 = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let mirrored = f.unary(Unary::Neg, x);
    let mirrored = f.op(Elu::PLAIN, &[mirrored]);
    let part = f.unary(Unary::Neg, mirrored);
    let power = f.unary(Unary::Exp, x);
    let above = f.mul(part, power);
    let below = f.op(Elu::PLAIN, &[x]);
    let positive = f.against(Compare::Greater, x, 0.0);
    let result = f.choose(positive, above, below);
    f.is(result)
}

/// `log1p(x)  =>  where(|x| < 0.45, 2·artanh(s), ln(1 + x))`, where `s = x / (2 + x)`
///
/// `ln(1 + x)` alone would lose the digits of a small `x`. For the others, `|s| < 0.29`, and seven terms of
/// `2·artanh(s) = 2s·(1 + s²/3 + s⁴/5 + …)` leave out less than a third of an f32's rounding.
fn log1p_by_series(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Log1p = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let shifted = f.plus(x, 2.0);
    let s = f.div(x, shifted);
    let square = f.mul(s, s);
    let coefficients: Vec<f64> = (0..7).map(|k| 2.0 / f64::from(2 * k + 1)).collect();
    let series = f.polynomial(square, &coefficients);
    let near = f.mul(s, series);
    let argument = f.plus(x, 1.0);
    let far = f.unary(Unary::Log, argument);
    let size = f.unary(Unary::Abs, x);
    let small = f.against(Compare::Less, size, 0.45);
    let result = f.choose(small, near, far);
    f.is(result)
}

/// `erf(x)  =>  where(|x| < 0.5, x·p(x²), ±(√2·gelu(√2·t) / t − 1))`, where `t = min(|x|, 4)`
///
/// From the unit's definition, `gelu(y) = y·(1 + erf(y/√2))/2`. Near zero the subtraction would cancel, so there stand
/// the first seven terms of the series `2/√π · Σ (−x²)ⁿ / (n!·(2n + 1))`; beyond 4 the function is one.
fn erf_by_gelu(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Erf = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let square = f.mul(x, x);
    let mut factorial = 1.0;
    let mut coefficients = Vec::new();
    for n in 0..7 {
        factorial *= f64::from(n.max(1));
        let sign = if n % 2 == 0 { 1.0 } else { -1.0 };
        coefficients.push(sign * FRAC_2_SQRT_PI / (factorial * f64::from(2 * n + 1)));
    }
    let series = f.polynomial(square, &coefficients);
    let near = f.mul(x, series);
    let size = f.unary(Unary::Abs, x);
    let t = f.at_most(size, 4.0);
    let y = f.times(t, SQRT_2);
    let unit = f.op(Gelu { approximate: Approximate::None }, &[y]);
    let part = f.times(unit, SQRT_2);
    let part = f.div(part, t);
    let positive = f.plus(part, -1.0);
    let negative = f.unary(Unary::Neg, positive);
    let below = f.against(Compare::Less, x, 0.0);
    let far = f.choose(below, negative, positive);
    let small = f.against(Compare::Less, size, 0.5);
    let result = f.choose(small, near, far);
    f.is(result)
}

/// `atan(x)  =>  atan2(x, clamp(x, 1, 1))`, whose second operand is one, or NaN where `x` is
fn atan_by_atan2(at: Site<'_>) -> Option<Patch<'_>> {
    let Unary::Atan = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let one = f.op(Clamp { min: Some(1.0), max: Some(1.0) }, &[x]);
    let result = f.op(Arithmetic::Atan2, &[x, one]);
    f.is(result)
}

/// `atan2(a, b)  =>  atan2(broadcast(a), broadcast(b))`
fn atan2_of_one_shape(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::Atan2 = plain(at)? else { return None };
    let sizes = at.output_ty().sizes().ok()?;
    let mut f = Formula::of_reals(at)?;
    let mut operands = [at.input(0)?, at.input(1)?];
    if at.input_ty(0)? == at.input_ty(1)? {
        return None;
    }
    for (operand, ty) in operands.iter_mut().zip([at.input_ty(0)?, at.input_ty(1)?]) {
        if ty != at.output_ty() {
            *operand = f.op(BroadcastTo { sizes: sizes.clone() }, &[*operand]);
        }
    }
    let result = f.op(Arithmetic::Atan2, &operands);
    f.is(result)
}

/// The function of a binary operator that fuses nothing.
fn plain(at: Site<'_>) -> Option<Arithmetic> {
    let binary: &Binary = at.op()?;
    binary.is(binary.function).then_some(binary.function)
}

/// `max(x, c)  =>  clamp(x, c)` for a constant of one element, whose kernel keeps NaN
fn extreme_by_bound(at: Site<'_>) -> Option<Patch<'_>> {
    let function = plain(at)?;
    let of = (0..2).find(|&i| at.input_ty(1 - i).is_some_and(|ty| ty == at.output_ty()))?;
    let constant = at.constant(of).filter(|c| c.sizes().iter().product::<usize>() == 1)?;
    let bound = Some(constant.read().ok()?.to_f64s()[0]).filter(|b| !b.is_nan());
    let clamp = match function {
        Arithmetic::Maximum => Clamp { min: Some(bound?), max: None },
        Arithmetic::Minimum => Clamp { min: None, max: Some(bound?) },
        _ => return None,
    };
    let mut f = Formula::of_reals(at)?;
    let result = f.op(clamp, &[at.input(1 - of)?]);
    f.is(result)
}

/// `max(a, b)  =>  where(a > b or a ≠ a, a, b)`, which is NaN where either is
fn maximum_by_choice(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::Maximum = plain(at)? else { return None };
    extreme_by_choice(at, Compare::Greater)
}

/// `min(a, b)  =>  where(a < b or a ≠ a, a, b)`, which is NaN where either is
fn minimum_by_choice(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::Minimum = plain(at)? else { return None };
    extreme_by_choice(at, Compare::Less)
}

fn extreme_by_choice(at: Site<'_>, compare: Compare) -> Option<Patch<'_>> {
    let (a, b, mut f) = (at.input(0)?, at.input(1)?, Formula::of_reals(at)?);
    let beats = f.op(compare, &[a, b]);
    let undefined = f.op(Compare::NotEqual, &[a, a]);
    let first = f.op(Logical::Or, &[beats, undefined]);
    let result = f.choose(first, a, b);
    f.is(result)
}

/// `fmod(a, b)  =>  where(a < 0, −r, r)`, where `r = remainder(|a|, |b|)`
fn fmod_by_remainder(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::Fmod = plain(at)? else { return None };
    let (a, b, mut f) = (at.input(0)?, at.input(1)?, Formula::of_reals(at)?);
    let (size_a, size_b) = (f.unary(Unary::Abs, a), f.unary(Unary::Abs, b));
    let rest = f.op(Arithmetic::Remainder, &[size_a, size_b]);
    let negative = f.unary(Unary::Neg, rest);
    let below = f.against(Compare::Less, a, 0.0);
    let result = f.choose(below, negative, rest);
    f.is(result)
}

/// `fmod(a, b)  =>  a − trunc(a / b) · b` of integers
fn fmod_of_integers(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::Fmod = plain(at)? else { return None };
    let (a, b, mut f) = (at.input(0)?, at.input(1)?, Formula::of(at)?);
    if !f.dtype().is_int() {
        return None;
    }
    let quotient = f.op(Arithmetic::DivTrunc, &[a, b]);
    let product = f.mul(quotient, b);
    let result = f.sub(a, product);
    f.is(result)
}

/// `⌊a / b⌋  =>  round((a − remainder(a, b)) / b)`, for a constant `b` that is neither zero nor infinite
///
/// What is divided is a multiple of `b` up to rounding, so the quotient is an integer up to rounding.
fn floor_of_quotient(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::DivFloor = plain(at)? else { return None };
    let divisors = at.constant(1).filter(|c| c.sizes().iter().product::<usize>() <= 4096)?.read().ok()?;
    if divisors.to_f64s().iter().any(|d| *d == 0.0 || !d.is_finite()) {
        return None;
    }
    let (a, b, mut f) = (at.input(0)?, at.input(1)?, Formula::of_reals(at)?);
    let rest = f.op(Arithmetic::Remainder, &[a, b]);
    let multiple = f.sub(a, rest);
    let quotient = f.div(multiple, b);
    let result = f.unary(Unary::Round, quotient);
    f.is(result)
}

/// `⌊a / b⌋  =>  where(b = 0, a / b, round((a − m) / b − [m ≠ 0 and (b < 0) ≠ (m < 0)]))`, where `m = fmod(a, b)`
fn floor_of_any_quotient(at: Site<'_>) -> Option<Patch<'_>> {
    let Arithmetic::DivFloor = plain(at)? else { return None };
    let (a, b, mut f) = (at.input(0)?, at.input(1)?, Formula::of_reals(at)?);
    let dtype = f.dtype();
    let m = f.op(Arithmetic::Fmod, &[a, b]);
    let multiple = f.sub(a, m);
    let quotient = f.div(multiple, b);
    let (below_b, below_m) = (f.against(Compare::Less, b, 0.0), f.against(Compare::Less, m, 0.0));
    let apart = f.op(Compare::NotEqual, &[below_b, below_m]);
    let rest = f.against(Compare::NotEqual, m, 0.0);
    let lower = f.op(Logical::And, &[apart, rest]);
    let lower = f.op(Cast { dtype }, &[lower]);
    let floor = f.sub(quotient, lower);
    let floor = f.unary(Unary::Round, floor);
    let (plain, none) = (f.div(a, b), f.against(Compare::Equal, b, 0.0));
    let result = f.choose(none, plain, floor);
    f.is(result)
}

/// `not(x)  =>  −1 − x` of integers, in two's complement
fn not_by_difference(at: Site<'_>) -> Option<Patch<'_>> {
    let Logical::Not = at.op()? else { return None };
    let (x, mut f) = (at.input(0)?, Formula::of(at)?);
    if !matches!(f.dtype(), DType::I32 | DType::I64) {
        return None;
    }
    let all = f.number(-1.0);
    let result = f.sub(all, x);
    f.is(result)
}

/// `xor(a, b)  =>  a ≠ b` of truth values
fn xor_by_not_equal(at: Site<'_>) -> Option<Patch<'_>> {
    let Logical::Xor = at.op()? else { return None };
    let mut f = Formula::of(at)?;
    if f.dtype() != DType::Bool {
        return None;
    }
    let result = f.op(Compare::NotEqual, &[at.input(0)?, at.input(1)?]);
    f.is(result)
}
