//! What holds of every graph, and what holds from a stage on.

use crate::diagnostic::Diagnostic;
use crate::graph::{Definition, Graph, ValueId};
use crate::operator::Operator;
use crate::pass::Stage;

crate::codes! {
    /// A size of the model is not a number yet.
    ///
    /// The model was exported with dynamic shapes. A `.tflite` is compiled for numbers: give the sizes of the
    /// inputs with `--shape NAME=1,3,224,224`, or a symbol's value with `--pin s0=224`.
    UNPINNED_SIZE = "unpinned-size", Usage;

    /// A size or number depends on the data in the input, such as the number of nonzero elements.
    DATA_DEPENDENT_SIZE = "data-dependent-size", Unsupported;

    /// An operator cannot be spelled as a LiteRT builtin.
    ///
    /// After every rewrite that is exact, this operator still has no builtin with the same meaning for its dtype,
    /// rank and attributes. The message says which limit it met.
    ILLEGAL_OPERATOR = "illegal-operator", Unsupported;
}

/// Checks the graph; errs with everything that is wrong. A graph that is not well formed is a bug of ours; one
/// that has not reached `stage` is told in the user's terms.
pub fn validate<O: Operator>(graph: &Graph<O>, stage: Stage) -> Result<(), Vec<Diagnostic>> {
    let mut found = Vec::new();
    well_formed(graph, &mut found);
    if found.is_empty() && stage >= Stage::Static {
        pinned(graph, &mut found);
    }
    if found.is_empty() && stage >= Stage::Legal {
        legal(graph, &mut found);
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

fn well_formed<O: Operator>(graph: &Graph<O>, found: &mut Vec<Diagnostic>) {
    let mut made = vec![false; graph.values.len()];
    for (i, value) in graph.values.iter().enumerate() {
        made[i] = match value.definition {
            Definition::Constant(_) => true,
            // What was an input until another took its place is made by nothing.
            Definition::Input(at) => graph.inputs.get(at).is_some_and(|v| v.index() == i),
            Definition::Output(..) => false,
        };
    }
    let name = |v: ValueId| &graph.value(v).name;
    for (id, node) in graph.nodes() {
        let bug = |message: String| Diagnostic::bug(message).at(&graph.origins, node.origin);
        for &input in &node.inputs {
            if !made[input.index()] {
                found.push(bug(format!("{} reads %{} before it is made", node.op.name(), name(input))));
            }
            if !graph.users(input).contains(&id) {
                found.push(bug(format!("%{} does not know its reader {}", name(input), node.op.name())));
            }
        }
        for &output in &node.outputs {
            made[output.index()] = true;
        }
        let types: Vec<_> = node.outputs.iter().map(|&o| graph.ty(o).clone()).collect();
        match node.op.infer(&graph.types(&node.inputs)) {
            Ok(inferred) if inferred == types => {}
            Ok(inferred) => found.push(bug(format!(
                "%{} is {} but {} gives {}",
                name(node.outputs[0]),
                types[0],
                node.op.name(),
                inferred.first().map(ToString::to_string).unwrap_or_default()
            ))),
            Err(mismatch) => {
                found.push(bug(format!("{} does not take its inputs: {mismatch}", node.op.name())))
            }
        }
    }
    for &output in graph.outputs() {
        if !made[output.index()] {
            found.push(Diagnostic::bug(format!("the graph gives %{}, which nothing makes", name(output))));
        }
    }
}

fn pinned<O: Operator>(graph: &Graph<O>, found: &mut Vec<Diagnostic>) {
    for &input in graph.inputs() {
        let value = graph.value(input);
        if value.ty.shape.known().is_none() {
            let message = format!("the input {} is {}, with a size that is not pinned", value.name, value.ty);
            found.push(
                Diagnostic::new(UNPINNED_SIZE, message)
                    .help(format!("say --shape {}=… with a number for each axis", value.name)),
            );
        }
    }
    for (_, node) in graph.nodes() {
        for &output in &node.outputs {
            if graph.ty(output).shape.known().is_none() && found.is_empty() {
                let message = format!(
                    "%{} is {}, whose size depends on data",
                    graph.value(output).name,
                    graph.ty(output)
                );
                found.push(Diagnostic::new(DATA_DEPENDENT_SIZE, message).at(&graph.origins, node.origin));
            }
        }
    }
}

/// Every run-time operator must be legal; weight expressions are evaluated by the writer and need not be.
fn legal<O: Operator>(graph: &Graph<O>, found: &mut Vec<Diagnostic>) {
    let constant = graph.constness();
    for (_, node) in graph.nodes() {
        if node.outputs.iter().all(|o| constant[o.index()]) {
            continue;
        }
        if let Err(why) = node.op.legal(&graph.types(&node.inputs), &graph.types(&node.outputs)) {
            found.push(Diagnostic::new(ILLEGAL_OPERATOR, why.0).at(&graph.origins, node.origin));
        }
    }
}
