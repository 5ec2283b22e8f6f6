//! Pools over one, two and three axes, with and without a batch, and to a given size.

use ir::ValueId;

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{
    Activation, Arithmetic, Concat, Layout, MaxPoolIndices, Pad, Padding, Pool2d, Pooling, Reduce, Reduction,
    Slice, Window,
};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool2d_with_indices.default"], max),
    (&["aten.avg_pool1d.default", "aten.avg_pool2d.default"], average),
    (
        &[
            "aten.adaptive_avg_pool1d.default",
            "aten.adaptive_avg_pool2d.default",
            "aten._adaptive_avg_pool2d.default",
        ],
        |b| adaptive(b, Reduction::Mean),
    ),
    (&["aten.adaptive_max_pool1d.default", "aten.adaptive_max_pool2d.default"], |b| {
        adaptive(b, Reduction::Max)
    }),
    (&["aten.max_pool3d.default"], |b| over_three_axes(b, Pooling::Max)),
    (&["aten.avg_pool3d.default"], |b| over_three_axes(b, Pooling::Average)),
    (&["aten.adaptive_avg_pool3d.default", "aten._adaptive_avg_pool3d.default"], adaptive_over_three_axes),
];

/// The number of spatial axes that the call's name says.
fn axes_of(b: &Builder<'_>) -> usize {
    if b.call.target.contains("1d") { 1 } else { 2 }
}

/// The input as a batch of images of two axes.
fn images(b: &mut Builder<'_>) -> Result<ValueId, Malformed> {
    let (x, axes) = (b.tensor("self")?, axes_of(b));
    let mut sizes = b.sizes(x)?;
    if sizes.len() == axes + 1 {
        sizes.insert(0, 1);
    }
    if axes == 1 && sizes.len() == 3 {
        sizes.insert(2, 1);
    }
    if sizes.len() != 4 {
        return Err(b.call.malformed(format!("pools {}", b.ty(x))));
    }
    b.reshape(x, &sizes)
}

/// The value in the sizes that PyTorch recorded for a result.
fn as_recorded(b: &mut Builder<'_>, value: ValueId, result: usize) -> Result<ValueId, Malformed> {
    let sizes = b.result(result)?.sizes().map_err(|m| b.call.malformed(m))?;
    b.reshape(value, &sizes)
}

/// Two numbers for height and width; a pool over one axis has `other` for the height.
fn pair(b: &Builder<'_>, name: &str, other: usize) -> Result<Option<[usize; 2]>, Malformed> {
    Ok(match axes_of(b) {
        1 => b.call.optional_spatial::<1>(name)?.map(|[n]| [other, n]),
        _ => b.call.optional_spatial::<2>(name)?,
    })
}

/// The window of a pool, its padding not yet grown by `ceil_mode`.
fn window(b: &Builder<'_>) -> Result<Window, Malformed> {
    let wrong = |what: &str| b.call.malformed(format!("has no {what}"));
    let kernel = pair(b, "kernel_size", 1)?.ok_or_else(|| wrong("kernel"))?;
    let stride = pair(b, "stride", 1)?.unwrap_or(kernel);
    let padding = pair(b, "padding", 0)?.unwrap_or([0; 2]);
    let dilation = match b.call.target.contains("max") {
        true => pair(b, "dilation", 1)?.unwrap_or([1; 2]),
        false => [1; 2],
    };
    let window = Window { kernel, stride, dilation, padding: padding.map(Padding::both) };
    checked(b, &window)?;
    Ok(window)
}

/// Errs where PyTorch would not pool, or no one would.
fn checked(b: &Builder<'_>, window: &Window) -> Result<(), Malformed> {
    let Window { kernel, stride, dilation, padding } = window;
    let some = |i: usize| kernel[i] > 0 && stride[i] > 0 && dilation[i] > 0;
    let fits = (0..2).all(|i| padding[i].before <= kernel[i] / 2 && some(i));
    if !fits || kernel.iter().chain(stride).chain(dilation).any(|&n| n > 1 << 31) {
        return Err(b
            .call
            .malformed(format!("has kernel {kernel:?}, stride {stride:?}, padding {padding:?}")));
    }
    Ok(())
}

