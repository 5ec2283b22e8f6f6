//! `edgewright verify MODEL`: does a model compute what PyTorch computed?

mod chain;
mod check;
mod demands;
mod findings;
mod given;
mod images;
mod links;
mod litert;
mod operators;
mod panels;
mod picture;
mod preprocess;
mod report;
mod side;
mod subject;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use compiler::ops::Layout;
use ir::{Code, Diagnostic};
use serde_json::Value;

use crate::convert::{Reading, Target, write_json};
use crate::destination::Destinations;
use crate::kind::Kind;
use crate::outcome::{Outcome, print};
use crate::progress::Progress;

use chain::Chain;
use check::{After, Check};
pub(crate) use demands::Demands;
pub(crate) use given::{Given, recorded, recordings};
use images::Images;
use operators::Right;
use panels::Panels;
use report::Report;
use side::Program;
use subject::Subject;

ir::codes! {
    /// A compiled model does not compute what PyTorch computed, or does not reach what is required of it.
    ///
    /// Each output of a float model is held against the recorded one: the largest difference may be 1e-5 of the
    /// largest element, or ten times PyTorch's own rounding where that is recorded (`reference64.N`), and `1 − cosine`
    /// 1e-9. Where PyTorch's outputs are in f16 or bf16, twice its own rounding is allowed, and four times its own
    /// `1 − cosine`. A quantized model is held to what `--require` says, and measured where it says nothing; what is NaN or
    /// infinite must be so in both.
    /// `verify --per-operator` names the operator, with its line in PyTorch, where the difference begins.
    VERIFICATION_FAILED = "verification-failed", Failed;

    /// There was nothing to compare with, so nothing was verified.
    ///
    /// A model is verified by tensors that PyTorch recorded: `edgewright.export` writes them beside the archive as
    /// `MODEL.safetensors`, and `--recorded FILE` names others. Without them, runtimes are compared with each other,
    /// which needs two: the embedded evaluator knows the model's operators, or LiteRT is set up.
    NOTHING_VERIFIED = "nothing-verified", Failed;
}

/// Every code of verification.
pub(crate) fn codes() -> impl Iterator<Item = &'static Code> {
    CODES.iter().chain(picture::CODES)
}

/// Run a model on recorded inputs and compare its outputs with PyTorch's.
///
/// A float model passes where it is as near as rounding explains. What a quantized model may differ by is for its user
/// to say, with `--require`; where nothing is said it is measured, and the exit status is 0.
#[derive(Args)]
pub(crate) struct Verify {
    /// The .tflite; or a .pt2, which is compiled first
    model: PathBuf,
    #[command(flatten)]
    ways: Ways,
    /// Another .tflite that the model is compared with, each on the same runtime; may be given several times
    #[arg(long, value_name = "FILE")]
    reference: Vec<PathBuf>,
    #[command(flatten)]
    demands: Demands,
    #[command(flatten)]
    images: Images,
    /// Write a picture (PNG) of the first run: the input, the output, and their difference made larger around grey
    #[arg(long, value_name = "FILE.png")]
    picture: Option<PathBuf>,
    /// How many times larger --picture shows the difference
    #[arg(long, value_name = "N", default_value_t = 20.0, requires = "picture")]
    amplify: f64,
    /// A detector that what the model gives is given to, a .tflite on the same runtime or a .pt2: how many bits of the
    /// message it finds; may be given several times
    #[arg(long, value_name = "DETECTOR")]
    then: Vec<PathBuf>,
    /// Look at every operator: where does the error come from?
    #[arg(long)]
    per_operator: bool,
    /// The archive that the .tflite was compiled from, which says what each operator should compute, and what pictures
    /// should give; by default MODEL.pt2 where it is there
    #[arg(long, value_name = "MODEL.pt2")]
    against: Option<PathBuf>,
    /// How many operators --per-operator prints
    #[arg(long, value_name = "N", default_value_t = 10)]
    worst: usize,
    /// Write the whole result as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    #[command(flatten, next_help_heading = "How an archive is compiled, here and for --against")]
    reading: Reading,
    #[command(flatten)]
    target: Target,
}

/// What a model is run on, and what it is compared with.
#[derive(Args)]
pub(crate) struct Ways {
    /// Recorded inputs and outputs; by default MODEL.safetensors, MODEL.2.safetensors, …
    #[arg(long, value_name = "FILE")]
    pub(crate) recorded: Vec<PathBuf>,
    /// What runs the model: the embedded evaluator, LiteRT under both kernel sets, or all
    #[arg(long, value_name = "RUNTIME", default_value = "all")]
    runtime: Runtime,
    /// LiteRT's library
    #[arg(long, value_name = "PATH")]
    litert_lib: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Runtime {
    Evaluator,
    Litert,
    All,
}

impl Ways {
    /// Are recordings named?
    pub(crate) fn is_recorded(&self) -> bool {
        !self.recorded.is_empty()
    }

    /// The files that are named.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.recorded.iter().chain(&self.litert_lib).cloned()
    }

    /// Is something said that means nothing where nothing is verified?
    pub(crate) fn said(&self) -> bool {
        !self.recorded.is_empty() || self.litert_lib.is_some() || self.runtime != Runtime::All
    }
}

