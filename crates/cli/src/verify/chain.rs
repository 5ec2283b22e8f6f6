//! `--then`: what an embedder gives is given to detectors, and the bits they find are compared.
//!
//! A detector takes one image and gives, as the last elements of its first output, one number for each bit of the
//! message, which is above 0 where the bit is 1. Elements before these, such as whether there is a message at all, are
//! not looked at.

use std::path::{Path, PathBuf};

use compiler::ops::Layout;
use compiler::verify::{Metrics, between};
use ir::{DType, Diagnostic, Tensor};

use super::Ways;
use super::check::Outputs;
use super::demands::{Asked, Demands};
use super::preprocess::Slot;
use super::report::Report;
use super::side::{Program, Side};
use super::subject::Subject;
use crate::convert::Reading;
use crate::kind::Kind;
use crate::outcome::USAGE;

/// A model that reads messages.
pub(crate) enum Detector {
    /// A .tflite, on the runtime that the embedder ran on.
    File(Box<Subject>),
    /// PyTorch's program, evaluated.
    Program(Box<Program>),
}

impl Detector {
    /// Opens a .tflite, or reads a .pt2.
    pub(crate) fn open(path: &Path, reading: &Reading) -> Result<Self, Vec<Diagnostic>> {
        match Kind::of(path) {
            Kind::Archive => Program::read(path, reading).map(|program| Detector::Program(Box::new(program))),
            Kind::Tflite => Subject::open(path).map(|subject| Detector::File(Box::new(subject))),
        }
    }
}

/// Detectors, ready to run.
enum Ready<'s> {
    File(Side<'s>),
    Program(&'s Program),
}

/// What one detector found in what one embedder gave.
pub(crate) struct Link {
    pub(crate) embedder: String,
    pub(crate) detector: String,
    pub(crate) runtime: String,
    /// Which run, from 0.
    pub(crate) given: usize,
    /// The numbers against −1 and 1 for the bits of the message: the signs that agree are bits recovered.
    pub(crate) message: Metrics,
    /// The numbers against those of the first pair of the run; `None` for that pair itself.
    pub(crate) logits: Option<Metrics>,
    /// What is required of it.
    pub(crate) asked: Vec<Asked>,
}

impl Link {
    /// Does it reach all that is required of it?
    pub(crate) fn holds(&self) -> bool {
        self.faults().next().is_none()
    }

    /// Is anything required of it?
    pub(crate) fn is_judged(&self) -> bool {
        !self.asked.is_empty()
    }

    /// What it does not reach.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        self.asked.iter().filter_map(Asked::fault)
    }
}

/// What outputs are called in `--require`.
const MESSAGE: &str = "message";
const LOGITS: &str = "logits";

/// The detectors after a model.
pub(crate) struct Chain<'s> {
    detectors: &'s [Detector],
    ready: Vec<Ready<'s>>,
}

impl<'s> Chain<'s> {
    /// `None` where there is no detector.
    pub(crate) fn new(detectors: &'s [Detector]) -> Option<Self> {
        (!detectors.is_empty()).then(|| Chain { detectors, ready: Vec::new() })
    }

    /// The names by which something is required.
    pub(crate) fn outputs(&self) -> [String; 2] {
        [MESSAGE.into(), LOGITS.into()]
    }

    /// Opens the detectors on every runtime.
    pub(crate) fn open(&mut self, ways: &Ways, report: &mut Report) -> Result<(), Vec<Diagnostic>> {
        for detector in self.detectors {
            self.ready.push(match detector {
                Detector::File(subject) => Ready::File(Side::open(subject, ways, report)?),
                Detector::Program(program) => Ready::Program(program),
            });
        }
        Ok(())
    }

