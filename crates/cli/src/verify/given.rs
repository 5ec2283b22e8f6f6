//! What a model is given: recorded inputs with what PyTorch gave for them, or made-up ones.

use std::path::{Path, PathBuf};

use compiler::evaluate::WRONG_INPUTS;
use compiler::lint::Profile;
use compiler::ops::Layout;
use compiler::quant::Recipe;
use compiler::verify::{Recording, Rounding, fitted};
use indexmap::IndexSet;
use ir::{DType, Diagnostic, Tensor, TensorType};

use super::NOTHING_VERIFIED;
use super::picture::Picture;
use super::preprocess::{Preprocess, Slot};

/// What one run is given, with what PyTorch gave for it; nothing of that is known of made-up inputs and of pictures.
pub(crate) struct Given {
    /// Where it comes from.
    pub(crate) name: String,
    /// Was it found under a name that is not quite the model's?
    pub(crate) found: bool,
    /// The inputs, in order.
    feeds: Vec<Feed>,
    /// PyTorch's outputs, in order; empty where they are not known.
    pub(crate) outputs: Vec<Tensor>,
    /// For each output, how far PyTorch is from its own float64, where that is known.
    pub(crate) rounding: Vec<Option<Rounding>>,
}

/// What an input is given.
pub(crate) enum Feed {
    /// A tensor, as PyTorch takes it.
    Tensor(Tensor),
    /// A picture, read when it is needed.
    Picture(PathBuf, Preprocess),
}

impl Given {
    pub(crate) fn new(name: String, feeds: Vec<Feed>) -> Self {
        Given { name, found: false, feeds, outputs: Vec::new(), rounding: Vec::new() }
    }

    fn recorded(path: &Path, recording: Recording) -> Self {
        let Recording { inputs, outputs, rounding } = recording;
        let feeds = inputs.into_iter().map(Feed::Tensor).collect();
        Given { name: path.display().to_string(), found: false, feeds, outputs, rounding }
    }

    /// The inputs as a file takes them that has these types, and the image of each input in the layout that `io` says.
    pub(crate) fn inputs(
        &self,
        types: &[TensorType],
        io: impl Fn(usize) -> Layout,
    ) -> Result<Vec<Tensor>, Diagnostic> {
        let wrong = |message: String| Diagnostic::new(WRONG_INPUTS, message).note(self.name.clone());
        if self.feeds.len() != types.len() {
            let count = self.feeds.len();
            return Err(wrong(format!("{count} inputs are recorded, the model takes {}", types.len())));
        }
        let input = |(i, (feed, ty)): (usize, (&Feed, &TensorType))| match feed {
            Feed::Tensor(tensor) => fitted(tensor, ty, io(i)).map_err(|why| {
                wrong(format!("input {i}: {why}"))
                    .help("record a run of the model's sizes and name it: --recorded FILE")
            }),
            Feed::Picture(path, preprocess) => {
                let slot = Slot::of(ty, io(i))
                    .ok_or_else(|| wrong(format!("input {i} is {ty}, which is no image")))?;
                let picture = Picture::read(path)?;
                preprocess.apply(&picture, slot, ty).map_err(|d| d.note(path.display().to_string()))
            }
        };
        self.feeds.iter().zip(types).enumerate().map(input).collect()
    }

    /// What an input is given, where that is a tensor.
    pub(crate) fn tensor(&self, input: usize) -> Option<&Tensor> {
        match self.feeds.get(input)? {
            Feed::Tensor(tensor) => Some(tensor),
            Feed::Picture(..) => None,
        }
    }

    /// The tensors that PyTorch took and gave.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let fed = self.feeds.iter().filter_map(|feed| match feed {
            Feed::Tensor(tensor) => Some(tensor),
            Feed::Picture(..) => None,
        });
        fed.chain(&self.outputs)
    }
}

/// The recordings that are named, or those that lie beside a file; none where there are none.
pub(crate) fn recorded(beside: &Path, named: &[PathBuf]) -> Result<Vec<Given>, Vec<Diagnostic>> {
    recordings(beside, named)
        .iter()
        .map(|path| read(path))
        .collect::<Result<_, Diagnostic>>()
        .map_err(|d| vec![d])
}

