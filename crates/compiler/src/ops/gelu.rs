//! The Gaussian error linear unit, exact and approximate.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, elementwise, words};
use crate::dialect::tfl::{Builtin, Illegal, gelu_options};
use crate::dialect::{aten, tfl};

words! {
    /// Which function the unit is.
    Approximate {
        /// `x · (1 + erf(x / √2)) / 2`
        None = "none",
        /// `x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2`
        Tanh = "tanh",
    }
}

/// `x` times the probability that a normal variable is below `x`; the two ways of computing it differ by up to 5e-4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gelu {
    /// Which function.
    pub approximate: Approximate,
}

impl Definition for Gelu {
    const NAMES: &'static [&'static str] = &["gelu"];
    const ELEMENTWISE: bool = true;
    const ATEN: &'static [&'static str] = &["aten.gelu.default"];
    const TFL: &'static [Builtin] = &[Builtin::GELU];
    attributes!(approximate);

    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        let approximate = match call.text("approximate")? {
            "none" => Approximate::None,
            "tanh" => Approximate::Tanh,
            other => return Err(call.malformed(format!("has no form '{other}'"))),
        };
        Ok(aten::imported(Gelu { approximate }, [call.tensor("self")?.into()]))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if !input.dtype.is_float() {
            return Err(Mismatch(format!("is not defined on {}", input.dtype)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        if !elementwise::is_real(inputs[0].dtype()) {
            return None;
        }
        Some(vec![match self.approximate {
            Approximate::None => elementwise::map_reals(inputs[0], exact),
            Approximate::Tanh => elementwise::map_reals(inputs[0], approximate),
        }])
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
            return Err(Illegal(format!("GELU is not spelled for {}", inputs[0].dtype)));
        }
        // The kernel was measured from rank 1 on.
        if inputs[0].rank() == 0 {
            return Err(Illegal::new("GELU takes at least one axis"));
        }
        let approximate = self.approximate == Approximate::Tanh;
        Ok(tfl::Call::new(Builtin::GELU).input(0).set(gelu_options::APPROXIMATE, approximate))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let approximate =
            if node.get(gelu_options::APPROXIMATE) { Approximate::Tanh } else { Approximate::None };
        Ok(tfl::imported(Gelu { approximate }, [0]))
    }
}

/// By the complementary error function, which keeps its digits far below zero.
fn exact(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn approximate(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}
