//! A permutation of many axes as few permutations of few axes.

use std::collections::VecDeque;

use indexmap::IndexMap;

use crate::ops::Order;

/// One transpose: the sizes that its operand is reshaped to, and the order of these axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) sizes: Vec<usize>,
    pub(super) order: Order,
}

/// What a step may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::passes) struct Allowed<'a> {
    /// The most axes.
    pub(in crate::passes) most: usize,
    /// The orders that it must not have.
    pub(in crate::passes) forbidden: &'a [Order],
}

/// More axes than this, after those that stay together are one, are not searched.
const SEARCHED: usize = 7;

/// The fewest transposes that are allowed and, with reshapes between them, permute a tensor of these sizes; none where
/// memory does not move; of several ways one whose result has the sizes that are `wanted`, where there is one. `None`
/// where there are no such steps.
pub(super) fn steps(
    sizes: &[usize],
    order: &Order,
    allowed: Allowed<'_>,
    wanted: &[usize],
) -> Option<Vec<Step>> {
    let (sizes, target) = fused(sizes, order);
    let start: Vec<usize> = (0..sizes.len()).collect();
    if target == start {
        return Some(Vec::new());
    }
    let whole = Order::new(target.clone()).ok()?;
    if sizes.len() <= allowed.most && !allowed.forbidden.contains(&whole) {
        return Some(vec![Step { sizes, order: whole }]);
    }
    if sizes.len() > SEARCHED {
        return None;
    }
    let size = |block: &Vec<usize>| block.iter().map(|&axis| sizes[axis]).product::<usize>();
    let fits = |blocks: &Blocks| blocks.iter().map(size).eq(wanted.iter().copied());
    let path = search(&start, &target, allowed, fits)?;
    path.iter().map(|(from, blocks)| step(&sizes, from, blocks)).collect()
}

/// The sizes of the runs of axes that stay neighbours in their order, axes of size 1 left out, and the order of these.
fn fused(sizes: &[usize], order: &Order) -> (Vec<usize>, Vec<usize>) {
    let axes: Vec<usize> = order.axes().iter().copied().filter(|&a| sizes[a] != 1).collect();
    let long: Vec<usize> = (0..sizes.len()).filter(|&a| sizes[a] != 1).collect();
    let follows = |a: usize, b: usize| {
        long.iter().position(|&l| l == a).map(|i| i + 1) == long.iter().position(|&l| l == b)
    };
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for &axis in &axes {
        match runs.last_mut() {
            Some(run) if follows(run[run.len() - 1], axis) => run.push(axis),
            _ => runs.push(vec![axis]),
        }
    }
    let mut in_place: Vec<usize> = (0..runs.len()).collect();
    in_place.sort_by_key(|&i| runs[i][0]);
    let sizes = in_place.iter().map(|&i| runs[i].iter().map(|&a| sizes[a]).product()).collect();
    let rank_of = |i: usize| in_place.iter().position(|&j| j == i).expect("every run has a place");
    (sizes, (0..runs.len()).map(rank_of).collect())
}

/// Blocks of neighbours in their new order.
type Blocks = Vec<Vec<usize>>;

/// One step: the sequence it starts from, and the blocks that it makes.
type Move = (Vec<usize>, Blocks);

/// A shortest way from one sequence of axes to another, each step of which is allowed: if there is
/// one, such that its last blocks fit; of these, one that most often leaves the last block last, whose elements stay
/// together then, and keeps most neighbours.
fn search(
    start: &[usize],
    target: &[usize],
    allowed: Allowed<'_>,
    fits: impl Fn(&Blocks) -> bool,
) -> Option<Vec<Move>> {
    // Each sequence with the way to it.
    let mut reached: IndexMap<Vec<usize>, Vec<Move>> = IndexMap::new();
    reached.insert(start.to_vec(), Vec::new());
    let mut queue = VecDeque::from([0]);
    let mut found: Option<((bool, usize, usize), Vec<Move>)> = None;
    while let Some(at) = queue.pop_front() {
        let (from, way) = reached.get_index(at).map(|(from, way)| (from.clone(), way.clone()))?;
        if found.as_ref().is_some_and(|(_, found)| way.len() >= found.len()) {
            break;
        }
        for blocks in moves(&from, allowed.most) {
            let to = blocks.concat();
            let forbidden = order_of(&from, &blocks).is_none_or(|order| allowed.forbidden.contains(&order));
            if forbidden || (to != target && reached.contains_key(&to)) {
                continue;
            }
            let mut way = way.clone();
            way.push((from.clone(), blocks));
            if to != target {
                queue.push_back(reached.len());
                reached.insert(to, way);
                continue;
            }
            let scattered = way.iter().filter(|step| scatters(step)).count();
            let cost = (!fits(&way[way.len() - 1].1), scattered, way.iter().map(parted).sum());
            if found.as_ref().is_none_or(|(least, _)| cost < *least) {
                found = Some((cost, way));
            }
        }
    }
    found.map(|(_, way)| way)
}

