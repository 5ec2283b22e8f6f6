//! Places along an axis, looked up by their indices.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes, moving};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, gather_options};

/// The places of the first input along `axis` at the indices that the second input holds, which are never
/// negative. The axes of the indices stand where the axis stood.
///
/// The first `batch` axes of both run together: each batch looks up its own indices.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The axis of the first input that is looked up.
    pub axis: usize,
    /// How many leading axes the two inputs share; at most `axis`.
    pub batch: usize,
}

impl Gather {
    /// Copies the places at `indices` (batch after batch) out of the sizes `[batch, outer, size, inner]`. `None`
    /// where an index is outside.
    fn look_up(&self, input: &Tensor, indices: &[i64], sizes: &[usize]) -> Option<Tensor> {
        let from = input.sizes();
        let batches: usize = from[..self.batch].iter().product();
        let outer: usize = from[self.batch..self.axis].iter().product();
        let (size, inner) = (from[self.axis], from[self.axis + 1..].iter().product::<usize>());
        let width = input.dtype().bits() / 8 * inner;
        let mut out = Tensor::zeros(input.dtype(), sizes);
        if indices.iter().any(|&i| usize::try_from(i).map_or(true, |i| i >= size)) {
            return None;
        }
        let each = indices.len().checked_div(batches).unwrap_or(0);
        if width == 0 || each == 0 {
            return (input.dtype().bits() >= 8).then_some(out);
        }
        for (row, block) in out.bytes_mut().chunks_exact_mut(each * width).enumerate() {
            let batch = row / outer;
            let places = &indices[batch * each..(batch + 1) * each];
            let source = &input.bytes()[row * size * width..(row + 1) * size * width];
            for (slot, &place) in block.chunks_exact_mut(width).zip(places) {
                slot.copy_from_slice(&source[place as usize * width..][..width]);
            }
        }
        Some(out)
    }

    /// Where in the result the axes of the indices stand.
    fn looked_up(&self, indices: &TensorType) -> std::ops::Range<usize> {
        self.axis..self.axis + indices.rank() - self.batch
    }
}

