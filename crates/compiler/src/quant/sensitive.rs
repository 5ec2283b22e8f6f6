//! Weights that cost more by being rounded than they save: the heads of a network, and its small layers.

use indexmap::{IndexMap, IndexSet};
use ir::ValueId;

use super::weighted::{Kind, Reading};
use crate::ops::Graph;

/// How much of a network a layer is, from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Of the elements of all weights.
    pub(super) elements: f64,
    /// Of all multiplications by weights.
    pub(super) products: f64,
}

/// The smallest weights, as many as together are at most this part of all elements.
///
/// Each layer adds about as much noise, whatever its size: of a U-Net most comes from the few weights at full resolution.
pub(super) fn small(
    graph: &Graph,
    weights: &IndexMap<ValueId, Vec<Reading>>,
    part: f64,
) -> IndexSet<ValueId> {
    let of_elements = |readings: &Vec<Reading>| readings.iter().all(|r| r.kind == Kind::Elements);
    let weights = weights.iter().filter(|(_, readings)| !of_elements(readings));
    let mut sizes: Vec<(usize, ValueId)> =
        weights.map(|(&weight, _)| (graph.ty(weight).count().unwrap_or(0), weight)).collect();
    sizes.sort_unstable();
    let most = part * sizes.iter().map(|(count, _)| *count as f64).sum::<f64>();
    let mut held = 0.0;
    let fits = |&(count, _): &(usize, ValueId)| {
        held += count as f64;
        held <= most
    };
    sizes.into_iter().take_while(fits).map(|(_, weight)| weight).collect()
}

/// The weights of layers that stand behind others and before none: no layer evens out what their rounding costs.
pub(super) fn heads(graph: &Graph, weights: &IndexMap<ValueId, Vec<Reading>>) -> IndexMap<ValueId, Share> {
    let is_layer = |r: &&Reading| !matches!(r.kind, Kind::Table | Kind::Elements);
    let mut layers: IndexMap<ValueId, f64> = IndexMap::new();
    let mut layer = vec![false; graph.next_node()];
    for (&weight, readings) in weights {
        for reading in readings.iter().filter(is_layer) {
            layer[reading.node.index()] = true;
            *layers.entry(weight).or_default() += products(graph, weight, reading);
        }
    }
    let count = |v: ValueId| graph.ty(v).count().unwrap_or(0) as f64;
    let (elements, all) = (weights.keys().map(|&w| count(w)).sum::<f64>(), layers.values().sum::<f64>());
    let (before, behind) = (reached(graph, &layer), reaching(graph, &layer));
    let makes_output = |reading: &Reading| {
        let node = graph.node(reading.node);
        node.inputs.iter().any(|v| before[v.index()]) && !node.outputs.iter().any(|v| behind[v.index()])
    };
    layers.retain(|weight, _| weights[weight].iter().all(makes_output));
    let share = |(weight, own): (ValueId, f64)| {
        (weight, Share { elements: count(weight) / elements, products: own / all })
    };
    layers.into_iter().map(share).collect()
}

/// Each element of the result takes one product for each element of a channel of the weight.
fn products(graph: &Graph, weight: ValueId, reading: &Reading) -> f64 {
    let count = |v: ValueId| graph.ty(v).count().unwrap_or(0) as f64;
    let channels = graph.ty(weight).sizes().map_or(1, |sizes| sizes[reading.axis].max(1));
    count(graph.node(reading.node).outputs[0]) * count(weight) / channels as f64
}

/// For each value, by index: does it come from such a node? `of` says it of each node, by index.
fn reached(graph: &Graph, of: &[bool]) -> Vec<bool> {
    let mut from = vec![false; graph.next_value()];
    for (id, node) in graph.nodes() {
        let any = of[id.index()] || node.inputs.iter().any(|v| from[v.index()]);
        node.outputs.iter().for_each(|v| from[v.index()] = any);
    }
    from
}

/// For each value, by index: does such a node come from it?
fn reaching(graph: &Graph, of: &[bool]) -> Vec<bool> {
    let mut to = vec![false; graph.next_value()];
    for &id in graph.order().iter().rev() {
        let node = graph.node(id);
        let any = of[id.index()] || node.outputs.iter().any(|v| to[v.index()]);
        node.inputs.iter().filter(|_| any).for_each(|v| to[v.index()] = true);
    }
    to
}
