//! Runs a model on every runtime and everything it is given, and compares.

use std::path::Path;

use compiler::ops::Layout;
use compiler::verify::{MEASURED, Rounding, Verdict, WHOLE_MODEL, between, compare, fitted};
use ir::{Diagnostic, Tensor, TensorType};

use super::chain::Chain;
use super::demands::Demands;
use super::given::{Given, made_up, recorded, recorded_as_kin};
use super::images::Images;
use super::panels::Panels;
use super::report::{Report, Row};
use super::side::{Program, Side};
use super::subject::Subject;
use super::{NOTHING_VERIFIED, Ways};
use crate::progress::Progress;

/// What is looked at, and how.
pub(crate) struct Check<'a> {
    /// The model.
    pub(crate) subject: &'a Subject,
    /// The file beside which recordings lie.
    pub(crate) beside: &'a Path,
    /// What runs it.
    pub(crate) ways: &'a Ways,
    /// Where channels of images are at its interface.
    pub(crate) io: Layout,
    /// Files that it is compared with, each on the same runtime.
    pub(crate) references: &'a [Subject],
    /// The program that it was compiled from, which says what is right where PyTorch's numbers are not recorded.
    pub(crate) program: Option<&'a Program>,
    /// What is required of it.
    pub(crate) demands: &'a Demands,
    /// What it is given beside recordings.
    pub(crate) images: &'a Images,
}

/// What comes after each run.
#[derive(Default)]
pub(crate) struct After<'a> {
    /// Models that what the model gives is given to.
    pub(crate) chain: Option<Chain<'a>>,
    /// A picture of what it changes.
    pub(crate) panels: Option<Panels>,
}

/// What a model gives on one runtime, or PyTorch on its own.
pub(crate) struct Outputs {
    /// What reports call the model.
    pub(crate) name: String,
    /// On what; `None` for what is the same on all.
    pub(crate) runtime: Option<String>,
    pub(crate) tensors: Vec<Tensor>,
    /// How far each is from float64, where that is known.
    rounding: Vec<Option<Rounding>>,
    /// As PyTorch lays them out.
    torch: bool,
    /// Has it narrow weights?
    narrow: bool,
}

