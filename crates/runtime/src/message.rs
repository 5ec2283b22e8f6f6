//! What parent and child say to each other: frames of a length, a kind and fields, all little-endian.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use ir::{DType, Tensor};

use crate::profile::{Event, Place};
use crate::session::{Kernels, Port, Settings, Signature};

/// What the parent asks. The first request is `Open`; the end of the stream asks the child to end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    Open { library: PathBuf, model: PathBuf, settings: Settings },
    Run { inputs: Vec<Tensor> },
    Time { inputs: Vec<Tensor>, repetitions: u64 },
    Profile { inputs: Vec<Tensor> },
}

/// What the child answers. After `Failed` it ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    Opened(Signature),
    Outputs(Vec<Tensor>),
    Times(Vec<f64>),
    Events(Vec<Event>),
    Failed(String),
}

/// Writes one message.
pub(crate) fn send(out: &mut impl Write, message: &impl Wire) -> io::Result<()> {
    let mut body = Vec::new();
    message.put(&mut body);
    out.write_all(&(body.len() as u64).to_le_bytes())?;
    out.write_all(&body)?;
    out.flush()
}

/// Reads one message; `None` at the end of the stream. A frame that is not a message is an error.
pub(crate) fn receive<M: Wire>(from: &mut impl Read) -> io::Result<Option<M>> {
    let mut length = [0; 8];
    let mut have = 0;
    while have < length.len() {
        match from.read(&mut length[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let length = u64::from_le_bytes(length);
    let mut body = Vec::new();
    // Grows with the bytes that come, so that a nonsense length allocates nothing.
    if from.take(length).read_to_end(&mut body)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut rest = body.as_slice();
    let message = M::take(&mut rest).filter(|_| rest.is_empty());
    message.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is not a message"))
}

/// A value as bytes.
pub(crate) trait Wire: Sized {
    /// Appends the value.
    fn put(&self, to: &mut Vec<u8>);
    /// Takes the value off the front; `None` where the bytes are not one.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($t:ty)*) => { $(impl Wire for $t {
        fn put(&self, to: &mut Vec<u8>) {
            to.extend(self.to_le_bytes());
        }
        fn take(from: &mut &[u8]) -> Option<Self> {
            let (head, rest) = from.split_first_chunk()?;
            *from = rest;
            Some(<$t>::from_le_bytes(*head))
        }
    })* };
}
numbers!(u8 u32 u64 f64);

