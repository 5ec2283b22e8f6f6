//! A tensor grown at the ends of its axes.

use std::io;

use ir::{DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, Padding, arity, attributes, moving, words};
use crate::dialect::tfl::{self, Builtin, Illegal, MirrorPadMode, mirror_pad_options};

words! {
    /// What stands in the padding.
    PadMode {
        /// One number.
        Constant = "constant",
        /// The elements mirrored about the first and the last, which are not repeated.
        Reflect = "reflect",
        /// The first and the last element.
        Replicate = "replicate",
        /// The elements from the other end.
        Circular = "circular",
    }
}

/// The input with elements added before and after along each axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// The number of elements added along each axis.
    pub padding: Vec<Padding>,
    /// What they are.
    pub mode: PadMode,
    /// The number that [`PadMode::Constant`] adds.
    pub value: f64,
}

impl Pad {
    /// Adds a number.
    pub fn constant(padding: Vec<Padding>, value: f64) -> Self {
        Pad { padding, mode: PadMode::Constant, value }
    }

    /// The size of each axis of the result. Errs where the padding does not fit the mode.
    fn sizes(&self, from: &[usize]) -> Result<Vec<usize>, Mismatch> {
        if from.len() != self.padding.len() {
            return Err(Mismatch(format!("pads {} axes of {from:?}", self.padding.len())));
        }
        from.iter()
            .zip(&self.padding)
            .map(|(&size, p)| {
                let most = match self.mode {
                    PadMode::Constant => usize::MAX,
                    _ if *p == Padding::default() => 0,
                    PadMode::Reflect => size.saturating_sub(1),
                    PadMode::Replicate if size > 0 => usize::MAX,
                    PadMode::Replicate | PadMode::Circular => size,
                };
                let grown = p.before.checked_add(p.after).and_then(|n| n.checked_add(size));
                match grown {
                    Some(grown) if p.before.max(p.after) <= most => Ok(grown),
                    _ => {
                        Err(Mismatch(format!("pads {from:?} by {:?} in mode {:?}", self.padding, self.mode)))
                    }
                }
            })
            .collect()
    }

    /// The element that stands at `at` along an axis of `size` elements; `None` where it is the constant.
    pub fn source(&self, axis: usize, at: usize, size: usize) -> Option<usize> {
        let before = self.padding[axis].before;
        match self.mode {
            _ if (before..before + size).contains(&at) => Some(at - before),
            PadMode::Constant => None,
            PadMode::Replicate => Some(at.saturating_sub(before).min(size - 1)),
            PadMode::Circular => Some((at + size - before) % size),
            PadMode::Reflect if at < before => Some(before - at),
            PadMode::Reflect => Some(2 * (size - 1) - (at - before)),
        }
    }

    /// One element of the constant.
    fn filling(&self, dtype: DType) -> Option<Tensor> {
        let arithmetic = dtype == DType::Bool || (dtype.is_int() && dtype != DType::I4);
        let float = matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64);
        (arithmetic || float).then(|| Tensor::from_f64s(dtype, &[], [self.value]))
    }
}

