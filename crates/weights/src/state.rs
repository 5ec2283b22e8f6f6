//! The tensors that a pickled object holds, each under the path that leads to it: `model.conv.weight`.

use indexmap::IndexMap;
use ir::DType;

use crate::pickle::{Call, Object, Pickle, Value};

/// The deepest nesting of dicts, lists and modules that is followed.
const DEPTH: usize = 200;

/// The most values that are looked at. An object that is shared is looked at under each of its names.
const VISITS: usize = 1 << 20;

/// A tensor as PyTorch pickles it: elements of a storage.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    pub(crate) storage: Stored,
    pub(crate) dtype: DType,
    /// The first element, in elements from the storage's start.
    pub(crate) offset: usize,
    pub(crate) sizes: Vec<usize>,
    /// In elements.
    pub(crate) strides: Vec<usize>,
}

/// The bytes that tensors may share.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) key: String,
    /// What the pickle says that it has.
    pub(crate) bytes: u64,
    /// The size of what it counts: an element, or a byte.
    pub(crate) width: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) tensors: IndexMap<String, View>,
    /// What is no tensor that can be read, and why.
    pub(crate) skipped: Vec<(String, String)>,
}

/// The tensors in `pickle`. Errs where it is nested too deeply, or holds too much.
pub(crate) fn tensors(pickle: &Pickle) -> Result<Found, String> {
    let mut walk = Walk { pickle, found: Found::default(), path: vec![], visits: 0 };
    walk.visit("", &pickle.root)?;
    Ok(walk.found)
}

/// The storage that a persistent id stands for: `('storage', torch.FloatStorage, key, location, elements)`. Its dtype
/// is `None` where it counts bytes.
pub(crate) fn storage(pickle: &Pickle, id: &Value) -> Result<(Stored, Option<DType>), String> {
    let Some([Value::Text(tag), Value::Global(class), Value::Text(key), _, Value::Int(count), ..]) =
        pickle.elements(id)
    else {
        return Err("its storage is not named in PyTorch's way".into());
    };
    let dtype = match &**class {
        "torch.storage.UntypedStorage" | "torch.UntypedStorage" => None,
        class => Some(stored_dtype(class).ok_or_else(|| format!("its elements are a {class}"))?),
    };
    let width = dtype.map_or(1, |d| d.bits() / 8);
    let bytes = u64::try_from(*count).ok().and_then(|n| n.checked_mul(width as u64));
    match (&**tag, bytes) {
        ("storage", Some(bytes)) => Ok((Stored { key: key.to_string(), bytes, width }, dtype)),
        _ => Err("its storage is not named in PyTorch's way".into()),
    }
}

/// Every storage that the pickle names, by its key. What is of a type that is not read is left out.
pub(crate) fn storages(pickle: &Pickle) -> IndexMap<String, Stored> {
    let named = pickle.persistent().filter_map(|id| storage(pickle, id).ok());
    named.map(|(stored, _)| (stored.key.clone(), stored)).collect()
}

struct Walk<'a> {
    pickle: &'a Pickle,
    found: Found,
    /// The objects that lead to the one looked at: what contains itself is not entered again.
    path: Vec<usize>,
    visits: usize,
}

/// What a `torch.nn.Module` consists of.
struct Module<'a> {
    parameters: &'a [(Value, Value)],
    buffers: &'a [(Value, Value)],
    /// The names of buffers that are not saved.
    transient: &'a [Value],
    modules: &'a [(Value, Value)],
}

impl<'a> Walk<'a> {
    fn visit(&mut self, name: &str, value: &'a Value) -> Result<(), String> {
        let (Value::Object(at), Some(object)) = (value, self.pickle.object(value)) else { return Ok(()) };
        self.visits += 1;
        if self.visits > VISITS {
            return Err(format!("it holds more than {VISITS} values"));
        }
        if self.path.contains(at) {
            return Ok(());
        }
        if self.path.len() == DEPTH {
            return Err(format!("it is nested more than {DEPTH} levels deep"));
        }
        self.path.push(*at);
        match object {
            Object::Dict(entries) => self.entries(name, entries)?,
            Object::List(all) | Object::Tuple(all) => {
                for (i, element) in all.iter().enumerate() {
                    self.visit(&joined(name, &i.to_string()), element)?;
                }
            }
            Object::Persistent(_) => {}
            Object::Call(call) => self.result(name, call)?,
        }
        self.path.pop();
        Ok(())
    }

