//! Reading .tflite: any file into plain data, and a file of operators we know into a graph.

mod bytes;
pub mod import;
mod read;

pub use bytes::Malformed;
pub use import::{
    MALFORMED_TFLITE, UNREAD_BUILTIN, UNREADABLE_TFLITE, import, import_traced, main_signature, open,
    provenance,
};
pub use read::File;
