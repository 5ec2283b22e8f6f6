//! Updates under a mask: what is computed of the elements that a mask picks is computed of all, and the mask chooses.
//!
//! `index_put(x, [m], f(index(x, [m])))  =>  where(m, f(x), x)` for functions `f` of each element.
//!
//! How many elements a mask picks depends on the data, so the exporter gives their number a symbol of its own. Here a
//! tensor of picked elements is laid out as the mask is, each element at its place: its symbolic axis becomes the axes
//! of the mask. What stands where the mask does not hold is computed too and never read: a choice takes its other
//! operand there (`SELECT_V2` copies one of the two), so a NaN or an infinity in it goes nowhere. That only functions
//! of each element read such a tensor, and none that fails on some numbers, is for [`super::import`] to see.

use std::sync::Arc;

use indexmap::map::Entry;
use indexmap::{IndexMap, IndexSet};
use ir::{DType, Dim, Shape, TensorType};

use super::live::Live;
use super::{Argument, Call};
use crate::dialect::aten::Tensor;

/// Replaces updates under masks by choices, and gives the tensors of picked elements, which are laid out as their
/// masks are. What is of another form stays as it is, to be refused.
pub(super) fn resolve(live: &mut Live) -> IndexSet<Arc<str>> {
    let mut masks = Masks::default();
    let mut calls = Vec::with_capacity(live.calls.len());
    let mut refused = IndexSet::new();
    for (index, mut call) in std::mem::take(&mut live.calls).into_iter().enumerate() {
        masks.retype(&mut call);
        masks.number(&call);
        if !masks.pick(&mut call) && !masks.put(&mut call, &mut calls) {
            masks.pass(&mut call);
        }
        if live.refused.contains(&index) {
            refused.insert(calls.len());
        }
        calls.push(call);
    }
    (live.calls, live.refused) = (calls, refused);
    masks.picked.into_keys().collect()
}

/// Elements that a mask picks, in their places.
struct Picked {
    mask: Arc<str>,
    /// The sizes of the mask.
    places: Vec<usize>,
    /// The type as laid out.
    ty: TensorType,
}

#[derive(Default)]
struct Masks {
    picked: IndexMap<Arc<str>, Picked>,
    /// For what a call computes, its result.
    numbers: IndexMap<String, Arc<str>>,
    /// For a mask that an earlier call computes as well, that one's result.
    same: IndexMap<Arc<str>, Arc<str>>,
}

impl Masks {
    /// Arguments that are laid out have another type than PyTorch recorded.
    fn retype(&self, call: &mut Call) {
        for tensor in call.arguments.values_mut().flat_map(Argument::tensors_mut) {
            if let Some(picked) = self.picked.get(&tensor.name) {
                tensor.ty = picked.ty.clone();
            }
        }
    }

    /// A mask is often computed twice, once to pick and once to put: equal calls on equal arguments give the same.
    fn number(&mut self, call: &Call) {
        let [Some(result)] = &call.results[..] else { return };
        if result.ty.dtype != DType::Bool {
            return;
        }
        let mut arguments = call.arguments.clone();
        for tensor in arguments.values_mut().flat_map(Argument::tensors_mut) {
            tensor.name = self.first(&tensor.name);
        }
        match self.numbers.entry(format!("{} {arguments:?}", call.target)) {
            Entry::Occupied(earlier) => drop(self.same.insert(result.name.clone(), earlier.get().clone())),
            Entry::Vacant(new) => drop(new.insert(result.name.clone())),
        }
    }

    fn first(&self, name: &Arc<str>) -> Arc<str> {
        self.same.get(name).unwrap_or(name).clone()
    }

    /// The tensor that is indexed and the mask, where the one index is a mask of its leading axes.
    fn under_mask(&self, call: &Call) -> Option<(Tensor, Tensor)> {
        let x = call.tensor("self").ok()?;
        let [Some(mask)] = call.optional_tensors("indices").ok()?[..] else { return None };
        let (sizes, places) = (x.ty.shape.known()?, mask.ty.shape.known()?);
        let fits = mask.ty.dtype == DType::Bool && !places.is_empty() && sizes.starts_with(&places);
        let whole = [x, mask].iter().all(|t| !self.picked.contains_key(&t.name));
        (fits && whole).then(|| (x.clone(), mask.clone()))
    }

