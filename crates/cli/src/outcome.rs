//! How a command ends: diagnostics on standard error, and the exit status they ask for.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use ir::{Code, Diagnostic, Exit, Level};

/// What a verb gives back: nothing, or everything that is wrong.
pub(crate) type Outcome = Result<(), Vec<Diagnostic>>;

ir::codes! {
    /// The command line asks for something that does not exist or contradicts itself.
    ///
    /// `edgewright help VERB` shows what a verb takes.
    USAGE = "usage", Usage;

    /// A file cannot be read or written.
    UNREADABLE = "unreadable", Io;
}

/// Every code of every crate.
pub(crate) fn codes() -> Vec<&'static Code> {
    let mut all: Vec<&Code> = ir::codes()
        .chain(weights::codes())
        .chain(runtime::codes())
        .chain(compiler::codes())
        .chain(CODES)
        .chain(crate::check::CODES)
        .chain(crate::destination::CODES)
        .chain(crate::verify::codes())
        .chain(crate::weights::CODES)
        .collect();
    all.sort_by_key(|c| c.name);
    all
}

/// Prints what is wrong and gives the status to exit with: that of the first error.
pub(crate) fn exit(outcome: Outcome) -> ExitCode {
    let Err(found) = outcome else { return ExitCode::SUCCESS };
    report(&found);
    let worst = found.iter().find(|d| d.level == Level::Error).map_or(Exit::Failed, |d| d.code.exit);
    ExitCode::from(worst as u8)
}

/// A panic as the fault of ours that it is.
pub(crate) fn panicked(panic: &(dyn std::any::Any + Send)) -> Diagnostic {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Diagnostic::bug(format!("the compiler panicked: {}", text.unwrap_or("without a word")))
        .help("please report it with the model, or with what `--dump-ir` wrote")
}

/// Prints diagnostics on standard error, with a last line that counts the errors.
pub(crate) fn report(found: &[Diagnostic]) {
    let mut text = String::new();
    for diagnostic in found {
        let _ = writeln!(text, "{diagnostic}");
    }
    let errors = found.iter().filter(|d| d.level == Level::Error).count();
    if errors > 1 {
        let _ = writeln!(text, "{errors} errors; nothing was written");
    }
    say(&text);
}

/// Writes to standard error. That it is closed is no reason to fail.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes a result to standard output. A reader that has gone away ends the command quietly.
pub(crate) fn print(text: &str) -> Outcome {
    match io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(vec![Diagnostic::new(UNREADABLE, format!("standard output cannot be written: {e}"))])
        }
        _ => Ok(()),
    }
}

/// Is somebody watching standard error?
pub(crate) fn watched() -> bool {
    io::stderr().is_terminal()
}
