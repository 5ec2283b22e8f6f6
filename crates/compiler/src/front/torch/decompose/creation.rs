//! Tensors made from nothing but numbers, and calls that change nothing but the dtype.

use ir::{DType, Tensor, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.arange.default", "aten.arange.start", "aten.arange.start_step"], arange),
    (&["aten.linspace.default"], linspace),
    (&["aten.full.default", "aten.full_like.default", "aten.new_full.default"], |b| filled(b, "fill_value")),
    (&["aten.fill.Scalar", "aten.scalar_tensor.default"], |b| {
        filled(b, if &*b.call.target == "aten.fill.Scalar" { "value" } else { "s" })
    }),
    (
        &[
            "aten.zeros.default",
            "aten.zeros_like.default",
            "aten.new_zeros.default",
            "aten.zero.default",
            // What a model reads before it writes it is nothing that PyTorch promises: zeros will do.
            "aten.empty.memory_format",
            "aten.empty_like.default",
            "aten.new_empty.default",
            "aten.empty_permuted.default",
            "aten.empty_strided.default",
            "aten.new_empty_strided.default",
        ],
        |b| repeated(b, Scalar::Int(0)),
    ),
    (&["aten.ones.default", "aten.ones_like.default", "aten.new_ones.default"], |b| {
        repeated(b, Scalar::Int(1))
    }),
    (CONVERSIONS, converted),
];

/// Calls that give their tensor as it is, or in another dtype.
pub(super) const CONVERSIONS: &[&str] = &[
    "aten.alias.default",
    "aten.clone.default",
    "aten.contiguous.default",
    "aten.detach.default",
    "aten.dropout.default",
    "aten.feature_dropout.default",
    "aten.lift_fresh.default",
    "aten.lift_fresh_copy.default",
    "aten.pin_memory.default",
    "aten.resolve_conj.default",
    "aten.resolve_neg.default",
    "aten.to.dtype",
    "aten.to.dtype_layout",
    "aten.to.device",
    "aten.to.other",
    "aten._to_copy.default",
    "aten.type_as.default",
    "aten.to_dense.default",
];

/// The most elements that a call may make from nothing: beyond it, the constant would be a weight of its own.
const MOST: usize = 64 << 20;

/// `start, start + step, …`, computed in the result's own kind of number as PyTorch does.
fn arange(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let ty = b.result(0)?;
    let with_start = &*b.call.target != "aten.arange.default";
    let start = if with_start { b.call.scalar("start")? } else { Scalar::Int(0) };
    let step =
        if &*b.call.target == "aten.arange.start_step" { b.call.scalar("step")? } else { Scalar::Int(1) };
    let count = counted(b)?;
    let tensor = match (start, step) {
        (Scalar::Int(start), Scalar::Int(step)) => Tensor::from_i64s(
            ty.dtype,
            &[count],
            (0..count as i64).map(|i| start.wrapping_add(i.wrapping_mul(step))),
        ),
        _ => {
            let (start, step) = (start.as_f64(), step.as_f64());
            Tensor::from_f64s(ty.dtype, &[count], (0..count).map(|i| start + i as f64 * step))
        }
    };
    Ok(vec![b.constant(tensor)])
}

/// `steps` numbers from `start` to `end`: the first half counted from the start, the second from the end, each
/// rounded once (measured on torch 2.14: equal to the last bit).
fn linspace(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (ty, count) = (b.result(0)?, counted(b)?);
    let (start, end) = (b.call.scalar("start")?.as_f64(), b.call.scalar("end")?.as_f64());
    let last = count.saturating_sub(1);
    macro_rules! spaced {
        ($t:ty) => {{
            let (start, end) = (start as $t, end as $t);
            let step = (end - start) / last as $t;
            let at = |i: usize| match i < count / 2 {
                _ if last == 0 => start,
                true => step.mul_add(i as $t, start),
                false => (-step).mul_add((last - i) as $t, end),
            };
            Tensor::new(&[count], &(0..count).map(at).collect::<Vec<$t>>())
        }};
    }
    let tensor = match ty.dtype {
        DType::F32 => spaced!(f32),
        DType::F64 => spaced!(f64),
        other => return Err(b.call.malformed(format!("numbers of {other} are not spaced"))),
    };
    Ok(vec![b.constant(tensor)])
}

fn filled(b: &mut Builder<'_>, argument: &str) -> Result<Vec<ValueId>, Malformed> {
    repeated(b, b.call.scalar(argument)?)
}

fn repeated(b: &mut Builder<'_>, value: Scalar) -> Result<Vec<ValueId>, Malformed> {
    let ty = b.result(0)?;
    let sizes = ty.sizes().map_err(|m| Malformed(m.0))?;
    let count = counted(b)?;
    let tensor = match value {
        Scalar::Int(n) => Tensor::from_i64s(ty.dtype, &sizes, std::iter::repeat_n(n, count)),
        Scalar::Bool(v) => Tensor::from_i64s(ty.dtype, &sizes, std::iter::repeat_n(i64::from(v), count)),
        Scalar::Float(x) => Tensor::from_f64s(ty.dtype, &sizes, std::iter::repeat_n(x, count)),
    };
    Ok(vec![b.constant(tensor)])
}

/// The number of elements of the result, within bounds and of a dtype that can be computed.
fn counted(b: &Builder<'_>) -> Result<usize, Malformed> {
    let ty = b.result(0)?;
    if ty.dtype.is_complex() || (ty.dtype.is_float() && ty.dtype.bits() == 8) || ty.dtype == DType::I4 {
        return Err(b.call.malformed(format!("tensors of {} are not made", ty.dtype)));
    }
    let count = ty.count().map_err(|m| Malformed(m.0))?;
    if count > MOST {
        return Err(b.call.malformed(format!("makes {count} elements, more than {MOST}")));
    }
    Ok(count)
}

/// The same elements, of the dtype that PyTorch recorded.
fn converted(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let name = if b.call.arguments.contains_key("input") { "input" } else { "self" };
    let (value, dtype) = (b.tensor(name)?, b.result(0)?.dtype);
    Ok(vec![b.cast(value, dtype)?])
}
