//! A program as one straight list of calls: regions inlined, symbols settled, assertions left out.
//!
//! Calls here may still write their arguments. What cannot be compiled is noted beside its call and told only
//! where the call turns out to be in use.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{DATA_DEPENDENT_SIZE, Diagnostic, Leaf, Number, Origin, Origins, TensorType};

use super::archive;
use super::code::{AUTOCAST, INVALID_ARCHIVE, UNKNOWN_OPERATOR, UNSUPPORTED_CONTROL_FLOW};
use super::number;
use super::origin;
use super::program::{Argument as Written, Graph, Node, Symbol, TensorMeta};
use super::symbol::{self, Bindings, Settled};
use crate::dialect::aten::{Argument, Call, Schema, Tensor};

/// A call as the program has it.
pub(super) struct Step {
    /// The call.
    pub(super) call: Call,
    /// Why it cannot be compiled, where it cannot.
    pub(super) blocked: Option<Diagnostic>,
}

/// How a tensor lay in memory when the program was traced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Memory {
    /// Steps along each axis, in elements; `None` where they depend on data.
    pub(super) strides: Option<Vec<usize>>,
    /// Where element 0 lies in its storage, in elements.
    pub(super) offset: usize,
    /// Such as `cpu`.
    pub(super) device: String,
}

/// A program as one list of calls.
pub(super) struct Straight {
    /// The calls in order.
    pub(super) steps: Vec<Step>,
    /// The tensors that the graph takes, in the order of its inputs; other inputs are `None`.
    pub(super) inputs: Vec<Option<Tensor>>,
    /// What the graph gives back.
    pub(super) outputs: Vec<Argument>,
    /// How each tensor lies in memory.
    pub(super) memory: IndexMap<Arc<str>, Memory>,
    /// Where the calls come from.
    pub(super) origins: Origins,
}

/// What a name stands for.
#[derive(Clone, Debug)]
enum Value {
    Tensor(Tensor),
    Number(Number),
    /// A number that depends on data, as text.
    Open(String),
}

type Scope = IndexMap<String, Value>;

/// Inlines what can be, and settles every symbol. Errs with all that contradicts itself.
pub(super) fn straighten(
    graph: &Graph,
    bound: &Bindings,
    reader: &origin::Reader,
) -> Result<Straight, Vec<Diagnostic>> {
    let mut inliner = Inliner {
        bound,
        reader,
        errors: Vec::new(),
        taken: IndexSet::new(),
        out: Straight {
            steps: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            memory: IndexMap::new(),
            origins: Origins::new(),
        },
    };
    let mut scope = inliner.numbers(graph);
    for input in &graph.inputs {
        let tensor = match input {
            Written::Tensor(name) => inliner.define(graph, name, &mut scope),
            _ => None,
        };
        inliner.out.inputs.push(tensor);
    }
    inliner.nodes(graph, &mut scope, None);
    for (i, output) in graph.outputs.iter().enumerate() {
        match inliner.argument(output, &scope) {
            Ok(value) => inliner.out.outputs.push(value),
            Err(wrong) => inliner.errors.push(wrong.diagnostic(&format!("output {i}"), None)),
        }
    }
    if inliner.errors.is_empty() { Ok(inliner.out) } else { Err(inliner.errors) }
}

struct Inliner<'a> {
    bound: &'a Bindings,
    reader: &'a origin::Reader,
    errors: Vec<Diagnostic>,
    /// The names in use over all regions.
    taken: IndexSet<Arc<str>>,
    out: Straight,
}

/// Why an argument is no value.
enum Wrong {
    /// The program contradicts itself.
    Invalid(String),
    /// It is not known here.
    Unknown(String),
    /// It depends on data.
    Open(String),
}

impl Wrong {
    fn diagnostic(self, what: &str, leaf: Option<&Leaf>) -> Diagnostic {
        let diagnostic = match self {
            Wrong::Invalid(why) => Diagnostic::new(INVALID_ARCHIVE, format!("{what}: {why}")),
            Wrong::Unknown(why) => Diagnostic::new(UNKNOWN_OPERATOR, format!("{what} {why}")),
            Wrong::Open(text) => {
                Diagnostic::new(DATA_DEPENDENT_SIZE, format!("{what} is {text}, which depends on data"))
            }
        };
        match leaf {
            Some(leaf) => diagnostic.at_leaf(leaf),
            None => diagnostic,
        }
    }
}

