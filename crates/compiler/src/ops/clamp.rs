//! Elements kept within two bounds.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, elementwise};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// `min(max(x, min), max)`; NaN passes through, and where the bounds cross, `max` it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// The lower bound; not NaN, and of the input's dtype.
    pub min: Option<f64>,
    /// The upper bound; not NaN, and of the input's dtype.
    pub max: Option<f64>,
}

impl Definition for Clamp {
    const NAMES: &'static [&'static str] = &["clamp"];
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] =
        &[Builtin::MAXIMUM, Builtin::MINIMUM, Builtin::RELU_0_TO_1, Builtin::RELU_N1_TO_1];
    attributes!(min, max);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if [self.min, self.max].into_iter().flatten().any(f64::is_nan) {
            return Err(Mismatch("is bounded by NaN".into()));
        }
        if !input.dtype.is_float() && !input.dtype.is_int() {
            return Err(Mismatch(format!("is not defined on {}", input.dtype)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let input = inputs[0];
        if elementwise::is_real(input.dtype()) {
            let low = self.min.unwrap_or(f64::NEG_INFINITY);
            let high = self.max.unwrap_or(f64::INFINITY);
            return Some(vec![elementwise::map_reals(input, |x| {
                let x = if x < low { low } else { x };
                if x > high { high } else { x }
            })]);
        }
        if !elementwise::is_integer(input.dtype()) {
            return None;
        }
        // Conversion saturates, so infinite bounds bound nothing.
        let low = self.min.map_or(i64::MIN, |x| x as i64);
        let high = self.max.map_or(i64::MAX, |x| x as i64);
        Some(vec![elementwise::map_integers(input, |n| n.max(low).min(high))])
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

    /// The bound stands first: MAXIMUM and MINIMUM of builtin kernels give their second operand where the first is
    /// NaN, or either is not in order with the other.
    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let dtype = inputs[0].dtype;
        if ![DType::F32, DType::I32, DType::I64].contains(&dtype) {
            return Err(Illegal(format!("MAXIMUM and MINIMUM do not compute bounds of {dtype}")));
        }
        let bound = |x: f64| match dtype {
            DType::F32 => Tensor::scalar(dtype, x),
            _ => Tensor::from_i64s(DType::I64, &[], [x as i64]),
        };
        if let (Some(low), Some(high)) = (self.min, self.max) {
            if dtype == DType::F32 && (low, high) == (-1.0, 1.0) {
                return Ok(tfl::Call::new(Builtin::RELU_N1_TO_1).input(0));
            }
            return Err(Illegal(format!("LiteRT has no builtin for the bounds {low} and {high} of {dtype}")));
        }
        let (builtin, bound) = match (self.min, self.max) {
            (Some(low), _) => (Builtin::MAXIMUM, bound(low)),
            (_, Some(high)) => (Builtin::MINIMUM, bound(high)),
            _ => return Err(Illegal::new("LiteRT has no builtin that bounds nothing")),
        };
        let bound = if dtype == DType::I32 { Tensor::new(&[], &[saturated(&bound)]) } else { bound };
        Ok(tfl::Call::new(builtin).constant(bound).input(0))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let within = |min, max| Ok(tfl::imported(Clamp { min, max }, [0]));
        match node.operator {
            Builtin::RELU_N1_TO_1 => return within(Some(-1.0), Some(1.0)),
            Builtin::RELU_0_TO_1 => return within(Some(0.0), Some(1.0)),
            _ => {}
        }
        let bound = match node.constant(0)?.to_f64s()[..] {
            [bound] if !bound.is_nan() => Some(bound),
            _ => return Err(Illegal(format!("{} by other than one number is no bound", node.operator))),
        };
        let clamp = match node.operator {
            Builtin::MAXIMUM => Clamp { min: bound, max: None },
            _ => Clamp { min: None, max: bound },
        };
        Ok(tfl::imported(clamp, [1]))
    }
}

fn saturated(bound: &Tensor) -> i32 {
    bound.as_slice::<i64>()[0].clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
