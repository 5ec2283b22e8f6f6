//! Judging a model: executors run it on recorded inputs, and their outputs are compared with PyTorch's.

mod compare;
mod fit;
mod metrics;
mod per_operator;
mod recording;
mod require;

use ir::{Diagnostic, Tensor};

use crate::evaluate;
use crate::ops::Graph;

pub use compare::{Bound, MEASURED, OPERATOR, Verdict, WHOLE_MODEL, compare};
pub use fit::{between, fitted};
pub use metrics::Metrics;
pub use per_operator::{EmbeddedProbe, Finding, Pairs, Probe, paired, paired_in_part, per_operator, twin};
pub(crate) use recording::CODES;
pub use recording::{Recording, Rounding};
pub use require::{METRICS, Metric, Requirement};

/// Something that runs a model.
pub trait Executor {
    /// What reports call it.
    fn name(&self) -> String;

    /// The outputs for these inputs, in the order of the signature.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic>;
}

/// The embedded evaluator on a graph.
pub struct Embedded<'g>(pub &'g Graph);

impl Executor for Embedded<'_> {
    fn name(&self) -> String {
        "evaluator".into()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        evaluate::run(self.0, inputs)
    }
}
