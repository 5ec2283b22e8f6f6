//! What is there twice is kept once: equal constants, and equal operators on equal operands.

use indexmap::IndexMap;
use ir::{Constant, Diagnostic, NodeId, Operator, Site, ValueId};

use crate::ops::{Graph, Pass, Patch};

const NAME: &str = "dedupe";

/// Merges equal constants (tied weights among them) and equal nodes. What is left of equal nodes tells the lines
/// of all of them.
pub fn equals() -> Pass {
    Pass::new(NAME, "keep equal constants and equal operators once", |graph, _| {
        merge(graph).map_err(|found| vec![found])
    })
}

fn merge(graph: &mut Graph) -> Result<(), Diagnostic> {
    let mut kept: IndexMap<ValueId, ValueId> = IndexMap::new();
    equal_constants(graph, &mut kept);
    let groups = equal_nodes(graph, &mut kept);
    let mut patch = Patch::new(graph);
    for (&old, &new) in kept.iter().filter(|&(&old, _)| graph.constant(old).is_some()) {
        patch.and_replace(old, new);
    }
    for group in groups.iter().filter(|g| g.len() > 1) {
        let node = graph.node(group[0]);
        patch.at(group[0]);
        for &other in &group[1..] {
            patch.consume(&Site::new(graph, other));
        }
        let inputs: Vec<ValueId> = node.inputs.iter().map(|&v| first(&kept, v)).collect();
        let merged = patch.add_all(node.op.clone(), inputs);
        for &member in group {
            for (&old, &new) in graph.node(member).outputs.iter().zip(&merged) {
                patch.and_replace(old, new);
            }
        }
    }
    patch.finish().apply(graph, NAME)
}

/// The value that stands for this one.
fn first(kept: &IndexMap<ValueId, ValueId>, value: ValueId) -> ValueId {
    kept.get(&value).copied().unwrap_or(value)
}

/// For each constant that equals an earlier one, that one.
fn equal_constants(graph: &Graph, kept: &mut IndexMap<ValueId, ValueId>) {
    let mut seen: IndexMap<String, Vec<(ValueId, &Constant)>> = IndexMap::new();
    for value in graph.value_ids() {
        let Some(constant) = graph.constant(value) else { continue };
        let alike = seen.entry(constant.likeness()).or_default();
        // A file that cannot be read is told where it is written.
        let same = |(v, c): &&(ValueId, &Constant)| {
            graph.ty(*v) == graph.ty(value) && c.equals(constant).unwrap_or(false)
        };
        match alike.iter().find(same) {
            Some(&(earlier, _)) => {
                kept.insert(value, earlier);
            }
            None => alike.push((value, constant)),
        }
    }
}

/// The nodes in groups of equals, in order.
fn equal_nodes(graph: &Graph, kept: &mut IndexMap<ValueId, ValueId>) -> Vec<Vec<NodeId>> {
    let mut groups: IndexMap<(&str, String, Vec<ValueId>), Vec<NodeId>> = IndexMap::new();
    for (id, node) in graph.nodes() {
        let inputs = node.inputs.iter().map(|&v| first(kept, v)).collect();
        let group = groups.entry((node.op.name(), node.op.attributes().to_string(), inputs)).or_default();
        // An attribute that is NaN equals none, and types may differ in what is not an attribute.
        let same = |&earlier: &NodeId| {
            let other = graph.node(earlier);
            other.op == node.op && graph.types(&other.outputs) == graph.types(&node.outputs)
        };
        if let Some(&earlier) = group.first() {
            if !same(&earlier) {
                continue;
            }
            for (&old, &new) in node.outputs.iter().zip(&graph.node(earlier).outputs) {
                kept.insert(old, new);
            }
        }
        group.push(id);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use ir::{DType, FileRange, Journal, Origins, Storage};

    use super::*;

    struct Entry(u8);

    impl Storage for Entry {
        fn read_at(&self, _: u64, into: &mut [u8]) -> io::Result<()> {
            into.fill(self.0);
            Ok(())
        }
    }

    #[test]
    fn entries_of_a_file_are_one_where_their_bytes_are() {
        let mut graph = Graph::new("forward", Origins::default());
        let mut weight = |name: &str, byte| {
            graph.add_constant(
                name,
                Constant::Range(Arc::new(FileRange {
                    storage: Arc::new(Entry(byte)),
                    base: 0,
                    dtype: DType::F32,
                    sizes: vec![3],
                    strides: vec![1],
                    quant: None,
                    fingerprint: name.into(),
                    checksum: Some("of all".into()),
                })),
            )
        };
        let (first, twin, other) = (weight("first", 1), weight("twin", 1), weight("other", 2));
        graph.set_outputs(vec![first, twin, other]);
        equals().run(&mut graph, &mut Journal::default()).unwrap();
        assert_eq!(graph.outputs(), [first, first, other]);
    }
}
