//! LiteRT behind a safe face: finding its library, running a model on it, and doing so in a child process.
//!
//! [`find`] says where the library is and [`set_up`] fetches it. A [`Session`] is one model compiled in this
//! process. A [`Child`] is the same in a process of its own, so that an abort inside a kernel, or a kernel
//! that never returns, is an [`Error`] like any other; the program it starts calls [`serve`].
//!
//! This is the only crate with `unsafe` code; `ffi` says what LiteRT's functions are; `handle`, `buffer`,
//! `session` and `profile` call them.

#![allow(unsafe_code, reason = "LiteRT has a C interface")]

mod buffer;
mod child;
mod diagnose;
mod element;
mod error;
mod extent;
mod ffi;
mod handle;
mod library;
mod message;
mod profile;
mod serve;
mod session;
mod setup;

pub use child::Child;
pub use error::Error;
pub use library::{Search, find};
pub use profile::{Event, Place};
pub use serve::{VERB, serve};
pub use session::{Kernels, Port, Session, Settings, Signature};
pub use setup::{PLATFORMS, Platform, set_up, set_up_before};

/// The release of LiteRT (the Python package `ai-edge-litert`) whose binary interface this crate speaks.
pub const VERSION: &str = "2.3.0";

/// Every diagnostic code that this crate declares.
pub fn codes() -> impl Iterator<Item = &'static ir::Code> {
    diagnose::CODES.iter()
}
