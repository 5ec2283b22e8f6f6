//! Recipes, what is decided by them, and what is done: forms, scales and reasons, on graphs written down here.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use edgewright_compiler::back::tflite::{INLINE_LIMIT, Interface, encode};
use edgewright_compiler::compile::reopened;
use edgewright_compiler::dialect::tfl::Builtin;
use edgewright_compiler::evaluate::{Expressions, run};
use edgewright_compiler::front::tflite::{File, open};
use edgewright_compiler::ops::{Graph, Op};
use edgewright_compiler::passes::Limits;
use edgewright_compiler::quant::{Decision, Form, Outlook, Plan, Recipe, apply, plan};
use ir::{DType, Exit, Tensor};

fn parse(text: &str) -> Graph {
    ir::parse::<Op>(text, &|_| None).unwrap_or_else(|e| panic!("{e}"))
}

fn planned(graph: &Graph, recipe: &str) -> Plan {
    let recipe = match recipe.starts_with('[') {
        true => Recipe::parse("recipe.json", recipe).unwrap(),
        false => Recipe::read(recipe).unwrap(),
    };
    plan(graph, &recipe, &Outlook::default()).unwrap()
}

fn form(decision: &Decision) -> Form {
    decision.readers[0].form
}

/// Every kind of reader, each with a weight of its own.
const READERS: &str = "
graph @main(%x: f32[1,8,8,32], %i: i64[2,3], %v: f32[4,16,8]) -> f32[1,8,8,48], f32[1,8,8,32], f32[1,8,8,32], f32[1,16,16,16], f32[1,8,8,40], f32[2,3,30], f32[4,16,40], f32[4,40,8], f32[1,8,8,32] {
  %conv = constant seed 1 : f32[48,3,3,32]
  %c = conv2d(%x, %conv) {stride=[1,1], dilation=[1,1], padding=[[1,1],[1,1]], groups=1, layout=nhwc, activation=none} : f32[1,8,8,48] @0
  %depthwise = constant seed 2 : f32[1,5,5,32]
  %d = depthwise_conv2d(%x, %depthwise) {stride=[1,1], dilation=[1,1], padding=[[2,2],[2,2]], layout=nhwc, activation=none} : f32[1,8,8,32] @0
  %wide = constant seed 3 : f32[1,7,7,32]
  %e = depthwise_conv2d(%x, %wide) {stride=[1,1], dilation=[1,1], padding=[[3,3],[3,3]], layout=nhwc, activation=none} : f32[1,8,8,32] @0
  %up = constant seed 4 : f32[16,2,2,32]
  %t = conv_transpose2d(%x, %up) {stride=[2,2], dilation=[1,1], padding=[0,0], size=[16,16], groups=1, layout=nhwc, activation=none} : f32[1,16,16,16] @0
  %linear = constant seed 5 : f32[40,32]
  %l = fully_connected(%x, %linear) {activation=none} : f32[1,8,8,40] @0
  %table = constant seed 6 : f32[50,30]
  %r = embedding(%table, %i) : f32[2,3,30] @0
  %right = constant seed 7 : f32[4,8,40]
  %m = batch_matmul(%v, %right) {transpose_a=false, transpose_b=false} : f32[4,16,40] @0
  %left = constant seed 8 : f32[4,40,16]
  %n = batch_matmul(%left, %v) {transpose_a=false, transpose_b=false} : f32[4,40,8] @0
  %place = constant seed 9 : f32[1,8,8,32]
  %a = add(%x, %place) {activation=none} : f32[1,8,8,32] @0
  return %c, %d, %e, %t, %l, %r, %m, %n, %a
}
@0 = net.py:7 in Net.forward, module net.block, aten.conv2d.default \"conv\"
";