impl Definition for Pad {
    const NAMES: &'static [&'static str] = &["pad"];
    const TFL: &'static [Builtin] = &[Builtin::PAD, Builtin::PADV2, Builtin::MIRROR_PAD];
    attributes!(padding, mode, value);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x] = arity(inputs)?;
        let shape = ir::Shape::from(&self.sizes(&x.sizes()?)?[..]);
        Ok(vec![TensorType { dtype: x.dtype, shape, quant: x.quant.clone() }])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let x = inputs[0];
        let sizes = self.sizes(x.sizes()).ok()?;
        if self.mode != PadMode::Constant {
            let steps = moving::strides(x.sizes());
            let mut indices = vec![0];
            for (axis, &size) in sizes.iter().enumerate() {
                let from: Vec<usize> = (0..size)
                    .map(|at| Some(self.source(axis, at, x.sizes()[axis])? * steps[axis]))
                    .collect::<Option<_>>()?;
                indices = indices.iter().flat_map(|&base| from.iter().map(move |i| base + i)).collect();
            }
            return Some(vec![moving::taken(x, &sizes, indices)?]);
        }
        let filling = self.filling(x.dtype())?;
        let width = filling.bytes().len();
        let mut result = Tensor::zeros(x.dtype(), &sizes);
        if filling.bytes().iter().any(|&b| b != 0) {
            result.bytes_mut().chunks_exact_mut(width).for_each(|slot| slot.copy_from_slice(filling.bytes()));
        }
        let inside =
            Region { start: self.padding.iter().map(|p| p.before).collect(), sizes: x.sizes().to_vec() };
        let mut at = 0;
        inside.for_each_run(&sizes, |start, len| {
            let from = &x.bytes()[at * width..(at + len) * width];
            result.bytes_mut()[start * width..(start + len) * width].copy_from_slice(from);
            at += len;
        });
        Some(vec![result])
    }

    /// A box of the result is the box of the input inside it, padded for what is missing.
    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        let from = inputs[0].sizes().ok()?;
        if self.mode != PadMode::Constant {
            return None;
        }
        let mut inside = Region::whole(&from);
        let mut rest = self.clone();
        for (axis, &size) in from.iter().enumerate() {
            let (before, start) = (self.padding[axis].before, region.start[axis]);
            let first = start.saturating_sub(before).min(size);
            let last = (start + region.sizes[axis]).saturating_sub(before).clamp(first, size);
            (inside.start[axis], inside.sizes[axis]) = (first, last - first);
            let missing = region.sizes[axis] - (last - first);
            let ahead = before.saturating_sub(start).min(missing);
            rest.padding[axis] = Padding { before: ahead, after: missing - ahead };
        }
        match fetch(0, &inside) {
            Ok(slab) => rest.evaluate(&[&slab]).map(|mut t| Ok(t.remove(0))),
            Err(error) => Some(Err(error)),
        }
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let op = Pad { padding: order.apply(&self.padding), ..self.clone() };
        Some(Carried::alike(op, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let x = inputs[0];
        let widest = self.padding.iter().map(|p| p.before.max(p.after)).max().unwrap_or(0);
        let zero = self.value == 0.0 && self.value.is_sign_positive();
        let (builtin, mode) = match self.mode {
            PadMode::Constant if zero => (Builtin::PAD, None),
            PadMode::Constant => (Builtin::PADV2, None),
            PadMode::Reflect => (Builtin::MIRROR_PAD, Some(MirrorPadMode::REFLECT)),
            // Mirroring one element about the edge repeats it.
            PadMode::Replicate if widest <= 1 => (Builtin::MIRROR_PAD, Some(MirrorPadMode::SYMMETRIC)),
            _ => return Err(Illegal(format!("no builtin pads {widest} elements in mode {:?}", self.mode))),
        };
        moving::spelled(builtin, x)?;
        if mode.is_none() && x.rank() > 5 {
            return Err(Illegal(format!("{builtin} takes at most 5 axes, not {}", x.rank())));
        }
        let sizes: Vec<i32> = self
            .padding
            .iter()
            .flat_map(|p| [p.before, p.after])
            .map(tfl::int32)
            .collect::<Result<_, _>>()?;
        let call = tfl::Call::new(builtin).input(0).constant(Tensor::new(&[sizes.len() / 2, 2], &sizes));
        Ok(match mode {
            Some(mode) => call.set(mirror_pad_options::MODE, mode),
            None if builtin == Builtin::PADV2 => call.constant(
                self.filling(x.dtype)
                    .filter(|_| x.quant.is_none())
                    .ok_or_else(|| Illegal(format!("{builtin} of {x} with {}", self.value)))?,
            ),
            None => call,
        })
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let sizes: Vec<usize> = node
            .ints(1)?
            .into_iter()
            .map(|n| usize::try_from(n).map_err(|_| Illegal(format!("{} by {n} elements", node.operator))))
            .collect::<Result<_, _>>()?;
        let padding: Vec<Padding> =
            sizes.chunks_exact(2).map(|p| Padding { before: p[0], after: p[1] }).collect();
        let widest = sizes.iter().copied().max().unwrap_or(0);
        let (mode, value) = match (node.operator, node.operator == Builtin::MIRROR_PAD) {
            (_, true) => match node.get(mirror_pad_options::MODE) {
                MirrorPadMode::REFLECT => (PadMode::Reflect, 0.0),
                MirrorPadMode::SYMMETRIC if widest <= 1 => (PadMode::Replicate, 0.0),
                other => return Err(Illegal(format!("MIRROR_PAD of {widest} elements in mode {other}"))),
            },
            (Builtin::PADV2, _) => {
                let value = node.constant(2)?;
                (PadMode::Constant, value.to_f64s().first().copied().unwrap_or(0.0))
            }
            _ => (PadMode::Constant, 0.0),
        };
        Ok(tfl::imported(Pad { padding, mode, value }, [0]))
    }
}
