//! One file with everything that runs it.

use std::path::{Path, PathBuf};

use compiler::front::torch;
use compiler::ops::Graph;
use compiler::verify::{Embedded, Executor};
use ir::{Diagnostic, Tensor, TensorType};
use runtime::Kernels;

use super::litert::{LiteRt, name};
use super::report::Report;
use super::subject::{Subject, named};
use super::{Runtime, Ways};
use crate::convert::Reading;
use crate::place;

/// A file on every runtime that is asked for and there.
pub(crate) struct Side<'s> {
    /// The file.
    pub(crate) subject: &'s Subject,
    /// What runs it.
    pub(crate) executors: Vec<Any<'s>>,
    /// The types of its inputs.
    pub(crate) types: Vec<TensorType>,
}

impl<'s> Side<'s> {
    /// What is missing goes into the report where all runtimes were asked for, and is an error where it was asked for
    /// by name.
    pub(crate) fn open(
        subject: &'s Subject,
        ways: &Ways,
        report: &mut Report,
    ) -> Result<Self, Vec<Diagnostic>> {
        let executors = executors(subject, ways, report)?;
        let types = subject.types.clone().map_err(|d| vec![d])?;
        Ok(Side { subject, executors, types })
    }
}

/// PyTorch's program as it was saved, before any pass: the embedded evaluator computes on it what PyTorch would.
pub(crate) struct Program {
    /// What reports call it.
    pub(crate) name: String,
    graph: Graph,
}

impl Program {
    /// Reads an archive.
    pub(crate) fn read(archive: &Path, reading: &Reading) -> Result<Self, Vec<Diagnostic>> {
        let program = torch::read(archive, &reading.options()?)?;
        Ok(Program {
            name: format!("{}, evaluated", named(archive)),
            graph: torch::import::import(&program)?,
        })
    }

    /// The types of its inputs, as PyTorch takes them.
    pub(crate) fn types(&self) -> Vec<TensorType> {
        self.graph.inputs().iter().map(|&input| self.graph.ty(input).clone()).collect()
    }

    /// Its outputs for these inputs.
    pub(crate) fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        Embedded(&self.graph).run(inputs)
    }
}

/// What runs a file.
pub(crate) enum Any<'g> {
    Embedded(Embedded<'g>),
    LiteRt(Box<LiteRt>),
}

impl Any<'_> {
    fn executor(&mut self) -> &mut dyn Executor {
        match self {
            Any::Embedded(evaluator) => evaluator,
            Any::LiteRt(child) => child.as_mut(),
        }
    }

    /// What reports call it.
    pub(crate) fn name(&mut self) -> String {
        self.executor().name()
    }

    /// The outputs for these inputs.
    pub(crate) fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        self.executor().run(inputs)
    }
}

fn executors<'s>(
    subject: &'s Subject,
    ways: &Ways,
    report: &mut Report,
) -> Result<Vec<Any<'s>>, Vec<Diagnostic>> {
    let mut executors = Vec::new();
    if ways.runtime != Runtime::Litert {
        match &subject.graph {
            Ok(graph) => executors.push(Any::Embedded(Embedded(graph))),
            Err(why) if ways.runtime == Runtime::Evaluator => return Err(why.clone()),
            Err(why) => {
                let first = why.first().map_or("", |d| d.message.as_str());
                let more =
                    if why.len() > 1 { format!("; and {} more", why.len() - 1) } else { String::new() };
                report.unchecked.push(format!("{} on the evaluator: {first}{more}", subject.name));
            }
        }
    }
    if let Some(library) = library(ways, report)? {
        for kernels in [Kernels::Xnnpack, Kernels::Builtin] {
            match LiteRt::open(&library, &subject.path, kernels) {
                Ok(litert) => executors.push(Any::LiteRt(Box::new(litert))),
                Err(why) => report.failures.push((format!("{}, {}", subject.name, name(kernels)), 0, why)),
            }
        }
    }
    Ok(executors)
}

/// LiteRT's library, where LiteRT is asked for and there.
pub(crate) fn library(ways: &Ways, report: &mut Report) -> Result<Option<PathBuf>, Vec<Diagnostic>> {
    if ways.runtime == Runtime::Evaluator {
        return Ok(None);
    }
    let why = match runtime::find(&place::search(ways.litert_lib.clone())) {
        Ok(path) => return Ok(Some(path)),
        Err(why) => why,
    };
    let asked = ways.runtime == Runtime::Litert || !matches!(why, runtime::Error::Missing { .. });
    let diagnostic = Diagnostic::from(why);
    if asked {
        return Err(vec![diagnostic]);
    }
    report.without_litert = true;
    let help = diagnostic.help.map(|help| format!("; {help}")).unwrap_or_default();
    let missing = format!("LiteRT: {}{help}", diagnostic.message);
    if !report.unchecked.contains(&missing) {
        report.unchecked.push(missing);
    }
    Ok(None)
}
