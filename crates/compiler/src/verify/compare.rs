//! Is an output near enough to its reference? The bars, and where they come from.

use ir::Tensor;

use super::Metrics;

/// How near an output must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The largest absolute difference, as a part of the reference's largest absolute element.
    pub relative: f64,
    /// The largest `1 − cosine`.
    pub cosine: f64,
}

/// Whole float models: 1e-5 of the largest element is some hundred units in the last place of f32 (2⁻²³ = 1.2e-7),
/// what sums of a few thousand terms in another order differ by.
pub const WHOLE_MODEL: Bound = Bound { relative: 1e-5, cosine: 1e-9 };

/// Single operators: the same bar; no sum in our cases has more than a few thousand terms.
pub const OPERATOR: Bound = Bound { relative: 1e-5, cosine: 1e-9 };

/// Nothing is asked but that what is NaN or infinite in the reference is so in the output and nothing else is: what a
/// quantized model may differ by depends on the model, and is for its user to say.
pub const MEASURED: Bound = Bound { relative: f64::INFINITY, cosine: f64::INFINITY };

/// What came of comparing one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How far it is.
    pub metrics: Metrics,
    /// The largest absolute difference that is allowed; infinite where it is only measured.
    pub allowed: f64,
    /// What is wrong with it; `None` where it passes.
    pub fault: Option<String>,
}

impl Verdict {
    /// Is it near enough?
    pub fn passes(&self) -> bool {
        self.fault.is_none()
    }

    /// How many times nearer than it must be.
    pub fn margin(&self) -> f64 {
        if self.metrics.max_abs == 0.0 { f64::INFINITY } else { self.allowed / self.metrics.max_abs }
    }
}

/// Compares an output with its reference. `rounding` is the error that PyTorch itself makes on this input (its float32
/// against its float64), where it is known: ten times that is allowed. Integers and truth values must be equal, unless
/// they are only measured. Errs where dtype or sizes differ.
pub fn compare(
    found: &Tensor,
    reference: &Tensor,
    bound: Bound,
    rounding: Option<f64>,
) -> Result<Verdict, String> {
    if found.ty() != reference.ty() {
        return Err(format!("is {} where the reference is {}", found.ty(), reference.ty()));
    }
    let metrics = Metrics::of(found, reference);
    let exact = !reference.dtype().is_float();
    let allowed = match (bound == MEASURED, exact) {
        (true, _) => f64::INFINITY,
        (_, true) => 0.0,
        _ => (bound.relative * metrics.max_ref).max(10.0 * rounding.unwrap_or(0.0)),
    };
    let fault = if metrics.misplaced > 0 {
        Some(format!("{} elements differ in being NaN or infinite", metrics.misplaced))
    } else if metrics.max_abs > allowed {
        Some(format!(
            "differs by {:.3e} at element {}, where {allowed:.3e} is allowed",
            metrics.max_abs, metrics.max_at
        ))
    } else if !exact && metrics.cosine_distance > bound.cosine && metrics.max_abs > 0.0 && metrics.count > 1 {
        Some(format!("1 − cosine is {:.3e}, where {:.0e} is allowed", metrics.cosine_distance, bound.cosine))
    } else {
        None
    };
    Ok(Verdict { metrics, allowed, fault })
}
