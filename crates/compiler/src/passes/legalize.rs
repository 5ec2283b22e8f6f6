//! The last word on what the target can run: everything that cannot be spelled is told at once.

use indexmap::IndexMap;
use ir::{Code, Diagnostic, ILLEGAL_OPERATOR, Node, Operator, OriginId, ValueId};

use super::Limits;
use super::limits::avoid;
use crate::dialect::tfl::Builtin;
use crate::lint::{Broken, Kind, Usage};
use crate::ops::{CATALOG, Graph, Op, Pass};

ir::codes! {
    /// A tensor has more axes than the limit allows.
    ///
    /// `--max-rank` (or the hardware profile) limits the axes of run-time tensors. Edgewright merges axes that stay
    /// neighbours and splits permutations into steps; what is left here has no such form. At the interface, leading axes
    /// of size 1 are dropped to keep a profile's limit, and nothing else is changed.
    RANK_ABOVE_LIMIT = "rank-above-limit", Unsupported;

    /// A tensor is of a dtype that the hardware profile forbids.
    ///
    /// Integers of 64 bits become such of 32 where the range of their elements is proved: by what computes them, or
    /// because they are indices, which are no larger than the table that they look up. What is left here has no such
    /// proof. Compute it in another dtype: `x.to(torch.int32)`.
    FORBIDDEN_DTYPE = "forbidden-dtype", Unsupported;

    /// A transpose has a permutation that the hardware profile forbids.
    ///
    /// A forbidden permutation is taken in several steps that are allowed, with axes merged that stay neighbours. What
    /// is left here has none: the permutations that are allowed do not reach it.
    FORBIDDEN_PERMUTATION = "forbidden-permutation", Unsupported;
}

/// Checks that every run-time operator is within the limits; errs with each one that is not.
pub fn within(limits: &Limits) -> Pass {
    let limits = limits.clone();
    Pass::new("legalize", "check that the target can run every operator", move |graph, _| {
        let mut check = Check { graph, limits: &limits, groups: IndexMap::new() };
        check.operators();
        check.interface();
        if check.groups.is_empty() { Ok(()) } else { Err(check.groups.into_values().collect()) }
    })
}

struct Check<'g> {
    graph: &'g Graph,
    limits: &'g Limits,
    /// What is not within the limits, alike ones grouped.
    groups: IndexMap<String, Diagnostic>,
}

impl Check<'_> {
    fn add(&mut self, code: Code, message: String, help: Option<&str>, origin: Option<OriginId>) {
        let d = self.groups.entry(message.clone()).or_insert_with(|| Diagnostic::new(code, message));
        d.help = help.map(str::to_string);
        if let Some(origin) = origin {
            *d = d.clone().at(&self.graph.origins, origin);
        }
    }

    fn operators(&mut self) {
        let graph = self.graph;
        let constant = graph.constness();
        for (_, node) in graph.nodes() {
            if node.outputs.iter().all(|o| constant[o.index()]) {
                continue;
            }
            self.operator(node, &constant);
            for &output in &node.outputs {
                let ty = graph.ty(output);
                // An output that the interface has too many axes for is told there.
                let told = self.limits.interface.max_rank.is_some() && graph.outputs().contains(&output);
                let over = !told && !self.limits.admits_rank(ty);
                if let Some(most) = self.limits.rules.max_rank.filter(|_| over) {
                    let (name, rank) = (node.op.name(), ty.rank());
                    let message = format!("{name} makes {ty}, of rank {rank}, where {most} is the limit");
                    self.add(RANK_ABOVE_LIMIT, message, None, Some(node.origin));
                }
            }
        }
    }

    fn operator(&mut self, node: &Node<Op>, constant: &[bool]) {
        let types = self.graph.types(&node.inputs);
        let operands: Vec<String> = types.iter().map(|ty| ty.to_string()).collect();
        let spelled = format!("{} of {}", node.op.name(), operands.join(", "));
        let call = match node.op.to_tfl(&types).and_then(|call| avoid(call.operator).map(|()| call)) {
            Ok(call) => call,
            Err(why) => {
                let why = self.forbidden(node).unwrap_or(why.0);
                let message = format!("{spelled} cannot be spelled: {why}");
                return self.add(ILLEGAL_OPERATOR, message, None, Some(node.origin));
            }
        };
        if self.limits.rules.is_empty() {
            return;
        }
        let fixed: Vec<bool> = node.inputs.iter().map(|v| constant[v.index()]).collect();
        let usage = Usage::of_call(&call, &types, Some(&fixed), &self.graph.types(&node.outputs));
        for broken in self.limits.rules.broken(&usage) {
            if let Some((code, message, help)) = told(&broken, &spelled) {
                self.add(code, message, help, Some(node.origin));
            }
        }
    }

    /// The builtins of an operator, where all of them are forbidden: whatever else speaks against it could be lowered.
    fn forbidden(&self, node: &Node<Op>) -> Option<String> {
        let entry = CATALOG.iter().find(|entry| entry.names.contains(&node.op.name()))?;
        let forbidden = |builtin: &&Builtin| self.limits.rules.forbid.contains(builtin);
        let names: Vec<String> = entry.tfl.iter().take_while(forbidden).map(Builtin::to_string).collect();
        let all = !names.is_empty() && names.len() == entry.tfl.len();
        all.then(|| format!("{} is forbidden", names.join(" or ")))
    }

    /// Inputs and outputs have no line of their own: what reads or makes them has.
    fn interface(&mut self) {
        let graph = self.graph;
        let inputs = graph.inputs().iter().map(|&v| (v, "input", graph.users(v).iter().min().copied()));
        let outputs = graph.outputs().iter().map(|&v| (v, "output", graph.producer(v).map(|(id, _)| id)));
        let ends: Vec<(ValueId, &str, _)> = inputs.chain(outputs).collect();
        for (value, what, near) in ends {
            let (ty, name) = (graph.ty(value), &graph.value(value).name);
            let origin = near.map(|id| graph.node(id).origin);
            if let Some(most) = self.limits.interface.max_rank.filter(|&most| ty.rank() > most) {
                let message =
                    format!("{what} %{name} is {ty}, of rank {}, where {most} is the limit", ty.rank());
                let help = "give it fewer axes: only leading ones of size 1 are dropped at the interface";
                self.add(RANK_ABOVE_LIMIT, message, Some(help), origin);
            }
            if self.limits.rules.dtypes.contains(&ty.dtype) {
                let message = format!("{what} %{name} is {ty}, and {} is forbidden", ty.dtype);
                self.add(FORBIDDEN_DTYPE, message, Some(OTHER_DTYPE), origin);
            }
        }
    }
}

const OTHER_DTYPE: &str =
    "compute it in another dtype, such as x.to(torch.int32); the range of its elements is not known";

/// What speaks against an operator, as the user is told. Ranks are told by what makes them.
fn told(broken: &Broken, spelled: &str) -> Option<(Code, String, Option<&'static str>)> {
    let why = broken.text();
    match broken.kind {
        Kind::Builtin | Kind::Condition => {
            Some((ILLEGAL_OPERATOR, format!("{spelled} cannot be spelled: {why}"), None))
        }
        Kind::DType => {
            Some((FORBIDDEN_DTYPE, format!("{spelled} is against the profile: {why}"), Some(OTHER_DTYPE)))
        }
        Kind::Permutation => {
            Some((FORBIDDEN_PERMUTATION, format!("{spelled} is against the profile: {why}"), None))
        }
        Kind::Rank | Kind::Interface => None,
    }
}
