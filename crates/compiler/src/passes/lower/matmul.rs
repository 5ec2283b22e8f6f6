//! Products of matrices with more axes than BATCH_MATMUL takes.

use ir::rules;

use crate::ops::{BatchMatmul, Patch, Reshape, Rule, Site};

pub(super) const RULES: &[Rule] = rules![merge_batch_axes];

/// `batch_matmul(a, b)  =>  reshape(batch_matmul(reshape(a), reshape(b)))` where both have the same leading axes
fn merge_batch_axes(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &BatchMatmul = at.op()?;
    let (a, b) = (at.input_ty(0)?.sizes().ok()?, at.input_ty(1)?.sizes().ok()?);
    let lead = a.len().checked_sub(2)?;
    if lead < 2 || b.len() != a.len() || a[..lead] != b[..lead] {
        return None;
    }
    let merged = |sizes: &[usize]| vec![sizes[..lead].iter().product(), sizes[lead], sizes[lead + 1]];
    let mut patch = at.patch();
    let left = patch.add(Reshape { sizes: merged(&a) }, [at.input(0)?]);
    let right = patch.add(Reshape { sizes: merged(&b) }, [at.input(1)?]);
    let y = patch.add(op.clone(), [left, right]);
    let y = patch.add(Reshape { sizes: at.output_ty().sizes().ok()? }, [y]);
    Some(patch.replace(at.output(), y))
}
