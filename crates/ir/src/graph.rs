//! The graph: values in single-assignment form, the nodes that make them, and who uses them.

use std::fmt;

use indexmap::{IndexMap, IndexSet};

use crate::constant::Constant;
use crate::operator::{Mismatch, Operator};
use crate::origin::{OriginId, Origins};
use crate::types::TensorType;

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

/// A value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

impl NodeId {
    /// A number that tells it from the graph's other nodes.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ValueId {
    /// A number that tells it from the graph's other values.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One operator applied to values.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<O> {
    /// The operator with its attributes.
    pub op: O,
    /// What it reads.
    pub inputs: Vec<ValueId>,
    /// What it makes.
    pub outputs: Vec<ValueId>,
    /// Where it came from.
    pub origin: OriginId,
}

/// What makes a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Definition {
    /// The graph's input of this index.
    Input(usize),
    /// Constant data.
    Constant(Constant),
    /// The output of this index of a node.
    Output(NodeId, usize),
}

/// A tensor that flows through the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name: the FX name, or one that extends it.
    pub name: String,
    /// Its type.
    pub ty: TensorType,
    /// What makes it.
    pub definition: Definition,
}

/// Nodes over values, in an order in which each value is made before it is used.
#[derive(Clone)]
pub struct Graph<O> {
    /// The graph's name.
    pub name: String,
    /// Where its nodes came from.
    pub origins: Origins,
    pub(crate) nodes: Vec<Option<Node<O>>>,
    pub(crate) order: Vec<NodeId>,
    pub(crate) values: Vec<Value>,
    pub(crate) users: Vec<Vec<NodeId>>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) names: IndexMap<String, u32>,
}

impl<O: Operator> Graph<O> {
    /// A graph with no nodes yet.
    pub fn new(name: impl Into<String>, origins: Origins) -> Self {
        Graph {
            name: name.into(),
            origins,
            nodes: Vec::new(),
            order: Vec::new(),
            values: Vec::new(),
            users: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            names: IndexMap::new(),
        }
    }

    /// Adds an input after those there are.
    pub fn add_input(&mut self, name: &str, ty: TensorType) -> ValueId {
        let id = self.add_value(name, ty, Definition::Input(self.inputs.len()));
        self.inputs.push(id);
        id
    }

    /// Adds constant data.
    pub fn add_constant(&mut self, name: &str, constant: impl Into<Constant>) -> ValueId {
        let constant = constant.into();
        self.add_value(name, constant.ty(), Definition::Constant(constant))
    }

    /// Adds a node at the end, for the fronts; passes return patches. Errs where the types do not fit.
    pub fn add_node(
        &mut self,
        op: O,
        inputs: &[ValueId],
        name: &str,
        origin: OriginId,
    ) -> Result<Vec<ValueId>, Mismatch> {
        let types = op.infer(&self.types(inputs))?;
        let id = self.insert_node(op, inputs.to_vec(), types, name, origin);
        self.order.push(id);
        Ok(self.node(id).outputs.clone())
    }

    /// Says which values the graph gives, in order.
    pub fn set_outputs(&mut self, outputs: Vec<ValueId>) {
        self.outputs = outputs;
    }

