//! The largest element, or the mean, of each window of an image.

use ir::{DType, Mismatch, Tensor, TensorType};
use rayon::prelude::*;

use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::spatial::{Activation, Layout, Padding, Window};
use super::{Order, arity, attributes, words};
use crate::dialect::tfl::{self, Builtin, Illegal, pool_2d_options as options};

words! {
    /// What is taken of a window.
    Pooling {
        /// The largest element; NaN where there is one. Padding is no element.
        Max = "max",
        /// The sum divided by the number of elements; padding is neither added nor counted.
        Average = "average",
    }
}

/// One element per window of each channel of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2d {
    /// What is taken of a window.
    pub pooling: Pooling,
    /// Height and width of the window, in taps.
    pub kernel: [usize; 2],
    /// Steps of the window along height and width.
    pub stride: [usize; 2],
    /// The distance between the taps along height and width.
    pub dilation: [usize; 2],
    /// Pixels around the image that are no elements. Every window holds some element.
    pub padding: [Padding; 2],
    /// Where channels are.
    pub layout: Layout,
    /// What is applied to the result.
    pub activation: Activation,
}

impl Pool2d {
    /// How the window moves.
    pub fn window(&self) -> Window {
        Window { kernel: self.kernel, stride: self.stride, dilation: self.dilation, padding: self.padding }
    }

    fn result(&self, sizes: &[usize]) -> Result<[usize; 2], Mismatch> {
        if sizes.len() != 4 {
            return Err(Mismatch(format!("an image has 4 axes, not {sizes:?}")));
        }
        let h = self.layout.height();
        self.window().output([sizes[h], sizes[h + 1]])
    }

    /// The pixels that the window at `at` sees along an axis of `size` pixels.
    fn taps(&self, axis: usize, at: usize, size: usize) -> impl Iterator<Item = usize> + Clone {
        let (start, before) = (at * self.stride[axis], self.padding[axis].before);
        let step = self.dilation[axis].max(1);
        // Counted, not tried: a window of a crafted file may be as long as a number can say.
        let first = before.saturating_sub(start).div_ceil(step);
        let end = (size + before).saturating_sub(start).div_ceil(step).min(self.kernel[axis]);
        (first..end).map(move |tap| start + tap * step - before)
    }

    fn compute<T: Real>(&self, x: &Tensor) -> Option<Tensor> {
        let (sizes, layout) = (x.sizes(), self.layout);
        let [out_h, out_w] = self.result(sizes).ok()?;
        let (c, h) = (layout.channel(), layout.height());
        let (batch, channels, height, width) = (sizes[0], sizes[c], sizes[h], sizes[h + 1]);
        let steps = super::moving::strides(sizes);
        let mut result = Tensor::zeros(x.dtype(), &layout.image(batch, channels, [out_h, out_w]));
        let to = super::moving::strides(result.sizes());
        let (x, row_step, step) = (x.as_slice::<T>(), steps[h], steps[h + 1]);
        let planes: Vec<(usize, Vec<T>)> = (0..batch * channels)
            .into_par_iter()
            .map(|plane| {
                let (b, channel) = (plane / channels, plane % channels);
                let base = b * steps[0] + channel * steps[c];
                let mut values = Vec::with_capacity(out_h * out_w);
                for y in 0..out_h {
                    for at in 0..out_w {
                        let columns = self.taps(1, at, width);
                        let pixels = self.taps(0, y, height).flat_map(|row| {
                            columns.clone().map(move |column| base + row * row_step + column * step)
                        });
                        values.push(self.pooled(pixels.map(|i| x[i])));
                    }
                }
                (b * to[0] + channel * to[c], values)
            })
            .collect();
        let target = result.as_mut_slice::<T>();
        for (base, values) in planes {
            for (i, value) in values.into_iter().enumerate() {
                target[base + i / out_w * to[h] + i % out_w * to[h + 1]] = value;
            }
        }
        Some(result)
    }

