//! What detectors found, as text and as JSON.

use std::fmt::Write;

use compiler::verify::Metrics;
use indexmap::IndexMap;
use serde_json::{Value, json};

use super::chain::Link;
use super::report::{decibels, part};
use crate::table::Side::{Left, Right};
use crate::table::Table;

/// One row for each embedder, detector and runtime, over all runs; nothing where there are none.
pub(super) fn text(links: &[Link]) -> String {
    let Some(first) = links.first() else { return String::new() };
    let mut rows: IndexMap<(&str, &str, &str), Vec<&Link>> = IndexMap::new();
    for link in links {
        rows.entry((&link.embedder, &link.detector, &link.runtime)).or_default().push(link);
    }
    let mut table = Table::new(&[
        ("embedder", Left),
        ("detector", Left),
        ("runtime", Left),
        ("bits right", Right),
        ("bits as first", Right),
        ("SNR", Right),
        ("", Left),
    ]);
    for ((embedder, detector, runtime), links) in rows {
        let apart: Vec<&Metrics> = links.iter().filter_map(|link| link.logits.as_ref()).collect();
        let least = apart.iter().map(|m| m.snr).fold(f64::INFINITY, f64::min);
        let fails = links.iter().any(|link| !link.holds());
        let required = links.iter().any(|link| link.is_judged());
        table.row(vec![
            embedder.into(),
            detector.into(),
            runtime.into(),
            agreement(links.iter().map(|link| &link.message)),
            if apart.is_empty() { "-".into() } else { agreement(apart.iter().copied()) },
            if apart.is_empty() { "-".into() } else { decibels(least, 2) },
            if fails {
                "FAIL"
            } else if required {
                "PASS"
            } else {
                ""
            }
            .into(),
        ]);
    }
    let mut text = format!(
        "the bits of the message; first is {} and {} on {}\n",
        first.embedder, first.detector, first.runtime
    );
    text.push_str(&table.text());
    for link in links {
        for fault in link.faults() {
            let _ = writeln!(text, "{}, {} on {}: {fault}", link.embedder, link.detector, link.runtime);
        }
    }
    text
}

/// The signs that agree, over all runs.
fn agreement<'m>(all: impl Iterator<Item = &'m Metrics>) -> String {
    let (agree, count) =
        all.fold((0.0, 0), |(agree, count), m| (agree + m.sign_agreement * m.count as f64, count + m.count));
    part(agree / count.max(1) as f64, count)
}

pub(super) fn json(link: &Link) -> Value {
    json!({
        "embedder": link.embedder,
        "detector": link.detector,
        "runtime": link.runtime,
        "recording": link.given,
        "bits": link.message.count,
        "recovered": link.message.sign_agreement,
        "as_first": link.logits.as_ref().map(|m| m.sign_agreement),
        "snr_db": link.logits.as_ref().map(|m| m.snr),
        "judged": link.is_judged(),
        "pass": link.holds(),
        "fault": if link.holds() { None } else { Some(link.faults().collect::<Vec<_>>().join("; ")) },
    })
}
