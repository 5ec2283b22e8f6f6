//! ATen calls that are more than one of our operators: a table of rows, one function each.
//!
//! What is exactly one operator is read by that operator's own page (`from_aten`); a row is for composites, type
//! promotion, and calls whose scalars must become constants.

mod activation;
mod arithmetic;
mod attention;
mod compare;
mod convolution;
mod creation;
mod indexing;
mod joining;
mod lookup;
mod masking;
mod matmul;
mod normalization;
mod padding;
mod pooling;
mod reduction;
mod resize;
mod shaping;
mod windows;

use std::sync::Arc;

use indexmap::IndexMap;
use ir::{DType, OriginId, Tensor, TensorType, ValueId};

use crate::dialect::aten::{self, Malformed};
use crate::ops::{CATALOG, Cast, Graph, Op, Reshape};

/// What a row is given: the call, and the graph to add nodes to.
pub(crate) struct Builder<'a> {
    pub(super) graph: &'a mut Graph,
    /// The values that the program's tensors have become.
    pub(super) values: &'a IndexMap<Arc<str>, ValueId>,
    /// The call to read.
    pub(crate) call: &'a aten::Call,
}

/// The values that the results of a call become, in order.
pub(crate) type Row = fn(&mut Builder<'_>) -> Result<Vec<ValueId>, Malformed>;

/// Every row with the overloads that it reads.
const TABLES: &[&[(&[&str], Row)]] = &[
    activation::ROWS,
    arithmetic::ROWS,
    attention::ROWS,
    compare::ROWS,
    convolution::ROWS,
    creation::ROWS,
    indexing::ROWS,
    joining::ROWS,
    lookup::ROWS,
    masking::ROWS,
    matmul::ROWS,
    normalization::ROWS,
    padding::ROWS,
    pooling::ROWS,
    reduction::ROWS,
    resize::ROWS,
    shaping::ROWS,
    windows::ROWS,
];

/// The row for an overload.
pub(crate) fn row(target: &str) -> Option<Row> {
    TABLES.iter().flat_map(|t| t.iter()).find(|(targets, _)| targets.contains(&target)).map(|(_, row)| *row)
}

/// Is each element of what this overload gives a function of the elements at the same place in what it takes?
pub(crate) fn is_elementwise(target: &str) -> bool {
    let rows = [activation::ROWS, arithmetic::ROWS, compare::ROWS];
    let has = |(targets, _): &(&[&str], Row)| targets.contains(&target);
    rows.iter().any(|rows| rows.iter().any(has))
        || creation::CONVERSIONS.contains(&target)
        || CATALOG.iter().any(|entry| entry.elementwise && entry.aten.contains(&target))
}

/// The overloads that have a row.
pub fn targets() -> impl Iterator<Item = &'static str> {
    TABLES.iter().flat_map(|t| t.iter()).flat_map(|(targets, _)| targets.iter().copied())
}

impl Builder<'_> {
    fn origin(&self) -> OriginId {
        self.call.origin
    }

    /// The value that a tensor of the program has become.
    pub(crate) fn value(&self, tensor: &aten::Tensor) -> ValueId {
        *self.values.get(&tensor.name).expect("a functional program makes each tensor before it is read")
    }

    /// The value of the argument of this name.
    pub(crate) fn tensor(&self, name: &str) -> Result<ValueId, Malformed> {
        Ok(self.value(self.call.tensor(name)?))
    }

    /// The value of the argument of this name, where it is given.
    pub(crate) fn optional_tensor(&self, name: &str) -> Result<Option<ValueId>, Malformed> {
        Ok(self.call.optional_tensor(name)?.map(|t| self.value(t)))
    }

    /// The type of a value.
    pub(crate) fn ty(&self, value: ValueId) -> &TensorType {
        self.graph.ty(value)
    }

    /// The sizes of a value, as numbers.
    pub(crate) fn sizes(&self, value: ValueId) -> Result<Vec<usize>, Malformed> {
        self.ty(value).sizes().map_err(|m| Malformed(m.0))
    }

    /// The type that PyTorch recorded for result `index`.
    pub(crate) fn result(&self, index: usize) -> Result<TensorType, Malformed> {
        Ok(self.call.result(index)?.ty.clone())
    }

    /// Adds a node with one output.
    pub(crate) fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Malformed> {
        Ok(self.add_all(op, inputs)?[0])
    }

    /// Adds a node and gives all its outputs.
    pub(crate) fn add_all(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, Malformed> {
        let name = self.inner_name();
        let (origin, op) = (self.origin(), op.into());
        self.graph.add_node(op, inputs, &name, origin).map_err(|m| self.call.malformed(m))
    }

    /// Adds constant data.
    pub(crate) fn constant(&mut self, tensor: Tensor) -> ValueId {
        let name = self.inner_name();
        self.graph.add_constant(&name, tensor)
    }

    /// Adds a number of rank 0.
    pub(crate) fn number(&mut self, dtype: DType, value: aten::Scalar) -> ValueId {
        let tensor = match value {
            aten::Scalar::Int(n) => Tensor::from_i64s(dtype, &[], [n]),
            aten::Scalar::Bool(b) => Tensor::from_i64s(dtype, &[], [i64::from(b)]),
            aten::Scalar::Float(x) => Tensor::from_f64s(dtype, &[], [x]),
        };
        self.constant(tensor)
    }

    /// The value as `dtype`: itself where it is of that dtype.
    pub(crate) fn cast(&mut self, value: ValueId, dtype: DType) -> Result<ValueId, Malformed> {
        if self.ty(value).dtype == dtype {
            return Ok(value);
        }
        self.add(Cast { dtype }, &[value])
    }

    /// The value in other sizes: itself where it has them.
    pub(crate) fn reshape(&mut self, value: ValueId, sizes: &[usize]) -> Result<ValueId, Malformed> {
        if self.sizes(value)? == sizes {
            return Ok(value);
        }
        self.add(Reshape { sizes: sizes.to_vec() }, &[value])
    }

    /// A name for what stands inside the call; the results are renamed after the call.
    fn inner_name(&self) -> String {
        let result = self.call.results.iter().flatten().next().map_or("value", |t| &t.name);
        format!("{result}.1")
    }
}
