//! What a verification found, as text and as JSON.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write;

use compiler::verify::{Rounding, Verdict};
use indexmap::{IndexMap, IndexSet};
use ir::{DType, Diagnostic};
use serde_json::{Value, json};

use super::VERIFICATION_FAILED;
use super::chain::Link;
use super::demands::{Asked, met};
use super::findings::PerOperator;
use super::given::Given;
use super::links;
use super::panels::Painted;
use crate::outcome::Outcome;
use crate::table::Side::{self, Left, Right};
use crate::table::Table;

/// The most runs whose rows are all shown.
const RUNS: usize = 8;

/// One output of one run, against one reference.
pub(crate) struct Row {
    pub(crate) runtime: String,
    /// What it is compared with.
    pub(crate) against: String,
    /// What was given, from 0.
    pub(crate) given: usize,
    /// Which output, from 0.
    pub(crate) output: usize,
    /// The output's name.
    pub(crate) name: String,
    /// PyTorch's own rounding at this output, where it is recorded.
    pub(crate) rounding: Option<Rounding>,
    /// The data range that was said for it.
    pub(crate) range: Option<f64>,
    /// Is it judged by the bar of float models? Else it is only measured.
    pub(crate) float: bool,
    /// Is it compared with another runtime of the same file, as nothing says what is right?
    pub(crate) alone: bool,
    /// What is required of it.
    pub(crate) asked: Vec<Asked>,
    /// How far it is; or why it cannot be compared.
    pub(crate) verdict: Result<Verdict, String>,
}

/// Everything that was found.
pub(crate) struct Report {
    model: String,
    /// The dtypes of its weights where they are narrower than floats of 32 bits.
    narrow: Vec<DType>,
    pub(crate) given: Vec<Given>,
    pub(crate) rows: Vec<Row>,
    /// What detectors found in what the model gave.
    pub(crate) links: Vec<Link>,
    /// The picture that was written.
    pub(crate) picture: Option<Painted>,
    /// Runtimes that failed: which, on what was given, why.
    pub(crate) failures: Vec<(String, usize, Diagnostic)>,
    /// What was not looked at, and why.
    pub(crate) unchecked: Vec<String>,
    /// Why PyTorch's numbers are not known.
    pub(crate) unrecorded: Option<String>,
    /// Was LiteRT asked for, but not there?
    pub(crate) without_litert: bool,
    pub(crate) operators: Vec<PerOperator>,
    /// Was the layout at the interface told by sizes alone?
    pub(crate) undecided: bool,
}

impl Row {
    /// Everything that is wrong with it.
    fn faults(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let fault = match &self.verdict {
            Ok(verdict) => verdict.fault.as_deref(),
            Err(why) => Some(why.as_str()),
        };
        let unmet = self.asked.iter().filter_map(Asked::fault);
        fault.into_iter().map(Cow::from).chain(unmet.map(Cow::from))
    }

    fn passes(&self) -> bool {
        self.faults().next().is_none()
    }

    /// Is there a bar that it could fail?
    fn is_judged(&self) -> bool {
        self.float || !self.asked.is_empty()
    }

    fn word(&self) -> &'static str {
        match self.passes() {
            false => "FAIL",
            true if self.is_judged() => "PASS",
            true => "",
        }
    }
}

impl Report {
    pub(crate) fn new(model: String, narrow: Vec<DType>) -> Self {
        Report {
            model,
            narrow,
            given: Vec::new(),
            rows: Vec::new(),
            links: Vec::new(),
            picture: None,
            failures: Vec::new(),
            unchecked: Vec::new(),
            unrecorded: None,
            without_litert: false,
            operators: Vec::new(),
            undecided: false,
        }
    }

    fn passes(&self) -> bool {
        let links = self.links.iter().all(|link| link.holds());
        self.failures.is_empty() && links && self.rows.iter().all(Row::passes)
    }

    /// Was anything held to a bar? A quantized model of which nothing is required is only measured.
    fn is_judged(&self) -> bool {
        self.rows.iter().any(Row::is_judged) || self.links.iter().any(|link| link.is_judged())
    }

