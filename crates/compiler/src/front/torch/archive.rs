//! The container of a saved program: a ZIP archive whose entries lie uncompressed in the file.
//!
//! Nothing in an archive is executed and no weight is read here: a weight becomes a range of the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use ir::{Constant, DType, Diagnostic, FileRange, Storage, Tensor};
use serde::de::DeserializeOwned;
use weights::{Directory, Entry};

use super::code::{CANNOT_READ, INVALID_ARCHIVE, NOT_A_PROGRAM, OLD_ARCHIVE, WHICH_MODEL};
use super::program::{ExportedProgram, Payload, PayloadConfig, Symbolic};

/// The largest JSON that is read, in bytes: a program of a million nodes is smaller.
const LARGEST_JSON: u64 = 2 << 30;

/// The largest tensor that repeats its stored elements (with strides of 0), in bytes.
const LARGEST_REPEATED: u64 = 4 << 30;

/// The schema's major version that this module reads.
const SCHEMA: i64 = 8;

/// An open archive.
pub(super) struct Archive {
    file: Arc<File>,
    /// The entries by their names without the root folder.
    entries: IndexMap<String, Entry>,
}

/// The weights and constants of one program: what is stored under each fully qualified name.
pub(super) struct Payloads {
    weights: IndexMap<String, Payload>,
    constants: IndexMap<String, Payload>,
}

impl Archive {
    /// Opens the archive at `path`. Errs in the words of what it is, where it is something else.
    pub(super) fn open(path: &Path) -> Result<Self, Diagnostic> {
        let shown = path.display();
        let file = File::open(path)
            .map_err(|e| Diagnostic::new(CANNOT_READ, format!("{shown} cannot be opened: {e}")))?;
        let length = file.metadata().map(|m| m.len()).unwrap_or(0);
        let directory = Directory::read(&file).map_err(|why| not_a_zip(path, &file, length, why))?;
        let root = root_of(&directory.names())?;
        let all = directory.entries(length).map_err(invalid)?.into_iter();
        let inner = all.filter_map(|(name, entry)| Some((name.strip_prefix(&root)?.to_owned(), entry)));
        let archive = Archive { entries: inner.collect(), file: Arc::new(file) };
        archive.check_generation()?;
        Ok(archive)
    }

    /// Is it of a generation that is read here?
    fn check_generation(&self) -> Result<(), Diagnostic> {
        if let Ok(order) = self.read("byteorder")
            && order.trim_ascii() != b"little"
        {
            return Err(invalid("the archive was written on a big-endian machine"));
        }
        if self.models().is_empty() {
            let aot = self.entries.keys().any(|n| n.starts_with("data/aotinductor/"));
            return Err(if aot {
                not_a_program(
                    "this is an AOTInductor package: compiled code for one machine, without the graph",
                )
            } else {
                invalid("the archive holds no program: it has no entry models/NAME.json")
            });
        }
        let pickled = |folder: &str| {
            self.entries.keys().any(|n| n.starts_with(folder) && n.ends_with(".pt"))
                && !self.entries.keys().any(|n| n.starts_with(folder) && n.ends_with("_config.json"))
        };
        if pickled("data/weights/") || pickled("data/constants/") {
            return Err(too_old("2.8"));
        }
        Ok(())
    }

