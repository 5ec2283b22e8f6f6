//! Each occurrence of an operator as text: its PyTorch lines, its neighbours, its options.

use std::fmt::Write;

use compiler::dialect::tfl::{Builtin, Spot};
use compiler::report::{Made, Occurrence, Read, Source};
use ir::Diagnostic;

use super::text::table;
use super::usage;
use crate::numbers::{count, plural};

/// The occurrences of the operators that are asked for; all where none is. Errs for a name that is neither in the
/// model nor known, saying what the model has.
pub(super) fn chosen<'o>(
    all: &'o [Occurrence],
    asked: &[String],
    known: &dyn Fn(&str) -> bool,
) -> Result<Vec<&'o Occurrence>, Vec<Diagnostic>> {
    for name in asked {
        if !known(name) && !all.iter().any(|o| is_called(o, name)) {
            let mut names: Vec<&str> = all.iter().map(|o| o.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let shouted = name.to_uppercase();
            let near = ir::nearest(name, names.iter().copied())
                .or_else(|| ir::nearest(&shouted, names.iter().copied()))
                .or_else(|| ir::nearest(&format!("aten.{name}"), names.iter().copied()))
                .or_else(|| {
                    let builtins = Builtin::NAMED.iter().filter_map(|b| b.name());
                    ir::nearest(&shouted, builtins.filter(|builtin| known(builtin)))
                });
            let unknown = usage(format!("no operator is called '{name}'"))
                .remove(0)
                .note(format!("the model has {}", names.join(", ")));
            return Err(vec![Diagnostic {
                help: near.map(|near| format!("did you mean {near}?")),
                ..unknown
            }]);
        }
    }
    Ok(all.iter().filter(|o| asked.is_empty() || asked.iter().any(|name| is_called(o, name))).collect())
}

/// Is the operator called so? A builtin in any case; an ATen overload also without `aten.`, and without its overload's
/// name.
fn is_called(occurrence: &Occurrence, name: &str) -> bool {
    let own = occurrence.name.as_str();
    let short = own.strip_prefix("aten.").unwrap_or(own);
    let stem = |text: &'_ str| text.rsplit_once('.').map_or(text.len(), |(stem, _)| stem.len());
    own.eq_ignore_ascii_case(name)
        || own != short && [short, &own[..stem(own)], &short[..stem(short)]].contains(&name)
}

/// One block per occurrence. `all` is where neighbours are looked up.
pub(super) fn render(chosen: &[&Occurrence], all: &[Occurrence]) -> String {
    let blocks: Vec<String> = chosen.iter().map(|o| block(o, all)).collect();
    blocks.join("\n")
}

fn block(occurrence: &Occurrence, all: &[Occurrence]) -> String {
    let named = |index: usize| {
        let found = all.iter().find(|o| o.index == index && o.graph == occurrence.graph);
        format!("#{index} {}", found.map_or("", |o| &o.name))
    };
    let mut out = format!("#{} {}", occurrence.index, occurrence.name);
    if occurrence.graph > 0 {
        let _ = write!(out, " of graph {}", occurrence.graph);
    }
    out.push('\n');
    if occurrence.origin.is_none() {
        out.push_str("  --> the file does not say where it came from\n");
    }
    let mut line = None;
    for spot in occurrence.origin.iter().chain(&occurrence.also) {
        let own = Some((&spot.file, spot.line));
        // Calls of one line, such as those of a chain of modules, share its heading.
        if line != own || spot.line == 0 {
            out.push_str(&heading(spot, if line.is_none() { "-->" } else { "  +" }));
        }
        line = own;
        out.push_str(&call(spot));
    }
    let mut rows = Vec::new();
    for (at, read) in occurrence.inputs.iter().enumerate() {
        rows.push(input(at, read, &named));
    }
    for (at, made) in occurrence.outputs.iter().enumerate() {
        rows.push(output(at, made, &named));
    }
    out.push_str(&table(2, &["", "", "", ""], &rows));
    if !occurrence.options.is_empty() {
        let options: Vec<String> = occurrence.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let _ = writeln!(out, "  options  {}", options.join(", "));
    }
    if let Some(version) = occurrence.version {
        let macs = match occurrence.macs {
            0 => String::new(),
            macs => format!(", {} multiply-accumulates", count(macs)),
        };
        let _ = writeln!(out, "  version  {version}{macs}");
    }
    out
}

fn input(at: usize, read: &Read, named: &dyn Fn(usize) -> String) -> Vec<String> {
    let from = match (read.source, read.producer) {
        (_, Some(producer)) => format!("made by {}", named(producer)),
        (Source::Constant, _) => "a constant".into(),
        (Source::Absent, _) => "left out".into(),
        _ => "an input of the model".into(),
    };
    let (name, ty) = read.tensor.as_ref().map_or_else(Default::default, |t| (t.name.clone(), t.ty()));
    vec![if at == 0 { "reads  " } else { "" }.into(), name, ty, from]
}

fn output(at: usize, made: &Made, named: &dyn Fn(usize) -> String) -> Vec<String> {
    let mut readers: Vec<String> = made.consumers.iter().take(4).map(|&index| named(index)).collect();
    if let Some(more) = made.consumers.len().checked_sub(4).filter(|&n| n > 0) {
        readers.push(plural(more, "other"));
    }
    if made.output {
        readers.push("an output of the model".into());
    }
    let to =
        if readers.is_empty() { "read by nothing".into() } else { format!("for {}", readers.join(", ")) };
    vec![if at == 0 { "makes  " } else { "" }.into(), made.tensor.name.clone(), made.tensor.ty(), to]
}

/// A line of Python with its code.
fn heading(spot: &Spot, arrow: &str) -> String {
    if spot.line == 0 {
        return format!("  {arrow} a line that is not known\n");
    }
    let mut out = format!("  {arrow} {}:{} in {}\n", spot.file, spot.line, spot.function);
    if !spot.code.is_empty() {
        let _ = writeln!(out, "        {}", spot.code);
    }
    out
}

/// `module up1.upscale (Upsample), aten.upsample_bilinear2d.vec "upsample_bilinear2d"`
fn call(spot: &Spot) -> String {
    let class = spot.class.rsplit('.').next().unwrap_or_default();
    let module = match (spot.module.is_empty(), class.is_empty()) {
        (true, true) => "the model itself".into(),
        (true, false) => format!("the model itself ({class})"),
        (false, true) => format!("module {}", spot.module),
        (false, false) => format!("module {} ({class})", spot.module),
    };
    format!("      {module}, {} \"{}\"\n", spot.target, spot.node)
}