/// How many axes get another neighbour behind them.
fn parted((from, blocks): &Move) -> usize {
    let pairs = |sequence: &[usize]| sequence.windows(2).map(|w| (w[0], w[1])).collect::<Vec<_>>();
    let before = pairs(from);
    pairs(&blocks.concat()).iter().filter(|pair| !before.contains(pair)).count()
}

/// Does another block go last than the one that was?
fn scatters((from, blocks): &Move) -> bool {
    blocks.last().and_then(|block| block.last()) != from.last()
}

/// Every new order of every cut into at most `most` blocks.
fn moves(sequence: &[usize], most: usize) -> Vec<Blocks> {
    let mut found = Vec::new();
    for cuts in 1u32..1 << (sequence.len() - 1) {
        if cuts.count_ones() as usize >= most {
            continue;
        }
        let mut blocks: Blocks = vec![vec![sequence[0]]];
        for (i, &axis) in sequence.iter().enumerate().skip(1) {
            match cuts >> (i - 1) & 1 {
                0 => blocks.last_mut().expect("there is a first block").push(axis),
                _ => blocks.push(vec![axis]),
            }
        }
        orders(&mut blocks, 0, &mut found);
    }
    found
}

/// Every order of the blocks from index `from` on.
fn orders(blocks: &mut Blocks, from: usize, found: &mut Vec<Blocks>) {
    if from + 1 >= blocks.len() {
        found.push(blocks.clone());
        return;
    }
    for i in from..blocks.len() {
        blocks[from..=i].rotate_right(1);
        orders(blocks, from + 1, found);
        blocks[from..=i].rotate_left(1);
    }
}

/// The blocks as they stand in `from`.
fn in_place<'b>(from: &[usize], blocks: &'b Blocks) -> Vec<&'b Vec<usize>> {
    let mut in_place: Vec<&Vec<usize>> = blocks.iter().collect();
    in_place.sort_by_key(|block| from.iter().position(|axis| *axis == block[0]));
    in_place
}

/// The order of blocks that makes them of `from`.
fn order_of(from: &[usize], blocks: &Blocks) -> Option<Order> {
    let in_place = in_place(from, blocks);
    let order = blocks.iter().map(|b| in_place.iter().position(|p| *p == b)).collect::<Option<Vec<_>>>()?;
    Order::new(order).ok()
}

/// The transpose that puts the axes of `from` into these blocks.
fn step(sizes: &[usize], from: &[usize], blocks: &Blocks) -> Option<Step> {
    let size = |block: &&Vec<usize>| block.iter().map(|&a| sizes[a]).product();
    Some(Step { sizes: in_place(from, blocks).iter().map(size).collect(), order: order_of(from, blocks)? })
}

#[cfg(test)]
mod tests {
    use ir::Tensor;

    use super::*;
    use crate::ops::{Op, Transpose};

    fn transposed(tensor: &Tensor, order: &Order) -> Tensor {
        Op::from(Transpose { order: order.clone() }).evaluate(&[tensor]).unwrap().remove(0)
    }

    fn check(sizes: &[usize], order: &[usize], most: usize) -> Option<usize> {
        check_without(sizes, order, most, &[])
    }

