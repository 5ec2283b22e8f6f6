//! Comparisons, logic and choices: type promotion, numbers in place of tensors.

use ir::{DType, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Argument, Malformed, Scalar};
use crate::ops::{Compare, Logical, Op, Unary, Where};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.eq.Tensor", "aten.eq.Scalar"], |b| compare(b, Compare::Equal)),
    (&["aten.ne.Tensor", "aten.ne.Scalar", "aten.not_equal.Tensor", "aten.not_equal.Scalar"], |b| {
        compare(b, Compare::NotEqual)
    }),
    (&["aten.lt.Tensor", "aten.lt.Scalar", "aten.less.Tensor", "aten.less.Scalar"], |b| {
        compare(b, Compare::Less)
    }),
    (&["aten.le.Tensor", "aten.le.Scalar", "aten.less_equal.Tensor", "aten.less_equal.Scalar"], |b| {
        compare(b, Compare::LessEqual)
    }),
    (&["aten.gt.Tensor", "aten.gt.Scalar", "aten.greater.Tensor", "aten.greater.Scalar"], |b| {
        compare(b, Compare::Greater)
    }),
    (&["aten.ge.Tensor", "aten.ge.Scalar", "aten.greater_equal.Tensor", "aten.greater_equal.Scalar"], |b| {
        compare(b, Compare::GreaterEqual)
    }),
    (&["aten.isnan.default"], is_nan),
    (&["aten.isinf.default"], |b| against_infinity(b, Compare::Equal)),
    (&["aten.isfinite.default"], |b| against_infinity(b, Compare::Less)),
    (&["aten.logical_and.default"], |b| of_truths(b, Logical::And)),
    (&["aten.logical_or.default"], |b| of_truths(b, Logical::Or)),
    (&["aten.logical_xor.default"], |b| of_truths(b, Logical::Xor)),
    (&["aten.logical_not.default"], not_true),
    (
        &[
            "aten.bitwise_and.Tensor",
            "aten.bitwise_and.Scalar",
            "aten.bitwise_and.Scalar_Tensor",
            "aten.__and__.Tensor",
            "aten.__and__.Scalar",
        ],
        |b| of_bits(b, Logical::And),
    ),
    (
        &[
            "aten.bitwise_or.Tensor",
            "aten.bitwise_or.Scalar",
            "aten.bitwise_or.Scalar_Tensor",
            "aten.__or__.Tensor",
            "aten.__or__.Scalar",
        ],
        |b| of_bits(b, Logical::Or),
    ),
    (
        &[
            "aten.bitwise_xor.Tensor",
            "aten.bitwise_xor.Scalar",
            "aten.bitwise_xor.Scalar_Tensor",
            "aten.__xor__.Tensor",
            "aten.__xor__.Scalar",
        ],
        |b| of_bits(b, Logical::Xor),
    ),
    (&["aten.bitwise_not.default"], not_bits),
    (&["aten.where.self", "aten.where.Scalar", "aten.where.ScalarOther", "aten.where.ScalarSelf"], choose),
    (&["aten.masked_fill.Scalar", "aten.masked_fill.Tensor"], masked_fill),
    (&["aten.nan_to_num.default"], nan_to_num),
];

impl Builder<'_> {
    /// Where the elements differ from zero; the value itself where it holds truths already.
    pub(crate) fn truths(&mut self, value: ValueId) -> Result<ValueId, Malformed> {
        self.against_zero(value, Compare::NotEqual)
    }

    fn against_zero(&mut self, value: ValueId, compare: Compare) -> Result<ValueId, Malformed> {
        let dtype = self.ty(value).dtype;
        match (dtype, compare) {
            (DType::Bool, Compare::NotEqual) => Ok(value),
            (DType::Bool, _) => self.add(Logical::Not, &[value]),
            _ => {
                let zero = self.number(dtype, Scalar::Int(0));
                self.add(compare, &[value, zero])
            }
        }
    }

    /// `yes` where `condition` holds, elsewhere `no`.
    pub(crate) fn choose(
        &mut self,
        condition: ValueId,
        yes: ValueId,
        no: ValueId,
    ) -> Result<ValueId, Malformed> {
        self.add(Where {}, &[condition, yes, no])
    }
}

/// How much a kind of operand weighs in PyTorch's type promotion: a tensor with axes more than one without, and that
/// more than a Python number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Number,
    ZeroAxes,
    Axes,
}

/// The dtype in which PyTorch compares these arguments (`torch.result_type`).
fn common_dtype(b: &Builder<'_>, names: [&str; 2]) -> Result<DType, Malformed> {
    let mut of_weight: [Option<DType>; 3] = [None; 3];
    for name in names {
        let (weight, dtype) = match b.call.get(name)? {
            Argument::Tensor(tensor) if tensor.ty.rank() == 0 => (Weight::ZeroAxes, tensor.ty.dtype),
            Argument::Tensor(tensor) => (Weight::Axes, tensor.ty.dtype),
            _ => match b.call.scalar(name)? {
                Scalar::Bool(_) => (Weight::Number, DType::Bool),
                Scalar::Int(_) => (Weight::Number, DType::I64),
                Scalar::Float(_) => (Weight::Number, DType::F32),
            },
        };
        let slot = &mut of_weight[weight as usize];
        *slot = Some(slot.map_or(dtype, |other| promoted(other, dtype)));
    }
    let heaviest_first = of_weight.into_iter().rev().flatten();
    let dtype = heaviest_first.reduce(|heavy, light| {
        let kind = |d: DType| if d.is_float() { 2 } else { i32::from(d != DType::Bool) };
        if kind(heavy) >= kind(light) { heavy } else { promoted(heavy, light) }
    });
    dtype.filter(|d| !d.is_complex()).ok_or_else(|| b.call.malformed("is not computed on complex numbers"))
}

