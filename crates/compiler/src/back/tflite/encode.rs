//! A legal graph as the description of a file, and where each buffer's bytes come from.

use std::path::Path;

use indexmap::IndexMap;
use ir::{Diagnostic, ILLEGAL_OPERATOR, Node, Operator, Tensor, ValueId};

use super::metadata::{add_least_runtime, add_metadata};
use super::names::set_apart;
use super::version::stamp;
use super::write::{WriteError, write_file};
use crate::dialect::tfl::{
    self, Builtin, Call, Entry, Illegal, Model, Operand, PROVENANCE, Provenance, Signature, Spot, Subgraph,
    TensorEntry, decode,
};
use crate::evaluate::Expressions;
use crate::ops::{Graph, Op};

ir::codes! {
    /// The output file cannot be written.
    ///
    /// Nothing is left behind: a file appears whole or not at all.
    UNWRITABLE = "unwritable", Io;

    /// The model cannot be laid out as a .tflite.
    ///
    /// A size or an index is beyond what the format can hold.
    UNENCODABLE = "unencodable", Unsupported;
}

/// The memory that the allocator keeps between slabs, in bytes: a few slabs.
const KEPT_BY_THE_ALLOCATOR: usize = 8 << 20;

/// What applications call a model's interface by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interface {
    /// The signature's key: `serving_default`.
    pub key: String,
    /// A name for each input, in order.
    pub inputs: Vec<String>,
    /// A name for each output, in order.
    pub outputs: Vec<String>,
}

/// Where the bytes of a buffer come from.
enum Content {
    Nothing,
    Value(ValueId),
    Tensor(Tensor),
    Bytes(Vec<u8>),
}

/// A graph described as a file.
pub struct Encoded<'g> {
    /// The description.
    pub model: Model,
    contents: Vec<Content>,
    expressions: Expressions<'g>,
}

/// Describes a graph as a file. Errs with every operator that cannot be spelled; after `Stage::Legal` none is left.
pub fn encode<'g>(
    graph: &'g Graph,
    interface: &Interface,
    source: &str,
    ledger: &[ir::Assumption],
) -> Result<Encoded<'g>, Vec<Diagnostic>> {
    let mut encoder = Encoder {
        graph,
        constant: graph.constness(),
        main: Subgraph { name: "main".into(), ..Subgraph::default() },
        tensors: IndexMap::new(),
        spelled: Vec::new(),
        model: Model::new(),
        contents: vec![Content::Nothing],
        origins: Vec::new(),
        found: Vec::new(),
    };
    encoder.inputs();
    for (_, node) in graph.nodes() {
        if node.outputs.iter().any(|o| !encoder.constant[o.index()]) {
            encoder.node(node);
        }
    }
    encoder.outputs();
    encoder.finish(interface, source, ledger)
}

struct Encoder<'g> {
    graph: &'g Graph,
    constant: Vec<bool>,
    main: Subgraph,
    /// The tensor of each value.
    tensors: IndexMap<ValueId, usize>,
    /// Constants that spellings brought, with their tensors: equal ones are written once.
    spelled: Vec<(Tensor, usize)>,
    model: Model,
    contents: Vec<Content>,
    origins: Vec<Vec<Spot>>,
    found: Vec<Diagnostic>,
}

impl<'g> Encoder<'g> {
    fn inputs(&mut self) {
        for &input in self.graph.inputs() {
            if let Some(tensor) = self.value(input) {
                self.main.inputs.push(tensor);
            }
        }
    }

    /// The tensor of a value; what is constant gets a buffer.
    fn value(&mut self, value: ValueId) -> Option<usize> {
        if let Some(&tensor) = self.tensors.get(&value) {
            return Some(tensor);
        }
        let ty = self.graph.ty(value);
        let content = if self.constant[value.index()] { Content::Value(value) } else { Content::Nothing };
        // A weight that is computed is called by what it is computed from.
        let named = self.graph.largest_constant(value).filter(|_| self.constant[value.index()]);
        let name = &self.graph.value(named.unwrap_or(value)).name;
        let tensor = self.tensor(name, ty, content)?;
        self.tensors.insert(value, tensor);
        Some(tensor)
    }

