//! What a model is kept in, told in one place for all verbs.

use std::fs::File;
use std::io::Read;
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A .tflite, whoever wrote it.
    Tflite,
    /// An archive of torch.export; or neither of both, and then the archive's reader says what it is.
    Archive,
}

impl Kind {
    /// The kind of a file by its first bytes; by its name where these tell nothing.
    pub(crate) fn of(path: &Path) -> Self {
        let mut head = [0; 8];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
        match read {
            // A flatbuffer has its identifier behind the offset of its root; an archive is a ZIP.
            Ok(()) if head.ends_with(b"TFL3") => Kind::Tflite,
            Ok(()) if head.starts_with(b"PK") => Kind::Archive,
            _ if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tflite")) => Kind::Tflite,
            _ => Kind::Archive,
        }
    }
}
