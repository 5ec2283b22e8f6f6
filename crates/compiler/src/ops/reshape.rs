//! The same elements in other sizes.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, attributes};
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
        "aten.ravel.default",
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

    /// A reshape falls into parts: neighbouring axes that become neighbouring axes. It can be said on memory in
    /// which the axes of each part are still neighbours in their order; the parts may change places.
    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let from = inputs.first()?.sizes().ok()?;
        let result = match order.is_identity() {
            true => Order::identity(self.sizes.len()),
            false => placed(&self.sizes, &carried_axes(&from, &self.sizes, order)?)?,
        };
        let op = Reshape { sizes: result.apply(&self.sizes) };
        Some(Carried { op, inputs: vec![order.clone()], outputs: vec![result] })
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let sizes = self.sizes.iter().map(|&s| tfl::int32(s)).collect::<Result<Vec<_>, _>>()?;
        let mut call = tfl::Call::new(Builtin::RESHAPE).input(0);
        // A shape of rank 0 has no bytes, which LiteRT takes for one that is computed; it gives another tensor then
        // than it has filled. Without the operand the options say the shape.
        if !sizes.is_empty() {
            call = call.int32s(sizes.iter().copied())?;
        }
        // The shape stands in the options too, where older runtimes look for it.
        Ok(call.set(tfl::reshape_options::NEW_SHAPE, sizes))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Reshape { sizes: node.output(0)?.sizes()? }, [0]))
    }
}

/// The axes of `to` that are longer than 1 in the order in which they are stored, where those of `from` are stored
/// in `order`. `None` where the axes of a part are not neighbours there.
fn carried_axes(from: &[usize], to: &[usize], order: &Order) -> Option<Vec<usize>> {
    let long = |sizes: &[usize]| (0..sizes.len()).filter(|&a| sizes[a] != 1).collect::<Vec<_>>();
    let (sources, targets) = (long(from), long(to));
    let mut stored = order.axes().iter().copied().filter(|&a| from[a] != 1);
    let parts = parts(&sources, from, &targets, to)?;
    let mut result = Vec::with_capacity(targets.len());
    while let Some(first) = stored.next() {
        let (source, target) = parts.iter().find(|(source, _)| source[0] == first)?;
        if !source[1..].iter().all(|&axis| stored.next() == Some(axis)) {
            return None;
        }
        result.extend(target.iter());
    }
    Some(result)
}

/// Neighbouring axes, and those that they become.
type Part<'a> = (&'a [usize], &'a [usize]);

/// The shortest runs of axes with equal products, on both sides.
fn parts<'a>(
    mut sources: &'a [usize],
    from: &[usize],
    mut targets: &'a [usize],
    to: &[usize],
) -> Option<Vec<Part<'a>>> {
    let mut parts = Vec::new();
    while !sources.is_empty() || !targets.is_empty() {
        let (mut s, mut t) = (1, 1);
        let (mut in_source, mut in_target) = (from[*sources.first()?], to[*targets.first()?]);
        while in_source != in_target {
            if in_source < in_target {
                in_source = in_source.checked_mul(from[*sources.get(s)?])?;
                s += 1;
            } else {
                in_target = in_target.checked_mul(to[*targets.get(t)?])?;
                t += 1;
            }
        }
        if in_source == 0 {
            return None;
        }
        parts.push((&sources[..s], &targets[..t]));
        (sources, targets) = (&sources[s..], &targets[t..]);
    }
    Some(parts)
}

/// An order in which the axes longer than 1 are stored as given: channels last or first where that is one;
/// otherwise each axis of size 1 stays before the longer axis that it precedes.
fn placed(sizes: &[usize], long: &[usize]) -> Option<Order> {
    let rank = sizes.len();
    let known = [Order::channels_last(rank), Order::channels_first(rank)];
    let is_long = |axis: &usize| sizes[*axis] != 1;
    if let Some(order) =
        known.into_iter().find(|o| o.axes().iter().copied().filter(is_long).eq(long.iter().copied()))
    {
        return Some(order);
    }
    let mut axes = Vec::with_capacity(rank);
    for &axis in long {
        let ones = (0..axis).rev().take_while(|a| sizes[*a] == 1).count();
        axes.extend(axis - ones..=axis);
    }
    let trailing = (0..rank).rev().take_while(|a| sizes[*a] == 1).count();
    axes.extend(rank - trailing..rank);
    Order::new(axes).ok()
}

#[cfg(test)]
mod tests {
    use ir::DType;

    use super::*;

    fn carried(from: &[usize], to: &[usize], order: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
        let order = Order::new(order.to_vec()).unwrap();
        let op = Reshape { sizes: to.to_vec() };
        let carried = op.carry(&[&TensorType::new(DType::F32, from)], &order)?;
        Some((carried.op.sizes, carried.outputs[0].axes().to_vec()))
    }

    #[test]
    fn parts_that_stay_together_are_carried() {
        let last = [0, 2, 3, 1];
        let some = |sizes: &[usize], order: &[usize]| Some((sizes.to_vec(), order.to_vec()));
        assert_eq!(carried(&[2, 3, 4, 5], &[2, 3, 20], &last), some(&[2, 20, 3], &[0, 2, 1]));
        assert_eq!(carried(&[2, 3, 20], &[2, 3, 4, 5], &[0, 2, 1]), some(&[2, 4, 5, 3], &last));
        assert_eq!(carried(&[2, 6, 4, 5], &[2, 2, 3, 4, 5], &last), some(&[2, 4, 5, 2, 3], &[0, 3, 4, 1, 2]));
        assert_eq!(carried(&[1, 6, 1, 1], &[1, 6], &last), some(&[1, 6], &[0, 1]));
        assert_eq!(carried(&[2, 3, 7], &[2, 3, 1, 7], &[0, 2, 1]), some(&[2, 1, 7, 3], &last));
        assert_eq!(carried(&[2, 3, 7], &[2, 3, 7, 1], &[0, 2, 1]), some(&[2, 7, 1, 3], &last));
        assert_eq!(carried(&[4, 3, 2, 2], &[2, 2, 3, 2, 2], &last), some(&[2, 2, 2, 2, 3], &[0, 1, 3, 4, 2]));
    }

    #[test]
    fn parts_that_are_torn_apart_are_not() {
        let last = [0, 2, 3, 1];
        assert_eq!(carried(&[2, 3, 4, 5], &[2, 60], &last), None);
        assert_eq!(carried(&[2, 3, 4, 5], &[6, 4, 5], &last), None);
        assert_eq!(carried(&[2, 3, 0, 5], &[2, 0, 5], &last), None);
    }
}
