//! Where in an image the largest element of each window is.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::Definition;
use super::{arity, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::Illegal;

/// For each window of each channel, the index `row · width + column` of its largest element, the first of alike ones.
/// Images have their channels first.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPoolIndices {
    /// For each row of the result, the rows of the image that its windows see: the first, how many, how far apart.
    pub rows: Vec<[usize; 3]>,
    /// The same for columns.
    pub columns: Vec<[usize; 3]>,
}

/// The pixels of one window along one axis.
fn pixels(&[first, count, step]: &[usize; 3]) -> impl Iterator<Item = usize> + Clone {
    (0..count).map(move |i| first + i * step)
}

impl Definition for MaxPoolIndices {
    const NAMES: &'static [&'static str] = &["max_pool_indices"];
    attributes!(rows, columns);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x] = arity(inputs)?;
        let &[batch, channels, h, w] = &x.sizes()?[..] else {
            return Err(Mismatch(format!("{x} is no batch of images")));
        };
        let inside = |windows: &[[usize; 3]], size: usize| {
            windows.iter().all(|&[first, count, step]| {
                let reach = count.checked_sub(1).and_then(|n| n.checked_mul(step)?.checked_add(first));
                reach.is_some_and(|last| last < size)
            })
        };
        if !inside(&self.rows, h) || !inside(&self.columns, w) {
            return Err(Mismatch(format!("a window is empty or leaves {x}")));
        }
        Ok(vec![TensorType::new(DType::I64, &[batch, channels, self.rows.len(), self.columns.len()])])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let &[batch, channels, h, w] = inputs[0].sizes() else { return None };
        if !inputs[0].dtype().is_float() || inputs[0].dtype().bits() == 8 {
            return None;
        }
        let values = inputs[0].to_f64s();
        let sizes = [batch, channels, self.rows.len(), self.columns.len()];
        let mut indices = Vec::with_capacity(sizes.iter().product());
        for plane in values.chunks_exact((h * w).max(1)).take(batch * channels) {
            for row in &self.rows {
                for column in &self.columns {
                    let places = pixels(row).flat_map(|y| pixels(column).map(move |x| y * w + x));
                    let largest = places
                        .reduce(|best, i| if plane[i] > plane[best] || plane[i].is_nan() { i } else { best });
                    indices.push(largest? as i64);
                }
            }
        }
        Some(vec![Tensor::from_i64s(DType::I64, &sizes, indices)])
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        Err(Illegal::new("TFLite has no builtin that gives the indices of a maximum pool"))
    }
}
