//! What was found at each operator, as text and as JSON.

use std::fmt::Write;

use compiler::verify::{Finding, Verdict};
use ir::Leaf;
use serde_json::{Value, json};

use super::report::{decibels, metrics, small};
use crate::numbers::plural;
use crate::table::Side::{Left, Right};
use crate::table::Table;

/// The operators of a model under one runtime.
pub(crate) struct PerOperator {
    pub(crate) runtime: String,
    /// What says what they should compute.
    pub(crate) against: String,
    /// Are they measured, and not held to a bar?
    pub(crate) quantized: bool,
    pub(crate) findings: Vec<Finding>,
}

impl PerOperator {
    /// What was found; `worst` operators are shown, and `fails` says whether the model does.
    pub(super) fn text(&self, worst: usize, fails: bool) -> String {
        if self.quantized { self.noise(worst) } else { self.strained(worst, fails) }
    }

    /// The operators that add most noise, the worst first.
    fn noise(&self, worst: usize) -> String {
        let mut ranked: Vec<&Finding> = self.findings.iter().filter(|f| f.snr().is_finite()).collect();
        ranked.sort_by(|a, b| a.snr().total_cmp(&b.snr()));
        let mut text = format!(
            "{} on {}, against {} on the evaluator; ",
            plural(self.findings.len(), "operator"),
            self.runtime,
            self.against
        );
        if ranked.is_empty() {
            text.push_str("none adds noise\n");
            return text;
        }
        ranked.truncate(worst);
        let _ = writeln!(
            text,
            "the {} that add most noise (local, on the inputs that each had; inherited, what those brought; total, \
             both):",
            ranked.len()
        );
        let mut table = Table::new(&[
            ("#", Right),
            ("operator", Left),
            ("weights", Left),
            ("result", Left),
            ("local SNR", Right),
            ("inherited", Right),
            ("total", Right),
            ("PyTorch", Left),
        ]);
        for finding in ranked {
            let snr = |judged: &Option<Result<Verdict, String>>| match judged {
                None => "-".to_string(),
                Some(Ok(verdict)) => decibels(verdict.metrics.snr, 1),
                Some(Err(_)) => "?".to_string(),
            };
            table.row(vec![
                finding.index.to_string(),
                finding.operator.into(),
                finding.narrow.map_or("", |dtype| dtype.name()).into(),
                format!("{} {}", finding.value, finding.ty),
                snr(&finding.isolated),
                snr(&finding.inherited),
                snr(&finding.accumulated),
                place(finding.place.as_ref()),
            ]);
        }
        text + &table.text()
    }

    /// The operators that strain their bounds most, in the order of the run, and the first that leaves them.
    fn strained(&self, worst: usize, fails: bool) -> String {
        let mut ranked: Vec<&Finding> = self.findings.iter().filter(|f| f.strain() > 0.0).collect();
        ranked.sort_by(|a, b| b.strain().total_cmp(&a.strain()));
        ranked.truncate(worst);
        ranked.sort_by_key(|f| f.index);
        let mut table = Table::new(&[
            ("#", Right),
            ("operator", Left),
            ("result", Left),
            ("alone", Right),
            ("allowed", Right),
            ("accumulated", Right),
            ("", Left),
            ("PyTorch", Left),
        ]);
        let error = |judged: &Option<Result<Verdict, String>>| match judged {
            None => "-".to_string(),
            Some(Ok(verdict)) => small(verdict.metrics.max_abs),
            Some(Err(_)) => "?".to_string(),
        };
        for finding in &ranked {
            let allowed =
                finding.isolated.as_ref().and_then(|j| j.as_ref().ok()).map_or(f64::NAN, |v| v.allowed);
            table.row(vec![
                finding.index.to_string(),
                finding.operator.into(),
                format!("{} {}", finding.value, finding.ty),
                error(&finding.isolated),
                if allowed.is_nan() { "-".into() } else { small(allowed) },
                error(&finding.accumulated),
                if finding.strain() > 1.0 { "FAIL" } else { "" }.into(),
                place(finding.place.as_ref()),
            ]);
        }
        let mut text = format!("{} on {}", plural(self.findings.len(), "operator"), self.runtime);
        if !ranked.is_empty() {
            let _ = write!(
                text,
                "; each alone on the inputs that it had, the {} nearest to their bounds",
                ranked.len()
            );
            let _ = write!(text, ":\n{}", table.text());
        } else {
            text.push('\n');
        }
        // What adds up along the way matters only where it reaches an output.
        let adds_up = self.first(Finding::accumulated_strain).filter(|_| fails);
        text.push_str(&match (self.first(Finding::strain), adds_up) {
            (Some(first), _) => format!("the error begins at {}\n", named(first)),
            (None, Some(first)) => {
                format!(
                    "each operator alone is within its bound; what adds up leaves it at {}\n",
                    named(first)
                )
            }
            (None, None) => "each operator alone is within its bound\n".into(),
        });
        text
    }

    fn first(&self, strain: impl Fn(&Finding) -> f64) -> Option<&Finding> {
        self.findings.iter().find(|finding| strain(finding) > 1.0)
    }

    pub(super) fn json(&self) -> Value {
        let judged = |judged: &Option<Result<Verdict, String>>| match judged {
            None => Value::Null,
            Some(Ok(verdict)) => metrics(verdict, None),
            Some(Err(why)) => json!({ "fault": why }),
        };
        let finding = |f: &Finding| {
            let line = f.place.as_ref().and_then(Leaf::line);
            json!({
                "index": f.index,
                "operator": f.operator,
                "value": f.value,
                "type": f.ty.to_string(),
                "pass": f.strain() <= 1.0,
                "weights": f.narrow.map(|dtype| dtype.name()),
                "isolated": judged(&f.isolated),
                "inherited": judged(&f.inherited),
                "accumulated": judged(&f.accumulated),
                "file": line.map(|l| &l.file),
                "line": line.map(|l| l.line),
                "module": f.place.as_ref().map(|p| &p.module),
                "target": f.place.as_ref().map(|p| &p.target),
            })
        };
        json!({
            "runtime": self.runtime,
            "against": self.against,
            "first_beyond": self.first(Finding::strain).map(|f| f.index),
            "operators": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

/// `conv2d "conv2d_1", model.py:30, module encoder.0`.
fn named(finding: &Finding) -> String {
    format!("{} \"{}\": {}", finding.operator, finding.value, place(finding.place.as_ref()))
}

fn place(leaf: Option<&Leaf>) -> String {
    leaf.map_or("no line is known".into(), Leaf::to_string)
}
