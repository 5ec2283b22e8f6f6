//! Real numbers as the integers nearest to them.

use std::io;

use ir::{DType, Mismatch, QuantParams, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// `q = clamp(round(x / scale) + zero_point)`, ties to even, with one scale or one for each index of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantize {
    /// The dtype of the integers.
    pub dtype: DType,
    /// One scale, or one per index of `axis`; each above zero.
    pub scales: Vec<f32>,
    /// The integers that stand for 0, as many as scales.
    pub zero_points: Vec<i64>,
    /// The axis that the scales run along.
    pub axis: usize,
}

impl Quantize {
    /// To integers of `dtype` that stand for real numbers as `quant` says.
    pub fn new(dtype: DType, quant: QuantParams) -> Self {
        Quantize { dtype, scales: quant.scales, zero_points: quant.zero_points, axis: quant.axis }
    }

    /// How its integers stand for real numbers.
    pub fn quant(&self) -> QuantParams {
        QuantParams { scales: self.scales.clone(), zero_points: self.zero_points.clone(), axis: self.axis }
    }

    fn convert(&self, input: &Tensor, quant: QuantParams) -> Option<Tensor> {
        let reals = (input.dtype() == DType::F32).then(|| input.as_slice::<f32>())?;
        Some(Tensor::from_reals(self.dtype, input.sizes(), reals, quant))
    }
}

impl Definition for Quantize {
    const NAMES: &'static [&'static str] = &["quantize"];
    const TFL: &'static [Builtin] = &[Builtin::QUANTIZE];
    attributes!(dtype, scales, zero_points, axis);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let quant = self.quant();
        if input.dtype != DType::F32 || !matches!(self.dtype, DType::I4 | DType::I8 | DType::U8 | DType::I16)
        {
            return Err(Mismatch(format!("makes {} of {input}", self.dtype)));
        }
        if !quant.fits(&input.sizes()?) || !quant.scales.iter().all(|&s| s.is_normal() && s > 0.0) {
            let count = quant.scales.len();
            return Err(Mismatch(format!("scales {input} by {count} numbers along axis {}", self.axis)));
        }
        Ok(vec![TensorType { quant: Some(quant), ..input.with_dtype(self.dtype) }])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![self.convert(inputs[0], self.quant())?])
    }

    fn evaluate_region(
        &self,
        _: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        match fetch(0, region) {
            Ok(slab) => self.convert(&slab, self.quant().within(region)).map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let axis = order.axes().iter().position(|&axis| axis == self.axis).unwrap_or(self.axis);
        Some(Carried::alike(Quantize { axis, ..self.clone() }, 1, order))
    }

    /// At run time one scale stands for all.
    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        if self.scales.len() > 1 || self.dtype == DType::I4 {
            let count = self.scales.len();
            return Err(Illegal(format!("QUANTIZE makes no {} with {count} scales", self.dtype)));
        }
        Ok(tfl::Call::new(Builtin::QUANTIZE).input(0))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let output = node.output(0)?;
        let quant = output.quant.clone().ok_or_else(|| Illegal(format!("QUANTIZE makes {output}")))?;
        Ok(tfl::imported(Quantize::new(output.dtype, quant), [0]))
    }
}
