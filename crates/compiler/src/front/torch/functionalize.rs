//! A program without writes: each in-place call becomes a new value, and every view of what it wrote is replayed.
//!
//! Tensors that share memory share a *storage*, which has a version. A *handle* is one way to look at a storage:
//! a chain of views from its root. A write gives the storage a new version; a handle that is read at an older
//! version is computed again from the current root. What cannot be followed makes the storage unreadable, and
//! reading it is an error.

mod overlap;
mod view;
mod write;

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{Diagnostic, OriginId, Origins, TensorType};

use super::code::{UNSUPPORTED_VIEW, UNSUPPORTED_WRITE};
use super::inline::{Memory, Step, Straight};
use crate::dialect::aten::{Argument, Call, Schema, Tensor};

use view::{Sharing, View};

/// A program in which no call writes its arguments.
pub(super) struct Functional {
    /// The calls in order.
    pub(super) steps: Vec<Step>,
    /// What the graph gives back.
    pub(super) outputs: Vec<Argument>,
    /// The inputs of the graph that the program writes, and the last call that does so.
    pub(super) written: Vec<(Arc<str>, OriginId)>,
    /// Where the calls come from.
    pub(super) origins: Origins,
    /// Every read of a tensor whose contents cannot be known.
    pub(super) errors: Vec<Diagnostic>,
}

/// Replaces every write. `shared` tells which inputs lie in the same stored bytes, by equal texts.
pub(super) fn functionalize(straight: Straight, shared: &IndexMap<Arc<str>, String>) -> Functional {
    let mut state = Functionalizer {
        storages: Vec::new(),
        handles: Vec::new(),
        names: IndexMap::new(),
        taken: straight.memory.keys().cloned().collect(),
        counts: IndexMap::new(),
        memory: straight.memory,
        origins: straight.origins,
        steps: Vec::new(),
        errors: Vec::new(),
    };
    let mut stored: IndexMap<&str, usize> = IndexMap::new();
    for input in straight.inputs.iter().flatten() {
        let storage = state.own(input.clone());
        state.storages[storage].input = Some(input.name.clone());
        if let Some(bytes) = shared.get(&input.name) {
            let first = *stored.entry(bytes).or_insert(storage);
            state.entangle(first, storage);
        }
    }
    for step in straight.steps {
        state.step(step);
    }
    let outputs = straight.outputs.into_iter().map(|output| state.current(output)).collect();
    let written = state.storages.iter().filter_map(|s| Some((s.input.clone()?, s.written_by?))).collect();
    Functional { steps: state.steps, outputs, written, origins: state.origins, errors: state.errors }
}

/// Memory that one or more tensors look at.
struct Storage {
    /// Counts the writes.
    version: u32,
    /// The last call that wrote it.
    written_by: Option<OriginId>,
    /// The input of the graph that it belongs to.
    input: Option<Arc<str>>,
    /// Storages that may be the same memory.
    entangled: Vec<usize>,
    /// Why its contents cannot be known, where they cannot.
    unreadable: Option<Diagnostic>,
}

/// One way to look at a storage.
struct Handle {
    storage: usize,
    /// The handle it is a view of; `None` at the root.
    parent: Option<(usize, View)>,
    /// Its contents at `version`.
    value: Tensor,
    version: u32,
}

struct Functionalizer {
    storages: Vec<Storage>,
    handles: Vec<Handle>,
    /// What the program's names look at.
    names: IndexMap<Arc<str>, usize>,
    taken: IndexSet<Arc<str>>,
    /// The number of the next fresh name of a stem.
    counts: IndexMap<Arc<str>, usize>,
    memory: IndexMap<Arc<str>, Memory>,
    origins: Origins,
    steps: Vec<Step>,
    errors: Vec<Diagnostic>,
}

impl Functionalizer {
    /// A tensor with memory of its own; gives its storage.
    fn own(&mut self, tensor: Tensor) -> usize {
        let storage = self.storages.len();
        self.storages.push(Storage {
            version: 0,
            written_by: None,
            input: None,
            entangled: Vec::new(),
            unreadable: None,
        });
        self.name(tensor.name.clone(), Handle { storage, parent: None, value: tensor, version: 0 });
        storage
    }

    fn name(&mut self, name: Arc<str>, handle: Handle) -> usize {
        self.handles.push(handle);
        let handle = self.handles.len() - 1;
        self.names.insert(name, handle);
        handle
    }

    fn entangle(&mut self, a: usize, b: usize) {
        if a != b {
            self.storages[a].entangled.push(b);
            self.storages[b].entangled.push(a);
        }
    }

