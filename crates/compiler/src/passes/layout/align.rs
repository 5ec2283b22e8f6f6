//! Operands of fewer axes get as many as the result, so that one axis order can be said of all.

use ir::rules;

use crate::ops::{Op, Patch, Reshape, Rule, Site};

pub(super) const RULES: &[Rule] = rules![align_ranks];

/// `f(x, y)  =>  f(x, reshape(y, [1, …, sizes of y]))`, where `f` broadcasts and `y` has fewer axes than the result
fn align_ranks(at: Site<'_>) -> Option<Patch<'_>> {
    if !matches!(at.node().op, Op::Binary(_) | Op::Compare(_) | Op::Logical(_) | Op::Prelu(_) | Op::Where(_))
    {
        return None;
    }
    let rank = at.output_ty().rank();
    let lower = |&index: &usize| {
        let ty = at.graph().ty(at.inputs()[index]);
        // A single element needs no order; the first operand is the one that an order is asked of.
        ty.rank() < rank && (index == 0 || ty.count() != Ok(1))
    };
    let index = (0..at.inputs().len()).find(lower)?;
    let own = at.input_ty(index)?.sizes().ok()?;
    let sizes = std::iter::repeat_n(1, rank - own.len()).chain(own).collect();
    let mut patch = at.patch();
    let mut inputs = at.inputs().to_vec();
    inputs[index] = patch.add(Reshape { sizes }, [inputs[index]]);
    let aligned = patch.try_add(at.node().op.clone(), inputs).ok()?;
    (patch.ty(aligned) == at.output_ty()).then(|| patch.replace(at.output(), aligned))
}
