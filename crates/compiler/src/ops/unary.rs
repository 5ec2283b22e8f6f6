//! Functions of one element: a table, one row each.

use std::io;

use ir::{Attributes, DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, elementwise};
use crate::dialect::tfl::{self, Builtin, Illegal};

/// What a row of the table says.
struct Row {
    name: &'static str,
    aten: &'static [&'static str],
    /// The builtin and the dtypes that its kernel takes (measured on LiteRT 2.3.0, both kernel sets).
    builtin: Option<(Builtin, &'static [DType])>,
    real: fn(f64) -> f64,
    /// Where PyTorch defines the function on integers.
    integer: Option<fn(i64) -> i64>,
}

macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, [$($aten:literal),*], $builtin:expr, $real:expr, $integer:expr;)*) => {
        /// A function of each element; the result has the dtype of the input.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Unary { $($(#[$doc])* $variant),* }

        impl Unary {
            /// Every function.
            pub const ALL: &[Unary] = &[$(Unary::$variant),*];
            const ROW_NAMES: &[&str] = &[$($name),*];
            /// The ATen overloads of all functions.
            pub const OVERLOADS: &[&str] = &[$($($aten),*),*];
            const ROWS: &[Row] =
                &[$(Row { name: $name, aten: &[$($aten),*], builtin: $builtin, real: $real, integer: $integer }),*];
        }
    };
}

const F32: &[DType] = &[DType::F32];

functions! {
    /// `|x|`
    Abs: "abs", ["aten.abs.default", "aten.absolute.default"], Some((Builtin::ABS, &[DType::F32, DType::I16, DType::I32])),
        f64::abs, Some(i64::wrapping_abs);
    /// The angle whose tangent is `x`
    Atan: "atan", ["aten.atan.default", "aten.arctan.default"], None, f64::atan, None;
    /// `⌈x⌉`
    Ceil: "ceil", ["aten.ceil.default"], Some((Builtin::CEIL, F32)), f64::ceil, None;
    /// `cos x`
    Cos: "cos", ["aten.cos.default"], Some((Builtin::COS, F32)), f64::cos, None;
    /// `2/√π` times the integral of `exp(−t²)` from 0 to `x`
    Erf: "erf", ["aten.erf.default", "aten.special_erf.default"], None, libm::erf, None;
    /// `eˣ`
    Exp: "exp", ["aten.exp.default"], Some((Builtin::EXP, F32)), f64::exp, None;
    /// `2ˣ`
    Exp2: "exp2", ["aten.exp2.default"], None, f64::exp2, None;
    /// `eˣ − 1`, exact near zero
    Expm1: "expm1", ["aten.expm1.default"], None, f64::exp_m1, None;
    /// `⌊x⌋`
    Floor: "floor", ["aten.floor.default"], Some((Builtin::FLOOR, F32)), f64::floor, None;
    /// `min(max(x + 3, 0), 6) / 6`
    HardSigmoid: "hardsigmoid", ["aten.hardsigmoid.default"], None, hardsigmoid, None;
    /// `x · min(max(x + 3, 0), 6) / 6`
    HardSwish: "hardswish", ["aten.hardswish.default"], Some((Builtin::HARD_SWISH, F32)), hardswish, None;
    /// `ln x`
    Log: "log", ["aten.log.default"], Some((Builtin::LOG, F32)), f64::ln, None;
    /// `log₁₀ x`
    Log10: "log10", ["aten.log10.default"], None, f64::log10, None;
    /// `ln(1 + x)`, exact near zero
    Log1p: "log1p", ["aten.log1p.default"], None, f64::ln_1p, None;
    /// `log₂ x`
    Log2: "log2", ["aten.log2.default"], None, f64::log2, None;
    /// `ln(1 / (1 + e⁻ˣ))`
    LogSigmoid: "log_sigmoid", ["aten.log_sigmoid.default"], None, |x| x.min(0.0) - (-x.abs()).exp().ln_1p(), None;
    /// `x · tanh(ln(1 + eˣ))`
    Mish: "mish", ["aten.mish.default"], None, mish, None;
    /// `−x`
    Neg: "neg", ["aten.neg.default", "aten.negative.default"],
        Some((Builtin::NEG, &[DType::F32, DType::I16, DType::I32, DType::I64])), |x| -x, Some(i64::wrapping_neg);
    /// `1 / x`
    Reciprocal: "reciprocal", ["aten.reciprocal.default"], None, f64::recip, None;
    /// `max(x, 0)`
    Relu: "relu", ["aten.relu.default"], Some((Builtin::RELU, F32)), |x| clamped(x, 0.0, f64::INFINITY), Some(|n| n.max(0));
    /// `min(max(x, 0), 6)`
    Relu6: "relu6", ["aten.relu6.default"], Some((Builtin::RELU6, F32)), |x| clamped(x, 0.0, 6.0), Some(|n| n.clamp(0, 6));
    /// The nearest integer; halves to the even one
    Round: "round", ["aten.round.default"], Some((Builtin::ROUND, F32)), f64::round_ties_even, None;
    /// `1 / √x`
    Rsqrt: "rsqrt", ["aten.rsqrt.default"], Some((Builtin::RSQRT, F32)), |x| x.sqrt().recip(), None;
    /// `1 / (1 + e⁻ˣ)`
    Sigmoid: "sigmoid", ["aten.sigmoid.default"], Some((Builtin::LOGISTIC, F32)), sigmoid, None;
    /// −1, 0 or 1; 0 of NaN, which is where LiteRT's SIGN gives NaN, so only integers are spelled by it
    Sign: "sign", ["aten.sign.default", "aten.sgn.default"], Some((Builtin::SIGN, &[DType::I32])),
        |x| f64::from(i8::from(x > 0.0) - i8::from(x < 0.0)), Some(i64::signum);
    /// `x / (1 + e⁻ˣ)`
    Silu: "silu", ["aten.silu.default"], None, |x| x / (1.0 + (-x).exp()), None;
    /// `sin x`
    Sin: "sin", ["aten.sin.default"], Some((Builtin::SIN, F32)), f64::sin, None;
    /// `√x`
    Sqrt: "sqrt", ["aten.sqrt.default"], Some((Builtin::SQRT, F32)), f64::sqrt, None;
    /// `x²`
    Square: "square", ["aten.square.default"], Some((Builtin::SQUARE, F32)), |x| x * x, Some(|n| n.wrapping_mul(n));
    /// `tan x`
    Tan: "tan", ["aten.tan.default"], None, f64::tan, None;
    /// `tanh x`
    Tanh: "tanh", ["aten.tanh.default"], Some((Builtin::TANH, F32)), f64::tanh, None;
    /// `x` without what is behind its point
    Trunc: "trunc", ["aten.trunc.default", "aten.fix.default"], None, f64::trunc, None;
}

