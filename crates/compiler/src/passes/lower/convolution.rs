//! Convolutions that TFLite spells in another way, or with its padding made before them.

use ir::rules;

use crate::ops::{
    Activation, Arithmetic, Concat, Conv2d, ConvTranspose2d, DepthwiseConv2d, Layout, Pad, Padding, Patch,
    Rule, Site, Slice,
};

pub(super) const RULES: &[Rule] = rules![
    groups_of_one_channel,
    pad_before_conv2d,
    pad_before_depthwise,
    taps_in_parts,
    slice_after_conv_transpose,
    groups_of_conv_transpose,
];

/// `conv2d(x, w) { groups = channels }  =>  depthwise_conv2d(x, w)`
fn groups_of_one_channel(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Conv2d = at.op()?;
    let channels = at.input_ty(0)?.sizes().ok()?[op.layout.channel()];
    if op.layout != Layout::Nchw || op.groups != channels {
        return None;
    }
    let Conv2d { stride, dilation, padding, layout, activation, .. } = op.clone();
    let mut patch = at.patch();
    let each = DepthwiseConv2d { stride, dilation, padding, layout, activation };
    let y = patch.add(each, at.inputs().iter().copied());
    Some(patch.replace(at.output(), y))
}

/// `conv2d(x) { padding }  =>  conv2d(pad(x, 0))`
fn pad_before_conv2d(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Conv2d = at.op()?;
    padded(at, op.padding, op.layout, Conv2d { padding: [Padding::default(); 2], ..op.clone() })
}

/// `depthwise_conv2d(x) { padding }  =>  depthwise_conv2d(pad(x, 0))`
fn pad_before_depthwise(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &DepthwiseConv2d = at.op()?;
    padded(at, op.padding, op.layout, DepthwiseConv2d { padding: [Padding::default(); 2], ..op.clone() })
}

/// The taps `0 … n − 1` as parts of equal steps, each in the middle of the window: `first`, `step` and `count` of each.
///
/// The outermost part has its middle tap too where steps can be equal, the others are pairs: of 7 taps 0, 3, 6; 1, 5; 2, 4.
fn parts(taps: usize) -> Vec<(usize, usize, usize)> {
    let mut parts = Vec::new();
    let middle = (taps % 2 == 1).then_some(taps / 2);
    let threes = middle.is_some() && taps > 3;
    for first in 0..taps / 2 {
        let apart = taps - 1 - 2 * first;
        parts.push(if threes && first == 0 { (0, apart / 2, 3) } else { (first, apart, 2) });
    }
    parts.extend(middle.filter(|_| !threes).map(|middle| (middle, 1, 1)));
    parts
}

/// `depthwise_conv2d(x, w, b)  =>  depthwise_conv2d(x, w₁, b) + depthwise_conv2d(x, w₂) + …`, where each `wᵢ` holds rows or
/// columns of `w` that lie equally far apart, which is their dilation
fn taps_in_parts(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &DepthwiseConv2d = at.op()?;
    let (image, sizes) = (at.input_ty(0)?.sizes().ok()?, at.input_ty(1)?.sizes().ok()?);
    let h = op.layout.height();
    let axis = usize::from(sizes[h + 1] >= sizes[h]);
    let (taps, dilation, around) = (sizes[h + axis], op.dilation[axis], op.padding[axis]);
    let parts = parts(taps);
    if parts.len() < 2 || op.activation != Activation::None {
        return None;
    }
    let mut patch = at.patch();
    let mut sum = None;
    for (first, step, count) in parts {
        // Its window begins and ends so many pixels further inside: there is less padding, or less of the image.
        let inside = first * dilation;
        let mut part = op.clone();
        part.dilation[axis] = step * dilation;
        part.padding[axis] = Padding {
            before: around.before.saturating_sub(inside),
            after: around.after.saturating_sub(inside),
        };
        let cut = [around.before, around.after].map(|padding| inside.saturating_sub(padding));
        let kept = image[h + axis].checked_sub(cut[0] + cut[1])?;
        let x = match cut {
            [0, 0] => at.input(0)?,
            _ => patch.add(Slice::along(&image, h + axis, cut[0], kept), [at.input(0)?]),
        };
        let mut rows = Slice::along(&sizes, h + axis, first, count);
        rows.step[h + axis] = step;
        let mut inputs = vec![x, patch.add(rows, [at.input(1)?])];
        inputs.extend(at.input(2).filter(|_| sum.is_none()));
        let own = patch.add(part, inputs);
        sum = Some(match sum {
            None => own,
            Some(before) => patch.add(Arithmetic::Add, [before, own]),
        });
    }
    Some(patch.replace(at.output(), sum?))
}

