//! Running sums along one axis.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, arity, attributes, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, cumsum_options};

/// Each element is the sum of those up to it along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cumsum {
    /// The axis; 0 of a tensor of rank 0 too, which is an axis of one element.
    pub axis: usize,
}

impl Definition for Cumsum {
    const NAMES: &'static [&'static str] = &["cumsum"];
    const TFL: &'static [Builtin] = &[Builtin::CUMSUM];
    attributes!(axis);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if self.axis >= input.rank().max(1) || !(input.dtype.is_float() || input.dtype.is_int()) {
            return Err(Mismatch(format!("is not defined on axis {} of {input}", self.axis)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        if elementwise::is_integer(inputs[0].dtype()) {
            return elementwise::along_integers(inputs[0], self.axis, |line| {
                let mut total = 0i64;
                line.iter_mut().for_each(|slot| {
                    total = total.wrapping_add(*slot);
                    *slot = total;
                });
            });
        }
        elementwise::along(inputs[0], self.axis, |line| {
            let mut total = 0.0;
            line.iter_mut().for_each(|slot| {
                total += *slot;
                *slot = total;
            });
        })
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        (inputs[0].rank() > 0).then(|| Carried::alike(Cumsum { axis: order.position(self.axis) }, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let input = inputs[0];
        if ![DType::F32, DType::I32, DType::I64].contains(&input.dtype) || input.rank() == 0 {
            return Err(Illegal(format!("CUMSUM does not sum {input}")));
        }
        tfl::Call::new(Builtin::CUMSUM).input(0).int32(self.axis)
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        if node.get(cumsum_options::EXCLUSIVE) || node.get(cumsum_options::REVERSE) {
            return Err(Illegal::new("CUMSUM that is exclusive or reversed is not read"));
        }
        let axis = node.axis(node.int(1)?, node.input(0)?.rank())?;
        Ok(tfl::imported(Cumsum { axis }, [0]))
    }
}
