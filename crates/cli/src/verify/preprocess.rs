//! `--preprocess`: how the levels of a picture become the elements of an input.

use std::str::FromStr;

use compiler::ops::{Interpolation, Layout, Op, Resize};
use ir::{DType, Diagnostic, Tensor, TensorType};

use super::picture::{PICTURE_UNFIT, Picture};

/// The shares of red, green and blue in luma (ITU-R BT.601).
const BT601: [f32; 3] = [0.299, 0.587, 0.114];

/// What is done to a picture, in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Preprocess {
    /// What black and white become.
    range: [f32; 2],
    /// Blue comes first.
    reversed: bool,
    /// Colours become grey.
    luma: bool,
    /// How the picture gets the input's sizes; none where it must have them.
    resize: Option<Interpolation>,
    /// What is subtracted from each channel, or from all; none for nothing.
    mean: Vec<f32>,
    /// What each channel, or all, is divided by then.
    std: Vec<f32>,
}

impl Default for Preprocess {
    fn default() -> Self {
        let (mean, std) = (Vec::new(), Vec::new());
        Preprocess { range: [0.0, 1.0], reversed: false, luma: false, resize: None, mean, std }
    }
}

impl FromStr for Preprocess {
    type Err = String;

    /// Reads words apart by spaces. Errs with what is wrong and the words there are.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = Preprocess::default();
        for word in text.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let unknown = || {
                format!(
                    "'{word}' is none of range=0..1, range=-1..1, range=0..255, order=rgb, order=bgr, luma=bt601, \
                     resize=antialias, resize=bilinear, mean=N[,N,N], std=N[,N,N]"
                )
            };
            let numbers =
                || value.split(',').map(|n| n.parse().ok()).collect::<Option<Vec<f32>>>().ok_or_else(unknown);
            match (key, value) {
                ("range", "0..1") => all.range = [0.0, 1.0],
                ("range", "-1..1") => all.range = [-1.0, 1.0],
                ("range", "0..255") => all.range = [0.0, 255.0],
                ("order", "rgb") => all.reversed = false,
                ("order", "bgr") => all.reversed = true,
                ("luma", "bt601") => all.luma = true,
                ("resize", "antialias") => all.resize = Some(Interpolation::LinearAntialias),
                ("resize", "bilinear") => all.resize = Some(Interpolation::Linear),
                ("mean", _) => all.mean = numbers()?,
                ("std", _) => all.std = numbers()?,
                _ => return Err(unknown()),
            }
        }
        match all.std.iter().find(|s| !s.is_normal()) {
            Some(std) => Err(format!("nothing is divided by a std of {std}")),
            None => Ok(all),
        }
    }
}

/// Where an input has the axes of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Channels come last.
    pub(crate) last: bool,
}

impl Slot {
    /// The axes of one image of 1 or 3 channels, ones before them left out; `None` where the type has no such. `io`
    /// decides where the sizes allow both orders.
    pub(crate) fn of(ty: &TensorType, io: Layout) -> Option<Slot> {
        let sizes = ty.sizes().ok()?;
        let [axes @ .., a, b, c] = &sizes[..] else { return None };
        if !ty.dtype.is_float() || axes.is_empty() || axes.iter().any(|&n| n != 1) {
            return None;
        }
        let first = (*a == 1 || *a == 3).then_some(Slot { channels: *a, height: *b, width: *c, last: false });
        let last = (*c == 1 || *c == 3).then_some(Slot { channels: *c, height: *a, width: *b, last: true });
        if io == Layout::Nhwc { last.or(first) } else { first.or(last) }
    }

    /// The pixels of an image of this kind, row after row, channels together.
    pub(crate) fn pixels(&self, image: &Tensor) -> Vec<f64> {
        let values = image.to_f64s();
        if self.last {
            return values;
        }
        let plane = self.height * self.width;
        (0..values.len()).map(|i| values[i % self.channels * plane + i / self.channels]).collect()
    }
}

impl Preprocess {
    /// The values that black and white become, before the mean is subtracted.
    pub(crate) fn range(&self) -> [f32; 2] {
        self.range
    }

