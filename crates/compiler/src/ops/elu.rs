//! The exponential linear unit and its scaled kin.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// `scale · x` where `x` is positive, elsewhere `scale · alpha · (exp(input_scale · x) − 1)`, exact near zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    /// The factor of what is not positive.
    pub alpha: f64,
    /// The factor of everything.
    pub scale: f64,
    /// The factor of the exponent.
    pub input_scale: f64,
}

impl Elu {
    /// The plain one: every factor is one.
    pub const PLAIN: Elu = Elu { alpha: 1.0, scale: 1.0, input_scale: 1.0 };
}

impl Definition for Elu {
    const NAMES: &'static [&'static str] = &["elu"];
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = &[Builtin::ELU];
    attributes!(alpha, scale, input_scale);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if !input.dtype.is_float() {
            return Err(Mismatch(format!("is not defined on {}", input.dtype)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let negative = self.alpha * self.scale;
        elementwise::is_real(inputs[0].dtype()).then(|| {
            vec![elementwise::map_reals(inputs[0], |x| {
                if x > 0.0 { x * self.scale } else { (x * self.input_scale).exp_m1() * negative }
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

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        if inputs[0].dtype != DType::F32 {
            return Err(Illegal(format!("ELU is not spelled for {}", inputs[0].dtype)));
        }
        if *self != Elu::PLAIN {
            return Err(Illegal(format!("ELU has no factors; here they are {self:?}")));
        }
        Ok(tfl::Call::new(Builtin::ELU).input(0))
    }

    fn from_tfl(_: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Elu::PLAIN, [0]))
    }
}
