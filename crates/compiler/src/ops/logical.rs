//! Logic on truth values, and on the bits of integers.

use std::io;

use ir::{Attributes, DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, broadcast, elementwise};
use crate::dialect::tfl::{self, Builtin, Illegal};

/// A function of truth values, or of the bits of integers of one dtype; two operands broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Logical {
    /// Both.
    And,
    /// The opposite; takes one operand.
    Not,
    /// One or both.
    Or,
    /// One but not both.
    Xor,
}

impl Logical {
    const ALL: &[Logical] = &[Logical::And, Logical::Not, Logical::Or, Logical::Xor];

    fn operands(self) -> usize {
        if self == Logical::Not { 1 } else { 2 }
    }

    fn of(self, a: i64, b: i64) -> i64 {
        match self {
            Logical::And => a & b,
            Logical::Not => !a,
            Logical::Or => a | b,
            Logical::Xor => a ^ b,
        }
    }
}

impl Definition for Logical {
    const NAMES: &'static [&'static str] = &["and", "not", "or", "xor"];
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] =
        &[Builtin::BITWISE_XOR, Builtin::LOGICAL_AND, Builtin::LOGICAL_NOT, Builtin::LOGICAL_OR];

    fn name(&self) -> &'static str {
        Self::NAMES[*self as usize]
    }

    fn attributes(&self) -> Attributes {
        Attributes::default()
    }

    fn parse(name: &str, _: &Attributes) -> Result<Self, String> {
        let found = Logical::ALL.iter().find(|l| l.name() == name);
        found.copied().ok_or_else(|| format!("no logic is called '{name}'"))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [a, rest @ ..] = inputs else { return Err(Mismatch("takes at least one input".into())) };
        if inputs.len() != self.operands() {
            return Err(Mismatch(format!("takes {} inputs, not {}", self.operands(), inputs.len())));
        }
        if rest.iter().any(|b| b.dtype != a.dtype) || !(a.dtype.is_int() || a.dtype == DType::Bool) {
            let dtypes: Vec<&str> = inputs.iter().map(|t| t.dtype.name()).collect();
            return Err(Mismatch(format!("{} is not defined on {}", self.name(), dtypes.join(" and "))));
        }
        Ok(vec![TensorType::new(a.dtype, &broadcast::of_types(inputs)?)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let a = inputs[0];
        if !elementwise::is_integer(a.dtype()) && a.dtype() != DType::Bool {
            return None;
        }
        // The opposite of a truth value is its lowest bit turned, not all of them.
        let all =
            if a.dtype() == DType::Bool { Tensor::new(&[], &[1u8]) } else { Tensor::new(&[], &[-1i64]) };
        let (function, b) = match self {
            Logical::Not => (Logical::Xor, &all),
            _ => (*self, inputs[1]),
        };
        let to = broadcast::sizes(&[a.sizes(), b.sizes()]).ok()?;
        Some(vec![elementwise::zip_integers(a, b, &to, |x, y| function.of(x, y))])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        elementwise::region(self, inputs, region, fetch)
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        elementwise::carried(*self, inputs, order)
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        // Measured on LiteRT 2.3.0: LOGICAL_* take truth values only, BITWISE_XOR takes none and no i64.
        let bits = [DType::I8, DType::I16, DType::I32, DType::U8];
        let builtin = match (self, inputs[0].dtype) {
            (Logical::And, DType::Bool) => Builtin::LOGICAL_AND,
            (Logical::Or, DType::Bool) => Builtin::LOGICAL_OR,
            (Logical::Not, DType::Bool) => return Ok(tfl::Call::new(Builtin::LOGICAL_NOT).input(0)),
            (Logical::Xor, dtype) if bits.contains(&dtype) => Builtin::BITWISE_XOR,
            (_, dtype) => {
                return Err(Illegal(format!("LiteRT has no builtin for {} of {dtype}", self.name())));
            }
        };
        Ok(tfl::Call::new(builtin).inputs([0, 1]))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        match node.operator {
            Builtin::LOGICAL_AND => Ok(tfl::imported(Logical::And, [0, 1])),
            Builtin::LOGICAL_OR => Ok(tfl::imported(Logical::Or, [0, 1])),
            Builtin::BITWISE_XOR => Ok(tfl::imported(Logical::Xor, [0, 1])),
            Builtin::LOGICAL_NOT => Ok(tfl::imported(Logical::Not, [0])),
            other => Err(Illegal(format!("{other} is no logic"))),
        }
    }
}
