//! Products of matrices, on all cores.

use std::borrow::Cow;

use ir::{DType, Tensor};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

/// A real number that matrix products are computed in.
pub(crate) trait Real: ir::Element + ndarray::LinalgScalar + PartialOrd + Send + Sync {
    /// The nearest number of this kind.
    fn of(value: f64) -> Self;
    /// The square root.
    fn root(self) -> Self;
}

impl Real for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn root(self) -> Self {
        self.sqrt()
    }
}

impl Real for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn root(self) -> Self {
        self.sqrt()
    }
}

/// The dtype that elements of this dtype are summed in: halves in f32, as PyTorch's kernels do, and integers in i64.
pub(crate) fn accumulator(dtype: DType) -> Option<DType> {
    match dtype {
        DType::F16 | DType::Bf16 | DType::F32 => Some(DType::F32),
        DType::F64 => Some(DType::F64),
        DType::I8 | DType::U8 | DType::I16 | DType::I32 | DType::I64 => Some(DType::I64),
        _ => None,
    }
}

/// The tensor in the dtype that its elements are summed in. Quantized integers are the real numbers that they stand for:
/// an operator on f32 and quantized weights is evaluated with these, not with the kernels' arithmetic, which rounds its
/// f32 operand to integers too.
pub(crate) fn widened(tensor: &Tensor) -> Option<Cow<'_, Tensor>> {
    if tensor.quant().is_some() {
        return Some(Cow::Owned(tensor.dequantized()?));
    }
    let to = accumulator(tensor.dtype())?;
    if to == tensor.dtype() {
        return Some(Cow::Borrowed(tensor));
    }
    Some(Cow::Owned(converted(tensor, to)))
}

/// The elements in another dtype, rounded once.
pub(crate) fn converted(tensor: &Tensor, to: DType) -> Tensor {
    if tensor.dtype() == to {
        return tensor.clone();
    }
    match to.is_int() {
        true => Tensor::from_i64s(to, tensor.sizes(), tensor.to_i64s()),
        false => Tensor::from_f64s(to, tensor.sizes(), tensor.to_f64s()),
    }
}

/// The rows of a result that one task computes.
const ROWS: usize = 64;

/// `a · bᵀ` for `a` of `[m, k]` and `b` of `[n, k]`, both row-major; the result is `[m, n]`.
pub(crate) fn times_transposed<T: Real>(a: &[T], b: &[T], [m, n, k]: [usize; 3]) -> Vec<T> {
    let b = ArrayView2::from_shape((n, k), b).expect("b holds n rows of k");
    product(a, b.t(), [m, n, k])
}

/// `a · b` for row-major `a` of `[m, k]` and `b` of `[k, n]`; the result is `[m, n]`.
pub(crate) fn times<T: Real>(a: &[T], b: &[T], [m, n, k]: [usize; 3]) -> Vec<T> {
    let b = ArrayView2::from_shape((k, n), b).expect("b holds k rows of n");
    product(a, b, [m, n, k])
}

fn product<T: Real>(a: &[T], b: ArrayView2<'_, T>, [m, n, k]: [usize; 3]) -> Vec<T> {
    let mut result = vec![T::zero(); m * n];
    if n == 0 || k == 0 {
        return result;
    }
    result.par_chunks_mut(ROWS * n).zip(a.par_chunks(ROWS * k)).for_each(|(rows, a)| {
        let count = rows.len() / n;
        let a = ArrayView2::from_shape((count, k), a).expect("a holds m rows of k");
        let mut rows = ArrayViewMut2::from_shape((count, n), rows).expect("the result holds m rows of n");
        general_mat_mul(T::one(), &a, &b, T::zero(), &mut rows);
    });
    result
}

/// `a · b` of integers, wrapping as PyTorch does.
pub(crate) fn times_integers(a: &[i64], b: &[i64], [m, n, k]: [usize; 3]) -> Vec<i64> {
    let mut result = vec![0i64; m * n];
    for (i, row) in result.chunks_exact_mut(n.max(1)).enumerate() {
        for (l, factor) in a[i * k..(i + 1) * k].iter().enumerate() {
            for (slot, value) in row.iter_mut().zip(&b[l * n..(l + 1) * n]) {
                *slot = slot.wrapping_add(factor.wrapping_mul(*value));
            }
        }
    }
    result
}
