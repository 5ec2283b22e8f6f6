//! Weights that are stored in fewer bits, widened to f32 by the target.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, arity, attributes, matrix};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// `x = scale · (q − zero_point)` of quantized integers, or the f32 that an f16 is.
///
/// It runs on the target even where what it reads is constant: that is how a file holds a weight in fewer bits. The
/// kernels do so once, when the model is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Dequantize {}

impl Definition for Dequantize {
    const NAMES: &'static [&'static str] = &["dequantize"];
    const TFL: &'static [Builtin] = &[Builtin::DEQUANTIZE];
    const AT_RUN_TIME: bool = true;
    attributes!();

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if input.dtype != DType::F16 && input.quant.is_none() {
            return Err(Mismatch(format!("widens {input}, which stands for no real numbers")));
        }
        Ok(vec![input.with_dtype(DType::F32)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let input = inputs[0];
        Some(vec![match input.dtype() {
            DType::F16 => matrix::converted(input, DType::F32),
            _ => input.dequantized()?,
        }])
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        inputs[0].quant.is_none().then(|| Carried::alike(self.clone(), 1, order))
    }

    /// Measured on LiteRT 2.3.0: f16, i4 (constant), i8, u8 and i16 have kernels.
    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        if !matches!(inputs[0].dtype, DType::F16 | DType::I4 | DType::I8 | DType::U8 | DType::I16) {
            return Err(Illegal(format!("DEQUANTIZE has no kernel for {}", inputs[0].dtype)));
        }
        Ok(tfl::Call::new(Builtin::DEQUANTIZE).input(0))
    }

    fn from_tfl(_: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Dequantize {}, [0]))
    }
}
