//! LiteRT as an executor and as a probe: each run in a child process of this program.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use compiler::back::tflite::{INLINE_LIMIT, Interface, encode};
use compiler::ops::Graph;
use compiler::verify::{Executor, Probe, twin};
use ir::{Diagnostic, Tensor, ValueId};
use runtime::{Child, Kernels, Settings};
use tempfile::TempDir;

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
    folder: TempDir,
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

/// A folder that is gone when its value is dropped.
pub(crate) fn folder() -> Result<TempDir, Diagnostic> {
    tempfile::Builder::new()
        .prefix("edgewright.")
        .tempdir()
        .map_err(|e| Diagnostic::new(UNREADABLE, format!("no temporary folder can be made: {e}")))
}
