//! `edgewright weights`: named tensors in files, listed, taken out, compared, written as `.safetensors` and into archives.

use std::path::{Path, PathBuf};

use ::weights::{Differences, Format, NamedTensors, fitted, under, write_filled, write_safetensors};
use clap::{Args, Subcommand};
use compiler::front::torch::{self, Program};
use indexmap::IndexMap;
use ir::{Constant, Diagnostic};
use serde_json::{Value, json};

use crate::convert::write_json;
use crate::destination::Destinations;
use crate::outcome::{Outcome, USAGE, print, report};
use crate::progress::Progress;
use crate::table::{Side, Table};

ir::codes! {
    /// Two files do not hold the same tensors.
    ///
    /// `weights diff` prints what differs: names, dtypes and shapes, and with `--values` elements too.
    WEIGHTS_DIFFER = "weights-differ", Failed;
}

/// Named tensors in files. Nothing in a checkpoint is executed, and no file is held in memory.
#[derive(Args)]
#[command(
    long_about = "Named tensors in checkpoints (.pth, .pt), .safetensors and .pt2. Nothing in a checkpoint is \
                        executed: it is read as data. No file is held in memory."
)]
pub(crate) struct Weights {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// List names, dtypes, shapes and sizes
    List(List),
    /// Write the tensors whose names begin with a prefix as .safetensors
    Extract(Extract),
    /// Say what differs between two files
    Diff(Diff),
    /// Write all tensors as .safetensors
    Convert(Rewrite),
    /// Write an archive with the weights of another file
    Fill(Fill),
}

