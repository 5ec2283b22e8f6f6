//! What is in a .tflite.

use std::fmt::Write;
use std::fs;

use compiler::dialect::tfl::Builtin;
use compiler::front::tflite;
use compiler::report::FileReport;
use indexmap::IndexMap;
use ir::Diagnostic;
use serde_json::{Value, json};

use super::Inspect;
use super::occurrence::{chosen, render};
use super::text::table;
use crate::convert::write_json;
use crate::numbers::{bytes, count, plural, tally};
use crate::outcome::{Outcome, UNREADABLE, print};

pub(super) fn run(command: &Inspect) -> Outcome {
    let file = tflite::open(&command.model).map_err(|d| vec![d])?;
    let unreadable =
        |e| vec![Diagnostic::new(UNREADABLE, format!("{} cannot be read: {e}", command.model.display()))];
    let length = fs::metadata(&command.model).map_err(unreadable)?.len();
    let report = FileReport::of(&file, length).map_err(|d| vec![d])?;
    let builtin = |name: &str| {
        Builtin::NAMED.iter().any(|b| b.name().is_some_and(|known| known.eq_ignore_ascii_case(name)))
    };
    let chosen = chosen(&report.occurrences, &command.op, &builtin)?;
    let model = command.model.display().to_string();
    if let Some(path) = &command.json {
        let mut value = json(&report, &model);
        value["operators"] = json!(chosen);
        write_json(path, &value)?;
    }
    if !command.as_text() {
        return Ok(());
    }
    if command.op.is_empty() {
        return print(&summary(&report, &model));
    }
    if chosen.is_empty() {
        return print(&format!("{model} has no {}\n", command.op.join(", no ")));
    }
    print(&render(&chosen, &report.occurrences))
}

fn json(report: &FileReport, model: &str) -> Value {
    let histogram: IndexMap<&str, usize> =
        report.histogram.operators.iter().map(|o| (o.name.as_str(), o.count)).collect();
    let largest =
        |(tensor, bytes): &(compiler::report::Typed, u64)| json!({"tensor": tensor, "bytes": bytes});
    json!({
        "schema_version": 1,
        "kind": "tflite",
        "file": model,
        "bytes": report.bytes,
        "description": report.histogram.description,
        "producer": report.producer,
        "source": report.source,
        "minimum_runtime": report.minimum_runtime,
        "signatures": report.histogram.signatures,
        "graphs": report.histogram.graphs,
        "histogram": histogram,
        "counts": report.histogram.operators,
        "macs": report.histogram.macs,
        "ranks": report.histogram.ranks,
        "constant_ranks": report.histogram.constant_ranks,
        "unranked": report.histogram.unranked,
        "max_rank": report.histogram.ranks.keys().max(),
        "dtypes": report.histogram.elements,
        "constants": report.histogram.constants,
        "largest_constants": report.largest.iter().map(largest).collect::<Vec<_>>(),
        "parts": {
            "weights": report.weight_bytes,
            "metadata": report.metadata.iter().cloned().collect::<IndexMap<String, u64>>(),
            "tables": report.table_bytes(),
        },
        "ledger": report.ledger,
        "traced": report.traced,
    })
}

