//! What is said of a graph that has not reached a stage, and of one that is broken; and where nodes come from.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod operators;

use edgewright_ir as ir;
use ir::{DType, Journal, Leaf, Origin, Origins, Pass, Patch, Pipeline, Silent, Stage, TensorType, validate};
use operators::{Op, graph};

fn said(text: &str, stage: Stage) -> Vec<String> {
    validate(&graph(text), stage).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn operators_that_the_target_lacks_are_told_all_at_once_with_their_lines() {
    let text = r#"graph @g(%x: f32[2,3,4]) -> f32[4,3,2], f64[1] {
  %a = turn(%x) {order=[2,1,0]} : f32[4,3,2]  @0
  %w = constant [2.0] : f64[1]
  %b = negate(%w) : f64[1]  @1
  %y = constant [1.0,1.0] : f64[2]
  return %a, %b
}
@0 = m.py:12 in Net.forward, module net.head, aten.permute.default "permute"
@1 = m.py:13 in Net.forward, aten.neg.default "neg"
"#;
    assert!(said(text, Stage::Static).is_empty());
    // What is computed from constants alone is no operator of the target's.
    let found = said(text, Stage::Legal);
    let page = "error[illegal-operator]: the target turns 2 axes at most, not 3\n  --> m.py:12 in Net.forward\n   = \
                module   net.head\n   = node     permute (aten.permute.default)\n";
    assert_eq!(found, [page]);
    let fed =
        text.replace("(%x: f32[2,3,4])", "(%x: f32[2,3,4], %v: f64[1])").replace("negate(%w)", "negate(%v)");
    assert_eq!(said(&fed, Stage::Legal).len(), 2, "both are told in one run");
}

#[test]
fn a_size_that_is_not_a_number_names_its_input() {
    let text = "graph @g(%x: f32[s0,3]) -> f32[s0,3] {\n  return %x\n}\n";
    assert!(said(text, Stage::Any).is_empty());
    let found = said(text, Stage::Static);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("error[unpinned-size]: the input x is f32[s0,3]"), "{}", found[0]);
    assert!(found[0].contains("= help     say --shape x=…"), "{}", found[0]);
}

#[test]
fn a_pass_that_breaks_the_graph_is_a_bug_that_names_it() {
    // The old input has lost its place, and its reader is left on it.
    let breaking = Pass::new("test::break", "", |graph: &mut ir::Graph<Op>, _: &mut Journal| {
        let old = graph.replace_input(0, TensorType::new(DType::F32, &[9]));
        graph.set_outputs(vec![old, graph.outputs()[0]]);
        Ok(())
    });
    let mut graph = graph("graph @g(%x: f32[2]) -> f32[2] {\n  %y = add(%x, %x) : f32[2]\n  return %y\n}\n");
    let found = Pipeline::new().then(breaking).run(&mut graph, &mut Journal::default(), &mut Silent);
    let found = found.unwrap_err();
    assert_eq!(found.last().unwrap().message, "the graph gives %x.1, which nothing makes");
    assert!(found.iter().any(|d| d.message == "add reads %x.1 before it is made"), "{found:?}");
    assert!(found.iter().all(|d| d.code == ir::BUG && d.notes == ["after test::break"]), "{found:?}");
}

#[test]
fn origins_are_interned_and_derived_without_repetition() {
    let mut origins = Origins::new();
    let leaf = |node: &str| Origin::Leaf(Leaf { node: node.into(), target: "t".into(), ..Leaf::default() });
    let (a, b) = (origins.intern(leaf("a")), origins.intern(leaf("b")));
    assert_eq!(origins.intern(leaf("a")), a);
    let fused = origins.derive("fuse", &[b, a, b]);
    assert_eq!(origins.get(fused), &Origin::Derived { rule: "fuse".into(), from: vec![b, a] });
    // The same rule over and over is told once; another rule is told too.
    assert_eq!(origins.derive("fuse", &[fused]), fused);
    let moved = origins.derive("move", &[fused]);
    assert_ne!(moved, fused);
    let both = origins.derive("join", &[moved, a]);
    let names = |id| origins.leaves(id).into_iter().map(|leaf| leaf.node.clone()).collect::<Vec<_>>();
    assert_eq!(names(both), ["b", "a"], "the most telling first, each once");
    assert_eq!(origins.leaf(both).unwrap().node, "b");
    assert_eq!(origins.len(), 5);
}

#[test]
fn a_node_of_a_pass_comes_from_all_that_it_replaces() {
    let mut graph = graph(
        "graph @g(%x: f32[2]) -> f32[2] {\n  %y = negate(%x) : f32[2]  @0\n  %z = negate(%y) : f32[2]  @1\n  return %z\n}\n\
         @0 = m.py:1 in f, t.a \"y\"\n@1 = m.py:2 in f, t.b \"z\"\n",
    );
    let order = graph.order().to_vec();
    let mut patch = Patch::new(&graph);
    patch.at(order[1]);
    patch.consume(&ir::Site::new(&graph, order[0]));
    let (x, z) = (graph.inputs()[0], graph.outputs()[0]);
    let scaled = patch.add(Op::Scale { by: 1.0, exact: true }, [x]);
    patch.replace(z, scaled).finish().apply(&mut graph, "merge").unwrap();
    let (_, node) = graph.nodes().next().unwrap();
    let lines: Vec<u32> =
        graph.origins.leaves(node.origin).iter().map(|leaf| leaf.line().unwrap().line).collect();
    assert_eq!((graph.nodes().count(), lines), (1, vec![2, 1]));
}
