//! The forms that a weight can have in a file, and which of them an operator gets.

use std::fmt;

use ir::DType;

use super::recipe::{Compute, Wanted};
use super::weighted::Kind;

/// How a weight stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In f32, as it was.
    Float,
    /// In integers that kernels multiply with integers: they quantize f32 activations as they come, and give f32.
    Hybrid(DType),
    /// In fewer bits behind a DEQUANTIZE, which runs once, when the model is loaded.
    Stored(DType),
    /// As a table whose rows are widened when they are looked up.
    Rows(DType),
}

impl Form {
    /// The dtype of its elements.
    pub fn dtype(self) -> DType {
        match self {
            Form::Float => DType::F32,
            Form::Hybrid(dtype) | Form::Stored(dtype) | Form::Rows(dtype) => dtype,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Float => f.pad("f32"),
            Form::Hybrid(dtype) => f.pad(&format!("{dtype} hybrid")),
            Form::Stored(dtype) => f.pad(&format!("{dtype} stored")),
            Form::Rows(dtype) => f.pad(&format!("{dtype} rows")),
        }
    }
}

/// The most taps of a depthwise kernel that XNNPACK convolves fast in f32. Measured on LiteRT 2.3.0: with 9 taps the
/// builtin kernel for int8 weights takes 3 to 9 times as long, with 25 taps 2 to 5 times; with 49 a third.
const FAST_TAPS: usize = 25;

/// The form that the weight of an operator of this kind and of these sizes gets, and why.
///
/// What the kernels run was measured on LiteRT 2.3.0, with XNNPACK and with the builtin kernels.
pub(super) fn choose(kind: Kind, wanted: &Wanted, sizes: &[usize]) -> (Form, &'static str) {
    use Compute::{Floats, Integers};
    use DType::{F16, I4, I8};
    use Form::{Hybrid, Rows, Stored};
    let width = sizes.last().copied().unwrap_or(1);
    let taps = || sizes[1] * sizes[2];
    match (kind, wanted.dtype, wanted.compute) {
        (Kind::Table, F16, _) => (Rows(F16), "rows are looked up in f16, then widened"),
        (_, F16, _) => (Stored(F16), "widened once, when the model is loaded"),
        (Kind::Elements, ..) => (Form::Float, "an operand of an elementwise operator, not a weight"),

        (Kind::Table, I4, _) if width.is_multiple_of(2) => {
            (Rows(I4), "EMBEDDING_LOOKUP widens the rows it reads")
        }
        (Kind::Table, I4, _) => (Rows(I8), "int8: rows of an odd number of int4 are misread"),
        (Kind::Table, ..) => (Rows(I8), "EMBEDDING_LOOKUP widens the rows it reads"),

        (Kind::FullyConnected, I4, Integers) => (Hybrid(I4), "multiplied in integers"),
        (Kind::FullyConnected, I4, Floats) if !wanted.verbatim => (
            Hybrid(I4),
            "XNNPACK takes int4 beside int8 activations only, whose error is far below that of int4",
        ),
        (Kind::MatmulRight | Kind::MatmulLeft, I4, Floats) => {
            (Stored(I4), "widened once, when the model is loaded")
        }
        (Kind::Conv2d, I4, Integers) => {
            (Hybrid(I4), "multiplied in integers; XNNPACK leaves int4 to the builtin kernel")
        }
        (_, I4, Floats) if wanted.verbatim => {
            (Stored(I4), "widened once; XNNPACK leaves what reads it to the builtin kernel")
        }
        (Kind::Conv2d | Kind::Depthwise | Kind::TransposeConv, I4, Floats) => {
            (Stored(I8), "int8: XNNPACK leaves convolutions of int4 to the builtin kernel, which is slow")
        }

        (Kind::Depthwise, _, Integers) if wanted.per_channel && taps() > FAST_TAPS => {
            (Hybrid(I8), "multiplied in integers: with this many taps XNNPACK is slow in f32")
        }
        (Kind::Depthwise, _, Integers) => (
            Stored(I8),
            "XNNPACK has no depthwise kernel for int8 beside f32; widened, it runs as fast as f32",
        ),
        (Kind::MatmulLeft, _, Integers) => (Stored(I8), "BATCH_MATMUL takes int8 on its right only"),
        (_, I4, Integers) => (Hybrid(I8), "int8: it has no kernel for int4"),
        (_, _, Integers) => (Hybrid(I8), "multiplied in integers"),
        (_, _, Floats) => (Stored(I8), "widened once, when the model is loaded"),
    }
}
