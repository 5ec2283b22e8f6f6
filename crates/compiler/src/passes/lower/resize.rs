//! Resizes whose pixels TFLite's kernels do not take, and moves between channels and pixels in PyTorch's order.

use ir::{Tensor, ValueId, rules};

use crate::ops::{
    Arithmetic, ChannelOrder, Conv2d, DepthToSpace, Direction, Gather, Layout, Order, Patch, Reshape, Resize,
    Rule, Site, Transpose,
};

pub(super) const RULES: &[Rule] =
    rules![resize_as_gathers, channels_of_depth_to_space, channels_of_space_to_depth, channels_in_weights];

/// No axis of a result is longer.
const MOST_PIXELS: usize = 1 << 20;

/// More taps than this make a graph that no one wants.
const MOST_TAPS: usize = 32;

/// `resize(x)  =>  Σ gather(x, indexₖ) · weightₖ` along the width, and of that along the height
fn resize_as_gathers(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Resize = at.op()?;
    let (sizes, h) = (at.input_ty(0)?.sizes().ok()?, op.layout.height());
    if op.size.iter().any(|&n| n > MOST_PIXELS) {
        return None;
    }
    let mut patch = at.patch();
    let mut x = at.input(0)?;
    for i in [1, 0] {
        let taps = op.taps(i, sizes[h + i]);
        if taps.len() > MOST_TAPS {
            return None;
        }
        let mut sum = None;
        for tap in &taps {
            let unmoved = tap.index.iter().copied().eq(0..sizes[h + i]);
            let index: Vec<i32> = tap.index.iter().map(|&n| i32::try_from(n).ok()).collect::<Option<_>>()?;
            let mut part = x;
            if !unmoved {
                let index = patch.constant("index", Tensor::new(&[index.len()], &index));
                part = patch.add(Gather { axis: h + i, batch: 0 }, [part, index]);
            }
            if taps.len() > 1 {
                let mut wide = vec![1; 4];
                wide[h + i] = tap.weight.len();
                let weight = tap.weight.iter().map(|&w| f64::from(w));
                let weight = Tensor::from_f64s(at.output_ty().dtype, &wide, weight);
                let weight = patch.constant("weight", weight);
                part = patch.add(Arithmetic::Mul, [part, weight]);
            }
            sum = Some(match sum {
                Some(sum) => patch.add(Arithmetic::Add, [sum, part]),
                None => part,
            });
        }
        x = sum?;
    }
    Some(patch.replace(at.output(), x))
}

/// The operator, where it has PyTorch's order of channels and PyTorch's layout.
fn in_pytorchs_order(at: Site<'_>, direction: Direction) -> Option<&DepthToSpace> {
    let op: &DepthToSpace = at.op()?;
    let fits =
        op.direction == direction && op.order == ChannelOrder::ChannelFirst && op.layout == Layout::Nchw;
    fits.then_some(op)
}

/// The channels of an image of `[n, a·b, h, w]` as `[n, b·a, h, w]`.
fn swapped(patch: &mut Patch<'_>, x: ValueId, a: usize, b: usize) -> Option<ValueId> {
    let sizes = patch.ty(x).sizes().ok()?;
    let split = patch.add(Reshape { sizes: vec![sizes[0], a, b, sizes[2] * sizes[3]] }, [x]);
    let turned = patch.add(Transpose { order: Order::new(vec![0, 2, 1, 3]).ok()? }, [split]);
    Some(patch.add(Reshape { sizes }, [turned]))
}

/// `depth_to_space(x) { channel first }  =>  depth_to_space(swap(x)) { place first }`
fn channels_of_depth_to_space(at: Site<'_>) -> Option<Patch<'_>> {
    let op = in_pytorchs_order(at, Direction::ToSpace)?;
    let channels = at.output_ty().sizes().ok()?[1];
    let mut patch = at.patch();
    let x = swapped(&mut patch, at.input(0)?, channels, op.block * op.block)?;
    let y = patch.add(DepthToSpace { order: ChannelOrder::PlaceFirst, ..op.clone() }, [x]);
    Some(patch.replace(at.output(), y))
}

/// `space_to_depth(x) { channel first }  =>  swap(space_to_depth(x) { place first })`
fn channels_of_space_to_depth(at: Site<'_>) -> Option<Patch<'_>> {
    let op = in_pytorchs_order(at, Direction::ToDepth)?;
    let channels = at.input_ty(0)?.sizes().ok()?[1];
    let mut patch = at.patch();
    let y = patch.add(DepthToSpace { order: ChannelOrder::PlaceFirst, ..op.clone() }, [at.input(0)?]);
    let y = swapped(&mut patch, y, op.block * op.block, channels)?;
    Some(patch.replace(at.output(), y))
}

/// `depth_to_space(conv2d(x, w)) { channel first }  =>  depth_to_space(conv2d(x, swap(w))) { place first }`
fn channels_in_weights(at: Site<'_>) -> Option<Patch<'_>> {
    let op = in_pytorchs_order(at, Direction::ToSpace)?;
    let below = at.sole_producer(0)?;
    let conv: &Conv2d = below.op()?;
    if conv.groups != 1
        || conv.layout != Layout::Nchw
        || !(1..below.inputs().len()).all(|i| below.is_constant(i))
    {
        return None;
    }
    let channels = at.output_ty().sizes().ok()?[1];
    let mut patch = at.patch();
    patch.consume(&below);
    let mut inputs = vec![below.input(0)?];
    for &weight in &below.inputs()[1..] {
        let sizes = patch.ty(weight).sizes().ok()?;
        let inner = sizes[1..].iter().product();
        let split = patch.add(Reshape { sizes: vec![channels, op.block * op.block, inner] }, [weight]);
        let turned = patch.add(Transpose { order: Order::new(vec![1, 0, 2]).ok()? }, [split]);
        inputs.push(patch.add(Reshape { sizes }, [turned]));
    }
    let x = patch.add(conv.clone(), inputs);
    let y = patch.add(DepthToSpace { order: ChannelOrder::PlaceFirst, ..op.clone() }, [x]);
    Some(patch.replace(at.output(), y))
}
