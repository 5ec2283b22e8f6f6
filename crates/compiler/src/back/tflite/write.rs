//! A described model as the bytes of a .tflite.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use files::Unfinished;
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use indexmap::IndexSet;
use schema::{Datum, Default as Absence, Field, Kind, Reference, Scalar, Table, Value};

use super::buffers::{self, Form};
use crate::dialect::tfl::{
    self, Builtin, Details, Illegal, Model, Operator, Options, Quantization, Signature, Subgraph,
    TensorEntry, blockwise_quantization, buffer, metadata, model, operator, operator_code,
    quantization_parameters, signature_def, sub_graph, tensor, tensor_map,
};

/// Why a file is not written.
#[derive(Debug)]
pub enum WriteError {
    /// The description is not one of a file.
    Illegal(Illegal),
    /// The bytes could not be read or written.
    Io(io::Error),
}

impl WriteError {
    pub(super) fn illegal(message: impl Into<String>) -> Self {
        WriteError::Illegal(Illegal(message.into()))
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Illegal(why) => why.fmt(f),
            WriteError::Io(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for WriteError {}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        WriteError::Io(error)
    }
}

impl From<Illegal> for WriteError {
    fn from(illegal: Illegal) -> Self {
        WriteError::Illegal(illegal)
    }
}

/// Writes `model` to `path`, which appears whole or not at all: the bytes go to a temporary file beside it, which is
/// renamed when complete. `source(index, out)` writes the bytes of buffer `index`, exactly as many as the model says;
/// it is asked once for each buffer that has any. A file of more than `inline_limit` bytes has its large buffers
/// outside the FlatBuffer ([`super::INLINE_LIMIT`] unless a test asks otherwise). Returns the file's length in bytes.
pub fn write_file<E: From<WriteError>>(
    path: &Path,
    model: &Model,
    inline_limit: u64,
    source: impl FnMut(usize, &mut dyn Write) -> Result<(), E>,
) -> Result<u64, E> {
    let file = Unfinished::beside(path).map_err(WriteError::from)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let length = write(&mut out, model, inline_limit, source)?;
    let file = out.into_inner().map_err(|e| WriteError::Io(e.into_error()))?;
    file.finish(path).map_err(WriteError::from)?;
    Ok(length)
}

/// Writes `model` to `out`; see [`write_file`].
pub fn write<E: From<WriteError>>(
    out: &mut dyn Write,
    model: &Model,
    inline_limit: u64,
    source: impl FnMut(usize, &mut dyn Write) -> Result<(), E>,
) -> Result<u64, E> {
    model.check().map_err(WriteError::from)?;
    let forms = buffers::forms(&model.buffers, inline_limit);
    let (mut head, tables) = Tables::build(model, &forms).map_err(WriteError::from)?;
    let places = buffers::place(&mut head, &tables, &model.buffers, &forms)?;
    out.write_all(&head).map_err(WriteError::from)?;
    let length = buffers::stream(out, head.len() as u64, &places, source)?;
    out.flush().map_err(WriteError::from)?;
    Ok(length)
}

/// A table or vector that is built already.
type Built = WIPOffset<UnionWIPOffset>;

/// One field of a table that is about to be built.
enum Cell {
    Number(u16, Scalar, i64),
    Real(u16, f32),
    Reference(u16, Built),
}

/// Builds tables from the innermost out, as the format wants it.
struct Tables<'b> {
    builder: FlatBufferBuilder<'b>,
    /// What tells operator codes apart: builtin, version, custom name.
    codes: IndexSet<(Builtin, u32, String)>,
}

