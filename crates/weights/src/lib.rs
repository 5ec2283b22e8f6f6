//! Named tensors in files, read without executing anything and without holding them.

mod safetensors;

pub use crate::safetensors::read_safetensors;

ir::codes! {
    /// A file of named tensors cannot be opened or read.
    UNREADABLE_TENSORS = "unreadable-tensors", Io;

    /// A file of named tensors is not what its name says.
    ///
    /// The header or an offset is wrong; the file was cut short or written by something else.
    MALFORMED_TENSORS = "malformed-tensors", Invalid;
}

/// The diagnostic codes of this crate.
pub fn codes() -> impl Iterator<Item = &'static ir::Code> {
    CODES.iter()
}
