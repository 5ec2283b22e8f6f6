//! Small models are written, byte for byte the same each time. `tests/schema/on_litert.py` runs the same files on
//! LiteRT and compares their outputs with NumPy.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use edgewright_compiler::back::tflite::{self as back, INLINE_LIMIT, WriteError};
use edgewright_compiler::dialect::tfl::*;
use edgewright_compiler::ops::CATALOG;
use ir::{DType, TensorType};

/// A model under construction with the bytes of its buffers.
struct Draft {
    model: Model,
    bytes: Vec<Vec<u8>>,
}

impl Draft {
    fn new() -> Self {
        let graph = Subgraph { name: "main".into(), ..Subgraph::default() };
        let mut model = Model::new();
        model.description = "a test".into();
        model.subgraphs.push(graph);
        Draft { model, bytes: vec![vec![]] }
    }

    fn value(&mut self, name: &str, sizes: &[usize]) -> usize {
        self.tensor(name, &TensorType::new(DType::F32, sizes), 0)
    }

    fn tensor(&mut self, name: &str, ty: &TensorType, buffer: usize) -> usize {
        let tensors = &mut self.model.subgraphs[0].tensors;
        tensors.push(TensorEntry::new(name, ty, buffer).unwrap());
        tensors.len() - 1
    }

    fn constant(&mut self, name: &str, tensor: &ir::Tensor) -> usize {
        let buffer = self.model.add_buffer(tensor.bytes().len() as u64);
        self.bytes.push(tensor.bytes().to_vec());
        self.tensor(name, &tensor.ty(), buffer)
    }

    /// Numbers that a NumPy line gives as well: ((i · 7919 mod 101) − 50) / 37.
    fn weights(&mut self, name: &str, sizes: &[usize]) -> usize {
        let count = sizes.iter().product();
        let data: Vec<f32> = (0..count).map(|i: usize| ((i * 7919 % 101) as f32 - 50.0) / 37.0).collect();
        self.constant(name, &ir::Tensor::new(sizes, &data))
    }

    fn call(&mut self, call: Call, inputs: &[usize], output: usize) {
        let mut operands = Vec::new();
        for operand in call.operands {
            operands.push(match operand {
                Operand::Input(i) => Some(inputs[i]),
                Operand::Constant(tensor) => Some(self.constant(&format!("c{output}"), &tensor)),
                Operand::Absent => None,
            });
        }
        let operator = Operator::new(call.operator, call.options, operands, vec![output]);
        self.model.subgraphs[0].operators.push(operator);
    }

    fn finish(&mut self, input: usize, output: usize) {
        let graph = &mut self.model.subgraphs[0];
        (graph.inputs, graph.outputs) = (vec![input], vec![output]);
        let (inputs, outputs) = (vec![("args_0".into(), input)], vec![("output_0".into(), output)]);
        self.model.signatures =
            vec![Signature { key: "serving_default".into(), subgraph: 0, inputs, outputs }];
        back::stamp(&mut self.model);
        let (_, runtime) = back::add_least_runtime(&mut self.model);
        self.bytes.push(runtime);
    }

    fn written(&self, limit: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let source =
            |index: usize, to: &mut dyn Write| Ok::<_, WriteError>(to.write_all(&self.bytes[index])?);
        let length = back::write(&mut out, &self.model, limit, source).unwrap();
        assert_eq!(length, out.len() as u64);
        out
    }
}

fn conv() -> Draft {
    let mut d = Draft::new();
    let (x, w, b) = (d.value("x", &[1, 6, 6, 8]), d.weights("w", &[16, 3, 3, 8]), d.weights("b", &[16]));
    let y = d.value("y", &[1, 3, 3, 16]);
    let call = Call::new(Builtin::CONV_2D)
        .inputs([0, 1, 2])
        .set(conv_2d_options::PADDING, Padding::SAME)
        .set(conv_2d_options::STRIDE_W, 2)
        .set(conv_2d_options::STRIDE_H, 2)
        .set(conv_2d_options::FUSED_ACTIVATION_FUNCTION, Activation::RELU);
    d.call(call, &[x, w, b], y);
    d.finish(x, y);
    d
}

