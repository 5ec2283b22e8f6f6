//! A .tflite of operators we know, as a graph: each operator is asked of the catalog.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use ir::{DType, Diagnostic, Frame, Leaf, Operator as _, Origin, OriginId, Origins, TensorType, ValueId};
use schema::{Kind, Scalar, Value};

use super::{File, Malformed};
use crate::dialect::tfl::{
    Activation, Builtin, Illegal, Imported, Node, NodeInput, Operand, Operator, Options, PROVENANCE,
    Provenance, Signature, Spot, Subgraph, decode,
};
use crate::ops::{CATALOG, Graph, Op};

ir::codes! {
    /// The .tflite cannot be opened or read.
    UNREADABLE_TFLITE = "unreadable-tflite", Io;

    /// The bytes are not those of a whole .tflite.
    ///
    /// The message says what was found. A file that was cut short by a copy or a download is the usual cause.
    MALFORMED_TFLITE = "malformed-tflite", Invalid;

    /// The .tflite has operators that are not read into a graph.
    ///
    /// `inspect` shows any .tflite; what computes on one, such as `verify` with the embedded evaluator, needs every
    /// operator to be one that Edgewright knows. `edgewright ops` lists them.
    UNREAD_BUILTIN = "unread-builtin", Unsupported;
}

/// How many places of one cause are told.
const PLACES: usize = 20;

/// Opens and reads the .tflite at `path`. Its weights stay there.
pub fn open(path: &Path) -> Result<File, Diagnostic> {
    let unreadable =
        |e| Diagnostic::new(UNREADABLE_TFLITE, format!("{} cannot be read: {e}", path.display()));
    let file = fs::File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    File::read(Arc::new(file), bytes).map_err(|Malformed(why)| {
        Diagnostic::new(MALFORMED_TFLITE, format!("{} is no .tflite: {why}", path.display()))
    })
}

/// The main graph of a file. Errs with every operator that is not read, grouped by why.
pub fn import(file: &File) -> Result<Graph, Vec<Diagnostic>> {
    import_traced(file).map(|(graph, _)| graph)
}

/// Like [`import`], with the value of each tensor of the file's main graph; `None` for those that no node makes, such as
/// a shape that became an attribute.
pub fn import_traced(file: &File) -> Result<(Graph, Vec<Option<ValueId>>), Vec<Diagnostic>> {
    let malformed = |why: String| vec![Diagnostic::new(MALFORMED_TFLITE, why)];
    let main = file.model.subgraphs.first().ok_or_else(|| malformed("it has no graph".into()))?;
    let provenance = provenance(file);
    let mut importer = Importer {
        file,
        main,
        provenance,
        graph: Graph::new(&main.name, Origins::new()),
        values: vec![None; main.tensors.len()],
        lost: vec![false; main.tensors.len()],
        found: IndexMap::new(),
    };
    let signature = main_signature(file);
    for (name, tensor) in &signature.inputs {
        importer.input(name, *tensor).map_err(|why| malformed(why.0))?;
    }
    for (index, operator) in main.operators.iter().enumerate() {
        importer.operator(index, operator);
    }
    if !importer.found.is_empty() {
        return Err(importer.found.into_values().collect());
    }
    let outputs =
        signature.outputs.iter().map(|(_, tensor)| importer.value(*tensor)).collect::<Result<Vec<_>, _>>();
    importer.graph.set_outputs(outputs.map_err(|why| malformed(why.0))?);
    Ok((importer.graph, importer.values))
}

/// What our own metadata says of a file; nothing where another wrote it.
pub fn provenance(file: &File) -> Provenance {
    file.metadata(PROVENANCE).and_then(|bytes| decode(&bytes.ok()?).ok()).unwrap_or_default()
}

/// The names of the main graph's inputs and outputs, in the order in which the graph has them.
pub fn main_signature(file: &File) -> Signature {
    let main = file.model.subgraphs.first();
    main.map(|main| signature(&file.model.signatures, main)).unwrap_or_default()
}

/// The names and order of the main graph's inputs and outputs: those of its signature, where it names them all.
fn signature(signatures: &[Signature], main: &Subgraph) -> Signature {
    let of = |tensors: &[usize]| tensors.iter().map(|&t| (main.tensors[t].name.clone(), t)).collect();
    let plain = Signature { inputs: of(&main.inputs), outputs: of(&main.outputs), ..Signature::default() };
    let sorted = |names: &[(String, usize)]| {
        let mut tensors: Vec<usize> = names.iter().map(|(_, t)| *t).collect();
        tensors.sort_unstable();
        tensors
    };
    let whole = |s: &&Signature| {
        s.subgraph == 0
            && sorted(&s.inputs) == sorted(&plain.inputs)
            && sorted(&s.outputs) == sorted(&plain.outputs)
    };
    signatures.iter().find(whole).cloned().unwrap_or(plain)
}

