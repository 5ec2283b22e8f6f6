//! Many elements made one, along some axes: a table, one row each.

use ir::{Attributes, DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, arity, elementwise};
use crate::dialect::tfl::{self, Builtin, Illegal, reducer_options};

/// One number of all elements along some axes; the result has the dtype of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reduce {
    /// Which number.
    pub function: Reduction,
    /// The axes that are reduced, in rising order; at least one.
    pub axes: Vec<usize>,
    /// Do they stay in the result, with size one?
    pub keep: bool,
}

/// Where folding begins, and how it goes on.
type Fold<T> = (T, fn(T, T) -> T);

/// What a row of the table says.
struct Row {
    name: &'static str,
    /// The builtin and the dtypes for which it computes this (measured on LiteRT 2.3.0, both kernel sets).
    builtin: Option<(Builtin, &'static [DType])>,
    /// On reals: the number of no elements, and the number of those so far and one more.
    real: Option<Fold<f64>>,
    /// On integers.
    integer: Option<Fold<i64>>,
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $variant:ident: $name:literal, $builtin:expr, $real:expr, $integer:expr;)*) => {
        /// What is computed of many elements.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reduction { $($(#[$doc])* $variant),* }

        impl Reduction {
            /// Every reduction.
            pub const ALL: &[Reduction] = &[$(Reduction::$variant),*];
            const NAMES: &[&str] = &[$($name),*];
            const ROWS: &[Row] = &[$(Row { name: $name, builtin: $builtin, real: $real, integer: $integer }),*];
        }
    };
}

const F32: &[DType] = &[DType::F32];
const INTEGERS: &[DType] = &[DType::I32, DType::I64];
const NUMBERS: &[DType] = &[DType::F32, DType::I32, DType::I64];

reductions! {
    /// All hold.
    All: "all", Some((Builtin::REDUCE_ALL, &[DType::Bool])), None, Some((1, |all, one| all & one));
    /// One holds at least.
    Any: "any", Some((Builtin::REDUCE_ANY, &[DType::Bool])), None, Some((0, |any, one| any | one));
    /// The largest; NaN where one is NaN, which is where REDUCE_MAX goes on.
    Max: "amax", Some((Builtin::REDUCE_MAX, INTEGERS)), Some((f64::NEG_INFINITY, largest)), Some((i64::MIN, i64::max));
    /// The largest of those that are not NaN.
    MaxNumber: "amax_number", Some((Builtin::REDUCE_MAX, F32)), Some((f64::NEG_INFINITY, f64::max)), None;
    /// The sum divided by the count.
    Mean: "mean", Some((Builtin::MEAN, F32)), Some((0.0, |total, x| total + x)), None;
    /// The smallest; NaN where one is NaN, which is where REDUCE_MIN goes on.
    Min: "amin", Some((Builtin::REDUCE_MIN, INTEGERS)), Some((f64::INFINITY, |least, x| -largest(-least, -x))),
        Some((i64::MAX, i64::min));
    /// The smallest of those that are not NaN.
    MinNumber: "amin_number", Some((Builtin::REDUCE_MIN, F32)), Some((f64::INFINITY, f64::min)), None;
    /// The product.
    Prod: "prod", Some((Builtin::REDUCE_PROD, NUMBERS)), Some((1.0, |product, x| product * x)),
        Some((1, i64::wrapping_mul));
    /// The sum.
    Sum: "sum", Some((Builtin::SUM, NUMBERS)), Some((0.0, |total, x| total + x)), Some((0, i64::wrapping_add));
}

fn largest(most: f64, x: f64) -> f64 {
    if most.is_nan() || x <= most { most } else { x }
}

impl Reduction {
    fn row(self) -> &'static Row {
        &Reduction::ROWS[self as usize]
    }

    /// Is there a result of no elements at all?
    fn of_none(self) -> bool {
        use Reduction::*;
        !matches!(self, Max | MaxNumber | Min | MinNumber)
    }

    /// Along these axes, which stay with size one.
    pub fn kept(self, axes: impl Into<Vec<usize>>) -> Reduce {
        Reduce { function: self, axes: axes.into(), keep: true }
    }
}

impl Reduce {
    /// The sizes of the result while every axis stays.
    fn kept(&self, sizes: &[usize]) -> Vec<usize> {
        sizes.iter().enumerate().map(|(i, &n)| if self.axes.contains(&i) { 1 } else { n }).collect()
    }

    fn result(&self, sizes: &[usize]) -> Vec<usize> {
        let stays = |(i, n): (usize, usize)| (self.keep || !self.axes.contains(&i)).then_some(n);
        self.kept(sizes).into_iter().enumerate().filter_map(stays).collect()
    }
}

