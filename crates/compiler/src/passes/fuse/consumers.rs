//! Scales and shifts taken into the weighted operators that alone read their result, be it after transposes and
//! reshapes: `w·(s·x + c) + b` is `(w·s)·x + (b + w·c)`.
//!
//! Weights and biases that come about so are weight expressions; the sums of a bias are made in double precision.

use ir::{ValueId, rules};

use super::norm::WrittenOut;
use super::{plain, reshaped};
use crate::ops::{
    Activation, Arithmetic, BroadcastTo, Conv2d, FullyConnected, Layout, Op, Padding, Patch, Reshape, Rule,
    Site, Transpose,
};

pub(super) const RULES: &[Rule] = rules![scale_columns, shift_by_weight];

/// A value with one constant number per channel added, or times it: one for all where there is no axis.
struct Line {
    x: ValueId,
    number: ValueId,
    channel: Option<usize>,
}

impl Line {
    /// The operands of a binary operator, one of which is a line's constant.
    fn of(at: Site<'_>, sides: &[usize]) -> Option<Self> {
        sides.iter().find_map(|&side| {
            let (x, number) = (at.input(1 - side)?, at.input(side)?);
            let (ty, graph) = (at.output_ty(), at.graph());
            if !graph.is_constant(number) || graph.is_constant(x) || graph.ty(x) != ty || !ty.dtype.is_float()
            {
                return None;
            }
            let (own, sizes) = (graph.ty(number).sizes().ok()?, ty.sizes().ok()?);
            let lead = sizes.len().checked_sub(own.len())?;
            let mut long = (0..own.len()).filter(|&axis| own[axis] != 1).map(|axis| lead + axis);
            let (channel, more) = (long.next(), long.next());
            let whole = channel.is_none_or(|axis| own[axis - lead] == sizes[axis]);
            (more.is_none() && whole).then_some(Line { x, number, channel })
        })
    }
}

/// What reads a value's channels.
enum Reader<'g> {
    /// A layer that can take a line in.
    Linear,
    /// A convolution that can.
    Convolution(&'g Conv2d),
    /// Something that moves them to another axis, or none where the line has none.
    Moving(Option<usize>),
}

/// How a node reads a value with its channels on this axis. `None` where a line cannot be taken in or past.
fn reader<'g>(user: Site<'g>, value: ValueId, channel: Option<usize>, shifts: bool) -> Option<Reader<'g>> {
    let ty = user.graph().ty(value);
    let weighs = || {
        let constant = (1..user.inputs().len()).all(|i| user.is_constant(i));
        constant && user.input(0) == Some(value) && (shifts || !is_tied(user, user.inputs()[1]))
    };
    let on = |axis: usize| channel.is_none_or(|c| c == axis);
    match &user.node().op {
        Op::FullyConnected(_) => (weighs() && on(ty.rank().checked_sub(1)?)).then_some(Reader::Linear),
        Op::Conv2d(conv) => {
            // Zeros round the image are not shifted.
            let padded = conv.padding != [Padding::default(); 2];
            let fits = conv.layout == Layout::Nchw && conv.groups == 1 && !(shifts && padded);
            (fits && weighs() && on(conv.layout.channel())).then_some(Reader::Convolution(conv))
        }
        Op::Transpose(Transpose { order }) => Some(Reader::Moving(channel.map(|axis| order.position(axis)))),
        Op::Reshape(Reshape { sizes }) => {
            let Some(axis) = channel else { return Some(Reader::Moving(None)) };
            let from = ty.sizes().ok()?;
            let inner = |sizes: &[usize], axis: usize| sizes[axis + 1..].iter().product::<usize>();
            let same = |to: &usize| sizes[*to] == from[axis] && inner(sizes, *to) == inner(&from, axis);
            Some(Reader::Moving(Some((0..sizes.len()).find(same)?)))
        }
        _ => None,
    }
}

/// Do only operators read the value that take a line in, or lead to such?
fn taken_in(at: Site<'_>, value: ValueId, channel: Option<usize>, shifts: bool) -> bool {
    let graph = at.graph();
    let users = graph.users(value);
    let takes = |&user: &ir::NodeId| match reader(Site::new(graph, user), value, channel, shifts) {
        None => false,
        Some(Reader::Linear | Reader::Convolution(_)) => true,
        Some(Reader::Moving(moved)) => taken_in(at, graph.node(user).outputs[0], moved, shifts),
    };
    !users.is_empty() && users.len() == graph.use_count(value) && users.iter().all(takes)
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

/// The number per channel as `sizes`, each of which is 1 but that of the channels; a single number stays one.
fn spread(patch: &mut Patch<'_>, line: &Line, rank: usize, channel: usize) -> ValueId {
    let mut sizes = vec![1; rank];
    sizes[channel] = patch.ty(line.number).count().unwrap_or(1);
    reshaped(patch, line.number, sizes)
}

/// Every reader with the line taken in, or behind it what the line is then.
fn by_readers<'g>(at: Site<'g>, line: &Line, function: Arithmetic) -> Option<Patch<'g>> {
    let (graph, shifts) = (at.graph(), function != Arithmetic::Mul);
    if !taken_in(at, at.output(), line.channel, shifts) {
        return None;
    }
    let mut patch = at.patch();
    for &user in graph.users(at.output()) {
        let user = Site::new(graph, user);
        patch.at(user.id());
        patch.consume(&at);
        let result = match reader(user, at.output(), line.channel, shifts)? {
            Reader::Moving(channel) => {
                let moved = patch.add(user.node().op.clone(), [line.x]);
                let rank = patch.ty(moved).rank();
                let number = spread(&mut patch, line, rank, channel.unwrap_or(rank.saturating_sub(1)));
                patch.add(plain(function), [moved, number])
            }
            Reader::Linear if shifts => shifted_linear(&mut patch, user, line, function)?,
            Reader::Linear => {
                let row = spread(&mut patch, line, 1, 0);
                scaled(&mut patch, user, line, row)
            }
            Reader::Convolution(conv) if shifts => {
                shifted_convolution(&mut patch, user, conv, line, function)?
            }
            Reader::Convolution(conv) => {
                let row = spread(&mut patch, line, 4, conv.layout.channel());
                scaled(&mut patch, user, line, row)
            }
        };
        patch.and_replace(user.output(), result);
    }
    Some(patch)
}

