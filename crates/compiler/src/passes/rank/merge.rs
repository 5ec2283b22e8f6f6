//! Operators with neighbouring axes merged that they treat alike.

use ir::TensorType;

use super::parts::{Key, Parts};
use crate::ops::{
    ArgReduce, BroadcastTo, Concat, Cumsum, Flip, Gather, LogSoftmax, Logical, Op, Pad, Padding, Reduce,
    Slice, Softmax, Tile,
};

/// An operator on merged axes, and the sizes that each of its inputs is reshaped to. Its result has the elements of
/// the original's in their order.
pub(super) struct Merged {
    pub(super) op: Op,
    pub(super) inputs: Vec<Vec<usize>>,
}

/// The operator on at most `most` axes; like the first input in the sizes `hint`, where it is there already and that
/// fits. `None` where too few axes are treated alike.
pub(super) fn merged(
    op: &Op,
    inputs: &[&TensorType],
    output: &TensorType,
    most: usize,
    hint: Option<&[usize]>,
) -> Option<Merged> {
    let sizes = inputs.iter().map(|t| t.sizes().ok()).collect::<Option<Vec<_>>>()?;
    let result = output.sizes().ok()?;
    let first = sizes.first()?;
    let along = |keys: &[Key]| Parts::choose(first, keys, most, hint);
    let one = |op: Op, parts: &Parts| Some(Merged { op, inputs: vec![parts.merge(first)] });
    match op {
        Op::Cast(_)
        | Op::Clamp(_)
        | Op::Elu(_)
        | Op::Gelu(_)
        | Op::LeakyRelu(_)
        | Op::Unary(_)
        | Op::Logical(Logical::Not) => {
            let parts = along(&vec![Key::Alike(0); first.len()])?;
            one(op.clone(), &parts)
        }
        Op::Binary(_) | Op::Compare(_) | Op::Logical(_) | Op::Prelu(_) | Op::Where(_) => {
            broadcast(op, &sizes, &result, most, hint)
        }
        Op::BroadcastTo(_) => {
            let parts = Parts::choose(&result, &repeated(&sizes, &result), most, None)?;
            let op = BroadcastTo { sizes: parts.merge(&result) };
            Some(Merged { op: op.into(), inputs: vec![parts.merge(&aligned(first, result.len()))] })
        }
        &Op::Softmax(Softmax { axis }) => {
            let parts = along(&around(first, axis))?;
            one(Softmax { axis: parts.of(axis) }.into(), &parts)
        }
        &Op::LogSoftmax(LogSoftmax { axis }) => {
            let parts = along(&around(first, axis))?;
            one(LogSoftmax { axis: parts.of(axis) }.into(), &parts)
        }
        &Op::Cumsum(Cumsum { axis }) => {
            let parts = along(&around(first, axis))?;
            one(Cumsum { axis: parts.of(axis) }.into(), &parts)
        }
        &Op::Flip(Flip { axis }) => {
            let parts = along(&around(first, axis))?;
            one(Flip { axis: parts.of(axis) }.into(), &parts)
        }
        Op::ArgReduce(reduce) => {
            let parts = along(&around(first, reduce.axis))?;
            one(ArgReduce { axis: parts.of(reduce.axis), ..*reduce }.into(), &parts)
        }
        Op::Reduce(reduce) => {
            let key = |axis| match reduce.axes.contains(&axis) {
                true => Key::Alike(1),
                false => Key::of(first[axis], 0),
            };
            let parts = along(&(0..first.len()).map(key).collect::<Vec<_>>())?;
            let mut axes: Vec<usize> = reduce.axes.iter().map(|&axis| parts.of(axis)).collect();
            axes.dedup();
            one(Reduce { axes, ..reduce.clone() }.into(), &parts)
        }
        &Op::Concat(Concat { axis }) => {
            let parts = along(&around(first, axis))?;
            let inputs = sizes.iter().map(|s| parts.merge(s)).collect();
            Some(Merged { op: Concat { axis: parts.of(axis) }.into(), inputs })
        }
        Op::Slice(slice) => {
            let whole = |axis: usize| slice.sizes[axis] == first[axis];
            let parts = along(&touched(first, |axis| !whole(axis)))?;
            let each = |of: &[usize]| parts.each(|part| part.clone().find(|&a| !whole(a)).map(|a| of[a]));
            let start = each(&slice.start).into_iter().map(|s| s.unwrap_or(0)).collect();
            let step = each(&slice.step).into_iter().map(|s| s.unwrap_or(1)).collect();
            one(Slice { start, sizes: parts.merge(&slice.sizes), step }.into(), &parts)
        }
        Op::Pad(pad) => {
            let padded = |axis: usize| pad.padding[axis] != Padding::default();
            let parts = along(&touched(first, padded))?;
            let padding = parts.each(|part| {
                part.clone().find(|&a| padded(a)).map_or(Padding::default(), |a| pad.padding[a])
            });
            one(Pad { padding, ..pad.clone() }.into(), &parts)
        }
        Op::Tile(tile) => {
            let parts = along(&touched(first, |axis| tile.repeats[axis] != 1))?;
            one(Tile { repeats: parts.merge(&tile.repeats) }.into(), &parts)
        }
        &Op::Gather(Gather { axis, batch: 0 }) => {
            let parts = along(&around(first, axis))?;
            let places = sizes[1].iter().product();
            let op = Gather { axis: parts.of(axis), batch: 0 };
            Some(Merged { op: op.into(), inputs: vec![parts.merge(first), vec![places]] })
        }
        Op::Embedding(_) => {
            Some(Merged { op: op.clone(), inputs: vec![first.clone(), vec![sizes[1].iter().product()]] })
        }
        Op::FullyConnected(_) => {
            let parts = along(&around(first, first.len().checked_sub(1)?))?;
            let mut inputs = sizes.clone();
            inputs[0] = parts.merge(first);
            Some(Merged { op: op.clone(), inputs })
        }
        Op::BatchMatmul(_) => batch_matmul(op, &sizes, &result, most),
        _ => None,
    }
}

