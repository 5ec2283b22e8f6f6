//! No builtin, however strange its operands and options, makes the reader panic: a crafted file may hold anything.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use edgewright_compiler::back::tflite::{INLINE_LIMIT, WriteError, write};
use edgewright_compiler::dialect::tfl::{
    Builtin, ElementType, Model, Operator, Options, Quantization, Subgraph, TensorEntry, Value, dtype,
};
use edgewright_compiler::front::tflite::{File, import};
use edgewright_compiler::ops::CATALOG;
use ir::Storage;
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

/// Numbers that repeat with the seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.next() as usize % of.len()]
    }

    /// Mostly what models have, sometimes the extremes.
    fn number(&mut self) -> i64 {
        self.pick(&[-2, -1, 0, 0, 1, 1, 1, 2, 2, 3, 4, 7, i64::from(i32::MAX), i64::from(i32::MIN), 1 << 20])
    }

    fn shape(&mut self) -> Vec<i32> {
        let rank = self.pick(&[0, 1, 2, 3, 4, 4, 4, 5]);
        (0..rank).map(|_| self.pick(&[0, 1, 1, 2, 3, 4, 4, 8, 8])).collect()
    }
}

/// One operator with random operands, some of them constant, and random options; the bytes of each buffer.
fn strange(builtin: Builtin, random: &mut Random) -> (Model, Vec<Vec<u8>>) {
    use ElementType as E;
    let (mut model, mut bytes, mut main) = (Model::new(), vec![vec![]], Subgraph::default());
    let (inputs, outputs) = (random.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5]), random.pick(&[0, 1, 1, 1, 1, 2, 3]));
    let shape = random.shape();
    for i in 0..inputs + outputs {
        let alike = random.pick(&[true, true, false]);
        let constant = i > 0 && i < inputs && random.pick(&[true, false]);
        let element =
            random.pick(&[E::FLOAT32, E::FLOAT32, E::FLOAT32, E::INT32, E::INT64, E::INT8, E::BOOL]);
        let mut tensor = TensorEntry { name: format!("t{i}"), element, ..TensorEntry::default() };
        tensor.shape = Some(if alike { shape.clone() } else { random.shape() });
        if constant && random.pick(&[true, false]) {
            // What spellings are made of: a few int32 along one axis, or one alone.
            tensor.element = E::INT32;
            tensor.shape = Some(random.pick(&[&[4][..], &[2], &[1], &[], &[3], &[4, 2], &[5]]).to_vec());
        }
        if random.pick(&[false, false, false, false, false, false, false, true]) {
            let (scale, zero_point) = (vec![0.5; random.pick(&[1, 3])], vec![0; random.pick(&[0, 1, 3])]);
            let axis = random.number() as i32;
            tensor.quantization = Some(Quantization { scale, zero_point, axis, ..Quantization::default() });
        }
        if constant {
            let count: usize = tensor.shape.iter().flatten().map(|&n| n as usize).product();
            let width = dtype(tensor.element).unwrap().bits() / 8;
            let data: Vec<u8> =
                (0..count).flat_map(|_| random.number().to_le_bytes()[..width].to_vec()).collect();
            tensor.buffer = model.add_buffer(data.len() as u64);
            bytes.push(data);
        } else if i < inputs {
            main.inputs.push(i);
        }
        main.tensors.push(tensor);
    }
    let mut options = Options::of(builtin);
    for column in options.table().map_or(&[][..], |t| t.columns) {
        let value = match column.kind {
            Kind::Scalar(Scalar::Bool) => Value::Bool(random.pick(&[true, false])),
            Kind::Scalar(Scalar::F32) => {
                Value::Float(random.pick(&[0.0, 1.0, -1.0, f32::NAN, f32::INFINITY]))
            }
            Kind::Scalar(Scalar::I8) => Value::Int(random.number() as i8 as i64),
            Kind::Scalar(_) => Value::Int(random.number() as i32 as i64),
            Kind::Vector(Scalar::F32) => Value::Floats(vec![1.0]),
            Kind::Vector(_) => {
                Value::Ints((0..random.pick(&[0, 1, 2, 4])).map(|_| random.number() as i32 as i64).collect())
            }
            _ => Value::Text("text".into()),
        };
        options.put(column, value);
    }
    let operands =
        (0..inputs).map(|i| if random.pick(&[true, true, true, true, true, false]) { Some(i) } else { None });
    let operator = Operator::new(builtin, options, operands.collect(), (inputs..inputs + outputs).collect());
    main.outputs = operator.outputs.clone();
    main.operators.push(operator);
    model.subgraphs.push(main);
    (model, bytes)
}

/// How many operators are tried of each builtin.
const TRIES: usize = 300;

#[test]
fn strange_operators_are_read_or_refused() {
    let mut random = Random(11);
    let mut builtins: Vec<Builtin> = CATALOG.iter().flat_map(|entry| entry.tfl).copied().collect();
    builtins.sort_unstable();
    builtins.dedup();
    let (mut read, mut panicked) = (0, Vec::new());
    for &builtin in &builtins {
        for _ in 0..TRIES {
            let (model, bytes) = strange(builtin, &mut random);
            let mut out = Vec::new();
            let source = |index: usize, to: &mut dyn Write| Ok::<_, WriteError>(to.write_all(&bytes[index])?);
            write(&mut out, &model, INLINE_LIMIT, source).unwrap();
            let len = out.len() as u64;
            let file = File::read(Arc::new(Memory(out)), len).unwrap();
            match catch_unwind(AssertUnwindSafe(|| import(&file).is_ok())) {
                Ok(ok) => read += usize::from(ok),
                Err(_) => {
                    panicked.push(builtin);
                    break;
                }
            }
        }
    }
    assert!(panicked.is_empty(), "{panicked:?} of {} builtins", builtins.len());
    assert!(read > TRIES * builtins.len() / 100, "{read} of {} operators are read", TRIES * builtins.len());
}
