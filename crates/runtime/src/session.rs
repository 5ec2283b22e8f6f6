//! One model compiled by LiteRT in this process: its signature, its buffers, its runs.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr;
use std::rc::Rc;

use ir::{DType, Tensor};

use crate::buffer::Buffer;
use crate::element;
use crate::error::Error;
use crate::extent;
use crate::ffi::{self, Api, EnvironmentOption, Layout, RankedType, Raw, Status};
use crate::handle::{Handle, check, create, get, get_at, text};

/// Which kernels run the operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// XNNPACK's for the operators it takes, LiteRT's own for the others: the default on every CPU.
    Xnnpack,
    /// LiteRT's own for all operators.
    Builtin,
}

/// How a model is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which kernels run the operators.
    pub kernels: Kernels,
    /// The number of threads, at least one.
    pub threads: u32,
    /// Measure each operator; needed by [`Session::profile`]. It also makes LiteRT inline composites.
    pub profiling: bool,
}

impl Default for Settings {
    /// XNNPACK on one thread, without a profile.
    fn default() -> Self {
        Settings { kernels: Kernels::Xnnpack, threads: 1, profiling: false }
    }
}

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name in the signature.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its sizes; `None` where the model leaves a size free.
    pub sizes: Vec<Option<usize>>,
}

/// What a compiled model takes and gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Its key, usually `serving_default`.
    pub key: String,
    /// The inputs in order.
    pub inputs: Vec<Port>,
    /// The outputs in order.
    pub outputs: Vec<Port>,
    /// Were all operators taken by the delegate? Always `false` with [`Kernels::Builtin`].
    pub fully_accelerated: bool,
}

impl Signature {
    /// Are these tensors inputs of the model, in order?
    pub fn check(&self, inputs: &[Tensor]) -> Result<(), Error> {
        if inputs.len() != self.inputs.len() {
            let (want, got) = (self.inputs.len(), inputs.len());
            return Err(Error::Inputs(format!("it takes {want} of them, {got} were given")));
        }
        for (port, tensor) in self.inputs.iter().zip(inputs) {
            let fits = port.sizes.len() == tensor.sizes().len()
                && port.sizes.iter().zip(tensor.sizes()).all(|(want, got)| want.is_none_or(|n| n == *got));
            if !fits || port.dtype != tensor.dtype() {
                return Err(Error::Inputs(format!(
                    "'{}' is {}, {} was given",
                    port.name,
                    port.ty(),
                    tensor.ty()
                )));
            }
        }
        Ok(())
    }
}

impl Port {
    /// The type as text, with `?` where a size is free.
    fn ty(&self) -> String {
        let sizes: Vec<String> =
            self.sizes.iter().map(|size| size.map_or("?".to_owned(), |n| n.to_string())).collect();
        format!("{}[{}]", self.dtype, sizes.join(","))
    }
}

/// One model compiled by LiteRT in this process.
///
/// A fault inside a kernel ends this process; [`Child`](crate::Child) puts a process between.
pub struct Session {
    // Dropped in this order: what refers before what is referred to.
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
    compiled: Handle,
    _options: Handle,
    _model: Handle,
    environment: Handle,
    signature: Signature,
    input_tensors: Vec<PortTensor>,
    output_tensors: Vec<PortTensor>,
    api: Api,
}

/// The tensor behind a port, as the model file has it.
#[derive(Clone, Copy)]
struct PortTensor {
    /// Which tensor it is; only compared.
    identity: Raw,
    ty: RankedType,
}

impl Session {
    /// Loads the library and the model, and compiles the model's first signature.
    pub fn open(library: &Path, model: &Path, settings: Settings) -> Result<Self, Error> {
        Session::open_with(library, model, settings, false)
    }

    /// The same, with LiteRT telling all it knows on standard error. It tells the reason of a failure only so.
    pub(crate) fn open_talkative(library: &Path, model: &Path, settings: Settings) -> Result<Self, Error> {
        Session::open_with(library, model, settings, true)
    }

