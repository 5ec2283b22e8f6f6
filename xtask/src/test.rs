//! `cargo xtask test`: every test there is, the hermetic ones first.

use std::path::PathBuf;
use std::process::Command;

use crate::python::{call, interpreter};

/// Runs all tests. With `--hermetic`, only those that need neither Python nor LiteRT.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let hermetic = match arguments {
        [] => false,
        [flag] if flag == "--hermetic" => true,
        _ => return Err("takes --hermetic or nothing".into()),
    };
    // One profile serves the tests and the binary that the whole models run on.
    if hermetic {
        return call(&mut cargo(&["test", "--release", "--workspace"]));
    }
    let binary = build()?;
    let setup = Command::new(&binary).arg("setup").output().map_err(|e| format!("edgewright setup: {e}"))?;
    if !setup.status.success() {
        return Err(format!("edgewright setup failed: {}", String::from_utf8_lossy(&setup.stderr)));
    }
    let library = String::from_utf8_lossy(&setup.stdout).trim().to_string();
    let python = interpreter()?;
    // A test that cannot find LiteRT fails now instead of being skipped.
    call(
        cargo(&["test", "--release", "--workspace"])
            .env("EDGEWRIGHT_REQUIRE_LITERT", "1")
            .env("EDGEWRIGHT_LITERT", &library)
            .env("LITERT_LIB", &library),
    )?;
    call(
        Command::new(python)
            .args(["-m", "pytest", "-q", "python/tests", "tests/e2e"])
            // What tests that pass have written is gigabytes in all: it goes when each ends.
            .args(["-o", "tmp_path_retention_policy=failed"])
            .env("EDGEWRIGHT", &binary)
            .env("LITERT_LIB", &library),
    )
}

/// Builds the program in the release profile, and gives its path.
pub(crate) fn build() -> Result<PathBuf, String> {
    call(&mut cargo(&["build", "--release", "--package", "edgewright-cli"]))?;
    Ok(std::env::current_dir().map_err(|e| e.to_string())?.join("target/release/edgewright"))
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments);
    command
}
