//! Typed bytes that do not change: in memory, or a strided range of a file that is read when needed.

use std::fmt;
use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::region::Region;
use crate::tensor::Tensor;
use crate::types::{DType, QuantParams, TensorType};

/// Something whose bytes can be read at any offset, such as an open archive.
pub trait Storage: Send + Sync {
    /// Fills `into` from `offset`. Errs where the bytes are not all there.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

#[cfg(unix)]
impl Storage for std::fs::File {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, into, offset)
    }
}

/// A tensor that lies in a file, as PyTorch lays it out: element `i` is at `base + Σ iₖ·strideₖ` elements.
#[derive(Clone)]
pub struct FileRange {
    /// The open file.
    pub storage: Arc<dyn Storage>,
    /// Where element 0 lies, in bytes from the file's start.
    pub base: u64,
    /// Element type.
    pub dtype: DType,
    /// Axis sizes.
    pub sizes: Vec<usize>,
    /// Steps along each axis, in elements; 0 repeats.
    pub strides: Vec<usize>,
    /// How its integers stand for real numbers, where they do.
    pub quant: Option<Arc<QuantParams>>,
    /// What tells equal contents apart: the entry's name and checksum, offset, strides.
    pub fingerprint: String,
    /// What equal contents of two entries have in common: checksum and size of the entry, and the place in it. `None`
    /// where the file states none.
    pub checksum: Option<String>,
}

/// Constant data of known type.
#[derive(Clone)]
pub enum Constant {
    /// Elements in memory.
    Inline(Arc<Tensor>),
    /// Elements in a file.
    Range(Arc<FileRange>),
}

impl Constant {
    /// Element type.
    pub fn dtype(&self) -> DType {
        match self {
            Constant::Inline(t) => t.dtype(),
            Constant::Range(r) => r.dtype,
        }
    }

    /// Axis sizes.
    pub fn sizes(&self) -> &[usize] {
        match self {
            Constant::Inline(t) => t.sizes(),
            Constant::Range(r) => &r.sizes,
        }
    }

    /// The type of this constant as a value.
    pub fn ty(&self) -> TensorType {
        let quant = match self {
            Constant::Inline(t) => t.quant(),
            Constant::Range(r) => r.quant.as_deref(),
        };
        TensorType { quant: quant.cloned(), ..TensorType::new(self.dtype(), self.sizes()) }
    }

    /// The same elements as `quant` says that they stand for real numbers.
    pub fn quantized(self, quant: QuantParams) -> Self {
        match self {
            Constant::Inline(tensor) => Arc::unwrap_or_clone(tensor).quantized(quant).into(),
            Constant::Range(range) => {
                let quant = Some(Arc::new(quant));
                Constant::Range(Arc::new(FileRange { quant, ..Arc::unwrap_or_clone(range) }))
            }
        }
    }

    /// The number of bytes it has, packed.
    pub fn bytes(&self) -> usize {
        self.dtype().bytes(self.sizes().iter().product())
    }

    /// The elements in memory, where they are there already.
    pub fn inline(&self) -> Option<&Tensor> {
        match self {
            Constant::Inline(t) => Some(t),
            Constant::Range(_) => None,
        }
    }

    /// Every element. Errs where the file cannot be read.
    pub fn read(&self) -> io::Result<Tensor> {
        self.read_region(&Region::whole(self.sizes()))
    }

    /// The elements inside `region`. Errs where the file cannot be read.
    pub fn read_region(&self, region: &Region) -> io::Result<Tensor> {
        match self {
            Constant::Inline(t) => Ok(t.crop(region)),
            Constant::Range(r) => match (r.read_region(region)?, &r.quant) {
                (tensor, Some(quant)) => Ok(tensor.quantized(quant.within(region))),
                (tensor, None) => Ok(tensor),
            },
        }
    }

