//! Arithmetic on one or two tensors: type promotion, numbers in place of tensors, `alpha`, rounding modes.

use ir::{DType, ValueId};

use super::{Builder, Row, compare};
use crate::dialect::aten::{Argument, Malformed, Scalar};
use crate::ops::{Arithmetic, Unary};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (Unary::OVERLOADS, unary),
    (&["aten.add.Tensor", "aten.add.Scalar"], |b| scaled(b, Arithmetic::Add, false)),
    (&["aten.sub.Tensor", "aten.sub.Scalar", "aten.subtract.Tensor", "aten.subtract.Scalar"], |b| {
        scaled(b, Arithmetic::Sub, false)
    }),
    (&["aten.rsub.Tensor", "aten.rsub.Scalar"], |b| scaled(b, Arithmetic::Sub, true)),
    (&["aten.mul.Tensor", "aten.mul.Scalar", "aten.multiply.Tensor", "aten.multiply.Scalar"], |b| {
        binary(b, Arithmetic::Mul)
    }),
    (
        &[
            "aten.div.Tensor",
            "aten.div.Scalar",
            "aten.divide.Tensor",
            "aten.divide.Scalar",
            "aten.true_divide.Tensor",
            "aten.true_divide.Scalar",
        ],
        |b| binary(b, Arithmetic::Div),
    ),
    (
        &[
            "aten.div.Tensor_mode",
            "aten.div.Scalar_mode",
            "aten.divide.Tensor_mode",
            "aten.divide.Scalar_mode",
        ],
        div_mode,
    ),
    (&["aten.lerp.Scalar"], lerp),
    (&["aten.positive.default"], |b| Ok(vec![b.tensor("self")?])),
    (&["aten.floor_divide.default", "aten.floor_divide.Scalar"], |b| binary(b, Arithmetic::DivFloor)),
    (&["aten.remainder.Tensor", "aten.remainder.Scalar", "aten.remainder.Scalar_Tensor"], |b| {
        binary(b, Arithmetic::Remainder)
    }),
    (&["aten.fmod.Tensor", "aten.fmod.Scalar"], |b| binary(b, Arithmetic::Fmod)),
    (&["aten.maximum.default", "aten.max.other"], |b| binary(b, Arithmetic::Maximum)),
    (&["aten.minimum.default", "aten.min.other"], |b| binary(b, Arithmetic::Minimum)),
    (&["aten.atan2.default", "aten.arctan2.default"], |b| binary(b, Arithmetic::Atan2)),
    (&["aten.pow.Tensor_Tensor"], |b| pow(b, "exponent")),
    (&["aten.pow.Tensor_Scalar"], power),
    (&["aten.pow.Scalar"], |b| pow(b, "exponent")),
    (&["aten.addcmul.default"], |b| addc(b, Arithmetic::Mul)),
    (&["aten.addcdiv.default"], |b| addc(b, Arithmetic::Div)),
];

impl Builder<'_> {
    /// An argument that is a tensor or a number, as a value of `dtype`. Errs where a number is beyond it.
    pub(crate) fn operand(&mut self, name: &str, dtype: DType) -> Result<ValueId, Malformed> {
        if let Argument::Tensor(tensor) = self.call.get(name)? {
            let value = self.value(tensor);
            return self.cast(value, dtype);
        }
        let number = self.call.scalar(name)?;
        if let (Scalar::Int(n), Some((low, high))) = (number, dtype.int_range())
            && dtype != DType::Bool
            && !(low..=high).contains(&i128::from(n))
        {
            return Err(self.call.malformed(format!("{n} is no {dtype}")));
        }
        Ok(self.number(dtype, number))
    }
}

/// The dtype of the result, which is the one that PyTorch computes in. Truth values are not computed with.
fn computed(b: &Builder<'_>) -> Result<DType, Malformed> {
    match b.result(0)?.dtype {
        DType::Bool => Err(b.call.malformed("is not computed on truth values")),
        dtype if dtype.is_complex() => Err(b.call.malformed("is not computed on complex numbers")),
        dtype => Ok(dtype),
    }
}

fn unary(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let dtype = computed(b)?;
    let input = b.operand("self", dtype)?;
    let function =
        Unary::of_aten(&b.call.target).ok_or_else(|| b.call.malformed("is not a known function"))?;
    let rounds = matches!(function, Unary::Ceil | Unary::Floor | Unary::Round | Unary::Trunc);
    if rounds && dtype.is_int() {
        return Ok(vec![input]);
    }
    Ok(vec![b.add(function, &[input])?])
}

fn binary(b: &mut Builder<'_>, function: Arithmetic) -> Result<Vec<ValueId>, Malformed> {
    if b.result(0)?.dtype == DType::Bool {
        return on_truths(b, function);
    }
    let dtype = computed(b)?;
    let operands = [b.operand("self", dtype)?, b.operand("other", dtype)?];
    Ok(vec![b.add(function, &operands)?])
}

/// Sums and products of truth values are `or` and `and`.
fn on_truths(b: &mut Builder<'_>, function: Arithmetic) -> Result<Vec<ValueId>, Malformed> {
    let op = compare::of_truth_arithmetic(function)
        .ok_or_else(|| b.call.malformed("is not computed on truth values"))?;
    let operands = [b.operand("self", DType::Bool)?, b.operand("other", DType::Bool)?];
    Ok(vec![b.add(op, &operands)?])
}

