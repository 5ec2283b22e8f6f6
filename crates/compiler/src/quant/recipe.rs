//! What is asked: which operators get weights of which bits. By name, or as a recipe of ai-edge-quantizer.

use std::fs;
use std::path::Path;

use indexmap::IndexMap;
use ir::{DType, Diagnostic};
use regex_lite::Regex;
use serde_json::Value;

use crate::dialect::tfl::Builtin;

ir::codes! {
    /// No recipe has this name.
    ///
    /// `fp16` keeps weights in half precision: half the size, next to no error. `dynamic-int8` keeps them as 8-bit
    /// integers, one scale per channel, and multiplies in integers: a quarter of the size, and faster.
    /// `weight-int8` stores the same integers and computes in f32: more exact, not faster. `weight-int4` halves these
    /// again where that runs. A file that ends in `.json` is read as a recipe of ai-edge-quantizer 0.10.
    UNKNOWN_RECIPE = "unknown-recipe", Usage;

    /// A recipe file cannot be read.
    UNREADABLE_RECIPE = "unreadable-recipe", Io;

    /// A recipe file does not hold a recipe.
    ///
    /// A recipe file is the JSON that ai-edge-quantizer 0.10 saves: a list of
    /// `{"regex", "operation", "algorithm_key", "op_config"}`.
    MALFORMED_RECIPE = "malformed-recipe", Invalid;

    /// The recipe asks for something that Edgewright does not do.
    ///
    /// Read of ai-edge-quantizer's recipes are `min_max_uniform_quantize` of weights in symmetric int8 or int4, per
    /// channel or per tensor, computed in integers (dynamic range) or behind an explicit DEQUANTIZE; `float_casting`
    /// to f16; and `no_quantize`. Integer activations need calibration, which comes later.
    UNSUPPORTED_RECIPE = "unsupported-recipe", Unsupported;
}

/// What is wanted of the weights of a model.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name, or the file that it is from.
    pub name: String,
    /// By the scope they are for, in the order in which scopes are first named. Of what matches, the last counts.
    scopes: IndexMap<String, (Regex, Vec<Entry>)>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Which operators; all where none is named.
    operation: Option<Builtin>,
    /// What their weights become; `None` leaves them as they are.
    wanted: Option<Wanted>,
}

/// What the weights of an operator should become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// f16, i8 or i4.
    pub dtype: DType,
    /// What is multiplied.
    pub compute: Compute,
    /// One scale for each channel, or one for all.
    pub per_channel: bool,
    /// Weights of fewer elements stay as they are.
    pub min_elements: usize,
    /// Whether it is wanted as said, though another form would run better.
    pub verbatim: bool,
}

/// What an operator with integer weights multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// Integers: activations are quantized as they come.
    Integers,
    /// f32: weights are widened first.
    Floats,
}

/// A weight of fewer elements saves little, and costs an operator or a scale.
const MIN_ELEMENTS: usize = 1024;

/// The recipes that have a name, with what each wants of every operator.
const NAMED: &[(&str, DType, Compute)] = &[
    ("fp16", DType::F16, Compute::Floats),
    ("dynamic-int8", DType::I8, Compute::Integers),
    ("weight-int8", DType::I8, Compute::Floats),
    ("weight-int4", DType::I4, Compute::Floats),
];