    fn pooled<T: Real>(&self, pixels: impl Iterator<Item = T>) -> T {
        match self.pooling {
            // A number that differs from itself is NaN.
            #[allow(clippy::eq_op, reason = "NaN is what differs from itself")]
            Pooling::Max => pixels.fold(T::of(f64::NEG_INFINITY), |a, b| if b > a || b != b { b } else { a }),
            Pooling::Average => {
                let (sum, count) = pixels.fold((T::zero(), 0u32), |(sum, n), x| (sum + x, n + 1));
                sum / T::of(f64::from(count))
            }
        }
    }
}

impl Definition for Pool2d {
    const NAMES: &'static [&'static str] = &["pool2d"];
    const TFL: &'static [Builtin] = &[Builtin::MAX_POOL_2D, Builtin::AVERAGE_POOL_2D];
    attributes!(pooling, kernel, stride, dilation, padding, layout, activation);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x] = arity(inputs)?;
        let sizes = x.sizes()?;
        let result = self.result(&sizes)?;
        let h = self.layout.height();
        for i in 0..2 {
            let empty = self.kernel[i] == 0
                || result[i] > 0
                    && [0, result[i] - 1].iter().any(|&at| self.taps(i, at, sizes[h + i]).next().is_none());
            if empty {
                return Err(Mismatch(format!("a window of {:?} lies in the padding of {x}", self.kernel)));
            }
        }
        Ok(vec![TensorType {
            dtype: x.dtype,
            shape: ir::Shape::from(&self.layout.image(sizes[0], sizes[self.layout.channel()], result)[..]),
            quant: x.quant.clone(),
        }])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let wide = matrix::widened(inputs[0])?;
        let mut result = match wide.dtype() {
            DType::F32 => self.compute::<f32>(&wide)?,
            DType::F64 => self.compute::<f64>(&wide)?,
            _ => return None,
        };
        self.activation.apply_to(&mut result)?;
        Some(vec![matrix::converted(&result, inputs[0].dtype())])
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let layout = self.layout.carried(order)?;
        Some(Carried::alike(Pool2d { layout, ..self.clone() }, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let builtin = match self.pooling {
            Pooling::Max => Builtin::MAX_POOL_2D,
            Pooling::Average => Builtin::AVERAGE_POOL_2D,
        };
        if self.layout != Layout::Nhwc {
            return Err(Illegal(format!("{builtin} takes images with their channels last")));
        }
        if inputs[0].dtype != DType::F32 && inputs[0].quant.is_none() {
            return Err(Illegal(format!("{builtin} has no kernel for {}", inputs[0].dtype)));
        }
        if self.dilation != [1, 1] {
            return Err(Illegal(format!("{builtin} has no dilation, not {:?}", self.dilation)));
        }
        let sizes = inputs[0].sizes()?;
        let image = [sizes[1], sizes[2]];
        let padding = self.window().tfl_padding(builtin, image)?;
        Ok(tfl::Call::new(builtin)
            .input(0)
            .set(options::PADDING, padding)
            .set_int32(options::STRIDE_H, self.stride[0])?
            .set_int32(options::STRIDE_W, self.stride[1])?
            .set_int32(options::FILTER_HEIGHT, self.kernel[0])?
            .set_int32(options::FILTER_WIDTH, self.kernel[1])?
            .set(options::FUSED_ACTIVATION_FUNCTION, self.activation))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let sizes = node.input(0)?.sizes()?;
        let &[_, h, w, _] = &sizes[..] else {
            return Err(Illegal(format!("{} of {sizes:?}", node.operator)));
        };
        let mut op = Pool2d {
            pooling: if node.operator == Builtin::MAX_POOL_2D { Pooling::Max } else { Pooling::Average },
            kernel: [node.size(options::FILTER_HEIGHT)?, node.size(options::FILTER_WIDTH)?],
            stride: [node.size(options::STRIDE_H)?, node.size(options::STRIDE_W)?],
            dilation: [1, 1],
            padding: [Padding::default(); 2],
            layout: Layout::Nhwc,
            activation: Activation::from_tfl(node.get(options::FUSED_ACTIVATION_FUNCTION))?,
        };
        op.padding = op.window().padding_of(node.get(options::PADDING), [h, w])?;
        Ok(tfl::imported(op, [0]))
    }
}
