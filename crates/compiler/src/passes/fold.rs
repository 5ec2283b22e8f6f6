//! Constants computed at once where they are small; large ones stay weight expressions that the writer streams.

use ir::{Journal, NodeId, Tensor};

use crate::evaluate::Expressions;
use crate::ops::{Graph, Pass, Patch};

/// Results of at most this many bytes are computed at once.
const SMALL: usize = 16 << 10;

/// Operands of more bytes than this are not read for the sake of a small result.
const READ: usize = 64 << 20;

/// Computes what depends on no input of the graph, where the result is small.
pub fn constants() -> Pass {
    Pass::new("fold", "compute what depends on no input; large weights stay expressions", |graph, journal| {
        fold(graph, journal).map_err(|d| vec![d])
    })
}

/// Every small constant value that something at run time or a large expression reads is computed in one go: inner
/// values of a constant expression are not constants of their own.
fn fold(graph: &mut Graph, journal: &mut Journal) -> Result<(), ir::Diagnostic> {
    let constant = graph.constness();
    let bytes = |graph: &Graph, v: ir::ValueId| graph.ty(v).bytes().unwrap_or(usize::MAX);
    let foldable = |graph: &Graph, id: NodeId| {
        let node = graph.node(id);
        let read: usize = node.inputs.iter().map(|&v| bytes(graph, v)).fold(0, usize::saturating_add);
        node.outputs.iter().all(|&o| constant[o.index()] && bytes(graph, o) <= SMALL) && read <= READ
    };
    let mut found: Vec<(NodeId, Vec<(ir::ValueId, Tensor)>)> = Vec::new();
    let expressions = Expressions::new(graph);
    for (id, node) in graph.nodes() {
        let wanted = |&&o: &&ir::ValueId| {
            let outside = graph.outputs().contains(&o) || graph.users(o).iter().any(|&u| !foldable(graph, u));
            outside && graph.use_count(o) > 0
        };
        if !foldable(graph, id) {
            continue;
        }
        let results: Result<Vec<_>, ir::Diagnostic> =
            node.outputs.iter().filter(wanted).map(|&o| Ok((o, expressions.tensor(o)?))).collect();
        match results {
            Ok(results) if !results.is_empty() => found.push((id, results)),
            // What the evaluator lacks stays as it is; the target may run it.
            Err(d) if d.code != crate::evaluate::NOT_EVALUATED => return Err(d),
            _ => {}
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    *journal.firings.entry("fold").or_default() += found.len();
    let mut patch = Patch::new(graph);
    for (id, results) in found {
        patch.at(id);
        for (old, tensor) in results {
            let name = &graph.value(graph.largest_constant(old).unwrap_or(old)).name;
            let new = patch.constant(name, tensor);
            patch.and_replace(old, new);
        }
    }
    let patch = patch.finish();
    patch.apply(graph, "fold")
}