impl Recipe {
    /// The names there are.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, ..)| *name)
    }

    /// The recipe of this name, or in this `.json` file. Errs where there is none or it asks for what is not done.
    pub fn read(name: &str) -> Result<Recipe, Vec<Diagnostic>> {
        if let Some(&(_, dtype, compute)) = NAMED.iter().find(|(known, ..)| *known == name) {
            let wanted =
                Wanted { dtype, compute, per_channel: true, min_elements: MIN_ELEMENTS, verbatim: false };
            let mut recipe = Recipe { name: name.into(), scopes: IndexMap::new() };
            recipe.add(".*", Entry { operation: None, wanted: Some(wanted) }).map_err(|d| vec![d])?;
            return Ok(recipe);
        }
        if Path::new(name).extension().is_none_or(|e| e != "json") {
            let known: Vec<&str> = Recipe::names().collect();
            let message = format!("no recipe is called '{name}'");
            return Err(vec![
                Diagnostic::new(UNKNOWN_RECIPE, message)
                    .help(format!("say {}, or the name of a .json file", known.join(", "))),
            ]);
        }
        let text = fs::read_to_string(name)
            .map_err(|e| vec![Diagnostic::new(UNREADABLE_RECIPE, format!("{name} cannot be read: {e}"))])?;
        Recipe::parse(name, &text)
    }

    /// A recipe of ai-edge-quantizer 0.10. Errs with everything in it that is not done, by its name.
    pub fn parse(name: &str, text: &str) -> Result<Recipe, Vec<Diagnostic>> {
        let malformed = |why: String| Diagnostic::new(MALFORMED_RECIPE, format!("{name}: {why}"));
        let parsed: Value = serde_json::from_str(text).map_err(|e| vec![malformed(e.to_string())])?;
        let Value::Array(items) = parsed else {
            return Err(vec![malformed("a recipe is a list".into())]);
        };
        let (mut recipe, mut found) = (Recipe { name: name.into(), scopes: IndexMap::new() }, Vec::new());
        for (at, item) in items.iter().enumerate() {
            match entry(item) {
                Ok((regex, entry)) => {
                    let added = recipe.add(regex, entry);
                    found.extend(added.err().map(|d| d.note(format!("entry {at} of {name}"))));
                }
                Err(Refused::Malformed(why)) => found.push(malformed(format!("entry {at} {why}"))),
                Err(Refused::Unsupported(why)) => {
                    let message = format!("entry {at} of {name} asks for {why}");
                    found.push(Diagnostic::new(UNSUPPORTED_RECIPE, message));
                }
            }
        }
        if found.is_empty() { Ok(recipe) } else { Err(found) }
    }

    /// Entries of one scope stand together where the scope was first named; an entry for all operators takes the
    /// place of those before it, and one for an operator that of the same (ai-edge-quantizer's `recipe_manager.py`).
    fn add(&mut self, regex: &str, entry: Entry) -> Result<(), Diagnostic> {
        if !self.scopes.contains_key(regex) {
            let compiled = Regex::new(regex).map_err(|e| {
                Diagnostic::new(
                    MALFORMED_RECIPE,
                    format!("the scope '{regex}' is no regular expression: {e}"),
                )
            })?;
            self.scopes.insert(regex.into(), (compiled, Vec::new()));
        }
        let (_, entries) = &mut self.scopes[regex];
        match entries.iter().position(|known| known.operation == entry.operation) {
            _ if entry.operation.is_none() => *entries = vec![entry],
            Some(same) => entries[same] = entry,
            None => entries.push(entry),
        }
        Ok(())
    }

    /// Does it ask for integers anywhere?
    pub fn has_integers(&self) -> bool {
        let mut entries = self.scopes.values().flat_map(|(_, entries)| entries);
        entries.any(|entry| entry.wanted.is_some_and(|wanted| wanted.dtype.is_int()))
    }

    /// What is wanted of an operator in this scope: the last entry that names the operator or all, and that `runs`
    /// says is one for it. `None` leaves it as it is.
    pub fn wanted(&self, builtin: Builtin, scope: &str, runs: impl Fn(&Wanted) -> bool) -> Option<Wanted> {
        let matching = self.scopes.values().filter(|(regex, _)| regex.is_match(scope));
        let entries = matching.flat_map(|(_, entries)| entries);
        let named = entries.filter(|e| e.operation.is_none_or(|operation| operation == builtin));
        named.filter(|entry| entry.wanted.as_ref().is_none_or(&runs)).last()?.wanted
    }
}

enum Refused {
    Malformed(String),
    Unsupported(String),
}

/// What the fields of a recipe are called where they are not builtins' own names.
const OPERATIONS: &[(&str, Builtin)] = &[("CONV_2D_TRANSPOSE", Builtin::TRANSPOSE_CONV)];

fn entry(item: &Value) -> Result<(&str, Entry), Refused> {
    only(item, &["regex", "operation", "algorithm_key", "op_config"])?;
    let regex = text(item, "regex")?;
    let operation = match text(item, "operation")? {
        "*" => None,
        name => {
            let renamed = OPERATIONS.iter().find(|(known, _)| *known == name).map(|(_, builtin)| *builtin);
            let builtin = renamed.or_else(|| Builtin::NAMED.iter().copied().find(|b| b.name() == Some(name)));
            Some(builtin.ok_or_else(|| Refused::Unsupported(format!("the operation {name}")))?)
        }
    };
    let wanted = match text(item, "algorithm_key")? {
        "no_quantize" => None,
        algorithm @ ("min_max_uniform_quantize" | "float_casting") => Some(wanted(item, algorithm)?),
        other => return Err(Refused::Unsupported(format!("the algorithm {other}"))),
    };
    Ok((regex, Entry { operation, wanted }))
}

