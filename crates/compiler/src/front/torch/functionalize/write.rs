//! In-place calls as calls that give a new value.

use std::sync::Arc;

use ir::{DType, Diagnostic, TensorType};

use super::view::{View, packet};
use super::{Functionalizer, Handle};
use crate::dialect::aten::{Argument, Call, Malformed, Schema, Tensor};
use crate::front::torch::code::{TRAINING_MODE, UNSUPPORTED_WRITE};
use crate::front::torch::inline::Step;

/// Arithmetic that computes in the common dtype of its tensors; the result is cast to what it is written to.
const PROMOTING: &[&str] = &[
    "add",
    "sub",
    "subtract",
    "mul",
    "multiply",
    "div",
    "divide",
    "true_divide",
    "floor_divide",
    "pow",
    "fmod",
    "remainder",
    "atan2",
    "hypot",
    "addcmul",
    "addcdiv",
    "lerp",
    "xlogy",
    "copysign",
    "float_power",
];

/// Comparisons, whose results are truth values before they are cast to what they are written to.
const COMPARING: &[&str] = &[
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "logical_and",
    "logical_or",
    "logical_xor",
    "logical_not",
];

impl Functionalizer {
    /// Replaces a call that writes one of its arguments.
    pub(super) fn write_call(&mut self, call: Call, schema: &'static Schema) {
        if let Some(allowed) = statistics(&call) {
            return self.statistics_call(call, allowed);
        }
        let mut written = schema.written();
        let (Some(target), None) = (written.next(), written.next()) else { return self.refuse(call, schema) };
        let Ok(tensor) = call.tensor(target).cloned() else { return self.refuse(call, schema) };
        if self.reads_what_it_writes(&call, &tensor) {
            return self.refuse_overlap(call, &tensor);
        }
        let handle = self.handle(&tensor);
        let result = call.results.first().cloned().flatten();
        let name = match &result {
            Some(result) => result.name.clone(),
            None => self.fresh(&tensor.name),
        };
        let ty = self.handles[handle].value.ty.clone();
        let origin = call.origin;
        let value = match packet(&call.target) {
            "detach_" => None,
            "squeeze_" | "unsqueeze_" | "transpose_" | "t_" | "swapaxes_" | "swapdims_" => {
                return self.reshape_in_place(call, handle);
            }
            "copy_" => Some(self.fitted(&call, "src", &ty, name)),
            "fill_" if call.target.ends_with(".Tensor") => Some(self.fitted(&call, "value", &ty, name)),
            "fill_" => {
                Some(call.get("value").cloned().and_then(|value| self.filled(value, &ty, name, origin)))
            }
            "zero_" => Some(self.filled(Argument::Int(0), &ty, name, origin)),
            _ => match functional(&call.target) {
                Some(functional) => Some(Ok(self.computed(call.clone(), functional, &ty, name))),
                None => return self.refuse(call, schema),
            },
        };
        match value {
            None => {}
            Some(Ok(value)) => self.write(handle, value, origin),
            Some(Err(_)) => return self.refuse(call, schema),
        }
        // The result is the tensor that was written.
        if let Some(result) = result {
            self.names.insert(result.name, handle);
        }
    }

    /// What a `Call` of the same arithmetic gives that writes nothing, cast to the type it is written to.
    fn computed(
        &mut self,
        mut call: Call,
        functional: Functional,
        ty: &TensorType,
        name: Arc<str>,
    ) -> Tensor {
        self.read_arguments(&mut call);
        let packet = packet(&functional.target);
        let dtype = if COMPARING.contains(&packet) {
            DType::Bool
        } else if PROMOTING.contains(&packet) {
            promoted(call.arguments.values().flat_map(Argument::tensors)).unwrap_or(ty.dtype)
        } else {
            ty.dtype
        };
        let origin = call.origin;
        functional.rename(&mut call);
        let cast = dtype != ty.dtype;
        let computed = Tensor {
            name: if cast { self.fresh(&name) } else { name.clone() },
            ty: TensorType { dtype, shape: ty.shape.clone(), quant: None },
        };
        call.results = vec![Some(computed.clone())];
        self.steps.push(Step { call, blocked: None });
        if cast { self.cast(computed, ty.dtype, name, origin) } else { computed }
    }

    fn cast(&mut self, tensor: Tensor, dtype: DType, name: Arc<str>, origin: ir::OriginId) -> Tensor {
        let ty = tensor.ty.with_dtype(dtype);
        let arguments = vec![("self", Argument::Tensor(tensor)), ("dtype", Argument::DType(dtype))];
        self.emit("aten._to_copy.default", arguments, name, ty, origin)
    }