/// The dtype that holds the values of both, as `torch.promote_types` has it.
fn promoted(a: DType, b: DType) -> DType {
    if a == b {
        return a;
    }
    match (a.is_float(), b.is_float()) {
        (true, false) => a,
        (false, true) => b,
        (true, true) if a.bits() == b.bits() => DType::F32,
        (true, true) => {
            if a.bits() > b.bits() {
                a
            } else {
                b
            }
        }
        (false, false) => promoted_integers(a, b),
    }
}

fn promoted_integers(a: DType, b: DType) -> DType {
    let (Some((low_a, high_a)), Some((low_b, high_b))) = (a.int_range(), b.int_range()) else { return a };
    let (low, high) = (low_a.min(low_b), high_a.max(high_b));
    let holds = |d: &DType| d.int_range().is_some_and(|(l, h)| l <= low && h >= high);
    // Truth values promote to whatever stands beside them; of integers, the narrowest that holds both.
    let candidates = [a, b, DType::I16, DType::I32, DType::I64];
    candidates.into_iter().find(holds).unwrap_or(DType::I64)
}

fn compare(b: &mut Builder<'_>, compare: Compare) -> Result<Vec<ValueId>, Malformed> {
    let mut dtype = common_dtype(b, ["self", "other"])?;
    // An order of truth values is that of 0 and 1.
    if dtype == DType::Bool && !matches!(compare, Compare::Equal | Compare::NotEqual) {
        dtype = DType::I32;
    }
    let operands = [b.operand("self", dtype)?, b.operand("other", dtype)?];
    Ok(vec![b.add(compare, &operands)?])
}

/// `x ≠ x`
fn is_nan(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    Ok(vec![b.add(Compare::NotEqual, &[x, x])?])
}

/// `|x| = ∞`, `|x| < ∞`
fn against_infinity(b: &mut Builder<'_>, compare: Compare) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let dtype = b.ty(x).dtype;
    if !dtype.is_float() {
        // Integers are finite.
        let same = if compare == Compare::Less { Compare::Equal } else { Compare::NotEqual };
        return Ok(vec![b.add(same, &[x, x])?]);
    }
    let size = b.add(Unary::Abs, &[x])?;
    let infinity = b.number(dtype, Scalar::Float(f64::INFINITY));
    Ok(vec![b.add(compare, &[size, infinity])?])
}

fn of_truths(b: &mut Builder<'_>, logical: Logical) -> Result<Vec<ValueId>, Malformed> {
    let (one, two) = (b.tensor("self")?, b.tensor("other")?);
    let operands = [b.truths(one)?, b.truths(two)?];
    Ok(vec![b.add(logical, &operands)?])
}

fn not_true(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    Ok(vec![b.against_zero(x, Compare::Equal)?])
}

fn of_bits(b: &mut Builder<'_>, logical: Logical) -> Result<Vec<ValueId>, Malformed> {
    let dtype = b.result(0)?.dtype;
    let operands = [b.operand("self", dtype)?, b.operand("other", dtype)?];
    Ok(vec![b.add(logical, &operands)?])
}

fn not_bits(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    Ok(vec![b.add(Logical::Not, &[x])?])
}

fn choose(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let condition = b.tensor("condition")?;
    let condition = b.truths(condition)?;
    let dtype = b.result(0)?.dtype;
    let (yes, no) = (b.operand("self", dtype)?, b.operand("other", dtype)?);
    Ok(vec![b.choose(condition, yes, no)?])
}

fn masked_fill(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let mask = b.tensor("mask")?;
    let mask = b.truths(mask)?;
    let dtype = b.result(0)?.dtype;
    let (x, value) = (b.operand("self", dtype)?, b.operand("value", dtype)?);
    Ok(vec![b.choose(mask, value, x)?])
}

/// NaN becomes a number, 0 unless given; the infinities become the largest numbers unless given.
fn nan_to_num(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let x = b.tensor("self")?;
    let dtype = b.ty(x).dtype;
    let largest = match dtype {
        DType::F64 => f64::MAX,
        DType::F32 => f64::from(f32::MAX),
        DType::F16 => 65504.0,
        DType::Bf16 => 2f64.powi(127) * (2.0 - 2f64.powi(-7)),
        _ => return Ok(vec![x]),
    };
    let replacements = [
        (f64::NEG_INFINITY, b.call.optional_float("neginf")?.unwrap_or(-largest)),
        (f64::INFINITY, b.call.optional_float("posinf")?.unwrap_or(largest)),
    ];
    let mut result = x;
    for (found, replacement) in replacements {
        let found = b.number(dtype, Scalar::Float(found));
        let condition = b.add(Compare::Equal, &[x, found])?;
        let replacement = b.number(dtype, Scalar::Float(replacement));
        result = b.choose(condition, replacement, result)?;
    }
    let condition = b.add(Compare::NotEqual, &[x, x])?;
    let nan = b.number(dtype, Scalar::Float(b.call.optional_float("nan")?.unwrap_or(0.0)));
    Ok(vec![b.choose(condition, nan, result)?])
}

/// The operator that arithmetic on truth values is, where PyTorch has one.
pub(super) fn of_truth_arithmetic(op: crate::ops::Arithmetic) -> Option<Op> {
    use crate::ops::Arithmetic;
    match op {
        Arithmetic::Add | Arithmetic::Maximum => Some(Logical::Or.into()),
        Arithmetic::Mul | Arithmetic::Minimum => Some(Logical::And.into()),
        _ => None,
    }
}
