//! `edgewright profiles`: the hardware profiles that come with the program.

use std::fmt::Write;

use clap::Args;
use compiler::lint::Profile;

use crate::outcome::{Outcome, print};

/// List the hardware profiles, or print one.
#[derive(Args)]
pub(crate) struct Profiles {
    /// The profile to print: a name, or the path of your own, which is then checked
    name: Option<String>,
}

impl Profiles {
    pub(crate) fn run(self) -> Outcome {
        if let Some(name) = self.name {
            let profile = Profile::find(&name)?;
            return print(&profile.text);
        }
        let mut out = String::new();
        for (name, _) in Profile::embedded() {
            let _ = writeln!(out, "{name:14} {}", Profile::find(name)?.about);
        }
        print(&out)
    }
}
