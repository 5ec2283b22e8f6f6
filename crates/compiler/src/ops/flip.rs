//! Elements in the opposite order along one axis.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, moving};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal};

/// Index `i` along the axis is `size − 1 − i` of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Flip {
    /// The axis that is turned round.
    pub axis: usize,
}

impl Flip {
    fn flipped(&self, input: &Tensor) -> Option<Tensor> {
        let sizes = input.sizes();
        let inner: usize = sizes[self.axis + 1..].iter().product();
        let size = sizes[self.axis];
        let indices = (0..input.count()).map(|i| {
            let (place, rest) = (i / inner % size, i - i / inner % size * inner);
            rest + (size - 1 - place) * inner
        });
        moving::taken(input, sizes, indices)
    }
}

impl Definition for Flip {
    const NAMES: &'static [&'static str] = &["flip"];
    const TFL: &'static [Builtin] = &[Builtin::REVERSE_V2];
    attributes!(axis);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if self.axis >= input.rank() {
            return Err(Mismatch(format!("turns axis {} of {input}", self.axis)));
        }
        Ok(vec![input.clone()])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![self.flipped(inputs[0])?])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let size = inputs[0].sizes().ok()?[self.axis];
        let mut of = region.clone();
        of.start[self.axis] = size - region.start[self.axis] - region.sizes[self.axis];
        match fetch(0, &of) {
            Ok(slab) => self.flipped(&slab).map(Ok),
            Err(error) => Some(Err(error)),
        }
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(Flip { axis: order.position(self.axis) }, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        moving::spelled(Builtin::REVERSE_V2, inputs[0])?;
        tfl::Call::new(Builtin::REVERSE_V2).input(0).int32s([self.axis])
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let axis = node.axis(node.int(1)?, node.input(0)?.rank())?;
        Ok(tfl::imported(Flip { axis }, [0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_of_a_turned_value_is_the_turned_opposite_box() {
        let input = Tensor::new(&[2, 4, 2], &(0..16).collect::<Vec<i32>>());
        let op = Flip { axis: 1 };
        let whole = op.evaluate(&[&input]).unwrap().remove(0);
        assert_eq!(whole.as_slice::<i32>()[..8], [6, 7, 4, 5, 2, 3, 0, 1]);
        let region = Region { start: vec![1, 1, 0], sizes: vec![1, 2, 1] };
        let part = op.evaluate_region(&[&input.ty()], &region, &mut |_, r| Ok(input.crop(r)));
        assert_eq!(part.unwrap().unwrap(), whole.crop(&region));
    }
}
