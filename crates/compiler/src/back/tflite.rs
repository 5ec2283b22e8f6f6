//! Writing .tflite: the tables, the buffers that stream after them, and what is said beside the graph.

mod buffers;
mod encode;
mod metadata;
mod names;
mod version;
mod write;

pub use buffers::{Form, INLINE_LIMIT};
pub(crate) use encode::CODES;
pub use encode::{Encoded, Interface, UNENCODABLE, UNWRITABLE, encode};
pub use metadata::{LEAST_RUNTIME, add_least_runtime, add_metadata};
pub use version::{least, least_runtime, stamp};
pub use write::{WriteError, write, write_file};
