//! Convolution of each channel by kernels of its own, with an optional bias and a fused activation.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::convolve::{self, Geometry};
use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::quantized::Hybrid;
use super::spatial::{Activation, Layout, Padding, Window};
use super::{Order, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, depthwise_conv_2d_options as options};

/// `y[c·m + j] = activation(bias[c·m + j] + Σ weight[c·m + j, h, w] · x[c, …])`, with `m` results per channel.
///
/// Inputs: an image, a weight (outputs, 1, height, width in `Nchw`; 1, height, width, outputs in `Nhwc`), and
/// optionally a bias with one number per output.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthwiseConv2d {
    /// Steps of the window along height and width.
    pub stride: [usize; 2],
    /// The distance between the kernel's taps along height and width.
    pub dilation: [usize; 2],
    /// Zeros added around height and width.
    pub padding: [Padding; 2],
    /// How image, weight and result are laid out.
    pub layout: Layout,
    /// What is applied to the sums.
    pub activation: Activation,
}

impl DepthwiseConv2d {
    fn geometry(&self, x: &[usize], weight: &[usize]) -> Result<Geometry, Mismatch> {
        if x.len() != 4 || weight.len() != 4 {
            return Err(Mismatch(format!("an image and a weight have 4 axes, not {x:?} and {weight:?}")));
        }
        let (c, h) = (self.layout.channel(), self.layout.height());
        let (outputs, one) = match self.layout {
            Layout::Nchw => (weight[0], weight[1]),
            Layout::Nhwc => (weight[3], weight[0]),
        };
        let channels = x[c];
        if one != 1 || channels == 0 || !outputs.is_multiple_of(channels) {
            return Err(Mismatch(format!("a weight of {weight:?} does not fit each channel of {x:?}")));
        }
        let window = Window {
            kernel: [weight[h], weight[h + 1]],
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding,
        };
        let image = [x[h], x[h + 1]];
        let result = window.output(image)?;
        let groups = channels;
        Ok(Geometry { layout: self.layout, batch: x[0], image, result, channels, outputs, groups, window })
    }

    /// Computed channels last, whatever the layout.
    fn compute<T: Real>(&self, geometry: &Geometry, inputs: &[&Tensor]) -> Tensor {
        let (x, weight) = (inputs[0].as_slice::<T>(), inputs[1].as_slice::<T>());
        let Geometry { batch, channels, outputs, result, image, window, .. } = *geometry;
        let area = result[0] * result[1];
        let (mut sums, last) = match self.layout {
            Layout::Nhwc => (geometry.convolve_each(x, weight), *geometry),
            Layout::Nchw => {
                let last = Geometry { layout: Layout::Nhwc, ..*geometry };
                let x = convolve::channels_last(x, batch, image[0] * image[1], channels);
                let weight = convolve::channels_last(weight, 1, window.kernel[0] * window.kernel[1], outputs);
                (last.convolve_each(&x, &weight), last)
            }
        };
        if let Some(bias) = inputs.get(2) {
            last.layout.add_bias(&mut sums, bias.as_slice::<T>(), result);
        }
        if self.layout == Layout::Nchw {
            sums = convolve::channels_first(&sums, batch, area, outputs);
        }
        Tensor::new(&self.layout.image(batch, outputs, result), &sums)
    }
}

/// The most zeros that are made for a bias that is left out.
const MOST: usize = 1 << 24;

const HYBRID: Hybrid =
    Hybrid { builtin: Builtin::DEPTHWISE_CONV_2D, weights: &[DType::I8], axis: 3, per_tensor: false };

