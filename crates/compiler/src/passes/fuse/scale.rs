//! Constant factors that meet, and those that go into the weights of all that read them.

use indexmap::IndexMap;
use ir::{DType, Tensor, ValueId};

use super::readers::{Channels, Reader, Role, Wanted};
use super::{along, plain};
use crate::ops::{Arithmetic, Binary, Concat, Op, Patch, Site};
use crate::passes::simplify::is_power_of_two;

/// The largest factor whose numbers are looked at, in elements.
const LOOKED_AT: usize = 1 << 16;

/// The numbers of a constant factor that is small: zero, or of full precision.
fn factor(at: Site<'_>, index: usize) -> Option<Tensor> {
    let constant = at.constant(index).filter(|c| c.dtype() == DType::F32)?;
    if constant.sizes().iter().product::<usize>() > LOOKED_AT {
        return None;
    }
    constant.read().ok().filter(is_precise)
}

fn is_precise(factor: &Tensor) -> bool {
    factor.as_slice::<f32>().iter().all(|x| x.is_normal() || *x == 0.0)
}

/// The constant factor of a product, and the index of what it scales.
fn scaled(at: Site<'_>) -> Option<(Tensor, usize)> {
    let binary: &Binary = at.op()?;
    if *binary != plain(Arithmetic::Mul) {
        return None;
    }
    [(0, 1), (1, 0)].into_iter().find_map(|(x, by)| {
        (at.input_ty(x)? == at.output_ty() && !at.is_constant(x)).then_some((factor(at, by)?, x))
    })
}

/// `(x · a) · b  =>  x · (a · b)`, where the product of the constants is as precise as they are
pub(super) fn merge_factors(at: Site<'_>) -> Option<Patch<'_>> {
    let (outer, x) = scaled(at)?;
    let below = at.sole_producer(x)?;
    let (inner, y) = scaled(below)?;
    let product = Op::from(Arithmetic::Mul).evaluate(&[&inner, &outer])?.pop()?;
    let larger = outer.count().max(inner.count());
    let vanishes = |t: &Tensor| t.as_slice::<f32>().iter().filter(|x| **x == 0.0).count();
    let grown =
        product.count() > larger || (vanishes(&product) > 0 && vanishes(&inner) + vanishes(&outer) == 0);
    if grown || !is_precise(&product) {
        return None;
    }
    let mut patch = at.patch();
    patch.consume(&below);
    let product = patch.constant("factor", product);
    let result = patch.add(plain(Arithmetic::Mul), [below.inputs()[y], product]);
    Some(patch.replace(at.output(), result))
}

/// `conv(f(x · s), w)  =>  conv(f(x), w · s)`, where all that reads the product is convolutions and linear layers,
/// with linear operators `f` of each channel between: padding, resizing, joining channels. `s` is one number, or one
/// for each channel
pub(super) fn scale_into_readers(at: Site<'_>) -> Option<Patch<'_>> {
    let (scale, x) = scaled(at)?;
    into_readers(at.patch(), at, at.inputs()[x], &scale)
}

/// `conv(x · s + c, w)  =>  conv(x + c / s, w · s)` for a power of two `s`, by which nothing is rounded; likewise for
/// differences
pub(super) fn scale_behind_shift(at: Site<'_>) -> Option<Patch<'_>> {
    let binary: &Binary = at.op()?;
    let function = binary.function;
    if *binary != plain(function) || !matches!(function, Arithmetic::Add | Arithmetic::Sub) {
        return None;
    }
    let sides: &[usize] = if function == Arithmetic::Add { &[0, 1] } else { &[0] };
    let (below, shift) = sides.iter().find_map(|&i| Some((at.sole_producer(i)?, factor(at, 1 - i)?)))?;
    let (scale, x) = scaled(below)?;
    let &[s] = scale.as_slice::<f32>() else { return None };
    let moved: Vec<f32> = shift.as_slice::<f32>().iter().map(|c| c / s).collect();
    let exact = moved.iter().zip(shift.as_slice::<f32>()).all(|(m, c)| m * s == *c);
    let moved = Tensor::new(shift.sizes(), &moved);
    if !is_power_of_two(s) || !exact || !is_precise(&moved) || below.output_ty() != at.output_ty() {
        return None;
    }
    let mut patch = at.patch();
    patch.consume(&below);
    let moved = patch.constant("shift", moved);
    let base = patch.add(plain(function), [below.inputs()[x], moved]);
    into_readers(patch, at, base, &scale)
}

/// Factors go past what is linear in each channel. Reshapes are left to `fuse::consumers`: behind them attention reads
/// what a norm scales, and weights that become integers would lose by it.
const FACTORS: Wanted = Wanted {
    shifts: false,
    passed_by: |op| matches!(op, Op::Pad(_) | Op::Resize(_) | Op::Transpose(_) | Op::Concat(_)),
    // More operators are not rebuilt to be rid of one.
    most: 16,
};

/// Adds all that read the output of this site anew, reading `base` for it, with the scale in their weights.
fn into_readers<'g>(mut patch: Patch<'g>, at: Site<'g>, base: ValueId, scale: &Tensor) -> Option<Patch<'g>> {
    let mut readers = FACTORS.readers(at, Channels::of(&scale.ty(), at.output_ty().rank())?)?;
    readers.sort_by_key(|reader| at.graph().order().iter().position(|&id| id == reader.site.id()));
    let mut became = IndexMap::from([(at.output(), (base, scale.as_slice::<f32>().to_vec()))]);
    for reader in &readers {
        let (site, op) = (reader.site, reader.site.node().op.clone());
        let (base, factors) = &became[&reader.value];
        let on_base = |&input: &ValueId| if input == reader.value { *base } else { input };
        let mut inputs: Vec<ValueId> = site.inputs().iter().map(on_base).collect();
        patch.at(site.id());
        match reader.role {
            Role::Passes(_) => {
                let factors = behind(reader, factors)?;
                became.insert(site.output(), (patch.add(op, inputs), factors));
            }
            Role::Takes { column } => {
                patch.consume(&at);
                let factors = patch.constant("scale", Tensor::new(&[factors.len()], factors));
                let rank = patch.ty(inputs[1]).rank();
                let row = along(&mut patch, factors, Some(column), rank);
                inputs[1] = patch.add(plain(Arithmetic::Mul), [inputs[1], row]);
                let result = patch.add(op, inputs);
                patch.and_replace(site.output(), result);
            }
        }
    }
    Some(patch)
}

/// The factors of what a reader passes on: one for each channel where others are joined to them, whose factor is one.
fn behind(reader: &Reader<'_>, factors: &[f32]) -> Option<Vec<f32>> {
    let Op::Concat(Concat { axis }) = reader.site.node().op else { return Some(factors.to_vec()) };
    let mut joined = Vec::new();
    for &part in reader.site.inputs() {
        let own = if part == reader.value { factors } else { &[1.0] };
        joined.extend(own.iter().cycle().take(reader.site.graph().ty(part).sizes().ok()?[axis]));
    }
    Some(joined)
}
