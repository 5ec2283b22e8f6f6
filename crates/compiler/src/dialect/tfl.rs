//! TFLite's words: one builtin call as data, what it is spelled from and what is read back.
//!
//! An operator page spells itself as a [`Call`]:
//! `tfl::Call::new(Builtin::MEAN).input(0).int32s(axes)?.set(reducer_options::KEEP_DIMS, true)`,
//! and reads itself back from a [`Node`]. Options are (field, value) pairs of the builtin's options table, so neither
//! the writer nor the reader has a line per operator. The names of builtins, enums and fields are those of the format.

mod file;
mod options;
mod provenance;

use std::fmt;

use ir::{Constant, DType, Tensor, TensorType};
pub use schema::tflite::*;
pub use schema::{Datum, Field, Value};

pub use file::{
    Buffer, Custom, Details, Metadata, Model, Operator, Quantization, Signature, Subgraph,
    Tensor as TensorEntry,
};
pub use options::Options;
pub use provenance::{Entry, PROVENANCE, Provenance, Spot, decode};

/// Why an operator cannot be spelled, or read back: the text of the diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illegal(pub String);

impl Illegal {
    /// The error whose text is `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Illegal(message.into())
    }
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Illegal {}

impl From<ir::Mismatch> for Illegal {
    fn from(mismatch: ir::Mismatch) -> Self {
        Illegal(mismatch.0)
    }
}

/// One operand of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The node's input of this index.
    Input(usize),
    /// Data that is part of the spelling, such as the axes of a reduction.
    Constant(Tensor),
    /// An optional operand that is not given.
    Absent,
}

impl From<usize> for Operand {
    fn from(index: usize) -> Self {
        Operand::Input(index)
    }
}

impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Self {
        Operand::Constant(tensor)
    }
}

/// One builtin operator with its options and operands. Its results are the node's outputs, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which operator.
    pub operator: Builtin,
    /// The least version that the spelling needs beyond what the operand types ask for; 1 where nothing more.
    pub version: u32,
    /// The fields of its options table.
    pub options: Options,
    /// Its operands, in order.
    pub operands: Vec<Operand>,
}

impl Call {
    /// The operator with its default options and no operand yet.
    pub fn new(operator: Builtin) -> Self {
        Call { operator, version: 1, options: Options::of(operator), operands: Vec::new() }
    }

    /// Takes the node's input `index` as the next operand.
    pub fn input(self, index: usize) -> Self {
        self.operand(Operand::Input(index))
    }

    /// Takes several of the node's inputs as the next operands, in order.
    pub fn inputs(mut self, indices: impl IntoIterator<Item = usize>) -> Self {
        self.operands.extend(indices.into_iter().map(Operand::Input));
        self
    }

    /// Takes data as the next operand.
    pub fn constant(self, tensor: Tensor) -> Self {
        self.operand(Operand::Constant(tensor))
    }

    /// Takes a vector of int32 as the next operand: a shape, axes, a permutation. Kernels misread int64 ones.
    /// Errs where a number does not fit.
    pub fn int32s<N: TryInto<i32>>(self, numbers: impl IntoIterator<Item = N>) -> Result<Self, Illegal> {
        let numbers = numbers.into_iter().map(int32).collect::<Result<Vec<i32>, _>>()?;
        Ok(self.constant(Tensor::new(&[numbers.len()], &numbers)))
    }

    /// Takes an int32 of rank 0 as the next operand: an axis. Errs where it does not fit.
    pub fn int32<N: TryInto<i32>>(self, number: N) -> Result<Self, Illegal> {
        Ok(self.constant(Tensor::new(&[], &[int32(number)?])))
    }

    /// Leaves the next operand out.
    pub fn absent(self) -> Self {
        self.operand(Operand::Absent)
    }

    /// Takes `operand` as the next one.
    pub fn operand(mut self, operand: impl Into<Operand>) -> Self {
        self.operands.push(operand.into());
        self
    }

    /// Sets an option. Panics where the operator has no such field: that is a fault of the operator's page.
    pub fn set<T: Datum>(mut self, field: Field<T>, value: impl Into<T>) -> Self {
        self.options.set(field, value.into());
        self
    }

