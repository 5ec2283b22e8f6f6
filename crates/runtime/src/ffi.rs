//! LiteRT's C functions and structures, as far as we call them, in the form of `ai-edge-litert` 2.3.0.
//!
//! The facts are those of LiteRT's public headers (`litert/c/*.h`). The binary interface changes between
//! releases without a version function, so [`Api::load`] looks for symbols that tell releases apart.

use std::error::Error as _;
use std::ffi::{c_char, c_int, c_void};
use std::path::Path;

use crate::error::Error;

/// What every fallible function gives back; 0 is success.
pub(crate) type Status = c_int;
/// A pointer to something that LiteRT owns the layout of.
pub(crate) type Raw = *mut c_void;
/// Frees what the library was handed.
pub(crate) type Destroy = unsafe extern "C" fn(Raw);

/// `LiteRtLayout`: the axes of a tensor; at most eight.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// The rank in the low seven bits; the eighth says whether `strides` holds.
    bits: u32,
    dims: [i32; 8],
    strides: [u32; 8],
}

impl Layout {
    /// The sizes; −1 where a size is free.
    pub(crate) fn dims(&self) -> &[i32] {
        let rank = (self.bits & 0x7f) as usize;
        &self.dims[..rank.min(self.dims.len())]
    }

    /// Are the elements spaced by explicit strides, rather than packed?
    pub(crate) fn is_strided(&self) -> bool {
        self.bits & 0x80 != 0
    }
}

/// `LiteRtRankedTensorType`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RankedType {
    pub(crate) element: c_int,
    pub(crate) layout: Layout,
}

/// `LiteRtEnvOption` whose value is an integer.
#[repr(C)]
pub(crate) struct EnvironmentOption {
    tag: c_int,
    pad: c_int,
    any_type: c_int,
    any_pad: c_int,
    value: i64,
}

impl EnvironmentOption {
    pub(crate) fn int(tag: c_int, value: i64) -> Self {
        // `LiteRtAnyType`: 2 is an integer.
        EnvironmentOption { tag, pad: 0, any_type: 2, any_pad: 0, value }
    }
}

/// `kLiteRtEnvOptionTagAutoRegisterAccelerators`: a set of hardware bits.
pub(crate) const AUTO_REGISTER_ACCELERATORS: c_int = 24;
/// `kLiteRtEnvOptionTagMinLoggerSeverity`: 0 tells all, 3 errors only.
pub(crate) const MIN_LOGGER_SEVERITY: c_int = 25;
/// `kLiteRtHwAcceleratorCpu`.
pub(crate) const CPU: c_int = 1;
/// `kLiteRtTensorBufferLockModeRead` and `…Write`.
pub(crate) const LOCK_READ: c_int = 0;
pub(crate) const LOCK_WRITE: c_int = 1;

/// `LiteRtProfiledEventData`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ProfileEvent {
    pub(crate) tag: *const c_char,
    pub(crate) event_type: c_int,
    start_microseconds: u64,
    pub(crate) elapsed_microseconds: u64,
    memory_at_start: [usize; 3],
    memory_at_end: [usize; 3],
    pub(crate) metadata: [u64; 2],
    source: c_int,
}

impl ProfileEvent {
    pub(crate) const EMPTY: ProfileEvent = ProfileEvent {
        tag: std::ptr::null(),
        event_type: 0,
        start_microseconds: 0,
        elapsed_microseconds: 0,
        memory_at_start: [0; 3],
        memory_at_end: [0; 3],
        metadata: [0; 2],
        source: 0,
    };
}

// The sizes that LiteRT's own headers assert.
const _: () = assert!(size_of::<Layout>() == 68);
const _: () = assert!(size_of::<RankedType>() == 72);
const _: () = assert!(size_of::<EnvironmentOption>() == 24);

/// Symbols that the release we are written for has and earlier ones lack, each with the release that brought it.
const SENTINELS: &[(&str, &str)] = &[
    ("kLiteRtRuntimeBuiltin", "2.2"),
    ("LiteRtCreateModelFromFd", "2.2"),
    ("LiteRtCompiledModelIsNonCpuFullyAccelerated", "2.3"),
];

/// Why the loader does not open a library: its own words, without the path that it begins them with.
fn reason(path: &Path, error: &libloading::Error) -> String {
    let said = error.source().map_or_else(|| error.to_string(), |loader| loader.to_string());
    let prefix = format!("{}: ", path.display());
    said.strip_prefix(&prefix).unwrap_or(&said).to_owned()
}

