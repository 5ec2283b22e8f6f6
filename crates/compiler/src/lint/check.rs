//! A verdict on every operator of a file, and on its interface, under a hardware profile.

use ir::Diagnostic;
use serde::Serialize;

use super::profile::{Interface, Profile};
use super::usage::{Broken, Kind, NUMBERS, Port, Usage};
use crate::dialect::tfl::{
    Builtin, Model, Operator, PROVENANCE, Provenance, Spot, Subgraph, TensorEntry, decode, dtype,
};
use crate::front::tflite::{File, MALFORMED_TFLITE};

/// An operator, an input or an output, with what speaks against it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// What it is.
    pub subject: Subject,
    /// The graph it stands in; 0 is the main one.
    pub graph: usize,
    /// The builtin's or custom operator's name; the name of an input or output.
    pub name: String,
    /// The types of what it reads, as `FLOAT32[1,8]`; `None` where an optional operand is left out.
    pub reads: Vec<Option<String>>,
    /// The types of what it makes.
    pub makes: Vec<String>,
    /// The permutation of a transpose.
    pub permutation: Option<Vec<usize>>,
    /// The PyTorch call that tells best where it came from.
    pub origin: Option<Spot>,
    /// Everything that speaks against it; nothing where it holds.
    pub broken: Vec<Broken>,
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The operator of this index in its graph, in the order of execution.
    Operator(usize),
    /// The input of this index.
    Input(usize),
    /// The output of this index.
    Output(usize),
}

impl Judged {
    /// Does nothing speak against it?
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }
}

/// Every operator of a file, whoever wrote it, and its interface. Errs where its provenance cannot be read.
pub fn of_file(file: &File, profile: &Profile) -> Result<Vec<Judged>, Diagnostic> {
    let malformed = |why: String| Diagnostic::new(MALFORMED_TFLITE, why);
    let provenance = match file.metadata(PROVENANCE) {
        None => Provenance::default(),
        Some(Err(e)) => return Err(malformed(format!("the provenance cannot be read: {e}"))),
        Some(Ok(bytes)) => decode(&bytes).map_err(|why| malformed(why.0))?,
    };
    let numbers = |tensor: &TensorEntry| {
        let constant = file.constant(tensor).ok()??;
        let count: usize = constant.sizes().iter().product();
        let few = constant.dtype().is_int() && count <= NUMBERS;
        if few { Some(constant.read().ok()?.to_i64s()) } else { None }
    };
    Ok(of_model(&file.model, &provenance, &numbers, profile))
}

/// Every operator of a described file, and its interface; `numbers` gives the elements of small constants of integers.
pub fn of_model(
    model: &Model,
    provenance: &Provenance,
    numbers: &dyn Fn(&TensorEntry) -> Option<Vec<i64>>,
    profile: &Profile,
) -> Vec<Judged> {
    let mut judged = Vec::new();
    for (at, graph) in model.subgraphs.iter().enumerate() {
        let ports = ports(graph, model, numbers);
        if at == 0 {
            judged.extend(interface(model, graph, &ports, &profile.interface));
        }
        for (index, operator) in graph.operators.iter().enumerate() {
            let usage = usage(operator, &ports);
            let spots = provenance.operators.get(index).filter(|_| at == 0);
            judged.push(Judged {
                subject: Subject::Operator(index),
                graph: at,
                name: operator.name(),
                reads: usage.operands.iter().map(|port| port.as_ref().map(|p| p.shown.clone())).collect(),
                makes: usage.results.iter().map(|port| port.shown.clone()).collect(),
                permutation: usage.permutation().map(|order| order.axes().to_vec()),
                origin: spots.and_then(|spots| spots.first().cloned()),
                broken: profile.rules.broken(&usage),
            });
        }
    }
    judged
}

/// What is known of each tensor of a graph.
fn ports(graph: &Subgraph, model: &Model, numbers: &dyn Fn(&TensorEntry) -> Option<Vec<i64>>) -> Vec<Port> {
    let port = |tensor: &TensorEntry| {
        let constant = model.buffers[tensor.buffer].bytes > 0 && !tensor.variable;
        let sizes =
            tensor.shape.as_ref().map(|s| if tensor.signature.is_empty() { s } else { &tensor.signature });
        let known = |sizes: &Vec<i32>| sizes.iter().map(|&n| usize::try_from(n).ok()).collect();
        let shown = sizes.map(|sizes| {
            let shown = |n: &i32| if *n < 0 { "?".to_string() } else { n.to_string() };
            sizes.iter().map(shown).collect::<Vec<_>>().join(",")
        });
        Port {
            dtype: dtype(tensor.element),
            rank: tensor.shape.as_ref().map(Vec::len),
            sizes: sizes.and_then(known),
            shown: format!("{}[{}]", tensor.element, shown.as_deref().unwrap_or("*")),
            constant: Some(constant),
            numbers: if constant { numbers(tensor) } else { None },
        }
    };
    graph.tensors.iter().map(port).collect()
}

