//! Identities of choices between two tensors.

use ir::ValueId;

use super::instead;
use crate::ops::{Logical, Patch, Site, Where};

/// `where(¬c, a, b)  =>  where(c, b, a)`
pub(super) fn choice_by_opposite(at: Site<'_>) -> Option<Patch<'_>> {
    let Where {} = at.op()?;
    let below = at.producer(0)?;
    let Logical::Not = below.op()? else { return None };
    let mut patch = at.patch();
    patch.consume(&below);
    let chosen = patch.add(Where {}, [below.inputs()[0], at.inputs()[2], at.inputs()[1]]);
    (patch.ty(chosen) == at.output_ty()).then(|| patch.replace(at.output(), chosen))
}

/// `where(c, f(where(c, a, b)), y)  =>  where(c, f(a), y)`, f a function of each element; likewise `b` for `y`
pub(super) fn choice_within_choice(at: Site<'_>) -> Option<Patch<'_>> {
    let Where {} = at.op()?;
    [1, 2].into_iter().find_map(|branch| {
        let path = path_to_choice(at, branch, at.inputs()[0])?;
        let (choice, above) = path.split_last()?;
        let chosen = choice.0.inputs()[branch];
        // Where the branch broadcasts, what is computed of it would have another shape.
        if at.graph().ty(chosen) != choice.0.output_ty() {
            return None;
        }
        let mut patch = at.patch();
        let mut value = chosen;
        for (site, index) in above.iter().rev() {
            patch.at(site.id());
            value = with_input(&mut patch, *site, *index, value);
        }
        patch.at(at.id());
        patch.consume(&choice.0);
        let result = with_input(&mut patch, at, branch, value);
        Some(patch.replace(at.output(), result))
    })
}

fn with_input<'g>(patch: &mut Patch<'g>, at: Site<'g>, index: usize, value: ValueId) -> ValueId {
    let inputs = at.inputs().iter().enumerate().map(|(i, &old)| if i == index { value } else { old });
    patch.add(at.node().op.clone(), inputs.collect::<Vec<_>>())
}

/// The operators from input `index` down to a choice by `condition`, each with the input that leads on: functions of
/// each element that nothing else reads. Elements keep their place on the way, broadcast or not.
fn path_to_choice<'g>(at: Site<'g>, index: usize, condition: ValueId) -> Option<Vec<(Site<'g>, usize)>> {
    let below = at.producer(index)?;
    if let Some(Where {}) = below.op()
        && below.inputs()[0] == condition
    {
        return Some(vec![(below, 0)]);
    }
    let below = at.sole_producer(index).filter(|b| b.node().op.is_elementwise())?;
    (0..below.inputs().len()).find_map(|i| {
        let mut path = vec![(below, i)];
        path.extend(path_to_choice(below, i, condition)?);
        Some(path)
    })
}

/// `where(c, x, x)  =>  x`
pub(super) fn choice_of_one(at: Site<'_>) -> Option<Patch<'_>> {
    let Where {} = at.op()?;
    (at.input(1) == at.input(2)).then(|| instead(at, at.input(1)?))?
}
