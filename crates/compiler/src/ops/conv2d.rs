//! Two-dimensional convolution, with an optional bias and a fused activation.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::convolve::Geometry;
use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::quantized::Hybrid;
use super::spatial::{Activation, Layout, Padding, Window};
use super::{Order, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, conv_2d_options as options};

/// `y[o] = activation(bias[o] + Σ weight[o, i, h, w] · x[i, stride·y + dilation·h − padding, …])`, cross-correlation
/// as PyTorch has it.
///
/// Inputs: an image, a weight (outputs, channels / groups, height, width in `Nchw`; outputs, height, width,
/// channels / groups in `Nhwc`), and optionally a bias with one number per output.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    /// Steps of the window along height and width.
    pub stride: [usize; 2],
    /// The distance between the kernel's taps along height and width.
    pub dilation: [usize; 2],
    /// Zeros added around height and width.
    pub padding: [Padding; 2],
    /// Parts of the channels that do not see each other.
    pub groups: usize,
    /// How image, weight and result are laid out.
    pub layout: Layout,
    /// What is applied to the sums.
    pub activation: Activation,
}

impl Conv2d {
    /// How its kernel moves, for a weight of these sizes.
    pub fn window(&self, weight: &[usize]) -> Window {
        let h = self.layout.height();
        let kernel = [weight[h], weight[h + 1]];
        Window { kernel, stride: self.stride, dilation: self.dilation, padding: self.padding }
    }

    /// Everything about one convolution. Errs where image and weight do not fit.
    fn geometry(&self, x: &[usize], weight: &[usize]) -> Result<Geometry, Mismatch> {
        let (&[batch, ..], &[outputs, ..]) = (x, weight) else {
            return Err(Mismatch("an image and a weight have 4 axes".into()));
        };
        if x.len() != 4 || weight.len() != 4 {
            return Err(Mismatch(format!("an image and a weight have 4 axes, not {x:?} and {weight:?}")));
        }
        let (c, h) = (self.layout.channel(), self.layout.height());
        let (channels, groups) = (x[c], self.groups);
        if groups == 0 || weight[c].checked_mul(groups) != Some(channels) || !outputs.is_multiple_of(groups) {
            return Err(Mismatch(format!(
                "a weight of {weight:?} in {groups} groups does not fit an image of {x:?}"
            )));
        }
        let window = self.window(weight);
        let image = [x[h], x[h + 1]];
        let result = window.output(image)?;
        Ok(Geometry { layout: self.layout, batch, image, result, channels, outputs, groups, window })
    }

    fn compute<T: Real>(&self, geometry: &Geometry, inputs: &[&Tensor]) -> Tensor {
        let mut sums = geometry.convolve(inputs[0].as_slice::<T>(), inputs[1].as_slice::<T>());
        if let Some(bias) = inputs.get(2) {
            self.layout.add_bias(&mut sums, bias.as_slice::<T>(), geometry.result);
        }
        Tensor::new(&self.layout.image(geometry.batch, geometry.outputs, geometry.result), &sums)
    }
}

/// The most zeros that are made for a bias that is left out.
const MOST: usize = 1 << 24;

const HYBRID: Hybrid =
    Hybrid { builtin: Builtin::CONV_2D, weights: &[DType::I8, DType::I4], axis: 0, per_tensor: true };

