//! One size of a shape: a number, or an expression over named symbols.

mod text;

use std::fmt;
use std::sync::Arc;

/// A size: a number, or an expression over symbols that a pin will settle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A number.
    Known(usize),
    /// An expression with at least one symbol.
    Symbolic(Arc<Expr>),
}

/// Arithmetic over named symbols, with the semantics of Python's integers and floats.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A number.
    Int(i64),
    /// A finite real number.
    Real(Real),
    /// A named unknown, such as `s0`.
    Symbol(Arc<str>),
    /// A function of other expressions, by its name: `add` and `mul` of any number; `floordiv`, `ceildiv`, `mod`,
    /// `pow`, `truediv`, `lshift`, `rshift`, `eq`, `ne`, `lt`, `le`, `gt`, `ge` of two; `max`, `min`, `and`, `or`
    /// of one or more; `floor`, `ceil`, `trunc`, `round`, `float`, `not` of one; `where` of three.
    Call(Arc<str>, Vec<Expr>),
}

/// A finite real number that can be compared and hashed, by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Real(u64);

impl Real {
    /// From a finite number; `None` for any other.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then(|| Real(value.to_bits()))
    }

    /// The number.
    pub fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// A real number.
    Real(f64),
    /// A truth value.
    Bool(bool),
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// This symbol is not bound.
    Unbound(Arc<str>),
    /// A result does not fit 64 bits, or a number is divided by zero, or a function is not known or given what it
    /// does not take; in words.
    Undefined(String),
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsettled::Unbound(symbol) => write!(f, "{symbol} is not pinned"),
            Unsettled::Undefined(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Unsettled {}

impl Dim {
    /// The number, where it is one.
    pub fn known(&self) -> Option<usize> {
        match self {
            Dim::Known(n) => Some(*n),
            Dim::Symbolic(_) => None,
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Self {
        Dim::Known(n)
    }
}

impl From<Expr> for Dim {
    fn from(expr: Expr) -> Self {
        match expr {
            Expr::Int(n) if n >= 0 => Dim::Known(n as usize),
            other => Dim::Symbolic(Arc::new(other)),
        }
    }
}

impl Expr {
    /// A named unknown.
    pub fn symbol(name: &str) -> Self {
        Expr::Symbol(name.into())
    }

    /// A function of other expressions.
    pub fn call(name: &str, arguments: impl Into<Vec<Expr>>) -> Self {
        Expr::Call(name.into(), arguments.into())
    }

    /// Calls `visit` with each symbol, once for each place where it stands.
    pub fn for_each_symbol(&self, visit: &mut impl FnMut(&Arc<str>)) {
        match self {
            Expr::Int(_) | Expr::Real(_) => {}
            Expr::Symbol(name) => visit(name),
            Expr::Call(_, arguments) => arguments.iter().for_each(|a| a.for_each_symbol(visit)),
        }
    }

    /// Its value where `bound` gives the symbols theirs.
    pub fn evaluate(&self, bound: &impl Fn(&str) -> Option<i64>) -> Result<Number, Unsettled> {
        match self {
            Expr::Int(n) => Ok(Number::Int(*n)),
            Expr::Real(x) => Ok(Number::Real(x.get())),
            Expr::Symbol(name) => {
                bound(name).map(Number::Int).ok_or_else(|| Unsettled::Unbound(name.clone()))
            }
            // Only the branch that is taken needs a value.
            Expr::Call(name, args) if &**name == "where" && args.len() == 3 => {
                let taken = if truth(args[0].evaluate(bound)?) { &args[1] } else { &args[2] };
                taken.evaluate(bound)
            }
            Expr::Call(name, args) => {
                let args: Vec<Number> = args.iter().map(|a| a.evaluate(bound)).collect::<Result<_, _>>()?;
                apply(name, &args).ok_or_else(|| {
                    let args: Vec<String> = args.iter().map(Number::to_string).collect();
                    Unsettled::Undefined(format!("{name}({}) has no value in 64 bits", args.join(",")))
                })
            }
        }
    }

    /// Its value, where that is an integer (a truth value counts as 0 or 1).
    pub fn evaluate_int(&self, bound: &impl Fn(&str) -> Option<i64>) -> Result<i64, Unsettled> {
        match self.evaluate(bound)? {
            Number::Int(n) => Ok(n),
            Number::Bool(b) => Ok(i64::from(b)),
            Number::Real(x) => Err(Unsettled::Undefined(format!("{self} is {x}, not an integer"))),
        }
    }

    /// With symbols replaced by what `replace` gives for them; parts without symbols become numbers.
    pub fn substitute(&self, replace: &impl Fn(&str) -> Option<Expr>) -> Expr {
        match self {
            Expr::Int(_) | Expr::Real(_) => self.clone(),
            Expr::Symbol(name) => replace(name).unwrap_or_else(|| self.clone()),
            Expr::Call(name, args) => {
                let call = Expr::Call(name.clone(), args.iter().map(|a| a.substitute(replace)).collect());
                match call.evaluate(&|_| None) {
                    Ok(Number::Int(n)) => Expr::Int(n),
                    Ok(Number::Real(x)) => Real::new(x).map_or(call, Expr::Real),
                    _ => call,
                }
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(n) => write!(f, "{n}"),
            Number::Real(x) => write!(f, "{x:?}"),
            Number::Bool(b) => write!(f, "{b}"),
        }
    }
}

impl Number {
    /// As a real number; truth values are 0 and 1.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Real(x) => x,
            Number::Bool(b) => f64::from(u8::from(b)),
        }
    }

    /// As an integer where it is one or a truth value.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Number::Int(n) => Some(n),
            Number::Bool(b) => Some(i64::from(b)),
            Number::Real(_) => None,
        }
    }
}

