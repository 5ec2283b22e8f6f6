//! A whole .tflite as plain data: what the writer writes and the reader reads, without the bytes of its buffers.

use ir::{QuantParams, TensorType};
use schema::tflite::{Builtin, ElementType};

use super::{Illegal, Options, dtype};

/// A file: graphs, the lengths of its buffers, and what names them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    /// Free text about the file.
    pub description: String,
    /// Its graphs; the first is the main one.
    pub subgraphs: Vec<Subgraph>,
    /// Its buffers. Buffer 0 is empty: tensors without data refer to it.
    pub buffers: Vec<Buffer>,
    /// Named buffers beside the graphs.
    pub metadata: Vec<Metadata>,
    /// How applications call its graphs.
    pub signatures: Vec<Signature>,
}

/// The length of a buffer; its bytes come from whoever holds them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    /// In bytes.
    pub bytes: u64,
}

/// A named buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub name: String,
    /// Which buffer holds it.
    pub buffer: usize,
}

/// Names for a graph's inputs and outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The name it is called by: `serving_default` where nothing else is asked.
    pub key: String,
    /// Which graph it calls.
    pub subgraph: usize,
    /// Names and tensors of the inputs, in order.
    pub inputs: Vec<(String, usize)>,
    /// Names and tensors of the outputs, in order.
    pub outputs: Vec<(String, usize)>,
}

/// One graph: operators in the order they run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subgraph {
    /// Its name.
    pub name: String,
    /// Every tensor that its operators read or write.
    pub tensors: Vec<Tensor>,
    /// Its operators.
    pub operators: Vec<Operator>,
    /// The tensors that are fed.
    pub inputs: Vec<usize>,
    /// The tensors that are given back.
    pub outputs: Vec<usize>,
}

/// One tensor of a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: ElementType,
    /// Its sizes; `None` where even the rank is unknown.
    pub shape: Option<Vec<i32>>,
    /// Its sizes with -1 for each that may change; empty where none may.
    pub signature: Vec<i32>,
    /// The buffer with its data; 0 where it is computed.
    pub buffer: usize,
    /// How its integers stand for real numbers.
    pub quantization: Option<Quantization>,
    /// Does it keep its value from one call to the next?
    pub variable: bool,
    /// Words for what we do not hold and so cannot write again: sparsity, subtypes of a variant, a second file.
    pub lost: Vec<String>,
}

/// How integers stand for real numbers: `real = scale · (q − zero_point)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantization {
    /// Recorded minima, by writers that keep them.
    pub min: Vec<f32>,
    /// Recorded maxima.
    pub max: Vec<f32>,
    /// One scale, or one per index of `axis`.
    pub scale: Vec<f32>,
    /// As many as scales.
    pub zero_point: Vec<i64>,
    /// The axis along which the scales run.
    pub axis: i32,
    /// What one scale per index cannot say.
    pub details: Option<Details>,
}

/// Quantization beyond one scale per index of an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Details {
    /// One scale per block of the last axis; scales and zero points are tensors of their own (-1 for none).
    Blocks {
        /// The tensor with the scales, [rows, blocks].
        scales: i32,
        /// The tensor with the zero points.
        zero_points: i32,
        /// The number of elements of a block.
        block: i32,
    },
    /// A form we know only by its tag; it can be shown, not written.
    Unknown(u8),
}

/// One operator with the tensors it reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct Operator {
    /// Which operator.
    pub operator: Builtin,
    /// Its version.
    pub version: u32,
    /// Its options table.
    pub options: Options,
    /// The name and options of a custom operator.
    pub custom: Option<Custom>,
    /// The tensors it reads; `None` where an optional one is left out.
    pub inputs: Vec<Option<usize>>,
    /// The tensors it writes.
    pub outputs: Vec<usize>,
    /// Tensors it keeps for itself, as recurrent kernels do.
    pub intermediates: Vec<usize>,
    /// Which inputs it changes; empty for none.
    pub mutates: Vec<bool>,
}

/// What is known of an operator that is not builtin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Custom {
    /// Its name.
    pub name: String,
    /// Its options, in an encoding of its own.
    pub options: Vec<u8>,
}

impl Model {
    /// A model with the empty buffer that tensors without data refer to, and nothing else.
    pub fn new() -> Self {
        Model { buffers: vec![Buffer::default()], ..Model::default() }
    }

    /// Adds a buffer of this many bytes and returns its index.
    pub fn add_buffer(&mut self, bytes: u64) -> usize {
        self.buffers.push(Buffer { bytes });
        self.buffers.len() - 1
    }

