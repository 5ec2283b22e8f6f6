//! A box inside a tensor: what a slab of a weight expression asks of its inputs.

use std::ops::Range;

/// A box of elements: `start[i] .. start[i] + sizes[i]` along each axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first index along each axis.
    pub start: Vec<usize>,
    /// The number of indices along each axis.
    pub sizes: Vec<usize>,
}

impl Region {
    /// All of a tensor of these sizes.
    pub fn whole(sizes: &[usize]) -> Self {
        Region { start: vec![0; sizes.len()], sizes: sizes.to_vec() }
    }

    /// All of a tensor of these sizes but for its leading axis, of which `rows` are taken.
    pub fn rows(sizes: &[usize], rows: Range<usize>) -> Self {
        let mut region = Region::whole(sizes);
        region.start[0] = rows.start;
        region.sizes[0] = rows.len();
        region
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// Does it hold every element of a tensor of these sizes?
    pub fn is_whole(&self, sizes: &[usize]) -> bool {
        self.sizes == sizes && self.start.iter().all(|&s| s == 0)
    }

    /// Calls `run(start, len)` for each contiguous run of elements, in row-major order, where `start` counts
    /// elements in a contiguous tensor of sizes `outer`.
    pub fn for_each_run(&self, outer: &[usize], mut run: impl FnMut(usize, usize)) {
        if self.count() == 0 {
            return;
        }
        // The trailing axes that are taken whole make one run with the axis before them.
        let mut split = self.sizes.len();
        let mut inner = 1;
        while split > 0 && self.sizes[split - 1] == outer[split - 1] {
            split -= 1;
            inner *= outer[split];
        }
        let (len, lead) = match split.checked_sub(1) {
            Some(axis) => (self.sizes[axis] * inner, axis),
            None => return run(0, inner),
        };
        let mut strides = vec![1; outer.len()];
        for axis in (0..outer.len().saturating_sub(1)).rev() {
            strides[axis] = strides[axis + 1] * outer[axis + 1];
        }
        let base: usize = self.start.iter().zip(&strides).map(|(s, t)| s * t).sum();
        let mut index = vec![0; lead];
        loop {
            let offset: usize = index.iter().zip(&strides).map(|(i, t)| i * t).sum();
            run(base + offset, len);
            let Some(axis) = (0..lead).rev().find(|&a| index[a] + 1 < self.sizes[a]) else { return };
            index[axis] += 1;
            index[axis + 1..].fill(0);
        }
    }
}