    /// What tells it from other constants in the text form: a short hash of its contents, or of the checksum
    /// and place of the range that holds them.
    pub fn fingerprint(&self) -> String {
        let digest = match self {
            Constant::Inline(t) => {
                Sha256::new().chain_update(format!("{:#}", t.ty())).chain_update(t.bytes()).finalize()
            }
            Constant::Range(r) => Sha256::digest(r.fingerprint.as_bytes()),
        };
        digest[..6].iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Are the two known to be equal without reading a file?
    pub fn same(&self, other: &Constant) -> bool {
        match (self, other) {
            (Constant::Inline(a), Constant::Inline(b)) => Arc::ptr_eq(a, b) || a == b,
            (Constant::Range(a), Constant::Range(b)) => {
                a.fingerprint == b.fingerprint
                    && a.sizes == b.sizes
                    && a.strides == b.strides
                    && a.dtype == b.dtype
                    && a.quant == b.quant
            }
            _ => false,
        }
    }

    /// What constants that may be equal have in common: more than a type, and no proof.
    pub fn likeness(&self) -> String {
        match self {
            Constant::Range(range) => range.checksum.clone().unwrap_or_else(|| self.fingerprint()),
            Constant::Inline(_) => self.fingerprint(),
        }
    }

    /// Are the two equal? The files are read only where their checksums agree. Errs where one cannot be read.
    pub fn equals(&self, other: &Constant) -> io::Result<bool> {
        match (self, other) {
            _ if self.same(other) => Ok(true),
            (Constant::Range(a), Constant::Range(b)) if a.may_equal(b) => a.stores_the_same(b),
            _ => Ok(false),
        }
    }
}

impl From<Tensor> for Constant {
    fn from(tensor: Tensor) -> Self {
        Constant::Inline(Arc::new(tensor))
    }
}

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Constant({}, #{})", self.ty(), self.fingerprint())
    }
}

/// The largest stretch of a file that is read at once to gather strided elements out of it, in bytes.
const GATHER: usize = 4 << 20;

/// How much of two files is compared at once, in bytes.
const COMPARED: usize = 256 << 10;

/// How many stretches are read before their elements go to their places: as many as fill a line of the cache.
const STEPS: usize = 16;

