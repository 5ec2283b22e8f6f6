//! What is decided: the form of each weight, with the reason, before anything changes.

use indexmap::{IndexMap, IndexSet};
use ir::{DType, Diagnostic, Frame, NodeId, QuantParams, ValueId};

use super::form::{Form, choose};
use super::recipe::{Compute, Recipe, Wanted};
use super::sensitive::{Share, heads, small};
use super::weighted::{Kind, Reading, readings};
use crate::dialect::tfl::Builtin;
use crate::evaluate::Expressions;
use crate::observe::{Channel, Observed, observe};
use crate::ops::Graph;
use crate::passes::Limits;

ir::codes! {
    /// A weight loses much to quantization.
    ///
    /// All elements of a channel share one scale, which its largest sets. Where that one stands out, the others are
    /// left with few of the integers there are. The figure is the expected ratio of the weight's power to that of its
    /// rounding, per channel; `--warn-snr` says from which ratio on it is told. Leave such a layer in float by an entry
    /// of the recipe with `no_quantize`, or clip the outliers before the model is exported.
    POOR_QUANTIZATION = "poor-quantization", Unsupported;

    /// A weight has elements that are beyond half precision.
    ///
    /// The largest f16 is 65504. The weight stays in float.
    WEIGHT_BEYOND_F16 = "weight-beyond-f16", Unsupported;

    /// Channels of a weight hold nothing but zeros.
    ///
    /// They cost as much as others and say nothing: a layer that was pruned, or one that no checkpoint filled.
    CHANNELS_OF_ZEROS = "channels-of-zeros", Unsupported;

    /// A weight has elements that are NaN or infinite.
    ///
    /// No integer stands for them. The weight stays in float.
    NON_FINITE_WEIGHT = "non-finite-weight", Unsupported;
}

/// What a decision may take into account besides the recipe.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// Channels of less than this many dB of expected signal to noise are told of; by default it depends on the dtype.
    pub warn_snr: Option<f64>,
    /// What the target can run.
    pub limits: Limits,
}

/// What was decided for every weight.
#[derive(Debug)]
pub struct Plan {
    /// The recipe's name.
    pub recipe: String,
    /// A decision for each weight, in the order in which they are first read.
    pub decisions: Vec<Decision>,
    /// What the user should know.
    pub warnings: Vec<Diagnostic>,
    /// What the target can run.
    pub limits: Limits,
}

/// What was decided for one weight.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The weight.
    pub weight: ValueId,
    /// What it is called.
    pub name: String,
    /// Its sizes.
    pub sizes: Vec<usize>,
    /// What reads it, each with the form that it reads.
    pub readers: Vec<Reader>,
    /// The dtype that it is stored in.
    pub dtype: DType,
    /// How its integers stand for real numbers.
    pub quant: Option<QuantParams>,
    /// Why.
    pub reason: String,
    /// The bytes of its f32 elements.
    pub before: u64,
    /// The bytes of what is stored instead, scales included.
    pub after: u64,
    /// The expected ratio of its power to that of its rounding, in dB.
    pub snr: Option<f64>,
    /// Where the first reader came from.
    pub line: Option<Frame>,
}

/// One operator that reads a weight.
#[derive(Clone, Debug)]
pub struct Reader {
    /// The operator.
    pub node: NodeId,
    /// Which of its inputs the weight is.
    pub operand: usize,
    /// What it is spelled as.
    pub builtin: Builtin,
    /// What its result is called.
    pub output: String,
    /// What it reads.
    pub form: Form,
}

/// Expected dB below which a channel is told of: where its largest element is some 14 times the root of its mean square.
/// An even spread of int8 has 48 dB, and int8 activations cost the same layer about 40.
fn threshold(dtype: DType) -> f64 {
    match dtype {
        DType::I4 => 6.0,
        DType::I8 => 30.0,
        _ => 60.0,
    }
}

/// A head of at most this part of a network's weights stays in float: in int8 the file would be half a percent smaller.
const SMALL_HEAD: f64 = 1.0 / 600.0;

/// Where integers gain no speed, the smallest layers that together have this part of all weights stay in float.
const SMALL_LAYERS: f64 = 1.0 / 200.0;

/// A head of at most this part of its products takes them in f32.
const QUICK_HEAD: f64 = 1.0 / 50.0;

/// The bytes that one scale with its zero point takes in a file.
const SCALE: u64 = 4 + 8;