fn summary(report: &FileReport, model: &str) -> String {
    let histogram = &report.histogram;
    let mut out = format!("{model}\n");
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut fact = |name: &str, text: String| facts.push(vec![name.into(), text]);
    match (&report.producer, &report.source) {
        (Some(producer), Some(source)) => fact("written by", format!("{producer}, from {source}")),
        _ if !histogram.description.is_empty() => fact("written by", histogram.description.clone()),
        _ => {}
    }
    fact("needs", format!("TensorFlow Lite {} or later{}", report.minimum_runtime, numbering(report)));
    fact("size", parts(report));
    for (at, (tensor, size)) in report.largest.iter().enumerate() {
        let name = if at == 0 { "largest" } else { "" };
        fact(name, format!("{}  {}  {}", bytes(*size), tensor.ty(), tensor.name));
    }
    fact("work", format!("{} multiply-accumulates", count(histogram.macs)));
    fact("ranks", ranks(report));
    let elements = tally(histogram.elements.iter().map(|(element, &n)| (element, n)));
    fact("dtypes", format!("{elements}, of tensors at run time; size tells those of constants"));
    out.push_str(&table(2, &["", ""], &facts));

    for signature in &histogram.signatures {
        let _ = writeln!(out, "\nsignature {}", signature.key);
        let ends = signature.inputs.iter().map(|end| ("takes", end));
        let ends = ends.chain(signature.outputs.iter().map(|end| ("gives", end)));
        let rows: Vec<Vec<String>> =
            ends.map(|(way, end)| vec![way.into(), end.name.clone(), end.ty()]).collect();
        out.push_str(&table(2, &["", "", ""], &rows));
    }
    let total: usize = histogram.operators.iter().map(|o| o.count).sum();
    let graphs =
        if histogram.graphs == 1 { String::new() } else { format!(" in {} graphs", histogram.graphs) };
    let _ = writeln!(out, "\n{}{graphs}", plural(total, "operator"));
    let rows: Vec<Vec<String>> = histogram
        .operators
        .iter()
        .map(|o| {
            let versions: Vec<String> = o.versions.iter().map(u32::to_string).collect();
            let macs = if o.macs == 0 { String::new() } else { count(o.macs) };
            let custom = if o.custom { " (custom)" } else { "" };
            vec![format!("{}{custom}", o.name), o.count.to_string(), versions.join(", "), macs]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str(&table(2, &["", "count>", "version>", "MACs>"], &rows));
    }
    if !report.ledger.is_empty() {
        out.push_str("\nledger\n");
        let rows: Vec<Vec<String>> =
            report.ledger.iter().map(|e| vec![e.value.clone(), e.what.clone(), e.why.clone()]).collect();
        out.push_str(&table(2, &["", "", ""], &rows));
    }
    out.push('\n');
    out.push_str(&match report.producer {
        Some(_) => format!(
            "{} of {} have a PyTorch line; `--op NAME` shows it\n",
            report.traced,
            plural(total, "operator")
        ),
        None => "no provenance; `--op NAME` shows an operator with its neighbours\n".into(),
    });
    out
}

/// Whose numbers releases are counted in, and what LiteRT has of them.
fn numbering(report: &FileReport) -> String {
    // Each builtin and version that is written here is run on the pinned LiteRT by the tests.
    let own = format!("; LiteRT {} runs all that Edgewright writes", runtime::VERSION);
    format!(" (TensorFlow's numbers{})", if report.producer.is_some() { own } else { String::new() })
}

/// `1.2 MB: 1.1 MB weights (FLOAT32 1.1 MB), 20 kB metadata, 30 kB tables`
fn parts(report: &FileReport) -> String {
    let histogram = &report.histogram;
    let mut parts = Vec::new();
    let elements: Vec<String> = histogram
        .constants
        .iter()
        .map(|(element, size)| {
            format!("{element} {} in {}", bytes(size.bytes), plural(size.tensors, "tensor"))
        })
        .collect();
    if report.weight_bytes > 0 {
        parts.push(format!("{} constants ({})", bytes(report.weight_bytes), elements.join(", ")));
    }
    if histogram.metadata_bytes > 0 {
        parts.push(format!("{} metadata", bytes(histogram.metadata_bytes)));
    }
    parts.push(format!("{} tables", bytes(report.table_bytes())));
    format!("{}: {}", bytes(report.bytes), parts.join(", "))
}

/// `at most 4 axes (4: 120 tensors, …)`
fn ranks(report: &FileReport) -> String {
    let ranks = &report.histogram.ranks;
    let Some(highest) = ranks.keys().max() else { return "no tensor has a known rank".into() };
    let mut text =
        format!("at most {highest}; tensors by rank {}", tally(ranks.iter().map(|(&rank, &n)| (rank, n))));
    if report.histogram.unranked > 0 {
        let _ = write!(text, ", unknown: {}", report.histogram.unranked);
    }
    text
}
