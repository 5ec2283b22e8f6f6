//! A value repeated whole along its axes.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, broadcast, moving};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// The input, `repeats[a]` times one after the other along axis `a`.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// How often it stands along each axis.
    pub repeats: Vec<usize>,
}

impl Definition for Tile {
    const NAMES: &'static [&'static str] = &["tile"];
    const TFL: &'static [Builtin] = &[Builtin::TILE];
    attributes!(repeats);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let sizes = input.sizes()?;
        if sizes.len() != self.repeats.len() {
            return Err(Mismatch(format!("repeats {} axes of {input}", self.repeats.len())));
        }
        let repeated = sizes.iter().zip(&self.repeats).map(|(s, r)| s.checked_mul(*r));
        let repeated = repeated.collect::<Option<Vec<_>>>();
        let too_large = || Mismatch(format!("{input} repeated {:?} times is too large", self.repeats));
        Ok(vec![input.with_sizes(&repeated.ok_or_else(too_large)?)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let from = inputs[0].sizes();
        let sizes: Vec<usize> = from.iter().zip(&self.repeats).map(|(s, r)| s * r).collect();
        // Each axis apart as (copy, place): a copy's step is 0.
        let split: Vec<usize> = self.repeats.iter().zip(from).flat_map(|(&r, &s)| [r, s]).collect();
        let steps: Vec<usize> = moving::strides(from).into_iter().flat_map(|s| [0, s]).collect();
        Some(vec![moving::taken(inputs[0], &sizes, broadcast::strided(&split, &steps))?])
    }

    /// A slab of some rows is asked for: each copy along the leading axis that it crosses is a box of its own,
    /// so the rows are taken one by one.
    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let from = inputs[0].sizes().ok()?;
        let mut out = Tensor::zeros(inputs[0].dtype, &region.sizes);
        let (&rows, inner_sizes) = region.sizes.split_first()?;
        let inner = Tile { repeats: std::iter::once(1).chain(self.repeats[1..].iter().copied()).collect() };
        let within = Region {
            start: std::iter::once(0).chain(region.start[1..].iter().copied()).collect(),
            sizes: std::iter::once(1).chain(inner_sizes.iter().copied()).collect(),
        };
        if rows == 0 || region.count() == 0 {
            return Some(Ok(out));
        }
        let pitch = out.bytes().len() / rows;
        for (row, slot) in out.bytes_mut().chunks_exact_mut(pitch).enumerate() {
            let at = (region.start[0] + row) % from[0];
            match fetch(0, &Region::rows(&from, at..at + 1)) {
                Ok(slab) => {
                    let tiled = inner.evaluate(&[&slab])?.remove(0).crop(&within);
                    slot.copy_from_slice(tiled.bytes());
                }
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(out))
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(Tile { repeats: order.apply(&self.repeats) }, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        moving::spelled(Builtin::TILE, inputs[0])?;
        tfl::Call::new(Builtin::TILE).input(0).int32s(self.repeats.iter().copied())
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let repeats = node.ints(1)?.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
        let repeats = repeats.map_err(|_| Illegal("TILE repeats an axis less than 0 times".into()))?;
        Ok(tfl::imported(Tile { repeats }, [0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_each_other_along_each_axis() {
        let input = Tensor::new(&[2, 2], &[1i32, 2, 3, 4]);
        let op = Tile { repeats: vec![2, 2] };
        let whole = op.evaluate(&[&input]).unwrap().remove(0);
        assert_eq!(whole.as_slice::<i32>(), [1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]);
        let region = Region { start: vec![1, 1], sizes: vec![2, 3] };
        let part = op.evaluate_region(&[&input.ty()], &region, &mut |_, r| Ok(input.crop(r)));
        assert_eq!(part.unwrap().unwrap(), whole.crop(&region));
    }
}
