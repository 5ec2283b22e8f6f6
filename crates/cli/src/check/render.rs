//! A verdict as text, alike ones together, and as JSON, operator by operator.

use std::fmt::Write;

use compiler::lint::{Broken, Judged, Profile, Subject};
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::Found;

/// How many operators of one group are shown.
const SHOWN: usize = 12;

impl Found {
    pub(super) fn text(&self, model: &str, profile: &Profile) -> String {
        let mut out = format!("{model} under {}: {}\n", profile.name, profile.about);
        match &self.solved {
            None => out.push_str(&verdict(&self.judged, "")),
            Some(Ok(solved)) if solved.judged == self.judged && solved.ledger.is_empty() => {
                out.push_str(&verdict(&self.judged, "as it is compiled, "));
            }
            Some(solved) => {
                out.push_str(&verdict(&self.judged, "as it is compiled without the profile, "));
                match solved {
                    Ok(solved) => {
                        out.push_str(&verdict(&solved.judged, "as it is compiled for it, "));
                        for entry in &solved.ledger {
                            let _ = writeln!(out, "  {} {}: {}", entry.subject, entry.kind, entry.reason);
                        }
                    }
                    Err(_) => out.push_str("\nthe compiler finds no form that holds\n"),
                }
            }
        }
        out
    }

    pub(super) fn json(&self, model: &str, profile: &Profile) -> Value {
        let told = |found: &[ir::Diagnostic]| -> Vec<Value> { found.iter().map(diagnostic).collect() };
        json!({
            "schema_version": 1,
            "model": model,
            "profile": profile.name,
            "holds": !matches!(self.solved, Some(Err(_))) && self.last().iter().all(Judged::holds),
            "operators": self.judged.iter().map(operator).collect::<Vec<_>>(),
            "solved": match &self.solved {
                Some(Ok(solved)) => json!({
                    "operators": solved.judged.iter().map(operator).collect::<Vec<_>>(),
                    "ledger": solved.ledger.iter()
                        .map(|a| json!({"kind": a.kind, "subject": a.subject, "reason": a.reason}))
                        .collect::<Vec<_>>(),
                }),
                _ => Value::Null,
            },
            "unsolved": match &self.solved {
                Some(Err(why)) => json!(told(why)),
                _ => Value::Null,
            },
            "lints": told(&self.lints),
        })
    }
}

/// How many operators and ends there are, and how many of them do not hold.
pub(super) fn not_holding(judged: &[Judged]) -> String {
    let (operators, ends) = counts(judged);
    let broken = judged.iter().filter(|j| !j.holds()).cloned().collect::<Vec<_>>();
    let (broken_operators, broken_ends) = counts(&broken);
    let mut parts = Vec::new();
    if broken_operators > 0 {
        parts.push(format!("{broken_operators} of {operators} operators"));
    }
    if broken_ends > 0 {
        parts.push(format!("{broken_ends} of {ends} inputs and outputs"));
    }
    format!("{} do not hold", parts.join(" and "))
}

fn counts(judged: &[Judged]) -> (usize, usize) {
    let operators = judged.iter().filter(|j| matches!(j.subject, Subject::Operator(_))).count();
    (operators, judged.len() - operators)
}

/// The groups of what does not hold, and a line that sums up.
fn verdict(judged: &[Judged], how: &str) -> String {
    let mut out = String::new();
    let mut groups: IndexMap<&str, Vec<(&Judged, &Broken)>> = IndexMap::new();
    for one in judged {
        for broken in &one.broken {
            groups.entry(&broken.limit).or_default().push((one, broken));
        }
    }
    let (operators, _) = counts(judged);
    let _ = match groups.is_empty() {
        true => writeln!(out, "\n{how}all {operators} operators and the interface hold"),
        false => writeln!(out, "\n{how}{}", not_holding(judged)),
    };
    for (limit, members) in groups {
        let times = if members.len() == 1 { "once".into() } else { format!("{} times", members.len()) };
        let _ = writeln!(out, "\n  {limit} ({times})");
        for (one, broken) in members.iter().take(SHOWN) {
            out.push_str(&line(one, broken));
        }
        if let Some(more) = members.len().checked_sub(SHOWN).filter(|&n| n > 0) {
            let _ = writeln!(out, "    … and {more} more; --json lists them all");
        }
    }
    out
}

/// An operator with its types, and the PyTorch line that it came from.
fn line(one: &Judged, broken: &Broken) -> String {
    let mut out = String::from("    ");
    let within = if one.graph > 0 { format!(" of graph {}", one.graph) } else { String::new() };
    let _ = match one.subject {
        Subject::Operator(index) => write!(out, "#{index}{within} {}", one.name),
        Subject::Input(index) => write!(out, "input {index} {}", one.name),
        Subject::Output(index) => write!(out, "output {index} {}", one.name),
    };
    if let Some(order) = &one.permutation {
        let _ = write!(out, " {order:?}");
    }
    let first = one.reads.iter().flatten().next();
    let _ = match first {
        Some(read) => write!(out, "  {read} -> {}", one.makes.join(", ")),
        None => write!(out, "  {}", one.makes.join(", ")),
    };
    if let Some(detail) = &broken.detail {
        let _ = write!(out, "  ({detail})");
    }
    out.push('\n');
    match &one.origin {
        Some(spot) if spot.line > 0 => {
            let _ = writeln!(out, "      --> {}:{} in {}", spot.file, spot.line, spot.function);
            if !spot.code.is_empty() {
                let _ = writeln!(out, "          {}", spot.code);
            }
            if !spot.module.is_empty() {
                let _ = writeln!(out, "          module {}, {}", spot.module, spot.target);
            }
        }
        Some(spot) => {
            let _ = writeln!(out, "      --> {} \"{}\"", spot.target, spot.node);
        }
        None if matches!(one.subject, Subject::Operator(_)) => {
            out.push_str("      --> the file does not say where it came from\n");
        }
        None => {}
    }
    out
}

fn operator(one: &Judged) -> Value {
    let (kind, index) = match one.subject {
        Subject::Operator(index) => ("operator", index),
        Subject::Input(index) => ("input", index),
        Subject::Output(index) => ("output", index),
    };
    json!({
        "kind": kind,
        "index": index,
        "graph": one.graph,
        "name": one.name,
        "reads": one.reads,
        "makes": one.makes,
        "permutation": one.permutation,
        "origin": one.origin,
        "holds": one.holds(),
        "broken": one.broken,
    })
}

fn diagnostic(found: &ir::Diagnostic) -> Value {
    let place = |place: &ir::Place| {
        json!({
            "file": place.line.as_ref().map(|l| &l.file),
            "line": place.line.as_ref().map(|l| l.line),
            "module": place.module,
            "node": place.node,
        })
    };
    json!({
        "code": found.code.name,
        "message": found.message,
        "places": found.places.iter().map(place).collect::<Vec<_>>(),
        "notes": found.notes,
        "help": found.help,
    })
}
