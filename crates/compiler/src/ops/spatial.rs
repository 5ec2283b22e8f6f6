//! What operators on images share: which axis holds channels, how a window moves, what is fused behind them.

use std::fmt;

use ir::{Attribute, DType, FromAttribute, Mismatch, Tensor, ToAttribute};

use super::matrix::Real;
use super::{Order, words};
use crate::dialect::tfl;

words! {
    /// Where channels are among the axes of an image.
    Layout {
        /// Batch, channels, height, width: PyTorch's.
        Nchw = "nchw",
        /// Batch, height, width, channels: TFLite's.
        Nhwc = "nhwc",
    }
}

impl Layout {
    /// The index of the channel axis of an image of rank 4.
    pub fn channel(self) -> usize {
        match self {
            Layout::Nchw => 1,
            Layout::Nhwc => 3,
        }
    }

    /// The index of the height axis; the width follows it.
    pub fn height(self) -> usize {
        match self {
            Layout::Nchw => 2,
            Layout::Nhwc => 1,
        }
    }

    /// The layout of an image of this layout that is stored in another order: channels last instead of first, or
    /// the same.
    pub fn carried(self, order: &Order) -> Option<Self> {
        if order.is_identity() {
            return Some(self);
        }
        (self == Layout::Nchw && *order == Order::channels_last(4)).then_some(Layout::Nhwc)
    }

    /// Adds one number per channel to images of this height and width.
    pub(crate) fn add_bias<T: Real>(self, images: &mut [T], bias: &[T], [h, w]: [usize; 2]) {
        let run = match self {
            Layout::Nchw => h * w,
            Layout::Nhwc => 1,
        };
        if images.is_empty() {
            return;
        }
        for (values, &bias) in images.chunks_exact_mut(run).zip(bias.iter().cycle()) {
            values.iter_mut().for_each(|x| *x = *x + bias);
        }
    }

    /// The sizes of an image of this layout.
    pub fn image(self, batch: usize, channels: usize, [h, w]: [usize; 2]) -> Vec<usize> {
        match self {
            Layout::Nchw => vec![batch, channels, h, w],
            Layout::Nhwc => vec![batch, h, w, channels],
        }
    }
}

words! {
    /// A function fused behind an operator.
    Activation {
        /// Nothing.
        None = "none",
        /// `max(x, 0)`
        Relu = "relu",
        /// `min(max(x, 0), 6)`
        Relu6 = "relu6",
        /// `min(max(x, -1), 1)`
        ReluN1To1 = "relu_n1_to_1",
    }
}

impl Activation {
    /// The least and the greatest result.
    fn bounds(self) -> [f32; 2] {
        match self {
            Activation::None => [f32::NEG_INFINITY, f32::INFINITY],
            Activation::Relu => [0.0, f32::INFINITY],
            Activation::Relu6 => [0.0, 6.0],
            Activation::ReluN1To1 => [-1.0, 1.0],
        }
    }

    /// The function at one point; NaN passes through, as in PyTorch.
    pub fn apply(self, x: f32) -> f32 {
        let [low, high] = self.bounds();
        bounded(x, low, high)
    }

    /// The function at every element. `None` for dtypes that are not evaluated.
    pub fn apply_to(self, tensor: &mut Tensor) -> Option<()> {
        let [low, high] = self.bounds();
        match tensor.dtype() {
            _ if self == Activation::None => {}
            DType::F32 => tensor.as_mut_slice::<f32>().iter_mut().for_each(|x| *x = bounded(*x, low, high)),
            DType::F64 => {
                let (low, high) = (f64::from(low), f64::from(high));
                tensor.as_mut_slice::<f64>().iter_mut().for_each(|x| *x = bounded(*x, low, high));
            }
            _ => return None,
        }
        Some(())
    }

    /// The `ActivationFunctionType` of TFLite's schema.
    pub fn code(self) -> i8 {
        match self {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::ReluN1To1 => 2,
            Activation::Relu6 => 3,
        }
    }

    /// The inverse of [`Activation::code`]; `None` for those that are not fused here.
    pub fn from_code(code: i8) -> Option<Self> {
        [Activation::None, Activation::Relu, Activation::ReluN1To1, Activation::Relu6]
            .into_iter()
            .find(|a| a.code() == code)
    }

    /// The inverse of `tfl::Activation::from`. Errs for those that are not fused here.
    pub fn from_tfl(activation: tfl::Activation) -> Result<Self, tfl::Illegal> {
        Activation::from_code(activation.0)
            .ok_or_else(|| tfl::Illegal(format!("{activation} is fused behind an operator")))
    }
}

impl From<Activation> for tfl::Activation {
    fn from(activation: Activation) -> Self {
        tfl::Activation(activation.code())
    }
}

