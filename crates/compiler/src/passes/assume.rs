//! What the user says of inputs, used where it makes a model smaller.

use ir::{Assumption, DType, Diagnostic, Journal, Tensor, ValueId};

use crate::evaluate::Expressions;
use crate::ops::{
    Activation, Arithmetic, Cast, FullyConnected, Gather, Graph, Op, Order, Pass, Patch, Reduce, Reduction,
    Reshape, Site, Transpose,
};

const NAME: &str = "assume";

ir::codes! {
    /// Something is assumed of an input that the model does not have.
    ///
    /// Inputs are named as the parameters of `forward`; `edgewright inspect MODEL.pt2` lists them.
    NO_SUCH_INPUT = "no-such-input", Usage;

    /// What is assumed of an input makes the model read rows that its table does not have.
    ///
    /// A bit looks up one of two rows. One of these is outside of the table, so the model does not take such bits.
    ASSUMPTION_FAILS = "assumption-fails", Usage;

    /// A recorded run gives an input other numbers than it is assumed to hold.
    ///
    /// The model compiled under the assumption would compute something else for this run. Leave the assumption out, or
    /// record a run that it holds for.
    ASSUMPTION_CONTRADICTED = "assumption-contradicted", Failed;

    /// What is assumed of an input is used nowhere.
    ///
    /// Bits are used where each looks up a row of a table and the rows are summed up. The compiled model is the same as
    /// without the assumption.
    ASSUMPTION_UNUSED = "assumption-unused", Usage;
}

/// What an input holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The numbers 0 and 1 only.
    Bits,
}

impl Holds {
    /// What is assumed, by its name on the command line.
    pub fn named(name: &str) -> Option<Self> {
        (name == "bits").then_some(Holds::Bits)
    }

    /// Is it true of these elements?
    pub fn is_true_of(self, tensor: &Tensor) -> bool {
        match self {
            Holds::Bits if tensor.dtype() == DType::Bool => true,
            Holds::Bits => tensor.to_f64s().into_iter().all(|x| x == 0.0 || x == 1.0),
        }
    }
}

/// Uses what inputs are said to hold, by the names of `forward`'s parameters.
pub fn inputs(said: &[(String, Holds)]) -> Pass {
    let said = said.to_vec();
    Pass::new(
        NAME,
        "use what inputs are said to hold: bits that look up rows are a product",
        move |graph, journal| {
            said.iter().try_for_each(|(name, Holds::Bits)| bits(graph, journal, name)).map_err(|d| vec![d])
        },
    )
}

fn bits(graph: &mut Graph, journal: &mut Journal, name: &str) -> Result<(), Diagnostic> {
    let input = graph.inputs().iter().copied().find(|&v| graph.value(v).name == name);
    let Some(input) = input else {
        let names: Vec<&str> = graph.inputs().iter().map(|&v| &*graph.value(v).name).collect();
        return Err(Diagnostic::new(NO_SUCH_INPUT, format!("the model has no input '{name}'"))
            .note(format!("its inputs are {}", names.join(", "))));
    };
    let mut patch = Patch::new(graph);
    for (id, _) in graph.nodes() {
        let at = Site::new(graph, id);
        if let Some(sum) = SumOfRows::at(at, input)? {
            sum.as_product(&mut patch, at);
        }
    }
    if patch.is_empty() {
        let message = format!("'{name}' is assumed to hold bits, which is of no use to this model");
        journal.warnings.push(Diagnostic::warning(ASSUMPTION_UNUSED, message));
        return Ok(());
    }
    journal.ledger.push(Assumption {
        kind: "assumed".into(),
        subject: name.to_string(),
        reason: "--assume says that it holds 0 and 1 only: the rows they look up are summed as one product"
            .into(),
    });
    let patch = patch.finish();
    patch.apply(graph, NAME)
}

/// `sum(embedding(E, f(m)))` over the bits `m`, each of which looks up a row of its own.
struct SumOfRows<'g> {
    below: Site<'g>,
    table: ValueId,
    bits: ValueId,
    /// For each bit, the row it looks up where it is 0, and where it is 1.
    rows: [Vec<i64>; 2],
}

impl<'g> SumOfRows<'g> {
    /// The sum at this site, where it is one. Errs where a bit looks up a row that the table lacks.
    fn at(at: Site<'g>, bits: ValueId) -> Result<Option<Self>, Diagnostic> {
        let Some((below, table, indices)) = summed(at) else { return Ok(None) };
        let graph = at.graph();
        // The index of each bit is a function of this bit alone: of one element at its place.
        if graph.ty(indices).shape != graph.ty(bits).shape || !is_function_of(graph, indices, bits) {
            return Ok(None);
        }
        let mut rows = Vec::new();
        for bit in [0.0, 1.0] {
            let Some(indices) = with_all(graph, indices, bits, bit)? else { return Ok(None) };
            let count = *indices.sizes().last().unwrap_or(&1);
            let all = indices.to_i64s();
            // Samples of a batch may not look up different rows: there is one table of differences.
            if count == 0 || all.chunks(count).any(|sample| *sample != all[..count]) {
                return Ok(None);
            }
            let size = graph.ty(table).sizes().map_err(|m| Diagnostic::bug(m.0))?[0];
            if let Some(outside) =
                all.iter().find(|&&row| usize::try_from(row).map_or(true, |row| row >= size))
            {
                let input = &graph.value(bits).name;
                let message =
                    format!("a {bit} in '{input}' looks up row {outside} of a table of {size} rows");
                return Err(Diagnostic::new(ASSUMPTION_FAILS, message)
                    .at(&graph.origins, below.node().origin)
                    .help("leave the assumption out"));
            }
            rows.push(all[..count].to_vec());
        }
        let Ok(rows) = <[Vec<i64>; 2]>::try_from(rows) else { return Ok(None) };
        Ok(Some(SumOfRows { below, table, bits, rows }))
    }

