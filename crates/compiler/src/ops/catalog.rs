//! The one list of all operators: it derives [`Op`], its conversions, its dispatch and [`CATALOG`].

use std::io;

use ir::{Attributes, Mismatch, Operator, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::order::Order;
use crate::dialect::{aten, tfl};

macro_rules! operators {
    ($($module:ident :: $operator:ident),* $(,)?) => {
        $(pub use super::$module::$operator;)*

        /// An operator with its attributes.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each variant is documented on its own page")]
        pub enum Op { $($operator($operator)),* }

        $(impl From<$operator> for Op {
            fn from(op: $operator) -> Self { Op::$operator(op) }
        }
        impl<'a> TryFrom<&'a Op> for &'a $operator {
            type Error = ();
            fn try_from(op: &'a Op) -> Result<Self, ()> {
                match op { Op::$operator(op) => Ok(op), _ => Err(()) }
            }
        })*

        impl Operator for Op {
            fn name(&self) -> &'static str {
                match self { $(Op::$operator(op) => op.name()),* }
            }
            fn attributes(&self) -> Attributes {
                match self { $(Op::$operator(op) => Definition::attributes(op)),* }
            }
            fn parse(name: &str, attributes: &Attributes) -> Result<Self, String> {
                let entry = CATALOG.iter().find(|e| e.names.contains(&name));
                (entry.ok_or_else(|| format!("no operator is called '{name}'"))?.parse)(name, attributes)
            }
            fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
                match self { $(Op::$operator(op) => op.infer(inputs)),* }
            }
            fn legal(&self, inputs: &[&TensorType], _outputs: &[&TensorType]) -> Result<(), Mismatch> {
                self.to_tfl(inputs).map(|_| ()).map_err(|why| Mismatch(why.0))
            }
            fn at_run_time(&self) -> bool {
                match self { $(Op::$operator(_) => <$operator as Definition>::AT_RUN_TIME),* }
            }
        }

        impl Op {
            /// See [`Definition::ELEMENTWISE`].
            pub fn is_elementwise(&self) -> bool {
                match self { $(Op::$operator(_) => $operator::ELEMENTWISE),* }
            }
            /// See [`Definition::evaluate`].
            pub fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
                match self { $(Op::$operator(op) => op.evaluate(inputs)),* }
            }
            /// See [`Definition::evaluate_region`].
            pub fn evaluate_region(&self, inputs: &[&TensorType], region: &Region, fetch: Fetch<'_>) -> Option<io::Result<Tensor>> {
                match self { $(Op::$operator(op) => op.evaluate_region(inputs, region, fetch)),* }
            }
            /// See [`Definition::carry`].
            pub fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Op>> {
                match self { $(Op::$operator(op) => {
                    let Carried { op, inputs, outputs } = op.carry(inputs, order)?;
                    Some(Carried { op: op.into(), inputs, outputs })
                }),* }
            }
            /// See [`Definition::to_tfl`].
            pub fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, tfl::Illegal> {
                match self { $(Op::$operator(op) => op.to_tfl(inputs)),* }
            }
        }

        /// Every operator.
        pub const CATALOG: &[Entry] = &[$(Entry {
            names: $operator::NAMES,
            aten: $operator::ATEN,
            elementwise: $operator::ELEMENTWISE,
            tfl: $operator::TFL,
            parse: |name, attributes| Ok($operator::parse(name, attributes)?.into()),
            from_aten: |call| {
                let aten::Imported { op, inputs } = $operator::from_aten(call)?;
                Ok(aten::Imported { op: op.into(), inputs })
            },
            from_tfl: |node| {
                let tfl::Imported { op, inputs } = $operator::from_tfl(node)?;
                Ok(tfl::Imported { op: op.into(), inputs })
            },
        }),*];
    };
}

/// Constructors of one kind of operator, by the words of each dialect.
pub struct Entry {
    /// [`Definition::NAMES`]
    pub names: &'static [&'static str],
    /// [`Definition::ATEN`]
    pub aten: &'static [&'static str],
    /// [`Definition::ELEMENTWISE`]
    pub elementwise: bool,
    /// [`Definition::TFL`]
    pub tfl: &'static [tfl::Builtin],
    /// [`Definition::parse`]
    pub parse: fn(&str, &Attributes) -> Result<Op, String>,
    /// [`Definition::from_aten`]
    pub from_aten: fn(&aten::Call) -> Result<aten::Imported<Op>, aten::Malformed>,
    /// [`Definition::from_tfl`]
    pub from_tfl: fn(&tfl::Node<'_>) -> Result<tfl::Imported<Op>, tfl::Illegal>,
}

operators! {
    arg_reduce::ArgReduce,
    batch_matmul::BatchMatmul,
    batch_norm::BatchNorm,
    binary::Binary,
    broadcast_to::BroadcastTo,
    cast::Cast,
    clamp::Clamp,
    compare::Compare,
    concat::Concat,
    conv2d::Conv2d,
    conv_transpose2d::ConvTranspose2d,
    cumsum::Cumsum,
    depth_to_space::DepthToSpace,
    depthwise_conv2d::DepthwiseConv2d,
    dequantize::Dequantize,
    elu::Elu,
    embedding::Embedding,
    flip::Flip,
    fully_connected::FullyConnected,
    gather::Gather,
    gelu::Gelu,
    group_norm::GroupNorm,
    layer_norm::LayerNorm,
    leaky_relu::LeakyRelu,
    log_softmax::LogSoftmax,
    logical::Logical,
    max_pool_indices::MaxPoolIndices,
    pad::Pad,
    pool2d::Pool2d,
    prelu::Prelu,
    quantize::Quantize,
    reduce::Reduce,
    reshape::Reshape,
    resize::Resize,
    slice::Slice,
    softmax::Softmax,
    softplus::Softplus,
    tile::Tile,
    transpose::Transpose,
    unary::Unary,
    where_::Where,
}
