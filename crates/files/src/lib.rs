//! Files that appear whole or not at all, and folders that are gone in the end.
//!
//! What is unfinished is removed when its value is dropped. A signal drops nothing: who catches one calls [`abandon`].

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::{NamedTempFile, TempDir};

/// Every file and folder that is to be removed where the process ends now.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set of paths is whole whatever panicked beside it.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An entry of [`UNFINISHED`], which ends with its value.
struct Entry(PathBuf);

impl Entry {
    /// Lists what `begin` makes; it is listed before anybody can ask for the list.
    fn of<T>(begin: impl FnOnce() -> io::Result<T>, path: impl Fn(&T) -> &Path) -> io::Result<(T, Entry)> {
        let mut all = unfinished();
        let begun = begin()?;
        let path = path(&begun).to_owned();
        all.insert(path.clone());
        Ok((begun, Entry(path)))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

/// A file that is being written under a hidden name, and gone where it is dropped before it is whole.
pub struct Unfinished {
    file: NamedTempFile,
    entry: Entry,
}

impl Unfinished {
    /// An empty file in the folder of `path`, so that it can be renamed to it.
    pub fn beside(path: &Path) -> io::Result<Self> {
        let mut named = tempfile::Builder::new();
        named.prefix(".").suffix(".part");
        #[cfg(unix)]
        let named = named.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // the umask takes its part
        let (file, entry) = Entry::of(|| named.tempfile_in(folder(path)), |file| file.path())?;
        Ok(Unfinished { file, entry })
    }

    /// It is whole: it gets this name, in the place of a file that has it.
    pub fn finish(self, path: &Path) -> io::Result<()> {
        let Unfinished { file, entry } = self;
        file.persist(path).map_err(|e| e.error)?;
        drop(entry);
        Ok(())
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Unfinished {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A folder for files that nobody keeps, gone with its value.
pub struct Scratch {
    folder: TempDir,
    _entry: Entry,
}

impl Scratch {
    /// An empty folder where the system keeps such.
    pub fn new() -> io::Result<Self> {
        let begin = || tempfile::Builder::new().prefix("edgewright.").tempdir();
        let (folder, entry) = Entry::of(begin, |folder| folder.path())?;
        Ok(Scratch { folder, _entry: entry })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The folder that a file is in, or will be.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Errs where no file can be made in a folder.
pub fn takes_files(folder: &Path) -> io::Result<()> {
    tempfile::tempfile_in(folder).map(drop)
}

/// Removes everything that is unfinished, then calls `end`, which is to end the process: whoever begins or finishes a
/// file meanwhile waits for that.
pub fn abandon(end: impl FnOnce()) {
    let all = unfinished();
    for path in all.iter() {
        // What is gone already is as good as removed.
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
    }
    end();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// One test, for what is abandoned is that of the whole process.
    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("whole");
        let mut file = Unfinished::beside(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert_eq!((names(folder.path()).len(), path.exists()), (1, false));
        drop(file);
        assert_eq!(names(folder.path()).len(), 0);

        let file = Unfinished::beside(&path).unwrap();
        let scratch = Scratch::new().unwrap();
        fs::write(scratch.path().join("model"), b"").unwrap();
        abandon(|| ());
        assert_eq!((names(folder.path()).len(), scratch.path().exists()), (0, false));
        assert!(file.finish(&path).is_err());

        let mut file = Unfinished::beside(&path).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish(&path).unwrap();
        assert_eq!(names(folder.path()), ["whole"]);
        abandon(|| ());
        assert_eq!(names(folder.path()), ["whole"]);
    }
}
