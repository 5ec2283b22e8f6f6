//! An image in another size: the nearest pixel, or a mean of neighbours.

use ir::{DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::matrix::{self, Real};
use super::spatial::Layout;
use super::{Order, arity, attributes, moving, words};
use crate::dialect::tfl::{self, Builtin, Illegal, resize_bilinear_options, resize_nearest_neighbor_options};

words! {
    /// What a pixel of the result is made of.
    Interpolation {
        /// The pixel at `⌊i · step⌋`.
        Nearest = "nearest",
        /// The pixel at `⌊(i + ½) · step⌋`.
        NearestExact = "nearest_exact",
        /// Two neighbours along each axis, by their distance.
        Linear = "linear",
        /// Four neighbours along each axis, by the cubic convolution with a = −¾.
        Cubic = "cubic",
        /// All that lie under a triangle as wide as two pixels of the smaller image.
        LinearAntialias = "linear_antialias",
        /// All that lie under a cubic convolution, a = −½, as wide as four pixels of the smaller image.
        CubicAntialias = "cubic_antialias",
    }
}

/// Height and width of an image changed; both axes alike and one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Resize {
    /// What a pixel is made of.
    pub interpolation: Interpolation,
    /// Height and width of the result.
    pub size: [usize; 2],
    /// Pixels of the image per pixel of the result, along height and width; PyTorch rounds it to f32.
    pub step: [f64; 2],
    /// Do the centres of the corner pixels stay in place? The step is made of the sizes then.
    pub align_corners: bool,
    /// Where channels are.
    pub layout: Layout,
}

/// One neighbour of each pixel of a result along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Tap {
    /// Its index along the axis of the image.
    pub index: Vec<usize>,
    /// Its share.
    pub weight: Vec<f32>,
}

impl Resize {
    /// Pixels of the image per pixel of the result, as PyTorch computes it
    /// (`area_pixel_compute_scale` in `aten/src/ATen/native/UpSample.h`).
    fn step(&self, axis: usize, from: usize) -> f32 {
        let to = self.size[axis];
        match self.align_corners {
            true if to > 1 => (from as f32 - 1.0) / (to as f32 - 1.0),
            true => 0.0,
            false => self.step[axis] as f32,
        }
    }

    /// The neighbours of each pixel along height (0) or width (1) of an image of `from` pixels, computed in f32 as
    /// PyTorch's kernels do (`aten/src/ATen/native/cpu/UpSampleKernel.cpp`).
    pub fn taps(&self, axis: usize, from: usize) -> Vec<Tap> {
        let (to, step, last) = (self.size[axis], self.step(axis, from), from as i64 - 1);
        let one = |index: &dyn Fn(usize) -> i64| {
            let index = (0..to).map(|i| index(i).clamp(0, last) as usize).collect();
            vec![Tap { index, weight: vec![1.0; to] }]
        };
        // Where the centre of a pixel lies in the image.
        let centre = |i: usize| match self.align_corners {
            true => step * i as f32,
            false => step * (i as f32 + 0.5) - 0.5,
        };
        match self.interpolation {
            Interpolation::Nearest | Interpolation::Linear if to == from => one(&|i| i as i64),
            Interpolation::Nearest if to == 2 * from => one(&|i| i as i64 / 2),
            Interpolation::Nearest => one(&|i| (step * i as f32).floor() as i64),
            Interpolation::NearestExact => one(&|i| (step * (i as f32 + 0.5)).floor() as i64),
            Interpolation::Linear => {
                let at = |i: usize| {
                    let real = centre(i).max(0.0);
                    let index = (real.floor() as i64).min(last);
                    (index, (real - index as f32).clamp(0.0, 1.0))
                };
                let tap = |index: &dyn Fn(i64) -> i64, weight: &dyn Fn(f32) -> f32| Tap {
                    index: (0..to).map(|i| index(at(i).0) as usize).collect(),
                    weight: (0..to).map(|i| weight(at(i).1)).collect(),
                };
                vec![tap(&|i| i, &|w| 1.0 - w), tap(&|i| (i + 1).min(last), &|w| w)]
            }
            // PyTorch leaves an axis alone that keeps its size, whatever the factor (UpSampleKernel.cpp,
            // separable_upsample_generic_Nd_kernel_impl).
            Interpolation::LinearAntialias | Interpolation::CubicAntialias if to == from => {
                one(&|i| i as i64)
            }
            Interpolation::LinearAntialias => spread(step, from, to, 1.0, |x| 1.0 - x),
            Interpolation::CubicAntialias => spread(step, from, to, 2.0, |x| match x < 1.0 {
                true => cubic_near(x, -0.5),
                false => cubic_far(x, -0.5),
            }),
            Interpolation::Cubic => {
                let index = |i: usize, tap: i64| (centre(i).floor() as i64 - 1 + tap).clamp(0, last) as usize;
                let weight = |i: usize, tap: usize| cubic(centre(i) - centre(i).floor())[tap];
                (0..4)
                    .map(|tap| Tap {
                        index: (0..to).map(|i| index(i, tap as i64)).collect(),
                        weight: (0..to).map(|i| weight(i, tap)).collect(),
                    })
                    .collect()
            }
        }
    }

