//! Copies that no one needs.

use ir::{DType, Tensor};

use crate::ops::{Arithmetic, Concat, Gather, Op, Patch, Reshape, Site, Slice, Tile};

/// `concat(slice(x) { a .. b }, slice(x) { b .. c }, y)  =>  concat(slice(x) { a .. c }, y)`
pub(super) fn concat_of_neighbours(at: Site<'_>) -> Option<Patch<'_>> {
    let &Concat { axis } = at.op()?;
    for index in 1..at.inputs().len() {
        let (Some(left), Some(right)) = (at.producer(index - 1), at.producer(index)) else { continue };
        let (Some(a), Some(b)) = (left.op::<Slice>(), right.op::<Slice>()) else { continue };
        let mut joined = a.clone();
        joined.sizes[axis] += b.sizes[axis];
        let mut other = b.clone();
        (other.start[axis], other.sizes[axis]) = (a.start[axis], joined.sizes[axis]);
        let follows = b.start[axis] == a.start[axis] + a.sizes[axis].saturating_mul(a.step[axis]);
        if left.input(0) != right.input(0) || other != joined || !follows {
            continue;
        }
        let mut patch = at.patch();
        patch.consume(&left);
        patch.consume(&right);
        let joined = patch.try_add(joined, [left.input(0)?]).ok()?;
        let mut inputs = at.inputs().to_vec();
        inputs.splice(index - 1..=index, [joined]);
        let result = patch.add(Concat { axis }, inputs);
        return Some(patch.replace(at.output(), result));
    }
    None
}

/// More ones than this are not written to save a tile.
const ONES: usize = 1 << 14;

/// `tile(x)  =>  x · [[1, …], …]`, where the repeated axes of `x` have one place: XNNPACK computes products, but tiles
/// stay outside of it and cut the model in two. Builtin kernels of products clamp infinities, so `x` must be what such a
/// kernel has made anyway
pub(super) fn product_for_tile(at: Site<'_>) -> Option<Patch<'_>> {
    let Tile { repeats } = at.op()?;
    let from = at.input_ty(0)?;
    let single = from.sizes().ok()?.iter().zip(repeats).all(|(&size, &n)| size == 1 || n == 1);
    let ones = repeats.iter().try_fold(1usize, |count, &n| count.checked_mul(n)).filter(|&n| n <= ONES)?;
    let mut maker = at.producer(0)?;
    while let Op::Reshape(_) = maker.node().op {
        maker = maker.producer(0)?;
    }
    let clamps = match &maker.node().op {
        Op::Conv2d(_) | Op::FullyConnected(_) => true,
        Op::Binary(binary) => [Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul].contains(&binary.function),
        _ => false,
    };
    if !single || !clamps || from.dtype != DType::F32 || at.is_constant(0) {
        return None;
    }
    let mut patch = at.patch();
    let ones = patch.constant("ones", Tensor::new(repeats, &vec![1f32; ones]));
    let product = patch.add(Arithmetic::Mul, [at.inputs()[0], ones]);
    (patch.ty(product) == at.output_ty()).then(|| patch.replace(at.output(), product))
}

/// More indices than this are not read.
const READ: usize = 1 << 20;

/// `gather(x, [a, a + s, a + 2s, …])  =>  reshape(slice(x) { a + s·i })`
pub(super) fn gather_of_a_run(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Gather = at.op()?;
    let few = at.constant(1).filter(|c| c.sizes().iter().product::<usize>() <= READ)?;
    let indices: Vec<i128> = few.read().ok()?.to_i64s().into_iter().map(i128::from).collect();
    let (&first, rest) = indices.split_first()?;
    let step = rest.first().map_or(1, |second| second - first);
    let run = step > 0 && indices.iter().zip(0..).all(|(&index, i)| index == first + i * step);
    if op.batch > 0 || !run {
        return None;
    }
    let sizes = at.input_ty(0)?.sizes().ok()?;
    let mut slice = Slice::along(&sizes, op.axis, usize::try_from(first).ok()?, indices.len());
    slice.step[op.axis] = usize::try_from(step).ok()?;
    let mut patch = at.patch();
    let taken = patch.try_add(slice, [at.input(0)?]).ok()?;
    let shaped = patch.add(Reshape { sizes: at.output_ty().sizes().ok()? }, [taken]);
    Some(patch.replace(at.output(), shaped))
}
