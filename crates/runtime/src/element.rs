//! LiteRT's element types and ours.

use ir::DType;

use crate::error::Error;

/// `LiteRtElementType` (litert/c/litert_model_types.h) and the same type by our name.
///
/// Types below one byte are left out: LiteRT's buffers do not say how they are packed. So is C128, which its
/// loader refuses.
const TABLE: &[(i32, DType)] = &[
    (1, DType::F32),
    (2, DType::I32),
    (3, DType::U8),
    (4, DType::I64),
    (6, DType::Bool),
    (7, DType::I16),
    (8, DType::C64),
    (9, DType::I8),
    (10, DType::F16),
    (11, DType::F64),
    (13, DType::U64),
    (16, DType::U32),
    (17, DType::U16),
    (19, DType::Bf16),
];

/// Our name of one of LiteRT's element types.
pub(crate) fn dtype(element: i32) -> Result<DType, Error> {
    let row = TABLE.iter().find(|(id, _)| *id == element);
    row.map(|(_, dtype)| *dtype).ok_or_else(|| {
        Error::Unsupported(format!("LiteRT's element type {element} cannot be passed in or out"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_one_to_one() {
        for (id, name) in TABLE {
            assert_eq!(dtype(*id), Ok(*name));
            assert_eq!(TABLE.iter().filter(|row| row.1 == *name).count(), 1);
        }
        assert!(dtype(0).is_err());
    }
}
