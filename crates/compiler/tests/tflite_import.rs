//! Checkpoint ③: a graph is written, read back and evaluated, and computes the same.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::collections::BTreeSet;
use std::sync::Arc;

use edgewright_compiler::back::tflite::{INLINE_LIMIT, Interface, encode, stamp, write_file};
use edgewright_compiler::compile::reopened;
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

/// Integer weights of every form that kernels take: beside f32 operands, behind DEQUANTIZE, and as rows to look up. The
/// scales along the axis are what they are per channel.
const QUANTIZED: &str = "
graph @main(%x: f32[1,6,6,8], %i: i32[3]) -> f32[36,3], f32[1,6,6,8], f32[3,6], f32[2,2] {
  %w = constant seed 1 : f32[4,3,3,8]
  %q = quantize(%w) {dtype=i8, scales=[0.01,0.02,0.03,0.04], zero_points=[0,0,0,0], axis=0} : i8[4,3,3,8]{scales=[0.01,0.02,0.03,0.04], zero_points=[0,0,0,0], axis=0} @0
  %c = conv2d(%x, %q) {stride=[1,1], dilation=[1,1], padding=[[1,1],[1,1]], groups=1, layout=nhwc, activation=relu} : f32[1,6,6,4] @0
  %f = reshape(%c) {sizes=[36,4]} : f32[36,4] @0
  %m = constant seed 2 : f32[3,4]
  %h = quantize(%m) {dtype=i4, scales=[0.2,0.1,0.3], zero_points=[0,0,0], axis=0} : i4[3,4]{scales=[0.2,0.1,0.3], zero_points=[0,0,0], axis=0} @0
  %l = fully_connected(%f, %h) {activation=none} : f32[36,3] @0
  %v = constant seed 3 : f32[1,3,3,8]
  %k = quantize(%v) {dtype=i8, scales=[0.01], zero_points=[0], axis=0} : i8[1,3,3,8]{scales=[0.01], zero_points=[0], axis=0} @1
  %d = dequantize(%k) : f32[1,3,3,8] @1
  %e = depthwise_conv2d(%x, %d) {stride=[1,1], dilation=[1,1], padding=[[1,1],[1,1]], layout=nhwc, activation=none} : f32[1,6,6,8] @1
  %t = constant seed 4 : f32[5,6]
  %r = quantize(%t) {dtype=i4, scales=[0.2,0.1,0.3,0.1,0.15], zero_points=[0,0,0,0,0], axis=0} : i4[5,6]{scales=[0.2,0.1,0.3,0.1,0.15], zero_points=[0,0,0,0,0], axis=0} @1
  %y = embedding(%r, %i) : f32[3,6] @1
  %o = constant [0.5,70000.0,0.1,-3.0] : f32[2,2]
  %p = cast(%o) {dtype=f16} : f16[2,2] @1
  %z = dequantize(%p) : f32[2,2] @1
  return %l, %e, %y, %z
}
@0 = net.py:7 in Net.forward, module conv, aten.conv2d.default \"conv\"
@1 = net.py:9 in Net.forward, aten.add.Tensor \"add\"
";

#[test]
fn quantized_weights_are_written_and_read_back() {
    let graph = parse(QUANTIZED);
    ir::validate(&graph, ir::Stage::Legal).unwrap();
    let (back, file) = write_and_read(&graph).unwrap();
    let x: Vec<f32> = (0..288).map(|i| ((i * 37 % 29) as f32 - 14.0) / 9.0).collect();
    let inputs = [Tensor::new(&[1, 6, 6, 8], &x), Tensor::new(&[3], &[4i32, 0, 2])];
    let outputs = run(&back, &inputs).unwrap();
    assert_eq!(outputs, run(&graph, &inputs).unwrap());
    assert_eq!(outputs[3].to_f64s()[1], f64::INFINITY, "an f16 has no 70000");

    let main = &file.model.subgraphs[0];
    let found: Vec<(String, u32)> = main.operators.iter().map(|o| (o.name(), o.version)).collect();
    let known = |name: &str| found.iter().find(|(n, _)| n == name).map(|(_, version)| *version);
    assert_eq!(known("CONV_2D"), Some(5), "hybrid, one scale per channel");
    assert_eq!(known("FULLY_CONNECTED"), Some(10), "hybrid, of i4");
    assert_eq!(known("DEPTHWISE_CONV_2D"), Some(1), "its weight is dequantized");
    assert_eq!(known("EMBEDDING_LOOKUP"), Some(4));
    assert_eq!(found.iter().filter(|(n, _)| n == "DEQUANTIZE").map(|(_, v)| *v).collect::<Vec<_>>(), [2, 3]);
    // Half bytes take half a byte, and integers are kept, not the reals that they were made from.
    let bytes =
        |name: &str| main.tensors.iter().find(|t| t.name == name).map(|t| file.model.buffers[t.buffer].bytes);
    assert_eq!([bytes("w"), bytes("m"), bytes("t"), bytes("o")], [Some(288), Some(6), Some(15), Some(8)]);
}