impl Inliner<'_> {
    fn invalid(&mut self, message: String) {
        self.errors.push(Diagnostic::new(INVALID_ARCHIVE, message));
    }

    /// The numbers that the graph's tables give a name.
    fn numbers(&mut self, graph: &Graph) -> Scope {
        let numbers = symbol::numbers(graph, self.bound).unwrap_or_else(|error| {
            self.invalid(error);
            IndexMap::new()
        });
        numbers
            .into_iter()
            .map(|(name, settled)| match settled {
                Settled::Number(number) => (name, Value::Number(number)),
                Settled::Open(expr) => (name, Value::Open(expr.to_string())),
            })
            .collect()
    }

    /// The tensor of this name in the graph's table.
    fn tensor(&mut self, graph: &Graph, name: &str) -> Option<(TensorType, Memory)> {
        let Some(meta) = graph.tensor_values.get(name) else {
            self.invalid(format!("the program says nothing of the tensor '{name}'"));
            return None;
        };
        match described(meta, self.bound) {
            Ok(described) => Some(described),
            Err(why) => {
                self.invalid(format!("the tensor '{name}': {why}"));
                None
            }
        }
    }

    /// Makes `name` known as a tensor, under a name that no other region has.
    fn define(&mut self, graph: &Graph, name: &str, scope: &mut Scope) -> Option<Tensor> {
        let (ty, memory) = self.tensor(graph, name)?;
        let mut global: Arc<str> = name.into();
        for i in 1.. {
            if self.taken.insert(global.clone()) {
                break;
            }
            global = format!("{name}.{i}").into();
        }
        let tensor = Tensor { name: global.clone(), ty };
        self.out.memory.insert(global, memory);
        if scope.insert(name.to_owned(), Value::Tensor(tensor.clone())).is_some() {
            self.invalid(format!("the program defines '{name}' twice"));
        }
        Some(tensor)
    }

    fn nodes(&mut self, graph: &Graph, scope: &mut Scope, around: Option<&Leaf>) {
        for node in &graph.nodes {
            let target = node.target.strip_prefix("torch.ops.").unwrap_or(&node.target);
            let name = node.name.as_deref().or_else(|| first_output(node)).unwrap_or("");
            if is_assertion(target) {
                continue;
            }
            // The exporter leaves no trace on a region's own node, but on those in it.
            let metadata =
                if node.metadata.contains_key("stack_trace") { None } else { inner_metadata(node) };
            let leaf = self.reader.leaf(metadata.unwrap_or(&node.metadata), target, name, around);
            if let Some(region) = Region::of(target, node) {
                self.region(graph, node, region, scope, &leaf);
            } else if number::is_function(target) {
                self.check_number(node, target, scope, &leaf);
            } else {
                self.call(graph, node, target, scope, leaf);
            }
        }
    }

    /// A region that changes nothing of what its calls compute stands in line.
    fn region(&mut self, graph: &Graph, node: &Node, region: Region<'_>, scope: &mut Scope, leaf: &Leaf) {
        let mut operands = Vec::new();
        for operand in region.operands {
            match self.values(operand, scope) {
                Ok(values) => operands.extend(values),
                Err(wrong) => return self.errors.push(wrong.diagnostic(&leaf.target, Some(leaf))),
            }
        }
        let (inner, outputs) = (region.graph, flat(&node.outputs));
        if operands.len() != inner.inputs.len() || outputs.len() != inner.outputs.len() {
            return self
                .invalid(format!("the region '{}' is called with a wrong number of tensors", leaf.node));
        }
        let mut within = self.numbers(inner);
        for (input, value) in inner.inputs.iter().zip(operands) {
            if let Some(name) = name_of(input) {
                within.insert(name.to_owned(), value);
            }
        }
        self.nodes(inner, &mut within, Some(leaf));
        for (output, result) in outputs.iter().zip(&inner.outputs) {
            let Some(name) = output else { continue };
            let value = match self.values(result, &within) {
                Ok(mut values) if values.len() == 1 => values.remove(0),
                // A number has its value in the outer table; what is no tensor and no number is not used further.
                Ok(_) => continue,
                Err(wrong) => return self.errors.push(wrong.diagnostic(&leaf.target, Some(leaf))),
            };
            if let (Value::Tensor(tensor), Some((ty, _))) = (&value, self.tensor(graph, name))
                && tensor.ty != ty
            {
                self.invalid(format!("'{name}' is {ty} outside of its region, but {} inside", tensor.ty));
            }
            if scope.insert((*name).to_owned(), value).is_some_and(|old| matches!(old, Value::Tensor(_))) {
                self.invalid(format!("the program defines '{name}' twice"));
            }
        }
    }

    /// A function of sizes has its value in the table; here the two are compared.
    fn check_number(&mut self, node: &Node, target: &str, scope: &Scope, leaf: &Leaf) {
        let Some(Written::Symbol(Symbol::Name(name))) = node.outputs.first() else { return };
        let Some(Value::Number(listed)) = scope.get(name) else { return };
        let arguments: Result<Vec<Argument>, Wrong> =
            node.inputs.iter().map(|input| self.argument(&input.arg, scope)).collect();
        let Ok(arguments) = arguments else { return };
        if let Some(computed) = number::apply(target, &arguments)
            && !number::equal(computed, *listed)
        {
            let message =
                format!("{target} gives {computed}, but the program says that '{name}' is {listed}");
            self.errors.push(Diagnostic::new(INVALID_ARCHIVE, message).at_leaf(leaf));
        }
    }

    fn call(&mut self, graph: &Graph, node: &Node, target: &str, scope: &mut Scope, leaf: Leaf) {
        let mut blocked = refusal(target, &leaf);
        let mut arguments = IndexMap::new();
        let schema = Schema::of(target);
        for (i, input) in node.inputs.iter().enumerate() {
            // Higher-order operators name none of their arguments.
            let name = if input.name.is_empty() { i.to_string() } else { input.name.clone() };
            let value = match self.argument(&input.arg, scope) {
                Ok(value) => value,
                Err(invalid @ Wrong::Invalid(_)) => {
                    self.errors.push(invalid.diagnostic(target, Some(&leaf)));
                    continue;
                }
                Err(wrong) => {
                    let what = format!("'{name}' of {target}");
                    blocked.get_or_insert_with(|| wrong.diagnostic(&what, Some(&leaf)));
                    continue;
                }
            };
            if schema.is_some_and(|schema| !schema.parameters.contains_key(name.as_str())) {
                let wrong = Wrong::Unknown(format!("has an argument '{name}' that is not known"));
                blocked.get_or_insert_with(|| wrong.diagnostic(target, Some(&leaf)));
            }
            if arguments.insert(Arc::from(name.as_str()), value).is_some() {
                self.invalid(format!("{target} '{}' has two arguments called '{name}'", leaf.node));
            }
        }
        let mut results = Vec::new();
        for output in &node.outputs {
            match output {
                Written::Tensor(name) => results.push(self.define(graph, name, scope)),
                Written::Tensors(names) => {
                    results.extend(names.iter().map(|name| self.define(graph, name.as_deref()?, scope)));
                }
                Written::None => results.push(None),
                // A number has its value in the table.
                _ => {}
            }
        }
        let origin = self.out.origins.intern(Origin::Leaf(leaf));
        let call = Call { target: target.into(), arguments, results, origin };
        self.out.steps.push(Step { call, blocked });
    }

    /// The tensors and numbers of an operand, a list spread out.
    fn values(&self, operand: &Written, scope: &Scope) -> Result<Vec<Value>, Wrong> {
        match operand {
            Written::Tensors(names) => names.iter().flatten().map(|name| look_up(name, scope)).collect(),
            Written::Tensor(name) | Written::Symbol(Symbol::Name(name)) => Ok(vec![look_up(name, scope)?]),
            _ => Ok(Vec::new()),
        }
    }

    /// An argument with every name replaced by what it stands for.
    fn argument(&self, written: &Written, scope: &Scope) -> Result<Argument, Wrong> {
        Ok(match written {
            Written::None => Argument::None,
            Written::Tensor(name) => Argument::Tensor(tensor_of(name, scope)?),
            Written::Tensors(names) => {
                let tensor = |name: &Option<String>| name.as_ref().map(|n| tensor_of(n, scope)).transpose();
                Argument::Tensors(names.iter().map(tensor).collect::<Result<_, _>>()?)
            }
            Written::Int(n) => Argument::Int(*n),
            Written::Float(x) => Argument::Float(*x),
            Written::Bool(b) => Argument::Bool(*b),
            Written::Text(text) => Argument::Text(text.clone()),
            Written::Ints(list) => Argument::Ints(list.clone()),
            Written::Floats(list) => Argument::Floats(list.clone()),
            Written::Bools(list) => Argument::Bools(list.clone()),
            Written::Texts(list) => Argument::Texts(list.clone()),
            Written::Symbol(symbol) => one(number_of(symbol, scope)?),
            Written::Symbols(list) => {
                many(&list.iter().map(|s| number_of(s, scope)).collect::<Result<Vec<_>, _>>()?)
            }
            Written::DType(number) => Argument::DType(
                archive::dtype(*number).ok_or_else(|| Wrong::Unknown(format!("is dtype number {number}")))?,
            ),
            Written::MemoryFormat(number) => Argument::Text(memory_format(*number)?.into()),
            Written::Layout(7) => Argument::Text("strided".into()),
            Written::Layout(number) => return Err(Wrong::Unknown(format!("is layout number {number}"))),
            Written::Device(device) => Argument::Text(device.kind.clone()),
            Written::Complex(re, im) => Argument::Complex(*re, *im),
            Written::Graph(_) => Argument::None,
            Written::Unknown(tag) => {
                return Err(Wrong::Unknown(format!("has the form '{tag}', which is not known")));
            }
        })
    }
}