#[test]
fn each_operator_gets_the_form_that_its_kernels_run_well() {
    use DType::{F16, I4, I8};
    use Form::{Float, Hybrid, Rows, Stored};
    let graph = parse(READERS);
    let forms = |recipe: &str| -> Vec<(String, Form)> {
        planned(&graph, recipe).decisions.iter().map(|d| (d.name.clone(), form(d))).collect()
    };
    let named = |forms: [Form; 8]| -> Vec<(String, Form)> {
        let names = ["conv", "depthwise", "wide", "up", "linear", "table", "right", "left"];
        let forms = names.iter().zip(forms).filter(|(_, form)| *form != Float);
        forms.map(|(name, form)| (name.to_string(), form)).collect()
    };
    // What is below 1024 elements stays float; the 800 of the depthwise kernel are too few for a named recipe.
    let float = |mut forms: Vec<(String, Form)>| {
        forms.insert(1, ("depthwise".into(), Float));
        forms
    };
    let dynamic = [Hybrid(I8), Float, Hybrid(I8), Hybrid(I8), Hybrid(I8), Rows(I8), Hybrid(I8), Stored(I8)];
    assert_eq!(forms("dynamic-int8"), float(named(dynamic)));
    let stored = [Stored(I8), Float, Stored(I8), Stored(I8), Stored(I8), Rows(I8), Stored(I8), Stored(I8)];
    assert_eq!(forms("weight-int8"), float(named(stored)));
    let small = [Stored(I8), Float, Stored(I8), Stored(I8), Hybrid(I4), Rows(I4), Stored(I4), Stored(I4)];
    assert_eq!(forms("weight-int4"), float(named(small)));
    let halves =
        [Stored(F16), Float, Stored(F16), Stored(F16), Stored(F16), Rows(F16), Stored(F16), Stored(F16)];
    let mut halves = float(named(halves));
    halves.push(("place".into(), Stored(F16)));
    assert_eq!(forms("fp16"), halves);

    let all = r#"[{"regex": ".*", "operation": "*", "algorithm_key": "min_max_uniform_quantize", "op_config":
        {"weight_tensor_config": {"num_bits": 8, "granularity": "CHANNELWISE"}, "compute_precision": "INTEGER"}}]"#;
    let few = planned(&graph, all);
    let depthwise = few.decisions.iter().find(|d| d.name == "depthwise").unwrap();
    assert_eq!(form(depthwise), Stored(I8), "25 taps are fast in f32");
    assert_eq!(depthwise.quant.as_ref().unwrap().axis, 3);
    assert_eq!(depthwise.line.as_ref().unwrap().line, 7);
}

/// A network of two layers on `pixels` pixels and a head with `outputs` outputs on their mean.
fn network(pixels: usize, outputs: usize) -> Graph {
    parse(&format!(
        "
graph @main(%x: f32[{pixels},512]) -> f32[1,{outputs}] {{
  %w1 = constant seed 1 : f32[1024,512]
  %a = fully_connected(%x, %w1) {{activation=relu}} : f32[{pixels},1024] @0
  %w2 = constant seed 2 : f32[512,1024]
  %b = fully_connected(%a, %w2) {{activation=none}} : f32[{pixels},512] @0
  %c = mean(%b) {{axes=[0], keep=true}} : f32[1,512] @0
  %w3 = constant seed 3 : f32[{outputs},512]
  %y = fully_connected(%c, %w3) {{activation=none}} : f32[1,{outputs}] @0
  return %y
}}
@0 = net.py:7 in Net.forward, module net.block, aten.linear.default \"linear\"
"
    ))
}

#[test]
fn what_makes_an_output_is_exact_where_that_costs_little() {
    use DType::{I4, I8};
    use Form::{Float, Hybrid, Stored};
    let forms = |graph: &Graph, recipe: &str| -> Vec<Form> {
        planned(graph, recipe).decisions.iter().map(form).collect()
    };
    // 2 outputs are a 1000th of the weights, 4 a 500th; both are far less than a 50th of the products.
    let (small, quick) = (network(64, 2), network(64, 4));
    for (recipe, own) in
        [("dynamic-int8", Hybrid(I8)), ("weight-int8", Stored(I8)), ("weight-int4", Hybrid(I4))]
    {
        assert_eq!(forms(&small, recipe), [own, own, Float], "{recipe}");
    }
    assert_eq!(forms(&quick, "dynamic-int8"), [Hybrid(I8), Hybrid(I8), Stored(I8)]);
    // On one pixel this many outputs are a fifth of the products.
    assert_eq!(forms(&network(1, 512), "dynamic-int8"), [Hybrid(I8); 3]);
    // What a recipe says itself is done as it says.
    let channels = entry(".*", "*", MIN_MAX, INT8, DYNAMIC);
    assert_eq!(forms(&small, &format!("[{channels}]")), [Hybrid(I8); 3]);
}