struct Importer<'f> {
    file: &'f File,
    main: &'f Subgraph,
    provenance: Provenance,
    graph: Graph,
    /// The value of each tensor, once something has made it.
    values: Vec<Option<ValueId>>,
    /// Which tensors are not made because an operator is not read.
    lost: Vec<bool>,
    /// What went wrong, each once, with every place.
    found: IndexMap<String, Diagnostic>,
}

impl Importer<'_> {
    fn input(&mut self, name: &str, tensor: usize) -> Result<(), Illegal> {
        if self.values[tensor].is_some() {
            return Err(Illegal(format!("tensor {tensor} is two inputs")));
        }
        let ty = self.main.tensors[tensor].ty()?;
        self.values[tensor] = Some(self.graph.add_input(name, ty));
        Ok(())
    }

    /// The value of a tensor that is made already, or is constant.
    fn value(&mut self, tensor: usize) -> Result<ValueId, Illegal> {
        if let Some(value) = self.values[tensor] {
            return Ok(value);
        }
        let entry = &self.main.tensors[tensor];
        let constant = self.file.constant(entry)?.filter(|_| !entry.variable);
        // An empty constant has no bytes to tell it by.
        let empty = || entry.ty().ok().filter(|ty| ty.count() == Ok(0));
        let constant =
            constant.or_else(|| Some(ir::Tensor::zeros(empty()?.dtype, &empty()?.sizes().ok()?).into()));
        let constant =
            constant.ok_or_else(|| Illegal(format!("tensor '{}' is read before it is made", entry.name)))?;
        let value = self.graph.add_constant(&entry.name, constant);
        self.values[tensor] = Some(value);
        Ok(value)
    }

    fn operator(&mut self, index: usize, operator: &Operator) {
        let origin = self.origin(index, operator);
        let Err(why) = self.read(operator, origin) else { return };
        operator.outputs.iter().for_each(|&t| self.lost[t] = true);
        let entry = self.found.entry(why.0.clone());
        let diagnostic = entry.or_insert_with(|| Diagnostic::new(UNREAD_BUILTIN, why.0));
        if diagnostic.places.len() < PLACES {
            *diagnostic = diagnostic.clone().at(&self.graph.origins, origin);
        }
    }

    /// Reads one operator into nodes: itself, and where its page does not hold the activation fused into it, that.
    fn read(&mut self, operator: &Operator, origin: OriginId) -> Result<(), Illegal> {
        let whole = self.recognize(operator, &operator.options);
        let (Imported { op, inputs }, activation) = match (whole, unfused(operator)?) {
            (Ok(imported), _) => (imported, None),
            (Err(_), Some((options, activation))) => (self.recognize(operator, &options)?, Some(activation)),
            (Err(why), None) => return Err(why),
        };
        // What follows an operator that was not read has no type of its own; why is told already.
        if operator.inputs.iter().flatten().any(|&t| self.lost[t]) {
            operator.outputs.iter().for_each(|&t| self.lost[t] = true);
            return Ok(());
        }
        let name = operator.outputs.first().map_or("", |&t| &self.main.tensors[t].name);
        let mut values = self.add(op, inputs, operator, name, origin)?;
        if let Some(builtin) = activation {
            let ty = self.graph.ty(values[0]).clone();
            let inputs = vec![Some(NodeInput { ty: ty.clone(), constant: None })];
            let options = Options::of(builtin);
            let node = Node { operator: builtin, version: 1, options: &options, inputs, outputs: vec![ty] };
            let Imported { op, inputs } = of_catalog(&node)?;
            let inputs = self.operands(inputs, &[Ok(values[0])])?;
            values = self.graph.add_node(op, &inputs, name, origin)?;
        }
        for (i, (&tensor, value)) in operator.outputs.iter().zip(values).enumerate() {
            let ty = self.main.tensors[tensor].ty()?;
            if *self.graph.ty(value) != ty {
                let found = self.graph.ty(value);
                return Err(Illegal(format!(
                    "result {i} of {} is {ty}, where {found} follows",
                    operator.name()
                )));
            }
            if self.values[tensor].replace(value).is_some() {
                return Err(Illegal(format!("tensor '{}' is made twice", self.main.tensors[tensor].name)));
            }
        }
        Ok(())
    }

    /// The operator of ours that a builtin with these options is, all that they say included.
    fn recognize(&self, operator: &Operator, options: &Options) -> Result<Imported<Op>, Illegal> {
        let defaults = Options::of(operator.operator);
        // A table without fields says nothing, RESHAPE's only repeats its operand, and writers leave both out.
        let dispensable =
            defaults.table().is_none_or(|t| t.columns.is_empty()) || operator.operator == Builtin::RESHAPE;
        let left_out = *options == Options::none() && dispensable;
        let node = self.node(operator, if left_out { &defaults } else { options })?;
        let imported = of_catalog(&node)?;
        says_the_same(&imported, &node)?;
        Ok(imported)
    }

    /// An operator with the types of its operands and results, as the file says them.
    fn node<'o>(&self, operator: &Operator, options: &'o Options) -> Result<Node<'o>, Illegal> {
        let name = operator.name();
        if operator.custom.is_some() || operator.operator.name().is_none() {
            return Err(Illegal(format!("{name} is no builtin that is known")));
        }
        if !options.fit(operator.operator) {
            return Err(Illegal(format!("{name} has the options of another operator, or none")));
        }
        let read_input = |tensor: usize| -> Result<NodeInput, Illegal> {
            let entry = &self.main.tensors[tensor];
            if entry.variable {
                return Err(Illegal(format!("{name} reads a variable")));
            }
            Ok(NodeInput { ty: entry.ty()?, constant: self.file.constant(entry)? })
        };
        let inputs =
            operator.inputs.iter().map(|t| t.map(read_input).transpose()).collect::<Result<Vec<_>, _>>()?;
        let outputs =
            operator.outputs.iter().map(|&t| self.main.tensors[t].ty()).collect::<Result<Vec<_>, _>>()?;
        // What is read of quantized operators are conversions, and constant weights beside an f32 operand.
        let converts = matches!(operator.operator, Builtin::QUANTIZE | Builtin::DEQUANTIZE);
        let weight = |input: &NodeInput| {
            input.constant.is_some() && outputs.iter().all(|ty| ty.dtype == DType::F32 && ty.quant.is_none())
        };
        let quantized = inputs.iter().flatten().filter(|i| i.ty.quant.is_some() && !weight(i)).map(|i| &i.ty);
        let mut quantized = quantized.chain(outputs.iter().filter(|ty| ty.quant.is_some()));
        if let Some(ty) = quantized.next().filter(|_| !converts) {
            return Err(Illegal(format!("{name} computes on quantized {ty}")));
        }
        Ok(Node { operator: operator.operator, version: operator.version, options, inputs, outputs })
    }

    fn add(
        &mut self,
        op: Op,
        inputs: Vec<Operand>,
        operator: &Operator,
        name: &str,
        origin: OriginId,
    ) -> Result<Vec<ValueId>, Illegal> {
        // Only what the operator reads becomes a value: its axes and shapes are attributes by now.
        let mut given = Vec::with_capacity(operator.inputs.len());
        for (i, tensor) in operator.inputs.iter().enumerate() {
            let read = inputs.contains(&Operand::Input(i));
            let missing = || Illegal(format!("{} lacks operand {i}", operator.name()));
            given.push(if read {
                tensor.ok_or_else(missing).and_then(|t| self.value(t))
            } else {
                Err(missing())
            });
        }
        let inputs = self.operands(inputs, &given)?;
        Ok(self.graph.add_node(op, &inputs, name, origin)?)
    }

    fn operands(
        &mut self,
        operands: Vec<Operand>,
        given: &[Result<ValueId, Illegal>],
    ) -> Result<Vec<ValueId>, Illegal> {
        let mut values = Vec::with_capacity(operands.len());
        for operand in operands {
            values.push(match operand {
                Operand::Input(i) => given
                    .get(i)
                    .cloned()
                    .unwrap_or_else(|| Err(Illegal(format!("operand {i} is missing"))))?,
                Operand::Constant(tensor) => self.graph.add_constant("constant", tensor),
                Operand::Absent => return Err(Illegal::new("an operand is read as absent")),
            });
        }
        Ok(values)
    }

    /// Where an operator came from: what our own metadata says, or the operator itself.
    fn origin(&mut self, index: usize, operator: &Operator) -> OriginId {
        let spots = self.provenance.operators.get(index).filter(|spots| !spots.is_empty());
        let Some(spots) = spots else {
            let node = operator.outputs.first().map_or("", |&t| &self.main.tensors[t].name);
            let leaf =
                Leaf { target: format!("tfl.{}", operator.name()), node: node.into(), ..Leaf::default() };
            return self.graph.origins.intern(Origin::Leaf(leaf));
        };
        let origins = &mut self.graph.origins;
        let leaves: Vec<OriginId> =
            spots.iter().map(|spot| origins.intern(Origin::Leaf(leaf(spot)))).collect();
        match leaves[..] {
            [only] => only,
            _ => origins.derive("write", &leaves),
        }
    }
}

