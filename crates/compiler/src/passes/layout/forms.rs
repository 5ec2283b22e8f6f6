//! In which forms each node can work: the facts that the layout is decided on.
//!
//! Two memories are told apart: the one PyTorch has (0), and the one whose channels are last (1). Operators that
//! exist in memory 1 only are where it starts; what a neighbour of theirs is in that memory, its operator's own
//! account of carried axes says, and so on until nothing new is learnt. Transposes of the model that are not reached
//! then start likewise.

use std::collections::VecDeque;

use ir::{Attribute, NodeId, Operator, TensorType, ValueId};

use crate::ops::definition::Carried;
use crate::ops::{Graph, Op, Order, Reshape};

/// An operator, and how its operands are stored for it.
pub(super) type Form = Carried<Op>;

/// The forms among which a node's is chosen.
#[derive(Clone, Debug)]
pub(super) enum Forms {
    /// There is one.
    Fixed(Form),
    /// One in memory 0, one in memory 1.
    Either([Form; 2]),
}

impl Forms {
    /// The form in this memory.
    pub(super) fn of(&self, memory: usize) -> &Form {
        match self {
            Forms::Fixed(form) => form,
            Forms::Either(forms) => &forms[memory],
        }
    }
}

/// The forms of each node, by its index; those of weight expressions are left out, since these are evaluated as
/// they are.
pub(super) fn find(graph: &Graph) -> Vec<Option<Forms>> {
    let nodes = graph.order().iter().map(|id| id.index() + 1).max().unwrap_or(0);
    let mut search = Search {
        graph,
        constant: graph.constness(),
        memories: Vec::new(),
        forms: vec![None; nodes],
        settled: vec![false; nodes],
        queue: VecDeque::new(),
    };
    search.memories.resize(search.constant.len(), None);
    search.run();
    let Search { mut forms, constant, .. } = search;
    for (id, node) in graph.nodes() {
        let is_weight = node.outputs.iter().all(|o| constant[o.index()]);
        forms[id.index()] = match forms[id.index()].take() {
            _ if is_weight => None,
            Some(found) => Some(found),
            None => Some(Forms::Fixed(unchanged(graph, id))),
        };
    }
    forms
}

/// The node as it is.
pub(super) fn unchanged(graph: &Graph, id: NodeId) -> Form {
    let node = graph.node(id);
    let orders = |values: &[ValueId]| values.iter().map(|&v| Order::identity(graph.ty(v).rank())).collect();
    Carried { op: node.op.clone(), inputs: orders(&node.inputs), outputs: orders(&node.outputs) }
}

/// A value among those that a node reads and makes.
#[derive(Clone, Copy)]
enum Place {
    Input(usize),
    Output(usize),
}

impl Place {
    fn order(self, form: &Form) -> Option<&Order> {
        match self {
            Place::Input(i) => form.inputs.get(i),
            Place::Output(i) => form.outputs.get(i),
        }
    }
}

struct Search<'g> {
    graph: &'g Graph,
    constant: Vec<bool>,
    /// How each value is stored in memory 0 and 1, where it is known.
    memories: Vec<Option<[Order; 2]>>,
    forms: Vec<Option<Forms>>,
    /// The nodes whose forms cannot be learnt better.
    settled: Vec<bool>,
    queue: VecDeque<ValueId>,
}

