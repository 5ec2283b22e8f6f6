//! `edgewright explain CODE`: what a diagnostic means.

use clap::Args;
use ir::Diagnostic;

use crate::outcome::{Outcome, USAGE, codes, print};

/// Explain a diagnostic code.
#[derive(Args)]
pub(crate) struct Explain {
    /// The code, as in `error[CODE]`, or all of that; without one, all are listed
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
        // As it is printed: `error[unknown-profile]: no profile is called 'x'`.
        let printed = wanted.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let wanted = printed.map_or(wanted.as_str(), |(code, _)| code);
        let codes = codes();
        let code = codes.iter().find(|c| c.name == wanted).ok_or_else(|| {
            let help = match ir::nearest(wanted, codes.iter().map(|c| c.name)) {
                Some(near) => format!("did you mean {near}?"),
                None => "`edgewright explain` lists them".into(),
            };
            vec![Diagnostic::new(USAGE, format!("no diagnostic is called '{wanted}'")).help(help)]
        })?;
        let text: Vec<&str> = code.explanation.lines().map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
        print(&format!("{}\n\n{}\n\nexit status {}\n", code.name, text.join("\n").trim(), code.exit as u8))
    }
}

fn summary(explanation: &str) -> &str {
    explanation.lines().next().unwrap_or_default().trim()
}
