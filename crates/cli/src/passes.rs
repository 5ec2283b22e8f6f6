//! `edgewright passes` and `edgewright ops`: what the compiler is made of, printed from its own data.

use std::fmt::Write;

use clap::Args;
use compiler::compile::{Options, pipeline};
use compiler::ops::CATALOG;
use ir::{Stage, Step};

use crate::outcome::{Outcome, print};

/// Print the pipeline.
#[derive(Args)]
pub(crate) struct Passes {
    /// Name each pass's rules too
    #[arg(long)]
    rules: bool,
}

impl Passes {
    pub(crate) fn run(self) -> Outcome {
        let mut out = String::new();
        for step in pipeline(&Options::default()).steps() {
            match step {
                Step::Expect(Stage::Any) => {}
                Step::Expect(Stage::Static) => {
                    out.push_str("                     — every size is a number\n")
                }
                Step::Expect(Stage::Legal) => {
                    out.push_str("                     — every operator can be spelled\n")
                }
                Step::Pass(pass) => {
                    let _ = writeln!(out, "{:20} {}", pass.name, pass.summary);
                    if self.rules {
                        for rule in &pass.rules {
                            let _ = writeln!(out, "{:20}   · {rule}", "");
                        }
                    }
                }
            }
        }
        print(&out)
    }
}

/// The width of the column of names, and of that of builtins.
const NAMES: usize = 40;
const BUILTINS: usize = 58;

/// A text in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

/// List the operators.
#[derive(Args)]
pub(crate) struct Ops {
    /// List the ATen overloads that are read instead
    #[arg(long)]
    aten: bool,
}

impl Ops {
    pub(crate) fn run(self) -> Outcome {
        if self.aten {
            let mut all: Vec<&str> = compiler::front::torch::import::known().collect();
            all.sort_unstable();
            all.dedup();
            return print(&all.iter().map(|t| format!("{t}\n")).collect::<String>());
        }
        let mut out = String::new();
        for entry in CATALOG {
            let builtins: Vec<String> = entry.tfl.iter().map(ToString::to_string).collect();
            let spelled = if builtins.is_empty() { "—".to_string() } else { builtins.join(", ") };
            let (names, spelled) = (wrapped(&entry.names.join(" "), NAMES), wrapped(&spelled, BUILTINS));
            for line in 0..names.len().max(spelled.len()) {
                let cell = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
                let row = format!("{:NAMES$} {}", cell(&names), cell(&spelled));
                let _ = writeln!(out, "{}", row.trim_end());
            }
        }
        print(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("add sub mul", 7), ["add sub", "mul"]);
        assert_eq!(wrapped("squared_difference", 7), ["squared_difference"]);
    }
}
