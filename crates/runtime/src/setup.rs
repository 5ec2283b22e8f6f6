//! Fetches LiteRT's library from its Python package, pinned by hash.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::VERSION;
use crate::error::Error;
use crate::ffi::Api;
use crate::library::cache_place;

/// One platform that the Python package holds the library for.
#[derive(Debug)]
pub struct Platform {
    /// The operating system, as Rust names it.
    pub os: &'static str,
    /// The processor, as Rust names it.
    pub arch: &'static str,
    /// The platform tag of the wheel.
    pub tag: &'static str,
    /// The library's file name.
    pub library: &'static str,
    /// SHA-256 of the wheel for CPython 3.11.
    pub wheel: &'static str,
    /// SHA-256 of the library, where one was taken.
    pub sha256: Option<&'static str>,
}

/// Every platform with a pinned wheel (<https://pypi.org/project/ai-edge-litert/2.3.0/#files>).
pub const PLATFORMS: &[Platform] = &[
    Platform {
        os: "linux",
        arch: "x86_64",
        tag: "manylinux_2_27_x86_64",
        library: "libLiteRt.so",
        wheel: "1f15078a6725d2357d9de9221664c29afa0545d807559c5f7199ce5e40b96b23",
        sha256: Some("eec47eb35e2924b3166015887e652a58edc9af823ae38e02bf83bef2548300bb"),
    },
    Platform {
        os: "linux",
        arch: "aarch64",
        tag: "manylinux_2_27_aarch64",
        library: "libLiteRt.so",
        wheel: "853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae",
        sha256: None,
    },
    Platform {
        os: "macos",
        arch: "aarch64",
        tag: "macosx_12_0_arm64",
        library: "libLiteRt.dylib",
        wheel: "da19cb1ad08d5113600d1038fbe7390e74e38fcb3e92af86d56a60120343e6d2",
        sha256: None,
    },
];

impl Platform {
    /// The platform this program runs on, where there is a LiteRT for it.
    pub fn here() -> Option<&'static Platform> {
        PLATFORMS.iter().find(|p| p.os == std::env::consts::OS && p.arch == std::env::consts::ARCH)
    }

    /// The command-line arguments by which pip fetches this platform's wheel, on whatever machine it runs.
    fn pip_arguments(&self, requirements: &Path, folder: &Path) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
                .map(str::to_owned)
                .to_vec();
        let pairs = [
            ("--platform", self.tag.to_owned()),
            ("--python-version", "3.11".to_owned()),
            ("--implementation", "cp".to_owned()),
            ("--requirement", requirements.display().to_string()),
            ("--dest", folder.display().to_string()),
        ];
        for (flag, value) in pairs {
            arguments.extend([flag.to_owned(), value]);
        }
        arguments
    }
}

/// The commands that may be pip, in the order they are tried.
const PIPS: &[(&str, &[&str])] = &[("python3", &["-m", "pip"]), ("uvx", &["pip"])];

/// LiteRT's library in `cache`, where a usable one is there.
pub fn set_up_before(cache: &Path) -> Option<PathBuf> {
    let target = cache_place(cache, Platform::here()?);
    (target.is_file() && Api::load(&target).is_ok()).then_some(target)
}

/// Puts LiteRT's library into `cache` (Edgewright's own folder) and gives its path; does nothing where a
/// usable one is there. Needs a network, and `python3` with pip or `uvx`.
pub fn set_up(cache: &Path) -> Result<PathBuf, Error> {
    let Some(platform) = Platform::here() else {
        return Err(failure("there is no LiteRT package for this platform"));
    };
    if let Some(there) = set_up_before(cache) {
        return Ok(there);
    }
    let target = cache_place(cache, platform);
    let folder = target.parent().expect("the cache place has a folder");
    fs::create_dir_all(folder).map_err(|e| failure(format!("{}: {e}", folder.display())))?;
    let scratch = tempfile::tempdir_in(folder).map_err(|e| failure(format!("{}: {e}", folder.display())))?;
    let wheel = download(platform, scratch.path())?;
    unpack(platform, &wheel, scratch.path(), folder)?;
    Api::load(&target)?;
    Ok(target)
}

