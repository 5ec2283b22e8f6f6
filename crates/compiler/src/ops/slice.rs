//! Every so many elements of a range along each axis.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, broadcast, moving};
use crate::dialect::tfl::{Builtin, Illegal, strided_slice_options};
use crate::dialect::{aten, tfl};

/// Along axis `a`, the elements `start[a] + i·step[a]` for `i` below `sizes[a]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The first index along each axis.
    pub start: Vec<usize>,
    /// The sizes of the result.
    pub sizes: Vec<usize>,
    /// The distance between the indices along each axis, at least 1.
    pub step: Vec<usize>,
}

impl Slice {
    /// `len` indices from `start` on along one axis of a tensor of these sizes, and all of its other axes.
    pub fn along(sizes: &[usize], axis: usize, start: usize, len: usize) -> Self {
        let mut slice =
            Slice { start: vec![0; sizes.len()], sizes: sizes.to_vec(), step: vec![1; sizes.len()] };
        slice.start[axis] = start;
        slice.sizes[axis] = len;
        slice
    }

    /// Does it take all of a tensor of these sizes?
    pub fn is_whole(&self, sizes: &[usize]) -> bool {
        self.sizes == sizes && self.start.iter().all(|&s| s == 0)
    }

    /// The box that holds what a box of the result reads.
    fn reads(&self, region: &Region) -> Region {
        let axes = region.start.iter().zip(&region.sizes).zip(self.start.iter().zip(&self.step));
        let (start, sizes) = axes
            .map(|((&from, &len), (start, step))| {
                (start + from * step, if len == 0 { 0 } else { (len - 1) * step + 1 })
            })
            .unzip();
        Region { start, sizes }
    }

    /// The elements of such a box, thinned out to the steps.
    fn thinned(&self, slab: &Tensor, sizes: &[usize]) -> Option<Tensor> {
        let strides: Vec<usize> =
            moving::strides(slab.sizes()).iter().zip(&self.step).map(|(a, b)| a * b).collect();
        moving::taken(slab, sizes, broadcast::strided(sizes, &strides))
    }
}