    /// `index(x, [m])  =>  x`
    fn pick(&mut self, call: &mut Call) -> bool {
        if !matches!(&*call.target, "aten.index.Tensor" | "aten._unsafe_index.Tensor") {
            return false;
        }
        let Some((x, mask)) = self.under_mask(call) else { return false };
        let [Some(result)] = &mut call.results[..] else { return false };
        result.ty = x.ty.clone();
        let places = mask.ty.shape.known().expect("the sizes of the mask are known");
        let picked = Picked { mask: self.first(&mask.name), places, ty: x.ty.clone() };
        self.picked.insert(result.name.clone(), picked);
        call.target = "aten.alias.default".into();
        call.arguments = arguments([("self", x)]);
        true
    }

    /// `index_put(x, [m], v)  =>  where(m, v, x)`, v picked by the same mask, or one for all places
    fn put(&self, call: &mut Call, calls: &mut Vec<Call>) -> bool {
        if &*call.target != "aten.index_put.default" || call.bool("accumulate") != Ok(false) {
            return false;
        }
        let Some((x, mask)) = self.under_mask(call) else { return false };
        let Ok(values) = call.tensor("values").cloned() else { return false };
        let inner = x.ty.rank() - mask.ty.rank();
        let fits = match self.picked.get(&values.name) {
            Some(picked) => picked.mask == self.first(&mask.name) && values.ty == x.ty,
            None => values.ty.dtype == x.ty.dtype && is_one_for_all(&values.ty, inner),
        };
        if !fits {
            return false;
        }
        let mask = match inner {
            0 => mask,
            _ => widened(call, mask, inner, calls),
        };
        call.target = "aten.where.self".into();
        call.arguments = arguments([("condition", mask), ("self", values), ("other", x)]);
        true
    }

    /// What is computed of picked elements are picked elements too.
    fn pass(&mut self, call: &mut Call) {
        let read: Vec<&Tensor> = call.arguments.values().flat_map(Argument::tensors).collect();
        let picked: Vec<&Picked> = read.iter().filter_map(|t| self.picked.get(&t.name)).collect();
        let ([first, others @ ..], [Some(result)]) = (&picked[..], &call.results[..]) else { return };
        let [Dim::Symbolic(_), inner @ ..] = &result.ty.shape.0[..] else { return };
        let rank = first.places.len() + inner.len();
        let alike = |p: &Picked| p.ty.rank() == rank && p.mask == first.mask;
        let shared = |t: &&Tensor| self.picked.contains_key(&t.name) || is_one_for_all(&t.ty, inner.len());
        if !alike(first) || !others.iter().all(|p| alike(p)) || !read.iter().all(shared) {
            return;
        }
        let places = first.places.iter().copied().map(Dim::Known);
        let shape = Shape(places.chain(inner.iter().cloned()).collect());
        let ty = TensorType { shape, ..result.ty.clone() };
        let laid_out = Picked { mask: first.mask.clone(), places: first.places.clone(), ty: ty.clone() };
        self.picked.insert(result.name.clone(), laid_out);
        call.results[0].iter_mut().for_each(|result| result.ty = ty.clone());
    }
}

/// Does a tensor have one row of at most `inner` axes, which all picked elements share?
fn is_one_for_all(ty: &TensorType, inner: usize) -> bool {
    ty.rank() <= inner || (ty.rank() == inner + 1 && ty.shape.0[0] == Dim::Known(1))
}

/// The mask with `inner` axes of one place behind its own.
fn widened(call: &Call, mask: Tensor, inner: usize, calls: &mut Vec<Call>) -> Tensor {
    let mut sizes = mask.ty.shape.known().expect("the sizes of the mask are known");
    sizes.resize(sizes.len() + inner, 1);
    let of = call.results.iter().flatten().next().map_or("mask", |t| &t.name);
    let wide = Tensor { name: format!("{of}.mask").into(), ty: mask.ty.with_sizes(&sizes) };
    let mut arguments = arguments([("self", mask)]);
    arguments.insert("size".into(), Argument::Ints(sizes.iter().map(|&n| n as i64).collect()));
    let results = vec![Some(wide.clone())];
    calls.push(Call { target: "aten.view.default".into(), arguments, results, origin: call.origin });
    wide
}

fn arguments<const N: usize>(tensors: [(&str, Tensor); N]) -> IndexMap<Arc<str>, Argument> {
    tensors.into_iter().map(|(name, tensor)| (Arc::from(name), Argument::Tensor(tensor))).collect()
}
