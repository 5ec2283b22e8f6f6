//! Products of matrices that lie in the last two axes.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::quantized::Hybrid;
use super::{Order, arity, attributes, broadcast};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, batch_mat_mul_options as options};

/// `y[…, i, j] = Σ a[…, i, k] · b[…, k, j]`; the leading axes broadcast.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchMatmul {
    /// Are the last two axes of the first operand swapped?
    pub transpose_a: bool,
    /// Are the last two axes of the second operand swapped?
    pub transpose_b: bool,
}

/// The sizes of a product: those of its leading axes, and `[rows, columns, depth]`.
struct Extent {
    batch: Vec<usize>,
    matrix: [usize; 3],
}

impl BatchMatmul {
    /// The product of two operands that are stored as they are multiplied.
    pub fn plain() -> Self {
        BatchMatmul { transpose_a: false, transpose_b: false }
    }

    fn extent(&self, a: &[usize], b: &[usize]) -> Result<Extent, Mismatch> {
        let wrong = || Mismatch(format!("multiplies matrices of {a:?} and {b:?}"));
        let split = |sizes: &[usize], transpose: bool| {
            let (batch, matrix) = sizes.split_at_checked(sizes.len().wrapping_sub(2))?;
            let &[rows, columns] = matrix else { return None };
            Some((batch.to_vec(), if transpose { [columns, rows] } else { [rows, columns] }))
        };
        let (batch_a, [m, k]) = split(a, self.transpose_a).ok_or_else(wrong)?;
        let (batch_b, [depth, n]) = split(b, self.transpose_b).ok_or_else(wrong)?;
        if depth != k {
            return Err(wrong());
        }
        Ok(Extent { batch: broadcast::sizes(&[&batch_a, &batch_b])?, matrix: [m, n, k] })
    }

    /// Which matrix of each operand makes each matrix of the result.
    fn pairs(extent: &Extent, a: &[usize], b: &[usize]) -> Vec<(usize, usize)> {
        let of = |sizes: &[usize]| broadcast::indices(&sizes[..sizes.len() - 2], &extent.batch);
        of(a).into_iter().zip(of(b)).collect()
    }

    fn compute<T: Real>(&self, extent: &Extent, a: &Tensor, b: &Tensor) -> Vec<T> {
        let [m, n, k] = extent.matrix;
        let (left, right) = (a.as_slice::<T>(), b.as_slice::<T>());
        let mut result = Vec::with_capacity(extent.batch.iter().product::<usize>() * m * n);
        for (i, j) in BatchMatmul::pairs(extent, a.sizes(), b.sizes()) {
            let (one, other) = (&left[i * m * k..(i + 1) * m * k], &right[j * k * n..(j + 1) * k * n]);
            let turned;
            let one = match self.transpose_a {
                true => {
                    turned = transposed(one, k, m);
                    &turned
                }
                false => one,
            };
            result.extend(match self.transpose_b {
                true => matrix::times_transposed(one, other, extent.matrix),
                false => matrix::times(one, other, extent.matrix),
            });
        }
        result
    }

    fn compute_integers(&self, extent: &Extent, a: &Tensor, b: &Tensor) -> Vec<i64> {
        let [m, n, k] = extent.matrix;
        let (left, right) = (a.as_slice::<i64>(), b.as_slice::<i64>());
        let mut result = Vec::new();
        for (i, j) in BatchMatmul::pairs(extent, a.sizes(), b.sizes()) {
            let (one, other) = (&left[i * m * k..(i + 1) * m * k], &right[j * k * n..(j + 1) * k * n]);
            let one = if self.transpose_a { transposed(one, k, m) } else { one.to_vec() };
            let other = if self.transpose_b { transposed(other, n, k) } else { other.to_vec() };
            result.extend(matrix::times_integers(&one, &other, extent.matrix));
        }
        result
    }
}

/// The dtype that elements are multiplied in: integers that stand for real numbers as these.
fn real(dtype: DType, quantized: bool) -> DType {
    if quantized { DType::F32 } else { dtype }
}

/// The matrix of these rows and columns with its axes swapped.
fn transposed<T: Copy>(matrix: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| matrix[r * columns + c])).collect()
}

impl Definition for BatchMatmul {
    const NAMES: &'static [&'static str] = &["batch_matmul"];
    const TFL: &'static [Builtin] = &[Builtin::BATCH_MATMUL];
    attributes!(transpose_a, transpose_b);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [a, b] = arity(inputs)?;
        let Extent { mut batch, matrix: [m, n, _] } = self.extent(&a.sizes()?, &b.sizes()?)?;
        let (one, other) = (real(a.dtype, a.quant.is_some()), real(b.dtype, b.quant.is_some()));
        if one != other {
            return Err(Mismatch(format!("multiplies {a} and {b}")));
        }
        batch.extend([m, n]);
        Ok(vec![TensorType::new(one, &batch)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let dtype = real(inputs[0].dtype(), inputs[0].quant().is_some());
        let extent = self.extent(inputs[0].sizes(), inputs[1].sizes()).ok()?;
        let (a, b) = (matrix::widened(inputs[0])?, matrix::widened(inputs[1])?);
        let mut sizes = extent.batch.clone();
        sizes.extend(&extent.matrix[..2]);
        let product = match a.dtype() {
            DType::F32 => Tensor::new(&sizes, &self.compute::<f32>(&extent, &a, &b)),
            DType::F64 => Tensor::new(&sizes, &self.compute::<f64>(&extent, &a, &b)),
            _ => Tensor::new(&sizes, &self.compute_integers(&extent, &a, &b)),
        };
        Some(vec![matrix::converted(&product, dtype)])
    }

    /// Leading axes in another order, where both operands have all of them.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let rank = order.rank();
        if !order.axes().ends_with(&[rank.checked_sub(2)?, rank - 1])
            || inputs.iter().any(|t| t.rank() != rank)
        {
            return None;
        }
        Some(Carried::alike(self.clone(), 2, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (a, b) = (inputs[0], inputs[1]);
        if a.quant.is_some() {
            return Err(Illegal(format!(
                "BATCH_MATMUL has no kernel for {a} times {b}: of constant integers, only the right operand may be"
            )));
        }
        // The columns of the right operand have a scale each.
        let axis = b.rank().saturating_sub(if self.transpose_b { 2 } else { 1 });
        let weights = &[DType::I8];
        Hybrid { builtin: Builtin::BATCH_MATMUL, weights, axis, per_tensor: true }.admit(a, b)?;
        for ty in inputs {
            // Measured on LiteRT 2.3.0: right for 2 to 5 axes, with broadcasting.
            if ty.rank() > 5 {
                return Err(Illegal(format!("BATCH_MATMUL takes at most 5 axes, not {}", ty.rank())));
            }
        }
        Ok(tfl::Call::new(Builtin::BATCH_MATMUL)
            .inputs(0..2)
            .set(options::ADJ_X, self.transpose_a)
            .set(options::ADJ_Y, self.transpose_b))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let op = BatchMatmul { transpose_a: node.get(options::ADJ_X), transpose_b: node.get(options::ADJ_Y) };
        Ok(tfl::imported(op, 0..2))
    }
}
