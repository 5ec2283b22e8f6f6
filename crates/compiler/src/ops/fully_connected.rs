//! A matrix applied to the last axis, with an optional bias and a fused activation.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
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

/// The bytes of a weight that are held at once.
const SLAB: usize = 4 << 20;

/// `Σ a·b` in double precision.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b));
    sums.into_iter().chain(rest).sum()
}

/// The results of one row, not yet rounded.
fn row_sums(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Vec<f64> {
    let x = x.as_slice::<f32>();
    let mut sums: Vec<f64> =
        weight.as_slice::<f32>().chunks_exact(x.len().max(1)).map(|w| dot(x, w)).collect();
    if let Some(bias) = bias {
        sums.iter_mut().zip(bias.as_slice::<f32>()).for_each(|(sum, &b)| *sum += f64::from(b));
    }
    sums
}

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
            DType::F32 if wide[0].count() == wide[1].sizes()[1] && wide[0].count() > 0 => {
                let sums = row_sums(wide[0], wide[1], wide.get(2).copied());
                let mut sizes = wide[0].sizes().to_vec();
                *sizes.last_mut()? = sums.len();
                Tensor::from_f64s(DType::F32, &sizes, sums)
            }
            DType::F32 => self.compute::<f32>(&wide),
            DType::F64 => self.compute::<f64>(&wide),
            _ => return None,
        };
        self.activation.apply_to(&mut sums)?;
        Some(vec![matrix::converted(&sums, dtype)])
    }

    /// A box of the one row that a row makes: what a weight makes of a constant. Sums are in double precision.
    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let (x, weight) = (inputs[0].sizes().ok()?, inputs[1].sizes().ok()?);
        let row = Region::whole(&x);
        if row.count() != weight[1] || row.count() == 0 || inputs.iter().any(|t| t.dtype != DType::F32) {
            return None;
        }
        let (first, count) = (*region.start.last()?, *region.sizes.last()?);
        let mut run = || {
            let x = fetch(0, &row)?;
            let mut sums = Vec::with_capacity(count);
            let step = (SLAB / (weight[1] * 4).max(1)).max(1);
            for start in (first..first + count).step_by(step) {
                let rows = start..(start + step).min(first + count);
                let bias = match inputs.len() {
                    2 => None,
                    _ => Some(fetch(2, &Region { start: vec![start], sizes: vec![rows.len()] })?),
                };
                sums.extend(row_sums(&x, &fetch(1, &Region::rows(&weight, rows))?, bias.as_ref()));
            }
            Ok(Tensor::from_f64s(DType::F32, &region.sizes, sums))
        };
        let mut result = match run() {
            Ok(result) => result,
            Err(error) => return Some(Err(error)),
        };
        self.activation.apply_to(&mut result)?;
        Some(Ok(result))
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
