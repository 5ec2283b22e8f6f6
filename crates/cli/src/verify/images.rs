//! `--images`: pictures as inputs, and bits as a message.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use compiler::ops::Layout;
use ir::{Diagnostic, Tensor, TensorType};

use super::given::{Feed, Given, uniform};
use super::preprocess::{Preprocess, Slot};
use super::subject::Subject;
use crate::outcome::{UNREADABLE, USAGE};

/// Inputs that are not recorded.
#[derive(Args, Default)]
pub(crate) struct Images {
    /// A picture (PNG or JPEG) or a folder of them as input, one run each; INPUT may be left out where one input alone
    /// is an image. Other inputs are as recorded, or --bits
    #[arg(long, value_name = "[INPUT=]DIR")]
    images: Vec<String>,
    /// How pictures become elements, in words: `range=0..1`, `-1..1` or `0..255`; `order=rgb` or `bgr`; `luma=bt601`;
    /// `resize=antialias` or `bilinear`; `mean=N,N,N`, `std=N,N,N`
    #[arg(long, value_name = "WORDS", requires = "images", long_help = PREPROCESS)]
    preprocess: Option<Preprocess>,
    /// An input of zeros and ones: those given, or made-up ones that differ from run to run
    #[arg(long, value_name = "INPUT[=0110…]", requires = "images")]
    bits: Vec<String>,
}

const PREPROCESS: &str = "How pictures become elements, as words in one argument. Each is done in this order:
  range=0..1      black becomes 0 and white 1 (the default); -1..1; 0..255
  order=rgb       the order of colours (the default); bgr
  luma=bt601      colours become 0.299 R + 0.587 G + 0.114 B
  resize=antialias  to the input's sizes as F.interpolate(mode=\"bilinear\", antialias=True) does; bilinear: without
                  antialias. Where nothing is said, a picture must have the input's sizes
  mean=N[,N,N]    is subtracted, of all channels or of each
  std=N[,N,N]     is divided by then
Where channels are is told by the input's sizes. A grey picture stands for each of three colours.";

impl Images {
    /// Are there any?
    pub(crate) fn are_given(&self) -> bool {
        !self.images.is_empty()
    }

