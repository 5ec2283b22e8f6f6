//! Pickles as inert data: what a pickle would call is written down, and nothing is called.
//!
//! A pickle is a program for a stack machine. Here `GLOBAL` gives a name, `REDUCE` gives "this name called with these
//! arguments", `BUILD` adds a state to that, and that is all. The opcodes are those of protocols 2 to 5 (CPython's
//! `Lib/pickletools.py`).

use std::collections::BTreeMap;
use std::sync::Arc;

/// The most opcodes that are run. The state dict of a model takes some 40 for each tensor.
const STEPS: usize = 1 << 23;

/// The most bytes that all texts have together.
const TEXT: usize = 256 << 20;

/// A stream of bytes of known end.
pub(crate) trait Source {
    /// The next `count` bytes. Errs where they are not there.
    fn take(&mut self, count: usize) -> Result<&[u8], String>;
}

impl Source for &[u8] {
    fn take(&mut self, count: usize) -> Result<&[u8], String> {
        let (head, tail) = self.split_at_checked(count).ok_or("the pickle ends too early")?;
        *self = tail;
        Ok(head)
    }
}

/// What an opcode leaves on the stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// Bytes, or an integer beyond 64 bits: nothing that a tensor needs.
    Opaque,
    /// A class or function, as `module.name`.
    Global(Arc<str>),
    /// What can be shared and can change.
    Object(usize),
}

/// Something with parts.
#[derive(Debug)]
pub(crate) enum Object {
    /// A list, or a set.
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// What stands elsewhere in the file, by its id.
    Persistent(Value),
    Call(Box<Call>),
}

/// A call that was not made, with what was done to its result.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) function: Value,
    pub(crate) arguments: Value,
    /// What `BUILD` gave it.
    pub(crate) state: Option<Value>,
    /// What was set in it, where it is like a dict.
    pub(crate) items: Vec<(Value, Value)>,
}

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle {
    objects: Vec<Object>,
    /// What it is the pickle of.
    pub(crate) root: Value,
}

impl Pickle {
    /// Reads one pickle and no byte behind it. Errs where it is malformed, or larger than any checkpoint's.
    pub(crate) fn read(source: &mut dyn Source) -> Result<Self, String> {
        let mut machine = Machine::new(source);
        for _ in 0..STEPS {
            if let Some(root) = machine.step()? {
                return Ok(Pickle { objects: machine.objects, root });
            }
        }
        Err(format!("the pickle has more than {STEPS} opcodes"))
    }

    /// The parts of a value that has any.
    pub(crate) fn object(&self, value: &Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(*at),
            _ => None,
        }
    }

    /// The elements of a tuple or list.
    pub(crate) fn elements(&self, value: &Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(all) | Object::List(all) => Some(all),
            _ => None,
        }
    }

    /// The name of a class or function.
    pub(crate) fn global<'a>(&self, value: &'a Value) -> Option<&'a str> {
        match value {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// Every function that the pickle wants called, once for each call.
    pub(crate) fn called(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().filter_map(|object| match object {
            Object::Call(call) => self.global(&call.function),
            _ => None,
        })
    }

    /// The ids of all that stands elsewhere in the file.
    pub(crate) fn persistent(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter_map(|object| match object {
            Object::Persistent(id) => Some(id),
            _ => None,
        })
    }

    /// The truth value under this key, where a dict was pickled.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let Some(Object::Dict(entries)) = self.object(&self.root) else { return None };
        entries.iter().find_map(|entry| match entry {
            (Value::Text(name), Value::Bool(flag)) if &**name == key => Some(*flag),
            _ => None,
        })
    }
}

struct Machine<'a> {
    source: &'a mut dyn Source,
    stack: Vec<Value>,
    /// Where on the stack the open brackets are.
    marks: Vec<usize>,
    memo: BTreeMap<u64, Value>,
    objects: Vec<Object>,
    /// The bytes that texts have so far.
    text: usize,
}

impl<'a> Machine<'a> {
    fn new(source: &'a mut dyn Source) -> Self {
        Machine { source, stack: vec![], marks: vec![], memo: BTreeMap::new(), objects: vec![], text: 0 }
    }

