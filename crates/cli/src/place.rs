//! Where things are on this machine: the cache, the LiteRT library, this program. The environment is read here.
#![allow(clippy::disallowed_methods, reason = "this is the face's one reader of the environment")]

use std::env;
use std::path::PathBuf;

use ir::Diagnostic;
use runtime::Search;

use crate::outcome::UNREADABLE;

/// The folder that fetched libraries lie in.
pub(crate) fn cache() -> Result<PathBuf, Vec<Diagnostic>> {
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .or_else(|| env::home_dir().map(|home| home.join(".cache")));
    let base = base.ok_or_else(|| {
        vec![Diagnostic::new(UNREADABLE, "there is no home folder for the cache").help("set XDG_CACHE_HOME")]
    })?;
    Ok(base.join("edgewright"))
}

/// Where to look for the LiteRT library.
pub(crate) fn search(explicit: Option<PathBuf>) -> Search {
    Search {
        explicit: explicit.or_else(|| {
            env::var_os("EDGEWRIGHT_LITERT").or_else(|| env::var_os("LITERT_LIB")).map(PathBuf::from)
        }),
        cache: cache().ok(),
        venv: env::var_os("VIRTUAL_ENV").map(PathBuf::from),
    }
}

/// This program's own file, which serves models in a child process.
pub(crate) fn program() -> Result<PathBuf, Vec<Diagnostic>> {
    env::current_exe()
        .map_err(|e| vec![Diagnostic::new(UNREADABLE, format!("this program's own file is not found: {e}"))])
}