/// Grows the padding after so that a window that the end cuts counts too, unless it starts behind the image: PyTorch's
/// `ceil_mode` (`pooling_output_shape` in `aten/src/ATen/native/Pool.h`).
fn round_up(b: &Builder<'_>, window: &mut Window, image: [usize; 2]) -> Result<(), Malformed> {
    if !b.call.bool("ceil_mode")? {
        return Ok(());
    }
    let extent = window.extent();
    for i in 0..2 {
        let Padding { before, after } = window.padding[i];
        let rest = (image[i] + before + after).checked_sub(extent[i]);
        let rest = rest.ok_or_else(|| b.call.malformed(format!("has a window larger than {image:?}")))?;
        let last = rest.div_ceil(window.stride[i]) * window.stride[i];
        if !rest.is_multiple_of(window.stride[i]) && last < image[i] + before {
            window.padding[i].after = last + extent[i] - image[i] - before;
        }
    }
    Ok(())
}

fn pool(pooling: Pooling, window: Window) -> Pool2d {
    let Window { kernel, stride, dilation, padding } = window;
    let (layout, activation) = (Layout::Nchw, Activation::None);
    Pool2d { pooling, kernel, stride, dilation, padding, layout, activation }
}

/// No axis of an image is longer; products of two of them stay within range.
const MOST_PIXELS: usize = 1 << 24;

fn height_and_width(b: &Builder<'_>, x: ValueId) -> Result<[usize; 2], Malformed> {
    let sizes = b.sizes(x)?;
    match sizes[..] {
        [_, _, h, w] if h.max(w) < MOST_PIXELS => Ok([h, w]),
        _ => Err(b.call.malformed(format!("pools {sizes:?}"))),
    }
}

fn max(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (x, mut window) = (images(b)?, window(b)?);
    round_up(b, &mut window, height_and_width(b, x)?)?;
    let y = b.add(pool(Pooling::Max, window), &[x])?;
    let mut results = vec![as_recorded(b, y, 0)?];
    if b.call.results.len() > 1 {
        // Swept away where nothing reads it, and refused otherwise.
        let (image, sizes) = (height_and_width(b, x)?, b.sizes(y)?);
        let seen = |i: usize| seen_pixels(&window, i, image[i], sizes[i + 2]);
        let indices = b.add(MaxPoolIndices { rows: seen(0), columns: seen(1) }, &[x])?;
        results.push(as_recorded(b, indices, 1)?);
    }
    Ok(results)
}

/// For each place of the window along one axis, the pixels that it sees: the first, how many, how far apart.
fn seen_pixels(window: &Window, i: usize, size: usize, places: usize) -> Vec<[usize; 3]> {
    let (step, before) = (window.dilation[i], window.padding[i].before);
    let seen = |at: usize| {
        let tap = |tap: usize| (at * window.stride[i] + tap * step).checked_sub(before).filter(|&p| p < size);
        let mut pixels = (0..window.kernel[i]).filter_map(tap);
        let first = pixels.next();
        [first.unwrap_or(0), usize::from(first.is_some()) + pixels.count(), step]
    };
    (0..places).map(seen).collect()
}

fn average(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (x, window) = (images(b)?, window(b)?);
    let divisor = match axes_of(b) {
        1 => None,
        _ => b.call.optional_int("divisor_override")?,
    };
    let taps = window.kernel[0] * window.kernel[1];
    let y = averaged(b, x, window, divisor.is_some())?;
    let y = divided(b, y, taps, divisor)?;
    Ok(vec![as_recorded(b, y, 0)?])
}

/// The mean of each window. Padding that counts is made of zeros first; then a pool that counts only elements divides
/// as PyTorch does, which never counts what `ceil_mode` adds, unless the divisor is `fixed`.
fn averaged(
    b: &mut Builder<'_>,
    mut x: ValueId,
    mut window: Window,
    fixed: bool,
) -> Result<ValueId, Malformed> {
    let given = window.padding;
    round_up(b, &mut window, height_and_width(b, x)?)?;
    let zeros = match (fixed, b.call.bool("count_include_pad")?) {
        // All that a window sees is divided by the same number, so all of it may be zeros.
        (true, _) => window.padding,
        (false, true) => given,
        (false, false) => [Padding::default(); 2],
    };
    if zeros != [Padding::default(); 2] {
        let mut padding = vec![Padding::default(); 4];
        padding[2..].copy_from_slice(&zeros);
        x = b.add(Pad::constant(padding, 0.0), &[x])?;
        for (left, zeros) in window.padding.iter_mut().zip(&zeros) {
            *left = Padding { before: left.before - zeros.before, after: left.after - zeros.after };
        }
    }
    b.add(pool(Pooling::Average, window), &[x])
}

