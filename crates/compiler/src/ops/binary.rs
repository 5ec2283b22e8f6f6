//! Functions of two elements that broadcast: a table, one row each.

use std::io;

use ir::{Attributes, DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Activation, Order, arity, broadcast, elementwise};
use crate::dialect::tfl::{self, Builtin, Field, Illegal};
use crate::dialect::tfl::{add_options, div_options, mul_options, sub_options};

/// A function of two elements of one dtype; the result has that dtype, and the sizes that both broadcast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Which function.
    pub function: Arithmetic,
    /// What is fused behind it; only sums, differences, products and quotients of f32 have something.
    pub activation: Activation,
}

/// What a row of the table says.
struct Row {
    name: &'static str,
    /// The builtin and the dtypes that its kernel takes (measured on LiteRT 2.3.0, both kernel sets).
    builtin: Option<(Builtin, &'static [DType])>,
    real: Option<fn(f64, f64) -> f64>,
    /// `None` is a division by zero, which PyTorch refuses.
    integer: Option<fn(i64, i64) -> Option<i64>>,
}

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $builtin:expr, $real:expr, $integer:expr;)*) => {
        /// What is computed of two elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Arithmetic { $($(#[$doc])* $variant),* }

        impl Arithmetic {
            /// Every function.
            pub const ALL: &[Arithmetic] = &[$(Arithmetic::$variant),*];
            const NAMES: &[&str] = &[$($name),*];
            const ROWS: &[Row] = &[$(Row { name: $name, builtin: $builtin, real: $real, integer: $integer }),*];
        }
    };
}

const F32: &[DType] = &[DType::F32];
const INTEGERS: &[DType] = &[DType::I32, DType::I64];
const ARITHMETIC: &[DType] = &[DType::F32, DType::I32, DType::I64];

functions! {
    /// `a + b`
    Add: "add", Some((Builtin::ADD, ARITHMETIC)), Some(|a, b| a + b), Some(|a, b| Some(a.wrapping_add(b)));
    /// The angle of the point `(b, a)`
    Atan2: "atan2", Some((Builtin::ATAN2, F32)), Some(f64::atan2), None;
    /// `a / b`
    Div: "div", Some((Builtin::DIV, F32)), Some(|a, b| a / b), None;
    /// `⌊a / b⌋`
    DivFloor: "div_floor", Some((Builtin::FLOOR_DIV, &[DType::I32])), Some(div_floor), Some(|a, b| {
        let quotient = a.checked_div(b)?;
        Some(quotient - i64::from(a % b != 0 && (a < 0) != (b < 0)))
    });
    /// `a / b` of integers without what is behind its point
    DivTrunc: "div_trunc", Some((Builtin::DIV, &[DType::I32])), None, Some(i64::checked_div);
    /// The rest of [`Arithmetic::DivTrunc`], with the sign of `a`
    Fmod: "fmod", None, Some(|a, b| a % b), Some(i64::checked_rem);
    /// The larger; NaN where either is, which is where MAXIMUM gives one or the other
    Maximum: "maximum", Some((Builtin::MAXIMUM, INTEGERS)), Some(maximum), Some(|a, b| Some(a.max(b)));
    /// The smaller; NaN where either is, which is where MINIMUM gives one or the other
    Minimum: "minimum", Some((Builtin::MINIMUM, INTEGERS)), Some(|a, b| -maximum(-a, -b)), Some(|a, b| Some(a.min(b)));
    /// `a · b`
    Mul: "mul", Some((Builtin::MUL, ARITHMETIC)), Some(|a, b| a * b), Some(|a, b| Some(a.wrapping_mul(b)));
    /// `aᵇ`
    Pow: "pow", Some((Builtin::POW, F32)), Some(f64::powf), Some(|a, b| Some(integer_power(a, b)));
    /// The rest of [`Arithmetic::DivFloor`], with the sign of `b`
    Remainder: "remainder", Some((Builtin::FLOOR_MOD, ARITHMETIC)), Some(remainder), Some(|a, b| {
        let rest = a.checked_rem(b)?;
        Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
    });
    /// `(a − b)²`
    SquaredDifference: "squared_difference", Some((Builtin::SQUARED_DIFFERENCE, &[DType::F32, DType::I32])),
        Some(|a, b| (a - b) * (a - b)), Some(|a, b| Some(a.wrapping_sub(b).wrapping_mul(a.wrapping_sub(b))));
    /// `a − b`
    Sub: "sub", Some((Builtin::SUB, ARITHMETIC)), Some(|a, b| a - b), Some(|a, b| Some(a.wrapping_sub(b)));
}

fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Python's floor division, as PyTorch takes it over: the quotient of `a − mod(a, b)`, so that `a` and `b·⌊a/b⌋`
/// agree where `a / b` rounds up to an integer.
fn div_floor(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a / b;
    }
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return f64::copysign(0.0, a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 { floor + 1.0 } else { floor }
}

fn remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) { rest + b } else { rest }
}

/// `aᵇ`, wrapping; a negative power is zero but for the bases 1 and −1, as in PyTorch.
fn integer_power(a: i64, b: i64) -> i64 {
    match (a, u64::try_from(b)) {
        (1, Err(_)) => 1,
        (-1, Err(_)) => 1 - 2 * (b & 1),
        (_, Err(_)) => 0,
        (_, Ok(mut power)) => {
            let (mut base, mut result) = (a, 1i64);
            while power > 0 {
                if power & 1 == 1 {
                    result = result.wrapping_mul(base);
                }
                base = base.wrapping_mul(base);
                power >>= 1;
            }
            result
        }
    }
}

impl Arithmetic {
    fn row(self) -> &'static Row {
        &Arithmetic::ROWS[self as usize]
    }

    /// The field of the options table that holds a fused activation.
    fn fused(self) -> Option<Field<tfl::Activation>> {
        match self {
            Arithmetic::Add => Some(add_options::FUSED_ACTIVATION_FUNCTION),
            Arithmetic::Sub => Some(sub_options::FUSED_ACTIVATION_FUNCTION),
            Arithmetic::Mul => Some(mul_options::FUSED_ACTIVATION_FUNCTION),
            Arithmetic::Div => Some(div_options::FUSED_ACTIVATION_FUNCTION),
            _ => None,
        }
    }
}

impl Binary {
    /// Is it this function with nothing fused behind it?
    pub fn is(&self, function: Arithmetic) -> bool {
        *self == function.into()
    }

    /// Is it a division of integers such as this one, which by zero is none?
    pub fn fails_by_zero(&self, divisor: &TensorType) -> bool {
        divisor.dtype.is_int() && self.function.row().integer.is_some_and(|f| f(1, 0).is_none())
    }
}

impl From<Arithmetic> for super::Op {
    fn from(function: Arithmetic) -> Self {
        Binary::from(function).into()
    }
}

impl From<Arithmetic> for Binary {
    fn from(function: Arithmetic) -> Self {
        Binary { function, activation: Activation::None }
    }
}

