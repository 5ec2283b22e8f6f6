//! Loops over the elements of one operand, or of operands that broadcast, without an index per element.

use std::cmp::Ordering;
use std::io;

use ir::{DType, Element, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, broadcast};

/// Calls `run(at, len, starts, steps)` for runs of a result of sizes `to`, in row-major order: elements
/// `at .. at + len` read operand `k` at `starts[k]`, `starts[k] + steps[k]`, …, where a step is 0 or 1.
///
/// Each operand has sizes that broadcast to `to`.
fn runs<const N: usize>(
    to: &[usize],
    operands: [&[usize]; N],
    mut run: impl FnMut(usize, usize, [usize; N], [usize; N]),
) {
    if to.contains(&0) {
        return;
    }
    let mut axes = merged(to, operands);
    let (len, steps) = axes.pop().unwrap_or((1, [0; N]));
    let mut index = vec![0; axes.len()];
    let mut starts = [0; N];
    let mut at = 0;
    loop {
        run(at, len, starts, steps);
        at += len;
        let mut axis = axes.len();
        loop {
            let Some(outer) = axis.checked_sub(1) else { return };
            axis = outer;
            let (size, strides) = axes[axis];
            index[axis] += 1;
            for k in 0..N {
                starts[k] += strides[k];
            }
            if index[axis] < size {
                break;
            }
            index[axis] = 0;
            for k in 0..N {
                starts[k] -= strides[k] * size;
            }
        }
    }
}

/// The axes of `to` longer than one with the strides of each operand, neighbours that are walked alike as one.
fn merged<const N: usize>(to: &[usize], operands: [&[usize]; N]) -> Vec<(usize, [usize; N])> {
    let mut axes: Vec<(usize, [usize; N])> = Vec::new();
    let mut next = [1; N];
    for back in 1..=to.len() {
        let size = to[to.len() - back];
        let strides = std::array::from_fn(|k| {
            let own = operands[k].len().checked_sub(back).map_or(1, |axis| operands[k][axis]);
            let stride = if own == 1 { 0 } else { next[k] };
            next[k] *= own;
            stride
        });
        if size == 1 {
            continue;
        }
        match axes.last_mut() {
            Some((inner, steps)) if (0..N).all(|k| strides[k] == steps[k] * *inner) => *inner *= size,
            _ => axes.push((size, strides)),
        }
    }
    axes.reverse();
    axes
}

/// Elements with their sizes.
type Operand<'a, T> = (&'a [T], &'a [usize]);

/// Fills a result of sizes `to` with a function of two operands.
fn fill2<A: Copy, B: Copy, R: Clone>(
    out: &mut [R],
    to: &[usize],
    (a, a_sizes): Operand<'_, A>,
    (b, b_sizes): Operand<'_, B>,
    f: impl Fn(A, B) -> R,
) {
    runs(to, [a_sizes, b_sizes], |at, len, [i, j], steps| {
        let out = &mut out[at..at + len];
        match steps {
            [0, 0] => out.fill(f(a[i], b[j])),
            [0, _] => out.iter_mut().zip(&b[j..]).for_each(|(slot, &y)| *slot = f(a[i], y)),
            [_, 0] => out.iter_mut().zip(&a[i..]).for_each(|(slot, &x)| *slot = f(x, b[j])),
            _ => out.iter_mut().zip(a[i..].iter().zip(&b[j..])).for_each(|(slot, (&x, &y))| *slot = f(x, y)),
        }
    });
}

/// Is arithmetic on real numbers of this dtype evaluated?
pub(crate) fn is_real(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64)
}

/// Is arithmetic on integers of this dtype evaluated? Those of 4 bits are packed, those of u64 exceed i64.
pub(crate) fn is_integer(dtype: DType) -> bool {
    dtype.is_int() && dtype.bits() >= 8 && dtype != DType::U64
}

/// A function of each element of a tensor of reals, computed in double precision and rounded once.
pub(crate) fn map_reals(input: &Tensor, f: impl Fn(f64) -> f64) -> Tensor {
    if input.dtype() != DType::F32 {
        return Tensor::from_f64s(input.dtype(), input.sizes(), input.to_f64s().into_iter().map(f));
    }
    let mut out = Tensor::zeros(DType::F32, input.sizes());
    let from = input.as_slice::<f32>();
    for (slot, &x) in out.as_mut_slice::<f32>().iter_mut().zip(from) {
        *slot = f(f64::from(x)) as f32;
    }
    out
}

/// A function of each element of a tensor of integers, wrapped to their dtype.
pub(crate) fn map_integers(input: &Tensor, f: impl Fn(i64) -> i64) -> Tensor {
    Tensor::from_i64s(input.dtype(), input.sizes(), input.to_i64s().into_iter().map(f))
}