fn truth(n: Number) -> bool {
    n.as_f64() != 0.0
}

/// A function of numbers as Python defines it; `None` where it has no value here.
fn apply(name: &str, args: &[Number]) -> Option<Number> {
    match (name, args) {
        ("add" | "mul" | "max" | "min", [first, rest @ ..]) => {
            rest.iter().try_fold(*first, |acc, &n| fold_one(name, acc, n))
        }
        ("and", all) => Some(Number::Bool(all.iter().all(|&n| truth(n)))),
        ("or", all) => Some(Number::Bool(all.iter().any(|&n| truth(n)))),
        ("not", [a]) => Some(Number::Bool(!truth(*a))),
        ("float", [a]) => Some(Number::Real(a.as_f64())),
        ("floor" | "ceil" | "trunc" | "round", [a]) => whole(name, *a),
        (_, [a, b]) => binary(name, *a, *b),
        _ => None,
    }
}

fn fold_one(name: &str, a: Number, b: Number) -> Option<Number> {
    let (Some(x), Some(y)) = (a.as_int(), b.as_int()) else {
        let (x, y) = (a.as_f64(), b.as_f64());
        return Some(match name {
            "add" => Number::Real(x + y),
            "mul" => Number::Real(x * y),
            // Python's max and min keep the first of equal ones, and its type.
            "max" => {
                if y > x {
                    b
                } else {
                    a
                }
            }
            _ => {
                if y < x {
                    b
                } else {
                    a
                }
            }
        });
    };
    match name {
        "add" => x.checked_add(y),
        "mul" => x.checked_mul(y),
        "max" => Some(x.max(y)),
        _ => Some(x.min(y)),
    }
    .map(Number::Int)
}

/// To an integer, in one of Python's four ways (`round` is half to even).
fn whole(name: &str, a: Number) -> Option<Number> {
    let x = match a {
        Number::Real(x) => x,
        other => return other.as_int().map(Number::Int),
    };
    let x = match name {
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        "trunc" => x.trunc(),
        _ => x.round_ties_even(),
    };
    // 2^63 is the first f64 beyond an i64.
    (x >= -(2f64.powi(63)) && x < 2f64.powi(63)).then_some(Number::Int(x as i64))
}

fn binary(name: &str, a: Number, b: Number) -> Option<Number> {
    if let Some(answer) = compare(name, a, b) {
        return Some(Number::Bool(answer));
    }
    let (Some(x), Some(y)) = (a.as_int(), b.as_int()) else {
        return real(name, a.as_f64(), b.as_f64()).map(Number::Real);
    };
    match name {
        "floordiv" => floor_div(x, y),
        "ceildiv" => floor_div(x.checked_neg()?, y)?.checked_neg(),
        // As in Python, the remainder has the sign of the divisor.
        "mod" => x.checked_sub(floor_div(x, y)?.checked_mul(y)?),
        "lshift" => u32::try_from(y).ok().and_then(|y| x.checked_mul(2i64.checked_pow(y)?)),
        "rshift" => u32::try_from(y).ok().map(|y| x.checked_shr(y).unwrap_or(if x < 0 { -1 } else { 0 })),
        "pow" if y >= 0 => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        _ => return real(name, x as f64, y as f64).map(Number::Real),
    }
    .map(Number::Int)
}