    /// Sets an option that is a size, an axis or a count. Errs where it does not fit.
    pub fn set_int32<N: TryInto<i32>>(self, field: Field<i32>, number: N) -> Result<Self, Illegal> {
        Ok(self.set(field, int32(number)?))
    }

    /// Asks for at least this version of the operator.
    pub fn at_least(mut self, version: u32) -> Self {
        self.version = self.version.max(version);
        self
    }
}

/// A number as TFLite's int32. Errs where it does not fit.
pub fn int32<N: TryInto<i32>>(number: N) -> Result<i32, Illegal> {
    number.try_into().map_err(|_| Illegal::new("a size or index is beyond the int32 that TFLite takes"))
}

/// What an operator page reads itself back as: the operator and where its inputs come from, [`Operand::Input`]
/// counting the operands of the TFLite operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported<O> {
    /// The operator.
    pub op: O,
    /// Its inputs, in order.
    pub inputs: Vec<Operand>,
}

/// An operator whose inputs are these operands or constants.
pub fn imported<O>(op: O, inputs: impl IntoIterator<Item = impl Into<Operand>>) -> Imported<O> {
    Imported { op, inputs: inputs.into_iter().map(Into::into).collect() }
}

/// An operator of a file, with the types of its operands and results: what `from_tfl` reads.
///
/// Its options are of the operator's own table; a file that says otherwise is refused before.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Which operator.
    pub operator: Builtin,
    /// Its version.
    pub version: u32,
    /// The fields of its options table.
    pub options: &'a Options,
    /// Its operands; `None` where an optional one is left out.
    pub inputs: Vec<Option<NodeInput>>,
    /// The types of its results.
    pub outputs: Vec<TensorType>,
}

/// One operand of a [`Node`].
#[derive(Clone, Debug)]
pub struct NodeInput {
    /// Its type.
    pub ty: TensorType,
    /// Its data, where the file holds it.
    pub constant: Option<Constant>,
}

/// The largest constant operand that is read as numbers, in elements: shapes and axes are small, and a crafted
/// file must not make us hold more.
const NUMBERS: usize = 1 << 20;

impl Node<'_> {
    /// An option, or its default. Panics where the operator has no such field: that is a fault of the page.
    pub fn get<T: Datum>(&self, field: Field<T>) -> T {
        self.options.get(field)
    }

    /// An option that is a size, a stride or a count. Errs below zero.
    pub fn size(&self, field: Field<i32>) -> Result<usize, Illegal> {
        let number = self.get(field);
        number.try_into().map_err(|_| Illegal(format!("{} has {field:?} of {number}", self.operator)))
    }

    /// The type of operand `index`.
    pub fn input(&self, index: usize) -> Result<&TensorType, Illegal> {
        self.optional_input(index).ok_or_else(|| Illegal(format!("{} lacks operand {index}", self.operator)))
    }

    /// The type of operand `index`, where it is given.
    pub fn optional_input(&self, index: usize) -> Option<&TensorType> {
        Some(&self.inputs.get(index)?.as_ref()?.ty)
    }

    /// The type of result `index`.
    pub fn output(&self, index: usize) -> Result<&TensorType, Illegal> {
        self.outputs.get(index).ok_or_else(|| Illegal(format!("{} lacks result {index}", self.operator)))
    }

    /// The data of operand `index`. Errs where it is computed at run time, too large to be part of a spelling, or
    /// cannot be read.
    pub fn constant(&self, index: usize) -> Result<Tensor, Illegal> {
        self.input(index)?;
        let given = self.inputs[index].as_ref().and_then(|input| input.constant.as_ref());
        let constant = given.ok_or_else(|| {
            Illegal(format!(
                "operand {index} of {} is computed at run time; only a constant is read",
                self.operator
            ))
        })?;
        if constant.sizes().iter().product::<usize>() > NUMBERS {
            return Err(Illegal(format!(
                "operand {index} of {} has too many elements: {:?}",
                self.operator, constant
            )));
        }
        constant
            .read()
            .map_err(|e| Illegal(format!("operand {index} of {} cannot be read: {e}", self.operator)))
    }

    /// The integers of constant operand `index`: a shape, axes, a permutation.
    pub fn ints(&self, index: usize) -> Result<Vec<i64>, Illegal> {
        let tensor = self.constant(index)?;
        match tensor.dtype() {
            DType::I32 | DType::I64 => Ok(tensor.to_i64s()),
            other => Err(Illegal(format!("operand {index} of {} is {other}, not i32 or i64", self.operator))),
        }
    }

    /// The one integer of constant operand `index`: an axis, a depth.
    pub fn int(&self, index: usize) -> Result<i64, Illegal> {
        match self.ints(index)?[..] {
            [number] => Ok(number),
            ref all => Err(Illegal(format!(
                "operand {index} of {} has {} elements, not 1",
                self.operator,
                all.len()
            ))),
        }
    }

    /// An axis counted from either end, within `rank` and counted from the front.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Illegal> {
        let counted = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(counted) {
            Ok(counted) if counted < rank => Ok(counted),
            _ => Err(Illegal(format!("{} has axis {axis} of a tensor of rank {rank}", self.operator))),
        }
    }
}