#[test]
fn small_layers_stay_exact_where_nothing_is_gained_in_speed() {
    use DType::{F16, I8};
    use Form::{Float, Hybrid, Stored};
    // 1,280 elements at the entrance, of 418,560 in all, are a 327th; with the 1,280 behind, a 163rd.
    let graph = parse(
        "
graph @main(%x: f32[64,2]) -> f32[64,400] {
  %w1 = constant seed 1 : f32[640,2]
  %a = fully_connected(%x, %w1) {activation=relu} : f32[64,640] @0
  %w2 = constant seed 2 : f32[2,640]
  %b = fully_connected(%a, %w2) {activation=none} : f32[64,2] @0
  %c = fully_connected(%b, %w1) {activation=relu} : f32[64,640] @0
  %w3 = constant seed 3 : f32[400,640]
  %d = fully_connected(%c, %w3) {activation=relu} : f32[64,400] @0
  %w4 = constant seed 4 : f32[400,400]
  %y = fully_connected(%d, %w4) {activation=none} : f32[64,400] @0
  return %y
}
@0 = net.py:7 in Net.forward, module net.block, aten.linear.default \"linear\"
",
    );
    let forms = |recipe: &str| -> Vec<Form> { planned(&graph, recipe).decisions.iter().map(form).collect() };
    assert_eq!(forms("weight-int8"), [Float, Stored(I8), Stored(I8), Stored(I8)]);
    assert_eq!(forms("fp16"), [Stored(F16); 4]);
    assert_eq!(forms("dynamic-int8")[..2], [Hybrid(I8), Hybrid(I8)]);
    let all = entry(".*", "*", MIN_MAX, INT8, EXPLICIT);
    assert_eq!(forms(&format!("[{all}]")), [Stored(I8); 4]);
}

#[test]
fn what_is_decided_can_be_done_and_computes_nearly_the_same() {
    let graph = parse(READERS);
    let ramp = |n: usize, period: usize| {
        (0..n).map(|i| (i * 37 % period) as f32 / period as f32 - 0.5).collect::<Vec<_>>()
    };
    let inputs = [
        Tensor::new(&[1, 8, 8, 32], &ramp(2048, 97)),
        Tensor::new(&[2, 3], &[0i64, 49, 7, 7, 1, 2]),
        Tensor::new(&[4, 16, 8], &ramp(512, 89)),
    ];
    let exact = run(&graph, &inputs).unwrap();
    // The expected ratio of signal to rounding: 6 dB a bit, less the crest of an even spread.
    for (recipe, least) in
        [("fp16", 70.0), ("dynamic-int8", 40.0), ("weight-int8", 40.0), ("weight-int4", 16.0)]
    {
        let mut quantized = graph.clone();
        let plan = planned(&graph, recipe);
        apply(&mut quantized, &plan).unwrap();
        let found = run(&quantized, &inputs).unwrap();
        for (at, (a, b)) in exact.iter().zip(&found).enumerate() {
            let (a, b) = (a.to_f64s(), b.to_f64s());
            let power: f64 = a.iter().map(|x| x * x).sum();
            let noise: f64 = a.iter().zip(&b).map(|(x, y)| (x - y).powi(2)).sum();
            let snr = 10.0 * (power / noise).log10();
            assert!(snr > least, "{recipe}: output {at} keeps {snr} dB");
        }
    }
}

/// A graph as a file.
fn written(graph: &Graph, interface: &Interface) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.tflite");
    encode(graph, interface, "", &[]).unwrap().write(&path, INLINE_LIMIT, &mut |_| {}).unwrap();
    open(&path).unwrap()
}

