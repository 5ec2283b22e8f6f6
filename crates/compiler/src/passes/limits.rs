//! What the target can run: the limits that lowering and legalization solve for.

use ir::{Operator, TensorType};

use crate::dialect::tfl::{Builtin, Call, Illegal};
use crate::lint::{Interface, Profile, Rules, Usage};
use crate::ops::{Op, Order};

/// Builtins that are not used though LiteRT has them: delegates for GPUs and accelerators lack them, and another builtin
/// says the same (a broadcast is a TILE).
const AVOIDED: &[Builtin] = &[Builtin::BROADCAST_TO];

/// The limits of a target.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// What it asks of operators and of the tensors between them.
    pub rules: Rules,
    /// What it asks of inputs and outputs.
    pub interface: Interface,
}

impl From<Profile> for Limits {
    fn from(profile: Profile) -> Self {
        Limits { rules: profile.rules, interface: profile.interface }
    }
}

impl Limits {
    /// Limits that forbid these builtins and nothing else.
    pub fn forbidding(forbid: Vec<Builtin>) -> Self {
        Limits { rules: Rules { forbid, ..Rules::default() }, interface: Interface::default() }
    }

    /// Limits on the number of axes and nothing else.
    pub fn of_rank(max_rank: impl Into<Option<usize>>) -> Self {
        let rules = Rules { max_rank: max_rank.into(), ..Rules::default() };
        Limits { rules, interface: Interface::default() }
    }

    /// Can the target run this operator on these types, once layout, axes and permutations are decided? Errs with the
    /// limit it meets.
    pub fn admit(&self, op: &Op, inputs: &[&TensorType]) -> Result<(), Illegal> {
        let call = match op.to_tfl(inputs) {
            Ok(call) => call,
            Err(why) => return self.admit_channels_last(op, inputs).map_err(|_| why),
        };
        self.admit_call(&call, op, inputs)
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
        let stored: Vec<&TensorType> = stored.iter().collect();
        let call = carried.op.to_tfl(&stored)?;
        self.admit_call(&call, &carried.op, &stored)
    }

    /// Are the builtin, its dtypes and its options allowed? Errs with the limit it meets.
    fn admit_call(&self, call: &Call, op: &Op, inputs: &[&TensorType]) -> Result<(), Illegal> {
        if let Some(broken) = self.rules.builtin(call.operator) {
            return Err(Illegal(broken.text()));
        }
        avoid(call.operator)?;
        if self.rules.dtypes.is_empty() && self.rules.conditions.is_empty() {
            return Ok(());
        }
        let results = op.infer(inputs)?;
        let usage = Usage::of_call(call, inputs, None, &results.iter().collect::<Vec<_>>());
        let broken = self.rules.dtype(&usage).into_iter().chain(self.rules.conditions(&usage)).next();
        broken.map_or(Ok(()), |broken| Err(Illegal(broken.text())))
    }

    /// Does a run-time tensor of this type stay within the rank limit?
    pub fn admits_rank(&self, ty: &TensorType) -> bool {
        self.rules.max_rank.is_none_or(|most| ty.rank() <= most)
    }
}

/// Errs for a builtin that is not used.
pub(super) fn avoid(builtin: Builtin) -> Result<(), Illegal> {
    match AVOIDED.contains(&builtin) {
        true => Err(Illegal(format!("{builtin} is missing in many delegates"))),
        false => Ok(()),
    }
}
