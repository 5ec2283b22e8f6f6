//! `edgewright convert MODEL.pt2`: a torch.export archive as a .tflite.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use compiler::compile::{Compiled, Names, Options, compile, pipeline};
use compiler::dialect::tfl::Builtin;
use compiler::front::torch;
use compiler::lint::Profile;
use compiler::ops::{Graph, Layout, Op};
use compiler::passes::Limits;
use compiler::passes::assume::{ASSUMPTION_CONTRADICTED, Holds};
use compiler::quant::{Plan, Recipe, apply};
use ir::{Diagnostic, Journal, Observer, TensorType};
use serde_json::{Value, json};

use crate::destination::{Destinations, as_folder};
use crate::kind::Kind;
use crate::outcome::{Outcome, UNREADABLE, USAGE, print, say};
use crate::progress::{Progress, peak};
use crate::quantize::{Warning, plan_json, planned};
use crate::verify::{Demands, Given, Ways, after_conversion, recorded, recordings};
use crate::weights::Filling;
use crate::written::write;

/// Compile a torch.export archive (.pt2) to a .tflite.
#[derive(Args)]
pub(crate) struct Convert {
    /// The archive that torch.export saved
    model: PathBuf,
    /// The file to write; MODEL.tflite where nothing is said
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    filling: Filling,
    #[command(flatten)]
    target: Target,
    /// Write weights in fewer bits: fp16, dynamic-int8, weight-int8, weight-int4, or a recipe.json
    #[arg(long, value_name = "RECIPE")]
    quantize: Option<String>,
    #[command(flatten)]
    warning: Warning,
    /// Then run the file on recorded inputs and compare its outputs with PyTorch's
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    ways: Ways,
    #[command(flatten)]
    demands: Demands,
    /// Write the result as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    #[command(flatten)]
    debug: Debug,
}

/// How the archive is read.
#[derive(Args)]
pub(crate) struct Reading {
    /// Sizes of an input that was exported with dynamic ones: `--shape image=1,3,256,256`
    #[arg(long, value_name = "INPUT=N,…")]
    shape: Vec<String>,
    /// The value of a symbol: `--pin s0=1`
    #[arg(long, value_name = "SYMBOL=N")]
    pin: Vec<String>,
    /// The program that is meant, where the archive holds several
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// The folder of your own code: its lines are preferred to those of libraries
    #[arg(long, value_name = "DIR")]
    source_root: Option<PathBuf>,
    /// Compare every weight with its checksum first
    #[arg(long)]
    check_sums: bool,
}

/// What is compiled for.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// A hardware profile that the file must hold for: a name that `edgewright profiles` lists, or the path of your own
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// Layout of images at the interface: as in PyTorch, or with channels last [default: the profile's, else nchw]
    #[arg(long, value_name = "LAYOUT", value_parser = ["nchw", "nhwc"])]
    io_layout: Option<String>,
    /// A builtin that must not be used, such as GATHER_ND, besides those of the profile; may be given several times
    #[arg(long, value_name = "OP")]
    forbid: Vec<String>,
    /// The most axes that a tensor may have at run time, instead of the profile's
    #[arg(long, value_name = "N")]
    max_rank: Option<usize>,
    /// Compute floats of other widths than 32 bits in f32, which rounds differently
    #[arg(long)]
    narrow_floats: bool,
    /// What an input holds, by its name in `forward`: `--assume msgs=bits` says that it is 0 and 1 only
    #[arg(long, value_name = "INPUT=bits")]
    assume: Vec<String>,
    /// Names of inputs and outputs: args_0, output_0, … or those of `forward`
    #[arg(long, value_name = "STYLE", default_value = "positional", value_parser = ["positional", "forward"])]
    names: String,
}

/// Looking inside.
#[derive(Args, Default)]
pub(crate) struct Debug {
    /// Write the graph after each pass that changed it to this folder
    #[arg(long, value_name = "DIR")]
    dump_ir: Option<PathBuf>,
    /// Print each firing of a rule
    #[arg(long)]
    trace_rules: bool,
    /// Stop after this pass and print the graph; nothing is written
    #[arg(long, value_name = "PASS")]
    stop_after: Option<String>,
}

