//! Normalization by the mean and variance over groups of channels of each sample.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, attributes, broadcast, matrix};
use crate::dialect::tfl;
use crate::dialect::tfl::Illegal;

/// `y = (x − mean) / √(variance + eps) · gamma + beta`, mean and variance taken over the channels of a group and all
/// axes but the first, which is the batch; as many groups as channels is instance normalization.
///
/// Inputs: a tensor, optionally gamma, and after it optionally beta, with one number per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupNorm {
    /// The axis of the channels.
    pub axis: usize,
    /// The number of groups.
    pub groups: usize,
    /// What is added to the variance.
    pub eps: f64,
}

impl Definition for GroupNorm {
    const NAMES: &'static [&'static str] = &["group_norm"];
    attributes!(axis, groups, eps);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let (x, affine) = match inputs {
            [x, affine @ ..] if affine.len() <= 2 => (x, affine),
            _ => {
                return Err(Mismatch(format!("takes a tensor, gamma and beta, not {} inputs", inputs.len())));
            }
        };
        let sizes = x.sizes()?;
        let channels = sizes.get(self.axis).copied().filter(|_| self.axis > 0);
        let channels =
            channels.ok_or_else(|| Mismatch(format!("{x} has no channels on axis {}", self.axis)))?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            return Err(Mismatch(format!("{channels} channels do not make {} groups", self.groups)));
        }
        for ty in affine {
            if ty.sizes()? != [channels] || ty.dtype != x.dtype {
                return Err(Mismatch(format!("normalizes {channels} channels of {x} with {ty}")));
            }
        }
        Ok(vec![TensorType::new(x.dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let x = inputs[0];
        if !matches!(matrix::accumulator(x.dtype())?, DType::F32 | DType::F64) {
            return None;
        }
        let (sizes, mut values) = (x.sizes(), x.to_f64s());
        let channels = sizes[self.axis];
        let mut steps = vec![0; sizes.len()];
        (steps[0], steps[self.axis]) = (channels, 1);
        let rows = broadcast::strided(sizes, &steps);
        let set = |row: usize| row / (channels / self.groups);
        let mut sums = vec![[0.0f64; 2]; sizes[0] * self.groups];
        let count = values.len() as f64 / sums.len() as f64;
        for (&row, v) in rows.iter().zip(&values) {
            sums[set(row)][0] += v / count;
        }
        for (&row, v) in rows.iter().zip(&values) {
            let [mean, variance] = &mut sums[set(row)];
            *variance += (v - *mean) * (v - *mean) / count;
        }
        let affine = |i: usize| inputs.get(i).map(|t| t.to_f64s());
        let (gamma, beta) = (affine(1), affine(2));
        for (&row, v) in rows.iter().zip(&mut values) {
            let ([mean, variance], c) = (sums[set(row)], row % channels);
            *v = (*v - mean) / (variance + self.eps).sqrt();
            *v = *v * gamma.as_ref().map_or(1.0, |g| g[c]) + beta.as_ref().map_or(0.0, |b| b[c]);
        }
        Some(vec![Tensor::from_f64s(x.dtype(), sizes, values)])
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        if order.axes().first() != Some(&0) {
            return None;
        }
        let op = GroupNorm { axis: order.position(self.axis), ..self.clone() };
        let mut orders = vec![order.clone()];
        orders.extend(std::iter::repeat_n(Order::identity(1), inputs.len() - 1));
        Some(Carried { op, inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        Err(Illegal::new("TFLite has no group normalization"))
    }
}
