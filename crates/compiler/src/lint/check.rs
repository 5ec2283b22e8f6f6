//! A verdict on every operator of a file, and on its interface, under a hardware profile.

use ir::Diagnostic;
use serde::Serialize;

use super::channels::{self, Channels};
use super::profile::{Interface, Profile};
use super::usage::{Broken, Kind, NUMBERS, Port, Usage};
use crate::dialect::tfl::{
    Model, Operator, PROVENANCE, Provenance, Spot, Subgraph, TensorEntry, decode, dtype,
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
        let usages: Vec<Usage<'_>> = graph.operators.iter().map(|operator| usage(operator, &ports)).collect();
        if at == 0 {
            let channels = channels::of(graph, &usages);
            judged.extend(interface(model, graph, &ports, &channels, &profile.interface));
        }
        for (index, (operator, usage)) in graph.operators.iter().zip(usages).enumerate() {
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
fn interface(
    model: &Model,
    graph: &Subgraph,
    ports: &[Port],
    channels: &[Option<Channels>],
    asked: &Interface,
) -> Vec<Judged> {
    let signature = model.signatures.iter().find(|s| s.subgraph == 0);
    let name = |tensor: usize| {
        let ends = signature.into_iter().flat_map(|s| s.inputs.iter().chain(&s.outputs));
        let named = ends.into_iter().find(|(_, t)| *t == tensor);
        named.map_or(&graph.tensors[tensor].name, |(name, _)| name).clone()
    };
    let judge = |tensor: usize, subject: Subject| {
        let mut broken = Vec::new();
        let rank = ports[tensor].rank;
        if let Some(most) = asked.max_rank.filter(|&most| rank.is_some_and(|rank| rank > most)) {
            broken.push(Broken {
                kind: Kind::Interface,
                limit: format!("an input or output has more than {most} axes"),
                detail: Some(ports[tensor].shown.clone()),
            });
        }
        let first = |channels: &Channels| asked.channels_last && channels.axis == 1;
        if let Some(turned) = channels[tensor].filter(first).and_then(|channels| channels.turned) {
            broken.push(Broken {
                kind: Kind::Interface,
                limit: "images at the interface have their channels first".into(),
                detail: Some(match subject {
                    Subject::Output(_) => format!("operator {turned} puts them there"),
                    _ => format!("operator {turned} puts them last"),
                }),
            });
        }
        let (name, makes) = (name(tensor), vec![ports[tensor].shown.clone()]);
        let (reads, permutation, origin) = (Vec::new(), None, None);
        Judged { subject, graph: 0, name, reads, makes, permutation, origin, broken }
    };
    let inputs = graph.inputs.iter().enumerate().map(|(i, &t)| judge(t, Subject::Input(i)));
    let outputs = graph.outputs.iter().enumerate().map(|(i, &t)| judge(t, Subject::Output(i)));
    inputs.chain(outputs).collect()
}
