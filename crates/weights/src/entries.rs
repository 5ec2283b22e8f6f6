//! The entries of a ZIP archive as PyTorch writes it: where the bytes of each lie, uncompressed, in the file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use ir::Diagnostic;
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::{malformed, unreadable};

/// A PyTorch archive begins with the file; looking for another beginning finds false ones.
const FROM_THE_START: Config = Config { archive_offset: ArchiveOffset::Known(0) };

/// Where an entry lies, in bytes from the file's start.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Where its contents begin.
    pub start: u64,
    /// How many bytes they are.
    pub size: u64,
    /// Their checksum.
    pub crc: u32,
    /// The header before the contents.
    pub(crate) header: u64,
    /// What the directory at the end of the file says of it.
    pub(crate) listed: u64,
}

/// What an archive says at its end of the entries that it has.
pub struct Directory<'f>(ZipArchive<&'f File>);

impl<'f> Directory<'f> {
    /// Reads the directory of a file. Errs in its reader's words where it has none: the file ends too early, is damaged,
    /// or is no archive.
    pub fn read(file: &'f File) -> Result<Self, String> {
        ZipArchive::with_config(FROM_THE_START, file).map(Directory).map_err(|e| e.to_string())
    }

    /// The names of the entries.
    pub fn names(&self) -> Vec<String> {
        self.0.file_names().flatten().map(|name| name.into_owned()).collect()
    }

    /// Where each entry lies, by its name, in a file of `length` bytes. Errs in words where one is compressed, or is not
    /// all in the file.
    pub fn entries(mut self, length: u64) -> Result<IndexMap<String, Entry>, String> {
        (0..self.0.len()).map(|i| locate(&mut self.0, i, length)).collect()
    }
}

/// An open archive.
pub(crate) struct Entries {
    pub(crate) file: Arc<File>,
    pub(crate) length: u64,
    pub(crate) entries: IndexMap<String, Entry>,
}

impl Entries {
    /// Opens the archive at `path`. Errs where it is none, or an entry is not all in the file.
    pub(crate) fn open(path: &Path) -> Result<Self, Diagnostic> {
        let file = File::open(path).map_err(|e| unreadable(path, &e))?;
        let length = file.metadata().map_err(|e| unreadable(path, &e))?.len();
        let directory = Directory::read(&file).map_err(|why| damaged(path, why))?;
        let entries = directory.entries(length).map_err(|why| malformed(path, why))?;
        Ok(Entries { file: Arc::new(file), length, entries })
    }

    /// The names of the entries of the archive at `path`.
    pub(crate) fn names(path: &Path) -> Result<Vec<String>, Diagnostic> {
        let file = File::open(path).map_err(|e| unreadable(path, &e))?;
        Ok(Directory::read(&file).map_err(|why| damaged(path, why))?.names())
    }
}

fn damaged(path: &Path, why: String) -> Diagnostic {
    malformed(path, "the file ends too early or is damaged").note(why).help("copy it again")
}

/// Finds entry `i`: its size is in the central directory, its place behind the local header.
fn locate(zip: &mut ZipArchive<&File>, i: usize, length: u64) -> Result<(String, Entry), String> {
    let file = zip.by_index_raw(i).map_err(|e| format!("entry {i} of the archive cannot be found: {e}"))?;
    let name = file.name().map_err(|e| format!("the name of entry {i} of the archive: {e}"))?.into_owned();
    if file.compression() != CompressionMethod::Stored || file.encrypted() {
        return Err(format!("entry {name} is compressed or encrypted, which PyTorch never does"));
    }
    let start = file.data_start().ok_or_else(|| format!("entry {name} has no local header"))?;
    let size = file.size();
    if start.checked_add(size).is_none_or(|end| end > length) {
        return Err(format!("entry {name} reaches beyond the end of the file"));
    }
    let (header, listed) = (file.header_start(), file.central_header_start());
    Ok((name, Entry { start, size, crc: file.crc32(), header, listed }))
}
