//! Loops over the elements of one operand, or of operands that broadcast, without an index per element.

use ir::{DType, Element, Tensor, TensorType};

use super::Order;
use super::definition::Carried;

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

/// Truth about each element of a tensor of reals.
pub(crate) fn test_reals(input: &Tensor, f: impl Fn(f64) -> bool) -> Tensor {
    let truths: Vec<bool> = input.to_f64s().into_iter().map(f).collect();
    Tensor::from_bools(input.sizes(), &truths)
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

fn operand<T: Element>(tensor: &Tensor) -> Operand<'_, T> {
    (tensor.as_slice(), tensor.sizes())
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
    use crate::ops::broadcast;

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
