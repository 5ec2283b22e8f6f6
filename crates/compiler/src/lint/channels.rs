//! Which axis of each tensor of a file holds channels: operators on images say it, and others keep or move it.

use std::collections::VecDeque;

use super::usage::{Port, Usage};
use crate::dialect::tfl::{Builtin, Subgraph};
use crate::ops::Order;

/// Builtins that take images, and make them, with their channels last.
const ON_IMAGES: &[Builtin] = &[
    Builtin::AVERAGE_POOL_2D,
    Builtin::CONV_2D,
    Builtin::DEPTHWISE_CONV_2D,
    Builtin::DEPTH_TO_SPACE,
    Builtin::L2_POOL_2D,
    Builtin::MAX_POOL_2D,
    Builtin::RESIZE_BILINEAR,
    Builtin::RESIZE_NEAREST_NEIGHBOR,
    Builtin::SPACE_TO_DEPTH,
    Builtin::TRANSPOSE_CONV,
];

/// Builtins that leave each axis in its place, where what they read and make has as many axes: functions of each element,
/// those that broadcast, that shorten or lengthen axes, and that compute along one of them.
const IN_PLACE: &[Builtin] = &[
    Builtin::ABS,
    Builtin::ADD,
    Builtin::BROADCAST_TO,
    Builtin::CAST,
    Builtin::CEIL,
    Builtin::CONCATENATION,
    Builtin::COS,
    Builtin::CUMSUM,
    Builtin::DEQUANTIZE,
    Builtin::DIV,
    Builtin::ELU,
    Builtin::EQUAL,
    Builtin::EXP,
    Builtin::FLOOR,
    Builtin::FLOOR_DIV,
    Builtin::FLOOR_MOD,
    Builtin::GELU,
    Builtin::GREATER,
    Builtin::GREATER_EQUAL,
    Builtin::HARD_SWISH,
    Builtin::LEAKY_RELU,
    Builtin::LESS,
    Builtin::LESS_EQUAL,
    Builtin::LOG,
    Builtin::LOGICAL_AND,
    Builtin::LOGICAL_NOT,
    Builtin::LOGICAL_OR,
    Builtin::LOGISTIC,
    Builtin::LOG_SOFTMAX,
    Builtin::MAXIMUM,
    Builtin::MEAN,
    Builtin::MINIMUM,
    Builtin::MIRROR_PAD,
    Builtin::MUL,
    Builtin::NEG,
    Builtin::NOT_EQUAL,
    Builtin::PAD,
    Builtin::PADV2,
    Builtin::POW,
    Builtin::PRELU,
    Builtin::QUANTIZE,
    Builtin::REDUCE_MAX,
    Builtin::REDUCE_MIN,
    Builtin::RELU,
    Builtin::RELU6,
    Builtin::RELU_0_TO_1,
    Builtin::RELU_N1_TO_1,
    Builtin::REVERSE_V2,
    Builtin::ROUND,
    Builtin::RSQRT,
    Builtin::SELECT,
    Builtin::SELECT_V2,
    Builtin::SIGN,
    Builtin::SIN,
    Builtin::SLICE,
    Builtin::SOFTMAX,
    Builtin::SPLIT,
    Builtin::SPLIT_V,
    Builtin::SQRT,
    Builtin::SQUARE,
    Builtin::SQUARED_DIFFERENCE,
    Builtin::STRIDED_SLICE,
    Builtin::SUB,
    Builtin::SUM,
    Builtin::TANH,
    Builtin::TILE,
];

/// Where the channels of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channels {
    /// The axis that holds them.
    pub(super) axis: usize,
    /// The operator that moved them there, on the way from the operator on images that says so.
    pub(super) turned: Option<usize>,
}