#[derive(Args)]
struct List {
    #[command(flatten)]
    file: Opened,
    /// Only what begins with this
    #[arg(long, value_name = "PREFIX", default_value = "")]
    prefix: String,
    /// Write the list as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

#[derive(Args)]
struct Extract {
    #[command(flatten)]
    file: Opened,
    /// How the names begin, such as `detector.`
    #[arg(long, value_name = "PREFIX")]
    prefix: String,
    /// Write the names without the prefix
    #[arg(long)]
    strip: bool,
    #[command(flatten)]
    written: Written,
}

#[derive(Args)]
struct Rewrite {
    #[command(flatten)]
    file: Opened,
    #[command(flatten)]
    written: Written,
}

#[derive(Args)]
struct Fill {
    /// The archive (.pt2)
    model: PathBuf,
    /// The weights it is given (.safetensors, .pth, .pt, .pt2)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Take only what begins with this in --weights, without it: `model.`
    #[arg(long, value_name = "PREFIX")]
    strip_prefix: Option<String>,
    /// The program that is meant, where the archive holds several
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// The archive to write
    #[arg(short, long, value_name = "FILE.pt2")]
    output: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
struct Diff {
    /// A checkpoint (.pth, .pt), .safetensors or .pt2
    first: PathBuf,
    /// Another
    second: PathBuf,
    /// Compare elements too, which reads both files
    #[arg(long)]
    values: bool,
    /// Write the differences as JSON to this file, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
}

/// A file of named tensors.
#[derive(Args)]
struct Opened {
    /// A checkpoint (.pth, .pt), .safetensors or .pt2
    file: PathBuf,
    /// The program that is meant, where a .pt2 holds several
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
}

/// A file to be written.
#[derive(Args)]
struct Written {
    /// The file to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,
    /// Replace the output where it exists
    #[arg(long)]
    force: bool,
}

/// Other weights for an archive.
#[derive(Args)]
pub(crate) struct Filling {
    /// Compile with the weights of this file (.safetensors, .pth, .pt, .pt2) instead of the archive's own
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Take only what begins with this in --weights, without it: `model.`
    #[arg(long, value_name = "PREFIX", requires = "weights")]
    strip_prefix: Option<String>,
}

impl Weights {
    pub(crate) fn run(self, quiet: bool) -> Outcome {
        match self.part {
            Part::List(part) => part.run(quiet),
            Part::Extract(part) => part.run(quiet),
            Part::Diff(part) => part.run(quiet),
            Part::Convert(part) => part.run(quiet),
            Part::Fill(part) => part.run(quiet),
        }
    }
}

impl List {
    fn run(self, quiet: bool) -> Outcome {
        let mut files = Destinations::beside([&self.file.file]);
        files.replace(&self.json)?;
        let tensors = under(&self.file.open(quiet)?, &self.prefix, false);
        let total: usize = tensors.values().map(Constant::bytes).sum();
        if let Some(path) = &self.json {
            let listed: Vec<Value> = tensors
                .iter()
                .map(|(name, t)| {
                    json!({"name": name, "dtype": t.dtype().name(), "shape": t.sizes(), "bytes": t.bytes()})
                })
                .collect();
            write_json(path, &json!({"schema_version": 1, "tensors": listed, "bytes": total}))?;
        }
        if self.json.as_deref() == Some(Path::new("-")) {
            return Ok(());
        }
        let mut table = Table::new(&[
            ("name", Side::Left),
            ("dtype", Side::Left),
            ("shape", Side::Left),
            ("bytes", Side::Right),
        ]);
        for (name, tensor) in &tensors {
            let shape = format!("{:?}", tensor.sizes());
            table.row(vec![shown(name), tensor.dtype().to_string(), shape, tensor.bytes().to_string()]);
        }
        print(&format!("{}{} tensors, {total} bytes\n", table.text(), tensors.len()))
    }
}

impl Rewrite {
    fn run(self, quiet: bool) -> Outcome {
        self.written.check(&self.file.file)?;
        self.written.write(&self.file.open(quiet)?, quiet)
    }
}

impl Extract {
    fn run(self, quiet: bool) -> Outcome {
        self.written.check(&self.file.file)?;
        let all = self.file.open(quiet)?;
        let tensors = under(&all, &self.prefix, self.strip);
        if tensors.is_empty() {
            return Err(vec![none_begins(&self.file.file, &self.prefix, &all)]);
        }
        self.written.write(&tensors, quiet)
    }
}

impl Fill {
    fn run(self, quiet: bool) -> Outcome {
        Destinations::beside([&self.model, &self.weights]).take(&self.output, "pt2", self.force)?;
        let options = torch::Options { model: self.program.clone(), ..Default::default() };
        let wanted = torch::state(&self.model, &options)?;
        let given = fitted(&wanted, &taken(&self.weights, self.strip_prefix.as_deref(), quiet)?)?;
        let mut progress = Progress::new(quiet);
        let length = write_filled(&self.output, &self.model, &wanted, &given, &mut |done| {
            progress.tick(|| format!("writing {:.0} MB", done as f64 / 1e6));
        })?;
        progress.finish();
        print(&written(&self.output, length, wanted.len()))
    }
}

impl Diff {
    fn run(self, quiet: bool) -> Outcome {
        let mut files = Destinations::beside([&self.first, &self.second]);
        files.replace(&self.json)?;
        let open = |file: &Path| Opened { file: file.to_path_buf(), program: None }.open(quiet);
        let (first, second) = (open(&self.first)?, open(&self.second)?);
        let mut progress = Progress::new(quiet);
        let found = match self.values {
            false => Differences::of_types(&first, &second),
            true => Differences::of_values(&first, &second, &mut |name| {
                progress.tick(|| format!("comparing {}", shown(name)));
            })
            .map_err(|d| vec![d])?,
        };
        progress.finish();
        if let Some(path) = &self.json {
            write_json(path, &differences(&found))?;
        }
        if self.json.as_deref() != Some(Path::new("-")) {
            print(&self.text(&found))?;
        }
        if found.is_empty() {
            return Ok(());
        }
        Err(vec![Diagnostic::new(WEIGHTS_DIFFER, format!("{} tensors differ", found.count()))])
    }

