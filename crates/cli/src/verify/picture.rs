//! Pictures: PNG and JPEG files read into levels, and values written as a PNG.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use files::Unfinished;
use ir::Diagnostic;
use png::{BitDepth, ColorType, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::outcome::UNREADABLE;

ir::codes! {
    /// A picture cannot be read.
    ///
    /// `--images` reads PNG and JPEG files: grey or of three colours, of 8 or 16 bits, and without transparency, for it
    /// has no one meaning for a model. Save the picture again in such a form.
    PICTURE_UNREADABLE = "picture-unreadable", Invalid;

    /// A picture is not what an input of the model takes.
    ///
    /// Its sizes, or its number of colours, are others. Nothing is resized or made grey unless `--preprocess` says so,
    /// for the model's numbers depend on how that is done.
    PICTURE_UNFIT = "picture-unfit", Invalid;
}

/// The most pixels of a picture, which its first bytes alone announce.
const PIXELS: usize = 1 << 26;

/// What a file shows: one level per channel of each pixel.
#[derive(Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
    /// Row after row, pixel after pixel, channel after channel.
    pub(crate) levels: Vec<u16>,
    /// The level that is white: 255, or 65535 of 16 bits.
    pub(crate) white: u16,
}

impl Picture {
    /// Reads a PNG or a JPEG, whichever the bytes are of. Colour profiles, and the orientation that a camera notes, are
    /// not applied. Errs for transparency and for four colours.
    pub(crate) fn read(path: &Path) -> Result<Self, Diagnostic> {
        let unreadable = |e| Diagnostic::new(UNREADABLE, format!("{} cannot be read: {e}", path.display()));
        let bytes = fs::read(path).map_err(unreadable)?;
        Picture::decode(&bytes)
            .map_err(|why| Diagnostic::new(PICTURE_UNREADABLE, format!("{}: {why}", path.display())))
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => decode_png(bytes),
            [0xff, 0xd8, 0xff, ..] => decode_jpeg(bytes),
            _ => Err("it is neither a PNG nor a JPEG".into()),
        }
    }
}

fn small_enough(width: usize, height: usize) -> Result<(), String> {
    match width.checked_mul(height) {
        Some(pixels) if pixels <= PIXELS => Ok(()),
        _ => Err(format!("{width}×{height} pixels are more than {PIXELS}")),
    }
}

fn decode_png(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    // Palettes become colours, and fewer bits become 8.
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    small_enough(width, height)?;
    let size = reader.output_buffer_size().ok_or("it has too many pixels")?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(|e| e.to_string())?;
    samples.truncate(frame.buffer_size());
    let (levels, white): (Vec<u16>, u16) = match frame.bit_depth {
        BitDepth::Sixteen => {
            (samples.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect(), u16::MAX)
        }
        _ => (samples.iter().map(|&b| b.into()).collect(), 255),
    };
    let (channels, alpha) = match frame.color_type {
        ColorType::Grayscale => (1, false),
        ColorType::GrayscaleAlpha => (1, true),
        ColorType::Rgba => (3, true),
        _ => (3, false),
    };
    let levels = match alpha {
        true if levels.chunks_exact(channels + 1).any(|pixel| pixel[channels] != white) => {
            return Err("it is transparent in places".into());
        }
        true => levels.chunks_exact(channels + 1).flat_map(|pixel| &pixel[..channels]).copied().collect(),
        false => levels,
    };
    Ok(Picture { width, height, channels, levels, white })
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let options = DecoderOptions::default().set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let info = decoder.info().ok_or("it has no sizes")?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    small_enough(width, height)?;
    let (channels, colors) = match info.components {
        1 => (1, ColorSpace::Luma),
        3 => (3, ColorSpace::RGB),
        n => return Err(format!("it has {n} colours, not 1 or 3")),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colors));
    let samples = decoder.decode().map_err(|e| e.to_string())?;
    let levels = samples.into_iter().map(u16::from).collect();
    Ok(Picture { width, height, channels, levels, white: 255 })
}

/// Writes pixels of 8 bits as a PNG, which appears whole or not at all.
pub(crate) fn write(path: &Path, width: usize, channels: usize, levels: &[u8]) -> Result<(), Diagnostic> {
    let height = levels.len() / (width * channels);
    let failed =
        |why: String| Diagnostic::new(UNREADABLE, format!("{} cannot be written: {why}", path.display()));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(if channels == 1 { ColorType::Grayscale } else { ColorType::Rgb });
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|e| failed(e.to_string()))?;
    writer.write_image_data(levels).map_err(|e| failed(e.to_string()))?;
    writer.finish().map_err(|e| failed(e.to_string()))?;
    let written = Unfinished::beside(path).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.finish(path)
    });
    written.map_err(|e| failed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(color: ColorType, depth: BitDepth, width: u32, samples: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.write_header().unwrap().write_image_data(samples).unwrap();
        bytes
    }

    #[test]
    fn levels_are_those_of_the_file() {
        let picture =
            Picture::decode(&encoded(ColorType::Rgb, BitDepth::Eight, 2, &[0, 1, 2, 253, 254, 255]));
        let levels = vec![0, 1, 2, 253, 254, 255];
        assert_eq!(picture, Ok(Picture { width: 2, height: 1, channels: 3, levels, white: 255 }));
        let picture = Picture::decode(&encoded(ColorType::Grayscale, BitDepth::Sixteen, 1, &[1, 2])).unwrap();
        assert_eq!((picture.levels, picture.white), (vec![258], 65535));
        let bits = Picture::decode(&encoded(ColorType::Grayscale, BitDepth::One, 2, &[0b0100_0000])).unwrap();
        assert_eq!(bits.levels, [0, 255]);
    }

    /// Pixels as PIL has them; each decoder rounds its transform in a way of its own.
    #[test]
    fn photographs_are_those_that_others_see() {
        let picture = Picture::decode(include_bytes!("../../tests/fixtures/pictures/b_wide.jpg")).unwrap();
        assert_eq!((picture.width, picture.height, picture.channels), (80, 72, 3));
        for (y, x, pixel) in [(0, 0, [126, 238, 38]), (35, 17, [229, 153, 16]), (71, 79, [9, 20, 164])] {
            let found = &picture.levels[(y * 80 + x) * 3..][..3];
            let apart = found.iter().zip(pixel).map(|(&a, b)| a.abs_diff(b));
            assert!(apart.max().unwrap() <= 2, "{found:?} at {y}, {x}");
        }
    }

    #[test]
    fn transparency_has_no_one_meaning() {
        let picture =
            |alpha| Picture::decode(&encoded(ColorType::Rgba, BitDepth::Eight, 1, &[1, 2, 3, alpha]));
        assert_eq!(picture(255).unwrap().levels, [1, 2, 3]);
        assert_eq!(picture(254).unwrap_err(), "it is transparent in places");
    }

    #[test]
    fn what_is_broken_is_refused() {
        let whole = encoded(ColorType::Rgb, BitDepth::Eight, 2, &[0, 1, 2, 253, 254, 255]);
        for end in 0..whole.len() - 12 {
            assert!(Picture::decode(&whole[..end]).is_err(), "{end} bytes");
        }
        assert!(Picture::decode(b"\xff\xd8\xff\xe0").is_err());
        assert_eq!(Picture::decode(b"GIF89a").unwrap_err(), "it is neither a PNG nor a JPEG");
    }
}