/// Decides the form of every weight of a graph that can be written. Errs where a weight cannot be read.
pub fn plan(graph: &Graph, recipe: &Recipe, outlook: &Outlook) -> Result<Plan, Diagnostic> {
    let constant = graph.constness();
    let mut weights: IndexMap<ValueId, Vec<Reading>> = IndexMap::new();
    for (id, node) in graph.nodes() {
        if node.outputs.iter().all(|o| constant[o.index()]) {
            continue;
        }
        for reading in readings(graph, id, &constant) {
            weights.entry(node.inputs[reading.operand]).or_default().push(reading);
        }
    }
    let expressions = Expressions::new(graph);
    let (heads, small) = (heads(graph, &weights), small(graph, &weights, SMALL_LAYERS));
    let mut planner = Planner { graph, recipe, outlook, expressions, heads, small, warnings: Vec::new() };
    let mut decisions = Vec::new();
    for (weight, readings) in weights {
        decisions.extend(planner.decide(weight, &readings)?);
    }
    let limits = outlook.limits.clone();
    Ok(Plan { recipe: recipe.name.clone(), decisions, warnings: planner.warnings, limits })
}

struct Planner<'g> {
    graph: &'g Graph,
    recipe: &'g Recipe,
    outlook: &'g Outlook,
    expressions: Expressions<'g>,
    heads: IndexMap<ValueId, Share>,
    small: IndexSet<ValueId>,
    warnings: Vec<Diagnostic>,
}

/// What the readers of one weight agree on.
struct Agreed {
    wanted: Wanted,
    forms: Vec<Form>,
    reason: &'static str,
    axis: Option<usize>,
}

