//! What operators on images share: which axis holds channels, how a window moves, what is fused behind them.

use ir::{Attribute, FromAttribute, Mismatch, ToAttribute};

use super::words;

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
    /// The function at one point; NaN passes through, as in PyTorch.
    pub fn apply(self, x: f32) -> f32 {
        let clamp = |low: f32, high: f32| {
            if x < low {
                low
            } else if x > high {
                high
            } else {
                x
            }
        };
        match self {
            Activation::None => x,
            Activation::Relu => clamp(0.0, f32::INFINITY),
            Activation::Relu6 => clamp(0.0, 6.0),
            Activation::ReluN1To1 => clamp(-1.0, 1.0),
        }
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
        std::array::from_fn(|i| (self.kernel[i].max(1) - 1) * self.dilation[i] + 1)
    }

    /// The height and width of the result for an image of this height and width. Errs where the window is
    /// larger than the padded image.
    pub fn output(&self, image: [usize; 2]) -> Result<[usize; 2], Mismatch> {
        let mut result = [0; 2];
        for (i, slot) in result.iter_mut().enumerate() {
            let padded = image[i] + self.padding[i].before + self.padding[i].after;
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

    /// How TFLite spells this padding for an image of this height and width: `VALID` adds nothing, `SAME` adds
    /// what makes the result `ceil(size / stride)` long, the odd pixel after (`tflite/kernels/padding.h`).
    /// `None` where it is neither.
    pub fn tfl_padding(&self, image: [usize; 2]) -> Option<TflPadding> {
        if self.padding == [Padding::default(); 2] {
            return Some(TflPadding::Valid);
        }
        (0..2).all(|i| self.padding[i] == self.same(i, image[i])).then_some(TflPadding::Same)
    }

    /// The padding that TFLite's `SAME` adds along one axis of `size` pixels.
    pub fn same(&self, axis: usize, size: usize) -> Padding {
        let result = size.div_ceil(self.stride[axis]);
        let total = ((result.max(1) - 1) * self.stride[axis] + self.extent()[axis]).saturating_sub(size);
        Padding { before: total / 2, after: total - total / 2 }
    }
}

/// TFLite's two ways of padding, with their codes in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TflPadding {
    /// As much as keeps `ceil(size / stride)` results.
    Same = 0,
    /// None.
    Valid = 1,
}
