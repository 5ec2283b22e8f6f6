//! What is in a .pt2, and why the compiled model has the transposes it has.

use std::fmt::Write;

use compiler::compile::{compile, pipeline};
use compiler::front::torch::import::known;
use compiler::front::torch::{self, Options, Program, Sizes};
use compiler::report::{ProgramReport, Typed};
use indexmap::IndexMap;
use ir::{Diagnostic, Journal, Operator, Silent};
use serde_json::{Value, json};

use super::Inspect;
use super::occurrence::{chosen, render};
use super::text::table;
use crate::convert::write_json;
use crate::numbers::{bytes, count, plural, tally};
use crate::outcome::{Outcome, print, report as tell};

/// A program with what its archive says of symbolic sizes.
struct Read {
    /// `None` where sizes are open and the archive has no example of them.
    program: Option<Program>,
    sizes: Sizes,
    /// Were the sizes taken from the example of the export?
    by_example: bool,
}

pub(super) fn run(command: &Inspect) -> Outcome {
    let read = read(command)?;
    let model = command.model.display().to_string();
    let sizes = symbols_json(&read.sizes);
    let Some(program) = &read.program else {
        if let Some(path) = &command.json {
            write_json(path, &json!({"schema_version": 1, "kind": "pt2", "file": model, "symbols": sizes}))?;
        }
        return if command.as_text() { print(&format!("{model}\n{}", symbols(&read))) } else { Ok(()) };
    };
    let (report, unsupported) = ProgramReport::of(program);
    let overload = |name: &str| known().any(|target| target == name);
    let chosen = chosen(&report.occurrences, &command.op, &overload)?;
    if let Some(path) = &command.json {
        let mut value = json(&report, &unsupported, &model);
        value["symbols"] = sizes;
        value["at_example_sizes"] = json!(read.by_example);
        value["operators"] = json!(chosen);
        write_json(path, &value)?;
    }
    if !command.as_text() {
        return Ok(());
    }
    if command.op.is_empty() {
        return print(&summary(&report, &unsupported, &read, &model));
    }
    if chosen.is_empty() {
        return print(&format!("{model} has no {}\n", command.op.join(", no ")));
    }
    print(&render(&chosen, &report.occurrences))
}

/// Reads the archive at the sizes that were asked for; where none were, and some are open, at those of the example.
fn read(command: &Inspect) -> Result<Read, Vec<Diagnostic>> {
    let options = command.reading.options()?;
    let sizes = torch::sizes(&command.model, &options)?;
    if sizes.symbols.is_empty() || command.reading.is_sized() {
        let program = Some(torch::read(&command.model, &options)?);
        return Ok(Read { program, sizes, by_example: false });
    }
    let example = |input: &torch::SizedInput| Some((input.name.clone(), input.example.clone()?));
    let program = match sizes.inputs.iter().map(example).collect::<Option<Vec<_>>>() {
        Some(shapes) => Some(torch::read(&command.model, &Options { shapes, ..options })?),
        None => None,
    };
    Ok(Read { by_example: program.is_some(), program, sizes })
}

/// Compiles the program and says why each transpose is left.
pub(super) fn explain(command: &Inspect, quiet: bool) -> Outcome {
    if !command.op.is_empty() {
        return Err(super::usage(
            "--op lists what is in the archive, --explain what is compiled from it: ask one at a time",
        ));
    }
    let program = torch::read(&command.model, &command.reading.options()?)?;
    let options = command.target.options()?;
    let compiled = compile(&program, &pipeline(&options), &options, Journal::default(), &mut Silent)?;
    let constant = compiled.graph.constness();
    let run_time = |outputs: &[ir::ValueId]| outputs.iter().any(|v| !constant[v.index()]);
    let mut left = Vec::new();
    for (_, node) in
        compiled.graph.nodes().filter(|(_, n)| n.op.name() == "transpose" && run_time(&n.outputs))
    {
        let leaf = compiled.graph.origins.leaf(node.origin);
        left.push((compiled.graph.value(node.outputs[0]), node.op.attributes().to_string(), leaf));
    }
    if !quiet {
        tell(&compiled.journal.warnings);
    }
    if let Some(path) = &command.json {
        let transposes: Vec<Value> = left
            .iter()
            .map(|(value, attributes, leaf)| {
                let origin = leaf.map(compiler::dialect::tfl::Spot::from);
                json!({"name": value.name, "type": value.ty.to_string(), "attributes": attributes, "origin": origin})
            })
            .collect();
        let value = json!({
            "schema_version": 1,
            "kind": "transposes",
            "file": command.model.display().to_string(),
            "transposes": transposes,
            "decisions": compiled.journal.decisions,
        });
        write_json(path, &value)?;
    }
    if !command.as_text() {
        return Ok(());
    }
    let mut out = format!("{} left in the compiled model\n", plural(left.len(), "transpose"));
    for (value, attributes, leaf) in &left {
        let _ = writeln!(out, "  %{} {attributes} : {}", value.name, value.ty);
        if let Some(leaf) = leaf {
            let _ = writeln!(out, "      {leaf}");
        }
    }
    if !compiled.journal.decisions.is_empty() {
        out.push_str("\nwhat was decided\n");
        for line in &compiled.journal.decisions {
            let _ = writeln!(out, "  {line}");
        }
    }
    print(&out)
}