impl Definition for Slice {
    const NAMES: &'static [&'static str] = &["slice"];
    const ATEN: &'static [&'static str] = &["aten.narrow.default", "aten.slice.Tensor"];
    const TFL: &'static [Builtin] = &[Builtin::SLICE, Builtin::STRIDED_SLICE];
    attributes!(start, sizes, step);

    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        let input = call.tensor("self")?;
        let sizes = input.ty.sizes().map_err(|m| aten::Malformed(m.0))?;
        let axis = call.axis("dim", sizes.len())?;
        let (size, start) = (sizes[axis] as i64, call.optional_int("start")?.unwrap_or(0));
        // As Python counts: from the end below zero, and never outside.
        let bounded =
            |index: i64| (if index < 0 { index.saturating_add(size) } else { index }).clamp(0, size) as usize;
        let first = bounded(start);
        let mut op = Slice::along(&sizes, axis, first, 0);
        if &*call.target == "aten.narrow.default" {
            op.sizes[axis] = call.size("length")?;
        } else {
            let step = call.int("step")?;
            op.step[axis] = usize::try_from(step)
                .ok()
                .filter(|&s| s > 0)
                .ok_or_else(|| call.malformed(format!("the step is {step}")))?;
            let end = call.optional_int("end")?.map_or(sizes[axis], bounded);
            op.sizes[axis] = end.saturating_sub(first).div_ceil(op.step[axis]);
        }
        Ok(aten::imported(op, [input.into()]))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let sizes = input.sizes()?;
        let wrong = || {
            let Slice { start, sizes, step } = self;
            Mismatch(format!("{input} has no elements at {start:?} + {step:?}·i below {sizes:?}"))
        };
        if [self.start.len(), self.sizes.len(), self.step.len()] != [sizes.len(); 3] {
            return Err(wrong());
        }
        for (axis, &size) in sizes.iter().enumerate() {
            let reach = self.sizes[axis].saturating_sub(1).checked_mul(self.step[axis]);
            let end = reach.and_then(|r| r.checked_add(self.start[axis]));
            let within = match self.sizes[axis] {
                0 => self.start[axis] <= size,
                _ => end.is_some_and(|last| last < size),
            };
            if !within || self.step[axis] == 0 {
                return Err(wrong());
            }
        }
        Ok(vec![input.with_sizes(&self.sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        if inputs[0].dtype().bits() < 8 {
            return None;
        }
        let slab = inputs[0].crop(&self.reads(&Region::whole(&self.sizes)));
        Some(vec![if slab.sizes() == self.sizes { slab } else { self.thinned(&slab, &self.sizes)? }])
    }

    fn evaluate_region(
        &self,
        _: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        match fetch(0, &self.reads(region)) {
            Ok(slab) if slab.sizes() == region.sizes => Some(Ok(slab)),
            Ok(slab) => self.thinned(&slab, &region.sizes).map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let op = Slice {
            start: order.apply(&self.start),
            sizes: order.apply(&self.sizes),
            step: order.apply(&self.step),
        };
        Some(Carried::alike(op, 1, order))
    }

    /// SLICE where every step is 1: XNNPACK takes it where its sizes are explicit.
    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let plain = self.step.iter().all(|&s| s == 1);
        let operator = if plain { Builtin::SLICE } else { Builtin::STRIDED_SLICE };
        moving::spelled(operator, inputs[0])?;
        let call = tfl::Call::new(operator).input(0).int32s(self.start.iter().copied())?;
        if plain {
            return call.int32s(self.sizes.iter().copied());
        }
        let read = self.reads(&Region::whole(&self.sizes));
        let end = read.start.iter().zip(&read.sizes).map(|(start, size)| start + size);
        call.int32s(end)?.int32s(self.step.iter().copied())
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let (from, sizes) = (node.input(0)?.sizes()?, node.output(0)?.sizes()?);
        let strided = node.operator == Builtin::STRIDED_SLICE;
        let begin = node.ints(1)?;
        let step = if strided { node.ints(3)? } else { vec![1; from.len()] };
        if begin.len() != from.len() || step.len() != from.len() || sizes.len() != from.len() {
            return Err(Illegal(format!("{} changes the number of axes", node.operator)));
        }
        let mut masked = 0;
        if strided {
            use strided_slice_options::{BEGIN_MASK, ELLIPSIS_MASK, NEW_AXIS_MASK, SHRINK_AXIS_MASK};
            if [ELLIPSIS_MASK, NEW_AXIS_MASK, SHRINK_AXIS_MASK].iter().any(|&mask| node.get(mask) != 0) {
                return Err(Illegal("STRIDED_SLICE adds or drops axes".into()));
            }
            masked = node.get(BEGIN_MASK);
        }
        let mut op = Slice { start: Vec::new(), sizes, step: Vec::new() };
        for (axis, (&begin, &step)) in begin.iter().zip(&step).enumerate() {
            let size = from[axis] as i64;
            let begin = if masked >> axis & 1 == 1 { 0 } else { begin };
            let begin = if begin < 0 { begin.saturating_add(size) } else { begin }.clamp(0, size);
            op.start.push(begin as usize);
            op.step.push(
                usize::try_from(step)
                    .ok()
                    .filter(|&s| s > 0)
                    .ok_or_else(|| Illegal(format!("{} has a step of {step}", node.operator)))?,
            );
        }
        Ok(tfl::imported(op, [0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_a_slice_is_the_same_box_of_its_whole() {
        let input = Tensor::new(&[4, 9, 2], &(0..72).collect::<Vec<i32>>());
        let op = Slice { start: vec![1, 1, 0], sizes: vec![3, 4, 1], step: vec![1, 2, 2] };
        let ty = input.ty();
        assert_eq!(op.infer(&[&ty]).unwrap()[0].sizes().unwrap(), [3, 4, 1]);
        let whole = op.evaluate(&[&input]).unwrap().remove(0);
        assert_eq!(whole.as_slice::<i32>()[..4], [20, 24, 28, 32], "x[1:, 1:9:2, :1] by hand");
        let region = Region { start: vec![1, 1, 0], sizes: vec![2, 2, 1] };
        let part = op.evaluate_region(&[&ty], &region, &mut |_, r| Ok(input.crop(r))).unwrap().unwrap();
        assert_eq!(part, whole.crop(&region));
    }

    #[test]
    fn a_slice_that_leaves_its_input_is_a_mismatch() {
        let ty = TensorType::new(ir::DType::F32, &[4]);
        let slice = |start, size, step| Slice { start: vec![start], sizes: vec![size], step: vec![step] };
        assert!(slice(1, 3, 1).infer(&[&ty]).is_ok() && slice(0, 2, 3).infer(&[&ty]).is_ok());
        assert!(slice(4, 0, 1).infer(&[&ty]).is_ok());
        for (start, size, step) in [(2, 3, 1), (0, 2, 4), (5, 0, 1), (0, 2, 0), (1, 2, usize::MAX)] {
            assert!(slice(start, size, step).infer(&[&ty]).is_err());
        }
    }
}