    fn check_without(sizes: &[usize], order: &[usize], most: usize, forbidden: &[&[usize]]) -> Option<usize> {
        let forbidden: Vec<Order> = forbidden.iter().map(|f| Order::new(f.to_vec()).unwrap()).collect();
        let order = Order::new(order.to_vec()).unwrap();
        let steps = steps(sizes, &order, Allowed { most, forbidden: &forbidden }, &[])?;
        let ramp: Vec<i32> = (0..sizes.iter().product::<usize>() as i32).collect();
        let mut value = Tensor::new(sizes, &ramp);
        let whole = transposed(&value, &order);
        for step in &steps {
            assert!(step.sizes.len() <= most && !forbidden.contains(&step.order));
            value = transposed(&value.reshaped(&step.sizes), &step.order);
        }
        assert_eq!(value.as_slice::<i32>(), whole.as_slice::<i32>(), "{sizes:?} {order:?}");
        Some(steps.len())
    }

    #[test]
    fn permutations_in_few_axes_move_every_element_to_its_place() {
        // The window partition, its inverse, and the split of query, key and value are one step.
        assert_eq!(check(&[2, 3, 4, 5, 6, 7], &[0, 1, 3, 2, 4, 5], 4), Some(1));
        assert_eq!(check(&[1, 3, 2, 4, 2, 5], &[0, 1, 3, 2, 4, 5], 4), Some(1));
        assert_eq!(check(&[1, 9, 3, 4, 5], &[2, 0, 3, 1, 4], 4), Some(1));
        assert_eq!(check(&[1, 3, 1, 4], &[0, 2, 1, 3], 4), Some(0));
        // Depth to space on channels first.
        assert_eq!(check(&[2, 3, 2, 2, 4, 5], &[0, 1, 4, 2, 5, 3], 4), Some(2));
        // None of five axes stays beside another.
        assert_eq!(check(&[2, 3, 2, 3, 2], &[0, 3, 2, 1, 4], 4), Some(2));
        assert_eq!(check(&[2, 3, 2, 3, 2, 3, 2], &[6, 4, 2, 0, 5, 3, 1], 4), Some(3));
        // Two axes can only be rotated.
        assert_eq!(check(&[2, 3, 4], &[2, 1, 0], 2), None);
        assert_eq!(check(&[2, 3, 4], &[2, 0, 1], 2), Some(1));
    }

    #[test]
    fn the_last_step_makes_what_is_wanted() {
        // Cutting an image into patches, with its channels going last.
        let order = Order::new(vec![1, 3, 2, 4, 0]).unwrap();
        let steps = |wanted: &[usize]| {
            steps(&[3, 2, 4, 2, 5], &order, Allowed { most: 4, forbidden: &[] }, wanted).unwrap()
        };
        let made = |steps: &[Step]| steps[1].order.apply(&steps[1].sizes);
        assert_eq!(made(&steps(&[4, 4, 5, 3])), [4, 4, 5, 3]);
        assert_eq!(made(&steps(&[2, 2, 20, 3])), [2, 2, 20, 3]);
        assert_eq!(steps(&[7]).len(), 2);
    }

    #[test]
    fn every_permutation_of_five_axes_has_steps() {
        let mut all = Vec::new();
        orders(&mut (0..5).map(|a| vec![a]).collect(), 0, &mut all);
        assert_eq!(all.len(), 120);
        for order in all {
            assert!(check(&[2, 3, 2, 1, 3], &order.concat(), 3).is_some());
            assert!(check(&[2, 3, 2, 2, 3], &order.concat(), 4).unwrap() <= 2);
        }
    }

    #[test]
    fn forbidden_permutations_are_taken_in_steps_that_are_allowed() {
        let forbidden: [&[usize]; 2] = [&[1, 3, 0, 2], &[2, 0, 3, 1]];
        for order in forbidden {
            assert_eq!(check_without(&[2, 3, 4, 5], order, 4, &forbidden), Some(2));
            // An axis of size 1 leaves three.
            assert_eq!(check_without(&[2, 1, 4, 5], order, 4, &forbidden), Some(1));
        }
        // Two axes have one other order only.
        assert_eq!(check_without(&[2, 3], &[1, 0], 4, &[&[1, 0]]), None);
        let mut all = Vec::new();
        orders(&mut (0..5).map(|a| vec![a]).collect(), 0, &mut all);
        for order in all {
            assert!(check_without(&[2, 3, 2, 2, 3], &order.concat(), 4, &forbidden).unwrap() <= 2);
        }
    }
}
