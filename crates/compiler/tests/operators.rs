//! Every operator case of `tests/ops` against the outputs that PyTorch recorded, at three checkpoints: ① the imported
//! graph, ② the compiled graph, ③ the compiled graph written as a .tflite and read back. (④, LiteRT itself, is
//! `operators_on_litert` of the `edgewright` crate.)
//!
//! What the compiler refuses is listed with its reason in `tests/ops/refused.md`, which
//! `BLESS=1 cargo test -p edgewright-compiler --test operators` rewrites. `CASES=pool/` looks at some cases only.
#![allow(clippy::disallowed_methods, reason = "a test is told by the environment what to look at")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use edgewright_compiler as compiler;

use compiler::back::tflite::{INLINE_LIMIT, encode};
use compiler::compile::{Compiled, Options, compile, pipeline};
use compiler::front::{tflite, torch};
use compiler::ops::Graph;
use compiler::verify::{OPERATOR, Recording, compare};
use compiler::{evaluate, front};
use ir::{Diagnostic, Exit, Journal, Silent, Tensor};
use rayon::prelude::*;

const CHECKPOINTS: [&str; 3] = ["① imported", "② compiled", "③ read back"];

/// How a case ends, where it does not pass.
enum Fault {
    /// The compiler refuses it, for this reason.
    Refused(String),
    /// It computes something else, or breaks, at this checkpoint.
    Wrong(usize, String),
}

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Every case by its name: `softmax/last-axis`.
fn cases() -> BTreeMap<String, PathBuf> {
    let wanted = std::env::var("CASES").unwrap_or_default();
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(root("tests/ops")).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|e| e == "pt2") {
                let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
                found.insert(format!("{}/{}", stem(&folder), stem(&path)), path);
            }
        }
    }
    found.retain(|name, _| name.contains(&wanted));
    found
}

/// What the compiler says, in one line; a refusal where it is one.
fn said(checkpoint: usize, found: &[Diagnostic]) -> Fault {
    let text: Vec<String> = found.iter().map(|d| format!("{}: {}", d.code.name, d.message)).collect();
    let text = text.join("; ").replace('\n', " ");
    match found.iter().all(|d| d.code.exit == Exit::Unsupported) {
        true => Fault::Refused(text),
        false => Fault::Wrong(checkpoint, text),
    }
}

/// Evaluates a graph on the recorded inputs and compares its outputs.
fn check(checkpoint: usize, graph: &Graph, recording: &Recording) -> Result<(), Fault> {
    let wrong = |why: String| Fault::Wrong(checkpoint, why);
    let outputs = evaluate::run(graph, &recording.inputs)
        .map_err(|d| wrong(format!("{}: {}", d.code.name, d.message)))?;
    if outputs.len() != recording.outputs.len() {
        return Err(wrong(format!("{} outputs, not {}", outputs.len(), recording.outputs.len())));
    }
    for (i, (found, reference)) in outputs.iter().zip(&recording.outputs).enumerate() {
        let verdict =
            compare(found, reference, OPERATOR, None).map_err(|why| wrong(format!("output {i} {why}")))?;
        if let Some(fault) = &verdict.fault {
            return Err(wrong(format!("output {i} {fault}{}", first_difference(found, reference))));
        }
    }
    Ok(())
}

/// The first element that differs most plainly: by being NaN or infinite, else by its distance.
fn first_difference(found: &Tensor, reference: &Tensor) -> String {
    let (a, b) = (found.to_f64s(), reference.to_f64s());
    let same = |i: &usize| a[*i] == b[*i] || (a[*i].is_nan() && b[*i].is_nan());
    let special = |i: &usize| !same(i) && !(a[*i].is_finite() && b[*i].is_finite());
    let furthest = || (0..a.len()).max_by(|&i, &j| (a[i] - b[i]).abs().total_cmp(&(a[j] - b[j]).abs()));
    let at = (0..a.len()).find(special).or_else(furthest);
    at.map_or(String::new(), |i| format!(" ([{i}] is {}, not {})", a[i], b[i]))
}

