//! What a program says of its symbolic sizes, before any is asked for.

use ir::Diagnostic;

use super::{Place, mentions, parse, places, symbols_of, user_inputs};
use crate::front::torch::program::{ExportedProgram, Symbolic};

/// The sizes of a program's inputs as they were exported.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// What `forward` takes, in order.
    pub inputs: Vec<Input>,
    /// The symbols in their sizes, by first use; none where every size is a number.
    pub symbols: Vec<Symbol>,
}

/// An input with its sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The name of `forward`'s parameter.
    pub name: String,
    /// Its sizes: numbers and expressions such as `8*s30`.
    pub sizes: Vec<String>,
    /// Its sizes in the example of the export, where the archive has them all.
    pub example: Option<Vec<usize>>,
}

/// A symbol.
#[derive(Clone, Debug, PartialEq)]
pub struct Symbol {
    /// Its name, such as `s30`.
    pub name: String,
    /// The sizes it is part of, such as `axis 2 of 'x' = 8*s30`.
    pub places: Vec<String>,
    /// The least and the greatest value that the exporter has checked; `None` where there is no bound.
    pub range: [Option<i64>; 2],
}

/// The sizes of this program's inputs. Errs where an expression cannot be understood.
pub(in crate::front::torch) fn sizes(program: &ExportedProgram) -> Result<Sizes, Vec<Diagnostic>> {
    let inputs = user_inputs(program);
    let mut errors = Vec::new();
    let places: Vec<Place> = places(&inputs, &[], &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let shown = |size: &&Symbolic| match size {
        Symbolic::Int(n) => n.to_string(),
        Symbolic::Expr { text, .. } => parse(text).map_or_else(|_| text.clone(), |expr| expr.to_string()),
        Symbolic::Float(x) => x.to_string(),
        Symbolic::Bool(b) => b.to_string(),
    };
    let example = |size: &&Symbolic| match size {
        Symbolic::Int(n) | Symbolic::Expr { hint: Some(n), .. } => usize::try_from(*n).ok(),
        _ => None,
    };
    let symbol = |name: std::sync::Arc<str>| {
        let uses = places.iter().filter(|p| mentions(&p.expr, &name));
        let range = program.range_constraints.get(&*name);
        Symbol {
            places: uses.map(|p| format!("{} = {}", p.shown, p.expr)).collect(),
            range: range.map_or([None, None], |r| [r.min_val, r.max_val]),
            name: name.to_string(),
        }
    };
    let input = |input: &super::Input<'_>| Input {
        name: input.name.to_string(),
        sizes: input.sizes.iter().map(shown).collect(),
        example: input.sizes.iter().map(example).collect(),
    };
    Ok(Sizes {
        inputs: inputs.iter().map(input).collect(),
        symbols: symbols_of(&places).into_iter().map(symbol).collect(),
    })
}