/// What `op_config` says, with ai-edge-quantizer's defaults for what it leaves out.
fn wanted(item: &Value, algorithm: &str) -> Result<Wanted, Refused> {
    let config = item.get("op_config").ok_or_else(|| Refused::Malformed("lacks op_config".into()))?;
    only(
        config,
        &[
            "activation_tensor_config",
            "weight_tensor_config",
            "compute_precision",
            "explicit_dequantize",
            "skip_checks",
            "min_weight_elements",
        ],
    )?;
    if config.get("activation_tensor_config").is_some_and(|given| !given.is_null()) {
        let why = "integer activations (activation_tensor_config): static quantization with calibration comes later";
        return Err(Refused::Unsupported(why.into()));
    }
    let weight = config
        .get("weight_tensor_config")
        .ok_or_else(|| Refused::Malformed("lacks weight_tensor_config".into()))?;
    only(weight, &["num_bits", "symmetric", "granularity", "dtype", "block_size", "algorithm_params"])?;
    let bits = number(weight, "num_bits", None)?;
    if !flag(weight, "symmetric", true)? {
        return Err(Refused::Unsupported(
            "asymmetric weights (symmetric = false): kernels take zero points of 0".into(),
        ));
    }
    if number(weight, "block_size", Some(0))? != 0 {
        return Err(Refused::Unsupported("scales per block of a row (block_size)".into()));
    }
    if weight.get("algorithm_params").and_then(Value::as_object).is_some_and(|given| !given.is_empty()) {
        return Err(Refused::Unsupported("algorithm_params".into()));
    }
    let per_channel = match word(weight, "granularity", "TENSORWISE")? {
        "CHANNELWISE" => true,
        "TENSORWISE" => false,
        other => return Err(Refused::Unsupported(format!("the granularity {other}"))),
    };
    let dtype = match (algorithm, word(weight, "dtype", "INT")?, bits) {
        ("float_casting", "FLOAT", 16) => DType::F16,
        ("min_max_uniform_quantize", "INT", 8) => DType::I8,
        ("min_max_uniform_quantize", "INT", 4) => DType::I4,
        (_, dtype, bits) => {
            return Err(Refused::Unsupported(format!("{algorithm} to weights of {dtype} with {bits} bits")));
        }
    };
    let compute =
        match (word(config, "compute_precision", "FLOAT")?, flag(config, "explicit_dequantize", false)?) {
            ("INTEGER", false) => Compute::Integers,
            // Casts to f16 always stand behind a DEQUANTIZE.
            ("FLOAT", explicit) if explicit || dtype == DType::F16 => Compute::Floats,
            (precision, explicit) => {
                let why = format!(
                    "compute_precision {precision} with explicit_dequantize {explicit}, which no kernel runs"
                );
                return Err(Refused::Unsupported(why));
            }
        };
    if flag(config, "skip_checks", false)? {
        return Err(Refused::Unsupported("skip_checks: a file that kernels refuse is not written".into()));
    }
    let min_elements = number(config, "min_weight_elements", Some(0))?;
    Ok(Wanted { dtype, compute, per_channel, min_elements: min_elements as usize, verbatim: true })
}

/// Errs with a field that is none of these: what is not read must not go unnoticed.
fn only(item: &Value, known: &[&str]) -> Result<(), Refused> {
    let Value::Object(fields) = item else {
        return Err(Refused::Malformed(format!("has {item} for an object")));
    };
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refused::Unsupported(format!("'{name}', a field that is not known"))),
        None => Ok(()),
    }
}

fn text<'v>(item: &'v Value, name: &str) -> Result<&'v str, Refused> {
    let given = item.get(name).and_then(Value::as_str);
    given.ok_or_else(|| Refused::Malformed(format!("has no text for '{name}'")))
}

fn word<'v>(item: &'v Value, name: &str, default: &'v str) -> Result<&'v str, Refused> {
    if item.get(name).is_none() { Ok(default) } else { text(item, name) }
}

fn flag(item: &Value, name: &str, default: bool) -> Result<bool, Refused> {
    let given = item.get(name).map_or(Some(default), Value::as_bool);
    given.ok_or_else(|| Refused::Malformed(format!("has no truth value for '{name}'")))
}

fn number(item: &Value, name: &str, default: Option<u64>) -> Result<u64, Refused> {
    let given = item.get(name).map_or(default, Value::as_u64);
    given.ok_or_else(|| Refused::Malformed(format!("has no count for '{name}'")))
}