impl Planner<'_> {
    /// `None` for what is no weight and stays what it is: small operands of elementwise operators.
    fn decide(&mut self, weight: ValueId, readings: &[Reading]) -> Result<Option<Decision>, Diagnostic> {
        let sizes = self.graph.ty(weight).sizes().map_err(|m| Diagnostic::bug(m.0))?;
        let agreed = match self.agree(weight, readings, &sizes) {
            Ok(agreed) => agreed,
            Err(_) if readings.iter().all(|r| r.kind == Kind::Elements) => return Ok(None),
            Err(reason) => return Ok(Some(self.float(weight, readings, &sizes, reason))),
        };
        let dtype = agreed.forms[0].dtype();
        let seen = observe(&self.expressions, weight, &sizes, agreed.axis, dtype == DType::F16)?;
        if let Some(reason) = self.unfit(weight, readings, dtype, &seen) {
            return Ok(Some(self.float(weight, readings, &sizes, reason)));
        }
        let quant = dtype.is_int().then(|| parameters(dtype, &seen, agreed.axis));
        let snr = expected(dtype, &seen, quant.as_ref());
        self.look_out(weight, readings, dtype, &seen, quant.as_ref(), agreed.wanted);
        let mut decision = self.float(weight, readings, &sizes, agreed.reason.to_string());
        for (reader, form) in decision.readers.iter_mut().zip(agreed.forms) {
            reader.form = form;
        }
        let scales = quant.as_ref().map_or(0, |q| q.scales.len() as u64 * SCALE);
        let after = dtype.bytes(sizes.iter().product()) as u64 + scales;
        Ok(Some(Decision { dtype, quant, snr, after, ..decision }))
    }

    /// What is wanted of a weight, once for all that read it. Errs with why it stays in float.
    fn agree(&self, weight: ValueId, readings: &[Reading], sizes: &[usize]) -> Result<Agreed, String> {
        let graph = self.graph;
        let count: usize = sizes.iter().product();
        if graph.use_count(weight) > readings.len() {
            return Err("also read by what takes no weight".into());
        }
        let mut wanted = Vec::new();
        for reading in readings {
            let scope = scope(graph, reading.node);
            let runs = |wanted: &Wanted| choose(reading.kind, wanted, sizes).0 != Form::Float;
            let asked = self.recipe.wanted(reading.builtin, &scope, runs);
            wanted.push(asked.ok_or_else(|| format!("the recipe leaves {} in float", reading.builtin))?);
        }
        if count < wanted[0].min_elements {
            return Err(format!("{count} elements, fewer than {}", wanted[0].min_elements));
        }
        let chosen_here = wanted[0].dtype.is_int() && !wanted[0].verbatim;
        if chosen_here && wanted[0].compute == Compute::Floats && self.small.contains(&weight) {
            return Err("small: it would add as much noise as a large one, and save little".into());
        }
        let head = self.heads.get(&weight).filter(|_| chosen_here);
        if head.is_some_and(|share| share.elements <= SMALL_HEAD) {
            return Err("makes an output, which shows its rounding; in float it is small".into());
        }
        let exact = head.is_some_and(|share| share.products <= QUICK_HEAD);
        if exact {
            wanted.iter_mut().for_each(|wanted| wanted.compute = Compute::Floats);
        }
        let first = wanted[0];
        let choice = |(reading, wanted): (&Reading, &Wanted)| choose(reading.kind, wanted, sizes);
        let chosen: Vec<(Form, &str)> = readings.iter().zip(&wanted).map(choice).collect();
        let (form, reason) = match chosen[0] {
            (Form::Stored(dtype), _) if exact => {
                (Form::Stored(dtype), "makes an output, which shows what is rounded")
            }
            chosen => chosen,
        };
        let axis = readings[0].axis;
        // One weight is stored once. What cannot read it as it is stored reads it behind a DEQUANTIZE.
        let fits = |(reading, (own, _)): (&Reading, &(Form, &str))| match own {
            own if own.dtype() == form.dtype() && reading.axis == axis => *own,
            _ => Form::Stored(form.dtype()),
        };
        let forms: Vec<Form> = readings.iter().zip(&chosen).map(fits).collect();
        let stored = |form: &Form| matches!(form, Form::Stored(_)) || *form == Form::Rows(DType::F16);
        if forms.iter().any(stored) && self.outlook.limits.rules.forbid.contains(&Builtin::DEQUANTIZE) {
            return Err("DEQUANTIZE is forbidden".into());
        }
        let axis = (form.dtype().is_int() && first.per_channel).then_some(axis);
        Ok(Agreed { wanted: first, forms, reason, axis })
    }

    fn float(&self, weight: ValueId, readings: &[Reading], sizes: &[usize], reason: String) -> Decision {
        let graph = self.graph;
        let named = graph.largest_constant(weight).unwrap_or(weight);
        let bytes = DType::F32.bytes(sizes.iter().product()) as u64;
        let reader = |reading: &Reading| Reader {
            node: reading.node,
            operand: reading.operand,
            builtin: reading.builtin,
            output: graph.value(graph.node(reading.node).outputs[0]).name.clone(),
            form: Form::Float,
        };
        let leaf = graph.origins.leaf(graph.node(readings[0].node).origin);
        Decision {
            weight,
            name: graph.value(named).name.clone(),
            sizes: sizes.to_vec(),
            readers: readings.iter().map(reader).collect(),
            dtype: DType::F32,
            quant: None,
            reason,
            before: bytes,
            after: bytes,
            snr: None,
            line: leaf.and_then(|leaf| leaf.line()).cloned(),
        }
    }

    /// Why a weight that was looked at stays in float after all.
    fn unfit(
        &mut self,
        weight: ValueId,
        readings: &[Reading],
        dtype: DType,
        seen: &Observed,
    ) -> Option<String> {
        let (odd, large) = (seen.non_finite(), seen.halves.overflowing);
        let name = self.called(weight);
        if odd > 0 && dtype.is_int() {
            let message =
                format!("{odd} elements of the weight {name} are NaN or infinite; it stays in float");
            self.warn(Diagnostic::warning(NON_FINITE_WEIGHT, message), readings);
            return Some(format!("{odd} elements are NaN or infinite"));
        }
        if large > 0 {
            let extent = seen.whole().extent();
            let message = format!(
                "{large} elements of the weight {name} are beyond f16's 65504, up to {extent}; it stays in float"
            );
            self.warn(Diagnostic::warning(WEIGHT_BEYOND_F16, message), readings);
            return Some(format!("{large} elements are beyond f16"));
        }
        None
    }

    /// Tells what has a bad outlook.
    fn look_out(
        &mut self,
        weight: ValueId,
        readings: &[Reading],
        dtype: DType,
        seen: &Observed,
        quant: Option<&QuantParams>,
        wanted: Wanted,
    ) {
        let name = self.called(weight);
        let of = seen.channels.len();
        let zeros = seen.channels.iter().filter(|c| c.is_zero()).count();
        // A table's row of zeros is the padding that it has by design.
        if zeros > 0 && readings.iter().all(|r| r.kind != Kind::Table) {
            let message = match of {
                1 => format!("the weight {name} is all zeros"),
                _ => format!("{zeros} of {of} channels of the weight {name} are zeros"),
            };
            self.warn(Diagnostic::warning(CHANNELS_OF_ZEROS, message), readings);
        }
        let least = self.outlook.warn_snr.unwrap_or(threshold(dtype));
        let Some(quant) = quant else {
            if let Some(snr) = expected(dtype, seen, None).filter(|&snr| snr < least) {
                let lost = seen.halves.vanishing;
                let message = format!(
                    "the weight {name} keeps {snr:.0} dB in f16, where {lost} of its elements become 0"
                );
                self.warn(Diagnostic::warning(POOR_QUANTIZATION, message), readings);
            }
            return;
        };
        let ratio = |(at, channel): (usize, &Channel)| (channel_snr(channel, quant.scales[at]), at);
        let rated = seen.channels.iter().enumerate().filter(|(_, c)| c.power > 0.0).map(ratio);
        let poor: Vec<(f64, usize)> = rated.filter(|(snr, _)| *snr < least).collect();
        let Some(&(snr, at)) = poor.iter().min_by(|(a, _), (b, _)| a.total_cmp(b)) else { return };
        let crest = seen.channels[at].crest();
        let whose = if of > 1 { format!("in {} of {of} channels", poor.len()) } else { "in all".into() };
        let message = format!("the weight {name} keeps less than {least:.0} dB in {dtype} {whose}");
        let mut worst = Diagnostic::warning(POOR_QUANTIZATION, message).note(format!(
            "channel {at} keeps {snr:.0} dB: its largest element is {crest:.0} times the root of its mean square"
        ));
        if !wanted.per_channel {
            worst = worst.help("ask for a scale per channel");
        }
        self.warn(worst, readings);
    }

    fn called(&self, weight: ValueId) -> String {
        let named = self.graph.largest_constant(weight).unwrap_or(weight);
        format!("%{}", self.graph.value(named).name)
    }

    fn warn(&mut self, diagnostic: Diagnostic, readings: &[Reading]) {
        let place = |d: Diagnostic, r: &Reading| d.at(&self.graph.origins, self.graph.node(r.node).origin);
        self.warnings.push(readings.iter().fold(diagnostic, place));
    }
}

