//! One streaming look at a weight: what each of its channels holds, and what half precision would make of it.

use half::f16;
use ir::{DType, Diagnostic, ValueId};

use crate::evaluate::Expressions;

/// What a weight holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// What each channel holds: each index of the axis that was asked for, or all of the weight.
    pub channels: Vec<Channel>,
    /// What f16 makes of it.
    pub halves: Halves,
}

/// What one channel of a weight holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// The number of elements.
    pub count: u64,
    /// The least element; infinite where there is none.
    pub min: f32,
    /// The greatest element.
    pub max: f32,
    /// `Σ x²`
    pub power: f64,
    /// Elements that are NaN or infinite; they count in nothing else.
    pub non_finite: u64,
}

/// What becomes of finite elements that are rounded to f16.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Halves {
    /// Elements beyond f16's largest, 65504, that become infinite.
    pub overflowing: u64,
    /// Elements other than 0 that become 0.
    pub vanishing: u64,
    /// `Σ (x − f16(x))²` of those that stay finite.
    pub error: f64,
}

impl Channel {
    const EMPTY: Channel =
        Channel { count: 0, min: f32::INFINITY, max: f32::NEG_INFINITY, power: 0.0, non_finite: 0 };

    /// The largest absolute value; 0 where there is no element.
    pub fn extent(&self) -> f32 {
        if self.count == self.non_finite { 0.0 } else { self.max.max(-self.min) }
    }

    /// Are all of its elements 0?
    pub fn is_zero(&self) -> bool {
        self.non_finite == 0 && self.extent() == 0.0
    }

    /// How far the largest element stands out: its size over the root of the mean square. 1 for zeros.
    pub fn crest(&self) -> f64 {
        match self.power {
            0.0 => 1.0,
            power => f64::from(self.extent()) / (power / self.count as f64).sqrt(),
        }
    }

    fn look(&mut self, elements: &[f32]) {
        self.count += elements.len() as u64;
        let (mut min, mut max, mut power) = (self.min, self.max, 0.0);
        let mut odd = 0;
        for &x in elements {
            if x.is_finite() {
                (min, max) = (min.min(x), max.max(x));
                power += f64::from(x) * f64::from(x);
            } else {
                odd += 1;
            }
        }
        (self.min, self.max) = (min, max);
        self.power += power;
        self.non_finite += odd;
    }
}

impl Halves {
    fn look(&mut self, elements: &[f32]) {
        for &x in elements.iter().filter(|x| x.is_finite()) {
            let half = f16::from_f32(x).to_f32();
            if half.is_infinite() {
                self.overflowing += 1;
                continue;
            }
            self.vanishing += u64::from(half == 0.0 && x != 0.0);
            self.error += (f64::from(x) - f64::from(half)).powi(2);
        }
    }
}

impl Observed {
    /// The number of elements that are NaN or infinite.
    pub fn non_finite(&self) -> u64 {
        self.channels.iter().map(|c| c.non_finite).sum()
    }

    /// `Σ x²` of the whole weight.
    pub fn power(&self) -> f64 {
        self.channels.iter().map(|c| c.power).sum()
    }

    /// All channels as one.
    pub fn whole(&self) -> Channel {
        self.channels.iter().fold(Channel::EMPTY, |all, c| Channel {
            count: all.count + c.count,
            min: all.min.min(c.min),
            max: all.max.max(c.max),
            power: all.power + c.power,
            non_finite: all.non_finite + c.non_finite,
        })
    }
}

/// Looks at a constant f32 value once, slab by slab; `axis` is that of its channels, and `halves` asks what f16 makes of
/// it. Errs where it cannot be read.
pub fn observe(
    expressions: &Expressions<'_>,
    value: ValueId,
    sizes: &[usize],
    axis: Option<usize>,
    halves: bool,
) -> Result<Observed, Diagnostic> {
    let count = axis.map_or(1, |axis| sizes[axis]);
    let mut seen = Observed { channels: vec![Channel::EMPTY; count], halves: Halves::default() };
    expressions.slabs(value, &mut |region, slab| -> Result<(), Diagnostic> {
        if slab.dtype() != DType::F32 {
            return Err(Diagnostic::bug(format!("a weight of {} is looked at as f32", slab.dtype())));
        }
        let elements = slab.as_slice::<f32>();
        if halves {
            seen.halves.look(elements);
        }
        let Some(axis) = axis else {
            seen.channels[0].look(elements);
            return Ok(());
        };
        let inner = region.sizes[axis + 1..].iter().product::<usize>().max(1);
        for (at, line) in elements.chunks_exact(inner).enumerate() {
            seen.channels[region.start[axis] + at % region.sizes[axis]].look(line);
        }
        Ok(())
    })?;
    Ok(seen)
}
