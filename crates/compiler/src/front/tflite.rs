//! Reading .tflite: any file into plain data, and a file of operators we know into a graph.

mod bytes;
mod read;

pub use bytes::Malformed;
pub use read::File;
