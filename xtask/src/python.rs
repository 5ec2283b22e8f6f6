//! The pinned Python environment that makes cases and runs whole models: `.venv`, made anew when its list changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the environment holds, with a reason for each package.
const REQUIREMENTS: &str = "xtask/python/requirements.txt";

/// The interpreter of the environment, which is made first where it is missing or stale.
pub(crate) fn interpreter() -> Result<PathBuf, String> {
    let venv = Path::new(".venv");
    let python = venv.join("bin/python");
    let wanted = fs::read_to_string(REQUIREMENTS).map_err(|e| format!("{REQUIREMENTS}: {e}"))?;
    let stamp = venv.join("requirements.stamp");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    eprintln!("making .venv from {REQUIREMENTS}: PyTorch alone is some 5 GB, so this takes a few minutes");
    call(Command::new("python3").args(["-m", "venv", "--clear", ".venv"]))?;
    call(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        REQUIREMENTS,
    ]))?;
    fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(python)
}

/// Runs a command to its end. Errs where it cannot be started or fails.
pub(crate) fn call(command: &mut Command) -> Result<(), String> {
    let line = format!("{command:?}");
    let status = command.status().map_err(|e| format!("{line} cannot be started: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{line} failed: {status}")) }
}

/// `cargo xtask cases`: writes the fixtures of the operator cases again; arguments go to `cases/run.py`.
pub(crate) fn cases(arguments: &[String]) -> Result<(), String> {
    call(Command::new(interpreter()?).arg("cases/run.py").args(arguments))
}
