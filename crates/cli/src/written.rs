//! A compiled model on disk, and what is said of it.

use std::path::{Path, PathBuf};

use compiler::back::tflite::{INLINE_LIMIT, encode};
use compiler::compile::Compiled;
use indexmap::IndexMap;
use ir::Diagnostic;
use serde_json::{Value, json};

use crate::numbers::{bytes, plural};
use crate::outcome::{report, say};
use crate::progress::Progress;

/// A file that was written.
pub(crate) struct Written {
    output: PathBuf,
    bytes: u64,
    /// How often each builtin stands in it, the most frequent first.
    histogram: IndexMap<String, usize>,
}

/// Writes a model; then tells its warnings and its ledger.
pub(crate) fn write(
    compiled: &Compiled,
    output: &Path,
    progress: &mut Progress,
    quiet: bool,
) -> Result<Written, Vec<Diagnostic>> {
    let Compiled { graph, interface, journal, source } = compiled;
    let encoded = encode(graph, interface, source, &journal.ledger)?;
    let total: u64 = encoded.model.buffers.iter().map(|b| b.bytes).sum();
    progress.stage("writing");
    let length = encoded
        .write(output, INLINE_LIMIT, &mut |done| {
            progress.tick(|| format!("writing {:.0} of {:.0} MB", done as f64 / 1e6, total as f64 / 1e6));
        })
        .map_err(|d| vec![d])?;
    progress.finish();
    if !quiet {
        report(&journal.warnings);
        for entry in &journal.ledger {
            say(&format!("ledger: {} {}: {}\n", entry.subject, entry.kind, entry.reason));
        }
    }
    let mut histogram: IndexMap<String, usize> = IndexMap::new();
    for operator in encoded.model.subgraphs.iter().flat_map(|g| &g.operators) {
        *histogram.entry(operator.name()).or_default() += 1;
    }
    histogram.sort_by(|a, n, b, m| m.cmp(n).then(a.cmp(b)));
    Ok(Written { output: output.to_owned(), bytes: length, histogram })
}

impl Written {
    fn operators(&self) -> usize {
        self.histogram.values().sum()
    }

    /// The file, its size and its operators, ended.
    pub(crate) fn line(&self) -> String {
        let most: Vec<String> =
            self.histogram.iter().take(6).map(|(name, n)| format!("{n} {name}")).collect();
        format!(
            "{}  {}  {} ({}{})\n",
            self.output.display(),
            bytes(self.bytes),
            plural(self.operators(), "operator"),
            most.join(", "),
            if self.histogram.len() > 6 { ", …" } else { "" }
        )
    }

    /// The same as data, with the interface and the ledger.
    pub(crate) fn json(&self, compiled: &Compiled) -> Value {
        let Compiled { interface, journal, .. } = compiled;
        json!({
            "schema_version": 1,
            "output": self.output.display().to_string(),
            "bytes": self.bytes,
            "operators": self.operators(),
            "histogram": self.histogram,
            "inputs": interface.inputs,
            "outputs": interface.outputs,
            "ledger": journal.ledger.iter().map(|a| json!({"kind": a.kind, "subject": a.subject, "reason": a.reason})).collect::<Vec<_>>(),
            "firings": journal.firings,
        })
    }
}
