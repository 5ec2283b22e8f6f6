//! A functional program of ATen calls as a graph of our operators.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{BUG, Diagnostic, Operator, ValueId};

use super::Program;
use super::decompose::{self, Builder};
use crate::dialect::aten::{self, Malformed};
use crate::ops::{CATALOG, Entry, Graph, Op};

ir::codes! {
    /// No operator of ours computes this ATen overload.
    ///
    /// Edgewright converts a model exactly or not at all, so an operator that it does not know stops it. All such
    /// operators of a model are reported in one run. `edgewright ops` lists what is known. Operators whose results
    /// nothing reads do not count.
    UNSUPPORTED_OPERATOR = "unsupported-operator", Unsupported;

    /// An ATen overload is known, but not with these arguments.
    ///
    /// The message says which argument or dtype is not taken.
    UNSUPPORTED_FORM = "unsupported-form", Unsupported;
}

/// The graph that computes what the program computes. Errs with every call that is not supported, alike ones
/// grouped.
pub fn import(program: &Program) -> Result<Graph, Vec<Diagnostic>> {
    let importer = Importer::run(program, &IndexSet::new());
    if !importer.groups.is_empty() {
        return Err(importer.groups.into_values().collect());
    }
    let mut outputs = Vec::new();
    for output in &program.outputs {
        match importer.values.get(&output.tensor) {
            Some(&id) => outputs.push(id),
            None => return Err(vec![Diagnostic::bug(format!("nothing makes the output {}", output.tensor))]),
        }
    }
    let mut graph = importer.graph;
    graph.set_outputs(outputs);
    graph.sweep();
    Ok(graph)
}

/// What is not supported of a program some of whose calls, by their index, are refused for other reasons. Of what is
/// computed of their results, operators that are not known are told, but no form: that may only follow from the refusal.
pub(super) fn unsupported(program: &Program, refused: &IndexSet<usize>) -> Vec<Diagnostic> {
    let found = Importer::run(program, refused).groups.into_values();
    found.filter(|d| [UNSUPPORTED_OPERATOR, UNSUPPORTED_FORM].contains(&d.code)).collect()
}

struct Importer {
    graph: Graph,
    /// What each tensor of the program has become.
    values: IndexMap<Arc<str>, ValueId>,
    /// Tensors that nothing makes, and those that are computed of them or of sizes that depend on data.
    unsure: IndexSet<Arc<str>>,
    /// What is wrong, by its message.
    groups: IndexMap<String, Diagnostic>,
}

impl Importer {
    fn run(program: &Program, refused: &IndexSet<usize>) -> Self {
        let mut importer = Importer {
            graph: Graph::new("forward", program.origins.clone()),
            values: IndexMap::new(),
            unsure: IndexSet::new(),
            groups: IndexMap::new(),
        };
        for input in &program.inputs {
            importer.stand_in(&input.name, &input.ty);
        }
        for (name, constant) in &program.constants {
            let id = importer.graph.add_constant(&constant.name, constant.data.clone());
            importer.values.insert(name.clone(), id);
        }
        for (index, call) in program.calls.iter().enumerate() {
            // Only a refused call, or a weight that could not be read, leaves a tensor that nothing makes.
            for tensor in call.arguments.values().flat_map(aten::Argument::tensors) {
                if !importer.values.contains_key(&tensor.name) {
                    importer.stand_in(&tensor.name, &tensor.ty);
                    importer.unsure.insert(tensor.name.clone());
                }
            }
            if !refused.contains(&index) {
                importer.call(call, &program.picked);
            }
        }
        importer
    }

    /// An input of the graph that stands for a tensor.
    fn stand_in(&mut self, name: &Arc<str>, ty: &ir::TensorType) -> ValueId {
        let id = self.graph.add_input(name, ty.clone());
        self.values.insert(name.clone(), id);
        id
    }

    /// Adds what a call computes. One that is not supported is noted, and its results stand as inputs, so that
    /// the calls behind it are looked at too.
    fn call(&mut self, call: &aten::Call, picked: &IndexSet<Arc<str>>) {
        let read = || call.arguments.values().flat_map(aten::Argument::tensors);
        let unsettled = |tensor: &aten::Tensor| tensor.ty.shape.known().is_none();
        let unsure = read().any(|tensor| self.unsure.contains(&tensor.name) || unsettled(tensor));
        if unsure {
            self.unsure.extend(call.results.iter().flatten().map(|tensor| tensor.name.clone()));
        }
        let results = match self.convert(call, picked) {
            Ok(values) => values,
            Err(d) if unsure && ![UNSUPPORTED_OPERATOR, BUG].contains(&d.code) => Vec::new(),
            Err(d) => {
                let key = format!("{}{:?}", d.message, d.notes);
                let group = self.groups.entry(key).or_insert(d);
                *group = group.clone().at(&self.graph.origins, call.origin);
                Vec::new()
            }
        };
        for (i, tensor) in call.results.iter().enumerate() {
            let Some(tensor) = tensor else { continue };
            match results.get(i) {
                Some(&id) => drop(self.values.insert(tensor.name.clone(), id)),
                None => drop(self.stand_in(&tensor.name, &tensor.ty)),
            }
        }
    }

