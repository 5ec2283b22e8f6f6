//! Is an output near enough to its reference? The bars, and where they come from.

use ir::Tensor;

use super::{Metrics, Rounding};

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

/// What PyTorch's rounding says of a file.
struct Slack {
    /// What is more than this part of the largest element is no rounding: the model computes something else in float64, of
    /// which nothing follows for the file.
    most: f64,
    /// How many times PyTorch's error is allowed.
    times: f64,
}

/// File and PyTorch both round to f32, each in its own order.
const SINGLE: Slack = Slack { most: 1e-4, times: 10.0 };

/// The file computes in f32, and is off by the error that PyTorch makes in f16 or bf16.
const HALF: Slack = Slack { most: 3e-2, times: 2.0 };

/// Compares an output with its reference. `rounding` is the error that PyTorch itself makes on this input (against its own
/// float64), where it is known: ten times that is allowed. Where PyTorch gave f16 or bf16, it is twice that, and four times
/// its `1 − cosine`, which grows with the square of the error. Integers and truth values must be equal, unless they are
/// only measured. Errs where dtype or sizes differ.
pub fn compare(
    found: &Tensor,
    reference: &Tensor,
    bound: Bound,
    rounding: Option<Rounding>,
) -> Result<Verdict, String> {
    if found.ty() != reference.ty() {
        return Err(format!("is {} where the reference is {}", found.ty(), reference.ty()));
    }
    let metrics = Metrics::of(found, reference);
    let exact = !reference.dtype().is_float();
    let Slack { most, times } = if rounding.is_some_and(|r| r.cosine.is_some()) { HALF } else { SINGLE };
    let rounding = rounding.filter(|r| r.largest <= most * metrics.max_ref);
    let allowed = match (bound == MEASURED, exact) {
        (true, _) => f64::INFINITY,
        (_, true) => 0.0,
        _ => (bound.relative * metrics.max_ref).max(times * rounding.map_or(0.0, |r| r.largest)),
    };
    let cosine = bound.cosine.max(times.powi(2) * rounding.and_then(|r| r.cosine).unwrap_or(0.0));
    let fault = if metrics.misplaced > 0 {
        Some(format!("{} elements differ in being NaN or infinite", metrics.misplaced))
    } else if metrics.max_abs > allowed {
        Some(format!(
            "differs by {:.3e} at element {}, where {allowed:.3e} is allowed",
            metrics.max_abs, metrics.max_at
        ))
    } else if !exact && metrics.cosine_distance > cosine && metrics.max_abs > 0.0 && metrics.count > 1 {
        Some(format!("1 − cosine is {:.3e}, where {cosine:.0e} is allowed", metrics.cosine_distance))
    } else {
        None
    };
    Ok(Verdict { metrics, allowed, fault })
}

#[cfg(test)]
mod tests {
    use ir::DType;

    use super::*;

    /// What f16 makes of some numbers, what these are, and how far it is from them.
    fn halves() -> (Tensor, Vec<f64>, Rounding) {
        let exact: Vec<f64> = (1..200).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let half = Tensor::from_f64s(DType::F16, &[exact.len()], exact.clone());
        let metrics = Metrics::of(&half, &Tensor::new(&[exact.len()], &exact));
        let rounding = Rounding { largest: metrics.max_abs, cosine: Some(metrics.cosine_distance) };
        (Tensor::from_f64s(DType::F32, &[exact.len()], half.to_f64s()), exact, rounding)
    }

    fn judged(values: Vec<f64>, reference: &Tensor, rounding: Rounding) -> Option<String> {
        let found = Tensor::from_f64s(DType::F32, &[values.len()], values);
        compare(&found, reference, WHOLE_MODEL, Some(rounding)).unwrap().fault
    }

    #[test]
    fn what_is_nearer_to_float64_than_f16_is_passes() {
        let (reference, exact, rounding) = halves();
        assert_eq!(judged(exact.clone(), &reference, rounding), None);
        let single = Rounding { cosine: None, ..rounding };
        assert!(judged(exact, &reference, single).unwrap().starts_with("differs by "));
    }

    #[test]
    fn what_is_wrong_fails_for_f16_too() {
        let (reference, exact, rounding) = halves();
        let mut one = exact.clone();
        one[7] += 4.0 * rounding.largest;
        assert!(judged(one, &reference, rounding).unwrap().starts_with("differs by "));
        // Each element within its bound, and all of them off: another direction than rounding would take.
        let all = exact.iter().enumerate();
        let all = all.map(|(i, x)| x + if i % 2 == 0 { 0.95 } else { -0.95 } * rounding.largest).collect();
        assert!(judged(all, &reference, rounding).unwrap().starts_with("1 − cosine is "));
    }

    #[test]
    fn what_float64_computes_otherwise_is_no_rounding() {
        let (reference, exact, _) = halves();
        let found: Vec<f64> = exact.iter().map(|x| x / 2.0).collect();
        for rounding in
            [Rounding { largest: 0.1, cosine: None }, Rounding { largest: 0.1, cosine: Some(1e-2) }]
        {
            assert!(judged(found.clone(), &reference, rounding).is_some());
        }
    }
}
