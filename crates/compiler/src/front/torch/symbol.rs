//! Symbolic sizes: how the archive spells them, and the numbers that the asked-for shapes give them.

mod sizes;
mod srepr;

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{Diagnostic, Dim, Expr, Number, Shape, UNPINNED_SIZE};

pub(super) use sizes::sizes;
pub use sizes::{Input as SizedInput, Sizes, Symbol};
pub(super) use srepr::parse;

use super::code::{INVALID_ARCHIVE, PIN_OUT_OF_RANGE, SHAPE_MISMATCH};
use super::program::{Argument, ExportedProgram, Graph, InputSpec, Symbolic};

/// The numbers that symbols stand for.
pub(super) type Bindings = IndexMap<Arc<str>, i64>;

/// A size of an input that is not a literal.
struct Place {
    /// Such as `axis 2 of 'x'`.
    shown: String,
    /// The expression that the archive has for it.
    expr: Expr,
    /// The value that was asked for.
    wanted: Option<i64>,
}

/// An input whose shape has symbols, or may be asked for.
struct Input<'a> {
    name: &'a str,
    sizes: Vec<&'a Symbolic>,
}

/// Settles the symbols of the program's inputs by shapes (`name=1,3,256,256`) and pins (`s0=1`).
///
/// Errs with everything that does not fit, or is not settled. Warnings go to `warnings`.
pub(super) fn bind(
    program: &ExportedProgram,
    shapes: &[(String, Vec<usize>)],
    pins: &[(String, i64)],
    warnings: &mut Vec<Diagnostic>,
) -> Result<Bindings, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let inputs = user_inputs(program);
    let places = places(&inputs, shapes, &mut errors);
    let mut bound = Bindings::new();

    let known = symbols_of(&places);
    for (name, value) in pins {
        if !known.contains(name.as_str()) {
            errors.push(no_such_symbol(name, &known));
        } else if bound.insert(name.as_str().into(), *value).is_some_and(|before| before != *value) {
            errors.push(Diagnostic::new(SHAPE_MISMATCH, format!("{name} is pinned to two values")));
        }
    }
    solve(&places, &mut bound);
    check_places(&places, &bound, &mut errors);

    // A symbol of a place that was asked for has its own message where it has no value.
    let asked = |symbol: &Arc<str>| places.iter().any(|p| p.wanted.is_some() && mentions(&p.expr, symbol));
    let open: Vec<Arc<str>> = known.into_iter().filter(|s| !bound.contains_key(s)).collect();
    let told = !errors.is_empty() && open.iter().all(asked);
    if !open.is_empty() && !told {
        errors.push(unpinned(&inputs, &places, &open, &bound));
    }
    check_ranges(program, &bound, &places, warnings);
    if errors.is_empty() { Ok(bound) } else { Err(errors) }
}

/// The tensors and numbers that a caller passes, in order.
fn user_inputs(program: &ExportedProgram) -> Vec<Input<'_>> {
    let graph = &program.graph_module.graph;
    let of_spec = |spec: &'_ InputSpec| match spec {
        InputSpec::UserInput { arg: Argument::Tensor(name) } => {
            let (name, meta) = graph.tensor_values.get_key_value(name)?;
            Some((name, meta.sizes.iter().collect()))
        }
        InputSpec::UserInput { arg: Argument::Symbol(super::program::Symbol::Name(name)) } => {
            let (name, value) = graph.sym_int_values.get_key_value(name)?;
            Some((name, vec![value]))
        }
        _ => None,
    };
    program
        .graph_module
        .signature
        .input_specs
        .iter()
        .filter_map(of_spec)
        .map(|(name, sizes): (&String, Vec<&Symbolic>)| Input { name, sizes })
        .collect()
}