fn usage<'m>(operator: &'m Operator, ports: &[Port]) -> Usage<'m> {
    Usage {
        builtin: operator.operator,
        options: &operator.options,
        operands: operator.inputs.iter().map(|tensor| tensor.map(|t| ports[t].clone())).collect(),
        results: operator.outputs.iter().map(|&t| ports[t].clone()).collect(),
    }
}

/// The inputs and outputs of the main graph.
fn interface(model: &Model, graph: &Subgraph, ports: &[Port], asked: &Interface) -> Vec<Judged> {
    let signature = model.signatures.iter().find(|s| s.subgraph == 0);
    let name = |tensor: usize| {
        let ends = signature.into_iter().flat_map(|s| s.inputs.iter().chain(&s.outputs));
        let named = ends.into_iter().find(|(_, t)| *t == tensor);
        named.map_or(&graph.tensors[tensor].name, |(name, _)| name).clone()
    };
    // A graph without operators on images has none to lay out.
    let images = graph.operators.iter().any(|o| ON_IMAGES.contains(&o.operator));
    let judge = |tensor: usize, subject: Subject, turned: Option<usize>| {
        let mut broken = Vec::new();
        let rank = ports[tensor].rank;
        if let Some(most) = asked.max_rank.filter(|&most| rank.is_some_and(|rank| rank > most)) {
            broken.push(Broken {
                kind: Kind::Interface,
                limit: format!("an input or output has more than {most} axes"),
                detail: Some(ports[tensor].shown.clone()),
            });
        }
        if let Some(index) = turned.filter(|_| asked.channels_last && images) {
            broken.push(Broken {
                kind: Kind::Interface,
                limit: "images at the interface have their channels first".into(),
                detail: Some(format!("operator {index} only turns {}", ports[tensor].shown)),
            });
        }
        let (name, makes) = (name(tensor), vec![ports[tensor].shown.clone()]);
        let (reads, permutation, origin) = (Vec::new(), None, None);
        Judged { subject, graph: 0, name, reads, makes, permutation, origin, broken }
    };
    let inputs = graph.inputs.iter().enumerate();
    let inputs = inputs.map(|(i, &t)| judge(t, Subject::Input(i), turned_input(graph, ports, t)));
    let outputs = graph.outputs.iter().enumerate();
    let outputs = outputs.map(|(i, &t)| judge(t, Subject::Output(i), turned_output(graph, ports, t)));
    inputs.chain(outputs).collect()
}

/// Builtins that take images with their channels last.
const ON_IMAGES: &[Builtin] = &[
    Builtin::AVERAGE_POOL_2D,
    Builtin::CONV_2D,
    Builtin::DEPTHWISE_CONV_2D,
    Builtin::DEPTH_TO_SPACE,
    Builtin::L2_POOL_2D,
    Builtin::MAX_POOL_2D,
    Builtin::RESIZE_BILINEAR,
    Builtin::RESIZE_NEAREST_NEIGHBOR,
    Builtin::SPACE_TO_DEPTH,
    Builtin::TRANSPOSE_CONV,
];

/// Channels first to channels last, and back.
const TO_LAST: [usize; 4] = [0, 2, 3, 1];
const TO_FIRST: [usize; 4] = [0, 3, 1, 2];

fn turns(operator: &Operator, ports: &[Port], axes: &[usize]) -> bool {
    usage(operator, ports).permutation().is_some_and(|order| order.axes() == axes)
}

/// The operator that puts an input's channels last, where no operator reads it otherwise.
fn turned_input(graph: &Subgraph, ports: &[Port], tensor: usize) -> Option<usize> {
    let readers: Vec<usize> = (0..graph.operators.len())
        .filter(|&i| graph.operators[i].inputs.iter().flatten().any(|&t| t == tensor))
        .collect();
    let all = readers.iter().all(|&i| turns(&graph.operators[i], ports, &TO_LAST));
    readers.first().copied().filter(|_| all && !graph.outputs.contains(&tensor))
}

/// The operator that puts an output's channels first, where nothing else reads it.
fn turned_output(graph: &Subgraph, ports: &[Port], tensor: usize) -> Option<usize> {
    let read = graph.operators.iter().any(|o| o.inputs.iter().flatten().any(|&t| t == tensor));
    let maker = graph.operators.iter().position(|o| o.outputs.contains(&tensor))?;
    (!read && turns(&graph.operators[maker], ports, &TO_FIRST)).then_some(maker)
}