    fn open_with(library: &Path, path: &Path, settings: Settings, talkative: bool) -> Result<Self, Error> {
        let api = Api::load(library)?;
        extent::check(path)?;
        let environment = create_environment(&api, talkative)?;
        let model = create_model(&api, &environment, path)?;
        let unreadable = |e: Error| Error::Model { path: path.to_owned(), why: e.to_string() };
        let first = read_signature(&api, &model).map_err(unreadable)?;
        let options = create_options(&api, settings, talkative)?;
        let compiled = create("LiteRtCreateCompiledModel", api.LiteRtDestroyCompiledModel, |raw| {
            // SAFETY: the three handles are alive; the compiled model is dropped before them.
            unsafe { (api.LiteRtCreateCompiledModel)(environment.raw, model.raw, options.raw, raw) }
        })?;
        let mut fully_accelerated = false;
        // SAFETY: the compiled model is alive, the flag is ours.
        let status =
            unsafe { (api.LiteRtCompiledModelIsFullyAccelerated)(compiled.raw, &mut fully_accelerated) };
        check("LiteRtCompiledModelIsFullyAccelerated", status)?;
        Ok(Session {
            inputs: Vec::new(),
            outputs: Vec::new(),
            compiled,
            _options: options,
            _model: model,
            environment,
            signature: Signature { fully_accelerated, ..first.signature },
            input_tensors: first.input_tensors,
            output_tensors: first.output_tensors,
            api,
        })
    }

    /// What the model takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Runs the model once. Inputs and outputs are in the signature's order.
    pub fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        self.load(inputs)?;
        self.invoke()?;
        self.outputs.iter().map(|buffer| buffer.read(&self.api)).collect()
    }

    /// Fills the input buffers, making the buffers first where there are none.
    pub(crate) fn load(&mut self, inputs: &[Tensor]) -> Result<(), Error> {
        self.signature.check(inputs)?;
        if self.inputs.len() != inputs.len() || self.outputs.len() != self.output_tensors.len() {
            self.make_buffers(inputs)?;
        }
        for (buffer, tensor) in self.inputs.iter().zip(inputs) {
            buffer.write(&self.api, tensor)?;
        }
        Ok(())
    }

    /// Runs the model on what is in the input buffers.
    pub(crate) fn invoke(&mut self) -> Result<(), Error> {
        let mut inputs: Vec<Raw> = self.inputs.iter().map(|b| b.handle.raw).collect();
        let mut outputs: Vec<Raw> = self.outputs.iter().map(|b| b.handle.raw).collect();
        // SAFETY: both arrays hold as many live buffers as is said; the buffers fit, for LiteRT itself stated
        // their requirements; signature 0 exists.
        let status = unsafe {
            (self.api.LiteRtRunCompiledModel)(
                self.compiled.raw,
                0,
                inputs.len(),
                inputs.as_mut_ptr(),
                outputs.len(),
                outputs.as_mut_ptr(),
            )
        };
        check("LiteRtRunCompiledModel", status)
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) fn compiled(&self) -> Raw {
        self.compiled.raw
    }

    fn make_buffers(&mut self, inputs: &[Tensor]) -> Result<(), Error> {
        if let Some(port) = self.signature.inputs.iter().find(|port| port.sizes.contains(&None)) {
            let what = format!("input '{}' is {}: free sizes are not supported here", port.name, port.ty());
            return Err(Error::Unsupported(what));
        }
        let requirements = self.api.LiteRtGetCompiledModelInputBufferRequirements;
        self.inputs.clear();
        for (index, tensor) in inputs.iter().enumerate() {
            let ty = &self.input_tensors[index].ty;
            let buffer = self.make_buffer(requirements, index, ty, tensor.dtype())?;
            self.inputs.push(buffer);
        }
        let requirements = self.api.LiteRtGetCompiledModelOutputBufferRequirements;
        self.outputs.clear();
        for (index, layout) in self.output_layouts()?.into_iter().enumerate() {
            let buffer = match self.made_already(index) {
                Some(buffer) => buffer,
                None => {
                    let ty = RankedType { layout, ..self.output_tensors[index].ty };
                    self.make_buffer(requirements, index, &ty, element::dtype(ty.element)?)?
                }
            };
            self.outputs.push(buffer);
        }
        Ok(())
    }

    /// The buffer of the tensor of output `index`, where an input or an earlier output is the same tensor.
    ///
    /// LiteRT keeps one memory for a tensor and would leave a second buffer unwritten, without a word.
    fn made_already(&self, index: usize) -> Option<Buffer> {
        let tensors = self.input_tensors.iter().chain(&self.output_tensors[..index]);
        let mut buffers = tensors.zip(self.inputs.iter().chain(&self.outputs));
        let same = buffers.find(|(tensor, _)| tensor.identity == self.output_tensors[index].identity);
        same.map(|(_, buffer)| buffer.clone())
    }

    /// The actual layouts of the outputs, after LiteRT has planned them.
    fn output_layouts(&self) -> Result<Vec<Layout>, Error> {
        let mut layouts = vec![Layout::default(); self.output_tensors.len()];
        // SAFETY: the array has room for as many layouts as the signature has outputs.
        let status = unsafe {
            (self.api.LiteRtGetCompiledModelOutputTensorLayouts)(
                self.compiled.raw,
                0,
                layouts.len(),
                layouts.as_mut_ptr(),
                true,
            )
        };
        check("LiteRtGetCompiledModelOutputTensorLayouts", status)?;
        Ok(layouts)
    }

    fn make_buffer(
        &self,
        requirements: unsafe extern "C" fn(Raw, usize, usize, *mut Raw) -> Status,
        index: usize,
        ty: &RankedType,
        dtype: DType,
    ) -> Result<Buffer, Error> {
        let sizes = packed_sizes(&ty.layout)?;
        if sizes.contains(&0) {
            let what = format!("LiteRT cannot pass a tensor without elements, {dtype}{sizes:?}, in or out");
            return Err(Error::Unsupported(what));
        }
        let mut wanted: Raw = ptr::null_mut();
        // SAFETY: signature 0 has a tensor of this index; LiteRT keeps owning the requirements.
        let status = unsafe { requirements(self.compiled.raw, 0, index, &mut wanted) };
        check("LiteRtGetCompiledModelBufferRequirements", status)?;
        let api = &self.api;
        let handle = create(
            "LiteRtCreateManagedTensorBufferFromRequirements",
            api.LiteRtDestroyTensorBuffer,
            |raw| {
                // SAFETY: environment and requirements are alive; the type is read during the call only.
                unsafe {
                    (api.LiteRtCreateManagedTensorBufferFromRequirements)(
                        self.environment.raw,
                        ty,
                        wanted,
                        raw,
                    )
                }
            },
        )?;
        Ok(Buffer { handle: Rc::new(handle), dtype, sizes })
    }
}

