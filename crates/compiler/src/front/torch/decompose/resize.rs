//! Images resized, over one, two and three axes, and channels as pixels.

use ir::ValueId;

use super::{Builder, Row};
use crate::dialect::aten::Malformed;
use crate::ops::{ChannelOrder, DepthToSpace, Direction, Interpolation, Layout, Resize};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (
        &[
            "aten.upsample_nearest1d.default",
            "aten.upsample_nearest1d.vec",
            "aten.upsample_nearest2d.default",
            "aten.upsample_nearest2d.vec",
            "aten.upsample_nearest3d.default",
            "aten.upsample_nearest3d.vec",
        ],
        |b| resized(b, Interpolation::Nearest),
    ),
    (
        &[
            "aten._upsample_nearest_exact1d.default",
            "aten._upsample_nearest_exact1d.vec",
            "aten._upsample_nearest_exact2d.default",
            "aten._upsample_nearest_exact2d.vec",
            "aten._upsample_nearest_exact3d.default",
            "aten._upsample_nearest_exact3d.vec",
        ],
        |b| resized(b, Interpolation::NearestExact),
    ),
    (
        &[
            "aten.upsample_linear1d.default",
            "aten.upsample_linear1d.vec",
            "aten.upsample_bilinear2d.default",
            "aten.upsample_bilinear2d.vec",
            "aten.upsample_trilinear3d.default",
            "aten.upsample_trilinear3d.vec",
        ],
        |b| resized(b, Interpolation::Linear),
    ),
    (&["aten.upsample_bicubic2d.default", "aten.upsample_bicubic2d.vec"], |b| {
        resized(b, Interpolation::Cubic)
    }),
    (&["aten._upsample_bilinear2d_aa.default", "aten._upsample_bilinear2d_aa.vec"], |b| {
        resized(b, Interpolation::LinearAntialias)
    }),
    (&["aten._upsample_bicubic2d_aa.default", "aten._upsample_bicubic2d_aa.vec"], |b| {
        resized(b, Interpolation::CubicAntialias)
    }),
    (&["aten.pixel_shuffle.default"], |b| shuffled(b, Direction::ToSpace, "upscale_factor")),
    (&["aten.pixel_unshuffle.default"], |b| shuffled(b, Direction::ToDepth, "downscale_factor")),
];

/// The factors that were passed, one per axis; `None` where the step follows from the sizes.
fn factors(b: &Builder<'_>, axes: usize) -> Result<Vec<Option<f64>>, Malformed> {
    if b.call.target.ends_with(".vec") {
        let given = b.call.optional_floats("scale_factors")?;
        return match given {
            None => Ok(vec![None; axes]),
            Some(list) if list.len() == axes => Ok(list.into_iter().map(Some).collect()),
            Some(list) => Err(b.call.malformed(format!("has factors {list:?} for {axes} axes"))),
        };
    }
    let names: &[&str] = match axes {
        1 => &["scales"],
        2 => &["scales_h", "scales_w"],
        _ => &["scales_d", "scales_h", "scales_w"],
    };
    names.iter().map(|name| b.call.optional_float(name)).collect()
}

fn resized(b: &mut Builder<'_>, interpolation: Interpolation) -> Result<Vec<ValueId>, Malformed> {
    let two_d = b.call.target.ends_with(".vec");
    let x = b.tensor(if two_d { "input" } else { "self" })?;
    let (from, to) = (b.sizes(x)?, b.result(0)?.sizes().map_err(|m| b.call.malformed(m))?);
    let axes = from.len().saturating_sub(2);
    if !(1..=3).contains(&axes) || to.len() != from.len() || from.contains(&0) || to.contains(&0) {
        return Err(b.call.malformed(format!("resizes {from:?} to {to:?}")));
    }
    let align_corners = match interpolation {
        Interpolation::Nearest | Interpolation::NearestExact => false,
        _ => b.call.bool("align_corners")?,
    };
    let antialias = matches!(interpolation, Interpolation::LinearAntialias | Interpolation::CubicAntialias);
    if antialias && to.last() == Some(&1) && to[..axes + 1] != from[..axes + 1] {
        // On a CPU PyTorch makes every row of the first one's taps there (2.14, seen with one-hot images).
        return Err(b
            .call
            .malformed("makes an image of width 1, where PyTorch's antialiasing kernel is wrong"));
    }
    // The step is one over the factor where there is one above zero, and else the quotient of the sizes.
    let mut steps = Vec::new();
    for (i, factor) in factors(b, axes)?.into_iter().enumerate() {
        let of_sizes = from[i + 2] as f32 / to[i + 2] as f32;
        let step = match factor {
            Some(factor) if factor > 0.0 => (1.0 / factor) as f32,
            _ => of_sizes,
        };
        // Over one axis, PyTorch's kernel lacks the short cuts that it has over two.
        let short_cut = to[i + 2] == from[i + 2] || to[i + 2] == 2 * from[i + 2];
        if axes != 2 && interpolation == Interpolation::Nearest && short_cut && step != of_sizes {
            return Err(b.call.malformed(format!("steps by {step} from {from:?} to {to:?}")));
        }
        steps.push(f64::from(step));
    }
    // As PyTorch's short cut: no pixel moves.
    if from == to && matches!(interpolation, Interpolation::Nearest | Interpolation::Linear) {
        return Ok(vec![x]);
    }
    let mut op = Resize { interpolation, size: [1, 1], step: [1.0; 2], align_corners, layout: Layout::Nchw };
    let y = match axes {
        1 => {
            (op.size, op.step) = ([1, to[2]], [1.0, steps[0]]);
            let x = b.reshape(x, &[from[0], from[1], 1, from[2]])?;
            b.add(op, &[x])?
        }
        2 => {
            (op.size, op.step) = ([to[2], to[3]], [steps[0], steps[1]]);
            b.add(op, &[x])?
        }
        _ => {
            // Width and height first, each slice an image; then the depth, each row of pixels a column.
            let slices = b.reshape(x, &[from[0], from[1] * from[2], from[3], from[4]])?;
            let each = Resize { size: [to[3], to[4]], step: [steps[1], steps[2]], ..op.clone() };
            let slices = b.add(each, &[slices])?;
            let rows = b.reshape(slices, &[from[0], from[1], from[2], to[3] * to[4]])?;
            (op.size, op.step) = ([to[2], to[3] * to[4]], [steps[0], 1.0]);
            b.add(op, &[rows])?
        }
    };
    Ok(vec![b.reshape(y, &to)?])
}

/// Axes before the image are its batch.
fn shuffled(b: &mut Builder<'_>, direction: Direction, factor: &str) -> Result<Vec<ValueId>, Malformed> {
    let (x, block) = (b.tensor("self")?, b.call.size(factor)?);
    let sizes = b.sizes(x)?;
    let &[ref batch @ .., c, h, w] = &sizes[..] else {
        return Err(b.call.malformed(format!("shuffles {}", b.ty(x))));
    };
    let images = b.reshape(x, &[batch.iter().product(), c, h, w])?;
    let (order, layout) = (ChannelOrder::ChannelFirst, Layout::Nchw);
    let y = b.add(DepthToSpace { direction, block, order, layout }, &[images])?;
    let to = b.result(0)?.sizes().map_err(|m| b.call.malformed(m))?;
    Ok(vec![b.reshape(y, &to)?])
}
