//! What operators share that only move elements: how elements are taken, and which dtypes LiteRT moves.

use ir::{DType, Tensor, TensorType};

use crate::dialect::tfl::{Builtin, Illegal};

/// Elements of `input` by their row-major indices, in these sizes. `None` for dtypes of less than a byte.
pub(crate) fn taken(
    input: &Tensor,
    sizes: &[usize],
    indices: impl IntoIterator<Item = usize>,
) -> Option<Tensor> {
    let width = input.dtype().bits() / 8;
    if width == 0 {
        return None;
    }
    let from = input.bytes();
    let mut out = Tensor::zeros(input.dtype(), sizes);
    for (slot, index) in out.bytes_mut().chunks_exact_mut(width).zip(indices) {
        slot.copy_from_slice(&from[index * width..(index + 1) * width]);
    }
    Some(out)
}

/// The row-major distance between neighbours along each axis of a tensor of these sizes.
pub(crate) fn strides(sizes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sizes.len()];
    for axis in (0..sizes.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * sizes[axis + 1];
    }
    strides
}

/// The dtypes for which kernels that move elements are there (measured on LiteRT 2.3.0: SLICE, STRIDED_SLICE,
/// CONCATENATION, GATHER, TILE, REVERSE_V2 and BROADCAST_TO alike).
const MOVED: &[DType] =
    &[DType::F32, DType::F16, DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::Bool];

/// Errs where a kernel that moves elements does not take values of this type.
pub(crate) fn spelled(operator: Builtin, ty: &TensorType) -> Result<(), Illegal> {
    if !MOVED.contains(&ty.dtype) {
        return Err(Illegal(format!("{operator} has no kernel for {}", ty.dtype)));
    }
    if ty.rank() == 0 || ty.rank() > 8 {
        return Err(Illegal(format!("{operator} takes 1 to 8 axes, not {}", ty.rank())));
    }
    Ok(())
}
