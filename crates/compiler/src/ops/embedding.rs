//! Rows of a table, by their numbers.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::Definition;
use super::{arity, attributes};
use crate::dialect::tfl::{Builtin, Illegal};
use crate::dialect::{aten, tfl};

/// `y[…, d] = table[index[…], d]`. Every index is a row of the table, as PyTorch demands.
///
/// Inputs: the table, with 2 axes, and the indices.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {}

/// A table of integers. `GATHER` would give integers back, without the scale of their row.
fn looked_up(table: &TensorType, indices: &TensorType) -> Result<tfl::Call, Illegal> {
    let refused =
        |why: &str| Err(Illegal(format!("EMBEDDING_LOOKUP has no kernel for a table of {table}{why}")));
    if !matches!(table.dtype, DType::I8 | DType::I4) {
        return refused("");
    }
    // Measured on LiteRT 2.3.0: the kernel takes rows to begin on whole bytes.
    if table.dtype == DType::I4 && !table.sizes()?[1].is_multiple_of(2) {
        return refused(": its rows have an odd number of elements");
    }
    let quant = table.quant.as_ref().expect("the caller saw it");
    if quant.axis != 0 || quant.zero_points.iter().any(|&zero| zero != 0) {
        return refused(": it takes one scale per row and zero points of 0");
    }
    if indices.rank() != 1 || indices.dtype != DType::I32 {
        return refused(&format!(" and indices of {indices}; it takes one axis of i32"));
    }
    Ok(tfl::Call::new(Builtin::EMBEDDING_LOOKUP).input(1).input(0))
}

impl Definition for Embedding {
    const NAMES: &'static [&'static str] = &["embedding"];
    const ATEN: &'static [&'static str] = &["aten.embedding.default"];
    const TFL: &'static [Builtin] = &[Builtin::EMBEDDING_LOOKUP];
    attributes!();

    /// The row of `padding_idx` is special in training only.
    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        let (table, indices) = (call.tensor("weight")?, call.tensor("indices")?);
        Ok(aten::imported(Embedding {}, [table.into(), indices.into()]))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [table, indices] = arity(inputs)?;
        let &[_, width] = &table.sizes()?[..] else {
            return Err(Mismatch(format!("{table} is no table")));
        };
        if !indices.dtype.is_int() {
            return Err(Mismatch(format!("{indices} are no indices")));
        }
        let mut sizes = indices.sizes()?;
        sizes.push(width);
        // A row of integers that stand for real numbers is looked up as these.
        let dtype = if table.quant.is_some() { DType::F32 } else { table.dtype };
        Ok(vec![TensorType::new(dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let (table, indices) = (inputs[0], inputs[1]);
        let real = table.dequantized();
        let table = real.as_ref().unwrap_or(table);
        let (rows, width) = (table.sizes()[0], table.sizes()[1]);
        let mut sizes = indices.sizes().to_vec();
        sizes.push(width);
        let (mut result, bytes) = (Tensor::zeros(table.dtype(), &sizes), table.dtype().bytes(width));
        if bytes == 0 {
            return Some(vec![result]);
        }
        for (slot, index) in result.bytes_mut().chunks_exact_mut(bytes).zip(indices.to_i64s()) {
            let row = usize::try_from(index).ok().filter(|&row| row < rows)?;
            slot.copy_from_slice(&table.bytes()[row * bytes..(row + 1) * bytes]);
        }
        Some(vec![result])
    }

    /// `EMBEDDING_LOOKUP` takes one axis of i32 only, and `GATHER` all others.
    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (table, indices) = (inputs[0], inputs[1]);
        if table.quant.is_some() {
            return looked_up(table, indices);
        }
        super::moving::spelled(Builtin::GATHER, table)?;
        if !matches!(indices.dtype, DType::I32 | DType::I64) {
            return Err(Illegal(format!("GATHER takes indices of i32 or i64, not {}", indices.dtype)));
        }
        if indices.rank() == 1 && indices.dtype == DType::I32 {
            return Ok(tfl::Call::new(Builtin::EMBEDDING_LOOKUP).input(1).input(0));
        }
        if indices.rank() + 1 > 8 {
            return Err(Illegal(format!("GATHER makes at most 8 axes, not {}", indices.rank() + 1)));
        }
        Ok(tfl::Call::new(Builtin::GATHER).inputs(0..2))
    }

    fn from_tfl(_: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        Ok(tfl::imported(Embedding {}, [1, 0]))
    }
}