impl Definition for Gather {
    const NAMES: &'static [&'static str] = &["gather"];
    const TFL: &'static [Builtin] = &[Builtin::GATHER];
    attributes!(axis, batch);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input, indices] = arity(inputs)?;
        let (from, at) = (input.sizes()?, indices.sizes()?);
        if !indices.dtype.is_int() {
            return Err(Mismatch(format!("looks up by {indices}, which are no integers")));
        }
        let Gather { axis, batch } = *self;
        if axis >= from.len() || batch > axis || batch > at.len() || from[..batch] != at[..batch] {
            return Err(Mismatch(format!(
                "looks up {indices} along axis {axis} of {input}, the first {batch} axes together"
            )));
        }
        Ok(vec![input.with_sizes(&[&from[..axis], &at[batch..], &from[axis + 1..]].concat())])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let result = self.infer(&[&inputs[0].ty(), &inputs[1].ty()]).ok()?.remove(0);
        Some(vec![self.look_up(inputs[0], &inputs[1].to_i64s(), &result.sizes().ok()?)?])
    }

    /// Each place is fetched on its own, so that a few rows of a large table are all that is read.
    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        if self.batch > 0 {
            return None;
        }
        let at = self.looked_up(inputs[1]);
        let of = |part: &[usize]| part[at.clone()].to_vec();
        let indices = match fetch(1, &Region { start: of(&region.start), sizes: of(&region.sizes) }) {
            Ok(indices) => indices.to_i64s(),
            Err(error) => return Some(Err(error)),
        };
        let size = inputs[0].sizes().ok()?[self.axis];
        let around = |part: &[usize], place: usize| {
            let mut around = part.to_vec();
            around.splice(at.clone(), [place]);
            around
        };
        let sizes = around(&region.sizes, 1);
        let inner: usize = sizes[self.axis..].iter().product();
        let mut out = Tensor::zeros(inputs[0].dtype, &region.sizes);
        let width = inputs[0].dtype.bits() / 8 * inner;
        if width == 0 || indices.is_empty() {
            return (inputs[0].dtype.bits() >= 8).then_some(Ok(out));
        }
        for (place, &index) in indices.iter().enumerate() {
            let index = usize::try_from(index).ok().filter(|&i| i < size)?;
            let slab = match fetch(0, &Region { start: around(&region.start, index), sizes: sizes.clone() }) {
                Ok(slab) => slab,
                Err(error) => return Some(Err(error)),
            };
            let rows = out.bytes_mut().chunks_exact_mut(indices.len() * width);
            for (row, from) in rows.zip(slab.bytes().chunks_exact(width)) {
                row[place * width..(place + 1) * width].copy_from_slice(from);
            }
        }
        Some(Ok(out))
    }

    /// The axes of the indices stay together and in their order.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        if self.batch > 0 {
            return None;
        }
        let at = self.looked_up(inputs[1]);
        let mut stored = Vec::new();
        for &axis in order.axes() {
            match axis.cmp(&self.axis) {
                std::cmp::Ordering::Less => stored.push(axis),
                std::cmp::Ordering::Equal => stored.extend(at.clone()),
                std::cmp::Ordering::Greater => stored.push(axis + at.len() - 1),
            }
        }
        Some(Carried {
            op: Gather { axis: order.position(self.axis), batch: 0 },
            inputs: vec![order.clone(), Order::identity(inputs[1].rank())],
            outputs: vec![Order::new(stored).ok()?],
        })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        moving::spelled(Builtin::GATHER, inputs[0])?;
        if !matches!(inputs[1].dtype, DType::I32 | DType::I64) {
            return Err(Illegal(format!("GATHER takes indices of i32 or i64, not {}", inputs[1].dtype)));
        }
        let rank = inputs[0].rank() - 1 + inputs[1].rank() - self.batch;
        if rank > 8 {
            return Err(Illegal(format!("the result of GATHER would have {rank} axes")));
        }
        tfl::Call::new(Builtin::GATHER)
            .input(0)
            .input(1)
            .set_int32(gather_options::AXIS, self.axis)?
            .set_int32(gather_options::BATCH_DIMS, self.batch)
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let axis = node.axis(i64::from(node.get(gather_options::AXIS)), node.input(0)?.rank())?;
        let batch = i64::from(node.get(gather_options::BATCH_DIMS));
        let rank = node.input(1)?.rank() as i64;
        let counted = if batch < 0 { batch + rank } else { batch };
        let batch = usize::try_from(counted)
            .map_err(|_| Illegal(format!("GATHER shares {batch} axes with indices of rank {rank}")))?;
        Ok(tfl::imported(Gather { axis, batch }, [0, 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(op: &Gather, input: &Tensor, indices: &Tensor) -> Option<Tensor> {
        op.evaluate(&[input, indices]).map(|mut results| results.remove(0))
    }

    #[test]
    fn a_box_reads_only_the_places_that_it_needs() {
        let table = Tensor::new(&[2, 4, 2], &(0..16).collect::<Vec<i32>>());
        let indices = Tensor::new(&[3], &[3i64, 0, 3]);
        let op = Gather { axis: 1, batch: 0 };
        let whole = look_up(&op, &table, &indices).unwrap();
        assert_eq!(whole.as_slice::<i32>(), [6, 7, 0, 1, 6, 7, 14, 15, 8, 9, 14, 15]);
        let region = Region { start: vec![0, 1, 1], sizes: vec![2, 2, 1] };
        let mut largest = 0;
        let part = op.evaluate_region(&[&table.ty(), &indices.ty()], &region, &mut |i, r| {
            largest = largest.max(r.sizes.iter().product());
            Ok([&table, &indices][i].crop(r))
        });
        assert_eq!(part.unwrap().unwrap(), whole.crop(&region));
        assert_eq!(largest, 2);
    }

    #[test]
    fn batches_look_up_their_own_indices() {
        let table = Tensor::new(&[2, 3], &[0f32, 1., 2., 3., 4., 5.]);
        let indices = Tensor::new(&[2, 2], &[2i32, 0, 1, 1]);
        let op = Gather { axis: 1, batch: 1 };
        assert_eq!(look_up(&op, &table, &indices).unwrap(), Tensor::new(&[2, 2], &[2f32, 0., 4., 4.]));
    }

    #[test]
    fn an_index_outside_is_not_evaluated() {
        let table = Tensor::new(&[2], &[0f32, 1.]);
        let op = Gather { axis: 0, batch: 0 };
        assert_eq!(look_up(&op, &table, &Tensor::new(&[1], &[2i64])), None);
        assert_eq!(look_up(&op, &table, &Tensor::new(&[1], &[-1i64])), None);
    }

    #[test]
    fn the_axes_of_the_indices_move_together() {
        let ty = TensorType::new(DType::F32, &[2, 5, 4]);
        let indices = TensorType::new(DType::I64, &[3, 7]);
        let order = Order::new(vec![1, 2, 0]).unwrap();
        let carried = Gather { axis: 1, batch: 0 }.carry(&[&ty, &indices], &order).unwrap();
        assert_eq!(carried.op.axis, 0);
        assert_eq!(carried.outputs, [Order::new(vec![1, 2, 3, 0]).unwrap()]);
    }
}