macro_rules! api {
    ($($name:ident ( $($argument:ty),* $(,)? ) $(-> $result:ty)?;)*) => {
        /// The functions of the loaded library, which stays open until the process ends.
        #[allow(non_snake_case, reason = "the fields carry the C names")]
        pub(crate) struct Api {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Api {
            /// Opens the library at `path` and finds every function. Errs where it is not the release we know.
            pub(crate) fn load(path: &Path) -> Result<Self, Error> {
                let unusable = |why: String| Error::Library { path: path.to_owned(), why };
                // SAFETY: opening a library runs its initialisers. The caller named this file as LiteRT's
                // library; its initialisers register kernels and rely on nothing of ours.
                let library = unsafe { libloading::Library::new(path) }.map_err(|e| unusable(reason(path, &e)))?;
                for (symbol, since) in SENTINELS {
                    // SAFETY: the address is looked at, never called or read through.
                    if unsafe { library.get::<*const c_void>(symbol.as_bytes()) }.is_err() {
                        return Err(unusable(format!(
                            "it is not LiteRT {}: the symbol {symbol}, which came with {since}, is missing",
                            crate::VERSION
                        )));
                    }
                }
                let api = Api {
                    // SAFETY: the signatures are those of the headers of the release that the sentinels
                    // established; the library is never closed, so the pointers stay good.
                    $($name: *unsafe { library.get(stringify!($name).as_bytes()) }
                        .map_err(|e| unusable(e.to_string()))?,)*
                };
                // Its threads leave destructors behind that run when they end: it must not be closed.
                std::mem::forget(library);
                Ok(api)
            }
        }
    };
}

api! {
    LiteRtCreateEnvironment(c_int, *const EnvironmentOption, *mut Raw) -> Status;
    LiteRtDestroyEnvironment(Raw);
    LiteRtCreateModelFromFile(Raw, *const c_char, *mut Raw) -> Status;
    LiteRtDestroyModel(Raw);
    LiteRtGetNumModelSignatures(Raw, *mut usize) -> Status;
    LiteRtGetModelSignature(Raw, usize, *mut Raw) -> Status;
    LiteRtGetSignatureKey(Raw, *mut *const c_char) -> Status;
    LiteRtGetNumSignatureInputs(Raw, *mut usize) -> Status;
    LiteRtGetNumSignatureOutputs(Raw, *mut usize) -> Status;
    LiteRtGetSignatureInputName(Raw, usize, *mut *const c_char) -> Status;
    LiteRtGetSignatureOutputName(Raw, usize, *mut *const c_char) -> Status;
    LiteRtGetSignatureInputTensorByIndex(Raw, usize, *mut Raw) -> Status;
    LiteRtGetSignatureOutputTensorByIndex(Raw, usize, *mut Raw) -> Status;
    LiteRtGetRankedTensorType(Raw, *mut RankedType) -> Status;
    LiteRtCreateOptions(*mut Raw) -> Status;
    LiteRtDestroyOptions(Raw);
    LiteRtSetOptionsHardwareAccelerators(Raw, c_int) -> Status;
    LiteRtCreateOpaqueOptions(*const c_char, *mut c_void, Destroy, *mut Raw) -> Status;
    LiteRtAddOpaqueOptions(Raw, Raw) -> Status;
    LiteRtCreateCompiledModel(Raw, Raw, Raw, *mut Raw) -> Status;
    LiteRtDestroyCompiledModel(Raw);
    LiteRtCompiledModelIsFullyAccelerated(Raw, *mut bool) -> Status;
    LiteRtGetCompiledModelInputBufferRequirements(Raw, usize, usize, *mut Raw) -> Status;
    LiteRtGetCompiledModelOutputBufferRequirements(Raw, usize, usize, *mut Raw) -> Status;
    LiteRtGetCompiledModelOutputTensorLayouts(Raw, usize, usize, *mut Layout, bool) -> Status;
    LiteRtCreateManagedTensorBufferFromRequirements(Raw, *const RankedType, Raw, *mut Raw) -> Status;
    LiteRtLockTensorBuffer(Raw, *mut *mut c_void, c_int) -> Status;
    LiteRtUnlockTensorBuffer(Raw) -> Status;
    LiteRtGetTensorBufferPackedSize(Raw, *mut usize) -> Status;
    LiteRtDestroyTensorBuffer(Raw);
    LiteRtRunCompiledModel(Raw, usize, usize, *mut Raw, usize, *mut Raw) -> Status;
    LiteRtCompiledModelGetProfiler(Raw, *mut Raw) -> Status;
    LiteRtStartProfiler(Raw) -> Status;
    LiteRtStopProfiler(Raw) -> Status;
    LiteRtResetProfiler(Raw) -> Status;
    LiteRtGetNumProfilerEvents(Raw, *mut c_int) -> Status;
    LiteRtGetProfilerEvents(Raw, c_int, *mut ProfileEvent) -> Status;
}
