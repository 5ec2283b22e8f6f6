//! Chores of this repository, each a subcommand: `cargo xtask NAME`.
#![allow(clippy::print_stderr, reason = "a chore reports on standard error")]

mod big;
mod codegen;
mod docs;
mod python;
mod test;
mod tidy;

use std::process::ExitCode;

/// A chore: its name, what it does, and the function that does it with the arguments after its name.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<(), String>);

const COMMANDS: &[Command] = &[
    (
        "big",
        "converts ChunkySeal at full size and prints what that takes; arguments go to tests/e2e/full_size.py",
        big::run,
    ),
    ("cases", "writes the fixtures of the operator cases again; --check only compares", python::cases),
    ("codegen", "writes crates/schema/src/tflite.rs from tflite.facts; --check only compares", codegen::run),
    ("docs", "writes docs/{cli,diagnostics,operators}.md; --check only compares", docs::run),
    (
        "test",
        "runs every test there is; --hermetic only those that need neither Python nor LiteRT",
        test::run,
    ),
    ("tidy", "checks the rules of the house: floors, pages, names, lengths, docs", tidy::run),
];

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
