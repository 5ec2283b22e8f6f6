//! LiteRT's library, for the tests that need it.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "tests are a face of their own")]

use std::env;
use std::path::PathBuf;

/// The library of `EDGEWRIGHT_LITERT`, the cache or the active Python environment; `None`, with the reason on standard
/// error, where there is none. With `EDGEWRIGHT_REQUIRE_LITERT=1` that is a failure.
pub(crate) fn library() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
    let search = runtime::Search {
        explicit: env::var_os("EDGEWRIGHT_LITERT").map(PathBuf::from),
        cache: cache.map(|folder| folder.join("edgewright")),
        venv: env::var_os("VIRTUAL_ENV").map(PathBuf::from),
    };
    match runtime::find(&search) {
        Ok(path) => Some(path),
        Err(e) if env::var("EDGEWRIGHT_REQUIRE_LITERT").is_ok_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}
