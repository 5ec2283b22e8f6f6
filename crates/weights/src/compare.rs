//! Two sets of named tensors held against each other: names, dtypes, sizes and, where asked for, elements.

use std::io;

use indexmap::IndexMap;
use ir::{Constant, DType, Diagnostic, Tensor, TensorType};

use crate::slab::slabs;
use crate::{UNSUITABLE_WEIGHTS, unread};

/// All that is different between two sets of tensors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    /// Names that only the first has.
    pub missing: Vec<String>,
    /// Names that only the second has.
    pub extra: Vec<String>,
    /// What both have, but of other types: in the first, in the second.
    pub types: Vec<(String, TensorType, TensorType)>,
    /// What is of one type, but of other elements.
    pub values: Vec<(String, Difference)>,
}

/// How two tensors of one type differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// The number of elements that differ. NaN is no different from NaN.
    pub count: usize,
    /// The largest absolute difference, infinite where only one of two is NaN; `None` for dtypes without arithmetic
    /// here.
    pub largest: Option<f64>,
}

impl Differences {
    /// Is nothing different?
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.types.is_empty() && self.values.is_empty()
    }

    /// The number of tensors that differ.
    pub fn count(&self) -> usize {
        self.missing.len() + self.extra.len() + self.types.len() + self.values.len()
    }

    /// Names and types, without a look at an element.
    pub fn of_types(first: &IndexMap<String, Constant>, second: &IndexMap<String, Constant>) -> Self {
        let mut found = Differences::default();
        for (name, a) in first {
            match second.get(name) {
                None => found.missing.push(name.clone()),
                Some(b) if a.ty() != b.ty() => found.types.push((name.clone(), a.ty(), b.ty())),
                Some(_) => {}
            }
        }
        found.extra.extend(second.keys().filter(|name| !first.contains_key(*name)).cloned());
        found
    }

    /// Names, types and elements; `progress` hears the name of each tensor. Errs where a file cannot be read.
    pub fn of_values(
        first: &IndexMap<String, Constant>,
        second: &IndexMap<String, Constant>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, Diagnostic> {
        let mut found = Differences::of_types(first, second);
        for (name, a) in first {
            let Some(b) = second.get(name).filter(|b| a.ty() == b.ty()) else { continue };
            progress(name);
            let difference = difference(a, b).map_err(|e| unread(name, &e))?;
            if difference.count > 0 {
                found.values.push((name.clone(), difference));
            }
        }
        Ok(found)
    }
}

/// How two tensors of one type differ, read slab by slab.
fn difference(a: &Constant, b: &Constant) -> io::Result<Difference> {
    let dtype = a.dtype();
    let mut all = Difference { count: 0, largest: has_arithmetic(dtype).then_some(0.0) };
    for region in slabs(a.sizes(), dtype) {
        let (a, b) = (a.read_region(&region)?, b.read_region(&region)?);
        if a.bytes() != b.bytes() {
            add(&mut all, &a, &b);
        }
    }
    Ok(all)
}

fn has_arithmetic(dtype: DType) -> bool {
    use DType::*;
    dtype == Bool || dtype.is_int() && dtype != I4 || matches!(dtype, F16 | Bf16 | F32 | F64)
}

fn add(all: &mut Difference, a: &Tensor, b: &Tensor) {
    let dtype = a.dtype();
    let Some(largest) = &mut all.largest else {
        let width = dtype.bits() / 8;
        all.count += a.bytes().chunks(width).zip(b.bytes().chunks(width)).filter(|(a, b)| a != b).count();
        return;
    };
    let mut note = |difference: f64| {
        all.count += 1;
        *largest = largest.max(difference);
    };
    if dtype.is_float() {
        for (a, b) in a.to_f64s().into_iter().zip(b.to_f64s()) {
            let is_same = a == b || a.is_nan() && b.is_nan();
            if !is_same {
                let difference = (a - b).abs();
                note(if difference.is_nan() { f64::INFINITY } else { difference });
            }
        }
        return;
    }
    // Of 64-bit integers a float would lose the last bits; unsigned ones stand here by their two's complement.
    let unsigned = dtype == DType::U64;
    let wide = |v: i64| if unsigned { i128::from(v as u64) } else { i128::from(v) };
    for (a, b) in a.to_i64s().into_iter().zip(b.to_i64s()).filter(|(a, b)| a != b) {
        note((wide(a) - wide(b)).unsigned_abs() as f64);
    }
}

