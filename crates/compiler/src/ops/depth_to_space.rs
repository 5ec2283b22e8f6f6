//! Channels as pixels of a larger image, and pixels as channels of a smaller one.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::spatial::Layout;
use super::{Order, arity, attributes, moving, words};
use crate::dialect::tfl;
use crate::dialect::tfl::{Builtin, Illegal, depth_to_space_options, space_to_depth_options};

words! {
    /// Which way elements move.
    Direction {
        /// `block²` channels become a square of pixels.
        ToSpace = "to_space",
        /// A square of pixels becomes `block²` channels.
        ToDepth = "to_depth",
    }
}

words! {
    /// How the channel of the deep image is made of the channel of the wide one and the place in its square.
    ChannelOrder {
        /// `channel · block² + place`: PyTorch's.
        ChannelFirst = "channel_first",
        /// `place · channels + channel`: TFLite's.
        PlaceFirst = "place_first",
    }
}

/// Elements moved between channels and squares of pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthToSpace {
    /// Which way.
    pub direction: Direction,
    /// The side of a square.
    pub block: usize,
    /// The order of the deep image's channels.
    pub order: ChannelOrder,
    /// Where channels are.
    pub layout: Layout,
}

impl DepthToSpace {
    /// Batch, and channels, height and width of the wide image.
    fn wide(&self, sizes: &[usize]) -> Result<[usize; 4], Mismatch> {
        let wrong = || Mismatch(format!("squares of side {} do not fit an image of {sizes:?}", self.block));
        if sizes.len() != 4 || self.block == 0 {
            return Err(wrong());
        }
        let (c, h) = (self.layout.channel(), self.layout.height());
        let (b, channels, height, width) = (sizes[0], sizes[c], sizes[h], sizes[h + 1]);
        let square = self.block.checked_mul(self.block).ok_or_else(wrong)?;
        match self.direction {
            Direction::ToSpace if channels.is_multiple_of(square) => {
                let grown = |n: usize| n.checked_mul(self.block).ok_or_else(wrong);
                Ok([b, channels / square, grown(height)?, grown(width)?])
            }
            Direction::ToDepth if height.is_multiple_of(self.block) && width.is_multiple_of(self.block) => {
                Ok([b, channels, height, width])
            }
            _ => Err(wrong()),
        }
    }

    fn result(&self, sizes: &[usize]) -> Result<Vec<usize>, Mismatch> {
        let [b, c, h, w] = self.wide(sizes)?;
        Ok(match self.direction {
            Direction::ToSpace => self.layout.image(b, c, [h, w]),
            Direction::ToDepth => {
                let deep = c.checked_mul(self.block * self.block);
                let deep = deep.ok_or_else(|| Mismatch(format!("{sizes:?} has too many channels")))?;
                self.layout.image(b, deep, [h / self.block, w / self.block])
            }
        })
    }
}

impl Definition for DepthToSpace {
    const NAMES: &'static [&'static str] = &["depth_to_space"];
    const TFL: &'static [Builtin] = &[Builtin::DEPTH_TO_SPACE, Builtin::SPACE_TO_DEPTH];
    attributes!(direction, block, order, layout);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x] = arity(inputs)?;
        let shape = ir::Shape::from(&self.result(&x.sizes()?)?[..]);
        Ok(vec![TensorType { dtype: x.dtype, shape, quant: x.quant.clone() }])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let x = inputs[0];
        let [_, channels, ..] = self.wide(x.sizes()).ok()?;
        let sizes = self.result(x.sizes()).ok()?;
        let (c, h, block) = (self.layout.channel(), self.layout.height(), self.block);
        let (from, to) = (moving::strides(x.sizes()), moving::strides(&sizes));
        let deep = |channel: usize, place: usize| match self.order {
            ChannelOrder::ChannelFirst => channel * block * block + place,
            ChannelOrder::PlaceFirst => place * channels + channel,
        };
        let indices = (0..sizes.iter().product()).map(|i: usize| {
            let at: Vec<usize> = (0..4).map(|a| i / to[a] % sizes[a]).collect();
            let mut source = at.clone();
            match self.direction {
                Direction::ToSpace => {
                    let place = at[h] % block * block + at[h + 1] % block;
                    (source[h], source[h + 1]) = (at[h] / block, at[h + 1] / block);
                    source[c] = deep(at[c], place);
                }
                Direction::ToDepth => {
                    let (channel, place) = match self.order {
                        ChannelOrder::ChannelFirst => (at[c] / (block * block), at[c] % (block * block)),
                        ChannelOrder::PlaceFirst => (at[c] % channels, at[c] / channels),
                    };
                    source[c] = channel;
                    (source[h], source[h + 1]) =
                        (at[h] * block + place / block, at[h + 1] * block + place % block);
                }
            }
            source.iter().zip(&from).map(|(i, step)| i * step).sum()
        });
        Some(vec![moving::taken(x, &sizes, indices)?])
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let layout = self.layout.carried(order)?;
        Some(Carried::alike(DepthToSpace { layout, ..self.clone() }, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (builtin, field) = match self.direction {
            Direction::ToSpace => (Builtin::DEPTH_TO_SPACE, depth_to_space_options::BLOCK_SIZE),
            Direction::ToDepth => (Builtin::SPACE_TO_DEPTH, space_to_depth_options::BLOCK_SIZE),
        };
        if self.layout != Layout::Nhwc {
            return Err(Illegal(format!("{builtin} takes images with their channels last")));
        }
        if !matches!(inputs[0].dtype, DType::F32 | DType::I32 | DType::I64) && inputs[0].quant.is_none() {
            return Err(Illegal(format!("{builtin} has no kernel for {}", inputs[0].dtype)));
        }
        let [_, channels, ..] = self.wide(&inputs[0].sizes()?)?;
        // Of one channel, both orders are the same.
        if self.order == ChannelOrder::ChannelFirst && channels != 1 {
            return Err(Illegal(format!("{builtin} has the {channels} channels of a place side by side")));
        }
        tfl::Call::new(builtin).input(0).set_int32(field, self.block)
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let (direction, block) = match node.operator {
            Builtin::DEPTH_TO_SPACE => (Direction::ToSpace, node.size(depth_to_space_options::BLOCK_SIZE)?),
            _ => (Direction::ToDepth, node.size(space_to_depth_options::BLOCK_SIZE)?),
        };
        let (order, layout) = (ChannelOrder::PlaceFirst, Layout::Nhwc);
        Ok(tfl::imported(DepthToSpace { direction, block, order, layout }, [0]))
    }
}