/// Which TFLite element type holds elements of which dtype.
const ELEMENTS: &[(ElementType, DType)] = &[
    (ElementType::FLOAT32, DType::F32),
    (ElementType::FLOAT16, DType::F16),
    (ElementType::INT32, DType::I32),
    (ElementType::UINT8, DType::U8),
    (ElementType::INT64, DType::I64),
    (ElementType::BOOL, DType::Bool),
    (ElementType::INT16, DType::I16),
    (ElementType::COMPLEX64, DType::C64),
    (ElementType::INT8, DType::I8),
    (ElementType::FLOAT64, DType::F64),
    (ElementType::COMPLEX128, DType::C128),
    (ElementType::UINT64, DType::U64),
    (ElementType::UINT32, DType::U32),
    (ElementType::UINT16, DType::U16),
    (ElementType::INT4, DType::I4),
    (ElementType::BFLOAT16, DType::Bf16),
    (ElementType::FLOAT8_E4M3FN, DType::F8E4M3Fn),
    (ElementType::FLOAT8_E5M2, DType::F8E5M2),
];

/// TFLite's element type for a dtype. Errs for dtypes that the format cannot hold.
pub fn element(dtype: DType) -> Result<ElementType, Illegal> {
    let found = ELEMENTS.iter().find(|(_, d)| *d == dtype);
    found.map(|(e, _)| *e).ok_or_else(|| Illegal(format!("TFLite has no tensors of {dtype}")))
}

/// The dtype of a TFLite element type; `None` for strings, resources and types that are not ours.
pub fn dtype(element: ElementType) -> Option<DType> {
    ELEMENTS.iter().find(|(e, _)| *e == element).map(|(_, d)| *d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_its_operands_and_the_options_that_differ_from_the_defaults() {
        let call = Call::new(Builtin::MEAN)
            .input(0)
            .int32s([1usize, 2])
            .unwrap()
            .set(reducer_options::KEEP_DIMS, true);
        assert_eq!(call.operands, [Operand::Input(0), Operand::Constant(Tensor::new(&[2], &[1i32, 2]))]);
        assert!(call.options.get(reducer_options::KEEP_DIMS));
        let back = call.clone().set(reducer_options::KEEP_DIMS, false);
        assert_eq!(back.options, Options::of(Builtin::MEAN));
    }

    #[test]
    fn defaults_are_those_of_the_format() {
        let conv = Call::new(Builtin::CONV_2D).set(conv_2d_options::PADDING, Padding::VALID);
        assert_eq!(conv.options.get(conv_2d_options::DILATION_W_FACTOR), 1);
        assert_eq!(conv.options.get(conv_2d_options::STRIDE_W), 0);
        assert_eq!(conv.options.get(conv_2d_options::PADDING), Padding::VALID);
    }

    #[test]
    fn numbers_beyond_int32_are_refused() {
        assert!(Call::new(Builtin::RESHAPE).int32s([1usize << 40]).is_err());
        assert!(Call::new(Builtin::PACK).set_int32(pack_options::AXIS, -1i64).is_ok());
        assert!(Call::new(Builtin::PACK).set_int32(pack_options::AXIS, 1i64 << 31).is_err());
    }

    #[test]
    fn dtypes_and_element_types_map_both_ways() {
        for (e, d) in ELEMENTS {
            assert_eq!((element(*d), dtype(*e)), (Ok(*e), Some(*d)));
        }
        assert!(element(DType::C32).is_err());
        assert_eq!(dtype(ElementType::STRING), None);
    }
}