    /// Does the step follow from the sizes alone, for an image of this height and width?
    fn step_of_sizes(&self, image: [usize; 2]) -> bool {
        (0..2).all(|i| self.step(i, image[i]) == image[i] as f32 / self.size[i] as f32)
    }

    fn image(&self, sizes: &[usize]) -> Result<[usize; 2], Mismatch> {
        let h = self.layout.height();
        if sizes.len() != 4 || sizes[h] * sizes[h + 1] == 0 {
            return Err(Mismatch(format!("{sizes:?} are no sizes of an image")));
        }
        Ok([sizes[h], sizes[h + 1]])
    }

    fn resized<T: Real>(&self, x: &Tensor) -> Option<Tensor> {
        let image = self.image(x.sizes()).ok()?;
        let (mut result, h) = (x.clone(), self.layout.height());
        for axis in [1, 0] {
            let taps = self.taps(axis, image[axis]);
            let outer: usize = result.sizes()[..h + axis].iter().product();
            let inner: usize = result.sizes()[h + axis + 1..].iter().product();
            let mut sizes = result.sizes().to_vec();
            sizes[h + axis] = self.size[axis];
            let mut next = Tensor::zeros(x.dtype(), &sizes);
            let from = result.as_slice::<T>();
            let pixels = next.as_mut_slice::<T>().chunks_exact_mut(inner.max(1));
            for (pixel, slot) in pixels.enumerate().take(outer * self.size[axis]) {
                let (row, i) = (pixel / self.size[axis], pixel % self.size[axis]);
                for (k, tap) in taps.iter().enumerate() {
                    let source = &from[(row * image[axis] + tap.index[i]) * inner..][..inner];
                    let weight = T::of(f64::from(tap.weight[i]));
                    for (to, &value) in slot.iter_mut().zip(source) {
                        *to = match (k, taps.len()) {
                            (_, 1) => value,
                            (0, _) => value * weight,
                            _ => *to + value * weight,
                        };
                    }
                }
            }
            result = next;
        }
        Some(result)
    }

    /// The nearest pixels, of any dtype.
    fn moved(&self, x: &Tensor) -> Option<Tensor> {
        let (image, h) = (self.image(x.sizes()).ok()?, self.layout.height());
        let mut sizes = x.sizes().to_vec();
        sizes[h..h + 2].copy_from_slice(&self.size);
        let steps = moving::strides(x.sizes());
        let mut indices = vec![0];
        for (axis, &size) in sizes.iter().enumerate() {
            let places: Vec<usize> = match axis.checked_sub(h).filter(|&a| a < 2) {
                Some(a) => self.taps(a, image[a]).remove(0).index,
                None => (0..size).collect(),
            };
            let step = steps[axis];
            indices = indices.iter().flat_map(|&base| places.iter().map(move |i| base + i * step)).collect();
        }
        moving::taken(x, &sizes, indices)
    }
}

/// The cubic convolution (Keys 1981) at a distance below one.
fn cubic_near(x: f32, a: f32) -> f32 {
    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
}

/// The cubic convolution at a distance between one and two.
fn cubic_far(x: f32, a: f32) -> f32 {
    ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
}

/// The shares of four neighbours of a place `t` behind the second.
fn cubic(t: f32) -> [f32; 4] {
    const A: f32 = -0.75;
    [cubic_far(t + 1.0, A), cubic_near(t, A), cubic_near(1.0 - t, A), cubic_far(2.0 - t, A)]
}

/// All pixels less than `reach` pixels of the smaller image away, by a function of their distance, which sum to one
/// (`HelperInterpBase` of PyTorch's kernels).
fn spread(step: f32, from: usize, to: usize, reach: f32, share: impl Fn(f32) -> f32) -> Vec<Tap> {
    let scale = step.max(1.0);
    let support = reach * scale;
    let seen = |i: usize| {
        let centre = step * (i as f32 + 0.5);
        let first = ((centre - support + 0.5) as i64).max(0);
        let last = ((centre + support + 0.5) as i64).min(from as i64);
        let weights: Vec<f32> = (first..last)
            .map(|p| (p as f32 - centre + 0.5).abs() / scale)
            .map(|x| if x < reach { share(x) } else { 0.0 })
            .collect();
        let total: f32 = weights.iter().sum();
        (first, weights.into_iter().map(|w| if total == 0.0 { w } else { w / total }).collect::<Vec<f32>>())
    };
    let all: Vec<(i64, Vec<f32>)> = (0..to).map(seen).collect();
    let most = all.iter().map(|(_, w)| w.len()).max().unwrap_or(0).max(1);
    let mut taps = vec![Tap { index: vec![0; to], weight: vec![0.0; to] }; most];
    for (i, (first, weights)) in all.iter().enumerate() {
        // Where fewer are seen, the first is taken in parts: nothing that is not seen is multiplied by zero.
        let mut rest = weights.first().copied().unwrap_or(0.0);
        for (k, tap) in taps.iter_mut().enumerate() {
            let inside = k > 0 && k < weights.len();
            tap.index[i] = (*first as usize + if inside { k } else { 0 }).min(from - 1);
            tap.weight[i] = if inside { weights[k] } else { rest / 2.0 };
            if !inside {
                rest /= 2.0;
            }
        }
        // What is left of the parts.
        taps[0].weight[i] += rest;
    }
    taps
}