impl Search<'_> {
    fn run(&mut self) {
        for &id in self.graph.order() {
            self.start(id);
        }
        self.spread();
        for &id in self.graph.order() {
            self.start_transpose(id);
            self.spread();
        }
    }

    /// Learns from what is known until nothing new is learnt.
    fn spread(&mut self) {
        while let Some(value) = self.queue.pop_front() {
            let [memory0, memory1] = self.memories[value.index()].clone().expect("queued values are known");
            for (id, place) in self.around(value) {
                self.visit(id, place, [&memory0, &memory1]);
            }
        }
    }

    /// A transpose of the model that nothing reached is a matter of two memories too: of what it reads, and of what
    /// it makes. Between them, its place is where the fewest bytes are.
    fn start_transpose(&mut self, id: NodeId) {
        let Op::Transpose(transpose) = &self.graph.node(id).op else { return };
        if self.settled[id.index()] || self.is_weight(id) {
            return;
        }
        let read = self.carried(id, &Order::identity(transpose.order.rank()));
        let (Some(read), Some(made)) = (read, self.carried(id, &transpose.order)) else { return };
        self.settled[id.index()] = true;
        self.learn(id, [&read, &made]);
        self.forms[id.index()] = Some(Forms::Either([read, made]));
    }

    /// The nodes that make and read a value, in the order of their ids.
    fn around(&self, value: ValueId) -> Vec<(NodeId, Place)> {
        let mut found = Vec::new();
        found.extend(self.graph.producer(value).map(|(id, i)| (id, Place::Output(i))));
        let mut users = self.graph.users(value).to_vec();
        users.sort_unstable();
        users.dedup();
        for id in users {
            let at = self.graph.node(id).inputs.iter().position(|&i| i == value);
            found.push((id, Place::Input(at.expect("users read what they use"))));
        }
        found
    }

    /// An operator that exists with its channels last only fixes how its operands are stored.
    fn start(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let types = self.graph.types(&node.inputs);
        let Some(rank) = types.first().map(|t| t.rank()).filter(|&r| r > 2) else { return };
        if self.is_weight(id) {
            return;
        }
        let images = node.op.attributes().get("layout") == Some(&Attribute::Word("nchw".into()));
        if !images && node.op.to_tfl(&types).is_ok() {
            return;
        }
        let Some(form) = self.carried(id, &Order::channels_last(rank)) else { return };
        if !images && !self.is_spelled(id, &form) {
            return;
        }
        self.settled[id.index()] = true;
        let plain = unchanged(self.graph, id);
        self.learn(id, [&plain, &form]);
        self.forms[id.index()] = Some(Forms::Fixed(form));
    }

    /// Learns the forms of a node, one of whose operands is known in both memories.
    fn visit(&mut self, id: NodeId, place: Place, memories: [&Order; 2]) {
        if self.settled[id.index()] || self.is_weight(id) {
            return;
        }
        let plain = unchanged(self.graph, id);
        let found = memories.map(|order| self.form_with(id, place, order));
        let spelled = |form: &Option<Form>| form.as_ref().is_some_and(|f| self.is_spelled(id, f));
        let forms = match [spelled(&found[0]), spelled(&found[1])] {
            [true, false] => [found[0].clone(), None],
            [false, true] => [None, found[1].clone()],
            // What LiteRT takes as it is stays so where it takes neither.
            [false, false] if self.is_spelled(id, &plain) => return,
            _ => found,
        };
        match forms {
            [Some(form0), Some(form1)] => {
                self.settled[id.index()] = true;
                self.learn(id, [&form0, &form1]);
                self.forms[id.index()] = Some(Forms::Either([form0, form1]));
            }
            [Some(form), None] if self.forms[id.index()].is_none() => {
                self.forms[id.index()] = Some(self.either(id, [form, plain], 0));
            }
            [None, Some(form)] if self.forms[id.index()].is_none() => {
                self.forms[id.index()] = Some(self.either(id, [plain, form], 1));
            }
            _ => {}
        }
    }

    /// A carried form, and the node as it is in the memory that the operator does not carry.
    fn either(&self, id: NodeId, forms: [Form; 2], carried: usize) -> Forms {
        let plain = &forms[1 - carried];
        if forms[0] == forms[1] || !self.is_spelled(id, plain) {
            return Forms::Fixed(forms[carried].clone());
        }
        Forms::Either(forms)
    }

    /// What a node's two forms say about the values that were not known.
    fn learn(&mut self, id: NodeId, forms: [&Form; 2]) {
        let node = self.graph.node(id);
        let inputs = node.inputs.iter().enumerate().map(|(i, &v)| (v, Place::Input(i)));
        let outputs = node.outputs.iter().enumerate().map(|(i, &v)| (v, Place::Output(i)));
        for (value, place) in inputs.chain(outputs) {
            let [Some(order0), Some(order1)] = forms.map(|f| place.order(f)) else { continue };
            let known = &mut self.memories[value.index()];
            if order0 != order1 && known.is_none() && !self.constant[value.index()] {
                *known = Some([order0.clone(), order1.clone()]);
                self.queue.push_back(value);
            }
        }
    }

    /// The form in which this operand is stored in this order.
    fn form_with(&self, id: NodeId, place: Place, order: &Order) -> Option<Form> {
        let fits = |form: Form| (place.order(&form) == Some(order)).then_some(form);
        if matches!(place, Place::Input(0)) {
            return self.carried(id, order).and_then(fits);
        }
        let rank = self.graph.ty(*self.graph.node(id).inputs.first()?).rank();
        self.guesses(id, place, order, rank).iter().find_map(|first| self.carried(id, first).and_then(fits))
    }

    /// Orders of the first input that may bring about `order` at another operand.
    fn guesses(&self, id: NodeId, place: Place, order: &Order, rank: usize) -> Vec<Order> {
        let node = self.graph.node(id);
        if let (Op::Reshape(_), Place::Output(_)) = (&node.op, place) {
            // The reshape back says how what it came from is stored.
            let Ok(sizes) = self.graph.ty(node.inputs[0]).sizes() else { return Vec::new() };
            let back = Op::from(Reshape { sizes });
            let carried = back.carry(&[self.graph.ty(node.outputs[0])], order);
            return carried.map(|c| c.outputs).unwrap_or_default();
        }
        let mut guesses =
            vec![Order::identity(rank), Order::channels_last(rank), Order::channels_first(rank)];
        if order.rank() == rank {
            guesses.insert(0, order.clone());
        }
        if let (Op::Transpose(transpose), Place::Output(_)) = (&node.op, place) {
            guesses.insert(0, order.after(&transpose.order));
        }
        guesses
    }

    fn carried(&self, id: NodeId, order: &Order) -> Option<Form> {
        carried(self.graph, id, order)
    }

    fn is_spelled(&self, id: NodeId, form: &Form) -> bool {
        let types = stored(&self.graph.types(&self.graph.node(id).inputs), &form.inputs);
        types.is_some_and(|types| form.op.to_tfl(&references(&types)).is_ok())
    }

    fn is_weight(&self, id: NodeId) -> bool {
        self.graph.node(id).outputs.iter().all(|o| self.constant[o.index()])
    }
}