/// Every symbolic size of the inputs, with what was asked for.
fn places(inputs: &[Input<'_>], shapes: &[(String, Vec<usize>)], errors: &mut Vec<Diagnostic>) -> Vec<Place> {
    for (name, _) in shapes {
        if !inputs.iter().any(|input| input.name == name) {
            let names: Vec<&str> = inputs.iter().map(|i| i.name).collect();
            errors.push(
                Diagnostic::new(SHAPE_MISMATCH, format!("the program has no input '{name}'"))
                    .note(format!("its inputs are {}", names.join(", "))),
            );
        }
    }
    let mut places = Vec::new();
    for input in inputs {
        let wanted = shapes.iter().find(|(name, _)| name == input.name).map(|(_, sizes)| sizes);
        if let Some(wanted) = wanted.filter(|w| w.len() != input.sizes.len()) {
            errors.push(Diagnostic::new(
                SHAPE_MISMATCH,
                format!("'{}' has {} axes, not {}", input.name, input.sizes.len(), wanted.len()),
            ));
            continue;
        }
        for (axis, size) in input.sizes.iter().enumerate() {
            let wanted = wanted.map(|w| w[axis] as i64);
            let shown = format!("axis {axis} of '{}'", input.name);
            match size {
                Symbolic::Expr { text, .. } => match parse(text) {
                    Ok(expr) => places.push(Place { shown, expr, wanted }),
                    Err(e) => errors.push(Diagnostic::new(INVALID_ARCHIVE, format!("{shown} is '{text}': {e}"))),
                },
                Symbolic::Int(n) if wanted.is_some_and(|w| w != *n) => errors.push(
                    Diagnostic::new(SHAPE_MISMATCH, format!("{shown} was exported as {n}, for no other size"))
                        .help("export again with dynamic_shapes for this axis, or with an example input of this size"),
                ),
                _ => {}
            }
        }
    }
    places
}

fn symbols_of(places: &[Place]) -> IndexSet<Arc<str>> {
    let mut symbols = IndexSet::new();
    for place in places {
        place.expr.for_each_symbol(&mut |symbol| {
            symbols.insert(symbol.clone());
        });
    }
    symbols
}

fn no_such_symbol(name: &str, known: &IndexSet<Arc<str>>) -> Diagnostic {
    let names: Vec<&str> = known.iter().map(|s| &**s).collect();
    let error = Diagnostic::new(SHAPE_MISMATCH, format!("no input of the program has a size called {name}"));
    if names.is_empty() {
        return error.note("every size is a number already");
    }
    error.note(format!("the symbols are {}", names.join(", ")))
}

/// Binds every symbol that a wanted size determines.
fn solve(places: &[Place], bound: &mut Bindings) {
    // One round may settle what another place needs; each settles at least one symbol, so this ends.
    loop {
        let before = bound.len();
        for place in places {
            if let Some(value) = place.wanted {
                invert(&place.expr, value, bound);
            }
        }
        if bound.len() == before {
            return;
        }
    }
}

/// Binds the one unbound symbol of sums and products so that `expr` is `value`.
fn invert(expr: &Expr, value: i64, bound: &mut Bindings) {
    match expr {
        Expr::Symbol(name) => {
            bound.entry(name.clone()).or_insert(value);
        }
        Expr::Call(name, args) if matches!(&**name, "add" | "mul") => {
            let value_of = |e: &Expr| e.evaluate_int(&|s| bound.get(s).copied());
            let (known, open): (Vec<_>, Vec<_>) = args.iter().partition(|e| value_of(e).is_ok());
            let [open] = open[..] else { return };
            let mut known = known.into_iter().filter_map(|e| value_of(e).ok());
            let rest = if &**name == "add" {
                known.try_fold(value, |v, k| v.checked_sub(k))
            } else {
                known.try_fold(value, |v, k| (v.checked_rem(k)? == 0).then(|| v / k))
            };
            if let Some(rest) = rest {
                invert(open, rest, bound);
            }
        }
        _ => {}
    }
}

/// Each size must be what was asked for, and a size at all.
fn check_places(places: &[Place], bound: &Bindings, errors: &mut Vec<Diagnostic>) {
    for place in places {
        match place.expr.evaluate_int(&|s| bound.get(s).copied()) {
            Ok(n) if n < 0 => {
                errors.push(Diagnostic::new(
                    SHAPE_MISMATCH,
                    format!("{} = {} would be {n}", place.shown, place.expr),
                ));
            }
            Ok(n) if place.wanted.is_some_and(|w| w != n) => {
                let wanted = place.wanted.unwrap_or(n);
                let mut error = Diagnostic::new(
                    SHAPE_MISMATCH,
                    format!("{} is {}, which is {n} here, not {wanted}", place.shown, place.expr),
                );
                let same: Vec<&str> =
                    places.iter().filter(|p| p.expr == place.expr).map(|p| p.shown.as_str()).collect();
                if same.len() > 1 {
                    error = error.note(format!("these are one size: {}", same.join(", ")));
                }
                errors.push(error);
            }
            Err(ir::Unsettled::Unbound(symbol))
                if place.wanted.is_some() && open_symbols(place, bound) == 1 =>
            {
                let wanted = place.wanted.unwrap_or_default();
                let message = format!("{} is {}, which is {wanted} for no {symbol}", place.shown, place.expr);
                errors.push(Diagnostic::new(SHAPE_MISMATCH, message));
            }
            Err(ir::Unsettled::Undefined(why)) => {
                errors.push(Diagnostic::new(
                    SHAPE_MISMATCH,
                    format!("{} = {}: {why}", place.shown, place.expr),
                ));
            }
            _ => {}
        }
    }
}

/// The number of symbols in a place that have no value.
fn open_symbols(place: &Place, bound: &Bindings) -> usize {
    let mut open = IndexSet::new();
    place.expr.for_each_symbol(&mut |symbol| {
        if !bound.contains_key(symbol) {
            open.insert(symbol.clone());
        }
    });
    open.len()
}

/// One diagnostic for all symbols that are left, with the options that would settle them.
fn unpinned(inputs: &[Input<'_>], places: &[Place], open: &[Arc<str>], bound: &Bindings) -> Diagnostic {
    let names: Vec<&str> = open.iter().map(|s| &**s).collect();
    let mut error =
        Diagnostic::new(UNPINNED_SIZE, format!("sizes of the inputs are not pinned: {}", names.join(", ")));
    for symbol in open {
        let uses: Vec<&str> =
            places.iter().filter(|p| mentions(&p.expr, symbol)).map(|p| p.shown.as_str()).collect();
        error = error.note(format!("{symbol} is {}", uses.join(" and ")));
    }
    let suggestions: Vec<String> = inputs
        .iter()
        .filter(|input| input.sizes.iter().any(|s| matches!(s, Symbolic::Expr { .. })))
        .filter_map(|input| {
            let sizes: Option<Vec<String>> = input.sizes.iter().map(|s| suggested(s, bound)).collect();
            Some(format!("--shape {}={}", input.name, sizes?.join(",")))
        })
        .collect();
    error.help(format!("give the sizes, such as {}", suggestions.join(" ")))
}

fn mentions(expr: &Expr, symbol: &Arc<str>) -> bool {
    let mut found = false;
    expr.for_each_symbol(&mut |s| found |= s == symbol);
    found
}

/// A size for the suggestion: as pinned, else as in the example of the export, else its expression.
fn suggested(size: &Symbolic, bound: &Bindings) -> Option<String> {
    match size {
        Symbolic::Int(n) => Some(n.to_string()),
        Symbolic::Expr { text, hint } => {
            let expr = parse(text).ok()?;
            let pinned = expr.evaluate_int(&|s| bound.get(s).copied()).ok();
            Some(pinned.or(*hint).map_or_else(|| expr.to_string(), |n| n.to_string()))
        }
        _ => None,
    }
}

/// Warns of each symbol that lies outside the range in which the exporter has checked the program.
fn check_ranges(
    program: &ExportedProgram,
    bound: &Bindings,
    places: &[Place],
    warnings: &mut Vec<Diagnostic>,
) {
    for (key, range) in &program.range_constraints {
        // A key is an expression in plain text, such as 2*s65.
        let Ok(expr) = key.parse::<Expr>() else { continue };
        let Ok(value) = expr.evaluate_int(&|s| bound.get(s).copied()) else { continue };
        let (low, high) = (range.min_val.unwrap_or(i64::MIN), range.max_val.unwrap_or(i64::MAX));
        if (low..=high).contains(&value) {
            continue;
        }
        let shown = |bound: Option<i64>, open: &str| bound.map_or_else(|| open.to_owned(), |n| n.to_string());
        let uses: Vec<&str> = places.iter().filter(|p| p.expr == expr).map(|p| p.shown.as_str()).collect();
        let mut warning = Diagnostic::warning(
            PIN_OUT_OF_RANGE,
            format!(
                "{expr} is {value}, but the exporter has checked {} to {}",
                shown(range.min_val, "any"),
                shown(range.max_val, "any")
            ),
        );
        if !uses.is_empty() {
            warning = warning.note(format!("{expr} is {}", uses.join(" and ")));
        }
        warnings.push(warning.help("verify the compiled model at these sizes"));
    }
}

/// A size or number of the program, evaluated; one of unbound symbols stays an expression.
pub(super) fn settle(value: &Symbolic, bound: &Bindings) -> Result<Settled, String> {
    match value {
        Symbolic::Int(n) => Ok(Settled::Number(Number::Int(*n))),
        Symbolic::Float(x) => Ok(Settled::Number(Number::Real(*x))),
        Symbolic::Bool(b) => Ok(Settled::Number(Number::Bool(*b))),
        Symbolic::Expr { text, .. } => {
            let expr = parse(text).map_err(|e| format!("'{text}' cannot be understood: {e}"))?;
            match expr.evaluate(&|s| bound.get(s).copied()) {
                Ok(number) => Ok(Settled::Number(number)),
                Err(ir::Unsettled::Unbound(_)) => {
                    Ok(Settled::Open(expr.substitute(&|s| bound.get(s).map(|&n| Expr::Int(n)))))
                }
                Err(ir::Unsettled::Undefined(why)) => Err(format!("{expr}: {why}")),
            }
        }
    }
}

/// A number, or an expression over symbols that depend on data.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Settled {
    /// A number.
    Number(Number),
    /// An expression.
    Open(Expr),
}

/// The shape that sizes of the program come to.
pub(super) fn shape(sizes: &[Symbolic], bound: &Bindings) -> Result<Shape, String> {
    let dim = |size| match settle(size, bound)? {
        Settled::Number(Number::Int(n)) => {
            usize::try_from(n).map(Dim::Known).map_err(|_| format!("a size is {n}"))
        }
        Settled::Number(other) => Err(format!("a size is {other}")),
        Settled::Open(expr) => Ok(Dim::Symbolic(Arc::new(expr))),
    };
    let shape = Shape(sizes.iter().map(dim).collect::<Result<_, String>>()?);
    // Everything behind may multiply sizes, and count 16 bytes an element.
    let mut nonzero = shape.0.iter().filter_map(Dim::known).filter(|&n| n > 0);
    match nonzero.try_fold(16usize, |all, n| all.checked_mul(n)).filter(|&n| n <= isize::MAX as usize) {
        Some(_) => Ok(shape),
        None => {
            Err(format!("a tensor of {} axes has more elements than this machine can count", shape.rank()))
        }
    }
}

/// Every literal or bound integer that the graph's tables give a name.
pub(super) fn numbers(graph: &Graph, bound: &Bindings) -> Result<IndexMap<String, Settled>, String> {
    let tables = [&graph.sym_int_values, &graph.sym_float_values, &graph.sym_bool_values];
    tables
        .into_iter()
        .flatten()
        .map(|(name, value)| Ok((name.clone(), settle(value, bound).map_err(|e| format!("{name}: {e}"))?)))
        .collect()
}
