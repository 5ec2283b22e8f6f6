//! A failure of LiteRT as a diagnostic.

use ir::Diagnostic;

use crate::error::{Error, HOW_TO_GET};

ir::codes! {
    /// LiteRT's library is not on this machine.
    ///
    /// Compiling needs no runtime, nor does verification by the built-in evaluator. Running or timing a model
    /// on LiteRT needs the library of the pinned release of `ai-edge-litert`; one command fetches it.
    LITERT_MISSING = "litert-missing", Io;

    /// A file was given or found as LiteRT's library, and is not the release whose binary interface we speak.
    ///
    /// LiteRT changes its interface between releases without saying so; calling another release would pass
    /// wrong arguments. Use the library of the release that the message names.
    LITERT_UNUSABLE = "litert-unusable", Io;

    /// LiteRT's library could not be fetched.
    ///
    /// The package comes from the Python package index by way of pip, pinned by hash. The notes hold what pip
    /// said.
    LITERT_SETUP = "litert-setup", Io;

    /// The file is not a model that LiteRT can read.
    ///
    /// It may be another format, or cut off: where the end of a file is missing, LiteRT may read zeros for
    /// weights, so such a file is refused before it is run.
    INVALID_TFLITE = "invalid-tflite", Invalid;

    /// What LiteRT is given differs from the model's signature in number, element type or sizes.
    LITERT_INPUTS = "litert-inputs", Invalid;

    /// LiteRT's C interface cannot pass a tensor of this kind.
    ///
    /// It has no tensors without elements, no element types below one byte, and gives the size of an output
    /// only where it is known before the run.
    LITERT_LIMIT = "litert-limit", Unsupported;

    /// LiteRT refused to compile or to run the model.
    ///
    /// The notes hold what LiteRT said.
    LITERT_FAILED = "litert-failed", Failed;

    /// A kernel of LiteRT ended the process that it ran in.
    ///
    /// The model asks for something that the kernel does not check for, such as arithmetic on integers without
    /// scales. The notes hold what LiteRT said last.
    LITERT_CRASHED = "litert-crashed", Failed;

    /// LiteRT gave no answer within the time allowed.
    LITERT_HUNG = "litert-hung", Failed;

    /// The process that runs LiteRT could not be started, or broke off.
    LITERT_PROCESS = "litert-process", Io;
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Missing { .. } => LITERT_MISSING,
            Error::Library { .. } => LITERT_UNUSABLE,
            Error::SetUp { .. } => LITERT_SETUP,
            Error::Model { .. } => INVALID_TFLITE,
            Error::Inputs(_) => LITERT_INPUTS,
            Error::Unsupported(_) => LITERT_LIMIT,
            Error::Call { .. } | Error::Failed { .. } => LITERT_FAILED,
            Error::Crashed { .. } => LITERT_CRASHED,
            Error::Hung { .. } => LITERT_HUNG,
            Error::Exited { .. } | Error::Process(_) => LITERT_PROCESS,
        };
        let diagnostic = Diagnostic::new(code, error.clause());
        let diagnostic = error.notes().iter().fold(diagnostic, |d, note| d.note(note.clone()));
        if code == LITERT_MISSING { diagnostic.help(HOW_TO_GET) } else { diagnostic }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_and_where_was_looked_are_notes() {
        let said = "WARNING: a\nERROR: b\n".to_owned();
        let crash = Diagnostic::from(Error::Crashed { during: "while running the model", signal: 11, said });
        assert_eq!(crash.code.name, "litert-crashed");
        assert_eq!(crash.message, "LiteRT crashed while running the model: ended by SIGSEGV (11)");
        assert_eq!(crash.notes, ["WARNING: a", "ERROR: b"]);

        let missing = Diagnostic::from(Error::Missing { looked: vec!["/a: no such file".to_owned()] });
        assert_eq!(missing.notes, ["/a: no such file"]);
        let help = missing.help.unwrap();
        assert!(help.contains("edgewright setup") && help.contains(crate::VERSION), "{help}");
    }
}