/// Do others read the weight at run time too? A scaled one would be a second copy.
pub(super) fn is_tied(at: Site<'_>, weight: ValueId) -> bool {
    let graph = at.graph();
    let Some(root) = graph.largest_constant(weight) else { return true };
    let Some(constant) = graph.constant(root) else { return true };
    let equals = |&v: &ValueId| {
        let other = graph.constant(v).filter(|_| graph.ty(v) == graph.ty(root));
        other.is_some_and(|other| v == root || other.fingerprint() == constant.fingerprint())
    };
    let at_run_time = |v: ValueId| {
        let users = graph.users(v).iter();
        users.filter(|&&user| !graph.is_constant(graph.node(user).outputs[0])).count()
    };
    graph.value_ids().into_iter().filter(equals).map(at_run_time).sum::<usize>() > 1
}

/// The operator on what is not scaled, by a weight that is.
fn scaled(patch: &mut Patch<'_>, user: Site<'_>, line: &Line, row: ValueId) -> ValueId {
    let weight = patch.add(plain(Arithmetic::Mul), [user.inputs()[1], row]);
    let inputs = [line.x, weight].into_iter().chain(user.input(2));
    patch.add(user.node().op.clone(), inputs)
}

/// `w·c` for one number per input, be it all the same, of a weight of `[outputs, inputs]`.
fn shift_of(patch: &mut Patch<'_>, numbers: ValueId, weight: ValueId) -> Option<ValueId> {
    let columns = patch.ty(weight).sizes().ok()?[1];
    let count = patch.ty(numbers).count().ok()?;
    let row = reshaped(patch, numbers, vec![count]);
    let row = match count == columns {
        true => row,
        false => patch.add(BroadcastTo { sizes: vec![columns] }, [row]),
    };
    Some(patch.add(FullyConnected { activation: Activation::None }, [row, weight]))
}

/// The operator on what is not shifted, with a bias that is.
fn with_bias(
    patch: &mut Patch<'_>,
    user: Site<'_>,
    line: &Line,
    shift: ValueId,
    function: Arithmetic,
) -> ValueId {
    let bias = match (user.input(2), function) {
        (None, Arithmetic::Add) => shift,
        (None, _) => patch.add(crate::ops::Unary::Neg, [shift]),
        (Some(bias), _) => patch.add(plain(function), [bias, shift]),
    };
    patch.add(user.node().op.clone(), [line.x, user.inputs()[1], bias])
}

fn shifted_linear(
    patch: &mut Patch<'_>,
    user: Site<'_>,
    line: &Line,
    function: Arithmetic,
) -> Option<ValueId> {
    let shift = shift_of(patch, line.number, user.inputs()[1])?;
    Some(with_bias(patch, user, line, shift, function))
}

fn shifted_convolution(
    patch: &mut Patch<'_>,
    user: Site<'_>,
    conv: &Conv2d,
    line: &Line,
    function: Arithmetic,
) -> Option<ValueId> {
    let weight = user.inputs()[1];
    let sizes = patch.ty(weight).sizes().ok()?;
    let window = sizes[1..].to_vec();
    let numbers = spread(patch, line, 3, conv.layout.channel() - 1);
    let numbers = patch.add(BroadcastTo { sizes: window.clone() }, [numbers]);
    let matrix = reshaped(patch, weight, vec![sizes[0], window.iter().product()]);
    let shift = shift_of(patch, numbers, matrix)?;
    Some(with_bias(patch, user, line, shift, function))
}

/// `f(x·s, w)  =>  f(x, w·s)`, where fully connected layers and convolutions alone read the product, and `s` is one
/// number per channel or one for all
fn scale_columns(at: Site<'_>) -> Option<Patch<'_>> {
    let function = Arithmetic::Mul;
    (at.op() == Some(&plain(function))).then(|| by_readers(at, &Line::of(at, &[0, 1])?, function))?
}

/// `f(x + c, w, b)  =>  f(x, w, b + w·c)` and `f(x − c, w, b)  =>  f(x, w, b − w·c)`, where fully connected layers and
/// convolutions without padding alone read the sum, and `x` is what a norm makes
fn shift_by_weight(at: Site<'_>) -> Option<Patch<'_>> {
    let function = [Arithmetic::Add, Arithmetic::Sub].into_iter().find(|&f| at.op() == Some(&plain(f)))?;
    let sides: &[usize] = if function == Arithmetic::Add { &[0, 1] } else { &[1] };
    let line = Line::of(at, sides)?;
    let index = at.inputs().iter().position(|&v| v == line.x)?;
    is_spread(at, index).then(|| by_readers(at, &line, function))?
}
