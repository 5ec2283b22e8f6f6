//! Text as a graph: the inverse of [`crate::print()`].
//!
//! Besides what is printed, a constant may be written `constant seed 7 : f32[8,3,3,3]`: elements drawn evenly
//! from −1 to 1 (integers from 0 to 7) by a fixed generator, so that a page of text is a whole test.

use std::fmt;

use indexmap::IndexMap;

use crate::constant::Constant;
use crate::graph::{Graph, ValueId};
use crate::operator::{Attribute, Attributes, Operator};
use crate::origin::{Frame, Leaf, Origin, OriginId, Origins};
use crate::tensor::Tensor;
use crate::types::{DType, QuantParams, Shape, TensorType};

/// Where a text is not a graph, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

type Result<T> = std::result::Result<T, String>;

/// Reads a graph. `lookup` gives the constants that the text names by fingerprint.
pub fn parse<O: Operator>(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<Constant>,
) -> std::result::Result<Graph<O>, ParseError> {
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().map(|(i, l)| (i + 1, l.trim())).filter(|(_, l)| !l.is_empty()).collect();
    let (origins, ids) = parse_origins(&lines)?;
    let mut lines = lines.into_iter();
    let (first, header) = lines.next().ok_or(ParseError { line: 1, message: "there is no graph".into() })?;
    let located = |line: usize| move |message: String| ParseError { line, message };
    let mut reader = Reader {
        graph: parse_header(header, origins).map_err(located(first))?,
        values: IndexMap::new(),
        ids,
        lookup,
    };
    for &input in reader.graph.inputs() {
        reader.values.insert(reader.graph.value(input).name.clone(), input);
    }
    for (line, text) in lines {
        if text == "}" {
            return Ok(reader.graph);
        }
        reader.statement(text).map_err(located(line))?;
    }
    Err(ParseError { line: text.lines().count(), message: "the graph has no closing brace".into() })
}

fn parse_header<O: Operator>(line: &str, origins: Origins) -> Result<Graph<O>> {
    let mut at = Cursor(line);
    at.expect("graph")?;
    at.expect("@")?;
    let mut graph = Graph::new(at.word(), origins);
    at.expect("(")?;
    while !at.eat(")") {
        at.expect("%")?;
        let name = at.word();
        at.expect(":")?;
        let ty = at.ty()?;
        graph.add_input(&name, ty);
        at.eat(",");
    }
    Ok(graph)
}

struct Reader<'a, O> {
    graph: Graph<O>,
    values: IndexMap<String, ValueId>,
    ids: IndexMap<usize, OriginId>,
    lookup: &'a dyn Fn(&str) -> Option<Constant>,
}