fn leaf(spot: &Spot) -> Leaf {
    let frame = Frame {
        file: spot.file.to_string(),
        line: spot.line,
        function: spot.function.to_string(),
        code: spot.code.to_string(),
    };
    let known = spot.line > 0;
    Leaf {
        frames: if known { vec![frame] } else { Vec::new() },
        user: known.then_some(0),
        module: spot.module.to_string(),
        class: spot.class.to_string(),
        target: spot.target.to_string(),
        node: spot.node.to_string(),
    }
}

/// The options without the fused activation, and the builtin that is this activation alone.
fn unfused(operator: &Operator) -> Result<Option<(Options, Builtin)>, Illegal> {
    let mut options = operator.options.clone();
    let (Some(column), Some(fused)) = (options.named(ACTIVATION), options.value(ACTIVATION).cloned()) else {
        return Ok(None);
    };
    let builtin = match fused {
        Value::Int(n) if n == i64::from(Activation::RELU.0) => Builtin::RELU,
        Value::Int(n) if n == i64::from(Activation::RELU_N1_TO_1.0) => Builtin::RELU_N1_TO_1,
        Value::Int(n) if n == i64::from(Activation::RELU6.0) => Builtin::RELU6,
        Value::Int(n) if n == i64::from(Activation::TANH.0) => Builtin::TANH,
        _ => return Err(Illegal(format!("{} fuses an activation that is not read", operator.name()))),
    };
    options.put(column, Value::Int(Activation::NONE.0.into()));
    Ok(Some((options, builtin)))
}