#[test]
fn a_file_that_is_quantized_keeps_its_names() {
    let numbers = |count: usize| (0..count).map(|i| i.to_string()).collect();
    let interface = Interface { key: "classify".into(), inputs: numbers(3), outputs: numbers(9) };
    let file = written(&parse(READERS), &interface);
    let called = |file: &File, tensors: &[usize]| -> Vec<String> {
        tensors.iter().map(|&t| file.model.subgraphs[0].tensors[t].name.clone()).collect()
    };
    let main = &file.model.subgraphs[0];
    assert_eq!(called(&file, &main.inputs), ["x", "i", "v"]);
    for recipe in ["fp16", "dynamic-int8", "weight-int8", "weight-int4"] {
        let mut compiled = reopened(&file).unwrap();
        let plan = planned(&compiled.graph, recipe);
        apply(&mut compiled.graph, &plan).unwrap();
        let quantized = written(&compiled.graph, &compiled.interface);
        assert_eq!(compiled.interface, interface);
        let now = &quantized.model.subgraphs[0];
        assert_eq!(called(&quantized, &now.inputs), called(&file, &main.inputs));
        assert_eq!(called(&quantized, &now.outputs), called(&file, &main.outputs));
        // Weights and results; what spellings bring is counted anew.
        let names: Vec<&str> = now.tensors.iter().map(|t| t.name.as_str()).collect();
        let kept = |name: &str| name.contains('/') || names.contains(&name);
        let lost: Vec<&str> =
            main.tensors.iter().map(|t| t.name.as_str()).filter(|name| !kept(name)).collect();
        assert!(lost.is_empty(), "{recipe}: {lost:?} of {names:?}");
    }
}

/// Scales and integers of `torch.quantize_per_channel` with `scale = amax(|w|) / 127` and `/ 7`.
#[test]
fn scales_and_integers_are_those_of_pytorch() {
    const W: [f32; 18] = [
        0.5, -1.27, 0.02, 0.003, 1.0, -0.7, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-3, -2e-3, 5e-4, 1.9e-3, -1.1e-3,
        7e-4,
    ];
    const INT8: [i64; 18] = [50, -127, 2, 0, 100, -70, 0, 0, 0, 0, 0, 0, 64, -127, 32, 121, -70, 44];
    const INT4: [i64; 18] = [3, -7, 0, 0, 6, -4, 0, 0, 0, 0, 0, 0, 3, -7, 2, 7, -4, 2];
    let recipe = |bits: usize, precision: &str, explicit: bool| {
        format!(
            r#"[{{"regex": ".*", "operation": "CONV_2D", "algorithm_key": "min_max_uniform_quantize", "op_config":
            {{"weight_tensor_config": {{"num_bits": {bits}, "granularity": "CHANNELWISE", "symmetric": true}},
            "compute_precision": "{precision}", "explicit_dequantize": {explicit}}}}}]"#
        )
    };
    let values = W.map(|x| format!("{:?}", f64::from(x))).join(",");
    // More than 16 elements are written as a reshape of none: one row of 18 makes the kernel.
    let graph = parse(&format!(
        "graph @main(%x: f32[1,4,4,3]) -> f32[1,3,4,3] {{
          %flat = constant [{values}] : f32[18]
          %w = reshape(%flat) {{sizes=[3,2,1,3]}} : f32[3,2,1,3]
          %c = conv2d(%x, %w) {{stride=[1,1], dilation=[1,1], padding=[[0,0],[0,0]], groups=1, layout=nhwc, activation=none}} : f32[1,3,4,3]
          return %c
        }}"
    ));
    for (recipe, integers, most) in [
        (recipe(8, "INTEGER", false), INT8, 127.0),
        (recipe(8, "FLOAT", true), INT8, 127.0),
        (recipe(4, "FLOAT", true), INT4, 7.0),
    ] {
        let mut quantized = graph.clone();
        let plan = planned(&graph, &recipe);
        let quant = plan.decisions[0].quant.clone().unwrap();
        assert_eq!(
            quant.scales,
            [1.27 / most, 1.0, 2e-3 / most],
            "a channel of zeros has a scale that is not 0"
        );
        apply(&mut quantized, &plan).unwrap();
        let (_, node) = quantized.nodes().find(|(_, n)| ir::Operator::name(&n.op) == "quantize").unwrap();
        let tensor = Expressions::new(&quantized).tensor(node.outputs[0]).unwrap();
        assert_eq!(tensor.to_i64s(), integers);
        let zeros = plan.warnings.iter().filter(|d| d.code.name == "channels-of-zeros").count();
        assert_eq!(zeros, 1, "{:?}", plan.warnings);
    }
}

