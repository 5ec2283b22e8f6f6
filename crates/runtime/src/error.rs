//! What can go wrong between us and LiteRT.

use std::fmt;
use std::path::PathBuf;

/// A failure to find, load or run LiteRT, in words for the user.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// No library was found.
    Missing {
        /// The places looked at, each with what was wrong there.
        looked: Vec<String>,
    },
    /// A file is not a LiteRT library that we can call.
    Library {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The library could not be fetched.
    SetUp(String),
    /// A file is not a model that LiteRT can read.
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The inputs are not those of the model's signature.
    Inputs(String),
    /// The model has a tensor that cannot cross the interface.
    Unsupported(String),
    /// One of LiteRT's functions gave a failure status.
    Call {
        /// The function.
        function: String,
        /// Its status (`LiteRtStatus`).
        status: i32,
    },
    /// The child process reported a failure.
    Failed {
        /// The failure.
        what: String,
        /// The end of what LiteRT wrote to its standard error.
        said: String,
    },
    /// The child process was ended by a signal: a kernel aborted or touched memory that is not its own.
    Crashed {
        /// What it was asked to do.
        during: &'static str,
        /// The number of the signal.
        signal: i32,
        /// The end of what LiteRT wrote to its standard error.
        said: String,
    },
    /// The child process ended without an answer.
    Exited {
        /// What it was asked to do.
        during: &'static str,
        /// Its exit code.
        code: i32,
        /// The end of what it wrote to its standard error.
        said: String,
    },
    /// The child process gave no answer in time and was ended.
    Hung {
        /// What it was asked to do.
        during: &'static str,
        /// The seconds it was given.
        seconds: f64,
        /// The end of what LiteRT wrote to its standard error.
        said: String,
    },
    /// The child process could not be started or spoken to.
    Process(String),
}

/// The usual name of a signal's number.
pub(crate) fn signal_name(number: i32) -> &'static str {
    const BUS: i32 = if cfg!(target_os = "linux") { 7 } else { 10 };
    match number {
        4 => "SIGILL",
        6 => "SIGABRT",
        BUS => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => "a signal",
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Missing { looked } => write!(
                f,
                "LiteRT runtime not found (looked in: {}). Run `edgewright setup`, or set EDGEWRIGHT_LITERT to the \
                 libLiteRt of ai-edge-litert=={}. Compiling, and verification by the built-in evaluator, work \
                 without it; running and timing a model on LiteRT do not.",
                looked.join("; "),
                crate::VERSION
            ),
            Error::Library { path, why } => write!(f, "cannot use {} as LiteRT: {why}", path.display()),
            Error::SetUp(why) => write!(f, "LiteRT could not be set up: {why}"),
            Error::Model { path, why } => write!(f, "LiteRT cannot read {}: {why}", path.display()),
            Error::Inputs(why) => write!(f, "the inputs do not fit the model: {why}"),
            Error::Unsupported(what) => write!(f, "{what}"),
            Error::Call { function, status } => write!(f, "{function} failed with status {status}"),
            Error::Failed { what, said } => write!(f, "{what}{}", Said(said)),
            Error::Crashed { during, signal, said } => {
                let name = signal_name(*signal);
                write!(f, "LiteRT crashed {during}: ended by {name} ({signal}){}", Said(said))
            }
            Error::Exited { during, code, said } => {
                write!(f, "LiteRT's process ended {during} with exit code {code}{}", Said(said))
            }
            Error::Hung { during, seconds, said } => {
                write!(f, "LiteRT gave no answer {during} within {seconds} s{}", Said(said))
            }
            Error::Process(why) => write!(f, "LiteRT's process: {why}"),
        }
    }
}

impl std::error::Error for Error {}

/// What the child wrote, on lines of its own; nothing where it wrote nothing.
struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim();
        if text.is_empty() { Ok(()) } else { write!(f, "\n{text}") }
    }
}