impl Convert {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        let output = self.output.clone().unwrap_or_else(|| self.model.with_extension("tflite"));
        self.may_write(&output)?;
        if (self.ways.said() || self.demands.are_given()) && !self.verify {
            let message = "--recorded, --runtime, --litert-lib, --require and --data-range are for --verify";
            return Err(vec![Diagnostic::new(USAGE, message).help("say --verify too")]);
        }
        if self.verify && self.filling.is_given() && !self.ways.is_recorded() {
            let message =
                "what was recorded beside the archive is of its own weights, not of those of --weights";
            return Err(vec![
                Diagnostic::new(USAGE, message).help("name recordings of the other weights: --recorded FILE"),
            ]);
        }
        if self.warning.is_given() && self.quantize.is_none() {
            let message = "--warn-snr is for --quantize";
            return Err(vec![Diagnostic::new(USAGE, message).help("say --quantize RECIPE too")]);
        }
        let recipe = self.quantize.as_deref().map(Recipe::read).transpose()?;
        let mut progress = Progress::new(quiet);
        let source = Source {
            model: &self.model,
            reading: &self.reading,
            filling: &self.filling,
            target: &self.target,
            recipe: recipe.as_ref(),
            recorded: &self.ways.recorded,
            verified: self.verify,
            debug: &self.debug,
        };
        let compiled = compiled(&source, &mut progress, quiet)?;
        let Some(mut compiled) = compiled else { return Ok(()) };
        let quantized = match &recipe {
            Some(recipe) => Some(self.quantized(&mut compiled, recipe, &mut progress)?),
            None => None,
        };
        self.demands.check(&compiled.interface.outputs)?;
        let written = write(&compiled, &output, &mut progress, quiet)?;
        let verified = match self.verify {
            true => {
                let io = self.target.options()?.io_layout;
                let (ways, demands) = (&self.ways, &self.demands);
                Some(after_conversion(&output, &self.model, ways, demands, io, &mut progress)?)
            }
            false => None,
        };
        if let Some(path) = &self.json {
            let mut result = written.json(&compiled);
            result["verification"] = json!(verified.as_ref().map(|(_, json, _)| json));
            result["plan"] = json!(quantized.as_ref().map(plan_json));
            result["peak_mb"] = json!(peak());
            write_json(path, &result)?;
        }
        if self.json.as_deref() != Some(Path::new("-")) {
            print(&written.line())?;
            if let Some((text, ..)) = &verified {
                print(text)?;
            }
        }
        verified.map_or(Ok(()), |(_, _, outcome)| outcome)
    }

    /// Errs where something is to be written that cannot be, or that would replace what is read.
    fn may_write(&self, output: &Path) -> Outcome {
        // A .tflite would be its own output where none is named; that it is no archive is what is wrong with it.
        if Kind::of(&self.model) == Kind::Tflite {
            torch::sizes(&self.model, &self.reading.options()?)?;
        }
        let recipe = self.quantize.as_deref().map(Path::new);
        let said = [Some(self.model.as_path()), recipe, self.filling.file(), self.target.file()];
        let said = said.into_iter().flatten().map(Path::to_owned);
        let mut files =
            Destinations::beside(said.chain(self.ways.files()).chain(recordings(&self.model, &[])));
        if self.debug.stop_after.is_none() {
            files.take(output, "tflite", self.force)?;
            files.replace(&self.json)?;
        }
        self.debug.dump_ir.as_deref().map_or(Ok(()), as_folder)
    }

    /// Gives the weights of a compiled model the forms that a recipe asks for.
    fn quantized(
        &self,
        compiled: &mut Compiled,
        recipe: &Recipe,
        progress: &mut Progress,
    ) -> Result<Plan, Vec<Diagnostic>> {
        let plan = planned(compiled, recipe, &self.target, &self.warning, progress)?;
        apply(&mut compiled.graph, &plan)?;
        Ok(plan)
    }
}

/// An archive with all that says how it is compiled.
pub(crate) struct Source<'a> {
    pub(crate) model: &'a Path,
    pub(crate) reading: &'a Reading,
    pub(crate) filling: &'a Filling,
    pub(crate) target: &'a Target,
    /// What its weights will be quantized by.
    pub(crate) recipe: Option<&'a Recipe>,
    /// Recordings that assumptions are held against; those beside the archive where none is named.
    pub(crate) recorded: &'a [PathBuf],
    /// Will the file be run on them?
    pub(crate) verified: bool,
    pub(crate) debug: &'a Debug,
}

