//! Where does an error come from? Every operator's output held against the evaluator, alone and along the way.
//!
//! With `Q` what a file computes and `F` what it should, operator by operator on their own inputs `q` and `f`:
//!
//! ```text
//! Q(q) − F(f)  =  (Q(q) − F(q))  +  (F(q) − F(f))
//! accumulated      isolated          inherited
//! ```

use std::ops::Range;

use indexmap::{IndexMap, IndexSet};
use ir::{DType, Diagnostic, Leaf, Node, NodeId, Operator, Tensor, TensorType, ValueId};

use super::{Bound, Verdict, compare};
use crate::evaluate;
use crate::ops::{Graph, Op};

/// Something that computes a graph and shows the values in it.
pub trait Probe {
    /// What reports call it.
    fn name(&self) -> String;

    /// Can it show this value?
    fn shows(&self, _: ValueId) -> bool {
        true
    }

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
    /// The dtype of its weights, where they stand for floats of 32 bits and are narrower.
    pub narrow: Option<DType>,
    /// Against the evaluator on the very inputs that the operator had: the error of this operator alone. `None` where
    /// an input or the output cannot be looked at.
    pub isolated: Option<Result<Verdict, String>>,
    /// The evaluator on the inputs that the operator had, against the evaluator's own run: what its inputs brought.
    pub inherited: Option<Result<Verdict, String>>,
    /// Against the evaluator's own run: the error of all that went before, too.
    pub accumulated: Option<Result<Verdict, String>>,
}

impl Finding {
    /// How far the isolated error goes to its bound: over 1 is beyond. Infinite where the two cannot be compared.
    pub fn strain(&self) -> f64 {
        strain(self.isolated.as_ref())
    }

