//! Where a file and each of its operators came from, as it is kept in a metadata buffer of the file.

use std::sync::Arc;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use super::Illegal;

/// The name of the metadata buffer that holds a [`Provenance`].
pub const PROVENANCE: &str = "edgewright.provenance";

/// The layout of the encoded provenance. A reader refuses one it does not know.
const LAYOUT: u32 = 1;

/// Where a file and each of its operators came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// Who wrote the file: `edgewright 0.1.0`.
    pub producer: String,
    /// What the model was saved by: `torch 2.9.1`.
    pub source: String,
    /// For each operator of the main graph, the calls it came from, the most telling first.
    pub operators: Vec<Vec<Spot>>,
    /// What was narrowed, with its proof.
    pub ledger: Vec<Entry>,
}

/// One call of the original program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Spot {
    /// The file of the user's own line; empty where unknown.
    pub file: Arc<str>,
    /// The line, from 1; 0 where unknown.
    pub line: u32,
    /// The function that holds the line.
    pub function: Arc<str>,
    /// The text of the line; empty where unknown.
    pub code: Arc<str>,
    /// The module's path; empty in the model's own `forward`.
    pub module: Arc<str>,
    /// The module's class, such as `torch.nn.modules.activation.ReLU`; empty where unknown.
    pub class: Arc<str>,
    /// The operator overload: `aten.conv2d.default`.
    pub target: Arc<str>,
    /// The name of the FX node.
    pub node: Arc<str>,
}

/// One thing that was narrowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which: `i64 to i32`.
    pub what: String,
    /// Of which value.
    pub value: String,
    /// Why it is safe, or which flag accepted it.
    pub why: String,
}

/// How a [`Provenance`] is laid out: strings and calls once each, operators as indices.
#[derive(Serialize, Deserialize)]
struct Encoded {
    layout: u32,
    producer: String,
    source: String,
    strings: Vec<String>,
    /// file, line, function, code, module, class, target, node; all but the line are indices of `strings`.
    calls: Vec<[u32; 8]>,
    /// Per operator, indices of `calls`.
    operators: Vec<Vec<u32>>,
    ledger: Vec<Entry>,
}

impl From<&ir::Leaf> for Spot {
    fn from(leaf: &ir::Leaf) -> Self {
        let line = leaf.line();
        Spot {
            file: line.map_or("", |l| &l.file).into(),
            line: line.map_or(0, |l| l.line),
            function: line.map_or("", |l| &l.function).into(),
            code: line.map_or("", |l| &l.code).into(),
            module: leaf.module.as_str().into(),
            class: leaf.class.as_str().into(),
            target: leaf.target.as_str().into(),
            node: leaf.node.as_str().into(),
        }
    }
}

impl Provenance {
    /// As JSON, each string and call once.
    pub fn encode(&self) -> Vec<u8> {
        let mut strings: IndexSet<&Arc<str>> = IndexSet::new();
        let mut calls: IndexSet<[u32; 8]> = IndexSet::new();
        let mut operators = Vec::with_capacity(self.operators.len());
        for spots in &self.operators {
            let mut indices = Vec::with_capacity(spots.len());
            for spot in spots {
                let Spot { file, line, function, code, module, class, target, node } = spot;
                let mut string = |text| strings.insert_full(text).0 as u32;
                let [file, function, code] = [file, function, code].map(&mut string);
                let [module, class, target, node] = [module, class, target, node].map(&mut string);
                let call = [file, *line, function, code, module, class, target, node];
                indices.push(calls.insert_full(call).0 as u32);
            }
            operators.push(indices);
        }
        let encoded = Encoded {
            layout: LAYOUT,
            producer: self.producer.clone(),
            source: self.source.clone(),
            strings: strings.into_iter().map(|s| s.to_string()).collect(),
            calls: calls.into_iter().collect(),
            operators,
            ledger: self.ledger.clone(),
        };
        serde_json::to_vec(&encoded).expect("strings and numbers are always JSON")
    }
}

/// Reads what [`Provenance::encode`] wrote. Errs for anything else.
pub fn decode(bytes: &[u8]) -> Result<Provenance, Illegal> {
    let malformed = |why: &dyn std::fmt::Display| Illegal(format!("the provenance is malformed: {why}"));
    let encoded: Encoded = serde_json::from_slice(bytes).map_err(|e| malformed(&e))?;
    if encoded.layout != LAYOUT {
        return Err(malformed(&format_args!("its layout is {}, not {LAYOUT}", encoded.layout)));
    }
    // Every string is held once, however often a crafted file refers to it.
    let strings: Vec<Arc<str>> = encoded.strings.iter().map(|s| s.as_str().into()).collect();
    let string = |i: u32| strings.get(i as usize).cloned().ok_or_else(|| malformed(&"a string is missing"));
    let spot = |i: &u32| -> Result<Spot, Illegal> {
        let call = encoded.calls.get(*i as usize).ok_or_else(|| malformed(&"a call is missing"))?;
        let [file, line, function, code, module, class, target, node] = *call;
        Ok(Spot {
            file: string(file)?,
            line,
            function: string(function)?,
            code: string(code)?,
            module: string(module)?,
            class: string(class)?,
            target: string(target)?,
            node: string(node)?,
        })
    };
    let operators =
        encoded.operators.iter().map(|calls| calls.iter().map(spot).collect()).collect::<Result<_, _>>()?;
    Ok(Provenance { producer: encoded.producer, source: encoded.source, operators, ledger: encoded.ledger })
}