/// A region whose calls stand in line.
struct Region<'a> {
    graph: &'a Graph,
    operands: Vec<&'a Written>,
}

impl<'a> Region<'a> {
    /// `wrap_with_set_grad_enabled(flag, graph, …)` and `wrap_with_autocast(device, dtype, False, cache, graph, …)`.
    fn of(target: &str, node: &'a Node) -> Option<Self> {
        let args: Vec<&Written> = node.inputs.iter().map(|input| &input.arg).collect();
        let at = match (target, &args[..]) {
            ("higher_order.wrap_with_set_grad_enabled", _) => 1,
            ("higher_order.wrap_with_autocast", [_, _, Written::Bool(false), ..]) => 4,
            _ => return None,
        };
        match args.get(at)? {
            Written::Graph(graph) => Some(Region { graph, operands: args[at + 1..].to_vec() }),
            _ => None,
        }
    }
}

/// What is said of a call that nothing can be made of, by its target alone.
fn refusal(target: &str, leaf: &Leaf) -> Option<Diagnostic> {
    let diagnostic = match target.split_once('.') {
        Some(("higher_order", "wrap_with_autocast")) => {
            Diagnostic::new(AUTOCAST, "a region of the model runs under autocast")
                .help("export without autocast, or cast the tensors explicitly")
        }
        Some(("higher_order", name)) => {
            Diagnostic::new(UNSUPPORTED_CONTROL_FLOW, format!("control flow by {name} is not compiled"))
                .help("write it without data-dependent control flow, such as with torch.where")
        }
        Some(("aten", _)) if Schema::of(target).is_some() => return None,
        Some(("aten", _)) => Diagnostic::new(UNKNOWN_OPERATOR, format!("{target} is not known")),
        _ => Diagnostic::new(UNKNOWN_OPERATOR, format!("{target} is a custom operator, whose body the archive lacks"))
            .help("write it in ATen operators, or register a decomposition and call run_decompositions() before saving"),
    };
    Some(diagnostic.at_leaf(leaf))
}

