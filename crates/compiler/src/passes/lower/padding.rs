//! Pads without their builtins: the elements that stand in the padding are copied.

use ir::{DType, Tensor, ValueId, rules};

use crate::ops::{Concat, Gather, Pad, PadMode, Padding, Patch, Rule, Site, Slice};

pub(super) const RULES: &[Rule] = rules![pad_as_gathers, pad_as_concat, pad_as_constants];

/// The most elements of a constant that stands for padding.
const MOST: usize = 1 << 22;

/// `pad(x) { reflect | replicate | circular }  =>  gather(x, sources)` along each axis
fn pad_as_gathers(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Pad = at.op()?;
    let sizes = at.input_ty(0)?.sizes().ok()?;
    if op.mode == PadMode::Constant {
        return None;
    }
    let mut patch = at.patch();
    let mut x = at.input(0)?;
    for (axis, &size) in sizes.iter().enumerate() {
        let Padding { before, after } = op.padding[axis];
        if before + after == 0 {
            continue;
        }
        if before + size + after > MOST {
            return None;
        }
        let sources = (0..before + size + after).map(|i| i32::try_from(op.source(axis, i, size)?).ok());
        let sources: Vec<i32> = sources.collect::<Option<_>>()?;
        let index = patch.constant("index", Tensor::new(&[sources.len()], &sources));
        x = patch.add(Gather { axis, batch: 0 }, [x, index]);
    }
    Some(patch.replace(at.output(), x))
}

/// As many values as XNNPACK joins at once, so that this stays the better form.
const AT_ONCE: usize = 5;

/// `pad(x) { replicate | circular }  =>  concat(slice(x), …, x, slice(x), …)` along each axis
fn pad_as_concat(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Pad = at.op()?;
    let mut patch = at.patch();
    let mut x = at.input(0)?;
    for (axis, &Padding { before, after }) in op.padding.iter().enumerate() {
        if before + after == 0 {
            continue;
        }
        let sizes = patch.ty(x).sizes().ok()?;
        let size = sizes[axis];
        let part = |patch: &mut Patch<'_>, start: usize, len: usize| {
            patch.add(Slice::along(&sizes, axis, start, len), [x])
        };
        let parts: Vec<ValueId> = match op.mode {
            PadMode::Circular => {
                let head = (before > 0).then(|| part(&mut patch, size - before, before));
                let tail = (after > 0).then(|| part(&mut patch, 0, after));
                head.into_iter().chain([x]).chain(tail).collect()
            }
            PadMode::Replicate if before + after < AT_ONCE => {
                let first = (before > 0).then(|| part(&mut patch, 0, 1));
                let last = (after > 0).then(|| part(&mut patch, size - 1, 1));
                let repeat = |v: Option<ValueId>, n: usize| v.into_iter().flat_map(move |v| vec![v; n]);
                repeat(first, before).chain([x]).chain(repeat(last, after)).collect()
            }
            _ => return None,
        };
        x = patch.add(Concat { axis }, parts);
    }
    Some(patch.replace(at.output(), x))
}

/// `pad(x, c)  =>  concat(c…, x, c…)` along each axis
fn pad_as_constants(at: Site<'_>) -> Option<Patch<'_>> {
    let op: &Pad = at.op()?;
    let dtype = at.output_ty().dtype;
    let known = matches!(dtype, DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::Bool);
    if op.mode != PadMode::Constant || !known {
        return None;
    }
    let mut patch = at.patch();
    let mut x = at.input(0)?;
    for (axis, &Padding { before, after }) in op.padding.iter().enumerate() {
        let mut parts = vec![x];
        for (len, place) in [(before, 0), (after, usize::from(before > 0) + 1)] {
            if len == 0 {
                continue;
            }
            let mut sizes = patch.ty(x).sizes().ok()?;
            sizes[axis] = len;
            let count = sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s)).filter(|&n| n <= MOST)?;
            let block = Tensor::from_f64s(dtype, &sizes, std::iter::repeat_n(op.value, count));
            let block = patch.constant("padding", block);
            parts.insert(place, block);
        }
        if parts.len() > 1 {
            x = patch.add(Concat { axis }, parts);
        }
    }
    Some(patch.replace(at.output(), x))
}
