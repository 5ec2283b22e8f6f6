//! `--require` and `--data-range`: what is asked of which output.

use clap::Args;
use compiler::verify::{METRICS, Metrics, Requirement};
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
    text.parse()
}

/// The help of `--require`, with every metric.
fn help() -> String {
    let mut help = String::from(
        "What an output must reach, such as `output_0.psnr>=45`; `*` stands for every output, several may follow, and \
         the signs are >=, <=, > and <. Every comparison of the output must reach it. The metrics:",
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

    /// What an output does not reach; and is anything required of it at all?
    pub(crate) fn unmet(&self, output: &str, metrics: &Metrics) -> (Vec<String>, bool) {
        let range = self.range(output).unwrap_or(metrics.range);
        let mut asked = self.require.iter().filter(|r| r.is_about(output)).peekable();
        let required = asked.peek().is_some();
        (asked.filter_map(|r| r.unmet(metrics, range)).collect(), required)
    }
}
