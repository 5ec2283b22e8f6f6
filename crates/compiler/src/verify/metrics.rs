//! How far one tensor is from another.

use ir::Tensor;

/// The distance of an output from its reference, over all elements.
///
/// Elements that are not finite in the reference count in [`Metrics::misplaced`] alone: they must be the same NaN or
/// infinity in both.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// The number of elements.
    pub count: usize,
    /// The largest absolute difference.
    pub max_abs: f64,
    /// Where it is: the row-major index.
    pub max_at: usize,
    /// The largest difference relative to the reference's element, where that is not zero.
    pub max_rel: f64,
    /// The mean absolute difference.
    pub mean_abs: f64,
    /// The largest absolute element of the reference.
    pub max_ref: f64,
    /// The mean of the squared differences.
    pub mean_square: f64,
    /// The reference's largest minus its smallest element.
    pub range: f64,
    /// `1 − cosine` of the two as vectors, computed so that it is exact near 0.
    pub cosine_distance: f64,
    /// Pearson's correlation; NaN where one of the two does not vary.
    pub correlation: f64,
    /// `10·log₁₀(Σ ref² / Σ diff²)`, in dB; infinite where nothing differs.
    pub snr: f64,
    /// The part of the elements whose signs agree, zero counting as not positive: the bit accuracy of logits.
    pub sign_agreement: f64,
    /// The part of the rows along the last axis whose largest element is at the same place.
    pub top1: f64,
    /// Elements that are NaN or infinite in one of the two and not the same in the other.
    pub misplaced: usize,
}

impl Metrics {
    /// Measures `found` against `reference`. Panics where their sizes differ: the caller compares types first.
    pub fn of(found: &Tensor, reference: &Tensor) -> Self {
        assert_eq!(found.sizes(), reference.sizes(), "only like tensors are compared");
        let along = reference.sizes().last().copied().unwrap_or(1).max(1);
        let (found, reference) = (found.to_f64s(), reference.to_f64s());
        let count = reference.len();
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        let misplaced = found
            .iter()
            .zip(&reference)
            .filter(|&(&a, &b)| (!a.is_finite() || !b.is_finite()) && !same(a, b))
            .count();
        let finite: Vec<(usize, f64, f64)> = found
            .iter()
            .zip(&reference)
            .enumerate()
            .filter(|&(_, (a, b))| a.is_finite() && b.is_finite())
            .map(|(i, (&a, &b))| (i, a, b))
            .collect();
        let n = finite.len().max(1) as f64;
        let sum = |f: &dyn Fn(f64, f64) -> f64| finite.iter().map(|&(_, a, b)| f(a, b)).sum::<f64>();
        let (max_at, max_abs) = finite
            .iter()
            .map(|&(i, a, b)| (i, (a - b).abs()))
            .fold((0, 0.0), |best, next| if next.1 > best.1 { next } else { best });
        let max_ref = finite.iter().map(|&(_, _, b)| b.abs()).fold(0.0, f64::max);
        let max_rel = finite
            .iter()
            .filter(|&&(_, _, b)| b != 0.0)
            .map(|&(_, a, b)| ((a - b) / b).abs())
            .fold(0.0, f64::max);
        let low = finite.iter().map(|&(_, _, b)| b).fold(f64::INFINITY, f64::min);
        let high = finite.iter().map(|&(_, _, b)| b).fold(f64::NEG_INFINITY, f64::max);
        let (aa, bb) = (sum(&|a, _| a * a), sum(&|_, b| b * b));
        let dd = sum(&|a, b| (a - b) * (a - b));
        let (mean_a, mean_b) = (sum(&|a, _| a) / n, sum(&|_, b| b) / n);
        let (va, vb) = (sum(&|a, _| (a - mean_a).powi(2)), sum(&|_, b| (b - mean_b).powi(2)));
        let cov = sum(&|a, b| (a - mean_a) * (b - mean_b));
        let largest = |v: &[f64]| (0..v.len()).reduce(|best, i| if v[i] > v[best] { i } else { best });
        let rows = found.chunks_exact(along).zip(reference.chunks_exact(along));
        Metrics {
            count,
            max_abs,
            max_at,
            max_rel,
            mean_abs: sum(&|a, b| (a - b).abs()) / n,
            max_ref,
            mean_square: dd / n,
            range: (high - low).max(0.0),
            cosine_distance: cosine_distance(aa, bb, dd),
            correlation: cov / (va * vb).sqrt(),
            snr: decibels(bb, dd),
            sign_agreement: sum(&|a, b| f64::from(u8::from((a > 0.0) == (b > 0.0)))) / n,
            top1: rows.filter(|(a, b)| largest(a) == largest(b)).count() as f64
                / (count / along).max(1) as f64,
            misplaced,
        }
    }