impl<O: Operator> Reader<'_, O> {
    fn statement(&mut self, line: &str) -> Result<()> {
        let mut at = Cursor(line);
        if at.eat("return") {
            let outputs = self.operands(&mut at)?;
            self.graph.set_outputs(outputs);
            return Ok(());
        }
        let mut names = Vec::new();
        while at.eat("%") {
            names.push(at.word());
            at.eat(",");
        }
        at.expect("=")?;
        let op = at.word();
        if op == "constant" {
            let constant = self.constant(&mut at)?;
            let [name] = &names[..] else { return Err("a constant has one name".into()) };
            let id = self.graph.add_constant(name, constant);
            self.values.insert(name.clone(), id);
            return Ok(());
        }
        at.expect("(")?;
        let inputs = self.operands(&mut at)?;
        at.expect(")")?;
        let attributes = at.attributes()?;
        let op = O::parse(&op, &attributes)?;
        at.expect(":")?;
        let mut types = vec![at.ty()?];
        while at.eat(",") {
            types.push(at.ty()?);
        }
        let origin = self.origin(&mut at)?;
        let first = names.first().ok_or("a node makes at least one value")?;
        let outputs = self.graph.add_node(op, &inputs, first, origin).map_err(|m| m.0)?;
        if outputs.len() != names.len() {
            return Err(format!("the operator makes {} values, not {}", outputs.len(), names.len()));
        }
        for ((name, id), ty) in names.into_iter().zip(outputs).zip(types) {
            if *self.graph.ty(id) != ty {
                return Err(format!("%{name} is {}, not {ty}", self.graph.ty(id)));
            }
            self.graph.rename(id, &name);
            self.values.insert(name, id);
        }
        Ok(())
    }

    fn operands(&self, at: &mut Cursor<'_>) -> Result<Vec<ValueId>> {
        let mut operands = Vec::new();
        while at.eat("%") {
            let name = at.word();
            operands.push(*self.values.get(&name).ok_or_else(|| format!("nothing makes %{name}"))?);
            at.eat(",");
        }
        Ok(operands)
    }

    fn origin(&mut self, at: &mut Cursor<'_>) -> Result<OriginId> {
        if !at.eat("@") {
            return Ok(self.graph.origins.intern(Origin::Leaf(Leaf::default())));
        }
        let number = at.number()?;
        self.ids.get(&number).copied().ok_or_else(|| format!("nothing says what @{number} is"))
    }

    fn constant(&self, at: &mut Cursor<'_>) -> Result<Constant> {
        if at.eat("#") {
            let fingerprint = at.word();
            at.expect(":")?;
            let ty = at.ty()?;
            let found =
                (self.lookup)(&fingerprint).ok_or_else(|| format!("no constant #{fingerprint} is known"))?;
            return if found.ty() == ty {
                Ok(found)
            } else {
                Err(format!("#{fingerprint} is {}", found.ty()))
            };
        }
        if at.eat("seed") {
            let seed = at.number()?;
            at.expect(":")?;
            let ty = at.ty()?;
            return Ok(quantized(seeded(seed as u64, &ty)?, ty).into());
        }
        let Attribute::List(items) = at.attribute()? else { return Err("a constant is a list".into()) };
        at.expect(":")?;
        let ty = at.ty()?;
        let (sizes, count) = (ty.sizes().map_err(|m| m.0)?, ty.count().map_err(|m| m.0)?);
        if items.len() != count {
            return Err(format!("{ty} has {count} elements, not {}", items.len()));
        }
        let integer = |a: &Attribute| match a {
            Attribute::Int(n) => Ok(*n),
            Attribute::Bool(b) => Ok(i64::from(*b)),
            other => Err(format!("{other} is no integer")),
        };
        let real = |a: &Attribute| match a {
            Attribute::Float(x) => Ok(*x),
            Attribute::Int(n) => Ok(*n as f64),
            other => Err(format!("{other} is no number")),
        };
        let tensor: Tensor = if ty.dtype.is_float() {
            Tensor::from_f64s(ty.dtype, &sizes, items.iter().map(real).collect::<Result<Vec<_>>>()?)
        } else {
            Tensor::from_i64s(ty.dtype, &sizes, items.iter().map(integer).collect::<Result<Vec<_>>>()?)
        };
        Ok(quantized(tensor, ty).into())
    }
}

fn quantized(tensor: Tensor, ty: TensorType) -> Tensor {
    match ty.quant {
        Some(quant) => tensor.quantized(quant),
        None => tensor,
    }
}

/// Elements drawn by a fixed generator (splitmix64): reals from −1 to 1, integers from 0 to 7, truth values.
fn seeded(seed: u64, ty: &TensorType) -> Result<Tensor> {
    let (sizes, count) = (ty.sizes().map_err(|m| m.0)?, ty.count().map_err(|m| m.0)?);
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    if ty.dtype.is_float() {
        let reals = (0..count).map(|_| (next() >> 40) as f64 / f64::from(1 << 23) - 1.0);
        return Ok(Tensor::from_f64s(ty.dtype, &sizes, reals));
    }
    let span = if ty.dtype == DType::Bool { 1 } else { 7 };
    Ok(Tensor::from_i64s(ty.dtype, &sizes, (0..count).map(|_| (next() & span) as i64)))
}

/// Origins may stand in any order; a derived one stands before those that it derives from.
fn parse_origins(
    lines: &[(usize, &str)],
) -> std::result::Result<(Origins, IndexMap<usize, OriginId>), ParseError> {
    let mut texts: IndexMap<usize, (usize, &str)> = IndexMap::new();
    for &(line, text) in lines.iter().filter(|(_, t)| t.starts_with('@')) {
        let split = text[1..].split_once(" = ").and_then(|(n, rest)| Some((n.parse().ok()?, rest)));
        let (number, rest) = split.ok_or(ParseError { line, message: "an origin reads @N = …".into() })?;
        texts.insert(number, (line, rest));
    }
    let mut origins = Origins::new();
    let mut ids: IndexMap<usize, OriginId> = IndexMap::new();
    // Those that others derive from come first; a number that is never settled derives from itself.
    let mut left: Vec<usize> = texts.keys().copied().collect();
    while !left.is_empty() {
        let before = left.len();
        left.retain(|&number| {
            let (_, text) = texts[&number];
            let origin = match derived(text) {
                Some((rule, from)) => {
                    let from: Option<Vec<OriginId>> = from.iter().map(|f| ids.get(f).copied()).collect();
                    let Some(from) = from else { return true };
                    Origin::Derived { rule, from }
                }
                None => Origin::Leaf(leaf(text)),
            };
            ids.insert(number, origins.intern(origin));
            false
        });
        if left.len() == before {
            let line = texts[&left[0]].0;
            return Err(ParseError { line, message: format!("@{} derives from what is not told", left[0]) });
        }
    }
    Ok((origins, ids))
}

