//! The range that the integers of each value lie in, as far as it is known.

use ir::{DType, Definition, ValueId};

use crate::ops::{Arithmetic, Graph, Op, Unary};

/// The least and the largest integer that a value can hold.
pub(super) type Range = (i128, i128);

/// Constants of more bytes than this are not read for their range.
const READ: usize = 4 << 20;

/// For each value, by its index: the range of its elements, where it is of integers (or truth values) and known.
/// A range is never wider than the dtype, and an operation that may wrap has the range of its dtype.
pub(super) fn of_values(graph: &Graph) -> Vec<Option<Range>> {
    let mut ranges: Vec<Option<Range>> = Vec::new();
    for id in graph.value_ids() {
        let value = graph.value(id);
        if ranges.len() <= id.index() {
            ranges.resize(id.index() + 1, None);
        }
        ranges[id.index()] = match &value.definition {
            Definition::Constant(constant) if constant.bytes() <= READ => of_constant(constant),
            _ => value.ty.dtype.int_range().filter(|_| value.ty.dtype != DType::I64),
        };
    }
    for (_, node) in graph.nodes() {
        let inputs: Vec<Option<Range>> = node.inputs.iter().map(|v| ranges[v.index()]).collect();
        for &output in &node.outputs {
            let dtype = graph.ty(output).dtype;
            let Some(whole) = dtype.int_range() else { continue };
            let inferred = of_result(graph, &node.op, &inputs, output);
            // What does not fit the dtype may have wrapped.
            let known = inferred.filter(|(low, high)| *low >= whole.0 && *high <= whole.1);
            ranges[output.index()] = known.or_else(|| (dtype != DType::I64).then_some(whole));
        }
    }
    ranges
}

fn of_constant(constant: &ir::Constant) -> Option<Range> {
    let dtype = constant.dtype();
    if dtype == DType::I4 || dtype == DType::U64 || !(dtype.is_int() || dtype == DType::Bool) {
        return None;
    }
    let elements = constant.read().ok()?.to_i64s();
    let (low, high) = (elements.iter().min()?, elements.iter().max()?);
    Some((i128::from(*low), i128::from(*high)))
}

fn of_result(graph: &Graph, op: &Op, inputs: &[Option<Range>], output: ValueId) -> Option<Range> {
    let first = || *inputs.first()?;
    let second = || *inputs.get(1)?;
    Some(match op {
        // These give elements of their operands.
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::BroadcastTo(_)
        | Op::Tile(_)
        | Op::Flip(_)
        | Op::Gather(_) => first()?,
        Op::Concat(_) => joined(inputs)?,
        Op::Where(_) => joined(inputs.get(1..)?)?,
        Op::Cast(_) => first()?,
        Op::Compare(_) | Op::Logical(_) if graph.ty(output).dtype == DType::Bool => (0, 1),
        Op::ArgReduce(_) => (0, i128::from(i32::MAX)),
        Op::Unary(Unary::Neg) => {
            let (low, high) = first()?;
            (-high, -low)
        }
        Op::Unary(Unary::Abs) => {
            let (low, high) = first()?;
            (if low <= 0 && high >= 0 { 0 } else { low.abs().min(high.abs()) }, low.abs().max(high.abs()))
        }
        Op::Binary(binary) => {
            let (a, b) = (first()?, second()?);
            match binary.function {
                Arithmetic::Add => (a.0.checked_add(b.0)?, a.1.checked_add(b.1)?),
                Arithmetic::Sub => (a.0.checked_sub(b.1)?, a.1.checked_sub(b.0)?),
                Arithmetic::Mul => corners(a, b)?,
                Arithmetic::Maximum => (a.0.max(b.0), a.1.max(b.1)),
                Arithmetic::Minimum => (a.0.min(b.0), a.1.min(b.1)),
                // A divisor of 1 or more brings every quotient nearer to zero, and rounds down.
                Arithmetic::DivFloor | Arithmetic::DivTrunc if b.0 >= 1 => (a.0.min(0), a.1.max(0)),
                Arithmetic::Remainder if b.0 >= 1 => (0, b.1 - 1),
                _ => return None,
            }
        }
        _ => return None,
    })
}

fn joined(ranges: &[Option<Range>]) -> Option<Range> {
    ranges.iter().copied().reduce(|a, b| Some((a?.0.min(b?.0), a?.1.max(b?.1))))?
}

fn corners(a: Range, b: Range) -> Option<Range> {
    let products =
        [a.0.checked_mul(b.0)?, a.0.checked_mul(b.1)?, a.1.checked_mul(b.0)?, a.1.checked_mul(b.1)?];
    Some((*products.iter().min()?, *products.iter().max()?))
}
