//! A tensor whose elements are in memory: contiguous, row-major, little-endian.

use half::{bf16, f16};

use crate::region::Region;
use crate::types::{DType, TensorType};

/// A Rust type that is the element of some [`DType`].
pub trait Element: bytemuck::Pod {
    /// The dtype whose elements it is.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => { $(impl Element for $rust { const DTYPE: DType = DType::$dtype; })* };
}
elements! { i8 => I8, i16 => I16, i32 => I32, i64 => I64, u8 => U8, u16 => U16, u32 => U32, u64 => U64,
f16 => F16, bf16 => Bf16, f32 => F32, f64 => F64 }

/// Elements in memory with their dtype and sizes.
///
/// The bytes are aligned for every element type. Truth values are bytes 0 and 1.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: DType,
    sizes: Vec<usize>,
    words: Vec<u64>,
}

impl Tensor {
    /// All elements zero.
    pub fn zeros(dtype: DType, sizes: &[usize]) -> Self {
        let bytes = dtype.bytes(sizes.iter().product());
        Tensor { dtype, sizes: sizes.to_vec(), words: vec![0; bytes.div_ceil(8)] }
    }

    /// From packed little-endian bytes. `None` where their number does not fit the sizes.
    pub fn from_bytes(dtype: DType, sizes: &[usize], bytes: &[u8]) -> Option<Self> {
        let mut tensor = Tensor::zeros(dtype, sizes);
        if tensor.bytes().len() != bytes.len() {
            return None;
        }
        tensor.bytes_mut().copy_from_slice(bytes);
        Some(tensor)
    }

    /// From elements. Panics where their number does not fit the sizes: that is a fault of the caller.
    pub fn new<T: Element>(sizes: &[usize], elements: &[T]) -> Self {
        Tensor::from_bytes(T::DTYPE, sizes, bytemuck::cast_slice(elements))
            .unwrap_or_else(|| panic!("{} elements do not fill {sizes:?}", elements.len()))
    }

    /// Truth values. Panics where their number does not fit the sizes.
    pub fn from_bools(sizes: &[usize], values: &[bool]) -> Self {
        let bytes: Vec<u8> = values.iter().map(|&b| u8::from(b)).collect();
        Tensor::from_bytes(DType::Bool, sizes, &bytes)
            .unwrap_or_else(|| panic!("{} elements do not fill {sizes:?}", values.len()))
    }

    /// Real numbers rounded to `dtype` once (to nearest, ties to even); integers saturate, as Rust's `as` does.
    pub fn from_f64s(dtype: DType, sizes: &[usize], values: impl IntoIterator<Item = f64>) -> Self {
        let mut tensor = Tensor::zeros(dtype, sizes);
        macro_rules! fill {
            ($t:ty, $convert:expr) => {
                for (slot, value) in tensor.as_mut_slice::<$t>().iter_mut().zip(values) {
                    *slot = $convert(value);
                }
            };
        }
        match dtype {
            DType::F64 => fill!(f64, |v| v),
            DType::F32 => fill!(f32, |v| v as f32),
            DType::F16 => fill!(f16, f16::from_f64),
            DType::Bf16 => fill!(bf16, bf16::from_f64),
            DType::I8 => fill!(i8, |v| v as i8),
            DType::I16 => fill!(i16, |v| v as i16),
            DType::I32 => fill!(i32, |v| v as i32),
            DType::I64 => fill!(i64, |v| v as i64),
            DType::U8 => fill!(u8, |v| v as u8),
            DType::U16 => fill!(u16, |v| v as u16),
            DType::U32 => fill!(u32, |v| v as u32),
            DType::U64 => fill!(u64, |v| v as u64),
            DType::Bool => {
                for (slot, value) in tensor.bytes_mut().iter_mut().zip(values) {
                    *slot = u8::from(value != 0.0);
                }
            }
            other => panic!("arithmetic on {other} is not defined here"),
        }
        tensor
    }

    /// Integers cast to `dtype`, wrapping as PyTorch does.
    pub fn from_i64s(dtype: DType, sizes: &[usize], values: impl IntoIterator<Item = i64>) -> Self {
        let mut tensor = Tensor::zeros(dtype, sizes);
        macro_rules! fill {
            ($t:ty) => {
                for (slot, value) in tensor.as_mut_slice::<$t>().iter_mut().zip(values) {
                    *slot = value as $t;
                }
            };
        }
        match dtype {
            DType::I8 => fill!(i8),
            DType::I16 => fill!(i16),
            DType::I32 => fill!(i32),
            DType::I64 => fill!(i64),
            DType::U8 => fill!(u8),
            DType::U16 => fill!(u16),
            DType::U32 => fill!(u32),
            DType::U64 => fill!(u64),
            DType::F32 => fill!(f32),
            DType::F64 => fill!(f64),
            DType::Bool => {
                for (slot, value) in tensor.bytes_mut().iter_mut().zip(values) {
                    *slot = u8::from(value != 0);
                }
            }
            other => return Tensor::from_f64s(other, sizes, values.into_iter().map(|v| v as f64)),
        }
        tensor
    }

