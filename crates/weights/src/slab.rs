//! A tensor cut into boxes of a few megabytes, in the order of its elements.

use std::io;

use ir::{Constant, DType, Region};

/// The most bytes of a slab.
const SLAB: usize = 8 << 20;

/// The most bytes that are copied at once where nothing has to be put in order: they stay in the processor's cache.
pub(crate) const COPIED: usize = 256 << 10;

/// What went wrong on the way from one file to another.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It cannot be read.
    Source(io::Error),
    /// It cannot be written.
    Target(io::Error),
}

/// Gives the bytes of a tensor to `write`, part after part, in row-major order.
pub(crate) fn stream(data: &Constant, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Broken> {
    if let Constant::Range(range) = data
        && range.is_packed()
    {
        let mut buffer = vec![0; data.bytes().min(COPIED)];
        let (mut at, end) = (range.base, range.base + data.bytes() as u64);
        while at < end {
            let part = &mut buffer[..(end - at).min(COPIED as u64) as usize];
            range.storage.read_at(at, part).map_err(Broken::Source)?;
            write(part).map_err(Broken::Target)?;
            at += part.len() as u64;
        }
        return Ok(());
    }
    for region in slabs(data.sizes(), data.dtype()) {
        let slab = data.read_region(&region).map_err(Broken::Source)?;
        write(slab.bytes()).map_err(Broken::Target)?;
    }
    Ok(())
}

/// The boxes that a tensor of these sizes is read in; one after the other they are its elements in row-major order.
pub(crate) fn slabs(sizes: &[usize], dtype: DType) -> impl Iterator<Item = Region> {
    cut(sizes, SLAB / (dtype.bits() / 8).max(1))
}

/// Boxes of at most `most` elements.
fn cut(sizes: &[usize], most: usize) -> impl Iterator<Item = Region> {
    // Along this axis a slab has several indices; along those before it one, along those behind it all.
    let mut axis = sizes.len();
    let mut inner = 1;
    while axis > 0 && inner * sizes[axis - 1] <= most {
        axis -= 1;
        inner *= sizes[axis];
    }
    let (outer, count) = match axis.checked_sub(1) {
        None => (1, 1),
        Some(axis) => (sizes[..axis].iter().product::<usize>(), sizes[axis]),
    };
    let rows = (most / inner.max(1)).clamp(1, count.max(1));
    let sizes = sizes.to_vec();
    (0..outer).flat_map(move |at| {
        let sizes = sizes.clone();
        (0..count).step_by(rows).map(move |row| {
            let mut region = Region::whole(&sizes);
            let Some(axis) = axis.checked_sub(1) else { return region };
            let mut left = at;
            for before in (0..axis).rev() {
                region.start[before] = left % sizes[before];
                region.sizes[before] = 1;
                left /= sizes[before];
            }
            region.start[axis] = row;
            region.sizes[axis] = rows.min(count - row);
            region
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::Tensor;

    #[test]
    fn slabs_in_a_row_are_the_tensor() {
        for sizes in [vec![], vec![7], vec![2, 3, 5], vec![5, 1, 4, 3], vec![1, 1, 9], vec![0, 4], vec![4, 0]]
        {
            let count: i32 = sizes.iter().product::<usize>() as i32;
            let tensor = Tensor::new(&sizes, &(0..count).collect::<Vec<_>>());
            for most in 1..20 {
                let mut all = Vec::new();
                for region in cut(&sizes, most) {
                    assert!(region.count() <= most, "{sizes:?} {most}");
                    all.extend_from_slice(tensor.crop(&region).as_slice::<i32>());
                }
                assert_eq!(all, tensor.as_slice::<i32>(), "{sizes:?} {most}");
            }
        }
    }
}
