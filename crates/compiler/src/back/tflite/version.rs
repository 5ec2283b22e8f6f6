//! The lowest version of each operator that says what is needed, and the oldest runtime that has it.
//!
//! Versions are cumulative: a version accepts all that lower ones accept, so the lowest correct one is the largest
//! that any property of the operator asks for. Source of the rows: `op_version.cc` of LiteRT; where it reads another
//! place than it means to (int16 convolutions), the row says what the kernels need.

use crate::dialect::tfl::{
    Activation, Builtin, ElementType, Model, Operator, Options, RUNTIMES, Subgraph, TensorEntry, add_options,
    batch_mat_mul_options, conv_2d_options, depthwise_conv_2d_options, fully_connected_options,
    gather_options, resize_bilinear_options, resize_nearest_neighbor_options, strided_slice_options,
    sub_options, transpose_conv_options,
};

use Builtin as B;
use ElementType as E;
use When::{Holds, Input, Output};

/// What asks for a version.
enum When {
    /// The operand of this index is of this type.
    Input(usize, ElementType),
    /// The result of this index is of this type.
    Output(usize, ElementType),
    /// This is true of the operator.
    Holds(fn(&Seen) -> bool),
}

/// An operator with its tensors.
struct Seen<'a> {
    operator: &'a Operator,
    tensors: &'a [TensorEntry],
}