    /// `Σ E[f(mᵢ)]  =>  m · D + Σ E[f(0)]` with `D[i] = E[fᵢ(1)] − E[fᵢ(0)]`, as a fully connected layer
    fn as_product(&self, patch: &mut Patch<'g>, at: Site<'g>) {
        patch.at(at.id());
        patch.consume(&self.below);
        let count = self.rows[0].len();
        let rows = self.rows.each_ref().map(|rows| {
            let indices =
                patch.constant("rows", Tensor::from_i64s(DType::I32, &[count], rows.iter().copied()));
            patch.add(Gather { axis: 0, batch: 0 }, [self.table, indices])
        });
        let differences = patch.add(Arithmetic::Sub, [rows[1], rows[0]]);
        let order = Order::new(vec![1, 0]).expect("two axes in another order");
        let weight = patch.add(Transpose { order }, [differences]);
        let bias = patch.add(Reduce { function: Reduction::Sum, axes: vec![0], keep: false }, [rows[0]]);
        let dtype = patch.ty(weight).dtype;
        let bits = match patch.ty(self.bits).dtype == dtype {
            true => self.bits,
            false => patch.add(Cast { dtype }, [self.bits]),
        };
        let layer = FullyConnected { activation: Activation::None };
        let mut product = patch.add(layer, [bits, weight, bias]);
        if patch.ty(product) != at.output_ty() {
            let sizes = at.output_ty().sizes().expect("the graph is static");
            product = patch.add(Reshape { sizes }, [product]);
        }
        patch.and_replace(at.output(), product);
    }
}

/// The lookup whose rows a sum adds up, along the last axis of the indices: the site, the table and the indices.
fn summed(at: Site<'_>) -> Option<(Site<'_>, ValueId, ValueId)> {
    let Reduce { function: Reduction::Sum, axes, .. } = at.op()? else { return None };
    let below = at.sole_producer(0)?;
    let rank = below.output_ty().rank();
    let (table, indices) = match (&below.node().op, below.inputs()) {
        (Op::Embedding(_), &[table, indices]) => (table, indices),
        (Op::Gather(Gather { axis: 0, batch: 0 }), &[table, indices]) => (table, indices),
        _ => return None,
    };
    let ty = at.graph().ty(table);
    let fits = rank >= 2 && *axes == [rank - 2] && ty.rank() == 2 && ty.dtype == DType::F32;
    (fits && at.graph().is_constant(table)).then_some((below, table, indices))
}

/// Is each element of the value a function of the element of `input` at its place?
fn is_function_of(graph: &Graph, value: ValueId, input: ValueId) -> bool {
    if value == input || graph.is_constant(value) {
        return true;
    }
    let Some((node, _)) = graph.producer(value) else { return false };
    let node = graph.node(node);
    node.op.is_elementwise() && node.inputs.iter().all(|&v| is_function_of(graph, v, input))
}

/// The value where every element of `input` is this number. `None` where it is not evaluated.
fn with_all(
    graph: &Graph,
    value: ValueId,
    input: ValueId,
    number: f64,
) -> Result<Option<Tensor>, Diagnostic> {
    let ty = graph.ty(value);
    if value == input {
        let sizes = ty.sizes().map_err(|m| Diagnostic::bug(m.0))?;
        let count = sizes.iter().product();
        return Ok(match ty.dtype {
            DType::F32 => Some(Tensor::from_f64s(ty.dtype, &sizes, std::iter::repeat_n(number, count))),
            DType::I32 | DType::I64 => {
                Some(Tensor::from_i64s(ty.dtype, &sizes, std::iter::repeat_n(number as i64, count)))
            }
            _ => None,
        });
    }
    if graph.is_constant(value) {
        return Expressions::new(graph).tensor(value).map(Some);
    }
    let Some((id, output)) = graph.producer(value) else { return Ok(None) };
    let node = graph.node(id);
    let mut operands = Vec::new();
    for &v in &node.inputs {
        let Some(operand) = with_all(graph, v, input, number)? else { return Ok(None) };
        operands.push(operand);
    }
    let results = node.op.evaluate(&operands.iter().collect::<Vec<_>>());
    Ok(results.and_then(|results| results.into_iter().nth(output)))
}
