//! Parts of a tensor without the builtins that take them: elements are copied, never computed with.

use ir::{DType, Tensor, ValueId, rules};

use super::shaping::reshaped;
use crate::ops::{
    Arithmetic, Cast, Concat, Embedding, Flip, Gather, Order, Patch, Rule, Site, Slice, Transpose,
};

pub(super) const RULES: &[Rule] = rules![
    steps_as_rows,
    slice_as_gather,
    flip_as_gather,
    gather_as_slices,
    embedding_of_a_row,
    gather_as_embedding,
    gather_of_batches,
];

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

/// Constant indices as runs of neighbours: where each begins, and how long it is. `None` where they are not constant, or
/// fall into too many.
fn runs(at: Site<'_>) -> Option<Vec<(usize, usize)>> {
    let indices = at.constant(1).filter(|c| c.sizes().iter().product::<usize>() <= INDICES)?.read().ok()?;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for index in indices.to_i64s() {
        let index = usize::try_from(index).ok()?;
        match runs.last_mut() {
            Some((start, len)) if *start + *len == index => *len += 1,
            _ => runs.push((index, 1)),
        }
    }
    (1..=PARTS).contains(&runs.len()).then_some(runs)
}

/// `gather(x, [i, i + 1, j, …])  =>  concat(slice(x) { i, i + 1 }, slice(x) { j }, …)`
fn gather_as_slices(at: Site<'_>) -> Option<Patch<'_>> {
    let &Gather { axis, batch: 0 } = at.op()? else { return None };
    let sizes = at.input_ty(0)?.sizes().ok()?;
    let mut patch = at.patch();
    let input = at.input(0)?;
    let mut parts = Vec::new();
    for (start, len) in runs(at)? {
        parts.push(patch.try_add(Slice::along(&sizes, axis, start, len), [input]).ok()?);
    }
    let joined = if parts.len() == 1 { parts[0] } else { patch.add(Concat { axis }, parts) };
    let shaped = reshaped(&mut patch, joined, &at.output_ty().sizes().ok()?);
    Some(patch.replace(at.output(), shaped))
}

/// As many values as XNNPACK joins at once.
const AT_ONCE: usize = 5;

/// Indices as the one axis of i32 that EMBEDDING_LOOKUP takes. Each is one of `rows`, so that none is lost.
fn as_row(patch: &mut Patch<'_>, indices: ValueId, rows: usize) -> Option<ValueId> {
    i32::try_from(rows).ok()?;
    let count = patch.ty(indices).count().ok()?;
    let row = reshaped(patch, indices, &[count]);
    Some(match patch.ty(row).dtype {
        DType::I32 => row,
        _ => patch.add(Cast { dtype: DType::I32 }, [row]),
    })
}

/// `embedding(table, i)  =>  reshape(embedding(table, i as one axis of i32))`
fn embedding_of_a_row(at: Site<'_>) -> Option<Patch<'_>> {
    let Embedding {} = at.op()?;
    let (table, indices) = (at.input(0)?, at.input(1)?);
    let rows = *at.input_ty(0)?.sizes().ok()?.first()?;
    let mut patch = at.patch();
    let row = as_row(&mut patch, indices, rows)?;
    if row == indices {
        return None;
    }
    let looked_up = patch.add(Embedding {}, [table, row]);
    let shaped = reshaped(&mut patch, looked_up, &at.output_ty().sizes().ok()?);
    Some(patch.replace(at.output(), shaped))
}

/// `gather(x, i) { axis = a }  =>  embedding(x with a in front, the other axes as one, i)`, with a in its place again
fn gather_as_embedding(at: Site<'_>) -> Option<Patch<'_>> {
    let &Gather { axis, batch: 0 } = at.op()? else { return None };
    // A few slices are joined by XNNPACK, which has no lookup.
    if runs(at).is_some_and(|runs| runs.len() <= AT_ONCE) {
        return None;
    }
    let sizes = at.input_ty(0)?.sizes().ok()?;
    let (before, after): (usize, usize) =
        (sizes[..axis].iter().product(), sizes[axis + 1..].iter().product());
    let mut patch = at.patch();
    let mut table = at.input(0)?;
    // Axes before and after are one each, so that three are enough.
    let front = Order::new(vec![1, 0, 2]).ok()?;
    if before > 1 {
        table = reshaped(&mut patch, table, &[before, sizes[axis], after]);
        table = patch.add(Transpose { order: front.clone() }, [table]);
    }
    table = reshaped(&mut patch, table, &[sizes[axis], before * after]);
    let row = as_row(&mut patch, at.input(1)?, sizes[axis])?;
    let count = patch.ty(row).count().ok()?;
    let mut value = patch.add(Embedding {}, [table, row]);
    if before > 1 {
        value = reshaped(&mut patch, value, &[count, before, after]);
        value = patch.add(Transpose { order: front }, [value]);
    }
    let shaped = reshaped(&mut patch, value, &at.output_ty().sizes().ok()?);
    Some(patch.replace(at.output(), shaped))
}

/// `gather(x, i) { batches together }  =>  gather(x with batches and axis as one, i + n · batch)`, where the axis follows
/// the batches and has `n` places
fn gather_of_batches(at: Site<'_>) -> Option<Patch<'_>> {
    let &Gather { axis, batch } = at.op()?;
    let (sizes, indices) = (at.input_ty(0)?.sizes().ok()?, at.input_ty(1)?.sizes().ok()?);
    if batch == 0 || axis != batch {
        return None;
    }
    let batches: usize = sizes[..batch].iter().product();
    let places = batches.checked_mul(sizes[axis]).filter(|&n| i32::try_from(n).is_ok())?;
    let each: usize = indices[batch..].iter().product();
    let dtype = at.input_ty(1)?.dtype;
    let mut patch = at.patch();
    let table = reshaped(&mut patch, at.input(0)?, &[&[places], &sizes[axis + 1..]].concat());
    let own = reshaped(&mut patch, at.input(1)?, &[batches, each]);
    let starts = (0..batches).map(|b| (b * sizes[axis]) as i64);
    let starts = patch.constant("starts", Tensor::from_i64s(dtype, &[batches, 1], starts));
    let flat = patch.add(Arithmetic::Add, [own, starts]);
    let flat = reshaped(&mut patch, flat, &[batches * each]);
    let gathered = patch.add(Gather { axis: 0, batch: 0 }, [table, flat]);
    let shaped = reshaped(&mut patch, gathered, &at.output_ty().sizes().ok()?);
    Some(patch.replace(at.output(), shaped))
}