/// The channels of each tensor of a graph; `None` where no operator on images tells. Of several that do, the nearest counts.
pub(super) fn of(graph: &Subgraph, usages: &[Usage<'_>]) -> Vec<Option<Channels>> {
    let mut found = Found { channels: vec![None; graph.tensors.len()], queue: VecDeque::new() };
    for (operator, usage) in graph.operators.iter().zip(usages) {
        if ON_IMAGES.contains(&operator.operator) {
            let images = operator.inputs.iter().flatten().zip(usage.operands.iter().flatten());
            let made = operator.outputs.iter().zip(&usage.results);
            for (&tensor, port) in images.chain(made) {
                // Weights have their channels elsewhere, biases and sizes have none.
                if port.rank == Some(4) && port.constant == Some(false) {
                    found.learn(tensor, Channels { axis: 3, turned: None });
                }
            }
        }
    }
    if found.queue.is_empty() {
        return found.channels;
    }
    found.spread(graph, usages);
    // What turns channels about is taken for that also where a reshape or the like hides the operators on images.
    for (operator, usage) in graph.operators.iter().zip(usages) {
        let (Some(Some(read)), Some(&made)) = (operator.inputs.first(), operator.outputs.first()) else {
            continue;
        };
        match moved(usage) {
            Some(order) if order == Order::channels_last(4) => {
                found.learn(made, Channels { axis: 3, turned: None })
            }
            Some(order) if order == Order::channels_first(4) => {
                found.learn(*read, Channels { axis: 3, turned: None })
            }
            _ => {}
        }
    }
    found.spread(graph, usages);
    found.channels
}

struct Found {
    channels: Vec<Option<Channels>>,
    queue: VecDeque<usize>,
}

impl Found {
    fn learn(&mut self, tensor: usize, channels: Channels) {
        if self.channels[tensor].is_none() {
            self.channels[tensor] = Some(channels);
            self.queue.push_back(tensor);
        }
    }

    /// Follows what is known through all operators, both ways.
    fn spread(&mut self, graph: &Subgraph, usages: &[Usage<'_>]) {
        while let Some(tensor) = self.queue.pop_front() {
            let known = self.channels[tensor].expect("queued tensors are known");
            for (index, operator) in graph.operators.iter().enumerate() {
                let read = operator.inputs.contains(&Some(tensor));
                let made = operator.outputs.contains(&tensor);
                if !read && !made {
                    continue;
                }
                if let Some(order) = moved(&usages[index]) {
                    let (axis, other) = match read {
                        true => (order.position(known.axis), operator.outputs.first().copied()),
                        false => (order.axes()[known.axis], operator.inputs[0]),
                    };
                    if let Some(other) = other {
                        self.learn(other, Channels { axis, turned: Some(index) });
                    }
                } else if keeps(&usages[index]) {
                    let ports = usages[index].operands.iter().map(Option::as_ref);
                    let ports = ports.chain(usages[index].results.iter().map(Some));
                    let tensors =
                        operator.inputs.iter().copied().chain(operator.outputs.iter().map(|&t| Some(t)));
                    for (tensor, port) in tensors.zip(ports) {
                        if let (Some(tensor), Some(4)) = (tensor, port.and_then(|port| port.rank)) {
                            self.learn(tensor, known);
                        }
                    }
                }
            }
        }
    }
}

/// Does an operator leave each axis of images in its place?
fn keeps(usage: &Usage<'_>) -> bool {
    // A slice may drop an axis and add another.
    let adds = usage.options.shown().any(|(name, value)| name == "new_axis_mask" && value != "0");
    IN_PLACE.contains(&usage.builtin) && !adds && usage.results.iter().all(|port| port.rank == Some(4))
}

/// The order in which an operator puts the four axes of an image: a TRANSPOSE, or a RESHAPE where only axes of size 1 move.
fn moved(usage: &Usage<'_>) -> Option<Order> {
    if let Some(order) = usage.permutation() {
        return Some(order).filter(|order| order.rank() == 4);
    }
    if usage.builtin != Builtin::RESHAPE {
        return None;
    }
    let sizes = |port: &Port| port.sizes.clone().filter(|sizes| sizes.len() == 4);
    let (from, to) = (sizes(usage.operands.first()?.as_ref()?)?, sizes(usage.results.first()?)?);
    let long = |order: &Order| order.axes().iter().copied().filter(|&axis| from[axis] > 1).is_sorted();
    [Order::channels_last(4), Order::channels_first(4)]
        .into_iter()
        .find(|order| from != to && order.apply(&from) == to && long(order))
}