#[test]
fn a_weight_that_several_read_is_decided_once() {
    let tied = "
graph @main(%i: i32[3], %x: f32[3,40]) -> f32[3,40], f32[3,30], f32[3,40] {
  %w = constant seed 6 : f32[30,40]
  %r = embedding(%w, %i) : f32[3,40]
  %l = fully_connected(%x, %w) {activation=none} : f32[3,30]
  %m = fully_connected(%l, %u) {activation=none} : f32[3,40]
  return %r, %l, %m
}";
    let graph = parse(&tied.replace(
        "%m = fully_connected(%l, %u) {activation=none}",
        "%m = batch_matmul(%l, %w) {transpose_a=false, transpose_b=false}",
    ));
    let plan = planned(&graph, "dynamic-int8");
    let [decision] = &plan.decisions[..] else { panic!("{plan:?}") };
    let forms: Vec<Form> = decision.readers.iter().map(|r| r.form).collect();
    // The product runs along the other axis: its scales are not those of the rows.
    assert_eq!(forms, [Form::Rows(DType::I8), Form::Hybrid(DType::I8), Form::Stored(DType::I8)]);
    let mut quantized = graph.clone();
    apply(&mut quantized, &plan).unwrap();
    let made = quantized.nodes().filter(|(_, n)| ir::Operator::name(&n.op) == "quantize").count();
    assert_eq!(made, 1, "it is stored once");
}

