//! Archives that are something else, damaged, or lie about themselves: each is a diagnostic, never a panic.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use edgewright_compiler::front::torch::{Options, Program, read};
use ir::Diagnostic;
use serde_json::{Value, json};
use zip::read::{ArchiveOffset, Config};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The entries of an archive, in order.
type Entries = Vec<(String, Vec<u8>)>;

fn archive(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/archives/2.14").join(name)
}

fn entries(name: &str) -> Entries {
    let from_the_start = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut zip = ZipArchive::with_config(from_the_start, File::open(archive(name)).unwrap()).unwrap();
    (0..zip.len())
        .map(|i| {
            let mut entry = zip.by_index(i).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn written(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(name.as_str(), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn read_bytes(bytes: &[u8], options: &Options) -> Result<Program, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pt2");
    fs::write(&path, bytes).unwrap();
    read(&path, options)
}

/// The first error of reading these bytes, as its code and its text.
fn error(bytes: &[u8]) -> (&'static str, String) {
    let errors = read_bytes(bytes, &Options::default()).err().unwrap_or_default();
    let text = errors.iter().map(Diagnostic::to_string).collect();
    (errors.first().map_or("it is read", |e| e.code.name), text)
}

/// An archive with its program, or the entry that ends in `tail`, changed.
fn edited(name: &str, tail: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut entries = entries(name);
    let (_, bytes) = entries.iter_mut().find(|(name, _)| name.ends_with(tail)).unwrap();
    let mut json: Value = serde_json::from_slice(bytes).unwrap();
    edit(&mut json);
    *bytes = serde_json::to_vec(&json).unwrap();
    written(&entries)
}

const PROGRAM: &str = "models/model.json";
const WEIGHTS: &str = "weights_config.json";

#[test]
fn an_archive_written_again_is_read() {
    let options = Options { verify_checksums: true, ..Options::default() };
    let program = read_bytes(&written(&entries("lines.pt2")), &options).unwrap();
    assert_eq!(program.constants.len(), 2);
    // What a later version may add is not looked at.
    let bytes = edited("lines.pt2", PROGRAM, |json| {
        json["graph_module"]["graph"]["wonders"] = json!([{"as_new": 1}])
    });
    assert_eq!(read_bytes(&bytes, &options).unwrap().constants.len(), 2);
}

#[test]
fn other_files_are_told_by_what_they_are() {
    let named = |names: &[&str]| {
        written(&names.iter().map(|n| ((*n).to_owned(), b"x".to_vec())).collect::<Entries>())
    };
    for (bytes, code, part) in [
        (
            named(&["serialized_exported_program.json", "version"]),
            "archive-too-old",
            "PyTorch 2.7 or earlier",
        ),
        (
            named(&[
                "m/archive_format",
                "m/models/model.json",
                "m/data/weights/model.pt",
                "m/data/constants/model.pt",
            ]),
            "archive-too-old",
            "PyTorch 2.8 or earlier",
        ),
        (named(&["m/data.pkl", "m/constants.pkl", "m/code/x.py"]), "not-an-exported-program", "TorchScript"),
        (named(&["m/data.pkl", "m/data/0"]), "not-an-exported-program", "checkpoint"),
        (named(&["m/archive_format", "m/data/aotinductor/a.so"]), "not-an-exported-program", "AOTInductor"),
        (named(&["m/archive_format", "m/data/x"]), "invalid-archive", "models/NAME.json"),
        (named(&["word/document.xml"]), "not-an-exported-program", "no program of torch.export"),
        (Vec::new(), "not-an-exported-program", "empty"),
        (b"\x1c\0\0\0TFL3 and more".to_vec(), "not-an-exported-program", "a .tflite file already"),
        (b"\x08\0\0\0\0\0\0\0{\"x\":1} ".to_vec(), "not-an-exported-program", "safetensors"),
        (b"\x80\x02\x8a\x0a rest".to_vec(), "not-an-exported-program", "a pickle"),
        (b"hello".to_vec(), "not-an-exported-program", "not a ZIP archive"),
    ] {
        let (found, text) = error(&bytes);
        assert!(found == code && text.contains(part), "{part}: {found} {text}");
    }
    let mut big = entries("lines.pt2");
    big.iter_mut().find(|(name, _)| name.ends_with("byteorder")).unwrap().1 = b"big".to_vec();
    assert!(error(&written(&big)).1.contains("big-endian"));
    assert_eq!(
        read(Path::new("/nowhere/model.pt2"), &Options::default()).unwrap_err()[0].code.name,
        "cannot-read-file"
    );
}

#[test]
fn weights_that_lie_are_refused() {
    let meta = |field: &'static str, value: Value| {
        edited("lines.pt2", WEIGHTS, move |json| {
            json["config"]["body.0.weight"]["tensor_meta"][field] = value
        })
    };
    let int = |n: i64| json!({ "as_int": n });
    for (bytes, part) in [
        (meta("sizes", json!([int(4), int(400)])), "do not lie in"),
        (meta("sizes", json!([int(1 << 40), int(1 << 40)])), "too large"),
        (meta("sizes", json!([int(i64::MAX), int(i64::MAX)])), "too large"),
        (meta("sizes", json!([int(-4), int(4)])), "negative"),
        (meta("sizes", json!([int(4)])), "1 sizes but 2 strides"),
        (meta("strides", json!([int(4), int(-1)])), "negative"),
        (meta("strides", json!([int(i64::MAX), int(1)])), "too large"),
        (meta("storage_offset", int(1)), "do not lie in"),
        (meta("storage_offset", int(i64::MAX)), "do not lie in"),
        (
            meta("storage_offset", json!({"as_expr": {"expr_str": "Symbol('s0')", "hint": null}})),
            "not a number",
        ),
        (meta("layout", json!(1)), "not strided"),
        (meta("dtype", json!(99)), "dtype is number 99"),
        (meta("dtype", json!(8)), "do not lie in"),
        (meta("dtype", json!(4)), "is stored as i32[4,4], but used as f32[4,4]"),
        (
            edited("lines.pt2", WEIGHTS, |j| j["config"]["body.0.weight"]["use_pickle"] = json!(true)),
            "no pickle is executed",
        ),
        (
            edited("lines.pt2", WEIGHTS, |j| j["config"]["body.0.weight"]["tensor_meta"] = json!(null)),
            "not a tensor",
        ),
        (
            edited("lines.pt2", WEIGHTS, |j| {
                j["config"]["body.0.weight"]["path_name"] = json!("../byteorder")
            }),
            "no entry",
        ),
        (edited("lines.pt2", WEIGHTS, |j| j["config"] = json!({})), "the archive does not have it"),
    ] {
        let (code, text) = error(&bytes);
        assert!(code == "invalid-weight" && text.contains(part), "{part}: {code} {text}");
    }
    let both = edited("lines.pt2", WEIGHTS, |json| json["config"] = json!({}));
    assert_eq!(read_bytes(&both, &Options::default()).unwrap_err().len(), 2, "both weights are told at once");
}

#[test]
fn programs_that_contradict_themselves_are_refused() {
    let graph =
        |edit: fn(&mut Value)| edited("lines.pt2", PROGRAM, |json| edit(&mut json["graph_module"]["graph"]));
    for (bytes, code, part) in [
        (
            graph(|g| g["nodes"][0]["inputs"][0]["arg"] = json!({"as_tensor": {"name": "ghost"}})),
            "invalid-archive",
            "'ghost' is used before",
        ),
        (
            graph(|g| g["nodes"].as_array_mut().unwrap().reverse()),
            "invalid-archive",
            "is used before it is defined",
        ),
        (graph(|g| g["nodes"][1] = g["nodes"][0].clone()), "invalid-archive", "defines 'mul' twice"),
        (
            graph(|g| drop(g["tensor_values"].as_object_mut().unwrap().remove("mul"))),
            "invalid-archive",
            "nothing of the tensor 'mul'",
        ),
        (
            graph(|g| g["tensor_values"]["mul"]["sizes"][0] = json!({"as_int": -1})),
            "invalid-archive",
            "a size is -1",
        ),
        (
            graph(|g| g["tensor_values"]["mul"]["sizes"][0] = json!({"as_int": i64::MAX})),
            "invalid-archive",
            "more elements than",
        ),
        (graph(|g| g["tensor_values"]["mul"]["dtype"] = json!(77)), "invalid-archive", "dtype number 77"),
        (
            graph(|g| g["outputs"] = json!([])),
            "invalid-archive",
            "the signature has 1 outputs, but the graph has 0",
        ),
        (
            graph(|g| g["inputs"].as_array_mut().unwrap().swap(0, 1)),
            "invalid-archive",
            "where the graph has another",
        ),
        (
            graph(|g| g["nodes"][0]["inputs"][1]["arg"] = json!({"as_wonder": 1})),
            "unknown-operator",
            "'as_wonder'",
        ),
        (
            graph(|g| g["nodes"][0]["inputs"][1]["name"] = json!("wonder")),
            "unknown-operator",
            "argument 'wonder'",
        ),
        (
            graph(|g| g["nodes"][0]["target"] = json!("torch.ops.aten.wonder.default")),
            "unknown-operator",
            "aten.wonder.default",
        ),
        (graph(|g| g["nodes"] = json!({})), "invalid-archive", "cannot be understood"),
        (
            edited("lines.pt2", PROGRAM, |j| j["schema_version"]["major"] = json!(9)),
            "invalid-archive",
            "version 9.",
        ),
    ] {
        let (found, text) = error(&bytes);
        assert!(found == code && text.contains(part), "{part}: {found} {text}");
    }
}

#[test]
fn an_unknown_operator_that_nothing_reads_is_no_error() {
    let bytes = edited("cond.pt2", PROGRAM, |json| {
        let graph = &mut json["graph_module"]["graph"];
        let input = graph["inputs"][0].clone();
        graph["outputs"][0] = input;
    });
    assert!(read_bytes(&bytes, &Options::default()).unwrap().calls.is_empty());
}

#[test]
fn sizes_that_disagree_with_the_table_are_refused() {
    let mut pins = Vec::new();
    let path = archive("message-dynamic.pt2");
    let shapes = vec![("latents".to_owned(), vec![2, 3, 6, 7]), ("msg".to_owned(), vec![2, 16])];
    pins.extend(read(&path, &Options { shapes, ..Options::default() }).unwrap().pins);
    let pins: Vec<(String, i64)> = pins.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let bytes = edited("message-dynamic.pt2", PROGRAM, |json| {
        let table = json["graph_module"]["graph"]["sym_int_values"].as_object_mut().unwrap();
        for value in table.values_mut() {
            *value = json!({"as_int": 5});
        }
    });
    let errors = read_bytes(&bytes, &Options { pins, ..Options::default() }).unwrap_err();
    assert!(errors.iter().any(|e| e.message.contains("but the program says that")), "{errors:?}");
}

#[test]
fn nesting_has_an_end() {
    for deep in ["[".repeat(200_000), format!("{{\"graph_module\":{}", "{\"a\":".repeat(100_000))] {
        let mut entries = entries("lines.pt2");
        entries.iter_mut().find(|(name, _)| name.ends_with(PROGRAM)).unwrap().1 = deep.into_bytes();
        assert_eq!(error(&written(&entries)).0, "invalid-archive");
    }
    let deep = format!("{}Integer(1){}", "Add(".repeat(50_000), ")".repeat(50_000));
    let bytes = edited("halves.pt2", PROGRAM, |json| {
        json["graph_module"]["graph"]["tensor_values"]["x"]["sizes"][2] =
            json!({"as_expr": {"expr_str": deep, "hint": null}});
    });
    assert!(error(&bytes).1.contains("nested more than"));
    // A chain of twenty thousand views is walked, not recursed into.
    let bytes =
        edited("in-place.pt2", PROGRAM, |json| chain_of_views(&mut json["graph_module"]["graph"], 20_000));
    assert!(read_bytes(&bytes, &Options::default()).is_ok());
}

/// Views of views of the first result, the last of which is written; the first is read afterwards.
fn chain_of_views(graph: &mut Value, count: usize) {
    let first = graph["nodes"][0]["outputs"][0]["as_tensor"]["name"].clone();
    let meta = graph["tensor_values"][first.as_str().unwrap()].clone();
    let node = |target: &str, from: &Value, to: &str| {
        json!({"target": format!("torch.ops.aten.{target}.default"), "metadata": {}, "outputs": [{"as_tensor": {"name": to}}],
               "inputs": [{"name": "self", "arg": {"as_tensor": {"name": from}}, "kind": 1}]})
    };
    let mut chain = vec![graph["nodes"][0].clone()];
    let mut last = first.clone();
    for i in 0..count {
        let name = format!("chain_{i}");
        chain.push(node("alias", &last, &name));
        graph["tensor_values"][&name] = meta.clone();
        last = json!(name);
    }
    chain.push(node("relu_", &last, "chain_end"));
    graph["tensor_values"]["chain_end"] = meta;
    chain.extend(graph["nodes"].as_array().unwrap()[1..].iter().cloned());
    graph["nodes"] = json!(chain);
}

/// A small generator of numbers (splitmix64), so that every run is the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

const MUTATED: &[&str] =
    &["lines.pt2", "halves.pt2", "deep-views.pt2", "no-grad.pt2", "structured.pt2", "weights.pt2"];

#[test]
fn damaged_bytes_are_read_or_refused() {
    let mut random = Random(1);
    for name in MUTATED {
        let whole = fs::read(archive(name)).unwrap();
        for _ in 0..150 {
            let mut bytes = whole.clone();
            if random.below(4) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            looked_at(&bytes);
        }
    }
}

#[test]
fn damaged_json_is_read_or_refused() {
    let mut random = Random(2);
    let mut read = 0;
    for name in MUTATED {
        let whole = entries(name);
        for round in 0..160 {
            let mut entries = whole.clone();
            let all: Vec<usize> = (0..entries.len()).filter(|&i| entries[i].0.ends_with(".json")).collect();
            let entry = all[random.below(all.len())];
            let bytes = &mut entries[entry].1;
            if round % 4 == 0 {
                let at = random.below(bytes.len());
                bytes[at] = b"0-9{}[],:\"aeE."[random.below(14)];
            } else {
                let mut json: Value = serde_json::from_slice(bytes).unwrap();
                for _ in 0..=random.below(3) {
                    damage(&mut json, &mut random);
                }
                *bytes = serde_json::to_vec(&json).unwrap();
            }
            read += usize::from(looked_at(&written(&entries)));
        }
    }
    assert!(read > 50, "some damage does no harm, or the test damages too much: {read}");
}

/// Reads with shapes that fit some; a panic or an allocation beyond reason fails the test.
fn looked_at(bytes: &[u8]) -> bool {
    let shapes = vec![("x".to_owned(), vec![1, 1, 11, 8]), ("y".to_owned(), vec![6, 2])];
    let asked = read_bytes(bytes, &Options { shapes, ..Options::default() });
    let plain = read_bytes(bytes, &Options::default());
    for errors in [asked.as_ref().err(), plain.as_ref().err()].into_iter().flatten() {
        assert!(!errors.is_empty(), "a refusal says why");
        assert!(errors.iter().all(|e| e.code.name != "bug"), "{errors:?}");
    }
    asked.is_ok() || plain.is_ok()
}

/// Replaces one value somewhere by another.
fn damage(at: &mut Value, random: &mut Random) {
    let deeper = random.below(8) > 0;
    match at {
        Value::Array(list) if deeper && !list.is_empty() => {
            let i = random.below(list.len());
            damage(&mut list[i], random);
        }
        Value::Object(map) if deeper && !map.is_empty() => {
            let i = random.below(map.len());
            damage(map.values_mut().nth(i).unwrap(), random);
        }
        found => *found = another(found, random),
    }
}

fn another(old: &Value, random: &mut Random) -> Value {
    match (random.below(10), old) {
        (0, _) => Value::Null,
        (1, _) => json!(-1),
        (2, _) => json!(i64::MAX),
        (3, _) => json!(1e300),
        (4, _) => json!("x"),
        (5, Value::Array(list)) => Value::Array([list.as_slice(), list.as_slice()].concat()),
        (6, Value::Object(map)) => map.values().next().cloned().unwrap_or(json!({})),
        (7, _) => json!({"as_int": random.next() as i64 >> random.below(64)}),
        (8, _) => json!({"as_expr": {"expr_str": "Mul(Integer(3), Symbol('s0'))", "hint": {"as_int": 3}}}),
        (_, Value::Number(n)) => json!(n.as_i64().unwrap_or(0).wrapping_add(random.below(5) as i64 - 2)),
        (_, Value::String(text)) => json!(text.chars().rev().collect::<String>()),
        _ => json!([]),
    }
}
