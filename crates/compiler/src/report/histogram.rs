//! What a .tflite is made of: operators, tensors by rank, bytes by dtype, multiplications, signatures.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::Serialize;

use super::Typed;
use crate::dialect::tfl::{Builtin, Model, Operator, Subgraph, TensorEntry, batch_mat_mul_options};

/// What a file is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Free text about the file.
    pub description: String,
    /// The number of graphs.
    pub graphs: usize,
    /// The operators of all graphs, the most frequent first; equal counts by name.
    pub operators: Vec<Count>,
    /// How many tensors that are computed or fed have how many axes.
    pub ranks: BTreeMap<usize, usize>,
    /// The same of constant tensors.
    pub constant_ranks: BTreeMap<usize, usize>,
    /// Tensors whose rank is not known.
    pub unranked: usize,
    /// How many tensors that are computed or fed are of which element type.
    pub elements: BTreeMap<String, usize>,
    /// Constant tensors and their bytes by element type; a buffer that several share counts once.
    pub constants: BTreeMap<String, Size>,
    /// The bytes of all named metadata.
    pub metadata_bytes: u64,
    /// Multiply-accumulate operations of one run, of the operators that are products. A graph that another calls
    /// counts once.
    pub macs: u64,
    /// How applications call the file.
    pub signatures: Vec<Interface>,
}

/// How often an operator stands in the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Count {
    /// The builtin's name, or the custom operator's.
    pub name: String,
    /// Is it a custom operator?
    pub custom: bool,
    /// How many there are.
    pub count: usize,
    /// The versions it is asked for in.
    pub versions: BTreeSet<u32>,
    /// Multiply-accumulate operations of all of them together; 0 for operators that are no products.
    pub macs: u64,
}

/// How many tensors, and how large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// The number of tensors.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A signature with the types of its ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interface {
    /// The name it is called by.
    pub key: String,
    /// The inputs, in order.
    pub inputs: Vec<Typed>,
    /// The outputs, in order.
    pub outputs: Vec<Typed>,
}

impl Histogram {
    /// Of any file that has been read, or described to be written.
    pub fn of(model: &Model) -> Self {
        let mut counts: IndexMap<(String, bool), Count> = IndexMap::new();
        let mut histogram = Histogram {
            description: model.description.clone(),
            graphs: model.subgraphs.len(),
            metadata_bytes: model.metadata.iter().map(|m| model.buffers[m.buffer].bytes).sum(),
            ..Histogram::default()
        };
        let mut counted = BTreeSet::new();
        for graph in &model.subgraphs {
            for operator in &graph.operators {
                let macs = macs(operator, &graph.tensors).unwrap_or(0);
                histogram.macs = histogram.macs.saturating_add(macs);
                let (name, custom) = (operator.name(), operator.custom.is_some());
                let count = counts.entry((name.clone(), custom)).or_insert_with(|| {
                    let versions = BTreeSet::new();
                    Count { name, custom, count: 0, versions, macs: 0 }
                });
                count.count += 1;
                count.macs = count.macs.saturating_add(macs);
                count.versions.insert(operator.version);
            }
            histogram.tensors(graph, model, &mut counted);
        }
        histogram.operators = counts.into_values().collect();
        histogram.operators.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        histogram.signatures = model
            .signatures
            .iter()
            .map(|s| Interface {
                key: s.key.clone(),
                inputs: ends(&s.inputs, &model.subgraphs[s.subgraph]),
                outputs: ends(&s.outputs, &model.subgraphs[s.subgraph]),
            })
            .collect();
        histogram
    }

    fn tensors(&mut self, graph: &Subgraph, model: &Model, counted: &mut BTreeSet<usize>) {
        for tensor in &graph.tensors {
            let bytes = model.buffers[tensor.buffer].bytes;
            if bytes > 0 {
                let size = self.constants.entry(tensor.element.to_string()).or_default();
                size.tensors += 1;
                size.bytes += if counted.insert(tensor.buffer) { bytes } else { 0 };
                *self.constant_ranks.entry(tensor.shape.as_ref().map_or(0, Vec::len)).or_default() += 1;
                continue;
            }
            *self.elements.entry(tensor.element.to_string()).or_default() += 1;
            match &tensor.shape {
                Some(shape) => *self.ranks.entry(shape.len()).or_default() += 1,
                None => self.unranked += 1,
            }
        }
    }
}

fn ends(names: &[(String, usize)], graph: &Subgraph) -> Vec<Typed> {
    names.iter().map(|(name, tensor)| Typed::of_entry(name, &graph.tensors[*tensor])).collect()
}

