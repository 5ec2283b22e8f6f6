//! A number that scales one factor of a matrix product goes into the weight that this factor, or the other, comes from.

use ir::ValueId;

use super::plain;
use super::readers::is_tied;
use crate::ops::{Activation, Arithmetic, BatchMatmul, FullyConnected, Op, Patch, Site};

/// The fully connected layer that a value comes from through transposes and reshapes, none of which anything else
/// reads, and these from the value on.
fn weighed<'g>(at: Site<'g>, value: ValueId) -> Option<(Site<'g>, Vec<Site<'g>>)> {
    let mut moves = Vec::new();
    let mut value = value;
    loop {
        let below = at.producer_of(value).filter(|_| at.graph().use_count(value) == 1)?;
        match &below.node().op {
            Op::Transpose(_) | Op::Reshape(_) => moves.push(below),
            Op::FullyConnected(FullyConnected { activation: Activation::None }) => {
                let constant = (1..below.inputs().len()).all(|i| below.is_constant(i));
                return (constant && !is_tied(below, below.inputs()[1])).then_some((below, moves));
            }
            _ => return None,
        }
        value = below.input(0)?;
    }
}

/// The value that a layer makes with its weight and bias scaled, moved as before.
fn scaled(patch: &mut Patch<'_>, (layer, moves): &(Site<'_>, Vec<Site<'_>>), scale: ValueId) -> ValueId {
    patch.consume(layer);
    let mut inputs = vec![layer.inputs()[0]];
    for &number in &layer.inputs()[1..] {
        inputs.push(patch.add(plain(Arithmetic::Mul), [number, scale]));
    }
    let mut value = patch.add(layer.node().op.clone(), inputs);
    for site in moves.iter().rev() {
        value = patch.add(site.node().op.clone(), [value]);
    }
    value
}

/// `batch_matmul(x·s, y)  =>  batch_matmul(x′, y)` or `batch_matmul(x, y′)`, where `s` is one number and `x′` or `y′`
/// comes from a layer whose weight and bias are scaled: the scores of attention
pub(super) fn scale_in_weight_of_factor(at: Site<'_>) -> Option<Patch<'_>> {
    let BatchMatmul { .. } = at.op()?;
    [0, 1].into_iter().find_map(|side| {
        let product = at.sole_producer(side).filter(|p| p.op() == Some(&plain(Arithmetic::Mul)))?;
        let is_number = |i: usize| product.input_ty(i).is_some_and(|ty| ty.count() == Ok(1));
        let at_number = [1, 0].into_iter().find(|&i| product.is_constant(i) && is_number(i))?;
        let (scale, x, y) =
            (product.inputs()[at_number], product.inputs()[1 - at_number], at.inputs()[1 - side]);
        if at.graph().ty(x) != product.output_ty() || at.graph().ty(scale).rank() > 1 {
            return None;
        }
        let mut patch = at.patch();
        patch.consume(&product);
        let mut inputs = at.inputs().to_vec();
        inputs[side] = x;
        match weighed(at, x) {
            Some(layer) => inputs[side] = scaled(&mut patch, &layer, scale),
            None => inputs[1 - side] = scaled(&mut patch, &weighed(at, y)?, scale),
        }
        let result = patch.add(at.node().op.clone(), inputs);
        Some(patch.replace(at.output(), result))
    })
}
