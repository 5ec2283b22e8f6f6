//! FlatBuffers tables read field by field, with every reference checked against the file's end.
//!
//! The file is read through pages, so that neither its size nor the place of its tables matters. References may
//! meet: many entries of a vector may name one table. What is handed out is therefore counted, and a file that
//! unfolds to a multiple of its own size is refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ir::Storage;
use schema::{Column, Datum, Field, Kind, Reference, Scalar, Value};

/// Why the bytes are not those of a .tflite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl Malformed {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Malformed(message.into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// What is read at once, in bytes.
const PAGE: u64 = 4096;

/// How many pages are kept; at 16 MiB all are dropped and read again as needed.
const PAGES: usize = 4096;

/// How many tables a file may have: some 2 KiB of memory each at worst, and ten times the largest models seen.
const TABLES: u64 = 1 << 21;

/// A file's bytes.
pub(super) struct Bytes {
    storage: Arc<dyn Storage>,
    len: u64,
    pages: RefCell<BTreeMap<u64, Vec<u8>>>,
    /// How many bytes of vectors and texts may yet be handed out.
    left: Cell<u64>,
    tables: Cell<u64>,
}

impl Bytes {
    /// The first `len` bytes of `storage`.
    pub(super) fn new(storage: Arc<dyn Storage>, len: u64) -> Self {
        // Writers share equal names and empty vectors, hence more than once the length.
        let left = Cell::new(len.saturating_mul(4).saturating_add(1 << 16));
        Bytes { storage, len, pages: RefCell::default(), left, tables: Cell::new(TABLES) }
    }

    /// The number of bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// `N` bytes from `at`.
    pub(super) fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Malformed> {
        self.within(at, N as u64)?;
        let mut out = [0; N];
        let (first, offset) = (at / PAGE, (at % PAGE) as usize);
        if offset + N <= PAGE as usize {
            self.page(first, |page| out.copy_from_slice(&page[offset..offset + N]))?;
            return Ok(out);
        }
        for (i, byte) in out.iter_mut().enumerate() {
            let at = at + i as u64;
            self.page(at / PAGE, |page| *byte = page[(at % PAGE) as usize])?;
        }
        Ok(out)
    }

    /// `len` bytes from `at`, counted against what the file may unfold to.
    fn stretch(&self, at: u64, len: u64) -> Result<Vec<u8>, Malformed> {
        self.within(at, len)?;
        let left = self.left.get().checked_sub(len);
        self.left.set(left.ok_or_else(|| Malformed::new("it unfolds to more than four times its size"))?);
        let mut out = vec![0; len as usize];
        self.storage.read_at(at, &mut out).map_err(unreadable)?;
        Ok(out)
    }

    fn within(&self, at: u64, len: u64) -> Result<(), Malformed> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => {
                Err(Malformed(format!("byte {at} and the {len} from it are beyond its end at {}", self.len)))
            }
        }
    }

    fn page(&self, index: u64, look: impl FnOnce(&[u8])) -> Result<(), Malformed> {
        let mut pages = self.pages.borrow_mut();
        if !pages.contains_key(&index) {
            if pages.len() >= PAGES {
                pages.clear();
            }
            let mut page = vec![0; PAGE.min(self.len - index * PAGE) as usize];
            self.storage.read_at(index * PAGE, &mut page).map_err(unreadable)?;
            pages.insert(index, page);
        }
        look(&pages[&index]);
        Ok(())
    }

    fn u16(&self, at: u64) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array(at)?))
    }

    fn u32(&self, at: u64) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array(at)?))
    }

    /// Where the reference at `at` leads.
    fn follow(&self, at: u64) -> Result<u64, Malformed> {
        let to = at + u64::from(self.u32(at)?);
        self.within(to, 4)?;
        Ok(to)
    }

    /// The table that the file begins with.
    pub(super) fn root(&self) -> Result<Table<'_>, Malformed> {
        self.table(self.follow(0)?)
    }

    fn table(&self, at: u64) -> Result<Table<'_>, Malformed> {
        let left = self.tables.get().checked_sub(1);
        self.tables.set(left.ok_or_else(|| Malformed(format!("it has more than {TABLES} tables")))?);
        let back = i64::from(i32::from_le_bytes(self.array(at)?));
        let vtable =
            u64::try_from(at as i64 - back).map_err(|_| Malformed::new("a table begins before the file"))?;
        let slots = self.u16(vtable)?;
        self.within(vtable, u64::from(slots))?;
        Ok(Table { bytes: self, at, vtable, slots })
    }
}

fn unreadable(error: std::io::Error) -> Malformed {
    Malformed(format!("it cannot be read: {error}"))
}

/// One table.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a Bytes,
    at: u64,
    vtable: u64,
    slots: u16,
}

