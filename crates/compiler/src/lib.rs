//! Everything Edgewright knows about PyTorch and TFLite: from a saved program to a flatbuffer.

pub mod back;
pub mod compile;
pub mod dialect;
pub mod evaluate;
pub mod front;
pub mod lint;
pub mod observe;
pub mod ops;
pub mod passes;
pub mod quant;
pub mod report;
pub mod verify;

/// The diagnostic codes of this crate.
pub fn codes() -> impl Iterator<Item = &'static ir::Code> {
    [
        evaluate::CODES,
        back::tflite::CODES,
        compile::CODES,
        front::tflite::import::CODES,
        front::torch::code::CODES,
        front::torch::import::CODES,
        passes::assume::CODES,
        passes::legalize::CODES,
        verify::CODES,
    ]
    .into_iter()
    .flatten()
    .chain(lint::codes())
    .chain(quant::codes())
}
