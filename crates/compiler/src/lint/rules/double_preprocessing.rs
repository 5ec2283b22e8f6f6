//! The same affine map of an input, twice in a row.

use ir::{Diagnostic, NodeId, ValueId};

use crate::ops::{Activation, Arithmetic, Binary, Graph, Op};

ir::codes! {
    /// An input goes through the same affine map twice in a row.
    ///
    /// ## What it finds
    ///
    /// A map `a·x + b` of an input, alike for all elements or one number per channel, that is applied again at once:
    /// `2·x − 1` and then `2·x − 1`. Copies, permutations and resizes between the two do not hide it.
    ///
    /// ## Why it is seldom meant
    ///
    /// A range is mapped once: from [0, 1] to [−1, 1], say. Where a wrapper does so and the module that it wraps does
    /// so again, the module sees [−3, 1]. The model still runs, and its numbers look plausible.
    ///
    /// ## Example
    ///
    /// ```python
    /// def forward(self, image):
    ///     return self.detector(2 * image - 1)   # the detector's own forward begins with 2 * image - 1
    /// ```
    ///
    /// ## What to do
    ///
    /// Take the map out of one of the two places. Edgewright compiles what the model says, and changes nothing here.
    DOUBLE_PREPROCESSING = "double-preprocessing", Failed;
}

/// One step of an affine map: which function, which operand the constant is, and its elements.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    function: Arithmetic,
    constant: usize,
    elements: Vec<f64>,
}

/// Constants of more elements than this are no numbers per channel.
const ELEMENTS: usize = 4096;

/// The most steps of a map: `(x − mean) / deviation` has two.
const LONGEST: usize = 2;

pub(super) fn look(graph: &Graph) -> Vec<Diagnostic> {
    let inputs = graph.inputs().iter().filter(|&&input| graph.ty(input).dtype.is_float());
    inputs.filter_map(|&input| repeated(graph, &chain(graph, input))).collect()
}

/// The affine steps that an input goes through one after the other.
fn chain(graph: &Graph, input: ValueId) -> Vec<(NodeId, Step)> {
    let mut steps = Vec::new();
    let mut value = input;
    loop {
        let mut next = None;
        for &user in graph.users(value) {
            let node = graph.node(user);
            if let Some(step) = step(graph, &node.op, &node.inputs, value) {
                steps.push((user, step));
                next = Some(node.outputs[0]);
                break;
            }
            if moves_only(&node.op) && node.inputs.first() == Some(&value) {
                next = Some(node.outputs[0]);
            }
        }
        match next {
            Some(output) => value = output,
            None => return steps,
        }
    }
}

/// Does the operator commute with an affine map that is alike for all elements?
fn moves_only(op: &Op) -> bool {
    matches!(op, Op::Transpose(_) | Op::Reshape(_) | Op::Resize(_) | Op::Slice(_) | Op::Cast(_))
}

fn step(graph: &Graph, op: &Op, inputs: &[ValueId], value: ValueId) -> Option<Step> {
    let &Op::Binary(Binary { function, activation: Activation::None }) = op else { return None };
    if !matches!(function, Arithmetic::Add | Arithmetic::Sub | Arithmetic::Mul | Arithmetic::Div) {
        return None;
    }
    let constant = inputs.iter().position(|&v| v != value)?;
    let data = graph.constant(inputs[constant])?;
    // A quotient by x is no affine map of it.
    if function == Arithmetic::Div && constant == 0 || data.sizes().iter().product::<usize>() > ELEMENTS {
        return None;
    }
    Some(Step { function, constant, elements: data.read().ok()?.to_f64s() })
}

/// A warning where some steps are at once followed by the same.
fn repeated(graph: &Graph, steps: &[(NodeId, Step)]) -> Option<Diagnostic> {
    for length in (1..=LONGEST).rev() {
        for at in 0..steps.len().saturating_sub(2 * length - 1) {
            let (first, second) = (&steps[at..at + length], &steps[at + length..at + 2 * length]);
            let alike = first.iter().zip(second).all(|((_, a), (_, b))| a == b);
            if !alike {
                continue;
            }
            let map = first.iter().fold("x".to_string(), |inner, (_, step)| step.text(&inner));
            let message = format!("an input is mapped by {map}, and what that gives by {map} again");
            let ends = [first, second].map(|part| graph.node(part[length - 1].0).origin);
            let warned = Diagnostic::warning(DOUBLE_PREPROCESSING, message);
            let placed = ends.iter().fold(warned, |d, &origin| d.at(&graph.origins, origin));
            return Some(placed.help("drop one of the two; what is meant to be twice needs no change"));
        }
    }
    None
}

impl Step {
    /// The step on `inner`, as people write it.
    fn text(&self, inner: &str) -> String {
        let number = match &self.elements[..] {
            // The constants of a model are f32 as a rule, and short as such.
            [number] => (*number as f32).to_string(),
            [first, ..] => format!("[{}, …]", *first as f32),
            [] => "[]".into(),
        };
        let product = matches!(self.function, Arithmetic::Mul | Arithmetic::Div);
        let inner = if product && inner.contains(' ') { format!("({inner})") } else { inner.to_string() };
        let sign = match self.function {
            Arithmetic::Add => " + ",
            Arithmetic::Sub => " − ",
            Arithmetic::Mul => "·",
            _ => "/",
        };
        // A factor is written first, wherever the model has it.
        match self.constant == 0 || self.function == Arithmetic::Mul {
            true => format!("{number}{sign}{inner}"),
            false => format!("{inner}{sign}{number}"),
        }
    }
}
