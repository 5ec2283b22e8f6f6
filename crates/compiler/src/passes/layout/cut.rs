//! The cheapest assignment of zeros and ones to variables whose costs are paid in pairs: a minimum cut.
//!
//! Each variable is a vertex; those on the source's side of the cut are 0, the others 1. An edge from `a` to `b`
//! is paid where `a` is 0 and `b` is 1. The cut is found as a maximum flow by Dinic's algorithm (E. A. Dinic,
//! 1970), walked without recursion; everything is visited in the order of creation, so equal problems have equal
//! answers.

use std::collections::VecDeque;

/// A variable of a [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Variable(usize);

/// What must not be: no sum of costs reaches it.
const FORBIDDEN: u64 = u64::MAX / 4;
/// The largest cost that is told apart from others.
const LARGEST: u64 = 1 << 48;

const SOURCE: usize = 0;
const SINK: usize = 1;

struct Edge {
    to: usize,
    capacity: u64,
}

/// Variables and what their values cost.
pub(super) struct Problem {
    /// Edges in pairs: edge `e ^ 1` is the reverse of edge `e`.
    edges: Vec<Edge>,
    /// The edges that leave each vertex.
    leaving: Vec<Vec<usize>>,
}

impl Problem {
    /// No variables yet.
    pub(super) fn new() -> Self {
        Problem { edges: Vec::new(), leaving: vec![Vec::new(), Vec::new()] }
    }

    /// A new variable.
    pub(super) fn variable(&mut self) -> Variable {
        self.leaving.push(Vec::new());
        Variable(self.leaving.len() - 1)
    }

    /// `cost` is paid where the variable is 0.
    pub(super) fn cost_of_zero(&mut self, variable: Variable, cost: u64) {
        self.edge(variable.0, SINK, cost.min(LARGEST));
    }

    /// `cost` is paid where the variable is 1.
    pub(super) fn cost_of_one(&mut self, variable: Variable, cost: u64) {
        self.edge(SOURCE, variable.0, cost.min(LARGEST));
    }

    /// `cost` is paid where `zero` is 0 and `one` is 1.
    pub(super) fn cost_between(&mut self, zero: Variable, one: Variable, cost: u64) {
        self.edge(zero.0, one.0, cost.min(LARGEST));
    }

    /// Where `one` is 1, `then` is 1 too.
    pub(super) fn implies(&mut self, one: Variable, then: Variable) {
        self.edge(then.0, one.0, FORBIDDEN);
    }

    fn edge(&mut self, from: usize, to: usize, capacity: u64) {
        if capacity == 0 || from == to {
            return;
        }
        self.leaving[from].push(self.edges.len());
        self.edges.push(Edge { to, capacity });
        self.leaving[to].push(self.edges.len());
        self.edges.push(Edge { to: from, capacity: 0 });
    }

    /// The value of each variable in a cheapest assignment: the one with the most ones.
    pub(super) fn solve(mut self) -> Solution {
        loop {
            let levels = self.levels();
            if levels[SINK].is_none() {
                return Solution { ones: levels.iter().map(Option::is_none).collect() };
            }
            self.block(&levels);
        }
    }

    /// The distance of each vertex from the source over edges that have capacity left.
    fn levels(&self) -> Vec<Option<usize>> {
        let mut levels = vec![None; self.leaving.len()];
        levels[SOURCE] = Some(0);
        let mut queue = VecDeque::from([(SOURCE, 0)]);
        while let Some((vertex, level)) = queue.pop_front() {
            for &edge in &self.leaving[vertex] {
                let Edge { to, capacity } = self.edges[edge];
                if capacity > 0 && levels[to].is_none() {
                    levels[to] = Some(level + 1);
                    queue.push_back((to, level + 1));
                }
            }
        }
        levels
    }

    /// Sends flow along shortest paths until none is left.
    fn block(&mut self, levels: &[Option<usize>]) {
        let mut next = vec![0; self.leaving.len()];
        let mut path: Vec<usize> = Vec::new();
        loop {
            let vertex = path.last().map_or(SOURCE, |&e| self.edges[e].to);
            if vertex == SINK {
                self.send(&mut path);
                continue;
            }
            let Some(&edge) = self.leaving[vertex].get(next[vertex]) else {
                // A dead end: the edge that led here is not tried again.
                let Some(back) = path.pop() else { return };
                next[self.edges[back ^ 1].to] += 1;
                continue;
            };
            let Edge { to, capacity } = self.edges[edge];
            if capacity > 0 && levels[to] == levels[vertex].map(|l| l + 1) {
                path.push(edge);
            } else {
                next[vertex] += 1;
            }
        }
    }