/// The graph of an archive, to write; `None` where the run was to stop before its end.
pub(crate) fn compiled(
    source: &Source<'_>,
    progress: &mut Progress,
    quiet: bool,
) -> Result<Option<Compiled>, Vec<Diagnostic>> {
    let Source { model, reading, filling, target, recipe, recorded, verified, debug } = *source;
    let integer_weights = recipe.is_some_and(Recipe::has_integers);
    let options = Options { integer_weights, ..target.options()? };
    let mut pipeline = pipeline(&options);
    if let Some(pass) = &debug.stop_after {
        pipeline = pipeline.stop_after(pass).map_err(|why| {
            vec![Diagnostic::new(USAGE, why).help("`edgewright passes` prints the pipeline")]
        })?;
    }
    progress.stage("reading");
    let reading = reading.options()?;
    let mut program = torch::read(model, &reading)?;
    filling.fill(&mut program, model, &reading, quiet)?;
    if verified {
        unfit(&program, &recorded_runs(model, recorded)?)?;
    }
    if !options.assume.is_empty() {
        contradicted(&program, &options.assume, recorded_runs(model, recorded)?)?;
    }
    let journal = Journal { trace: debug.trace_rules.then(Vec::new), ..Journal::default() };
    let mut watch = Watch {
        progress: RefCell::new(progress),
        dump: debug.dump_ir.clone(),
        last: String::new(),
        failure: None,
    };
    let compiled = compile(&program, &pipeline, &options, journal, &mut watch)?;
    if let Some(failure) = watch.failure {
        return Err(vec![failure]);
    }
    progress.finish();
    for line in compiled.journal.trace.iter().flatten().filter(|_| !quiet) {
        say(&format!("{line}\n"));
    }
    if debug.stop_after.is_some() {
        print(&ir::print(&compiled.graph))?;
        return Ok(None);
    }
    Ok(Some(compiled))
}

/// The recorded runs that are named; those beside the archive as far as they can be read, where none is.
fn recorded_runs(model: &Path, named: &[PathBuf]) -> Result<Vec<Given>, Vec<Diagnostic>> {
    match recorded(model, named) {
        Err(_) if named.is_empty() => Ok(Vec::new()),
        runs => runs,
    }
}

/// Errs where a recorded run has other inputs than the program takes at the sizes that were asked for.
fn unfit(program: &torch::Program, runs: &[Given]) -> Outcome {
    let types: Vec<TensorType> = program.inputs.iter().map(|input| input.ty.clone()).collect();
    for run in runs {
        // PyTorch's program has its own layout, whatever the file's is.
        run.inputs(&types, |_| Layout::Nchw).map_err(|d| {
            let help = d.help.clone().map_or(String::new(), |help| format!("{help}, or "));
            vec![d.help(format!("{help}leave --verify out"))]
        })?;
    }
    Ok(())
}

/// Errs where a recorded run gives an input what it is assumed not to hold.
fn contradicted(program: &torch::Program, assumed: &[(String, Holds)], runs: Vec<Given>) -> Outcome {
    for (name, holds) in assumed {
        let input = program.inputs.iter().position(|input| *input.name == **name);
        for run in &runs {
            let Some(tensor) = input.and_then(|input| run.tensor(input)) else { continue };
            if !holds.is_true_of(tensor) {
                let message =
                    format!("'{name}' is assumed to hold 0 and 1 only, but {} gives it others", run.name);
                return Err(vec![Diagnostic::new(ASSUMPTION_CONTRADICTED, message)]);
            }
        }
    }
    Ok(())
}