    /// A picture as an input of this type takes it. Errs where sizes or colours are others and nothing is said of them.
    pub(crate) fn apply(&self, picture: &Picture, slot: Slot, ty: &TensorType) -> Result<Tensor, Diagnostic> {
        let Slot { channels, height, width, last } = slot;
        let planes = self.colours(picture, channels)?;
        let count = planes.len() / (picture.width * picture.height);
        let mut image = Tensor::new(&[1, count, picture.height, picture.width], &planes);
        if [picture.height, picture.width] != [height, width] {
            image = self.resized(&image, [height, width]).ok_or_else(|| {
                let message = format!(
                    "the picture has {}×{} pixels where the input takes {width}×{height}",
                    picture.width, picture.height
                );
                Diagnostic::new(PICTURE_UNFIT, message).help(
                    "say --preprocess resize=antialias for F.interpolate(mode=\"bilinear\", antialias=True), or \
                     resize=bilinear for the same without antialias",
                )
            })?;
        }
        let plane = height * width;
        let values = image.as_slice::<f32>();
        let at = |channel: usize, pixel: usize| {
            // Grey stands for each colour.
            let value = values[if count == 1 { 0 } else { channel * plane } + pixel];
            (value - self.of_channel(&self.mean, channel, 0.0)) / self.of_channel(&self.std, channel, 1.0)
        };
        let elements = (0..channels * plane).map(|i| match last {
            true => at(i % channels, i / channels),
            false => at(i / plane, i % plane),
        });
        let sizes = ty.sizes().map_err(|why| Diagnostic::bug(why.0))?;
        match ty.dtype {
            DType::F32 => Ok(Tensor::new(&sizes, &elements.collect::<Vec<f32>>())),
            dtype => Ok(Tensor::from_f64s(dtype, &sizes, elements.map(f64::from))),
        }
    }

    /// One number for all channels, or each its own.
    fn of_channel(&self, numbers: &[f32], channel: usize, absent: f32) -> f32 {
        numbers.get(channel).or(numbers.first()).copied().unwrap_or(absent)
    }

    /// The picture's planes in their range and order, one where it is grey.
    fn colours(&self, picture: &Picture, wanted: usize) -> Result<Vec<f32>, Diagnostic> {
        let unfit = |message: &str, help: &str| {
            Err(Diagnostic::new(PICTURE_UNFIT, message.to_string()).help(help.to_string()))
        };
        if picture.channels == 3 && wanted == 1 && !self.luma {
            return unfit(
                "the picture has colours where the input is grey",
                "say --preprocess luma=bt601 for 0.299 R + 0.587 G + 0.114 B",
            );
        }
        for (what, numbers) in [("mean", &self.mean), ("std", &self.std)] {
            if numbers.len() > 1 && numbers.len() != wanted {
                let message =
                    format!("{what} has {} numbers where the input has {wanted} channels", numbers.len());
                return unfit(&message, "say one number for all channels, or one for each");
            }
        }
        let [low, high] = self.range;
        let white = f32::from(picture.white);
        let value = |level: u16| match high == white {
            true => f32::from(level),
            false => f32::from(level) / white * (high - low) + low,
        };
        let plane = |channel: usize| {
            picture.levels.iter().skip(channel).step_by(picture.channels).map(move |&l| value(l))
        };
        if self.luma && picture.channels == 3 {
            let colours = plane(0).zip(plane(1)).zip(plane(2));
            return Ok(colours.map(|((r, g), b)| BT601[0] * r + BT601[1] * g + BT601[2] * b).collect());
        }
        let channels = 0..picture.channels;
        Ok(match self.reversed {
            true => channels.rev().flat_map(plane).collect(),
            false => channels.flat_map(plane).collect(),
        })
    }