    /// The handle behind a tensor of the program.
    fn handle(&self, tensor: &Tensor) -> usize {
        *self.names.get(&tensor.name).expect("a name is defined before it is used: inlining has checked that")
    }

    /// What the handle holds now. Views of memory that was written since are replayed.
    fn read(&mut self, handle: usize) -> Tensor {
        let storage = &self.storages[self.handles[handle].storage];
        if let Some(diagnostic) = storage.unreadable.clone()
            && !self.errors.contains(&diagnostic)
        {
            self.errors.push(diagnostic);
        }
        let (version, writer) = (storage.version, storage.written_by);
        // From the handle down to one that is up to date: the root always is.
        let mut stale = Vec::new();
        let mut at = handle;
        while self.handles[at].version != version {
            stale.push(at);
            at = self.handles[at].parent.as_ref().map(|(parent, _)| *parent).expect("the root is up to date");
        }
        for at in stale.into_iter().rev() {
            let (parent, view) = self.handles[at].parent.clone().expect("the root is up to date");
            let from: Vec<OriginId> = [view.call.origin].into_iter().chain(writer).collect();
            let origin = self.origins.derive("replay_view", &from);
            let base = self.handles[parent].value.clone();
            let value = self.replay(&view, base, origin);
            self.handles[at].value = value;
            self.handles[at].version = version;
        }
        self.handles[handle].value.clone()
    }

    /// The view's result on `base`, under a new name.
    fn replay(&mut self, view: &View, base: Tensor, origin: OriginId) -> Tensor {
        let mut call = Call::clone(&view.call);
        call.origin = origin;
        call.arguments.insert(Arc::from(view.viewed), Argument::Tensor(base));
        for result in call.results.iter_mut().flatten() {
            result.name = self.fresh(&result.name);
        }
        let value = call.results[view.result].clone().expect("a view is of a result");
        self.steps.push(Step { call, blocked: None });
        value
    }

    /// A name that is not taken: `name.1`, `name.2` and so on, also for `name.1`.
    fn fresh(&mut self, name: &str) -> Arc<str> {
        // Names of the exporter have no dot.
        let name = name.split('.').next().unwrap_or(name);
        let from = *self.counts.get(name).unwrap_or(&1);
        let (count, fresh) = (from..)
            .map(|i| (i, Arc::from(format!("{name}.{i}"))))
            .find(|(_, name): &(usize, Arc<str>)| self.taken.insert(name.clone()))
            .expect("there is no end to the numbers");
        self.counts.insert(name.into(), count + 1);
        fresh
    }

    /// An argument with the current contents of its tensors.
    fn current(&mut self, mut argument: Argument) -> Argument {
        for tensor in argument.tensors_mut() {
            let handle = self.handle(tensor);
            *tensor = self.read(handle);
        }
        argument
    }

    fn step(&mut self, Step { mut call, blocked }: Step) {
        let Some(schema) = Schema::of(&call.target) else { return self.unknown(call, blocked) };
        if blocked.is_none() && schema.written().next().is_some() {
            return self.write_call(call, schema);
        }
        let handles: Vec<usize> =
            call.arguments.values().flat_map(Argument::tensors).map(|t| self.handle(t)).collect();
        let sharing = view::sharing(&call, schema, &self.memory);
        let parent = match sharing {
            Sharing::View(viewed) => call.optional_tensor(viewed).ok().flatten().map(|t| self.handle(t)),
            _ => None,
        };
        let blocked = blocked.or_else(|| self.beyond(&call));
        self.read_arguments(&mut call);
        match sharing {
            Sharing::View(viewed) => {
                // A view of nothing is malformed, which its operator will say.
                let Some(parent) = parent else { return self.results(call, blocked, &[]) };
                self.views(call, blocked, viewed, parent);
            }
            Sharing::Copy => self.results(call, blocked, &[]),
            Sharing::Unknown => self.results(call, blocked, &handles),
        }
    }

    /// What is said of an `as_strided` that sees more than its argument, which is all that a value is.
    fn beyond(&self, call: &Call) -> Option<Diagnostic> {
        if view::packet(&call.target) != "as_strided" || view::stays_within(call, &self.memory) == Some(true)
        {
            return None;
        }
        let what = "as_strided sees memory beyond its argument, or that is laid out in another order";
        let diagnostic = Diagnostic::new(UNSUPPORTED_VIEW, what).at(&self.origins, call.origin);
        Some(diagnostic.help("take the elements with slices, unfold or an index"))
    }

