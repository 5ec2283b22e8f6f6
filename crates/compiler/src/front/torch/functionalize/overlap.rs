//! Does a call read, at other places, the memory that it writes?

use std::sync::Arc;

use indexmap::IndexMap;

use super::Functionalizer;
use crate::dialect::aten::{Argument, Call, Tensor};
use crate::front::torch::inline::Memory;

/// The most elements of one tensor that are looked at one by one.
const MOST: usize = 1 << 24;

impl Functionalizer {
    /// Whether a call that writes `target` also reads elements of it through another view, at other places. What
    /// it then gives depends on the order in which PyTorch visits the elements, which PyTorch leaves open (it
    /// refuses the easy cases itself: ATen/MemoryOverlap.cpp).
    pub(super) fn reads_what_it_writes(&self, call: &Call, target: &Tensor) -> bool {
        let written = self.handle(target);
        let storage = self.handles[written].storage;
        call.arguments.values().flat_map(Argument::tensors).any(|tensor| {
            let handle = self.handle(tensor);
            handle != written
                && self.handles[handle].storage == storage
                && partly(target, tensor, &self.memory) != Some(false)
        })
    }
}

/// Do two tensors of one storage share elements, but not each with its counterpart? `None` where that is not known.
fn partly(a: &Tensor, b: &Tensor, memory: &IndexMap<Arc<str>, Memory>) -> Option<bool> {
    let (a, b) = (places(a, memory)?, places(b, memory)?);
    if a == b {
        return Some(false);
    }
    let sorted = |mut places: Vec<usize>| {
        places.sort_unstable();
        places
    };
    let b = sorted(b);
    Some(a.iter().any(|place| b.binary_search(place).is_ok()))
}

/// Where each element lies in its storage.
fn places(tensor: &Tensor, memory: &IndexMap<Arc<str>, Memory>) -> Option<Vec<usize>> {
    let sizes = tensor.ty.sizes().ok()?;
    let memory = memory.get(&tensor.name)?;
    let strides = memory.strides.as_ref().filter(|strides| strides.len() == sizes.len())?;
    sizes.iter().try_fold(1usize, |count, &n| count.checked_mul(n)).filter(|&count| count <= MOST)?;
    let mut places = vec![memory.offset];
    for (&n, &stride) in sizes.iter().zip(strides) {
        let mut next = Vec::new();
        for place in places {
            for i in 0..n {
                next.push(i.checked_mul(stride)?.checked_add(place)?);
            }
        }
        places = next;
    }
    Some(places)
}