/// The operator that pads nothing, on an image with zeros around it.
fn padded<'g>(
    at: Site<'g>,
    around: [Padding; 2],
    layout: Layout,
    op: impl Into<crate::ops::Op>,
) -> Option<Patch<'g>> {
    if around == [Padding::default(); 2] {
        return None;
    }
    let mut patch = at.patch();
    let x = patch.add(Pad::constant(super::pooling::around(layout, around), 0.0), [at.input(0)?]);
    let y = patch.add(op, std::iter::once(x).chain(at.inputs()[1..].iter().copied()));
    Some(patch.replace(at.output(), y))
}

/// `conv_transpose2d(x) { padding }  =>  slice(conv_transpose2d(x))`: all that the image reaches, then a part of it
fn slice_after_conv_transpose(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &ConvTranspose2d = at.op()?;
    let (x, weight) = (at.input_ty(0)?.sizes().ok()?, at.input_ty(1)?.sizes().ok()?);
    let reach = op.reach_of(&x, &weight).ok()?;
    let size: [usize; 2] = std::array::from_fn(|i| reach[i].max(op.padding[i] + op.size[i]));
    if op.padding == [0, 0] && size == op.size {
        return None;
    }
    let mut patch = at.patch();
    let whole =
        patch.add(ConvTranspose2d { padding: [0, 0], size, ..op.clone() }, at.inputs().iter().copied());
    let sizes = patch.ty(whole).sizes().ok()?;
    let h = op.layout.height();
    let mut part = Slice::along(&sizes, h, op.padding[0], op.size[0]);
    (part.start[h + 1], part.sizes[h + 1]) = (op.padding[1], op.size[1]);
    let y = patch.add(part, [whole]);
    Some(patch.replace(at.output(), y))
}

/// More groups than this make a graph that no one wants.
const MOST_GROUPS: usize = 256;

/// `conv_transpose2d(x, w, b) { groups }  =>  concat(conv_transpose2d(xᵢ, wᵢ, bᵢ), …)` over the groups' channels
fn groups_of_conv_transpose(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &ConvTranspose2d = at.op()?;
    if op.layout != Layout::Nchw || !(2..=MOST_GROUPS).contains(&op.groups) {
        return None;
    }
    let (x, weight) = (at.input_ty(0)?.sizes().ok()?, at.input_ty(1)?.sizes().ok()?);
    let (inside, outside) = (x[1] / op.groups, weight[1]);
    let mut patch = at.patch();
    let mut parts = Vec::new();
    for group in 0..op.groups {
        let mut inputs = vec![
            patch.add(Slice::along(&x, 1, group * inside, inside), [at.input(0)?]),
            patch.add(Slice::along(&weight, 0, group * inside, inside), [at.input(1)?]),
        ];
        if let Some(bias) = at.input(2) {
            let bias_sizes = [op.groups * outside];
            inputs.push(patch.add(Slice::along(&bias_sizes, 0, group * outside, outside), [bias]));
        }
        parts.push(patch.add(ConvTranspose2d { groups: 1, ..op.clone() }, inputs));
    }
    let y = patch.add(Concat { axis: 1 }, parts);
    Some(patch.replace(at.output(), y))
}
