//! Sums of rows, then of these, where kernels add one number after the other.
//!
//! Along axes before the last, LiteRT's kernels keep one sum: of `h·w` numbers it has been rounded `h·w` times, and
//! `h + w` times where rows of `w` are added up first (`docs/kernels.md`). It runs when layout is decided.

use ir::rules;

use crate::ops::{Pass, Patch, Reduce, Reduction, Rule, Site};

/// By what the roundings must become fewer to be worth an operator.
const FEWER: usize = 4;

/// Applies the equation until it fits nowhere.
pub fn rows() -> Pass {
    let summary = "add rows up, then their sums, where kernels add one number after the other";
    ir::rules_pass("accumulate", summary, RULES)
}

const RULES: &[Rule] = rules![rows_first];

/// `mean(x) { axes = [h, w] }  =>  mean(mean(x) { axes = [w] }) { axes = [h] }`, where the last axis stays and the others
/// go; likewise for sums
///
/// A sum that keeps its axes is a gate or a norm of what it is taken of, in which its rounding does not show; the others
/// are the features at the head of a network.
fn rows_first(at: Site<'_>) -> Option<Patch<'_>> {
    let reduce: &Reduce = at.op()?;
    let (x, sizes) = (at.input(0)?, at.input_ty(0)?.sizes().ok()?);
    let (&row, others) = reduce.axes.split_last()?;
    let adds = matches!(reduce.function, Reduction::Sum | Reduction::Mean);
    let (w, h) = (sizes[row], others.iter().map(|&axis| sizes[axis]).product::<usize>());
    let fewer = w.saturating_mul(h) >= FEWER * w.saturating_add(h);
    if !adds || !at.output_ty().dtype.is_float() || reduce.keep || row + 1 == sizes.len() || !fewer {
        return None;
    }
    let mut patch = at.patch();
    let rows = patch.add(Reduce { axes: vec![row], ..reduce.clone() }, [x]);
    let result = patch.add(Reduce { axes: others.to_vec(), ..reduce.clone() }, [rows]);
    Some(patch.replace(at.output(), result))
}
