//! How a graph changes: a rule reads a [`Site`] and returns a [`Patch`]; the driver applies it.

use std::fmt;

use indexmap::IndexMap;

use crate::constant::Constant;
use crate::diagnostic::Diagnostic;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::operator::{Mismatch, Operator};
use crate::origin::OriginId;
use crate::pass::Journal;
use crate::types::TensorType;

/// A node seen in its graph; read-only.
pub struct Site<'g, O> {
    graph: &'g Graph<O>,
    node: NodeId,
}

impl<O> Clone for Site<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Site<'_, O> {}

impl<'g, O: Operator> Site<'g, O> {
    /// The node in this graph.
    pub fn new(graph: &'g Graph<O>, node: NodeId) -> Self {
        Site { graph, node }
    }

    /// The graph around it.
    pub fn graph(&self) -> &'g Graph<O> {
        self.graph
    }

    /// The node's id.
    pub fn id(&self) -> NodeId {
        self.node
    }

    /// The node.
    pub fn node(&self) -> &'g Node<O> {
        self.graph.node(self.node)
    }

    /// The operator, where it is of the kind that is asked for:
    /// `let Transpose { order } = at.op()?;`
    pub fn op<T>(&self) -> Option<&'g T>
    where
        &'g T: TryFrom<&'g O>,
    {
        (&self.node().op).try_into().ok()
    }

    /// The values it reads.
    pub fn inputs(&self) -> &'g [ValueId] {
        &self.node().inputs
    }

    /// The value it reads at this index.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs().get(index).copied()
    }

    /// The type of the value it reads at this index.
    pub fn input_ty(&self, index: usize) -> Option<&'g TensorType> {
        Some(self.graph.ty(self.input(index)?))
    }

    /// Its first output.
    pub fn output(&self) -> ValueId {
        self.node().outputs[0]
    }

    /// The type of its first output.
    pub fn output_ty(&self) -> &'g TensorType {
        self.graph.ty(self.output())
    }

    /// The node that makes the input at this index, whoever else reads it.
    pub fn producer(&self, index: usize) -> Option<Site<'g, O>> {
        self.producer_of(self.input(index)?)
    }

    /// The node that makes a value.
    pub fn producer_of(&self, value: ValueId) -> Option<Site<'g, O>> {
        Some(Site { graph: self.graph, node: self.graph.producer(value)?.0 })
    }

    /// The node that makes the input at this index, where this node is the only reader of all it makes.
    pub fn sole_producer(&self, index: usize) -> Option<Site<'g, O>> {
        let below = self.producer(index)?;
        let reads = |v: &ValueId| self.graph.use_count(*v);
        (below.node().outputs.iter().map(reads).sum::<usize>() == 1).then_some(below)
    }

    /// The one node that reads the first output, where nothing else does.
    pub fn sole_user(&self) -> Option<Site<'g, O>> {
        match (self.graph.use_count(self.output()), self.graph.users(self.output())) {
            (1, &[user]) => Some(Site { graph: self.graph, node: user }),
            _ => None,
        }
    }

    /// The elements of the input at this index, where it is constant data in memory.
    pub fn constant(&self, index: usize) -> Option<&'g Constant> {
        self.graph.constant(self.input(index)?)
    }

    /// Does the input at this index depend on no input of the graph?
    pub fn is_constant(&self, index: usize) -> bool {
        self.input(index).is_some_and(|v| self.graph.is_constant(v))
    }

    /// A patch that will stand where this node stands and derive from it.
    pub fn patch(&self) -> Patch<'g, O> {
        let mut patch = Patch::new(self.graph);
        patch.at(self.node);
        patch
    }
}

enum Item<O> {
    Constant {
        name: String,
        constant: Constant,
    },
    Node {
        op: O,
        inputs: Vec<ValueId>,
        types: Vec<TensorType>,
        name: String,
        before: Option<NodeId>,
        from: Vec<OriginId>,
    },
}

/// New nodes and constants, and which values they replace: data that the driver applies.
pub struct Patch<'g, O> {
    graph: &'g Graph<O>,
    edit: Edit<O>,
    /// The types of the values this patch adds, which are numbered on from the graph's.
    types: Vec<TensorType>,
}

/// A patch without its view of the graph: what is to be done.
pub(crate) struct Edit<O> {
    items: Vec<Item<O>>,
    replacements: Vec<(ValueId, ValueId)>,
    before: Option<NodeId>,
    from: Vec<OriginId>,
    failure: Option<Mismatch>,
    outputs: Option<Vec<ValueId>>,
}

impl<'g, O: Operator> Patch<'g, O> {
    /// A patch for a whole-graph pass; say where nodes stand with [`Patch::at`].
    pub fn new(graph: &'g Graph<O>) -> Self {
        let edit = Edit {
            items: Vec::new(),
            replacements: Vec::new(),
            before: None,
            from: Vec::new(),
            failure: None,
            outputs: None,
        };
        Patch { graph, edit, types: Vec::new() }
    }

