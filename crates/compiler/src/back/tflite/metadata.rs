//! What a file says beside its graph: named buffers, and among them the oldest runtime it needs.

use super::version::least_runtime;
use crate::dialect::tfl::{Metadata, Model};

/// The name of the metadata buffer with the oldest runtime release, which LiteRT's tools read.
pub const LEAST_RUNTIME: &str = "min_runtime_version";

/// Adds the metadata that says the oldest runtime release whose kernels the operators need, and returns its buffer
/// with its bytes. Call it when every operator has its version.
pub fn add_least_runtime(model: &mut Model) -> (usize, Vec<u8>) {
    // Readers expect sixteen bytes, padded with zeros.
    let mut bytes = least_runtime(model).into_bytes();
    bytes.resize(16, 0);
    (add_metadata(model, LEAST_RUNTIME, bytes.len()), bytes)
}

/// Adds a named metadata buffer of `bytes` bytes and returns its index.
pub fn add_metadata(model: &mut Model, name: &str, bytes: usize) -> usize {
    let buffer = model.add_buffer(bytes as u64);
    model.metadata.push(Metadata { name: name.to_string(), buffer });
    buffer
}
