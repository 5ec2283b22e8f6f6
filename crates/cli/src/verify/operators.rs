//! `--per-operator`: the error of each operator, alone and accumulated.

use compiler::ops::Layout;
use compiler::verify::{EmbeddedProbe, Probe, per_operator};
use ir::{Diagnostic, TensorType};
use runtime::Kernels;

use super::litert::LiteRtProbe;
use super::report::{PerOperator, Report};
use super::side::library;
use super::subject::Subject;
use super::{Runtime, Ways};
use crate::progress::Progress;

/// Looks at every operator of the subject on the first recording, under every runtime that is asked for and there.
/// Without a reference the evaluator on the file itself says what is right, and only LiteRT can differ from it.
pub(crate) fn look(
    subject: &Subject,
    reference: Option<&Subject>,
    ways: &Ways,
    io: Layout,
    report: &mut Report,
    progress: &mut Progress,
) -> Result<(), Vec<Diagnostic>> {
    let graph = subject.graph.as_ref().map_err(Clone::clone)?;
    let right = match reference {
        Some(reference) => reference.graph.as_ref().map_err(Clone::clone)?,
        None => graph,
    };
    let mut probes: Vec<Box<dyn Probe + '_>> = Vec::new();
    if reference.is_some() && ways.runtime != Runtime::Litert {
        probes.push(Box::new(EmbeddedProbe(graph)));
    }
    if let Some(library) = library(ways, report)? {
        for kernels in [Kernels::Xnnpack, Kernels::Builtin] {
            let probe = LiteRtProbe::new(graph, &library, kernels).map_err(|d| vec![d])?;
            probes.push(Box::new(probe));
        }
    }
    if probes.is_empty() {
        report.unchecked.push(
            "operators: the evaluator is what they would be compared with; give the archive with --against, or set \
             up LiteRT"
                .into(),
        );
    }
    let types: Vec<TensorType> = graph.inputs().iter().map(|&i| graph.ty(i).clone()).collect();
    let inputs = report.given[0].inputs(&types, io).map_err(|d| vec![d])?;
    for mut probe in probes {
        progress.stage(&format!("looking at every operator on {}", probe.name()));
        let found = per_operator(graph, right, &inputs, probe.as_mut());
        progress.finish();
        match found {
            Ok(findings) => report.operators.push(PerOperator { runtime: probe.name(), findings }),
            Err(why) => report.failures.push((format!("{}, per operator", probe.name()), 0, why)),
        }
    }
    Ok(())
}