/// The node on a first input stored in this order, where its types fit.
pub(super) fn carried(graph: &Graph, id: NodeId, order: &Order) -> Option<Form> {
    let node = graph.node(id);
    let types = graph.types(&node.inputs);
    if types.iter().any(|t| t.quant.is_some()) || types.first()?.rank() != order.rank() {
        return None;
    }
    let form = node.op.carry(&types, order)?;
    let results = graph.types(&node.outputs);
    let as_said = form.op.infer(&references(&stored(&types, &form.inputs)?)).ok()?;
    (as_said == stored(&results, &form.outputs)?).then_some(form)
}

/// The types of values as they are stored. `None` where there is not one order of the right rank for each.
fn stored(types: &[&TensorType], orders: &[Order]) -> Option<Vec<TensorType>> {
    if types.len() != orders.len() {
        return None;
    }
    types.iter().zip(orders).map(|(ty, order)| stored_type(ty, order)).collect()
}

/// The type of a value as it is stored in an order.
pub(super) fn stored_type(ty: &TensorType, order: &Order) -> Option<TensorType> {
    (ty.rank() == order.rank()).then(|| TensorType {
        dtype: ty.dtype,
        shape: ir::Shape(order.apply(&ty.shape.0)),
        quant: ty.quant.clone(),
    })
}

fn references(types: &[TensorType]) -> Vec<&TensorType> {
    types.iter().collect()
}
