//! Scales and shifts taken into the weighted operators that alone read their result, be it after transposes and
//! reshapes: `w·(s·x + c) + b` is `(w·s)·x + (b + w·c)`.
//!
//! Weights and biases that come about so are weight expressions; the sums of a bias are made in double precision.

use ir::{ValueId, rules};

use super::norm::WrittenOut;
use super::readers::{Channels, Role, Wanted};
use super::{along, plain, reshaped};
use crate::ops::{Activation, Arithmetic, BroadcastTo, FullyConnected, Op, Patch, Rule, Site, Unary};

pub(super) const RULES: &[Rule] = rules![scale_columns, shift_by_weight];

/// `f(x·s, w)  =>  f(x, w·s)`, where fully connected layers and convolutions alone read the product, and `s` is one
/// number per channel or one for all
fn scale_columns(at: Site<'_>) -> Option<Patch<'_>> {
    Line::of(at, Arithmetic::Mul, &[0, 1])?.by_readers(at)
}

/// `f(x + c, w, b)  =>  f(x, w, b + w·c)` and `f(x − c, w, b)  =>  f(x, w, b − w·c)`, where fully connected layers and
/// convolutions without padding alone read the sum, and `x` is what a norm makes
fn shift_by_weight(at: Site<'_>) -> Option<Patch<'_>> {
    let line = Line::of(at, Arithmetic::Add, &[0, 1]).or_else(|| Line::of(at, Arithmetic::Sub, &[1]))?;
    is_spread(at, at.inputs().iter().position(|&v| v == line.x)?).then(|| line.by_readers(at))?
}

/// Is the value spread round zero in every sample, whatever the input: what a norm makes that neither
/// scales nor shifts itself, moved and scaled?
///
/// Of anything else a shift may cancel nearly all, as of degrees in kelvin, less their mean: `w·(x − c)` has digits then
/// that `w·x − w·c` has lost.
fn is_spread(at: Site<'_>, index: usize) -> bool {
    let Some(below) = at.producer(index) else { return false };
    match &below.node().op {
        Op::Transpose(_) | Op::Reshape(_) => is_spread(below, 0),
        Op::LayerNorm(_) => below.inputs().len() == 1,
        op if *op == plain(Arithmetic::Mul).into() && below.is_constant(0) => is_spread(below, 1),
        op if *op == plain(Arithmetic::Mul).into() && below.is_constant(1) => is_spread(below, 0),
        _ => WrittenOut::ending(below).is_some(),
    }
}

/// A value with one constant number per channel added, taken off, or times it: one for all where channels have no axis.
struct Line {
    function: Arithmetic,
    x: ValueId,
    number: ValueId,
    channels: Channels,
}

impl Line {
    /// A binary operator of this function, one of whose operands on these sides is the line's constant.
    fn of(at: Site<'_>, function: Arithmetic, sides: &[usize]) -> Option<Self> {
        let (ty, graph) = (at.output_ty(), at.graph());
        if at.op() != Some(&plain(function)) || !ty.dtype.is_float() {
            return None;
        }
        sides.iter().find_map(|&side| {
            let (x, number) = (at.inputs()[1 - side], at.inputs()[side]);
            let fits = graph.is_constant(number) && !graph.is_constant(x) && graph.ty(x) == ty;
            let channels = Channels::of(graph.ty(number), ty.rank()).filter(|_| fits)?;
            Some(Line { function, x, number, channels })
        })
    }

    /// Every reader with the line taken in, or behind it what the line is then: the next that is taken in.
    fn by_readers<'g>(&self, at: Site<'g>) -> Option<Patch<'g>> {
        let shifts = self.function != Arithmetic::Mul;
        // Only what moves elements: parts that are padded or joined have no shift, and `fuse` took factors past them.
        let passed_by = |op: &Op| matches!(op, Op::Transpose(_) | Op::Reshape(_));
        let readers = Wanted { shifts, passed_by, most: usize::MAX }.readers(at, self.channels)?;
        let mut patch = at.patch();
        for reader in readers.iter().filter(|reader| reader.value == at.output()) {
            let (site, op) = (reader.site, reader.site.node().op.clone());
            patch.at(site.id());
            patch.consume(&at);
            let result = match reader.role {
                Role::Passes(Channels(axis)) => {
                    let moved = patch.add(op, [self.x]);
                    let rank = patch.ty(moved).rank();
                    let number = along(&mut patch, self.number, axis, rank);
                    patch.add(plain(self.function), [moved, number])
                }
                Role::Takes { column } if shifts => {
                    let bias = self.shifted_bias(&mut patch, site, column)?;
                    patch.add(op, [self.x, site.inputs()[1], bias])
                }
                Role::Takes { column } => {
                    let weight = self.scaled_weight(&mut patch, site, column);
                    patch.add(op, [self.x, weight].into_iter().chain(site.input(2)))
                }
            };
            patch.and_replace(site.output(), result);
        }
        Some(patch)
    }

    /// `w·s`
    fn scaled_weight(&self, patch: &mut Patch<'_>, site: Site<'_>, column: usize) -> ValueId {
        let weight = site.inputs()[1];
        let rank = patch.ty(weight).rank();
        // Before a matrix, a row needs no axis in front.
        let spared = usize::from(rank == 2);
        let row = along(patch, self.number, Some(column - spared), rank - spared);
        patch.add(plain(Arithmetic::Mul), [weight, row])
    }

    /// `b + w·c` or `b − w·c`
    fn shifted_bias(&self, patch: &mut Patch<'_>, site: Site<'_>, column: usize) -> Option<ValueId> {
        let weight = site.inputs()[1];
        let sizes = patch.ty(weight).sizes().ok()?;
        let (rows, window) = (sizes[0], sizes[1..].to_vec());
        let count = window.iter().product();
        let mut row = along(patch, self.number, Some(column - 1), window.len());
        if patch.ty(row).sizes().ok()? != window {
            row = patch.add(BroadcastTo { sizes: window }, [row]);
        }
        let matrix = reshaped(patch, weight, vec![rows, count]);
        let row = reshaped(patch, row, vec![count]);
        let shift = patch.add(FullyConnected { activation: Activation::None }, [row, matrix]);
        Some(match (site.input(2), self.function) {
            (None, Arithmetic::Add) => shift,
            (None, _) => patch.add(Unary::Neg, [shift]),
            (Some(bias), function) => patch.add(plain(function), [bias, shift]),
        })
    }
}