    /// Runs one opcode. Gives the pickled value at the last.
    fn step(&mut self) -> Result<Option<Value>, String> {
        let opcode = self.source.take(1)?[0];
        match opcode {
            // PROTO, FRAME: how what follows is cut up.
            0x80 => drop(self.source.take(1)?),
            0x95 => drop(self.source.take(8)?),
            // STOP
            b'.' => return self.pop().map(Some),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'J' | b'K' | b'M' | b'I' | b'L' | 0x8a | 0x8b => {
                let value = self.integer(opcode)?;
                self.push(value);
            }
            // BINFLOAT
            b'G' => {
                let bytes = self.source.take(8)?.try_into().expect("eight bytes were taken");
                self.push(Value::Float(f64::from_be_bytes(bytes)));
            }
            b'X' | 0x8c | 0x8d | b'U' | b'T' => {
                let length = self.length(opcode)?;
                let text = self.text(length)?;
                self.push(Value::Text(text));
            }
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.length(opcode)?;
                self.skip(length)?;
                self.push(Value::Opaque);
            }
            b'q' | b'r' | b'h' | b'j' | 0x94 => self.remember(opcode)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' | b'1' | b'2' => self.discard(opcode)?,
            b']' | 0x8f => self.create(Object::List(vec![])),
            b')' => self.create(Object::Tuple(vec![])),
            b'}' => self.create(Object::Dict(vec![])),
            b't' | b'l' | 0x91 | b'd' | 0x85 | 0x86 | 0x87 => self.gather(opcode)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(opcode)?,
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' => self.call(opcode)?,
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                self.create(Object::Persistent(id));
            }
            other => {
                return Err(format!("the pickle has an opcode {other:#04x}, which PyTorch does not write"));
            }
        }
        Ok(None)
    }

    fn integer(&mut self, opcode: u8) -> Result<Value, String> {
        Ok(match opcode {
            // BININT, BININT1, BININT2
            b'J' => Value::Int(i64::from(self.number::<4>()? as u32 as i32)),
            b'K' => Value::Int(self.number::<1>()? as i64),
            b'M' => Value::Int(self.number::<2>()? as i64),
            // INT and LONG: decimal digits in a line.
            b'I' | b'L' => match &*self.line()? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => digits.trim_end_matches('L').parse().map_or(Value::Opaque, Value::Int),
            },
            // LONG1, LONG4: two's complement.
            _ => {
                let length = if opcode == 0x8a { self.number::<1>()? } else { self.number::<4>()? };
                if length > 8 {
                    self.skip(length)?;
                    return Ok(Value::Opaque);
                }
                let bytes = self.source.take(length as usize)?;
                let fill = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
                let mut wide = [fill; 8];
                wide[..bytes.len()].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
        })
    }

    /// BINUNICODE and its kin: how many bytes follow.
    fn length(&mut self, opcode: u8) -> Result<u64, String> {
        match opcode {
            0x8c | b'U' | b'C' => self.number::<1>(),
            b'X' | b'T' | b'B' => self.number::<4>(),
            _ => self.number::<8>(),
        }
    }

    /// BINPUT, LONG_BINPUT, MEMOIZE; BINGET, LONG_BINGET.
    fn remember(&mut self, opcode: u8) -> Result<(), String> {
        let at = match opcode {
            b'q' | b'h' => self.number::<1>()?,
            b'r' | b'j' => self.number::<4>()?,
            _ => self.memo.len() as u64,
        };
        if matches!(opcode, b'h' | b'j') {
            let value = self.memo.get(&at).ok_or_else(|| format!("the pickle has no memo {at}"))?.clone();
            self.push(value);
            return Ok(());
        }
        let value = self.top()?.clone();
        self.memo.insert(at, value);
        Ok(())
    }

    /// POP, POP_MARK, DUP.
    fn discard(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // POP closes a bracket that holds nothing.
            b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.bracket()?),
            _ => self.push(self.top()?.clone()),
        }
        Ok(())
    }

    /// TUPLE, LIST, FROZENSET, DICT, TUPLE1, TUPLE2, TUPLE3.
    fn gather(&mut self, opcode: u8) -> Result<(), String> {
        let object = match opcode {
            b't' => Object::Tuple(self.bracket()?),
            b'l' | 0x91 => Object::List(self.bracket()?),
            b'd' => Object::Dict(pairs(self.bracket()?)?),
            _ => {
                let count = usize::from(opcode - 0x84);
                let mut elements = vec![Value::None; count];
                for slot in elements.iter_mut().rev() {
                    *slot = self.pop()?;
                }
                Object::Tuple(elements)
            }
        };
        self.create(object);
        Ok(())
    }

    /// APPEND, APPENDS, ADDITEMS, SETITEM, SETITEMS.
    fn extend(&mut self, opcode: u8) -> Result<(), String> {
        let values = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.bracket()?,
        };
        let is_dict = matches!(opcode, b's' | b'u');
        match (self.top_object()?, is_dict) {
            (Object::List(all), false) => all.extend(values),
            (Object::Dict(all), true) => all.extend(pairs(values)?),
            (Object::Call(call), true) => call.items.extend(pairs(values)?),
            // A class derived from a list: it holds no tensor that has a name.
            (Object::Call(_), false) => {}
            _ => return Err("the pickle puts elements into what is no container".into()),
        }
        Ok(())
    }

    /// GLOBAL, STACK_GLOBAL, REDUCE, NEWOBJ, NEWOBJ_EX, BUILD: written down, not done.
    fn call(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(format!("{module}.{name}").into()));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) = (name, module) else {
                    return Err("the pickle names a class by what is no text".into());
                };
                self.count(module.len() + name.len())?;
                self.push(Value::Global(format!("{module}.{name}").into()));
            }
            b'b' => {
                let state = self.pop()?;
                // The state of a plain container is of no interest.
                if let Object::Call(call) = self.top_object()? {
                    call.state = Some(state);
                }
            }
            _ => {
                if opcode == 0x92 {
                    self.pop()?;
                }
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.create(Object::Call(Box::new(Call { function, arguments, state: None, items: vec![] })));
            }
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn create(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Value, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let value = (self.stack.len() > floor).then(|| self.stack.pop()).flatten();
        value.ok_or_else(|| "the pickle takes from an empty stack".into())
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack.last().ok_or_else(|| "the pickle looks at an empty stack".into())
    }

    fn top_object(&mut self) -> Result<&mut Object, String> {
        let at = match self.top()? {
            Value::Object(at) => *at,
            _ => return Err("the pickle changes what has no parts".into()),
        };
        Ok(&mut self.objects[at])
    }

    /// What lies above the last open bracket, which is closed.
    fn bracket(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("the pickle closes a bracket that was not opened")?;
        Ok(self.stack.split_off(mark))
    }

    /// An unsigned little-endian number.
    fn number<const N: usize>(&mut self) -> Result<u64, String> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(self.source.take(N)?);
        Ok(u64::from_le_bytes(wide))
    }

    fn text(&mut self, length: u64) -> Result<Arc<str>, String> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.count(length)?;
        let bytes = self.source.take(length)?;
        Ok(String::from_utf8_lossy(bytes).into())
    }

    /// Texts take so many bytes more.
    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.text = self.text.saturating_add(bytes);
        if self.text > TEXT {
            return Err(format!("the pickle has more than {} MB of text", TEXT >> 20));
        }
        Ok(())
    }

    /// Text up to the end of the line.
    fn line(&mut self) -> Result<String, String> {
        let mut line = vec![];
        loop {
            match self.source.take(1)?[0] {
                b'\n' => break,
                byte => line.push(byte),
            }
            self.count(1)?;
        }
        String::from_utf8(line).map_err(|_| "the pickle has a name that is not UTF-8".into())
    }

    fn skip(&mut self, mut length: u64) -> Result<(), String> {
        while length > 0 {
            let part = length.min(4096);
            self.source.take(part as usize)?;
            length -= part;
        }
        Ok(())
    }
}