    /// The argument `source`, cast and broadcast to `ty`.
    fn fitted(
        &mut self,
        call: &Call,
        source: &str,
        ty: &TensorType,
        name: Arc<str>,
    ) -> Result<Tensor, Malformed> {
        let handle = self.handle(call.tensor(source)?);
        let mut value = self.read(handle);
        let expand = value.ty.shape != ty.shape;
        if value.ty.dtype != ty.dtype {
            let name = if expand { self.fresh(&name) } else { name.clone() };
            value = self.cast(value, ty.dtype, name, call.origin);
        }
        if !expand {
            return Ok(value);
        }
        let size = sizes(ty)?;
        let arguments = vec![("self", Argument::Tensor(value)), ("size", size)];
        Ok(self.emit("aten.expand.default", arguments, name, ty.clone(), call.origin))
    }

    fn filled(
        &mut self,
        value: Argument,
        ty: &TensorType,
        name: Arc<str>,
        origin: ir::OriginId,
    ) -> Result<Tensor, Malformed> {
        let arguments =
            vec![("size", sizes(ty)?), ("fill_value", value), ("dtype", Argument::DType(ty.dtype))];
        Ok(self.emit("aten.full.default", arguments, name, ty.clone(), origin))
    }

    /// A call such as `unsqueeze_` gives the tensor other axes and moves no element.
    fn reshape_in_place(&mut self, mut call: Call, handle: usize) {
        let Some(functional) = functional(&call.target) else { return };
        let old = call.results.first().cloned().flatten();
        let Some(result) = old else { return };
        self.read_arguments(&mut call);
        let Some(viewed) = functional.schema.viewed() else { return };
        functional.rename(&mut call);
        let view = View { call: Arc::new(call.clone()), viewed, result: 0 };
        let Handle { storage, version, .. } = self.handles[handle];
        let same: Vec<Arc<str>> =
            self.names.iter().filter(|(_, h)| **h == handle).map(|(name, _)| name.clone()).collect();
        let parent = Some((handle, view));
        let seen = self.name(result.name.clone(), Handle { storage, parent, value: result, version });
        for name in same {
            self.names.insert(name, seen);
        }
        self.steps.push(Step { call, blocked: None });
    }

    /// A normalisation that would write its statistics where it was in training mode.
    fn statistics_call(&mut self, mut call: Call, allowed: bool) {
        let blocked = (!allowed).then(|| {
            Diagnostic::new(TRAINING_MODE, "batch normalisation is in training mode")
                .at(&self.origins, call.origin)
                .help("call model.eval() before torch.export.export")
        });
        self.read_arguments(&mut call);
        self.results(call, blocked, &[]);
    }

    /// A write whose outcome PyTorch leaves open.
    fn refuse_overlap(&mut self, call: Call, target: &Tensor) {
        let what = format!("{} reads part of the memory that it writes, at other places", call.target);
        let diagnostic = Diagnostic::new(UNSUPPORTED_WRITE, what)
            .at(&self.origins, call.origin)
            .note("what PyTorch computes then depends on the order in which it visits the elements")
            .help("clone what is read first: `x[1:] += x[:-1].clone()`");
        let written = vec![self.handle(target)];
        self.spoil_written(call, written, diagnostic);
    }

    /// A write that is not followed.
    fn refuse(&mut self, call: Call, schema: &'static Schema) {
        let diagnostic =
            Diagnostic::new(UNSUPPORTED_WRITE, format!("the write by {} cannot be followed", call.target))
                .at(&self.origins, call.origin)
                .help("compute a new tensor instead");
        let written: Vec<usize> = schema
            .written()
            .filter_map(|name| call.arguments.get(name))
            .flat_map(Argument::tensors)
            .map(|t| self.handle(t))
            .collect();
        self.spoil_written(call, written, diagnostic);
    }

    /// What a call may have written cannot be read any more.
    fn spoil_written(&mut self, mut call: Call, written: Vec<usize>, diagnostic: Diagnostic) {
        self.read_arguments(&mut call);
        for handle in written {
            let storage = self.handles[handle].storage;
            self.spoil(storage, &diagnostic);
        }
        self.results(call, Some(diagnostic), &[]);
    }
}

/// The overload that writes nothing.
struct Functional {
    target: String,
    schema: &'static Schema,
}

impl Functional {
    /// Makes a call of the in-place overload one of this: arguments go by position, for a few have other names
    /// (`dropout_(self, …)` is `dropout(input, …)`).
    fn rename(self, call: &mut Call) {
        let written = Schema::of(&call.target).expect("an in-place overload is known");
        let name = |old: &Arc<str>| {
            let place = written.parameters.get_index_of(&**old);
            place
                .and_then(|i| self.schema.parameters.get_index(i))
                .map_or(old.clone(), |(name, _)| Arc::from(*name))
        };
        call.arguments = call.arguments.drain(..).map(|(old, value)| (name(&old), value)).collect();
        call.target = self.target.into();
    }
}

