//! What the target can run: the limits that lowering and legalization solve for.

use ir::TensorType;

use crate::dialect::tfl::{Builtin, Call, Illegal};
use crate::ops::{Op, Order};

/// Builtins that are not used though LiteRT has them: delegates for GPUs and accelerators lack them, and another builtin
/// says the same (a broadcast is a TILE).
const AVOIDED: &[Builtin] = &[Builtin::BROADCAST_TO];

/// The limits of a target.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Builtins that must not be used.
    pub forbid: Vec<Builtin>,
    /// The most axes that a run-time tensor may have.
    pub max_rank: Option<usize>,
}

impl Limits {
    /// Can the target run this operator on these types, once the layout is decided? Errs with the limit it meets.
    pub fn admit(&self, op: &Op, inputs: &[&TensorType]) -> Result<(), Illegal> {
        let call = match op.to_tfl(inputs) {
            Ok(call) => call,
            Err(why) => return self.admit_channels_last(op, inputs).map_err(|_| why),
        };
        self.admit_call(&call)
    }

    /// Operators on images can be spelled when their channels are last, which the layout pass will see to.
    fn admit_channels_last(&self, op: &Op, inputs: &[&TensorType]) -> Result<(), Illegal> {
        let first = inputs.first().ok_or_else(|| Illegal::new("it has no input"))?;
        let carried = op
            .carry(inputs, &Order::channels_last(first.rank()))
            .ok_or_else(|| Illegal::new("it has no form with channels last"))?;
        let stored: Vec<TensorType> = inputs
            .iter()
            .zip(&carried.inputs)
            .map(|(ty, order)| TensorType { shape: ir::Shape(order.apply(&ty.shape.0)), ..(*ty).clone() })
            .collect();
        let call = carried.op.to_tfl(&stored.iter().collect::<Vec<_>>())?;
        self.admit_call(&call)
    }

    /// Is the builtin allowed? Errs with the limit it meets.
    pub fn admit_call(&self, call: &Call) -> Result<(), Illegal> {
        if self.forbid.contains(&call.operator) {
            return Err(Illegal(format!("{} is forbidden", call.operator)));
        }
        if AVOIDED.contains(&call.operator) {
            return Err(Illegal(format!("{} is missing in many delegates", call.operator)));
        }
        Ok(())
    }

    /// Does a run-time tensor of this type stay within the rank limit?
    pub fn admits_rank(&self, ty: &TensorType) -> bool {
        self.max_rank.is_none_or(|most| ty.rank() <= most)
    }
}