impl<'a> Table<'a> {
    /// Where a field lies, if it is there.
    fn field(&self, id: u16) -> Result<Option<u64>, Malformed> {
        let slot = 4 + 2 * id;
        if slot + 2 > self.slots {
            return Ok(None);
        }
        let offset = self.bytes.u16(self.vtable + u64::from(slot))?;
        Ok((offset > 0).then(|| self.at + u64::from(offset)))
    }

    /// A field's value, or its default; an absent text or vector is an empty one.
    pub(super) fn get<T: Datum>(&self, field: Field<T>) -> Result<T, Malformed> {
        let column = field.table.column(field.id).expect("a field is in its table");
        let value = self.value(column)?.and_then(|value| T::from_value(&value));
        Ok(value.or_else(|| T::from_default(column.default)).expect("a value is of its field's type"))
    }

    /// An unsigned 64-bit field, or 0.
    pub(super) fn u64(&self, field: Field<u64>) -> Result<u64, Malformed> {
        self.field(field.id)?.map_or(Ok(0), |at| Ok(u64::from_le_bytes(self.bytes.array(at)?)))
    }

    /// Is the field there?
    pub(super) fn has<T>(&self, field: Field<T>) -> Result<bool, Malformed> {
        Ok(self.field(field.id)?.is_some())
    }

    /// The table that a field refers to.
    pub(super) fn table(&self, field: Field<Reference>) -> Result<Option<Table<'a>>, Malformed> {
        let Some(at) = self.field(field.id)? else { return Ok(None) };
        Ok(Some(self.bytes.table(self.bytes.follow(at)?)?))
    }

    /// The tables that a field refers to, one after another.
    pub(super) fn tables(
        &self,
        field: Field<Reference>,
    ) -> Result<impl Iterator<Item = Result<Table<'a>, Malformed>> + use<'a>, Malformed> {
        let (bytes, (start, count)) = (self.bytes, self.vector(field.id, 4)?.unwrap_or((0, 0)));
        Ok((0..count).map(move |i| bytes.table(bytes.follow(start + 4 * i)?)))
    }

    /// Where the elements of a vector of `width` bytes each begin and how many there are.
    pub(super) fn vector(&self, id: u16, width: u64) -> Result<Option<(u64, u64)>, Malformed> {
        let Some(at) = self.field(id)? else { return Ok(None) };
        let vector = self.bytes.follow(at)?;
        let count = u64::from(self.bytes.u32(vector)?);
        self.bytes.within(vector + 4, count * width)?;
        Ok(Some((vector + 4, count)))
    }

    /// A field that is no reference to tables, where it is there.
    pub(super) fn value(&self, column: &Column) -> Result<Option<Value>, Malformed> {
        match column.kind {
            Kind::Scalar(scalar) => {
                let Some(at) = self.field(column.id)? else { return Ok(None) };
                self.scalar(scalar, at).map(Some)
            }
            Kind::Text => {
                let Some((at, len)) = self.vector(column.id, 1)? else { return Ok(None) };
                let text = self.bytes.stretch(at, len)?;
                Ok(Some(Value::Text(String::from_utf8_lossy(&text).into_owned())))
            }
            Kind::Vector(scalar) => {
                let width = scalar.width();
                let Some((at, count)) = self.vector(column.id, width as u64)? else { return Ok(None) };
                let bytes = self.bytes.stretch(at, count * width as u64)?;
                let each = bytes.chunks_exact(width);
                Ok(Some(match scalar {
                    Scalar::Bool => Value::Bools(each.map(|b| b[0] != 0).collect()),
                    Scalar::F32 => {
                        Value::Floats(each.map(|b| f32::from_bits(number(scalar, b) as u32)).collect())
                    }
                    _ => Value::Ints(each.map(|b| number(scalar, b)).collect()),
                }))
            }
            Kind::Table | Kind::Tables | Kind::Union => Ok(None),
        }
    }

    fn scalar(&self, scalar: Scalar, at: u64) -> Result<Value, Malformed> {
        let bytes: &[u8] = match scalar.width() {
            1 => &self.bytes.array::<1>(at)?,
            2 => &self.bytes.array::<2>(at)?,
            4 => &self.bytes.array::<4>(at)?,
            _ => &self.bytes.array::<8>(at)?,
        };
        Ok(match scalar {
            Scalar::Bool => Value::Bool(bytes[0] != 0),
            Scalar::F32 => Value::Float(f32::from_bits(number(scalar, bytes) as u32)),
            _ => Value::Int(number(scalar, bytes)),
        })
    }
}

/// Little-endian bytes as a number; an f32 as its bits.
fn number(scalar: Scalar, bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unsigned = i64::from_le_bytes(wide);
    let shift = 64 - 8 * bytes.len() as u32;
    match scalar {
        Scalar::I8 | Scalar::I16 | Scalar::I32 => (unsigned << shift) >> shift,
        _ => unsigned,
    }
}
