//! Constant factors that meet, and those that go into the weights of all that read them.

use indexmap::IndexMap;
use ir::{DType, Tensor, ValueId};

use super::consumers::is_tied;
use super::{plain, reshaped};
use crate::ops::{Arithmetic, Binary, Op, Patch, Site};
use crate::passes::simplify::is_power_of_two;

/// The largest factor whose numbers are looked at, in elements.
const LOOKED_AT: usize = 1 << 16;

/// More operators than this are not rebuilt to be rid of one.
const MOST: usize = 16;

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
    let mut patch = at.patch();
    let base = at.inputs()[x];
    Scaled::of(at, &scale)?.rebuilt(&mut patch, at, base)?;
    Some(patch)
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
    let scaled = Scaled::of(at, &scale)?;
    let mut patch = at.patch();
    patch.consume(&below);
    let moved = patch.constant("shift", moved);
    let base = patch.add(plain(function), [below.inputs()[x], moved]);
    scaled.rebuilt(&mut patch, at, base)?;
    Some(patch)
}

/// What reads a scaled value, down to weights that can take the scale.
struct Scaled<'g> {
    /// The scale of each scaled value's channels.
    values: IndexMap<ValueId, Channels>,
    /// The readers, in the order of the graph.
    readers: Vec<Site<'g>>,
}

/// A factor for each channel of a value, along one axis; one number is for all of any axis.
#[derive(Clone, PartialEq)]
struct Channels {
    axis: Option<usize>,
    factors: Vec<f32>,
}

impl<'g> Scaled<'g> {
    /// What reads the output of this site, if it were scaled so. `None` where the scale cannot be taken by weights.
    fn of(at: Site<'g>, scale: &Tensor) -> Option<Self> {
        let graph = at.graph();
        let mut scaled = Scaled { values: IndexMap::new(), readers: Vec::new() };
        scaled.values.insert(at.output(), Channels::of(scale, at.output_ty().rank())?);
        let mut next = 0;
        while let Some((&value, channels)) = scaled.values.get_index(next) {
            let channels = channels.clone();
            next += 1;
            if graph.outputs().contains(&value) || scaled.readers.len() > MOST {
                return None;
            }
            for &user in graph.users(value) {
                let reader = Site::new(graph, user);
                // What reads it twice, or reads two scaled values, is not looked into.
                if scaled.readers.iter().any(|r| r.id() == user)
                    || reader.inputs().iter().filter(|v| **v == value).count() != 1
                {
                    return None;
                }
                if !is_weighted(reader, value, &channels) {
                    let behind = channels.behind(reader, value)?;
                    scaled.values.insert(reader.output(), behind);
                }
                scaled.readers.push(reader);
            }
        }
        let weighted = scaled.readers.iter().any(|r| !scaled.values.contains_key(&r.output()));
        let place = |site: &Site<'g>| graph.order().iter().position(|&id| id == site.id());
        scaled.readers.sort_by_key(place);
        weighted.then_some(scaled)
    }

    /// Adds the readers anew, reading `base` for the output of `at`.
    fn rebuilt(&self, patch: &mut Patch<'g>, at: Site<'g>, base: ValueId) -> Option<()> {
        let mut became = IndexMap::from([(at.output(), base)]);
        for reader in &self.readers {
            patch.at(reader.id());
            let (index, channels) =
                reader.inputs().iter().enumerate().find_map(|(i, v)| Some((i, self.values.get(v)?)))?;
            let mut inputs = reader.inputs().to_vec();
            inputs[index] = became[&inputs[index]];
            let old = reader.output();
            if self.values.contains_key(&old) {
                became.insert(old, patch.add(reader.node().op.clone(), inputs));
                continue;
            }
            patch.consume(&at);
            let mut sizes = vec![1; patch.ty(inputs[1]).rank()];
            let column = match &reader.node().op {
                Op::Conv2d(conv) => conv.layout.channel(),
                _ => 1,
            };
            sizes[column] = channels.factors.len();
            let factors = patch.constant("scale", Tensor::new(&[channels.factors.len()], &channels.factors));
            let factors = reshaped(patch, factors, sizes);
            inputs[1] = patch.add(plain(Arithmetic::Mul), [inputs[1], factors]);
            let result = patch.add(reader.node().op.clone(), inputs);
            patch.and_replace(old, result);
        }
        Some(())
    }
}

/// Does a weight of this reader, and of no other, have a column for each channel of the value?
fn is_weighted(reader: Site<'_>, value: ValueId, channels: &Channels) -> bool {
    let constant = (1..reader.inputs().len()).all(|i| reader.is_constant(i));
    let axis = match &reader.node().op {
        Op::Conv2d(conv) if conv.groups == 1 => conv.layout.channel(),
        Op::FullyConnected(_) => reader.graph().ty(value).rank() - 1,
        _ => return false,
    };
    constant
        && reader.inputs()[0] == value
        && channels.axis.is_none_or(|a| a == axis)
        && !is_tied(reader, reader.inputs()[1])
}

impl Channels {
    /// The factors of a scale that broadcasts with a value of this rank.
    fn of(scale: &Tensor, rank: usize) -> Option<Self> {
        let lead = rank.checked_sub(scale.sizes().len())?;
        let mut wide = (0..scale.sizes().len()).filter(|&a| scale.sizes()[a] != 1);
        let axis = wide.next().map(|a| lead + a);
        wide.next().is_none().then(|| Channels { axis, factors: scale.as_slice::<f32>().to_vec() })
    }

    /// The factors of what a linear operator makes of a value with these.
    fn behind(&self, reader: Site<'_>, value: ValueId) -> Option<Self> {
        let own = |axis: usize| self.axis.is_none_or(|a| a == axis);
        match &reader.node().op {
            Op::Pad(pad) => {
                let keeps = self.axis.is_none_or(|a| pad.padding[a] == Default::default());
                (keeps && (pad.mode != crate::ops::PadMode::Constant || pad.value == 0.0))
                    .then(|| self.clone())
            }
            Op::Resize(resize) => own(resize.layout.channel()).then(|| self.clone()),
            Op::Transpose(transpose) => {
                let axis = match self.axis {
                    None => None,
                    Some(axis) => Some(transpose.order.axes().iter().position(|&a| a == axis)?),
                };
                Some(Channels { axis, ..self.clone() })
            }
            Op::Concat(concat) if own(concat.axis) => {
                let mut factors = Vec::new();
                for &part in reader.inputs() {
                    let count = reader.graph().ty(part).sizes().ok()?[concat.axis];
                    match part == value {
                        true if self.axis.is_some() => factors.extend(&self.factors),
                        true => factors.extend(std::iter::repeat_n(self.factors[0], count)),
                        false => factors.extend(std::iter::repeat_n(1.0, count)),
                    }
                }
                Some(Channels { axis: Some(concat.axis), factors })
            }
            _ => None,
        }
    }
}