#[test]
fn what_has_no_good_outlook_stays_in_float_or_is_told() {
    let page = |weight: &str| {
        parse(&format!(
            "graph @main(%x: f32[2,4]) -> f32[2,2] {{
              %w = constant {weight} : f32[2,4]
              %l = fully_connected(%x, %w) {{activation=none}} : f32[2,2] @0
              return %l
            }}
            @0 = net.py:9 in Net.forward, aten.linear.default \"linear\""
        ))
    };
    let of = |weight: &str, bits: usize, dtype: &str, algorithm: &str| {
        let precision = if bits == 16 { "FLOAT" } else { "INTEGER" };
        let recipe = format!(
            r#"[{{"regex": ".*", "operation": "*", "algorithm_key": "{algorithm}", "op_config":
            {{"weight_tensor_config": {{"num_bits": {bits}, "dtype": "{dtype}", "granularity": "CHANNELWISE"}},
            "compute_precision": "{precision}"}}}}]"#
        );
        let plan = planned(&page(weight), &recipe);
        let codes: Vec<&str> = plan.warnings.iter().map(|d| d.code.name).collect();
        let place = plan.warnings.first().and_then(|d| d.places.first()?.line.as_ref().map(|l| l.line));
        (plan.decisions[0].dtype, codes.join(" "), place)
    };
    let int8 = |weight| of(weight, 8, "INT", "min_max_uniform_quantize");
    let half = |weight| of(weight, 16, "FLOAT", "float_casting");
    assert_eq!(int8("[1.0,2.0,-1.5,0.5,1.0,0.1,0.3,-1.0]"), (DType::I8, String::new(), None));
    assert_eq!(
        int8("[1.0,NaN,-1.5,0.5,1.0,0.1,0.3,-1.0]"),
        (DType::F32, "non-finite-weight".into(), Some(9))
    );
    assert_eq!(int8("[0.0,0.0,0.0,-0.0,1.0,0.1,0.3,-1.0]"), (DType::I8, "channels-of-zeros".into(), Some(9)));
    assert_eq!(
        half("[1.0,70000.0,-1.5,0.5,1.0,0.1,0.3,-1.0]"),
        (DType::F32, "weight-beyond-f16".into(), Some(9))
    );
    assert_eq!(
        half("[1e-8,2e-8,1e-8,3e-8,1e-8,-1e-8,1e-9,0.0]"),
        (DType::F16, "poor-quantization".into(), Some(9))
    );
    assert_eq!(
        half("[inf,1.0,-1.5,0.5,1.0,0.1,0.3,-1.0]"),
        (DType::F16, String::new(), None),
        "f16 holds infinity"
    );

    let graph = parse(
        "graph @main(%x: f32[2,2000]) -> f32[2,2] {
          %s = constant seed 3 : f32[2,1999]
          %o = constant [100.0,0.5] : f32[2,1]
          %w = concat(%s, %o) {axis=1} : f32[2,2000]
          %l = fully_connected(%x, %w) {activation=none} : f32[2,2]
          return %l
        }",
    );
    let told = |warn_snr| {
        let outlook = Outlook { warn_snr, ..Outlook::default() };
        let plan = plan(&graph, &Recipe::read("weight-int8").unwrap(), &outlook).unwrap();
        plan.warnings.iter().map(|d| d.to_string()).collect::<String>()
    };
    assert!(told(None).contains("less than 30 dB in i8 in 1 of 2 channels"), "{}", told(None));
    assert!(told(None).contains("channel 0 keeps"), "{}", told(None));
    assert_eq!(told(Some(5.0)), "");
    assert!(told(Some(50.0)).contains("in 2 of 2 channels"));

    let limits = Limits::forbidding(vec![Builtin::DEQUANTIZE]);
    let outlook = Outlook { limits, ..Outlook::default() };
    let forbidden = plan(&graph, &Recipe::read("weight-int8").unwrap(), &outlook).unwrap();
    assert_eq!(forbidden.decisions[0].reason, "DEQUANTIZE is forbidden");
}

/// A recipe of ai-edge-quantizer with two entries of one scope.
fn entry(regex: &str, operation: &str, algorithm: &str, weight: &str, rest: &str) -> String {
    format!(
        r#"{{"regex": "{regex}", "operation": "{operation}", "algorithm_key": "{algorithm}", "op_config": {{{weight}{rest}}}}}"#
    )
}

const INT8: &str = r#""weight_tensor_config": {"num_bits": 8, "symmetric": true, "granularity": "CHANNELWISE", "dtype": "INT"}"#;
const INT4: &str = r#""weight_tensor_config": {"num_bits": 4, "symmetric": true, "granularity": "TENSORWISE", "dtype": "INT"}"#;
const DYNAMIC: &str = r#", "compute_precision": "INTEGER", "explicit_dequantize": false, "skip_checks": false, "min_weight_elements": 0"#;
const EXPLICIT: &str = r#", "compute_precision": "FLOAT", "explicit_dequantize": true"#;
const MIN_MAX: &str = "min_max_uniform_quantize";