impl Definition for DepthwiseConv2d {
    const NAMES: &'static [&'static str] = &["depthwise_conv2d"];
    const TFL: &'static [Builtin] = &[Builtin::DEPTHWISE_CONV_2D];
    attributes!(stride, dilation, padding, layout, activation);

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
        let geometry = self.geometry(&x.sizes()?, &weight.sizes()?)?;
        if let Some(bias) = inputs.get(2)
            && bias.sizes()? != [geometry.outputs]
        {
            return Err(Mismatch(format!("a bias of {bias} does not fit {} outputs", geometry.outputs)));
        }
        if inputs.iter().any(|t| t.dtype != x.dtype && t.quant.is_none()) {
            return Err(Mismatch(format!("convolves {x} with {weight}")));
        }
        let sizes = self.layout.image(geometry.batch, geometry.outputs, geometry.result);
        Ok(vec![TensorType::new(x.dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let geometry = self.geometry(inputs[0].sizes(), inputs[1].sizes()).ok()?;
        let wide = inputs.iter().map(|t| matrix::widened(t)).collect::<Option<Vec<_>>>()?;
        let wide: Vec<&Tensor> = wide.iter().map(|t| &**t).collect();
        let mut sums = match wide[0].dtype() {
            DType::F32 => self.compute::<f32>(&geometry, &wide),
            DType::F64 => self.compute::<f64>(&geometry, &wide),
            _ => return None,
        };
        self.activation.apply_to(&mut sums)?;
        Some(vec![matrix::converted(&sums, inputs[0].dtype())])
    }

    /// Channels last is the same convolution with a weight whose outputs are last.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let layout = self.layout.carried(order)?;
        let weight = match order.is_identity() {
            true => order.clone(),
            false => Order::new(vec![1, 2, 3, 0]).ok()?,
        };
        let mut orders = vec![order.clone(), weight];
        orders.extend(inputs.get(2).map(|_| Order::identity(1)));
        let op = DepthwiseConv2d { layout, ..self.clone() };
        Some(Carried { op, inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        if self.layout != Layout::Nhwc {
            return Err(Illegal::new("DEPTHWISE_CONV_2D takes images with their channels last"));
        }
        HYBRID.admit(inputs[0], inputs[1])?;
        let geometry = self.geometry(&inputs[0].sizes()?, &inputs[1].sizes()?)?;
        let padding = geometry.window.tfl_padding(Builtin::DEPTHWISE_CONV_2D, geometry.image)?;
        let call = tfl::Call::new(Builtin::DEPTHWISE_CONV_2D)
            .inputs(0..2)
            .set(options::PADDING, padding)
            .set_int32(options::STRIDE_H, self.stride[0])?
            .set_int32(options::STRIDE_W, self.stride[1])?
            .set_int32(options::DEPTH_MULTIPLIER, geometry.outputs / geometry.channels)?
            .set_int32(options::DILATION_H_FACTOR, self.dilation[0])?
            .set_int32(options::DILATION_W_FACTOR, self.dilation[1])?
            .set(options::FUSED_ACTIVATION_FUNCTION, self.activation);
        // The kernel refuses a convolution without a bias (measured on LiteRT 2.3.0).
        let call = match inputs.len() {
            2 if geometry.outputs > MOST => {
                return Err(Illegal(format!("a bias of {} zeros", geometry.outputs)));
            }
            2 => call.constant(Tensor::zeros(DType::F32, &[geometry.outputs])),
            _ => call.input(2),
        };
        Ok(if self.dilation == [1, 1] { call } else { call.at_least(2) })
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let (x, weight) = (node.input(0)?.sizes()?, node.input(1)?.sizes()?);
        let (&[_, h, w, _], &[_, kernel_h, kernel_w, _]) = (&x[..], &weight[..]) else {
            return Err(Illegal(format!("DEPTHWISE_CONV_2D of {x:?} with {weight:?}")));
        };
        let window = Window {
            kernel: [kernel_h, kernel_w],
            stride: [node.size(options::STRIDE_H)?, node.size(options::STRIDE_W)?],
            dilation: [node.size(options::DILATION_H_FACTOR)?, node.size(options::DILATION_W_FACTOR)?],
            padding: [Padding::default(); 2],
        };
        let op = DepthwiseConv2d {
            stride: window.stride,
            dilation: window.dilation,
            padding: window.padding_of(node.get(options::PADDING), [h, w])?,
            layout: Layout::Nhwc,
            activation: Activation::from_tfl(node.get(options::FUSED_ACTIVATION_FUNCTION))?,
        };
        let inputs = 2 + usize::from(node.optional_input(2).is_some());
        Ok(tfl::imported(op, 0..inputs))
    }
}
