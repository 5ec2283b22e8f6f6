//! Named tensors in files, read without executing anything and without holding them.
//!
//! ```text
//! checkpoint   what torch.save wrote: a ZIP archive, or a stream
//!   entries    where the entries of a ZIP archive lie
//!   pickle     its object, as inert data
//!   state      the tensors in that object, by their paths
//! safetensors  the other format of named tensors, read;  write: written in slabs
//! compare      what differs between two sets, and what fits a model
//! fill         an archive of torch.export with other weights
//! ```

mod checkpoint;
mod compare;
mod entries;
mod fill;
mod pickle;
mod safetensors;
mod slab;
mod state;
mod write;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use indexmap::IndexMap;
use ir::{Constant, Diagnostic};

pub use crate::compare::{Difference, Differences, fitted, under};
pub use crate::entries::{Directory, Entry};
pub use crate::fill::write_filled;
pub use crate::safetensors::read_safetensors;
pub use crate::write::write_safetensors;

ir::codes! {
    /// A file of named tensors cannot be opened, read or written.
    UNREADABLE_TENSORS = "unreadable-tensors", Io;

    /// A file of named tensors is not what its name says.
    ///
    /// The header, the pickle or an offset is wrong; the file was cut short or written by something else.
    MALFORMED_TENSORS = "malformed-tensors", Invalid;

    /// A tensor of a checkpoint is left out.
    ///
    /// It is of a kind that its bytes alone do not tell: quantized, sparse, of a class of its own, or conjugated when
    /// it is used. The other tensors are read.
    SKIPPED_TENSOR = "skipped-tensor", Invalid;

    /// A checkpoint asks for classes or functions.
    ///
    /// A pickle is a program. Edgewright runs none of it: tensors are read, and what else the pickle would have called
    /// is only named. Module classes are usual where a whole model was saved; anything like `posix.system` is an
    /// attack on whoever loads the file with `torch.load(weights_only=False)`.
    INERT_OBJECTS = "inert-objects", Invalid;

    /// A tensor is of a dtype that the format to be written does not have.
    UNWRITABLE_TENSOR = "unwritable-tensor", Unsupported;

    /// A file of weights does not fit the model.
    ///
    /// Every weight of the model must be in the file under its name in `state_dict`, with its dtype and shape, and
    /// nothing else may be there. A prefix such as `module.` is removed only where `--strip-prefix` says so.
    UNSUITABLE_WEIGHTS = "unsuitable-weights", Invalid;

    /// A weight of an archive cannot be given other elements where it lies.
    ///
    /// It shares some of its elements with another weight, or they lie apart from each other. Export the model with
    /// weights that are `contiguous()`, or convert with `--weights`, which leaves the archive as it is.
    UNFILLABLE_WEIGHT = "unfillable-weight", Unsupported;
}

/// The diagnostic codes of this crate.
pub fn codes() -> impl Iterator<Item = &'static ir::Code> {
    CODES.iter()
}

/// The tensors of a file.
#[derive(Debug)]
pub struct NamedTensors {
    /// By name; each a range of the file.
    pub tensors: IndexMap<String, Constant>,
    /// What was left out, and what the user should know.
    pub warnings: Vec<Diagnostic>,
}

/// The formats in which tensors have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.safetensors`
    Safetensors,
    /// `.pth` or `.pt` of PyTorch 1.6 and later: a ZIP archive.
    Checkpoint,
    /// `.pth` or `.pt` of earlier versions: a stream of pickles.
    Stream,
    /// `.pt2`: a program of `torch.export` with its weights. The compiler reads it.
    Program,
}

impl Format {
    /// The format of the file at `path`, by its contents. Errs where it is none of them.
    pub fn of(path: &Path) -> Result<Self, Diagnostic> {
        let shown = path.display();
        let mut head = [0; 16];
        let mut held = 0;
        let mut file = File::open(path)
            .map_err(|e| Diagnostic::new(UNREADABLE_TENSORS, format!("{shown} cannot be opened: {e}")))?;
        loop {
            match file.read(&mut head[held..]) {
                Ok(0) => break,
                Ok(count) => held += count,
                Err(e) => return Err(Diagnostic::new(UNREADABLE_TENSORS, format!("{shown}: {e}"))),
            }
        }
        let head = &head[..held];
        if head.starts_with(b"PK") {
            return Ok(match checkpoint::kind(path)? {
                checkpoint::Kind::Checkpoint => Format::Checkpoint,
                checkpoint::Kind::Program => Format::Program,
            });
        }
        if head.starts_with(checkpoint::STREAM) {
            return Ok(Format::Stream);
        }
        if head.get(8) == Some(&b'{') {
            return Ok(Format::Safetensors);
        }
        let what = match head.get(4..8) {
            _ if head.is_empty() => "the file is empty",
            Some(b"TFL3") => "this is a .tflite: `edgewright inspect` says what is in it",
            _ if head.starts_with(&[0x80]) => "this is a pickle, but not one that torch.save wrote",
            _ => "this is no checkpoint, .safetensors or .pt2",
        };
        Err(Diagnostic::new(MALFORMED_TENSORS, format!("{shown}: {what}")))
    }
}

/// The tensors of a checkpoint or `.safetensors`. Errs where it is neither, or malformed; a tensor that its bytes alone do
/// not tell is left out with a warning.
pub fn read(path: &Path) -> Result<NamedTensors, Diagnostic> {
    match Format::of(path)? {
        Format::Safetensors => Ok(NamedTensors { tensors: read_safetensors(path)?, warnings: vec![] }),
        Format::Checkpoint => checkpoint::read(path),
        Format::Stream => checkpoint::read_stream(path),
        Format::Program => {
            let message = format!("{}: this is an archive of torch.export, not a checkpoint", path.display());
            Err(Diagnostic::new(MALFORMED_TENSORS, message))
        }
    }
}

fn malformed(path: &Path, why: impl AsRef<str>) -> Diagnostic {
    Diagnostic::new(MALFORMED_TENSORS, format!("{}: {}", path.display(), why.as_ref()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(UNREADABLE_TENSORS, format!("{}: {error}", path.display()))
}

fn unread(name: &str, error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(UNREADABLE_TENSORS, format!("'{name}' cannot be read: {error}"))
}