    fn tensor(&mut self, name: &str, ty: &ir::TensorType, content: Content) -> Option<usize> {
        let described = ty.bytes().map_err(Illegal::from).and_then(|bytes| {
            let buffer = match content {
                Content::Nothing => 0,
                // An empty constant has no bytes, and so no buffer of its own.
                _ if bytes == 0 => 0,
                content => {
                    self.contents.push(content);
                    self.model.add_buffer(bytes as u64)
                }
            };
            TensorEntry::new(name, ty, buffer)
        });
        match described {
            Ok(tensor) => {
                self.main.tensors.push(tensor);
                Some(self.main.tensors.len() - 1)
            }
            Err(why) => {
                self.found.push(Diagnostic::new(UNENCODABLE, format!("%{name} is {ty}: {why}")));
                None
            }
        }
    }

    fn node(&mut self, node: &Node<Op>) {
        let types = self.graph.types(&node.inputs);
        let call = match node.op.to_tfl(&types) {
            Ok(call) => call,
            Err(why) => {
                let message = format!("{} cannot be spelled: {why}", node.op.name());
                self.found
                    .push(Diagnostic::new(ILLEGAL_OPERATOR, message).at(&self.graph.origins, node.origin));
                return;
            }
        };
        let mut operands = Vec::with_capacity(call.operands.len());
        for operand in &call.operands {
            let tensor = match operand {
                Operand::Input(i) => self.value(node.inputs[*i]),
                Operand::Constant(tensor) => self.spelled(tensor, call.operator),
                Operand::Absent => {
                    operands.push(None);
                    continue;
                }
            };
            operands.push(tensor);
        }
        let outputs: Vec<usize> = node.outputs.iter().filter_map(|&o| self.value(o)).collect();
        let spots = self.graph.origins.leaves(node.origin).into_iter().map(Spot::from).collect();
        self.push(call, operands, outputs, spots);
    }

    fn push(&mut self, call: Call, operands: Vec<Option<usize>>, outputs: Vec<usize>, spots: Vec<Spot>) {
        let mut operator = tfl::Operator::new(call.operator, call.options, operands, outputs);
        operator.version = call.version;
        self.main.operators.push(operator);
        self.origins.push(spots);
    }

    /// A constant that is part of a spelling, such as the axes of a reduction.
    fn spelled(&mut self, tensor: &Tensor, operator: Builtin) -> Option<usize> {
        if let Some((_, known)) = self.spelled.iter().find(|(t, _)| t == tensor) {
            return Some(*known);
        }
        let name = format!("{}/{}", operator.to_string().to_lowercase(), self.spelled.len());
        let index = self.tensor(&name, &tensor.ty(), Content::Tensor(tensor.clone()))?;
        self.spelled.push((tensor.clone(), index));
        Some(index)
    }

    /// Outputs that are inputs, constants, or given twice get a tensor of their own: runtimes alias such tensors.
    fn outputs(&mut self) {
        for &output in self.graph.outputs() {
            let Some(mut tensor) = self.value(output) else { continue };
            let made = self.graph.producer(output).is_some() && !self.constant[output.index()];
            if !made || self.main.outputs.contains(&tensor) {
                let ty = self.graph.ty(output);
                let Some(copy) =
                    self.tensor(&format!("{}/copy", self.graph.value(output).name), ty, Content::Nothing)
                else {
                    continue;
                };
                let spots = self.spots_of_output(output);
                let mut operands = vec![Some(tensor)];
                // A scalar's shape goes without saying: an operand without bytes would count as not constant.
                if ty.shape.rank() > 0 {
                    operands.extend(self.shape_operand(ty).map(Some));
                }
                self.push(Call::new(Builtin::RESHAPE), operands, vec![copy], spots);
                tensor = copy;
            }
            self.main.outputs.push(tensor);
        }
    }

    fn shape_operand(&mut self, ty: &ir::TensorType) -> Option<usize> {
        let sizes: Option<Vec<i32>> = ty.shape.known()?.into_iter().map(|n| i32::try_from(n).ok()).collect();
        let sizes = sizes?;
        self.spelled(&Tensor::new(&[sizes.len()], &sizes), Builtin::RESHAPE)
    }

    /// A copied output comes from whatever made it. An input or a weight that is given as it is has no call: its spot
    /// says so.
    fn spots_of_output(&self, value: ValueId) -> Vec<Spot> {
        if let Some((node, _)) = self.graph.producer(value) {
            return self
                .graph
                .origins
                .leaves(self.graph.node(node).origin)
                .into_iter()
                .map(Spot::from)
                .collect();
        }
        let node = self.graph.value(value).name.as_str().into();
        vec![Spot { target: "output".into(), node, ..Spot::default() }]
    }