    fn entries(&mut self, name: &str, entries: &'a [(Value, Value)]) -> Result<(), String> {
        for (key, value) in entries {
            match key {
                Value::Text(key) => self.visit(&joined(name, key), value)?,
                Value::Int(key) => self.visit(&joined(name, &key.to_string()), value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What a call would have given.
    fn result(&mut self, name: &str, call: &'a Call) -> Result<(), String> {
        if let Some(tensor) = tensor(self.pickle, call, 0) {
            self.keep(name, tensor);
            return Ok(());
        }
        self.entries(name, &call.items)?;
        if self.pickle.global(&call.function) == Some("collections.OrderedDict") {
            // Older versions give the entries as a list of pairs; the state is `_metadata`, which holds versions.
            let listed = self.pickle.elements(&call.arguments).and_then(|a| self.pickle.elements(a.first()?));
            for pair in listed.unwrap_or_default() {
                if let Some([Value::Text(key), value]) = self.pickle.elements(pair) {
                    self.visit(&joined(name, key), value)?;
                }
            }
            return Ok(());
        }
        let Some(state) = &call.state else { return Ok(()) };
        let Some(Object::Dict(members)) = self.pickle.object(state) else { return self.visit(name, state) };
        match self.module(members) {
            Some(module) => self.parts(name, &module),
            None => self.entries(name, members),
        }
    }

    /// The parameters, buffers and submodules of a `torch.nn.Module`, where these members are one's.
    fn module(&self, members: &'a [(Value, Value)]) -> Option<Module<'a>> {
        // A set is pickled as a list of its elements, to be called with.
        let transient =
            member(members, "_non_persistent_buffers_set").and_then(|set| match self.pickle.object(set)? {
                Object::Call(call) => self.pickle.elements(self.pickle.elements(&call.arguments)?.first()?),
                _ => self.pickle.elements(set),
            });
        Some(Module {
            parameters: self.dict(member(members, "_parameters")?)?,
            buffers: self.dict(member(members, "_buffers")?)?,
            transient: transient.unwrap_or_default(),
            modules: self.dict(member(members, "_modules")?)?,
        })
    }

    /// As `state_dict` names them; as there, buffers that are not persistent are left out.
    fn parts(&mut self, name: &str, module: &Module<'a>) -> Result<(), String> {
        self.entries(name, module.parameters)?;
        for buffer in module.buffers.iter().filter(|(key, _)| !module.transient.contains(key)) {
            self.entries(name, std::slice::from_ref(buffer))?;
        }
        self.entries(name, module.modules)
    }

    /// The entries of a dict or an `OrderedDict`.
    fn dict(&self, value: &'a Value) -> Option<&'a [(Value, Value)]> {
        match self.pickle.object(value)? {
            Object::Dict(entries) => Some(entries),
            Object::Call(call) if self.pickle.global(&call.function)? == "collections.OrderedDict" => {
                Some(&call.items)
            }
            _ => None,
        }
    }

    fn keep(&mut self, name: &str, tensor: Result<View, String>) {
        let name = if name.is_empty() { "tensor" } else { name };
        match tensor {
            Err(why) => self.found.skipped.push((name.into(), why)),
            Ok(_) if self.found.tensors.contains_key(name) => {
                self.found.skipped.push((name.into(), "another tensor has this name".into()));
            }
            Ok(view) => drop(self.found.tensors.insert(name.into(), view)),
        }
    }
}

fn member<'a>(members: &'a [(Value, Value)], name: &str) -> Option<&'a Value> {
    members.iter().rev().find(|(key, _)| matches!(key, Value::Text(key) if &**key == name)).map(|(_, v)| v)
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }
}

/// The tensor that a call would have rebuilt; `None` where it rebuilds none. `wrapped` counts the calls around it.
fn tensor(pickle: &Pickle, call: &Call, wrapped: usize) -> Option<Result<View, String>> {
    let name = pickle.global(&call.function)?;
    let arguments = pickle.elements(&call.arguments).unwrap_or_default();
    match (name, arguments) {
        ("torch._utils._rebuild_tensor_v2", [id, offset, sizes, strides, _, _, rest @ ..]) => {
            Some(view(pickle, [id, offset, sizes, strides], None, rest.first()))
        }
        ("torch._utils._rebuild_tensor_v3", [id, offset, sizes, strides, _, _, dtype, rest @ ..]) => {
            Some(view(pickle, [id, offset, sizes, strides], Some(dtype), rest.first()))
        }
        ("torch._utils._rebuild_parameter", [data, _, _])
        | ("torch._utils._rebuild_parameter_with_state", [data, _, _, _]) => {
            let inner = match pickle.object(data) {
                Some(Object::Call(inner)) if wrapped < 4 => tensor(pickle, inner, wrapped + 1),
                _ => None,
            };
            Some(inner.unwrap_or_else(|| Err("it is a Parameter without a tensor".into())))
        }
        ("torch._tensor._rebuild_from_type_v2", [function, class, arguments, _]) => {
            let class = pickle.global(class).unwrap_or("an unknown class");
            let plain = ["torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"]
                .contains(&class);
            if !plain || wrapped == 4 {
                return Some(Err(format!("it is a {class}, whose elements only that class can tell")));
            }
            let (function, arguments) = (function.clone(), arguments.clone());
            let inner = Call { function, arguments, state: None, items: vec![] };
            tensor(pickle, &inner, wrapped + 1)
        }
        (name, _) if name.starts_with("torch._utils._rebuild") => {
            Some(Err(format!("it is made by {name}, which is not read")))
        }
        _ => None,
    }
}

fn view(
    pickle: &Pickle,
    [id, offset, sizes, strides]: [&Value; 4],
    dtype: Option<&Value>,
    metadata: Option<&Value>,
) -> Result<View, String> {
    let Some(Object::Persistent(id)) = pickle.object(id) else {
        return Err("its storage is not in the file".into());
    };
    let (storage, stored) = storage(pickle, id)?;
    let dtype = match dtype {
        Some(value) => {
            let name = pickle.global(value).unwrap_or("not named");
            named_dtype(name).ok_or_else(|| format!("its dtype is {name}"))?
        }
        None => stored.ok_or("its dtype is not named")?,
    };
    // A view may be marked to be conjugated or negated when it is read.
    if let Some(Object::Dict(marks)) = metadata.and_then(|m| pickle.object(m))
        && marks.iter().any(|(_, mark)| *mark != Value::Bool(false))
    {
        return Err("it is a view that is conjugated or negated when it is used".into());
    }
    let numbers = |value| -> Option<Vec<usize>> {
        pickle.elements(value)?.iter().map(number).collect::<Option<Vec<usize>>>()
    };
    let (Some(offset), Some(sizes), Some(strides)) = (number(offset), numbers(sizes), numbers(strides))
    else {
        return Err("a size, stride or offset of it is no natural number".into());
    };
    if sizes.len() != strides.len() {
        return Err(format!("it has {} sizes but {} strides", sizes.len(), strides.len()));
    }
    Ok(View { storage, dtype, offset, sizes, strides })
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    }
}

/// The dtype of a typed storage (torch/__init__.py, torch/storage.py). Quantized ones need a scale that is elsewhere.
fn stored_dtype(class: &str) -> Option<DType> {
    let class = class.strip_prefix("torch.cuda.").or_else(|| class.strip_prefix("torch."))?;
    Some(match class {
        "BoolStorage" => DType::Bool,
        "ByteStorage" => DType::U8,
        "CharStorage" => DType::I8,
        "ShortStorage" => DType::I16,
        "IntStorage" => DType::I32,
        "LongStorage" => DType::I64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::Bf16,
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "ComplexFloatStorage" => DType::C64,
        "ComplexDoubleStorage" => DType::C128,
        _ => return None,
    })
}

/// The dtype of this name in Python.
fn named_dtype(name: &str) -> Option<DType> {
    Some(match name.strip_prefix("torch.")? {
        "bool" => DType::Bool,
        "uint8" => DType::U8,
        "int8" => DType::I8,
        "int16" => DType::I16,
        "uint16" => DType::U16,
        "int32" => DType::I32,
        "uint32" => DType::U32,
        "int64" => DType::I64,
        "uint64" => DType::U64,
        "float16" => DType::F16,
        "bfloat16" => DType::Bf16,
        "float32" => DType::F32,
        "float64" => DType::F64,
        "float8_e4m3fn" => DType::F8E4M3Fn,
        "float8_e5m2" => DType::F8E5M2,
        "float8_e4m3fnuz" => DType::F8E4M3Fnuz,
        "float8_e5m2fnuz" => DType::F8E5M2Fnuz,
        "float8_e8m0fnu" => DType::F8E8M0Fnu,
        "complex32" => DType::C32,
        "complex64" => DType::C64,
        "complex128" => DType::C128,
        _ => return None,
    })
}
