//! Weights as expressions: constants, and nodes over constants, computed in slabs of their leading axis.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use ir::{Constant, Definition, Diagnostic, FileRange, Operator, Region, Tensor, ValueId};

use super::{WEIGHT_TOO_LARGE, unreadable};
use crate::ops::{Graph, Op, Order};

/// The bytes of a slab that is read from one stretch of the file: small enough to stay in the processor's cache on its
/// way through an expression.
const NARROW: usize = 1 << 20;

/// The bytes of a slab whose rows lie scattered over the file: large, so that each read still gets a stretch.
const WIDE: usize = 16 << 20;

/// Operands of at most this many bytes in all are computed whole where an operator has no slab form.
const WHOLE: usize = 64 << 20;

/// Results of at most this many bytes are kept for their other readers.
const KEPT: usize = 256 << 10;

/// Computes constant values of a graph.
pub struct Expressions<'g> {
    graph: &'g Graph,
    kept: RefCell<BTreeMap<ValueId, Tensor>>,
}

impl<'g> Expressions<'g> {
    /// Of this graph.
    pub fn new(graph: &'g Graph) -> Self {
        Expressions { graph, kept: RefCell::default() }
    }

    /// All of a constant value. Errs where it cannot be read or computed within memory.
    pub fn tensor(&self, value: ValueId) -> Result<Tensor, Diagnostic> {
        let sizes = self.sizes(value)?;
        self.region(value, &Region::whole(&sizes))
    }

    /// The packed bytes of a constant value, slab by slab, in order. `sink` may err, which ends it.
    pub fn stream<E: From<Diagnostic>>(
        &self,
        value: ValueId,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let sizes = self.sizes(value)?;
        let ty = self.graph.ty(value);
        let bytes = ty.dtype.bytes(sizes.iter().product());
        if let Some(Constant::Range(range)) = self.graph.constant(value)
            && range.is_packed()
        {
            return self.copy(value, range, bytes, sink);
        }
        self.slabs(value, &mut |_, slab| sink(slab.bytes()))
    }

    /// The elements of a constant value, slab by slab, in order, each with its place. `sink` may err, which ends it.
    pub fn slabs<E: From<Diagnostic>>(
        &self,
        value: ValueId,
        sink: &mut dyn FnMut(&Region, &Tensor) -> Result<(), E>,
    ) -> Result<(), E> {
        let sizes = self.sizes(value)?;
        let whole = Region::whole(&sizes);
        let Some(axis) = sizes.iter().position(|&n| n > 1) else {
            return sink(&whole, &self.region(value, &whole)?);
        };
        let ty = self.graph.ty(value);
        let row = (ty.dtype.bytes(sizes.iter().product()) / sizes[axis]).max(1);
        let slab = if self.by_rows(value) { NARROW } else { WIDE };
        // Two rows of half bytes end with a whole one.
        let step = (slab / row).max(1).next_multiple_of(8usize.div_ceil(ty.dtype.bits()));
        for first in (0..sizes[axis]).step_by(step) {
            let mut region = whole.clone();
            region.start[axis] = first;
            region.sizes[axis] = step.min(sizes[axis] - first);
            sink(&region, &self.region(value, &region)?)?;
        }
        Ok(())
    }

