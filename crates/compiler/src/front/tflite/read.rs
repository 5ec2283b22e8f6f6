//! Any .tflite as plain data: what it says, and where in it the bytes of each buffer lie.

use std::io::{self, Write};
use std::sync::Arc;

use ir::{Constant, FileRange, Storage, Tensor, TensorType};
use schema::{Field, Reference};

use super::bytes::{Bytes, Malformed, Table};
use crate::dialect::tfl::{
    self, Buffer, Builtin, Custom, Details, Illegal, Metadata, Model, Operator, Options, Quantization,
    Signature, Subgraph, TensorEntry, blockwise_quantization, buffer, metadata, model, operator,
    operator_code, quantization_parameters, signature_def, sub_graph, tensor, tensor_map,
};

/// A .tflite that has been read. Its weights stay in the file.
pub struct File {
    /// What it says. Every index in it is one of something.
    pub model: Model,
    storage: Arc<dyn Storage>,
    /// Where each buffer's bytes begin.
    starts: Vec<u64>,
}

/// The only version of the format there has been.
const VERSION: u32 = 3;

/// The largest metadata buffer that is held in memory, in bytes.
const METADATA: u64 = 256 << 20;

impl File {
    /// Reads the `bytes` bytes of `storage`. Errs for anything that is not a whole .tflite; never panics, and uses
    /// memory and time in proportion to the tables.
    pub fn read(storage: Arc<dyn Storage>, bytes: u64) -> Result<File, Malformed> {
        let bytes = Bytes::new(storage.clone(), bytes);
        if bytes.len() < 8 || &bytes.array::<4>(4)? != b"TFL3" {
            return Err(Malformed::new("it does not begin as a .tflite does"));
        }
        let root = bytes.root()?;
        let version = root.get(model::VERSION)?;
        if version != VERSION {
            return Err(Malformed(format!("it is of version {version} of the format, not {VERSION}")));
        }
        let codes = each(&root, model::OPERATOR_CODES, |t| code(&t))?;
        let places = each(&root, model::BUFFERS, |t| place(&t, bytes.len()))?;
        let mut model = Model {
            description: root.get(model::DESCRIPTION)?,
            subgraphs: each(&root, model::SUBGRAPHS, |t| subgraph(&t, &codes))?,
            buffers: places.iter().map(|(_, bytes)| Buffer { bytes: *bytes }).collect(),
            metadata: each(&root, model::METADATA, |t| {
                Ok(Metadata { name: t.get(metadata::NAME)?, buffer: t.get(metadata::BUFFER)? as usize })
            })?,
            signatures: each(&root, model::SIGNATURE_DEFS, |t| signature(&t))?,
        };
        model.check().map_err(|why| Malformed(why.0))?;
        rank_scalars(&mut model);
        Ok(File { model, storage, starts: places.into_iter().map(|(start, _)| start).collect() })
    }

    /// Copies a buffer's bytes to `out`, a piece at a time.
    pub fn copy(&self, buffer: usize, out: &mut dyn Write) -> io::Result<()> {
        let (mut at, mut left) = (self.starts[buffer], self.model.buffers[buffer].bytes);
        let mut piece = vec![0; left.min(1 << 20) as usize];
        while left > 0 {
            let now = left.min(piece.len() as u64) as usize;
            self.storage.read_at(at, &mut piece[..now])?;
            out.write_all(&piece[..now])?;
            (at, left) = (at + now as u64, left - now as u64);
        }
        Ok(())
    }

    /// The bytes of the metadata buffer of this name.
    pub fn metadata(&self, name: &str) -> Option<io::Result<Vec<u8>>> {
        let named = self.model.metadata.iter().find(|m| m.name == name)?;
        let mut bytes = Vec::new();
        if self.model.buffers[named.buffer].bytes > METADATA {
            return Some(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("metadata '{name}' is too large"),
            )));
        }
        Some(self.copy(named.buffer, &mut bytes).map(|()| bytes))
    }

    /// A tensor's data, where the file holds it. Errs where its length is not that of its type.
    pub fn constant(&self, tensor: &TensorEntry) -> Result<Option<Constant>, Illegal> {
        let bytes = self.model.buffers.get(tensor.buffer).map_or(0, |b| b.bytes);
        if bytes == 0 {
            return Ok(None);
        }
        let TensorType { dtype, quant, .. } = tensor.ty()?;
        let sizes = tensor.ty()?.sizes()?;
        let count = sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let bits = count.and_then(|n| n.checked_mul(dtype.bits()));
        if bits.map(|b| b.div_ceil(8) as u64) != Some(bytes) {
            let (name, ty) = (&tensor.name, tensor.ty()?);
            return Err(Illegal(format!("tensor '{name}' is {ty}, but its data has {bytes} bytes")));
        }
        if dtype.bits() % 8 != 0 {
            let packed = self.packed(tensor, dtype, &sizes)?;
            return Ok(packed.map(|data| quant.into_iter().fold(data, Constant::quantized)));
        }
        let mut strides = vec![1; sizes.len()];
        for axis in (1..sizes.len()).rev() {
            strides[axis - 1] = strides[axis] * sizes[axis];
        }
        let base = self.starts[tensor.buffer];
        let fingerprint = format!("buffer {} at {base}, {bytes} bytes", tensor.buffer);
        let storage = self.storage.clone();
        let quant = quant.map(Arc::new);
        let range = FileRange { storage, base, dtype, sizes, strides, quant, fingerprint, checksum: None };
        Ok(Some(Constant::Range(Arc::new(range))))
    }

    /// Elements smaller than a byte, which no range of a file can be cut into: held in memory.
    fn packed(
        &self,
        tensor: &TensorEntry,
        dtype: ir::DType,
        sizes: &[usize],
    ) -> Result<Option<Constant>, Illegal> {
        let mut bytes = Vec::new();
        let unreadable = |e| Illegal(format!("the data of tensor '{}' cannot be read: {e}", tensor.name));
        self.copy(tensor.buffer, &mut bytes).map_err(unreadable)?;
        Ok(Tensor::from_bytes(dtype, sizes, &bytes).map(Constant::from))
    }
}