    /// Nodes added from here on stand before `node` and derive from it alone.
    pub fn at(&mut self, node: NodeId) {
        self.edit.before = Some(node);
        self.edit.from = vec![self.graph.node(node).origin];
    }

    /// Says that the patch takes the place of this node too: added nodes derive from it as well.
    pub fn consume(&mut self, site: &Site<'_, O>) {
        self.edit.from.push(site.node().origin);
    }

    /// The type of a value of the graph or of this patch.
    pub fn ty(&self, value: ValueId) -> &TensorType {
        match value.index().checked_sub(self.graph.values.len()) {
            None => self.graph.ty(value),
            Some(new) => &self.types[new],
        }
    }

    /// Adds a node with one output. A misfit of types is reported by the driver as a fault of the rule.
    pub fn add(&mut self, op: impl Into<O>, inputs: impl IntoIterator<Item = ValueId>) -> ValueId {
        self.add_all(op, inputs)[0]
    }

    /// Adds a node and gives all its outputs.
    pub fn add_all(&mut self, op: impl Into<O>, inputs: impl IntoIterator<Item = ValueId>) -> Vec<ValueId> {
        let (op, inputs) = (op.into(), inputs.into_iter().collect::<Vec<_>>());
        match self.try_add_all(op, inputs.clone()) {
            Ok(outputs) => outputs,
            Err(mismatch) => {
                self.edit.failure.get_or_insert(mismatch);
                // The driver refuses the patch; any value stands in until then.
                inputs.first().copied().map_or_else(|| vec![ValueId(0)], |v| vec![v])
            }
        }
    }

    /// Adds a node with one output. Errs where its types do not fit, and adds nothing then.
    pub fn try_add(
        &mut self,
        op: impl Into<O>,
        inputs: impl IntoIterator<Item = ValueId>,
    ) -> Result<ValueId, Mismatch> {
        Ok(self.try_add_all(op.into(), inputs.into_iter().collect())?[0])
    }

    fn try_add_all(&mut self, op: O, inputs: Vec<ValueId>) -> Result<Vec<ValueId>, Mismatch> {
        let types = op.infer(&inputs.iter().map(|&v| self.ty(v)).collect::<Vec<_>>())?;
        let first = self.graph.values.len() + self.types.len();
        let outputs = (first..first + types.len()).map(|i| ValueId(i as u32)).collect();
        self.types.extend(types.iter().cloned());
        let (before, from) = (self.edit.before, self.edit.from.clone());
        let name = match before {
            Some(node) => self.graph.value(self.graph.node(node).outputs[0]).name.clone(),
            None => op.name().to_string(),
        };
        self.edit.items.push(Item::Node { op, inputs, types, name, before, from });
        Ok(outputs)
    }

    /// Adds constant data.
    pub fn constant(&mut self, name: &str, constant: impl Into<Constant>) -> ValueId {
        let constant = constant.into();
        let id = ValueId((self.graph.values.len() + self.types.len()) as u32);
        self.types.push(constant.ty());
        self.edit.items.push(Item::Constant { name: name.to_string(), constant });
        id
    }

    /// Puts every reader of `old` onto `new`, which must be of the same type.
    pub fn replace(mut self, old: ValueId, new: ValueId) -> Self {
        self.and_replace(old, new);
        self
    }

    /// Like [`Patch::replace`], for a patch that replaces several values.
    pub fn and_replace(&mut self, old: ValueId, new: ValueId) {
        if old == new {
            return;
        }
        if self.ty(old) != self.ty(new) && self.edit.failure.is_none() {
            self.edit.failure = Some(Mismatch(format!("replaces {} by {}", self.ty(old), self.ty(new))));
        }
        self.edit.replacements.push((old, new));
    }

    /// Gives the graph other outputs, of whatever types: for passes that change the interface.
    pub fn set_outputs(&mut self, outputs: Vec<ValueId>) {
        self.edit.outputs = Some(outputs);
    }

    /// Does it change nothing?
    pub fn is_empty(&self) -> bool {
        self.edit.replacements.is_empty() && self.edit.outputs.is_none()
    }

    /// The nodes it adds, with the types they read and make: what a cost is computed from.
    pub fn new_nodes(&self) -> impl Iterator<Item = (&O, Vec<&TensorType>, Vec<&TensorType>)> {
        self.edit.items.iter().filter_map(|item| match item {
            Item::Constant { .. } => None,
            Item::Node { op, inputs, types, .. } => {
                Some((op, inputs.iter().map(|&v| self.ty(v)).collect(), types.iter().collect()))
            }
        })
    }

    /// Lets go of the graph, so that the patch can be applied to it.
    pub(crate) fn into_edit(self) -> Edit<O> {
        self.edit
    }

