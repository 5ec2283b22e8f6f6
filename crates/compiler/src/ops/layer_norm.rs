//! Normalization by the mean and variance over some axes of each sample.

use ir::{Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, attributes, broadcast, matrix};
use crate::dialect::tfl;
use crate::dialect::tfl::Illegal;

/// `y = (x − mean) / √(variance + eps) · gamma + beta`, mean and variance taken over `axes`.
///
/// Inputs: a tensor, optionally gamma, and after it optionally beta; these have the sizes of the axes.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// The axes that are normalized, ascending.
    pub axes: Vec<usize>,
    /// What is added to the variance.
    pub eps: f64,
}

impl LayerNorm {
    /// The sizes by which gamma and beta broadcast with a tensor of these sizes.
    pub fn broadcast(&self, sizes: &[usize]) -> Vec<usize> {
        (0..sizes.len()).map(|a| if self.axes.contains(&a) { sizes[a] } else { 1 }).collect()
    }
}

impl Definition for LayerNorm {
    const NAMES: &'static [&'static str] = &["layer_norm"];
    attributes!(axes, eps);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let (x, affine) = match inputs {
            [x, affine @ ..] if affine.len() <= 2 => (x, affine),
            _ => {
                return Err(Mismatch(format!("takes a tensor, gamma and beta, not {} inputs", inputs.len())));
            }
        };
        let sizes = x.sizes()?;
        let rising = self.axes.windows(2).all(|w| w[0] < w[1]);
        if self.axes.is_empty() || !rising || self.axes.iter().any(|&a| a >= sizes.len()) {
            return Err(Mismatch(format!("normalizes axes {:?} of {x}", self.axes)));
        }
        let wanted: Vec<usize> = self.axes.iter().map(|&a| sizes[a]).collect();
        for ty in affine {
            if ty.sizes()? != wanted || ty.dtype != x.dtype {
                return Err(Mismatch(format!("normalizes {wanted:?} elements of {x} with {ty}")));
            }
        }
        Ok(vec![TensorType::new(x.dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let x = inputs[0];
        if !matches!(matrix::accumulator(x.dtype())?, ir::DType::F32 | ir::DType::F64) {
            return None;
        }
        let (sizes, mut values) = (x.sizes(), x.to_f64s());
        // For each element, which set of elements it is normalized with.
        let kept: Vec<usize> =
            (0..sizes.len()).map(|a| if self.axes.contains(&a) { 1 } else { sizes[a] }).collect();
        let sets = broadcast::indices(&kept, sizes);
        let count = self.axes.iter().map(|&a| sizes[a]).product::<usize>() as f64;
        let mean_of = |values: &[f64], of: &dyn Fn(usize, f64) -> f64| {
            let mut sums = vec![0.0; kept.iter().product()];
            for (&set, &v) in sets.iter().zip(values) {
                sums[set] += of(set, v);
            }
            sums.into_iter().map(|s| s / count).collect::<Vec<f64>>()
        };
        let mean = mean_of(&values, &|_, v| v);
        let variance = mean_of(&values, &|set, v| (v - mean[set]) * (v - mean[set]));
        for (&set, v) in sets.iter().zip(&mut values) {
            *v = (*v - mean[set]) / (variance[set] + self.eps).sqrt();
        }
        let affine =
            |i: usize| Some(broadcast::expanded(&inputs.get(i)?.to_f64s(), &self.broadcast(sizes), sizes));
        if let Some(gamma) = affine(1) {
            values.iter_mut().zip(gamma).for_each(|(v, g)| *v *= g);
        }
        if let Some(beta) = affine(2) {
            values.iter_mut().zip(beta).for_each(|(v, b)| *v += b);
        }
        Some(vec![Tensor::from_f64s(x.dtype(), sizes, values)])
    }

    /// The axes go where they are stored, and gamma and beta are stored in the same order among themselves.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let axes: Vec<usize> = (0..order.rank()).filter(|&i| self.axes.contains(&order.axes()[i])).collect();
        let among = |i: &usize| self.axes.iter().position(|a| *a == order.axes()[*i]);
        let affine = Order::new(axes.iter().map(among).collect::<Option<_>>()?).ok()?;
        let mut orders = vec![order.clone()];
        orders.extend(std::iter::repeat_n(affine, inputs.len() - 1));
        let op = LayerNorm { axes, eps: self.eps };
        Some(Carried { op, inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        Err(Illegal::new("TFLite has no layer normalization"))
    }
}