    /// `20·log₁₀(range / rms of the difference)`, in dB, for elements that may lie `range` apart at most; infinite
    /// where nothing differs.
    pub fn psnr(&self, range: f64) -> f64 {
        decibels(range * range, self.mean_square)
    }
}

/// `1 − a·b / (|a||b|) = (|a − b|² − (|a| − |b|)²) / (2|a||b|)`, which loses nothing where the two are near.
fn cosine_distance(aa: f64, bb: f64, dd: f64) -> f64 {
    if dd == 0.0 {
        return 0.0;
    }
    // Zeros have no direction to share.
    if aa == 0.0 || bb == 0.0 {
        return 1.0;
    }
    let (a, b) = (aa.sqrt(), bb.sqrt());
    let apart = (aa - bb) / (a + b);
    ((dd - apart * apart) / (2.0 * a * b)).max(0.0)
}

fn decibels(signal: f64, noise: f64) -> f64 {
    if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(found: &[f32], reference: &[f32]) -> Metrics {
        Metrics::of(&Tensor::new(&[found.len()], found), &Tensor::new(&[reference.len()], reference))
    }

    #[test]
    fn zeros_share_no_direction() {
        assert_eq!(metrics(&[0.0, 0.0], &[1.0, 2.0]).cosine_distance, 1.0);
        assert_eq!(metrics(&[1.0, 2.0], &[0.0, 0.0]).cosine_distance, 1.0);
    }

    #[test]
    fn equal_tensors_are_at_no_distance() {
        let m = metrics(&[1.0, -2.0, f32::NAN, f32::INFINITY], &[1.0, -2.0, f32::NAN, f32::INFINITY]);
        assert_eq!((m.max_abs, m.cosine_distance, m.misplaced, m.snr), (0.0, 0.0, 0, f64::INFINITY));
    }

    /// The numbers are those of numpy 2.4 in float64 on these very elements.
    #[test]
    fn metrics_are_those_of_numpy() {
        let m = metrics(&[0.25, -1.0, 3.5, 0.0, -0.125], &[0.5, -1.25, 3.0, 0.25, 0.125]);
        let near = |found: f64, numpy: f64| assert!((found - numpy).abs() < 1e-12, "{found} is {numpy}");
        near(m.max_abs, 0.5);
        near(m.mean_abs, 0.3);
        near(m.mean_square, 0.1);
        near(m.cosine_distance, 0.015646995379679174);
        near(m.correlation, 0.9830639999461058);
        near(m.snr, 13.380827997781035);
        near(m.psnr(m.range), 22.567778601006232);
        near(m.psnr(1.0), 10.0);
        near(m.sign_agreement, 0.6);
        near(m.top1, 1.0);
    }

    #[test]
    fn the_largest_is_looked_for_in_each_row() {
        let found = Tensor::new(&[2, 3], &[1f32, 9., 2., 5., 4., 3.]);
        let reference = Tensor::new(&[2, 3], &[1f32, 3., 2., 5., 6., 3.]);
        assert_eq!(Metrics::of(&found, &reference).top1, 0.5);
    }

    #[test]
    fn a_lost_nan_is_misplaced() {
        assert_eq!(metrics(&[0.0, 1.0], &[f32::NAN, 1.0]).misplaced, 1);
        assert_eq!(metrics(&[f32::INFINITY], &[f32::NEG_INFINITY]).misplaced, 1);
    }

    #[test]
    fn the_distance_of_near_vectors_keeps_its_digits() {
        // 1 − cos(1e-6 rad) = 5e-13.
        let m = metrics(&[1.0, 1e-6], &[1.0, 0.0]);
        assert!((m.cosine_distance - 5e-13).abs() < 1e-15, "{}", m.cosine_distance);
    }
}
