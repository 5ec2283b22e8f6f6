//! What a value is: its element type, its shape, and how its integers stand for real numbers.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::dim::Dim;
use crate::operator::Mismatch;
use crate::region::Region;

macro_rules! dtypes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $bits:literal;)*) => {
        /// The type of one element.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DType { $($(#[$doc])* $variant,)* }

        impl DType {
            /// Every element type.
            pub const ALL: &[DType] = &[$(DType::$variant,)*];

            /// The name in the text form, in messages and in reports: `f32`, `i64`, `bool`.
            pub fn name(self) -> &'static str {
                match self { $(DType::$variant => $name,)* }
            }

            /// The size of one element in bits.
            pub fn bits(self) -> usize {
                match self { $(DType::$variant => $bits,)* }
            }
        }
    };
}

dtypes! {
    /// Truth values, one byte each.
    Bool "bool" 8;
    /// Signed 4-bit integers, two per byte, low nibble first.
    I4 "i4" 4;
    /// Signed 8-bit integers.
    I8 "i8" 8;
    /// Signed 16-bit integers.
    I16 "i16" 16;
    /// Signed 32-bit integers.
    I32 "i32" 32;
    /// Signed 64-bit integers.
    I64 "i64" 64;
    /// Unsigned 8-bit integers.
    U8 "u8" 8;
    /// Unsigned 16-bit integers.
    U16 "u16" 16;
    /// Unsigned 32-bit integers.
    U32 "u32" 32;
    /// Unsigned 64-bit integers.
    U64 "u64" 64;
    /// IEEE half precision.
    F16 "f16" 16;
    /// The upper half of an f32.
    Bf16 "bf16" 16;
    /// IEEE single precision.
    F32 "f32" 32;
    /// IEEE double precision.
    F64 "f64" 64;
    /// 8-bit float with 4 exponent bits, finite only.
    F8E4M3Fn "f8e4m3fn" 8;
    /// 8-bit float with 5 exponent bits.
    F8E5M2 "f8e5m2" 8;
    /// 8-bit float with 4 exponent bits, finite, without negative zero.
    F8E4M3Fnuz "f8e4m3fnuz" 8;
    /// 8-bit float with 5 exponent bits, finite, without negative zero.
    F8E5M2Fnuz "f8e5m2fnuz" 8;
    /// 8-bit power of two.
    F8E8M0Fnu "f8e8m0fnu" 8;
    /// Two f16: real and imaginary part.
    C32 "c32" 32;
    /// Two f32: real and imaginary part.
    C64 "c64" 64;
    /// Two f64: real and imaginary part.
    C128 "c128" 128;
}

impl DType {
    /// The bytes that `count` elements take, packed.
    pub fn bytes(self, count: usize) -> usize {
        (count * self.bits()).div_ceil(8)
    }

    /// Is it a real floating-point type?
    pub fn is_float(self) -> bool {
        use DType::*;
        matches!(self, F16 | Bf16 | F32 | F64 | F8E4M3Fn | F8E5M2 | F8E4M3Fnuz | F8E5M2Fnuz | F8E8M0Fnu)
    }

    /// Is it an integer type? Truth values are not.
    pub fn is_int(self) -> bool {
        use DType::*;
        matches!(self, I4 | I8 | I16 | I32 | I64 | U8 | U16 | U32 | U64)
    }

    /// Is it a complex type?
    pub fn is_complex(self) -> bool {
        matches!(self, DType::C32 | DType::C64 | DType::C128)
    }