/// Each property that asks for a version above 1, with the operators it asks it of.
const ROWS: &[(u32, When, &[Builtin])] = &[
    (2, Input(0, E::INT8), INT8_IS_2),
    (3, Input(0, E::INT16), INT16_IS_3),
    (2, Input(1, E::INT8), &[B::SPLIT, B::TRANSPOSE_CONV]),
    (3, Input(1, E::INT32), &[B::SPLIT]),
    (4, Input(1, E::INT16), &[B::SPLIT]),
    (2, Holds(|s| s.input(0) == Some(E::UINT8)), &[B::ABS, B::RELU, B::GELU, B::UNPACK]),
    // Convolutions. Operand 1 is the filter.
    (2, Holds(|s| s.hybrid()), &[B::CONV_2D]),
    (3, Input(0, E::INT8), &[B::CONV_2D, B::DEPTHWISE_CONV_2D]),
    (4, Input(0, E::INT16), &[B::CONV_2D]),
    (5, Holds(|s| s.hybrid() && s.per_channel(1)), &[B::CONV_2D]),
    (6, Holds(|s| s.grouped()), &[B::CONV_2D]),
    (7, Input(1, E::INT4), &[B::CONV_2D, B::DEPTHWISE_CONV_2D]),
    (8, Holds(|s| s.options().get(conv_2d_options::QUANTIZED_BIAS_TYPE) != E::FLOAT32), &[B::CONV_2D]),
    (2, Holds(|s| s.dilated()), &[B::DEPTHWISE_CONV_2D]),
    (4, Holds(|s| s.hybrid()), &[B::DEPTHWISE_CONV_2D]),
    (5, Input(0, E::INT16), &[B::DEPTHWISE_CONV_2D]),
    (6, Holds(|s| s.hybrid() && s.per_channel(1)), &[B::DEPTHWISE_CONV_2D]),
    (3, Holds(|s| s.input(3).is_some()), &[B::TRANSPOSE_CONV]),
    (
        4,
        Holds(|s| s.options().get(transpose_conv_options::FUSED_ACTIVATION_FUNCTION) != Activation::NONE),
        &[B::TRANSPOSE_CONV],
    ),
    (
        5,
        Holds(|s| s.options().get(transpose_conv_options::QUANTIZED_BIAS_TYPE) != E::FLOAT32),
        &[B::TRANSPOSE_CONV],
    ),
    // Products of matrices.
    (3, Holds(|s| s.hybrid()), &[B::FULLY_CONNECTED]),
    (4, Input(0, E::INT8), &[B::FULLY_CONNECTED]),
    (5, Holds(|s| s.options().get(fully_connected_options::KEEP_NUM_DIMS)), &[B::FULLY_CONNECTED]),
    (6, Holds(|s| s.input(2).is_none()), &[B::FULLY_CONNECTED]),
    (7, Input(0, E::INT16), &[B::FULLY_CONNECTED]),
    (
        9,
        Holds(|s| s.hybrid() && s.options().get(fully_connected_options::ASYMMETRIC_QUANTIZE_INPUTS)),
        &[B::FULLY_CONNECTED],
    ),
    (10, Input(1, E::INT4), &[B::FULLY_CONNECTED]),
    (
        11,
        Holds(|s| s.options().get(fully_connected_options::QUANTIZED_BIAS_TYPE) != E::FLOAT32),
        &[B::FULLY_CONNECTED],
    ),
    (12, Holds(|s| s.hybrid() && s.per_channel(1)), &[B::FULLY_CONNECTED]),
    (13, Holds(|s| s.input(0) == Some(E::INT16) && s.input(1) == Some(E::INT4)), &[B::FULLY_CONNECTED]),
    (14, Input(1, E::INT2), &[B::FULLY_CONNECTED]),
    (
        4,
        Holds(|s| s.hybrid() && s.options().get(batch_mat_mul_options::ASYMMETRIC_QUANTIZE_INPUTS)),
        &[B::BATCH_MATMUL],
    ),
    // Look-ups and pieces.
    (4, Holds(|s| s.input(1) == Some(E::INT4) || s.per_channel(1)), &[B::EMBEDDING_LOOKUP]),
    (5, Input(1, E::INT2), &[B::EMBEDDING_LOOKUP]),
    (3, Input(0, E::BOOL), &[B::GATHER, B::TRANSPOSE, B::UNPACK, B::STRIDED_SLICE, B::ARG_MAX, B::ARG_MIN]),
    (4, Input(0, E::INT16), &[B::GATHER, B::SLICE, B::UNPACK]),
    (5, Holds(|s| s.options().get(gather_options::BATCH_DIMS) != 0), &[B::GATHER]),
    (6, Input(1, E::INT16), &[B::GATHER]),
    (7, Input(0, E::INT4), &[B::GATHER, B::SLICE, B::TRANSPOSE]),
    (3, Input(0, E::INT16), &[B::GATHER_ND]),
    (4, Input(1, E::INT16), &[B::GATHER_ND]),
    (5, Input(0, E::BOOL), &[B::GATHER_ND, B::PAD, B::PADV2]),
    (5, Holds(|s| s.rank() > 4), &[B::SLICE]),
    (6, Input(0, E::UINT32), &[B::SLICE]),
    (8, Input(0, E::FLOAT16), &[B::SLICE, B::MUL]),
    (4, Holds(|s| s.rank() > 4), &[B::STRIDED_SLICE, B::TRANSPOSE, B::PAD, B::PADV2]),
    (
        6,
        Holds(|s| {
            s.options().get(strided_slice_options::ELLIPSIS_MASK) != 0
                || s.options().get(strided_slice_options::NEW_AXIS_MASK) != 0
        }),
        &[B::STRIDED_SLICE],
    ),
    (7, Input(0, E::UINT32), &[B::STRIDED_SLICE, B::MUL]),
    (8, Holds(|s| s.options().get(strided_slice_options::OFFSET)), &[B::STRIDED_SLICE]),
    (2, Input(2, E::INT64), &[B::DYNAMIC_UPDATE_SLICE]),
    (3, Input(0, E::FLOAT16), &[B::DYNAMIC_UPDATE_SLICE, B::DEQUANTIZE]),
    (4, Input(0, E::INT16), &[B::DYNAMIC_UPDATE_SLICE]),
    (5, Input(0, E::INT4), &[B::DYNAMIC_UPDATE_SLICE, B::CONCATENATION]),
    (6, Input(0, E::BFLOAT16), &[B::DYNAMIC_UPDATE_SLICE]),
    // Moves.
    (5, Input(0, E::INT16), &[B::TRANSPOSE]),
    (6, Holds(|s| s.rank() > 5), &[B::TRANSPOSE]),
    (8, Holds(|s| s.rank() > 6 || s.input(0) == Some(E::BFLOAT16)), &[B::TRANSPOSE]),
    (9, Input(0, E::FLOAT16), &[B::TRANSPOSE]),
    (4, Input(0, E::UINT32), &[B::CONCATENATION, B::PACK]),
    (6, Input(0, E::FLOAT16), &[B::CONCATENATION, B::ADD]),
    (5, Holds(|s| matches!(s.input(0), Some(E::FLOAT16 | E::BFLOAT16))), &[B::UNPACK]),
    (2, Input(0, E::BOOL), &[B::REVERSE_V2]),
    (3, Input(0, E::INT8), &[B::REVERSE_V2, B::TILE, B::BROADCAST_TO]),
    (2, Holds(|_| true), &[B::BROADCAST_TO]), // version 1 was withdrawn
    (3, Input(0, E::INT16), &[B::BROADCAST_TO]),
    (3, Holds(|s| s.rank() != 4), &[B::SPACE_TO_BATCH_ND, B::BATCH_TO_SPACE_ND]),
    (4, Input(0, E::INT16), &[B::SPACE_TO_BATCH_ND, B::BATCH_TO_SPACE_ND]),
    (2, Input(1, E::BOOL), &[B::FILL]),
    (3, Holds(|s| matches!(s.input(1), Some(E::INT8 | E::INT16))), &[B::FILL]),
    (4, Input(1, E::FLOAT16), &[B::FILL]),
    // Resizes.
    (3, Holds(|s| s.options().get(resize_bilinear_options::HALF_PIXEL_CENTERS)), &[B::RESIZE_BILINEAR]),
    (
        3,
        Holds(|s| {
            s.options().get(resize_nearest_neighbor_options::HALF_PIXEL_CENTERS)
                || s.options().get(resize_nearest_neighbor_options::ALIGN_CORNERS)
        }),
        &[B::RESIZE_NEAREST_NEIGHBOR],
    ),
    (4, Input(0, E::INT16), &[B::RESIZE_BILINEAR, B::RESIZE_NEAREST_NEIGHBOR]),
    // Elementwise.
    (3, Holds(|s| s.input(0) == Some(E::INT16) && !s.options().get(add_options::POT_SCALE_INT16)), &[B::ADD]),
    (4, Input(0, E::INT64), &[B::ADD, B::SUB]),
    (5, Holds(|s| s.input(0) == Some(E::INT16) && !s.quantized(0)), &[B::ADD]),
    (5, Holds(|s| s.input(0) == Some(E::INT16) && !s.options().get(sub_options::POT_SCALE_INT16)), &[B::SUB]),
    (3, Holds(|s| s.broadcasts_above_4()), &[B::SUB, B::MAXIMUM, B::MINIMUM]),
    (2, Holds(|s| s.broadcasts_above_4()), &[B::DIV]),
    (3, Holds(|s| s.scales_up()), &[B::MUL]),
    (4, Input(0, E::INT16), &[B::MUL, B::MAXIMUM, B::MINIMUM]),
    (5, Input(0, E::INT64), &[B::MUL]),
    (6, Input(0, E::COMPLEX64), &[B::MUL]),
    (7, Holds(|s| s.input(0) == Some(E::INT16) && !s.quantized(0)), &[B::MUL]),
    (3, Input(0, E::INT16), &[B::ABS]),
    (4, Holds(|s| s.input(0) == Some(E::INT16) && !s.quantized(0)), &[B::ABS]),
    (5, Input(0, E::INT32), &[B::ABS]),
    (2, Input(0, E::INT32), &[B::SIGN]),
    (2, Input(0, E::FLOAT16), &[B::SIN, B::COS]),
    (4, Input(0, E::FLOAT16), &[B::SOFTMAX]),
    (2, Input(0, E::INT16), &[B::LEAKY_RELU, B::EXP, B::LOG, B::REDUCE_PROD, B::SQRT, B::FLOOR_MOD]),
    (2, Input(0, E::FLOAT32), &[B::FLOOR_DIV]),
    (3, Holds(|s| matches!(s.input(0), Some(E::INT8 | E::INT16))), &[B::FLOOR_DIV]),
    (3, Holds(|s| (0..2).any(|i| s.input(i) == Some(E::INT16))), &[B::TOPK_V2]),
    (3, Output(1, E::INT16), &[B::TOPK_V2]),
    (5, Input(0, E::INT16), &[B::EQUAL]),
    (4, Input(0, E::INT16), &[B::NOT_EQUAL]),
    (3, Holds(|s| (0..3).any(|i| s.shape(i).is_some_and(|d| d.len() > 4))), &[B::SELECT]),
    (4, Input(0, E::UINT32), &[B::SELECT]),
    (2, Input(0, E::UINT32), &[B::SELECT_V2]),
    (2, Input(0, E::INT64), &[B::RANGE]),
    (2, Holds(|s| s.input(0) != Some(E::BOOL)), &[B::WHERE]),
    // Casts and quantization.
    (2, Holds(|s| s.either(E::UINT32)), &[B::CAST]),
    (3, Holds(|s| s.either(E::INT8)), &[B::CAST]),
    (4, Holds(|s| s.either(E::UINT16)), &[B::CAST]),
    (5, Holds(|s| s.either(E::FLOAT16) || s.either(E::FLOAT64)), &[B::CAST]),
    (6, Input(0, E::INT4), &[B::CAST, B::DEQUANTIZE]),
    (7, Holds(|s| s.either(E::BFLOAT16)), &[B::CAST]),
    (8, Holds(|s| s.either(E::INT2) || s.either(E::UINT4)), &[B::CAST]),
    (3, Input(0, E::INT16), &[B::DEQUANTIZE]),
    (5, Holds(|s| s.input(0) == Some(E::INT8) && s.per_channel(0)), &[B::DEQUANTIZE]),
    (7, Input(0, E::INT2), &[B::DEQUANTIZE]),
    (8, Input(0, E::UINT4), &[B::DEQUANTIZE]),
    (2, Output(0, E::INT16), &[B::QUANTIZE]),
    (3, Holds(|s| s.result(0).is_some_and(per_channel)), &[B::QUANTIZE]),
    (4, Holds(|s| s.either(E::INT4)), &[B::QUANTIZE]),
    (5, Holds(|s| s.either(E::UINT4)), &[B::QUANTIZE]),
];

