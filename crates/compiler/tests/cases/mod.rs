//! The operator cases of `tests/ops`: their archives, what PyTorch recorded, and how outputs are judged by it.
#![allow(dead_code, reason = "each test that includes this module uses a part of it")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::result_large_err,
    reason = "a test is told by the environment what to look at, and stops where its files are amiss"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::compiler::back::tflite::{INLINE_LIMIT, encode};
use super::compiler::compile::Compiled;
use super::compiler::verify::{OPERATOR, Recording, compare};
use ir::{DType, Diagnostic, Tensor};

/// A file or folder of the repository.
pub(crate) fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Are all cases looked at, or those only whose names hold `CASES`?
pub(crate) fn all() -> bool {
    std::env::var("CASES").is_err()
}

/// Is what is found to be written down as what is expected?
pub(crate) fn blessing() -> bool {
    let asked = std::env::var("BLESS").is_ok();
    assert!(!asked || all(), "lists are written for all cases at once: leave CASES out");
    asked
}

/// The archive of every case by its name: `softmax/last-axis`.
pub(crate) fn archives() -> BTreeMap<String, PathBuf> {
    let wanted = std::env::var("CASES").unwrap_or_default();
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let entries = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut found = BTreeMap::new();
    for folder in entries(&root("tests/ops")).filter(|path| path.is_dir()) {
        for path in entries(&folder).filter(|path| path.extension().is_some_and(|e| e == "pt2")) {
            found.insert(format!("{}/{}", stem(&folder), stem(&path)), path);
        }
    }
    found.retain(|name, _| name.contains(&wanted));
    assert!(!found.is_empty(), "no case has such a name");
    found
}

/// What PyTorch recorded beside an archive.
pub(crate) fn recording(archive: &Path) -> Result<Recording, Diagnostic> {
    Recording::read(&weights::read_safetensors(&archive.with_extension("safetensors"))?)
}

/// Writes a compiled graph to a file.
pub(crate) fn write(compiled: &Compiled, path: &Path) -> Result<(), Vec<Diagnostic>> {
    encode(&compiled.graph, &compiled.interface, &compiled.source, &compiled.journal.ledger)?
        .write(path, INLINE_LIMIT, &mut |_| {})
        .map_err(|d| vec![d])?;
    Ok(())
}

/// Beyond this an element sets the scale for all others, which are then compared without it too.
const HUGE: f64 = 1e6;

/// Are these outputs those that PyTorch recorded? Errs with the first that differs.
pub(crate) fn judge(outputs: &[Tensor], recording: &Recording) -> Result<(), String> {
    if outputs.len() != recording.outputs.len() {
        return Err(format!("{} outputs, not {}", outputs.len(), recording.outputs.len()));
    }
    for (i, (found, reference)) in outputs.iter().zip(&recording.outputs).enumerate() {
        judge_one(found, reference).map_err(|why| format!("output {i}: {why}"))?;
    }
    Ok(())
}

fn judge_one(found: &Tensor, reference: &Tensor) -> Result<(), String> {
    let verdict = compare(found, reference, OPERATOR, None)?;
    if let Some(fault) = verdict.fault {
        return Err(fault + &plainest_difference(found, reference));
    }
    if verdict.metrics.max_ref <= HUGE || reference.dtype() != DType::F32 {
        return Ok(());
    }
    let (found, reference) = masked(found, reference, |_, r| r.is_nan() || r.abs() <= HUGE);
    match compare(&found, &reference, OPERATOR, None)?.fault {
        Some(fault) => {
            Err(format!("beside huge elements, {fault}{}", plainest_difference(&found, &reference)))
        }
        None => Ok(()),
    }
}

/// The same, with elements left out that are NaN, infinite or huge on either side.
pub(crate) fn judge_ordinary(outputs: &[Tensor], recording: &Recording) -> Result<(), String> {
    let ordinary = |x: f64| x.abs() <= HUGE;
    let pairs = outputs.iter().zip(&recording.outputs).map(|(found, reference)| {
        if found.ty() != reference.ty() || reference.dtype() != DType::F32 {
            return (found.clone(), reference.clone());
        }
        masked(found, reference, |f, r| ordinary(f) && ordinary(r))
    });
    let (outputs, references): (Vec<Tensor>, Vec<Tensor>) = pairs.unzip();
    judge(&outputs, &Recording { outputs: references, ..recording.clone() })
}

/// Both tensors, with zeros where an element of theirs is not kept.
fn masked(found: &Tensor, reference: &Tensor, kept: impl Fn(f64, f64) -> bool) -> (Tensor, Tensor) {
    let (a, b) = (found.to_f64s(), reference.to_f64s());
    let pairs = a.into_iter().zip(b).map(|(f, r)| if kept(f, r) { (f, r) } else { (0.0, 0.0) });
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.unzip();
    let tensor = |values| Tensor::from_f64s(DType::F32, reference.sizes(), values);
    (tensor(a), tensor(b))
}

/// The first element that differs in being NaN or infinite, else the one that is furthest off.
fn plainest_difference(found: &Tensor, reference: &Tensor) -> String {
    let (a, b) = (found.to_f64s(), reference.to_f64s());
    let same = |i: usize| a[i] == b[i] || (a[i].is_nan() && b[i].is_nan());
    let special = |&i: &usize| !same(i) && (!a[i].is_finite() || !b[i].is_finite());
    let furthest = || (0..a.len()).max_by(|&i, &j| (a[i] - b[i]).abs().total_cmp(&(a[j] - b[j]).abs()));
    let at = (0..a.len()).find(special).or_else(furthest);
    at.map_or(String::new(), |i| format!(" ([{i}] is {:?}, not {:?})", a[i], b[i]))
}

/// The rows of a Markdown table, cells trimmed, without its head.
pub(crate) fn rows(page: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(page).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = |line: &str| line.split(" | ").map(|cell| cell.trim().replace("\\|", "|")).collect();
    lines.skip(1).map(cells).collect()
}

/// One row of a Markdown table.
pub(crate) fn row<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}
