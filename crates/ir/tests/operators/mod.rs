//! A small operator set, so that the graph is tested without any that the compiler knows.
#![allow(dead_code, reason = "each test that includes this module uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use edgewright_ir as ir;
use ir::{Attributes, DType, Mismatch, Operator, TensorType};

pub(crate) type Graph = ir::Graph<Op>;

/// Five operators with attributes of every kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    /// −x
    Negate,
    /// x + y, of one type.
    Add,
    /// x times a real number, exactly or not.
    Scale { by: f64, exact: bool },
    /// x in equal parts along an axis.
    Split { parts: usize, axis: usize },
    /// The axes of x in another order; the target has no such operator for more than two.
    Turn { order: Vec<usize>, note: Option<i64> },
}

impl Operator for Op {
    fn name(&self) -> &'static str {
        match self {
            Op::Negate => "negate",
            Op::Add => "add",
            Op::Scale { .. } => "scale",
            Op::Split { .. } => "split",
            Op::Turn { .. } => "turn",
        }
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        match self {
            Op::Negate | Op::Add => {}
            Op::Scale { by, exact } => {
                attributes.put("by", by);
                attributes.put("exact", exact);
            }
            Op::Split { parts, axis } => {
                attributes.put("parts", parts);
                attributes.put("axis", axis);
            }
            Op::Turn { order, note } => {
                attributes.put("order", order);
                attributes.put("note", note);
            }
        }
        attributes
    }

    fn parse(name: &str, attributes: &Attributes) -> Result<Self, String> {
        Ok(match name {
            "negate" => Op::Negate,
            "add" => Op::Add,
            "scale" => Op::Scale { by: attributes.field("by")?, exact: attributes.field("exact")? },
            "split" => Op::Split { parts: attributes.field("parts")?, axis: attributes.field("axis")? },
            "turn" => Op::Turn { order: attributes.field("order")?, note: attributes.field("note")? },
            other => return Err(format!("no operator is called '{other}'")),
        })
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let x = *inputs.first().ok_or_else(|| Mismatch("it reads something".into()))?;
        let sizes = x.sizes();
        Ok(match self {
            Op::Negate | Op::Scale { .. } => vec![x.clone()],
            Op::Add if inputs.len() == 2 && inputs[1] == x => vec![x.clone()],
            Op::Add => return Err(Mismatch(format!("it adds two tensors of one type, not {x} and others"))),
            Op::Split { parts, axis } => {
                let mut sizes = sizes?;
                if !sizes.get(*axis).is_some_and(|n| n.is_multiple_of(*parts)) {
                    return Err(Mismatch(format!("{x} has no {parts} equal parts along axis {axis}")));
                }
                sizes[*axis] /= parts;
                vec![TensorType::new(x.dtype, &sizes); *parts]
            }
            Op::Turn { order, .. } => {
                let sizes = sizes?;
                let turned = order.iter().map(|&axis| sizes.get(axis).copied()).collect::<Option<Vec<_>>>();
                let turned = turned.ok_or_else(|| Mismatch(format!("{x} has no order {order:?}")))?;
                vec![TensorType::new(x.dtype, &turned)]
            }
        })
    }

    fn legal(&self, inputs: &[&TensorType], _: &[&TensorType]) -> Result<(), Mismatch> {
        match self {
            Op::Turn { order, .. } if order.len() > 2 => {
                Err(Mismatch(format!("the target turns 2 axes at most, not {}", order.len())))
            }
            _ if inputs[0].dtype == DType::F64 => Err(Mismatch("the target has no f64".into())),
            _ => Ok(()),
        }
    }
}

/// A graph from its text, whose constants are in the text.
pub(crate) fn graph(text: &str) -> Graph {
    ir::parse(text, &|_| None).unwrap_or_else(|e| panic!("{e} in\n{text}"))
}
