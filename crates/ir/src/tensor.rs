//! A tensor whose elements are in memory: contiguous, row-major, little-endian.

use std::sync::Arc;

use half::{bf16, f16};

use crate::region::Region;
use crate::types::{DType, QuantParams, TensorType};

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
    quant: Option<Arc<QuantParams>>,
}

impl Tensor {
    /// All elements zero.
    pub fn zeros(dtype: DType, sizes: &[usize]) -> Self {
        let bytes = dtype.bytes(sizes.iter().product());
        Tensor { dtype, sizes: sizes.to_vec(), words: vec![0; bytes.div_ceil(8)], quant: None }
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
            DType::I4 => {
                let (count, bytes) = (tensor.count(), tensor.bytes_mut());
                for (at, value) in (0..count).zip(values) {
                    bytes[at / 2] |= (value as u8 & 0xf) << (at % 2 * 4);
                }
            }
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
        TensorType { quant: self.quant().cloned(), ..TensorType::new(self.dtype, &self.sizes) }
    }

    /// How its integers stand for real numbers, where they do.
    pub fn quant(&self) -> Option<&QuantParams> {
        self.quant.as_deref()
    }

    /// The same elements as `quant` says that they stand for real numbers.
    pub fn quantized(mut self, quant: QuantParams) -> Self {
        self.quant = Some(Arc::new(quant));
        self
    }

    /// The real numbers that quantized integers stand for, in f32: `scale · (q − zero_point)`, as LiteRT's DEQUANTIZE
    /// computes them. `None` where nothing says what they stand for.
    pub fn dequantized(&self) -> Option<Tensor> {
        let quant = self.quant()?;
        let integers = self.to_i64s();
        let mut out = Tensor::zeros(DType::F32, &self.sizes);
        let reals = out.as_mut_slice::<f32>();
        quant.for_each_run(&self.sizes, |scale, zero, elements| {
            for (slot, q) in reals[elements.clone()].iter_mut().zip(&integers[elements]) {
                *slot = scale * (q - zero) as f32;
            }
        });
        Some(out)
    }

    /// Integers nearest to real numbers, ties to even, that stand for them as `quant` says:
    /// `clamp(round(x / scale) + zero_point)` in f32, as LiteRT's QUANTIZE computes them. NaN becomes the zero point.
    pub fn from_reals(dtype: DType, sizes: &[usize], reals: &[f32], quant: QuantParams) -> Self {
        let (least, most) = dtype.int_range().expect("quantized elements are integers");
        let mut integers = vec![0i64; reals.len()];
        quant.for_each_run(sizes, |scale, zero, elements| {
            for (slot, &x) in integers[elements.clone()].iter_mut().zip(&reals[elements]) {
                *slot = ((x / scale).round_ties_even() as i64)
                    .saturating_add(zero)
                    .clamp(least as i64, most as i64);
            }
        });
        Tensor::from_i64s(dtype, sizes, integers).quantized(quant)
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
            // The lower half of a byte comes first; its sign is that of its uppermost bit.
            DType::I4 => {
                let half = |at: usize| (self.bytes()[at / 2] >> (at % 2 * 4)) & 0xf;
                (0..self.count()).map(|at| i64::from((half(at) << 4) as i8 >> 4)).collect()
            }
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

    /// The elements inside `region`.
    pub fn crop(&self, region: &Region) -> Self {
        if region.is_whole(&self.sizes) {
            return self.clone();
        }
        let cropped = if self.dtype.bits() < 8 { self.crop_packed(region) } else { self.crop_bytes(region) };
        match self.quant() {
            Some(quant) => cropped.quantized(quant.within(region)),
            None => cropped,
        }
    }

    /// Elements smaller than a byte.
    fn crop_packed(&self, region: &Region) -> Self {
        let (from, mut integers) = (self.to_i64s(), Vec::with_capacity(region.count()));
        region.for_each_run(&self.sizes, |start, len| integers.extend_from_slice(&from[start..start + len]));
        Tensor::from_i64s(self.dtype, &region.sizes, integers)
    }

    fn crop_bytes(&self, region: &Region) -> Self {
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
    fn half_bytes_are_packed_the_lower_first() {
        let t = Tensor::from_i64s(DType::I4, &[3, 3], [1, -2, 3, -4, 5, -6, 7, -8, 0]);
        assert_eq!(t.bytes(), [0xe1, 0xc3, 0xa5, 0x87, 0x00]);
        assert_eq!(t.to_i64s(), [1, -2, 3, -4, 5, -6, 7, -8, 0]);
        let r = Region { start: vec![1, 1], sizes: vec![2, 2] };
        assert_eq!(t.crop(&r).to_i64s(), [5, -6, -8, 0]);
    }

    /// `torch.quantize_per_channel` of the same numbers, and its `dequantize()`.
    #[test]
    fn reals_round_to_the_nearest_integer_of_their_channel() {
        let reals = [0.3f32, -0.7, 1.25, 5.0, -5.0, 2.5];
        let quant = QuantParams { scales: vec![0.5, 2.0], zero_points: vec![0, 3], axis: 0 };
        let t = Tensor::from_reals(DType::I8, &[2, 3], &reals, quant.clone());
        assert_eq!(t.to_i64s(), [1, -1, 2, 5, 1, 4]);
        assert_eq!(t.dequantized().unwrap().as_slice::<f32>(), [0.5, -0.5, 1.0, 4.0, -4.0, 2.0]);
        let by_column = QuantParams { scales: vec![0.5, 2.0, 1.0], zero_points: vec![0; 3], axis: 1 };
        let t = Tensor::from_reals(DType::I4, &[2, 3], &reals, by_column.clone());
        assert_eq!(
            t.to_i64s(),
            [1, 0, 1, 7, -2, 2],
            "0.3/0.5, −0.7/2, 1.25/1, 10 clamped, −2.5 to even, 2.5 to even"
        );
        let r = Region { start: vec![0, 1], sizes: vec![2, 2] };
        assert_eq!(t.crop(&r).quant().unwrap().scales, [2.0, 1.0]);
        assert_eq!(t.ty().quant, Some(by_column));
    }

    #[test]
    fn integers_wrap_and_reals_round_once() {
        assert_eq!(Tensor::from_i64s(DType::I8, &[1], [300]).to_i64s(), [44]);
        assert_eq!(Tensor::from_f64s(DType::F16, &[1], [1.0 + 2f64.powi(-11)]).to_f64s(), [1.0]);
    }
}
