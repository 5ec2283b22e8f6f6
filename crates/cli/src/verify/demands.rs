//! `--require` and `--data-range`: what is asked of which output.

use clap::Args;
use compiler::verify::{METRICS, Metrics, Requirement};
use indexmap::IndexMap;
use ir::Diagnostic;

use crate::outcome::USAGE;

/// What is required of a model.
#[derive(Args, Default)]
pub(crate) struct Demands {
    /// What an output must reach, such as `output_0.psnr>=45`; `*` stands for every output, and several may follow
    #[arg(long, value_name = "OUTPUT.METRIC>=N", num_args = 1.., value_parser = requirement, long_help = help())]
    require: Vec<Requirement>,
    /// How far apart the elements of an output may lie at most, which PSNR is measured against: `output_0=1`, or
    /// `*=1` for all; by default, how far those of the reference do
    #[arg(long, value_name = "OUTPUT=N", value_parser = range)]
    data_range: Vec<(String, f64)>,
}

fn requirement(text: &str) -> Result<Requirement, String> {
    text.parse().map_err(|why: String| match text.contains(['<', '>']) {
        true => why,
        false => format!("{why}; put a model before --require, or `--` between them"),
    })
}

/// The help of `--require`, with every metric.
fn help() -> String {
    let mut help = String::from(
        "What an output must reach, such as `output_0.psnr>=45`; `*` stands for every output, several may follow, and \
         the signs are >=, <=, > and <. Every comparison of the output must reach it. Put the model before --require, \
         or end the list with `--`. The metrics:",
    );
    for metric in METRICS {
        help.push_str(&format!("\n  {:<12} {}", metric.name, metric.about));
    }
    help
}

fn range(text: &str) -> Result<(String, f64), String> {
    let form = || format!("'{text}' is not of the form output_0=1");
    let (output, number) = text.split_once('=').ok_or_else(form)?;
    let number: f64 = number.trim().parse().map_err(|_| form())?;
    match number.is_finite() && number > 0.0 {
        true => Ok((output.trim().to_string(), number)),
        false => Err(format!("a data range is above 0, not {number}")),
    }
}

impl Demands {
    /// Errs where an output is named that is none of these.
    pub(crate) fn check(&self, outputs: &[String]) -> Result<(), Vec<Diagnostic>> {
        let required = self.require.iter().filter_map(Requirement::output).map(|o| ("--require", o));
        let ranged =
            self.data_range.iter().map(|(o, _)| ("--data-range", o.as_str())).filter(|(_, o)| *o != "*");
        let wrong: Vec<Diagnostic> = required
            .chain(ranged)
            .filter(|(_, output)| !outputs.iter().any(|o| o == output))
            .map(|(flag, output)| {
                Diagnostic::new(USAGE, format!("{flag}: no output is called '{output}'"))
                    .help(format!("they are {}, or * for all", outputs.join(", ")))
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The data range that was said for an output.
    pub(crate) fn range(&self, output: &str) -> Option<f64> {
        let said =
            |name: &str| self.data_range.iter().rev().find(|(o, _)| o == name).map(|(_, range)| *range);
        said(output).or_else(|| said("*"))
    }

    /// Is anything asked?
    pub(crate) fn are_given(&self) -> bool {
        !self.require.is_empty() || !self.data_range.is_empty()
    }

    /// What is required of an output, with what was found.
    pub(crate) fn asked(&self, output: &str, metrics: &Metrics) -> Vec<Asked> {
        let range = self.range(output).unwrap_or(metrics.range);
        let about = self.require.iter().filter(|r| r.is_about(output));
        about
            .map(|r| Asked { requirement: r.clone(), output: output.into(), found: r.found(metrics, range) })
            .collect()
    }
}

/// A requirement of one output in one comparison.
pub(crate) struct Asked {
    requirement: Requirement,
    output: String,
    found: f64,
}

impl Asked {
    /// What is wrong where it is not met.
    pub(crate) fn fault(&self) -> Option<String> {
        self.requirement.unmet(self.found)
    }
}

/// One line for each requirement of each output that every comparison meets, with the number nearest to the limit.
pub(super) fn met<'a>(asked: impl Iterator<Item = &'a Asked>) -> String {
    let mut all: IndexMap<String, Vec<&Asked>> = IndexMap::new();
    for one in asked {
        all.entry(one.requirement.met(&one.output, &[])).or_default().push(one);
    }
    let met = all.values().filter(|all| all.iter().all(|one| one.fault().is_none()));
    met.map(|all| {
        let found: Vec<f64> = all.iter().map(|one| one.found).collect();
        all[0].requirement.met(&all[0].output, &found) + "\n"
    })
    .collect()
}
