//! One run of PyTorch, as it lies beside an archive: inputs, outputs, and how much of them is rounding.

use indexmap::IndexMap;
use ir::{Constant, DType, Diagnostic, Tensor};

use super::Metrics;

ir::codes! {
    /// A file of recorded tensors is not that of one run of a model.
    ///
    /// It holds `input.0`, `input.1`, … and `output.0`, `output.1`, …, without gaps, and may hold `reference64.0`, …:
    /// the outputs of the same run in float64. Record it with `edgewright.export` in Python.
    WRONG_RECORDING = "wrong-recording", Invalid;

    /// A recorded tensor cannot be read.
    UNREADABLE_RECORDING = "unreadable-recording", Io;
}

/// What PyTorch was given and what it gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The inputs, in order.
    pub inputs: Vec<Tensor>,
    /// The outputs, in order; empty where only inputs were recorded.
    pub outputs: Vec<Tensor>,
    /// For each output, how far PyTorch is from its own float64, where that was recorded.
    pub rounding: Vec<Option<Rounding>>,
}

/// How far an output of PyTorch's is from the same in float64, over the elements that are finite in both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    /// The largest absolute difference.
    pub largest: f64,
    /// `1 − cosine`, for outputs in f16 and bf16 only: what f32 rounds away is far below the bar as it is.
    pub cosine: Option<f64>,
}

impl Rounding {
    fn of(output: &Tensor, exact: &Tensor) -> Self {
        let metrics = Metrics::of(output, exact);
        let half = matches!(output.dtype(), DType::F16 | DType::Bf16);
        Rounding { largest: metrics.max_abs, cosine: half.then_some(metrics.cosine_distance) }
    }
}

impl Recording {
    /// Reads `input.N`, `output.N` and `reference64.N`; `aux.NAME`, which shows the inside of a model, is passed over.
    /// Errs where there is a gap, a tensor of another name, or a tensor whose bytes cannot be read.
    pub fn read(tensors: &IndexMap<String, Constant>) -> Result<Self, Diagnostic> {
        let inputs = numbered(tensors, "input")?;
        let outputs = numbered(tensors, "output")?;
        let exact = numbered(tensors, "reference64")?;
        if let Some(other) = tensors
            .keys()
            .filter(|name| !name.starts_with("aux."))
            .find(|name| !["input", "output", "reference64"].iter().any(|p| index(name, p).is_some()))
        {
            return Err(Diagnostic::new(
                WRONG_RECORDING,
                format!("'{other}' is neither an input nor an output"),
            ));
        }
        if !exact.is_empty() && exact.len() != outputs.len() {
            let message = format!("{} outputs have {} references in float64", outputs.len(), exact.len());
            return Err(Diagnostic::new(WRONG_RECORDING, message));
        }
        let mut rounding = vec![None; outputs.len()];
        for (i, (output, exact)) in outputs.iter().zip(&exact).enumerate() {
            if output.sizes() != exact.sizes() || (output.dtype().is_float() && exact.dtype() != DType::F64) {
                let message = format!("reference64.{i} is {}, output.{i} is {}", exact.ty(), output.ty());
                return Err(Diagnostic::new(WRONG_RECORDING, message));
            }
            rounding[i] = Some(Rounding::of(output, exact));
        }
        Ok(Recording { inputs, outputs, rounding })
    }
}

/// The tensors `PREFIX.0`, `PREFIX.1`, … in order.
fn numbered(tensors: &IndexMap<String, Constant>, prefix: &str) -> Result<Vec<Tensor>, Diagnostic> {
    let count = tensors.keys().filter(|name| index(name, prefix).is_some()).count();
    let read = |i: usize| {
        let name = format!("{prefix}.{i}");
        let constant = tensors.get(&name).ok_or_else(|| {
            Diagnostic::new(WRONG_RECORDING, format!("there are {count} tensors {prefix}.N, but no {name}"))
        })?;
        let dtype = constant.dtype();
        if !matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64 | DType::Bool)
            && !dtype.is_int()
        {
            return Err(Diagnostic::new(
                WRONG_RECORDING,
                format!("{name} is {dtype}, which is not compared"),
            ));
        }
        constant
            .read()
            .map_err(|e| Diagnostic::new(UNREADABLE_RECORDING, format!("{name} cannot be read: {e}")))
    };
    (0..count).map(read).collect()
}

fn index(name: &str, prefix: &str) -> Option<usize> {
    name.strip_prefix(prefix)?.strip_prefix('.')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(names: &[&str]) -> IndexMap<String, Constant> {
        names.iter().map(|n| (n.to_string(), Tensor::new(&[2], &[1f32, 2.0]).into())).collect()
    }

    #[test]
    fn tensors_are_ordered_by_number_and_not_by_name() {
        let names: Vec<String> = (0..11).rev().map(|i| format!("input.{i}")).collect();
        let mut tensors = recorded(&names.iter().map(String::as_str).collect::<Vec<_>>());
        tensors.insert("input.10".into(), Tensor::new(&[1], &[7i64]).into());
        let recording = Recording::read(&tensors).unwrap();
        assert_eq!(recording.inputs.len(), 11);
        assert_eq!(recording.inputs[10], Tensor::new(&[1], &[7i64]));
    }

    #[test]
    fn rounding_is_the_distance_from_float64() {
        let mut tensors = recorded(&["input.0", "output.0"]);
        tensors.insert("reference64.0".into(), Tensor::new(&[2], &[1.0, 2.25]).into());
        let single = Rounding { largest: 0.25, cosine: None };
        assert_eq!(Recording::read(&tensors).unwrap().rounding, [Some(single)]);

        tensors.insert("output.0".into(), Tensor::from_f64s(DType::F16, &[2], vec![1.0, 2.0]).into());
        let half = Recording::read(&tensors).unwrap().rounding[0].unwrap();
        assert_eq!(half.largest, 0.25);
        // cos² = (1·1 + 2·2.25)² / ((1² + 2²)·(1² + 2.25²))
        let cosine = (5.5f64 * 5.5 / (5.0 * 6.0625)).sqrt();
        assert!((half.cosine.unwrap() - (1.0 - cosine)).abs() < 1e-12, "{half:?}");
    }

    #[test]
    fn gaps_and_strangers_are_errors() {
        let why = |names: &[&str]| Recording::read(&recorded(names)).unwrap_err().message;
        assert_eq!(why(&["input.0", "input.2"]), "there are 2 tensors input.N, but no input.1");
        assert_eq!(why(&["input.0", "weight"]), "'weight' is neither an input nor an output");
        assert!(why(&["input.0", "output.0", "reference64.0"]).starts_with("reference64.0 is f32[2]"));
        assert!(Recording::read(&recorded(&["input.0", "output.0", "aux.hmaps"])).is_ok());
        let complex = Tensor::zeros(DType::C64, &[2]);
        let tensors = [("input.0".to_string(), complex.into())].into_iter().collect();
        assert_eq!(Recording::read(&tensors).unwrap_err().message, "input.0 is c64, which is not compared");
    }
}
