//! Checkpoint ③: a graph is written, read back and evaluated, and computes the same.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::sync::Arc;

use edgewright_compiler::back::tflite::{INLINE_LIMIT, Interface, encode, stamp, write_file};
use edgewright_compiler::dialect::tfl::{self, Builtin, Model, Options, Subgraph, TensorEntry, add_options};
use edgewright_compiler::evaluate::run;
use edgewright_compiler::front::tflite::{File, import, open};
use edgewright_compiler::ops::{Graph, Op};
use ir::{DType, Diagnostic, Tensor, TensorType};

const NET: &str = "
graph @main(%x: f32[1,6,6,8], %n: f32[4]) -> f32[9,16], f32[3,2,1,3] {
  %w = constant seed 1 : f32[16,3,3,8]
  %b = constant seed 2 : f32[16]
  %m = constant seed 3 : f32[16,4]
  %c = conv2d(%x, %w, %b) {activation=relu, dilation=[1,1], groups=1, layout=nhwc, padding=[[0,1],[0,1]], stride=[2,2]} : f32[1,3,3,16] @0
  %f = reshape(%c) {sizes=[9,16]} : f32[9,16] @0
  %t = transpose(%m) {order=[1,0]} : f32[4,16] @1
  %a = add(%f, %b) {activation=none} : f32[9,16] @1
  %s = slice(%c) {sizes=[1,3,2,3], start=[0,0,1,2], step=[1,1,1,1]} : f32[1,3,2,3] @1
  %p = transpose(%s) {order=[1,2,0,3]} : f32[3,2,1,3] @1
  return %a, %p
}
@0 = net.py:7 in Net.forward, module conv, aten.conv2d.default \"conv\"
@1 = net.py:9 in Net.forward, aten.add.Tensor \"add\"
";

fn parse(text: &str) -> Graph {
    ir::parse::<Op>(text, &|_| None).unwrap_or_else(|e| panic!("{e}"))
}

fn write_and_read(graph: &Graph) -> Result<(Graph, File), Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.tflite");
    let names = |prefix: &str, n: usize| (0..n).map(|i| format!("{prefix}_{i}")).collect();
    let interface = Interface {
        key: "serving_default".into(),
        inputs: names("args", graph.inputs().len()),
        outputs: names("output", graph.outputs().len()),
    };
    encode(graph, &interface, "torch 2", &[])?
        .write(&path, INLINE_LIMIT, &mut |_| {})
        .map_err(|d| vec![d])?;
    let file = open(&path).map_err(|d| vec![d])?;
    Ok((import(&file)?, file))
}

#[test]
fn a_graph_that_is_written_and_read_back_computes_the_same() {
    let graph = parse(NET);
    let (back, _) = write_and_read(&graph).unwrap();
    let x: Vec<f32> = (0..288).map(|i| ((i * 37 % 29) as f32 - 14.0) / 9.0).collect();
    let inputs = [Tensor::new(&[1, 6, 6, 8], &x), Tensor::new(&[4], &[1f32; 4])];
    assert_eq!(run(&back, &inputs).unwrap(), run(&graph, &inputs).unwrap());
    assert_eq!(back.value(back.inputs()[0]).name, "args_0");
    let (_, conv) = back.nodes().find(|(_, node)| ir::Operator::name(&node.op) == "conv2d").unwrap();
    let place = back.origins.leaf(conv.origin).unwrap().to_string();
    assert_eq!(place, "net.py:7 in Net.forward, module conv, aten.conv2d.default \"conv\"");
    // Reading what was written changes nothing more.
    let (again, _) = write_and_read(&back).unwrap();
    assert_eq!(ir::print(&again), ir::print(&back));
}

/// A file of one builtin on f32[2,3].
fn one(builtin: Builtin, options: Options, inputs: usize) -> File {
    let ty = TensorType::new(DType::F32, &[2, 3]);
    let mut main = Subgraph { name: "main".into(), ..Subgraph::default() };
    main.tensors = (0..=inputs).map(|i| TensorEntry::new(format!("t{i}"), &ty, 0).unwrap()).collect();
    main.operators.push(tfl::Operator::new(builtin, options, (0..inputs).map(Some).collect(), vec![inputs]));
    (main.inputs, main.outputs) = ((0..inputs).collect(), vec![inputs]);
    let mut model = Model::new();
    model.subgraphs.push(main);
    stamp(&mut model);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.tflite");
    write_file(
        &path,
        &model,
        INLINE_LIMIT,
        |_, _| Ok::<_, edgewright_compiler::back::tflite::WriteError>(()),
    )
    .unwrap();
    let file = Arc::new(std::fs::File::open(&path).unwrap());
    let bytes = file.metadata().unwrap().len();
    File::read(file, bytes).unwrap()
}

#[test]
fn a_fused_activation_is_read() {
    let mut options = Options::of(Builtin::ADD);
    options.set(add_options::FUSED_ACTIVATION_FUNCTION, tfl::Activation::RELU_N1_TO_1);
    let graph = import(&one(Builtin::ADD, options, 2)).unwrap();
    let x = Tensor::new(&[2, 3], &[-3f32, -0.25, 0.0, 0.25, 0.5, 3.0]);
    let sums = run(&graph, &[x.clone(), x]).unwrap();
    assert_eq!(sums[0].as_slice::<f32>(), [-1.0, -0.5, 0.0, 0.5, 1.0, 1.0]);
}

#[test]
fn options_that_say_nothing_may_be_left_out() {
    let file = one(Builtin::ABS, Options::none(), 1);
    assert_eq!(import(&file).unwrap().order().len(), 1);
    assert!(import(&one(Builtin::ADD, Options::none(), 2)).is_err());
}

#[test]
fn an_operator_that_is_not_known_is_told_and_so_is_a_type_that_does_not_follow() {
    let refused = import(&one(Builtin::LSH_PROJECTION, Options::of(Builtin::LSH_PROJECTION), 2)).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].message, "LSH_PROJECTION is not read into a graph");
    assert_eq!(refused[0].places[0].node, "t2 (tfl.LSH_PROJECTION)");
    let refused = import(&one(Builtin::ADD, Options::of(Builtin::MUL), 2)).unwrap_err();
    assert_eq!(refused[0].message, "ADD has the options of another operator, or none");
}
