//! Comparisons of two elements that broadcast: a table, one row each.

use std::cmp::Ordering;
use std::io;

use ir::{Attributes, DType, Mismatch, Region, Tensor, TensorType};

use super::definition::{Carried, Definition, Fetch};
use super::{Order, arity, broadcast, elementwise};
use crate::dialect::tfl::{self, Builtin, Illegal};

/// What a row of the table says.
struct Row {
    name: &'static str,
    builtin: Builtin,
    /// Does it hold of elements in this order? NaN is in no order with anything.
    holds: fn(Option<Ordering>) -> bool,
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $builtin:ident, $holds:expr;)*) => {
        /// A truth value for each pair of elements of one dtype.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Compare { $($(#[$doc])* $variant),* }

        impl Compare {
            /// Every comparison.
            pub const ALL: &[Compare] = &[$(Compare::$variant),*];
            const ROW_NAMES: &[&str] = &[$($name),*];
            const BUILTINS: &[Builtin] = &[$(Builtin::$builtin),*];
            const ROWS: &[Row] = &[$(Row { name: $name, builtin: Builtin::$builtin, holds: $holds }),*];
        }
    };
}

comparisons! {
    /// `a = b`
    Equal: "equal", EQUAL, |o| o == Some(Ordering::Equal);
    /// `a > b`
    Greater: "greater", GREATER, |o| o == Some(Ordering::Greater);
    /// `a ≥ b`
    GreaterEqual: "greater_equal", GREATER_EQUAL, |o| matches!(o, Some(Ordering::Greater | Ordering::Equal));
    /// `a < b`
    Less: "less", LESS, |o| o == Some(Ordering::Less);
    /// `a ≤ b`
    LessEqual: "less_equal", LESS_EQUAL, |o| matches!(o, Some(Ordering::Less | Ordering::Equal));
    /// `a ≠ b`, which holds of NaN and itself
    NotEqual: "not_equal", NOT_EQUAL, |o| o != Some(Ordering::Equal);
}

impl Compare {
    fn row(self) -> &'static Row {
        &Compare::ROWS[self as usize]
    }
}

impl Definition for Compare {
    const NAMES: &'static [&'static str] = Compare::ROW_NAMES;
    const ELEMENTWISE: bool = true;
    const TFL: &'static [Builtin] = Compare::BUILTINS;

    fn name(&self) -> &'static str {
        self.row().name
    }

    fn attributes(&self) -> Attributes {
        Attributes::default()
    }

    fn parse(name: &str, _: &Attributes) -> Result<Self, String> {
        let found = Compare::ALL.iter().find(|c| c.row().name == name);
        found.copied().ok_or_else(|| format!("no comparison is called '{name}'"))
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [a, b] = arity(inputs)?;
        if a.dtype != b.dtype || a.dtype.is_complex() {
            return Err(Mismatch(format!("{} and {} are not compared", a.dtype, b.dtype)));
        }
        Ok(vec![TensorType::new(DType::Bool, &broadcast::of_types(inputs)?)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let (a, b, holds) = (inputs[0], inputs[1], self.row().holds);
        let to = broadcast::sizes(&[a.sizes(), b.sizes()]).ok()?;
        Some(vec![elementwise::compare(a, b, &to, holds)?])
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
        let (builtin, dtype) = (self.row().builtin, inputs[0].dtype);
        // Truth values are compared for equality only (measured on LiteRT 2.3.0, both kernel sets).
        let taken = match dtype {
            DType::F32 | DType::I32 | DType::I64 => true,
            DType::Bool => matches!(self, Compare::Equal | Compare::NotEqual),
            _ => false,
        };
        if !taken {
            return Err(Illegal(format!("{builtin} does not compare {dtype}")));
        }
        Ok(tfl::Call::new(builtin).inputs([0, 1]))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let found = Compare::ALL.iter().find(|c| c.row().builtin == node.operator);
        let compare = found.ok_or_else(|| Illegal(format!("{} is no comparison", node.operator)))?;
        Ok(tfl::imported(*compare, [0, 1]))
    }
}