fn real(name: &str, x: f64, y: f64) -> Option<f64> {
    let value = match name {
        "truediv" if y != 0.0 => x / y,
        "floordiv" if y != 0.0 => (x / y).floor(),
        "mod" if y != 0.0 => x - (x / y).floor() * y,
        "pow" => x.powf(y),
        _ => return None,
    };
    value.is_finite().then_some(value)
}

fn compare(name: &str, a: Number, b: Number) -> Option<bool> {
    let order = match (a.as_int(), b.as_int()) {
        (Some(x), Some(y)) => x.partial_cmp(&y),
        _ => a.as_f64().partial_cmp(&b.as_f64()),
    };
    Some(match name {
        "eq" => order.is_some_and(|o| o.is_eq()),
        "ne" => order.is_none_or(|o| o.is_ne()),
        "lt" => order.is_some_and(|o| o.is_lt()),
        "le" => order.is_some_and(|o| o.is_le()),
        "gt" => order.is_some_and(|o| o.is_gt()),
        "ge" => order.is_some_and(|o| o.is_ge()),
        _ => return None,
    })
}

/// Division rounded down, as Python's `//`.
fn floor_div(x: i64, y: i64) -> Option<i64> {
    let quotient = x.checked_div(y)?;
    Some(if x % y != 0 && (x < 0) != (y < 0) { quotient - 1 } else { quotient })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(expr: &str, s0: i64) -> Result<Number, Unsettled> {
        expr.parse::<Expr>().unwrap().evaluate(&|name| (name == "s0").then_some(s0))
    }

    /// Expected values are what CPython's `//`, `%`, `max` and `round` give.
    #[test]
    fn division_and_remainder_are_pythons() {
        for (text, s0, expected) in [
            ("floor(s0/2)", -7, -4),
            ("floor(s0/(-2))", 7, -4),
            ("ceil(s0/2)", 7, 4),
            ("ceil(s0/2)", -7, -3),
            ("mod(s0,3)", -7, 2),
            ("mod(s0,-3)", 7, -2),
            ("2*floor(s0/2)+1", 9, 9),
            ("max(s0,2,3)-min(s0,1)", 7, 6),
            ("pow(s0,3)", -2, -8),
            ("lshift(s0,4)", 3, 48),
            ("rshift(s0,1)", -3, -2),
            ("round(truediv(s0,2))", 5, 2),
            ("floor(mul(float(s0),1.5))", 5, 7),
            ("where(lt(s0,3),floor(1/0),4)", 5, 4),
        ] {
            assert_eq!(at(text, s0), Ok(Number::Int(expected)), "{text} at {s0}");
        }
        assert_eq!(at("eq(mod(s0,2),0)", 4), Ok(Number::Bool(true)));
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        for text in [
            "s0*s0",
            "floor(s0/0)",
            "mod(s0,0)",
            "s0+s0",
            "pow(s0,99)",
            "lshift(s0,64)",
            "frobnicate(s0)",
            "add()",
        ] {
            assert!(matches!(at(text, i64::MAX), Err(Unsettled::Undefined(_))), "{text}");
        }
        assert!(matches!(at("floor(s0/(-1))", i64::MIN), Err(Unsettled::Undefined(_))));
        assert!(matches!(at("mod(s0,-1)", i64::MIN), Err(Unsettled::Undefined(_))));
        assert_eq!(at("s0+s1", 1), Err(Unsettled::Unbound("s1".into())));
    }

    #[test]
    fn substitution_settles_what_it_can() {
        let expr: Expr = "2*floor(s0/2)+s1".parse().unwrap();
        let half = expr.substitute(&|name| (name == "s0").then_some(Expr::Int(7)));
        assert_eq!(half.to_string(), "6+s1");
        let whole = half.substitute(&|_| Some(Expr::Int(1)));
        assert_eq!(Dim::from(whole), Dim::Known(7));
    }
}
