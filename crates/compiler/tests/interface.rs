//! What `check` says of the inputs and outputs of a file: are images given and made with their channels last?
#![allow(clippy::unwrap_used, reason = "a test stops where its graphs are amiss")]

use edgewright_compiler as compiler;

use compiler::back::tflite::{Interface, encode};
use compiler::dialect::tfl::TensorEntry;
use compiler::lint::{Profile, Subject, of_model};
use compiler::ops::Graph;

/// What speaks against the ends of a graph under `bstm`, which asks for channels last: `input 0: …`.
fn broken(text: &str) -> Vec<String> {
    let graph: Graph = ir::parse(text, &|_| None).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    let named = |what: &str, count: usize| (0..count).map(|i| format!("{what}_{i}")).collect::<Vec<String>>();
    let interface = Interface {
        key: "serving_default".into(),
        inputs: named("input", graph.inputs().len()),
        outputs: named("output", graph.outputs().len()),
    };
    let encoded = encode(&graph, &interface, "", &[]).unwrap_or_else(|found| panic!("{found:?}"));
    let numbers = |tensor: &TensorEntry| {
        let spelled = encoded.spelled(tensor.buffer)?;
        spelled.dtype().is_int().then(|| spelled.to_i64s())
    };
    let profile = Profile::find("bstm").unwrap();
    let judged = of_model(&encoded.model, &encoded.provenance(), &numbers, &profile);
    let mut found = Vec::new();
    for one in judged {
        let end = match one.subject {
            Subject::Input(index) => format!("input {index}"),
            Subject::Output(index) => format!("output {index}"),
            Subject::Operator(_) => continue,
        };
        found.extend(one.broken.iter().map(|broken| format!("{end}: {}", broken.text())));
    }
    found
}

const CONVOLVED: &str =
    "stride=[1,1], dilation=[1,1], padding=[[1,1],[1,1]], groups=1, layout=nhwc, activation=none";

#[test]
fn channels_first_are_seen_behind_what_is_computed_of_each_element() {
    let found = broken(&format!(
        "graph @forward(%x: f32[1,3,8,8]) -> f32[1,3,8,8] {{
  %w = constant seed 1 : f32[3,3,3,3]
  %sigmoid = sigmoid(%x) : f32[1,3,8,8]
  %first = transpose(%sigmoid) {{order=[0,2,3,1]}} : f32[1,8,8,3]
  %conv = conv2d(%first, %w) {{{CONVOLVED}}} : f32[1,8,8,3]
  %back = transpose(%conv) {{order=[0,3,1,2]}} : f32[1,3,8,8]
  %tanh = tanh(%back) : f32[1,3,8,8]
  return %tanh
}}
"
    ));
    let first = "images at the interface have their channels first";
    assert_eq!(
        found,
        [
            format!("input 0: {first}: operator 1 puts them last"),
            format!("output 0: {first}: operator 3 puts them there")
        ]
    );
}

#[test]
fn channels_first_are_seen_in_a_sum_with_the_input() {
    let found = broken(&format!(
        "graph @forward(%x: f32[1,3,8,8]) -> f32[1,3,8,8] {{
  %w = constant seed 1 : f32[3,3,3,3]
  %first = transpose(%x) {{order=[0,2,3,1]}} : f32[1,8,8,3]
  %conv = conv2d(%first, %w) {{{CONVOLVED}}} : f32[1,8,8,3]
  %back = transpose(%conv) {{order=[0,3,1,2]}} : f32[1,3,8,8]
  %sum = add(%x, %back) {{activation=none}} : f32[1,3,8,8]
  return %sum
}}
"
    ));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn an_image_of_one_channel_is_turned_by_a_reshape() {
    let found = broken(&format!(
        "graph @forward(%x: f32[1,1,8,8]) -> f32[1,8,8,3] {{
  %w = constant seed 1 : f32[3,3,3,1]
  %tanh = tanh(%x) : f32[1,1,8,8]
  %last = reshape(%tanh) {{sizes=[1,8,8,1]}} : f32[1,8,8,1]
  %conv = conv2d(%last, %w) {{{CONVOLVED}}} : f32[1,8,8,3]
  return %conv
}}
"
    ));
    assert_eq!(
        found,
        ["input 0: images at the interface have their channels first: operator 1 puts them last"]
    );
}

#[test]
fn channels_last_hold_whatever_is_transposed_inside() {
    let found = broken(&format!(
        "graph @forward(%x: f32[1,8,8,3]) -> (f32[1,8,8,3], f32[1,3,64]) {{
  %w = constant seed 1 : f32[3,3,3,3]
  %sigmoid = sigmoid(%x) : f32[1,8,8,3]
  %conv = conv2d(%sigmoid, %w) {{{CONVOLVED}}} : f32[1,8,8,3]
  %first = transpose(%conv) {{order=[0,3,1,2]}} : f32[1,3,8,8]
  %flat = reshape(%first) {{sizes=[1,3,64]}} : f32[1,3,64]
  %tanh = tanh(%conv) : f32[1,8,8,3]
  return %tanh, %flat
}}
"
    ));
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_graph_without_operators_on_images_has_no_images() {
    let found = broken(
        "graph @forward(%x: f32[1,3,8,8]) -> f32[1,8,8,3] {
  %tanh = tanh(%x) : f32[1,3,8,8]
  %last = transpose(%tanh) {order=[0,2,3,1]} : f32[1,8,8,3]
  return %last
}
",
    );
    assert_eq!(found, [""; 0]);
}
