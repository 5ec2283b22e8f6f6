//! Where in an image the largest element of each window is.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::Definition;
use super::spatial::{Padding, Window};
use super::{arity, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::Illegal;

/// For each window of each channel, the index `row · width + column` of its largest element, the first of alike ones.
/// Images have their channels first.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPoolIndices {
    /// Height and width of the window, in taps.
    pub kernel: [usize; 2],
    /// Steps of the window along height and width.
    pub stride: [usize; 2],
    /// The distance between the taps along height and width.
    pub dilation: [usize; 2],
    /// Pixels around the image that are no elements.
    pub padding: [Padding; 2],
}

impl MaxPoolIndices {
    fn result(&self, sizes: &[usize]) -> Result<[usize; 2], Mismatch> {
        let &[_, _, h, w] = sizes else {
            return Err(Mismatch(format!("an image has 4 axes, not {sizes:?}")));
        };
        let MaxPoolIndices { kernel, stride, dilation, padding } = *self;
        Window { kernel, stride, dilation, padding }.output([h, w])
    }
}

impl Definition for MaxPoolIndices {
    const NAMES: &'static [&'static str] = &["max_pool_indices"];
    attributes!(kernel, stride, dilation, padding);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x] = arity(inputs)?;
        let sizes = x.sizes()?;
        let [h, w] = self.result(&sizes)?;
        Ok(vec![TensorType::new(DType::I64, &[sizes[0], sizes[1], h, w])])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let sizes = inputs[0].sizes();
        let [out_h, out_w] = self.result(sizes).ok()?;
        let (h, w) = (sizes[2], sizes[3]);
        if !inputs[0].dtype().is_float() || inputs[0].dtype().bits() == 8 {
            return None;
        }
        let values = inputs[0].to_f64s();
        let pixel = |axis: usize, at: usize, tap: usize, size: usize| {
            let padded = at * self.stride[axis] + tap * self.dilation[axis];
            padded.checked_sub(self.padding[axis].before).filter(|&p| p < size)
        };
        let mut indices = Vec::with_capacity(sizes[0] * sizes[1] * out_h * out_w);
        for plane in values.chunks_exact((h * w).max(1)).take(sizes[0] * sizes[1]) {
            for at in 0..out_h * out_w {
                let mut best: Option<usize> = None;
                for tap in 0..self.kernel[0] * self.kernel[1] {
                    let row = pixel(0, at / out_w, tap / self.kernel[1], h);
                    let column = pixel(1, at % out_w, tap % self.kernel[1], w);
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    let i = row * w + column;
                    if best.is_none_or(|b| plane[i] > plane[b] || plane[i].is_nan()) {
                        best = Some(i);
                    }
                }
                indices.push(best? as i64);
            }
        }
        Some(vec![Tensor::from_i64s(DType::I64, &[sizes[0], sizes[1], out_h, out_w], indices)])
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        Err(Illegal::new("TFLite has no builtin that gives the indices of a maximum pool"))
    }
}
