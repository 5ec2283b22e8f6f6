//! Which operands of which operators are weights, and along which axis their channels lie.

use ir::{DType, NodeId, ValueId};

use crate::dialect::tfl::Builtin;
use crate::ops::{Graph, Op};

/// What reads a weight, as far as forms depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Conv2d,
    Depthwise,
    TransposeConv,
    FullyConnected,
    /// The right operand of a matrix product.
    MatmulRight,
    /// The left operand of a matrix product.
    MatmulLeft,
    /// A table whose rows are looked up.
    Table,
    /// An operand of an elementwise operator.
    Elements,
}

/// One reading of a weight.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) node: NodeId,
    /// Which of the node's inputs it is.
    pub(super) operand: usize,
    pub(super) kind: Kind,
    /// The axis that a scale per channel runs along.
    pub(super) axis: usize,
    /// What the node is spelled as.
    pub(super) builtin: Builtin,
}

/// The constant f32 operands of a run-time node that are weights.
pub(super) fn readings(graph: &Graph, id: NodeId, constant: &[bool]) -> Vec<Reading> {
    let node = graph.node(id);
    let Ok(call) = node.op.to_tfl(&graph.types(&node.inputs)) else { return Vec::new() };
    let is_weight = |value: ValueId| constant[value.index()] && graph.ty(value).dtype == DType::F32;
    let reading = |operand: usize| {
        let value = *node.inputs.get(operand)?;
        let (kind, axis) = role(&node.op, operand, graph.ty(value).rank())?;
        is_weight(value).then_some(Reading { node: id, operand, kind, axis, builtin: call.operator })
    };
    (0..node.inputs.len()).filter_map(reading).collect()
}

/// What an operand of this rank is to an operator, and the axis of its channels.
fn role(op: &Op, operand: usize, rank: usize) -> Option<(Kind, usize)> {
    Some(match (op, operand) {
        (Op::Conv2d(_), 1) => (Kind::Conv2d, 0),
        (Op::DepthwiseConv2d(_), 1) => (Kind::Depthwise, 3),
        (Op::ConvTranspose2d(_), 1) => (Kind::TransposeConv, 0),
        (Op::FullyConnected(_), 1) => (Kind::FullyConnected, 0),
        (Op::Embedding(_), 0) => (Kind::Table, 0),
        // Each row of the result has a row of the left operand, each column one of the right.
        (Op::BatchMatmul(matmul), 0) => (Kind::MatmulLeft, rank - if matmul.transpose_a { 1 } else { 2 }),
        (Op::BatchMatmul(matmul), 1) => (Kind::MatmulRight, rank - if matmul.transpose_b { 2 } else { 1 }),
        (Op::Binary(_) | Op::Prelu(_), _) if rank > 0 => (Kind::Elements, rank - 1),
        _ => return None,
    })
}