    fn read_arguments(&mut self, call: &mut Call) {
        for argument in call.arguments.values_mut() {
            *argument = self.current(std::mem::replace(argument, Argument::None));
        }
    }

    /// A call of which nothing is known may write what it is given. Control flow may not.
    fn unknown(&mut self, mut call: Call, blocked: Option<Diagnostic>) {
        let handles: Vec<usize> =
            call.arguments.values().flat_map(Argument::tensors).map(|t| self.handle(t)).collect();
        self.read_arguments(&mut call);
        if let Some(diagnostic) = blocked.as_ref().filter(|_| !call.target.starts_with("higher_order.")) {
            for &handle in &handles {
                let storage = self.handles[handle].storage;
                self.spoil(storage, diagnostic);
            }
        }
        self.results(call, blocked, &handles);
    }

    /// Makes the contents of a storage, and of what may be the same memory, unreadable.
    fn spoil(&mut self, storage: usize, diagnostic: &Diagnostic) {
        for storage in self.same_memory(storage) {
            self.storages[storage].unreadable.get_or_insert_with(|| diagnostic.clone());
        }
    }

    /// The storage and all that may be the same memory.
    fn same_memory(&self, storage: usize) -> IndexSet<usize> {
        let mut all = IndexSet::from([storage]);
        let mut next = 0;
        while let Some(&storage) = all.get_index(next) {
            all.extend(&self.storages[storage].entangled);
            next += 1;
        }
        all
    }

    /// The call with results in memory of their own, which may still be that of these handles.
    fn results(&mut self, call: Call, blocked: Option<Diagnostic>, maybe: &[usize]) {
        for result in call.results.iter().flatten() {
            let storage = self.own(result.clone());
            for &handle in maybe {
                self.entangle(storage, self.handles[handle].storage);
            }
        }
        self.steps.push(Step { call, blocked });
    }

    /// The call with results that look at the memory of `parent`.
    fn views(&mut self, call: Call, blocked: Option<Diagnostic>, viewed: &'static str, parent: usize) {
        let Handle { storage, version, .. } = self.handles[parent];
        let shared = Arc::new(call.clone());
        for (i, result) in call.results.iter().enumerate() {
            let Some(result) = result else { continue };
            let view = View { call: shared.clone(), viewed, result: i };
            let parent = Some((parent, view));
            self.name(result.name.clone(), Handle { storage, parent, value: result.clone(), version });
        }
        self.steps.push(Step { call, blocked });
    }

    /// Sets what the handle looks at to `value`, and with it everything below it in the chain of views.
    fn write(&mut self, handle: usize, value: Tensor, origin: OriginId) {
        let storage = self.handles[handle].storage;
        let mut written = vec![(handle, value)];
        while let (at, value) = written.last().expect("there is the handle itself").clone()
            && let Some((parent, view)) = self.handles[at].parent.clone()
        {
            let base = self.read(parent);
            match self.scatter(&view, base, value, origin) {
                Some(value) => written.push((parent, value)),
                None => {
                    let what = format!("a write through {} cannot be followed", view.call.target);
                    let diagnostic = Diagnostic::new(UNSUPPORTED_WRITE, what)
                        .at(&self.origins, origin)
                        .help("compute a new tensor instead of writing into a part of one");
                    return self.spoil(storage, &diagnostic);
                }
            }
        }
        let others = self.same_memory(storage);
        if others.len() > 1 {
            let what = "a tensor is written that may share its memory with another";
            let diagnostic = Diagnostic::new(UNSUPPORTED_WRITE, what)
                .at(&self.origins, origin)
                .help("clone the tensor before it is written");
            for other in others.into_iter().filter(|&other| other != storage) {
                self.storages[other].unreadable.get_or_insert_with(|| diagnostic.clone());
            }
        }
        let state = &mut self.storages[storage];
        state.version += 1;
        state.written_by = Some(origin);
        let version = state.version;
        for (handle, value) in written {
            self.handles[handle].value = value;
            self.handles[handle].version = version;
        }
    }

    /// Adds a call with one result and gives that.
    fn emit(
        &mut self,
        target: &str,
        arguments: Vec<(&str, Argument)>,
        name: Arc<str>,
        ty: TensorType,
        origin: OriginId,
    ) -> Tensor {
        let result = Tensor { name, ty };
        let call = Call {
            target: target.into(),
            arguments: arguments.into_iter().map(|(name, value)| (Arc::from(name), value)).collect(),
            results: vec![Some(result.clone())],
            origin,
        };
        self.steps.push(Step { call, blocked: None });
        result
    }
}
