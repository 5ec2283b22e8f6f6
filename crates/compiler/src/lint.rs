//! What speaks against a model: operators that a target cannot run, and lines that are seldom meant.

mod channels;
pub mod check;
pub mod profile;
mod rules;
mod usage;

pub use check::{Judged, Subject, of_file, of_model};
pub use profile::{Interface, Profile, Rules};
pub use rules::{LINTS, Lint, look};
pub use usage::{Broken, Kind, Port, Usage};

/// The diagnostic codes of profiles and lints.
pub(crate) fn codes() -> impl Iterator<Item = &'static ir::Code> {
    profile::CODES.iter().chain(LINTS.iter().map(|lint| &lint.code))
}
