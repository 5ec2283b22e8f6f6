//! The same elements in other sizes.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Definition, Fetch};
use super::{arity, attributes};
use crate::dialect::tfl::{Builtin, Illegal};
use crate::dialect::{aten, tfl};

/// The elements of the input in row-major order, in these sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The sizes of the result.
    pub sizes: Vec<usize>,
}

impl Definition for Reshape {
    const NAMES: &'static [&'static str] = &["reshape"];
    const ATEN: &'static [&'static str] = &[
        "aten._unsafe_view.default",
        "aten.flatten.using_ints",
        "aten.reshape.default",
        "aten.reshape_as.default",
        "aten.squeeze.default",
        "aten.squeeze.dim",
        "aten.squeeze.dims",
        "aten.unflatten.int",
        "aten.unsqueeze.default",
        "aten.view.default",
        "aten.view_as.default",
    ];
    const TFL: &'static [Builtin] = &[Builtin::RESHAPE];
    attributes!(sizes);

    /// All of these keep the elements in order, so the recorded result says everything.
    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        let sizes = call.result(0)?.ty.sizes().map_err(|m| aten::Malformed(m.0))?;
        Ok(aten::imported(Reshape { sizes }, [call.tensor("self")?.into()]))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let result = input.with_sizes(&self.sizes);
        if result.count()? != input.count()? {
            return Err(Mismatch(format!("{:?} does not hold the elements of {input}", self.sizes)));
        }
        Ok(vec![result])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![inputs[0].clone().reshaped(&self.sizes)])
    }

    /// A box of whole trailing axes is a run of elements; the rows of the input that hold it are fetched.
    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let from = inputs[0].sizes().ok()?;
        let trailing = |sizes: &[usize]| sizes.iter().skip(1).product::<usize>();
        if region.sizes.get(1..) != self.sizes.get(1..) || from.is_empty() || trailing(&from) == 0 {
            return None;
        }
        let row = trailing(&from);
        let first = region.start.first().map_or(0, |s| s * trailing(&self.sizes));
        let last = first + region.count();
        let rows = Region::rows(&from, first / row..last.div_ceil(row));
        Some(fetch(0, &rows).map(|slab| {
            let skip = first - rows.start[0] * row;
            let flat = slab.count();
            slab.reshaped(&[flat])
                .crop(&Region { start: vec![skip], sizes: vec![region.count()] })
                .reshaped(&region.sizes)
        }))
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let sizes = self.sizes.iter().map(|&s| tfl::int32(s)).collect::<Result<Vec<_>, _>>()?;
        // The shape stands in the options too, where older runtimes look for it.
        let call = tfl::Call::new(Builtin::RESHAPE).input(0).int32s(sizes.iter().copied())?;
        Ok(call.set(tfl::reshape_options::NEW_SHAPE, sizes))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Reshape { sizes: node.output(0)?.sizes()? }, [0]))
    }
}
