//! Convolutions over one, two and three axes, with and without a batch, as convolutions over two.

use ir::ValueId;

use super::{Builder, Row};
use crate::dialect::aten::Malformed;
use crate::ops::{Activation, Concat, Conv2d, ConvTranspose2d, Layout, Pad, Padding, Slice};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (
        &[
            "aten.conv1d.default",
            "aten.conv1d.padding",
            "aten.conv2d.default",
            "aten.conv2d.padding",
            "aten.conv3d.default",
            "aten.conv3d.padding",
        ],
        |b| convolution(b, false),
    ),
    (&["aten.conv_transpose1d.default", "aten.conv_transpose2d.input", "aten.conv_transpose3d.input"], |b| {
        convolution(b, true)
    }),
    (&["aten.convolution.default"], |b| convolution(b, b.call.bool("transposed")?)),
];

/// The numbers of a convolution, one per spatial axis.
struct Options {
    stride: Vec<usize>,
    dilation: Vec<usize>,
    padding: Vec<Padding>,
    groups: usize,
}

impl Options {
    fn read(b: &Builder<'_>, kernel: &[usize]) -> Result<Options, Malformed> {
        let stride = sizes_of(b, "stride", kernel.len())?;
        let dilation = sizes_of(b, "dilation", kernel.len())?;
        if stride.contains(&0) || dilation.contains(&0) {
            return Err(b.call.malformed(format!("has stride {stride:?} and dilation {dilation:?}")));
        }
        let padding = match b.call.optional_text("padding") {
            Ok(Some("valid")) => vec![Padding::default(); kernel.len()],
            // The odd pixel comes after (`aten/src/ATen/native/Convolution.cpp`).
            Ok(Some("same")) => kernel
                .iter()
                .zip(&dilation)
                .map(|(k, d)| {
                    let total = (k.max(&1) - 1).saturating_mul(*d);
                    Padding { before: total / 2, after: total - total / 2 }
                })
                .collect(),
            Ok(other) => return Err(b.call.malformed(format!("has padding {other:?}"))),
            Err(_) => sizes_of(b, "padding", kernel.len())?.into_iter().map(Padding::both).collect(),
        };
        Ok(Options { stride, dilation, padding, groups: b.call.size("groups")? })
    }

    /// The same convolution over two axes, of which the first is one pixel long, where there was one axis.
    fn widened(mut self) -> Options {
        if self.stride.len() == 1 {
            self.stride.insert(0, 1);
            self.dilation.insert(0, 1);
            self.padding.insert(0, Padding::default());
        }
        self
    }
}

/// Integers that are not negative, one per spatial axis; one number serves all.
fn sizes_of(b: &Builder<'_>, name: &str, axes: usize) -> Result<Vec<usize>, Malformed> {
    let list = b.call.ints(name)?;
    let wrong = || b.call.malformed(format!("has '{name}' of {list:?} for {axes} axes"));
    let sizes: Vec<usize> =
        list.iter().map(|&n| usize::try_from(n)).collect::<Result<_, _>>().map_err(|_| wrong())?;
    // TFLite counts in int32; products of two of these stay within range.
    if sizes.iter().any(|&n| n > i32::MAX as usize) {
        return Err(wrong());
    }
    match sizes.len() {
        1 => Ok(vec![sizes[0]; axes]),
        n if n == axes => Ok(sizes),
        _ => Err(wrong()),
    }
}

fn convolution(b: &mut Builder<'_>, transposed: bool) -> Result<Vec<ValueId>, Malformed> {
    let (mut x, mut weight, bias) = (b.tensor("input")?, b.tensor("weight")?, b.optional_tensor("bias")?);
    let (mut image, mut kernel) = (b.sizes(x)?, b.sizes(weight)?);
    let axes = kernel.len().saturating_sub(2);
    if !(1..=3).contains(&axes) || image.len() > axes + 2 || image.len() < axes + 1 {
        return Err(b.call.malformed(format!("convolves {} with {}", b.ty(x), b.ty(weight))));
    }
    let options = Options::read(b, &kernel[2..])?;
    if image.len() == axes + 1 {
        image.insert(0, 1);
    }
    if axes == 1 {
        image.insert(2, 1);
        kernel.insert(2, 1);
    }
    x = b.reshape(x, &image)?;
    weight = b.reshape(weight, &kernel)?;
    let mut inputs = vec![x, weight];
    inputs.extend(bias);
    let y = match (axes, transposed) {
        (3, true) => return Err(b.call.malformed("is not supported over three axes")),
        (3, false) => over_three_axes(b, &options, &inputs)?,
        (_, true) => spread(b, options, &inputs, axes)?,
        (_, false) => {
            let options = options.widened();
            let op = over_two_axes(&options.stride, &options.dilation, &options.padding, options.groups);
            b.add(op, &inputs)?
        }
    };
    let sizes = b.result(0)?.sizes().map_err(|m| b.call.malformed(m))?;
    Ok(vec![b.reshape(y, &sizes)?])
}

