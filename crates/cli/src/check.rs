//! `edgewright check MODEL --profile NAME`: does a model hold for a hardware profile, operator by operator?

mod render;

use std::path::{Path, PathBuf};

use clap::Args;
use compiler::back::tflite::encode;
use compiler::compile::{Compiled, Options, compile, pipeline};
use compiler::front::tflite;
use compiler::front::torch::{self, Program};
use compiler::lint::{self, Judged, Profile};
use compiler::passes::Limits;
use ir::{Diagnostic, Journal, Silent};

use crate::convert::{Reading, write_json};
use crate::destination::Destinations;
use crate::outcome::{Outcome, USAGE, print, report};
use crate::progress::Progress;

ir::codes! {
    /// A model does not hold for a hardware profile.
    ///
    /// Each operator that does not is listed, with what it meets and the PyTorch line that it came from. For a .tflite,
    /// that is the verdict on the file. For a .pt2, the compiler has tried to solve for the profile, as `convert
    /// --profile` does, and the lines that follow are those for which it found no exact form.
    PROFILE_BROKEN = "profile-broken", Failed;
}

/// Say whether a model holds for a hardware profile.
#[derive(Args)]
pub(crate) struct Check {
    /// A .tflite, whoever wrote it, or an archive that torch.export saved (.pt2)
    model: PathBuf,
    /// The profile: a name that `edgewright profiles` lists, or the path of your own
    #[arg(long, value_name = "PROFILE", default_value = "litert-cpu")]
    profile: String,
    /// Write the verdict on every operator as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// What was found.
pub(crate) struct Found {
    /// Every operator as the model has it; of a .pt2, as it is compiled without the profile.
    judged: Vec<Judged>,
    /// Of a .pt2: every operator as it is compiled for the profile with what was assumed, or which lines cannot.
    solved: Option<Result<Solved, Vec<Diagnostic>>>,
    lints: Vec<Diagnostic>,
}

/// A model that was compiled for the profile.
pub(crate) struct Solved {
    judged: Vec<Judged>,
    ledger: Vec<ir::Assumption>,
}

impl Check {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        let mut files = Destinations::beside([self.model.as_path(), Path::new(&self.profile)]);
        files.replace(&self.json)?;
        let profile = Profile::find(&self.profile)?;
        let found = match self.is_archive() {
            true => self.archive(&profile, quiet)?,
            false => self.file(&profile)?,
        };
        if !quiet {
            report(&found.lints);
        }
        let model = self.model.display().to_string();
        if let Some(path) = &self.json {
            write_json(path, &found.json(&model, &profile))?;
        }
        if self.json.as_deref() != Some(Path::new("-")) {
            print(&found.text(&model, &profile))?;
        }
        found.outcome(&profile)
    }

    fn is_archive(&self) -> bool {
        self.model.extension().is_some_and(|e| e == "pt2")
    }

    fn file(&self, profile: &Profile) -> Result<Found, Vec<Diagnostic>> {
        if self.reading.is_given() {
            let message = "a .tflite is compiled already: the options of reading are for a .pt2";
            return Err(vec![Diagnostic::new(USAGE, message)]);
        }
        let file = tflite::open(&self.model).map_err(|d| vec![d])?;
        let judged = lint::of_file(&file, profile).map_err(|d| vec![d])?;
        // Lints look at what is computed; of a file with operators that are not read, the profile is the whole verdict.
        let lints = tflite::import(&file).map_or_else(|_| Vec::new(), |graph| lint::look(&graph));
        Ok(Found { judged, solved: None, lints })
    }

    fn archive(&self, profile: &Profile, quiet: bool) -> Result<Found, Vec<Diagnostic>> {
        let mut progress = Progress::new(quiet);
        progress.stage("reading");
        let program = torch::read(&self.model, &self.reading.options()?)?;
        progress.stage("compiling as it is");
        let plain = compiled(&program, &Options::default())?;
        progress.stage("compiling for the profile");
        let limits = Limits::from(profile.clone());
        let solved = match compiled(&program, &Options { limits, ..Options::default() }) {
            Ok(compiled) => {
                Ok(Solved { judged: judged(&compiled, profile)?, ledger: compiled.journal.ledger })
            }
            Err(why) => Err(why),
        };
        progress.finish();
        let lints = plain.journal.warnings.clone();
        Ok(Found { judged: judged(&plain, profile)?, solved: Some(solved), lints })
    }
}

fn compiled(program: &Program, options: &Options) -> Result<Compiled, Vec<Diagnostic>> {
    compile(program, &pipeline(options), options, Journal::default(), &mut Silent)
}

/// The verdict on a model as it would be written.
fn judged(compiled: &Compiled, profile: &Profile) -> Result<Vec<Judged>, Vec<Diagnostic>> {
    let Compiled { graph, interface, journal, source } = compiled;
    let encoded = encode(graph, interface, source, &journal.ledger)?;
    let numbers = |tensor: &compiler::dialect::tfl::TensorEntry| {
        let spelled = encoded.spelled(tensor.buffer)?;
        spelled.dtype().is_int().then(|| spelled.to_i64s())
    };
    Ok(lint::of_model(&encoded.model, &encoded.provenance(), &numbers, profile))
}

impl Found {
    /// What the verdict is about in the end: the file, or the model as the compiler solves it.
    fn last(&self) -> &[Judged] {
        match &self.solved {
            Some(Ok(solved)) => &solved.judged,
            _ => &self.judged,
        }
    }

    fn outcome(&self, profile: &Profile) -> Outcome {
        let name = &profile.name;
        if let Some(Err(why)) = &self.solved {
            let mut lines: Vec<(&str, u32)> = Vec::new();
            let places = why.iter().flat_map(|d| &d.places).filter_map(|place| place.line.as_ref());
            lines.extend(places.map(|line| (line.file.as_str(), line.line)));
            lines.sort_unstable();
            lines.dedup();
            let message = match lines.len() {
                0 => format!("the model cannot be compiled for {name}"),
                1 => format!("one line cannot be compiled for {name}"),
                count => format!("{count} lines cannot be compiled for {name}"),
            };
            return Err(std::iter::once(Diagnostic::new(PROFILE_BROKEN, message))
                .chain(why.clone())
                .collect());
        }
        let broken = self.last().iter().filter(|judged| !judged.holds()).count();
        if broken == 0 {
            return Ok(());
        }
        let message = format!("{} under {name}", render::not_holding(self.last()));
        let help = format!(
            "`edgewright convert MODEL.pt2 --profile {name}` solves for it, or says which line cannot"
        );
        Err(vec![Diagnostic::new(PROFILE_BROKEN, message).help(help)])
    }
}