impl Definition for Reduce {
    const NAMES: &'static [&'static str] = Reduction::NAMES;
    const TFL: &'static [Builtin] = &[
        Builtin::MEAN,
        Builtin::REDUCE_ALL,
        Builtin::REDUCE_ANY,
        Builtin::REDUCE_MAX,
        Builtin::REDUCE_MIN,
        Builtin::REDUCE_PROD,
        Builtin::SUM,
    ];

    fn name(&self) -> &'static str {
        self.function.row().name
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.put("axes", &self.axes);
        attributes.put("keep", &self.keep);
        attributes
    }

    fn parse(name: &str, attributes: &Attributes) -> Result<Self, String> {
        let found = Reduction::ALL.iter().find(|f| f.row().name == name);
        let function = *found.ok_or_else(|| format!("no reduction is called '{name}'"))?;
        Ok(Reduce { function, axes: attributes.field("axes")?, keep: attributes.field("keep")? })
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let row = self.function.row();
        let rising = self.axes.windows(2).all(|w| w[0] < w[1]);
        if self.axes.is_empty() || !rising || self.axes.iter().any(|&a| a >= input.rank()) {
            return Err(Mismatch(format!("reduces the axes {:?} of {input}", self.axes)));
        }
        let truth = matches!(self.function, Reduction::All | Reduction::Any);
        let defined = match input.dtype {
            DType::Bool => truth,
            dtype if dtype.is_float() => row.real.is_some(),
            dtype => dtype.is_int() && row.integer.is_some() && !truth,
        };
        if !defined {
            return Err(Mismatch(format!("{} is not defined on {}", row.name, input.dtype)));
        }
        let sizes = input.sizes()?;
        if !self.function.of_none() && self.axes.iter().any(|&a| sizes[a] == 0) {
            return Err(Mismatch(format!("there is no {} of no elements: {input}", row.name)));
        }
        Ok(vec![TensorType::new(input.dtype, &self.result(&sizes))])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let (input, row) = (inputs[0], self.function.row());
        let (kept, result) = (self.kept(input.sizes()), self.result(input.sizes()));
        if elementwise::is_real(input.dtype()) {
            let (start, step) = row.real?;
            let mut totals = elementwise::reduce_reals(input, &kept, start, step);
            if self.function == Reduction::Mean {
                let count: usize = self.axes.iter().map(|&a| input.sizes()[a]).product();
                totals.iter_mut().for_each(|total| *total /= count as f64);
            }
            return Some(vec![Tensor::from_f64s(input.dtype(), &result, totals)]);
        }
        if !elementwise::is_integer(input.dtype()) && input.dtype() != DType::Bool {
            return None;
        }
        let (start, step) = row.integer?;
        let totals = elementwise::reduce_integers(input, &kept, start, step);
        Some(vec![Tensor::from_i64s(input.dtype(), &result, totals)])
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let mut axes: Vec<usize> = self.axes.iter().map(|&axis| order.position(axis)).collect();
        axes.sort_unstable();
        let result = if self.keep { order.clone() } else { without(order, &self.axes) };
        let op = Reduce { axes, ..self.clone() };
        Some(Carried { op, inputs: vec![order.clone()], outputs: vec![result] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (row, dtype) = (self.function.row(), inputs[0].dtype);
        match row.builtin {
            Some((builtin, dtypes)) if dtypes.contains(&dtype) => Ok(tfl::Call::new(builtin)
                .input(0)
                .int32s(self.axes.iter().copied())?
                .set(reducer_options::KEEP_DIMS, self.keep)),
            _ => Err(Illegal(format!("LiteRT has no builtin for {} of {dtype}", row.name))),
        }
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let input = node.input(0)?;
        let named = |f: &&Reduction| f.row().builtin.is_some_and(|(b, _)| b == node.operator);
        let exact = |f: &&Reduction| f.row().builtin.is_some_and(|(_, d)| d.contains(&input.dtype));
        let function = *Reduction::ALL
            .iter()
            .filter(named)
            .find(exact)
            .ok_or_else(|| Illegal(format!("{} of {} is not read", node.operator, input.dtype)))?;
        let mut axes = Vec::new();
        for axis in node.ints(1)? {
            axes.push(node.axis(axis, input.rank())?);
        }
        axes.sort_unstable();
        axes.dedup();
        Ok(tfl::imported(Reduce { function, axes, keep: node.get(reducer_options::KEEP_DIMS) }, [0]))
    }
}

/// The order in which the axes that stay are stored, numbered anew without those that go.
pub(super) fn without(order: &Order, gone: &[usize]) -> Order {
    let stays = order.axes().iter().filter(|axis| !gone.contains(axis));
    let renumbered = stays.map(|&axis| axis - gone.iter().filter(|&&g| g < axis).count());
    Order::new(renumbered.collect())
        .expect("a permutation without some of its elements, numbered anew, is one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_stay_are_numbered_anew() {
        let order = Order::new(vec![0, 2, 3, 1]).unwrap();
        assert_eq!(without(&order, &[2, 3]).axes(), [0, 1]);
        assert_eq!(without(&order, &[0]).axes(), [1, 2, 0]);
        assert_eq!(without(&order, &[1]).axes(), [0, 1, 2]);
    }

    #[test]
    fn the_largest_of_nan_is_nan() {
        let x = Tensor::new(&[2, 3], &[1.0f32, f32::NAN, 2.0, -1.0, -3.0, f32::NEG_INFINITY]);
        let run = |f: Reduction| f.kept([1]).evaluate(&[&x]).unwrap()[0].as_slice::<f32>().to_vec();
        assert!(run(Reduction::Max)[0].is_nan());
        assert!(run(Reduction::Min)[0].is_nan());
        assert_eq!(run(Reduction::Max)[1], -1.0);
        assert_eq!(run(Reduction::Min)[1], f32::NEG_INFINITY);
        assert_eq!(run(Reduction::MaxNumber), [2.0, -1.0]);
    }
}
