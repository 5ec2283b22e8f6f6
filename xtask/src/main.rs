//! Chores of this repository, each a subcommand: `cargo xtask NAME`.
#![allow(clippy::print_stderr, reason = "a chore reports on standard error")]

mod codegen;

use std::process::ExitCode;

/// A chore: its name, what it does, and the function that does it with the arguments after its name.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<(), String>);

const COMMANDS: &[Command] = &[(
    "codegen",
    "writes crates/schema/src/tflite.rs from tflite.facts; --check only compares",
    codegen::run,
)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chore = arguments.first().and_then(|name| COMMANDS.iter().find(|(n, ..)| n == name));
    let Some((name, _, run)) = chore else {
        eprintln!("usage: cargo xtask NAME [ARGUMENT]...\n");
        for (name, what, _) in COMMANDS {
            eprintln!("  {name:<10} {what}");
        }
        return ExitCode::from(2);
    };
    match run(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{name}: {message}");
            ExitCode::FAILURE
        }
    }
}
