//! What a user requires of an output: `output_0.psnr>=45`.

use std::fmt;
use std::str::FromStr;

use super::Metrics;

/// A number that tells how far an output is from its reference.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The number, with the range that PSNR is measured against.
    pub of: fn(&Metrics, f64) -> f64,
}

/// Every metric that can be required.
pub const METRICS: &[Metric] = &[
    Metric { name: "max_abs", about: "the largest absolute difference", of: |m, _| m.max_abs },
    Metric { name: "mean_abs", about: "the mean absolute difference", of: |m, _| m.mean_abs },
    Metric {
        name: "cosine",
        about: "of the angle between the two as vectors",
        of: |m, _| 1.0 - m.cosine_distance,
    },
    Metric { name: "correlation", about: "Pearson's", of: |m, _| m.correlation },
    Metric { name: "snr", about: "signal to noise, in dB", of: |m, _| m.snr },
    Metric {
        name: "psnr",
        about: "peak signal to noise, in dB, for the data range",
        of: |m, range| m.psnr(range),
    },
    Metric { name: "bits", about: "the part of the elements whose signs agree", of: |m, _| m.sign_agreement },
    Metric {
        name: "top1",
        about: "the part of the rows along the last axis whose largest elements are at the same place",
        of: |m, _| m.top1,
    },
];

/// How a number stands to its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// The longer signs first: each begins with a shorter one.
const RELATIONS: &[(&str, Relation)] =
    &[(">=", Relation::AtLeast), ("<=", Relation::AtMost), (">", Relation::Above), ("<", Relation::Below)];

/// A limit to a metric of an output, or of all.
#[derive(Clone, Debug)]
pub struct Requirement {
    output: Option<String>,
    metric: Metric,
    relation: Relation,
    limit: f64,
}

impl Requirement {
    /// The output that is meant; `None` for all.
    pub fn output(&self) -> Option<&str> {
        self.output.as_deref()
    }

    /// Does it ask anything of the output of this name?
    pub fn is_about(&self, output: &str) -> bool {
        self.output.as_ref().is_none_or(|name| name == output)
    }

    /// The number that it limits, for the range that PSNR is measured against.
    pub fn found(&self, metrics: &Metrics, range: f64) -> f64 {
        (self.metric.of)(metrics, range)
    }

    /// Does a number meet it? NaN meets nothing.
    pub fn is_met(&self, found: f64) -> bool {
        match self.relation {
            Relation::AtLeast => found >= self.limit,
            Relation::AtMost => found <= self.limit,
            Relation::Above => found > self.limit,
            Relation::Below => found < self.limit,
        }
    }

    /// What is wrong where a number does not meet it.
    pub fn unmet(&self, found: f64) -> Option<String> {
        let wrong = || format!("{} is {}, where {self} is required", self.metric.name, short(found));
        (!self.is_met(found)).then(wrong)
    }

    /// How the nearest to the limit of several numbers of one output meets it: `output_0.psnr >= 45: 150.5 at least`.
    pub fn met(&self, output: &str, found: &[f64]) -> String {
        let (nearest, word) = match self.relation {
            Relation::AtLeast | Relation::Above => (found.iter().copied().reduce(f64::min), "at least"),
            Relation::AtMost | Relation::Below => (found.iter().copied().reduce(f64::max), "at most"),
        };
        let nearest = nearest.map_or("nothing".into(), short);
        format!("{output}.{} {self}: {nearest} {word}", self.metric.name)
    }
}

/// Enough digits to be told from a limit, and no more.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if (1e-3..1e6).contains(&size) => {
            format!("{value:.5}").trim_end_matches('0').trim_end_matches('.').into()
        }
        _ if value.is_finite() => format!("{value:.4e}"),
        _ => value.to_string(),
    }
}

impl FromStr for Requirement {
    type Err = String;

