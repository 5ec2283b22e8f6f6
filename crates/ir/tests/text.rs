//! A graph as text and back.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod operators;

use edgewright_ir as ir;
use ir::{Constant, DType, Frame, Leaf, Origin, Origins, Tensor, TensorType};
use operators::{Graph, Op, graph};

const PAGE: &str = r#"graph @forward(%x: f32[2,4], %n: i64[]) -> f32[2,2], f32[4,2], f32[2,4], i64[] {
  %half, %half.1 = split(%x) {parts=2, axis=1} : f32[2,2], f32[2,2]  @0
  %w = constant [0.5,-0.0,inf,NaN,1.401298464324817e-45,-inf,3.0,0.10000000149011612] : f32[2,4]
  %add = add(%x, %w) : f32[2,4]  @1
  %scale = scale(%add) {by=-0.1, exact=false} : f32[2,4]  @1
  %turn = turn(%scale) {order=[1,0]} : f32[4,2]  @2
  %turn.1 = turn(%turn) {order=[1,0], note=-3} : f32[2,4]  @3
  return %half, %turn, %turn.1, %n
}
@0 = model.py:40 in Head.forward, module head.attn, aten.split.Tensor "split"
@1 = fuse(@0, @4)
@2 = turn_twice(@1)
@3 = aten.permute.default "permute"
@4 = lib/b.py:7 in f, aten.add.Tensor "add"
"#;

#[test]
fn what_is_printed_reads_back_the_same() {
    let read = graph(PAGE);
    let text = ir::print(&read);
    assert_eq!(text, PAGE);
    let again: Graph = graph(&text);
    assert_eq!(again, read);
    ir::validate(&again, ir::Stage::Static).unwrap();
    // The page is not read as something simpler: every part of it is in the graph.
    assert_eq!(again.nodes().count(), 5);
    let (_, node) = again.nodes().nth(2).unwrap();
    assert_eq!(node.op, Op::Scale { by: -0.1, exact: false });
    let leaves = again.origins.leaves(node.origin);
    assert_eq!(leaves.iter().map(|l| l.node.as_str()).collect::<Vec<_>>(), ["split", "add"]);
    assert_eq!(leaves[0].line().map(|l| (l.file.as_str(), l.line)), Some(("model.py", 40)));
    let constant = again.constant(node_input(&again, 1, 1)).unwrap().inline().unwrap().clone();
    let bits: Vec<u32> = constant.as_slice::<f32>().iter().map(|x| x.to_bits()).collect();
    assert_eq!((bits[1], bits[4]), ((-0.0f32).to_bits(), 1), "−0 and the least subnormal");
}

fn node_input(graph: &Graph, node: usize, input: usize) -> ir::ValueId {
    graph.nodes().nth(node).unwrap().1.inputs[input]
}

#[test]
fn large_constants_are_told_by_their_content() {
    let mut made = Graph::new("g", Origins::new());
    let x = made.add_input("x", TensorType::new(DType::F32, &[32]));
    let data = Tensor::new(&[32], &(0..32).map(|n| n as f32).collect::<Vec<_>>());
    let w = made.add_constant("layer.weight", data.clone());
    let leaf = Leaf { target: "aten.add.Tensor".into(), node: "add".into(), ..Leaf::default() };
    let origin = made.origins.intern(Origin::Leaf(leaf));
    let sum = made.add_node(Op::Add, &[x, w], "add", origin).unwrap();
    made.set_outputs(sum);
    let text = ir::print(&made);
    let constant = Constant::from(data);
    assert!(
        text.contains(&format!("%layer.weight = constant #{} : f32[32]", constant.fingerprint())),
        "{text}"
    );
    let known = |name: &str| (name == constant.fingerprint()).then(|| constant.clone());
    assert_eq!(ir::parse::<Op>(&text, &known).unwrap(), made);
    let unknown = ir::parse::<Op>(&text, &|_| None).unwrap_err();
    assert_eq!(
        (unknown.line, &*unknown.message),
        (2, &*format!("no constant #{} is known", constant.fingerprint()))
    );
}

#[test]
fn code_lines_and_sets_of_origins_survive_where_they_are_told() {
    let mut origins = Origins::new();
    let frame = Frame { file: "a.py".into(), line: 3, function: "f".into(), code: "y = -x".into() };
    let leaf = Leaf {
        frames: vec![frame],
        user: Some(0),
        target: "aten.neg.default".into(),
        node: "neg".into(),
        ..Leaf::default()
    };
    let at = origins.intern(Origin::Leaf(leaf));
    let mut made = Graph::new("g", origins);
    let x = made.add_input("x", TensorType::new(DType::F32, &[]));
    let y = made.add_node(Op::Negate, &[x], "neg", at).unwrap();
    made.set_outputs(y);
    assert_eq!(graph(&ir::print(&made)), made);
}

#[test]
fn a_text_that_is_no_graph_is_told_with_its_line() {
    let page = |line: &str| format!("graph @g(%x: f32[2]) -> f32[2] {{\n  {line}\n  return %y\n}}\n");
    for (line, message) in [
        ("%y = negate(%z) : f32[2]", "nothing makes %z"),
        ("%y = invert(%x) : f32[2]", "no operator is called 'invert'"),
        ("%y = negate(%x) : f32[3]", "%y is f32[2], not f32[3]"),
        ("%y = scale(%x) {by=2.0} : f32[2]", "attribute exact is missing"),
        ("%y = scale(%x) {by=2.0, exact=3} : f32[2]", "attribute exact=3 is of the wrong kind"),
        ("%y = split(%x) {parts=2, axis=0} : f32[1], f32[1]", "the operator makes 2 values, not 1"),
        ("%y = split(%x) {parts=3, axis=0} : f32[1]", "f32[2] has no 3 equal parts along axis 0"),
        ("%y = constant [1.0] : f32[2]", "f32[2] has 2 elements, not 1"),
        ("%y = negate(%x) : f32[2]  @7", "nothing says what @7 is"),
    ] {
        let error = ir::parse::<Op>(&page(line), &|_| None).unwrap_err();
        assert_eq!((error.line, &*error.message), (2, message), "{line}");
    }
    let open = ir::parse::<Op>("graph @g() ->  {\n  return\n", &|_| None).unwrap_err();
    assert_eq!(open.message, "the graph has no closing brace");
}
