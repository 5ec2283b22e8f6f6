//! A value repeated along its axes of size one, and along new axes before them.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, broadcast, moving};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// The input broadcast to these sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastTo {
    /// The sizes of the result.
    pub sizes: Vec<usize>,
}

impl Definition for BroadcastTo {
    const NAMES: &'static [&'static str] = &["broadcast_to"];
    const TFL: &'static [Builtin] = &[Builtin::BROADCAST_TO];
    attributes!(sizes);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let from = input.sizes()?;
        let fits = from.len() <= self.sizes.len()
            && from.iter().rev().zip(self.sizes.iter().rev()).all(|(&a, &b)| a == b || a == 1);
        if !fits {
            return Err(Mismatch(format!("{input} does not broadcast to {:?}", self.sizes)));
        }
        Ok(vec![input.with_sizes(&self.sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let indices = broadcast::indices(inputs[0].sizes(), &self.sizes);
        Some(vec![moving::taken(inputs[0], &self.sizes, indices)?])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let from = inputs[0].sizes().ok()?;
        match fetch(0, &broadcast::region(&from, region)) {
            Ok(slab) => {
                let indices = broadcast::indices(slab.sizes(), &region.sizes);
                moving::taken(&slab, &region.sizes, indices).map(Ok)
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// New axes stay before those of the input.
    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let lead = self.sizes.len().checked_sub(order.rank())?;
        let result = Order::new((0..lead).chain(order.axes().iter().map(|a| lead + a)).collect()).ok()?;
        let op = BroadcastTo { sizes: result.apply(&self.sizes) };
        Some(Carried { op, inputs: vec![order.clone()], outputs: vec![result] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        moving::spelled(Builtin::BROADCAST_TO, &inputs[0].with_sizes(&self.sizes))?;
        tfl::Call::new(Builtin::BROADCAST_TO).input(0).int32s(self.sizes.iter().copied())
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(BroadcastTo { sizes: node.output(0)?.sizes()? }, [0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_a_broadcast_reads_a_box() {
        let input = Tensor::new(&[3, 1], &[1f32, 2., 3.]);
        let op = BroadcastTo { sizes: vec![2, 3, 2] };
        let whole = op.evaluate(&[&input]).unwrap().remove(0);
        assert_eq!(whole.as_slice::<f32>(), [1., 1., 2., 2., 3., 3., 1., 1., 2., 2., 3., 3.]);
        let region = Region { start: vec![1, 1, 0], sizes: vec![1, 2, 1] };
        let part = op.evaluate_region(&[&input.ty()], &region, &mut |_, r| Ok(input.crop(r)));
        assert_eq!(part.unwrap().unwrap(), whole.crop(&region));
    }

    #[test]
    fn new_axes_stay_in_front_whatever_the_order() {
        let op = BroadcastTo { sizes: vec![5, 4, 3] };
        let order = Order::new(vec![1, 0]).unwrap();
        let carried = op.carry(&[], &order).unwrap();
        assert_eq!(carried.op.sizes, [5, 3, 4]);
        assert_eq!(carried.outputs, [Order::new(vec![0, 2, 1]).unwrap()]);
    }
}
