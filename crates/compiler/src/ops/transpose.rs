//! Axes in a new order.

use std::io;

use ir::{Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::permute::permute;
use super::{Order, arity, attributes};
use crate::dialect::tfl::{Builtin, Illegal};
use crate::dialect::{aten, tfl};

/// Result axis `i` is input axis `order[i]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// The input axis of each result axis.
    pub order: Order,
}

impl Definition for Transpose {
    const NAMES: &'static [&'static str] = &["transpose"];
    const ATEN: &'static [&'static str] = &[
        "aten.permute.default",
        "aten.transpose.int",
        "aten.t.default",
        "aten.numpy_T.default",
        "aten.swapaxes.default",
        "aten.swapdims.default",
        "aten.mT.default",
        "aten.movedim.int",
        "aten.movedim.intlist",
        "aten.moveaxis.int",
        "aten.moveaxis.intlist",
    ];
    const TFL: &'static [Builtin] = &[Builtin::TRANSPOSE];
    attributes!(order);

    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        let input = call.tensor("self")?;
        let rank = input.ty.rank();
        let mut axes: Vec<usize> = (0..rank).collect();
        match &*call.target {
            "aten.permute.default" => axes = call.axes("dims", rank)?,
            "aten.transpose.int" => axes.swap(call.axis("dim0", rank)?, call.axis("dim1", rank)?),
            "aten.swapaxes.default" => axes.swap(call.axis("axis0", rank)?, call.axis("axis1", rank)?),
            "aten.swapdims.default" => axes.swap(call.axis("dim0", rank)?, call.axis("dim1", rank)?),
            "aten.mT.default" if rank >= 2 => axes.swap(rank - 2, rank - 1),
            "aten.movedim.int" | "aten.movedim.intlist" | "aten.moveaxis.int" | "aten.moveaxis.intlist" => {
                let (from, to) = (call.axes("source", rank)?, call.axes("destination", rank)?);
                if from.len() != to.len() {
                    return Err(call.malformed(format!("moves {} axes to {} places", from.len(), to.len())));
                }
                let mut left = (0..rank).filter(|axis| !from.contains(axis));
                let moved = |place: usize| to.iter().position(|&t| t == place).map(|i| from[i]);
                axes = (0..rank).filter_map(|place| moved(place).or_else(|| left.next())).collect();
            }
            _ => axes.reverse(),
        }
        let order = Order::new(axes).map_err(|m| aten::Malformed(m.0))?;
        Ok(aten::imported(Transpose { order }, [input.into()]))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        if input.rank() != self.order.rank() {
            return Err(Mismatch(format!("orders {} axes of {input}", self.order.rank())));
        }
        Ok(vec![TensorType {
            dtype: input.dtype,
            shape: ir::Shape(self.order.apply(&input.shape.0)),
            quant: None,
        }])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let input = inputs[0];
        let width = input.dtype().bits() / 8;
        if width == 0 {
            return None;
        }
        let mut out = Tensor::zeros(input.dtype(), &self.order.apply(input.sizes()));
        permute(input.bytes(), input.sizes(), self.order.axes(), width, out.bytes_mut());
        Some(vec![out])
    }

    fn evaluate_region(
        &self,
        _: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let back = self.order.inverse();
        let of = Region { start: back.apply(&region.start), sizes: back.apply(&region.sizes) };
        let slab = match fetch(0, &of) {
            Ok(slab) => slab,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok(self.evaluate(&[&slab])?.remove(0)))
    }

    /// `transpose(x, order)` reads memory of order `p` as its own result in memory of order `order⁻¹∘p`.
    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let op = Transpose { order: Order::identity(order.rank()) };
        let result = Order::new(order.axes().iter().map(|&axis| self.order.position(axis)).collect()).ok()?;
        Some(Carried { op, inputs: vec![order.clone()], outputs: vec![result] })
    }

    fn to_tfl(&self, _: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        tfl::Call::new(Builtin::TRANSPOSE).input(0).int32s(self.order.axes().iter().copied())
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let rank = node.input(0)?.rank();
        let axes = node.ints(1)?.into_iter().map(|a| node.axis(a, rank)).collect::<Result<_, _>>()?;
        Ok(tfl::imported(Transpose { order: Order::new(axes)? }, [0]))
    }
}
