//! The transpose of a two-dimensional convolution, with an optional bias and a fused activation.

use ir::{DType, Mismatch, Tensor, TensorType};
use rayon::prelude::*;

use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::quantized::Hybrid;
use super::spatial::{Activation, Layout};
use super::{Order, attributes, convolve};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, transpose_conv_options as options};

/// Each pixel of the image spreads over the result: `y[o, stride·i + dilation·h − padding] += weight[i, o, h] · x[i]`.
///
/// Inputs: an image, a weight (channels, outputs / groups, height, width in `Nchw`; outputs / groups, height, width,
/// channels in `Nhwc`), and optionally a bias with one number per output.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvTranspose2d {
    /// Distance in the result of neighbours in the image, along height and width.
    pub stride: [usize; 2],
    /// The distance between the kernel's taps along height and width.
    pub dilation: [usize; 2],
    /// Pixels of the full result that are left out at its start, along height and width.
    pub padding: [usize; 2],
    /// Height and width of the result.
    pub size: [usize; 2],
    /// Parts of the channels that do not see each other.
    pub groups: usize,
    /// How image, weight and result are laid out.
    pub layout: Layout,
    /// What is applied to the sums.
    pub activation: Activation,
}

/// The sizes that meet in one operator.
#[derive(Clone, Copy)]
struct Extent {
    batch: usize,
    image: [usize; 2],
    channels: usize,
    outputs: usize,
    kernel: [usize; 2],
}

impl ConvTranspose2d {
    fn extent(&self, x: &[usize], weight: &[usize]) -> Result<Extent, Mismatch> {
        if x.len() != 4 || weight.len() != 4 {
            return Err(Mismatch(format!("an image and a weight have 4 axes, not {x:?} and {weight:?}")));
        }
        let (c, h) = (self.layout.channel(), self.layout.height());
        let (inside, outside, kernel) = match self.layout {
            Layout::Nchw => (weight[0], weight[1], [weight[2], weight[3]]),
            Layout::Nhwc => (weight[3], weight[0], [weight[1], weight[2]]),
        };
        let outputs = outside.checked_mul(self.groups);
        let fits = inside == x[c] && self.groups > 0 && inside.is_multiple_of(self.groups);
        let Some(outputs) = outputs.filter(|_| fits && !self.stride.contains(&0) && !kernel.contains(&0))
        else {
            return Err(Mismatch(format!(
                "a weight of {weight:?} in {} groups does not fit an image of {x:?}",
                self.groups
            )));
        };
        Ok(Extent { batch: x[0], image: [x[h], x[h + 1]], channels: x[c], outputs, kernel })
    }

    /// The pixels that the image reaches along an axis, before any are left out.
    fn reach(&self, axis: usize, extent: &Extent) -> usize {
        let taps = (extent.kernel[axis] - 1).saturating_mul(self.dilation[axis]).saturating_add(1);
        (extent.image[axis].max(1) - 1).saturating_mul(self.stride[axis]).saturating_add(taps)
    }

    /// The height and width that an image of sizes `x` reaches. Errs where the weight does not fit it.
    pub fn reach_of(&self, x: &[usize], weight: &[usize]) -> Result<[usize; 2], Mismatch> {
        let extent = self.extent(x, weight)?;
        Ok([self.reach(0, &extent), self.reach(1, &extent)])
    }

    /// What TFLite leaves out before and after a result of this size: as much as the image reaches beyond it, the
    /// odd pixel after.
    fn tfl_padding(&self, extent: &Extent) -> Option<tfl::Padding> {
        let over = |i: usize| self.reach(i, extent).saturating_sub(self.size[i]);
        if self.padding == [0, 0] && (0..2).all(|i| over(i) == 0) {
            return Some(tfl::Padding::VALID);
        }
        let same = |i: usize| {
            self.size[i].div_ceil(self.stride[i]) == extent.image[i] && self.padding[i] == over(i) / 2
        };
        (0..2).all(same).then_some(tfl::Padding::SAME)
    }