/// A signature as the model file has it.
struct FirstSignature {
    signature: Signature,
    input_tensors: Vec<PortTensor>,
    output_tensors: Vec<PortTensor>,
}

fn create_environment(api: &Api, talkative: bool) -> Result<Handle, Error> {
    let options = [
        // The CPU alone: looking for GPU and NPU libraries takes time and fails loudly.
        EnvironmentOption::int(ffi::AUTO_REGISTER_ACCELERATORS, i64::from(ffi::CPU)),
        EnvironmentOption::int(ffi::MIN_LOGGER_SEVERITY, if talkative { 0 } else { 3 }),
    ];
    create("LiteRtCreateEnvironment", api.LiteRtDestroyEnvironment, |raw| {
        // SAFETY: the array holds as many options as is said and is read during the call only.
        unsafe { (api.LiteRtCreateEnvironment)(options.len() as c_int, options.as_ptr(), raw) }
    })
}

fn create_model(api: &Api, environment: &Handle, path: &Path) -> Result<Handle, Error> {
    let unreadable = |why: String| Error::Model { path: path.to_owned(), why };
    let text = path.to_str().ok_or_else(|| unreadable("its path is not UTF-8".to_owned()))?;
    let text = CString::new(text).map_err(|e| unreadable(e.to_string()))?;
    create("LiteRtCreateModelFromFile", api.LiteRtDestroyModel, |raw| {
        // SAFETY: the environment is alive and outlives the model; the path is read during the call only.
        unsafe { (api.LiteRtCreateModelFromFile)(environment.raw, text.as_ptr(), raw) }
    })
    .map_err(|e| unreadable(e.to_string()))
}

/// Options are lines of TOML under an identifier. LiteRT ignores identifiers and keys that it does not know.
fn create_options(api: &Api, settings: Settings, talkative: bool) -> Result<Handle, Error> {
    let options = create("LiteRtCreateOptions", api.LiteRtDestroyOptions, |raw| {
        // SAFETY: the out-pointer is ours.
        unsafe { (api.LiteRtCreateOptions)(raw) }
    })?;
    // SAFETY: the options are alive.
    check("LiteRtSetOptionsHardwareAccelerators", unsafe {
        (api.LiteRtSetOptionsHardwareAccelerators)(options.raw, ffi::CPU)
    })?;
    let mode = match settings.kernels {
        Kernels::Xnnpack => "delegate",
        Kernels::Builtin => "builtin",
    };
    add_options(
        api,
        &options,
        c"xnnpack",
        format!("num_threads = {}\nkernel_mode = \"{mode}\"\n", settings.threads.max(1)),
    )?;
    let mut lines = String::new();
    if settings.profiling {
        lines += "enable_profiling = true\n";
    }
    if talkative {
        lines += "error_reporter_mode = 1\n";
    }
    // Their mere presence makes LiteRT inline composites, so they are left out where nothing is asked.
    if !lines.is_empty() {
        add_options(api, &options, c"runtime_options_string", lines)?;
    }
    Ok(options)
}

