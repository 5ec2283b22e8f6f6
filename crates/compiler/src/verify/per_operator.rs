//! Where does an error come from? Every operator's output held against the evaluator, alone and along the way.

use std::ops::Range;

use indexmap::{IndexMap, IndexSet};
use ir::{Diagnostic, Leaf, Node, NodeId, Operator, Tensor, TensorType, ValueId};

use super::{OPERATOR, Verdict, compare};
use crate::evaluate;
use crate::ops::{Graph, Op};

/// Something that computes a graph and shows the values in it.
pub trait Probe {
    /// What reports call it.
    fn name(&self) -> String;

    /// The values asked for, in this order, for these inputs.
    fn values(&mut self, wanted: &[ValueId], inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic>;
}

/// What was found at one output of an operator.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The operator's place in the order of the run.
    pub index: usize,
    /// The operator's name.
    pub operator: &'static str,
    /// The value's name.
    pub value: String,
    /// The value's type.
    pub ty: TensorType,
    /// The call in PyTorch that it came from.
    pub place: Option<Leaf>,
    /// Against the evaluator on the very inputs that the operator had: the error of this operator alone. `None` where
    /// an input or the output cannot be looked at.
    pub isolated: Option<Result<Verdict, String>>,
    /// Against the evaluator's own run: the error of all that went before, too.
    pub accumulated: Option<Result<Verdict, String>>,
}

impl Finding {
    /// How far the isolated error goes to its bound: over 1 is beyond. Infinite where the two cannot be compared.
    pub fn strain(&self) -> f64 {
        strain(self.isolated.as_ref())
    }

    /// The same of the accumulated error.
    pub fn accumulated_strain(&self) -> f64 {
        strain(self.accumulated.as_ref())
    }
}

fn strain(judged: Option<&Result<Verdict, String>>) -> f64 {
    match judged {
        None => 0.0,
        Some(Ok(verdict)) if verdict.passes() => 1.0 / verdict.margin(),
        Some(Ok(verdict)) => (1.0 / verdict.margin()).max(1.0 + f64::EPSILON),
        Some(Err(_)) => f64::INFINITY,
    }
}

/// A graph like this one whose outputs are these values.
pub fn twin(graph: &Graph, outputs: &[ValueId]) -> Graph {
    let mut twin = graph.clone();
    twin.set_outputs(outputs.to_vec());
    twin.sweep();
    twin
}

/// The evaluator as a probe: what a file computes where it differs from what it should.
pub struct EmbeddedProbe<'g>(pub &'g Graph);

impl Probe for EmbeddedProbe<'_> {
    fn name(&self) -> String {
        "evaluator".into()
    }

    fn values(&mut self, wanted: &[ValueId], inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        evaluate::run(&twin(self.0, wanted), inputs)
    }
}

/// How many values, and how many bytes of them, are looked at in one run.
const VALUES: usize = 200;
const BYTES: usize = 256 << 20;

/// Looks at every run-time operator of `subject` as `probe` computes it. `reference` says what it should compute: the
/// same graph, or another of the same operators with the right constants. Errs where the two are not of the same
/// operators, or one cannot be run.
pub fn per_operator(
    subject: &Graph,
    reference: &Graph,
    inputs: &[Tensor],
    probe: &mut dyn Probe,
) -> Result<Vec<Finding>, Diagnostic> {
    let pairs = paired(subject, reference).map_err(Diagnostic::bug)?;
    let chunks = chunks(subject, &pairs, VALUES, BYTES);
    let mut place: IndexMap<ValueId, (usize, usize)> = IndexMap::new();
    for (index, (_, node)) in pairs.iter().enumerate() {
        place.extend(reference.node(*node).outputs.iter().enumerate().map(|(i, &v)| (v, (index, i))));
    }
    let mut walk = Walk { subject, reference, inputs, pairs, chunk: 0..0, values: IndexMap::new() };
    let mut upcoming = chunks.into_iter();
    let mut findings = Vec::new();
    let mut failure = None;
    evaluate::run_observed(reference, inputs, &mut |value, tensor| {
        let Some(&(index, output)) = place.get(&value).filter(|_| failure.is_none()) else { return };
        let next = if walk.chunk.contains(&index) { Ok(()) } else { walk.load(upcoming.next(), probe) };
        match next.and_then(|()| walk.look(index, output, tensor)) {
            Ok(finding) => findings.push(finding),
            Err(why) => failure = Some(why),
        }
    })?;
    failure.map_or(Ok(findings), Err)
}

