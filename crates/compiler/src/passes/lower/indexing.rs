//! Parts of a tensor without the builtins that take them: elements are copied, never computed with.

use ir::{DType, Tensor, ValueId, rules};

use super::shaping::reshaped;
use crate::ops::{Concat, Flip, Gather, Patch, Rule, Site, Slice};

pub(super) const RULES: &[Rule] = rules![steps_as_rows, slice_as_gather, flip_as_gather, gather_as_slices];

/// Every `step`-th place is the first of a row of `step` places:
/// `slice(x) { step = s }  =>  concat(slice(reshape(x)) { 0:1 of each row }, slice(x) { last })`
fn steps_as_rows(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Slice = at.op()?;
    if op.step.iter().all(|&s| s == 1) || op.sizes.contains(&0) {
        return None;
    }
    let mut patch = at.patch();
    // What no step goes through is cut off first.
    let mut sizes = at.input_ty(0)?.sizes().ok()?;
    let extent = |axis: usize| (op.sizes[axis] - 1) * op.step[axis] + 1;
    let cut = Slice {
        start: op.start.clone(),
        sizes: (0..sizes.len()).map(extent).collect(),
        step: vec![1; sizes.len()],
    };
    let mut value = at.input(0)?;
    if !cut.is_whole(&sizes) {
        sizes.clone_from(&cut.sizes);
        value = patch.add(cut, [value]);
    }
    for axis in 0..sizes.len() {
        let (step, rows) = (op.step[axis], op.sizes[axis] - 1);
        if step == 1 || rows == 0 {
            continue;
        }
        let last = patch.add(Slice::along(&sizes, axis, rows * step, 1), [value]);
        let before = patch.add(Slice::along(&sizes, axis, 0, rows * step), [value]);
        let mut apart = sizes.clone();
        apart.splice(axis..=axis, [rows, step]);
        let apart_value = reshaped(&mut patch, before, &apart);
        let firsts = patch.add(Slice::along(&apart, axis + 1, 0, 1), [apart_value]);
        sizes[axis] = rows;
        let firsts = reshaped(&mut patch, firsts, &sizes);
        value = patch.add(Concat { axis }, [firsts, last]);
        sizes[axis] = rows + 1;
    }
    Some(patch.replace(at.output(), value))
}

/// More indices than this are not spelled out.
const INDICES: usize = 1 << 20;

/// `slice(x) { start, step }  =>  gather(x, [start, start + step, …])`, once for each axis that it thins out
fn slice_as_gather(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Slice = at.op()?;
    let from = at.input_ty(0)?.sizes().ok()?;
    if op.sizes.iter().any(|&n| n > INDICES) {
        return None;
    }
    let mut patch = at.patch();
    let mut value = at.input(0)?;
    for (axis, &size) in from.iter().enumerate() {
        if op.sizes[axis] != size {
            let places = (0..op.sizes[axis]).map(|i| op.start[axis] + i * op.step[axis]);
            value = gathered(&mut patch, value, axis, places.collect());
        }
    }
    Some(patch.replace(at.output(), value))
}

/// `flip(x)  =>  gather(x, [n − 1, …, 1, 0])`
fn flip_as_gather(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Flip = at.op()?;
    let size = at.output_ty().sizes().ok()?[op.axis];
    if size > INDICES {
        return None;
    }
    let mut patch = at.patch();
    let value = gathered(&mut patch, at.input(0)?, op.axis, (0..size).rev().collect());
    Some(patch.replace(at.output(), value))
}

fn gathered(patch: &mut Patch<'_>, value: ValueId, axis: usize, places: Vec<usize>) -> ValueId {
    let places = Tensor::from_i64s(DType::I32, &[places.len()], places.into_iter().map(|i| i as i64));
    let places = patch.constant("places", places);
    patch.add(Gather { axis, batch: 0 }, [value, places])
}

/// More parts than this are not joined.
const PARTS: usize = 64;

/// `gather(x, [i, i + 1, j, …])  =>  concat(slice(x) { i, i + 1 }, slice(x) { j }, …)`
fn gather_as_slices(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Gather = at.op()?;
    let indices = at.constant(1).filter(|c| c.sizes().iter().product::<usize>() <= INDICES)?.read().ok()?;
    if op.batch > 0 || indices.count() == 0 {
        return None;
    }
    let sizes = at.input_ty(0)?.sizes().ok()?;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in indices.to_i64s() {
        let index = usize::try_from(index).ok()?;
        match runs.last_mut() {
            Some((start, len)) if *start + *len == index => *len += 1,
            _ => runs.push((index, 1)),
        }
    }
    if runs.len() > PARTS {
        return None;
    }
    let mut patch = at.patch();
    let input = at.input(0)?;
    let mut parts = Vec::new();
    for (start, len) in runs {
        parts.push(patch.try_add(Slice::along(&sizes, op.axis, start, len), [input]).ok()?);
    }
    let joined = if parts.len() == 1 { parts[0] } else { patch.add(Concat { axis: op.axis }, parts) };
    let shaped = reshaped(&mut patch, joined, &at.output_ty().sizes().ok()?);
    Some(patch.replace(at.output(), shaped))
}