impl FileRange {
    /// Do the elements lie in the file as they lie in a tensor: packed, in row-major order?
    pub fn is_packed(&self) -> bool {
        let mut packed = 1;
        self.sizes.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let follows = size == 1 || stride == packed;
            packed *= size;
            follows
        })
    }

    /// May both have the same elements, as far as is known without reading them?
    fn may_equal(&self, other: &FileRange) -> bool {
        self.checksum.is_some()
            && self.checksum == other.checksum
            && (self.dtype, &self.sizes, &self.strides, &self.quant)
                == (other.dtype, &other.sizes, &other.strides, &other.quant)
    }

    /// Do the same bytes lie in both files, from the first element to the last?
    fn stores_the_same(&self, other: &FileRange) -> io::Result<bool> {
        if self.sizes.contains(&0) {
            return Ok(true);
        }
        let last: usize = self.sizes.iter().zip(&self.strides).map(|(n, s)| (n - 1) * s).sum();
        let bytes = self.dtype.bytes(last + 1);
        let mut buffers = [vec![0; bytes.min(COMPARED)], vec![0; bytes.min(COMPARED)]];
        for at in (0..bytes).step_by(COMPARED) {
            let count = COMPARED.min(bytes - at);
            for (range, buffer) in [self, other].into_iter().zip(&mut buffers) {
                range.storage.read_at(range.base + at as u64, &mut buffer[..count])?;
            }
            if buffers[0][..count] != buffers[1][..count] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same elements with the axes in another order.
    pub fn turned(&self, order: &[usize]) -> FileRange {
        let turn = |quant: &Arc<QuantParams>| {
            let axis = order.iter().position(|&axis| axis == quant.axis).unwrap_or(quant.axis);
            Arc::new(QuantParams { axis, ..(**quant).clone() })
        };
        FileRange {
            quant: self.quant.as_ref().map(turn),
            sizes: order.iter().map(|&axis| self.sizes[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            fingerprint: format!("{} {order:?}", self.fingerprint),
            ..self.clone()
        }
    }

    fn read_region(&self, region: &Region) -> io::Result<Tensor> {
        let mut out = Tensor::zeros(self.dtype, &region.sizes);
        if region.count() == 0 {
            return Ok(out);
        }
        let width = self.dtype.bits() / 8;
        let start: usize = region.start.iter().zip(&self.strides).map(|(i, s)| i * s).sum();
        let base = self.base + (start * width) as u64;

        // Axes of one index do not move; what is left is read along the axes from the innermost outwards for
        // as long as they are packed.
        let axes: Vec<(usize, usize)> =
            region.sizes.iter().copied().zip(self.strides.iter().copied()).filter(|&(n, _)| n > 1).collect();
        let mut packed = 1;
        let mut outer = axes.len();
        while outer > 0 && axes[outer - 1].1 == packed {
            outer -= 1;
            packed *= axes[outer].0;
        }
        self.read_axes(base, &axes[..outer], packed, out.bytes_mut(), width)?;
        Ok(out)
    }

    /// Reads rows of `packed` elements under the given outer axes (size, stride) into `out`.
    fn read_axes(
        &self,
        base: u64,
        axes: &[(usize, usize)],
        packed: usize,
        out: &mut [u8],
        width: usize,
    ) -> io::Result<()> {
        // The stretch of the file that these axes span: gathered in memory where it is small.
        let span = axes.iter().map(|(n, s)| (n - 1) * s).sum::<usize>() + packed;
        if axes.is_empty() {
            return self.storage.read_at(base, out);
        }
        if span * width <= GATHER {
            let mut stretch = vec![0; span * width];
            self.storage.read_at(base, &mut stretch)?;
            gather(&stretch, axes, packed * width, width, out);
            return Ok(());
        }
        // The axis with the largest stride is walked, so that each step reads one compact stretch; where that
        // is not the outermost, its results are scattered to their places.
        let (walk, &(count, stride)) =
            axes.iter().enumerate().max_by_key(|(_, (_, s))| *s).expect("there is an outer axis");
        let mut rest: Vec<(usize, usize)> =
            axes.iter().enumerate().filter(|&(i, _)| i != walk).map(|(_, &a)| a).collect();
        let before: usize = axes[..walk].iter().map(|a| a.0).product();
        let after: usize = axes[walk + 1..].iter().map(|a| a.0).product::<usize>() * packed * width;
        // Without the axis that is walked, others may be packed.
        let mut packed = packed;
        while let Some(&(size, stride)) = rest.last()
            && stride == packed
        {
            packed *= size;
            rest.pop();
        }
        let at = |i: usize| base + (i * stride * width) as u64;
        if before == 1 {
            return out
                .chunks_exact_mut(after)
                .enumerate()
                .try_for_each(|(i, part)| self.read_axes(at(i), &rest, packed, part, width));
        }
        let part = before * after;
        let mut parts = vec![0; STEPS.min(count) * part];
        for first in (0..count).step_by(STEPS) {
            let steps = STEPS.min(count - first);
            for step in 0..steps {
                let read = &mut parts[step * part..][..part];
                self.read_axes(at(first + step), &rest, packed, read, width)?;
            }
            for (b, row) in out.chunks_exact_mut(count * after).enumerate() {
                let row = &mut row[first * after..][..steps * after];
                match after {
                    // Of a known size, an element is moved in a register.
                    2 => interleave::<[u8; 2]>(&parts[b * after..], part, row),
                    4 => interleave::<[u8; 4]>(&parts[b * after..], part, row),
                    8 => interleave::<[u8; 8]>(&parts[b * after..], part, row),
                    _ => {
                        for (step, to) in row.chunks_exact_mut(after).enumerate() {
                            to.copy_from_slice(&parts[step * part + b * after..][..after]);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Fills `row` with elements that lie `step` bytes apart.
fn interleave<E: bytemuck::Pod>(from: &[u8], step: usize, row: &mut [u8]) {
    for (i, to) in bytemuck::cast_slice_mut::<u8, E>(row).iter_mut().enumerate() {
        *to = bytemuck::pod_read_unaligned(&from[i * step..][..size_of::<E>()]);
    }
}

/// Copies strided rows of `row` bytes out of `stretch`, outermost axis first.
fn gather(stretch: &[u8], axes: &[(usize, usize)], row: usize, width: usize, out: &mut [u8]) {
    let Some((&(count, stride), rest)) = axes.split_first() else {
        out.copy_from_slice(&stretch[..row]);
        return;
    };
    for (i, part) in out.chunks_exact_mut(rest.iter().map(|a| a.0).product::<usize>() * row).enumerate() {
        debug_assert!(i < count);
        gather(&stretch[i * stride * width..], rest, row, width, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Memory(Vec<u8>);
    impl Storage for Memory {
        fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
            let from = offset as usize;
            into.copy_from_slice(self.0.get(from..from + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    fn range(sizes: &[usize], strides: &[usize], base: u64) -> Constant {
        let bytes = (0..3_000_000i32).flat_map(i32::to_le_bytes).collect();
        Constant::Range(Arc::new(FileRange {
            storage: Arc::new(Memory(bytes)),
            base,
            dtype: DType::I32,
            sizes: sizes.to_vec(),
            strides: strides.to_vec(),
            quant: None,
            fingerprint: String::new(),
            checksum: None,
        }))
    }

    fn entry(name: &str, checksum: &str, elements: &[i32]) -> Constant {
        Constant::Range(Arc::new(FileRange {
            storage: Arc::new(Memory(elements.iter().flat_map(|e| e.to_le_bytes()).collect())),
            base: 0,
            dtype: DType::I32,
            sizes: vec![elements.len()],
            strides: vec![1],
            quant: None,
            fingerprint: name.into(),
            checksum: Some(checksum.into()),
        }))
    }

    #[test]
    fn entries_of_one_checksum_are_equal_where_their_bytes_are() {
        let long: Vec<i32> = (0..100_000).collect();
        let mut other = long.clone();
        other[99_999] = 0;
        let first = entry("a", "1", &long);
        assert!(
            !first.same(&entry("b", "1", &long)) && first.likeness() == entry("b", "1", &other).likeness()
        );
        assert!(first.equals(&entry("b", "1", &long)).unwrap());
        assert!(!first.equals(&entry("b", "1", &other)).unwrap());
        assert!(!first.equals(&entry("b", "2", &long)).unwrap(), "what differs in its checksum is not read");
        let longer = Constant::Range(Arc::new(FileRange {
            sizes: vec![100_001],
            ..match entry("b", "1", &long) {
                Constant::Range(range) => Arc::unwrap_or_clone(range),
                Constant::Inline(_) => unreachable!("it is a range"),
            }
        }));
        assert!(longer.equals(&longer.clone()).unwrap() && !first.equals(&longer).unwrap());
    }

    fn expected(sizes: &[usize], strides: &[usize], first: i32) -> Vec<i32> {
        let count: usize = sizes.iter().product();
        (0..count)
            .map(|mut flat| {
                let mut at = 0;
                for (n, s) in sizes.iter().zip(strides).rev() {
                    at += flat % n * s;
                    flat /= n;
                }
                first + at as i32
            })
            .collect()
    }

    #[test]
    fn strided_ranges_read_as_pytorch_lays_them_out() {
        for (sizes, strides) in [
            (vec![2, 3], vec![3, 1]),
            (vec![8, 4], vec![1, 8]),
            (vec![8], vec![2]),
            (vec![4, 8], vec![0, 1]),
            (vec![1, 2, 3, 4], vec![24, 1, 8, 2]),
            (vec![], vec![]),
            (vec![0, 3], vec![3, 1]),
            (vec![3, 900, 2], vec![1, 1500, 700_000]),
            (vec![1200, 1200], vec![1, 1200]),
            (vec![4, 3, 5], vec![7, 600_000, 1]),
        ] {
            let constant = range(&sizes, &strides, 40);
            assert_eq!(
                constant.read().unwrap().as_slice::<i32>(),
                expected(&sizes, &strides, 10),
                "{sizes:?} {strides:?}"
            );
        }
    }

    #[test]
    fn a_region_of_a_transposed_range_is_read() {
        let constant = range(&[1200, 1200], &[1, 1200], 0);
        let region = Region { start: vec![7, 1], sizes: vec![2, 3] };
        assert_eq!(
            constant.read_region(&region).unwrap().as_slice::<i32>(),
            [1207, 2407, 3607, 1208, 2408, 3608]
        );
    }
}
