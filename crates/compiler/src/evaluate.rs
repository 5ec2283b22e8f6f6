//! The reference interpreter: a graph computed on tensors in memory, one operator after the other.
//!
//! It is written to be right and readable, and fast enough for a ResNet. It is not the runtime that a model is
//! deployed on: no latency is ever reported from it.

mod expression;

use ir::{Diagnostic, Operator, Tensor, ValueId};

use crate::ops::Graph;

pub use expression::Expressions;

ir::codes! {
    /// The embedded evaluator cannot compute this operator for these dtypes.
    ///
    /// The model may still be fine: verify it on LiteRT with `verify --runtime litert`.
    NOT_EVALUATED = "not-evaluated", Unsupported;

    /// The recorded inputs do not fit the model.
    ///
    /// The `.safetensors` file beside an archive holds `input.0`, `input.1`, … with the dtypes and sizes of the
    /// model's inputs. Record them again with `edgewright.export`.
    WRONG_INPUTS = "wrong-inputs", Invalid;

    /// A weight cannot be read.
    ///
    /// The archive was cut short, or the disk failed, after the model was opened.
    UNREADABLE_WEIGHT = "unreadable-weight", Io;

    /// A weight is too large to be computed at once and has no form that is computed in slabs.
    ///
    /// Weights stream through in slabs of at most 32 MB. This operator needs all of its operand in memory.
    WEIGHT_TOO_LARGE = "weight-too-large", Unsupported;
}

/// The graph's outputs for these inputs, in order.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
    run_observed(graph, inputs, &mut |_, _| {})
}

/// Like [`run`], showing each run-time value when it is made.
pub fn run_observed(
    graph: &Graph,
    inputs: &[Tensor],
    observe: &mut dyn FnMut(ValueId, &Tensor),
) -> Result<Vec<Tensor>, Diagnostic> {
    check_inputs(graph, inputs)?;
    let constant = graph.constness();
    let mut left: Vec<usize> = vec![0; constant.len()];
    for id in graph.value_ids() {
        left[id.index()] = graph.use_count(id);
    }
    let mut values: Vec<Option<Tensor>> = vec![None; constant.len()];
    for (&id, tensor) in graph.inputs().iter().zip(inputs) {
        values[id.index()] = Some(tensor.clone());
    }
    for (_, node) in graph.nodes() {
        for &input in &node.inputs {
            load(graph, input, &mut values)?;
        }
        let operands: Vec<&Tensor> =
            node.inputs.iter().map(|i| values[i.index()].as_ref().expect("made before it is read")).collect();
        let results = node.op.evaluate(&operands).ok_or_else(|| {
            let types: Vec<String> = operands.iter().map(|t| t.ty().to_string()).collect();
            Diagnostic::new(
                NOT_EVALUATED,
                format!("{} of {} is not evaluated", node.op.name(), types.join(", ")),
            )
            .at(&graph.origins, node.origin)
        })?;
        for (&output, tensor) in node.outputs.iter().zip(results) {
            if tensor.ty() != *graph.ty(output) {
                let found =
                    format!("{} evaluates to {} but is {}", node.op.name(), tensor.ty(), graph.ty(output));
                return Err(Diagnostic::bug(found).at(&graph.origins, node.origin));
            }
            if !constant[output.index()] {
                observe(output, &tensor);
            }
            values[output.index()] = (left[output.index()] > 0).then_some(tensor);
        }
        for &input in &node.inputs {
            left[input.index()] -= 1;
            if left[input.index()] == 0 {
                values[input.index()] = None;
            }
        }
    }
    let mut outputs = Vec::new();
    for &output in graph.outputs() {
        load(graph, output, &mut values)?;
        outputs.push(values[output.index()].clone().expect("every output is made"));
    }
    Ok(outputs)
}

/// Brings a constant into memory.
fn load(graph: &Graph, id: ValueId, values: &mut [Option<Tensor>]) -> Result<(), Diagnostic> {
    if values[id.index()].is_none()
        && let Some(constant) = graph.constant(id)
    {
        values[id.index()] = Some(constant.read().map_err(|e| unreadable(graph, id, &e))?);
    }
    Ok(())
}

fn unreadable(graph: &Graph, id: ValueId, error: &std::io::Error) -> Diagnostic {
    Diagnostic::new(
        UNREADABLE_WEIGHT,
        format!("the weight %{} cannot be read: {error}", graph.value(id).name),
    )
}

fn check_inputs(graph: &Graph, inputs: &[Tensor]) -> Result<(), Diagnostic> {
    let wanted = graph.inputs();
    if wanted.len() != inputs.len() {
        let found = format!("the model takes {} inputs, not {}", wanted.len(), inputs.len());
        return Err(Diagnostic::new(WRONG_INPUTS, found));
    }
    for (i, (&id, tensor)) in wanted.iter().zip(inputs).enumerate() {
        if tensor.ty() != *graph.ty(id) {
            let name = &graph.value(id).name;
            let found = format!("input {i} ({name}) is {}, but {} is given", graph.ty(id), tensor.ty());
            return Err(Diagnostic::new(WRONG_INPUTS, found));
        }
    }
    Ok(())
}
