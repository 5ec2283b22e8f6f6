//! Every operator case of `tests/ops` against the outputs that PyTorch recorded, at three checkpoints: ① the imported
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]
//! graph, ② the compiled graph, ③ the compiled graph written as a .tflite and read back. (④, LiteRT itself, is
//! `operators_on_litert` of the `edgewright-cli` crate.)
//!
//! What the compiler refuses is listed with its reason in `tests/ops/refused.md`, which
//! `BLESS=1 cargo test -p edgewright-compiler --test operators` rewrites. `CASES=pool/` looks at some cases only.

mod cases;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use edgewright_compiler as compiler;

use compiler::compile::{Options, compile, pipeline};
use compiler::evaluate;
use compiler::front::{tflite, torch};
use compiler::ops::Graph;
use compiler::verify::Recording;
use ir::{Diagnostic, Exit, Journal, Silent};
use rayon::prelude::*;

const CHECKPOINTS: [&str; 3] = ["① imported", "② compiled", "③ read back"];

/// How a case ends, where it does not pass.
enum Fault {
    /// The compiler refuses it, for this reason.
    Refused(String),
    /// It computes something else, or breaks, at this checkpoint.
    Wrong(usize, String),
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
    let outputs = evaluate::run(graph, &recording.inputs)
        .map_err(|d| Fault::Wrong(checkpoint, format!("{}: {}", d.code.name, d.message)))?;
    cases::judge(&outputs, recording).map_err(|why| Fault::Wrong(checkpoint, why))
}

fn run(path: &Path, folder: &Path) -> Result<(), Fault> {
    let recording = cases::recording(path).map_err(|d| said(0, &[d]))?;
    let program = torch::read(path, &torch::Options::default()).map_err(|d| said(0, &d))?;
    let imported = torch::import::import(&program).map_err(|d| said(0, &d))?;
    check(0, &imported, &recording)?;

    let options = Options::default();
    let compiled = compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent)
        .map_err(|d| said(1, &d))?;
    check(1, &compiled.graph, &recording)?;

    let file = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
    let back = cases::write(&compiled, &file).and_then(|()| {
        let file = tflite::open(&file).map_err(|d| vec![d])?;
        tflite::import(&file)
    });
    let back = back.map_err(|d| match said(2, &d) {
        // What was compiled can be written and read: anything else is a fault.
        Fault::Refused(why) | Fault::Wrong(_, why) => Fault::Wrong(2, why),
    })?;
    check(2, &back, &recording)
}

#[test]
fn every_operator_computes_what_pytorch_computes() {
    let archives = cases::archives();
    let folder = tempfile::tempdir().unwrap();
    let faults: BTreeMap<&str, Fault> = archives
        .par_iter()
        .filter_map(|(name, path)| {
            let caught = catch_unwind(AssertUnwindSafe(|| run(path, folder.path())));
            let panicked = || Err(Fault::Wrong(0, "panics; what it says stands above".into()));
            Some((name.as_str(), caught.unwrap_or_else(|_| panicked()).err()?))
        })
        .collect();

    let page = cases::root("tests/ops/refused.md");
    let listed = listed(&page);
    let mut table = String::new();
    let mut line = |what: &str, name: &str, why: &str| _ = writeln!(table, "{what:12} {name:40} {why}");
    let mut refused = BTreeMap::new();
    for (&name, fault) in &faults {
        match fault {
            Fault::Wrong(at, why) => line(CHECKPOINTS[*at], name, why),
            Fault::Refused(why) => {
                refused.insert(name, why.as_str());
                if listed.get(name) != Some(why) && !cases::blessing() {
                    line("refused", name, why);
                }
            }
        }
    }
    for name in listed.keys().filter(|_| !cases::blessing()) {
        match archives.contains_key(name) {
            true if !faults.contains_key(name.as_str()) => {
                line("stale", name, "is listed as refused and passes")
            }
            false if cases::all() => line("stale", name, "is listed as refused and is no case"),
            _ => {}
        }
    }
    if cases::blessing() {
        bless(&page, &refused);
    }
    let passed = archives.len() - faults.len();
    assert!(table.is_empty(), "{passed} of {} cases pass; these do not:\n{table}", archives.len());
}

const HEAD: &str = "\
# Operator cases that are refused

Each is exported by PyTorch and not compiled: there is no exact form, or none yet. The list is written by
`BLESS=1 cargo test -p edgewright-compiler --test operators`; a case on it that compiles makes that test fail.

| case | why |
|---|---|
";

/// Case → reason, as the page has them.
fn listed(page: &Path) -> BTreeMap<String, String> {
    let pair = |cells: Vec<String>| <[String; 2]>::try_from(cells).ok().map(|[case, why]| (case, why));
    cases::rows(page).into_iter().filter_map(pair).collect()
}

fn bless(page: &PathBuf, refused: &BTreeMap<&str, &str>) {
    let rows: String = refused.iter().map(|(case, why)| cases::row([*case, *why])).collect();
    fs::write(page, format!("{HEAD}{rows}")).unwrap();
}
