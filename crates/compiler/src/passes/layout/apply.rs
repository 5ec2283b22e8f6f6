//! The decided forms made real: one patch, with a transpose wherever a value is read in another order than made.

use indexmap::{IndexMap, IndexSet};
use ir::{Mismatch, Operator, ToAttribute, ValueId};

use super::decide::moves;
use super::forms::Form;
use super::weights;
use crate::ops::{Graph, Op, Order, Patch, Transpose};

/// Every node in its form, and a line for each transpose that stands then.
pub(super) fn apply(
    graph: &Graph,
    forms: &[Option<Form>],
) -> Result<(ir::Finished<Op>, Vec<String>), Mismatch> {
    let mut build = Build {
        graph,
        forms,
        constant: graph.constness(),
        patch: Patch::new(graph),
        made: IndexMap::new(),
        stored: IndexMap::new(),
        told: IndexSet::new(),
        decisions: Vec::new(),
    };
    for &id in graph.order() {
        if let Some(form) = &forms[id.index()] {
            build.node(id, form)?;
        }
    }
    let mut replaced = Vec::new();
    for &output in graph.outputs() {
        if replaced.contains(&output) {
            continue;
        }
        replaced.push(output);
        if let Some((id, _)) = graph.producer(output) {
            build.patch.at(id);
        }
        let order = Order::identity(graph.ty(output).rank());
        let value = build.read(output, &order, None)?;
        build.patch.and_replace(output, value);
    }
    Ok((build.patch.finish(), build.decisions))
}

struct Build<'g> {
    graph: &'g Graph,
    forms: &'g [Option<Form>],
    constant: Vec<bool>,
    patch: Patch<'g>,
    /// What each value became, and how that is stored; a value that is not here stayed as it was.
    made: IndexMap<ValueId, (ValueId, Order)>,
    /// The transposes of values, by the order that was wanted.
    stored: IndexMap<(ValueId, Order), ValueId>,
    /// The transposes that were told of.
    told: IndexSet<(ValueId, Order)>,
    decisions: Vec<String>,
}

impl Build<'_> {
    fn node(&mut self, id: ir::NodeId, form: &Form) -> Result<(), Mismatch> {
        self.patch.at(id);
        let node = self.graph.node(id);
        if self.is_in_place(id, form) {
            let (ty, name) = (self.graph.ty(node.inputs[0]), &self.graph.value(node.outputs[0]).name);
            self.decisions.push(format!(
                "transpose {} of {ty} at %{name}: the model asks for it, and nowhere near is it cheaper",
                node.op.attributes().get("order").map(ToString::to_string).unwrap_or_default()
            ));
            return Ok(());
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (at, (&value, order)) in node.inputs.iter().zip(&form.inputs).enumerate() {
            inputs.push(self.read(value, order, Some((id, at)))?);
        }
        if let Op::Transpose(transpose) = &form.op
            && transpose.order.is_identity()
        {
            self.made.insert(node.outputs[0], (inputs[0], form.outputs[0].clone()));
            return Ok(());
        }
        if form.op == node.op && inputs == node.inputs {
            return Ok(());
        }
        let outputs = self.patch.add_all(form.op.clone(), inputs);
        for ((&old, new), order) in node.outputs.iter().zip(outputs).zip(&form.outputs) {
            self.made.insert(old, (new, order.clone()));
        }
        Ok(())
    }

    /// Is it a transpose of the model whose operand is stored, and whose result wanted, as the model has them?
    fn is_in_place(&self, id: ir::NodeId, form: &Form) -> bool {
        let node = self.graph.node(id);
        let stays = |value: &ValueId| !self.made.contains_key(value);
        let wanted = form.op == node.op || form.outputs.iter().all(Order::is_identity);
        matches!(node.op, Op::Transpose(_)) && wanted && node.inputs.iter().all(stays)
    }

    /// The value in this order, for the reader (a node and which of its inputs; else the graph's output).
    fn read(
        &mut self,
        value: ValueId,
        order: &Order,
        reader: Option<(ir::NodeId, usize)>,
    ) -> Result<ValueId, Mismatch> {
        let (new, from) = match self.made.get(&value) {
            Some((new, from)) => (*new, from.clone()),
            None => (value, Order::identity(self.graph.ty(value).rank())),
        };
        if from == *order {
            return Ok(new);
        }
        let key = (value, order.clone());
        self.tell(value, &from, order, reader)?;
        if let Some(&stored) = self.stored.get(&key) {
            return Ok(stored);
        }
        let axes = order.axes().iter().map(|&axis| from.position(axis)).collect();
        let transpose = Transpose { order: Order::new(axes)? };
        let stored = self.patch.add(transpose, [new]);
        self.stored.insert(key, stored);
        Ok(stored)
    }

    /// Says, once per transpose that moves memory at run time, why it is there.
    fn tell(
        &mut self,
        value: ValueId,
        from: &Order,
        order: &Order,
        reader: Option<(ir::NodeId, usize)>,
    ) -> Result<(), Mismatch> {
        let ty = self.graph.ty(value);
        let permutes_weight = reader
            .and_then(|(id, _)| weights::leading_axes(self.graph, id))
            .is_some_and(|leading| weights::keeps(from, leading));
        if self.constant[value.index()] || permutes_weight || !moves(ty, from, order) {
            return Ok(());
        }
        if !self.told.insert((value, order.clone())) {
            return Ok(());
        }
        let axes = order.axes().iter().map(|&axis| from.position(axis)).collect();
        self.decisions.push(format!(
            "transpose {} of {ty} ({} bytes): {}; {}",
            text(&Order::new(axes)?),
            ty.bytes()?,
            self.maker(value),
            self.reader(reader, order),
        ));
        Ok(())
    }

    /// Why a value is stored as it is.
    fn maker(&self, value: ValueId) -> String {
        let name = &self.graph.value(value).name;
        let Some((id, at)) = self.graph.producer(value) else {
            return format!("%{name} is an input, given as in PyTorch");
        };
        let operator = self.graph.node(id).op.name();
        match self.forms[id.index()].as_ref().map(|form| &form.outputs[at]) {
            Some(order) if !order.is_identity() => {
                format!("{operator} makes %{name} with its axes stored as {}", text(order))
            }
            _ => format!("{operator} makes %{name} with its axes stored in order"),
        }
    }

    /// Why a reader wants another order.
    fn reader(&self, reader: Option<(ir::NodeId, usize)>, order: &Order) -> String {
        let Some((id, _)) = reader else { return "it is an output, given as in PyTorch".to_string() };
        let node = self.graph.node(id);
        let (operator, name) = (node.op.name(), &self.graph.value(node.outputs[0]).name);
        match order.is_identity() {
            true => format!("{operator} (%{name}) takes its axes in order"),
            false => format!("{operator} (%{name}) takes them as {}", text(order)),
        }
    }
}

fn text(order: &Order) -> String {
    order.to_attribute().map(|a| a.to_string()).unwrap_or_default()
}