impl Wire for usize {
    fn put(&self, to: &mut Vec<u8>) {
        (*self as u64).put(to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        usize::try_from(u64::take(from)?).ok()
    }
}

impl Wire for bool {
    fn put(&self, to: &mut Vec<u8>) {
        u8::from(*self).put(to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(u8::take(from)? != 0)
    }
}

/// Bytes with their number before them.
fn put_bytes(bytes: &[u8], to: &mut Vec<u8>) {
    bytes.len().put(to);
    to.extend(bytes);
}

fn take_bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = usize::take(from)?;
    let (head, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(head)
}

impl Wire for String {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        String::from_utf8(take_bytes(from)?.to_vec()).ok()
    }
}

impl Wire for PathBuf {
    fn put(&self, to: &mut Vec<u8>) {
        put_bytes(self.as_os_str().as_bytes(), to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(PathBuf::from(OsString::from_vec(take_bytes(from)?.to_vec())))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        if bool::take(from)? { Some(Some(T::take(from)?)) } else { Some(None) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.len().put(to);
        self.iter().for_each(|value| value.put(to));
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let count = usize::take(from)?;
        // Every value takes a byte at least, so a greater number is nonsense.
        if count > from.len() {
            return None;
        }
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl Wire for DType {
    fn put(&self, to: &mut Vec<u8>) {
        self.name().to_owned().put(to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        String::take(from)?.parse().ok()
    }
}

impl Wire for Tensor {
    fn put(&self, to: &mut Vec<u8>) {
        self.dtype().put(to);
        self.sizes().to_vec().put(to);
        put_bytes(self.bytes(), to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let dtype = DType::take(from)?;
        let sizes = Vec::<usize>::take(from)?;
        let bytes = take_bytes(from)?;
        let count = sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
        // Looked at before the tensor is made, which allocates.
        if count.checked_mul(dtype.bits())?.div_ceil(8) != bytes.len() {
            return None;
        }
        Tensor::from_bytes(dtype, &sizes, bytes)
    }
}

macro_rules! structures {
    ($($name:ident { $($field:ident),* })*) => { $(impl Wire for $name {
        fn put(&self, to: &mut Vec<u8>) {
            $(self.$field.put(to);)*
        }
        fn take(from: &mut &[u8]) -> Option<Self> {
            Some($name { $($field: Wire::take(from)?),* })
        }
    })* };
}
structures! {
    Settings { kernels, threads, profiling }
    Signature { key, inputs, outputs, fully_accelerated }
    Port { name, dtype, sizes }
    Event { name, place, microseconds, node }
}

macro_rules! choices {
    ($($name:ident { $($number:literal $variant:ident $({ $($field:ident),* })? $(($inner:ident))?),* $(,)? })*) => {
        $(impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                match self {
                    $($name::$variant $({ $($field),* })? $(($inner))? => {
                        to.push($number);
                        $($($field.put(to);)*)?
                        $($inner.put(to);)?
                    })*
                }
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(match u8::take(from)? {
                    $($number => $name::$variant
                        $({ $($field: Wire::take(from)?),* })?
                        $(({ let $inner = Wire::take(from)?; $inner }))?,)*
                    _ => return None,
                })
            }
        })*
    };
}
choices! {
    Kernels { 0 Xnnpack, 1 Builtin }
    Place { 0 Builtin, 1 Delegate }
    Request {
        0 Open { library, model, settings },
        1 Run { inputs },
        2 Time { inputs, repetitions },
        3 Profile { inputs },
    }
    Reply { 0 Opened(signature), 1 Outputs(tensors), 2 Times(seconds), 3 Events(events), 4 Failed(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Request> {
        let inputs = vec![Tensor::new(&[2], &[1.5f32, f32::NAN]), Tensor::scalar(DType::Bool, 1.0)];
        let settings = Settings { kernels: Kernels::Builtin, threads: 3, profiling: true };
        vec![
            Request::Open { library: "a/b".into(), model: "c".into(), settings },
            Request::Run { inputs: vec![] },
            Request::Time { inputs, repetitions: 7 },
        ]
    }

    fn bytes(message: &impl Wire) -> Vec<u8> {
        let mut bytes = Vec::new();
        send(&mut bytes, message).unwrap();
        bytes
    }

    #[test]
    fn what_is_sent_is_received() {
        for message in examples() {
            let sent = bytes(&message);
            let back = receive::<Request>(&mut sent.as_slice()).unwrap().unwrap();
            assert_eq!(bytes(&back), sent);
        }
        let port = Port { name: "x".into(), dtype: DType::I64, sizes: vec![Some(3), None] };
        let signature =
            Signature { key: "k".into(), inputs: vec![port], outputs: vec![], fully_accelerated: true };
        let reply = Reply::Opened(signature);
        assert_eq!(receive::<Reply>(&mut bytes(&reply).as_slice()).unwrap(), Some(reply));
        assert_eq!(receive::<Reply>(&mut [].as_slice()).unwrap(), None);
    }

    #[test]
    fn a_damaged_message_is_an_error_and_allocates_little() {
        for message in examples() {
            let whole = bytes(&message);
            for cut in 1..whole.len() {
                assert!(receive::<Request>(&mut &whole[..cut]).is_err(), "cut at {cut}");
            }
            for at in 0..whole.len() {
                let mut bent = whole.clone();
                bent[at] ^= 0xff;
                // Any verdict will do but a panic or an enormous allocation.
                let _ = receive::<Request>(&mut bent.as_slice());
            }
        }
    }
}