    /// The names of the programs in the archive.
    pub(super) fn models(&self) -> Vec<&str> {
        let name = |entry: &'_ String| -> Option<(usize, usize)> {
            let inner = entry.strip_prefix("models/")?.strip_suffix(".json")?;
            (!inner.is_empty()).then_some((7, 7 + inner.len()))
        };
        self.entries.keys().filter_map(|e| name(e).map(|(a, b)| &e[a..b])).collect()
    }

    /// The program that is meant: the one called `wanted`, or the only one.
    pub(super) fn choose(&self, wanted: Option<&str>) -> Result<String, Diagnostic> {
        let models = self.models();
        let list = models.join(", ");
        match (wanted, &models[..]) {
            (Some(name), all) if all.contains(&name) => Ok(name.to_owned()),
            (Some(name), _) => {
                Err(Diagnostic::new(WHICH_MODEL, format!("the archive holds no program '{name}'"))
                    .note(format!("it holds {list}")))
            }
            (None, [only]) => Ok((*only).to_owned()),
            (None, _) => {
                Err(Diagnostic::new(WHICH_MODEL, format!("the archive holds {} programs", models.len()))
                    .note(format!("they are {list}"))
                    .help(format!("choose one: --program {}", models[0])))
            }
        }
    }

    /// The program of this name.
    pub(super) fn program(&self, model: &str) -> Result<ExportedProgram, Diagnostic> {
        let program: ExportedProgram = self.json(&format!("models/{model}.json"))?;
        let version = &program.schema_version;
        if version.major != SCHEMA {
            return Err(invalid(format!(
                "the program is written in version {}.{} of PyTorch's export schema; versions {SCHEMA}.x are read",
                version.major, version.minor
            )));
        }
        Ok(program)
    }

    /// What is stored for the program of this name.
    pub(super) fn payloads(&self, model: &str) -> Result<Payloads, Diagnostic> {
        let config = |folder: &str| -> Result<IndexMap<String, Payload>, Diagnostic> {
            let name = format!("data/{folder}/{model}_{folder}_config.json");
            if !self.entries.contains_key(&name) {
                return Ok(IndexMap::new());
            }
            Ok(self.json::<PayloadConfig>(&name)?.config)
        };
        Ok(Payloads { weights: config("weights")?, constants: config("constants")? })
    }

    /// Compares every entry with its checksum, which reads the whole file once.
    pub(super) fn check_sums(&self) -> Vec<Diagnostic> {
        let mut block = vec![0; 4 << 20];
        let mut wrong = Vec::new();
        for (name, entry) in &self.entries {
            let mut hasher = crc32fast::Hasher::new();
            let mut at = 0;
            while at < entry.size {
                let len = (entry.size - at).min(block.len() as u64) as usize;
                if self.file.read_at(entry.start + at, &mut block[..len]).is_err() {
                    break;
                }
                hasher.update(&block[..len]);
                at += len as u64;
            }
            if at < entry.size || hasher.finalize() != entry.crc {
                wrong.push(invalid(format!("the bytes of {name} do not match their checksum")));
            }
        }
        wrong
    }

    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Diagnostic> {
        let bytes = self.read(name)?;
        serde_json::from_slice(&bytes).map_err(|e| invalid(format!("{name} cannot be understood: {e}")))
    }

    /// The bytes of a small entry, compared with their checksum.
    fn read(&self, name: &str) -> Result<Vec<u8>, Diagnostic> {
        let entry =
            self.entries.get(name).ok_or_else(|| invalid(format!("the archive has no entry {name}")))?;
        if entry.size > LARGEST_JSON {
            return Err(invalid(format!("{name} has {} bytes", entry.size)));
        }
        // An entry lies within the file, so this is never more than the file's length.
        let mut bytes = vec![0; entry.size as usize];
        self.file
            .read_at(entry.start, &mut bytes)
            .map_err(|e| Diagnostic::new(CANNOT_READ, format!("{name} cannot be read: {e}")))?;
        if crc32fast::hash(&bytes) != entry.crc {
            return Err(invalid(format!("the bytes of {name} do not match their checksum")));
        }
        Ok(bytes)
    }

    /// The constant that is stored under a fully qualified name. Errs in words where it cannot be read.
    pub(super) fn constant(&self, payloads: &Payloads, fqn: &str) -> Result<Constant, String> {
        let (folder, payload) = payloads.find(fqn).ok_or("the archive does not have it")?;
        if payload.use_pickle {
            return Err(
                "it is stored as a pickle (a tensor subclass or a custom object), and no pickle is executed"
                    .into(),
            );
        }
        let meta = payload.tensor_meta.as_ref().ok_or("it is not a tensor")?;
        if meta.layout != Some(7) {
            return Err("its layout is not strided".into());
        }
        let dtype = dtype(meta.dtype)
            .ok_or_else(|| format!("its dtype is number {}, which is not known", meta.dtype))?;
        let sizes = literals(&meta.sizes).ok_or("a size of it is negative, too large or not a number")?;
        let strides =
            literals(&meta.strides).ok_or("a stride of it is negative, too large or not a number")?;
        if sizes.len() != strides.len() {
            return Err(format!("it has {} sizes but {} strides", sizes.len(), strides.len()));
        }
        let offset = match &meta.storage_offset {
            None => 0,
            Some(offset) => literals(std::slice::from_ref(offset)).ok_or("its offset is not a number")?[0],
        };
        let path = format!("data/{folder}/{}", payload.path_name);
        let entry = self.entries.get(&path).ok_or_else(|| format!("the archive has no entry {path}"))?;
        let width = dtype.bits() / 8;
        let reach =
            reach(&sizes, &strides, offset).ok_or_else(|| format!("its sizes {sizes:?} are too large"))?;
        let bytes: usize = sizes.iter().product::<usize>() * width;
        if bytes as u64 > entry.size.max(LARGEST_REPEATED) {
            return Err(format!("its sizes {sizes:?} repeat {} stored bytes to {bytes}", entry.size));
        }
        if reach == 0 {
            return Ok(Tensor::zeros(dtype, &sizes).into());
        }
        if entry.size == 0 {
            return Err("the archive has no weights: its bytes are missing".into());
        }
        let bytes = (reach as u64).checked_mul(width as u64).filter(|&b| b <= entry.size);
        if bytes.is_none() || !entry.size.is_multiple_of(width as u64) {
            return Err(format!(
                "sizes {sizes:?} with strides {strides:?} from element {offset} of {dtype} do not lie in {path}, \
                 which has {} bytes",
                entry.size
            ));
        }
        Ok(Constant::Range(Arc::new(FileRange {
            quant: None,
            storage: self.file.clone(),
            base: entry.start + (offset * width) as u64,
            dtype,
            sizes,
            strides,
            fingerprint: format!("{path} {:08x} {} {offset}", entry.crc, entry.size),
            checksum: Some(format!("{:08x} {} {offset}", entry.crc, entry.size)),
        })))
    }
}