/// Operators whose version 2 brought int8 in operand 0.
const INT8_IS_2: &[Builtin] = &[
    B::ABS,
    B::ADD,
    B::ARG_MAX,
    B::ARG_MIN,
    B::AVERAGE_POOL_2D,
    B::BATCH_MATMUL,
    B::BATCH_TO_SPACE_ND,
    B::CONCATENATION,
    B::DEPTH_TO_SPACE,
    B::DEQUANTIZE,
    B::EQUAL,
    B::EXP,
    B::FLOOR_MOD,
    B::GATHER,
    B::GELU,
    B::GREATER,
    B::GREATER_EQUAL,
    B::L2_NORMALIZATION,
    B::LESS,
    B::LESS_EQUAL,
    B::LOG,
    B::LOGISTIC,
    B::LOG_SOFTMAX,
    B::MAXIMUM,
    B::MAX_POOL_2D,
    B::MEAN,
    B::MINIMUM,
    B::MIRROR_PAD,
    B::MUL,
    B::NOT_EQUAL,
    B::PACK,
    B::PAD,
    B::PADV2,
    B::REDUCE_MAX,
    B::REDUCE_MIN,
    B::REDUCE_PROD,
    B::RELU,
    B::RELU6,
    B::RESIZE_BILINEAR,
    B::RESIZE_NEAREST_NEIGHBOR,
    B::RSQRT,
    B::SELECT,
    B::SLICE,
    B::SOFTMAX,
    B::SPACE_TO_BATCH_ND,
    B::SPACE_TO_DEPTH,
    B::SPLIT_V,
    B::SQRT,
    B::SQUARED_DIFFERENCE,
    B::STRIDED_SLICE,
    B::SUB,
    B::SUM,
    B::TANH,
    B::TOPK_V2,
    B::TRANSPOSE,
    B::UNPACK,
];

