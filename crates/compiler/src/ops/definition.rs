//! The questions asked of every operator.

use std::fmt::Debug;
use std::io;

use ir::{Attributes, Mismatch, Region, Tensor, TensorType};

use crate::dialect::{aten, tfl};
use crate::ops::order::Order;

/// Everything Edgewright knows about one operator. Its page answers these and names no other operator.
pub trait Definition: Clone + PartialEq + Debug + Send + Sync + Sized + 'static {
    /// Its names in the text form: one, or one per row of a table of alike operators.
    const NAMES: &'static [&'static str];

    /// The ATen overloads that are exactly this operator; what needs more than one operator, or a constant of
    /// its own, is a row in `front/torch/decompose`.
    const ATEN: &'static [&'static str] = &[];

    /// The builtins that [`Definition::from_tfl`] reads.
    const TFL: &'static [tfl::Builtin] = &[];

    /// Is each element of its output a function of the elements at the same place in its inputs, which broadcast?
    const ELEMENTWISE: bool = false;

    /// Whether it runs on the target even where all that it reads is constant; see [`ir::Operator::at_run_time`].
    const AT_RUN_TIME: bool = false;

    /// Its name in the text form.
    fn name(&self) -> &'static str {
        Self::NAMES[0]
    }

    /// Its attributes in the text form; see [`attributes!`](crate::ops::attributes).
    fn attributes(&self) -> Attributes;

    /// The inverse of [`Definition::name`] and [`Definition::attributes`].
    fn parse(name: &str, attributes: &Attributes) -> Result<Self, String>;

    /// The operator that an ATen call is, and which of the call's arguments it reads.
    fn from_aten(call: &aten::Call) -> Result<aten::Imported<Self>, aten::Malformed> {
        Err(aten::Malformed(format!("{} is not read as {}", call.target, Self::NAMES[0])))
    }

    /// The types of its outputs. Errs with the real sizes where the inputs do not fit.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch>;

    /// Its outputs, computed as PyTorch computes them. `None` for dtypes that are not evaluated.
    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>>;

    /// One box of its only output, from boxes of its inputs that `fetch(input, region)` gives: what lets a
    /// large weight be computed in slabs. `None` for operators that cannot: their inputs must be small.
    fn evaluate_region(
        &self,
        _inputs: &[&TensorType],
        _region: &Region,
        _fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        None
    }

    /// The same operator on operands whose axes are stored in another order. `order` is how its first input is
    /// stored: stored axis `i` is axis `order[i]`. `None` where that cannot be said as one operator.
    fn carry(&self, _inputs: &[&TensorType], _order: &Order) -> Option<Carried<Self>> {
        None
    }

    /// The LiteRT builtin that computes exactly this on inputs of these types: the legality test, the encoder and
    /// the text of the diagnostic in one.
    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, tfl::Illegal>;

    /// The operator that a builtin is, and which of its operands are inputs: the inverse of
    /// [`Definition::to_tfl`].
    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, tfl::Illegal> {
        Err(tfl::Illegal(format!("{} is not read as {}", node.operator, Self::NAMES[0])))
    }
}

/// Gives a box of an input of a weight expression.
pub type Fetch<'a> = &'a mut dyn FnMut(usize, &Region) -> io::Result<Tensor>;

/// An operator on operands stored in another axis order.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried<T> {
    /// The operator that computes the same.
    pub op: T,
    /// How each input must be stored.
    pub inputs: Vec<Order>,
    /// How each output is stored then.
    pub outputs: Vec<Order>,
}

impl<T> Carried<T> {
    /// Every operand is stored in the same order.
    pub fn alike(op: T, inputs: usize, order: &Order) -> Self {
        Carried { op, inputs: vec![order.clone(); inputs], outputs: vec![order.clone()] }
    }
}

/// Generates [`Definition::attributes`] and [`Definition::parse`] from an operator's fields.
macro_rules! attributes {
    ($($field:ident),* $(,)?) => {
        fn attributes(&self) -> ir::Attributes {
            #[allow(unused_mut, reason = "an operator may have no attributes")]
            let mut attributes = ir::Attributes::default();
            $(attributes.put(stringify!($field), &self.$field);)*
            attributes
        }
        fn parse(_name: &str, _attributes: &ir::Attributes) -> Result<Self, String> {
            Ok(Self { $($field: _attributes.field(stringify!($field))?),* })
        }
    };
}
pub(crate) use attributes;

/// An enumeration whose variants are words in the text form.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl ir::ToAttribute for $name {
            fn to_attribute(&self) -> Option<ir::Attribute> {
                Some(ir::Attribute::Word(match self { $($name::$variant => $word),+ }.to_string()))
            }
        }
        impl ir::FromAttribute for $name {
            fn from_attribute(attribute: Option<&ir::Attribute>) -> Option<Self> {
                match attribute? {
                    ir::Attribute::Word(word) => match word.as_str() { $($word => Some($name::$variant),)+ _ => None },
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use words;

/// The number of inputs, checked. Errs with a clause that names the operator.
pub(crate) fn arity<'a, const N: usize>(inputs: &[&'a TensorType]) -> Result<[&'a TensorType; N], Mismatch> {
    inputs.try_into().map_err(|_| Mismatch(format!("takes {N} inputs, not {}", inputs.len())))
}
