//! Does a model's file hold all the bytes that its buffers claim?
//!
//! LiteRT maps the file and believes its offsets. Where the end of the file is missing, weights read as zeros
//! up to the end of the last page: other numbers without a word.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use schema::tflite::{buffer, model};

use crate::error::Error;

/// Errs where the file at `path` is not a .tflite, or ends before the weights do.
pub(crate) fn check(path: &Path) -> Result<(), Error> {
    let unreadable = |why: String| Error::Model { path: path.to_owned(), why };
    let file = File::open(path).map_err(|e| unreadable(e.to_string()))?;
    let length = file.metadata().map_err(|e| unreadable(e.to_string()))?.len();
    match (Tables { file, length }).check() {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Err(unreadable(format!("the file is cut off: it has {length} bytes and refers to more")))
        }
        Err(e) => Err(unreadable(e.to_string())),
    }
}

/// A FlatBuffers file, read a number at a time (<https://flatbuffers.dev/internals/>).
struct Tables {
    file: File,
    length: u64,
}

impl Tables {
    fn check(&self) -> io::Result<()> {
        if self.bytes::<4>(4)? != *b"TFL3" {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a .tflite file"));
        }
        let root = self.follow(0)?;
        let Some(buffers) = self.field(root, model::BUFFERS.slot())? else { return Ok(()) };
        let buffers = self.follow(buffers)?;
        let count = u64::from(self.u32(buffers)?);
        self.holds(buffers + 4, count * 4)?;
        (0..count).try_for_each(|index| self.check_buffer(self.follow(buffers + 4 + index * 4)?))
    }

    fn check_buffer(&self, table: u64) -> io::Result<()> {
        if let Some(data) = self.field(table, buffer::DATA.slot())? {
            let data = self.follow(data)?;
            self.holds(data + 4, self.u32(data)?.into())?;
        }
        let Some(size) = self.field(table, buffer::SIZE.slot())? else { return Ok(()) };
        let offset = self.field(table, buffer::OFFSET.slot())?.map_or(Ok(0), |at| self.u64(at))?;
        self.holds(offset, self.u64(size)?)
    }

    /// Where a table's field lies, where the table has it.
    fn field(&self, table: u64, slot: u16) -> io::Result<Option<u64>> {
        let back = i32::from_le_bytes(self.bytes(table)?);
        let vtable = table.checked_add_signed(-i64::from(back)).ok_or_else(cut_off)?;
        if u16::from_le_bytes(self.bytes(vtable)?) <= slot {
            return Ok(None);
        }
        let offset = u16::from_le_bytes(self.bytes(vtable + u64::from(slot))?);
        Ok((offset != 0).then(|| table + u64::from(offset)))
    }

    /// Where the reference at `place` leads.
    fn follow(&self, place: u64) -> io::Result<u64> {
        Ok(place + u64::from(self.u32(place)?))
    }

    fn u32(&self, place: u64) -> io::Result<u32> {
        self.bytes(place).map(u32::from_le_bytes)
    }

    fn u64(&self, place: u64) -> io::Result<u64> {
        self.bytes(place).map(u64::from_le_bytes)
    }

    fn bytes<const N: usize>(&self, place: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, place)?;
        Ok(bytes)
    }

    fn holds(&self, start: u64, size: u64) -> io::Result<()> {
        if start.checked_add(size).is_some_and(|end| end <= self.length) { Ok(()) } else { Err(cut_off()) }
    }
}

fn cut_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