    /// The bytes as they lie in the file, through one buffer.
    fn copy<E: From<Diagnostic>>(
        &self,
        value: ValueId,
        range: &FileRange,
        bytes: usize,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; NARROW.min(bytes)];
        for first in (0..bytes).step_by(NARROW) {
            let part = &mut buffer[..NARROW.min(bytes - first)];
            range
                .storage
                .read_at(range.base + first as u64, part)
                .map_err(|e| unreadable(self.graph, value, &e))?;
            sink(part)?;
        }
        Ok(())
    }

    /// Do neighbouring rows of the value come from neighbouring stretches of the file?
    fn by_rows(&self, value: ValueId) -> bool {
        match &self.graph.value(value).definition {
            Definition::Constant(Constant::Range(range)) => {
                let lead = range.strides.first().copied().unwrap_or(0);
                range.strides.iter().all(|&stride| stride <= lead)
            }
            Definition::Constant(Constant::Inline(_)) | Definition::Input(_) => true,
            Definition::Output(node, _) => {
                let node = self.graph.node(*node);
                let stays = |order: &Order| order.axes().first().is_none_or(|&axis| axis == 0);
                let moved = matches!(&node.op, Op::Transpose(transpose) if !stays(&transpose.order));
                !moved && node.inputs.iter().all(|&input| self.by_rows(input))
            }
        }
    }

    /// A box of a constant value.
    fn region(&self, value: ValueId, region: &Region) -> Result<Tensor, Diagnostic> {
        let (node, index) = match &self.graph.value(value).definition {
            Definition::Constant(constant) => {
                return constant.read_region(region).map_err(|e| unreadable(self.graph, value, &e));
            }
            Definition::Output(node, index) => (self.graph.node(*node), *index),
            Definition::Input(_) => {
                return Err(Diagnostic::bug("an input of the graph is read as a constant"));
            }
        };
        if let Some(kept) = self.kept.borrow().get(&value) {
            return Ok(kept.crop(region));
        }
        let types = self.graph.types(&node.inputs);
        // What is small is computed once, whole; so is what has no slab form.
        let bytes = |v: ValueId| self.graph.ty(v).bytes().unwrap_or(usize::MAX);
        let small = node.inputs.iter().map(|&v| bytes(v)).fold(0usize, usize::saturating_add) <= KEPT;
        if !small {
            let mut failure = None;
            let mut fetch = |i: usize, of: &Region| {
                self.region(node.inputs[i], of).map_err(|d| {
                    failure = Some(d);
                    io::Error::other("the operand cannot be computed")
                })
            };
            match node.op.evaluate_region(&types, region, &mut fetch) {
                Some(Ok(tensor)) => return Ok(tensor),
                Some(Err(error)) => {
                    return Err(failure.unwrap_or_else(|| unreadable(self.graph, value, &error)));
                }
                None => {}
            }
        }
        let whole = self.evaluate_whole(value, node, index)?;
        let cropped = whole.crop(region);
        if whole.bytes().len() <= KEPT {
            self.kept.borrow_mut().insert(value, whole);
        }
        Ok(cropped)
    }

    fn evaluate_whole(
        &self,
        value: ValueId,
        node: &ir::Node<Op>,
        index: usize,
    ) -> Result<Tensor, Diagnostic> {
        let graph = self.graph;
        let bytes: usize = node
            .inputs
            .iter()
            .map(|&v| graph.ty(v).bytes().unwrap_or(usize::MAX))
            .fold(0, usize::saturating_add);
        if bytes > WHOLE {
            let message = format!(
                "the weight %{} is {} of {} MB, which is not computed in slabs",
                graph.value(value).name,
                node.op.name(),
                bytes >> 20
            );
            return Err(Diagnostic::new(WEIGHT_TOO_LARGE, message).at(&graph.origins, node.origin));
        }
        let operands = node.inputs.iter().map(|&v| self.tensor(v)).collect::<Result<Vec<_>, _>>()?;
        let results = node.op.evaluate(&operands.iter().collect::<Vec<_>>()).ok_or_else(|| {
            let message = format!("the weight {} of {} is not evaluated", node.op.name(), graph.ty(value));
            Diagnostic::new(super::NOT_EVALUATED, message).at(&graph.origins, node.origin)
        })?;
        results
            .into_iter()
            .nth(index)
            .ok_or_else(|| Diagnostic::bug(format!("{} evaluates to too few results", node.op.name())))
    }

    fn sizes(&self, value: ValueId) -> Result<Vec<usize>, Diagnostic> {
        self.graph.ty(value).sizes().map_err(|m| Diagnostic::bug(m.0))
    }
}
