//! Passes, the pipeline that runs them in order, and what it remembers.

use std::borrow::Cow;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::graph::{Graph, NodeId};
use crate::nearest::nearest;
use crate::operator::Operator;
use crate::rewrite::{Rule, run_rules};
use crate::validate::validate;

/// What holds of a graph from some point of the pipeline on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It is well formed.
    Any,
    /// Every size is a number.
    Static,
    /// Every run-time operator can be spelled for the target.
    Legal,
}

/// Something the compiler took for granted or narrowed, with why that is safe or who said so.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumption {
    /// What kind: `narrowed`, `pinned`, `assumed`; of a file that is read again, what it says.
    pub kind: Cow<'static, str>,
    /// What it is about, such as a value or a symbol.
    pub subject: String,
    /// What was done and why it is safe, or which flag allowed it.
    pub reason: String,
}

/// What a run of the pipeline remembers.
#[derive(Debug, Default)]
pub struct Journal {
    /// How often each rule fired, in the order of its first firing.
    pub firings: IndexMap<&'static str, usize>,
    /// What was narrowed or assumed.
    pub ledger: Vec<Assumption>,
    /// What the user should know though it stops nothing.
    pub warnings: Vec<Diagnostic>,
    /// Why a pass decided as it did, a line each.
    pub decisions: Vec<String>,
    /// With tracing on, a line per firing.
    pub trace: Option<Vec<String>>,
}

impl Journal {
    pub(crate) fn fired<O: Operator>(&mut self, rule: &'static str, graph: &Graph<O>, at: NodeId) {
        *self.firings.entry(rule).or_default() += 1;
        if let Some(trace) = &mut self.trace {
            let node = graph.node(at);
            trace.push(format!("{rule} at %{}", graph.value(node.outputs[0]).name));
        }
    }
}

type Run<O> = Box<dyn Fn(&mut Graph<O>, &mut Journal) -> Result<(), Vec<Diagnostic>>>;

/// One step that changes a graph.
pub struct Pass<O: 'static> {
    /// Its name: `fold::constants`.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// The names of its rules, where it has any.
    pub rules: Vec<&'static str>,
    run: Run<O>,
}

impl<O: Operator> Pass<O> {
    /// A pass that looks at the whole graph. Its function errs with everything that is wrong.
    pub fn new(
        name: &'static str,
        summary: &'static str,
        run: impl Fn(&mut Graph<O>, &mut Journal) -> Result<(), Vec<Diagnostic>> + 'static,
    ) -> Self {
        Pass { name, summary, rules: Vec::new(), run: Box::new(run) }
    }

    /// Runs it alone.
    pub fn run(&self, graph: &mut Graph<O>, journal: &mut Journal) -> Result<(), Vec<Diagnostic>> {
        (self.run)(graph, journal)
    }
}

/// A pass that applies rules until none matches.
pub fn rules_pass<O: Operator>(
    name: &'static str,
    summary: &'static str,
    rules: impl Into<Vec<Rule<O>>>,
) -> Pass<O> {
    let rules = rules.into();
    Pass {
        name,
        summary,
        rules: rules.iter().map(|r| r.name).collect(),
        run: Box::new(move |graph, journal| run_rules(graph, &rules, journal).map_err(|d| vec![d])),
    }
}

/// One entry of a pipeline.
pub enum Step<O: 'static> {
    /// A pass.
    Pass(Pass<O>),
    /// A check that a stage is reached.
    Expect(Stage),
}

/// Watches a pipeline run.
pub trait Observer<O> {
    /// A pass begins: its name, and how many passes there are.
    fn before(&mut self, pass: &str, index: usize, count: usize);
    /// A pass has ended.
    fn after(&mut self, pass: &str, index: usize, graph: &Graph<O>);
}

/// An observer that does not look.
pub struct Silent;

impl<O> Observer<O> for Silent {
    fn before(&mut self, _: &str, _: usize, _: usize) {}
    fn after(&mut self, _: &str, _: usize, _: &Graph<O>) {}
}

/// Passes in order, with the stages that hold between them.
pub struct Pipeline<O: 'static> {
    steps: Vec<Step<O>>,
    stop_after: Option<String>,
}

impl<O: Operator> Default for Pipeline<O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O: Operator> Pipeline<O> {
    /// No steps yet.
    pub fn new() -> Self {
        Pipeline { steps: Vec::new(), stop_after: None }
    }

    /// Adds a pass.
    pub fn then(mut self, pass: Pass<O>) -> Self {
        self.steps.push(Step::Pass(pass));
        self
    }

    /// Adds a check that a stage is reached.
    pub fn expect_stage(mut self, stage: Stage) -> Self {
        self.steps.push(Step::Expect(stage));
        self
    }

    /// Stops after the pass of this name. Errs where there is none, saying which may be meant.
    pub fn stop_after(mut self, name: &str) -> Result<Self, String> {
        let mut names: Vec<&str> = Vec::new();
        for pass in self.passes() {
            // Some passes run several times.
            if !names.contains(&pass.name) {
                names.push(pass.name);
            }
        }
        if !names.contains(&name) {
            let known = match nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", names.join(", ")),
            };
            return Err(format!("no pass is called '{name}'; {known}"));
        }
        self.stop_after = Some(name.to_string());
        Ok(self)
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step<O>] {
        &self.steps
    }

    /// The passes, in order.
    pub fn passes(&self) -> impl Iterator<Item = &Pass<O>> {
        self.steps.iter().filter_map(|s| match s {
            Step::Pass(pass) => Some(pass),
            Step::Expect(_) => None,
        })
    }

    /// Runs the steps and checks the graph after each. Errs with everything that is wrong at the first that
    /// fails.
    pub fn run(
        &self,
        graph: &mut Graph<O>,
        journal: &mut Journal,
        observer: &mut dyn Observer<O>,
    ) -> Result<(), Vec<Diagnostic>> {
        let count = self.passes().count();
        let mut index = 0;
        for step in &self.steps {
            let pass = match step {
                Step::Expect(stage) => {
                    validate(graph, *stage)?;
                    continue;
                }
                Step::Pass(pass) => pass,
            };
            observer.before(pass.name, index, count);
            pass.run(graph, journal)?;
            validate(graph, Stage::Any).map_err(|found| {
                let name = |d: Diagnostic| d.note(format!("after {}", pass.name));
                found.into_iter().map(name).collect::<Vec<_>>()
            })?;
            observer.after(pass.name, index, graph);
            index += 1;
            if self.stop_after.as_deref() == Some(pass.name) {
                break;
            }
        }
        Ok(())
    }
}
