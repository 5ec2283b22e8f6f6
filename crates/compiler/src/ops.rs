//! The operators, one page each; [`catalog`] is their one list.

pub mod catalog;
pub mod definition;
pub mod order;

mod broadcast;
mod convolve;
mod elementwise;
mod matrix;
mod moving;
mod permute;
mod quantized;
mod spatial;

mod arg_reduce;
mod batch_matmul;
mod batch_norm;
mod binary;
mod broadcast_to;
mod cast;
mod clamp;
mod compare;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod cumsum;
mod depth_to_space;
mod depthwise_conv2d;
mod dequantize;
mod elu;
mod embedding;
mod flip;
mod fully_connected;
mod gather;
mod gelu;
mod group_norm;
mod layer_norm;
mod leaky_relu;
mod log_softmax;
mod logical;
mod max_pool_indices;
mod pad;
mod pool2d;
mod prelu;
mod quantize;
mod reduce;
mod reshape;
mod resize;
mod slice;
mod softmax;
mod softplus;
mod tile;
mod transpose;
mod unary;

mod where_;
pub use arg_reduce::Extreme;
pub use binary::Arithmetic;

pub use catalog::*;
pub(crate) use definition::{arity, attributes, words};
pub use depth_to_space::{ChannelOrder, Direction};
pub use gelu::Approximate;
pub use order::Order;
pub use pad::PadMode;
pub use pool2d::Pooling;
pub use reduce::Reduction;
pub use resize::{Interpolation, Tap};
pub use spatial::{Activation, Layout, Padding, Window};

/// A graph of these operators.
pub type Graph = ir::Graph<Op>;
/// A node of such a graph, to be read.
pub type Site<'g> = ir::Site<'g, Op>;
/// A change of such a graph.
pub type Patch<'g> = ir::Patch<'g, Op>;
/// An equation on such graphs.
pub type Rule = ir::Rule<Op>;
/// A step of the pipeline over such graphs.
pub type Pass = ir::Pass<Op>;
