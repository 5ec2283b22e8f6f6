//! Where each buffer's bytes lie in the file: after the tables, streamed, never held.
//!
//! The tables are built with placeholders in `Buffer`. Once their length is known every buffer has a place, the
//! placeholders are patched, and the bytes follow the tables in the order of their index.

use std::io::{self, Write};

use crate::dialect::tfl::{Buffer, buffer};

use super::write::WriteError;

/// How many bytes a file may have before its large buffers move out of the FlatBuffer, whose own references end at
/// 2 GiB. `Buffer.offset` and `size` then say where they lie.
pub const INLINE_LIMIT: u64 = 1_900_000_000;

/// Buffers up to this size stay inside even then: shapes and axes are read by every tool.
const SMALL: u64 = 1024;

/// Runtimes want weights on a multiple of this, in bytes, wherever they are mapped.
const EXTERNAL_ALIGNMENT: u64 = 64;

/// `Buffer.data` is declared with this alignment.
const INLINE_ALIGNMENT: u64 = 16;

/// How a buffer is told of in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It has no bytes.
    Empty,
    /// `Buffer.data`: a vector of the FlatBuffer.
    Inline,
    /// `Buffer.offset` and `size`: a stretch of the file.
    External,
}

/// The form of each buffer, so that a file of more than `limit` bytes keeps its FlatBuffer small.
pub(super) fn forms(buffers: &[Buffer], limit: u64) -> Vec<Form> {
    let total: u64 =
        buffers.iter().fold(0, |sum, b| sum.saturating_add(b.bytes).saturating_add(INLINE_ALIGNMENT));
    let form = |buffer: &Buffer| match buffer.bytes {
        0 => Form::Empty,
        n if total > limit && n > SMALL => Form::External,
        _ => Form::Inline,
    };
    buffers.iter().map(form).collect()
}

/// Where a buffer's bytes begin and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    start: u64,
    bytes: u64,
    form: Form,
}

/// Gives every buffer its place behind `head` and patches the tables to say so. `tables` holds where in `head` each
/// buffer's table begins.
pub(super) fn place(
    head: &mut [u8],
    tables: &[usize],
    buffers: &[Buffer],
    forms: &[Form],
) -> Result<Vec<Place>, WriteError> {
    let mut end = head.len() as u64;
    let mut places = Vec::with_capacity(buffers.len());
    // Vectors first, so that the references to them stay short.
    for wanted in [Form::Inline, Form::External] {
        for (index, (buffer, _)) in
            buffers.iter().zip(forms).enumerate().filter(|(_, (_, form))| **form == wanted)
        {
            let start = match wanted {
                Form::Inline => (end + 4).next_multiple_of(INLINE_ALIGNMENT),
                _ => end.next_multiple_of(EXTERNAL_ALIGNMENT),
            };
            patch(head, tables[index], start, buffer.bytes, wanted)?;
            end = start
                .checked_add(buffer.bytes)
                .ok_or_else(|| WriteError::illegal("the file would be too large"))?;
            places.push((index, Place { start, bytes: buffer.bytes, form: wanted }));
        }
    }
    let mut ordered = vec![Place { start: 0, bytes: 0, form: Form::Empty }; buffers.len()];
    for (index, place) in places {
        ordered[index] = place;
    }
    Ok(ordered)
}

/// Fills in what a buffer's table left open.
fn patch(head: &mut [u8], table: usize, start: u64, bytes: u64, form: Form) -> Result<(), WriteError> {
    if form == Form::External {
        let (at, size) = (field(head, table, buffer::OFFSET.slot()), field(head, table, buffer::SIZE.slot()));
        head[at..at + 8].copy_from_slice(&start.to_le_bytes());
        head[size..size + 8].copy_from_slice(&bytes.to_le_bytes());
        return Ok(());
    }
    let at = field(head, table, buffer::DATA.slot());
    let reference = u32::try_from(start - 4 - at as u64).ok().filter(|r| *r < i32::MAX as u32);
    let reference =
        reference.ok_or_else(|| WriteError::illegal("the tables and small buffers are above 2 GiB"))?;
    head[at..at + 4].copy_from_slice(&reference.to_le_bytes());
    Ok(())
}

/// Where in our own tables a field lies that is known to be there.
fn field(head: &[u8], table: usize, slot: u16) -> usize {
    let four = |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let entry = (table as i64 - i64::from(four(table))) as usize + usize::from(slot);
    table + usize::from(u16::from_le_bytes([head[entry], head[entry + 1]]))
}

/// Writes every buffer to its place, each by one call of `source`, which must give exactly the bytes announced.
/// `position` is how many bytes `out` has already. Returns how many it has in the end.
pub(super) fn stream<E: From<WriteError>>(
    out: &mut dyn Write,
    mut position: u64,
    places: &[Place],
    mut source: impl FnMut(usize, &mut dyn Write) -> Result<(), E>,
) -> Result<u64, E> {
    for wanted in [Form::Inline, Form::External] {
        for (index, place) in places.iter().enumerate().filter(|(_, place)| place.form == wanted) {
            let prefix = if wanted == Form::Inline { 4 } else { 0 };
            let gap = (place.start - prefix - position) as usize;
            out.write_all(&[0; EXTERNAL_ALIGNMENT as usize][..gap]).map_err(WriteError::from)?;
            if wanted == Form::Inline {
                let length = u32::try_from(place.bytes).expect("inline buffers end below 2 GiB");
                out.write_all(&length.to_le_bytes()).map_err(WriteError::from)?;
            }
            let mut counted = Counted { out, left: place.bytes };
            source(index, &mut counted)?;
            if counted.left > 0 {
                let short = format!("buffer {index} lacks {} of its {} bytes", counted.left, place.bytes);
                return Err(WriteError::illegal(short).into());
            }
            position = place.start + place.bytes;
        }
    }
    Ok(position)
}

/// Lets no more bytes through than a buffer has.
struct Counted<'a> {
    out: &'a mut dyn Write,
    left: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a buffer is given more bytes than it has",
            ));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