/// The run-time nodes of both graphs, which must be the same operators on the same types in the same order.
/// Errs with the first that is not.
pub fn paired(subject: &Graph, reference: &Graph) -> Result<Vec<(NodeId, NodeId)>, String> {
    let (a, b) = (run_time(subject), run_time(reference));
    for (i, (&x, &y)) in a.iter().zip(&b).enumerate() {
        let [found, wanted] =
            [(subject, x), (reference, y)].map(|(graph, id)| described(graph, graph.node(id)));
        if found != wanted {
            return Err(format!("operator {i} is {found}, not {wanted}"));
        }
    }
    match a.len() == b.len() {
        true => Ok(a.into_iter().zip(b).collect()),
        false => Err(format!("{} operators, not {}", a.len(), b.len())),
    }
}

fn run_time(graph: &Graph) -> Vec<NodeId> {
    let constant = graph.constness();
    let runs = |node: &Node<Op>| node.outputs.iter().any(|o| !constant[o.index()]);
    graph.nodes().filter(|(_, node)| runs(node)).map(|(id, _)| id).collect()
}

fn described(graph: &Graph, node: &Node<Op>) -> String {
    let types =
        |ids: &[ValueId]| graph.types(ids).iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(", ");
    format!("{}({}) -> {}", node.op.name(), types(&node.inputs), types(&node.outputs))
}

/// Runs of nodes, each with the values that are looked at together.
struct Chunk {
    nodes: Range<usize>,
    wanted: IndexSet<ValueId>,
}

/// Each chunk holds what its nodes read and make, so that it can be judged by itself.
fn chunks(graph: &Graph, pairs: &[(NodeId, NodeId)], values: usize, most: usize) -> Vec<Chunk> {
    let constant = graph.constness();
    let seen = |v: ValueId| -> bool {
        !constant[v.index()] && !graph.inputs().contains(&v) && graph.ty(v).count().is_ok_and(|n| n > 0)
    };
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut bytes = 0;
    for (index, (id, _)) in pairs.iter().enumerate() {
        let node = graph.node(*id);
        let wanted = || node.inputs.iter().chain(&node.outputs).copied().filter(|&v| seen(v));
        let size: usize = wanted().map(|v| graph.ty(v).bytes().unwrap_or(0)).sum();
        let full =
            chunks.last().is_none_or(|c| c.wanted.len() + wanted().count() > values || bytes + size > most);
        if full {
            chunks.push(Chunk { nodes: index..index, wanted: IndexSet::new() });
            bytes = 0;
        }
        bytes += size;
        if let Some(chunk) = chunks.last_mut() {
            chunk.nodes.end = index + 1;
            chunk.wanted.extend(wanted());
        }
    }
    chunks
}

struct Walk<'g> {
    subject: &'g Graph,
    reference: &'g Graph,
    inputs: &'g [Tensor],
    pairs: Vec<(NodeId, NodeId)>,
    /// The nodes whose values are there.
    chunk: Range<usize>,
    values: IndexMap<ValueId, Tensor>,
}

