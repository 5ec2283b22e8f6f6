//! `edgewright inspect MODEL`: what is in a .tflite or a .pt2.

mod file;
mod occurrence;
mod program;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ir::Diagnostic;

use crate::convert::{Reading, Target};
use crate::destination::Destinations;
use crate::outcome::{Outcome, UNREADABLE, USAGE};

/// Say what is in a model.
#[derive(Args)]
pub(crate) struct Inspect {
    /// A .tflite, whoever wrote it, or an archive that torch.export saved (.pt2)
    model: PathBuf,
    /// Show each occurrence of this operator: a builtin such as RESIZE_BILINEAR, an ATen overload for a .pt2; may be
    /// given several times
    #[arg(long, value_name = "NAME")]
    op: Vec<String>,
    /// Compile the .pt2 and say why each transpose is left; the options of `convert` say what for
    #[arg(long, value_name = "WHAT")]
    explain: Option<Subject>,
    /// Write everything as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    target: Target,
}

/// What can be explained.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// Each transpose that the compiled model has.
    Transpose,
}

impl Inspect {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        let said = [Some(self.model.as_path()), self.target.file()];
        let mut files = Destinations::beside(said.into_iter().flatten());
        files.replace(&self.json)?;
        let unreadable =
            |e| vec![Diagnostic::new(UNREADABLE, format!("{} cannot be read: {e}", self.model.display()))];
        let mut head = [0; 8];
        let mut opened = fs::File::open(&self.model).map_err(unreadable)?;
        let length = opened.metadata().map_err(unreadable)?.len();
        let held = std::io::Read::read(&mut opened, &mut head).map_err(unreadable)?;
        if self.explain.is_none() && self.target.is_given() {
            return Err(usage("what a model is compiled for matters only to --explain transpose"));
        }
        // A flatbuffer has its identifier behind the offset of its root; an archive is a ZIP.
        if held == 8 && &head[4..] == b"TFL3" || self.has_extension("tflite") {
            if self.explain.is_some() || self.reading.is_given() {
                return Err(usage(
                    "a .tflite is compiled already: --explain and the options of reading are for a .pt2",
                ));
            }
            return file::run(&self, length);
        }
        match self.explain {
            Some(Subject::Transpose) => program::explain(&self, quiet),
            None => program::run(&self),
        }
    }

    fn has_extension(&self, extension: &str) -> bool {
        self.model.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
    }

    /// Is the result to be printed as text?
    fn as_text(&self) -> bool {
        self.json.as_deref() != Some(Path::new("-"))
    }
}

fn usage(message: impl Into<String>) -> Vec<Diagnostic> {
    vec![Diagnostic::new(USAGE, message)]
}
