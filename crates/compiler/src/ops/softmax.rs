//! Exponentials along one axis, scaled so that they sum to one.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, arity, attributes, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, softmax_options};

/// `eˣ / Σ eˣ` along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// The axis; 0 of a tensor of rank 0 too, which is an axis of one element.
    pub axis: usize,
}

impl Definition for Softmax {
    const NAMES: &'static [&'static str] = &["softmax"];
    const TFL: &'static [Builtin] = &[Builtin::SOFTMAX];
    attributes!(axis);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if self.axis >= input.rank().max(1) || !input.dtype.is_float() {
            return Err(Mismatch(format!("is not defined on axis {} of {input}", self.axis)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        elementwise::along(inputs[0], self.axis, |line| {
            let most = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = line.iter().map(|x| (x - most).exp()).sum();
            line.iter_mut().for_each(|slot| {
                let x = *slot;
                *slot = (x - most).exp() / total;
            });
        })
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        (inputs[0].rank() > 0).then(|| Carried::alike(Softmax { axis: order.position(self.axis) }, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let input = inputs[0];
        if input.dtype != DType::F32 {
            return Err(Illegal(format!("SOFTMAX is not spelled for {}", input.dtype)));
        }
        if self.axis + 1 != input.rank() {
            return Err(Illegal(format!(
                "SOFTMAX works on the last axis, not on axis {} of {input}",
                self.axis
            )));
        }
        Ok(tfl::Call::new(Builtin::SOFTMAX).input(0).set(softmax_options::BETA, 1.0))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let beta = node.get(softmax_options::BETA);
        if beta != 1.0 {
            return Err(Illegal(format!("SOFTMAX with beta {beta} is not read")));
        }
        let rank = node.input(0)?.rank();
        let axis = rank.checked_sub(1).ok_or_else(|| Illegal::new("SOFTMAX of rank 0 is not read"))?;
        Ok(tfl::imported(Softmax { axis }, [0]))
    }
}