fn over_two_axes(stride: &[usize], dilation: &[usize], padding: &[Padding], groups: usize) -> Conv2d {
    Conv2d {
        stride: [stride[0], stride[1]],
        dilation: [dilation[0], dilation[1]],
        padding: [padding[0], padding[1]],
        groups,
        layout: Layout::Nchw,
        activation: Activation::None,
    }
}

fn spread(
    b: &mut Builder<'_>,
    options: Options,
    inputs: &[ValueId],
    axes: usize,
) -> Result<ValueId, Malformed> {
    let mut extra = sizes_of(b, "output_padding", axes)?;
    let options = options.widened();
    if axes == 1 {
        extra.insert(0, 0);
    }
    let (image, kernel) = (b.sizes(inputs[0])?, b.sizes(inputs[1])?);
    let mut size = [0; 2];
    for (i, slot) in size.iter_mut().enumerate() {
        let reach = (image[i + 2].max(1) - 1)
            .saturating_mul(options.stride[i])
            .saturating_add((kernel[i + 2].max(1) - 1).saturating_mul(options.dilation[i]))
            .saturating_add(1 + extra[i]);
        let cut = options.padding[i].before.saturating_mul(2);
        *slot = reach.checked_sub(cut).ok_or_else(|| b.call.malformed("leaves nothing of the image"))?;
    }
    let op = ConvTranspose2d {
        stride: [options.stride[0], options.stride[1]],
        dilation: [options.dilation[0], options.dilation[1]],
        padding: [options.padding[0].before, options.padding[1].before],
        size,
        groups: options.groups,
        layout: Layout::Nchw,
        activation: Activation::None,
    };
    b.add(op, inputs)
}

/// More slices than this make a graph that no one wants.
const MOST_SLICES: usize = 64;

/// Each slice of the result is a convolution over two axes, of the slices of the image that its kernel sees, side by
/// side as channels.
fn over_three_axes(b: &mut Builder<'_>, options: &Options, inputs: &[ValueId]) -> Result<ValueId, Malformed> {
    let (mut x, kernel) = (inputs[0], b.sizes(inputs[1])?);
    let mut image = b.sizes(x)?;
    let [stride, dilation, depth] = [options.stride[0], options.dilation[0], kernel[2]];
    let around = options.padding[0];
    if around != Padding::default() {
        let mut padding = vec![Padding::default(); 5];
        padding[2] = around;
        x = b.add(Pad::constant(padding, 0.0), &[x])?;
        image = b.sizes(x)?;
    }
    let extent = (depth.max(1) - 1).saturating_mul(dilation).saturating_add(1);
    let slices = match image[2].checked_sub(extent) {
        Some(rest) if depth > 0 && rest / stride < MOST_SLICES => rest / stride + 1,
        _ => return Err(b.call.malformed(format!("convolves {} slices with {depth}", image[2]))),
    };
    let weight = b.reshape(inputs[1], &[kernel[0], kernel[1].saturating_mul(depth), kernel[3], kernel[4]])?;
    let op =
        over_two_axes(&options.stride[1..], &options.dilation[1..], &options.padding[1..], options.groups);
    let mut parts = Vec::new();
    for slice in 0..slices {
        let mut seen = Slice::along(&image, 2, slice * stride, depth);
        seen.step[2] = dilation;
        let seen = b.add(seen, &[x])?;
        let seen = b.reshape(seen, &[image[0], image[1].saturating_mul(depth), image[3], image[4]])?;
        let mut inputs = vec![seen, weight];
        inputs.extend(b.optional_tensor("bias")?);
        let part = b.add(op.clone(), &inputs)?;
        let mut sizes = b.sizes(part)?;
        sizes.insert(2, 1);
        parts.push(b.reshape(part, &sizes)?);
    }
    match &parts[..] {
        &[one] => Ok(one),
        _ => b.add(Concat { axis: 2 }, &parts),
    }
}