/// The tensors of `given` under the names that `wanted` has. A tensor that `wanted` has under several names may be given
/// under one of them. Errs with everything that does not fit: names, dtypes, sizes.
pub fn fitted(
    wanted: &IndexMap<String, Constant>,
    given: &IndexMap<String, Constant>,
) -> Result<IndexMap<String, Constant>, Vec<Diagnostic>> {
    let mut found = Differences::of_types(wanted, given);
    let mut tied = Vec::new();
    found.missing.retain(|name| {
        let twin = given.iter().find(|(other, _)| wanted.get(*other).is_some_and(|w| w.same(&wanted[name])));
        tied.extend(twin.map(|(_, data)| (name.clone(), data.clone())));
        twin.is_none()
    });
    let mut wrong = Vec::new();
    let mut complain = |what: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let message = format!("{what}: {}", lines.len());
        let mut diagnostic = Diagnostic::new(UNSUITABLE_WEIGHTS, message);
        diagnostic.notes = lines;
        wrong.push(diagnostic);
    };
    complain("weights are one tensor in the model, but not in the file", torn(wanted, given)?);
    complain("weights of the model are not in the file", found.missing);
    complain("tensors of the file are no weights of the model", found.extra);
    let types =
        found.types.into_iter().map(|(name, a, b)| format!("{name} is {a} in the model, {b} in the file"));
    complain("weights have another dtype or shape in the file", types.collect());
    if let (Some(first), Some(prefix)) = (wrong.first_mut(), prefix(wanted, given)) {
        first.help =
            Some(format!("every name of the model follows '{prefix}' in the file: --strip-prefix {prefix}"));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut fitted = given.clone();
    fitted.extend(tied);
    Ok(fitted)
}

/// What stands before every name of `wanted` in `given`, where that is one thing.
fn prefix<'a>(wanted: &IndexMap<String, Constant>, given: &'a IndexMap<String, Constant>) -> Option<&'a str> {
    let first = wanted.keys().next()?;
    let mut prefixes = given.keys().filter_map(|name| name.strip_suffix(first)).filter(|p| p.ends_with('.'));
    prefixes.find(|prefix| wanted.keys().all(|name| given.contains_key(&format!("{prefix}{name}"))))
}

/// The names of what is one tensor in `wanted`, but differs in `given`: it cannot be both.
fn torn(
    wanted: &IndexMap<String, Constant>,
    given: &IndexMap<String, Constant>,
) -> Result<Vec<String>, Vec<Diagnostic>> {
    let mut first: IndexMap<String, (&str, &Constant)> = IndexMap::new();
    let mut torn = Vec::new();
    for (name, place) in wanted {
        let Some(data) = given.get(name) else { continue };
        let (twin, other) = *first.entry(place.fingerprint()).or_insert((name, data));
        if twin == name || !wanted[twin].same(place) || data.ty() != other.ty() || data.same(other) {
            continue;
        }
        let difference = difference(data, other).map_err(|e| vec![unread(name, &e)])?;
        if difference.count > 0 {
            torn.push(format!("{name} is {twin} in the model, but differs from it in the file"));
        }
    }
    Ok(torn)
}

/// The tensors whose names begin with `prefix`, without it where `strip` says so.
pub fn under(tensors: &IndexMap<String, Constant>, prefix: &str, strip: bool) -> IndexMap<String, Constant> {
    let named = tensors.iter().filter_map(|(name, data)| {
        let rest = name.strip_prefix(prefix)?;
        let name = if strip { rest } else { name };
        (!name.is_empty()).then(|| (name.to_string(), data.clone()))
    });
    named.collect()
}