    /// Reads `OUTPUT.METRIC>=N`. Errs with what is wrong and the names there are.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("'{text}' is not of the form output_0.psnr>=45");
        let at = text.find(['<', '>']).ok_or_else(form)?;
        let (place, rest) = text.split_at(at);
        let (sign, relation) = RELATIONS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(form)?;
        let (output, metric) = place.trim().rsplit_once('.').ok_or_else(form)?;
        let number = rest[sign.len()..].trim();
        let limit: f64 = number.parse().map_err(|_| format!("'{number}' in '{text}' is no number"))?;
        if limit.is_nan() {
            return Err(format!("'{number}' in '{text}' is no limit"));
        }
        let metric = METRICS.iter().find(|m| m.name == metric).ok_or_else(|| {
            let names: Vec<&str> = METRICS.iter().map(|m| m.name).collect();
            let guess = ir::nearest(metric, names.iter().copied());
            let guess = guess.map_or(String::new(), |name| format!("; did you mean {name}?"));
            format!("no metric is called '{metric}'; they are {}{guess}", names.join(", "))
        })?;
        let output = (output != "*").then(|| output.to_string());
        Ok(Requirement { output, metric: *metric, relation: *relation, limit })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = RELATIONS.iter().find(|(_, r)| *r == self.relation).map_or("", |(sign, _)| sign);
        write!(f, "{sign} {}", self.limit)
    }
}

#[cfg(test)]
mod tests {
    use ir::Tensor;

    use super::*;

    /// Three of four signs agree; the squares of the reference and of the difference sum to 30 and 4.
    fn measured() -> Metrics {
        Metrics::of(&Tensor::new(&[4], &[1f32, -2., 3., -4.]), &Tensor::new(&[4], &[1f32, -2., 3., -2.]))
    }

    fn unmet(text: &str) -> Option<String> {
        let requirement: Requirement = text.parse().unwrap();
        requirement.unmet(requirement.found(&measured(), 1.0))
    }

    #[test]
    fn limits_are_kept_or_told() {
        assert_eq!(unmet("output_0.bits>=1"), None);
        assert_eq!(unmet("*.max_abs <= 2"), None);
        assert_eq!(unmet("*.max_abs<2"), Some("max_abs is 2, where < 2 is required".into()));
        // 10·log₁₀(18/4) = 6.53213
        assert_eq!(unmet("o.snr >= 6.6"), Some("snr is 6.53213, where >= 6.6 is required".into()));
        assert_eq!(unmet("o.psnr>0"), Some("psnr is 0, where > 0 is required".into()));
        assert_eq!(unmet("o.top1>=1"), None);
    }

    #[test]
    fn what_is_nan_meets_nothing() {
        let flat = Metrics::of(&Tensor::new(&[2], &[1f32, 1.]), &Tensor::new(&[2], &[1f32, 2.]));
        let requirement: Requirement = "a.b.correlation<=1".parse().unwrap();
        assert_eq!(
            requirement.unmet(requirement.found(&flat, 1.0)),
            Some("correlation is NaN, where <= 1 is required".into())
        );
    }

    #[test]
    fn the_nearest_to_a_limit_is_told() {
        let least: Requirement = "*.psnr>=45".parse().unwrap();
        assert_eq!(least.met("o", &[150.5, 160.0]), "o.psnr >= 45: 150.5 at least");
        let most: Requirement = "o.max_abs<1".parse().unwrap();
        assert_eq!(most.met("o", &[0.25, 0.5]), "o.max_abs < 1: 0.5 at most");
    }

    #[test]
    fn outputs_are_meant_by_name_or_all() {
        let one: Requirement = "a.b.psnr>=45".parse().unwrap();
        assert_eq!((one.output(), one.is_about("a.b"), one.is_about("c")), (Some("a.b"), true, false));
        let all: Requirement = "*.psnr>=45".parse().unwrap();
        assert_eq!((all.output(), all.is_about("c")), (None, true));
    }

    #[test]
    fn what_is_misspelt_is_told_with_the_names_there_are() {
        let why = |text: &str| text.parse::<Requirement>().unwrap_err();
        assert_eq!(
            why("output_0.psnt>=45"),
            "no metric is called 'psnt'; they are max_abs, mean_abs, cosine, correlation, snr, psnr, bits, top1; did you mean psnr?"
        );
        assert_eq!(why("output_0.psnr=45"), "'output_0.psnr=45' is not of the form output_0.psnr>=45");
        assert_eq!(why("psnr>=45"), "'psnr>=45' is not of the form output_0.psnr>=45");
        assert_eq!(why("o.psnr>=high"), "'high' in 'o.psnr>=high' is no number");
    }
}