/// Operators whose version 3 brought int16 in operand 0.
const INT16_IS_3: &[Builtin] = &[
    B::AVERAGE_POOL_2D,
    B::BATCH_MATMUL,
    B::CONCATENATION,
    B::GREATER_EQUAL,
    B::LESS,
    B::LOGISTIC,
    B::MAX_POOL_2D,
    B::MEAN,
    B::MIRROR_PAD,
    B::PACK,
    B::PAD,
    B::PADV2,
    B::REDUCE_MAX,
    B::REDUCE_MIN,
    B::RELU,
    B::RELU6,
    B::RSQRT,
    B::SOFTMAX,
    B::TANH,
];

/// The lowest version of an operator that its tensors and options allow.
pub fn least(operator: &Operator, tensors: &[TensorEntry]) -> u32 {
    if !operator.options.fit(operator.operator) {
        return 1;
    }
    let seen = Seen { operator, tensors };
    let asked = ROWS.iter().filter(|(_, when, of)| of.contains(&operator.operator) && when.holds(&seen));
    asked.map(|(version, ..)| *version).max().unwrap_or(1)
}

/// Raises each operator's version to the lowest correct one.
pub fn stamp(model: &mut Model) {
    for Subgraph { tensors, operators, .. } in &mut model.subgraphs {
        for operator in operators {
            operator.version = operator.version.max(least(operator, tensors));
        }
    }
}

