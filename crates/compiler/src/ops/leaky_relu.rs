//! Negative elements times a slope.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, leaky_relu_options};

/// `x` where it is positive, elsewhere `slope · x`; the slope may be negative, or greater than one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    /// The factor of what is not positive, rounded to f32.
    pub slope: f64,
}

impl Definition for LeakyRelu {
    const NAMES: &'static [&'static str] = &["leaky_relu"];
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = &[Builtin::LEAKY_RELU];
    attributes!(slope);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if !input.dtype.is_float() {
            return Err(Mismatch(format!("is not defined on {}", input.dtype)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        elementwise::is_real(inputs[0].dtype())
            .then(|| vec![elementwise::map_reals(inputs[0], |x| if x > 0.0 { x } else { x * self.slope })])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        elementwise::region(self, inputs, region, fetch)
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(*self, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        // The kernel was measured from rank 1 on.
        if inputs[0].dtype != DType::F32 || inputs[0].rank() == 0 {
            return Err(Illegal(format!("LEAKY_RELU is not spelled for {}", inputs[0])));
        }
        Ok(tfl::Call::new(Builtin::LEAKY_RELU).input(0).set(leaky_relu_options::ALPHA, self.slope as f32))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let slope = f64::from(node.get(leaky_relu_options::ALPHA));
        Ok(tfl::imported(LeakyRelu { slope }, [0]))
    }
}
