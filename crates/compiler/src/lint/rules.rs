//! Lints: what a model says that is seldom meant. One rule, one page; this list names them all.

mod double_preprocessing;

use ir::{Code, Diagnostic};

use crate::ops::Graph;

/// One rule.
pub struct Lint {
    /// Its code, whose explanation is its documentation.
    pub code: Code,
    /// Everything in a graph, as it was imported, that it warns of.
    look: fn(&Graph) -> Vec<Diagnostic>,
}

/// Every rule.
pub const LINTS: &[Lint] =
    &[Lint { code: double_preprocessing::DOUBLE_PREPROCESSING, look: double_preprocessing::look }];

/// What every rule warns of.
pub fn look(graph: &Graph) -> Vec<Diagnostic> {
    LINTS.iter().flat_map(|lint| (lint.look)(graph)).collect()
}