    /// Nothing where all passes; else one error that names every fault.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.passes() {
            return Ok(());
        }
        let faulty = self.rows.iter().filter(|row| !row.passes()).count()
            + self.links.iter().filter(|link| !link.holds()).count();
        let total = self.rows.len() + self.links.len();
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
        let tensors = self.given.iter().flat_map(Given::tensors);
        let cube = |sizes: &[usize]| matches!(sizes, [_, a, b, c] if a == b && b == c && *a > 1);
        self.undecided && tensors.map(ir::Tensor::sizes).any(cube)
    }

    /// The tables, what was not checked, and a last line that sums up. `worst` operators are shown.
    pub(crate) fn text(&self, worst: usize) -> String {
        let mut text = self.comparisons();
        text.push_str(&links::text(&self.links));
        let asked = self.rows.iter().flat_map(|row| &row.asked);
        text.push_str(&met(asked.chain(self.links.iter().flat_map(|link| &link.asked))));
        if let Some(painted) = &self.picture {
            text.push_str(&painted.text());
        }
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
        let (float, measured): (Vec<&Row>, Vec<&Row>) = self.shown().into_iter().partition(|row| row.float);
        let mut text = String::new();
        if self.given.len() > RUNS {
            let _ = writeln!(text, "the worst of {} runs each:", self.given.len());
        }
        if !float.is_empty() {
            text.push_str(&self.judged(&float));
        }
        if !measured.is_empty() {
            text.push_str(&self.measured(&measured));
        }
        for row in self.shown() {
            for fault in row.faults() {
                let _ = writeln!(text, "{}, {}: {fault}", row.runtime, row.name);
            }
        }
        text
    }

    /// All rows; of many runs, the worst of each output on each runtime: one that fails, or the one with most noise.
    fn shown(&self) -> Vec<&Row> {
        if self.given.len() <= RUNS {
            return self.rows.iter().collect();
        }
        let mut worst: IndexMap<(&str, &str, usize), &Row> = IndexMap::new();
        let rank =
            |row: &Row| (row.passes(), row.verdict.as_ref().map_or(f64::NEG_INFINITY, |v| v.metrics.snr));
        for row in &self.rows {
            let entry = worst.entry((&row.runtime, &row.against, row.output)).or_insert(row);
            let ((passes, snr), (before, least)) = (rank(row), rank(entry));
            if (passes, snr.total_cmp(&least)) < (before, Ordering::Equal) {
                *entry = row;
            }
        }
        worst.into_values().collect()
    }

    /// The columns that name a row.
    fn head(&self, more: &[(&'static str, Side)]) -> Table {
        let output = if self.given.len() > 1 { "run  output" } else { "output" };
        let mut head = vec![("runtime", Left), (output, Left)];
        head.extend(self.several().then_some(("against", Left)));
        head.extend_from_slice(more);
        head.push(("", Left));
        Table::new(&head)
    }

    /// Is there more than one thing that outputs are compared with?
    fn several(&self) -> bool {
        self.rows.iter().any(|row| row.against != self.rows[0].against)
    }

    /// A row of a table: what names it, its numbers or as many dashes, its verdict.
    fn cells(&self, row: &Row, numbers: usize, cells: impl Fn(&Verdict) -> Vec<String>) -> Vec<String> {
        let run = if self.given.len() > 1 { format!("{:<5}", row.given + 1) } else { String::new() };
        let mut all = vec![row.runtime.clone(), run + &row.name];
        all.extend(self.several().then(|| row.against.clone()));
        match &row.verdict {
            Ok(verdict) => all.extend(cells(verdict)),
            Err(_) => all.extend(std::iter::repeat_n("-".to_string(), numbers)),
        }
        all.push(row.word().into());
        all
    }

    /// What is held to the bar of float models.
    fn judged(&self, rows: &[&Row]) -> String {
        const COLUMNS: &[(&str, Side)] = &[
            ("max error", Right),
            ("allowed", Right),
            ("margin", Right),
            ("mean error", Right),
            ("1 - cosine", Right),
            ("SNR", Right),
        ];
        let mut table = self.head(COLUMNS);
        for row in rows {
            table.row(self.cells(row, COLUMNS.len(), |v| {
                vec![
                    small(v.metrics.max_abs),
                    small(v.allowed),
                    times(v.margin()),
                    small(v.metrics.mean_abs),
                    small(v.metrics.cosine_distance),
                    decibels(v.metrics.snr, 0),
                ]
            }));
        }
        table.text()
    }

    /// What is measured, and held to what is required.
    fn measured(&self, rows: &[&Row]) -> String {
        const COLUMNS: &[(&str, Side)] = &[
            ("max error", Right),
            ("mean error", Right),
            ("1 - cosine", Right),
            ("correlation", Right),
            ("SNR", Right),
            ("PSNR", Right),
            ("of range", Right),
            ("signs", Right),
        ];
        let mut table = self.head(COLUMNS);
        for row in rows {
            table.row(self.cells(row, COLUMNS.len(), |v| {
                let range = row.range.unwrap_or(v.metrics.range);
                vec![
                    small(v.metrics.max_abs),
                    small(v.metrics.mean_abs),
                    small(v.metrics.cosine_distance),
                    format!("{:.6}", v.metrics.correlation),
                    decibels(v.metrics.snr, 2),
                    decibels(v.metrics.psnr(range), 2),
                    format!("{range:.4}"),
                    part(v.metrics.sign_agreement, v.metrics.count),
                ]
            }));
        }
        table.text()
    }

    /// What outputs are compared with, and on how much.
    fn against(&self) -> String {
        let names: IndexSet<&str> = self.rows.iter().map(|row| row.against.as_str()).collect();
        let names: Vec<&str> = names.into_iter().collect();
        let torch = names.contains(&"PyTorch");
        let runs = match (self.given.len(), torch) {
            (1, true) => ", one recorded run".into(),
            (n, true) => format!(", {n} recorded runs"),
            _ if self.alone() => format!(", on {}", self.inputs()),
            (1, false) => String::new(),
            (n, false) => format!(", {n} runs"),
        };
        // Which recording it is goes without saying, but where it is not called as the model is.
        let found = self.given.first().filter(|given| given.found).map(|given| format!(" ({})", given.name));
        let runs = runs + &found.unwrap_or_default();
        format!("{}{}{runs}", names.join(" and "), if torch { "" } else { ", not PyTorch" })
    }

    /// Were runtimes compared with each other only?
    fn alone(&self) -> bool {
        self.links.is_empty() && self.rows.iter().all(|row| row.alone)
    }

    /// Where what was given comes from.
    fn inputs(&self) -> String {
        let names: Vec<&str> = self.given.iter().map(|given| given.name.as_str()).collect();
        names.join(", ")
    }

    /// What it all comes to, in the word that the last line begins with.
    fn verdict(&self) -> &'static str {
        match (self.passes(), self.is_judged()) {
            (false, _) => "FAIL",
            (true, false) => "MEASURED",
            (true, true) if self.alone() => "CONSISTENT",
            (true, true) => "PASS",
        }
    }

    /// That runtimes agree, on what, and why that is all that is known.
    fn agreement(&self) -> String {
        let names = self.rows.iter().flat_map(|row| [row.against.as_str(), row.runtime.as_str()]);
        let names: Vec<&str> = names.collect::<IndexSet<&str>>().into_iter().collect();
        let why = self.unrecorded.as_deref().unwrap_or("none were recorded");
        format!(
            "on {}: {} agree; PyTorch's numbers are not checked: {why}; say --recorded FILE",
            self.inputs(),
            names.join(" and ")
        )
    }

    /// What the last line adds where a runtime was missing.
    fn without(&self) -> &'static str {
        if self.without_litert { "; LiteRT was not asked, as it is not set up" } else { "" }
    }

    fn summary(&self) -> String {
        let narrow: Vec<&str> = self.narrow.iter().map(|dtype| dtype.name()).collect();
        let weights =
            if narrow.is_empty() { String::new() } else { format!(", {} weights,", narrow.join(" and ")) };
        let verdict = self.verdict();
        if verdict == "CONSISTENT" {
            return format!("CONSISTENT  {}{weights} {}{}\n", self.model, self.agreement(), self.without());
        }
        let what = format!("{}{weights} against {}{}", self.model, self.against(), self.without());
        if verdict == "FAIL" {
            return format!("FAIL  {what}\n");
        }
        if verdict == "MEASURED" {
            return format!(
                "MEASURED  {what}; nothing is required of it: say it with --require, such as --require \
                 \"{}.snr>=40\"\n",
                self.rows.first().map_or("*", |row| row.name.as_str())
            );
        }
        let margin = |row: &&Row| row.verdict.as_ref().map_or(0.0, Verdict::margin);
        let nearest = self.rows.iter().min_by(|a, b| margin(a).total_cmp(&margin(b)));
        let nearest = nearest.filter(|row| margin(row).is_finite()).map_or(String::new(), |row| {
            format!("; the least margin is {} ({}, {})", times(margin(&row)), row.runtime, row.name)
        });
        format!("PASS  {what}{nearest}\n")
    }

    /// What outputs are compared with where that is one thing for all, as programs look for it.
    fn reference(&self) -> &str {
        let first = self.rows.first().map_or("PyTorch", |row| row.against.as_str());
        let torch = self.rows.iter().any(|row| row.against == "PyTorch");
        if torch { "PyTorch" } else { first }
    }

    /// Everything, for programs. `pass` is null where nothing is required of a quantized model.
    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            let faults: Vec<Cow<'_, str>> = row.faults().collect();
            json!({
                "runtime": row.runtime,
                "against": row.against,
                "recording": row.given,
                "output": row.output,
                "name": row.name,
                "judged": row.is_judged(),
                "pass": faults.is_empty(),
                "fault": if faults.is_empty() { None } else { Some(faults.join("; ")) },
                "rounding": row.rounding.map(|rounding| rounding.largest),
                "metrics": row.verdict.as_ref().ok().map(|v| metrics(v, row.range)),
            })
        };
        let failure = |(runtime, recording, why): &(String, usize, Diagnostic)| json!({ "runtime": runtime, "recording": recording, "code": why.code.name, "message": why.message, "notes": why.notes });
        let pass = (self.is_judged() || !self.passes()).then(|| self.passes());
        json!({
            "schema_version": 1,
            "model": self.model,
            "weights": self.narrow.iter().map(|dtype| dtype.name()).collect::<Vec<_>>(),
            "pass": pass,
            "verdict": self.verdict(),
            "reference": self.reference(),
            "recordings": self.given.iter().map(|g| &g.name).collect::<Vec<_>>(),
            "links": self.links.iter().map(links::json).collect::<Vec<_>>(),
            "picture": self.picture.as_ref().map(Painted::json),
            "comparisons": self.rows.iter().map(row).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(failure).collect::<Vec<_>>(),
            "not_checked": self.unchecked,
            "per_operator": self.operators.iter().map(PerOperator::json).collect::<Vec<_>>(),
        })
    }
}