impl Definition for Binary {
    const NAMES: &'static [&'static str] = Arithmetic::NAMES;
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = &[
        Builtin::ADD,
        Builtin::ATAN2,
        Builtin::DIV,
        Builtin::FLOOR_DIV,
        Builtin::FLOOR_MOD,
        Builtin::MAXIMUM,
        Builtin::MINIMUM,
        Builtin::MUL,
        Builtin::POW,
        Builtin::SQUARED_DIFFERENCE,
        Builtin::SUB,
    ];

    fn name(&self) -> &'static str {
        self.function.row().name
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        if self.activation != Activation::None {
            attributes.put("activation", &self.activation);
        }
        attributes
    }

    fn parse(name: &str, attributes: &Attributes) -> Result<Self, String> {
        let found = Arithmetic::ALL.iter().find(|f| f.row().name == name);
        let function = *found.ok_or_else(|| format!("no function is called '{name}'"))?;
        let activation = attributes.field::<Option<Activation>>("activation")?.unwrap_or(Activation::None);
        Ok(Binary { function, activation })
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [a, b] = arity(inputs)?;
        let row = self.function.row();
        if a.dtype != b.dtype {
            return Err(Mismatch(format!("{} takes one dtype, not {} and {}", row.name, a.dtype, b.dtype)));
        }
        let defined =
            if a.dtype.is_float() { row.real.is_some() } else { a.dtype.is_int() && row.integer.is_some() };
        if !defined {
            return Err(Mismatch(format!("{} is not defined on {}", row.name, a.dtype)));
        }
        if self.activation != Activation::None && (self.function.fused().is_none() || a.dtype != DType::F32) {
            return Err(Mismatch(format!("nothing is fused behind {} of {}", row.name, a.dtype)));
        }
        Ok(vec![TensorType::new(a.dtype, &broadcast::of_types(inputs)?)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let (a, b, row) = (inputs[0], inputs[1], self.function.row());
        let to = broadcast::sizes(&[a.sizes(), b.sizes()]).ok()?;
        if elementwise::is_real(a.dtype()) {
            let mut out = elementwise::zip_reals(a, b, &to, row.real?);
            if self.activation != Activation::None {
                out.as_mut_slice::<f32>().iter_mut().for_each(|x| *x = self.activation.apply(*x));
            }
            return Some(vec![out]);
        }
        let integer = row.integer.filter(|_| elementwise::is_integer(a.dtype()))?;
        let undefined = std::cell::Cell::new(false);
        let out = elementwise::zip_integers(a, b, &to, |a, b| {
            integer(a, b).unwrap_or_else(|| {
                undefined.set(true);
                0
            })
        });
        (!undefined.get()).then(|| vec![out])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        elementwise::region(self, inputs, region, fetch)
    }

    fn carry(&self, inputs: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        elementwise::carried(*self, inputs, order)
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (row, dtype) = (self.function.row(), inputs[0].dtype);
        let Some((builtin, dtypes)) = row.builtin else {
            return Err(Illegal(format!("LiteRT has no builtin for {}", row.name)));
        };
        if !dtypes.contains(&dtype) {
            return Err(Illegal(format!("{builtin} does not compute {} of {dtype}", row.name)));
        }
        // ATAN2 gives a wrong shape for operands that broadcast (measured on LiteRT 2.3.0).
        if self.function == Arithmetic::Atan2 && inputs[0].shape != inputs[1].shape {
            return Err(Illegal(format!("ATAN2 does not broadcast {} and {}", inputs[0], inputs[1])));
        }
        let call = tfl::Call::new(builtin).inputs([0, 1]);
        match self.function.fused() {
            Some(field) => Ok(call.set(field, tfl::Activation(self.activation.code()))),
            None => Ok(call),
        }
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let dtype = node.input(0)?.dtype;
        // What is one number for all is a bound, which keeps NaN.
        let extreme = [Builtin::MAXIMUM, Builtin::MINIMUM].contains(&node.operator);
        if extreme && node.input(0)?.count() == Ok(1) && node.constant(0).is_ok() {
            return Err(Illegal(format!("{} by a number is a bound", node.operator)));
        }
        let rows = Arithmetic::ALL.iter().filter_map(|f| Some((f, f.row().builtin?)));
        let named: Vec<_> = rows.filter(|(_, (builtin, _))| *builtin == node.operator).collect();
        let exact = named.iter().find(|(_, (_, dtypes))| dtypes.contains(&dtype));
        let (&function, _) = *exact
            .or(named.first())
            .ok_or_else(|| Illegal(format!("{} is not arithmetic", node.operator)))?;
        let code = function.fused().map_or(0, |field| node.get(field).0);
        let activation = Activation::from_code(code)
            .ok_or_else(|| Illegal(format!("{} with activation {code} is not read", node.operator)))?;
        Ok(tfl::imported(Binary { function, activation }, [0, 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are PyTorch's.
    #[test]
    fn division_takes_the_signs_that_pytorch_takes() {
        let a = Tensor::new(&[6], &[7.0f32, -7.0, 7.0, -7.0, 0.5, -0.0]);
        let b = Tensor::new(&[6], &[3.0f32, 3.0, -3.0, -3.0, f32::INFINITY, 2.0]);
        let run =
            |f: Arithmetic| Binary::from(f).evaluate(&[&a, &b]).map(|o| o[0].as_slice::<f32>().to_vec());
        assert_eq!(run(Arithmetic::DivFloor), Some(vec![2.0, -3.0, -3.0, 2.0, 0.0, -0.0]));
        assert_eq!(run(Arithmetic::Remainder), Some(vec![1.0, 2.0, -2.0, -1.0, 0.5, -0.0]));
        assert_eq!(run(Arithmetic::Fmod), Some(vec![1.0, -1.0, 1.0, -1.0, 0.5, -0.0]));
    }

    #[test]
    fn what_pytorch_refuses_is_not_evaluated() {
        let (a, zero) = (Tensor::new(&[2], &[1i64, i64::MIN]), Tensor::new(&[], &[0i64]));
        for function in [Arithmetic::DivFloor, Arithmetic::DivTrunc, Arithmetic::Remainder, Arithmetic::Fmod]
        {
            assert_eq!(Binary::from(function).evaluate(&[&a, &zero]), None);
            // The smallest integer by −1 has no quotient; it is not evaluated either, and nothing overflows.
            let _ = Binary::from(function).evaluate(&[&a, &Tensor::new(&[], &[-1i64])]);
        }
    }

    #[test]
    fn powers_of_integers_wrap_and_negative_ones_vanish() {
        let power = |a: i64, b: i64| integer_power(a, b);
        assert_eq!(
            [power(3, 4), power(2, 64), power(-1, -3), power(-1, -2), power(1, -9), power(5, -1)],
            [81, 0, -1, 1, 1, 0]
        );
    }
}
