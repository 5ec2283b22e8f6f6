//! Convolutions that TFLite spells in another way, or with its padding made before them.

use ir::rules;

use crate::ops::{
    Concat, Conv2d, ConvTranspose2d, DepthwiseConv2d, Layout, Pad, Padding, Patch, Rule, Site, Slice,
};

pub(super) const RULES: &[Rule] = rules![
    groups_of_one_channel,
    pad_before_conv2d,
    pad_before_depthwise,
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
