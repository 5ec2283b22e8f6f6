//! What a verification found, as text and as JSON.

use std::fmt::Write;

use compiler::verify::{Finding, Verdict};
use ir::{Diagnostic, Leaf};
use serde_json::{Value, json};

use super::VERIFICATION_FAILED;
use super::check::Recorded;
use crate::outcome::Outcome;
use crate::table::Side::{Left, Right};
use crate::table::Table;

/// One output of one run.
pub(crate) struct Row {
    pub(crate) runtime: String,
    /// Which recording, from 0.
    pub(crate) recording: usize,
    /// Which output, from 0.
    pub(crate) output: usize,
    /// The output's name.
    pub(crate) name: String,
    /// PyTorch's own rounding at this output, where it is recorded.
    pub(crate) rounding: Option<f64>,
    /// How far it is; or why it cannot be compared.
    pub(crate) verdict: Result<Verdict, String>,
}

/// The operators of a model under one runtime.
pub(crate) struct PerOperator {
    pub(crate) runtime: String,
    pub(crate) findings: Vec<Finding>,
}

/// Everything that was found.
pub(crate) struct Report {
    model: String,
    pub(crate) recorded: Vec<Recorded>,
    pub(crate) rows: Vec<Row>,
    /// Runtimes that failed: which, on which recording, why.
    pub(crate) failures: Vec<(String, usize, Diagnostic)>,
    /// The runtime that the others are compared with, where PyTorch's outputs are not recorded.
    pub(crate) stand_in: Option<String>,
    /// What was not looked at, and why.
    pub(crate) unchecked: Vec<String>,
    pub(crate) operators: Vec<PerOperator>,
    /// Was the layout at the interface told by sizes alone?
    pub(crate) undecided: bool,
}

impl Row {
    fn fault(&self) -> Option<&str> {
        match &self.verdict {
            Ok(verdict) => verdict.fault.as_deref(),
            Err(why) => Some(why),
        }
    }
}

impl Report {
    pub(crate) fn new(model: String) -> Self {
        Report {
            model,
            recorded: Vec::new(),
            rows: Vec::new(),
            failures: Vec::new(),
            stand_in: None,
            unchecked: Vec::new(),
            operators: Vec::new(),
            undecided: false,
        }
    }

    fn passes(&self) -> bool {
        self.failures.is_empty() && self.rows.iter().all(|row| row.fault().is_none())
    }