    /// One element of rank 0.
    pub fn scalar(dtype: DType, value: f64) -> Self {
        Tensor::from_f64s(dtype, &[], [value])
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Axis sizes.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The type of this tensor as a value.
    pub fn ty(&self) -> TensorType {
        TensorType::new(self.dtype, &self.sizes)
    }

    /// The packed bytes.
    pub fn bytes(&self) -> &[u8] {
        let len = self.dtype.bytes(self.count());
        &bytemuck::cast_slice(&self.words)[..len]
    }

    /// The packed bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.dtype.bytes(self.count());
        &mut bytemuck::cast_slice_mut(&mut self.words)[..len]
    }

    /// The elements as `T`. Panics where `T` is not this tensor's element type.
    pub fn as_slice<T: Element>(&self) -> &[T] {
        assert_eq!(T::DTYPE, self.dtype, "elements read as another dtype");
        bytemuck::cast_slice(self.bytes())
    }

    /// The elements as `T`, to write. Panics where `T` is not this tensor's element type.
    pub fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        assert_eq!(T::DTYPE, self.dtype, "elements read as another dtype");
        bytemuck::cast_slice_mut(self.bytes_mut())
    }

    /// Every element as a real number (exact but for 64-bit integers beyond 2^53). Truth values are 0 and 1.
    pub fn to_f64s(&self) -> Vec<f64> {
        macro_rules! read {
            ($t:ty, $convert:expr) => {
                self.as_slice::<$t>().iter().map($convert).collect()
            };
        }
        match self.dtype {
            DType::F64 => self.as_slice::<f64>().to_vec(),
            DType::F32 => read!(f32, |&v| f64::from(v)),
            DType::F16 => read!(f16, |&v| v.to_f64()),
            DType::Bf16 => read!(bf16, |&v| v.to_f64()),
            DType::U64 => read!(u64, |&v| v as f64),
            _ => self.to_i64s().into_iter().map(|v| v as f64).collect(),
        }
    }

    /// Every element as an integer; floats truncate toward zero.
    pub fn to_i64s(&self) -> Vec<i64> {
        macro_rules! read {
            ($t:ty) => {
                self.as_slice::<$t>().iter().map(|&v| v as i64).collect()
            };
        }
        match self.dtype {
            DType::I8 => read!(i8),
            DType::I16 => read!(i16),
            DType::I32 => read!(i32),
            DType::I64 => self.as_slice::<i64>().to_vec(),
            DType::U8 => read!(u8),
            DType::U16 => read!(u16),
            DType::U32 => read!(u32),
            DType::U64 => read!(u64),
            DType::Bool => self.bytes().iter().map(|&v| i64::from(v)).collect(),
            DType::F32 | DType::F64 | DType::F16 | DType::Bf16 => {
                self.to_f64s().into_iter().map(|v| v as i64).collect()
            }
            other => panic!("arithmetic on {other} is not defined here"),
        }
    }

    /// Every element as a truth value: is it other than zero?
    pub fn to_bools(&self) -> Vec<bool> {
        if self.dtype == DType::Bool {
            return self.bytes().iter().map(|&b| b != 0).collect();
        }
        self.to_f64s().into_iter().map(|v| v != 0.0).collect()
    }

    /// The same elements in other sizes. Panics where the number of elements differs.
    pub fn reshaped(mut self, sizes: &[usize]) -> Self {
        assert_eq!(self.count(), sizes.iter().product::<usize>(), "a reshape keeps the number of elements");
        self.sizes = sizes.to_vec();
        self
    }

    /// The elements inside `region`, for element types of whole bytes.
    pub fn crop(&self, region: &Region) -> Self {
        if region.is_whole(&self.sizes) {
            return self.clone();
        }
        let width = self.dtype.bits() / 8;
        let mut out = Tensor::zeros(self.dtype, &region.sizes);
        let from = self.bytes();
        let mut at = 0;
        let target = out.bytes_mut();
        region.for_each_run(&self.sizes, |start, len| {
            target[at..at + len * width].copy_from_slice(&from[start * width..(start + len) * width]);
            at += len * width;
        });
        out
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor({}, {} bytes)", self.ty(), self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_elements_agree() {
        let t = Tensor::new(&[2, 3], &[1f32, 2., 3., 4., 5., 6.]);
        assert_eq!(t.to_f64s(), [1., 2., 3., 4., 5., 6.]);
        assert_eq!(Tensor::from_bytes(DType::F32, &[2, 3], t.bytes()), Some(t.clone()));
        assert_eq!(Tensor::from_bytes(DType::F32, &[7], t.bytes()), None);
    }

    #[test]
    fn crop_takes_the_rows_and_columns_asked_for() {
        let t = Tensor::new(&[3, 4], &(0..12).collect::<Vec<i32>>());
        let r = Region { start: vec![1, 1], sizes: vec![2, 2] };
        assert_eq!(t.crop(&r).as_slice::<i32>(), [5, 6, 9, 10]);
    }

    #[test]
    fn integers_wrap_and_reals_round_once() {
        assert_eq!(Tensor::from_i64s(DType::I8, &[1], [300]).to_i64s(), [44]);
        assert_eq!(Tensor::from_f64s(DType::F16, &[1], [1.0 + 2f64.powi(-11)]).to_f64s(), [1.0]);
    }
}