/// What a scope of a recipe is matched with: the names of what the operator makes, as ai-edge-quantizer has it, each
/// ended by `;`, and the path of its module.
fn scope(graph: &Graph, node: NodeId) -> String {
    let node = graph.node(node);
    let names = node.outputs.iter().map(|&output| graph.value(output).name.as_str());
    let module = graph.origins.leaf(node.origin).map(|leaf| leaf.module.as_str());
    names.chain(module).map(|name| format!("{name};")).collect()
}

/// One scale per channel that lets its largest element be the largest integer: `scale = max |w| / 127` (7 for i4), zero
/// points of 0, so that both signs reach equally far, as ai-edge-quantizer does for symmetric weights.
fn parameters(dtype: DType, seen: &Observed, axis: Option<usize>) -> QuantParams {
    let (_, most) = dtype.int_range().expect("integers have a range");
    let scale = |channel: &Channel| match channel.extent() / most as f32 {
        // Zeros have no scale of their own, and kernels divide by it; XNNPACK takes none below the normal ones.
        0.0 => 1.0,
        scale => scale.max(f32::MIN_POSITIVE),
    };
    QuantParams::symmetric(seen.channels.iter().map(scale).collect(), axis.unwrap_or(0))
}

/// The ratio of power to expected rounding, in dB: numbers rounded to a step of `s` are off by `s²/12` on average.
fn channel_snr(channel: &Channel, scale: f32) -> f64 {
    decibels(channel.power, rounding(channel, scale))
}

fn rounding(channel: &Channel, scale: f32) -> f64 {
    channel.count as f64 * f64::from(scale).powi(2) / 12.0
}

/// The same of a whole weight; that of f16 was measured as it was looked at. `None` where there is nothing to lose.
fn expected(dtype: DType, seen: &Observed, quant: Option<&QuantParams>) -> Option<f64> {
    let noise = match quant {
        None if dtype == DType::F16 => seen.halves.error,
        None => return None,
        Some(quant) => {
            let channels = seen.channels.iter().zip(&quant.scales);
            channels.filter(|(c, _)| c.power > 0.0).map(|(c, &scale)| rounding(c, scale)).sum()
        }
    };
    (seen.power() > 0.0 && noise > 0.0).then(|| decibels(seen.power(), noise))
}

fn decibels(power: f64, noise: f64) -> f64 {
    10.0 * (power / noise).log10()
}
