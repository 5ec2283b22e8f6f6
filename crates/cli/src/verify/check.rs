//! Runs a model on every runtime and every recording, and compares.

use std::path::{Path, PathBuf};

use compiler::ops::Layout;
use compiler::verify::{Embedded, Executor, Recording, Verdict, WHOLE_MODEL, compare, fitted};
use ir::{DType, Diagnostic, Tensor, TensorType};
use runtime::Kernels;

use super::litert::{LiteRt, name};
use super::report::{Report, Row};
use super::subject::Subject;
use super::{NOTHING_VERIFIED, Runtime, Ways};
use crate::place;
use crate::progress::Progress;

/// Inputs with what PyTorch gave for them; made-up inputs have no outputs.
pub(crate) struct Recorded {
    /// Where they come from.
    pub(crate) name: String,
    /// The tensors, as the model takes and gives them.
    pub(crate) recording: Recording,
}

/// Compares a model with the recordings; `beside` is the file beside which they lie.
pub(crate) fn check(
    subject: &Subject,
    beside: &Path,
    ways: &Ways,
    io: Layout,
    progress: &mut Progress,
) -> Result<Report, Vec<Diagnostic>> {
    let mut report = Report::new(beside.display().to_string());
    let mut executors = executors(subject, ways, &mut report)?;
    let types = input_types(subject, &executors).map_err(|d| vec![d])?;
    report.recorded = recorded(beside, ways, &types, io)?;
    if report.recorded.iter().all(|r| r.recording.outputs.is_empty()) {
        report.unchecked.push(match ways.recorded.is_empty() {
            true => format!(
                "PyTorch's numbers: there is no recording ({}); record one with `edgewright.export`, or name one \
                 with --recorded",
                beside.with_extension("safetensors").display()
            ),
            false => "PyTorch's numbers: only inputs are recorded".into(),
        });
    }
    for index in 0..report.recorded.len() {
        let mut expected = report.recorded[index].recording.clone();
        for any in &mut executors {
            let runtime = any.executor().name();
            progress.stage(&format!("running on {runtime}"));
            let outputs = any.executor().run(&expected.inputs);
            progress.finish();
            let outputs = match outputs {
                Ok(outputs) => outputs,
                Err(why) => {
                    report.failures.push((runtime, index, why));
                    continue;
                }
            };
            if expected.outputs.is_empty() {
                // The first runtime is what the others are compared with.
                expected.rounding = vec![None; outputs.len()];
                expected.outputs = outputs;
                report.stand_in = Some(runtime);
                continue;
            }
            report.rows.extend(judged(subject, index, &runtime, &outputs, &expected, io));
        }
    }
    if report.rows.is_empty() && report.failures.is_empty() {
        let mut diagnostic = Diagnostic::new(NOTHING_VERIFIED, "there is nothing to compare the model with");
        for what in &report.unchecked {
            diagnostic = diagnostic.note(format!("not checked: {what}"));
        }
        return Err(vec![diagnostic]);
    }
    Ok(report)
}

fn judged(
    subject: &Subject,
    recording: usize,
    runtime: &str,
    outputs: &[Tensor],
    expected: &Recording,
    io: Layout,
) -> Vec<Row> {
    let row = |output: usize, verdict: Result<Verdict, String>| Row {
        runtime: runtime.into(),
        recording,
        output,
        name: subject.output(output),
        rounding: expected.rounding.get(output).copied().flatten(),
        verdict,
    };
    if outputs.len() != expected.outputs.len() {
        let why = format!("gives {} outputs where PyTorch gave {}", outputs.len(), expected.outputs.len());
        return vec![row(0, Err(why))];
    }
    let pairs = outputs.iter().zip(&expected.outputs).zip(&expected.rounding).enumerate();
    let judge = |((found, reference), rounding): ((&Tensor, &Tensor), &Option<f64>)| {
        compare(found, &fitted(reference, &found.ty(), io)?, WHOLE_MODEL, *rounding)
    };
    pairs.map(|(i, pair)| row(i, judge(pair))).collect()
}

/// What runs the model.
pub(crate) enum Any<'g> {
    Embedded(Embedded<'g>),
    LiteRt(Box<LiteRt>),
}

impl Any<'_> {
    fn executor(&mut self) -> &mut dyn Executor {
        match self {
            Any::Embedded(evaluator) => evaluator,
            Any::LiteRt(child) => child.as_mut(),
        }
    }
}

/// The runtimes asked for. What is missing goes into the report where all were asked for, and is an error where it was
/// asked for by name.
fn executors<'s>(
    subject: &'s Subject,
    ways: &Ways,
    report: &mut Report,
) -> Result<Vec<Any<'s>>, Vec<Diagnostic>> {
    let mut executors = Vec::new();
    if ways.runtime != Runtime::Litert {
        match &subject.graph {
            Ok(graph) => executors.push(Any::Embedded(Embedded(graph))),
            Err(why) if ways.runtime == Runtime::Evaluator => return Err(why.clone()),
            Err(why) => {
                let all: Vec<&str> = why.iter().map(|d| d.message.as_str()).collect();
                report.unchecked.push(format!("the evaluator: {}", all.join("; ")));
            }
        }
    }
    if let Some(library) = library(ways, report)? {
        for kernels in [Kernels::Xnnpack, Kernels::Builtin] {
            match LiteRt::open(&library, &subject.path, kernels) {
                Ok(litert) => executors.push(Any::LiteRt(Box::new(litert))),
                Err(why) => report.failures.push((name(kernels).into(), 0, why)),
            }
        }
    }
    Ok(executors)
}

