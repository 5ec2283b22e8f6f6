//! Checkpoint ④: every operator case of `tests/ops` that compiles, run on LiteRT under both kernel sets and compared
//! with the outputs that PyTorch recorded. (①–③ are `operators` of the `edgewright-compiler` crate.)
//!
//! Where a kernel of LiteRT is known to differ at NaN, infinities or huge numbers, `tests/ops/litert.md` says so with the
//! reason, one case and kernel set a row; all other elements must agree there too. `BLESS=1 cargo test -p edgewright-cli --test operators_on_litert` rewrites what differs and keeps reasons;
//! a row without one fails.
//!
//! Without LiteRT's library the test says so and does nothing, unless `EDGEWRIGHT_REQUIRE_LITERT=1` makes that a failure.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

#[path = "../../compiler/tests/cases/mod.rs"]
mod cases;
mod litert;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::compiler;
use compiler::compile::{Options, compile, pipeline};
use compiler::front::torch;
use ir::{Exit, Journal, Silent};
use rayon::prelude::*;
use runtime::{Child, Kernels, Settings};

const KERNELS: [(&str, Kernels); 2] = [("XNNPACK", Kernels::Xnnpack), ("builtin", Kernels::Builtin)];

/// One operator takes a moment; a machine under load takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a difference begins that no row of the list excuses.
const ORDINARY: &str = "beside special values: ";

/// The .tflite of a case; `None` where the compiler refuses it, which checkpoint ② looks at.
fn compiled(archive: &Path, folder: &Path) -> Result<Option<tempfile::TempPath>, String> {
    let text =
        |found: Vec<ir::Diagnostic>| found.iter().map(|d| d.message.clone()).collect::<Vec<_>>().join("; ");
    let options = Options::default();
    let compiled = torch::read(archive, &torch::Options::default()).and_then(|program| {
        compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent)
    });
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(found) if found.iter().all(|d| d.code.exit == Exit::Unsupported) => return Ok(None),
        Err(found) => return Err(text(found)),
    };
    let file = tempfile::Builder::new().suffix(".tflite").tempfile_in(folder).unwrap().into_temp_path();
    cases::write(&compiled, &file).map_err(text)?;
    Ok(Some(file))
}

/// Runs a case under both kernel sets: what differs, by the kernel set's name.
fn run(archive: &Path, library: &Path, folder: &Path) -> Vec<(&'static str, String)> {
    let model = match compiled(archive, folder) {
        Ok(Some(model)) => model,
        Ok(None) => return Vec::new(),
        Err(why) => return vec![("compile", why)],
    };
    let recording = match cases::recording(archive) {
        Ok(recording) => recording,
        Err(why) => return vec![("recording", why.message)],
    };
    let judged = |kernels: Kernels| -> Result<(), String> {
        let program = Path::new(env!("CARGO_BIN_EXE_edgewright"));
        let settings = Settings { kernels, ..Settings::default() };
        let run = Child::spawn(program, library, &model, settings, PATIENCE)
            .and_then(|mut child| child.run(&recording.inputs));
        let outputs = run.map_err(|e| ir::Diagnostic::from(e).message)?;
        let whole = cases::judge(&outputs, &recording);
        // Nothing excuses these.
        cases::judge_ordinary(&outputs, &recording).map_err(|why| format!("{ORDINARY}{why}"))?;
        whole
    };
    KERNELS.into_iter().filter_map(|(name, kernels)| Some((name, judged(kernels).err()?))).collect()
}

#[test]
fn every_operator_computes_on_litert_what_pytorch_computes() {
    let Some(library) = litert::library() else { return };
    let archives = cases::archives();
    let folder = tempfile::tempdir().unwrap();
    let found: BTreeMap<(String, String), String> = archives
        .par_iter()
        .flat_map_iter(|(case, archive)| {
            let faults = run(archive, &library, folder.path());
            faults.into_iter().map(move |(kernels, what)| ((case.clone(), kernels.to_string()), what))
        })
        .collect();

    let page = cases::root("tests/ops/litert.md");
    let listed = listed(&page);
    if cases::blessing() {
        bless(&page, &found, &listed);
    }
    let mut table = String::new();
    for (key @ (case, kernels), what) in &found {
        match listed.get(key).map(String::as_str) {
            _ if what.starts_with(ORDINARY) => _ = writeln!(table, "{kernels:10} {case:40} {what}"),
            None => _ = writeln!(table, "{kernels:10} {case:40} {what}"),
            Some("") => _ = writeln!(table, "{kernels:10} {case:40} is listed without a reason"),
            Some(_) => {}
        }
    }
    for (case, kernels) in listed.keys().filter(|key| !found.contains_key(*key)) {
        // XNNPACK has other kernels for other processors, where a row may be too much.
        if kernels == KERNELS[0].0 {
            continue;
        }
        if archives.contains_key(case) || cases::all() {
            let _ = writeln!(table, "{kernels:10} {case:40} is listed and does not differ");
        }
    }
    assert!(table.is_empty(), "{} cases on LiteRT; these differ:\n{table}", archives.len());
}

const HEAD: &str = "\
# Operator cases in which a kernel of LiteRT differs from PyTorch

What a kernel does with special values is measured in `docs/kernels.md`. Each row is one case under one kernel set; the
last column says why it is let stand. What differs is written by
`BLESS=1 cargo test -p edgewright-cli --test operators_on_litert`, the reasons by hand.

| case | kernels | what differs | why |
|---|---|---|---|
";

/// (case, kernels) → reason, as the page has them.
fn listed(page: &Path) -> BTreeMap<(String, String), String> {
    let row = |cells: Vec<String>| <[String; 4]>::try_from(cells).ok();
    cases::rows(page)
        .into_iter()
        .filter_map(row)
        .map(|[case, kernels, _, why]| ((case, kernels), why))
        .collect()
}

fn bless(
    page: &PathBuf,
    found: &BTreeMap<(String, String), String>,
    listed: &BTreeMap<(String, String), String>,
) {
    let row = |(key, what): (&(String, String), &String)| {
        let why = listed.get(key).map_or("", String::as_str);
        cases::row([&key.0, &key.1, what, why])
    };
    let rows: String = found.iter().map(row).collect();
    fs::write(page, format!("{HEAD}{rows}")).unwrap();
}