/// A mean of so many taps, as a sum divided by another number.
fn divided(b: &mut Builder<'_>, y: ValueId, taps: usize, divisor: Option<i64>) -> Result<ValueId, Malformed> {
    let Some(divisor) = divisor else { return Ok(y) };
    if divisor == 0 {
        return Err(b.call.malformed("has a divisor of zero"));
    }
    let factor = b.number(b.ty(y).dtype, Scalar::Float(taps as f64 / divisor as f64));
    b.add(Arithmetic::Mul, &[y, factor])
}

/// Height and width are pooled first, each slice an image, and then the depth, each row of pixels a column.
fn over_three_axes(b: &mut Builder<'_>, pooling: Pooling) -> Result<Vec<ValueId>, Malformed> {
    let (x, sizes) = volumes(b)?;
    let three = |name: &str, otherwise: [usize; 3]| -> Result<[usize; 3], Malformed> {
        Ok(b.call.optional_spatial::<3>(name)?.unwrap_or(otherwise))
    };
    let kernel = three("kernel_size", [0; 3])?;
    let (stride, padding) = (three("stride", kernel)?, three("padding", [0; 3])?);
    let dilation = if pooling == Pooling::Max { three("dilation", [1; 3])? } else { [1; 3] };
    let divisor = match pooling {
        Pooling::Max => None,
        Pooling::Average => b.call.optional_int("divisor_override")?,
    };
    let of = |i: usize, j: usize| -> Window {
        let pick = |all: &[usize; 3], one: usize| [all[i], if j == 3 { one } else { all[j] }];
        Window {
            kernel: pick(&kernel, 1),
            stride: pick(&stride, 1),
            dilation: pick(&dilation, 1),
            padding: pick(&padding, 0).map(Padding::both),
        }
    };
    let (slices, columns) = (of(1, 2), of(0, 3));
    checked(b, &slices)?;
    checked(b, &columns)?;
    let each = |b: &mut Builder<'_>, x: ValueId, mut window: Window| match pooling {
        Pooling::Average => averaged(b, x, window, divisor.is_some()),
        Pooling::Max => {
            round_up(b, &mut window, height_and_width(b, x)?)?;
            b.add(pool(Pooling::Max, window), &[x])
        }
    };
    let [n, c, d, h, w] = sizes;
    let x = b.reshape(x, &[n, c * d, h, w])?;
    let y = each(b, x, slices)?;
    let [h, w] = height_and_width(b, y)?;
    let y = b.reshape(y, &[n, c, d, h * w])?;
    let y = each(b, y, columns)?;
    let y = divided(b, y, kernel.iter().product(), divisor)?;
    Ok(vec![as_recorded(b, y, 0)?])
}

/// The input as a batch of images of three axes, and its sizes.
fn volumes(b: &mut Builder<'_>) -> Result<(ValueId, [usize; 5]), Malformed> {
    let x = b.tensor("self")?;
    let mut sizes = b.sizes(x)?;
    if sizes.len() == 4 {
        sizes.insert(0, 1);
    }
    let five = sizes[..].try_into().map_err(|_| b.call.malformed(format!("pools {}", b.ty(x))))?;
    Ok((b.reshape(x, &sizes)?, five))
}

/// As [`adaptive`], along the depth and then along height and width.
fn adaptive_over_three_axes(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let (mut x, sizes) = volumes(b)?;
    let recorded = b.result(0)?.sizes().map_err(|m| b.call.malformed(m))?;
    let &[.., d, h, w] = &recorded[..] else {
        return Err(b.call.malformed(format!("makes {recorded:?}")));
    };
    if [d, h, w].contains(&0) || sizes.contains(&0) {
        return Err(b.call.malformed(format!("makes {recorded:?} of {sizes:?}")));
    }
    for (axis, cells) in [(2, d), (3, h), (4, w)] {
        x = along(b, x, axis, cells, Reduction::Mean)?;
    }
    Ok(vec![as_recorded(b, x, 0)?])
}

