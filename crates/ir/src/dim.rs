//! One size of a shape: a number, or an expression over named symbols.

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

/// Integer arithmetic over named symbols.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// A number.
    Int(i64),
    /// A named unknown, such as `s0`.
    Symbol(Arc<str>),
    /// A function of other expressions, by its name.
    Call(Arc<str>, Vec<Expr>),
}

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

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Symbolic(e) => write!(f, "{e}"),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Int(n) => write!(f, "{n}"),
            Expr::Symbol(s) => f.write_str(s),
            Expr::Call(name, args) => {
                let args: Vec<String> = args.iter().map(Expr::to_string).collect();
                write!(f, "{name}({})", args.join(","))
            }
        }
    }
}

impl std::str::FromStr for Dim {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(n) => Ok(Dim::Known(n)),
            Err(_) => Err(format!("'{text}' is no size")),
        }
    }
}
