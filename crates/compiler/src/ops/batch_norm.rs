//! Normalization of each channel by statistics that are given.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::{Order, arity, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::Illegal;

/// `y = (x − mean) / √(variance + eps) · gamma + beta`, each of these with one number per channel.
///
/// Inputs: a tensor, then gamma, beta, mean and variance.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// The axis of the channels.
    pub axis: usize,
    /// What is added to the variance.
    pub eps: f64,
}

impl BatchNorm {
    /// As PyTorch's kernel: one product and one sum per element.
    fn compute<T: Real>(&self, inputs: &[&Tensor]) -> Tensor {
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|i| inputs[i].as_slice::<T>());
        let eps = T::of(self.eps);
        let sizes = inputs[0].sizes();
        let run = sizes[self.axis + 1..].iter().product::<usize>();
        let mut y = inputs[0].clone();
        if y.count() == 0 {
            return y;
        }
        for (i, values) in y.as_mut_slice::<T>().chunks_exact_mut(run).enumerate() {
            let c = i % gamma.len();
            let scale = gamma[c] / (variance[c] + eps).root();
            let shift = beta[c] - mean[c] * scale;
            values.iter_mut().for_each(|x| *x = *x * scale + shift);
        }
        y
    }
}

impl Definition for BatchNorm {
    const NAMES: &'static [&'static str] = &["batch_norm"];
    attributes!(axis, eps);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x, rest @ ..] = arity::<5>(inputs)?;
        let sizes = x.sizes()?;
        let channels =
            *sizes.get(self.axis).ok_or_else(|| Mismatch(format!("{x} has no axis {}", self.axis)))?;
        for ty in rest {
            if ty.sizes()? != [channels] || ty.dtype != x.dtype {
                return Err(Mismatch(format!("normalizes {channels} channels of {x} by {ty}")));
            }
        }
        Ok(vec![TensorType::new(x.dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let wide = inputs.iter().map(|t| matrix::widened(t)).collect::<Option<Vec<_>>>()?;
        let wide: Vec<&Tensor> = wide.iter().map(|t| &**t).collect();
        let y = match wide[0].dtype() {
            DType::F32 => self.compute::<f32>(&wide),
            DType::F64 => self.compute::<f64>(&wide),
            _ => return None,
        };
        Some(vec![matrix::converted(&y, inputs[0].dtype())])
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let op = BatchNorm { axis: order.position(self.axis), ..self.clone() };
        let mut orders = vec![order.clone()];
        orders.extend(std::iter::repeat_n(Order::identity(1), 4));
        Some(Carried { op, inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        Err(Illegal::new("TFLite has no batch normalization"))
    }
}