/// More cells than this along an axis that they do not divide make a graph that no one wants.
const MOST_CELLS: usize = 64;

/// Cell `i` of `n` covers `⌊i·size/n⌋ .. ⌈(i+1)·size/n⌉`; where the cells divide an axis it is a pool.
fn adaptive(b: &mut Builder<'_>, function: Reduction) -> Result<Vec<ValueId>, Malformed> {
    if b.call.results.len() > 1 && function == Reduction::Mean {
        return Err(b.call.malformed("has more than one result"));
    }
    let mut x = images(b)?;
    let image = height_and_width(b, x)?;
    let recorded = b.result(0)?.sizes().map_err(|m| b.call.malformed(m))?;
    let cells = match (axes_of(b), &recorded[..]) {
        (1, [.., w]) => [1, *w],
        (_, [.., h, w]) => [*h, *w],
        _ => return Err(b.call.malformed(format!("makes {recorded:?}"))),
    };
    if cells.contains(&0) || image.contains(&0) {
        return Err(b.call.malformed(format!("makes {cells:?} cells of {image:?} pixels")));
    }
    if cells == [1, 1] {
        x = b.add(Reduce { function, axes: vec![2, 3], keep: true }, &[x])?;
    } else if (0..2).all(|i| image[i].is_multiple_of(cells[i])) {
        let kernel = [image[0] / cells[0], image[1] / cells[1]];
        let pooling = if function == Reduction::Mean { Pooling::Average } else { Pooling::Max };
        let padding = [Padding::default(); 2];
        x = b.add(pool(pooling, Window { kernel, stride: kernel, dilation: [1, 1], padding }), &[x])?;
    } else {
        for (axis, &count) in (2..).zip(&cells) {
            x = along(b, x, axis, count, function)?;
        }
    }
    let mut results = vec![as_recorded(b, x, 0)?];
    if b.call.results.len() > 1 {
        results.push(indices_of_cells(b, image, cells)?);
    }
    Ok(results)
}

/// The indices of the maxima of the cells.
fn indices_of_cells(b: &mut Builder<'_>, image: [usize; 2], cells: [usize; 2]) -> Result<ValueId, Malformed> {
    let x = images(b)?;
    let seen = |i: usize| {
        let cell = |cell: usize| {
            let (start, end) = bounds(cell, cells[i], image[i]);
            [start, end - start, 1]
        };
        (0..cells[i]).map(cell).collect()
    };
    let indices = b.add(MaxPoolIndices { rows: seen(0), columns: seen(1) }, &[x])?;
    as_recorded(b, indices, 1)
}

/// Where a cell of so many starts and ends on an axis.
fn bounds(cell: usize, cells: usize, size: usize) -> (usize, usize) {
    (cell * size / cells, ((cell + 1) * size).div_ceil(cells))
}

/// Each cell along one axis is reduced on its own.
fn along(
    b: &mut Builder<'_>,
    x: ValueId,
    axis: usize,
    cells: usize,
    function: Reduction,
) -> Result<ValueId, Malformed> {
    let sizes = b.sizes(x)?;
    let size = sizes[axis];
    if size > MOST_PIXELS {
        return Err(b.call.malformed(format!("pools {sizes:?}")));
    }
    if cells == size {
        return Ok(x);
    }
    if cells == 1 {
        return b.add(Reduce { function, axes: vec![axis], keep: true }, &[x]);
    }
    if cells > MOST_CELLS {
        return Err(b
            .call
            .malformed(format!("makes {cells} cells of {size} pixels, which they do not divide")));
    }
    let mut parts = Vec::new();
    for cell in 0..cells {
        let (start, end) = bounds(cell, cells, size);
        let part = b.add(Slice::along(&sizes, axis, start, end - start), &[x])?;
        parts.push(match end - start {
            1 => part,
            _ => b.add(Reduce { function, axes: vec![axis], keep: true }, &[part])?,
        });
    }
    b.add(Concat { axis }, &parts)
}
