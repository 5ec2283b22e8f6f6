//! Convolution of images in memory: the sums that the pages of the convolutions share.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

use super::matrix::Real;
use super::spatial::{Layout, Window};

/// What is convolved: the sizes of image and result, and how they lie in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// How image, weight and result lie in memory. The weight's rows are outputs; a row's order is that of a pixel's
    /// neighbourhood: channel, height, width for `Nchw`; height, width, channel for `Nhwc`.
    pub(crate) layout: Layout,
    /// The number of images.
    pub(crate) batch: usize,
    /// Height and width of an image.
    pub(crate) image: [usize; 2],
    /// Height and width of a result.
    pub(crate) result: [usize; 2],
    /// Channels of an image.
    pub(crate) channels: usize,
    /// Channels of a result.
    pub(crate) outputs: usize,
    /// Parts of the channels that do not see each other.
    pub(crate) groups: usize,
    /// How the kernel moves.
    pub(crate) window: Window,
}

/// Pixels of the result that one task computes.
const PIXELS: usize = 128;

impl Geometry {
    /// The distance in memory of neighbours along batch, channel, height and width of the images.
    fn strides(&self) -> [usize; 4] {
        let [h, w] = self.image;
        match self.layout {
            Layout::Nchw => [self.channels * h * w, h * w, w, 1],
            Layout::Nhwc => [self.channels * h * w, 1, w * self.channels, self.channels],
        }
    }

    /// The pixel that tap `tap` of the window at `at` reads along `axis`; `None` in the padding.
    fn pixel(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let padded = at * self.window.stride[axis] + tap * self.window.dilation[axis];
        let pixel = padded.checked_sub(self.window.padding[axis].before)?;
        (pixel < self.image[axis]).then_some(pixel)
    }

    /// The result of convolving `x` with `weight`, laid out as `layout` says.
    pub(crate) fn convolve<T: Real>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let area = self.result[0] * self.result[1];
        let mut rows = vec![T::zero(); self.batch * area * self.outputs];
        if rows.is_empty() || self.channels == 0 {
            return rows;
        }
        rows.par_chunks_mut(PIXELS * self.outputs)
            .enumerate()
            .for_each(|(block, rows)| self.block(x, weight, block * PIXELS, rows));
        match self.layout {
            Layout::Nhwc => rows,
            Layout::Nchw => channels_first(&rows, self.batch, area, self.outputs),
        }
    }

    /// The rows of the result from pixel `first` on, channels last.
    fn block<T: Real>(&self, x: &[T], weight: &[T], first: usize, rows: &mut [T]) {
        let count = rows.len() / self.outputs;
        let taps = self.window.kernel[0] * self.window.kernel[1];
        let (inside, outside) = (self.channels / self.groups, self.outputs / self.groups);
        let mut columns = vec![T::zero(); count * taps * inside];
        let mut rows =
            ArrayViewMut2::from_shape((count, self.outputs), rows).expect("a block holds whole pixels");
        for group in 0..self.groups {
            self.neighbourhoods(x, first, group * inside, &mut columns);
            let part = &weight[group * outside * taps * inside..][..outside * taps * inside];
            let columns =
                ArrayView2::from_shape((count, taps * inside), &columns).expect("one row per pixel");
            let part = ArrayView2::from_shape((outside, taps * inside), part).expect("one row per output");
            let mut target = rows.slice_mut(s![.., group * outside..(group + 1) * outside]);
            general_mat_mul(T::one(), &columns, &part.t(), T::zero(), &mut target);
        }
    }

    /// What the window sees from each pixel on from `first`, of the channels of one group, in the order of the weight.
    fn neighbourhoods<T: Real>(&self, x: &[T], first: usize, channel: usize, columns: &mut [T]) {
        let [batch_step, channel_step, row_step, pixel_step] = self.strides();
        let [kernel_h, kernel_w] = self.window.kernel;
        let inside = self.channels / self.groups;
        let width = kernel_h * kernel_w * inside;
        columns.fill(T::zero());
        if width == 0 {
            return;
        }
        for (i, row) in columns.chunks_exact_mut(width).enumerate() {
            let at = first + i;
            let (batch, at) =
                (at / (self.result[0] * self.result[1]), at % (self.result[0] * self.result[1]));
            let (y, x_at) = (at / self.result[1], at % self.result[1]);
            let base = batch * batch_step + channel * channel_step;
            for tap_h in 0..kernel_h {
                let Some(h) = self.pixel(0, y, tap_h) else { continue };
                for tap_w in 0..kernel_w {
                    let Some(w) = self.pixel(1, x_at, tap_w) else { continue };
                    let from = base + h * row_step + w * pixel_step;
                    match self.layout {
                        Layout::Nhwc => {
                            let to = (tap_h * kernel_w + tap_w) * inside;
                            row[to..to + inside].copy_from_slice(&x[from..from + inside]);
                        }
                        Layout::Nchw => {
                            let tap = tap_h * kernel_w + tap_w;
                            for c in 0..inside {
                                row[c * kernel_h * kernel_w + tap] = x[from + c * channel_step];
                            }
                        }
                    }
                }
            }
        }
    }

    /// The result of convolving each channel of `x` by its own kernels, channels last: `weight` is
    /// `[kernel height, kernel width, outputs]`, and output `o` reads channel `o / (outputs / channels)`.
    pub(crate) fn convolve_each<T: Real>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let area = self.result[0] * self.result[1];
        let mut rows = vec![T::zero(); self.batch * area * self.outputs];
        if rows.is_empty() {
            return rows;
        }
        let multiplier = self.outputs / self.channels;
        let [batch_step, _, row_step, pixel_step] = self.strides();
        rows.par_chunks_mut(self.outputs).enumerate().for_each(|(at, row)| {
            let (batch, at) = (at / area, at % area);
            let (y, x_at) = (at / self.result[1], at % self.result[1]);
            for tap_h in 0..self.window.kernel[0] {
                let Some(h) = self.pixel(0, y, tap_h) else { continue };
                for tap_w in 0..self.window.kernel[1] {
                    let Some(w) = self.pixel(1, x_at, tap_w) else { continue };
                    let from = &x[batch * batch_step + h * row_step + w * pixel_step..][..self.channels];
                    let tap = tap_h * self.window.kernel[1] + tap_w;
                    let weight = &weight[tap * self.outputs..][..self.outputs];
                    for (o, (slot, factor)) in row.iter_mut().zip(weight).enumerate() {
                        *slot = *slot + *factor * from[o / multiplier];
                    }
                }
            }
        });
        rows
    }
}

/// `[batch, area, channels]` as `[batch, channels, area]`.
pub(crate) fn channels_first<T: Real>(x: &[T], batch: usize, area: usize, channels: usize) -> Vec<T> {
    let mut out = vec![T::zero(); batch * area * channels];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_mut(area).enumerate().for_each(|(plane, target)| {
        let (b, c) = (plane / channels, plane % channels);
        for (p, slot) in target.iter_mut().enumerate() {
            *slot = x[(b * area + p) * channels + c];
        }
    });
    out
}

/// `[batch, channels, area]` as `[batch, area, channels]`.
pub(crate) fn channels_last<T: Real>(x: &[T], batch: usize, area: usize, channels: usize) -> Vec<T> {
    channels_first(x, batch, channels, area)
}