/// Keys with their values.
fn pairs(values: Vec<Value>) -> Result<Vec<(Value, Value)>, String> {
    if !values.len().is_multiple_of(2) {
        return Err("the pickle has a key without a value".into());
    }
    let mut values = values.into_iter();
    let mut pairs = Vec::with_capacity(values.len() / 2);
    while let (Some(key), Some(value)) = (values.next(), values.next()) {
        pairs.push((key, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> Result<Pickle, String> {
        Pickle::read(&mut bytes)
    }

    #[test]
    fn a_call_is_written_down() {
        // protocol 2 of `os.system("true")`
        let pickle = read(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.").unwrap();
        assert_eq!(pickle.called().collect::<Vec<_>>(), ["posix.system"]);
    }

    #[test]
    fn numbers_are_read_with_their_sign() {
        for (bytes, expected) in [
            (&b"J\xff\xff\xff\xff."[..], Value::Int(-1)),
            (b"K\xff.", Value::Int(255)),
            (b"M\x00\x01.", Value::Int(256)),
            (b"\x8a\x01\x80.", Value::Int(-128)),
            (b"\x8a\x00.", Value::Int(0)),
            (b"\x8a\x09\0\0\0\0\0\0\0\0\x01.", Value::Opaque),
            (b"I01\n.", Value::Bool(true)),
            (b"L12L\n.", Value::Int(12)),
            (b"G\x3f\xf8\0\0\0\0\0\0.", Value::Float(1.5)),
        ] {
            assert_eq!(read(bytes).unwrap().root, expected, "{bytes:?}");
        }
    }

    #[test]
    fn malformed_pickles_are_refused() {
        for bytes in [
            &b"."[..],
            b"t.",
            b"(K\x01u.",
            b"}K\x01s.",
            b"K\x01K\x02a.",
            b"h\x07.",
            b"(0(.",
            b"R.",
            b"N",
            b"X\xff\xff\xff\xff",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
            b"cposix",
            b"\x82\x01.",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