#[test]
fn of_a_recipe_the_last_entry_that_matches_counts() {
    let graph = parse(READERS);
    let form_of = |recipe: &[String], name: &str| {
        let plan = planned(&graph, &format!("[{}]", recipe.join(",")));
        let found = plan.decisions.iter().find(|d| d.name == name).map(|d| (form(d), d.quant.clone()));
        found.map(|(form, quant)| (form, quant.map_or(0, |q| q.scales.len())))
    };
    let all = entry(".*", "*", MIN_MAX, INT8, DYNAMIC);
    let linear = entry(".*", "FULLY_CONNECTED", MIN_MAX, INT4, EXPLICIT);
    let none = entry("^l;", "FULLY_CONNECTED", "no_quantize", "", "");
    let float = (Form::Float, 0);
    assert_eq!(form_of(std::slice::from_ref(&all), "linear"), Some((Form::Hybrid(DType::I8), 40)));
    assert_eq!(form_of(&[all.clone(), linear.clone()], "linear"), Some((Form::Stored(DType::I4), 1)));
    // An entry for all operators takes the place of what stood in its scope before.
    assert_eq!(form_of(&[linear.clone(), all.clone()], "linear"), Some((Form::Hybrid(DType::I8), 40)));
    assert_eq!(form_of(&[all.clone(), none.clone()], "linear"), Some(float));
    assert_eq!(form_of(&[all.clone(), none.clone()], "conv"), Some((Form::Hybrid(DType::I8), 48)));
    // Scopes count in the order in which they are first named.
    assert_eq!(form_of(&[all.clone(), none.clone(), all.clone()], "linear"), Some(float));
    assert_eq!(
        form_of(&[entry("net\\\\.block", "CONV_2D", MIN_MAX, INT8, EXPLICIT)], "conv"),
        Some((Form::Stored(DType::I8), 48))
    );
    assert_eq!(form_of(&[entry("elsewhere", "*", MIN_MAX, INT8, EXPLICIT)], "conv"), Some(float));
    let large =
        entry(".*", "*", MIN_MAX, INT8, r#", "compute_precision": "INTEGER", "min_weight_elements": 2000"#);
    assert_eq!(form_of(std::slice::from_ref(&large), "linear"), Some(float));
    assert_eq!(form_of(&[large], "conv"), Some((Form::Hybrid(DType::I8), 48)));
}

#[test]
fn what_a_recipe_asks_for_and_is_not_done_is_refused_by_name() {
    let refused = |entry: &str| {
        let found = Recipe::parse("r.json", &format!("[{entry}]")).err().unwrap_or_default();
        found.iter().map(|d| format!("{}: {}", d.code.name, d.message)).collect::<Vec<_>>().join("; ")
    };
    let asymmetric = INT8.replace("true", "false");
    let blocks = INT8.replace("CHANNELWISE", "BLOCKWISE_32");
    let half = INT8.replace("\"num_bits\": 8", "\"num_bits\": 2");
    let activations = r#", "activation_tensor_config": {"num_bits": 8}, "compute_precision": "INTEGER""#;
    for (text, why) in [
        (entry(".*", "*", MIN_MAX, INT8, activations), "static quantization with calibration comes later"),
        (entry(".*", "*", "GPTQ", INT8, DYNAMIC), "the algorithm GPTQ"),
        (entry(".*", "*", MIN_MAX, &asymmetric, DYNAMIC), "asymmetric weights"),
        (entry(".*", "*", MIN_MAX, &blocks, DYNAMIC), "the granularity BLOCKWISE_32"),
        (entry(".*", "*", MIN_MAX, &half, DYNAMIC), "weights of INT with 2 bits"),
        (entry(".*", "*", MIN_MAX, INT8, r#", "compute_precision": "FLOAT""#), "which no kernel runs"),
        (
            entry(".*", "*", MIN_MAX, INT8, r#", "compute_precision": "INTEGER", "skip_checks": true"#),
            "skip_checks",
        ),
        (entry(".*", "FROBNICATE", MIN_MAX, INT8, DYNAMIC), "the operation FROBNICATE"),
        (entry(".*", "*", MIN_MAX, INT8, r#", "compute_precision": "INTEGER", "colour": 3"#), "'colour'"),
    ] {
        let said = refused(&text);
        assert!(said.starts_with("unsupported-recipe: entry 0 of r.json asks for"), "{said}");
        assert!(said.contains(why), "{said}");
    }
    assert!(refused(&entry("(", "*", MIN_MAX, INT8, DYNAMIC)).starts_with("malformed-recipe: the scope '('"));
    assert!(refused("{}").starts_with("malformed-recipe: r.json: entry 0 has no text for 'regex'"));
    let not_json = Recipe::parse("r.json", "{").unwrap_err();
    assert_eq!(not_json[0].code.exit, Exit::Invalid);
    assert_eq!(Recipe::read("int9").unwrap_err()[0].code.name, "unknown-recipe");
}
