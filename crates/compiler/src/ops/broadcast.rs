//! Broadcasting as PyTorch and TFLite share it: shapes meet at their last axes, and a size of one repeats.

use ir::{Mismatch, Region, Tensor, TensorType};

/// The sizes of the result of combining operands of these sizes. Errs with the sizes that do not meet.
pub(crate) fn sizes(operands: &[&[usize]]) -> Result<Vec<usize>, Mismatch> {
    let rank = operands.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for operand in operands {
        let lead = rank - operand.len();
        for (axis, &size) in operand.iter().enumerate() {
            let slot = &mut result[lead + axis];
            if *slot == 1 {
                *slot = size;
            } else if size != 1 && size != *slot {
                return Err(Mismatch(format!("the sizes {operands:?} do not broadcast")));
            }
        }
    }
    Ok(result)
}

/// The sizes of the result of combining values of these types.
pub(crate) fn of_types(operands: &[&TensorType]) -> Result<Vec<usize>, Mismatch> {
    let all = operands.iter().map(|t| t.sizes()).collect::<Result<Vec<_>, _>>()?;
    sizes(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// For each element of a result of sizes `to`, in row-major order, the index of the element of an operand of
/// sizes `from` that it reads.
pub(crate) fn indices(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let lead = to.len() - from.len();
    let mut step = 1;
    for axis in (0..from.len()).rev() {
        strides[lead + axis] = if from[axis] == 1 { 0 } else { step };
        step *= from[axis];
    }
    strided(to, &strides)
}

/// For each element of a tensor of these sizes, in row-major order, `Σ indexₖ·strideₖ`.
pub(crate) fn strided(sizes: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut result = vec![0];
    if sizes.contains(&0) {
        return Vec::new();
    }
    for (&size, &stride) in sizes.iter().zip(strides) {
        result = result.iter().flat_map(|&base| (0..size).map(move |i| base + i * stride)).collect();
    }
    result
}

/// The elements of an operand repeated to the sizes `to`.
pub(crate) fn expanded<T: Copy>(elements: &[T], from: &[usize], to: &[usize]) -> Vec<T> {
    if from == to {
        return elements.to_vec();
    }
    indices(from, to).into_iter().map(|i| elements[i]).collect()
}

/// The box of an operand of sizes `from` that a box of the result reads.
pub(crate) fn region(from: &[usize], region: &Region) -> Region {
    let lead = region.sizes.len() - from.len();
    let mut of = Region::whole(from);
    for (axis, &size) in from.iter().enumerate() {
        if size != 1 {
            of.start[axis] = region.start[lead + axis];
            of.sizes[axis] = region.sizes[lead + axis];
        }
    }
    of
}

/// The boxes of all operands that a box of the result of an elementwise operator reads.
pub(crate) fn fetch(
    inputs: &[&TensorType],
    result: &Region,
    fetch: super::definition::Fetch<'_>,
) -> std::io::Result<Vec<Tensor>> {
    let of = |i: usize, ty: &TensorType| {
        let sizes = ty.sizes().map_err(|m| std::io::Error::other(m.0))?;
        fetch(i, &region(&sizes, result))
    };
    let mut of = of;
    inputs.iter().enumerate().map(|(i, ty)| of(i, ty)).collect()
}