    /// Fills the path from source to sink, and shortens it to what comes before its first full edge.
    fn send(&mut self, path: &mut Vec<usize>) {
        let amount = path.iter().map(|&e| self.edges[e].capacity).min().expect("the sink is not the source");
        for &edge in path.iter() {
            self.edges[edge].capacity -= amount;
            self.edges[edge ^ 1].capacity += amount;
        }
        let full =
            path.iter().position(|&e| self.edges[e].capacity == 0).expect("the narrowest edge is full");
        path.truncate(full);
    }
}

/// The values of the variables.
pub(super) struct Solution {
    ones: Vec<bool>,
}

impl Solution {
    /// Is the variable 1?
    pub(super) fn is_one(&self, variable: Variable) -> bool {
        self.ones[variable.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of every variable and the least cost, by trying all assignments.
    fn tried(count: usize, zero: &[u64], one: &[u64], pairs: &[(usize, usize, u64)]) -> u64 {
        (0..1u32 << count).map(|bits| cost(bits, zero, one, pairs)).min().unwrap()
    }

    fn cost(bits: u32, zero: &[u64], one: &[u64], pairs: &[(usize, usize, u64)]) -> u64 {
        let is = |i: usize| bits >> i & 1 == 1;
        let unary = zero.iter().zip(one).enumerate().map(|(i, (z, o))| if is(i) { *o } else { *z });
        let between = pairs.iter().map(|&(a, b, c)| if !is(a) && is(b) { c } else { 0 });
        unary.sum::<u64>() + between.sum::<u64>()
    }

    #[test]
    fn no_assignment_is_cheaper() {
        let mut state = 1u64;
        let mut draw = |n: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % n
        };
        for _ in 0..300 {
            let count = 2 + draw(8) as usize;
            let zero: Vec<u64> = (0..count).map(|_| draw(10)).collect();
            let one: Vec<u64> = (0..count).map(|_| draw(10)).collect();
            let pairs: Vec<(usize, usize, u64)> = (0..draw(20))
                .map(|_| (draw(count as u64) as usize, draw(count as u64) as usize, draw(12)))
                .collect();
            let mut problem = Problem::new();
            let variables: Vec<Variable> = (0..count).map(|_| problem.variable()).collect();
            for i in 0..count {
                problem.cost_of_zero(variables[i], zero[i]);
                problem.cost_of_one(variables[i], one[i]);
            }
            for &(a, b, c) in &pairs {
                problem.cost_between(variables[a], variables[b], c);
            }
            let solution = problem.solve();
            let bits = (0..count).map(|i| u32::from(solution.is_one(variables[i])) << i).sum();
            assert_eq!(cost(bits, &zero, &one, &pairs), tried(count, &zero, &one, &pairs));
        }
    }

    #[test]
    fn what_implies_is_never_cut() {
        let mut problem = Problem::new();
        let (a, b) = (problem.variable(), problem.variable());
        problem.cost_of_zero(a, 5);
        problem.cost_of_one(b, 3);
        problem.implies(a, b);
        let solution = problem.solve();
        assert!(solution.is_one(a) && solution.is_one(b));
    }

    #[test]
    fn a_long_ladder_is_solved_at_once() {
        let mut problem = Problem::new();
        let rungs: Vec<Variable> = (0..15_000).map(|_| problem.variable()).collect();
        problem.cost_of_one(rungs[0], 1 << 40);
        problem.cost_of_zero(rungs[rungs.len() - 1], 1 << 40);
        for (i, pair) in rungs.windows(2).enumerate() {
            problem.cost_between(pair[0], pair[1], 1000 + (i as u64 * 7919) % 1000);
            problem.cost_between(pair[1], pair[0], 500);
            if i % 7 == 0 {
                problem.cost_of_zero(pair[0], i as u64 % 13);
                problem.cost_of_one(pair[1], i as u64 % 11);
            }
        }
        let solution = problem.solve();
        assert!(!solution.is_one(rungs[0]) && solution.is_one(rungs[rungs.len() - 1]));
    }
}