impl Check<'_> {
    /// Runs everything. Errs where nothing can be compared.
    pub(crate) fn run(
        &self,
        after: &mut After<'_>,
        progress: &mut Progress,
    ) -> Result<Report, Vec<Diagnostic>> {
        let mut outputs = self.subject.outputs.clone();
        outputs.extend(after.chain.iter().flat_map(Chain::outputs));
        self.demands.check(&outputs)?;
        self.images.check(self.subject)?;
        let mut report = Report::new(self.beside.display().to_string(), self.subject.narrow.clone());
        let mut side = Side::open(self.subject, self.ways, &mut report)?;
        let mut others = Vec::new();
        for reference in self.references {
            others.push(Side::open(reference, self.ways, &mut report)?);
        }
        if let Some(chain) = &mut after.chain {
            chain.open(self.ways, &mut report)?;
        }
        self.give(&side, &mut report)?;
        let given = std::mem::take(&mut report.given);
        for (index, given) in given.iter().enumerate() {
            let mut produced = self.expected(&mut others, index, given, &mut report, progress)?;
            let compared = produced.len();
            self.look(&mut side, index, given, &mut produced, &mut report, progress)?;
            if let Some(chain) = &mut after.chain {
                let message = given
                    .inputs(&side.types, |i| self.subject.input_layout(i, self.io))
                    .map_err(|d| vec![d])?;
                chain.look(index, self.subject, &message, &produced, self.demands, &mut report)?;
            }
            if let (Some(panels), Some(first)) = (&mut after.panels, produced.get(compared)) {
                let inputs = given
                    .inputs(&side.types, |i| self.subject.input_layout(i, self.io))
                    .map_err(|d| vec![d])?;
                panels.look(self.subject, &inputs, first, self.io)?;
            }
        }
        report.given = given;
        self.missed(&mut report);
        if let Some(panels) = &after.panels {
            report.picture = panels.said();
        }
        if report.rows.is_empty() && report.links.is_empty() && report.failures.is_empty() {
            let mut diagnostic =
                Diagnostic::new(NOTHING_VERIFIED, "there is nothing to compare the model with");
            for what in &report.unchecked {
                diagnostic = diagnostic.note(format!("not checked: {what}"));
            }
            return Err(vec![diagnostic]);
        }
        Ok(report)
    }

    /// Finds what the model is given.
    fn give(&self, side: &Side<'_>, report: &mut Report) -> Result<(), Vec<Diagnostic>> {
        report.given = recorded(self.beside, &self.ways.recorded)?;
        if report.given.is_empty() && self.references.is_empty() {
            report.given = recorded_as_kin(self.beside, |given| self.takes(given, &side.types))?;
        }
        if self.images.are_given() {
            let recorded = std::mem::take(&mut report.given);
            report.given = self.images.given(self.subject, &side.types, self.io, recorded.first())?;
            return Ok(());
        }
        if report.given.iter().all(|g| g.outputs.is_empty()) {
            let (why, help) = match report.given.is_empty() {
                true => (
                    format!(
                        "there is no recording ({})",
                        self.beside.with_extension("safetensors").display()
                    ),
                    "; record one with `edgewright.export`, or name one with --recorded",
                ),
                false => ("only inputs are recorded".into(), ""),
            };
            report.unchecked.push(format!("PyTorch's numbers: {why}{help}"));
            report.unrecorded = Some(why);
        }
        if report.given.is_empty() {
            report.given.push(made_up(&side.types).map_err(|d| vec![d])?);
        }
        Ok(())
    }

    /// Does a recorded run fit the model, in what it takes and in how many outputs it gives?
    fn takes(&self, given: &Given, types: &[TensorType]) -> bool {
        let inputs = given.inputs(types, |i| self.subject.input_layout(i, self.io));
        inputs.is_ok() && given.outputs.len() == self.subject.outputs.len()
    }

    /// What PyTorch gives, and the other files on each runtime.
    fn expected(
        &self,
        others: &mut [Side<'_>],
        index: usize,
        given: &Given,
        report: &mut Report,
        progress: &mut Progress,
    ) -> Result<Vec<Outputs>, Vec<Diagnostic>> {
        let torch = |name: &str, tensors, rounding| Outputs {
            name: name.into(),
            runtime: None,
            tensors,
            rounding,
            torch: true,
            narrow: false,
        };
        let mut expected = Vec::new();
        if !given.outputs.is_empty() {
            expected.push(torch("PyTorch", given.outputs.clone(), given.rounding.clone()));
        } else if let Some(program) = self.program {
            progress.stage(&format!("computing {}", program.name));
            // The layout of an interface is a matter of the file: PyTorch's program has its own.
            let inputs = given
                .inputs(&program.types(), |_| Layout::Nchw)
                .map_err(|d| vec![d.note(program.name.clone())])?;
            let outputs = program.run(&inputs);
            progress.finish();
            match outputs {
                Ok(outputs) => expected.push(torch(&program.name, outputs, Vec::new())),
                Err(why) => report.failures.push((program.name.clone(), index, why)),
            }
        }
        for other in others {
            let inputs = given
                .inputs(&other.types, |i| other.subject.input_layout(i, self.io))
                .map_err(|d| vec![d.note(other.subject.name.clone())])?;
            for any in &mut other.executors {
                let runtime = any.name();
                progress.stage(&format!("running {} on {runtime}", other.subject.name));
                let outputs = any.run(&inputs);
                progress.finish();
                match outputs {
                    Ok(outputs) => expected.push(of_file(other.subject, runtime, outputs)),
                    Err(why) => {
                        report.failures.push((format!("{}, {runtime}", other.subject.name), index, why))
                    }
                }
            }
        }
        Ok(expected)
    }

    /// Runs the model, compares what it gives with what is expected, and adds it to that.
    fn look(
        &self,
        side: &mut Side<'_>,
        index: usize,
        given: &Given,
        produced: &mut Vec<Outputs>,
        report: &mut Report,
        progress: &mut Progress,
    ) -> Result<(), Vec<Diagnostic>> {
        let inputs =
            given.inputs(&side.types, |i| self.subject.input_layout(i, self.io)).map_err(|d| vec![d])?;
        let expected = produced.len();
        let alone = expected == 0 && self.references.is_empty() && self.program.is_none();
        for any in &mut side.executors {
            let runtime = any.name();
            progress.stage(&format!("running on {runtime}"));
            let outputs = any.run(&inputs);
            progress.finish();
            let outputs = match outputs {
                Ok(outputs) => of_file(self.subject, runtime, outputs),
                Err(why) => {
                    report.failures.push((runtime, index, why));
                    continue;
                }
            };
            // Where nothing else is known, the first runtime is what the others are compared with.
            let count = if alone { produced.len().min(1) } else { expected };
            for reference in &produced[..count] {
                if alone || reference.runtime.is_none() || reference.runtime == outputs.runtime {
                    report.rows.extend(self.judged(index, &outputs, reference, alone));
                }
            }
            produced.push(outputs);
        }
        Ok(())
    }

    fn judged(&self, given: usize, found: &Outputs, reference: &Outputs, alone: bool) -> Vec<Row> {
        let float = self.subject.narrow.is_empty() && !reference.narrow;
        let runtime = |outputs: &Outputs| outputs.runtime.clone().unwrap_or_default();
        let against = if alone { runtime(reference) } else { reference.name.clone() };
        let row = |output: usize, verdict: Result<Verdict, String>| {
            let name = self.subject.output(output);
            let asked = verdict.as_ref().ok().map(|v| self.demands.asked(&name, &v.metrics));
            Row {
                runtime: runtime(found),
                against: against.clone(),
                given,
                output,
                range: self.demands.range(&name),
                rounding: reference.rounding.get(output).copied().flatten(),
                float,
                alone,
                asked: asked.unwrap_or_default(),
                verdict,
                name,
            }
        };
        if found.tensors.len() != reference.tensors.len() {
            let (ours, theirs) = (found.tensors.len(), reference.tensors.len());
            return vec![row(0, Err(format!("gives {ours} outputs where {against} gives {theirs}")))];
        }
        let bound = if float { WHOLE_MODEL } else { MEASURED };
        let judge = |(i, (found, wanted)): (usize, (&Tensor, &Tensor))| {
            let wanted = match reference.torch {
                true => fitted(wanted, &found.ty(), self.subject.output_layout(i, self.io)),
                false => between(wanted, &found.ty()),
            };
            let rounding = reference.rounding.get(i).copied().flatten();
            row(i, wanted.and_then(|wanted| compare(found, &wanted, bound, rounding)))
        };
        found.tensors.iter().zip(&reference.tensors).enumerate().map(judge).collect()
    }

    /// Notes the files that nothing was compared with.
    fn missed(&self, report: &mut Report) {
        for other in self.references {
            if !report.rows.iter().any(|row| row.against == other.name) {
                report.unchecked.push(format!("{}: no runtime runs both files", other.name));
            }
        }
    }
}

fn of_file(subject: &Subject, runtime: String, tensors: Vec<Tensor>) -> Outputs {
    Outputs {
        name: subject.name.clone(),
        runtime: Some(runtime),
        tensors,
        rounding: Vec::new(),
        torch: false,
        narrow: !subject.narrow.is_empty(),
    }
}