/// NaN is neither below nor above, and passes.
fn bounded<T: PartialOrd>(x: T, low: T, high: T) -> T {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

/// How a kernel moves over height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The kernel's height and width.
    pub kernel: [usize; 2],
    /// Steps of the window, in pixels.
    pub stride: [usize; 2],
    /// The distance between the kernel's taps, in pixels.
    pub dilation: [usize; 2],
    /// Pixels added before and after, for height and for width.
    pub padding: [Padding; 2],
}

/// Pixels added before and after one axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding {
    /// At the top or left.
    pub before: usize,
    /// At the bottom or right.
    pub after: usize,
}

impl Padding {
    /// The same on both sides.
    pub fn both(n: usize) -> Self {
        Padding { before: n, after: n }
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Padding { before, after } if before == after => write!(f, "{before} on each side"),
            Padding { before, after } => write!(f, "{before} before and {after} after"),
        }
    }
}

impl ToAttribute for Padding {
    fn to_attribute(&self) -> Option<Attribute> {
        [self.before, self.after].to_attribute()
    }
}

impl FromAttribute for Padding {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        let [before, after] = <[usize; 2]>::from_attribute(attribute)?;
        Some(Padding { before, after })
    }
}

impl Window {
    /// The pixels from the first tap to the last, along height and width.
    pub fn extent(&self) -> [usize; 2] {
        std::array::from_fn(|i| {
            (self.kernel[i].max(1) - 1).saturating_mul(self.dilation[i]).saturating_add(1)
        })
    }

    /// The height and width of the result for an image of this height and width. Errs where the window is
    /// larger than the padded image.
    pub fn output(&self, image: [usize; 2]) -> Result<[usize; 2], Mismatch> {
        let mut result = [0; 2];
        for (i, slot) in result.iter_mut().enumerate() {
            let Padding { before, after } = self.padding[i];
            let padded = image[i].saturating_add(before).saturating_add(after);
            let extent = self.extent()[i];
            if padded < extent || self.stride[i] == 0 {
                return Err(Mismatch(format!(
                    "a window of {extent} pixels with stride {} does not fit into {padded}",
                    self.stride[i]
                )));
            }
            *slot = (padded - extent) / self.stride[i] + 1;
        }
        Ok(result)
    }

    /// How a builtin spells this padding for an image of this height and width: `VALID` adds nothing, `SAME` adds
    /// what makes the result `ceil(size / stride)` long, the odd pixel after (`tflite/kernels/padding.h`).
    /// Errs where it is neither.
    pub fn tfl_padding(
        &self,
        builtin: tfl::Builtin,
        image: [usize; 2],
    ) -> Result<tfl::Padding, tfl::Illegal> {
        if self.padding == [Padding::default(); 2] {
            return Ok(tfl::Padding::VALID);
        }
        if !self.stride.contains(&0) && (0..2).all(|i| self.padding[i] == self.same(i, image[i])) {
            return Ok(tfl::Padding::SAME);
        }
        let ([height, width], [along_height, along_width]) = (image, self.padding);
        Err(tfl::Illegal(format!(
            "{builtin} pads VALID or SAME; around {height}×{width} pixels, {along_height} along height and \
             {along_width} along width is neither"
        )))
    }

    /// What TFLite's padding adds around an image of this height and width: the inverse of
    /// [`Window::tfl_padding`].
    pub fn padding_of(&self, padding: tfl::Padding, image: [usize; 2]) -> Result<[Padding; 2], tfl::Illegal> {
        match padding {
            tfl::Padding::VALID => Ok([Padding::default(); 2]),
            tfl::Padding::SAME if self.stride.contains(&0) => Err(tfl::Illegal::new("a window has stride 0")),
            tfl::Padding::SAME => Ok([self.same(0, image[0]), self.same(1, image[1])]),
            other => Err(tfl::Illegal(format!("a window is padded by {other}"))),
        }
    }

    /// The padding that TFLite's `SAME` adds along one axis of `size` pixels.
    pub fn same(&self, axis: usize, size: usize) -> Padding {
        let result = size.div_ceil(self.stride[axis]);
        let reach = (result.max(1) - 1).saturating_mul(self.stride[axis]).saturating_add(self.extent()[axis]);
        let total = reach.saturating_sub(size);
        Padding { before: total / 2, after: total - total / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_that_no_builtin_has_is_told_in_words() {
        let window = Window {
            kernel: [3, 3],
            stride: [2, 2],
            dilation: [1, 1],
            padding: [Padding::both(1), Padding { before: 0, after: 1 }],
        };
        let why = window.tfl_padding(tfl::Builtin::CONV_2D, [64, 48]).unwrap_err();
        let said = "CONV_2D pads VALID or SAME; around 64×48 pixels, 1 on each side along height and 0 before and 1 after \
                    along width is neither";
        assert_eq!(why.0, said);
        let window = Window { padding: [Padding { before: 0, after: 1 }; 2], ..window };
        assert_eq!(window.tfl_padding(tfl::Builtin::CONV_2D, [64, 48]).ok(), Some(tfl::Padding::SAME));
    }
}
