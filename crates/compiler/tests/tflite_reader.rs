//! What is written is read back equal, and no damage to a file makes the reader panic, hang or allocate without end.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::{self, Write};
use std::sync::Arc;

use edgewright_compiler::back::tflite::{self as back, INLINE_LIMIT, WriteError};
use edgewright_compiler::dialect::tfl::*;
use edgewright_compiler::front::tflite::{File, Malformed};
use ir::{DType, QuantParams, Storage, TensorType};
use schema::{Kind, Scalar};

/// Bytes in memory as a file.
struct Memory(Vec<u8>);

impl Storage for Memory {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        into.copy_from_slice(self.0.get(from..from + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Result<File, Malformed> {
    File::read(Arc::new(Memory(bytes.to_vec())), bytes.len() as u64)
}

fn written(model: &Model, limit: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let source = |index: usize, to: &mut dyn Write| {
        let bytes: Vec<u8> = (0..model.buffers[index].bytes).map(|i| (i + index as u64) as u8).collect();
        Ok::<_, WriteError>(to.write_all(&bytes)?)
    };
    back::write(&mut out, model, limit, source).unwrap();
    out
}

/// A value that is not the field's default.
fn some_value(kind: Kind, id: u16) -> Option<Value> {
    let number = i64::from(id) + 3;
    Some(match kind {
        Kind::Scalar(Scalar::F32) => Value::Float(number as f32 + 0.5),
        Kind::Scalar(Scalar::Bool) => return None,
        Kind::Scalar(Scalar::U8 | Scalar::U32) => Value::Int(200 + number),
        Kind::Scalar(_) => Value::Int(-number),
        Kind::Vector(Scalar::F32) => Value::Floats(vec![0.25, -number as f32]),
        Kind::Vector(Scalar::Bool) => Value::Bools(vec![true, false, true]),
        Kind::Vector(Scalar::U8 | Scalar::U32) => Value::Ints(vec![200, 0, number]),
        Kind::Vector(_) => Value::Ints(vec![-1, number, 0]),
        Kind::Text => Value::Text(format!("text {number}")),
        Kind::Table | Kind::Tables | Kind::Union => return None,
    })
}

/// One operator of each builtin, with every field of its options set; and every other thing a file can hold.
fn everything() -> Model {
    let mut model = Model::new();
    model.description = "äöü".into();
    let mut graph = Subgraph { name: "main".into(), ..Subgraph::default() };
    let quant = QuantParams { scales: vec![0.5, 0.25], zero_points: vec![0, -3], axis: 1 };
    let types = [
        TensorType::new(DType::F32, &[1, 2, 3]),
        TensorType::new(DType::I64, &[]),
        TensorType { quant: Some(quant), ..TensorType::new(DType::I8, &[4, 2]) },
        TensorType::new(DType::I4, &[3, 3]),
    ];
    for (i, ty) in types.iter().enumerate() {
        let buffer = model.add_buffer(ty.bytes().unwrap() as u64);
        graph.tensors.push(TensorEntry::new(format!("t{i}"), ty, buffer).unwrap());
    }
    let blocks = Details::Blocks { scales: 0, zero_points: -1, block: 32 };
    let blockwise =
        Quantization { min: vec![-1.0], max: vec![1.0], details: Some(blocks), ..Quantization::default() };
    graph.tensors[3].quantization = Some(blockwise);
    graph.tensors.push(TensorEntry {
        name: "unranked".into(),
        element: ElementType::STRING,
        ..TensorEntry::default()
    });
    let growing = TensorEntry {
        shape: Some(vec![1, 5]),
        signature: vec![-1, 5],
        variable: true,
        ..TensorEntry::default()
    };
    graph.tensors.push(growing);
    for &builtin in Builtin::NAMED.iter().chain(&[Builtin(999)]) {
        let mut options = Options::of(builtin);
        for column in options.table().map_or(&[][..], |t| t.columns) {
            let value = some_value(column.kind, column.id).or(match column.default {
                schema::Default::Bool(default) => Some(Value::Bool(!default)),
                _ => None,
            });
            options.put(column, value.expect("options hold no tables"));
        }
        let mut operator = Operator::new(builtin, options, vec![Some(0), None, Some(2)], vec![5]);
        operator.version = 1 + builtin.0 as u32 % 3;
        if builtin == Builtin::CUSTOM {
            operator.custom = Some(Custom { name: "Mine".into(), options: vec![1, 2, 255] });
            operator.mutates = vec![false, true];
            operator.intermediates = vec![1];
        }
        graph.operators.push(operator);
    }
    (graph.inputs, graph.outputs) = (vec![0], vec![5]);
    model.subgraphs = vec![graph, Subgraph { name: "other".into(), ..Subgraph::default() }];
    back::add_metadata(&mut model, "note", 5000);
    let (inputs, outputs) = (vec![("x".into(), 0)], vec![("y".into(), 5), ("z".into(), 5)]);
    model.signatures.push(Signature { key: "serving_default".into(), subgraph: 0, inputs, outputs });
    model
}

#[test]
fn what_is_written_is_read_back_equal() {
    let model = everything();
    for limit in [INLINE_LIMIT, 0] {
        let bytes = written(&model, limit);
        let file = read(&bytes).unwrap();
        assert_eq!(file.model, model);
        let mut note = Vec::new();
        file.copy(file.model.metadata[0].buffer, &mut note).unwrap();
        assert_eq!(note, (0..5000u64).map(|i| (i + 5) as u8).collect::<Vec<u8>>());
        assert_eq!(written(&file.model, limit), bytes);
    }
    // tests/schema/read_with_wheel.py reads this file with LiteRT's own accessors.
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("everything.tflite");
    std::fs::write(path, written(&model, INLINE_LIMIT)).unwrap();
    let file = read(&written(&model, INLINE_LIMIT)).unwrap();
    let constant = file.constant(&file.model.subgraphs[0].tensors[1]).unwrap().unwrap();
    assert_eq!(constant.read().unwrap().bytes(), [2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_cut_file_is_refused() {
    let bytes = written(&everything(), INLINE_LIMIT);
    for len in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..len]).is_err(), "{len} of {} bytes", bytes.len());
    }
}

/// Numbers that repeat with the seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[test]
fn a_damaged_file_is_read_or_refused() {
    let bytes = written(&everything(), 0);
    let mut random = Random(7);
    let (mut read_well, mut refused) = (0, 0);
    for _ in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(damaged.len() - 4);
            match random.below(3) {
                0 => damaged[at] = random.below(256) as u8,
                1 => damaged[at..at + 4].copy_from_slice(&(random.below(64) as u32).to_le_bytes()),
                _ => damaged[at..at + 4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]),
            }
        }
        let Ok(file) = read(&damaged) else {
            refused += 1;
            continue;
        };
        read_well += 1;
        for tensor in file.model.subgraphs.iter().flat_map(|g| &g.tensors) {
            if let Ok(Some(constant)) = file.constant(tensor) {
                constant.read().unwrap();
            }
        }
        let _ = file.metadata("note");
    }
    assert!(read_well > 250 && refused > 250, "{read_well} read, {refused} refused");
}