impl Tables<'_> {
    /// The FlatBuffer, and where in it each buffer's table begins.
    fn build(model: &Model, forms: &[Form]) -> Result<(Vec<u8>, Vec<usize>), Illegal> {
        let mut tables = Tables { builder: FlatBufferBuilder::new(), codes: IndexSet::new() };
        let (root, buffers) = tables.model(model, forms)?;
        tables.builder.finish(root, Some("TFL3"));
        let head = tables.builder.finished_data().to_vec();
        let starts = buffers.iter().map(|b| head.len() - b.value() as usize).collect();
        Ok((head, starts))
    }

    fn model(&mut self, model: &Model, forms: &[Form]) -> Result<(Built, Vec<Built>), Illegal> {
        let subgraphs = model.subgraphs.iter().map(|g| self.subgraph(g)).collect::<Result<Vec<_>, _>>()?;
        let codes: Vec<Built> = self.codes.clone().iter().map(|code| self.operator_code(code)).collect();
        let buffers: Vec<Built> = forms.iter().map(|form| self.buffer(*form)).collect();
        let named: Vec<Built> = model.metadata.iter().map(|m| self.metadata(&m.name, m.buffer)).collect();
        let signatures: Vec<Built> = model.signatures.iter().map(|s| self.signature(s)).collect();
        let cells = [
            self.cell(model::VERSION, 3),
            self.refer(model::OPERATOR_CODES, &codes),
            self.refer(model::SUBGRAPHS, &subgraphs),
            self.cell(model::DESCRIPTION, model.description.clone()),
            self.refer(model::BUFFERS, &buffers),
            self.refer(model::METADATA, &named),
            self.refer(model::SIGNATURE_DEFS, &signatures),
        ];
        Ok((self.table(cells), buffers))
    }

    fn subgraph(&mut self, graph: &Subgraph) -> Result<Built, Illegal> {
        let tensors = graph.tensors.iter().map(|t| self.tensor(t)).collect::<Result<Vec<_>, _>>()?;
        let operators = graph.operators.iter().map(|o| self.operator(o)).collect::<Result<Vec<_>, _>>()?;
        let cells = [
            self.refer(sub_graph::TENSORS, &tensors),
            self.cell(sub_graph::INPUTS, indices(&graph.inputs)?),
            self.cell(sub_graph::OUTPUTS, indices(&graph.outputs)?),
            self.refer(sub_graph::OPERATORS, &operators),
            self.cell(sub_graph::NAME, graph.name.clone()),
        ];
        Ok(self.table(cells))
    }

    fn tensor(&mut self, tensor: &TensorEntry) -> Result<Built, Illegal> {
        if let [first, ..] = &tensor.lost[..] {
            return Err(Illegal(format!("tensor '{}' has {first}, which is not written", tensor.name)));
        }
        let quantization = tensor.quantization.as_ref().map(|q| self.quantization(q)).transpose()?;
        let cells = [
            self.cell(tensor::SHAPE, tensor.shape.clone().unwrap_or_default()),
            self.cell(tensor::TYPE, tensor.element),
            self.cell(tensor::BUFFER, index(tensor.buffer)?),
            self.cell(tensor::NAME, tensor.name.clone()),
            quantization.map(|q| Cell::Reference(tensor::QUANTIZATION.slot(), q)),
            self.cell(tensor::IS_VARIABLE, tensor.variable),
            self.filled(tensor::SHAPE_SIGNATURE, tensor.signature.clone()),
            self.cell(tensor::HAS_RANK, tensor.shape.is_some()),
        ];
        Ok(self.table(cells))
    }

    fn quantization(&mut self, quantization: &Quantization) -> Result<Built, Illegal> {
        use quantization_parameters as q;
        let details = match &quantization.details {
            None => None,
            Some(Details::Unknown(tag)) => {
                return Err(Illegal(format!("quantization of kind {tag} is not written")));
            }
            Some(Details::Blocks { scales, zero_points, block }) => {
                let cells = [
                    self.cell(blockwise_quantization::SCALES, *scales),
                    self.cell(blockwise_quantization::ZERO_POINTS, *zero_points),
                    self.cell(blockwise_quantization::BLOCK_SIZE, *block),
                ];
                Some((tag(tfl::QUANTIZATION_DETAILS, &blockwise_quantization::TABLE), self.table(cells)))
            }
        };
        let cells = [
            self.filled(q::MIN, quantization.min.clone()),
            self.filled(q::MAX, quantization.max.clone()),
            self.filled(q::SCALE, quantization.scale.clone()),
            self.filled(q::ZERO_POINT, quantization.zero_point.clone()),
            details.and_then(|(tag, _)| self.cell(q::DETAILS_TYPE, tag)),
            details.map(|(_, table)| Cell::Reference(q::DETAILS.slot(), table)),
            self.cell(q::QUANTIZED_DIMENSION, quantization.axis),
        ];
        Ok(self.table(cells))
    }

    fn operator(&mut self, op: &Operator) -> Result<Built, Illegal> {
        let custom = op.custom.as_ref();
        let code = (op.operator, op.version, custom.map_or_else(String::new, |c| c.name.clone()));
        let code = self.codes.insert_full(code).0;
        let inputs =
            op.inputs.iter().map(|i| i.map_or(Ok(-1), tfl::int32)).collect::<Result<Vec<i32>, _>>()?;
        let options = self.options(&op.options)?;
        let of_union = |union| options.filter(|(u, ..)| *u == union);
        let cells = [
            self.cell(operator::OPCODE_INDEX, index(code)?),
            self.cell(operator::INPUTS, inputs),
            self.cell(operator::OUTPUTS, indices(&op.outputs)?),
            of_union(1).and_then(|(_, tag, _)| self.cell(operator::BUILTIN_OPTIONS_TYPE, tag)),
            of_union(1).map(|(.., table)| Cell::Reference(operator::BUILTIN_OPTIONS.slot(), table)),
            of_union(2).and_then(|(_, tag, _)| self.cell(operator::BUILTIN_OPTIONS2_TYPE, tag)),
            of_union(2).map(|(.., table)| Cell::Reference(operator::BUILTIN_OPTIONS2.slot(), table)),
            custom.and_then(|c| self.filled(operator::CUSTOM_OPTIONS, c.options.clone())),
            self.filled(operator::MUTATING_VARIABLE_INPUTS, op.mutates.clone()),
            self.filled(operator::INTERMEDIATES, indices(&op.intermediates)?),
        ];
        Ok(self.table(cells))
    }

    /// The union, tag and table of an operator's options.
    fn options(&mut self, options: &Options) -> Result<Option<(u8, u8, Built)>, Illegal> {
        if let Some((_, tag)) = options.unknown_tag() {
            return Err(Illegal(format!("options of unknown kind {tag} are not written")));
        }
        let Some((union, tag)) = options.tag() else { return Ok(None) };
        let cells: Vec<Option<Cell>> =
            options.values().map(|(column, value)| self.value(column.id, column.kind, value)).collect();
        Ok(Some((union, tag, self.table(cells))))
    }

    fn operator_code(&mut self, (builtin, version, custom): &(Builtin, u32, String)) -> Built {
        // Codes above 127 do not fit the field that old readers look at; it then holds a marker.
        let old = builtin.0.min(Builtin::PLACEHOLDER_FOR_GREATER_OP_CODES.0) as i8;
        let cells = [
            self.cell(operator_code::DEPRECATED_BUILTIN_CODE, old),
            if custom.is_empty() { None } else { self.cell(operator_code::CUSTOM_CODE, custom.clone()) },
            self.cell(operator_code::VERSION, *version as i32),
            self.cell(operator_code::BUILTIN_CODE, *builtin),
        ];
        self.table(cells)
    }

    fn buffer(&mut self, form: Form) -> Built {
        let start = self.builder.start_table();
        match form {
            Form::Empty => {}
            Form::Inline => self.builder.push_slot_always(buffer::DATA.slot(), 0u32),
            Form::External => {
                self.builder.push_slot_always(buffer::OFFSET.slot(), 0u64);
                self.builder.push_slot_always(buffer::SIZE.slot(), 0u64);
            }
        }
        WIPOffset::new(self.builder.end_table(start).value())
    }

    fn metadata(&mut self, name: &str, buffer: usize) -> Built {
        let cells = [self.cell(metadata::NAME, name.to_string()), self.cell(metadata::BUFFER, buffer as u32)];
        self.table(cells)
    }

    fn signature(&mut self, signature: &Signature) -> Built {
        let mut map = |names: &[(String, usize)]| -> Vec<Built> {
            let entry = |(name, tensor): &(String, usize)| {
                let cells = [
                    self.cell(tensor_map::NAME, name.clone()),
                    self.cell(tensor_map::TENSOR_INDEX, *tensor as u32),
                ];
                self.table(cells)
            };
            names.iter().map(entry).collect()
        };
        let (inputs, outputs) = (map(&signature.inputs), map(&signature.outputs));
        let cells = [
            self.refer(signature_def::INPUTS, &inputs),
            self.refer(signature_def::OUTPUTS, &outputs),
            self.cell(signature_def::SIGNATURE_KEY, signature.key.clone()),
            self.cell(signature_def::SUBGRAPH_INDEX, signature.subgraph as u32),
        ];
        self.table(cells)
    }

    /// A field's value; nothing where it is the default.
    fn cell<T: Datum>(&mut self, field: Field<T>, value: T) -> Option<Cell> {
        let (value, column) =
            (value.into_value(), field.table.column(field.id).expect("a field is in its table"));
        let absent = match (column.default, &value) {
            (Absence::Bool(d), Value::Bool(v)) => d == *v,
            (Absence::Int(d), Value::Int(v)) => d == *v,
            _ => false,
        };
        if absent { None } else { self.value(field.id, column.kind, &value) }
    }

    /// A vector, unless it is empty.
    fn filled<T>(&mut self, field: Field<Vec<T>>, values: Vec<T>) -> Option<Cell>
    where
        Vec<T>: Datum,
    {
        if values.is_empty() { None } else { self.cell(field, values) }
    }

    /// A vector of tables.
    fn refer(&mut self, field: Field<Reference>, tables: &[Built]) -> Option<Cell> {
        let vector = self.builder.create_vector(tables);
        Some(Cell::Reference(field.slot(), WIPOffset::new(vector.value())))
    }

    fn value(&mut self, id: u16, kind: Kind, value: &Value) -> Option<Cell> {
        let slot = 4 + 2 * id;
        let scalar = match kind {
            Kind::Scalar(scalar) | Kind::Vector(scalar) => scalar,
            _ => Scalar::U8,
        };
        Some(match value {
            Value::Bool(v) => Cell::Number(slot, scalar, i64::from(*v)),
            Value::Int(v) => Cell::Number(slot, scalar, *v),
            Value::Float(v) => Cell::Real(slot, *v),
            Value::Text(v) => Cell::Reference(slot, WIPOffset::new(self.builder.create_string(v).value())),
            Value::Ints(v) => Cell::Reference(slot, self.ints(scalar, v)),
            Value::Floats(v) => Cell::Reference(slot, WIPOffset::new(self.builder.create_vector(v).value())),
            Value::Bools(v) => Cell::Reference(slot, WIPOffset::new(self.builder.create_vector(v).value())),
        })
    }

    fn ints(&mut self, scalar: Scalar, values: &[i64]) -> Built {
        macro_rules! vector {
            ($t:ty) => {{
                let values: Vec<$t> = values.iter().map(|&v| v as $t).collect();
                WIPOffset::new(self.builder.create_vector(&values).value())
            }};
        }
        match scalar.width() {
            1 => vector!(i8),
            2 => vector!(i16),
            4 => vector!(i32),
            _ => vector!(i64),
        }
    }

    fn table(&mut self, cells: impl IntoIterator<Item = Option<Cell>>) -> Built {
        let start = self.builder.start_table();
        for cell in cells.into_iter().flatten() {
            match cell {
                Cell::Real(slot, v) => self.builder.push_slot_always(slot, v),
                Cell::Reference(slot, v) => self.builder.push_slot_always(slot, v),
                Cell::Number(slot, scalar, v) => match scalar.width() {
                    1 => self.builder.push_slot_always(slot, v as i8),
                    2 => self.builder.push_slot_always(slot, v as i16),
                    4 => self.builder.push_slot_always(slot, v as i32),
                    _ => self.builder.push_slot_always(slot, v),
                },
            }
        }
        WIPOffset::new(self.builder.end_table(start).value())
    }
}

/// The tag of a union's member.
fn tag(union: &[(u8, &'static Table)], member: &'static Table) -> u8 {
    union.iter().find(|(_, t)| *t == member).map(|(tag, _)| *tag).expect("the member is one of the union")
}

fn index(index: usize) -> Result<u32, Illegal> {
    u32::try_from(index)
        .map_err(|_| Illegal::new("there are more tensors or buffers than the format can count"))
}

fn indices(indices: &[usize]) -> Result<Vec<i32>, Illegal> {
    indices.iter().map(|&i| tfl::int32(i)).collect()
}
