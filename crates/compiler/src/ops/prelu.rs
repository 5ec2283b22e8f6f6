//! Negative elements times a slope that is learned.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, broadcast, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// `x` where it is positive, elsewhere `slope · x`, where the second input holds slopes that broadcast to `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelu {}

impl Definition for Prelu {
    const NAMES: &'static [&'static str] = &["prelu"];
    const TFL: &'static [Builtin] = &[Builtin::PRELU];
    attributes!();

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input, slope] = arity(inputs)?;
        if !input.dtype.is_float() || slope.dtype != input.dtype {
            return Err(Mismatch(format!("is not defined on {} and {}", input.dtype, slope.dtype)));
        }
        if broadcast::of_types(inputs)? != input.sizes()? {
            return Err(Mismatch(format!("the slopes {slope} do not broadcast to {input}")));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let (input, slope) = (inputs[0], inputs[1]);
        elementwise::is_real(input.dtype()).then(|| {
            let leak = |x: f64, slope: f64| if x > 0.0 { x } else { x * slope };
            vec![elementwise::zip_reals(input, slope, input.sizes(), leak)]
        })
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
        if inputs[0].dtype != DType::F32 || inputs[0].rank() == 0 {
            return Err(Illegal(format!("PRELU is not spelled for {}", inputs[0])));
        }
        Ok(tfl::Call::new(Builtin::PRELU).inputs([0, 1]))
    }

    fn from_tfl(_: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Prelu {}, [0, 1]))
    }
}