    /// The pictures that are named, as far as they are there.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        let place = |text: &String| match text.split_once('=') {
            Some((_, place)) if !Path::new(text).exists() => place.to_string(),
            _ => text.clone(),
        };
        self.images.iter().map(place).flat_map(|place| listed(&place).unwrap_or_default())
    }

    pub(crate) fn preprocess(&self) -> Preprocess {
        self.preprocess.clone().unwrap_or_default()
    }

    /// One run for each picture; `recorded` says what other inputs are.
    pub(crate) fn given(
        &self,
        subject: &Subject,
        types: &[TensorType],
        io: Layout,
        recorded: Option<&Given>,
    ) -> Result<Vec<Given>, Vec<Diagnostic>> {
        let slots: Vec<usize> = (0..types.len()).filter(|&i| Slot::of(&types[i], io).is_some()).collect();
        let mut pictures: Vec<(usize, Vec<PathBuf>)> = Vec::new();
        for text in &self.images {
            let (input, place) = self.placed(text, subject, &slots)?;
            pictures.push((input, listed(place)?));
        }
        let runs = pictures[0].1.len();
        if let Some((input, paths)) = pictures.iter().find(|(_, paths)| paths.len() != runs) {
            let (name, first) = (&subject.inputs[*input], &subject.inputs[pictures[0].0]);
            let message = format!("{name} has {} pictures where {first} has {runs}", paths.len());
            return Err(vec![Diagnostic::new(USAGE, message)]);
        }
        let mut given = Vec::new();
        for run in 0..runs {
            let mut feeds = Vec::new();
            for (i, ty) in types.iter().enumerate() {
                feeds.push(match pictures.iter().find(|(input, _)| *input == i) {
                    Some((_, paths)) => Feed::Picture(paths[run].clone(), self.preprocess()),
                    None => Feed::Tensor(self.other(i, ty, run, subject, recorded)?),
                });
            }
            given.push(Given::new(pictures[0].1[run].display().to_string(), feeds));
        }
        Ok(given)
    }

    /// The input that `[INPUT=]PLACE` means, and the place.
    fn placed<'t>(
        &self,
        text: &'t str,
        subject: &Subject,
        slots: &[usize],
    ) -> Result<(usize, &'t str), Vec<Diagnostic>> {
        let usage = |message: String, help: String| vec![Diagnostic::new(USAGE, message).help(help)];
        let named = text
            .split_once('=')
            .and_then(|(name, place)| Some((subject.inputs.iter().position(|input| input == name)?, place)));
        let images: Vec<&str> = slots.iter().map(|&i| subject.inputs[i].as_str()).collect();
        match (named, slots) {
            (Some((input, place)), _) if slots.contains(&input) => Ok((input, place)),
            (Some((input, _)), _) => Err(usage(
                format!("input '{}' takes no picture", subject.inputs[input]),
                "an input that does is of floats, of sizes 1×C×H×W or 1×H×W×C with 1 or 3 channels".into(),
            )),
            (None, [only]) => Ok((*only, text)),
            (None, []) => Err(usage(
                format!("no input of {} takes a picture", subject.name),
                "an input that does is of floats, of sizes 1×C×H×W or 1×H×W×C with 1 or 3 channels".into(),
            )),
            (None, _) => Err(usage(
                format!("--images {text}: {} inputs take pictures", slots.len()),
                format!("say which: --images {}={text}; they are {}", images[0], images.join(", ")),
            )),
        }
    }

    /// An input that is no picture.
    fn other(
        &self,
        input: usize,
        ty: &TensorType,
        run: usize,
        subject: &Subject,
        recorded: Option<&Given>,
    ) -> Result<Tensor, Vec<Diagnostic>> {
        let name = &subject.inputs[input];
        let said = self
            .bits
            .iter()
            .map(|text| text.split_once('=').map_or((text.as_str(), None), |(n, b)| (n, Some(b))));
        let usage = |message: String| vec![Diagnostic::new(USAGE, message)];
        if let Some((_, bits)) = said.clone().find(|(n, _)| n == name) {
            let sizes = ty.sizes().map_err(|why| usage(why.0))?;
            let count: usize = sizes.iter().product();
            let bits: Vec<i64> = match bits {
                Some(text) => {
                    let digits = text.chars().map(|c| c.to_digit(2).map(i64::from)).collect::<Option<_>>();
                    digits
                        .ok_or_else(|| usage(format!("--bits {name}: '{text}' is not of zeros and ones")))?
                }
                None => uniform(run as u64 + 1).take(count).map(|u| i64::from(u >= 0.5)).collect(),
            };
            return match bits.len() == count {
                true => Ok(Tensor::from_i64s(ty.dtype, &sizes, bits)),
                false => {
                    Err(usage(format!("--bits {name} has {} bits where the input takes {count}", bits.len())))
                }
            };
        }
        if let Some(tensor) = recorded.and_then(|given| given.tensor(input)) {
            return Ok(tensor.clone());
        }
        let message = format!("input '{name}' is no picture, and nothing is recorded for it");
        Err(vec![Diagnostic::new(USAGE, message).help(format!(
            "say --bits {name} for made-up zeros and ones, or name a recording with --recorded"
        ))])
    }

    /// Errs where `--bits` names an input that is not there.
    pub(crate) fn check(&self, subject: &Subject) -> Result<(), Vec<Diagnostic>> {
        let names = self.bits.iter().map(|text| text.split_once('=').map_or(text.as_str(), |(name, _)| name));
        let wrong = |name: &str| {
            vec![
                Diagnostic::new(USAGE, format!("--bits: no input is called '{name}'"))
                    .help(format!("they are {}", subject.inputs.join(", "))),
            ]
        };
        let mut unknown = names.filter(|name| !subject.inputs.iter().any(|input| input == name));
        unknown.next().map_or(Ok(()), |name| Err(wrong(name)))
    }
}

/// A picture, or those of a folder by their names.
fn listed(place: &str) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let place = Path::new(place);
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let unreadable =
        |e| vec![Diagnostic::new(UNREADABLE, format!("{} cannot be read: {e}", place.display()))];
    let mut all = Vec::new();
    for entry in fs::read_dir(place).map_err(unreadable)? {
        all.push(entry.map_err(unreadable)?.path());
    }
    let known = |path: &PathBuf| {
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        extension.is_some_and(|e| ["png", "jpg", "jpeg"].contains(&e.as_str()))
    };
    all.retain(known);
    all.sort();
    match all.is_empty() {
        true => {
            let message = format!("{} holds no file that ends in .png, .jpg or .jpeg", place.display());
            Err(vec![Diagnostic::new(USAGE, message)])
        }
        false => Ok(all),
    }
}
