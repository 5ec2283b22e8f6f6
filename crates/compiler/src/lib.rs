//! Everything Edgewright knows about PyTorch and TFLite: from a saved program to a flatbuffer.

pub mod back;
pub mod dialect;
pub mod evaluate;
pub mod front;
pub mod ops;
pub mod passes;