/// `self ± alpha · other`, or the other way round.
fn scaled(b: &mut Builder<'_>, function: Arithmetic, reversed: bool) -> Result<Vec<ValueId>, Malformed> {
    if b.result(0)?.dtype == DType::Bool && b.call.scalar("alpha")?.as_f64() == 1.0 {
        return on_truths(b, function);
    }
    let dtype = computed(b)?;
    let (mut one, mut two) = (b.operand("self", dtype)?, b.operand("other", dtype)?);
    if reversed {
        std::mem::swap(&mut one, &mut two);
    }
    let alpha = b.call.scalar("alpha")?;
    if alpha.as_f64() != 1.0 {
        let alpha = b.number(dtype, alpha);
        two = b.add(Arithmetic::Mul, &[two, alpha])?;
    }
    Ok(vec![b.add(function, &[one, two])?])
}

fn div_mode(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let real = computed(b)?.is_float();
    match b.call.optional_text("rounding_mode")? {
        None => binary(b, Arithmetic::Div),
        Some("floor") => binary(b, Arithmetic::DivFloor),
        Some("trunc") if real => {
            let quotient = binary(b, Arithmetic::Div)?[0];
            Ok(vec![b.add(Unary::Trunc, &[quotient])?])
        }
        Some("trunc") => binary(b, Arithmetic::DivTrunc),
        Some(other) => Err(b.call.malformed(format!("has no rounding mode '{other}'"))),
    }
}

fn pow(b: &mut Builder<'_>, exponent: &str) -> Result<Vec<ValueId>, Malformed> {
    let dtype = computed(b)?;
    let operands = [b.operand("self", dtype)?, b.operand(exponent, dtype)?];
    Ok(vec![b.add(Arithmetic::Pow, &operands)?])
}

/// A power by a number: PyTorch computes some exponents by simpler functions, whose special values differ from
/// those of `pow` (`aten/src/ATen/native/cpu/PowKernel.cpp`).
fn power(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let dtype = computed(b)?;
    let exponent = b.call.scalar("exponent")?;
    if dtype.is_int() && exponent.as_f64() < 0.0 {
        return Err(b.call.malformed("takes no negative power of integers"));
    }
    let x = b.operand("self", dtype)?;
    let result = match exponent.as_f64() {
        1.0 => x,
        2.0 => b.add(Unary::Square, &[x])?,
        3.0 => {
            let square = b.add(Unary::Square, &[x])?;
            b.add(Arithmetic::Mul, &[square, x])?
        }
        0.5 if dtype.is_float() => b.add(Unary::Sqrt, &[x])?,
        -0.5 => b.add(Unary::Rsqrt, &[x])?,
        -1.0 => b.add(Unary::Reciprocal, &[x])?,
        -2.0 => {
            let square = b.add(Unary::Square, &[x])?;
            b.add(Unary::Reciprocal, &[square])?
        }
        whole if dtype.is_int() && whole.fract() == 0.0 => by_squares(b, x, whole as u64)?,
        _ => {
            let exponent = b.number(dtype, exponent);
            b.add(Arithmetic::Pow, &[x, exponent])?
        }
    };
    Ok(vec![result])
}

/// A power of integers as products, which wrap as PyTorch's do, where the POW of LiteRT computes in doubles.
fn by_squares(b: &mut Builder<'_>, x: ValueId, exponent: u64) -> Result<ValueId, Malformed> {
    let (mut square, mut result) = (x, None);
    let bits = u64::BITS - exponent.leading_zeros();
    for bit in 0..bits {
        if bit > 0 {
            square = b.add(Unary::Square, &[square])?;
        }
        if exponent >> bit & 1 == 1 {
            result = Some(match result {
                Some(result) => b.add(Arithmetic::Mul, &[result, square])?,
                None => square,
            });
        }
    }
    match result {
        Some(result) => Ok(result),
        None => {
            // The power of 0 is 1 of everything.
            let dtype = b.ty(x).dtype;
            let (zero, one) = (b.number(dtype, Scalar::Int(0)), b.number(dtype, Scalar::Int(1)));
            let nothing = b.add(Arithmetic::Mul, &[x, zero])?;
            b.add(Arithmetic::Add, &[nothing, one])
        }
    }
}

/// `self + value · (tensor1 ∘ tensor2)`
fn addc(b: &mut Builder<'_>, function: Arithmetic) -> Result<Vec<ValueId>, Malformed> {
    let dtype = computed(b)?;
    let addend = b.operand("self", dtype)?;
    let operands = [b.operand("tensor1", dtype)?, b.operand("tensor2", dtype)?];
    let mut product = b.add(function, &operands)?;
    let value = b.call.scalar("value")?;
    if !matches!(value, Scalar::Int(1)) && value.as_f64() != 1.0 {
        let value = b.number(dtype, value);
        product = b.add(Arithmetic::Mul, &[product, value])?;
    }
    Ok(vec![b.add(Arithmetic::Add, &[addend, product])?])
}

/// `self + weight · (end − self)`, from the end that is nearer.
fn lerp(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let dtype = computed(b)?;
    let (start, end) = (b.operand("self", dtype)?, b.operand("end", dtype)?);
    let weight = b.call.float("weight")?;
    let near = weight.abs() < 0.5;
    let factor = b.number(dtype, Scalar::Float(if near { weight } else { 1.0 - weight }));
    let way = b.add(Arithmetic::Sub, &[end, start])?;
    let part = b.add(Arithmetic::Mul, &[way, factor])?;
    Ok(vec![if near {
        b.add(Arithmetic::Add, &[start, part])?
    } else {
        b.add(Arithmetic::Sub, &[end, part])?
    }])
}
