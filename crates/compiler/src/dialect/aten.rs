//! One functional ATen call as data, its arguments read by the names of the operator's schema.
//!
//! What a call leaves out stands in the schema as a default, so a reader never asks whether an argument was
//! passed. Shapes and dtypes of tensors are those that PyTorch recorded, with every symbol pinned.

mod schema;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use ir::{DType, OriginId, TensorType};

pub use schema::{Parameter, Schema};

/// A tensor argument or result of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in the program, such as `conv2d_1`.
    pub name: Arc<str>,
    /// Dtype and sizes, as PyTorch recorded them.
    pub ty: TensorType,
}

/// What a call was given for one argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// Python's `None`.
    None,
    /// A tensor.
    Tensor(Tensor),
    /// A list of tensors; some may be left out, as in `x[:, i]`.
    Tensors(Vec<Option<Tensor>>),
    /// An integer.
    Int(i64),
    /// A real number; not always finite.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text, or the name of a memory format, layout or device.
    Text(String),
    /// Integers; an empty list of any kind is this.
    Ints(Vec<i64>),
    /// Real numbers.
    Floats(Vec<f64>),
    /// Truth values.
    Bools(Vec<bool>),
    /// Texts.
    Texts(Vec<String>),
    /// An element type.
    DType(DType),
    /// A complex number: real and imaginary part.
    Complex(f64, f64),
}

/// A number that a schema calls `Scalar`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// An integer.
    Int(i64),
    /// A real number; not always finite.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// Its value as a real number; truth values are 0 and 1.
    pub fn as_f64(self) -> f64 {
        match self {
            Scalar::Int(n) => n as f64,
            Scalar::Float(x) => x,
            Scalar::Bool(b) => f64::from(u8::from(b)),
        }
    }
}

/// One call of an operator that writes none of its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The overload, such as `aten.conv2d.default`.
    pub target: Arc<str>,
    /// The arguments that were passed, by their schema names.
    pub arguments: IndexMap<Arc<str>, Argument>,
    /// The results in order, a list of tensors spread out; `None` where PyTorch gives nothing.
    pub results: Vec<Option<Tensor>>,
    /// Where it came from.
    pub origin: OriginId,
}

/// A call that an operator does not have, or not in this form; the text of a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// An operator read from a call, with what it works on.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported<O> {
    /// The operator; its outputs are the results of the call, in order.
    pub op: O,
    /// Its inputs in order.
    pub inputs: Vec<Operand>,
}

/// One input of an operator that was read from a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A tensor of the program, by its name.
    Tensor(Arc<str>),
    /// A number or a small table that the call spells out.
    Constant(ir::Tensor),
}

/// Puts an operator and its inputs together.
pub fn imported<O>(op: O, inputs: impl IntoIterator<Item = Operand>) -> Imported<O> {
    Imported { op, inputs: inputs.into_iter().collect() }
}

impl From<&Tensor> for Operand {
    fn from(tensor: &Tensor) -> Self {
        Operand::Tensor(tensor.name.clone())
    }
}

impl From<ir::Tensor> for Operand {
    fn from(tensor: ir::Tensor) -> Self {
        Operand::Constant(tensor)
    }
}

impl Argument {
    /// The tensors in it, in order.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let one = match self {
            Argument::Tensor(t) => Some(t),
            _ => None,
        };
        let many = match self {
            Argument::Tensors(list) => list.as_slice(),
            _ => &[],
        };
        one.into_iter().chain(many.iter().flatten())
    }

    /// The tensors in it, in order, to change.
    pub fn tensors_mut(&mut self) -> impl Iterator<Item = &mut Tensor> {
        let (one, many) = match self {
            Argument::Tensor(t) => (Some(t), [].as_mut_slice()),
            Argument::Tensors(list) => (None, list.as_mut_slice()),
            _ => (None, [].as_mut_slice()),
        };
        one.into_iter().chain(many.iter_mut().flatten())
    }

    /// What it is, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Argument::None => "nothing",
            Argument::Tensor(_) => "a tensor",
            Argument::Tensors(_) => "a list of tensors",
            Argument::Int(_) => "an integer",
            Argument::Float(_) => "a real number",
            Argument::Bool(_) => "a truth value",
            Argument::Text(_) => "a text",
            Argument::Ints(_) => "a list of integers",
            Argument::Floats(_) => "a list of real numbers",
            Argument::Bools(_) => "a list of truth values",
            Argument::Texts(_) => "a list of texts",
            Argument::DType(_) => "a dtype",
            Argument::Complex(..) => "a complex number",
        }
    }
}

