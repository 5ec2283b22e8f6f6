//! Regions of many axes: operators that pass each other values with more axes than are aimed at.
//!
//! Around a region stand reshapes, or operators that take or leave axes. Where each operator of a region can be said on
//! fewer axes, all are, and the reshapes around it take the place of those that it needs; where one cannot, such as a
//! convolution in three dimensions, the others would only be put between reshapes of their own, and stay as they are.

use ir::NodeId;

use super::Allowed;
use crate::ops::{Graph, Op, Patch, Site};

/// By its index, whether a node is of a region each operator of which can be said as it is allowed.
pub(super) fn sayable(graph: &Graph, constant: &[bool], allowed: Allowed<'_>) -> Vec<bool> {
    let most = allowed.most;
    let many = |value: ir::ValueId| graph.ty(value).rank() > most;
    let is_inner = |id: NodeId| {
        let node = graph.node(id);
        let is_weight = node.outputs.iter().all(|o| constant[o.index()]);
        !is_weight
            && !matches!(node.op, Op::Reshape(_))
            && node.inputs.iter().chain(&node.outputs).any(|&v| many(v))
    };
    let nodes = graph.order().iter().map(|id| id.index() + 1).max().unwrap_or(0);
    let mut regions = Regions { root: (0..nodes).collect() };
    let mut fails = vec![false; nodes];
    let mut trial = Patch::new(graph);
    let nothing = indexmap::IndexMap::new();
    for &id in graph.order().iter().filter(|&&id| is_inner(id)) {
        let node = graph.node(id);
        trial.at(id);
        let is_output = |value: &ir::ValueId| many(*value) && graph.outputs().contains(value);
        let is_input = |value: &ir::ValueId| many(*value) && graph.inputs().contains(value);
        fails[id.index()] = node.outputs.len() != 1
            || node.outputs.iter().any(is_output)
            || node.inputs.iter().any(is_input)
            || super::rewritten(Site::new(graph, id), &mut trial, allowed, &nothing).is_none();
        for &value in node.inputs.iter().filter(|&&v| many(v)) {
            if let Some((maker, _)) = graph.producer(value).filter(|&(maker, _)| is_inner(maker)) {
                regions.join(id.index(), maker.index());
            }
        }
    }
    let mut fails_in = vec![false; nodes];
    for index in (0..nodes).filter(|&index| fails[index]) {
        fails_in[regions.of(index)] = true;
    }
    let mut sayable = vec![false; nodes];
    for &id in graph.order().iter().filter(|&&id| is_inner(id)) {
        sayable[id.index()] = !fails_in[regions.of(id.index())];
    }
    sayable
}

/// Disjoint sets of nodes: a node's root, or one that is nearer to it.
struct Regions {
    root: Vec<usize>,
}

impl Regions {
    /// The node that stands for a node's region.
    fn of(&self, mut node: usize) -> usize {
        while self.root[node] != node {
            node = self.root[node];
        }
        node
    }

    /// Makes one region of those of two nodes.
    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of(one), self.of(other));
        self.root[one.max(other)] = one.min(other);
    }
}
