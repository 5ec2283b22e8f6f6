//! A permutation of axes.

use ir::{Attribute, FromAttribute, Mismatch, ToAttribute};

/// An axis order: stored axis `i` is logical axis `order[i]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Order(Vec<usize>);

impl Order {
    /// From the logical axis of each stored axis. Errs where that is no permutation.
    pub fn new(axes: Vec<usize>) -> Result<Self, Mismatch> {
        let mut seen = vec![false; axes.len()];
        for &axis in &axes {
            if axis >= axes.len() || std::mem::replace(&mut seen[axis], true) {
                return Err(Mismatch(format!("{axes:?} is no permutation")));
            }
        }
        Ok(Order(axes))
    }

    /// The order that changes nothing.
    pub fn identity(rank: usize) -> Self {
        Order((0..rank).collect())
    }

    /// `[0, 2, …, rank-1, 1]`: N, C, spatial axes as N, spatial axes, C.
    pub fn channels_last(rank: usize) -> Self {
        Order(std::iter::once(0).chain(2..rank).chain([1]).take(rank).collect())
    }

    /// `[0, rank-1, 1, …]`: the inverse of [`Order::channels_last`].
    pub fn channels_first(rank: usize) -> Self {
        Order::channels_last(rank).inverse()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The logical axis of each stored axis.
    pub fn axes(&self) -> &[usize] {
        &self.0
    }

    /// Does it change nothing?
    pub fn is_identity(&self) -> bool {
        self.0.iter().enumerate().all(|(i, &a)| i == a)
    }

    /// The order that undoes this one.
    pub fn inverse(&self) -> Self {
        let mut inverse = vec![0; self.0.len()];
        for (i, &axis) in self.0.iter().enumerate() {
            inverse[axis] = i;
        }
        Order(inverse)
    }

    /// The order of transposing by `first` and then by this one: `transpose(transpose(x, first), self)`.
    pub fn after(&self, first: &Order) -> Self {
        Order(self.0.iter().map(|&i| first.0[i]).collect())
    }

    /// Where a logical axis is stored.
    pub fn position(&self, axis: usize) -> usize {
        self.0.iter().position(|&a| a == axis).expect("every axis below the rank is stored somewhere")
    }

    /// What is given for each logical axis, for each stored axis.
    pub fn apply<T: Clone>(&self, per_axis: &[T]) -> Vec<T> {
        self.0.iter().map(|&axis| per_axis[axis].clone()).collect()
    }
}

impl ToAttribute for Order {
    fn to_attribute(&self) -> Option<Attribute> {
        self.0.to_attribute()
    }
}

impl FromAttribute for Order {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        Order::new(Vec::from_attribute(attribute)?).ok()
    }
}