fn run(path: &Path, folder: &Path) -> Result<(), Fault> {
    let tensors = weights::read_safetensors(&path.with_extension("safetensors"));
    let recording = tensors.and_then(|t| Recording::read(&t)).map_err(|d| said(0, &[d]))?;
    let program = torch::read(path, &torch::Options::default()).map_err(|d| said(0, &d))?;
    let imported = front::torch::import::import(&program).map_err(|d| said(0, &d))?;
    check(0, &imported, &recording)?;

    let options = Options::default();
    let compiled = compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent)
        .map_err(|d| said(1, &d))?;
    check(1, &compiled.graph, &recording)?;

    let back = written_and_read(&compiled, folder).map_err(|d| match said(2, &d) {
        // What was compiled can be written and read: anything else is a fault.
        Fault::Refused(why) | Fault::Wrong(_, why) => Fault::Wrong(2, why),
    })?;
    check(2, &back, &recording)
}

fn written_and_read(compiled: &Compiled, folder: &Path) -> Result<Graph, Vec<Diagnostic>> {
    let path = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
    encode(&compiled.graph, &compiled.interface, &compiled.source, &compiled.journal.ledger)?
        .write(&path, INLINE_LIMIT, &mut |_| {})
        .map_err(|d| vec![d])?;
    tflite::import(&tflite::open(&path).map_err(|d| vec![d])?)
}

#[test]
fn every_operator_computes_what_pytorch_computes() {
    let cases = cases();
    let folder = tempfile::tempdir().unwrap();
    let faults: BTreeMap<&str, Fault> = cases
        .par_iter()
        .filter_map(|(name, path)| {
            let caught = catch_unwind(AssertUnwindSafe(|| run(path, folder.path())));
            let panicked = || Err(Fault::Wrong(0, "panics; what it says stands above".into()));
            Some((name.as_str(), caught.unwrap_or_else(|_| panicked()).err()?))
        })
        .collect();

    let listed = listed();
    let mut table = String::new();
    let mut refused = BTreeMap::new();
    for (&name, fault) in &faults {
        match fault {
            Fault::Wrong(at, why) => _ = writeln!(table, "{:12} {name:40} {why}", CHECKPOINTS[*at]),
            Fault::Refused(why) => {
                if listed.get(name) != Some(why) {
                    _ = writeln!(table, "{:12} {name:40} {why}", "refused");
                }
                refused.insert(name, why.as_str());
            }
        }
    }
    for name in listed.keys().filter(|n| cases.contains_key(*n) && !faults.contains_key(n.as_str())) {
        let _ = writeln!(table, "{:12} {name:40} is listed as refused and passes", "stale");
    }
    let whole = std::env::var("CASES").is_err();
    for name in listed.keys().filter(|n| whole && !cases.contains_key(*n)) {
        let _ = writeln!(table, "{:12} {name:40} is listed as refused and is no case", "stale");
    }
    if std::env::var("BLESS").is_ok() {
        assert!(whole, "the list is written for all cases at once: leave CASES out");
        return bless(&refused);
    }
    let passed = cases.len() - faults.len();
    println!("{passed} of {} cases pass, {} are refused", cases.len(), refused.len());
    assert!(!cases.is_empty(), "no case has such a name");
    assert!(table.is_empty(), "{passed} of {} cases pass; these do not:\n{table}", cases.len());
}

const HEAD: &str = "\
# Operator cases that are refused

Each is exported by PyTorch and not compiled: there is no exact form, or none yet. The list is written by
`BLESS=1 cargo test -p edgewright-compiler --test operators`; a case on it that compiles makes that test fail.

| case | why |
|---|---|
";

fn list() -> PathBuf {
    root("tests/ops/refused.md")
}

/// Case → reason, as the page has them.
fn listed() -> BTreeMap<String, String> {
    let page = fs::read_to_string(list()).unwrap_or_default();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.skip(1).map(|(case, why)| (case.to_string(), why.replace("\\|", "|"))).collect()
}

fn bless(refused: &BTreeMap<&str, &str>) {
    let rows: String =
        refused.iter().map(|(case, why)| format!("| {case} | {} |\n", why.replace('|', "\\|"))).collect();
    fs::write(list(), format!("{HEAD}{rows}")).unwrap();
}