fn dense() -> Draft {
    let mut d = Draft::new();
    let (x, w) = (d.value("x", &[2, 3, 4]), d.weights("w", &[5, 4]));
    let y = d.value("y", &[2, 3, 5]);
    let call = Call::new(Builtin::FULLY_CONNECTED).inputs([0, 1]).absent();
    d.call(call.set(fully_connected_options::KEEP_NUM_DIMS, true), &[x, w], y);
    d.finish(x, y);
    d
}

fn mean() -> Draft {
    let mut d = Draft::new();
    let (x, m, y) = (d.value("x", &[2, 3, 4]), d.value("m", &[2, 1, 4]), d.value("y", &[8]));
    let call = Call::new(Builtin::MEAN).input(0).int32s([1usize]).unwrap();
    d.call(call.set(reducer_options::KEEP_DIMS, true), &[x], m);
    let call = Call::new(Builtin::RESHAPE).input(0).int32s([8usize]).unwrap();
    d.call(call.set(reshape_options::NEW_SHAPE, vec![8]), &[m], y);
    d.finish(x, y);
    d
}

fn softmax() -> Draft {
    let mut d = Draft::new();
    let (x, g, y) = (d.value("x", &[3, 5]), d.value("g", &[3, 5]), d.value("y", &[3, 5]));
    d.call(Call::new(Builtin::GELU).input(0).set(gelu_options::APPROXIMATE, true), &[x], g);
    d.call(Call::new(Builtin::SOFTMAX).input(0).set(softmax_options::BETA, 1.0), &[g], y);
    d.finish(x, y);
    d
}

#[test]
fn files_are_written_the_same_each_time() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tflite");
    fs::create_dir_all(&folder).unwrap();
    for (name, draft) in [("conv", conv()), ("dense", dense()), ("mean", mean()), ("softmax", softmax())] {
        for (form, limit) in [("inline", INLINE_LIMIT), ("external", 0)] {
            let bytes = draft.written(limit);
            assert_eq!(bytes, draft.written(limit));
            fs::write(folder.join(format!("{name}.{form}.tflite")), bytes).unwrap();
        }
    }
    assert_ne!(
        conv().written(0).len(),
        conv().written(INLINE_LIMIT).len(),
        "the external form is another form"
    );
}

#[test]
fn versions_are_the_lowest_that_hold() {
    assert_eq!(conv().model.subgraphs[0].operators[0].version, 1);
    assert_eq!(dense().model.subgraphs[0].operators[0].version, 6);
    assert_eq!(back::least_runtime(&dense().model), "2.1.0");
    assert_eq!(back::least_runtime(&softmax().model), "2.9.0");
}

#[test]
fn every_builtin_that_is_read_has_its_release() {
    let spelled = CATALOG.iter().flat_map(|entry| entry.tfl);
    let missing: Vec<_> = spelled.filter(|b| !RUNTIMES.iter().any(|(listed, _)| listed == *b)).collect();
    assert!(missing.is_empty(), "no release is known of {missing:?}");
}

#[test]
fn a_source_that_gives_other_than_was_announced_is_refused_and_leaves_no_file() {
    let draft = conv();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.tflite");
    for change in [-1i64, 1] {
        let source = |index: usize, to: &mut dyn Write| {
            let given = (draft.bytes[index].len() as i64 + change) as usize;
            Ok::<_, WriteError>(to.write_all(&vec![0; given])?)
        };
        assert!(back::write_file(&path, &draft.model, INLINE_LIMIT, source).is_err());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_index_of_nothing_is_refused() {
    let mut draft = conv();
    draft.model.subgraphs[0].operators[0].inputs[2] = Some(99);
    let source = |_: usize, _: &mut dyn Write| Ok::<_, WriteError>(());
    let refused = back::write(&mut Vec::new(), &draft.model, INLINE_LIMIT, source).unwrap_err();
    assert_eq!(refused.to_string(), "tensor 99 is referred to, of 4");
}
