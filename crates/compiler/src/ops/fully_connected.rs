//! A matrix applied to the last axis, with an optional bias and a fused activation.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::quantized::Hybrid;
use super::spatial::{Activation, Layout};
use super::{Order, attributes};
use crate::dialect::tfl::{Builtin, Illegal, fully_connected_options as options};
use crate::dialect::{aten, tfl};

/// `y[…, o] = activation(bias[o] + Σ x[…, i] · weight[o, i])`.
///
/// Inputs: a tensor, a weight of (outputs, inputs), and optionally a bias with one number per output.
#[derive(Clone, Debug, PartialEq)]
pub struct FullyConnected {
    /// What is applied to the sums.
    pub activation: Activation,
}

impl FullyConnected {
    fn compute<T: Real>(&self, inputs: &[&Tensor]) -> Tensor {
        let (x, weight) = (inputs[0], inputs[1]);
        let (outputs, depth) = (weight.sizes()[0], weight.sizes()[1]);
        let mut sizes = x.sizes().to_vec();
        *sizes.last_mut().expect("the inputs were inferred") = outputs;
        let rows = sizes.iter().rev().skip(1).product();
        let mut sums =
            matrix::times_transposed(x.as_slice::<T>(), weight.as_slice::<T>(), [rows, outputs, depth]);
        if let Some(bias) = inputs.get(2) {
            Layout::Nhwc.add_bias(&mut sums, bias.as_slice::<T>(), [rows, 1]);
        }
        Tensor::new(&sizes, &sums)
    }
}

const HYBRID: Hybrid =
    Hybrid { builtin: Builtin::FULLY_CONNECTED, weights: &[DType::I8, DType::I4], axis: 0, per_tensor: true };

impl Definition for FullyConnected {
    const NAMES: &'static [&'static str] = &["fully_connected"];
    const ATEN: &'static [&'static str] = &["aten.linear.default"];
    const TFL: &'static [Builtin] = &[Builtin::FULLY_CONNECTED];
    attributes!(activation);

    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        let mut inputs = vec![call.tensor("input")?.into(), call.tensor("weight")?.into()];
        inputs.extend(call.optional_tensor("bias")?.map(Into::into));
        Ok(aten::imported(FullyConnected { activation: Activation::None }, inputs))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let (x, weight) = match *inputs {
            [x, weight] | [x, weight, _] => (x, weight),
            _ => {
                return Err(Mismatch(format!(
                    "takes a tensor, a weight and a bias, not {} inputs",
                    inputs.len()
                )));
            }
        };
        let (mut sizes, weights) = (x.sizes()?, weight.sizes()?);
        let (Some(last), &[outputs, depth]) = (sizes.last_mut(), &weights[..]) else {
            return Err(Mismatch(format!("connects {x} by {weight}, which is no matrix")));
        };
        if *last != depth || inputs.iter().any(|t| t.dtype != x.dtype && t.quant.is_none()) {
            return Err(Mismatch(format!("connects {x} by {weight}")));
        }
        *last = outputs;
        if let Some(bias) = inputs.get(2)
            && bias.sizes()? != [outputs]
        {
            return Err(Mismatch(format!("a bias of {bias} does not fit {outputs} outputs")));
        }
        Ok(vec![TensorType::new(x.dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let dtype = inputs[0].dtype();
        let wide = inputs.iter().map(|t| matrix::widened(t)).collect::<Option<Vec<_>>>()?;
        let wide: Vec<&Tensor> = wide.iter().map(|t| &**t).collect();
        let mut sums = match wide[0].dtype() {
            DType::F32 => self.compute::<f32>(&wide),
            DType::F64 => self.compute::<f64>(&wide),
            _ => return None,
        };
        self.activation.apply_to(&mut sums)?;
        Some(vec![matrix::converted(&sums, dtype)])
    }

    /// Every order whose last axis stays last is the same product.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        if order.axes().last()? + 1 != order.rank() {
            return None;
        }
        let mut orders = vec![order.clone(), Order::identity(2)];
        orders.extend(inputs.get(2).map(|_| Order::identity(1)));
        Some(Carried { op: self.clone(), inputs: orders, outputs: vec![order.clone()] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let x = inputs[0];
        HYBRID.admit(x, inputs[1])?;
        if !(1..=8).contains(&x.rank()) {
            return Err(Illegal(format!("FULLY_CONNECTED takes 1 to 8 axes, not {}", x.rank())));
        }
        let call = tfl::Call::new(Builtin::FULLY_CONNECTED)
            .inputs(0..2)
            .set(options::FUSED_ACTIVATION_FUNCTION, self.activation);
        // Without the flag, leading axes are flattened into one.
        let call = match x.rank() {
            2 => call,
            _ => call.set(options::KEEP_NUM_DIMS, true).at_least(5),
        };
        Ok(match inputs.len() {
            2 => call.absent().at_least(6),
            _ => call.input(2),
        })
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let (x, weight, result) = (node.input(0)?, node.input(1)?.sizes()?, node.output(0)?);
        let mut sizes = x.sizes()?;
        if let (Some(last), Some(&outputs)) = (sizes.last_mut(), weight.first()) {
            *last = outputs;
        }
        if result.sizes()? != sizes {
            return Err(Illegal(format!("FULLY_CONNECTED flattens {x} into {result}")));
        }
        let op = FullyConnected {
            activation: Activation::from_tfl(node.get(options::FUSED_ACTIVATION_FUNCTION))?,
        };
        let inputs = 2 + usize::from(node.optional_input(2).is_some());
        Ok(tfl::imported(op, 0..inputs))
    }
}
