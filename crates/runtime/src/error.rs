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
    SetUp {
        /// What is wrong.
        why: String,
        /// What pip wrote to its standard error.
        said: String,
    },
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

/// What to do where the library is missing.
pub(crate) const HOW_TO_GET: &str = "run `edgewright setup`, or set EDGEWRIGHT_LITERT to the libLiteRt of \
                                     ai-edge-litert==2.3.0; compiling, and verification by the built-in \
                                     evaluator, work without it";

impl Error {
    /// What happened, in one clause.
    pub(crate) fn clause(&self) -> String {
        match self {
            Error::Missing { .. } => "LiteRT runtime not found".to_owned(),
            Error::Library { path, why } => format!("cannot use {} as LiteRT: {why}", path.display()),
            Error::SetUp { why, .. } => format!("LiteRT could not be set up: {why}"),
            Error::Model { path, why } => format!("LiteRT cannot read {}: {why}", path.display()),
            Error::Inputs(why) => format!("the inputs do not fit the model: {why}"),
            Error::Unsupported(what) => what.clone(),
            Error::Call { function, status } => format!("{function} failed with status {status}"),
            Error::Failed { what, .. } => what.clone(),
            Error::Crashed { during, signal, .. } => {
                format!("LiteRT crashed {during}: ended by {} ({signal})", signal_name(*signal))
            }
            Error::Exited { during, code, .. } => {
                format!("LiteRT's process ended {during} with exit code {code}")
            }
            Error::Hung { during, seconds, .. } => {
                format!("LiteRT gave no answer {during} within {seconds} s")
            }
            Error::Process(why) => format!("LiteRT's process: {why}"),
        }
    }

    /// What explains it: the places looked at, or the lines that LiteRT wrote.
    pub(crate) fn notes(&self) -> Vec<String> {
        let said = match self {
            Error::Missing { looked } => return looked.clone(),
            Error::SetUp { said, .. }
            | Error::Failed { said, .. }
            | Error::Crashed { said, .. }
            | Error::Exited { said, .. }
            | Error::Hung { said, .. } => said,
            _ => return Vec::new(),
        };
        said.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clause())?;
        if let Error::Missing { looked } = self {
            return write!(f, " (looked in: {}); {HOW_TO_GET}", looked.join("; "));
        }
        self.notes().iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl std::error::Error for Error {}
