//! `cargo xtask big`: the models of gigabytes, made, converted, run and deleted. It takes long, and no part of CI.

use std::process::Command;

use crate::python::{call, interpreter};
use crate::test::build;

/// Runs `tests/e2e/full_size.py` with these arguments on a release build.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let binary = build()?;
    call(
        Command::new(interpreter()?).arg("tests/e2e/full_size.py").args(arguments).env("EDGEWRIGHT", &binary),
    )
}
