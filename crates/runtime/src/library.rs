//! Where LiteRT's library is.

use std::fs;
use std::path::{Path, PathBuf};

use crate::VERSION;
use crate::error::Error;
use crate::ffi::Api;
use crate::setup::Platform;

/// Where to look for the library. The faces fill this from flags and the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The library itself, as the user named it. Nothing else is looked at where this is given.
    pub explicit: Option<PathBuf>,
    /// Edgewright's cache folder, where [`set_up`](crate::set_up) puts the library.
    pub cache: Option<PathBuf>,
    /// The active Python environment, which may hold `ai_edge_litert`.
    pub venv: Option<PathBuf>,
}

/// The path of LiteRT's library, checked to be the release we know.
///
/// Errs with [`Error::Library`] where the named one cannot be used, else with [`Error::Missing`], which tells
/// every place looked at.
pub fn find(search: &Search) -> Result<PathBuf, Error> {
    if let Some(path) = &search.explicit {
        Api::load(path)?;
        return Ok(path.clone());
    }
    let Some(platform) = Platform::here() else {
        return Err(Error::Missing {
            looked: vec!["nowhere: there is no LiteRT for this platform".to_owned()],
        });
    };
    let places = [
        search.cache.as_deref().map(|folder| cached(folder, platform)),
        search.venv.as_deref().map(|folder| installed(folder, platform)),
    ];
    let mut looked = Vec::new();
    for place in places.into_iter().flatten() {
        let tried = place.and_then(|path| {
            Api::load(&path).map_err(|e| e.to_string())?;
            Ok(path)
        });
        match tried {
            Ok(path) => return Ok(path),
            Err(why) => looked.push(why),
        }
    }
    if looked.is_empty() {
        looked.push("nowhere: there is neither a cache folder nor an active Python environment".to_owned());
    }
    Err(Error::Missing { looked })
}

/// The library's place in the cache folder, whether or not it is there.
pub(crate) fn cache_place(cache: &Path, platform: &Platform) -> PathBuf {
    cache.join(format!("litert-{VERSION}")).join(platform.library)
}

fn cached(cache: &Path, platform: &Platform) -> Result<PathBuf, String> {
    let path = cache_place(cache, platform);
    if path.is_file() { Ok(path) } else { Err(format!("{}: no such file", path.display())) }
}

/// The library inside a Python environment that has the package in the release we know.
fn installed(venv: &Path, platform: &Platform) -> Result<PathBuf, String> {
    let absent = || format!("{}: it has no ai_edge_litert", venv.display());
    let entries = fs::read_dir(venv.join("lib")).map_err(|_| absent())?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path().join("site-packages")).collect();
    folders.sort();
    for packages in folders {
        let path = packages.join("ai_edge_litert").join(platform.library);
        if !path.is_file() {
            continue;
        }
        if packages.join(format!("ai_edge_litert-{VERSION}.dist-info")).is_dir() {
            return Ok(path);
        }
        return Err(format!("{}: it is not ai_edge_litert {VERSION}", path.display()));
    }
    Err(absent())
}
