//! Values one after the other along an axis.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, attributes, moving};
use crate::dialect::tfl;
use crate::dialect::tfl::{Activation, Builtin, Illegal, concatenation_options};

/// The inputs, one or more of one dtype, put together along one axis; their other sizes agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat {
    /// The axis along which they follow each other.
    pub axis: usize,
}

impl Concat {
    fn joined(&self, parts: &[Tensor]) -> Option<Tensor> {
        let first = parts.first()?;
        let (width, mut sizes) = (first.dtype().bits() / 8, first.sizes().to_vec());
        if width == 0 {
            return None;
        }
        sizes[self.axis] = parts.iter().map(|p| p.sizes()[self.axis]).sum();
        let mut out = Tensor::zeros(first.dtype(), &sizes);
        let row = |t: &Tensor| t.sizes()[self.axis..].iter().product::<usize>() * width;
        let (pitch, mut offset) = (row(&out), 0);
        for part in parts {
            let len = row(part);
            if len == 0 {
                continue;
            }
            for (to, from) in out.bytes_mut().chunks_exact_mut(pitch).zip(part.bytes().chunks_exact(len)) {
                to[offset..offset + len].copy_from_slice(from);
            }
            offset += len;
        }
        Some(out)
    }
}

impl Definition for Concat {
    const NAMES: &'static [&'static str] = &["concat"];
    const TFL: &'static [Builtin] = &[Builtin::CONCATENATION];
    attributes!(axis);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err(Mismatch("joins no inputs".into()));
        };
        let mut sizes = first.sizes()?;
        if self.axis >= sizes.len() {
            return Err(Mismatch(format!("joins along axis {} of {first}", self.axis)));
        }
        for ty in rest {
            let other = ty.sizes()?;
            let fits = |axis: usize| axis == self.axis || other[axis] == sizes[axis];
            if ty.dtype != first.dtype || other.len() != sizes.len() || !(0..sizes.len()).all(fits) {
                return Err(Mismatch(format!("cannot join {first} and {ty} along axis {}", self.axis)));
            }
            sizes[self.axis] = sizes[self.axis]
                .checked_add(other[self.axis])
                .ok_or_else(|| Mismatch(format!("axis {} of the result is too long", self.axis)))?;
        }
        Ok(vec![first.with_sizes(&sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let parts: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
        Some(vec![self.joined(&parts)?])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let (mut parts, mut before) = (Vec::new(), 0);
        let wanted = region.start[self.axis]..region.start[self.axis] + region.sizes[self.axis];
        for (index, ty) in inputs.iter().enumerate() {
            let size = ty.sizes().ok()?[self.axis];
            let (from, to) = (wanted.start.max(before), wanted.end.min(before + size));
            if from < to {
                let mut part = region.clone();
                part.start[self.axis] = from - before;
                part.sizes[self.axis] = to - from;
                match fetch(index, &part) {
                    Ok(part) => parts.push(part),
                    Err(error) => return Some(Err(error)),
                }
            }
            before += size;
        }
        if parts.is_empty() {
            return Some(Ok(Tensor::zeros(inputs.first()?.dtype, &region.sizes)));
        }
        self.joined(&parts).map(Ok)
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(Concat { axis: order.position(self.axis) }, inputs.len(), order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        moving::spelled(Builtin::CONCATENATION, inputs[0])?;
        tfl::Call::new(Builtin::CONCATENATION)
            .inputs(0..inputs.len())
            .set_int32(concatenation_options::AXIS, self.axis)
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        if node.get(concatenation_options::FUSED_ACTIVATION_FUNCTION) != Activation::NONE {
            return Err(Illegal("CONCATENATION has a fused activation, which no kernel applies".into()));
        }
        let rank = node.input(0)?.rank();
        let axis = node.axis(i64::from(node.get(concatenation_options::AXIS)), rank)?;
        Ok(tfl::imported(Concat { axis }, 0..node.inputs.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_a_concatenation_asks_each_part_for_its_own() {
        let parts = [
            Tensor::new(&[2, 2], &[0i32, 1, 5, 6]),
            Tensor::new(&[2, 0], &[0i32; 0]),
            Tensor::new(&[2, 3], &[2i32, 3, 4, 7, 8, 9]),
        ];
        let op = Concat { axis: 1 };
        let types: Vec<TensorType> = parts.iter().map(Tensor::ty).collect();
        let types: Vec<&TensorType> = types.iter().collect();
        let whole = op.evaluate(&parts.iter().collect::<Vec<_>>()).unwrap().remove(0);
        assert_eq!(whole, Tensor::new(&[2, 5], &(0..10).collect::<Vec<i32>>()));
        for (start, len) in [(0, 5), (1, 2), (2, 3), (4, 1), (0, 0)] {
            let region = Region { start: vec![1, start], sizes: vec![1, len] };
            let part = op.evaluate_region(&types, &region, &mut |i, r| Ok(parts[i].crop(r)));
            assert_eq!(part.unwrap().unwrap(), whole.crop(&region), "{region:?}");
        }
    }
}