impl Payloads {
    /// The fully qualified names of parameters and persistent buffers: those of `state_dict`.
    pub(super) fn state(&self) -> impl Iterator<Item = &str> {
        self.weights.keys().map(String::as_str)
    }

    /// The entry in which a tensor lies: two tensors of one entry may share their elements.
    pub(super) fn stored(&self, fqn: &str) -> Option<String> {
        self.find(fqn).map(|(folder, payload)| format!("{folder}/{}", payload.path_name))
    }

    /// Parameters and persistent buffers are weights, all else constants; a name is in one of them.
    fn find(&self, fqn: &str) -> Option<(&'static str, &Payload)> {
        let weight = self.weights.get(fqn).map(|p| ("weights", p));
        weight.or_else(|| self.constants.get(fqn).map(|p| ("constants", p)))
    }
}

/// The elements from the storage's start to behind the tensor's last one; 0 where it has none. `None` where the
/// numbers are too large: also the tensor's own elements must be countable.
fn reach(sizes: &[usize], strides: &[usize], offset: usize) -> Option<usize> {
    let count = sizes.iter().filter(|&&n| n > 0).try_fold(16usize, |all, &n| all.checked_mul(n));
    count.filter(|&bytes| bytes <= isize::MAX as usize)?;
    if sizes.contains(&0) {
        return Some(0);
    }
    let last =
        sizes.iter().zip(strides).try_fold(offset, |at, (&n, &s)| at.checked_add((n - 1).checked_mul(s)?))?;
    last.checked_add(1)
}

