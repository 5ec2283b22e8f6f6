//! Objects that LiteRT made and that we own, and how its functions give and refuse.

use std::ffi::{CStr, c_char};
use std::ptr;

use crate::error::Error;
use crate::ffi::{Destroy, Raw, Status};

/// Something that LiteRT made and that we own: destroyed when dropped.
pub(crate) struct Handle {
    pub(crate) raw: Raw,
    destroy: Destroy,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: `raw` came from the function that `destroy` undoes and is owned by this handle alone.
        unsafe { (self.destroy)(self.raw) }
    }
}

/// Success, or the function's failure.
pub(crate) fn check(function: &str, status: Status) -> Result<(), Error> {
    if status == 0 { Ok(()) } else { Err(Error::Call { function: function.to_owned(), status }) }
}

/// Calls a function that makes something, and owns what it made.
pub(crate) fn create(
    function: &str,
    destroy: Destroy,
    make: impl FnOnce(&mut Raw) -> Status,
) -> Result<Handle, Error> {
    let mut raw: Raw = ptr::null_mut();
    check(function, make(&mut raw))?;
    if raw.is_null() {
        return Err(Error::Call { function: function.to_owned(), status: 0 });
    }
    Ok(Handle { raw, destroy })
}

/// Reads one fact from a live object of LiteRT.
pub(crate) fn get<T>(
    from: Raw,
    function: &str,
    getter: unsafe extern "C" fn(Raw, *mut T) -> Status,
    empty: T,
) -> Result<T, Error> {
    let mut value = empty;
    // SAFETY: every caller passes an object that is alive and of the getter's kind; the getter
    // writes one value and keeps no pointer to it.
    check(function, unsafe { getter(from, &mut value) })?;
    Ok(value)
}

/// Reads one of several facts from a live object of LiteRT; an index out of range is a failure status.
pub(crate) fn get_at<T>(
    from: Raw,
    index: usize,
    function: &str,
    getter: unsafe extern "C" fn(Raw, usize, *mut T) -> Status,
    empty: T,
) -> Result<T, Error> {
    let mut value = empty;
    // SAFETY: as in `get`.
    check(function, unsafe { getter(from, index, &mut value) })?;
    Ok(value)
}

/// A string of LiteRT's, copied.
pub(crate) fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: LiteRT's strings end in a zero byte and live as long as the object they were read from, which
    // the caller holds.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