/// A function of two tensors of reals of one dtype that broadcast to the sizes `to`, computed in double precision
/// and rounded once. For sums, differences, products and quotients that is the same as computing in the dtype.
pub(crate) fn zip_reals(a: &Tensor, b: &Tensor, to: &[usize], f: impl Fn(f64, f64) -> f64) -> Tensor {
    if a.dtype() == DType::F32 {
        let mut out = Tensor::zeros(DType::F32, to);
        fill2(out.as_mut_slice::<f32>(), to, operand(a), operand(b), |x: f32, y: f32| {
            f(f64::from(x), f64::from(y)) as f32
        });
        return out;
    }
    let (x, y) = (a.to_f64s(), b.to_f64s());
    let mut out = vec![0.0; to.iter().product()];
    fill2(&mut out, to, (&x, a.sizes()), (&y, b.sizes()), f);
    Tensor::from_f64s(a.dtype(), to, out)
}

/// A function of two tensors of integers of one dtype that broadcast to the sizes `to`, wrapped to the dtype.
pub(crate) fn zip_integers(a: &Tensor, b: &Tensor, to: &[usize], f: impl Fn(i64, i64) -> i64) -> Tensor {
    let (x, y) = (a.to_i64s(), b.to_i64s());
    let mut out = vec![0; to.iter().product()];
    fill2(&mut out, to, (&x, a.sizes()), (&y, b.sizes()), f);
    Tensor::from_i64s(a.dtype(), to, out)
}

/// Each line of reals along one axis changed by `f`, in double precision and rounded once. `None` for other dtypes.
pub(crate) fn along(input: &Tensor, axis: usize, f: impl FnMut(&mut [f64])) -> Option<Vec<Tensor>> {
    if !is_real(input.dtype()) {
        return None;
    }
    let mut values = input.to_f64s();
    each_line(&mut values, input.sizes(), axis, f);
    Some(vec![Tensor::from_f64s(input.dtype(), input.sizes(), values)])
}

/// Each line of integers along one axis changed by `f`, wrapped to their dtype.
pub(crate) fn along_integers(input: &Tensor, axis: usize, f: impl FnMut(&mut [i64])) -> Option<Vec<Tensor>> {
    let mut values = input.to_i64s();
    each_line(&mut values, input.sizes(), axis, f);
    Some(vec![Tensor::from_i64s(input.dtype(), input.sizes(), values)])
}

/// Calls `f` with each line along one axis, in the order of what is left without it; what `f` writes stays.
pub(crate) fn each_line<T: Copy>(
    values: &mut [T],
    sizes: &[usize],
    axis: usize,
    mut f: impl FnMut(&mut [T]),
) {
    let len = sizes.get(axis).copied().unwrap_or(1);
    let inner: usize = sizes.iter().skip(axis + 1).product();
    if values.is_empty() {
        return;
    }
    if inner == 1 {
        return values.chunks_exact_mut(len).for_each(f);
    }
    let mut line = Vec::with_capacity(len);
    for block in values.chunks_exact_mut(len * inner) {
        for first in 0..inner {
            line.clear();
            line.extend(block[first..].iter().step_by(inner));
            f(&mut line);
            block[first..].iter_mut().step_by(inner).zip(&line).for_each(|(slot, &x)| *slot = x);
        }
    }
}

/// For each element of a tensor of sizes `kept`, whose axes are those of `input` or one, what `step` makes of the
/// elements of `input` that stand there, beginning with `start`.
pub(crate) fn reduce_reals(
    input: &Tensor,
    kept: &[usize],
    start: f64,
    step: fn(f64, f64) -> f64,
) -> Vec<f64> {
    if input.dtype() == DType::F32 {
        return reduce(input.as_slice::<f32>(), input.sizes(), kept, start, |total, x| {
            step(total, f64::from(x))
        });
    }
    reduce(&input.to_f64s(), input.sizes(), kept, start, step)
}

/// The same of integers.
pub(crate) fn reduce_integers(
    input: &Tensor,
    kept: &[usize],
    start: i64,
    step: fn(i64, i64) -> i64,
) -> Vec<i64> {
    reduce(&input.to_i64s(), input.sizes(), kept, start, step)
}

fn reduce<T: Copy, A: Copy>(
    from: &[T],
    sizes: &[usize],
    kept: &[usize],
    start: A,
    step: impl Fn(A, T) -> A,
) -> Vec<A> {
    let mut totals = vec![start; kept.iter().product()];
    runs(sizes, [kept], |at, len, [to], [stride]| {
        let run = &from[at..at + len];
        match stride {
            0 => totals[to] = run.iter().fold(totals[to], |total, &x| step(total, x)),
            _ => totals[to..].iter_mut().zip(run).for_each(|(total, &x)| *total = step(*total, x)),
        }
    });
    totals
}