    fn compute<T: Real>(&self, extent: &Extent, inputs: &[&Tensor]) -> Tensor {
        let Extent { batch, image, channels, outputs, kernel } = *extent;
        let (area, taps) = (image[0] * image[1], kernel[0] * kernel[1]);
        let (inside, outside) = (channels / self.groups, outputs / self.groups);
        let turned;
        let x = match self.layout {
            Layout::Nhwc => inputs[0].as_slice::<T>(),
            Layout::Nchw => {
                turned = convolve::channels_last(inputs[0].as_slice::<T>(), batch, area, channels);
                &turned
            }
        };
        // The weight as `[channel, output, tap]`.
        let weight = match self.layout {
            Layout::Nchw => inputs[1].as_slice::<T>().to_vec(),
            Layout::Nhwc => convolve::channels_last(inputs[1].as_slice::<T>(), 1, channels, outside * taps),
        };
        let mut result = vec![T::zero(); batch * self.size[0] * self.size[1] * outputs];
        let row = self.size[1] * outputs;
        result.par_chunks_mut(self.size[0] * row.max(1)).enumerate().for_each(|(b, result)| {
            for group in 0..self.groups {
                let columns: Vec<T> = x[b * area * channels..(b + 1) * area * channels]
                    .chunks_exact(channels)
                    .flat_map(|pixel| pixel[group * inside..(group + 1) * inside].iter().copied())
                    .collect();
                let weight = &weight[group * inside * outside * taps..][..inside * outside * taps];
                let spread = matrix::times(&columns, weight, [area, outside * taps, inside]);
                for (pixel, values) in spread.chunks_exact((outside * taps).max(1)).enumerate() {
                    let at = [pixel / image[1], pixel % image[1]];
                    for tap in 0..taps {
                        let tap_at = [tap / kernel[1], tap % kernel[1]];
                        let place = |i: usize| {
                            let full = at[i] * self.stride[i] + tap_at[i] * self.dilation[i];
                            full.checked_sub(self.padding[i]).filter(|&p| p < self.size[i])
                        };
                        let (Some(h), Some(w)) = (place(0), place(1)) else { continue };
                        let slot = &mut result[h * row + w * outputs + group * outside..][..outside];
                        for (o, to) in slot.iter_mut().enumerate() {
                            *to = *to + values[o * taps + tap];
                        }
                    }
                }
            }
        });
        if let Some(bias) = inputs.get(2) {
            Layout::Nhwc.add_bias(&mut result, bias.as_slice::<T>(), self.size);
        }
        if self.layout == Layout::Nchw {
            result = convolve::channels_first(&result, batch, self.size[0] * self.size[1], outputs);
        }
        Tensor::new(&self.layout.image(batch, outputs, self.size), &result)
    }
}

const HYBRID: Hybrid =
    Hybrid { builtin: Builtin::TRANSPOSE_CONV, weights: &[DType::I8], axis: 0, per_tensor: true };

