//! A choice between two tensors, element by element.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, broadcast, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// Where the first input holds, the second input's element, elsewhere the third's; all three broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Where {}

impl Definition for Where {
    const NAMES: &'static [&'static str] = &["where"];
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = &[Builtin::SELECT, Builtin::SELECT_V2];
    attributes!();

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [condition, yes, no] = arity(inputs)?;
        if condition.dtype != DType::Bool {
            return Err(Mismatch(format!("the condition is {}, not bool", condition.dtype)));
        }
        if yes.dtype != no.dtype {
            return Err(Mismatch(format!("chooses between {} and {}", yes.dtype, no.dtype)));
        }
        Ok(vec![TensorType::new(yes.dtype, &broadcast::of_types(inputs)?)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let to = broadcast::sizes(&[inputs[0].sizes(), inputs[1].sizes(), inputs[2].sizes()]).ok()?;
        Some(vec![elementwise::choose(inputs[0], inputs[1], inputs[2], &to)?])
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
        // Measured on LiteRT 2.3.0; f16 runs too but is computed nowhere else.
        const TAKEN: &[DType] =
            &[DType::F32, DType::I8, DType::I16, DType::U8, DType::I32, DType::I64, DType::Bool];
        if !TAKEN.contains(&inputs[1].dtype) {
            return Err(Illegal(format!("SELECT_V2 does not choose between {}", inputs[1].dtype)));
        }
        Ok(tfl::Call::new(Builtin::SELECT_V2).inputs([0, 1, 2]))
    }

    /// SELECT is read where its operands are of one shape; a condition of rank 1 would choose whole rows.
    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        if node.operator == Builtin::SELECT && node.input(0)?.shape != node.input(1)?.shape {
            return Err(Illegal(format!("SELECT by {} is not read", node.input(0)?)));
        }
        Ok(tfl::imported(Where {}, [0, 1, 2]))
    }
}
