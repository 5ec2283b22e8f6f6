//! LiteRT as an executor and as a probe: each run in a child process of this program.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use compiler::back::tflite::{INLINE_LIMIT, Interface, WriteError, encode, write_file};
use compiler::dialect::tfl;
use compiler::front::tflite::{self, File, import_traced};
use compiler::ops::Graph;
use compiler::verify::{Executor, Probe, twin};
use files::Scratch;
use ir::{Diagnostic, Tensor, ValueId};
use runtime::{Child, Kernels, Settings};

use crate::outcome::UNREADABLE;
use crate::place;

/// The longest that opening a model, or one run, may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What reports call a kernel set.
pub(crate) fn name(kernels: Kernels) -> &'static str {
    match kernels {
        Kernels::Xnnpack => "LiteRT XNNPACK",
        Kernels::Builtin => "LiteRT builtin",
    }
}

fn spawn(library: &Path, model: &Path, kernels: Kernels) -> Result<Child, Diagnostic> {
    let program = place::program().map_err(|mut found| found.remove(0))?;
    let threads = thread::available_parallelism().map_or(1, |n| n.get().min(8)) as u32;
    let settings = Settings { kernels, threads, ..Settings::default() };
    Ok(Child::spawn(&program, library, model, settings, PATIENCE)?)
}

/// A file on LiteRT under one kernel set.
pub(crate) struct LiteRt {
    kernels: Kernels,
    child: Child,
}

impl LiteRt {
    pub(crate) fn open(library: &Path, model: &Path, kernels: Kernels) -> Result<Self, Diagnostic> {
        Ok(LiteRt { kernels, child: spawn(library, model, kernels)? })
    }
}

impl Executor for LiteRt {
    fn name(&self) -> String {
        name(self.kernels).into()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        Ok(self.child.run(inputs)?)
    }
}

/// A graph on LiteRT, its inner values given out: it is written again with these as its outputs.
pub(crate) struct LiteRtProbe<'g> {
    graph: &'g Graph,
    library: PathBuf,
    kernels: Kernels,
    folder: Scratch,
}

impl<'g> LiteRtProbe<'g> {
    pub(crate) fn new(graph: &'g Graph, library: &Path, kernels: Kernels) -> Result<Self, Diagnostic> {
        Ok(LiteRtProbe { graph, library: library.to_owned(), kernels, folder: folder()? })
    }
}

impl Probe for LiteRtProbe<'_> {
    fn name(&self) -> String {
        name(self.kernels).into()
    }

    fn values(&mut self, wanted: &[ValueId], inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        let twin = twin(self.graph, wanted);
        let interface = Interface {
            key: "serving_default".into(),
            inputs: (0..twin.inputs().len()).map(|i| format!("input_{i}")).collect(),
            outputs: (0..wanted.len()).map(|i| format!("value_{i}")).collect(),
        };
        let path = self.folder.path().join("twin.tflite");
        encode(&twin, &interface, "", &[]).map_err(|mut found| found.remove(0))?.write(
            &path,
            INLINE_LIMIT,
            &mut |_| {},
        )?;
        Ok(spawn(&self.library, &path, self.kernels)?.run(inputs)?)
    }
}

/// A file on LiteRT as it is, its inner tensors given out: the same operators and weights with other outputs. The
/// arithmetic of quantized operators is in options that a graph does not keep, hence the file itself.
pub(crate) struct FileProbe {
    file: File,
    /// The value of each tensor.
    values: Vec<Option<ValueId>>,
    /// The values that the graph is given.
    inputs: Vec<ValueId>,
    library: PathBuf,
    kernels: Kernels,
    folder: Scratch,
}

impl FileProbe {
    /// The graph of the file, and the file as a probe for it.
    pub(crate) fn new(path: &Path, library: &Path, kernels: Kernels) -> Result<Self, Vec<Diagnostic>> {
        let file = tflite::open(path).map_err(|d| vec![d])?;
        let (graph, values) = import_traced(&file)?;
        let folder = folder().map_err(|d| vec![d])?;
        Ok(FileProbe {
            file,
            values,
            inputs: graph.inputs().to_vec(),
            library: library.to_owned(),
            kernels,
            folder,
        })
    }

    fn tensor(&self, value: ValueId) -> Option<usize> {
        self.values.iter().position(|v| *v == Some(value))
    }
}

impl Probe for FileProbe {
    fn name(&self) -> String {
        name(self.kernels).into()
    }

    fn shows(&self, value: ValueId) -> bool {
        self.tensor(value).is_some()
    }

    fn values(&mut self, wanted: &[ValueId], inputs: &[Tensor]) -> Result<Vec<Tensor>, Diagnostic> {
        let missing = || Diagnostic::bug("a value is looked at that no tensor has");
        let tensors = |values: &[ValueId]| values.iter().map(|&v| self.tensor(v)).collect::<Option<Vec<_>>>();
        let (given, wanted) = tensors(&self.inputs).zip(tensors(wanted)).ok_or_else(missing)?;
        let mut model = self.file.model.clone();
        let main = &mut model.subgraphs[0];
        let last = main.operators.iter().rposition(|o| o.outputs.iter().any(|t| wanted.contains(t)));
        main.operators.truncate(last.map_or(0, |last| last + 1));
        (main.inputs, main.outputs) = (given.clone(), wanted.clone());
        let named = |prefix: &str, tensors: Vec<usize>| {
            tensors.into_iter().enumerate().map(|(i, t)| (format!("{prefix}_{i}"), t)).collect()
        };
        model.signatures = vec![tfl::Signature {
            key: "serving_default".into(),
            subgraph: 0,
            inputs: named("input", given),
            outputs: named("value", wanted),
        }];
        let path = self.folder.path().join("twin.tflite");
        let written = write_file(&path, &model, INLINE_LIMIT, |index, out| {
            self.file.copy(index, out).map_err(WriteError::from)
        });
        written
            .map_err(|why| Diagnostic::new(UNREADABLE, format!("the file cannot be written again: {why}")))?;
        Ok(spawn(&self.library, &path, self.kernels)?.run(inputs)?)
    }
}

/// A folder for models that LiteRT reads. Errs where none can be made.
pub(crate) fn folder() -> Result<Scratch, Diagnostic> {
    Scratch::new().map_err(|e| Diagnostic::new(UNREADABLE, format!("no temporary folder can be made: {e}")))
}