    fn convert(
        &mut self,
        call: &aten::Call,
        picked: &IndexSet<Arc<str>>,
    ) -> Result<Vec<ValueId>, Diagnostic> {
        let (before, since) = (self.graph.next_value(), self.graph.next_node());
        let refused = |why: Malformed| Diagnostic::new(UNSUPPORTED_FORM, why.0);
        let results = if let Some(row) = decompose::row(&call.target) {
            let mut builder = Builder { graph: &mut self.graph, values: &self.values, call };
            row(&mut builder).map_err(refused)?
        } else if let Some(entry) = entry(&call.target) {
            self.single(entry, call).map_err(refused)?
        } else {
            return Err(unknown(call));
        };
        let of_picked = |a: &aten::Argument| a.tensors().any(|t| picked.contains(&t.name));
        if call.arguments.values().any(of_picked) {
            self.stays_in_place(call, since).map_err(refused)?;
        }
        if let Some(tensor) = call.results.iter().skip(results.len()).flatten().next() {
            let what = format!("makes {} results, not {}", results.len(), tensor.name);
            return Err(refused(call.malformed(what)));
        }
        for (i, (&id, tensor)) in results.iter().zip(&call.results).enumerate() {
            let Some(tensor) = tensor else { continue };
            let found = self.graph.ty(id);
            if *found != tensor.ty {
                let message = format!(
                    "result {i} of {} is read as {found}, but PyTorch recorded {}",
                    call.target, tensor.ty
                );
                return Err(Diagnostic::bug(message));
            }
            if id.index() >= before {
                self.graph.rename(id, &tensor.name);
            }
        }
        Ok(results)
    }

    /// What is computed of elements that a mask picks must leave each at its place, and must not fail on those that
    /// the mask leaves out. The nodes that compute it are those from `since` on.
    fn stays_in_place(&self, call: &aten::Call, since: usize) -> Result<(), Malformed> {
        let moves = |op: &Op, inputs: &[ValueId]| {
            !op.is_elementwise() && !inputs.iter().all(|&v| self.graph.is_constant(v))
        };
        let nodes = || self.graph.nodes().filter(|(id, _)| id.index() >= since).map(|(_, node)| node);
        if !decompose::is_elementwise(&call.target) || nodes().any(|n| moves(&n.op, &n.inputs)) {
            return Err(call.malformed(
                "only functions of each element are computed of elements that a mask picks, as their number depends \
                 on the data; use torch.where",
            ));
        }
        let fails = |op: &Op, inputs: &[ValueId]| match (op, inputs) {
            (Op::Binary(op), &[_, by]) => op.fails_by_zero(self.graph.ty(by)) && !self.graph.is_constant(by),
            _ => false,
        };
        match nodes().any(|n| fails(&n.op, &n.inputs)) {
            true => {
                Err(call.malformed("divides integers that a mask picks by others, which may be 0 elsewhere"))
            }
            false => Ok(()),
        }
    }

    /// A call that is exactly one operator.
    fn single(&mut self, entry: &Entry, call: &aten::Call) -> Result<Vec<ValueId>, Malformed> {
        let aten::Imported { op, inputs } = (entry.from_aten)(call)?;
        let name = call.results.iter().flatten().next().map_or(op.name(), |t| &t.name).to_string();
        let inputs: Vec<ValueId> = inputs
            .into_iter()
            .map(|operand| match operand {
                aten::Operand::Tensor(name) => {
                    *self.values.get(&name).expect("a functional program makes each tensor before it is read")
                }
                aten::Operand::Constant(tensor) => self.graph.add_constant(&format!("{name}.1"), tensor),
            })
            .collect();
        self.graph.add_node(op, &inputs, &name, call.origin).map_err(|m| call.malformed(m))
    }
}

fn entry(target: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|e| e.aten.contains(&target))
}

fn unknown(call: &aten::Call) -> Diagnostic {
    let diagnostic = Diagnostic::new(UNSUPPORTED_OPERATOR, format!("{} is not supported", call.target));
    if !call.target.starts_with("aten.") {
        return diagnostic.help("replace the custom operator by operators of PyTorch before exporting");
    }
    // The nearest overloads of the same operator are often what a user can write instead.
    let stem = call.target.rsplit_once('.').map_or(&*call.target, |(stem, _)| stem);
    let mut alike: Vec<&str> =
        known().filter(|t| t.rsplit_once('.').is_some_and(|(s, _)| s == stem)).collect();
    alike.sort_unstable();
    match alike.is_empty() {
        true => diagnostic.help("write it with operators that `edgewright ops` lists"),
        false => diagnostic.help(format!("of this operator, {} is supported", alike.join(", "))),
    }
}

/// Every ATen overload that is read.
pub fn known() -> impl Iterator<Item = &'static str> {
    CATALOG.iter().flat_map(|e| e.aten.iter().copied()).chain(decompose::targets())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::aten::Schema;

    #[test]
    fn every_overload_that_is_read_is_known_and_read_once() {
        let mut all: Vec<&str> = known().collect();
        let unknown: Vec<&str> = all.iter().copied().filter(|t| Schema::of(t).is_none()).collect();
        assert_eq!(unknown, [""; 0], "the table of overloads lacks them");
        all.sort_unstable();
        let twice: Vec<&[&str]> = all.windows(2).filter(|pair| pair[0] == pair[1]).collect();
        assert_eq!(twice, [[""; 2]; 0], "more than one row or page reads them");
    }
}