/// The operator of ours that a builtin is.
fn of_catalog(node: &Node<'_>) -> Result<Imported<Op>, Illegal> {
    let mut why = Illegal(format!("{} is not read into a graph", node.operator));
    for entry in CATALOG.iter().filter(|entry| entry.tfl.contains(&node.operator)) {
        match (entry.from_tfl)(node) {
            Ok(imported) => return Ok(imported),
            Err(illegal) => why = Illegal(format!("{} is not read into a graph: {illegal}", node.operator)),
        }
    }
    Err(why)
}

/// The field by which many builtins fuse an activation.
const ACTIVATION: &str = "fused_activation_function";

/// Options that change no number, or that our spelling may say in another way.
const FREE: &[&str] = &["padding", "pot_scale_int16", "asymmetric_quantize_inputs", "quantized_bias_type"];

/// Does spelling the operator again give back what the file says? Counts and axes may be normalised; a flag, a mode
/// or a real number that differs was overlooked by the operator's page, and would be a silent change.
fn says_the_same(imported: &Imported<Op>, node: &Node<'_>) -> Result<(), Illegal> {
    let ty = |operand: &Operand| match operand {
        Operand::Input(i) => node.optional_input(*i).cloned(),
        Operand::Constant(tensor) => Some(tensor.ty()),
        Operand::Absent => None,
    };
    let mut call = None;
    if let Some(types) = imported.inputs.iter().map(ty).collect::<Option<Vec<TensorType>>>() {
        let types: Vec<&TensorType> = types.iter().collect();
        imported.op.infer(&types)?; // an operator is only spelled for types that fit it
        call = imported.op.to_tfl(&types).ok().filter(|call| call.operator == node.operator);
    }
    for column in node.options.table().map_or(&[][..], |table| table.columns) {
        let exact = column.label.is_some() || matches!(column.kind, Kind::Scalar(Scalar::Bool | Scalar::F32));
        // An operator that is spelled in another way cannot be compared; its activation must not go unnoticed.
        let again = call.as_ref().map(|call| call.options.value(column.name));
        let differs = match again {
            Some(again) => exact && again != node.options.value(column.name),
            None => column.name == ACTIVATION && node.options.value(ACTIVATION).is_some(),
        };
        if differs && !FREE.contains(&column.name) {
            return Err(Illegal(format!("{} of {} is not read into a graph", column.name, node.operator)));
        }
    }
    Ok(())
}
