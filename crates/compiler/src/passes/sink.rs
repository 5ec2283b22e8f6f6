//! Reshapes moved behind what treats their axes alike, where they meet other reshapes.
//!
//! Every equation leaves at most as many reshapes as before, and moves them one way only: towards the outputs. It runs
//! when layout and rank are decided.

use ir::{ValueId, rules};

use super::simplify::{drop_identity_reshape, merge_reshapes};
use crate::ops::{Activation, BatchMatmul, Binary, Pass, Patch, Reshape, Rule, Site, Softmax};

/// Applies the equations until none is left.
pub fn reshapes() -> Pass {
    ir::rules_pass("sink", "move reshapes behind what treats their axes alike, to meet others", RULES)
}

const RULES: &[Rule] = rules![
    merge_reshapes,
    drop_identity_reshape,
    reshape_behind_softmax,
    reshape_behind_batch_matmul,
    reshape_behind_binary,
];

/// The reshape that makes an operand, where nothing but this node reads it.
fn own_reshape<'g>(at: Site<'g>, index: usize) -> Option<Site<'g>> {
    at.sole_producer(index).filter(|below| below.op::<Reshape>().is_some())
}

/// The sizes that a reshape reads and makes, without the last `kept` axes, which it keeps.
fn leading(reshape: Site<'_>, kept: usize) -> Option<(Vec<usize>, Vec<usize>)> {
    let (from, to) = (reshape.input_ty(0)?.sizes().ok()?, reshape.output_ty().sizes().ok()?);
    let (a, b) = (from.len().checked_sub(kept)?, to.len().checked_sub(kept)?);
    (from[a..] == to[b..]).then(|| (from[..a].to_vec(), to[..b].to_vec()))
}

/// `value` in the sizes of the node's output, in its place.
fn instead_of<'g>(at: Site<'g>, mut patch: Patch<'g>, value: ValueId) -> Option<Patch<'g>> {
    let sizes = at.output_ty().sizes().ok()?;
    let shaped = patch.add(Reshape { sizes }, [value]);
    (patch.ty(shaped) == at.output_ty()).then(|| patch.replace(at.output(), shaped))
}

/// `softmax(reshape(x))  =>  reshape(softmax(x))`, over a last axis that stays
fn reshape_behind_softmax(at: Site<'_>) -> Option<Patch<'_>> {
    let &Softmax { axis } = at.op()?;
    let below = own_reshape(at, 0).filter(|_| axis + 1 == at.output_ty().rank())?;
    leading(below, 1)?;
    let mut patch = at.patch();
    let rank = below.input_ty(0)?.rank();
    let y = patch.try_add(Softmax { axis: rank - 1 }, [below.input(0)?]).ok()?;
    instead_of(at, patch, y)
}

/// `batch_matmul(reshape(a), reshape(b))  =>  reshape(batch_matmul(a, b))`, where both make the same of the same leading
/// axes
fn reshape_behind_batch_matmul(at: Site<'_>) -> Option<Patch<'_>> {
    let product: &BatchMatmul = at.op()?;
    let reshape = |i: usize| at.producer(i).filter(|below| below.op::<Reshape>().is_some());
    let (left, right) = (reshape(0)?, reshape(1)?);
    let alone = own_reshape(at, 0).is_some() || own_reshape(at, 1).is_some();
    if !alone || leading(left, 2)? != leading(right, 2)? {
        return None;
    }
    let mut patch = at.patch();
    let inputs = [left.input(0)?, right.input(0)?];
    at.node().op.to_tfl(&at.graph().types(&inputs)).ok()?;
    let y = patch.try_add(product.clone(), inputs).ok()?;
    instead_of(at, patch, y)
}

/// `f(reshape(x), reshape(y))  =>  reshape(f(x, reshape(y)))`, for values of the same sizes; the first is the one that
/// was made with more axes
fn reshape_behind_binary(at: Site<'_>) -> Option<Patch<'_>> {
    let &Binary { activation: Activation::None, .. } = at.op()? else { return None };
    let ty = at.output_ty();
    if at.inputs().iter().any(|&v| at.graph().ty(v) != ty) {
        return None;
    }
    let (left, right) = (own_reshape(at, 0)?, own_reshape(at, 1)?);
    let rank = |site: Site<'_>| site.input_ty(0).map_or(0, |ty| ty.rank());
    let first = if rank(right) > rank(left) { right } else { left };
    let sizes = first.input_ty(0)?.sizes().ok()?;
    let mut patch = at.patch();
    let operand = |patch: &mut Patch<'_>, site: Site<'_>| -> Option<ValueId> {
        let value = site.input(0)?;
        match patch.ty(value).sizes().ok()? == sizes {
            true => Some(value),
            false => Some(patch.add(Reshape { sizes: sizes.clone() }, [value])),
        }
    };
    let inputs = [operand(&mut patch, left)?, operand(&mut patch, right)?];
    let y = patch.try_add(at.node().op.clone(), inputs).ok()?;
    instead_of(at, patch, y)
}