    /// Checks that every index is one of something. What holds of every model that is written or has been read.
    pub fn check(&self) -> Result<(), Illegal> {
        let within = |index: usize, len: usize, what: &str| match index < len {
            true => Ok(()),
            false => Err(Illegal(format!("{what} {index} is referred to, of {len}"))),
        };
        if self.buffers.first().is_some_and(|buffer| buffer.bytes > 0) {
            return Err(Illegal::new("buffer 0, which tensors without data refer to, is not empty"));
        }
        for graph in &self.subgraphs {
            let buffers = graph.tensors.iter().map(|t| t.buffer);
            buffers.into_iter().try_for_each(|b| within(b, self.buffers.len(), "buffer"))?;
            let ends = graph.inputs.iter().chain(&graph.outputs);
            let used = graph
                .operators
                .iter()
                .flat_map(|o| o.inputs.iter().flatten().chain(&o.outputs).chain(&o.intermediates));
            ends.chain(used).try_for_each(|&t| within(t, graph.tensors.len(), "tensor"))?;
            if let Some(odd) =
                graph.operators.iter().find(|o| o.custom.is_some() != (o.operator == Builtin::CUSTOM))
            {
                return Err(Illegal(format!("{} is both builtin and custom", odd.operator)));
            }
        }
        for named in &self.metadata {
            within(named.buffer, self.buffers.len(), "buffer")?;
        }
        for signature in &self.signatures {
            within(signature.subgraph, self.subgraphs.len(), "graph")?;
            let tensors = self.subgraphs[signature.subgraph].tensors.len();
            let names = signature.inputs.iter().chain(&signature.outputs);
            names.map(|(_, tensor)| *tensor).try_for_each(|t| within(t, tensors, "tensor"))?;
        }
        Ok(())
    }
}

impl Operator {
    /// A builtin operator between these tensors.
    pub fn new(operator: Builtin, options: Options, inputs: Vec<Option<usize>>, outputs: Vec<usize>) -> Self {
        let (custom, intermediates, mutates) = (None, Vec::new(), Vec::new());
        Operator { operator, version: 1, options, custom, inputs, outputs, intermediates, mutates }
    }

    /// What people call it: the builtin's name, or the custom operator's.
    pub fn name(&self) -> String {
        match &self.custom {
            Some(custom) => custom.name.clone(),
            None => self.operator.to_string(),
        }
    }
}

impl Tensor {
    /// A tensor of a value's type, with its data in `buffer` (0 for none). Errs where the format has no such type
    /// or size.
    pub fn new(name: impl Into<String>, ty: &TensorType, buffer: usize) -> Result<Self, Illegal> {
        let shape = ty.sizes()?.into_iter().map(super::int32).collect::<Result<Vec<i32>, _>>()?;
        let quantization = ty.quant.as_ref().map(|quant| {
            let axis = super::int32(quant.axis)?;
            let (scale, zero_point) = (quant.scales.clone(), quant.zero_points.clone());
            Ok::<_, Illegal>(Quantization { scale, zero_point, axis, ..Quantization::default() })
        });
        Ok(Tensor {
            name: name.into(),
            element: super::element(ty.dtype)?,
            shape: Some(shape),
            buffer,
            quantization: quantization.transpose()?,
            ..Tensor::default()
        })
    }

    /// Its type as a value. Errs where a graph of ours cannot hold it.
    pub fn ty(&self) -> Result<TensorType, Illegal> {
        let illegal = |why: String| Illegal(format!("tensor '{}' {why}", self.name));
        let known = dtype(self.element).ok_or_else(|| illegal(format!("is of {}", self.element)))?;
        let shape = self.shape.as_ref().ok_or_else(|| illegal("has no known rank".into()))?;
        if self.signature.iter().any(|&n| n < 0) {
            return Err(illegal(format!("has sizes that change: {:?}", self.signature)));
        }
        if !self.lost.is_empty() {
            return Err(illegal(format!("has {}", self.lost.join(", "))));
        }
        let sizes = shape.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<usize>>>();
        let sizes = sizes.ok_or_else(|| illegal(format!("has sizes {shape:?}")))?;
        let quant = self.quantization.as_ref().map_or(Ok(None), |q| q.params().map_err(illegal))?;
        if let Some(quant) = quant.as_ref().filter(|quant| !quant.fits(&sizes)) {
            let (scales, axis) = (quant.scales.len(), quant.axis);
            return Err(illegal(format!("has {scales} scales along axis {axis} of {sizes:?}")));
        }
        Ok(TensorType { quant, ..TensorType::new(known, &sizes) })
    }
}

impl Quantization {
    /// As the quantization of a value; `None` where only minima and maxima are recorded.
    fn params(&self) -> Result<Option<QuantParams>, String> {
        if self.details.is_some() {
            return Err("is quantized by blocks".into());
        }
        if self.scale.is_empty() {
            return Ok(None);
        }
        let zero_points = match self.zero_point.len() {
            0 => vec![0; self.scale.len()],
            n if n == self.scale.len() => self.zero_point.clone(),
            n => return Err(format!("has {n} zero points for {} scales", self.scale.len())),
        };
        let axis =
            usize::try_from(self.axis).map_err(|_| format!("is quantized along axis {}", self.axis))?;
        Ok(Some(QuantParams { scales: self.scale.clone(), zero_points, axis }))
    }
}
