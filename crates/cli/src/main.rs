//! The `edgewright` command: parses arguments, calls the compiler, renders what it says.

mod check;
mod convert;
mod destination;
mod document;
mod explain;
mod inspect;
mod outcome;
mod passes;
mod place;
mod profiles;
mod progress;
mod quantize;
mod setup;
#[cfg(unix)]
mod signals;
mod table;
mod verify;
mod weights;
mod written;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use outcome::Outcome;

/// PyTorch models for LiteRT: exact, or refused.
#[derive(Parser)]
#[command(name = "edgewright", version, propagate_version = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
    /// Print results only: no progress, no warnings
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Verb {
    /// Compile a torch.export archive (.pt2) to a .tflite
    Convert(Box<convert::Convert>),
    /// Run a model on recorded inputs and compare its outputs with PyTorch's
    Verify(Box<verify::Verify>),
    /// Say whether a .tflite or a .pt2 holds for a hardware profile, and what in it is seldom meant
    Check(Box<check::Check>),
    /// Say what is in a .tflite or a .pt2
    Inspect(Box<inspect::Inspect>),
    /// Write a model with its weights in fewer bits
    Quantize(Box<quantize::Quantize>),
    /// Named tensors in checkpoints (.pth, .pt), .safetensors and .pt2
    Weights(weights::Weights),
    /// Print the pipeline: passes, what they do, their rules
    Passes(passes::Passes),
    /// List the operators and the ATen overloads that are read
    Ops(passes::Ops),
    /// List the hardware profiles, or print one
    Profiles(profiles::Profiles),
    /// Explain a diagnostic code
    Explain(explain::Explain),
    /// Fetch the pinned LiteRT library
    Setup(setup::Setup),
    /// Print a page of the documentation (internal)
    #[command(hide = true)]
    Document(document::Document),
    /// Serve a model to the process that started this one (internal)
    #[command(name = runtime::VERB, hide = true)]
    Serve,
}

fn main() -> ExitCode {
    let Arguments { verb, quiet } = Arguments::parse();
    // A panic is a fault of ours: it is told as one, with the exit status of one.
    std::panic::set_hook(Box::new(|_| {}));
    // A process that serves another makes no files; its parent says when it ends.
    #[cfg(unix)]
    if !matches!(verb, Verb::Serve) {
        signals::watch();
    }
    let ended = std::panic::catch_unwind(move || run(verb, quiet));
    outcome::exit(ended.unwrap_or_else(|panic| Err(vec![outcome::panicked(&*panic)])))
}

fn run(verb: Verb, quiet: bool) -> Outcome {
    match verb {
        Verb::Convert(verb) => verb.run(quiet),
        Verb::Verify(verb) => verb.run(quiet),
        Verb::Check(verb) => verb.run(quiet),
        Verb::Inspect(verb) => verb.run(quiet),
        Verb::Quantize(verb) => verb.run(quiet),
        Verb::Weights(verb) => verb.run(quiet),
        Verb::Passes(verb) => verb.run(),
        Verb::Ops(verb) => verb.run(),
        Verb::Profiles(verb) => verb.run(),
        Verb::Explain(verb) => verb.run(),
        Verb::Setup(verb) => verb.run(quiet),
        Verb::Document(verb) => verb.run(Arguments::command()),
        Verb::Serve => serve(),
    }
}

fn serve() -> Outcome {
    runtime::serve().map_err(|e| vec![ir::Diagnostic::bug(format!("the child process ended: {e}"))])
}
