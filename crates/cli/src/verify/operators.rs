//! `--per-operator`: the error of each operator, alone, inherited and accumulated.

use compiler::ops::{Graph, Layout};
use compiler::verify::{
    EmbeddedProbe, MEASURED, OPERATOR, Pairs, Probe, paired, paired_in_part, per_operator,
};
use ir::{Diagnostic, TensorType};
use runtime::Kernels;

use super::findings::PerOperator;
use super::litert::{FileProbe, LiteRtProbe};
use super::report::Report;
use super::side::library;

use super::subject::Subject;
use super::{Runtime, Ways};
use crate::numbers::plural;
use crate::progress::Progress;

/// What the operators of a file should compute.
pub(crate) struct Right<'a> {
    /// What reports call it.
    pub(crate) name: String,
    graph: &'a Graph,
    pairs: Pairs,
    /// How many of its operators the file does not have.
    missing: usize,
}

impl<'a> Right<'a> {
    /// What `right` computes, for a file. Operators must be the same; a quantized file may have others besides, but half
    /// of them must be there. Errs with the first that differs.
    pub(crate) fn of(subject: &Subject, right: &'a Subject) -> Result<Self, String> {
        let (Ok(own), Ok(graph)) = (&subject.graph, &right.graph) else {
            return Err("one of them has operators that are not read".into());
        };
        let (pairs, missing) = match paired(own, graph) {
            Ok(pairs) => (pairs, 0),
            Err(why) if subject.narrow.is_empty() => return Err(why),
            Err(why) => match paired_in_part(own, graph) {
                (pairs, missing) if pairs.len() > missing => (pairs, missing),
                _ => return Err(why),
            },
        };
        let name = match right.path == subject.path {
            true => "its own weights".into(),
            false => right.name.clone(),
        };
        Ok(Right { name, graph, pairs, missing })
    }
}

/// Looks at every operator of the subject on what it is given first, under every runtime that is asked for and there.
/// Without a reference the evaluator on the file itself says what is right, and only LiteRT can differ from it.
pub(crate) fn look(
    subject: &Subject,
    right: Option<Right<'_>>,
    ways: &Ways,
    io: Layout,
    report: &mut Report,
    progress: &mut Progress,
) -> Result<(), Vec<Diagnostic>> {
    let graph = subject.graph.as_ref().map_err(Clone::clone)?;
    let given = right.is_some();
    let own = || Right::of(subject, subject).map_err(|why| vec![Diagnostic::bug(why)]);
    let right = right.map_or_else(own, Ok)?;
    let quantized = !subject.narrow.is_empty();
    let mut probes: Vec<Box<dyn Probe + '_>> = Vec::new();
    if given && ways.runtime != Runtime::Litert {
        probes.push(Box::new(EmbeddedProbe(graph)));
    }
    if let Some(library) = library(ways, report)? {
        for kernels in [Kernels::Xnnpack, Kernels::Builtin] {
            probes.push(match quantized {
                true => Box::new(FileProbe::new(&subject.path, &library, kernels)?),
                false => Box::new(LiteRtProbe::new(graph, &library, kernels).map_err(|d| vec![d])?),
            });
        }
    }
    if probes.is_empty() {
        report.unchecked.push(
            "operators: the evaluator is what they would be compared with; give the archive with --against, or set \
             up LiteRT"
                .into(),
        );
    }
    if right.missing > 0 {
        let missing = plural(right.missing, "operator");
        let missing = format!("{missing} of {} that the file does not have", right.name);
        report.unchecked.push(missing);
    }
    let types: Vec<TensorType> = graph.inputs().iter().map(|&i| graph.ty(i).clone()).collect();
    let inputs = report.given[0].inputs(&types, |i| subject.input_layout(i, io)).map_err(|d| vec![d])?;
    let bound = if quantized { MEASURED } else { OPERATOR };
    for mut probe in probes {
        progress.stage(&format!("looking at every operator on {}", probe.name()));
        let found = per_operator(graph, right.graph, right.pairs.clone(), &inputs, bound, probe.as_mut());
        progress.finish();
        let (runtime, against) = (probe.name(), right.name.clone());
        match found {
            Ok(findings) => report.operators.push(PerOperator { runtime, against, quantized, findings }),
            Err(why) => report.failures.push((format!("{runtime}, per operator"), 0, why)),
        }
    }
    Ok(())
}
