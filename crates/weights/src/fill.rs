//! An archive of torch.export with other weights: its file as it is, but for the weights' bytes and their checksums.
//!
//! Each weight keeps its dtype, sizes and strides, so no entry moves, and all else that the file says stays true.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use crc32fast::Hasher;
use files::Unfinished;
use indexmap::IndexMap;
use ir::{Constant, Diagnostic, FileRange, Storage, Tensor};

use crate::entries::{Entries, Entry};
use crate::safetensors::packed;
use crate::slab::{Broken, COPIED, stream};
use crate::{UNFILLABLE_WEIGHT, UNREADABLE_TENSORS, malformed, unread, unreadable};

/// Writes the file `archive` to `path` with the elements of `given` in the place of the weights of these names, and gives
/// its length. `wanted` are the archive's weights as ranges of its file; those of `given` are of the same types, and one
/// for several names where these name one tensor, as [`crate::fitted`] has it. `path` appears whole or not at all;
/// `progress` hears of the bytes written so far. Errs with every weight that cannot be given other elements where it
/// lies, or where a file cannot be read or written.
pub fn write_filled(
    path: &Path,
    archive: &Path,
    wanted: &IndexMap<String, Constant>,
    given: &IndexMap<String, Constant>,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, Vec<Diagnostic>> {
    let opened = Entries::open(archive).map_err(|d| vec![d])?;
    let filled = distributed(blocks(wanted, given)?, &opened).map_err(|why| vec![malformed(archive, why)])?;
    let file = Unfinished::beside(path).map_err(|e| vec![unwritable(path, &e)])?;
    let out = BufWriter::with_capacity(COPIED, file);
    let mut copy = Copying { source: &opened.file, out, at: 0, progress };
    let mut checksums = Vec::new();
    for (entry, blocks) in filled {
        let fields = checksum_fields(&opened.file, &entry).map_err(|why| vec![malformed(archive, why)])?;
        let checksum = copy.entry(&entry, blocks).map_err(|e| vec![e.told(path, archive)])?;
        checksums.extend(fields.into_iter().map(|field| (field, checksum)));
    }
    copy.until(opened.length, None).map_err(|e| vec![e.told(path, archive)])?;
    let finish = || -> io::Result<()> {
        let mut file = copy.out.into_inner().map_err(|e| e.into_error())?;
        for (field, checksum) in checksums {
            file.seek(SeekFrom::Start(field))?;
            file.write_all(&checksum.to_le_bytes())?;
        }
        file.finish(path)
    };
    finish().map_err(|e| vec![unwritable(path, &e)])?;
    Ok(opened.length)
}

/// Elements that lie side by side in the archive, and what is to lie there.
struct Block {
    name: String,
    start: u64,
    bytes: u64,
    /// The axes in the order in which the archive has them, so that row-major order is the order of the bytes.
    data: Constant,
}

/// What is written, in the order of the archive. Errs with every weight whose elements do not lie side by side, or are
/// another's too.
fn blocks(
    wanted: &IndexMap<String, Constant>,
    given: &IndexMap<String, Constant>,
) -> Result<Vec<Block>, Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    let mut complain = |name: &str, why: String| {
        wrong.push(Diagnostic::new(UNFILLABLE_WEIGHT, format!("weight '{name}': {why}")));
    };
    let mut all: Vec<(Block, &Constant)> = Vec::new();
    for (name, place) in wanted {
        let (Constant::Range(range), Some(data)) = (place, given.get(name)) else { continue };
        let Some(order) = storage_order(range) else {
            let (sizes, strides) = (&range.sizes, &range.strides);
            complain(name, format!("with sizes {sizes:?} and strides {strides:?} its elements lie apart"));
            continue;
        };
        let (start, bytes, data) = (range.base, place.bytes() as u64, turned(data, &order));
        all.push((Block { name: name.clone(), start, bytes, data }, place));
    }
    all.sort_by_key(|(block, _)| block.start);
    all.dedup_by(|(_, place), (_, first)| place.same(first));
    for pair in all.windows(2) {
        let [(first, _), (second, _)] = pair else { continue };
        if second.start < first.start + first.bytes {
            complain(&second.name, format!("it shares elements with '{}'", first.name));
        }
    }
    if wrong.is_empty() { Ok(all.into_iter().map(|(block, _)| block).collect()) } else { Err(wrong) }
}

/// The axes from the largest stride to the smallest; `None` where they leave gaps, or repeat.
fn storage_order(range: &FileRange) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..range.sizes.len()).collect();
    order.sort_by_key(|&axis| (std::cmp::Reverse(range.strides[axis]), axis));
    range.turned(&order).is_packed().then_some(order)
}

