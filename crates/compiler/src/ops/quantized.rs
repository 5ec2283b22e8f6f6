//! Which dtypes a weighted operator takes together: what LiteRT's kernels run, measured on 2.3.0.

use ir::{DType, TensorType};

use crate::dialect::tfl::{Builtin, Illegal};

/// The integer weights that the kernels of one builtin multiply with f32: they quantize the activations as they run.
pub(crate) struct Hybrid {
    /// Which builtin.
    pub(crate) builtin: Builtin,
    /// The dtypes of its weights.
    pub(crate) weights: &'static [DType],
    /// The axis that several scales run along.
    pub(crate) axis: usize,
    /// Whether one scale for all of the weight runs too.
    pub(crate) per_tensor: bool,
}

impl Hybrid {
    /// Do the kernels run on an `x` and a `weight` of these types? Errs with what they do not take.
    pub(crate) fn admit(&self, x: &TensorType, weight: &TensorType) -> Result<(), Illegal> {
        if x.dtype == DType::F32 && weight.dtype == DType::F32 {
            return Ok(());
        }
        let builtin = self.builtin;
        if x.dtype != DType::F32 {
            return Err(Illegal(format!("{builtin} has no kernel for {}", x.dtype)));
        }
        let refused =
            |why: &str| Err(Illegal(format!("{builtin} of f32 has no kernel for a weight of {weight}{why}")));
        let Some(quant) = weight.quant.as_ref().filter(|_| self.weights.contains(&weight.dtype)) else {
            return refused("");
        };
        if quant.zero_points.iter().any(|&zero| zero != 0) {
            return refused(": its zero points are not 0");
        }
        match quant.scales.len() {
            1 if weight.shape.known().is_some_and(|sizes| sizes.get(self.axis) == Some(&1)) => Ok(()),
            1 if !self.per_tensor => refused(": it takes one scale per channel"),
            1 => Ok(()),
            _ if quant.axis != self.axis => {
                refused(&format!(": its scales run along axis {}, not {}", quant.axis, self.axis))
            }
            _ => Ok(()),
        }
    }
}
