//! Writing `.safetensors`: a header, then every tensor in slabs, so that a file of any size needs little memory.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use files::Unfinished;
use indexmap::IndexMap;
use ir::{Constant, DType, Diagnostic};
use safetensors::Dtype;
use serde_json::json;

use crate::slab::{Broken, COPIED, stream};
use crate::{UNREADABLE_TENSORS, UNWRITABLE_TENSOR, unread};

/// Writes the tensors to `path`, which appears whole or not at all; `progress` hears of the bytes written so far. Gives
/// the file's length. The bytes are those that the safetensors library writes for the same tensors, in whatever order
/// they come. Errs with every tensor of a dtype that the format lacks, or where a file cannot be read or written.
pub fn write_safetensors(
    path: &Path,
    tensors: &IndexMap<String, Constant>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, Vec<Diagnostic>> {
    let (order, header) = plan(tensors)?;
    let failed = |e: io::Error| {
        vec![Diagnostic::new(UNREADABLE_TENSORS, format!("{} cannot be written: {e}", path.display()))]
    };
    let file = Unfinished::beside(path).map_err(failed)?;
    let mut out = BufWriter::with_capacity(COPIED, file);
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(failed)?;
    out.write_all(&header).map_err(failed)?;
    let mut written = 8 + header.len() as u64;
    for (name, constant) in order {
        let streamed = stream(constant, &mut |part| {
            out.write_all(part)?;
            written += part.len() as u64;
            progress(written);
            Ok(())
        });
        streamed.map_err(|broken| match broken {
            Broken::Source(e) => vec![unread(name, &e)],
            Broken::Target(e) => failed(e),
        })?;
    }
    let file = out.into_inner().map_err(|e| failed(e.into_error()))?;
    file.finish(path).map_err(failed)?;
    Ok(written)
}

/// Tensors with their names.
type Named<'a> = Vec<(&'a String, &'a Constant)>;

/// The tensors in the order of their bytes, and the header with its padding.
fn plan(tensors: &IndexMap<String, Constant>) -> Result<(Named<'_>, Vec<u8>), Vec<Diagnostic>> {
    let mut order = Vec::new();
    let mut wrong = Vec::new();
    for (name, constant) in tensors {
        match spelled(constant.dtype()) {
            Some(dtype) => order.push((dtype, name, constant)),
            None => wrong.push(Diagnostic::new(
                UNWRITABLE_TENSOR,
                format!("'{name}' is {}, which safetensors has no dtype for", constant.dtype()),
            )),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    // The wide elements first, so that each tensor is aligned; then by name.
    order.sort_by(|(a, name, _), (b, other, _)| b.cmp(a).then(name.cmp(other)));
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for (dtype, name, constant) in &order {
        let end = at + constant.bytes() as u64;
        let entry = json!({ "dtype": dtype, "shape": constant.sizes(), "data_offsets": [at, end] });
        header.insert(name.to_string(), entry);
        at = end;
    }
    let mut text = serde_json::Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok((order.into_iter().map(|(_, name, constant)| (name, constant)).collect(), text))
}

fn spelled(dtype: DType) -> Option<Dtype> {
    Some(match dtype {
        DType::Bool => Dtype::BOOL,
        DType::U8 => Dtype::U8,
        DType::I8 => Dtype::I8,
        DType::I16 => Dtype::I16,
        DType::U16 => Dtype::U16,
        DType::F16 => Dtype::F16,
        DType::Bf16 => Dtype::BF16,
        DType::I32 => Dtype::I32,
        DType::U32 => Dtype::U32,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I64 => Dtype::I64,
        DType::U64 => Dtype::U64,
        DType::C64 => Dtype::C64,
        DType::F8E4M3Fn => Dtype::F8_E4M3,
        DType::F8E5M2 => Dtype::F8_E5M2,
        DType::F8E4M3Fnuz => Dtype::F8_E4M3FNUZ,
        DType::F8E5M2Fnuz => Dtype::F8_E5M2FNUZ,
        DType::F8E8M0Fnu => Dtype::F8_E8M0,
        DType::I4 | DType::C32 | DType::C128 => return None,
    })
}