impl Target {
    /// The file of a profile, where the profile is one's own.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.profile.as_deref().map(Path::new)
    }

    /// Does it ask for anything but what goes without saying?
    pub(crate) fn is_given(&self) -> bool {
        let plain = self.io_layout.is_none() && self.names == "positional";
        !plain
            || self.profile.is_some()
            || !self.forbid.is_empty()
            || self.max_rank.is_some()
            || self.narrow_floats
            || !self.assume.is_empty()
    }

    /// Does it ask for anything that only a compilation can give?
    pub(crate) fn is_compiled(&self) -> bool {
        Target { forbid: Vec::new(), ..self.clone() }.is_given()
    }

    pub(crate) fn options(&self) -> Result<Options, Vec<Diagnostic>> {
        let mut limits = match &self.profile {
            Some(name) => Limits::from(Profile::find(name)?),
            None => Limits::default(),
        };
        for name in &self.forbid {
            let wanted = name.to_uppercase();
            let builtin = Builtin::NAMED.iter().copied().find(|b| b.name() == Some(&wanted));
            let unknown = || {
                let unknown = Diagnostic::new(USAGE, format!("no builtin is called '{name}'"));
                let near = ir::nearest(&wanted, Builtin::NAMED.iter().filter_map(|b| b.name()));
                vec![Diagnostic { help: near.map(|near| format!("did you mean {near}?")), ..unknown }]
            };
            limits.rules.forbid.push(builtin.ok_or_else(unknown)?);
        }
        limits.rules.max_rank = self.max_rank.or(limits.rules.max_rank);
        // A layout that is asked for is that of every image, whatever the profile says.
        limits.interface.channels_last &= self.io_layout.is_none();
        Ok(Options {
            limits,
            io_layout: if self.io_layout.as_deref() == Some("nhwc") { Layout::Nhwc } else { Layout::Nchw },
            narrow_floats: self.narrow_floats,
            assume: self.assumed()?,
            integer_weights: false,
            names: if self.names == "forward" { Names::Forward } else { Names::Positional },
        })
    }

    /// What inputs are said to hold.
    pub(crate) fn assumed(&self) -> Result<Vec<(String, Holds)>, Vec<Diagnostic>> {
        let parsed = |text: &String| {
            let (name, holds) = text.split_once('=')?;
            Some((name.trim().to_string(), Holds::named(holds.trim())?))
        };
        let wrong = |text: &String| {
            vec![
                Diagnostic::new(USAGE, format!("'{text}' is not of the form INPUT=bits"))
                    .note("bits, the numbers 0 and 1, is all that can be assumed of an input"),
            ]
        };
        self.assume.iter().map(|text| parsed(text).ok_or_else(|| wrong(text))).collect()
    }
}

impl Reading {
    /// Are sizes asked for?
    pub(crate) fn is_sized(&self) -> bool {
        !self.shape.is_empty() || !self.pin.is_empty()
    }

    /// Is anything asked for?
    pub(crate) fn is_given(&self) -> bool {
        self.is_sized() || self.program.is_some() || self.source_root.is_some() || self.check_sums
    }

    pub(crate) fn options(&self) -> Result<torch::Options, Vec<Diagnostic>> {
        let usage = |text: &str, form: &str| {
            vec![Diagnostic::new(USAGE, format!("'{text}' is not of the form {form}"))]
        };
        let mut shapes = Vec::new();
        for text in &self.shape {
            let parsed = text.split_once('=').and_then(|(name, sizes)| {
                let sizes =
                    sizes.split(',').map(|n| n.trim().parse().ok()).collect::<Option<Vec<usize>>>()?;
                Some((name.trim().to_string(), sizes))
            });
            let (name, sizes) = parsed.ok_or_else(|| usage(text, "INPUT=1,3,256,256"))?;
            if sizes.contains(&0) {
                let message = format!("--shape {text}: sizes must be at least 1");
                return Err(vec![Diagnostic::new(USAGE, message)]);
            }
            shapes.push((name, sizes));
        }
        let mut pins = Vec::new();
        for text in &self.pin {
            let parsed = text
                .split_once('=')
                .and_then(|(name, n)| Some((name.trim().to_string(), n.trim().parse().ok()?)));
            pins.push(parsed.ok_or_else(|| usage(text, "s0=1"))?);
        }
        Ok(torch::Options {
            model: self.program.clone(),
            shapes,
            pins,
            source_root: self.source_root.clone(),
            verify_checksums: self.check_sums,
        })
    }
}

/// Tells the progress of the pipeline, and writes graphs down.
struct Watch<'a> {
    progress: RefCell<&'a mut Progress>,
    dump: Option<PathBuf>,
    last: String,
    failure: Option<Diagnostic>,
}

impl Observer<Op> for Watch<'_> {
    fn before(&mut self, pass: &str, index: usize, count: usize) {
        self.progress.borrow_mut().tick(|| format!("{pass} ({} of {count})", index + 1));
    }

    fn after(&mut self, pass: &str, index: usize, graph: &Graph) {
        let Some(folder) = &self.dump else { return };
        let text = ir::print(graph);
        if text == self.last {
            return;
        }
        let file = folder.join(format!("{index:02}-{}.ir", pass.replace("::", "-")));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, &text));
        if let Err(e) = written {
            self.failure.get_or_insert(Diagnostic::new(UNREADABLE, format!("{}: {e}", file.display())));
        }
        self.last = text;
    }
}

/// Writes JSON to a file, or to standard output for `-`.
pub(crate) fn write_json(path: &Path, value: &Value) -> Outcome {
    let text = format!("{value:#}\n");
    if path == Path::new("-") {
        return print(&text);
    }
    fs::write(path, text).map_err(|e| vec![Diagnostic::new(UNREADABLE, format!("{}: {e}", path.display()))])
}
