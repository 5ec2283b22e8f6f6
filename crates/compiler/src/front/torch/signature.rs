//! What the inputs and outputs of a program's graph are to the caller, and what they are called.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use ir::{DATA_DEPENDENT_SIZE, Diagnostic};
use serde_json::Value;

use super::code::{CONSTANT_OUTPUT, INVALID_ARCHIVE};
use super::program::{Argument as Written, GraphModule, InputSpec, OutputSpec};
use super::{Argument, Input, Output, Source, Straight};

/// The roles of a graph's inputs and outputs.
pub(super) struct Interface<'a> {
    inputs: &'a [InputSpec],
    outputs: &'a [OutputSpec],
    /// For each leaf of the arguments: was it passed by keyword?
    keywords: Vec<bool>,
    /// For each leaf of the results: its path in dicts, lists and tuples.
    paths: Vec<Option<String>>,
}

/// Reads the roles. Errs where they do not fit the graph.
pub(super) fn read(module: &GraphModule) -> Result<Interface<'_>, Diagnostic> {
    let (signature, graph) = (&module.signature, &module.graph);
    let wrong = |what: &str, roles: usize, count: usize| {
        Diagnostic::new(
            INVALID_ARCHIVE,
            format!("the signature has {roles} {what}, but the graph has {count}"),
        )
    };
    if signature.input_specs.len() != graph.inputs.len() {
        return Err(wrong("inputs", signature.input_specs.len(), graph.inputs.len()));
    }
    if signature.output_specs.len() != graph.outputs.len() {
        return Err(wrong("outputs", signature.output_specs.len(), graph.outputs.len()));
    }
    for (spec, input) in signature.input_specs.iter().zip(&graph.inputs) {
        let named = match spec {
            InputSpec::Parameter { arg, .. }
            | InputSpec::Buffer { arg, .. }
            | InputSpec::TensorConstant { arg, .. } => &arg.name,
            InputSpec::UserInput { arg: Written::Tensor(name) } => name,
            _ => continue,
        };
        if !matches!(input, Written::Tensor(name) if name == named) {
            return Err(Diagnostic::new(
                INVALID_ARCHIVE,
                format!("the signature has an input '{named}' where the graph has another"),
            ));
        }
    }
    // The trees only give names; a form that is not known gives none.
    let call = module.module_call_graph.first().and_then(|call| call.signature.as_ref());
    let tree = |text: &str| serde_json::from_str::<Value>(text).ok().and_then(|v| v.get(1).cloned());
    let mut arguments = Vec::new();
    if let Some(tree) = call.and_then(|c| tree(&c.in_spec)) {
        leaves(&tree, String::new(), 0, &mut arguments);
    }
    let mut paths = Vec::new();
    if let Some(tree) = call.and_then(|c| tree(&c.out_spec)) {
        leaves(&tree, String::new(), 0, &mut paths);
    }
    Ok(Interface {
        inputs: &signature.input_specs,
        outputs: &signature.output_specs,
        // The arguments are a pair of positional and keyword ones.
        keywords: arguments.iter().map(|leaf| leaf.path.starts_with("1.")).collect(),
        paths: paths.into_iter().map(|leaf| leaf.keyed.then_some(leaf.path)).collect(),
    })
}

