//! The range that the integers of each value lie in, as far as it is known.

use ir::{DType, Definition, Node, ValueId};

use crate::ops::{Arithmetic, Cumsum, Graph, Op, Reduction, Unary};

/// The least and the largest integer that a value can hold.
pub(super) type Range = (i128, i128);

/// Constants of more bytes than this are not read for their range.
const READ: usize = 4 << 20;

/// For each value, by its index: the range of its elements, where it is of integers (or truth values) and known: by
/// what computes them, or by what reads them. A range is never wider than the dtype, and an operation that may wrap has
/// the range of its dtype.
pub(super) fn of_values(graph: &Graph) -> Vec<Option<Range>> {
    let computed = computed(graph, &[]);
    let demanded = demanded(graph, &computed);
    self::computed(graph, &demanded)
}

/// The ranges that follow from how values are computed, where `demanded` says what else is known of them.
fn computed(graph: &Graph, demanded: &[Option<Range>]) -> Vec<Option<Range>> {
    let mut ranges: Vec<Option<Range>> = vec![None; graph.next_value()];
    let both = |known: Option<Range>, id: ValueId| match (known, demanded.get(id.index()).copied().flatten())
    {
        (Some(a), Some(b)) => Some((a.0.max(b.0), a.1.min(b.1))).filter(|(low, high)| low <= high),
        (known, demand) => known.or(demand),
    };
    for id in graph.value_ids() {
        let value = graph.value(id);
        let known = match &value.definition {
            Definition::Constant(constant) if constant.bytes() <= READ => of_constant(constant),
            _ => value.ty.dtype.int_range().filter(|_| value.ty.dtype != DType::I64),
        };
        ranges[id.index()] = both(known, id);
    }
    for (_, node) in graph.nodes() {
        let inputs: Vec<Option<Range>> = node.inputs.iter().map(|v| ranges[v.index()]).collect();
        for &output in &node.outputs {
            let dtype = graph.ty(output).dtype;
            let Some(whole) = dtype.int_range() else { continue };
            let inferred = of_result(graph, node, &inputs, output);
            // What does not fit the dtype may have wrapped.
            let known = inferred.filter(|(low, high)| *low >= whole.0 && *high <= whole.1);
            ranges[output.index()] = both(known.or_else(|| (dtype != DType::I64).then_some(whole)), output);
        }
    }
    ranges
}

/// The ranges that follow from how values are read: every index is one of the table that it looks up, and an element
/// that is copied or shifted to make an index lies in the range that makes it one.
fn demanded(graph: &Graph, computed: &[Option<Range>]) -> Vec<Option<Range>> {
    let mut demanded: Vec<Option<Range>> = vec![None; graph.next_value()];
    let nodes: Vec<_> = graph.nodes().collect();
    for (_, node) in nodes.into_iter().rev() {
        let Some(&output) = node.outputs.first() else { continue };
        let whole = demanded[output.index()];
        for (at, &input) in node.inputs.iter().enumerate() {
            if !graph.ty(input).dtype.is_int() {
                continue;
            }
            let Some((low, high)) = of_operand(graph, node, at, whole, computed) else { continue };
            let own = &mut demanded[input.index()];
            *own = Some(own.map_or((low, high), |(least, most)| (least.max(low), most.min(high))));
        }
    }
    demanded
}

/// The range that a node demands of its operand `at`, where `whole` is what is demanded of its result.
fn of_operand(
    graph: &Graph,
    node: &Node<Op>,
    at: usize,
    whole: Option<Range>,
    computed: &[Option<Range>],
) -> Option<Range> {
    let size = |axis: usize| graph.ty(node.inputs[0]).sizes().ok()?.get(axis).map(|&n| n as i128 - 1);
    match &node.op {
        Op::Embedding(_) if at == 1 => Some((0, size(0)?)),
        Op::Gather(gather) if at == 1 => Some((0, size(gather.axis)?)),
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::BroadcastTo(_)
        | Op::Tile(_)
        | Op::Flip(_)
        | Op::Concat(_) => whole,
        // A cast that may wrap says nothing of what it was before.
        Op::Cast(cast) => {
            let (from, to) = (graph.ty(node.inputs[0]).dtype.int_range()?, cast.dtype.int_range()?);
            whole.filter(|_| to.0 <= from.0 && to.1 >= from.1)
        }
        Op::Binary(binary) => {
            let ((low, high), (least, most)) = (whole?, computed[node.inputs[1 - at].index()]?);
            // Indices and what is added to them are far too small for a sum to have come round.
            let small = [low, high, least, most].iter().all(|n| n.abs() < 1 << 62);
            match binary.function {
                Arithmetic::Add if small => Some((low - most, high - least)),
                Arithmetic::Sub if small && at == 0 => Some((low + least, high + most)),
                Arithmetic::Sub if small => Some((least - high, most - low)),
                _ => None,
            }
        }
        _ => None,
    }
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

fn of_result(graph: &Graph, node: &Node<Op>, inputs: &[Option<Range>], output: ValueId) -> Option<Range> {
    let op = &node.op;
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
        Op::Reduce(reduce) => match reduce.function {
            Reduction::Max | Reduction::Min => first()?,
            Reduction::Sum => {
                let count = |v: ValueId| Some(graph.ty(v).count().ok()? as i128);
                let each = count(node.inputs[0])?.checked_div(count(output)?)?;
                corners(first()?, (each, each))?
            }
            _ => return None,
        },
        // A running sum is one of the first element at least.
        &Op::Cumsum(Cumsum { axis }) => {
            let size = *graph.ty(output).sizes().ok()?.get(axis)? as i128;
            corners(first()?, (1, size.max(1)))?
        }
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