/// Has pip fetch the wheel into `folder`, and checks its hash again.
fn download(platform: &Platform, folder: &Path) -> Result<PathBuf, Error> {
    let failed = |e: io::Error| failure(format!("{}: {e}", folder.display()));
    let requirements = folder.join("requirements.txt");
    let line = format!("ai-edge-litert=={VERSION} --hash=sha256:{}\n", platform.wheel);
    fs::write(&requirements, line).map_err(failed)?;
    run_pip(&platform.pip_arguments(&requirements, folder))?;

    let mut files = fs::read_dir(folder).map_err(failed)?.flatten().map(|entry| entry.path());
    let wheel = files
        .find(|path| path.extension().is_some_and(|x| x == "whl"))
        .ok_or_else(|| failure("pip left no wheel"))?;
    check_hash(&wheel, platform.wheel)?;
    Ok(wheel)
}

/// Runs the first pip that works.
fn run_pip(arguments: &[String]) -> Result<(), Error> {
    let (mut failed, mut missing) = (Vec::new(), Vec::new());
    for (program, first) in PIPS {
        let name = format!("{program} {}", first.join(" "));
        let output = match Command::new(program).args(*first).args(arguments).output() {
            Ok(output) => output,
            Err(e) => {
                missing.push(format!("{name}: {e}"));
                continue;
            }
        };
        if output.status.success() {
            return Ok(());
        }
        failed.push(format!("{name}: {}", reason(&String::from_utf8_lossy(&output.stderr))));
    }
    // That another pip is not there explains nothing where one was.
    let tried = if failed.is_empty() { missing } else { failed };
    Err(Error::SetUp { why: "no pip could fetch the wheel".to_owned(), said: tried.join("\n") })
}

/// The line of what pip wrote that says why it failed: its last error, after warnings on each try.
fn reason(said: &str) -> &str {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty()).rev();
    let error = lines.clone().find(|line| line.starts_with("ERROR"));
    error.or_else(|| lines.next()).unwrap_or("it does not say why")
}

/// Takes the library and its licence out of the wheel, and moves them into `folder` when they are whole.
fn unpack(platform: &Platform, wheel: &Path, scratch: &Path, folder: &Path) -> Result<(), Error> {
    let failed = |e: String| failure(format!("{}: {e}", wheel.display()));
    let file = File::open(wheel).map_err(|e| failed(e.to_string()))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| failed(e.to_string()))?;
    let members = [
        (format!("ai_edge_litert-{VERSION}.dist-info/licenses/LICENSE"), "LICENSE", None),
        // Last, for its presence means that all is there.
        (format!("ai_edge_litert/{}", platform.library), platform.library, platform.sha256),
    ];
    for (member, name, hash) in members {
        let part = scratch.join(name);
        let mut source = archive.by_name(&member).map_err(|e| failed(format!("{member}: {e}")))?;
        let mut target = File::create(&part).map_err(|e| failed(e.to_string()))?;
        io::copy(&mut source, &mut target).map_err(|e| failed(format!("{member}: {e}")))?;
        if let Some(hash) = hash {
            check_hash(&part, hash)?;
        }
        fs::rename(&part, folder.join(name)).map_err(|e| failed(e.to_string()))?;
    }
    Ok(())
}

fn failure(why: impl Into<String>) -> Error {
    Error::SetUp { why: why.into(), said: String::new() }
}

fn check_hash(path: &Path, expected: &str) -> Result<(), Error> {
    let found = sha256(path).map_err(|e| failure(format!("{}: {e}", path.display())))?;
    if found == expected {
        return Ok(());
    }
    Err(failure(format!("{} has SHA-256 {found}, not {expected}", path.display())))
}

/// The SHA-256 of a file in hexadecimal.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        hash.update(&block[..count]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_pip_writes_its_last_error_is_told() {
        let said = "WARNING: Retrying (Retry(total=4)) after connection broken\nWARNING: Retrying (Retry(total=3))\n\
                    ERROR: Could not find a version\nERROR: No matching distribution found for ai-edge-litert\n\n\
                    [notice] A new release of pip is available\n";
        assert_eq!(reason(said), "ERROR: No matching distribution found for ai-edge-litert");
        assert_eq!(
            reason("/usr/bin/python3: No module named pip\n"),
            "/usr/bin/python3: No module named pip"
        );
        assert_eq!(reason(""), "it does not say why");
    }

    #[test]
    fn a_file_with_another_hash_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wheel");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-4, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(check_hash(&path, abc), Ok(()));
        fs::write(&path, "abd").unwrap();
        assert!(matches!(check_hash(&path, abc), Err(Error::SetUp { why, .. }) if why.contains("SHA-256")));
    }
}