    /// Makes a node that is not in the order yet.
    pub(crate) fn insert_node(
        &mut self,
        op: O,
        inputs: Vec<ValueId>,
        types: Vec<TensorType>,
        name: &str,
        origin: OriginId,
    ) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        let outputs = types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| self.add_value(name, ty, Definition::Output(id, i)))
            .collect();
        for &input in &inputs {
            self.users[input.index()].push(id);
        }
        self.nodes.push(Some(Node { op, inputs, outputs, origin }));
        id
    }

    pub(crate) fn add_value(&mut self, name: &str, ty: TensorType, definition: Definition) -> ValueId {
        let id = ValueId(self.values.len() as u32);
        let name = self.unique(name);
        self.values.push(Value { name, ty, definition });
        self.users.push(Vec::new());
        id
    }

    /// The name, or the first of `name.1`, `name.2`, … that no value has.
    fn unique(&mut self, name: &str) -> String {
        if !self.names.contains_key(name) {
            self.names.insert(name.to_string(), 0);
            return name.to_string();
        }
        let stem = match name.rsplit_once('.') {
            Some((stem, tail)) if !stem.is_empty() && tail.bytes().all(|b| b.is_ascii_digit()) => {
                stem.to_string()
            }
            _ => name.to_string(),
        };
        let mut count = self.names.get(&stem).copied().unwrap_or(0);
        loop {
            count += 1;
            let candidate = format!("{stem}.{count}");
            if !self.names.contains_key(&candidate) {
                self.names.insert(candidate.clone(), 0);
                self.names.insert(stem, count);
                return candidate;
            }
        }
    }

    /// Gives a value another name, as unique as all are; nothing happens where it is called so already.
    pub fn rename(&mut self, value: ValueId, name: &str) {
        if self.value(value).name != name {
            self.values[value.index()].name = self.unique(name);
        }
    }

    /// Gives each of two values the name of the other: for one that takes the other's place.
    pub fn swap_names(&mut self, one: ValueId, other: ValueId) {
        let name = self.value(one).name.clone();
        self.values[one.index()].name = std::mem::replace(&mut self.values[other.index()].name, name);
    }

    /// Gives the input of this index another type: a new value takes its place and its name. What was the input
    /// is given back; nothing makes it any more, so its readers must be put onto something else.
    pub fn replace_input(&mut self, index: usize, ty: TensorType) -> ValueId {
        let old = self.inputs[index];
        let name = self.value(old).name.clone();
        let new = self.add_value(&name, ty, Definition::Input(index));
        self.swap_names(old, new);
        self.inputs[index] = new;
        old
    }

    /// The graph's inputs, in order.
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// The graph's outputs, in order. One may be an input, a constant, or stand there twice.
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The nodes, each after those whose outputs it reads.
    pub fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// The nodes with their ids, in order.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node<O>)> {
        self.order.iter().map(|&id| (id, self.node(id)))
    }

    /// The number that the next value will get.
    pub fn next_value(&self) -> usize {
        self.values.len()
    }

    /// The number that the next node will get: nodes made since a moment are those from its number on.
    pub fn next_node(&self) -> usize {
        self.nodes.len()
    }

    /// Is the node still in the graph?
    pub fn is_live(&self, id: NodeId) -> bool {
        self.nodes.get(id.index()).is_some_and(Option::is_some)
    }

    /// A node. Panics where it was removed.
    pub fn node(&self, id: NodeId) -> &Node<O> {
        self.nodes[id.index()].as_ref().expect("node ids are kept only while their nodes live")
    }

    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// Every value that something makes or reads, in the order of its id.
    pub fn value_ids(&self) -> Vec<ValueId> {
        let mut live: IndexSet<ValueId> = self.inputs.iter().chain(&self.outputs).copied().collect();
        for (_, node) in self.nodes() {
            live.extend(node.inputs.iter().chain(&node.outputs));
        }
        live.sort_unstable();
        live.into_iter().collect()
    }

    /// The type of a value.
    pub fn ty(&self, id: ValueId) -> &TensorType {
        &self.value(id).ty
    }

    /// The types of several values.
    pub fn types(&self, ids: &[ValueId]) -> Vec<&TensorType> {
        ids.iter().map(|&id| self.ty(id)).collect()
    }

    /// The nodes that read a value, one entry per read, in no particular order.
    pub fn users(&self, id: ValueId) -> &[NodeId] {
        &self.users[id.index()]
    }

    /// How many times a value is read, by nodes and as an output of the graph.
    pub fn use_count(&self, id: ValueId) -> usize {
        self.users(id).len() + self.outputs.iter().filter(|&&o| o == id).count()
    }

    /// The node that makes a value, and which of its outputs it is.
    pub fn producer(&self, id: ValueId) -> Option<(NodeId, usize)> {
        match self.value(id).definition {
            Definition::Output(node, index) => Some((node, index)),
            _ => None,
        }
    }

    /// Constant data itself (not an expression over such).
    pub fn constant(&self, id: ValueId) -> Option<&Constant> {
        match &self.value(id).definition {
            Definition::Constant(c) => Some(c),
            _ => None,
        }
    }

    /// For each value, by index: does it depend on no input of the graph, nor on an operator that runs at run time
    /// whatever it reads?
    pub fn constness(&self) -> Vec<bool> {
        let mut constant: Vec<bool> =
            self.values.iter().map(|v| matches!(v.definition, Definition::Constant(_))).collect();
        for (_, node) in self.nodes() {
            let all = !node.op.at_run_time() && node.inputs.iter().all(|i| constant[i.index()]);
            for output in &node.outputs {
                constant[output.index()] = all;
            }
        }
        constant
    }

    /// Is this value constant, as [`Graph::constness`] says?
    pub fn is_constant(&self, id: ValueId) -> bool {
        let mut stack = vec![id];
        let mut seen = IndexSet::new();
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match &self.value(id).definition {
                Definition::Input(_) => return false,
                Definition::Constant(_) => {}
                Definition::Output(node, _) if self.node(*node).op.at_run_time() => return false,
                Definition::Output(node, _) => stack.extend(&self.node(*node).inputs),
            }
        }
        true
    }

    /// The largest constant that a value is computed from, the first of equals: what a computed weight is called by.
    pub fn largest_constant(&self, id: ValueId) -> Option<ValueId> {
        let mut largest = None;
        let mut stack = vec![id];
        let mut seen = IndexSet::new();
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match &self.value(id).definition {
                Definition::Input(_) => {}
                Definition::Constant(_) => {
                    let size = (self.ty(id).bytes().unwrap_or(0), std::cmp::Reverse(id));
                    largest = largest.max(Some(size));
                }
                Definition::Output(node, _) => stack.extend(&self.node(*node).inputs),
            }
        }
        largest.map(|(_, std::cmp::Reverse(id))| id)
    }

    /// Takes away every node that no output needs.
    pub fn sweep(&mut self) {
        let mut needed = vec![false; self.nodes.len()];
        let mut stack: Vec<ValueId> = self.outputs.clone();
        while let Some(value) = stack.pop() {
            if let Some((node, _)) = self.producer(value)
                && !std::mem::replace(&mut needed[node.index()], true)
            {
                stack.extend(&self.node(node).inputs);
            }
        }
        let dead: Vec<NodeId> = self.order.iter().copied().filter(|id| !needed[id.index()]).collect();
        for id in dead {
            self.remove(id);
        }
        let nodes = &self.nodes;
        self.order.retain(|id| nodes[id.index()].is_some());
    }

    /// Takes a node away; its place in the order is left to the caller.
    pub(crate) fn remove(&mut self, id: NodeId) {
        let Some(node) = self.nodes[id.index()].take() else { return };
        for input in node.inputs {
            let users = &mut self.users[input.index()];
            if let Some(at) = users.iter().position(|&u| u == id) {
                users.swap_remove(at);
            }
        }
    }

    /// Puts every reader of `old` onto `new`.
    pub(crate) fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        let users = std::mem::take(&mut self.users[old.index()]);
        for &user in &users {
            let node = self.nodes[user.index()].as_mut().expect("users are live");
            for input in node.inputs.iter_mut().filter(|i| **i == old) {
                *input = new;
            }
        }
        self.users[new.index()].extend(users);
        for output in self.outputs.iter_mut().filter(|o| **o == old) {
            *output = new;
        }
    }

    /// Puts the nodes into an order in which each value is made before it is read, changing as little of the
    /// present order as that allows.
    pub(crate) fn sort(&mut self) {
        let mut done = vec![false; self.nodes.len()];
        let mut sorted = Vec::with_capacity(self.order.len());
        for &root in &self.order {
            let mut stack = vec![(root, false)];
            while let Some((id, ready)) = stack.pop() {
                if done[id.index()] {
                    continue;
                }
                if ready {
                    done[id.index()] = true;
                    sorted.push(id);
                    continue;
                }
                stack.push((id, true));
                let inputs = &self.node(id).inputs;
                stack.extend(inputs.iter().rev().filter_map(|&i| self.producer(i)).map(|(n, _)| (n, false)));
            }
        }
        self.order = sorted;
    }
}

impl<O: Operator> PartialEq for Graph<O> {
    /// Equal where their text forms are: ids and the order of creation do not count.
    fn eq(&self, other: &Self) -> bool {
        crate::print(self) == crate::print(other)
    }
}

impl<O: Operator> fmt::Debug for Graph<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::print(self))
    }
}