/// The oldest runtime release that has every operator of `model` in its version, such as `2.3.0`.
pub fn least_runtime(model: &Model) -> String {
    let operators = model.subgraphs.iter().flat_map(|graph| &graph.operators);
    let [a, b, c] = operators.filter_map(release).max().unwrap_or([1, 5, 0]);
    format!("{a}.{b}.{c}")
}

/// The release that brought an operator's version; for a version that is not listed, the last that is.
fn release(operator: &Operator) -> Option<[u32; 3]> {
    let (_, releases) = RUNTIMES.iter().find(|(o, _)| *o == operator.operator)?;
    let at = (operator.version.max(1) as usize).min(releases.len());
    releases.get(at - 1).copied()
}

impl When {
    fn holds(&self, seen: &Seen) -> bool {
        match self {
            Input(index, element) => seen.input(*index) == Some(*element),
            Output(index, element) => seen.result(*index).is_some_and(|t| t.element == *element),
            Holds(holds) => holds(seen),
        }
    }
}

impl Seen<'_> {
    fn options(&self) -> &Options {
        &self.operator.options
    }

    fn operand(&self, index: usize) -> Option<&TensorEntry> {
        self.tensors.get((*self.operator.inputs.get(index)?)?)
    }

    fn result(&self, index: usize) -> Option<&TensorEntry> {
        self.tensors.get(*self.operator.outputs.get(index)?)
    }

    fn input(&self, index: usize) -> Option<ElementType> {
        Some(self.operand(index)?.element)
    }

    fn shape(&self, index: usize) -> Option<&[i32]> {
        self.operand(index)?.shape.as_deref()
    }

    fn rank(&self) -> usize {
        self.shape(0).map_or(0, <[i32]>::len)
    }

    /// Does it multiply f32 by int8 weights?
    fn hybrid(&self) -> bool {
        self.input(0) == Some(E::FLOAT32) && self.input(1) == Some(E::INT8)
    }

    fn per_channel(&self, index: usize) -> bool {
        self.operand(index).is_some_and(per_channel)
    }

    fn quantized(&self, index: usize) -> bool {
        scale(self.operand(index)).is_some()
    }

    /// Do the filters see only a part of the input's channels?
    fn grouped(&self) -> bool {
        let channels = |index| self.shape(index).and_then(|s: &[i32]| s.last());
        channels(0) != channels(1)
    }

    fn dilated(&self) -> bool {
        let of = |field| self.options().get(field) != 1;
        of(depthwise_conv_2d_options::DILATION_W_FACTOR) || of(depthwise_conv_2d_options::DILATION_H_FACTOR)
    }

    fn broadcasts_above_4(&self) -> bool {
        let (a, b) = (self.shape(0), self.shape(1));
        a != b && [a, b].into_iter().flatten().any(|shape| shape.len() > 4)
    }

    /// Is the product of the operands' scales no smaller than the result's?
    fn scales_up(&self) -> bool {
        match (scale(self.operand(0)), scale(self.operand(1)), scale(self.result(0))) {
            (Some(a), Some(b), Some(out)) => a * b / out >= 1.0,
            _ => false,
        }
    }

    fn either(&self, element: ElementType) -> bool {
        self.input(0) == Some(element) || self.result(0).is_some_and(|t| t.element == element)
    }
}

fn scale(tensor: Option<&TensorEntry>) -> Option<f32> {
    tensor?.quantization.as_ref()?.scale.first().copied()
}

fn per_channel(tensor: &TensorEntry) -> bool {
    tensor.quantization.as_ref().is_some_and(|q| q.scale.len() > 1)
}
