//! Reading other formats into a graph.

pub mod tflite;
pub mod torch;