#[test]
fn pairs_of_dtypes_without_a_kernel_are_refused() {
    let page = |weight: &str, line: &str| {
        format!(
            "graph @main(%x: f32[2,4,4]) -> f32[2,4,4] {{\n%w = constant seed 1 : {weight}\n{line} : f32[2,4,4]\nreturn %y\n}}"
        )
    };
    let per_tensor = "i8[2,4,4]{scales=[0.1], zero_points=[0], axis=0}";
    let right = "%y = batch_matmul(%x, %w) {transpose_a=false, transpose_b=false}";
    ir::validate(&parse(&page(per_tensor, right)), ir::Stage::Legal).unwrap();
    let columns = "i8[2,4,4]{scales=[0.1,0.2,0.3,0.4], zero_points=[0,0,0,0], axis=2}";
    ir::validate(&parse(&page(columns, right)), ir::Stage::Legal).unwrap();
    let refused = [
        (
            per_tensor,
            "%y = batch_matmul(%w, %x) {transpose_a=false, transpose_b=false}",
            "only the right operand",
        ),
        ("i4[2,4,4]{scales=[0.1], zero_points=[0], axis=0}", right, "no kernel for a weight of i4"),
        (
            "i8[2,4,4]{scales=[0.1,0.2,0.3,0.4], zero_points=[0,0,0,0], axis=1}",
            right,
            "its scales run along axis 1, not 2",
        ),
        ("i8[2,4,4]{scales=[0.1], zero_points=[3], axis=0}", right, "its zero points are not 0"),
    ];
    for (weight, line, why) in refused {
        let found = ir::validate(&parse(&page(weight, line)), ir::Stage::Legal).unwrap_err();
        assert!(found[0].message.contains(why), "{}", found[0].message);
    }
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

/// Rows of one weight, read before it is read whole; a tensor that is called as the second of them would be; an output
/// that is given three times; and a value that is called as what its spelling brings.
const REPEATED: &str = "
graph @main(%x: f32[2,3], %sum/0: f32[2,2]) -> f32[2,1], f32[2,2], f32[2,2], f32[2,2], f32[2,4], f32[2,1] {
  %w = constant seed 1 : f32[4,3]
  %w_1 = constant seed 2 : f32[2,3]
  %s = sum(%x) {axes=[1], keep=true} : f32[2,1] @0
  %top = slice(%w) {start=[0,0], sizes=[2,3], step=[1,1]} : f32[2,3] @0
  %a = fully_connected(%x, %top) {activation=none} : f32[2,2] @0
  %end = slice(%w) {start=[2,0], sizes=[2,3], step=[1,1]} : f32[2,3] @0
  %b = fully_connected(%x, %end) {activation=none} : f32[2,2] @0
  %c = fully_connected(%x, %w) {activation=none} : f32[2,4] @0
  %d = fully_connected(%x, %w_1) {activation=none} : f32[2,2] @0
  %ab = add(%a, %b) {activation=none} : f32[2,2] @0
  %cd = add(%d, %sum/0) {activation=none} : f32[2,2] @0
  %y = add(%ab, %cd) {activation=none} : f32[2,2] @0
  return %s, %y, %y, %y, %c, %s
}
@0 = net.py:7 in Net.forward, aten.linear.default \"linear\"
";

#[test]
fn names_that_repeat_are_told_apart() {
    let graph = parse(REPEATED);
    ir::validate(&graph, ir::Stage::Legal).unwrap();
    let (_, file) = write_and_read(&graph).unwrap();
    let main = &file.model.subgraphs[0];
    let name = |tensor: usize| main.tensors[tensor].name.as_str();
    let interface = |tensors: &[usize]| tensors.iter().map(|&t| name(t).to_owned()).collect::<Vec<_>>();
    assert_eq!(interface(&main.inputs), ["x", "sum/0"]);
    assert_eq!(interface(&main.outputs), ["s", "y", "y/copy", "y/copy_1", "c", "s/copy"]);
    // What has a name of its own keeps it, also where something else was written under it before.
    let weights = main.operators.iter().filter(|o| o.operator == Builtin::FULLY_CONNECTED);
    let weights: Vec<&str> = weights.map(|o| name(o.inputs[1].unwrap())).collect();
    assert_eq!(weights, ["w_2", "w_3", "w", "w_1"]);
    let sum = main.operators.iter().find(|o| o.operator == Builtin::SUM).unwrap();
    assert_eq!(name(sum.inputs[1].unwrap()), "sum/0_1");

    let signature = &file.model.signatures[0];
    assert_eq!(signature.inputs, [("args_0".into(), main.inputs[0]), ("args_1".into(), main.inputs[1])]);

    // Each keeps its name when the file is read and written again.
    let (_, again) = write_and_read(&reopened(&file).unwrap().graph).unwrap();
    let names = |main: &Subgraph| main.tensors.iter().map(|t| t.name.clone()).collect::<BTreeSet<_>>();
    assert_eq!(names(&again.model.subgraphs[0]), names(main));
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