/// The tensor with its axes in another order.
fn turned(data: &Constant, order: &[usize]) -> Constant {
    let range = match data {
        Constant::Range(range) => range.turned(order),
        Constant::Inline(tensor) => FileRange {
            quant: None,
            checksum: None,
            storage: Arc::new(Memory(tensor.clone())),
            base: 0,
            dtype: tensor.dtype(),
            sizes: tensor.sizes().to_vec(),
            strides: packed(tensor.sizes()),
            fingerprint: data.fingerprint(),
        }
        .turned(order),
    };
    Constant::Range(Arc::new(range))
}

/// A tensor in memory, read like a file.
struct Memory(Arc<Tensor>);

impl Storage for Memory {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let part = self.0.bytes().get(offset as usize..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// The blocks by the entries in which they lie. Errs where one lies in none, or entries overlap.
fn distributed(blocks: Vec<Block>, archive: &Entries) -> Result<Vec<(Entry, Vec<Block>)>, String> {
    let mut entries: Vec<Entry> = archive.entries.values().copied().collect();
    entries.sort_by_key(|entry| entry.start);
    let mut filled: Vec<(Entry, Vec<Block>)> = Vec::new();
    for block in blocks {
        let after = entries.partition_point(|entry| entry.start <= block.start);
        let around = after.checked_sub(1).map(|at| entries[at]);
        let Some(entry) = around.filter(|e| block.start + block.bytes <= e.start + e.size) else {
            return Err(format!("weight '{}' lies in no entry", block.name));
        };
        match filled.last_mut() {
            Some((last, blocks)) if last.start == entry.start => blocks.push(block),
            Some((last, _)) if last.start + last.size > entry.header => {
                return Err(format!("the entry of weight '{}' overlaps another", block.name));
            }
            _ => filled.push((entry, vec![block])),
        }
    }
    Ok(filled)
}

/// Where the file states an entry's checksum: in the directory, and in the local header or behind the contents (APPNOTE
/// 4.3.7, 4.3.9, 4.3.12). Errs where another number is found there than the directory's.
fn checksum_fields(file: &File, entry: &Entry) -> Result<[u64; 2], String> {
    let read = |at: u64| -> Result<u32, String> {
        let mut bytes = [0; 4];
        file.read_at(at, &mut bytes).map_err(|e| format!("a checksum cannot be read: {e}"))?;
        Ok(u32::from_le_bytes(bytes))
    };
    const HAS_DESCRIPTOR: u32 = 1 << 3;
    const DESCRIPTOR: u32 = 0x0807_4b50; // its optional signature
    let end = entry.start + entry.size;
    let local = match read(entry.header + 6)? & HAS_DESCRIPTOR {
        0 => entry.header + 14,
        _ if read(end)? == DESCRIPTOR => end + 4,
        _ => end,
    };
    let listed = entry.listed + 16;
    if read(local)? != entry.crc || read(listed)? != entry.crc {
        return Err("its directory and its entries state different checksums".into());
    }
    Ok([local, listed])
}

/// A file that is written as another is read.
struct Copying<'a> {
    source: &'a File,
    out: BufWriter<Unfinished>,
    /// How much was written.
    at: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Copying<'_> {
    /// Writes everything up to the end of an entry, with other elements in its blocks, and gives its new checksum.
    fn entry(&mut self, entry: &Entry, blocks: Vec<Block>) -> Result<u32, Failed> {
        self.until(entry.start, None)?;
        let mut hasher = Hasher::new();
        for block in blocks {
            self.until(block.start, Some(&mut hasher))?;
            let streamed = stream(&block.data, &mut |part| self.write(part, Some(&mut hasher)));
            streamed.map_err(|broken| match broken {
                Broken::Source(e) => Failed::Weight(block.name, e),
                Broken::Target(e) => Failed::Target(e),
            })?;
        }
        self.until(entry.start + entry.size, Some(&mut hasher))?;
        Ok(hasher.finalize())
    }

    /// Copies up to this place of the source.
    fn until(&mut self, end: u64, mut hasher: Option<&mut Hasher>) -> Result<(), Failed> {
        let mut buffer = vec![0; end.saturating_sub(self.at).min(COPIED as u64) as usize];
        while self.at < end {
            let part = &mut buffer[..(end - self.at).min(COPIED as u64) as usize];
            self.source.read_at(self.at, part).map_err(Failed::Source)?;
            self.write(part, hasher.as_deref_mut()).map_err(Failed::Target)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], hasher: Option<&mut Hasher>) -> io::Result<()> {
        if let Some(hasher) = hasher {
            hasher.update(bytes);
        }
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        (self.progress)(self.at);
        Ok(())
    }
}

/// What could not be read or written.
enum Failed {
    Source(io::Error),
    Weight(String, io::Error),
    Target(io::Error),
}

impl Failed {
    fn told(self, path: &Path, archive: &Path) -> Diagnostic {
        match self {
            Failed::Source(e) => unreadable(archive, &e),
            Failed::Weight(name, e) => unread(&name, &e),
            Failed::Target(e) => unwritable(path, &e),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::new(UNREADABLE_TENSORS, format!("{} cannot be written: {error}", path.display()))
}
