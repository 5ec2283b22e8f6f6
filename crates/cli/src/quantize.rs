//! `edgewright quantize MODEL`: weights in fewer bits, as a recipe asks; `--plan` prints what would be done.

use std::path::{Path, PathBuf};

use clap::Args;
use compiler::compile::{Compiled, reopened};
use compiler::front::tflite;
use compiler::quant::{Decision, Outlook, Plan, Recipe, apply, plan};
use indexmap::IndexMap;
use ir::{Assumption, DType, Diagnostic};
use serde_json::{Value, json};

use crate::convert::{Debug, Reading, Source, Target, compiled, write_json};
use crate::destination::Destinations;
use crate::outcome::{Outcome, USAGE, print, report};
use crate::progress::{Progress, peak};
use crate::table::{Side, Table};
use crate::verify::recordings;
use crate::weights::Filling;
use crate::written::write;

/// Write a model with its weights in fewer bits, as a recipe asks.
#[derive(Args)]
pub(crate) struct Quantize {
    /// The .tflite, or the archive (.pt2), which is compiled first
    model: PathBuf,
    /// The file to write; MODEL.RECIPE.tflite where nothing is said
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// What is wanted: fp16, dynamic-int8, weight-int8, weight-int4, or a recipe.json of ai-edge-quantizer
    #[arg(short, long, value_name = "NAME|FILE.json", default_value = "dynamic-int8")]
    recipe: String,
    /// Print what each weight would become, and why; nothing is written
    #[arg(long)]
    plan: bool,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    warning: Warning,
    /// Write the result as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    #[command(flatten, next_help_heading = "How an archive is compiled")]
    reading: Reading,
    #[command(flatten)]
    filling: Filling,
    #[command(flatten)]
    target: Target,
}

/// From when on a bad outlook is told.
#[derive(Args)]
pub(crate) struct Warning {
    /// Tell of channels with less than this many dB of expected signal to noise; by default 30 for int8, 6 for int4,
    /// 60 for f16
    #[arg(long, value_name = "DB")]
    warn_snr: Option<f64>,
}

impl Warning {
    pub(crate) fn is_given(&self) -> bool {
        self.warn_snr.is_some()
    }
}

impl Quantize {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        let recipe = Recipe::read(&self.recipe)?;
        let output = self.output.clone().unwrap_or_else(|| self.beside());
        self.may_write(&output)?;
        let mut progress = Progress::new(quiet);
        let mut compiled = self.opened(&recipe, &mut progress, quiet)?;
        let plan = planned(&mut compiled, &recipe, &self.target, &self.warning, &mut progress)?;
        if self.plan {
            progress.finish();
            if !quiet {
                report(&compiled.journal.warnings);
            }
            return self.show(&plan);
        }
        apply(&mut compiled.graph, &plan)?;
        let written = write(&compiled, &output, &mut progress, quiet)?;
        if let Some(path) = &self.json {
            let mut result = written.json(&compiled);
            result["plan"] = plan_json(&plan);
            result["peak_mb"] = json!(peak());
            write_json(path, &result)?;
        }
        if self.json.as_deref() != Some(Path::new("-")) {
            print(&format!("{}{}\n", written.line(), summary(&plan)))?;
        }
        Ok(())
    }

    /// Errs where something is to be written that cannot be, or that would replace what is read.
    fn may_write(&self, output: &Path) -> Outcome {
        let recipe = Some(Path::new(&self.recipe));
        let said = [Some(self.model.as_path()), recipe, self.filling.file(), self.target.file()];
        let said = said.into_iter().flatten().map(Path::to_owned);
        let mut files = Destinations::beside(said.chain(recordings(&self.model, &[])));
        if !self.plan {
            files.take(output, "tflite", self.force)?;
        }
        files.replace(&self.json)
    }

    /// `model.dynamic-int8.tflite` beside the model.
    fn beside(&self) -> PathBuf {
        let recipe = Path::new(&self.recipe).file_stem().unwrap_or_default().to_string_lossy();
        self.model.with_extension(format!("{recipe}.tflite"))
    }

    /// The model as a graph that can be written.
    fn opened(
        &self,
        recipe: &Recipe,
        progress: &mut Progress,
        quiet: bool,
    ) -> Result<Compiled, Vec<Diagnostic>> {
        if self.model.extension().is_some_and(|e| e == "tflite") {
            if self.reading.is_given() || self.filling.is_given() || self.target.is_compiled() {
                let message = "what says how an archive is compiled means nothing for a .tflite";
                return Err(vec![
                    Diagnostic::new(USAGE, message).help("quantize the .pt2 that it was made of"),
                ]);
            }
            progress.stage("reading");
            return reopened(&tflite::open(&self.model).map_err(|d| vec![d])?);
        }
        let debug = Debug::default();
        let source = Source {
            model: &self.model,
            reading: &self.reading,
            filling: &self.filling,
            target: &self.target,
            recipe: Some(recipe),
            recorded: &[],
            debug: &debug,
        };
        let compiled = compiled(&source, progress, quiet)?;
        compiled.ok_or_else(|| vec![Diagnostic::bug("a compilation stopped that was not told to")])
    }

    fn show(&self, plan: &Plan) -> Outcome {
        if let Some(path) = &self.json {
            let mut result = plan_json(plan);
            result["schema_version"] = json!(1);
            write_json(path, &result)?;
        }
        if self.json.as_deref() == Some(Path::new("-")) {
            return Ok(());
        }
        print(&format!("{}\n{}\n", table(plan), summary(plan).trim_start()))
    }
}