/// A file whose one vector names the same big table many times unfolds to far more than its size.
#[test]
fn a_file_that_unfolds_without_end_is_refused() {
    let mut model = Model::new();
    let tensor = TensorEntry { name: "n".repeat(60_000), shape: Some(vec![]), ..TensorEntry::default() };
    model.subgraphs.push(Subgraph { tensors: vec![tensor; 2], ..Subgraph::default() });
    let mut bytes = written(&model, INLINE_LIMIT);
    // A third copy of the vector's first reference, repeated: the vector is appended and the graph pointed to it.
    let find =
        |bytes: &[u8], at: usize| at + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let field = |bytes: &[u8], table: usize, id: usize| {
        let vtable =
            table - u32::from_le_bytes(bytes[table..table + 4].try_into().unwrap()) as i32 as isize as usize;
        table + usize::from(u16::from_le_bytes([bytes[vtable + 4 + 2 * id], bytes[vtable + 5 + 2 * id]]))
    };
    let root = find(&bytes, 0);
    let graphs = find(&bytes, field(&bytes, root, 2));
    let graph = find(&bytes, graphs + 4);
    let tensors_field = field(&bytes, graph, 0);
    let tensors = find(&bytes, tensors_field);
    let first = find(&bytes, tensors + 4);
    // References only point forward, so the tensor's table is copied behind the new vector.
    while !bytes.len().is_multiple_of(4) {
        bytes.push(0);
    }
    let (vector, count) = (bytes.len(), 2000);
    bytes.extend((count as u32).to_le_bytes());
    let vtable = first - u32::from_le_bytes(bytes[first..first + 4].try_into().unwrap()) as usize;
    let table_len = usize::from(u16::from_le_bytes([bytes[vtable + 2], bytes[vtable + 3]]));
    let copy = vector + 4 + 4 * count;
    for i in 0..count {
        bytes.extend(((copy - (vector + 4 + 4 * i)) as u32).to_le_bytes());
    }
    let mut table = bytes[first..first + table_len].to_vec();
    table[..4].copy_from_slice(&((copy - vtable) as u32).to_le_bytes());
    let name = field(&bytes, first, 3) - first;
    table[name..name + 4].copy_from_slice(&((table_len - name) as u32).to_le_bytes());
    let shape = field(&bytes, first, 0) - first;
    table[shape..shape + 4].copy_from_slice(&((table_len - shape) as u32).to_le_bytes());
    bytes.extend(table);
    bytes.extend(0u32.to_le_bytes());
    let text = bytes.len() - 4;
    bytes[text..text + 4].copy_from_slice(&60_000u32.to_le_bytes());
    bytes.extend([b'n'; 60_000]);
    let shape_at = copy + shape;
    bytes.extend(0u32.to_le_bytes());
    let empty = bytes.len() - 4;
    bytes[shape_at..shape_at + 4].copy_from_slice(&((empty - shape_at) as u32).to_le_bytes());
    bytes[tensors_field..tensors_field + 4].copy_from_slice(&((vector - tensors_field) as u32).to_le_bytes());
    let refused = read(&bytes).err().expect("120 MB of names out of a file of 250 kB");
    assert_eq!(refused.0, "it unfolds to more than four times its size");
}