/// `rule(@1, @2)`
fn derived(text: &str) -> Option<(String, Vec<usize>)> {
    let (rule, rest) = text.split_once("(@")?;
    if rule.contains(' ') {
        return None;
    }
    let inner = rest.strip_suffix(')')?;
    let from =
        inner.split(", ").map(|f| f.trim_start_matches('@').parse().ok()).collect::<Option<Vec<_>>>()?;
    Some((rule.to_string(), from))
}

/// `model.py:40 in Head.forward, module head.attn, aten.mul.Tensor "mul"`
fn leaf(text: &str) -> Leaf {
    let mut leaf = Leaf::default();
    for part in text.split(", ") {
        if let Some(module) = part.strip_prefix("module ") {
            leaf.module = module.to_string();
        } else if let Some((place, function)) = part.split_once(" in ")
            && let Some((file, line)) = place.rsplit_once(':')
            && let Ok(line) = line.parse()
        {
            let (file, function) = (file.to_string(), function.to_string());
            leaf.frames = vec![Frame { file, line, function, code: String::new() }];
            leaf.user = Some(0);
        } else if let Some((target, node)) = part.split_once(" \"") {
            leaf.target = target.to_string();
            leaf.node = node.trim_end_matches('"').to_string();
        }
    }
    leaf
}

/// What is left of a line.
struct Cursor<'a>(&'a str);

impl Cursor<'_> {
    fn eat(&mut self, token: &str) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.eat(token) { Ok(()) } else { Err(format!("'{token}' is missing before '{}'", self.0)) }
    }

    /// Letters, digits and what else names may hold.
    fn word(&mut self) -> String {
        self.0 = self.0.trim_start();
        let ends = |c: char| c.is_whitespace() || ",:(){}=[]".contains(c);
        let end = self.0.find(ends).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word.to_string()
    }

    fn number(&mut self) -> Result<usize> {
        let word = self.word();
        word.parse().map_err(|_| format!("'{word}' is no number"))
    }

    fn ty(&mut self) -> Result<TensorType> {
        let dtype: DType = self.word().parse()?;
        self.expect("[")?;
        let inner = self.until(']')?;
        let mut shape = Shape::default();
        for part in split_outside_parentheses(inner) {
            shape.0.push(part.trim().parse().map_err(|e| format!("'{part}' is no size: {e}"))?);
        }
        // Nothing but how it is quantized follows a type in braces.
        let parameters = self.attributes()?;
        let quant = (!parameters.0.is_empty()).then(|| {
            let (scales, zero_points) = (parameters.field("scales")?, parameters.field("zero_points")?);
            Ok::<_, String>(QuantParams { scales, zero_points, axis: parameters.field("axis")? })
        });
        let quant = quant.transpose()?;
        let sizes = shape.known().unwrap_or_default();
        match quant.as_ref().is_none_or(|quant| quant.fits(&sizes)) {
            true => Ok(TensorType { dtype, shape, quant }),
            false => Err(format!("{sizes:?} elements are not quantized so")),
        }
    }

    fn until(&mut self, close: char) -> Result<&str> {
        let (inner, rest) = self.0.split_once(close).ok_or_else(|| format!("'{close}' is missing"))?;
        self.0 = rest;
        Ok(inner)
    }

    fn attributes(&mut self) -> Result<Attributes> {
        let mut attributes = Attributes::default();
        if !self.eat("{") {
            return Ok(attributes);
        }
        while !self.eat("}") {
            let name = self.word();
            self.expect("=")?;
            attributes.0.push((name, self.attribute()?));
            self.eat(",");
        }
        Ok(attributes)
    }

    fn attribute(&mut self) -> Result<Attribute> {
        if self.eat("[") {
            let mut items = Vec::new();
            while !self.eat("]") {
                items.push(self.attribute()?);
                self.eat(",");
            }
            return Ok(Attribute::List(items));
        }
        let word = self.word();
        Ok(match word.as_str() {
            "" => return Err(format!("a value is missing before '{}'", self.0)),
            "true" => Attribute::Bool(true),
            "false" => Attribute::Bool(false),
            "inf" => Attribute::Float(f64::INFINITY),
            "-inf" => Attribute::Float(f64::NEG_INFINITY),
            "NaN" => Attribute::Float(f64::NAN),
            _ => match (word.parse::<i64>(), word.parse::<f64>()) {
                (Ok(n), _) => Attribute::Int(n),
                (_, Ok(x)) => Attribute::Float(x),
                _ => Attribute::Word(word),
            },
        })
    }
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    if from < text.len() {
        parts.push(&text[from..]);
    }
    parts
}