/// What the weights of a compiled model become; its ledger and its warnings say so.
pub(crate) fn planned(
    compiled: &mut Compiled,
    recipe: &Recipe,
    target: &Target,
    warning: &Warning,
    progress: &mut Progress,
) -> Result<Plan, Vec<Diagnostic>> {
    progress.stage("looking at weights");
    let outlook = Outlook { warn_snr: warning.warn_snr, limits: target.options()?.limits };
    let plan = plan(&compiled.graph, recipe, &outlook).map_err(|d| vec![d])?;
    compiled.journal.warnings.extend(plan.warnings.iter().cloned());
    let forms = forms(&plan);
    if !forms.is_empty() {
        compiled.journal.ledger.push(Assumption {
            kind: "quantized".into(),
            subject: "weights".into(),
            reason: format!("the recipe {} asks for it: {}", plan.recipe, forms.join(", ")),
        });
    }
    Ok(plan)
}

/// How many weights got which form.
fn forms(plan: &Plan) -> Vec<String> {
    let mut counts: IndexMap<String, usize> = IndexMap::new();
    for decision in plan.decisions.iter().filter(|d| d.dtype != DType::F32) {
        *counts.entry(decision.readers[0].form.to_string()).or_default() += 1;
    }
    counts.into_iter().map(|(form, n)| format!("{n} {form}")).collect()
}

fn totals(plan: &Plan) -> (u64, u64) {
    plan.decisions.iter().fold((0, 0), |(before, after), d| (before + d.before, after + d.after))
}

fn summary(plan: &Plan) -> String {
    let (before, after) = totals(plan);
    let (before, after) = (before as f64 / 1e6, after as f64 / 1e6);
    let forms = match forms(plan) {
        forms if forms.is_empty() => "no weight changes".into(),
        forms => forms.join(", "),
    };
    format!("  {}: {forms}; weights {before:.1} MB, now {after:.1} MB", plan.recipe)
}

fn table(plan: &Plan) -> String {
    let mut table = Table::new(&[
        ("operator", Side::Left),
        ("weight", Side::Left),
        ("shape", Side::Left),
        ("form", Side::Left),
        ("kB", Side::Right),
        ("now", Side::Right),
        ("dB", Side::Right),
        ("line", Side::Left),
        ("why", Side::Left),
    ]);
    let kilo = |bytes: u64| format!("{:.1}", bytes as f64 / 1e3);
    for decision in &plan.decisions {
        let sizes: Vec<String> = decision.sizes.iter().map(usize::to_string).collect();
        let line = decision.line.as_ref();
        table.row(vec![
            readers(decision),
            decision.name.clone(),
            sizes.join("×"),
            decision.readers[0].form.to_string(),
            kilo(decision.before),
            kilo(decision.after),
            decision.snr.map(|snr| format!("{snr:.1}")).unwrap_or_default(),
            line.map(|line| format!("{}:{}", line.file, line.line)).unwrap_or_default(),
            decision.reason.clone(),
        ]);
    }
    table.text()
}

/// `CONV_2D %conv2d_1`, and how many more read the weight.
fn readers(decision: &Decision) -> String {
    let first = &decision.readers[0];
    match decision.readers.len() {
        1 => format!("{} %{}", first.builtin, first.output),
        n => format!("{} %{} and {} more", first.builtin, first.output, n - 1),
    }
}

pub(crate) fn plan_json(plan: &Plan) -> Value {
    let (before, after) = totals(plan);
    let decision = |d: &Decision| {
        json!({
            "weight": d.name,
            "sizes": d.sizes,
            "form": d.readers[0].form.to_string(),
            "dtype": d.dtype.name(),
            "scales": d.quant.as_ref().map(|q| q.scales.len()),
            "axis": d.quant.as_ref().filter(|q| q.scales.len() > 1).map(|q| q.axis),
            "reason": d.reason,
            "bytes_before": d.before,
            "bytes_after": d.after,
            "expected_snr_db": d.snr,
            "file": d.line.as_ref().map(|line| &line.file),
            "line": d.line.as_ref().map(|line| line.line),
            "readers": d.readers.iter().map(|r| json!({
                "operator": r.builtin.to_string(),
                "output": r.output,
                "operand": r.operand,
                "form": r.form.to_string(),
            })).collect::<Vec<_>>(),
        })
    };
    json!({
        "recipe": plan.recipe,
        "bytes_before": before,
        "bytes_after": after,
        "weights": plan.decisions.iter().map(decision).collect::<Vec<_>>(),
    })
}