/// Truth about the order of the elements of two tensors of one dtype that broadcast to the sizes `to`. `None` for
/// dtypes whose order is not evaluated.
pub(crate) fn compare(
    a: &Tensor,
    b: &Tensor,
    to: &[usize],
    holds: fn(Option<Ordering>) -> bool,
) -> Option<Tensor> {
    let mut out = Tensor::zeros(DType::Bool, to);
    let slots = out.bytes_mut();
    match a.dtype() {
        DType::F32 => {
            fill2(slots, to, operand(a), operand(b), |x: f32, y: f32| u8::from(holds(x.partial_cmp(&y))));
        }
        dtype if is_real(dtype) => {
            let (x, y) = (a.to_f64s(), b.to_f64s());
            fill2(slots, to, (&x, a.sizes()), (&y, b.sizes()), |x, y| u8::from(holds(x.partial_cmp(&y))));
        }
        dtype if is_integer(dtype) || dtype == DType::Bool => {
            let (x, y) = (a.to_i64s(), b.to_i64s());
            fill2(slots, to, (&x, a.sizes()), (&y, b.sizes()), |x, y| u8::from(holds(Some(x.cmp(&y)))));
        }
        _ => return None,
    }
    Some(out)
}

/// Elements of `yes` where `condition` holds and of `no` elsewhere; all broadcast to the sizes `to`. `None` for
/// packed elements.
pub(crate) fn choose(condition: &Tensor, yes: &Tensor, no: &Tensor, to: &[usize]) -> Option<Tensor> {
    let mut out = Tensor::zeros(yes.dtype(), to);
    match yes.dtype().bits() {
        _ if yes.dtype() == DType::I4 => return None,
        8 => choose_bytes::<1>(&mut out, condition, yes, no, to),
        16 => choose_bytes::<2>(&mut out, condition, yes, no, to),
        32 => choose_bytes::<4>(&mut out, condition, yes, no, to),
        64 => choose_bytes::<8>(&mut out, condition, yes, no, to),
        _ => choose_bytes::<16>(&mut out, condition, yes, no, to),
    }
    Some(out)
}

fn choose_bytes<const W: usize>(
    out: &mut Tensor,
    condition: &Tensor,
    yes: &Tensor,
    no: &Tensor,
    to: &[usize],
) {
    let holds = condition.bytes();
    let (x, y) = (yes.bytes().as_chunks::<W>().0, no.bytes().as_chunks::<W>().0);
    let slots = out.bytes_mut().as_chunks_mut::<W>().0;
    runs(to, [condition.sizes(), yes.sizes(), no.sizes()], |at, len, [h, i, j], [dh, di, dj]| {
        for (k, slot) in slots[at..at + len].iter_mut().enumerate() {
            *slot = if holds[h + k * dh] != 0 { x[i + k * di] } else { y[j + k * dj] };
        }
    });
}

fn operand<T: Element>(tensor: &Tensor) -> Operand<'_, T> {
    (tensor.as_slice(), tensor.sizes())
}

/// A box of the result of an elementwise operator, from the boxes of its operands that it reads.
pub(crate) fn region<T: Definition>(
    op: &T,
    inputs: &[&TensorType],
    region: &Region,
    fetch: Fetch<'_>,
) -> Option<io::Result<Tensor>> {
    match broadcast::fetch(inputs, region, fetch) {
        Ok(slabs) => Some(Ok(op.evaluate(&slabs.iter().collect::<Vec<_>>())?.remove(0))),
        Err(error) => Some(Err(error)),
    }
}

/// An elementwise operator on operands stored in another order: all of the result's rank alike, those of one
/// element left alone.
pub(crate) fn carried<T>(op: T, inputs: &[&TensorType], order: &Order) -> Option<Carried<T>> {
    let mut orders = Vec::new();
    for input in inputs {
        orders.push(match input.rank() {
            rank if rank == order.rank() => order.clone(),
            rank if input.count() == Ok(1) && rank < order.rank() => Order::identity(rank),
            _ => return None,
        });
    }
    Some(Carried { op, inputs: orders, outputs: vec![order.clone()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_visit_what_broadcasting_says() {
        let cases: &[(&[usize], &[usize])] = &[
            (&[2, 3, 4], &[2, 3, 4]),
            (&[2, 1, 4], &[3, 1]),
            (&[1, 3, 1, 5], &[2, 3, 4, 5]),
            (&[], &[2, 3]),
            (&[4], &[2, 3, 1]),
            (&[2, 0, 3], &[3]),
            (&[], &[]),
            (&[2, 1, 3, 1, 2], &[2]),
        ];
        for (a, b) in cases {
            let to = broadcast::sizes(&[a, b]).unwrap();
            let ramp = |sizes: &[usize]| (0..sizes.iter().product::<usize>()).collect::<Vec<_>>();
            let mut pairs = vec![(0, 0); to.iter().product()];
            fill2(&mut pairs, &to, (&ramp(a), a), (&ramp(b), b), |x, y| (x, y));
            let wanted: Vec<_> =
                broadcast::indices(a, &to).into_iter().zip(broadcast::indices(b, &to)).collect();
            assert_eq!(pairs, wanted, "{a:?} and {b:?}");
        }
    }
}