    /// Nothing where all passes; else one error that names every fault.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.passes() {
            return Ok(());
        }
        let faulty = self.rows.iter().filter(|row| row.fault().is_some()).count();
        let total = self.rows.len();
        let message = match self.failures.is_empty() {
            true => format!("{faulty} of {total} comparisons fail"),
            false => format!("{faulty} of {total} comparisons fail, {} runs break off", self.failures.len()),
        };
        let mut all = vec![Diagnostic::new(VERIFICATION_FAILED, message)];
        if self.cubes() {
            all[0].help = Some("where the file has images with channels last, say --io-layout nhwc".into());
        } else if self.operators.is_empty() {
            all[0].help = Some("`edgewright verify MODEL.tflite --per-operator` says where it begins".into());
        }
        all.extend(self.failures.iter().map(|(runtime, _, why)| why.clone().note(format!("on {runtime}"))));
        Err(all)
    }

    /// Is there an image whose sizes do not tell where its channels are?
    fn cubes(&self) -> bool {
        let tensors =
            self.recorded.iter().flat_map(|r| r.recording.inputs.iter().chain(&r.recording.outputs));
        let cube = |sizes: &[usize]| matches!(sizes, [_, a, b, c] if a == b && b == c && *a > 1);
        self.undecided && tensors.map(ir::Tensor::sizes).any(cube)
    }

    /// The tables, what was not checked, and a last line that sums up. `worst` operators are shown.
    pub(crate) fn text(&self, worst: usize) -> String {
        let mut text = self.comparisons();
        for per_operator in &self.operators {
            text.push('\n');
            text.push_str(&per_operator.text(worst, !self.passes()));
        }
        for what in &self.unchecked {
            let _ = writeln!(text, "not checked: {what}");
        }
        text.push_str(&self.summary());
        text
    }

    fn comparisons(&self) -> String {
        let several = self.recorded.len() > 1;
        let mut table = Table::new(&[
            ("runtime", Left),
            (if several { "run  output" } else { "output" }, Left),
            ("max error", Right),
            ("allowed", Right),
            ("margin", Right),
            ("mean error", Right),
            ("1 - cosine", Right),
            ("SNR", Right),
            ("", Left),
        ]);
        let mut faults = String::new();
        for row in &self.rows {
            let run = if several { format!("{:<5}", row.recording + 1) } else { String::new() };
            let mut cells = vec![row.runtime.clone(), run + &row.name];
            match &row.verdict {
                Ok(v) => cells.extend([
                    small(v.metrics.max_abs),
                    small(v.allowed),
                    times(v.margin()),
                    small(v.metrics.mean_abs),
                    small(v.metrics.cosine_distance),
                    decibels(v.metrics.snr),
                ]),
                Err(_) => cells.extend(std::iter::repeat_n("-".to_string(), 6)),
            }
            cells.push(if row.fault().is_none() { "PASS" } else { "FAIL" }.into());
            table.row(cells);
            if let Some(fault) = row.fault() {
                let _ = writeln!(faults, "{}, {}: {fault}", row.runtime, row.name);
            }
        }
        match self.rows.is_empty() {
            true => faults,
            false => table.text() + &faults,
        }
    }

    fn summary(&self) -> String {
        let against = match &self.stand_in {
            None if self.recorded.len() == 1 => "PyTorch, one recorded run".into(),
            None => format!("PyTorch, {} recorded runs", self.recorded.len()),
            Some(runtime) => format!("{runtime}, not PyTorch"),
        };
        if !self.passes() {
            return format!("FAIL  {} against {against}\n", self.model);
        }
        let margin = |row: &&Row| row.verdict.as_ref().map_or(0.0, Verdict::margin);
        let nearest = self.rows.iter().min_by(|a, b| margin(a).total_cmp(&margin(b)));
        let nearest = nearest.filter(|row| margin(row).is_finite()).map_or(String::new(), |row| {
            format!("; the least margin is {} ({}, {})", times(margin(&row)), row.runtime, row.name)
        });
        format!("PASS  {} against {against}{nearest}\n", self.model)
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({
                "runtime": row.runtime,
                "recording": row.recording,
                "output": row.output,
                "name": row.name,
                "pass": row.fault().is_none(),
                "fault": row.fault(),
                "rounding": row.rounding,
                "metrics": row.verdict.as_ref().ok().map(metrics),
            })
        };
        let failure = |(runtime, recording, why): &(String, usize, Diagnostic)| json!({ "runtime": runtime, "recording": recording, "code": why.code.name, "message": why.message, "notes": why.notes });
        json!({
            "schema_version": 1,
            "model": self.model,
            "pass": self.passes(),
            "reference": self.stand_in.as_deref().unwrap_or("PyTorch"),
            "recordings": self.recorded.iter().map(|r| &r.name).collect::<Vec<_>>(),
            "comparisons": self.rows.iter().map(row).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(failure).collect::<Vec<_>>(),
            "not_checked": self.unchecked,
            "per_operator": self.operators.iter().map(PerOperator::json).collect::<Vec<_>>(),
        })
    }
}

impl PerOperator {
    /// The operators that strain their bounds most, in the order of the run, and the first that leaves them.
    fn text(&self, worst: usize, fails: bool) -> String {
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
        let mut text = format!("{} operators on {}", self.findings.len(), self.runtime);
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

    fn json(&self) -> Value {
        let judged = |judged: &Option<Result<Verdict, String>>| match judged {
            None => Value::Null,
            Some(Ok(verdict)) => metrics(verdict),
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
                "isolated": judged(&f.isolated),
                "accumulated": judged(&f.accumulated),
                "file": line.map(|l| &l.file),
                "line": line.map(|l| l.line),
                "module": f.place.as_ref().map(|p| &p.module),
                "target": f.place.as_ref().map(|p| &p.target),
            })
        };
        json!({
            "runtime": self.runtime,
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

/// Numbers that are infinite or NaN are `null`: JSON has no others.
fn metrics(verdict: &Verdict) -> Value {
    let m = &verdict.metrics;
    json!({
        "count": m.count,
        "max_abs": m.max_abs,
        "max_at": m.max_at,
        "max_rel": m.max_rel,
        "mean_abs": m.mean_abs,
        "max_ref": m.max_ref,
        "range": m.range,
        "cosine_distance": m.cosine_distance,
        "correlation": m.correlation,
        "snr_db": m.snr,
        "psnr_db": m.psnr,
        "sign_agreement": m.sign_agreement,
        "top1": m.top1,
        "misplaced": m.misplaced,
        "allowed": verdict.allowed,
        "margin": verdict.margin(),
        "fault": verdict.fault,
    })
}

fn small(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.2e}") }
}

fn times(margin: f64) -> String {
    match margin {
        m if m.is_infinite() => "exact".into(),
        m if m < 10.0 => format!("{m:.1}×"),
        m => format!("{m:.0}×"),
    }
}

fn decibels(value: f64) -> String {
    if value.is_finite() { format!("{value:.0} dB") } else { "-".into() }
}