/// Calls that compute nothing: checks made while the program runs.
fn is_assertion(target: &str) -> bool {
    const NAMES: &[&str] = &[
        "aten._assert_tensor_metadata.",
        "aten._assert_scalar.",
        "aten._assert_async.",
        "aten.sym_constrain_range.",
        "aten.sym_constrain_range_for_size.",
    ];
    NAMES.iter().any(|name| target.starts_with(name))
}

/// Type and memory of a tensor.
fn described(meta: &TensorMeta, bound: &Bindings) -> Result<(TensorType, Memory), String> {
    let dtype =
        archive::dtype(meta.dtype).ok_or_else(|| format!("dtype number {} is not known", meta.dtype))?;
    if meta.layout.is_some_and(|layout| layout != 7) {
        return Err("its layout is not strided".into());
    }
    let shape = symbol::shape(&meta.sizes, bound)?;
    // What the trace knew of memory only helps to tell views from copies; where it is not plain, nothing is known.
    let strides = symbol::shape(&meta.strides, bound).ok().and_then(|s| s.known());
    let offset = meta
        .storage_offset
        .as_ref()
        .map_or(Ok(Settled::Number(Number::Int(0))), |o| symbol::settle(o, bound));
    let offset = match offset {
        Ok(Settled::Number(Number::Int(n))) => usize::try_from(n).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let device =
        meta.device.as_ref().map_or(String::new(), |d| format!("{}:{}", d.kind, d.index.unwrap_or(0)));
    let strides = strides.filter(|s| s.len() == shape.rank());
    Ok((TensorType { dtype, shape, quant: None }, Memory { strides, offset, device }))
}

fn look_up(name: &str, scope: &Scope) -> Result<Value, Wrong> {
    scope.get(name).cloned().ok_or_else(|| Wrong::Invalid(format!("'{name}' is used before it is defined")))
}

fn tensor_of(name: &str, scope: &Scope) -> Result<Tensor, Wrong> {
    match look_up(name, scope)? {
        Value::Tensor(tensor) => Ok(tensor),
        _ => Err(Wrong::Invalid(format!("'{name}' is a number, not a tensor"))),
    }
}

fn number_of(symbol: &Symbol, scope: &Scope) -> Result<Number, Wrong> {
    let name = match symbol {
        Symbol::Int(n) => return Ok(Number::Int(*n)),
        Symbol::Float(x) => return Ok(Number::Real(*x)),
        Symbol::Bool(b) => return Ok(Number::Bool(*b)),
        Symbol::Name(name) => name,
    };
    match look_up(name, scope)? {
        Value::Number(number) => Ok(number),
        Value::Open(text) => Err(Wrong::Open(text)),
        Value::Tensor(_) => Err(Wrong::Invalid(format!("'{name}' is a tensor, not a number"))),
    }
}

fn one(number: Number) -> Argument {
    match number {
        Number::Int(n) => Argument::Int(n),
        Number::Real(x) => Argument::Float(x),
        Number::Bool(b) => Argument::Bool(b),
    }
}

/// A list of numbers: integers if all are, else real numbers; truth values where all are.
fn many(numbers: &[Number]) -> Argument {
    let bools: Option<Vec<bool>> =
        numbers.iter().map(|n| if let Number::Bool(b) = n { Some(*b) } else { None }).collect();
    if let Some(bools) = bools.filter(|b| !b.is_empty()) {
        return Argument::Bools(bools);
    }
    let ints: Option<Vec<i64>> = numbers.iter().map(|n| n.as_int()).collect();
    ints.map_or_else(|| Argument::Floats(numbers.iter().map(|n| n.as_f64()).collect()), Argument::Ints)
}

/// The numbers of memory formats in the export schema.
fn memory_format(number: i64) -> Result<&'static str, Wrong> {
    match number {
        1 => Ok("contiguous"),
        2 => Ok("channels_last"),
        3 => Ok("channels_last_3d"),
        4 => Ok("preserve"),
        _ => Err(Wrong::Unknown(format!("is memory format number {number}"))),
    }
}

/// What the first call in a node's first region tells of its place.
fn inner_metadata(node: &Node) -> Option<&IndexMap<String, String>> {
    let graph = node.inputs.iter().find_map(|input| match &input.arg {
        Written::Graph(graph) => Some(graph),
        _ => None,
    })?;
    graph.nodes.iter().map(|node| &node.metadata).find(|metadata| metadata.contains_key("stack_trace"))
}

fn name_of(argument: &Written) -> Option<&str> {
    match argument {
        Written::Tensor(name) | Written::Symbol(Symbol::Name(name)) => Some(name),
        _ => None,
    }
}

fn first_output(node: &Node) -> Option<&str> {
    node.outputs.first().and_then(name_of)
}

/// The names of results, lists spread out; `None` for what has no name.
fn flat(outputs: &[Written]) -> Vec<Option<&str>> {
    let mut names = Vec::new();
    for output in outputs {
        match output {
            Written::Tensors(list) => names.extend(list.iter().map(Option::as_deref)),
            other => names.push(name_of(other)),
        }
    }
    names
}
