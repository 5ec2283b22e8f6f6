//! `edgewright inspect` on the example, on a file of another writer, and on an archive with symbolic sizes.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn edgewright(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_edgewright")).args(words).output().unwrap()
}

/// What a command prints, which must succeed.
fn printed(words: &[&str]) -> String {
    let output = edgewright(words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(words: &[&str]) -> Value {
    serde_json::from_str(&printed(&[words, &["--json", "-"]].concat())).unwrap()
}

/// The example as a .tflite, in a folder that lives as long as it is held.
fn example() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("watermark.tflite").display().to_string();
    let archive = root("examples/watermark/watermark.pt2").display().to_string();
    printed(&["-q", "convert", &archive, "-o", &target]);
    (folder, target)
}

#[test]
fn every_operator_of_the_example_tells_its_line_of_python() {
    let (_folder, model) = example();
    let said = json(&["inspect", &model]);
    let source = std::fs::read_to_string(root("examples/watermark/model.py")).unwrap();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let operators = said["operators"].as_array().unwrap();
    assert!(operators.len() > 50, "{} operators", operators.len());
    for operator in operators {
        let origin = &operator["origin"];
        let text = |key: &str| origin[key].as_str().unwrap_or_else(|| panic!("{operator} has no {key}"));
        assert_eq!(text("file"), "model.py", "{operator}");
        let line = origin["line"].as_u64().unwrap() as usize;
        assert_eq!(lines[line - 1], text("code"), "{operator}");
        assert!(!text("function").is_empty() && !text("class").is_empty(), "{operator}");
        assert!(text("target").starts_with("aten.") && !text("node").is_empty(), "{operator}");
    }
}

#[test]
fn what_is_said_of_the_example_is_consistent() {
    let (_folder, model) = example();
    let said = json(&["inspect", &model]);
    let operators = said["operators"].as_array().unwrap();
    for (name, count) in said["histogram"].as_object().unwrap() {
        let found = operators.iter().filter(|o| o["name"] == name.as_str()).count();
        assert_eq!(count.as_u64(), Some(found as u64), "{name}");
    }
    // Who reads a tensor and who makes it agree.
    for operator in operators {
        for read in operator["inputs"].as_array().unwrap().iter().filter(|r| r["source"] == "operator") {
            let producer = &operators[read["producer"].as_u64().unwrap() as usize];
            let made = producer["outputs"].as_array().unwrap().iter().find(|m| m["name"] == read["name"]);
            assert!(
                made.unwrap()["consumers"].as_array().unwrap().contains(&operator["index"]),
                "{operator}"
            );
            assert_eq!((&made.unwrap()["shape"], &made.unwrap()["dtype"]), (&read["shape"], &read["dtype"]));
        }
    }
    let parts = &said["parts"];
    let metadata: u64 = parts["metadata"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    let whole = parts["weights"].as_u64().unwrap() + metadata + parts["tables"].as_u64().unwrap();
    assert_eq!(Some(whole), said["bytes"].as_u64());
    assert_eq!(said["bytes"].as_u64(), Some(std::fs::metadata(&model).unwrap().len()));
    assert_eq!(said["traced"].as_u64(), Some(operators.len() as u64));
    assert_eq!(said["signatures"][0]["inputs"][0]["shape"], serde_json::json!([1, 1, 64, 64]));
}

#[test]
fn an_operator_is_shown_with_its_code_and_its_neighbours() {
    let (_folder, model) = example();
    let text = printed(&["inspect", &model, "--op", "resize_bilinear"]);
    assert_eq!(text.matches(" RESIZE_BILINEAR\n").count(), 2, "{text}");
    for part in [
        "--> model.py:86 in forward",
        "x = self.conv(self.pad(self.upscale(x)))",
        "module up1.upscale (",
        "aten.upsample_bilinear2d.vec \"upsample_bilinear2d\"",
        "FLOAT32[1,16,16,32]",
        "for #",
        "MIRROR_PAD",
        "half_pixel_centers=true",
    ] {
        assert!(text.contains(part), "no '{part}' in\n{text}");
    }
    assert_eq!(printed(&["inspect", &model, "--op", "GATHER_ND"]), format!("{model} has no GATHER_ND\n"));
    let unknown = edgewright(&["inspect", &model, "--op", "RESIZE"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("the model has ADD, "), "{unknown:?}");
}

#[test]
fn the_program_and_its_compiled_form_do_the_same_work() {
    let (_folder, model) = example();
    let archive = root("examples/watermark/watermark.pt2").display().to_string();
    let said = json(&["inspect", &archive]);
    assert_eq!(said["graph"]["macs"], json(&["inspect", &model])["macs"]);
    assert_eq!(said["histogram"]["aten.conv2d.default"], said["graph"]["histogram"]["conv2d"]);
    assert_eq!(said["unsupported"], serde_json::json!([]));
    for name in ["aten.conv2d.default", "conv2d", "aten.conv2d", "conv2d.default"] {
        let found = json(&["inspect", &archive, "--op", name]);
        assert_eq!(found["operators"].as_array().unwrap().len(), 26, "{name}");
    }
}

#[test]
fn transposes_of_the_compiled_model_are_explained() {
    let archive = root("tests/ops/cast/input-is-output.pt2");
    let archive = archive.display().to_string();
    assert!(printed(&["inspect", &archive, "--explain", "transpose"]).starts_with("0 transposes"));
    let archive = root("tests/ops/pool/average.pt2").display().to_string();
    let said = json(&["inspect", &archive, "--explain", "transpose"]);
    let left = said["transposes"].as_array().unwrap();
    assert_eq!(
        left.len(),
        2,
        "an image goes in and out with channels first, and is pooled with channels last"
    );
    assert_eq!(said["decisions"].as_array().unwrap().len(), left.len());
    let last = json(&["inspect", &archive, "--explain", "transpose", "--io-layout", "nhwc"]);
    assert_eq!(last["transposes"], serde_json::json!([]));
    assert_eq!(edgewright(&["inspect", &archive, "--io-layout", "nhwc"]).status.code(), Some(2));
}

#[test]
fn a_file_of_another_writer_is_shown() {
    let model = root("crates/runtime/tests/fixtures/conv_add.tflite").display().to_string();
    let said = json(&["inspect", &model]);
    assert_eq!(said["histogram"], serde_json::json!({"ADD": 1, "CONV_2D": 1}));
    assert_eq!(said["operators"][1]["inputs"][0]["producer"], 0);
    assert!(said["operators"][0]["origin"].is_null());
    assert!(printed(&["inspect", &model]).contains("no provenance"));
    assert_eq!(edgewright(&["inspect", &model, "--explain", "transpose"]).status.code(), Some(2));
}

#[test]
fn symbolic_sizes_are_listed_with_a_shape_that_settles_them() {
    let archive = root("tests/archives/2.14/resized.pt2").display().to_string();
    let said = json(&["inspect", &archive]);
    assert_eq!(said["at_example_sizes"], true);
    assert!(!said["symbols"]["symbols"].as_array().unwrap().is_empty());
    let suggestion = said["symbols"]["suggestion"].as_str().unwrap();
    assert!(suggestion.starts_with("--shape "), "{suggestion}");
    assert!(printed(&["inspect", &archive]).contains(suggestion));
    let words: Vec<&str> = ["inspect", &archive].into_iter().chain(suggestion.split(' ')).collect();
    let settled = json(&words);
    assert_eq!((&settled["inputs"], &settled["histogram"]), (&said["inputs"], &said["histogram"]));
    assert_eq!(settled["at_example_sizes"], false);
}

#[test]
fn what_is_no_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.tflite", &b"TFL3"[..]), ("b.pt2", b"PK\x03\x04 and no more"), ("c", b"")] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let output = edgewright(&["inspect", &path.display().to_string()]);
        assert_eq!(output.status.code(), Some(4), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(edgewright(&["inspect", "nowhere.tflite"]).status.code(), Some(5));
}

#[test]
fn the_least_runtime_is_told_in_the_numbers_of_tensorflow() {
    let strange = root("crates/runtime/tests/fixtures/conv_add.tflite");
    let said = printed(&["inspect", strange.to_str().unwrap()]);
    assert!(said.contains("needs    TensorFlow Lite 1.5.0 or later (TensorFlow's numbers)\n"), "{said}");

    let (_folder, own) = example();
    let said = printed(&["inspect", &own]);
    assert!(said.contains(" or later (TensorFlow's numbers; LiteRT "), "{said}");
}
