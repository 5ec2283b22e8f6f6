//! Identities of casts and of functions of elements.

use ir::{DType, Tensor};

use super::{instead, one_for_two};
use crate::ops::{
    Activation, Arithmetic, Binary, Cast, Clamp, Logical, Op, Patch, Reduce, Reduction, Reshape, Site, Unary,
};

/// `cast(x, dtype of x)  =>  x`
pub(super) fn drop_identity_cast(at: Site<'_>) -> Option<Patch<'_>> {
    let Cast { .. } = at.op()?;
    instead(at, at.input(0)?)
}

/// `cast(cast(x, a), b)  =>  cast(x, b)`, where `a` holds every value of `x`
pub(super) fn merge_casts(at: Site<'_>) -> Option<Patch<'_>> {
    let outer: &Cast = at.op()?;
    let below = at.producer(0)?;
    let inner: &Cast = below.op()?;
    let from = below.input_ty(0)?.dtype;
    // Integers wrap where they are narrowed, but floats that leave an integer's range do not.
    let wraps_alike = !inner.dtype.is_float() || from.is_float() || outer.dtype.is_float();
    if !holds(inner.dtype, from) || !(wraps_alike || holds(outer.dtype, from)) {
        return None;
    }
    one_for_two(at, below, outer.clone(), below.inputs().to_vec())
}

/// Is every value of `from` one of `dtype`?
fn holds(dtype: DType, from: DType) -> bool {
    // A float type has every integer up to ±2^digits; none of these ends before that.
    let float = |d: DType| match d {
        DType::F16 => Some((11, 5)),
        DType::Bf16 => Some((8, 8)),
        DType::F32 => Some((24, 8)),
        DType::F64 => Some((53, 11)),
        _ => None,
    };
    match (float(dtype), float(from), dtype.int_range(), from.int_range()) {
        _ if dtype == from => true,
        (Some((digits, exponent)), Some((least, small)), ..) => digits >= least && exponent >= small,
        (Some((digits, _)), _, _, Some((low, high))) => low >= -(1 << digits) && high <= 1 << digits,
        (_, _, Some((low, high)), Some((least, most))) => low <= least && high >= most,
        _ => false,
    }
}

/// `x · 1  =>  x`, `x / 1  =>  x`: exact for NaN, infinities and −0 too
pub(super) fn drop_factor_of_one(at: Site<'_>) -> Option<Patch<'_>> {
    let &Binary { function, activation: Activation::None } = at.op()? else { return None };
    match function {
        Arithmetic::Mul if all(at, 0, |x| x == 1.0) => instead(at, at.input(1)?),
        Arithmetic::Mul | Arithmetic::Div | Arithmetic::Pow if all(at, 1, |x| x == 1.0) => {
            instead(at, at.input(0)?)
        }
        _ => None,
    }
}

/// `x − 0  =>  x`; `x + 0  =>  x` for integers, `x + −0  =>  x` for floats, since `−0 + 0` is `0`
pub(super) fn drop_term_of_zero(at: Site<'_>) -> Option<Patch<'_>> {
    let &Binary { function, activation: Activation::None } = at.op()? else { return None };
    let integer = at.output_ty().dtype.is_int();
    let nothing = |x: f64| x == 0.0 && (integer || x.is_sign_negative());
    match function {
        Arithmetic::Add if all(at, 0, nothing) => instead(at, at.input(1)?),
        Arithmetic::Add if all(at, 1, nothing) => instead(at, at.input(0)?),
        Arithmetic::Sub if all(at, 1, |x| x == 0.0 && x.is_sign_positive()) => instead(at, at.input(0)?),
        _ => None,
    }
}

/// Constants of more elements are not looked at.
const LOOKED_AT: usize = 1 << 16;

/// Is the operand a constant all of whose elements are such?
fn all(at: Site<'_>, index: usize, is: impl Fn(f64) -> bool) -> bool {
    let tensor = at.constant(index).and_then(|c| c.inline());
    let readable = |d: DType| {
        matches!(d, DType::F16 | DType::Bf16 | DType::F32 | DType::F64) || (d.is_int() && d.bits() >= 8)
    };
    tensor.is_some_and(|t| t.count() <= LOOKED_AT && readable(t.dtype()) && t.to_f64s().into_iter().all(is))
}

/// `x / c  =>  x · (1 / c)` for powers of two, whose reciprocals are exact: each is the same number, rounded once
pub(super) fn product_for_quotient(at: Site<'_>) -> Option<Patch<'_>> {
    let &Binary { function: Arithmetic::Div, activation } = at.op()? else { return None };
    let c = at.constant(1)?.inline().filter(|t| t.count() == 1 && t.dtype() == DType::F32)?;
    let reciprocal = c.as_slice::<f32>()[0].recip();
    if ![c.as_slice::<f32>()[0], reciprocal].into_iter().all(is_power_of_two) {
        return None;
    }
    let mut patch = at.patch();
    let reciprocal = patch.constant("reciprocal", Tensor::new(c.sizes(), &[reciprocal]));
    let product = patch.add(Binary { function: Arithmetic::Mul, activation }, [at.inputs()[0], reciprocal]);
    Some(patch.replace(at.output(), product))
}

/// Does a product with it round nothing, short of where numbers end?
pub(in crate::passes) fn is_power_of_two(x: f32) -> bool {
    // The sign and the exponent are free, the digits behind the first are zero.
    x.is_normal() && x.to_bits() << 9 == 0
}

/// `f(f(x))  =>  f(x)` for functions that leave their results as they are
pub(super) fn once_is_enough(at: Site<'_>) -> Option<Patch<'_>> {
    let function: &Unary = at.op()?;
    let settles = matches!(
        function,
        Unary::Abs
            | Unary::Ceil
            | Unary::Floor
            | Unary::Relu
            | Unary::Relu6
            | Unary::Round
            | Unary::Sign
            | Unary::Trunc
    );
    let below: &Unary = at.producer(0)?.op()?;
    (settles && below == function).then(|| instead(at, at.input(0)?))?
}

/// `−(−x)  =>  x`, `not(not(x))  =>  x`
pub(super) fn undone(at: Site<'_>) -> Option<Patch<'_>> {
    let below = at.producer(0)?;
    let negates = |site: Site<'_>| site.op() == Some(&Unary::Neg);
    let inverts = |site: Site<'_>| site.op() == Some(&Logical::Not);
    let twice = (negates(at) && negates(below)) || (inverts(at) && inverts(below));
    twice.then(|| instead(at, below.input(0)?))?
}

/// `clamp(x)  =>  x`, where nothing bounds it
pub(super) fn drop_unbounded_clamp(at: Site<'_>) -> Option<Patch<'_>> {
    let &Clamp { min, max } = at.op()?;
    let unbounded = min.is_none_or(|x| x == f64::NEG_INFINITY) && max.is_none_or(|x| x == f64::INFINITY);
    unbounded.then(|| instead(at, at.input(0)?))?
}

/// `amax(x)  =>  reshape(x)` over axes of size 1; likewise for the least and the product, and for the sum and the mean
/// where no element is `−0`, of which they make `0`
pub(super) fn reduction_of_one(at: Site<'_>) -> Option<Patch<'_>> {
    let Reduce { function, axes, .. } = at.op()?;
    let from = at.input_ty(0)?.sizes().ok()?;
    let kept = match function {
        Reduction::Max | Reduction::Min | Reduction::Prod => true,
        Reduction::Sum | Reduction::Mean => has_no_negative_zero(at),
        _ => false,
    };
    if !kept || axes.iter().any(|&axis| from[axis] != 1) {
        return None;
    }
    let mut patch = at.patch();
    let reshaped = patch.add(Reshape { sizes: at.output_ty().sizes().ok()? }, [at.input(0)?]);
    (patch.ty(reshaped) == at.output_ty()).then(|| patch.replace(at.output(), reshaped))
}

/// Is no element of the first input `−0`? So it is of integers, of functions that are nowhere negative, and of sums
/// with a number other than zero: where such a sum is zero, it is `0` (IEEE 754, rounding to nearest).
fn has_no_negative_zero(at: Site<'_>) -> bool {
    if at.input_ty(0).is_some_and(|ty| ty.dtype.is_int()) {
        return true;
    }
    let Some(below) = at.producer(0) else { return false };
    match &below.node().op {
        Op::Reshape(_) | Op::Transpose(_) => has_no_negative_zero(below),
        Op::Unary(Unary::Abs | Unary::Exp | Unary::Sigmoid | Unary::Square) => true,
        Op::Binary(Binary { function: Arithmetic::Add, activation: Activation::None }) => {
            (0..2).any(|index| all(below, index, |x| x != 0.0))
        }
        _ => false,
    }
}