/// The multiplications of an operator that is a product. `None` for others, and where a size is not known.
pub(super) fn macs(operator: &Operator, tensors: &[TensorEntry]) -> Option<u64> {
    let shape = |index: Option<usize>| tensors.get(index?)?.shape.as_deref();
    let operand = |i: usize| shape(operator.inputs.get(i).copied().flatten());
    let product =
        |sizes: &[i32]| sizes.iter().try_fold(1u64, |n, &size| n.checked_mul(u64::try_from(size).ok()?));
    let results = || product(shape(operator.outputs.first().copied())?);
    let each = match operator.operator {
        // Filters are [out, height, width, in], with in the channels that one result sees.
        Builtin::CONV_2D | Builtin::FULLY_CONNECTED => product(operand(1)?.get(1..)?)?,
        Builtin::DEPTHWISE_CONV_2D => product(operand(1)?.get(1..3)?)?,
        Builtin::CONV_3D => product(operand(1)?.get(..4)?)?,
        Builtin::BATCH_MATMUL => {
            let (a, transposed) =
                (operand(0)?, operator.options.fit(operator.operator).then_some(&operator.options)?);
            let axis = if transposed.get(batch_mat_mul_options::ADJ_X) { 2 } else { 1 };
            product(&[*a.get(a.len().checked_sub(axis)?)?])?
        }
        // Every input element meets every tap of its filter [out, height, width, in] once.
        Builtin::TRANSPOSE_CONV => return product(operand(2)?)?.checked_mul(product(operand(1)?.get(..3)?)?),
        Builtin::CONV_3D_TRANSPOSE => {
            // The filter is [depth, height, width, out, in].
            return product(operand(2)?)?.checked_mul(product(operand(1)?.get(..4)?)?);
        }
        _ => return None,
    };
    results()?.checked_mul(each)
}

#[cfg(test)]
mod tests {
    use ir::{DType, TensorType};

    use super::*;
    use crate::dialect::tfl::{Options, Signature};

    fn model(builtin: Builtin, shapes: &[&[usize]], constants: usize) -> Model {
        let mut model = Model::new();
        let mut graph = Subgraph::default();
        for (i, shape) in shapes.iter().enumerate() {
            let ty = TensorType::new(DType::F32, shape);
            let constant = i > 0 && i <= constants;
            let buffer = if constant { model.add_buffer(ty.bytes().unwrap() as u64) } else { 0 };
            graph.tensors.push(TensorEntry::new(format!("t{i}"), &ty, buffer).unwrap());
        }
        let last = shapes.len() - 1;
        let inputs = (0..last).map(Some).collect();
        graph.operators = vec![Operator::new(builtin, Options::of(builtin), inputs, vec![last]); 2];
        model.subgraphs.push(graph);
        let (inputs, outputs) = (vec![("x".into(), 0)], vec![("y".into(), last)]);
        model.signatures.push(Signature { key: "serving_default".into(), subgraph: 0, inputs, outputs });
        model
    }

    #[test]
    fn products_are_counted() {
        let of = |builtin, shapes: &[&[usize]]| Histogram::of(&model(builtin, shapes, 0)).macs / 2;
        // One image of 8×8 with 4 channels, 3×3 taps, 16 results.
        assert_eq!(
            of(Builtin::CONV_2D, &[&[1, 8, 8, 4], &[16, 3, 3, 4], &[16], &[1, 4, 4, 16]]),
            16 * 16 * 36
        );
        assert_eq!(
            of(Builtin::DEPTHWISE_CONV_2D, &[&[1, 8, 8, 4], &[1, 3, 3, 4], &[4], &[1, 8, 8, 4]]),
            64 * 4 * 9
        );
        assert_eq!(of(Builtin::FULLY_CONNECTED, &[&[5, 7], &[3, 7], &[5, 3]]), 5 * 3 * 7);
        assert_eq!(of(Builtin::BATCH_MATMUL, &[&[2, 5, 7], &[2, 7, 3], &[2, 5, 3]]), 2 * 5 * 3 * 7);
        assert_eq!(
            of(Builtin::TRANSPOSE_CONV, &[&[4], &[8, 2, 2, 3], &[1, 4, 4, 3], &[1, 8, 8, 8]]),
            48 * 32
        );
        assert_eq!(of(Builtin::ADD, &[&[5], &[5], &[5]]), 0);
    }

    #[test]
    fn tensors_are_counted_by_rank_and_constants_by_type() {
        let mut model = model(Builtin::FULLY_CONNECTED, &[&[5, 7], &[3, 7], &[3], &[5, 3]], 2);
        let shared = model.subgraphs[0].tensors[1].clone();
        model.subgraphs[0].tensors.push(shared);
        let histogram = Histogram::of(&model);
        assert_eq!(histogram.ranks, BTreeMap::from([(2, 2)]));
        assert_eq!(histogram.constants["FLOAT32"], Size { tensors: 3, bytes: 4 * (21 + 3) });
        assert_eq!(histogram.operators[0].count, 2);
        assert_eq!(histogram.constant_ranks, BTreeMap::from([(1, 1), (2, 2)]));
        assert_eq!(histogram.elements, BTreeMap::from([("FLOAT32".to_string(), 2)]));
        assert_eq!(histogram.signatures[0].inputs[0].to_string(), "x  FLOAT32[5,7]");
    }
}
