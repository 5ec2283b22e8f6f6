//! Which calls the outputs need, and what is wrong with those.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{Diagnostic, OriginId, Origins};

use super::code::{INPUT_WRITTEN, STATEFUL, TRAINING_MODE};
use super::inline::Step;
use super::{Argument, Call, Source};

/// The calls in use.
pub(super) struct Live {
    /// The calls in order, refused ones too.
    pub(super) calls: Vec<Call>,
    /// Which of the calls are refused.
    pub(super) refused: IndexSet<usize>,
    /// Every tensor that is read.
    pub(super) names: IndexSet<Arc<str>>,
    /// Why some of them cannot be compiled, alike ones together.
    pub(super) errors: Vec<Diagnostic>,
}

/// Keeps the calls that `outputs` need. A call that gives nothing and that nothing is known of is needed too.
pub(super) fn reduce(steps: Vec<Step>, outputs: &[Arc<str>], origins: &Origins) -> Live {
    let mut names: IndexSet<Arc<str>> = outputs.iter().cloned().collect();
    let mut kept = Vec::new();
    for step in steps.into_iter().rev() {
        let results = || step.call.results.iter().flatten();
        let acts = step.blocked.is_some() && results().next().is_none();
        if acts || results().any(|t| names.contains(&t.name)) {
            names.extend(step.call.arguments.values().flat_map(Argument::tensors).map(|t| t.name.clone()));
            kept.push(step);
        }
    }
    kept.reverse();
    let mut errors = Vec::new();
    let mut calls = Vec::new();
    let mut refused = IndexSet::new();
    for step in kept {
        let blocked = step.blocked.or_else(|| training(&step.call).map(|d| d.at(origins, step.call.origin)));
        if let Some(diagnostic) = blocked {
            group(&mut errors, diagnostic);
            refused.insert(calls.len());
        }
        calls.push(step.call);
    }
    Live { calls, refused, names, errors }
}

/// Adds a diagnostic, or its place to the one that says the same.
pub(super) fn group(errors: &mut Vec<Diagnostic>, diagnostic: Diagnostic) {
    let same = errors.iter_mut().find(|d| d.code == diagnostic.code && d.message == diagnostic.message);
    let Some(same) = same else { return errors.push(diagnostic) };
    for place in diagnostic.places {
        if !same.places.contains(&place) {
            same.places.push(place);
        }
    }
}

/// What is said of a call that behaves as in training.
fn training(call: &Call) -> Option<Diagnostic> {
    let packet = call.target.split('.').nth(1)?;
    let flag = |name| call.bool(name) == Ok(true);
    let positive = |name| call.float(name).is_ok_and(|p| p > 0.0);
    let what = match packet {
        // Without running statistics a batch norm uses those of the batch in evaluation as well.
        "batch_norm"
        | "native_batch_norm"
        | "_native_batch_norm_legit"
        | "_native_batch_norm_legit_functional"
            if flag("training") && has_statistics(call) =>
        {
            "batch normalisation"
        }
        "instance_norm" if flag("use_input_stats") && has_statistics(call) => "instance normalisation",
        "dropout" | "feature_dropout" | "alpha_dropout" if flag("train") && positive("p") => "dropout",
        // Its flag may be None, which is training.
        "native_dropout" if call.bool("train") != Ok(false) && positive("p") => "dropout",
        "scaled_dot_product_attention" if positive("dropout_p") => "dropout in attention",
        "lstm" | "gru" | "rnn_tanh" | "rnn_relu" if flag("train") && positive("dropout") => {
            "dropout between layers"
        }
        "rrelu" if flag("training") => "randomised leaky relu",
        _ => return None,
    };
    Some(
        Diagnostic::new(TRAINING_MODE, format!("{what} is in training mode"))
            .help("call model.eval() before torch.export.export"),
    )
}

fn has_statistics(call: &Call) -> bool {
    matches!(call.optional_tensor("running_mean"), Ok(Some(_)))
}

/// What the program writes of its inputs, and where.
pub(super) struct Writes<'a> {
    /// Inputs of the graph that calls write, with the last call that does.
    pub(super) written: &'a [(Arc<str>, OriginId)],
    /// Tensors of the module, and inputs, that the graph gives back changed.
    pub(super) changed: &'a IndexSet<String>,
    /// The tensors of the module among the inputs.
    pub(super) sources: &'a IndexMap<Arc<str>, Source>,
}

/// A tensor of the module that is written and also read is state, which a compiled model does not have. A write
/// into an input is lost, which the user is told.
pub(super) fn check_writes(
    writes: &Writes<'_>,
    live: &IndexSet<Arc<str>>,
    origins: &Origins,
    errors: &mut Vec<Diagnostic>,
    warnings: &mut Vec<Diagnostic>,
) {
    let state = |fqn: &str| {
        Diagnostic::new(STATEFUL, format!("the model changes its own '{fqn}', and its outputs depend on it"))
            .help("make it an input and an output of forward")
    };
    let input = |name: &str| {
        Diagnostic::warning(INPUT_WRITTEN, format!("forward writes its input '{name}'"))
            .note("the compiled model leaves the input as it was")
    };
    for (name, origin) in writes.written {
        match writes.sources.get(name) {
            Some(source) if live.contains(name) => errors.push(state(&source.fqn).at(origins, *origin)),
            Some(_) => {}
            None => warnings.push(input(name).at(origins, *origin)),
        }
    }
    for changed in writes.changed {
        let source = writes.sources.iter().find(|(_, source)| source.fqn == *changed);
        match source {
            Some((name, source)) if live.contains(name) => errors.push(state(&source.fqn)),
            Some(_) => {}
            None => warnings.push(input(changed)),
        }
    }
}