/// `aten.add_.Tensor` is `aten.add.Tensor` that writes, and `aten.__iand__.Tensor` is `aten.__and__.Tensor`.
fn functional(target: &str) -> Option<Functional> {
    let mut parts = target.splitn(3, '.');
    let (namespace, packet, overload) = (parts.next()?, parts.next()?, parts.next()?);
    let (plain, overload) = match (packet, overload) {
        ("__iand__", _) => ("__and__", overload),
        ("__ior__", _) => ("__or__", overload),
        ("__ixor__", _) => ("__xor__", overload),
        ("pow_", "Tensor") => ("pow", "Tensor_Tensor"),
        ("float_power_", "Tensor") => ("float_power", "Tensor_Tensor"),
        ("floor_divide_", "Tensor") => ("floor_divide", "default"),
        ("transpose_", "default") => ("transpose", "int"),
        _ => (packet.strip_suffix('_')?, overload),
    };
    let target = format!("{namespace}.{plain}.{overload}");
    let schema = Schema::of(&target).filter(|schema| schema.written().next().is_none())?;
    Some(Functional { target, schema })
}

/// For a normalisation that may write running statistics: does it leave them alone?
fn statistics(call: &Call) -> Option<bool> {
    matches!(packet(&call.target), "_native_batch_norm_legit" | "_batch_norm_with_update")
        .then(|| call.bool("training") == Ok(false))
}

fn sizes(ty: &TensorType) -> Result<Argument, Malformed> {
    let sizes = ty.sizes().map_err(|e| Malformed(e.to_string()))?;
    Ok(Argument::Ints(sizes.iter().map(|&n| n as i64).collect()))
}

/// The dtype in which PyTorch computes with these tensors (torch.result_type): of the highest category (truth
/// values, integers, reals), where tensors of rank 0 count only if theirs is higher than that of all others.
fn promoted<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Option<DType> {
    let (mut of_tensors, mut of_scalars): (Option<DType>, Option<DType>) = (None, None);
    for tensor in tensors {
        let slot = if tensor.ty.rank() == 0 { &mut of_scalars } else { &mut of_tensors };
        *slot = Some(slot.map_or(tensor.ty.dtype, |dtype| common(dtype, tensor.ty.dtype)));
    }
    match (of_tensors, of_scalars) {
        (Some(t), Some(s)) if category(s) > category(t) => Some(s),
        (t, s) => t.or(s),
    }
}

fn category(dtype: DType) -> u8 {
    match dtype {
        DType::Bool => 0,
        d if d.is_int() => 1,
        d if d.is_float() => 2,
        _ => 3,
    }
}

/// The smallest dtype for the values of both, by PyTorch's table (c10/core/ScalarType.cpp, promoteTypes).
fn common(a: DType, b: DType) -> DType {
    use DType::*;
    if a == b {
        return a;
    }
    if category(a) != category(b) {
        return if category(a) > category(b) { a } else { b };
    }
    match (a, b) {
        (F16, Bf16) | (Bf16, F16) => F32,
        // An unsigned and a signed integer need the next larger signed one.
        (U8, I8) | (I8, U8) => I16,
        (U8, other) | (other, U8) => other,
        _ if a.bits() >= b.bits() => a,
        _ => b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dtypes_are_promoted_as_torch_does() {
        let tensor = |dtype, sizes: &[usize]| Tensor { name: "x".into(), ty: TensorType::new(dtype, sizes) };
        for (a, b, expected) in [
            (tensor(DType::F32, &[2]), tensor(DType::F64, &[2]), DType::F64),
            (tensor(DType::F32, &[2]), tensor(DType::F64, &[]), DType::F32),
            (tensor(DType::I32, &[2]), tensor(DType::F64, &[]), DType::F64),
            (tensor(DType::I64, &[2]), tensor(DType::Bool, &[2]), DType::I64),
            (tensor(DType::F16, &[2]), tensor(DType::Bf16, &[2]), DType::F32),
            (tensor(DType::U8, &[2]), tensor(DType::I8, &[2]), DType::I16),
            (tensor(DType::Bf16, &[2]), tensor(DType::I64, &[2]), DType::Bf16),
        ] {
            assert_eq!(promoted([&a, &b].into_iter()), Some(expected), "{} {}", a.ty, b.ty);
        }
    }

    #[test]
    fn in_place_forms_have_functional_ones() {
        let named = |target: &str| functional(target).map(|f| f.target);
        assert_eq!(named("aten.add_.Tensor").as_deref(), Some("aten.add.Tensor"));
        assert_eq!(named("aten.__iand__.Tensor").as_deref(), Some("aten.__and__.Tensor"));
        assert_eq!(named("aten.unsqueeze_.default").as_deref(), Some("aten.unsqueeze.default"));
        assert_eq!(named("aten.transpose_.default").as_deref(), Some("aten.transpose.int"));
        assert_eq!(named("aten.add.Tensor"), None);
    }
}
