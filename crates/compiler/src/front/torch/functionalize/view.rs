//! Which results look at the memory of an argument, and how a write through such a view is undone.

use std::sync::Arc;

use indexmap::IndexMap;
use ir::OriginId;

use super::Functionalizer;
use crate::dialect::aten::{Argument, Call, Schema, Tensor};
use crate::front::torch::inline::Memory;

/// A result that looks at the memory of an argument.
#[derive(Clone)]
pub(super) struct View {
    /// The call, as it was made.
    pub(super) call: Arc<Call>,
    /// The argument it is a view of.
    pub(super) viewed: &'static str,
    /// Which of its results this is.
    pub(super) result: usize,
}

/// Do the results of a call share the memory of an argument?
#[derive(Debug, PartialEq)]
pub(super) enum Sharing {
    /// Yes, of this one.
    View(&'static str),
    /// No.
    Copy,
    /// That is not known.
    Unknown,
}

/// Decides by the schema and by how the tensors lay in memory when the program was traced.
pub(super) fn sharing(call: &Call, schema: &Schema, memory: &IndexMap<Arc<str>, Memory>) -> Sharing {
    let packet = packet(&call.target);
    // Operators whose schemas do not say that they may give back what they were given.
    let viewed = match packet {
        "dropout" | "feature_dropout" | "alpha_dropout" => {
            let off = call.bool("train") == Ok(false) || call.float("p") == Ok(0.0);
            return if off { Sharing::View("input") } else { Sharing::Copy };
        }
        "type_as" => "self",
        "meshgrid" | "broadcast_tensors" | "einsum" | "cartesian_prod" | "chain_matmul" | "atleast_1d"
        | "atleast_2d" | "atleast_3d" => return Sharing::Unknown,
        _ => match schema.viewed() {
            Some(viewed) => viewed,
            None => return Sharing::Copy,
        },
    };
    let (Ok(Some(from)), Ok(to)) = (call.optional_tensor(viewed), call.result(0)) else {
        return Sharing::Unknown;
    };
    let decided = match packet {
        "reshape" | "reshape_as" | "flatten" => reshapes_in_place(from, to, memory),
        "contiguous" | "ravel" | "to" | "type_as" => stays(call, from, to, memory),
        _ => Some(true),
    };
    match decided {
        Some(true) => Sharing::View(viewed),
        Some(false) => Sharing::Copy,
        None => Sharing::Unknown,
    }
}

/// `aten.add_.Tensor` is `add_`.
pub(super) fn packet(target: &str) -> &str {
    target.split('.').nth(1).unwrap_or("")
}

/// Does the operator give its argument back as it is?
fn stays(call: &Call, from: &Tensor, to: &Tensor, memory: &IndexMap<Arc<str>, Memory>) -> Option<bool> {
    if from.ty.dtype != to.ty.dtype || call.arguments.get("copy") == Some(&Argument::Bool(true)) {
        return Some(false);
    }
    let (before, after) = (memory.get(&from.name)?, memory.get(&to.name)?);
    if before.device != after.device {
        return Some(false);
    }
    let sizes = from.ty.shape.known()?;
    if packet(&call.target) == "ravel" {
        return Some(is_packed(&sizes, before.strides.as_ref()?));
    }
    let (before, after) = (before.strides.as_ref()?, after.strides.as_ref()?);
    // Steps along axes of one element say nothing.
    Some(sizes.iter().zip(before.iter().zip(after)).all(|(&n, (a, b))| n <= 1 || a == b))
}

/// Can a tensor of these strides be seen in the new sizes without moving an element? PyTorch's `reshape` makes a
/// view exactly then (ATen/TensorUtils.cpp, computeStride).
fn reshapes_in_place(from: &Tensor, to: &Tensor, memory: &IndexMap<Arc<str>, Memory>) -> Option<bool> {
    let strides = memory.get(&from.name)?.strides.as_ref()?;
    Some(fits(&from.ty.shape.known()?, strides, &to.ty.shape.known()?))
}

fn fits(sizes: &[usize], strides: &[usize], new: &[usize]) -> bool {
    if sizes == new || sizes.is_empty() || sizes.contains(&0) {
        return true;
    }
    // From the innermost axis outwards, each stretch of axes that are packed into each other must be split into
    // whole new axes.
    let mut new = new.iter().rev().copied().peekable();
    let (mut stretch, mut step) = (1usize, strides[sizes.len() - 1]);
    for axis in (0..sizes.len()).rev() {
        stretch *= sizes[axis];
        let packed = |outer: usize| sizes[outer] == 1 || Some(strides[outer]) == stretch.checked_mul(step);
        if axis > 0 && packed(axis - 1) {
            continue;
        }
        let mut filled = 1;
        while filled < stretch || new.peek() == Some(&1) {
            let Some(n) = new.next() else { break };
            filled *= n;
        }
        if filled != stretch {
            return false;
        }
        if axis > 0 {
            (stretch, step) = (1, strides[axis - 1]);
        }
    }
    new.next().is_none()
}

/// Does an `as_strided` address its argument's own elements, counted in their order from its first?
pub(super) fn stays_within(call: &Call, memory: &IndexMap<Arc<str>, Memory>) -> Option<bool> {
    let from = call.tensor("self").ok()?;
    let (sizes, memory) = (from.ty.sizes().ok()?, memory.get(&from.name)?);
    let start = match call.optional_ints("storage_offset").ok()?.as_deref() {
        None => 0,
        // The offset counts from the storage's start.
        Some([start]) if memory.offset == 0 => usize::try_from(*start).ok()?,
        Some(_) => return Some(false),
    };
    let mut last = start;
    for (n, step) in call.ints("size").ok()?.into_iter().zip(call.ints("stride").ok()?) {
        if n == 0 {
            return Some(true);
        }
        last = last.checked_add(usize::try_from(n - 1).ok()?.checked_mul(usize::try_from(step).ok()?)?)?;
    }
    Some(is_packed(&sizes, memory.strides.as_ref()?) && last < sizes.iter().product())
}

/// Does a tensor of these strides lie in memory in the order of its elements, without gaps?
fn is_packed(sizes: &[usize], strides: &[usize]) -> bool {
    let mut step = 1;
    sizes.iter().zip(strides).rev().all(|(&n, &stride)| {
        let fits = n == 1 || stride == step;
        step *= n;
        fits
    })
}

impl Functionalizer {
    /// `base` after `value` was written through a view of it; `None` where that is not known.
    pub(super) fn scatter(
        &mut self,
        view: &View,
        base: Tensor,
        value: Tensor,
        origin: OriginId,
    ) -> Option<Tensor> {
        let call = &view.call;
        let sizes = base.ty.sizes().ok()?;
        let seen = call.results.get(view.result)?.as_ref()?.ty.sizes().ok()?;
        if base.ty.dtype != value.ty.dtype {
            return None;
        }
        let mut arguments =
            vec![("self", Argument::Tensor(base.clone())), ("src", Argument::Tensor(value.clone()))];
        let packet = packet(&call.target);
        let target = match packet {
            "alias" | "detach" | "lift_fresh" | "contiguous" | "to" | "type_as" | "dropout"
            | "feature_dropout" | "alpha_dropout" | "positive" | "resolve_conj" | "resolve_neg"
                if seen == sizes =>
            {
                return Some(value);
            }
            "view" | "reshape" | "flatten" | "unflatten" | "squeeze" | "unsqueeze" | "view_as"
            | "reshape_as" | "ravel" | "expand" | "expand_as" | "broadcast_to"
                if seen.iter().product::<usize>() == sizes.iter().product::<usize>() =>
            {
                let size = sizes.iter().map(|&n| n as i64).collect();
                arguments = vec![("self", Argument::Tensor(value)), ("size", Argument::Ints(size))];
                "aten.view.default"
            }
            "permute" | "transpose" | "swapaxes" | "swapdims" | "t" | "numpy_T" | "mT" => {
                let order = order(call, packet, sizes.len())?;
                let mut back = vec![0; order.len()];
                order.iter().enumerate().for_each(|(to, &from)| back[from] = to as i64);
                arguments = vec![("self", Argument::Tensor(value)), ("dims", Argument::Ints(back))];
                "aten.permute.default"
            }
            "select" | "unbind" => {
                let index = if packet == "select" { call.int("index").ok()? } else { view.result as i64 };
                arguments.push(("dim", Argument::Int(call.int("dim").ok()?)));
                arguments.push(("index", Argument::Int(index)));
                "aten.select_scatter.default"
            }
            "slice" => {
                for name in ["dim", "start", "end", "step"] {
                    arguments.push((name, call.get(name).ok()?.clone()));
                }
                "aten.slice_scatter.default"
            }
            "narrow" | "split" | "split_with_sizes" | "chunk" | "tensor_split" => {
                let dim = call.axis("dim", sizes.len()).ok()?;
                let start = match packet {
                    "narrow" => call.int("start").ok()?.rem_euclid(sizes[dim].max(1) as i64) as usize,
                    _ => before(call, view.result, dim)?,
                };
                arguments.push(("dim", Argument::Int(dim as i64)));
                arguments.push(("start", Argument::Int(start as i64)));
                arguments.push(("end", Argument::Int((start + seen.get(dim)?) as i64)));
                "aten.slice_scatter.default"
            }
            "diagonal" => {
                for name in ["offset", "dim1", "dim2"] {
                    arguments.push((name, call.get(name).ok()?.clone()));
                }
                "aten.diagonal_scatter.default"
            }
            _ => return None,
        };
        let origin = self.origins.derive("write_through_view", &[origin, call.origin]);
        let name = self.fresh(&base.name);
        Some(self.emit(target, arguments, name, base.ty, origin))
    }
}

/// Which axis of the argument each axis of the result is.
fn order(call: &Call, packet: &str, rank: usize) -> Option<Vec<usize>> {
    let swapped = |a: usize, b: usize| {
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(a, b);
        order
    };
    match packet {
        "permute" => call.axes("dims", rank).ok().filter(|order| order.len() == rank),
        "transpose" | "swapdims" => {
            Some(swapped(call.axis("dim0", rank).ok()?, call.axis("dim1", rank).ok()?))
        }
        "swapaxes" => Some(swapped(call.axis("axis0", rank).ok()?, call.axis("axis1", rank).ok()?)),
        "t" if rank < 2 => Some((0..rank).collect()),
        "t" | "mT" => Some(swapped(rank.checked_sub(2)?, rank - 1)),
        _ => Some((0..rank).rev().collect()),
    }
}

/// Where result `i` begins along the axis that a call splits.
fn before(call: &Call, i: usize, dim: usize) -> Option<usize> {
    let size = |result: &Option<Tensor>| result.as_ref()?.ty.shape.0.get(dim)?.known();
    call.results.get(..i)?.iter().try_fold(0usize, |sum, result| sum.checked_add(size(result)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are PyTorch's: does `x.as_strided(sizes, strides).reshape(new)` share memory with `x`?
    #[test]
    fn a_reshape_is_a_view_where_pytorch_makes_one() {
        for (sizes, strides, new, expected) in [
            (&[2, 3, 4][..], &[12, 4, 1][..], &[6, 4][..], true),
            (&[2, 3, 4], &[12, 4, 1], &[24], true),
            (&[3, 2, 4], &[4, 12, 1], &[6, 4], false),
            (&[3, 2, 4], &[4, 12, 1], &[3, 2, 2, 2], true),
            (&[4, 8], &[1, 4], &[32], false),
            (&[4, 1, 8], &[8, 77, 1], &[32], true),
            (&[1, 8], &[3, 1], &[8, 1], true),
            (&[4, 8], &[16, 1], &[4, 2, 4], true),
            (&[4, 8], &[16, 1], &[8, 4], false),
            (&[4, 8], &[16, 2], &[2, 2, 8], true),
            (&[], &[], &[1, 1], true),
            (&[2, 0], &[1, 1], &[0, 5], true),
            (&[4, 8], &[0, 1], &[2, 2, 8], true),
            (&[4, 8], &[0, 1], &[32], false),
            (&[2, 3, 1, 5], &[15, 5, 99, 1], &[6, 5], true),
            (&[3, 1, 2, 4], &[4, 5, 12, 1], &[6, 4], false),
        ] {
            assert_eq!(fits(sizes, strides, new), expected, "{sizes:?} {strides:?} {new:?}");
        }
    }
}