    /// Gives what the embedders gave to each detector. The first pair is what the others are compared with: PyTorch's
    /// output where it is recorded, and the first detector named.
    pub(crate) fn look(
        &mut self,
        given: usize,
        embedder: &Subject,
        inputs: &[Tensor],
        produced: &[Outputs],
        demands: &Demands,
        report: &mut Report,
    ) -> Result<(), Vec<Diagnostic>> {
        let message = message(embedder, inputs)?;
        let mut first: Option<Tensor> = None;
        for outputs in produced {
            let image = outputs.tensors.iter().find(|t| Slot::of(&t.ty(), Layout::Nchw).is_some());
            let image =
                image.ok_or_else(|| usage(format!("{} gives no image to a detector", embedder.name)))?;
            for ready in &mut self.ready {
                for (detector, runtime, found) in
                    ready.run(image, outputs.runtime.as_deref(), given, report)?
                {
                    let logits = logits(&detector, found, message.count())?;
                    let against = Metrics::of(&logits, &message);
                    let apart = first.as_ref().map(|first| Metrics::of(&logits, first));
                    let mut asked = demands.asked(MESSAGE, &against);
                    asked.extend(apart.iter().flat_map(|apart| demands.asked(LOGITS, apart)));
                    report.links.push(Link {
                        embedder: outputs.name.clone(),
                        detector,
                        runtime,
                        given,
                        message: against,
                        logits: apart,
                        asked,
                    });
                    first.get_or_insert(logits);
                }
            }
        }
        Ok(())
    }
}

/// The detector, on what it ran, and its first output.
type Found = (String, String, Tensor);

impl Ready<'_> {
    /// Runs the detector on an image that was made on this runtime, or on each where it was made on none.
    fn run(
        &mut self,
        image: &Tensor,
        made_on: Option<&str>,
        given: usize,
        report: &mut Report,
    ) -> Result<Vec<Found>, Vec<Diagnostic>> {
        let mut all = Vec::new();
        let fit = |name: &str, types: &[ir::TensorType]| match types {
            [ty] => {
                between(image, ty).map_err(|why| usage(format!("{name} does not take this image: {why}")))
            }
            _ => Err(usage(format!("{name} takes {} inputs; a detector takes one image", types.len()))),
        };
        match self {
            Ready::Program(program) => {
                let image = fit(&program.name, &program.types())?;
                let outputs = program.run(&[image]).map_err(|d| vec![d.note(program.name.clone())])?;
                let runtime = made_on.unwrap_or("evaluator").to_string();
                all.extend(outputs.into_iter().next().map(|output| (program.name.clone(), runtime, output)));
            }
            Ready::File(side) => {
                let name = side.subject.name.clone();
                let image = fit(&name, &side.types)?;
                for any in &mut side.executors {
                    let runtime = any.name();
                    if made_on.is_some_and(|made_on| made_on != runtime) {
                        continue;
                    }
                    match any.run(std::slice::from_ref(&image)) {
                        Ok(outputs) => {
                            all.extend(
                                outputs.into_iter().next().map(|output| (name.clone(), runtime, output)),
                            );
                        }
                        Err(why) => report.failures.push((format!("{name}, {runtime}"), given, why)),
                    }
                }
            }
        }
        Ok(all)
    }
}

/// The message that an embedder is given, as −1 for 0 and 1 for 1: the one input that is no image and holds zeros and
/// ones alone.
fn message(embedder: &Subject, inputs: &[Tensor]) -> Result<Tensor, Vec<Diagnostic>> {
    let bits = |tensor: &&Tensor| {
        Slot::of(&tensor.ty(), Layout::Nchw).is_none()
            && tensor.to_f64s().iter().all(|&v| v == 0.0 || v == 1.0)
    };
    let mut found = inputs.iter().filter(bits);
    let (Some(message), None) = (found.next(), found.next()) else {
        let message =
            format!("{} is given no message: one input of zeros and ones beside an image", embedder.name);
        return Err(vec![
            Diagnostic::new(USAGE, message)
                .help("name a recording with --recorded, or say --images and --bits"),
        ]);
    };
    let signs = message.to_f64s().into_iter().map(|bit| 2.0 * bit - 1.0);
    Ok(Tensor::from_f64s(DType::F32, &[message.count()], signs))
}

/// The last elements of an output, one for each bit.
fn logits(detector: &str, output: Tensor, bits: usize) -> Result<Tensor, Vec<Diagnostic>> {
    let values = output.to_f64s();
    let Some(before) = values.len().checked_sub(bits) else {
        let message = format!("{detector} gives {}, too few for a message of {bits} bits", output.ty());
        return Err(usage(message));
    };
    Ok(Tensor::from_f64s(DType::F32, &[bits], values[before..].iter().copied()))
}

fn usage(message: String) -> Vec<Diagnostic> {
    vec![Diagnostic::new(USAGE, message)]
}

/// Opens every detector that is named.
pub(crate) fn detectors(paths: &[PathBuf], reading: &Reading) -> Result<Vec<Detector>, Vec<Diagnostic>> {
    paths.iter().map(|path| Detector::open(path, reading)).collect()
}