impl Walk<'_> {
    fn load(&mut self, chunk: Option<Chunk>, probe: &mut dyn Probe) -> Result<(), Diagnostic> {
        let chunk = chunk.ok_or_else(|| Diagnostic::bug("the evaluator's order is not the graph's"))?;
        self.values.clear();
        let wanted: Vec<ValueId> = chunk.wanted.into_iter().collect();
        if !wanted.is_empty() {
            let tensors = probe.values(&wanted, self.inputs)?;
            self.values.extend(wanted.into_iter().zip(tensors));
        }
        self.chunk = chunk.nodes;
        Ok(())
    }

    fn look(&self, index: usize, output: usize, run: &Tensor) -> Result<Finding, Diagnostic> {
        let (subject, reference) = self.pairs[index];
        let node = self.subject.node(subject);
        let value = node.outputs[output];
        let found = self.values.get(&value);
        let alone = found.and(self.alone(subject, reference)?);
        let judge = |found: &Tensor, reference: &Tensor| compare(found, reference, OPERATOR, None);
        Ok(Finding {
            index,
            operator: node.op.name(),
            value: self.subject.value(value).name.clone(),
            ty: self.subject.ty(value).clone(),
            place: self.place(subject, reference),
            isolated: found.zip(alone.as_ref()).map(|(found, alone)| judge(found, &alone[output])),
            accumulated: found.map(|found| judge(found, run)),
        })
    }

    /// The reference's operator on the inputs that the probed one had; `None` where one of them is not known.
    fn alone(&self, subject: NodeId, reference: NodeId) -> Result<Option<Vec<Tensor>>, Diagnostic> {
        let (read, right) = (&self.subject.node(subject).inputs, self.reference.node(reference));
        let mut operands = Vec::with_capacity(read.len());
        for (&id, &should) in read.iter().zip(&right.inputs) {
            let given = self.subject.inputs().iter().position(|&i| i == id);
            let operand = match (given, self.values.get(&id)) {
                (Some(input), _) => self.inputs[input].clone(),
                (None, Some(value)) => value.clone(),
                // A weight, or an expression over weights.
                (None, None) if self.reference.is_constant(should) => {
                    evaluate::run(&twin(self.reference, &[should]), self.inputs)?.remove(0)
                }
                (None, None) => return Ok(None),
            };
            operands.push(operand);
        }
        Ok(right.op.evaluate(&operands.iter().collect::<Vec<_>>()))
    }

    /// The reference comes from the archive, which knows the line's text; a file knows where it was written from.
    fn place(&self, subject: NodeId, reference: NodeId) -> Option<Leaf> {
        let leaf = |graph: &Graph, id| graph.origins.leaf(graph.node(id).origin).cloned();
        leaf(self.reference, reference).or_else(|| leaf(self.subject, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: &str = "
graph @main(%x: f32[2,3]) -> f32[2,3] {
  %w = constant seed 1 : f32[3]
  %m = mul(%x, %w) {activation=none} : f32[2,3] @0
  %n = neg(%m) : f32[2,3] @1
  %a = add(%n, %w) {activation=none} : f32[2,3] @2
  return %a
}
@0 = net.py:3 in Net.forward, module a, aten.mul.Tensor \"mul\"
@1 = net.py:4 in Net.forward, module b, aten.neg.default \"neg\"
@2 = net.py:5 in Net.forward, module c, aten.add.Tensor \"add\"
";

    fn graph(text: &str) -> Graph {
        ir::parse::<Op>(text, &|_| None).unwrap()
    }

    #[test]
    fn the_operator_whose_constant_is_wrong_is_named() {
        let reference = graph(NET);
        // Another constant for the product alone.
        let wrong = NET.replace("%m = mul(%x, %w)", "%v = constant seed 2 : f32[3]\n  %m = mul(%x, %v)");
        let subject = graph(&wrong);
        let x = Tensor::new(&[2, 3], &[1f32, 2., 3., 4., 5., 6.]);
        let found = per_operator(&subject, &reference, &[x], &mut EmbeddedProbe(&subject)).unwrap();
        let beyond: Vec<_> =
            found.iter().map(|f| (f.operator, f.strain() > 1.0, f.accumulated_strain() > 1.0)).collect();
        assert_eq!(beyond, [("mul", true, true), ("neg", false, true), ("add", false, true)]);
        assert_eq!(found[0].place.as_ref().unwrap().line().unwrap().line, 3);
    }

    #[test]
    fn each_chunk_holds_what_its_operators_read_and_make() {
        let graph = graph(NET);
        let pairs = paired(&graph, &graph).unwrap();
        let names =
            |chunk: &Chunk| chunk.wanted.iter().map(|&v| graph.value(v).name.clone()).collect::<Vec<_>>();
        let split: Vec<_> = chunks(&graph, &pairs, 2, usize::MAX).iter().map(names).collect();
        assert_eq!(split, [vec!["m"], vec!["m", "n"], vec!["n", "a"]]);
        assert_eq!(
            chunks(&graph, &pairs, 2, usize::MAX).iter().map(|c| c.nodes.clone()).collect::<Vec<_>>(),
            [0..1, 1..2, 2..3]
        );
        let whole: Vec<_> = chunks(&graph, &pairs, VALUES, BYTES).iter().map(names).collect();
        assert_eq!(whole, [["m", "n", "a"]]);
    }

    #[test]
    fn graphs_of_other_operators_are_not_paired() {
        let other = NET.replace("neg(%m)", "abs(%m)");
        let why = paired(&graph(&other), &graph(NET)).unwrap_err();
        assert_eq!(why, "operator 1 is abs(f32[2,3]) -> f32[2,3], not neg(f32[2,3]) -> f32[2,3]");
    }
}
