//! What `torch.save` wrote: the pickle is read as inert data, and each tensor becomes a range of the file.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use ir::{Constant, Diagnostic, FileRange, Storage, Tensor};

use crate::entries::Entries;
use crate::pickle::{Pickle, Source, Value};
use crate::state::{self, Found, View};
use crate::{INERT_OBJECTS, NamedTensors, SKIPPED_TENSOR, malformed, unreadable};

/// The largest tensor that repeats its stored elements (with strides of 0), in bytes.
const LARGEST_REPEATED: u64 = 4 << 30;

/// How much of a pickle is in memory at once, in bytes.
const WINDOW: u64 = 64 << 10;

/// The names shown where a list of them is told.
const SHOWN: usize = 8;

/// Where the bytes of a storage lie.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    size: u64,
}

/// What kind of archive its entries make.
pub(crate) enum Kind {
    Checkpoint,
    Program,
}

/// Is the archive at `path` a checkpoint, or a program with its weights? Errs where it is neither.
pub(crate) fn kind(path: &Path) -> Result<Kind, Diagnostic> {
    let names = Entries::names(path)?;
    let is = |tail: &str| names.iter().any(|n| n == tail || n.ends_with(&format!("/{tail}")));
    if is("archive_format") || is("serialized_exported_program.json") {
        return Ok(Kind::Program);
    }
    if is("constants.pkl") {
        return Err(malformed(path, "this is a TorchScript archive (torch.jit.save), which is not read")
            .help("save its weights in Python: torch.save(torch.jit.load(\"model.pt\").state_dict(), \"w.pth\")"));
    }
    if is("data.pkl") {
        return Ok(Kind::Checkpoint);
    }
    Err(malformed(path, "this ZIP archive holds no data.pkl, as every checkpoint of torch.save does"))
}

/// The tensors of a checkpoint in the ZIP form, PyTorch 1.6 and later.
pub(crate) fn read(path: &Path) -> Result<NamedTensors, Diagnostic> {
    let Entries { file, entries, .. } = Entries::open(path)?;
    let pickled = entries.iter().find(|(name, _)| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let (name, pickled) = pickled.ok_or_else(|| malformed(path, "the archive holds no data.pkl"))?;
    let root = name.strip_suffix("data.pkl").expect("it was found by this end").to_string();
    if let Some(order) = entries.get(&format!("{root}byteorder")) {
        let mut text = vec![0; order.size.min(16) as usize];
        file.read_at(order.start, &mut text).map_err(|e| unreadable(path, &e))?;
        if text.trim_ascii() != b"little" {
            return Err(malformed(path, "it was written on a big-endian machine"));
        }
    }
    let mut source = Window::new(file.clone(), pickled.start, pickled.start + pickled.size);
    let pickle = Pickle::read(&mut source).map_err(|why| malformed(path, why))?;
    let found = state::tensors(&pickle).map_err(|why| malformed(path, why))?;
    let places = |view: &View| {
        let entry = format!("{root}data/{}", view.storage.key);
        let found = entries.get(&entry).ok_or_else(|| format!("the archive has no entry {entry}"))?;
        let place = Place { start: found.start, size: found.size };
        Ok((place, format!("{entry} {:08x} {}", found.crc, found.size)))
    };
    assemble(path, &file, &pickle, found, places)
}

/// The first bytes of a checkpoint in the stream form: a pickle of a magic number (torch/serialization.py).
pub(crate) const STREAM: &[u8] =
    &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The tensors of a checkpoint in the stream form, PyTorch 1.5 and earlier: pickles of a magic number, a version, what
/// the machine was like, the object, and a list of keys; then each storage as its number of elements and these.
pub(crate) fn read_stream(path: &Path) -> Result<NamedTensors, Diagnostic> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let length = file.metadata().map_err(|e| unreadable(path, &e))?.len();
    let file = Arc::new(file);
    let mut source = Window::new(file.clone(), STREAM.len() as u64, length);
    let mut next = || Pickle::read(&mut source).map_err(|why| malformed(path, why));
    let version = next()?.root;
    if version != Value::Int(1001) {
        return Err(malformed(path, "it is a stream of another version than 1001"));
    }
    let machine = next()?;
    if machine.flag("little_endian") != Some(true) {
        return Err(malformed(path, "it was written on a big-endian machine"));
    }
    let (pickle, keys) = (next()?, next()?);
    let widths = state::storages(&pickle);
    let mut places = IndexMap::new();
    let mut at = source.position();
    for key in keys.elements(&keys.root).unwrap_or_default() {
        let Value::Text(key) = key else {
            return Err(malformed(path, "the key of a storage is no text"));
        };
        let Some(stored) = widths.get(&**key) else {
            return Err(malformed(path, format!("the storage {key} is of a type that is not read")));
        };
        let mut count = [0; 8];
        file.read_at(at, &mut count).map_err(|e| malformed(path, format!("storage {key}: {e}")))?;
        let size = u64::from_le_bytes(count).checked_mul(stored.width as u64);
        let end = size.and_then(|size| (at + 8).checked_add(size)).filter(|&end| end <= length);
        let (Some(size), Some(end)) = (size, end) else {
            return Err(malformed(path, format!("the storage {key} reaches beyond the end of the file")));
        };
        places.insert(key.to_string(), Place { start: at + 8, size });
        at = end;
    }
    let found = state::tensors(&pickle).map_err(|why| malformed(path, why))?;
    let places = |view: &View| {
        let key = &view.storage.key;
        let place = places.get(key).ok_or_else(|| format!("the file has no storage {key}"))?;
        Ok((*place, format!("{} {}", path.display(), place.start)))
    };
    assemble(path, &file, &pickle, found, places)
}

