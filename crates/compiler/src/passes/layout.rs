//! Layout, decided once for the whole graph: which values are stored with their channels last.
//!
//! 1. [`forms`] learns in which orders of stored axes each node can work, starting from the operators that have
//!    no builtin but with channels last, and asking each neighbour how it carries an order through.
//! 2. [`decide`] chooses among the forms by a minimum cut over the bytes that would be transposed.
//! 3. [`apply`] puts every node into its form, with one patch, and tells about each transpose that is left.
//!
//! Before, operands get as many axes as the result ([`align`]); a reshape that flattens an image for a fully
//! connected layer reads any order for nothing, since the weight can be permuted instead ([`weights`]).
//!
//! What is decided is *physical*: whether memory holds channels last. A transpose in the model merely says that
//! one memory has another name on its other side, and costs nothing where both sides agree on the memory.

mod align;
mod apply;
mod channels;
mod cut;
mod decide;
mod forms;
mod weights;

use indexmap::IndexMap;
use ir::{Assumption, Diagnostic, Journal, Leaf, Mismatch, Origin, TensorType, ValueId};

use super::simplify;
use crate::ops::{Graph, Layout, Order, Pass, Patch, Rule, Transpose};

const NAME: &str = "layout::assign";

/// Which inputs and outputs of rank 4 are given with their channels last. Names stay, and so do those of a model that has
/// their channels elsewhere than on axis 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// None: all are as in PyTorch.
    None,
    /// All.
    All,
    /// Images: those that go into operators on images or come of them. The ledger tells of them.
    Images,
}

impl From<Layout> for Ends {
    fn from(layout: Layout) -> Self {
        if layout == Layout::Nhwc { Ends::All } else { Ends::None }
    }
}

/// The kind of the ledger's entry on an image that is given with its channels last; its subject is `input 0`.
pub const CHANNELS_LAST: &str = "channels last";

/// Every operator in a layout that LiteRT has, with as few bytes transposed as possible.
pub fn assign(ends: impl Into<Ends>) -> Pass {
    let ends = ends.into();
    Pass::new(NAME, "decides once which values are stored with their channels last", move |graph, journal| {
        run(graph, journal, ends).map_err(|found| vec![found])
    })
}

fn run(graph: &mut Graph, journal: &mut Journal, ends: Ends) -> Result<(), Diagnostic> {
    let misfit = |m: Mismatch| Diagnostic::bug(format!("{NAME}: {m}"));
    if ends != Ends::None {
        give_channels_last(graph, journal, ends == Ends::Images)?;
    }
    apply_rules(align::RULES, graph, journal)?;
    let forms = decide::decide(graph, forms::find(graph));
    let (patch, decisions) = apply::apply(graph, &forms).map_err(misfit)?;
    journal.decisions.extend(decisions);
    patch.apply(graph, NAME)?;
    apply_rules(weights::RULES, graph, journal)?;
    apply_rules(simplify::TRANSPOSES, graph, journal)
}

fn apply_rules(rules: &'static [Rule], graph: &mut Graph, journal: &mut Journal) -> Result<(), Diagnostic> {
    ir::rules_pass(NAME, "", rules).run(graph, journal).map_err(|mut found| found.remove(0))
}

/// Inputs and outputs of rank 4 change their types, with a transpose behind each input and before each output;
/// the cut then decides what is left of these. With `images`, only those do that meet operators on images.
fn give_channels_last(graph: &mut Graph, journal: &mut Journal, images: bool) -> Result<(), Diagnostic> {
    let misfit = |m: Mismatch| Diagnostic::bug(format!("{NAME}: {m}"));
    let last = Order::channels_last(4);
    let channels = channels::axes(graph);
    let mut stays = |graph: &Graph, value: ValueId| {
        let axis = channels.get(value.index()).copied().flatten().filter(|&axis| axis != 1);
        let ty = graph.ty(value);
        let tells = forms::stored_type(ty, &last).is_some_and(|stored| stored != *ty);
        if let (Some(axis), true) = (axis, tells) {
            let name = &graph.value(value).name;
            journal
                .decisions
                .push(format!("%{name} {ty} stays as in PyTorch: its channels are on axis {axis}"));
        }
        axis.is_some() && tells
    };
    let met: Vec<ValueId> = if images {
        let ends = graph.inputs().iter().chain(graph.outputs()).copied();
        ends.filter(|&value| channels::meets_images(graph, value)).collect()
    } else {
        Vec::new()
    };
    let is_image = |value: ValueId| !images || met.contains(&value);
    let mut ledger = Vec::new();
    let mut note = |what: &str, index: usize, ty: &TensorType| {
        let turned = forms::stored_type(ty, &last).filter(|_| images);
        ledger.extend(turned.map(|turned| Assumption {
            kind: CHANNELS_LAST.into(),
            subject: format!("{what} {index}"),
            reason: format!("{ty} as {turned}: the profile asks for images with their channels last"),
        }));
    };
    let mut given = IndexMap::new();
    for index in 0..graph.inputs().len() {
        let ty = graph.ty(graph.inputs()[index]).clone();
        if stays(graph, graph.inputs()[index]) || !is_image(graph.inputs()[index]) {
            continue;
        }
        if let Some(stored) = forms::stored_type(&ty, &last) {
            note("input", index, &ty);
            let old = graph.replace_input(index, stored);
            given.insert(old, graph.inputs()[index]);
        }
    }
    let mut outputs = graph.outputs().to_vec();
    let mut made = IndexMap::new();
    for (index, output) in outputs.iter_mut().enumerate() {
        if let Some(&input) = given.get(output) {
            note("output", index, graph.ty(*output));
            *output = input;
        } else if graph.ty(*output).rank() == 4 && !stays(graph, *output) && is_image(*output) {
            note("output", index, graph.ty(*output));
            let last = match made.get(output) {
                Some(&last) => last,
                None => output_channels_last(graph, *output).map_err(misfit)?,
            };
            made.insert(*output, last);
            *output = last;
        }
    }
    graph.set_outputs(outputs);
    journal.ledger.extend(ledger);
    let mut patch = Patch::new(graph);
    for (&old, &new) in &given {
        if let Some(&user) = graph.users(old).iter().min() {
            patch.at(user);
            let first = patch.add(Transpose { order: Order::channels_first(4) }, [new]);
            patch.and_replace(old, first);
        }
    }
    patch.finish().apply(graph, NAME)
}

fn output_channels_last(graph: &mut Graph, output: ValueId) -> Result<ValueId, Mismatch> {
    let origin = match graph.producer(output) {
        Some((id, _)) => graph.node(id).origin,
        None => graph.origins.intern(Origin::Leaf(Leaf::default())),
    };
    let name = graph.value(output).name.clone();
    let transpose = Transpose { order: Order::channels_last(4) };
    Ok(graph.add_node(transpose.into(), &[output], &name, origin)?[0])
}
