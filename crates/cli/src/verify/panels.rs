//! `--picture`: what a model puts in, gives out and changes, side by side in one PNG.

use std::path::{Path, PathBuf};

use compiler::ops::Layout;
use compiler::verify::{Metrics, between};
use ir::{Diagnostic, Tensor};
use serde_json::{Value, json};

use super::check::Outputs;
use super::picture;
use super::preprocess::Slot;
use super::report::decibels;
use super::subject::Subject;
use crate::outcome::USAGE;

/// The grey that stands for no difference.
const GREY: f64 = 128.0;

/// One row of panels, of the first run: input, output, and their difference made larger around grey.
pub(crate) struct Panels {
    path: PathBuf,
    /// How many times larger the difference is shown.
    amplify: f64,
    /// What is black and what is white.
    range: [f64; 2],
    /// How near the output is to the input, for each run.
    psnr: Vec<f64>,
    runtime: String,
    output: String,
}

/// What was written, for the report.
#[derive(Clone, Debug)]
pub(crate) struct Painted {
    pub(crate) path: String,
    pub(crate) amplify: f64,
    pub(crate) range: f64,
    pub(crate) psnr: Vec<f64>,
    pub(crate) runtime: String,
    pub(crate) output: String,
}

impl Painted {
    pub(super) fn text(&self) -> String {
        let least = self.psnr.iter().copied().fold(f64::INFINITY, f64::min);
        let least = match self.psnr.len() {
            1 => String::new(),
            n => format!("; the least of {n} runs is {}", decibels(least, 2)),
        };
        format!(
            "{}: input, output, difference × {} around grey, on {}; PSNR of {} to the input, of range {}: {}{least}\n",
            self.path,
            self.amplify,
            self.runtime,
            self.output,
            self.range,
            decibels(self.psnr[0], 2)
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.path,
            "amplify": self.amplify,
            "runtime": self.runtime,
            "output": self.output,
            "data_range": self.range,
            "psnr_db": self.psnr,
        })
    }
}

impl Panels {
    /// Errs where the name is not that of a PNG or nothing would be made larger.
    pub(crate) fn new(path: &Path, amplify: f64, range: [f32; 2]) -> Result<Self, Vec<Diagnostic>> {
        let usage = |message: String| Err(vec![Diagnostic::new(USAGE, message)]);
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
            return usage(format!("--picture writes a PNG, and {} does not end in .png", path.display()));
        }
        if !amplify.is_finite() || amplify <= 0.0 {
            return usage(format!("--amplify is above 0, not {amplify}"));
        }
        let (psnr, runtime, output) = (Vec::new(), String::new(), String::new());
        Ok(Panels { path: path.to_owned(), amplify, range: range.map(f64::from), psnr, runtime, output })
    }

    /// Looks at one run; draws the first. Errs where the model does not take and give an image of the same sizes.
    pub(crate) fn look(
        &mut self,
        subject: &Subject,
        inputs: &[Tensor],
        outputs: &Outputs,
        io: Layout,
    ) -> Result<(), Vec<Diagnostic>> {
        let image = |tensor: &Tensor| Slot::of(&tensor.ty(), io);
        let input = inputs.iter().find_map(|t| image(t).map(|slot| (t, slot)));
        let output = outputs.tensors.iter().enumerate().find(|(_, t)| image(t).is_some());
        let (Some((input, slot)), Some((index, output))) = (input, output) else {
            let message = format!("{} does not take and give an image, which --picture shows", subject.name);
            return Err(vec![Diagnostic::new(USAGE, message)]);
        };
        let output = between(output, &input.ty()).map_err(|_| {
            let message = format!(
                "--picture shows what changes where input and output are alike: {} takes {} and gives {}",
                subject.name,
                input.ty(),
                output.ty()
            );
            vec![Diagnostic::new(USAGE, message)]
        })?;
        self.psnr.push(Metrics::of(&output, input).psnr(self.range[1] - self.range[0]));
        if self.psnr.len() > 1 {
            return Ok(());
        }
        self.runtime = outputs.runtime.clone().unwrap_or_default();
        self.output = subject.output(index);
        let levels = self.drawn(&slot.pixels(input), &slot.pixels(&output), slot.width * slot.channels);
        picture::write(&self.path, 3 * slot.width, slot.channels, &levels).map_err(|d| vec![d])
    }

    /// The three panels beside each other, as levels of 8 bits; a row of each has `row` of them.
    fn drawn(&self, input: &[f64], output: &[f64], row: usize) -> Vec<u8> {
        let [low, high] = self.range;
        let scale = 255.0 / (high - low);
        let level = |value: f64| ((value - low) * scale).round() as u8;
        let apart = |(a, b): (&f64, &f64)| (GREY + self.amplify * (b - a) * scale).round() as u8;
        let mut levels = Vec::with_capacity(3 * input.len());
        for (before, after) in input.chunks_exact(row).zip(output.chunks_exact(row)) {
            levels.extend(before.iter().copied().map(level));
            levels.extend(after.iter().copied().map(level));
            levels.extend(before.iter().zip(after).map(apart));
        }
        levels
    }

    /// What was drawn; `None` where nothing ran.
    pub(crate) fn said(&self) -> Option<Painted> {
        (!self.psnr.is_empty()).then(|| Painted {
            path: self.path.display().to_string(),
            amplify: self.amplify,
            range: self.range[1] - self.range[0],
            psnr: self.psnr.clone(),
            runtime: self.runtime.clone(),
            output: self.output.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_made_larger_around_grey() {
        let panels = Panels::new(Path::new("a.png"), 10.0, [0.0, 1.0]).unwrap();
        // Two rows of one grey pixel: 1/255 brighter, then 30/255 darker, which is beyond black.
        let found = panels.drawn(&[0.0, 1.0], &[1.0 / 255.0, 225.0 / 255.0], 1);
        assert_eq!(found, [0, 1, 138, 255, 225, 0]);
        assert!(Panels::new(Path::new("a.jpg"), 10.0, [0.0, 1.0]).is_err());
        assert!(Panels::new(Path::new("a.png"), 0.0, [0.0, 1.0]).is_err());
    }
}
