//! Layer normalization that is written out as one operator, and its affine part in what reads it.

use ir::{DType, ValueId};

use super::{plain, reshaped};
use crate::ops::{Arithmetic, Binary, LayerNorm, Op, Patch, Reduce, Reduction, Site, Unary};

/// A layer norm without its affine part, written out.
pub(super) struct WrittenOut<'g> {
    x: ValueId,
    op: LayerNorm,
    /// What makes the divisor.
    below: [Site<'g>; 5],
}

impl<'g> WrittenOut<'g> {
    /// The norm whose last step this is: `d / √(mean(d²) + eps)` with `d = x − mean(x)`, or `d · rsqrt(…)`.
    pub(super) fn ending(at: Site<'g>) -> Option<Self> {
        let binary: &Binary = at.op()?;
        let sides: &[(usize, usize, Unary)] = match binary {
            b if *b == plain(Arithmetic::Div) => &[(0, 1, Unary::Sqrt)],
            b if *b == plain(Arithmetic::Mul) => &[(0, 1, Unary::Rsqrt), (1, 0, Unary::Rsqrt)],
            _ => return None,
        };
        sides.iter().find_map(|&(apart, by, root)| {
            let (x, axes) = centred(at.producer(apart)?)?;
            let root = at.sole_producer(by).filter(|s| s.op() == Some(&root))?;
            let sum = root.sole_producer(0)?;
            let (variance, eps) = plus_number(sum)?;
            let square = mean_over(variance, &axes).and_then(|_| variance.sole_producer(0))?;
            let difference = squared(square)?;
            if centred(difference)? != (x, axes.clone()) || at.output_ty() != at.graph().ty(x) {
                return None;
            }
            let below = [root, sum, variance, square, difference];
            Some(WrittenOut { x, op: LayerNorm { axes, eps }, below })
        })
    }
}

/// `d / √(mean(d²) + eps)  =>  layer_norm(x)` with `d = x − mean(x)`; likewise `d · rsqrt(…)`
pub(super) fn layer_norm_of_means(at: Site<'_>) -> Option<Patch<'_>> {
    let norm = WrittenOut::ending(at)?;
    let mut patch = at.patch();
    for site in &norm.below {
        patch.consume(site);
    }
    let normed = patch.add(norm.op, [norm.x]);
    Some(patch.replace(at.output(), normed))
}

/// `x` and the axes, of `x − mean(x)`.
fn centred(at: Site<'_>) -> Option<(ValueId, Vec<usize>)> {
    let binary: &Binary = at.op()?;
    let mean = at.producer(1)?;
    let Reduce { axes, .. } = mean.op()?;
    let same = *binary == plain(Arithmetic::Sub) && mean.inputs()[0] == at.inputs()[0];
    mean_over(mean, axes).filter(|_| same)?;
    Some((at.inputs()[0], axes.clone()))
}

/// Is it a mean over these axes, which stay?
fn mean_over(at: Site<'_>, wanted: &[usize]) -> Option<()> {
    let Reduce { function: Reduction::Mean, axes, keep: true } = at.op()? else { return None };
    (axes == wanted).then_some(())
}

/// A value plus a number.
fn plus_number(at: Site<'_>) -> Option<(Site<'_>, f64)> {
    let binary: &Binary = at.op()?;
    let number = |i: usize| at.constant(i)?.inline().filter(|t| t.count() == 1 && t.dtype() == DType::F32);
    let (value, number) = [(0, 1), (1, 0)].into_iter().find_map(|(x, by)| Some((x, number(by)?)))?;
    let below = at.sole_producer(value).filter(|_| *binary == plain(Arithmetic::Add))?;
    Some((below, f64::from(number.as_slice::<f32>()[0])))
}

/// What is squared.
fn squared(at: Site<'_>) -> Option<Site<'_>> {
    match &at.node().op {
        Op::Unary(Unary::Square) => at.producer(0),
        Op::Binary(b) if *b == plain(Arithmetic::Mul) && at.input(0) == at.input(1) => at.producer(0),
        _ => None,
    }
}

/// `layer_norm(x) · gamma  =>  layer_norm(x, gamma)`, `layer_norm(x, gamma) + beta  =>  layer_norm(x, gamma, beta)`
pub(super) fn affine_into_layer_norm(at: Site<'_>) -> Option<Patch<'_>> {
    let binary: &Binary = at.op()?;
    let already = match binary {
        b if *b == plain(Arithmetic::Mul) => 0,
        b if *b == plain(Arithmetic::Add) => 1,
        _ => return None,
    };
    let (below, op, by) = [(0, 1), (1, 0)].into_iter().find_map(|(x, by)| {
        let below = at.sole_producer(x)?;
        let op: &LayerNorm = below.op()?;
        (at.is_constant(by) && below.inputs().len() == 1 + already).then_some((below, op, by))
    })?;
    let sizes = at.output_ty().sizes().ok()?;
    let affine: Vec<usize> = op.axes.iter().map(|&a| sizes[a]).collect();
    let ty = at.input_ty(by)?;
    // Its sizes are those of the normalized axes, and ones; ones in front may be left out.
    let own = ty.sizes().ok()?;
    let wide = op.broadcast(&sizes);
    let given = wide
        .len()
        .checked_sub(own.len())
        .is_some_and(|lead| wide[lead..] == own[..] && wide[..lead].iter().all(|&n| n == 1));
    if !given || at.output_ty() != below.output_ty() || ty.dtype != at.output_ty().dtype {
        return None;
    }
    let mut patch = at.patch();
    patch.consume(&below);
    let mut inputs = below.inputs().to_vec();
    inputs.push(reshaped(&mut patch, at.inputs()[by], affine));
    let normed = patch.add(op.clone(), inputs);
    Some(patch.replace(at.output(), normed))
}
