//! A smooth form of `max(x, 0)`.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::Illegal;

/// `ln(1 + exp(beta · x)) / beta`, and `x` itself where `beta · x` is above the threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softplus {
    /// How sharp the bend is.
    pub beta: f64,
    /// Where the function is taken to be a line.
    pub threshold: f64,
}

impl Definition for Softplus {
    const NAMES: &'static [&'static str] = &["softplus"];
    const ELEMENTWISE: bool = true;
    attributes!(beta, threshold);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if !input.dtype.is_float() {
            return Err(Mismatch(format!("is not defined on {}", input.dtype)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let Softplus { beta, threshold } = *self;
        elementwise::is_real(inputs[0].dtype()).then(|| {
            vec![elementwise::map_reals(inputs[0], |x| {
                if x * beta > threshold { x } else { (x * beta).exp().ln_1p() / beta }
            })]
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

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(*self, 1, order))
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        Err(Illegal::new("LiteRT has no builtin for softplus"))
    }
}
