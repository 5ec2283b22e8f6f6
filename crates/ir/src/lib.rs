//! The graph: values, nodes, types, origins and the machinery that rewrites them.
//!
//! This crate knows no operator and no framework. [`Graph`] is generic over an operator set that answers
//! the questions of [`Operator`]; everything here works for any such set.

mod constant;
mod diagnostic;
mod dim;
mod graph;
mod nearest;
mod operator;
mod origin;
mod parse;
mod pass;
mod print;
mod region;
mod rewrite;
mod tensor;
mod types;
mod validate;

pub use constant::{Constant, FileRange, Storage};
pub use diagnostic::{BUG, Code, Diagnostic, Exit, Level, Place, render};
pub use dim::{Dim, Expr, Number, Real, Unsettled};
pub use graph::{Definition, Graph, Node, NodeId, Value, ValueId};
pub use nearest::nearest;
pub use operator::{Attribute, Attributes, FromAttribute, Mismatch, Operator, ToAttribute};
pub use origin::{Frame, Leaf, Origin, OriginId, Origins};
pub use parse::{ParseError, parse};
pub use pass::{Assumption, Journal, Observer, Pass, Pipeline, Silent, Stage, Step, rules_pass};
pub use print::print;
pub use region::Region;
pub use rewrite::{Finished, Patch, Rule, Site, last_segment};
pub use tensor::{Element, Tensor};
pub use types::{DType, QuantParams, Shape, TensorType};
pub use validate::{DATA_DEPENDENT_SIZE, ILLEGAL_OPERATOR, UNPINNED_SIZE, validate};

/// The diagnostic codes of this crate.
pub fn codes() -> impl Iterator<Item = &'static Code> {
    diagnostic::CODES.iter().chain(validate::CODES)
}
