//! The `.safetensors` format: a JSON header with dtypes, sizes and offsets, then the bytes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use ir::{Constant, DType, Diagnostic, FileRange, Storage};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use crate::{MALFORMED_TENSORS, UNREADABLE_TENSORS};

/// The largest header that is read, in bytes; the format's own limit.
const HEADER: u64 = 100 << 20;

/// The tensors of a file by name, in the order of their bytes. Nothing but the header is read. Errs where the file
/// cannot be opened, its header is malformed, or a tensor lies outside it.
pub fn read_safetensors(path: &Path) -> Result<IndexMap<String, Constant>, Diagnostic> {
    let unreadable =
        |e: std::io::Error| Diagnostic::new(UNREADABLE_TENSORS, format!("{}: {e}", path.display()));
    let malformed = |why: String| Diagnostic::new(MALFORMED_TENSORS, format!("{}: {why}", path.display()));

    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    if length < 8 {
        return Err(malformed("it is shorter than a header".into()));
    }
    let mut prefix = [0; 8];
    file.read_at(0, &mut prefix).map_err(unreadable)?;
    let header = u64::from_le_bytes(prefix);
    if header > HEADER || header > length - 8 {
        return Err(malformed(format!("its header claims {header} bytes")));
    }
    let mut json = vec![0; header as usize];
    file.read_at(8, &mut json).map_err(unreadable)?;
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|e| malformed(format!("its header is malformed: {e}")))?;

    let storage: Arc<dyn Storage> = Arc::new(file);
    let start = 8 + header;
    let mut tensors = IndexMap::new();
    for name in metadata.offset_keys() {
        let Some(info) = metadata.info(&name) else { continue };
        let dtype = dtype(info.dtype)
            .ok_or_else(|| malformed(format!("'{name}' is {:?}, which is not read", info.dtype)))?;
        let (from, to) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let count = info.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let fits = count.is_some_and(|n| {
            n.checked_mul(dtype.bits() / 8).map(|bytes| bytes as u64) == to.checked_sub(from)
        });
        if start.checked_add(to).is_none_or(|end| end > length) || !fits {
            return Err(malformed(format!(
                "'{name}' of {dtype}{:?} does not fit bytes {from} to {to}",
                info.shape
            )));
        }
        let range = FileRange {
            quant: None,
            checksum: None,
            storage: storage.clone(),
            base: start + from,
            dtype,
            strides: packed(&info.shape),
            sizes: info.shape.clone(),
            fingerprint: format!("{}@{from}", path.display()),
        };
        tensors.insert(name, Constant::Range(Arc::new(range)));
    }
    Ok(tensors)
}

/// The strides of packed elements, in elements.
pub(crate) fn packed(sizes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sizes.len()];
    for axis in (0..sizes.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * sizes[axis + 1];
    }
    strides
}

fn dtype(of: Dtype) -> Option<DType> {
    Some(match of {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I8 => DType::I8,
        Dtype::I16 => DType::I16,
        Dtype::U16 => DType::U16,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::Bf16,
        Dtype::I32 => DType::I32,
        Dtype::U32 => DType::U32,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        Dtype::I64 => DType::I64,
        Dtype::U64 => DType::U64,
        Dtype::F8_E4M3 => DType::F8E4M3Fn,
        Dtype::F8_E5M2 => DType::F8E5M2,
        Dtype::F8_E4M3FNUZ => DType::F8E4M3Fnuz,
        Dtype::F8_E5M2FNUZ => DType::F8E5M2Fnuz,
        Dtype::F8_E8M0 => DType::F8E8M0Fnu,
        Dtype::C64 => DType::C64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn file(header: &str, data: &[u8]) -> tempfile::NamedTempFile {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        write(&bytes)
    }

    #[test]
    fn tensors_are_read_by_name() {
        let header = r#"{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}"#;
        let mut data = [1f32, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
        data.extend(7i64.to_le_bytes());
        let read = read_safetensors(file(header, &data).path()).unwrap();
        assert_eq!(read.keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(read["b"].read().unwrap().to_f64s(), [1.0, 2.0]);
        assert_eq!(read["a"].read().unwrap().to_i64s(), [7]);
    }

    #[test]
    fn what_lies_is_refused() {
        let beyond = r#"{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        assert_eq!(read_safetensors(file(beyond, &[0; 4]).path()).unwrap_err().code, MALFORMED_TENSORS);
        let huge = r#"{"b":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,8]}}"#;
        assert_eq!(read_safetensors(file(huge, &[0; 8]).path()).unwrap_err().code, MALFORMED_TENSORS);
        assert_eq!(read_safetensors(write(&[255; 16]).path()).unwrap_err().code, MALFORMED_TENSORS);
        assert_eq!(read_safetensors(write(b"abc").path()).unwrap_err().code, MALFORMED_TENSORS);
    }
}