/// LiteRT's library, where LiteRT is asked for and there.
pub(crate) fn library(ways: &Ways, report: &mut Report) -> Result<Option<PathBuf>, Vec<Diagnostic>> {
    if ways.runtime == Runtime::Evaluator {
        return Ok(None);
    }
    let why = match runtime::find(&place::search(ways.litert_lib.clone())) {
        Ok(path) => return Ok(Some(path)),
        Err(why) => why,
    };
    let asked = ways.runtime == Runtime::Litert || !matches!(why, runtime::Error::Missing { .. });
    let diagnostic = Diagnostic::from(why);
    if asked {
        return Err(vec![diagnostic]);
    }
    let help = diagnostic.help.map(|help| format!("; {help}")).unwrap_or_default();
    let missing = format!("LiteRT: {}{help}", diagnostic.message);
    if !report.unchecked.contains(&missing) {
        report.unchecked.push(missing);
    }
    Ok(None)
}

/// The types of the model's inputs, from the graph or else from LiteRT.
fn input_types(subject: &Subject, executors: &[Any<'_>]) -> Result<Vec<TensorType>, Diagnostic> {
    if let Ok(graph) = &subject.graph {
        return Ok(graph.inputs().iter().map(|&i| graph.ty(i).clone()).collect());
    }
    let litert = executors.iter().find_map(|any| match any {
        Any::LiteRt(litert) => Some(litert),
        Any::Embedded(_) => None,
    });
    let Some(litert) = litert else { return Ok(Vec::new()) };
    let port = |port: &runtime::Port| {
        let sizes: Option<Vec<usize>> = port.sizes.iter().copied().collect();
        let free =
            || Diagnostic::new(NOTHING_VERIFIED, format!("the sizes of input '{}' are free", port.name));
        Ok(TensorType::new(port.dtype, &sizes.ok_or_else(free)?))
    };
    litert.signature().inputs.iter().map(port).collect()
}

/// The recordings asked for, or those that lie beside a file, or made-up inputs.
pub(crate) fn recorded(
    beside: &Path,
    ways: &Ways,
    types: &[TensorType],
    io: Layout,
) -> Result<Vec<Recorded>, Vec<Diagnostic>> {
    let mut paths = ways.recorded.clone();
    if paths.is_empty() {
        let numbered = (2..).map(|n| beside.with_extension(format!("{n}.safetensors")));
        let all = std::iter::once(beside.with_extension("safetensors")).chain(numbered);
        paths = all.take_while(|path| path.exists()).collect();
    }
    let read = |path: &PathBuf| {
        let tensors = weights::read_safetensors(path)?;
        let mut recording = Recording::read(&tensors).map_err(|d| d.note(path.display().to_string()))?;
        recording.inputs =
            given(&recording.inputs, types, io).map_err(|d| d.note(path.display().to_string()))?;
        Ok(Recorded { name: path.display().to_string(), recording })
    };
    let all: Vec<Recorded> =
        paths.iter().map(read).collect::<Result<_, Diagnostic>>().map_err(|d| vec![d])?;
    if !all.is_empty() {
        return Ok(all);
    }
    let inputs = types.iter().zip(1..).map(|(ty, seed)| made_up(ty, seed)).collect::<Result<_, _>>();
    let inputs = inputs.map_err(|d: Diagnostic| vec![d])?;
    let recording = Recording { inputs, outputs: Vec::new(), rounding: Vec::new() };
    Ok(vec![Recorded { name: "made-up inputs".into(), recording }])
}

/// Recorded inputs as the model takes them.
fn given(inputs: &[Tensor], types: &[TensorType], io: Layout) -> Result<Vec<Tensor>, Diagnostic> {
    let wrong = |message: String| Diagnostic::new(compiler::evaluate::WRONG_INPUTS, message);
    if inputs.len() != types.len() {
        return Err(wrong(format!("{} inputs are recorded, the model takes {}", inputs.len(), types.len())));
    }
    let pairs = inputs.iter().zip(types).enumerate();
    pairs
        .map(|(i, (tensor, ty))| fitted(tensor, ty, io).map_err(|why| wrong(format!("input {i}: {why}"))))
        .collect()
}

/// The most elements of an input that is made up.
const MADE_UP: usize = 1 << 26;

/// Floats from −2 to 2, the integers 0 and 1, drawn by a fixed generator.
fn made_up(ty: &TensorType, seed: u64) -> Result<Tensor, Diagnostic> {
    let unknown = || Diagnostic::new(NOTHING_VERIFIED, format!("no input is made up for {ty}: record one"));
    let count = ty.count().ok().filter(|&count| count <= MADE_UP).ok_or_else(unknown)?;
    let sizes = ty.sizes().map_err(|_| unknown())?;
    let plain = ty.dtype == DType::Bool || ty.dtype.is_int() || matches!(ty.dtype.bits(), 16 | 32 | 64);
    if !plain || ty.dtype.is_complex() || ty.dtype == DType::I4 {
        return Err(unknown());
    }
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let drawn = (0..count).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    });
    let float = ty.dtype.is_float();
    let values: Vec<f64> = drawn.map(|u| if float { 4.0 * u - 2.0 } else { (2.0 * u).floor() }).collect();
    Ok(Tensor::from_f64s(ty.dtype, &sizes, values))
}
