//! A tensor's name and type, as a report shows it.

use std::fmt;

use ir::{Dim, TensorType};
use serde::Serialize;

use crate::dialect::tfl::TensorEntry;

/// A tensor with its name and type. Dtypes are spelled as the model's own format spells them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Typed {
    /// Its name.
    pub name: String,
    /// `FLOAT32` in a .tflite, `f32` in a graph.
    pub dtype: String,
    /// Its sizes; a size that may change is `None`. `None` where even the rank is unknown.
    pub shape: Option<Vec<Option<u64>>>,
}

impl Typed {
    pub(super) fn of_entry(name: &str, tensor: &TensorEntry) -> Self {
        let sizes = |shape: &Vec<i32>| {
            let sizes = if tensor.signature.is_empty() { shape } else { &tensor.signature };
            sizes.iter().map(|&n| u64::try_from(n).ok()).collect()
        };
        Typed {
            name: name.to_string(),
            dtype: tensor.element.to_string(),
            shape: tensor.shape.as_ref().map(sizes),
        }
    }

    pub(super) fn of_type(name: &str, ty: &TensorType) -> Self {
        let sizes = ty.shape.0.iter().map(|dim| Dim::known(dim).map(|n| n as u64)).collect();
        Typed { name: name.to_string(), dtype: ty.dtype.to_string(), shape: Some(sizes) }
    }

    /// `FLOAT32[1,224,224,3]`, `INT8[?,10]` for a size that may change, `STRING[*]` for an unknown rank.
    pub fn ty(&self) -> String {
        let Some(shape) = &self.shape else { return format!("{}[*]", self.dtype) };
        let sizes: Vec<String> =
            shape.iter().map(|n| n.map_or_else(|| "?".into(), |n| n.to_string())).collect();
        format!("{}[{}]", self.dtype, sizes.join(","))
    }
}

impl fmt::Display for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.name, self.ty())
    }
}
