//! `edgewright explain CODE`: what a diagnostic means.

use clap::Args;
use ir::Diagnostic;

use crate::outcome::{Outcome, USAGE, codes, print};

/// Explain a diagnostic code.
#[derive(Args)]
pub(crate) struct Explain {
    /// The code, as in `error[CODE]`; without one, all are listed
    code: Option<String>,
}

impl Explain {
    pub(crate) fn run(self) -> Outcome {
        let Some(wanted) = self.code else {
            return print(
                &codes()
                    .iter()
                    .map(|c| format!("{:24} {}\n", c.name, summary(c.explanation)))
                    .collect::<String>(),
            );
        };
        let found = codes().into_iter().find(|c| c.name == wanted);
        let code = found.ok_or_else(|| {
            vec![
                Diagnostic::new(USAGE, format!("no diagnostic is called '{wanted}'"))
                    .help("`edgewright explain` lists them"),
            ]
        })?;
        let text: Vec<&str> = code.explanation.lines().map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
        print(&format!("{}\n\n{}\n\nexit status {}\n", code.name, text.join("\n").trim(), code.exit as u8))
    }
}

fn summary(explanation: &str) -> &str {
    explanation.lines().next().unwrap_or_default().trim()
}
