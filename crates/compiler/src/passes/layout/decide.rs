//! Which form each node works in, such that the fewest bytes are transposed: one minimum cut.
//!
//! A variable says in which memory a node works, or a constant is stored. A value is made in one order; every
//! other order that is read costs one transpose, however many read it. That "however many" is a variable of its
//! own, which is 1 where any of those readers is.

use indexmap::IndexMap;
use ir::{TensorType, ValueId};

use super::cut::{Problem, Variable};
use super::forms::{Form, Forms, unchanged};
use super::weights;
use crate::ops::{Graph, Order};

/// What moving one byte costs; less than this tells equals apart.
const BYTE: u64 = 1 << 12;
/// What starting one more operator costs: as much as moving this many bytes.
const OPERATOR: u64 = 1024 * BYTE;

/// The form of each node, by its index; those of weight expressions are left out.
pub(super) fn decide(graph: &Graph, mut forms: Vec<Option<Forms>>) -> Vec<Option<Form>> {
    let constant = graph.constness();
    settle_crossings(graph, &mut forms, &constant);
    let mut problem = Problem::new();
    let variables: Vec<Option<Variable>> =
        forms.iter().map(|f| matches!(f, Some(Forms::Either(_))).then(|| problem.variable())).collect();
    for value in graph.value_ids() {
        let mut reads = reads(graph, &forms, value);
        let Some(made) = makes(graph, &forms, &constant, value, &reads) else { continue };
        let free = |loose: usize| made.iter().all(|order| weights::keeps(order, loose));
        reads.retain(|read| !read.loose.is_some_and(free));
        let maker = match graph.producer(value) {
            _ if constant[value.index()] => Some(problem.variable()),
            Some((id, _)) => variables[id.index()],
            None => None,
        };
        charge(&mut problem, graph.ty(value), maker, &made, &reads, &variables);
    }
    for (id, _) in graph.nodes() {
        // Where it costs the same, an operator stays as the model has it.
        if let (Some(Forms::Either(forms)), Some(variable)) = (&forms[id.index()], variables[id.index()]) {
            let plain = unchanged(graph, id);
            problem.cost_of_zero(variable, u64::from(forms[1] == plain));
            problem.cost_of_one(variable, u64::from(forms[0] == plain));
        }
    }
    let solution = problem.solve();
    let memory = |i: usize| usize::from(variables[i].is_some_and(|v| solution.is_one(v)));
    forms.iter().enumerate().map(|(i, f)| f.as_ref().map(|f| f.of(memory(i)).clone())).collect()
}

/// The orders of one value that a reader wants in memory 0 and 1; the reader's index, where it is a node.
struct Read {
    node: Option<usize>,
    orders: [Order; 2],
    /// How many leading axes must stay, where the others may be in any order.
    loose: Option<usize>,
}

fn reads(graph: &Graph, forms: &[Option<Forms>], value: ValueId) -> Vec<Read> {
    let mut users = graph.users(value).to_vec();
    users.sort_unstable();
    users.dedup();
    let mut reads = Vec::new();
    for id in users {
        let Some(forms) = &forms[id.index()] else { continue };
        for (at, _) in graph.node(id).inputs.iter().enumerate().filter(|&(_, &v)| v == value) {
            let orders = [0, 1].map(|m| forms.of(m).inputs[at].clone());
            let loose = weights::leading_axes(graph, id).filter(|_| orders[0] == orders[1]);
            reads.push(Read { node: Some(id.index()), orders, loose });
        }
    }
    if graph.outputs().contains(&value) {
        let order = Order::identity(graph.ty(value).rank());
        reads.push(Read { node: None, orders: [order.clone(), order], loose: None });
    }
    reads
}

/// The orders in which a value can be made. A constant can be stored in any, so the first two that are read.
fn makes(
    graph: &Graph,
    forms: &[Option<Forms>],
    constant: &[bool],
    value: ValueId,
    reads: &[Read],
) -> Option<[Order; 2]> {
    if constant[value.index()] {
        let first = reads.first()?.orders.clone();
        let other = reads.iter().flat_map(|r| &r.orders).find(|&o| *o != first[0]).cloned();
        return match first[0] == first[1] {
            true => Some([first[0].clone(), other.unwrap_or(first[1].clone())]),
            false => Some(first),
        };
    }
    match graph.producer(value) {
        None => Some([0, 1].map(|_| Order::identity(graph.ty(value).rank()))),
        Some((id, at)) => {
            let forms = forms[id.index()].as_ref()?;
            Some([0, 1].map(|m| forms.of(m).outputs[at].clone()))
        }
    }
}