impl Verify {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        self.may_write()?;
        let mut progress = Progress::new(quiet);
        let subject = match self.is_archive() {
            true => {
                progress.stage("compiling");
                Subject::compiled(&self.model, &self.reading, &self.target)?
            }
            false => Subject::open(&self.model)?,
        };
        let io = self.target.options()?.io_layout;
        let mut references =
            self.reference.iter().map(|path| Subject::open(path)).collect::<Result<Vec<_>, _>>()?;
        subject::tell_apart(&subject, &mut references);
        let detectors = chain::detectors(&self.then, &self.reading)?;
        let program = self.program()?;
        let panels = self
            .picture
            .as_ref()
            .map(|path| Panels::new(path, self.amplify, self.images.preprocess().range()));
        let mut after = After { chain: Chain::new(&detectors), panels: panels.transpose()? };
        let check = Check {
            subject: &subject,
            beside: &self.model,
            ways: &self.ways,
            io,
            references: &references,
            program: program.as_ref(),
            demands: &self.demands,
            images: &self.images,
        };
        let mut report = check.run(&mut after, &mut progress)?;
        report.undecided = io == Layout::Nchw && !self.is_archive();
        if self.per_operator {
            let archive = self.archive()?;
            let right = self.right(&subject, archive.as_ref(), &references, &mut report)?;
            operators::look(&subject, right, &self.ways, io, &mut report, &mut progress)?;
        }
        progress.finish();
        if let Some(path) = &self.json {
            write_json(path, &report.json())?;
        }
        if self.json.as_deref() != Some(Path::new("-")) {
            print(&report.text(self.worst))?;
        }
        report.outcome()
    }

    /// Errs where something is to be written that cannot be, or that would replace what is read.
    fn may_write(&self) -> Outcome {
        let models = [self.model.clone(), self.model.with_extension("pt2")].into_iter();
        let said = self.reference.iter().chain(&self.then).chain(&self.against).cloned();
        let pictures = self.images.files().chain(self.target.file().map(Path::to_owned));
        let recorded = self.ways.files().chain(recordings(&self.model, &[]));
        let mut files = Destinations::beside(models.chain(said).chain(pictures).chain(recorded));
        files.replace(self.picture.iter().chain(&self.json))
    }

    fn is_archive(&self) -> bool {
        Kind::of(&self.model) == Kind::Archive
    }

    /// The program that says what pictures should give, where no other file does.
    fn program(&self) -> Result<Option<Program>, Vec<Diagnostic>> {
        let beside = self.model.with_extension("pt2");
        let archive = match &self.against {
            _ if !self.images.are_given() => return Ok(None),
            Some(archive) => archive,
            None if self.reference.is_empty() && beside.exists() => &beside,
            None => return Ok(None),
        };
        Program::read(archive, &self.reading).map(Some)
    }

    /// The file of the archive that says what the operators of a .tflite should compute, where it is known.
    fn archive(&self) -> Result<Option<Subject>, Vec<Diagnostic>> {
        let beside = self.model.with_extension("pt2");
        let archive = match &self.against {
            Some(archive) => archive,
            None if beside != self.model && beside.exists() => &beside,
            None => return Ok(None),
        };
        Subject::compiled(archive, &self.reading, &self.target).map(Some)
    }

    /// What the operators of a .tflite should compute: as its archive compiles, or for a quantized one as a file of
    /// floats that it is compared with. Errs where the archive that is named compiles to others.
    fn right<'a>(
        &self,
        subject: &Subject,
        archive: Option<&'a Subject>,
        references: &'a [Subject],
        report: &mut Report,
    ) -> Result<Option<Right<'a>>, Vec<Diagnostic>> {
        let float = references.iter().find(|r| r.narrow.is_empty() && !subject.narrow.is_empty());
        let Some(other) = archive.or(float) else { return Ok(None) };
        let why = match Right::of(subject, other) {
            Ok(right) => return Ok(Some(right)),
            Err(why) => why,
        };
        let compiles = if archive.is_some() { "does not compile to" } else { "does not have" };
        let message = format!("{} {compiles} the operators of {}: {why}", other.name, self.model.display());
        if self.against.is_some() {
            return Err(vec![
                Diagnostic::new(crate::outcome::USAGE, message)
                    .help("say the options that it was converted with, such as --io-layout nhwc"),
            ]);
        }
        report.unchecked.push(format!("operators against {}: {message}", other.name));
        Ok(None)
    }
}

/// Verifies a file that was just compiled from `archive`: the text of the result, the same as JSON, and how it ends.
pub(crate) fn after_conversion(
    file: &Path,
    archive: &Path,
    ways: &Ways,
    demands: &Demands,
    io: Layout,
    progress: &mut Progress,
) -> Result<(String, Value, Outcome), Vec<Diagnostic>> {
    let (subject, images) = (Subject::open(file)?, Images::default());
    let check = Check {
        subject: &subject,
        beside: archive,
        ways,
        io,
        references: &[],
        program: None,
        demands,
        images: &images,
    };
    let report = check.run(&mut After::default(), progress)?;
    progress.finish();
    Ok((report.text(0), report.json(), report.outcome()))
}
