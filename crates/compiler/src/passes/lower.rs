//! Operators that the target lacks, as exact expansions into those it has.
//!
//! Each family of expansions is a file of rules. A rule is tried only on an operator that cannot be spelled within
//! the limits; candidates that need what is forbidden themselves, and cannot be lowered further, are set aside, and
//! the cheapest that is left is taken. What has none is reported by [`super::legalize`].

mod activation;
mod arithmetic;
mod convolution;
mod formula;
mod indexing;
mod matmul;
mod normalization;
mod padding;
mod pooling;
mod reduction;
mod resize;
mod shaping;

use ir::{Diagnostic, Journal, NodeId};

pub(super) use normalization::batch_norm_as_line;

use super::Limits;
use crate::ops::{Graph, Pass, Patch, Rule, Site};

/// Every family.
const FAMILIES: &[&[Rule]] = &[
    activation::RULES,
    arithmetic::RULES,
    convolution::RULES,
    indexing::RULES,
    matmul::RULES,
    normalization::RULES,
    padding::RULES,
    pooling::RULES,
    reduction::RULES,
    resize::RULES,
    shaping::RULES,
];

/// Expands what the target cannot run.
pub fn within(limits: &Limits) -> Pass {
    let limits = limits.clone();
    let mut pass = Pass::new(
        "lower",
        "expand operators that the target lacks into ones that it has",
        move |graph, journal| lower(graph, &limits, journal).map_err(|d| vec![d]),
    );
    pass.rules = FAMILIES.iter().flat_map(|f| f.iter()).map(|r| r.name).collect();
    pass
}

fn lower(graph: &mut Graph, limits: &Limits, journal: &mut Journal) -> Result<(), Diagnostic> {
    for id in wanting(graph, limits, 0) {
        if graph.is_live(id) {
            expand(graph, id, limits, journal, 0)?;
        }
    }
    Ok(())
}

/// The run-time nodes from number `since` on that the target cannot run as they are.
fn wanting(graph: &Graph, limits: &Limits, since: usize) -> Vec<NodeId> {
    let constant = graph.constness();
    graph
        .nodes()
        .filter(|(id, _)| id.index() >= since)
        .filter(|(_, node)| node.outputs.iter().any(|o| !constant[o.index()]))
        .filter(|(_, node)| limits.admit(&node.op, &graph.types(&node.inputs)).is_err())
        .map(|(id, _)| id)
        .collect()
}

/// Deeper than expansions nest; a cycle of expansions ends here.
const DEPTH: usize = 12;

/// Expands a node by its cheapest expansion that leads to operators the target has. `None` where there is none: the
/// graph is as before. The cost is in bytes written.
fn expand(
    graph: &mut Graph,
    id: NodeId,
    limits: &Limits,
    journal: &mut Journal,
    depth: usize,
) -> Result<Option<usize>, Diagnostic> {
    if depth == DEPTH {
        return Ok(None);
    }
    let mut best: Option<(usize, &'static str, Graph)> = None;
    for rule in FAMILIES.iter().flat_map(|f| f.iter()) {
        let Some(patch) = (rule.apply)(Site::new(graph, id)) else { continue };
        let own = own_cost(&patch, limits);
        let since = graph.next_node();
        let patch = patch.finish();
        let mut trial = graph.clone();
        patch.apply(&mut trial, rule.name)?;
        let Some(rest) = expand_all(&mut trial, since, limits, journal, depth)? else { continue };
        let cost = own + rest;
        if best.as_ref().is_none_or(|(least, ..)| cost < *least) {
            best = Some((cost, rule.name, trial));
        }
    }
    let Some((cost, name, trial)) = best else { return Ok(None) };
    *journal.firings.entry(name).or_default() += 1;
    *graph = trial;
    Ok(Some(cost))
}

/// Expands what an expansion itself has made; `None` where part of it leads nowhere.
fn expand_all(
    graph: &mut Graph,
    since: usize,
    limits: &Limits,
    journal: &mut Journal,
    depth: usize,
) -> Result<Option<usize>, Diagnostic> {
    let mut total = 0usize;
    for id in wanting(graph, limits, since) {
        if !graph.is_live(id) {
            continue;
        }
        match expand(graph, id, limits, journal, depth + 1)? {
            Some(cost) => total = total.saturating_add(cost),
            None => return Ok(None),
        }
    }
    Ok(Some(total))
}

/// What a node costs besides the bytes it writes, in bytes: the price of a kernel call.
const NODE: usize = 4096;

/// The bytes that those of the patch's nodes write which stay, and what their calls cost.
fn own_cost(patch: &Patch<'_>, limits: &Limits) -> usize {
    let stays = patch.new_nodes().filter(|(op, inputs, _)| limits.admit(op, inputs).is_ok());
    stays.fold(0usize, |total, (_, _, outputs)| {
        let bytes =
            outputs.iter().map(|ty| ty.bytes().unwrap_or(usize::MAX)).fold(NODE, usize::saturating_add);
        // Tensors above the rank limit need reshapes and transposes round them.
        let penalty = if outputs.iter().all(|ty| limits.admits_rank(ty)) { 1 } else { 4 };
        total.saturating_add(bytes.saturating_mul(penalty))
    })
}