impl Definition for Conv2d {
    const NAMES: &'static [&'static str] = &["conv2d"];
    const TFL: &'static [Builtin] = &[Builtin::CONV_2D];
    attributes!(stride, dilation, padding, groups, layout, activation);

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
        Ok(vec![TensorType::new(
            x.dtype,
            &self.layout.image(geometry.batch, geometry.outputs, geometry.result),
        )])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let dtype = inputs[0].dtype();
        let geometry = self.geometry(inputs[0].sizes(), inputs[1].sizes()).ok()?;
        let wide = inputs.iter().map(|t| matrix::widened(t)).collect::<Option<Vec<_>>>()?;
        let wide: Vec<&Tensor> = wide.iter().map(|t| &**t).collect();
        let mut sums = match wide[0].dtype() {
            DType::F32 => self.compute::<f32>(&geometry, &wide),
            DType::F64 => self.compute::<f64>(&geometry, &wide),
            _ => return None,
        };
        self.activation.apply_to(&mut sums)?;
        Some(vec![matrix::converted(&sums, dtype)])
    }

    /// Channels last is the same convolution with a weight whose channels are last.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let layout = self.layout.carried(order)?;
        let mut orders = vec![order.clone(), order.clone()];
        orders.extend(inputs.get(2).map(|_| Order::identity(1)));
        Some(Carried { op: Conv2d { layout, ..self.clone() }, inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        if self.layout != Layout::Nhwc {
            return Err(Illegal::new("CONV_2D takes images with their channels last"));
        }
        HYBRID.admit(inputs[0], inputs[1])?;
        let geometry = self.geometry(&inputs[0].sizes()?, &inputs[1].sizes()?)?;
        if self.groups > 1 && self.groups == geometry.channels {
            return Err(Illegal(format!(
                "CONV_2D is slow where each of {} channels is a group; TFLite has a depthwise convolution",
                self.groups
            )));
        }
        let padding = geometry.window.tfl_padding(Builtin::CONV_2D, geometry.image)?;
        let call = tfl::Call::new(Builtin::CONV_2D)
            .input(0)
            .input(1)
            .set(options::PADDING, padding)
            .set_int32(options::STRIDE_H, self.stride[0])?
            .set_int32(options::STRIDE_W, self.stride[1])?
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
        // From version 6 on, the kernel reads groups off the weight's channels.
        Ok(if self.groups > 1 { call.at_least(6) } else { call })
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let (x, weight) = (node.input(0)?.sizes()?, node.input(1)?.sizes()?);
        let (&[_, h, w, channels], &[_, kernel_h, kernel_w, inside]) = (&x[..], &weight[..]) else {
            return Err(Illegal(format!("CONV_2D of {x:?} with {weight:?}")));
        };
        if inside == 0 || !channels.is_multiple_of(inside) {
            return Err(Illegal(format!("CONV_2D of {channels} channels with a weight for {inside}")));
        }
        let window = Window {
            kernel: [kernel_h, kernel_w],
            stride: [node.size(options::STRIDE_H)?, node.size(options::STRIDE_W)?],
            dilation: [node.size(options::DILATION_H_FACTOR)?, node.size(options::DILATION_W_FACTOR)?],
            padding: [Padding::default(); 2],
        };
        let op = Conv2d {
            stride: window.stride,
            dilation: window.dilation,
            padding: window.padding_of(node.get(options::PADDING), [h, w])?,
            groups: channels / inside,
            layout: Layout::Nhwc,
            activation: Activation::from_tfl(node.get(options::FUSED_ACTIVATION_FUNCTION))?,
        };
        let inputs = 2 + usize::from(node.optional_input(2).is_some());
        Ok(tfl::imported(op, 0..inputs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Transpose;

    /// `torch.nn.functional.conv2d` of the same numbers.
    const TORCH: [i32; 72] = [
        -8, 0, -5, 6, -3, -3, -6, 5, 12, -1, 5, -8, 6, -5, -11, 17, 8, 12, -2, 11, 12, 4, 9, -2, 1, 1, -2,
        15, 8, 14, 9, -4, -1, -4, 2, -5, -5, 10, 14, 11, 11, -3, -1, -4, -6, 2, 1, 9, 8, -3, -11, 3, 6, -4,
        -5, -6, -5, 1, -3, 7, 15, 1, -7, 10, 12, 4, 5, 13, 11, -6, 2, 16,
    ];

    fn counted(dtype: DType, sizes: &[usize], modulo: usize, zero: usize) -> Tensor {
        let count = sizes.iter().product::<usize>();
        Tensor::from_f64s(dtype, sizes, (0..count).map(|i| (i % modulo) as f64 - zero as f64))
    }

    fn stored(tensor: &Tensor, order: &Order) -> Tensor {
        Transpose { order: order.clone() }.evaluate(&[tensor]).unwrap().remove(0)
    }

    #[test]
    fn both_layouts_and_all_reals_convolve_as_pytorch() {
        let op = Conv2d {
            stride: [2, 1],
            dilation: [1, 2],
            padding: [Padding::both(1), Padding::default()],
            groups: 2,
            layout: Layout::Nchw,
            activation: Activation::None,
        };
        for dtype in [DType::F32, DType::F64, DType::F16, DType::Bf16] {
            let x = counted(dtype, &[2, 4, 5, 4], 7, 3);
            let weight = counted(dtype, &[6, 2, 3, 2], 5, 2);
            let bias = counted(dtype, &[6], 6, 0);
            let inputs = [&x, &weight, &bias];
            let types: Vec<TensorType> = inputs.iter().map(|t| t.ty()).collect();
            let types: Vec<&TensorType> = types.iter().collect();
            let y = op.evaluate(&inputs).unwrap().remove(0);
            assert_eq!(y.to_f64s(), TORCH.map(f64::from));
            assert_eq!(op.infer(&types), Ok(vec![y.ty()]));

            let carried = op.carry(&types, &Order::channels_last(4)).unwrap();
            let inputs: Vec<Tensor> =
                inputs.iter().zip(&carried.inputs).map(|(t, order)| stored(t, order)).collect();
            let last = carried.op.evaluate(&inputs.iter().collect::<Vec<_>>()).unwrap().remove(0);
            assert_eq!(last, stored(&y, &carried.outputs[0]));
        }
    }

    #[test]
    fn what_does_not_fit_is_a_mismatch() {
        let op = Conv2d {
            stride: [1, 1],
            dilation: [usize::MAX, 1],
            padding: [Padding::both(usize::MAX); 2],
            groups: 1,
            layout: Layout::Nchw,
            activation: Activation::None,
        };
        let f32 = |sizes: &[usize]| TensorType::new(DType::F32, sizes);
        let x = f32(&[1, 3, 8, 8]);
        assert!(op.infer(&[&x, &f32(&[4, 2, 3, 3])]).is_err(), "channels");
        assert!(op.infer(&[&x, &f32(&[4, 3, 3, 3]), &f32(&[3])]).is_err(), "bias");
        assert!(op.infer(&[&x, &f32(&[3, 3, 3])]).is_err(), "rank");
        assert!(Conv2d { groups: 0, ..op.clone() }.infer(&[&x, &f32(&[4, 3, 3, 3])]).is_err(), "groups");
        assert!(Conv2d { stride: [0, 1], ..op }.infer(&[&x, &f32(&[4, 3, 3, 3])]).is_err(), "stride");
    }
}
