//! Sums and products in other groups, so that fewer large values are computed: equal but for the order of rounding.

use ir::{Tensor, ValueId, rules};

use super::fuse::plain;
use crate::ops::{Arithmetic, Pass, Patch, Reduce, Reduction, Reshape, Rule, Site, Unary};

/// Applies the equations until none is left.
pub fn terms() -> Pass {
    ir::rules_pass("regroup", "group sums and products so that fewer large values are computed", RULES)
}

const RULES: &[Rule] = rules![response_as_scale, terms_in_sizes_of_result];

/// The node that makes a value, where it is this function with nothing fused behind it.
fn arithmetic<'g>(at: Site<'g>, value: ValueId, function: Arithmetic) -> Option<Site<'g>> {
    let below = at.producer_of(value)?;
    (below.op() == Some(&plain(function))).then_some(below)
}

/// The operands of a sum or product of sums or products that nothing else reads.
fn operands(at: Site<'_>, function: Arithmetic) -> Vec<ValueId> {
    let mut found = Vec::new();
    for &input in at.inputs() {
        match arithmetic(at, input, function).filter(|_| at.graph().use_count(input) == 1) {
            Some(below) => found.extend(operands(below, function)),
            None => found.push(input),
        }
    }
    found
}

/// The elements without one of them.
fn without(values: &[ValueId], gone: ValueId) -> Option<Vec<ValueId>> {
    let at = values.iter().position(|&v| v == gone)?;
    Some([&values[..at], &values[at + 1..]].concat())
}

/// Is it the root of a sum of the squares of `x`?
fn is_norm_of(at: Site<'_>, value: ValueId, x: ValueId) -> bool {
    let made_by = |value: ValueId, wanted: Unary| {
        let below = at.producer_of(value)?;
        (below.op() == Some(&wanted)).then(|| below.input(0))?
    };
    let squares = || {
        let sum = at.producer_of(made_by(value, Unary::Sqrt)?)?;
        (sum.op::<Reduce>()?.function == Reduction::Sum).then(|| sum.input(0))?
    };
    let Some(squares) = squares() else { return false };
    let product = arithmetic(at, squares, Arithmetic::Mul);
    made_by(squares, Unary::Square) == Some(x) || product.is_some_and(|p| p.inputs() == [x, x])
}

/// Is it `e / (mean(e) + eps)` for norms `e` of `x`?
fn is_share_of(at: Site<'_>, value: ValueId, x: ValueId) -> bool {
    let is_mean = |value: ValueId, of: ValueId| {
        let mean = at.producer_of(value);
        mean.is_some_and(|m| {
            m.op::<Reduce>().is_some_and(|r| r.function == Reduction::Mean) && m.input(0) == Some(of)
        })
    };
    let Some(&[norm, least]) = arithmetic(at, value, Arithmetic::Div).map(|d| d.inputs()) else {
        return false;
    };
    let Some(&[a, b]) = arithmetic(at, least, Arithmetic::Add).map(|s| s.inputs()) else { return false };
    let (mean, eps) = if at.graph().is_constant(b) { (a, b) } else { (b, a) };
    at.graph().is_constant(eps) && is_mean(mean, norm) && is_norm_of(at, norm, x)
}

/// `gamma·(x·n) + beta + x  =>  x·(gamma·n + 1) + beta`, for shares `n = e / (mean(e) + eps)` of norms `e = √Σx²`:
/// a global response norm
///
/// Where an element is infinite its norm's share is NaN, and the other shares are 0, so that both sides agree there
/// too.
fn response_as_scale(at: Site<'_>) -> Option<Patch<'_>> {
    let sum = plain(Arithmetic::Add);
    let terms = (at.op() == Some(&sum)).then(|| operands(at, Arithmetic::Add)).filter(|t| t.len() <= 3)?;
    let fits = |&term: &ValueId| {
        let product = arithmetic(at, term, Arithmetic::Mul).filter(|_| at.graph().use_count(term) == 1)?;
        let factors = operands(product, Arithmetic::Mul);
        let x = *factors.iter().find(|&f| terms.contains(f))?;
        let [a, b] = without(&factors, x)?[..] else { return None };
        let (gamma, share) = if at.graph().is_constant(a) { (a, b) } else { (b, a) };
        (at.graph().is_constant(gamma) && is_share_of(at, share, x)).then_some((term, x, gamma, share))
    };
    let (term, x, gamma, share) = terms.iter().find_map(fits)?;
    let beta = without(&without(&terms, term)?, x)?;
    if !beta.iter().all(|&b| at.graph().is_constant(b)) {
        return None;
    }
    let mut patch = at.patch();
    let one = patch.constant("one", Tensor::scalar(at.output_ty().dtype, 1.0));
    let scale = patch.add(Arithmetic::Mul, [gamma, share]);
    let scale = patch.add(Arithmetic::Add, [scale, one]);
    let mut y = patch.add(Arithmetic::Mul, [x, scale]);
    for beta in beta {
        y = patch.add(Arithmetic::Add, [y, beta]);
    }
    (patch.ty(y) == at.output_ty()).then(|| patch.replace(at.output(), y))
}

/// `reshape(reshape(x) + a + b)  =>  x + reshape(a + b)`, where `x` has the sizes of the result, and `a` and `b` repeat
/// along different axes of the middle sizes: scores of attention with a term for each row and one for each column
fn terms_in_sizes_of_result(at: Site<'_>) -> Option<Patch<'_>> {
    let reshape: &Reshape = at.op()?;
    let whole = at.input_ty(0)?;
    let sum =
        arithmetic(at, at.input(0)?, Arithmetic::Add).filter(|s| at.graph().use_count(s.output()) == 1)?;
    let terms = operands(sum, Arithmetic::Add);
    let (wide, x) = terms.iter().find_map(|&term| {
        let below = at.producer_of(term).filter(|_| at.graph().use_count(term) == 1)?;
        let fits = below.op::<Reshape>().is_some() && below.input_ty(0) == Some(at.output_ty());
        (fits && below.output_ty() == whole).then(|| Some((term, below.input(0)?)))?
    })?;
    let [a, b] = without(&terms, wide)?[..] else { return None };
    if [a, b].iter().any(|&v| at.graph().ty(v) == whole) {
        return None;
    }
    let mut patch = at.patch();
    patch.consume(&sum);
    let both = patch.try_add(Arithmetic::Add, [a, b]).ok().filter(|&v| patch.ty(v) == whole)?;
    let both = patch.add(reshape.clone(), [both]);
    let result = patch.add(Arithmetic::Add, [x, both]);
    (patch.ty(result) == at.output_ty()).then(|| patch.replace(at.output(), result))
}
