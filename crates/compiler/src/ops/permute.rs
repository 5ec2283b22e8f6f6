//! Elements copied into another axis order, fast enough for weights of hundreds of megabytes.

/// The edge of the square blocks in which the two fastest axes are exchanged, in elements.
const BLOCK: usize = 32;

/// Copies elements of `width` bytes so that result axis `i` is input axis `axes[i]`. `sizes` are the input's.
pub(crate) fn permute(from: &[u8], sizes: &[usize], axes: &[usize], width: usize, to: &mut [u8]) {
    let (sizes, strides) = merged(sizes, axes);
    match width {
        1 => copy::<1>(from, &sizes, &strides, to),
        2 => copy::<2>(from, &sizes, &strides, to),
        4 => copy::<4>(from, &sizes, &strides, to),
        8 => copy::<8>(from, &sizes, &strides, to),
        _ => copy::<16>(from, &sizes, &strides, to),
    }
}

/// The sizes of the result and, for each of its axes, the input's step along it in elements. Axes of one index are
/// left out, and neighbours that stay neighbours are one axis.
fn merged(sizes: &[usize], axes: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let steps = super::moving::strides(sizes);
    let mut result: Vec<(usize, usize)> = Vec::new();
    for &axis in axes.iter().filter(|&&a| sizes[a] != 1) {
        match result.last_mut() {
            Some((size, step)) if *step == steps[axis] * sizes[axis] => {
                *size *= sizes[axis];
                *step = steps[axis];
            }
            _ => result.push((sizes[axis], steps[axis])),
        }
    }
    result.into_iter().unzip()
}

fn copy<const W: usize>(from: &[u8], sizes: &[usize], strides: &[usize], to: &mut [u8]) {
    let Some((&last, outer)) = sizes.split_last() else { return to.copy_from_slice(from) };
    if sizes.contains(&0) {
        return;
    }
    let step = strides[outer.len()];
    if step == 1 {
        // The fastest axis stays: rows are copied whole.
        for (row, start) in to.chunks_exact_mut(last * W).zip(Offsets::new(outer, strides)) {
            row.copy_from_slice(&from[start * W..(start + last) * W]);
        }
        return;
    }
    // The axis that is fastest in the input is exchanged with the one that is fastest in the result.
    let fast = strides.iter().position(|&s| s == 1).expect("some axis of more than one index is the fastest");
    let inner: usize = sizes[fast + 1..].iter().product();
    let without: Vec<usize> = outer.iter().enumerate().map(|(a, &n)| if a == fast { 1 } else { n }).collect();
    let places = super::moving::strides(sizes);
    for (start, place) in Offsets::new(&without, strides).zip(Offsets::new(&without, &places)) {
        for rows in (0..sizes[fast]).step_by(BLOCK) {
            for columns in (0..last).step_by(BLOCK) {
                for r in rows..(rows + BLOCK).min(sizes[fast]) {
                    for c in columns..(columns + BLOCK).min(last) {
                        let source = (start + r + c * step) * W;
                        let target = (place + r * inner + c) * W;
                        to[target..target + W].copy_from_slice(&from[source..source + W]);
                    }
                }
            }
        }
    }
}

/// `Σ indexₖ·strideₖ` for every index of a box, in row-major order.
struct Offsets<'a> {
    sizes: &'a [usize],
    strides: &'a [usize],
    index: Vec<usize>,
    next: Option<usize>,
}

impl<'a> Offsets<'a> {
    fn new(sizes: &'a [usize], strides: &'a [usize]) -> Self {
        Offsets { sizes, strides, index: vec![0; sizes.len()], next: Some(0) }
    }
}

impl Iterator for Offsets<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let current = self.next?;
        let mut following = current;
        self.next = None;
        for axis in (0..self.sizes.len()).rev() {
            if self.index[axis] + 1 < self.sizes[axis] {
                self.index[axis] += 1;
                self.next = Some(following + self.strides[axis]);
                break;
            }
            following -= self.index[axis] * self.strides[axis];
            self.index[axis] = 0;
        }
        Some(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Element by element, as the definition has it.
    fn plain(sizes: &[usize], axes: &[usize]) -> Vec<u32> {
        let steps = crate::ops::moving::strides(sizes);
        let result: Vec<usize> = axes.iter().map(|&a| sizes[a]).collect();
        let count: usize = sizes.iter().product();
        (0..count)
            .map(|mut flat| {
                let mut at = 0;
                for (i, &n) in result.iter().enumerate().rev() {
                    at += flat % n * steps[axes[i]];
                    flat /= n;
                }
                at as u32
            })
            .collect()
    }

    #[test]
    fn every_order_is_the_definition_element_by_element() {
        for (sizes, axes) in [
            (vec![5, 7], vec![1, 0]),
            (vec![70, 33, 2], vec![2, 1, 0]),
            (vec![4, 3, 5, 6], vec![0, 2, 3, 1]),
            (vec![4, 3, 5, 6], vec![3, 1, 0, 2]),
            (vec![2, 1, 40, 1, 35], vec![4, 3, 0, 2, 1]),
            (vec![6, 1, 3, 3], vec![1, 2, 3, 0]),
            (vec![3, 4], vec![0, 1]),
            (vec![], vec![]),
            (vec![1, 1], vec![1, 0]),
            (vec![0, 3], vec![1, 0]),
        ] {
            let from: Vec<u32> = (0..sizes.iter().product::<usize>() as u32).collect();
            let mut to = vec![0u32; from.len()];
            permute(bytes(&from), &sizes, &axes, 4, bytes_mut(&mut to));
            assert_eq!(to, plain(&sizes, &axes), "{sizes:?} {axes:?}");
        }
    }

    fn bytes(words: &[u32]) -> &[u8] {
        bytemuck::cast_slice(words)
    }

    fn bytes_mut(words: &mut [u32]) -> &mut [u8] {
        bytemuck::cast_slice_mut(words)
    }
}
