//! Reductions that the target lacks, in terms of those that it has.

use ir::{DType, rules};

use super::formula::Formula;
use crate::ops::{ArgReduce, Compare, Extreme, Patch, Reduce, Reduction, Rule, Site};

pub(super) const RULES: &[Rule] =
    rules![extreme_that_keeps_nan, place_of_nan_first, mean_by_sum, truth_by_opposite];

/// `amax(x)  =>  where(any(x ≠ x), NaN, amax_number(x))`, and so for `amin`
fn extreme_that_keeps_nan(at: Site<'_>) -> Option<Patch<'_>> {
    let reduce: &Reduce = at.op()?;
    let function = match reduce.function {
        Reduction::Max => Reduction::MaxNumber,
        Reduction::Min => Reduction::MinNumber,
        _ => return None,
    };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let undefined = f.op(Compare::NotEqual, &[x, x]);
    let undefined = f.op(Reduce { function: Reduction::Any, ..reduce.clone() }, &[undefined]);
    let number = f.op(Reduce { function, ..reduce.clone() }, &[x]);
    let nan = f.number(f64::NAN);
    let result = f.choose(undefined, nan, number);
    f.is(result)
}

/// `argmax(x)  =>  where(any(x ≠ x), argmax(x ≠ x), argmax_number(x))`, and so for `argmin`
///
/// The first NaN is where `x ≠ x` is largest first.
fn place_of_nan_first(at: Site<'_>) -> Option<Patch<'_>> {
    let place: &ArgReduce = at.op()?;
    let extreme = match place.extreme {
        Extreme::Max => Extreme::MaxNumber,
        Extreme::Min => Extreme::MinNumber,
        _ => return None,
    };
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    let undefined = f.op(Compare::NotEqual, &[x, x]);
    let any = Reduce { function: Reduction::Any, axes: vec![place.axis], keep: false };
    let found = f.op(any, &[undefined]);
    let of_nan = f.op(ArgReduce { extreme: Extreme::Max, ..*place }, &[undefined]);
    let of_numbers = f.op(ArgReduce { extreme, ..*place }, &[x]);
    let result = f.choose(found, of_nan, of_numbers);
    f.is(result)
}

/// `mean(x)  =>  sum(x) / count`
fn mean_by_sum(at: Site<'_>) -> Option<Patch<'_>> {
    let reduce: &Reduce = at.op()?;
    let (x, mut f) = (at.input(0)?, Formula::of_reals(at)?);
    if reduce.function != Reduction::Mean {
        return None;
    }
    let sizes = at.input_ty(0)?.sizes().ok()?;
    let count: usize = reduce.axes.iter().map(|&axis| sizes[axis]).product();
    let total = f.op(Reduce { function: Reduction::Sum, ..reduce.clone() }, &[x]);
    let count = f.number(count as f64);
    let result = f.div(total, count);
    f.is(result)
}

/// `all(x)  =>  not any(not x)`, and the other way round
fn truth_by_opposite(at: Site<'_>) -> Option<Patch<'_>> {
    use crate::ops::Logical;
    let reduce: &Reduce = at.op()?;
    let function = match reduce.function {
        Reduction::All => Reduction::Any,
        Reduction::Any => Reduction::All,
        _ => return None,
    };
    let mut f = Formula::of(at).filter(|f| f.dtype() == DType::Bool)?;
    let opposite = f.op(Logical::Not, &[at.input(0)?]);
    let reduced = f.op(Reduce { function, ..reduce.clone() }, &[opposite]);
    let result = f.op(Logical::Not, &[reduced]);
    f.is(result)
}