/// Axes before and after one axis, which stays alone.
fn around(sizes: &[usize], axis: usize) -> Vec<Key> {
    (0..sizes.len())
        .map(|a| match a.cmp(&axis) {
            std::cmp::Ordering::Less => Key::of(sizes[a], 0),
            std::cmp::Ordering::Equal => Key::Alone,
            std::cmp::Ordering::Greater => Key::of(sizes[a], 1),
        })
        .collect()
}

/// Axes that an operator changes stay alone.
fn touched(sizes: &[usize], is: impl Fn(usize) -> bool) -> Vec<Key> {
    (0..sizes.len()).map(|a| if is(a) { Key::Alone } else { Key::of(sizes[a], 0) }).collect()
}

/// Sizes with ones before them, as broadcasting has it.
fn aligned(sizes: &[usize], rank: usize) -> Vec<usize> {
    std::iter::repeat_n(1, rank - sizes.len()).chain(sizes.iter().copied()).collect()
}

/// Axes are alike where the same operands are repeated along them.
fn repeated(operands: &[Vec<usize>], result: &[usize]) -> Vec<Key> {
    let operands: Vec<Vec<usize>> = operands.iter().map(|s| aligned(s, result.len())).collect();
    let key = |axis: usize| {
        let bits = operands.iter().enumerate().map(|(i, s)| usize::from(s[axis] != result[axis]) << i);
        Key::of(result[axis], bits.sum())
    };
    (0..result.len()).map(key).collect()
}

fn broadcast(
    op: &Op,
    operands: &[Vec<usize>],
    result: &[usize],
    most: usize,
    hint: Option<&[usize]>,
) -> Option<Merged> {
    // What is said of the first operand's sizes is said of the result's where these are the same.
    let hint = hint.filter(|_| operands[0] == result);
    let parts = Parts::choose(result, &repeated(operands, result), most, hint)?;
    let merge = |sizes: &Vec<usize>| match sizes.iter().product::<usize>() {
        1 if sizes.len() <= most => sizes.clone(),
        _ => parts.merge(&aligned(sizes, result.len())),
    };
    Some(Merged { op: op.clone(), inputs: operands.iter().map(merge).collect() })
}

/// Leading axes merge where both operands have them, or one repeats along all of them.
fn batch_matmul(op: &Op, operands: &[Vec<usize>], result: &[usize], most: usize) -> Option<Merged> {
    let batch = &result[..result.len().checked_sub(2)?];
    let split = |s: &Vec<usize>| s.len().checked_sub(2).map(|at| (s[..at].to_vec(), s[at..].to_vec()));
    let (leading, matrices): (Vec<_>, Vec<_>) =
        operands.iter().map(split).collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let parts = Parts::choose(batch, &repeated(&leading, batch), most.checked_sub(2)?, None)?;
    let inputs = leading.iter().zip(&matrices);
    let inputs =
        inputs.map(|(lead, matrix)| [parts.merge(&aligned(lead, batch.len())), matrix.clone()].concat());
    Some(Merged { op: op.clone(), inputs: inputs.collect() })
}