    /// Gives each tensor a name of its own. Weights that are computed from one constant are all called by it, and what a
    /// spelling brings may be called as a value is; the interface, and values that are called by their own, stay so.
    fn set_names_apart(&mut self) {
        let Subgraph { inputs, outputs, tensors, .. } = &mut self.main;
        let ends = inputs.iter().chain(&*outputs).copied();
        let own = self.tensors.iter().filter(|&(&v, &t)| tensors[t].name == self.graph.value(v).name);
        let before: Vec<usize> = ends.chain(own.map(|(_, &tensor)| tensor)).collect();
        set_apart(tensors, before);
    }

    fn finish(
        mut self,
        interface: &Interface,
        source: &str,
        ledger: &[ir::Assumption],
    ) -> Result<Encoded<'g>, Vec<Diagnostic>> {
        if !self.found.is_empty() {
            return Err(self.found);
        }
        self.set_names_apart();
        let named = |names: &[String], tensors: &[usize]| {
            names.iter().cloned().zip(tensors.iter().copied()).collect()
        };
        self.model.signatures.push(Signature {
            key: interface.key.clone(),
            subgraph: 0,
            inputs: named(&interface.inputs, &self.main.inputs),
            outputs: named(&interface.outputs, &self.main.outputs),
        });
        self.model.description = format!("edgewright {}", env!("CARGO_PKG_VERSION"));
        self.model.subgraphs.push(self.main);
        stamp(&mut self.model);

        let provenance = Provenance {
            producer: self.model.description.clone(),
            source: source.to_string(),
            operators: self.origins,
            ledger: ledger
                .iter()
                .map(|a| Entry { what: a.kind.to_string(), value: a.subject.clone(), why: a.reason.clone() })
                .collect(),
        }
        .encode();
        add_metadata(&mut self.model, PROVENANCE, provenance.len());
        self.contents.push(Content::Bytes(provenance));
        let (_, runtime) = add_least_runtime(&mut self.model);
        self.contents.push(Content::Bytes(runtime));
        Ok(Encoded { model: self.model, contents: self.contents, expressions: Expressions::new(self.graph) })
    }
}

/// Why writing stopped.
enum Stopped {
    Weight(Diagnostic),
    Write(WriteError),
}

impl From<WriteError> for Stopped {
    fn from(error: WriteError) -> Self {
        Stopped::Write(error)
    }
}

impl From<Diagnostic> for Stopped {
    fn from(diagnostic: Diagnostic) -> Self {
        Stopped::Weight(diagnostic)
    }
}

impl Encoded<'_> {
    /// A constant that is part of a spelling, such as the axes of a reduction, by its buffer.
    pub fn spelled(&self, buffer: usize) -> Option<&Tensor> {
        match self.contents.get(buffer)? {
            Content::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// Where each operator came from.
    pub fn provenance(&self) -> Provenance {
        let named = self.model.metadata.iter().find(|m| m.name == PROVENANCE);
        match named.map(|named| &self.contents[named.buffer]) {
            Some(Content::Bytes(bytes)) => decode(bytes).expect("we have encoded it ourselves"),
            _ => Provenance::default(),
        }
    }

    /// Writes the file, which appears whole or not at all; weights are computed and streamed one slab at a time.
    /// `progress` is told the bytes of weights written so far. Returns the length of the file in bytes.
    pub fn write(
        &self,
        path: &Path,
        inline_limit: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, Diagnostic> {
        // glibc gives freed memory back to the system, and each slab then faults its pages in anew, until a chunk of
        // this size has been freed once (mallopt(3), M_MMAP_THRESHOLD).
        drop(std::hint::black_box(vec![0u8; KEPT_BY_THE_ALLOCATOR]));
        let mut done = 0;
        let written = write_file(path, &self.model, inline_limit, |index, out| {
            let mut put = |bytes: &[u8]| -> Result<(), Stopped> {
                out.write_all(bytes).map_err(WriteError::from)?;
                done += bytes.len() as u64;
                progress(done);
                Ok(())
            };
            match &self.contents[index] {
                Content::Nothing => Ok(()),
                Content::Bytes(bytes) => put(bytes),
                Content::Tensor(tensor) => put(tensor.bytes()),
                Content::Value(value) => self.expressions.stream(*value, &mut put),
            }
        });
        written.map_err(|stopped| match stopped {
            Stopped::Weight(diagnostic) => diagnostic,
            Stopped::Write(WriteError::Illegal(why)) => Diagnostic::new(UNENCODABLE, why.0),
            Stopped::Write(WriteError::Io(why)) => {
                Diagnostic::new(UNWRITABLE, format!("{} cannot be written: {why}", path.display()))
            }
        })
    }
}