    /// The smallest and largest value of an integer type (or of truth values), as wide integers.
    pub fn int_range(self) -> Option<(i128, i128)> {
        use DType::*;
        let bits = self.bits() as u32;
        match self {
            Bool => Some((0, 1)),
            I4 | I8 | I16 | I32 | I64 => Some((-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)),
            U8 | U16 | U32 | U64 => Some((0, (1i128 << bits) - 1)),
            _ => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DType {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        DType::ALL
            .iter()
            .copied()
            .find(|d| d.name() == text)
            .ok_or_else(|| format!("no dtype is called '{text}'"))
    }
}

/// The sizes of a tensor's axes, outermost first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(pub Vec<Dim>);

impl Shape {
    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The sizes as numbers, or `None` where one is symbolic.
    pub fn known(&self) -> Option<Vec<usize>> {
        self.0.iter().map(Dim::known).collect()
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Self {
        Shape(sizes.iter().map(|&n| Dim::from(n)).collect())
    }
}

/// How integers stand for real numbers: `real = scale · (q − zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantParams {
    /// One scale, or one per index of `axis`.
    pub scales: Vec<f32>,
    /// As many as `scales`.
    pub zero_points: Vec<i64>,
    /// The axis that `scales` runs along.
    pub axis: usize,
}

impl QuantParams {
    /// One scale for all elements.
    pub fn per_tensor(scale: f32, zero_point: i64) -> Self {
        QuantParams { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
    }

    /// A scale for each index of `axis`, and 0 for 0.
    pub fn symmetric(scales: Vec<f32>, axis: usize) -> Self {
        QuantParams { zero_points: vec![0; scales.len()], scales, axis }
    }

    /// Does it fit a tensor of these sizes: a scale for all, or one for each index of an axis?
    pub fn fits(&self, sizes: &[usize]) -> bool {
        let count = self.scales.len();
        let per_index = sizes.get(self.axis) == Some(&count);
        self.zero_points.len() == count && (count == 1 || per_index)
    }

    /// Those of the elements inside `region`.
    pub fn within(&self, region: &Region) -> Self {
        if self.scales.len() == 1 {
            return self.clone();
        }
        let indices = region.start[self.axis]..region.start[self.axis] + region.sizes[self.axis];
        QuantParams {
            scales: self.scales[indices.clone()].to_vec(),
            zero_points: self.zero_points[indices].to_vec(),
            axis: self.axis,
        }
    }

    /// Calls `run(scale, zero_point, elements)` for each stretch of a tensor of these sizes that is scaled alike, in
    /// row-major order.
    pub fn for_each_run(&self, sizes: &[usize], mut run: impl FnMut(f32, i64, Range<usize>)) {
        let count: usize = sizes.iter().product();
        if self.scales.len() == 1 {
            return run(self.scales[0], self.zero_points[0], 0..count);
        }
        let inner: usize = sizes[self.axis + 1..].iter().product();
        for (at, first) in (0..count).step_by(inner.max(1)).enumerate() {
            let index = at % sizes[self.axis];
            run(self.scales[index], self.zero_points[index], first..first + inner);
        }
    }
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Axis sizes.
    pub shape: Shape,
    /// Present on quantized values.
    pub quant: Option<QuantParams>,
}

impl TensorType {
    /// A type with every size known.
    pub fn new(dtype: DType, sizes: &[usize]) -> Self {
        TensorType { dtype, shape: Shape::from(sizes), quant: None }
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// The sizes as numbers. Errs where a size is symbolic: pins are applied at import.
    pub fn sizes(&self) -> Result<Vec<usize>, Mismatch> {
        self.shape
            .known()
            .ok_or_else(|| Mismatch(format!("the shape of {self} has a size that is not pinned")))
    }

    /// The number of elements.
    pub fn count(&self) -> Result<usize, Mismatch> {
        self.sizes()?
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .ok_or_else(|| Mismatch(format!("{self} has more elements than this machine can count")))
    }

    /// The bytes of the whole tensor.
    pub fn bytes(&self) -> Result<usize, Mismatch> {
        Ok(self.dtype.bytes(self.count()?))
    }

    /// The same shape with another element type.
    pub fn with_dtype(&self, dtype: DType) -> Self {
        TensorType { dtype, shape: self.shape.clone(), quant: None }
    }

    /// The same element type with other sizes.
    pub fn with_sizes(&self, sizes: &[usize]) -> Self {
        TensorType { dtype: self.dtype, shape: Shape::from(sizes), quant: self.quant.clone() }
    }
}

impl fmt::Display for TensorType {
    /// `f32[2,3]`; quantized with one scale, `i8[2,3]{scale=0.5}`, with several `i8[2,3]{2 scales}`. The text form of a
    /// graph says them all: `{:#}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.shape.0.iter().map(Dim::to_string).collect();
        write!(f, "{}[{}]", self.dtype, sizes.join(","))?;
        match &self.quant {
            None => Ok(()),
            Some(q) if f.alternate() => {
                write!(f, "{{scales={:?}, zero_points={:?}, axis={}}}", q.scales, q.zero_points, q.axis)
            }
            Some(q) => match q.scales[..] {
                [scale] => write!(f, "{{scale={scale:?}}}"),
                _ => write!(f, "{{{} scales}}", q.scales.len()),
            },
        }
    }
}