/// Adds what the readers of one value make its transposes cost.
fn charge(
    problem: &mut Problem,
    ty: &TensorType,
    maker: Option<Variable>,
    made: &[Order; 2],
    reads: &[Read],
    variables: &[Option<Variable>],
) {
    // By the order that is wanted: the readers that want it in memory 0, in memory 1, and whatever the memory.
    let mut wanted: IndexMap<&Order, [Vec<Variable>; 2]> = IndexMap::new();
    let mut always: Vec<&Order> = Vec::new();
    for read in reads {
        match read.node.and_then(|i| variables[i]) {
            Some(variable) if read.orders[0] != read.orders[1] => {
                for memory in [0, 1] {
                    wanted.entry(&read.orders[memory]).or_default()[memory].push(variable);
                }
            }
            _ if always.contains(&&read.orders[0]) => {}
            _ => always.push(&read.orders[0]),
        }
    }
    let costs = |order: &Order| [0, 1].map(|m| cost(ty, &made[m], order));
    for &order in &always {
        let [cost0, cost1] = costs(order);
        if let Some(maker) = maker {
            problem.cost_of_zero(maker, cost0);
            problem.cost_of_one(maker, cost1);
        }
    }
    for (order, readers) in wanted.into_iter().filter(|(order, _)| !always.contains(order)) {
        let [cost0, cost1] = costs(order);
        let (least, more) = (cost0.min(cost1), cost0.abs_diff(cost1));
        if !readers[1].is_empty() && (least > 0 || more > 0) {
            let any = problem.variable();
            readers[1].iter().for_each(|&r| problem.implies(r, any));
            problem.cost_of_one(any, least);
            match maker {
                Some(maker) if cost0 > cost1 => problem.cost_between(maker, any, more),
                _ => {}
            }
        }
        if !readers[0].is_empty() && (least > 0 || more > 0) {
            let all = problem.variable();
            readers[0].iter().for_each(|&r| problem.implies(all, r));
            problem.cost_of_zero(all, least);
            match maker {
                Some(maker) if cost1 > cost0 => problem.cost_between(all, maker, more),
                _ => {}
            }
        }
    }
}

/// The cost of a transpose of a value from one stored order to another.
pub(super) fn cost(ty: &TensorType, from: &Order, to: &Order) -> u64 {
    match (from == to, moves(ty, from, to)) {
        (true, _) => 0,
        (_, false) => OPERATOR,
        (_, true) => OPERATOR.saturating_add((ty.bytes().unwrap_or(usize::MAX) as u64).saturating_mul(BYTE)),
    }
}

/// Does memory move? It does not where the axes longer than 1 stay in their order.
pub(super) fn moves(ty: &TensorType, from: &Order, to: &Order) -> bool {
    let is_one = |axis: &usize| ty.shape.0[*axis].known() == Some(1);
    let long = |order: &Order| order.axes().iter().copied().filter(|a| !is_one(a)).collect::<Vec<_>>();
    long(from) != long(to)
}

/// Where a node wants in memory 0 what its operand is in memory 1 (the two were reached from different sides
/// with different notions of channels), a cut cannot tell the costs. Such a node stays as it is.
fn settle_crossings(graph: &Graph, forms: &mut [Option<Forms>], constant: &[bool]) {
    for &id in graph.order() {
        let Some(Forms::Either(either)) = forms[id.index()].clone() else { continue };
        let crossed = graph.node(id).inputs.iter().enumerate().any(|(at, &value)| {
            let reads = reads(graph, forms, value);
            let Some(made) = makes(graph, forms, constant, value, &reads) else { return false };
            let [want0, want1] = [0, 1].map(|m| &either[m].inputs[at]);
            let ty = graph.ty(value);
            let dearer =
                |order: &Order, here: usize| cost(ty, &made[here], order) > cost(ty, &made[1 - here], order);
            want0 != want1 && (dearer(want0, 0) || dearer(want1, 1))
        });
        if crossed {
            let plain = either.iter().position(|f| f.inputs.iter().all(Order::is_identity));
            forms[id.index()] = Some(Forms::Fixed(either[plain.unwrap_or(0)].clone()));
        }
    }
}