fn add_options(api: &Api, options: &Handle, identifier: &CStr, lines: String) -> Result<(), Error> {
    unsafe extern "C" fn free(text: *mut c_void) {
        // SAFETY: LiteRT calls this once, with the pointer that `into_raw` gave below.
        drop(unsafe { CString::from_raw(text.cast()) });
    }
    let lines = CString::new(lines).expect("the lines above hold no zero byte").into_raw();
    let mut opaque: Raw = ptr::null_mut();
    // SAFETY: the identifier is copied; the lines become the property of the options, with the way to free them.
    let status =
        unsafe { (api.LiteRtCreateOpaqueOptions)(identifier.as_ptr(), lines.cast(), free, &mut opaque) };
    check("LiteRtCreateOpaqueOptions", status)?;
    // SAFETY: both are alive; `opaque` becomes the property of `options`.
    check("LiteRtAddOpaqueOptions", unsafe { (api.LiteRtAddOpaqueOptions)(options.raw, opaque) })
}

fn read_signature(api: &Api, model: &Handle) -> Result<FirstSignature, Error> {
    let count = get(model.raw, "LiteRtGetNumModelSignatures", api.LiteRtGetNumModelSignatures, 0)?;
    if count == 0 {
        return Err(Error::Unsupported("the model has no signature".to_owned()));
    }
    let raw = get_at(model.raw, 0, "LiteRtGetModelSignature", api.LiteRtGetModelSignature, ptr::null_mut())?;
    let key = get(raw, "LiteRtGetSignatureKey", api.LiteRtGetSignatureKey, ptr::null())?;
    let (inputs, input_tensors) = read_ports(
        api,
        raw,
        get(raw, "LiteRtGetNumSignatureInputs", api.LiteRtGetNumSignatureInputs, 0)?,
        api.LiteRtGetSignatureInputName,
        api.LiteRtGetSignatureInputTensorByIndex,
    )?;
    let (outputs, output_tensors) = read_ports(
        api,
        raw,
        get(raw, "LiteRtGetNumSignatureOutputs", api.LiteRtGetNumSignatureOutputs, 0)?,
        api.LiteRtGetSignatureOutputName,
        api.LiteRtGetSignatureOutputTensorByIndex,
    )?;
    let signature = Signature { key: text(key), inputs, outputs, fully_accelerated: false };
    Ok(FirstSignature { signature, input_tensors, output_tensors })
}

fn read_ports(
    api: &Api,
    signature: Raw,
    count: usize,
    name: unsafe extern "C" fn(Raw, usize, *mut *const c_char) -> Status,
    tensor: unsafe extern "C" fn(Raw, usize, *mut Raw) -> Status,
) -> Result<(Vec<Port>, Vec<PortTensor>), Error> {
    let mut ports = Vec::new();
    let mut tensors = Vec::new();
    for index in 0..count {
        let name = text(get_at(signature, index, "LiteRtGetSignatureName", name, ptr::null())?);
        let tensor = get_at(signature, index, "LiteRtGetSignatureTensorByIndex", tensor, ptr::null_mut())?;
        let ty =
            get(tensor, "LiteRtGetRankedTensorType", api.LiteRtGetRankedTensorType, RankedType::default())?;
        let dtype = element::dtype(ty.element)?;
        let sizes = ty.layout.dims().iter().map(|&n| usize::try_from(n).ok()).collect();
        ports.push(Port { name, dtype, sizes });
        tensors.push(PortTensor { identity: tensor, ty });
    }
    Ok((ports, tensors))
}

/// The sizes of a tensor whose elements are packed and whose sizes are all known.
fn packed_sizes(layout: &Layout) -> Result<Vec<usize>, Error> {
    if layout.is_strided() {
        return Err(Error::Unsupported("a tensor's elements are not packed".to_owned()));
    }
    let sizes = layout.dims().iter().map(|&n| usize::try_from(n)).collect::<Result<_, _>>();
    sizes.map_err(|_| Error::Unsupported("a tensor's size is known only once the model has run".to_owned()))
}