/// The recordings of the model that a file was made of, as its name tells: those of `model` for
/// `model.dynamic-int8.tflite`. None where several names have recordings, and where these do not fit.
pub(crate) fn recorded_as_kin(
    beside: &Path,
    fits: impl Fn(&Given) -> bool,
) -> Result<Vec<Given>, Vec<Diagnostic>> {
    let stem = beside.file_stem().unwrap_or_default().to_string_lossy();
    let found: Vec<Vec<PathBuf>> = kin(&stem)
        .into_iter()
        // The name may have dots, so it gets an extension to lose.
        .map(|stem| recordings(&beside.with_file_name(format!("{stem}.tflite")), &[]))
        .filter(|paths| !paths.is_empty())
        .collect();
    let [paths] = &found[..] else { return Ok(Vec::new()) };
    let runs: Result<Vec<Given>, Diagnostic> = paths.iter().map(|path| read(path)).collect();
    let mut runs = runs.map_err(|d| vec![d])?;
    if !runs.iter().all(fits) {
        return Ok(Vec::new());
    }
    runs.iter_mut().for_each(|run| run.found = true);
    Ok(runs)
}

/// The names without what they say of how a file was made: `model` of `model_nhwc.int8`.
fn kin(stem: &str) -> IndexSet<String> {
    let ways: Vec<&str> = Recipe::names()
        .chain(Profile::embedded().map(|(name, _)| name))
        .chain(WAYS.iter().copied())
        .collect();
    let mut found: IndexSet<String> = [stem.to_string()].into_iter().collect();
    let mut at = 0;
    while let Some(name) = found.get_index(at).cloned() {
        let shorter = ways.iter().filter_map(|way| name.strip_suffix(way)?.strip_suffix(['.', '_', '-']));
        found.extend(shorter.filter(|shorter| !shorter.is_empty()).map(String::from));
        at += 1;
    }
    found.shift_remove(stem);
    found
}

/// What names say of how a file was made, besides the names of recipes and profiles. A file with other weights is not
/// among them: what was recorded is not of these.
const WAYS: &[&str] = &["fp32", "float32", "f16", "float16", "int8", "int4", "nchw", "nhwc"];

/// The files of the recordings that are named, or of those that lie beside a file under its name.
pub(crate) fn recordings(beside: &Path, named: &[PathBuf]) -> Vec<PathBuf> {
    if !named.is_empty() {
        return named.to_vec();
    }
    // `.`, `..` and `/` have no name that could be another file's.
    if beside.file_name().is_none() {
        return Vec::new();
    }
    let numbered = (2..).map(|n| beside.with_extension(format!("{n}.safetensors")));
    let all = std::iter::once(beside.with_extension("safetensors")).chain(numbered);
    all.take_while(|path| path.is_file()).collect()
}

fn read(path: &Path) -> Result<Given, Diagnostic> {
    let tensors = weights::read_safetensors(path)?;
    let recording = Recording::read(&tensors).map_err(|d| d.note(path.display().to_string()))?;
    Ok(Given::recorded(path, recording))
}

/// Made-up inputs of these types.
pub(crate) fn made_up(types: &[TensorType]) -> Result<Given, Diagnostic> {
    let inputs = types.iter().zip(1..).map(|(ty, seed)| drawn(ty, seed).map(Feed::Tensor));
    Ok(Given::new("inputs made from a fixed seed".into(), inputs.collect::<Result<_, _>>()?))
}

/// The most elements of an input that is made up.
const MADE_UP: usize = 1 << 26;

/// Floats from −2 to 2, the integers 0 and 1, drawn by a fixed generator.
fn drawn(ty: &TensorType, seed: u64) -> Result<Tensor, Diagnostic> {
    let unknown = || Diagnostic::new(NOTHING_VERIFIED, format!("no input is made up for {ty}: record one"));
    let count = ty.count().ok().filter(|&count| count <= MADE_UP).ok_or_else(unknown)?;
    let sizes = ty.sizes().map_err(|_| unknown())?;
    let plain = ty.dtype == DType::Bool || ty.dtype.is_int() || matches!(ty.dtype.bits(), 16 | 32 | 64);
    if !plain || ty.dtype.is_complex() || ty.dtype == DType::I4 {
        return Err(unknown());
    }
    let float = ty.dtype.is_float();
    let values: Vec<f64> =
        uniform(seed).take(count).map(|u| if float { 4.0 * u - 2.0 } else { (2.0 * u).floor() }).collect();
    Ok(Tensor::from_f64s(ty.dtype, &sizes, values))
}

/// Numbers from 0 to 1, the same ones for the same seed.
pub(crate) fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_a_file_was_made_of() {
        let names = |stem: &str| kin(stem).into_iter().collect::<Vec<_>>();
        assert_eq!(names("model.weight-int4"), ["model", "model.weight"]);
        assert_eq!(names("model_nhwc.fp16"), ["model_nhwc", "model"]);
        assert_eq!(names("vs10-int8"), ["vs10"]);
        assert_eq!(names("points"), [""; 0]);
        assert_eq!(names("int8"), [""; 0]);
        assert_eq!(names(".int8"), [""; 0]);
    }
}