fn json(report: &ProgramReport, unsupported: &[Diagnostic], model: &str) -> Value {
    let histogram: IndexMap<&str, usize> = report.calls.iter().map(|c| (c.name.as_str(), c.count)).collect();
    let told = |d: &Diagnostic| {
        let places: Vec<Value> = d
            .places
            .iter()
            .map(|p| json!({"file": p.line.as_ref().map(|l| &l.file), "line": p.line.as_ref().map(|l| l.line), "module": p.module, "node": p.node}))
            .collect();
        json!({"code": d.code.name, "message": d.message, "help": d.help, "places": places})
    };
    json!({
        "schema_version": 1,
        "kind": "pt2",
        "file": model,
        "source": report.source,
        "inputs": report.inputs,
        "outputs": report.outputs,
        "histogram": histogram,
        "counts": report.calls,
        "unsupported": unsupported.iter().map(told).collect::<Vec<_>>(),
        "graph": report.graph,
        "ranks": report.ranks,
        "max_rank": report.ranks.keys().max(),
        "dtypes": report.elements,
        "constants": report.weights,
        "pins": report.pins,
    })
}

fn summary(report: &ProgramReport, unsupported: &[Diagnostic], read: &Read, model: &str) -> String {
    let mut out = format!("{model}\n");
    let weights: Vec<String> = report
        .weights
        .iter()
        .map(|(dtype, size)| format!("{dtype} {} in {}", bytes(size.bytes), plural(size.tensors, "tensor")))
        .collect();
    let mut facts = vec![
        vec!["saved by".to_string(), report.source.clone()],
        vec!["weights".into(), if weights.is_empty() { "none".into() } else { weights.join(", ") }],
    ];
    if let Some(graph) = &report.graph {
        facts.push(vec!["work".into(), format!("{} multiply-accumulates", count(graph.macs))]);
    }
    if let Some(highest) = report.ranks.keys().max() {
        let ranks = tally(report.ranks.iter().map(|(&rank, &n)| (rank, n)));
        facts.push(vec!["ranks".into(), format!("at most {highest}; tensors by rank {ranks}")]);
    }
    facts.push(vec!["dtypes".into(), tally(report.elements.iter().map(|(dtype, &n)| (dtype, n)))]);
    out.push_str(&table(2, &["", ""], &facts));
    out.push_str(&symbols(read));

    out.push_str("\nforward\n");
    let end = |way: &'static str| move |end: &Typed| vec![way.to_string(), end.name.clone(), end.ty()];
    let rows: Vec<Vec<String>> =
        report.inputs.iter().map(end("takes")).chain(report.outputs.iter().map(end("gives"))).collect();
    out.push_str(&table(2, &["", "", ""], &rows));

    let calls: usize = report.calls.iter().map(|c| c.count).sum();
    let _ = writeln!(out, "\n{}", plural(calls, "call"));
    let rows: Vec<Vec<String>> = report
        .calls
        .iter()
        .map(|c| {
            let mark = if c.supported { "" } else { "not supported" };
            vec![c.name.clone(), c.count.to_string(), mark.into()]
        })
        .collect();
    out.push_str(&table(2, &["", ">", ""], &rows));
    if let Some(graph) = &report.graph {
        let operators: usize = graph.histogram.values().sum();
        let _ = writeln!(out, "\n{} before any pass", plural(operators, "operator"));
        let rows: Vec<Vec<String>> =
            graph.histogram.iter().map(|(name, n)| vec![name.clone(), n.to_string()]).collect();
        out.push_str(&table(2, &["", ">"], &rows));
    }
    for diagnostic in unsupported {
        let _ = write!(out, "\n{diagnostic}");
    }
    out
}

/// The symbols of the inputs' sizes, and a `--shape` that settles them; nothing where there are none.
fn symbols(read: &Read) -> String {
    let Sizes { inputs, symbols } = &read.sizes;
    if symbols.is_empty() {
        return String::new();
    }
    let mut out = String::from("\nsymbolic sizes\n");
    let bound = |bound: Option<i64>| bound.map_or_else(|| "any".into(), |n| n.to_string());
    let rows: Vec<Vec<String>> = symbols
        .iter()
        .map(|s| {
            let [low, high] = s.range;
            vec![s.name.clone(), format!("{} to {}", bound(low), bound(high)), s.places.join("; ")]
        })
        .collect();
    out.push_str(&table(2, &["", "checked", "is in"], &rows));
    let _ = writeln!(
        out,
        "  {}",
        if read.by_example { "shown at the sizes of the export's example:" } else { "give the sizes:" }
    );
    let _ = writeln!(out, "    {}", shapes(&read.sizes, inputs));
    out
}

/// `--shape x=1,3,64,72`, with the sizes of the example where the archive has them.
fn shapes(sizes: &Sizes, inputs: &[torch::SizedInput]) -> String {
    let open = |input: &&torch::SizedInput| {
        !sizes.symbols.is_empty() && input.sizes.iter().any(|size| size.parse::<u64>().is_err())
    };
    let shape = |input: &torch::SizedInput| {
        let numbers = input.example.as_ref().map(|e| e.iter().map(usize::to_string).collect::<Vec<_>>());
        format!("--shape {}={}", input.name, numbers.unwrap_or_else(|| input.sizes.clone()).join(","))
    };
    inputs.iter().filter(open).map(shape).collect::<Vec<_>>().join(" ")
}

fn symbols_json(sizes: &Sizes) -> Value {
    let symbols: Vec<Value> = sizes
        .symbols
        .iter()
        .map(|s| json!({"name": s.name, "min": s.range[0], "max": s.range[1], "places": s.places}))
        .collect();
    let inputs: Vec<Value> = sizes
        .inputs
        .iter()
        .map(|i| json!({"name": i.name, "sizes": i.sizes, "example": i.example}))
        .collect();
    json!({"symbols": symbols, "inputs": inputs, "suggestion": shapes(sizes, &sizes.inputs)})
}
