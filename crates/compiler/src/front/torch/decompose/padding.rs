//! Pads of every mode; a negative pad is a slice.

use ir::{DType, ValueId};

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Pad, PadMode, Padding, Slice};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.constant_pad_nd.default"], |b| {
        let value = b.call.scalar("value")?;
        padded(b, "pad", PadMode::Constant, value)
    }),
    (&["aten.pad.default"], any),
    (
        &["aten.reflection_pad1d.default", "aten.reflection_pad2d.default", "aten.reflection_pad3d.default"],
        |b| padded(b, "padding", PadMode::Reflect, Scalar::Int(0)),
    ),
    (
        &[
            "aten.replication_pad1d.default",
            "aten.replication_pad2d.default",
            "aten.replication_pad3d.default",
        ],
        |b| padded(b, "padding", PadMode::Replicate, Scalar::Int(0)),
    ),
    (&["aten._pad_circular.default"], |b| padded(b, "pad", PadMode::Circular, Scalar::Int(0))),
];

fn any(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let mode = match b.call.text("mode")? {
        "constant" => PadMode::Constant,
        "reflect" => PadMode::Reflect,
        "replicate" => PadMode::Replicate,
        "circular" => PadMode::Circular,
        other => return Err(b.call.malformed(format!("has no mode '{other}'"))),
    };
    let value = b.call.optional_scalar("value")?.unwrap_or(Scalar::Int(0));
    padded(b, "pad", mode, value)
}

/// `pads` holds pairs for the last axis, the one before it, and so on.
fn padded(b: &mut Builder<'_>, pads: &str, mode: PadMode, value: Scalar) -> Result<Vec<ValueId>, Malformed> {
    let mut x = b.tensor("self")?;
    let (pads, sizes) = (b.call.ints(pads)?, b.sizes(x)?);
    let wrong = || b.call.malformed(format!("pads {sizes:?} by {pads:?}"));
    if !pads.len().is_multiple_of(2) || pads.len() / 2 > sizes.len() {
        return Err(wrong());
    }
    let number = match value {
        Scalar::Int(n) if n.unsigned_abs() > 1 << 53 => return Err(wrong()),
        _ if b.ty(x).dtype == DType::Bool => f64::from(u8::from(value.as_f64() != 0.0)),
        _ => value.as_f64(),
    };
    let mut padding = vec![Padding::default(); sizes.len()];
    let mut kept = Slice::along(&sizes, 0, 0, sizes.first().copied().unwrap_or(0));
    for (i, pair) in pads.chunks_exact(2).enumerate() {
        let axis = sizes.len() - 1 - i;
        let grown = |n: i64| usize::try_from(n).unwrap_or(0);
        let cut = |n: i64| usize::try_from(n.checked_neg().unwrap_or(i64::MAX)).unwrap_or(0);
        padding[axis] = Padding { before: grown(pair[0]), after: grown(pair[1]) };
        let rest = sizes[axis].checked_sub(cut(pair[0])).and_then(|n| n.checked_sub(cut(pair[1])));
        // Cutting more than there is, PyTorch would take from what the other side adds.
        kept.sizes[axis] = rest.ok_or_else(wrong)?;
        kept.start[axis] = cut(pair[0]);
    }
    if !kept.is_whole(&sizes) {
        if mode != PadMode::Constant {
            return Err(wrong());
        }
        x = b.add(kept, &[x])?;
    }
    if padding.iter().any(|p| *p != Padding::default()) {
        x = b.add(Pad { padding, mode, value: number }, &[x])?;
    }
    Ok(vec![x])
}
