//! Inputs and outputs with as few axes as the target asks for: leading ones of size 1 are dropped.

use ir::{Assumption, Diagnostic, Leaf, Mismatch, Origin, TensorType, ValueId};

use super::Limits;
use crate::ops::{Graph, Pass, Patch, Reshape};

const NAME: &str = "interface::within";

/// The kind of the ledger's entry on an input or output whose leading axes of size 1 are dropped; its subject is
/// `input 0`.
pub const SQUEEZED: &str = "squeezed";

/// Drops leading axes of size 1 of inputs and outputs that have more axes than the profile allows there. What has too
/// many others stays as it is, and [`super::legalize`] tells of it.
pub fn within(limits: &Limits) -> Pass {
    let most = limits.interface.max_rank;
    Pass::new(
        NAME,
        "drop leading axes of size 1 at the interface, where the profile asks for fewer",
        move |graph, journal| {
            let Some(most) = most else { return Ok(()) };
            let found = squeeze(graph, most).map_err(|d| vec![d])?;
            journal.ledger.extend(found);
            Ok(())
        },
    )
}

/// The type with at most `most` axes, where only leading ones of size 1 are too many.
fn squeezed(ty: &TensorType, most: usize) -> Option<TensorType> {
    let sizes = ty.sizes().ok()?;
    let over = sizes.len().checked_sub(most).filter(|&over| over > 0)?;
    sizes[..over].iter().all(|&n| n == 1).then(|| ty.with_sizes(&sizes[over..]))
}

fn squeeze(graph: &mut Graph, most: usize) -> Result<Vec<Assumption>, Diagnostic> {
    let mut ledger = Vec::new();
    let mut note = |what: &str, index: usize, from: &TensorType, to: &TensorType| {
        ledger.push(Assumption {
            kind: SQUEEZED.into(),
            subject: format!("{what} {index}"),
            reason: format!(
                "{from} as {to}: leading axes of size 1 are dropped for the profile's {most} axes"
            ),
        });
    };
    let mut given: Vec<(ValueId, ValueId)> = Vec::new();
    for index in 0..graph.inputs().len() {
        let ty = graph.ty(graph.inputs()[index]).clone();
        let Some(fewer) = squeezed(&ty, most) else { continue };
        note("input", index, &ty, &fewer);
        given.push((graph.replace_input(index, fewer), graph.inputs()[index]));
    }
    let mut outputs = graph.outputs().to_vec();
    for (index, output) in outputs.iter_mut().enumerate() {
        let ty = graph.ty(*output).clone();
        let Some(fewer) = squeezed(&ty, most) else { continue };
        note("output", index, &ty, &fewer);
        *output = match given.iter().find(|(old, _)| old == output) {
            Some((_, new)) => *new,
            None => reshaped(graph, *output, &fewer).map_err(|m| Diagnostic::bug(format!("{NAME}: {m}")))?,
        };
    }
    graph.set_outputs(outputs);
    let mut patch = Patch::new(graph);
    for &(old, new) in &given {
        if let Some(&user) = graph.users(old).iter().min() {
            patch.at(user);
            let whole = patch.add(Reshape { sizes: graph.ty(old).sizes().unwrap_or_default() }, [new]);
            patch.and_replace(old, whole);
        }
    }
    patch.finish().apply(graph, NAME)?;
    Ok(ledger)
}

fn reshaped(graph: &mut Graph, output: ValueId, ty: &TensorType) -> Result<ValueId, Mismatch> {
    let origin = match graph.producer(output) {
        Some((id, _)) => graph.node(id).origin,
        None => graph.origins.intern(Origin::Leaf(Leaf::default())),
    };
    let name = graph.value(output).name.clone();
    Ok(graph.add_node(Reshape { sizes: ty.sizes()? }.into(), &[output], &name, origin)?[0])
}