/// The ScalarType numbers of the export schema (torch/_export/serde/schema.py), which are not those of c10.
pub(super) fn dtype(number: i64) -> Option<DType> {
    use DType::*;
    Some(match number {
        1 => U8,
        2 => I8,
        3 => I16,
        4 => I32,
        5 => I64,
        6 => F16,
        7 => F32,
        8 => F64,
        9 => C32,
        10 => C64,
        11 => C128,
        12 => Bool,
        13 => Bf16,
        28 => U16,
        29 => F8E4M3Fn,
        30 => F8E5M2,
        31 => F8E4M3Fnuz,
        32 => F8E5M2Fnuz,
        33 => F8E8M0Fnu,
        34 => U32,
        35 => U64,
        _ => return None,
    })
}

fn literals(values: &[Symbolic]) -> Option<Vec<usize>> {
    values
        .iter()
        .map(|v| match v {
            Symbolic::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        })
        .collect()
}

/// The folder that holds everything, with its slash; or what the archive is, where it is something else.
fn root_of(names: &[String]) -> Result<String, Diagnostic> {
    if names.iter().any(|n| n == "serialized_exported_program.json") {
        return Err(too_old("2.7"));
    }
    let root = names.iter().find_map(|n| n.strip_suffix("archive_format")).unwrap_or("");
    if root.len() > 1 && root.ends_with('/') && !root[..root.len() - 1].contains('/') {
        return Ok(root.to_owned());
    }
    let ends = |tail: &str| names.iter().any(|n| n == tail || n.ends_with(&format!("/{tail}")));
    Err(if ends("constants.pkl") {
        not_a_program("this is a TorchScript archive (torch.jit.save), not an exported program")
    } else if ends("data.pkl") {
        not_a_program("this is a checkpoint (torch.save): it holds weights, but no graph")
    } else {
        not_a_program("this ZIP archive holds no program of torch.export")
    })
}

fn not_a_zip(path: &Path, file: &File, length: u64, why: String) -> Diagnostic {
    let mut head = Vec::new();
    let mut from_start = file;
    // A file that cannot be read has no head, and is told so below.
    let _ = from_start.seek(SeekFrom::Start(0)).and_then(|_| from_start.take(16).read_to_end(&mut head));
    if length == 0 {
        return not_a_program("the file is empty");
    }
    if head.starts_with(b"PK\x03\x04") {
        return invalid(format!("{} ends too early or is damaged", path.display()))
            .note(why)
            .help("copy it again");
    }
    if head.get(4..8) == Some(b"TFL3") {
        return not_a_program("this is a .tflite file already");
    }
    if head.get(8) == Some(&b'{') {
        return not_a_program("this is a safetensors file: it holds weights, but no graph");
    }
    if head.starts_with(&[0x80]) {
        return not_a_program(
            "this is a pickle (torch.save of an old version): it holds weights, but no graph",
        );
    }
    not_a_program("this is not a ZIP archive, as every .pt2 is")
}

fn invalid(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(INVALID_ARCHIVE, message)
}

fn not_a_program(message: &str) -> Diagnostic {
    Diagnostic::new(NOT_A_PROGRAM, message)
        .help("export the model: torch.export.save(torch.export.export(model.eval(), example_inputs), \"model.pt2\")")
}

fn too_old(version: &str) -> Diagnostic {
    Diagnostic::new(
        OLD_ARCHIVE,
        format!("the archive was written by PyTorch {version} or earlier, with pickled weights"),
    )
    .help(
        "save it again with PyTorch 2.9 or later: \
             torch.export.save(torch.export.export(model.eval(), example_inputs), \"model.pt2\")",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensors_reach_is_counted_without_overflow() {
        assert_eq!(reach(&[2, 3], &[3, 1], 4), Some(10));
        assert_eq!(reach(&[], &[], 0), Some(1));
        assert_eq!(reach(&[0, 3], &[3, 1], 7), Some(0));
        assert_eq!(reach(&[4, 8], &[0, 1], 0), Some(8));
        assert_eq!(
            reach(&[usize::MAX, 2], &[0, 0], 0),
            None,
            "a repeated element has no bytes, but its copy would"
        );
        assert_eq!(reach(&[2, 2], &[usize::MAX, 1], 0), None);
        assert_eq!(reach(&[1 << 62, 0], &[1, 1], 0), None);
    }
}