/// `x` within bounds; NaN passes through.
fn clamped(x: f64, low: f64, high: f64) -> f64 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn hardsigmoid(x: f64) -> f64 {
    clamped(x + 3.0, 0.0, 6.0) / 6.0
}

fn hardswish(x: f64) -> f64 {
    x * clamped(x + 3.0, 0.0, 6.0) / 6.0
}

fn mish(x: f64) -> f64 {
    // ln(1 + eˣ) without overflow: for a large x it is x.
    let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
    if x.is_nan() { x } else { x * softplus.tanh() }
}

impl Unary {
    fn row(self) -> &'static Row {
        &Unary::ROWS[self as usize]
    }

    /// The function that an ATen overload computes.
    pub fn of_aten(target: &str) -> Option<Unary> {
        Unary::ALL.iter().copied().find(|f| f.row().aten.contains(&target))
    }

    fn of_builtin(builtin: Builtin) -> Option<Unary> {
        Unary::ALL.iter().copied().find(|f| f.row().builtin.is_some_and(|(b, _)| b == builtin))
    }
}

impl Definition for Unary {
    const NAMES: &'static [&'static str] = Unary::ROW_NAMES;
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = &[
        Builtin::ABS,
        Builtin::CEIL,
        Builtin::COS,
        Builtin::EXP,
        Builtin::FLOOR,
        Builtin::HARD_SWISH,
        Builtin::LOG,
        Builtin::LOGISTIC,
        Builtin::NEG,
        Builtin::RELU,
        Builtin::RELU6,
        Builtin::ROUND,
        Builtin::RSQRT,
        Builtin::SIGN,
        Builtin::SIN,
        Builtin::SQRT,
        Builtin::SQUARE,
        Builtin::TANH,
    ];

    fn name(&self) -> &'static str {
        self.row().name
    }

    fn attributes(&self) -> Attributes {
        Attributes::default()
    }

    fn parse(name: &str, _: &Attributes) -> Result<Self, String> {
        let found = Unary::ALL.iter().find(|f| f.row().name == name);
        found.copied().ok_or_else(|| format!("no function is called '{name}'"))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let row = self.row();
        let defined = input.dtype.is_float() || (input.dtype.is_int() && row.integer.is_some());
        if !defined {
            return Err(Mismatch(format!("{} is not defined on {}", row.name, input.dtype)));
        }
        Ok(vec![input.with_dtype(input.dtype)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let row = self.row();
        let dtype = inputs[0].dtype();
        if elementwise::is_real(dtype) {
            return Some(vec![elementwise::map_reals(inputs[0], row.real)]);
        }
        let integer = row.integer.filter(|_| elementwise::is_integer(dtype))?;
        Some(vec![elementwise::map_integers(inputs[0], integer)])
    }

    fn evaluate_region(
        &self,
        inputs: &[&TensorType],
        region: &Region,
        fetch: Fetch<'_>,
    ) -> Option<io::Result<Tensor>> {
        elementwise::region(self, inputs, region, fetch)
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        Some(Carried::alike(*self, 1, order))
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (row, dtype) = (self.row(), inputs[0].dtype);
        let Some((builtin, dtypes)) = row.builtin else {
            return Err(Illegal(format!("LiteRT has no builtin for {}", row.name)));
        };
        if !dtypes.contains(&dtype) {
            return Err(Illegal(format!("{builtin} is not spelled for {dtype}")));
        }
        Ok(tfl::Call::new(builtin).input(0))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let function = Unary::of_builtin(node.operator)
            .ok_or_else(|| Illegal(format!("{} is not a function of one element", node.operator)))?;
        Ok(tfl::imported(function, [0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_of_the_table_is_read_back_as_its_function() {
        let spelled: Vec<Builtin> = Unary::ROWS.iter().filter_map(|r| Some(r.builtin?.0)).collect();
        assert_eq!(spelled.len(), Unary::TFL.len());
        for builtin in spelled {
            assert!(Unary::TFL.contains(&builtin), "{builtin}");
            let function = Unary::of_builtin(builtin).expect("it stands in the table");
            assert_eq!(function.row().builtin.map(|b| b.0), Some(builtin));
        }
    }
}