    /// The noise that this operator adds, in dB below its output; infinite where it adds none that is seen.
    pub fn snr(&self) -> f64 {
        self.isolated
            .as_ref()
            .and_then(|judged| judged.as_ref().ok())
            .map_or(f64::INFINITY, |v| v.metrics.snr)
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

/// Nodes of a file with those of what it should compute.
pub type Pairs = Vec<(NodeId, NodeId)>;

/// Looks at the run-time operators of `subject` as `probe` computes it. `reference` says what it should compute: the
/// same graph, or another with the right constants; `pairs` says which operators are the same, in the reference's
/// order. Errs where one of the two cannot be run.
pub fn per_operator(
    subject: &Graph,
    reference: &Graph,
    pairs: Pairs,
    inputs: &[Tensor],
    bound: Bound,
    probe: &mut dyn Probe,
) -> Result<Vec<Finding>, Diagnostic> {
    let chunks = chunks(subject, &pairs, probe, VALUES, BYTES);
    let mut place: IndexMap<ValueId, (usize, usize)> = IndexMap::new();
    for (index, (_, node)) in pairs.iter().enumerate() {
        place.extend(reference.node(*node).outputs.iter().enumerate().map(|(i, &v)| (v, (index, i))));
    }
    let [weights, right] = [subject, reference].map(weights);
    let values = IndexMap::new();
    let mut walk = Walk { subject, reference, weights, right, inputs, pairs, bound, chunk: 0..0, values };
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

/// The run-time nodes of both graphs, which must be the same operators on the same types in the same order; weights,
/// and what widens them, aside. Errs with the first that is not.
pub fn paired(subject: &Graph, reference: &Graph) -> Result<Pairs, String> {
    let (a, b) = (run_time(subject), run_time(reference));
    for (i, ((_, found), (_, wanted))) in a.iter().zip(&b).enumerate() {
        if found != wanted {
            return Err(format!("operator {i} is {found}, not {wanted}"));
        }
    }
    match a.len() == b.len() {
        true => Ok(a.into_iter().zip(b).map(|((x, _), (y, _))| (x, y)).collect()),
        false => Err(format!("{} operators, not {}", a.len(), b.len())),
    }
}

/// The run-time nodes of both graphs that are the same operators on the same types, in the reference's order; and how
/// many of the reference have none. Two are the same that make values of one name, or else that read the same values
/// where those are paired. A file that was quantized has operators besides.
pub fn paired_in_part(subject: &Graph, reference: &Graph) -> (Pairs, usize) {
    let (found, wanted) = (run_time(subject), run_time(reference));
    let name = |graph: &Graph, id: NodeId| graph.value(graph.node(id).outputs[0]).name.clone();
    let named: IndexMap<String, usize> =
        found.iter().enumerate().map(|(at, (id, _))| (name(subject, *id), at)).collect();
    let mut partner: Vec<Option<usize>> = wanted
        .iter()
        .map(|(id, described)| {
            named.get(&name(reference, *id)).copied().filter(|&at| found[at].1 == *described)
        })
        .collect();
    let mut free: IndexSet<usize> = (0..found.len()).filter(|at| !partner.contains(&Some(*at))).collect();
    let (own, right) = (weights(subject), weights(reference));
    let mut same: IndexMap<ValueId, ValueId> =
        reference.inputs().iter().copied().zip(subject.inputs().iter().copied()).collect();
    for (slot, (id, described)) in partner.iter_mut().zip(&wanted) {
        let node = reference.node(*id);
        if slot.is_none() {
            let reads = node.inputs.iter().filter(|v| !right[v.index()]).map(|v| same.get(v).copied());
            let reads: Option<Vec<ValueId>> = reads.collect();
            let read = |at: &usize| -> Option<Vec<ValueId>> {
                let inputs = subject.node(found[*at].0).inputs.iter().filter(|v| !own[v.index()]);
                Some(inputs.copied().collect())
            };
            *slot = free.iter().copied().find(|at| found[*at].1 == *described && reads == read(at));
            if let Some(at) = slot {
                free.shift_remove(at);
            }
        }
        if let Some(at) = *slot {
            same.extend(node.outputs.iter().copied().zip(subject.node(found[at].0).outputs.iter().copied()));
        }
    }
    let paired = partner.iter().zip(&wanted).filter_map(|(at, (id, _))| Some((found[(*at)?].0, *id)));
    let pairs: Pairs = paired.collect();
    let missing = wanted.len() - pairs.len();
    (pairs, missing)
}

/// For each value, by index: does it depend on no input of the graph? Unlike constants, weights may be widened at run
/// time.
fn weights(graph: &Graph) -> Vec<bool> {
    let mut weights = graph.constness();
    for (_, node) in graph.nodes() {
        let all = node.inputs.iter().all(|i| weights[i.index()]);
        node.outputs.iter().for_each(|o| weights[o.index()] = all);
    }
    weights
}

/// The nodes that depend on an input of the graph, with what tells them apart.
fn run_time(graph: &Graph) -> Vec<(NodeId, String)> {
    let weights = weights(graph);
    let types = |ids: &[ValueId]| -> String {
        let runs = ids.iter().filter(|v| !weights[v.index()]).map(|&v| graph.ty(v).to_string());
        runs.collect::<Vec<_>>().join(", ")
    };
    let described =
        |node: &Node<Op>| format!("{}({}) -> {}", node.op.name(), types(&node.inputs), types(&node.outputs));
    let runs = |node: &Node<Op>| node.outputs.iter().any(|o| !weights[o.index()]);
    graph.nodes().filter(|(_, node)| runs(node)).map(|(id, node)| (id, described(node))).collect()
}

/// Runs of nodes, each with the values that are looked at together.
struct Chunk {
    nodes: Range<usize>,
    wanted: IndexSet<ValueId>,
}

/// Each chunk holds what its nodes read and make, so that it can be judged by itself.
fn chunks(
    graph: &Graph,
    pairs: &[(NodeId, NodeId)],
    probe: &dyn Probe,
    values: usize,
    most: usize,
) -> Vec<Chunk> {
    let weights = weights(graph);
    let seen = |v: ValueId| -> bool {
        let given = graph.inputs().contains(&v);
        !weights[v.index()] && !given && graph.ty(v).count().is_ok_and(|n| n > 0) && probe.shows(v)
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
    /// Which values of the subject are weights.
    weights: Vec<bool>,
    /// Which values of the reference are.
    right: Vec<bool>,
    inputs: &'g [Tensor],
    pairs: Pairs,
    bound: Bound,
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
        let judge = |found: &Tensor, reference: &Tensor| compare(found, reference, self.bound, None);
        Ok(Finding {
            index,
            operator: node.op.name(),
            value: self.subject.value(value).name.clone(),
            ty: self.subject.ty(value).clone(),
            place: self.place(subject, reference),
            narrow: self.narrow(node),
            isolated: found.zip(alone.as_ref()).map(|(found, alone)| judge(found, &alone[output])),
            inherited: alone.as_ref().map(|alone| judge(&alone[output], run)),
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
                (None, None) if self.right[should.index()] => {
                    evaluate::run(&twin(self.reference, &[should]), self.inputs)?.remove(0)
                }
                (None, None) => return Ok(None),
            };
            operands.push(operand);
        }
        Ok(right.op.evaluate(&operands.iter().collect::<Vec<_>>()))
    }

    /// The dtype of an operand that stands for floats of 32 bits, or is widened to them.
    fn narrow(&self, node: &Node<Op>) -> Option<DType> {
        let stored = |&v: &ValueId| match self.subject.producer(v) {
            Some((id, _)) => self.subject.node(id).inputs.first().map(|&w| self.subject.ty(w).dtype),
            None => Some(self.subject.ty(v).dtype),
        };
        let weights = node.inputs.iter().filter(|&&v| self.weights[v.index()]);
        weights.filter_map(stored).find(|dtype| dtype.bits() < 32 && *dtype != DType::Bool)
    }

    /// The reference comes from the archive, which knows the line's text; a file knows where it was written from.
    fn place(&self, subject: NodeId, reference: NodeId) -> Option<Leaf> {
        let leaf = |graph: &Graph, id| graph.origins.leaf(graph.node(id).origin).cloned();
        leaf(self.reference, reference).or_else(|| leaf(self.subject, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MEASURED, OPERATOR};
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
        let pairs = paired(&subject, &reference).unwrap();
        let found =
            per_operator(&subject, &reference, pairs, &[x], OPERATOR, &mut EmbeddedProbe(&subject)).unwrap();
        let beyond: Vec<_> =
            found.iter().map(|f| (f.operator, f.strain() > 1.0, f.accumulated_strain() > 1.0)).collect();
        assert_eq!(beyond, [("mul", true, true), ("neg", false, true), ("add", false, true)]);
        assert_eq!(found[0].place.as_ref().unwrap().line().unwrap().line, 3);
    }

    /// Two products with weights of 8 bits, one read as they are and one widened, and a third of f32.
    const NARROW: &str = "
graph @main(%x: f32[2,2]) -> f32[2,2] {
  %v = constant [100, -30, 25, 60] : i8[2,2]{scales=[0.01, 0.02], zero_points=[0, 0], axis=0}
  %m = fully_connected(%x, %v) {activation=none} : f32[2,2] @0
  %q = constant [80, -40] : i8[2]{scales=[0.01], zero_points=[0], axis=0}
  %d = dequantize(%q) : f32[2] @1
  %n = mul(%m, %d) {activation=none} : f32[2,2] @1
  %a = tanh(%n) : f32[2,2] @2
  return %a
}
@0 = net.py:3 in Net.forward, module a, aten.linear.default \"linear\"
@1 = net.py:4 in Net.forward, module b, aten.mul.Tensor \"mul\"
@2 = net.py:5 in Net.forward, module c, aten.tanh.default \"tanh\"
";

    /// The same with weights of f32 that round to those.
    const WIDE: &str = "
graph @main(%x: f32[2,2]) -> f32[2,2] {
  %v = constant [1.004, -0.297, 0.495, 1.209] : f32[2,2]
  %m = fully_connected(%x, %v) {activation=none} : f32[2,2] @0
  %q = constant [0.7961, -0.4043] : f32[2]
  %n = mul(%m, %q) {activation=none} : f32[2,2] @1
  %a = tanh(%n) : f32[2,2] @2
  return %a
}
@0 = net.py:3 in Net.forward, module a, aten.linear.default \"linear\"
@1 = net.py:4 in Net.forward, module b, aten.mul.Tensor \"mul\"
@2 = net.py:5 in Net.forward, module c, aten.tanh.default \"tanh\"
";

    #[test]
    fn errors_of_narrow_weights_are_their_own_or_inherited_and_add_up() {
        let (subject, reference) = (graph(NARROW), graph(WIDE));
        let pairs = paired(&subject, &reference).unwrap();
        assert_eq!(pairs, paired_in_part(&subject, &reference).0);
        let x = [Tensor::new(&[2, 2], &[1f32, 2., -3., 0.5])];
        let mut probe = EmbeddedProbe(&subject);
        let found = per_operator(&subject, &reference, pairs, &x, MEASURED, &mut probe).unwrap();
        let narrow: Vec<_> = found.iter().map(|f| (f.operator, f.narrow)).collect();
        assert_eq!(narrow, [("fully_connected", Some(DType::I8)), ("mul", Some(DType::I8)), ("tanh", None)]);
        let worst = |judged: &Option<Result<Verdict, String>>| {
            judged.as_ref().unwrap().as_ref().unwrap().metrics.max_abs
        };
        let [first, second, last] = &found[..] else { panic!("{found:?}") };
        assert!(worst(&first.isolated) > 1e-3 && worst(&first.inherited) == 0.0, "{first:?}");
        assert!(worst(&second.isolated) > 1e-3 && worst(&second.inherited) > 1e-3, "{second:?}");
        assert!(
            worst(&last.isolated) == 0.0 && worst(&last.inherited) == worst(&last.accumulated),
            "{last:?}"
        );
        assert!(worst(&second.accumulated) <= worst(&second.isolated) + worst(&second.inherited));
        assert!(found.iter().all(|f| f.strain() == 0.0) && last.snr() == f64::INFINITY && first.snr() < 60.0);
    }

    #[test]
    fn operators_besides_are_passed_over() {
        // One operator more, and another whose value is called otherwise: what it reads tells that it is the same.
        let wide = WIDE.replace("%a = tanh(%n)", "%s = neg(%n) : f32[2,2] @2\n  %a = tanh(%s)");
        let wide = wide.replace("%m", "%linear");
        let (subject, reference) = (graph(NARROW), graph(&wide));
        assert!(paired(&subject, &reference).is_err());
        let (pairs, missing) = paired_in_part(&subject, &reference);
        assert_eq!((pairs.len(), missing), (3, 1));
        let name = |graph: &Graph, id| graph.value(graph.node(id).outputs[0]).name.clone();
        let names: Vec<_> = pairs.iter().map(|&(a, b)| (name(&subject, a), name(&reference, b))).collect();
        let names: Vec<_> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(names, [("m", "linear"), ("n", "n"), ("a", "a")]);
    }

    #[test]
    fn each_chunk_holds_what_its_operators_read_and_make() {
        let graph = graph(NET);
        let pairs = paired(&graph, &graph).unwrap();
        let names =
            |chunk: &Chunk| chunk.wanted.iter().map(|&v| graph.value(v).name.clone()).collect::<Vec<_>>();
        let split: Vec<_> =
            chunks(&graph, &pairs, &EmbeddedProbe(&graph), 2, usize::MAX).iter().map(names).collect();
        assert_eq!(split, [vec!["m"], vec!["m", "n"], vec!["n", "a"]]);
        assert_eq!(
            chunks(&graph, &pairs, &EmbeddedProbe(&graph), 2, usize::MAX)
                .iter()
                .map(|c| c.nodes.clone())
                .collect::<Vec<_>>(),
            [0..1, 1..2, 2..3]
        );
        let whole: Vec<_> =
            chunks(&graph, &pairs, &EmbeddedProbe(&graph), VALUES, BYTES).iter().map(names).collect();
        assert_eq!(whole, [["m", "n", "a"]]);
    }

    #[test]
    fn graphs_of_other_operators_are_not_paired() {
        let other = NET.replace("neg(%m)", "abs(%m)");
        let why = paired(&graph(&other), &graph(NET)).unwrap_err();
        assert_eq!(why, "operator 1 is abs(f32[2,3]) -> f32[2,3], not neg(f32[2,3]) -> f32[2,3]");
    }
}