impl Definition for Resize {
    const NAMES: &'static [&'static str] = &["resize"];
    const TFL: &'static [Builtin] = &[Builtin::RESIZE_BILINEAR, Builtin::RESIZE_NEAREST_NEIGHBOR];
    attributes!(interpolation, size, step, align_corners, layout);

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [x] = arity(inputs)?;
        let mut sizes = x.sizes()?;
        self.image(&sizes)?;
        let h = self.layout.height();
        sizes[h..h + 2].copy_from_slice(&self.size);
        if self.size.contains(&0) {
            return Err(Mismatch(format!("resizes {x} to {:?}", self.size)));
        }
        Ok(vec![TensorType { dtype: x.dtype, shape: ir::Shape::from(&sizes[..]), quant: x.quant.clone() }])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        if matches!(self.interpolation, Interpolation::Nearest | Interpolation::NearestExact) {
            return Some(vec![self.moved(inputs[0])?]);
        }
        let wide = matrix::widened(inputs[0])?;
        let result = match wide.dtype() {
            DType::F32 => self.resized::<f32>(&wide)?,
            DType::F64 => self.resized::<f64>(&wide)?,
            _ => return None,
        };
        Some(vec![matrix::converted(&result, inputs[0].dtype())])
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let layout = self.layout.carried(order)?;
        Some(Carried::alike(Resize { layout, ..self.clone() }, 1, order))
    }

    /// Measured on LiteRT 2.3.0: for steps that follow from the sizes, the kernels take PyTorch's pixels at every pair
    /// of sizes up to 128, with `half_pixel_centers` unless the interpolation is [`Interpolation::Nearest`].
    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let (builtin, half_pixel) = match self.interpolation {
            Interpolation::Nearest => (Builtin::RESIZE_NEAREST_NEIGHBOR, false),
            Interpolation::NearestExact => (Builtin::RESIZE_NEAREST_NEIGHBOR, true),
            Interpolation::Linear => (Builtin::RESIZE_BILINEAR, !self.align_corners),
            other => return Err(Illegal(format!("TFLite has no resize by {other:?}"))),
        };
        let x = inputs[0];
        if self.layout != Layout::Nhwc {
            return Err(Illegal(format!("{builtin} takes images with their channels last")));
        }
        if x.dtype != DType::F32 && x.quant.is_none() {
            return Err(Illegal(format!("{builtin} has no kernel for {}", x.dtype)));
        }
        let image = self.image(&x.sizes()?)?;
        if !self.align_corners && !self.step_of_sizes(image) {
            return Err(Illegal(format!(
                "{builtin} steps by the quotient of the sizes {image:?} and {:?}, not by {:?}",
                self.size, self.step
            )));
        }
        let call = tfl::Call::new(builtin).input(0).int32s(self.size)?;
        Ok(match self.interpolation {
            Interpolation::Linear => call
                .set(resize_bilinear_options::ALIGN_CORNERS, self.align_corners)
                .set(resize_bilinear_options::HALF_PIXEL_CENTERS, half_pixel)
                .at_least(3),
            _ => call.set(resize_nearest_neighbor_options::HALF_PIXEL_CENTERS, half_pixel).at_least(3),
        })
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let sizes = node.input(0)?.sizes()?;
        let &[height, width] = &node.ints(1)?[..] else {
            return Err(Illegal(format!("{} to a size that is no pair", node.operator)));
        };
        let (&[_, h, w, _], Ok(to_h), Ok(to_w)) =
            (&sizes[..], usize::try_from(height), usize::try_from(width))
        else {
            return Err(Illegal(format!("{} of {sizes:?} to {height} by {width}", node.operator)));
        };
        let (align_corners, half_pixel, linear) = match node.operator {
            Builtin::RESIZE_BILINEAR => (
                node.get(resize_bilinear_options::ALIGN_CORNERS),
                node.get(resize_bilinear_options::HALF_PIXEL_CENTERS),
                true,
            ),
            _ => (
                node.get(resize_nearest_neighbor_options::ALIGN_CORNERS),
                node.get(resize_nearest_neighbor_options::HALF_PIXEL_CENTERS),
                false,
            ),
        };
        let interpolation = match (linear, align_corners, half_pixel) {
            (true, true, false) | (true, false, true) => Interpolation::Linear,
            (false, false, false) => Interpolation::Nearest,
            (false, false, true) => Interpolation::NearestExact,
            _ => {
                return Err(Illegal(format!(
                    "{} with align_corners={align_corners} and half_pixel_centers={half_pixel}",
                    node.operator
                )));
            }
        };
        let step = [h as f64 / (to_h.max(1)) as f64, w as f64 / (to_w.max(1)) as f64];
        let (size, layout) = ([to_h, to_w], Layout::Nhwc);
        Ok(tfl::imported(Resize { interpolation, size, step, align_corners, layout }, [0]))
    }
}
