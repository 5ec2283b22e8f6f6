//! Which axis of a value holds channels: what the operators on images say, followed through all others.
//!
//! A model may well take its images with channels last and transpose them itself. Where they are in what it takes and
//! gives is seen from where its convolutions, pools and resizes have them.

use std::collections::VecDeque;

use ir::{Attribute, NodeId, Operator, ValueId};

use super::forms;
use crate::ops::{Graph, Op, Order, Reshape};

/// The axis that holds channels, by a value's index; nothing where no operator on images is near.
pub(super) fn axes(graph: &Graph) -> Vec<Option<usize>> {
    let values = graph.constness().len();
    let mut found = Found { axes: vec![None; values], queue: VecDeque::new() };
    for &id in graph.order() {
        let node = graph.node(id);
        if !is_on_images(&node.op) {
            continue;
        }
        for &value in node.inputs.first().into_iter().chain(&node.outputs) {
            found.learn(value, 1);
        }
    }
    while let Some(value) = found.queue.pop_front() {
        let axis = found.axes[value.index()].expect("queued values are known");
        for &id in graph.users(value) {
            follow(graph, id, |first, others, output| {
                let is = |v: ValueId, at: usize| v == value && at == axis;
                if is(first.0, first.1) || others.iter().any(|&(v, at)| is(v, at)) {
                    found.learn(output.0, output.1);
                    others.iter().chain([&first]).for_each(|&(v, at)| found.learn(v, at));
                }
            });
        }
        if let Some((id, _)) = graph.producer(value) {
            follow(graph, id, |first, others, output| {
                if output == (value, axis) {
                    others.iter().chain([&first]).for_each(|&(v, at)| found.learn(v, at));
                }
            });
        }
    }
    found.axes
}

/// Does a value go into an operator on images, or come of one, by whatever operators are between?
pub(super) fn meets_images(graph: &Graph, value: ValueId) -> bool {
    let mut seen = vec![false; graph.constness().len()];
    for forward in [true, false] {
        let mut queue = VecDeque::from([value]);
        while let Some(at) = queue.pop_front() {
            if std::mem::replace(&mut seen[at.index()], true) && at != value {
                continue;
            }
            let near = match forward {
                true => graph.users(at).to_vec(),
                false => graph.producer(at).map(|(id, _)| id).into_iter().collect(),
            };
            for node in near.into_iter().map(|id| graph.node(id)) {
                if is_on_images(&node.op) {
                    return true;
                }
                queue.extend(if forward { &node.outputs } else { &node.inputs });
            }
        }
    }
    false
}

struct Found {
    axes: Vec<Option<usize>>,
    queue: VecDeque<ValueId>,
}

impl Found {
    fn learn(&mut self, value: ValueId, axis: usize) {
        let known = &mut self.axes[value.index()];
        if known.is_none() {
            *known = Some(axis);
            self.queue.push_back(value);
        }
    }
}

/// Does the operator say itself where channels are?
fn is_on_images(op: &Op) -> bool {
    op.attributes().get("layout") == Some(&Attribute::Word("nchw".into()))
}

/// A value and an axis of it.
type Place = (ValueId, usize);

/// Tells, for each axis of a node's first input, which axes of its other inputs and of its output it is.
fn follow(graph: &Graph, id: NodeId, mut tell: impl FnMut(Place, &[Place], Place)) {
    let node = graph.node(id);
    let (Some(&first), [output]) = (node.inputs.first(), &node.outputs[..]) else { return };
    if is_on_images(&node.op) {
        return;
    }
    let rank = graph.ty(first).rank();
    for axis in 0..rank {
        if let Op::Reshape(Reshape { sizes }) = &node.op {
            let Ok(from) = graph.ty(first).sizes() else { return };
            if let Some(to) = kept(&from, sizes, axis) {
                tell((first, axis), &[], (*output, to));
            }
            continue;
        }
        if graph.ty(*output).rank() != rank {
            return;
        }
        // The axis stored last, the others in their order before it.
        let stored = (0..rank).filter(|&a| a != axis).chain([axis]).collect();
        let Some(form) = Order::new(stored).ok().and_then(|order| forms::carried(graph, id, &order)) else {
            continue;
        };
        let last = |order: &Order| order.axes().last().copied();
        let others: Vec<Place> = node
            .inputs
            .iter()
            .zip(&form.inputs)
            .skip(1)
            .filter(|(_, order)| order.rank() == rank)
            .filter_map(|(&value, order)| Some((value, last(order)?)))
            .collect();
        if let Some(to) = form.outputs.first().and_then(last) {
            tell((first, axis), &others, (*output, to));
        }
    }
}

/// The axis that a reshape makes of one: of the same size, with as many elements before it. Of several axes of size 1
/// there, the one in the same place.
fn kept(from: &[usize], to: &[usize], axis: usize) -> Option<usize> {
    let before = |sizes: &[usize], axis: usize| sizes[..axis].iter().product::<usize>();
    let alike = |&other: &usize| to[other] == from[axis] && before(to, other) == before(from, axis);
    let found: Vec<usize> = (0..to.len()).filter(alike).collect();
    match found[..] {
        [one] => Some(one),
        _ if from.len() == to.len() => found.into_iter().find(|&other| other == axis),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_kept_where_what_is_before_it_is() {
        assert_eq!(kept(&[1, 3, 6, 8], &[1, 3, 2, 3, 2, 4], 1), Some(1));
        assert_eq!(kept(&[1, 2, 2, 3, 4, 5], &[1, 4, 12, 5], 5), Some(3));
        assert_eq!(kept(&[1, 3, 6, 8], &[1, 18, 8], 1), None);
        assert_eq!(kept(&[1, 3, 6, 8], &[1, 18, 8], 2), None);
        assert_eq!(kept(&[1, 1, 6, 8], &[1, 1, 48], 1), None);
        assert_eq!(kept(&[1, 1, 6, 8], &[1, 1, 48, 1], 1), Some(1));
        assert_eq!(kept(&[2, 1, 6, 8], &[2, 1, 48], 1), Some(1));
    }
}
