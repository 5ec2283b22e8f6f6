//! Where results go: held against what is there, and against what is read, before any work is done.

use std::fs;
use std::path::{Path, PathBuf};

use ir::Diagnostic;

use crate::outcome::{Outcome, USAGE};

ir::codes! {
    /// The output file exists already.
    ///
    /// Edgewright does not replace a file unless it is told to: say `--force`.
    OUTPUT_EXISTS = "output-exists", Usage;

    /// An output is a file that the command reads, or another of its outputs.
    ///
    /// The model, its weights, recordings, recipes and profiles are left as they are, also where `--force` is said, and
    /// whether the file is named by another spelling or by a link.
    OUTPUT_IS_INPUT = "output-is-input", Usage;

    /// An output cannot be written where it was asked for.
    ///
    /// Its folder does not exist or takes no files, or its name is that of a folder. Edgewright makes no folders but
    /// that of `--dump-ir`.
    NO_DESTINATION = "no-destination", Io;
}

/// What file names end in, of all that is read or written.
const ENDINGS: &[&str] = &["tflite", "pt2", "pth", "pt", "safetensors", "json", "png"];

/// The files that a command reads and those it is to write.
#[derive(Default)]
pub(crate) struct Destinations {
    read: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

impl Destinations {
    /// Of a command that reads these files. A name of something else than a file is passed over.
    pub(crate) fn beside<P: AsRef<Path>>(read: impl IntoIterator<Item = P>) -> Self {
        let read = read.into_iter().filter(|path| path.as_ref().is_file());
        Destinations { read: read.map(|path| path.as_ref().to_owned()).collect(), written: Vec::new() }
    }

    /// Errs where a file of this ending may not be written, or not be replaced.
    pub(crate) fn take(&mut self, path: &Path, ending: &str, force: bool) -> Outcome {
        self.add(path)?;
        let other = path.extension().and_then(|e| ENDINGS.iter().find(|known| e.eq_ignore_ascii_case(known)));
        if let Some(other) = other.filter(|other| **other != ending) {
            let message = format!("a .{ending} is what is written, and {} ends in .{other}", path.display());
            let help = format!("-o {}", path.with_extension(ending).display());
            return Err(vec![Diagnostic::new(USAGE, message).help(help)]);
        }
        let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
        if !there.is_file() && !there.is_symlink() {
            let message = format!("{} is no file that can be replaced", path.display());
            return Err(vec![Diagnostic::new(NO_DESTINATION, message)]);
        }
        if force {
            return Ok(());
        }
        let message = format!("{} exists already", path.display());
        Err(vec![
            Diagnostic::new(OUTPUT_EXISTS, message).help("say --force to replace it, or -o for another file"),
        ])
    }

    /// Errs where one of these files may not be written; one that is there is replaced. `-` is standard output.
    pub(crate) fn replace<'p>(&mut self, paths: impl IntoIterator<Item = &'p PathBuf>) -> Outcome {
        paths.into_iter().filter(|path| *path != Path::new("-")).try_for_each(|path| self.add(path))
    }

    /// One more file that is to be written. Errs where it cannot be made, or is one of the others.
    fn add(&mut self, path: &Path) -> Outcome {
        let lost = |message: String, help: &str| {
            Err(vec![Diagnostic::new(OUTPUT_IS_INPUT, message).help(help.to_string())])
        };
        let shown = path.display();
        if let Some(read) = self.read.iter().find(|read| is_one(read, path)) {
            let message = match read == path {
                true => format!("{shown} is read by this command, and cannot be its output too"),
                false => format!("{shown} is the file {}, which this command reads", read.display()),
            };
            return lost(message, "name another file; --force does not replace what is read");
        }
        if let Some(other) = self.written.iter().find(|other| is_one(other, path)) {
            return lost(format!("{shown} and {} would be one file", other.display()), "name two files");
        }
        self.written.push(path.to_owned());
        room(path).map_err(|why| vec![Diagnostic::new(NO_DESTINATION, why)])
    }
}

/// Errs where a path is that of something else than a folder; one that is not there is made.
pub(crate) fn as_folder(path: &Path) -> Outcome {
    if path.is_dir() || !path.exists() {
        return Ok(());
    }
    Err(vec![Diagnostic::new(NO_DESTINATION, format!("{} is a file, not a folder", path.display()))])
}

/// Errs where no file of this name can be made.
fn room(path: &Path) -> Result<(), String> {
    let shown = path.display();
    if path.is_dir() {
        return Err(format!("{shown} is a folder, not a file"));
    }
    if path.exists() {
        return Ok(());
    }
    let folder = files::folder(path);
    match fs::metadata(folder) {
        Err(_) => Err(format!("{shown} cannot be written: the folder {} does not exist", folder.display())),
        Ok(there) if !there.is_dir() => {
            Err(format!("{shown} cannot be written: {} is no folder", folder.display()))
        }
        Ok(_) => files::takes_files(folder).map_err(|e| {
            format!("{shown} cannot be written: the folder {} takes no files: {e}", folder.display())
        }),
    }
}

/// Do two names lead to one file, or would they?
fn is_one(a: &Path, b: &Path) -> bool {
    match (place(a), place(b)) {
        (Some(a), Some(b)) => a == b || linked(&a, &b),
        _ => false,
    }
}

/// The one spelling of a path, whether or not its last part is there.
fn place(path: &Path) -> Option<PathBuf> {
    let whole = path.canonicalize();
    whole
        .or_else(|_| {
            Ok::<_, std::io::Error>(
                files::folder(path).canonicalize()?.join(path.file_name().unwrap_or_default()),
            )
        })
        .ok()
}

/// Are they two names of the same bytes on the disk?
#[cfg(unix)]
fn linked(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let number = |path: &Path| fs::metadata(path).map(|there| (there.dev(), there.ino())).ok();
    number(a).is_some_and(|a| number(b) == Some(a))
}

#[cfg(not(unix))]
fn linked(_: &Path, _: &Path) -> bool {
    false
}
