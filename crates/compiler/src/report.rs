//! What can be said about a model, as plain data; the faces render it.

pub mod file;
pub mod histogram;
pub mod occurrence;
pub mod program;
mod typed;

pub use file::FileReport;
pub use occurrence::{Made, Occurrence, Read, Source};
pub use program::ProgramReport;
pub use typed::Typed;
