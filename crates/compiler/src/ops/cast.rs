//! Elements converted to another dtype.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, cast_options};

/// Each element as the dtype nearest to it: floats round to nearest even, and truncate toward zero to integers;
/// integers wrap; truth is what differs from zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// The dtype of the result.
    pub dtype: DType,
}

impl Cast {
    fn convert(&self, input: &Tensor) -> Option<Tensor> {
        let arithmetic = |d: DType| {
            matches!(d, DType::Bool | DType::F16 | DType::Bf16 | DType::F32 | DType::F64)
                || (d.is_int() && d != DType::I4)
        };
        if !arithmetic(input.dtype()) || !arithmetic(self.dtype) {
            return None;
        }
        let sizes = input.sizes();
        Some(match (input.dtype(), self.dtype) {
            (_, DType::Bool) => Tensor::from_bools(sizes, &input.to_bools()),
            (from, to) if from == to => input.clone(),
            (from, to) if !from.is_float() => Tensor::from_i64s(to, sizes, input.to_i64s()),
            (_, to) if to.is_int() => Tensor::from_i64s(to, sizes, input.to_i64s()),
            (_, to) => Tensor::from_f64s(to, sizes, input.to_f64s()),
        })
    }
}

impl Definition for Cast {
    const NAMES: &'static [&'static str] = &["cast"];
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = &[Builtin::CAST];
    attributes!(dtype);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        Ok(vec![input.with_dtype(self.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![self.convert(inputs[0])?])
    }

    fn evaluate_region(
        &self,
        _: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        match fetch(0, region) {
            Ok(slab) => self.convert(&slab).map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(self.clone(), 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        // Every pair of these has a kernel (measured on LiteRT 2.3.0); doubles have none.
        const TAKEN: &[DType] = &[
            DType::F32,
            DType::F16,
            DType::I8,
            DType::I16,
            DType::U8,
            DType::I32,
            DType::I64,
            DType::Bool,
            DType::U32,
        ];
        let from = inputs[0].dtype;
        if !TAKEN.contains(&from) || !TAKEN.contains(&self.dtype) {
            return Err(Illegal(format!("CAST has no kernel from {from} to {}", self.dtype)));
        }
        Ok(tfl::Call::new(Builtin::CAST)
            .input(0)
            .set(cast_options::IN_DATA_TYPE, tfl::element(from)?)
            .set(cast_options::OUT_DATA_TYPE, tfl::element(self.dtype)?))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Cast { dtype: node.output(0)?.dtype }, [0]))
    }
}