/// Reads every table of a vector.
fn each<T>(
    table: &Table<'_>,
    field: Field<Reference>,
    read: impl Fn(Table<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    table.tables(field)?.map(|t| read(t?)).collect()
}

/// An operator code: builtin, version, custom name.
type Code = (Builtin, u32, String);

fn code(table: &Table<'_>) -> Result<Code, Malformed> {
    // The one-byte field is what old writers fill; newer ones put a marker there for codes it cannot hold.
    let old = i32::from(table.get(operator_code::DEPRECATED_BUILTIN_CODE)?);
    let builtin = Builtin(table.get(operator_code::BUILTIN_CODE)?.0.max(old));
    let version = u32::try_from(table.get(operator_code::VERSION)?);
    let version = version.map_err(|_| Malformed(format!("{builtin} has a negative version")))?;
    Ok((builtin, version, table.get(operator_code::CUSTOM_CODE)?))
}

/// Where a buffer's bytes begin and how many there are.
fn place(table: &Table<'_>, end: u64) -> Result<(u64, u64), Malformed> {
    let (offset, size) = (table.u64(buffer::OFFSET)?, table.u64(buffer::SIZE)?);
    // Offsets 0 and 1 say that the data is in the vector (interpreter_builder.cc).
    if offset <= 1 {
        return Ok(table.vector(buffer::DATA.id, 1)?.unwrap_or((0, 0)));
    }
    match offset.checked_add(size) {
        Some(last) if last <= end => Ok((offset, size)),
        _ => Err(Malformed(format!("a buffer of {size} bytes at {offset} is beyond its end at {end}"))),
    }
}

fn signature(table: &Table<'_>) -> Result<Signature, Malformed> {
    let names = |field| {
        each(table, field, |t| Ok((t.get(tensor_map::NAME)?, t.get(tensor_map::TENSOR_INDEX)? as usize)))
    };
    Ok(Signature {
        key: table.get(signature_def::SIGNATURE_KEY)?,
        subgraph: table.get(signature_def::SUBGRAPH_INDEX)? as usize,
        inputs: names(signature_def::INPUTS)?,
        outputs: names(signature_def::OUTPUTS)?,
    })
}

fn subgraph(table: &Table<'_>, codes: &[Code]) -> Result<Subgraph, Malformed> {
    Ok(Subgraph {
        name: table.get(sub_graph::NAME)?,
        tensors: each(table, sub_graph::TENSORS, |t| tensor_entry(&t))?,
        operators: each(table, sub_graph::OPERATORS, |t| operator_entry(&t, codes))?,
        inputs: indices(table.get(sub_graph::INPUTS)?)?,
        outputs: indices(table.get(sub_graph::OUTPUTS)?)?,
    })
}

fn indices(indices: Vec<i32>) -> Result<Vec<usize>, Malformed> {
    indices.into_iter().map(index).collect()
}

fn index(index: i32) -> Result<usize, Malformed> {
    usize::try_from(index).map_err(|_| Malformed(format!("tensor {index} is referred to")))
}

fn tensor_entry(table: &Table<'_>) -> Result<TensorEntry, Malformed> {
    let mut lost = Vec::new();
    if table.has(tensor::SPARSITY)? {
        lost.push("sparse data".to_string());
    }
    if table.has(tensor::VARIANT_TENSORS)? {
        lost.push("subtypes of a variant".to_string());
    }
    if table.get(tensor::EXTERNAL_BUFFER)? != 0 {
        lost.push("data in another file".to_string());
    }
    let shape = table.get(tensor::SHAPE)?;
    let ranked = table.get(tensor::HAS_RANK)? || !shape.is_empty();
    Ok(TensorEntry {
        name: table.get(tensor::NAME)?,
        element: table.get(tensor::TYPE)?,
        shape: ranked.then_some(shape),
        signature: table.get(tensor::SHAPE_SIGNATURE)?,
        buffer: table.get(tensor::BUFFER)? as usize,
        quantization: table.table(tensor::QUANTIZATION)?.map(|t| quantization(&t)).transpose()?,
        variable: table.get(tensor::IS_VARIABLE)?,
        lost,
    })
}

fn quantization(table: &Table<'_>) -> Result<Quantization, Malformed> {
    use quantization_parameters as q;
    Ok(Quantization {
        min: table.get(q::MIN)?,
        max: table.get(q::MAX)?,
        scale: table.get(q::SCALE)?,
        zero_point: table.get(q::ZERO_POINT)?,
        axis: table.get(q::QUANTIZED_DIMENSION)?,
        details: details(table)?,
    })
}

fn details(table: &Table<'_>) -> Result<Option<Details>, Malformed> {
    let tag = table.get(quantization_parameters::DETAILS_TYPE)?;
    let Some((_, kind)) = tfl::QUANTIZATION_DETAILS.iter().find(|(t, _)| *t == tag) else {
        return Ok((tag != 0).then_some(Details::Unknown(tag)));
    };
    let details = table.table(quantization_parameters::DETAILS)?;
    let details = details.ok_or_else(|| Malformed(format!("{} is announced and absent", kind.name)))?;
    if *kind != &blockwise_quantization::TABLE || details.has(blockwise_quantization::BLOCK_SHAPE)? {
        return Ok(Some(Details::Unknown(tag)));
    }
    Ok(Some(Details::Blocks {
        scales: details.get(blockwise_quantization::SCALES)?,
        zero_points: details.get(blockwise_quantization::ZERO_POINTS)?,
        block: details.get(blockwise_quantization::BLOCK_SIZE)?,
    }))
}

fn operator_entry(table: &Table<'_>, codes: &[Code]) -> Result<Operator, Malformed> {
    let at = table.get(operator::OPCODE_INDEX)? as usize;
    let code = codes.get(at).ok_or_else(|| Malformed(format!("operator code {at} of {}", codes.len())))?;
    let (builtin, version, name) = code.clone();
    let inputs = table.get(operator::INPUTS)?;
    Ok(Operator {
        operator: builtin,
        version,
        options: options(table)?,
        custom: (builtin == Builtin::CUSTOM).then(|| custom(table, name)).transpose()?,
        inputs: inputs
            .into_iter()
            .map(|i| if i == -1 { Ok(None) } else { index(i).map(Some) })
            .collect::<Result<_, _>>()?,
        outputs: indices(table.get(operator::OUTPUTS)?)?,
        intermediates: indices(table.get(operator::INTERMEDIATES)?)?,
        mutates: table.get(operator::MUTATING_VARIABLE_INPUTS)?,
    })
}

fn custom(table: &Table<'_>, name: String) -> Result<Custom, Malformed> {
    if table.u64(operator::LARGE_CUSTOM_OPTIONS_OFFSET)? > 1 {
        return Err(Malformed(format!("{name} has its options outside the tables, which is not read")));
    }
    Ok(Custom { name, options: table.get(operator::CUSTOM_OPTIONS)? })
}

fn options(table: &Table<'_>) -> Result<Options, Malformed> {
    let unions = [
        (1, operator::BUILTIN_OPTIONS_TYPE, operator::BUILTIN_OPTIONS, tfl::BUILTIN_OPTIONS),
        (2, operator::BUILTIN_OPTIONS2_TYPE, operator::BUILTIN_OPTIONS2, tfl::BUILTIN_OPTIONS2),
    ];
    let mut found = None;
    for (union, kind, field, members) in unions {
        let tag = table.get(kind)?;
        if tag == 0 {
            continue;
        }
        if found.is_some() {
            return Err(Malformed::new("an operator has two options tables"));
        }
        let Some((_, member)) = members.iter().find(|(t, _)| *t == tag) else {
            found = Some(Options::unknown(union, tag));
            continue;
        };
        let values = table.table(field)?;
        let values = values.ok_or_else(|| Malformed(format!("{} is announced and absent", member.name)))?;
        let mut options = Options::of_table(member);
        for column in member.columns {
            if let Some(value) = values.value(column)? {
                options.put(column, value);
            }
        }
        found = Some(options);
    }
    Ok(found.unwrap_or_else(Options::none))
}

/// Gives rank 0 to constants of one element whose writer did not yet know how to say it.
fn rank_scalars(model: &mut Model) {
    let buffers = &model.buffers;
    for tensor in model.subgraphs.iter_mut().flat_map(|g| &mut g.tensors) {
        let width = tfl::dtype(tensor.element).map(|d| d.bits() as u64 / 8);
        if tensor.shape.is_none() && width.is_some_and(|w| w > 0 && buffers[tensor.buffer].bytes == w) {
            tensor.shape = Some(Vec::new());
        }
    }
}
