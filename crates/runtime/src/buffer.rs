//! The memory of one input or output on LiteRT's side.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::Rc;

use ir::{DType, Tensor};

use crate::error::Error;
use crate::ffi::{self, Api};
use crate::handle::{Handle, check};

/// A tensor's memory on LiteRT's side.
#[derive(Clone)]
pub(crate) struct Buffer {
    // Shared where two ports are one tensor.
    pub(crate) handle: Rc<Handle>,
    pub(crate) dtype: DType,
    pub(crate) sizes: Vec<usize>,
}

impl Buffer {
    pub(crate) fn write(&self, api: &Api, tensor: &Tensor) -> Result<(), Error> {
        self.locked(api, ffi::LOCK_WRITE, |memory, len| {
            let bytes = tensor.bytes();
            if bytes.len() != len {
                return Err(self.size_differs(bytes.len(), len));
            }
            // SAFETY: `memory` is writable for `len` bytes while it is locked, and is not ours.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory, len) };
            Ok(())
        })
    }

    pub(crate) fn read(&self, api: &Api) -> Result<Tensor, Error> {
        self.locked(api, ffi::LOCK_READ, |memory, len| {
            // SAFETY: `memory` is readable for `len` bytes while it is locked; a model has no other thread
            // running once `LiteRtRunCompiledModel` has returned.
            let bytes = unsafe { std::slice::from_raw_parts(memory, len) };
            let tensor = Tensor::from_bytes(self.dtype, &self.sizes, bytes);
            tensor.ok_or_else(|| self.size_differs(self.dtype.bytes(self.sizes.iter().product()), len))
        })
    }

    fn size_differs(&self, ours: usize, theirs: usize) -> Error {
        let Buffer { dtype, sizes, .. } = self;
        Error::Unsupported(format!("a tensor {dtype}{sizes:?} of {ours} bytes has {theirs} bytes in LiteRT"))
    }

    /// Gives `act` the address and the length of the memory while it is locked.
    fn locked<T>(
        &self,
        api: &Api,
        mode: c_int,
        act: impl FnOnce(*mut u8, usize) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut len = 0;
        // SAFETY: the buffer is alive, the number is ours.
        check("LiteRtGetTensorBufferPackedSize", unsafe {
            (api.LiteRtGetTensorBufferPackedSize)(self.handle.raw, &mut len)
        })?;
        let mut memory: *mut c_void = ptr::null_mut();
        // SAFETY: the buffer is alive and not locked: each lock is undone below before anything else is done.
        let status = unsafe { (api.LiteRtLockTensorBuffer)(self.handle.raw, &mut memory, mode) };
        check("LiteRtLockTensorBuffer", status)?;
        // A buffer of no bytes may have no address; a slice must have one.
        let memory = if len == 0 { ptr::dangling_mut() } else { memory.cast() };
        let result = act(memory, len);
        // SAFETY: it was locked above.
        check("LiteRtUnlockTensorBuffer", unsafe { (api.LiteRtUnlockTensorBuffer)(self.handle.raw) })?;
        result
    }
}