    /// What a whole-graph pass ends with: the patch without its view of the graph.
    pub fn finish(self) -> Finished<O> {
        Finished(self.edit)
    }
}

/// A patch that no longer borrows its graph.
pub struct Finished<O>(Edit<O>);

impl<O: Operator> Finished<O> {
    /// Applies it to the graph it was made from. Errs with a bug where its types do not fit.
    pub fn apply(self, graph: &mut Graph<O>, pass: &str) -> Result<(), Diagnostic> {
        apply(graph, self.0, pass)?;
        graph.sort();
        graph.sweep();
        Ok(())
    }
}

fn apply<O: Operator>(graph: &mut Graph<O>, edit: Edit<O>, rule: &str) -> Result<(), Diagnostic> {
    if let Some(mismatch) = edit.failure {
        let bug = Diagnostic::bug(format!("{rule} made a patch that does not fit: {mismatch}"));
        return Err(match edit.from.first() {
            Some(&origin) => bug.at(&graph.origins, origin),
            None => bug,
        });
    }
    let mut inserted: IndexMap<Option<NodeId>, Vec<NodeId>> = IndexMap::new();
    for item in edit.items {
        match item {
            Item::Constant { name, constant } => {
                graph.add_constant(&name, constant);
            }
            Item::Node { op, inputs, types, name, before, from } => {
                let origin = graph.origins.derive(rule, &from);
                let id = graph.insert_node(op, inputs, types, &name, origin);
                inserted.entry(before).or_default().push(id);
            }
        }
    }
    if !inserted.is_empty() {
        let mut order = Vec::with_capacity(graph.order.len() + inserted.len());
        for &id in &graph.order {
            order.extend(inserted.swap_remove(&Some(id)).unwrap_or_default());
            order.push(id);
        }
        order.extend(inserted.into_values().flatten());
        graph.order = order;
    }
    for (old, new) in edit.replacements {
        graph.replace_uses(old, new);
    }
    if let Some(outputs) = edit.outputs {
        graph.set_outputs(outputs);
    }
    Ok(())
}

/// A local equation: a name, and a function that matches at a node and says what stands there instead.
pub struct Rule<O: 'static> {
    /// The rule's name, as traces, counts and origins tell it.
    pub name: &'static str,
    /// The equation.
    pub apply: for<'g> fn(Site<'g, O>) -> Option<Patch<'g, O>>,
}

impl<O> Clone for Rule<O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O> Copy for Rule<O> {}

impl<O> fmt::Debug for Rule<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The list of a pass's rules, each by the name of its function.
#[macro_export]
macro_rules! rules {
    ($($rule:path),* $(,)?) => {
        &[$($crate::Rule {
            name: { const NAME: &str = stringify!($rule); $crate::last_segment(NAME) },
            apply: $rule,
        }),*]
    };
}

/// The name after the last `::` of a path.
pub const fn last_segment(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut at = bytes.len();
    while at > 0 && bytes[at - 1] != b':' && bytes[at - 1] != b' ' {
        at -= 1;
    }
    path.split_at(at).1
}

/// More firings than this per node is a loop.
const FIRINGS_PER_NODE: usize = 64;

/// Applies rules until none matches. Errs with a bug where they never come to rest, naming the busiest.
pub(crate) fn run_rules<O: Operator>(
    graph: &mut Graph<O>,
    rules: &[Rule<O>],
    journal: &mut Journal,
) -> Result<(), Diagnostic> {
    let mut budget = (graph.order.len() + 16) * FIRINGS_PER_NODE;
    let mut counts: IndexMap<&'static str, usize> = IndexMap::new();
    loop {
        let mut changed = false;
        let mut at = 0;
        while let Some(&id) = graph.order.get(at) {
            let fired = rules.iter().find_map(|rule| {
                let patch = (rule.apply)(Site::new(graph, id))?;
                Some((rule.name, patch.into_edit()))
            });
            let Some((name, edit)) = fired else {
                at += 1;
                continue;
            };
            changed = true;
            budget = budget.checked_sub(1).ok_or_else(|| endless(&counts))?;
            *counts.entry(name).or_default() += 1;
            journal.fired(name, graph, id);
            apply(graph, edit, name)?;
            graph.sweep();
            // What stands here now may match again, and so may what lies a little before.
            at = at.min(graph.order.len()).saturating_sub(4);
        }
        if !changed {
            return Ok(());
        }
    }
}

fn endless(counts: &IndexMap<&'static str, usize>) -> Diagnostic {
    let mut busiest: Vec<_> = counts.iter().collect();
    busiest.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let names: Vec<String> = busiest.iter().take(4).map(|(name, n)| format!("{name} ({n} times)")).collect();
    Diagnostic::bug(format!("rules never come to rest: {}", names.join(", ")))
}