impl Interface<'_> {
    /// The tensors that the caller passes.
    pub(super) fn inputs(&self, straight: &Straight) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut leaf = 0;
        for (spec, tensor) in self.inputs.iter().zip(&straight.inputs) {
            let user = matches!(spec, InputSpec::UserInput { .. });
            let keyword = user && self.keywords.get(leaf).copied().unwrap_or(false);
            leaf +=
                usize::from(user || matches!(spec, InputSpec::ConstantInput {} | InputSpec::CustomObj {}));
            if let (true, Some(tensor)) = (user, tensor) {
                inputs.push(Input { name: tensor.name.clone(), ty: tensor.ty.clone(), keyword });
            }
        }
        inputs
    }

    /// The tensors of the module, by the graph's names for them.
    pub(super) fn sources(&self, straight: &Straight) -> IndexMap<Arc<str>, Source> {
        let mut sources = IndexMap::new();
        for (spec, tensor) in self.inputs.iter().zip(&straight.inputs) {
            let fqn = match spec {
                InputSpec::Parameter { parameter_name, .. } => parameter_name,
                InputSpec::Buffer { buffer_name, .. } => buffer_name,
                InputSpec::TensorConstant { tensor_constant_name, .. } => tensor_constant_name,
                _ => continue,
            };
            if let Some(tensor) = tensor {
                sources.insert(tensor.name.clone(), Source { fqn: fqn.clone(), ty: tensor.ty.clone() });
            }
        }
        sources
    }

    /// The tensors that the caller gets. Warns of results that are none.
    pub(super) fn outputs(&self, results: &[Argument], warnings: &mut Vec<Diagnostic>) -> Vec<Output> {
        let user = self
            .outputs
            .iter()
            .zip(results)
            .filter(|(spec, _)| matches!(spec, OutputSpec::UserOutput {} | OutputSpec::LossOutput {}));
        let mut outputs = Vec::new();
        for (i, (_, result)) in user.enumerate() {
            let name = self.paths.get(i).cloned().flatten();
            match result {
                Argument::Tensor(tensor) => outputs.push(Output { tensor: tensor.name.clone(), name }),
                other => {
                    let shown = match other {
                        Argument::None => "None".to_owned(),
                        Argument::Int(n) => n.to_string(),
                        Argument::Float(x) => format!("{x:?}"),
                        Argument::Bool(b) => b.to_string(),
                        Argument::Text(text) => format!("'{text}'"),
                        _ => "no tensor".to_owned(),
                    };
                    let message = format!("output {i} of forward is {shown}, and is left out");
                    warnings.push(Diagnostic::warning(CONSTANT_OUTPUT, message));
                }
            }
        }
        outputs
    }

    /// What is said of results whose sizes depend on data.
    pub(super) fn open_outputs(&self, results: &[Argument]) -> Vec<Diagnostic> {
        let open =
            results.iter().flat_map(Argument::tensors).filter(|tensor| tensor.ty.shape.known().is_none());
        open.map(|tensor| {
            let message =
                format!("the size of output '{}' depends on data: it is {}", tensor.name, tensor.ty);
            Diagnostic::new(DATA_DEPENDENT_SIZE, message).help("give a tensor of fixed size, such as a mask")
        })
        .collect()
    }

    /// The tensors of the module that the graph gives back changed, by name.
    pub(super) fn changed(&self, results: &[Argument]) -> IndexSet<String> {
        let changed = |(spec, result): (&OutputSpec, &Argument)| {
            let name = match spec {
                OutputSpec::BufferMutation { buffer_name } => buffer_name,
                OutputSpec::ParameterMutation { parameter_name } => parameter_name,
                OutputSpec::UserInputMutation { user_input_name } => user_input_name,
                _ => return None,
            };
            // What is given back as it came is not changed.
            let same = matches!(result, Argument::Tensor(t) if self.is_input(name, &t.name));
            (!same).then(|| name.clone())
        };
        self.outputs.iter().zip(results).filter_map(changed).collect()
    }

    /// Is the tensor of the module with this name the graph's input `input`?
    fn is_input(&self, name: &str, input: &str) -> bool {
        self.inputs.iter().any(|spec| match spec {
            InputSpec::Parameter { arg, parameter_name: fqn }
            | InputSpec::Buffer { arg, buffer_name: fqn } => fqn == name && arg.name == input,
            InputSpec::UserInput { arg: Written::Tensor(own) } => own == name && own == input,
            _ => false,
        })
    }
}

/// One tensor of a nest of dicts, lists and tuples.
struct Leaf {
    /// Its keys and indices, joined by dots.
    path: String,
    /// Is there a dict's key in it?
    keyed: bool,
}

/// The leaves of a tree `{"type", "context", "children_spec"}`, in order. Trees are as deep as JSON may be.
fn leaves(tree: &Value, path: String, keys: usize, out: &mut Vec<Leaf>) {
    let kind = tree.get("type").and_then(Value::as_str);
    let children = tree.get("children_spec").and_then(Value::as_array);
    let (Some(kind), Some(children)) = (kind, children) else {
        return out.push(Leaf { path, keyed: keys > 0 });
    };
    let names = if kind.contains("dict") || kind.contains("Dict") { dict_keys(tree) } else { None };
    for (i, child) in children.iter().enumerate() {
        let key = names.as_ref().and_then(|names| names.get(i)).cloned();
        let keyed = keys + usize::from(key.is_some());
        let step = key.unwrap_or_else(|| i.to_string());
        let path = if path.is_empty() { step } else { format!("{path}.{step}") };
        leaves(child, path, keyed, out);
    }
}

/// The keys of a dict, which stand in its context as JSON in a text (or as JSON).
fn dict_keys(tree: &Value) -> Option<Vec<String>> {
    let parsed;
    let keys = match tree.get("context")? {
        Value::String(text) => {
            parsed = serde_json::from_str::<Value>(text).ok()?;
            &parsed
        }
        other => other,
    };
    keys.as_array()?
        .iter()
        .map(|key| key.as_str().map_or_else(|| key.as_i64().map(|n| n.to_string()), |s| Some(s.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_named_by_keys_and_indices() {
        let tree = r#"{"type":"builtins.dict","context":"[\"y\",\"l\"]","children_spec":[
            {"type":null,"context":null,"children_spec":[]},
            {"type":"builtins.list","context":"null","children_spec":[
                {"type":null,"context":null,"children_spec":[]},{"type":null,"context":null,"children_spec":[]}]}]}"#;
        let mut out = Vec::new();
        leaves(&serde_json::from_str(tree).unwrap(), String::new(), 0, &mut out);
        let paths: Vec<(&str, bool)> = out.iter().map(|l| (l.path.as_str(), l.keyed)).collect();
        assert_eq!(paths, [("y", true), ("l.0", true), ("l.1", true)]);
    }
}