/// Each accessor looks an argument up by its schema name, falls back to the schema's default, and errs where
/// the argument is missing or of another kind.
impl Call {
    /// What was passed for `name`, or its default.
    pub fn get(&self, name: &str) -> Result<&Argument, Malformed> {
        if let Some(argument) = self.arguments.get(name) {
            return Ok(argument);
        }
        let parameter = Schema::of(&self.target)
            .and_then(|schema| schema.parameters.get(name))
            .ok_or_else(|| Malformed(format!("{} has no argument '{name}'", self.target)))?;
        parameter.default.as_ref().ok_or_else(|| Malformed(format!("{} needs '{name}'", self.target)))
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Result<&Tensor, Malformed> {
        self.optional_tensor(name)?.ok_or_else(|| self.wrong(name, "a tensor", &Argument::None))
    }

    /// A tensor, or `None`.
    pub fn optional_tensor(&self, name: &str) -> Result<Option<&Tensor>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::Tensor(t) => Ok(Some(t)),
            other => Err(self.wrong(name, "a tensor", other)),
        }
    }

    /// A list of tensors, none left out.
    pub fn tensors(&self, name: &str) -> Result<Vec<&Tensor>, Malformed> {
        self.optional_tensors(name)?
            .into_iter()
            .map(|t| t.ok_or_else(|| self.wrong(name, "a list of tensors, none left out", &Argument::None)))
            .collect()
    }

    /// A list of tensors, some left out.
    pub fn optional_tensors(&self, name: &str) -> Result<Vec<Option<&Tensor>>, Malformed> {
        match self.get(name)? {
            Argument::Tensors(list) => Ok(list.iter().map(Option::as_ref).collect()),
            Argument::Ints(empty) if empty.is_empty() => Ok(Vec::new()),
            other => Err(self.wrong(name, "a list of tensors", other)),
        }
    }

    /// An integer.
    pub fn int(&self, name: &str) -> Result<i64, Malformed> {
        self.optional_int(name)?.ok_or_else(|| self.wrong(name, "an integer", &Argument::None))
    }

    /// An integer, or `None`.
    pub fn optional_int(&self, name: &str) -> Result<Option<i64>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::Int(n) => Ok(Some(*n)),
            other => Err(self.wrong(name, "an integer", other)),
        }
    }

    /// An integer that is not negative.
    pub fn size(&self, name: &str) -> Result<usize, Malformed> {
        let n = self.int(name)?;
        usize::try_from(n).map_err(|_| Malformed(format!("'{name}' of {} is {n}", self.target)))
    }

    /// Integers; one integer serves as a list of one.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, Malformed> {
        self.optional_ints(name)?.ok_or_else(|| self.wrong(name, "a list of integers", &Argument::None))
    }

    /// Integers, or `None`.
    pub fn optional_ints(&self, name: &str) -> Result<Option<Vec<i64>>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::Int(n) => Ok(Some(vec![*n])),
            Argument::Ints(list) => Ok(Some(list.clone())),
            Argument::Tensors(empty) if empty.is_empty() => Ok(Some(Vec::new())),
            other => Err(self.wrong(name, "a list of integers", other)),
        }
    }

    /// A real number; an integer serves as one.
    pub fn float(&self, name: &str) -> Result<f64, Malformed> {
        self.optional_float(name)?.ok_or_else(|| self.wrong(name, "a real number", &Argument::None))
    }

    /// A real number, or `None`.
    pub fn optional_float(&self, name: &str) -> Result<Option<f64>, Malformed> {
        Ok(self.optional_scalar(name)?.map(Scalar::as_f64))
    }

    /// Real numbers, or `None`; integers serve as such.
    pub fn optional_floats(&self, name: &str) -> Result<Option<Vec<f64>>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::Floats(list) => Ok(Some(list.clone())),
            Argument::Ints(list) => Ok(Some(list.iter().map(|&n| n as f64).collect())),
            other => Err(self.wrong(name, "a list of real numbers", other)),
        }
    }

    /// A number.
    pub fn scalar(&self, name: &str) -> Result<Scalar, Malformed> {
        self.optional_scalar(name)?.ok_or_else(|| self.wrong(name, "a number", &Argument::None))
    }

    /// A number, or `None`.
    pub fn optional_scalar(&self, name: &str) -> Result<Option<Scalar>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::Int(n) => Ok(Some(Scalar::Int(*n))),
            Argument::Float(x) => Ok(Some(Scalar::Float(*x))),
            Argument::Bool(b) => Ok(Some(Scalar::Bool(*b))),
            other => Err(self.wrong(name, "a number", other)),
        }
    }

    /// A truth value.
    pub fn bool(&self, name: &str) -> Result<bool, Malformed> {
        match self.get(name)? {
            Argument::Bool(b) => Ok(*b),
            other => Err(self.wrong(name, "a truth value", other)),
        }
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<&str, Malformed> {
        self.optional_text(name)?.ok_or_else(|| self.wrong(name, "a text", &Argument::None))
    }

    /// A text, or `None`.
    pub fn optional_text(&self, name: &str) -> Result<Option<&str>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::Text(text) => Ok(Some(text)),
            other => Err(self.wrong(name, "a text", other)),
        }
    }

    /// An element type.
    pub fn dtype(&self, name: &str) -> Result<DType, Malformed> {
        self.optional_dtype(name)?.ok_or_else(|| self.wrong(name, "a dtype", &Argument::None))
    }

    /// An element type, or `None`.
    pub fn optional_dtype(&self, name: &str) -> Result<Option<DType>, Malformed> {
        match self.get(name)? {
            Argument::None => Ok(None),
            Argument::DType(dtype) => Ok(Some(*dtype)),
            other => Err(self.wrong(name, "a dtype", other)),
        }
    }

    /// An axis of a tensor of `rank` axes, counted from the front.
    pub fn axis(&self, name: &str, rank: usize) -> Result<usize, Malformed> {
        self.within(name, self.int(name)?, rank)
    }

    /// Axes of a tensor of `rank` axes, counted from the front, in the order given. Errs where one comes twice.
    pub fn axes(&self, name: &str, rank: usize) -> Result<Vec<usize>, Malformed> {
        let mut axes: Vec<usize> = Vec::new();
        for axis in self.ints(name)? {
            let axis = self.within(name, axis, rank)?;
            if axes.contains(&axis) {
                return Err(Malformed(format!("'{name}' of {} names axis {axis} twice", self.target)));
            }
            axes.push(axis);
        }
        Ok(axes)
    }

    /// Like [`Call::axes`], where `None` and the empty list mean all of them, as for sums and means.
    pub fn axes_or_all(&self, name: &str, rank: usize) -> Result<Vec<usize>, Malformed> {
        match self.optional_ints(name)? {
            Some(list) if !list.is_empty() => self.axes(name, rank),
            _ => Ok((0..rank).collect()),
        }
    }

    /// A count per spatial axis, such as a stride; one number serves all `N`. Errs below zero.
    pub fn spatial<const N: usize>(&self, name: &str) -> Result<[usize; N], Malformed> {
        self.optional_spatial(name)?.ok_or_else(|| self.wrong(name, "a list of integers", &Argument::None))
    }

    /// Like [`Call::spatial`]; `None` where nothing or the empty list was passed (a pool's stride, which then is
    /// its kernel).
    pub fn optional_spatial<const N: usize>(&self, name: &str) -> Result<Option<[usize; N]>, Malformed> {
        let list = match self.optional_ints(name)? {
            Some(list) if !list.is_empty() => list,
            _ => return Ok(None),
        };
        let wrong = || Malformed(format!("'{name}' of {} is {list:?}, not {N} sizes", self.target));
        let list: Vec<usize> =
            list.iter().map(|&n| usize::try_from(n)).collect::<Result<_, _>>().map_err(|_| wrong())?;
        match list.as_slice() {
            [one] => Ok(Some([*one; N])),
            many => many.try_into().map(Some).map_err(|_| wrong()),
        }
    }

    /// Height and width of something; one number serves both. Errs below zero.
    pub fn pair(&self, name: &str) -> Result<[usize; 2], Malformed> {
        self.spatial(name)
    }

    /// Result `i`, whose dtype and shape are authoritative.
    pub fn result(&self, i: usize) -> Result<&Tensor, Malformed> {
        self.results
            .get(i)
            .and_then(Option::as_ref)
            .ok_or_else(|| Malformed(format!("{} has no result {i}", self.target)))
    }

    /// An error about this call.
    pub fn malformed(&self, what: impl fmt::Display) -> Malformed {
        Malformed(format!("{}: {what}", self.target))
    }

    fn within(&self, name: &str, axis: i64, rank: usize) -> Result<usize, Malformed> {
        let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
        counted.and_then(|n| usize::try_from(n).ok()).filter(|&n| n < rank).ok_or_else(|| {
            Malformed(format!("'{name}' of {} is {axis}, but there are {rank} axes", self.target))
        })
    }

    fn wrong(&self, name: &str, wanted: &str, found: &Argument) -> Malformed {
        Malformed(format!("'{name}' of {} is {}, not {wanted}", self.target, found.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::{Leaf, Origin, Origins};

    fn call(target: &str, arguments: &[(&str, Argument)]) -> Call {
        let mut origins = Origins::default();
        Call {
            target: target.into(),
            arguments: arguments.iter().map(|(n, a)| (Arc::from(*n), a.clone())).collect(),
            results: vec![Some(tensor("y")), None],
            origin: origins.intern(Origin::Leaf(Leaf::default())),
        }
    }

    fn tensor(name: &str) -> Tensor {
        Tensor { name: name.into(), ty: TensorType::new(DType::F32, &[1, 3, 8, 8]) }
    }

    #[test]
    fn what_a_call_leaves_out_is_the_schemas_default() {
        let conv = call(
            "aten.conv2d.default",
            &[("input", Argument::Tensor(tensor("x"))), ("stride", Argument::Ints(vec![2]))],
        );
        assert_eq!(&*conv.tensor("input").unwrap().name, "x");
        assert_eq!(conv.optional_tensor("bias"), Ok(None));
        assert_eq!(conv.pair("stride"), Ok([2, 2]));
        assert_eq!(conv.pair("dilation"), Ok([1, 1]));
        assert_eq!(conv.int("groups"), Ok(1));
        assert_eq!(conv.tensor("weight"), Err(Malformed("aten.conv2d.default needs 'weight'".into())));
        assert_eq!(conv.int("wight"), Err(Malformed("aten.conv2d.default has no argument 'wight'".into())));
        assert_eq!(&*conv.result(0).unwrap().name, "y");
        assert!(conv.result(1).is_err() && conv.result(2).is_err());
    }

    #[test]
    fn axes_count_from_the_front() {
        let mean = call("aten.mean.dim", &[("dim", Argument::Ints(vec![-1, 1]))]);
        assert_eq!(mean.axes("dim", 4), Ok(vec![3, 1]));
        assert!(mean.axes("dim", 2).is_err(), "axis 1 twice");
        assert!(mean.axes("dim", 1).is_err(), "axis 1 of one");
        let all = call("aten.mean.dim", &[("dim", Argument::None)]);
        assert_eq!(all.axes_or_all("dim", 3), Ok(vec![0, 1, 2]));
        let softmax = call("aten.softmax.int", &[("dim", Argument::Int(i64::MIN))]);
        assert!(softmax.axis("dim", 3).is_err());
        assert!(call("aten.softmax.int", &[("dim", Argument::Int(0))]).axis("dim", 0).is_err());
    }

    #[test]
    fn an_argument_of_another_kind_is_an_error_that_names_it() {
        let add = call(
            "aten.add.Tensor",
            &[("other", Argument::Tensor(tensor("x"))), ("alpha", Argument::Float(0.5))],
        );
        assert_eq!(
            add.scalar("other"),
            Err(Malformed("'other' of aten.add.Tensor is a tensor, not a number".into()))
        );
        assert_eq!(add.scalar("alpha"), Ok(Scalar::Float(0.5)));
        assert_eq!(add.float("alpha"), Ok(0.5));
        let pool = call("aten.max_pool2d.default", &[("kernel_size", Argument::Ints(vec![3, -3]))]);
        assert!(pool.pair("kernel_size").is_err());
        assert_eq!(pool.optional_spatial::<2>("stride"), Ok(None));
    }
}