    /// As `torch.nn.functional.interpolate` resizes to these sizes.
    fn resized(&self, image: &Tensor, size: [usize; 2]) -> Option<Tensor> {
        let step = [0, 1].map(|i| f64::from(image.sizes()[2 + i] as f32 / size[i] as f32));
        let interpolation = self.resize?;
        let resize = Resize { interpolation, size, step, align_corners: false, layout: Layout::Nchw };
        Op::from(resize).evaluate(&[image])?.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Five by four pixels; the numbers below are those that `tests/fixtures/make_pictures.py` prints for them.
    fn picture() -> Picture {
        Picture {
            width: 5,
            height: 4,
            channels: 3,
            levels: (0..60).map(|i| i * 37 % 256).collect(),
            white: 255,
        }
    }

    fn applied(words: &str, sizes: &[usize]) -> Vec<f32> {
        let ty = TensorType::new(DType::F32, sizes);
        let slot = Slot::of(&ty, Layout::Nchw).unwrap();
        words.parse::<Preprocess>().unwrap().apply(&picture(), slot, &ty).unwrap().as_slice().to_vec()
    }

    /// Sums of a few products may round in another order.
    fn near(found: &[f32], torch: &[f64]) {
        assert_eq!(found.len(), torch.len());
        let bar = 4.0 * f64::from(f32::EPSILON);
        let near = found.iter().zip(torch).all(|(&a, b)| (f64::from(a) - b).abs() <= bar);
        assert!(near, "{found:?}\n{torch:?}");
    }

    #[test]
    fn resizing_is_that_of_torch() {
        let antialias = [
            0.307002813,
            0.449237496,
            0.589195669,
            0.571988821,
            0.475194514,
            0.444417804,
            0.452100873,
            0.355306596,
            0.488435388,
            0.532693088,
            0.524680972,
            0.507563055,
            0.535734296,
            0.468534082,
            0.387675107,
            0.493397415,
            0.478555888,
            0.468267322,
        ];
        near(&applied("resize=antialias", &[1, 3, 2, 3]), &antialias);
        let bilinear = [
            0.229411751,
            0.452941179,
            0.676470518,
            0.566666663,
            0.288235307,
            0.344444543,
            0.374509811,
            0.0960784331,
            0.486928105,
            0.544444442,
            0.433333337,
            0.489542574,
            0.519607842,
            0.241176486,
            0.297385722,
            0.522222281,
            0.578431368,
            0.467320263,
        ];
        near(&applied("resize=bilinear", &[1, 3, 2, 3]), &bilinear);
        let larger = [
            0.290196091,
            0.616666675,
            0.393790901,
            0.338235229,
            0.450000018,
            0.0235294122,
            0.350420177,
            0.67689079,
            0.454014987,
        ];
        near(&applied("resize=antialias", &[1, 3, 7, 6])[84..93], &larger);
        near(&applied("resize=bilinear", &[1, 3, 7, 6])[84..93], &larger);
    }

    #[test]
    fn levels_become_elements_as_in_torch() {
        let pixel = |words: &str| {
            let all = applied(words, &[1, 3, 4, 5]);
            [all[7], all[27], all[47]]
        };
        near(
            &pixel("mean=0.485,0.456,0.406 std=0.229,0.224,0.225"),
            &[-1.96378124, -1.23039198, -0.357821256],
        );
        near(&pixel("range=-1..1"), &[-0.929411769, -0.639215708, -0.34901959]);
        assert_eq!(pixel("range=0..255"), [9.0, 46.0, 83.0]);
        assert_eq!(pixel("range=0..255 order=bgr mean=1 std=2"), [41.0, 22.5, 4.0]);
        let luma = [0.286882371, 0.722176492, 0.15354903, 0.588843167, 0.320388228];
        near(&applied("luma=bt601", &[1, 1, 4, 5])[5..10], &luma);
        // Grey stands for each colour.
        let all = applied("luma=bt601", &[1, 3, 4, 5]);
        assert!(all[..20] == all[20..40] && all[..20] == all[40..]);
    }

    #[test]
    fn channels_lie_where_the_input_has_them() {
        let (first, last) = (applied("range=0..255", &[1, 3, 4, 5]), applied("range=0..255", &[1, 4, 5, 3]));
        assert_eq!(last[..6], [0.0, 37.0, 74.0, 111.0, 148.0, 185.0]);
        let slot = Slot { channels: 3, height: 4, width: 5, last: false };
        let pixels = slot.pixels(&Tensor::new(&[1, 3, 4, 5], &first));
        assert_eq!(pixels, last.iter().map(|&v| f64::from(v)).collect::<Vec<_>>());
        let of =
            |sizes: &[usize], io| Slot::of(&TensorType::new(DType::F32, sizes), io).map(|slot| slot.last);
        assert_eq!(of(&[1, 1, 3, 64, 64], Layout::Nchw), Some(false));
        assert_eq!(of(&[1, 3, 64, 3], Layout::Nchw), Some(false));
        assert_eq!(of(&[1, 3, 64, 3], Layout::Nhwc), Some(true));
        for sizes in [&[2, 3, 64, 64][..], &[1, 256], &[3, 64, 64], &[1, 8, 8, 128]] {
            assert_eq!(of(sizes, Layout::Nchw), None, "{sizes:?}");
        }
    }

    #[test]
    fn nothing_is_changed_unsaid() {
        let refused = |words: &str, sizes: &[usize]| {
            let ty = TensorType::new(DType::F32, sizes);
            let slot = Slot::of(&ty, Layout::Nchw).unwrap();
            words.parse::<Preprocess>().unwrap().apply(&picture(), slot, &ty).unwrap_err().message
        };
        assert_eq!(refused("", &[1, 3, 4, 4]), "the picture has 5×4 pixels where the input takes 4×4");
        assert_eq!(refused("", &[1, 1, 4, 5]), "the picture has colours where the input is grey");
        assert_eq!(refused("mean=1,2", &[1, 3, 4, 5]), "mean has 2 numbers where the input has 3 channels");
        let why = |words: &str| words.parse::<Preprocess>().unwrap_err();
        assert!(why("range=0..2").starts_with("'range=0..2' is none of range=0..1, "));
        assert!(why("mean=grey").starts_with("'mean=grey' is none of "));
        assert_eq!(why("std=0"), "nothing is divided by a std of 0");
    }
}