/// The tensors as ranges of the file. Errs where one lies outside its storage.
fn assemble(
    path: &Path,
    file: &Arc<File>,
    pickle: &Pickle,
    found: Found,
    place: impl Fn(&View) -> Result<(Place, String), String>,
) -> Result<NamedTensors, Diagnostic> {
    let mut tensors = IndexMap::new();
    for (name, view) in found.tensors {
        let constant = place(&view).and_then(|(place, known)| range(file, view, place, &known));
        let constant = constant.map_err(|why| malformed(path, format!("'{name}': {why}")))?;
        tensors.insert(name, constant);
    }
    let mut warnings: Vec<Diagnostic> = (found.skipped.into_iter())
        .map(|(name, why)| Diagnostic::warning(SKIPPED_TENSOR, format!("'{name}' is left out: {why}")))
        .collect();
    let inert: BTreeSet<&str> = pickle.called().filter(|name| !is_known(name)).collect();
    if !inert.is_empty() {
        let shown: Vec<&str> = inert.iter().copied().take(SHOWN).collect();
        let more = inert.len().checked_sub(SHOWN).filter(|&n| n > 0).map(|n| format!(" and {n} more"));
        let message = format!("it asks for {}{}", shown.join(", "), more.unwrap_or_default());
        warnings
            .push(Diagnostic::warning(INERT_OBJECTS, message).note("nothing in a checkpoint is executed"));
    }
    Ok(NamedTensors { tensors, warnings })
}

/// Is it a function that tensors and their containers are made of?
fn is_known(name: &str) -> bool {
    name.starts_with("torch._utils._rebuild")
        || ["collections.OrderedDict", "torch._tensor._rebuild_from_type_v2", "torch.Size"].contains(&name)
        || ["__builtin__.set", "builtins.set", "torch.device", "torch.serialization._get_layout"]
            .contains(&name)
}

/// The range of the file that a view is. Errs where it is not all in its storage.
fn range(file: &Arc<File>, view: View, place: Place, known: &str) -> Result<Constant, String> {
    let View { storage, dtype, offset, sizes, strides } = view;
    if storage.bytes > place.size {
        return Err(format!("its storage should have {} bytes, but has {}", storage.bytes, place.size));
    }
    let width = dtype.bits() / 8;
    let outside = || {
        format!(
            "sizes {sizes:?} with strides {strides:?} from element {offset} of {dtype} do not lie in a storage of {} \
             bytes",
            place.size
        )
    };
    let positive = sizes.iter().filter(|&&n| n > 0).try_fold(width, |all, &n| all.checked_mul(n));
    let bytes = positive.filter(|&b| b as u64 <= place.size.max(LARGEST_REPEATED)).ok_or_else(outside)?;
    if bytes == 0 || sizes.contains(&0) {
        return Ok(Tensor::zeros(dtype, &sizes).into());
    }
    let last = (sizes.iter().zip(&strides))
        .try_fold(offset, |at, (&n, &s)| at.checked_add((n - 1).checked_mul(s)?))
        .and_then(|last| last.checked_add(1)?.checked_mul(width));
    if last.is_none_or(|end| end as u64 > place.size) {
        return Err(outside());
    }
    Ok(Constant::Range(Arc::new(FileRange {
        quant: None,
        checksum: None,
        storage: file.clone(),
        base: place.start + (offset * width) as u64,
        dtype,
        sizes,
        strides,
        fingerprint: format!("checkpoint {known} {offset}"),
    })))
}

/// A stretch of a file that is read forward, a little at a time.
struct Window {
    file: Arc<File>,
    /// What is in memory, and how much of it was taken.
    held: Vec<u8>,
    taken: usize,
    /// Where in the file the next read begins, and where the last one must end.
    next: u64,
    end: u64,
}

impl Window {
    fn new(file: Arc<File>, start: u64, end: u64) -> Self {
        Window { file, held: vec![], taken: 0, next: start.min(end), end }
    }

    /// Where in the file the next byte to be taken lies.
    fn position(&self) -> u64 {
        self.next - (self.held.len() - self.taken) as u64
    }
}

impl Source for Window {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let left = self.held.len() - self.taken;
        if left < count {
            let missing = (count - left) as u64;
            if missing > self.end - self.next {
                return Err("the pickle ends too early".into());
            }
            let more = missing.max(WINDOW).min(self.end - self.next);
            self.held.drain(..self.taken);
            self.taken = 0;
            self.held.resize(left + more as usize, 0);
            self.file
                .read_at(self.next, &mut self.held[left..])
                .map_err(|e| format!("the pickle cannot be read: {e}"))?;
            self.next += more;
        }
        let part = &self.held[self.taken..self.taken + count];
        self.taken += count;
        Ok(part)
    }
}