impl Definition for ConvTranspose2d {
    const NAMES: &'static [&'static str] = &["conv_transpose2d"];
    const TFL: &'static [Builtin] = &[Builtin::TRANSPOSE_CONV];
    attributes!(stride, dilation, padding, size, groups, layout, activation);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let (x, weight) = match *inputs {
            [x, weight] | [x, weight, _] => (x, weight),
            _ => {
                return Err(Mismatch(format!(
                    "takes an image, a weight and a bias, not {} inputs",
                    inputs.len()
                )));
            }
        };
        let extent = self.extent(&x.sizes()?, &weight.sizes()?)?;
        if let Some(bias) = inputs.get(2)
            && bias.sizes()? != [extent.outputs]
        {
            return Err(Mismatch(format!("a bias of {bias} does not fit {} outputs", extent.outputs)));
        }
        if inputs.iter().any(|t| t.dtype != x.dtype && t.quant.is_none()) {
            return Err(Mismatch(format!("convolves {x} with {weight}")));
        }
        Ok(vec![TensorType::new(x.dtype, &self.layout.image(extent.batch, extent.outputs, self.size))])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let extent = self.extent(inputs[0].sizes(), inputs[1].sizes()).ok()?;
        let wide = inputs.iter().map(|t| matrix::widened(t)).collect::<Option<Vec<_>>>()?;
        let wide: Vec<&Tensor> = wide.iter().map(|t| &**t).collect();
        let mut sums = match wide[0].dtype() {
            DType::F32 => self.compute::<f32>(&extent, &wide),
            DType::F64 => self.compute::<f64>(&extent, &wide),
            _ => return None,
        };
        self.activation.apply_to(&mut sums)?;
        Some(vec![matrix::converted(&sums, inputs[0].dtype())])
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let layout = self.layout.carried(order)?;
        let weight = match order.is_identity() {
            true => order.clone(),
            false => Order::new(vec![1, 2, 3, 0]).ok()?,
        };
        let mut orders = vec![order.clone(), weight];
        orders.extend(inputs.get(2).map(|_| Order::identity(1)));
        let op = ConvTranspose2d { layout, ..self.clone() };
        Some(Carried { op, inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        if self.layout != Layout::Nhwc {
            return Err(Illegal::new("TRANSPOSE_CONV takes images with their channels last"));
        }
        HYBRID.admit(inputs[0], inputs[1])?;
        if self.groups != 1 || self.dilation != [1, 1] {
            return Err(Illegal(format!(
                "TRANSPOSE_CONV has one group and no dilation, not {} and {:?}",
                self.groups, self.dilation
            )));
        }
        let extent = self.extent(&inputs[0].sizes()?, &inputs[1].sizes()?)?;
        let padding = self.tfl_padding(&extent).ok_or_else(|| {
            Illegal(format!(
                "TRANSPOSE_CONV has no padding that leaves out {} pixels along height and {} along width of a result \
                 of {}×{}",
                self.padding[0], self.padding[1], self.size[0], self.size[1]
            ))
        })?;
        let sizes = self.layout.image(extent.batch, extent.outputs, self.size);
        let call = tfl::Call::new(Builtin::TRANSPOSE_CONV)
            .int32s(sizes)?
            .input(1)
            .input(0)
            .set(options::PADDING, padding)
            .set_int32(options::STRIDE_H, self.stride[0])?
            .set_int32(options::STRIDE_W, self.stride[1])?
            .set(options::FUSED_ACTIVATION_FUNCTION, self.activation);
        let call = if inputs.len() > 2 { call.input(2).at_least(3) } else { call };
        Ok(if self.activation == Activation::None { call } else { call.at_least(4) })
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let (x, weight, result) =
            (node.input(2)?.sizes()?, node.input(1)?.sizes()?, node.output(0)?.sizes()?);
        let &[_, h, w, _] = &result[..] else {
            return Err(Illegal(format!("TRANSPOSE_CONV makes {result:?}")));
        };
        let mut op = ConvTranspose2d {
            stride: [node.size(options::STRIDE_H)?, node.size(options::STRIDE_W)?],
            dilation: [1, 1],
            padding: [0, 0],
            size: [h, w],
            groups: 1,
            layout: Layout::Nhwc,
            activation: Activation::from_tfl(node.get(options::FUSED_ACTIVATION_FUNCTION))?,
        };
        let extent = op.extent(&x, &weight)?;
        if node.get(options::PADDING) == tfl::Padding::SAME {
            op.padding = std::array::from_fn(|i| op.reach(i, &extent).saturating_sub(op.size[i]) / 2);
        }
        if op.tfl_padding(&extent).is_none() {
            return Err(Illegal(format!("TRANSPOSE_CONV of {x:?} makes {result:?}")));
        }
        let mut inputs = vec![2, 1];
        inputs.extend(node.optional_input(3).map(|_| 3));
        Ok(tfl::imported(op, inputs))
    }
}