/// Numbers that are infinite or NaN are `null`: JSON has no others.
pub(super) fn metrics(verdict: &Verdict, range: Option<f64>) -> Value {
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
        "psnr_db": m.psnr(range.unwrap_or(m.range)),
        "data_range": range.unwrap_or(m.range),
        "sign_agreement": m.sign_agreement,
        "top1": m.top1,
        "misplaced": m.misplaced,
        "allowed": verdict.allowed,
        "margin": verdict.margin(),
        "fault": verdict.fault,
    })
}

pub(super) fn small(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.2e}") }
}

fn times(margin: f64) -> String {
    match margin {
        m if m.is_infinite() => "exact".into(),
        0.0 => "0×".into(),
        m if m >= 10.0 => format!("{m:.0}×"),
        m if m >= 1.0 => format!("{m:.1}×"),
        m if m >= 1e-3 => {
            // Two digits; what fails does not read as 1.
            let digits = 1 - m.log10().floor() as i32;
            let scale = 10f64.powi(digits);
            format!("{:.*}×", digits as usize, ((m * scale).round() / scale).min(0.99))
        }
        m => format!("{m:.1e}×"),
    }
}

pub(super) fn decibels(value: f64, digits: usize) -> String {
    if value.is_finite() { format!("{value:.digits$} dB") } else { "-".into() }
}

/// `97/97` of few, per cent of many.
pub(super) fn part(agreement: f64, count: usize) -> String {
    match count {
        0..10_000 => format!("{}/{count}", (agreement * count as f64).round()),
        _ => format!("{:.3} %", 100.0 * agreement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_below_one_reads_so() {
        let margins = [f64::INFINITY, 127.3, 9.96, 1.0, 0.9999, 2.16e-5 / 2.28e-5, 0.0123, 1.26e-5, 0.0];
        let read = ["exact", "127×", "10.0×", "1.0×", "0.99×", "0.95×", "0.012×", "1.3e-5×", "0×"];
        assert_eq!(margins.map(times), read);
    }
}