    fn text(&self, found: &Differences) -> String {
        let mut table = Table::new(&[("name", Side::Left), ("difference", Side::Left)]);
        let mut say = |name: &str, what: String| table.row(vec![shown(name), what]);
        for name in &found.missing {
            say(name, format!("only in {}", self.first.display()));
        }
        for name in &found.extra {
            say(name, format!("only in {}", self.second.display()));
        }
        for (name, a, b) in &found.types {
            say(name, format!("{a}, then {b}"));
        }
        for (name, difference) in &found.values {
            let largest = difference.largest.map(|d| format!(", by {d:.6e} at most")).unwrap_or_default();
            say(name, format!("{} elements differ{largest}", difference.count));
        }
        match (found.is_empty(), self.values) {
            (true, true) => "the same names, dtypes, shapes and elements\n".into(),
            (true, false) => "the same names, dtypes and shapes; --values compares elements\n".into(),
            _ => table.text(),
        }
    }
}

/// The differences as JSON. A difference that is infinite is a string, for JSON has no such number.
fn differences(found: &Differences) -> Value {
    let largest = |d: Option<f64>| match d {
        Some(d) if d.is_infinite() => json!("inf"),
        other => json!(other),
    };
    let types = found
        .types
        .iter()
        .map(|(name, a, b)| json!({"name": name, "first": a.to_string(), "second": b.to_string()}));
    let values = found
        .values
        .iter()
        .map(|(name, d)| json!({"name": name, "elements": d.count, "largest": largest(d.largest)}));
    json!({
        "schema_version": 1,
        "missing": found.missing,
        "extra": found.extra,
        "types": types.collect::<Vec<_>>(),
        "values": values.collect::<Vec<_>>(),
    })
}

impl Opened {
    /// The tensors. What was left out is told on standard error.
    fn open(&self, quiet: bool) -> Result<IndexMap<String, Constant>, Vec<Diagnostic>> {
        if Format::of(&self.file).map_err(|d| vec![d])? == Format::Program {
            let options = torch::Options { model: self.program.clone(), ..Default::default() };
            return torch::state(&self.file, &options);
        }
        if self.program.is_some() {
            return Err(vec![Diagnostic::new(
                USAGE,
                "--program is for a .pt2: no other file holds programs",
            )]);
        }
        let NamedTensors { tensors, warnings } = ::weights::read(&self.file).map_err(|d| vec![d])?;
        if !quiet {
            report(&warnings);
        }
        Ok(tensors)
    }
}

impl Written {
    /// Errs where it cannot be written, or would replace the file that is read.
    fn check(&self, read: &Path) -> Outcome {
        Destinations::beside([read]).take(&self.output, "safetensors", self.force)
    }

    fn write(&self, tensors: &IndexMap<String, Constant>, quiet: bool) -> Outcome {
        let mut progress = Progress::new(quiet);
        let total: usize = tensors.values().map(Constant::bytes).sum();
        let length = write_safetensors(&self.output, tensors, &mut |done| {
            progress.tick(|| format!("writing {:.0} of {:.0} MB", done as f64 / 1e6, total as f64 / 1e6));
        })?;
        progress.finish();
        print(&written(&self.output, length, tensors.len()))
    }
}

impl Filling {
    /// Are other weights asked for?
    pub(crate) fn is_given(&self) -> bool {
        self.weights.is_some()
    }

    /// The file of other weights.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.weights.as_deref()
    }

    /// Gives the program of the archive the weights that were asked for. Errs with everything that does not fit.
    pub(crate) fn fill(
        &self,
        program: &mut Program,
        model: &Path,
        reading: &torch::Options,
        quiet: bool,
    ) -> Outcome {
        let Some(file) = &self.weights else { return Ok(()) };
        let given = taken(file, self.strip_prefix.as_deref(), quiet)?;
        program.fill(&fitted(&torch::state(model, reading)?, &given)?)
    }
}

/// The tensors of a file; with a prefix those whose names begin with it, without it.
fn taken(
    file: &Path,
    prefix: Option<&str>,
    quiet: bool,
) -> Result<IndexMap<String, Constant>, Vec<Diagnostic>> {
    let all = Opened { file: file.to_path_buf(), program: None }.open(quiet)?;
    let Some(prefix) = prefix else { return Ok(all) };
    let taken = under(&all, prefix, true);
    if taken.is_empty() { Err(vec![none_begins(file, prefix, &all)]) } else { Ok(taken) }
}

/// What is told of a file that was written.
fn written(path: &Path, length: u64, tensors: usize) -> String {
    format!("{}  {:.1} MB  {tensors} tensors\n", path.display(), length as f64 / 1e6)
}

fn none_begins(file: &Path, prefix: &str, all: &IndexMap<String, Constant>) -> Diagnostic {
    let message = format!("no name in {} begins with '{prefix}'", file.display());
    let diagnostic = Diagnostic::new(USAGE, message);
    match all.keys().next() {
        Some(name) => diagnostic.note(format!("its first is {}", shown(name))),
        None => diagnostic.note("it holds no tensors"),
    }
}

/// A name as it may be printed: a file can hold names that move a terminal's cursor.
fn shown(name: &str) -> String {
    name.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
