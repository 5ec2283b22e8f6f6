//! Functions of sizes that a traced program computes: `sym_size`, Python's operators, `torch.sym_max`.

use ir::{Expr, Number, Real};

use crate::dialect::aten::{Argument, Tensor};

/// Does the target compute a number from numbers, or from a tensor's sizes?
pub(super) fn is_function(target: &str) -> bool {
    let sizes = ["aten.sym_size.", "aten.sym_stride.", "aten.sym_numel.", "aten.sym_storage_offset."];
    let modules = ["_operator.", "math.", "torch.sym_"];
    sizes.iter().chain(&modules).any(|prefix| target.starts_with(prefix))
}

/// What the function gives; `None` where it is not followed here.
pub(super) fn apply(target: &str, arguments: &[Argument]) -> Option<Number> {
    if let [Argument::Tensor(tensor), rest @ ..] = arguments {
        return of_tensor(target, tensor, rest);
    }
    let args: Vec<Expr> = arguments.iter().map(expr).collect::<Option<_>>()?;
    let function = target.rsplit('.').next()?.trim_start_matches("sym_").trim_end_matches('_');
    let call = match (function, args.len()) {
        ("sub", 2) => {
            let [a, b]: [Expr; 2] = args.try_into().ok()?;
            Expr::call("add", [a, Expr::call("mul", [Expr::Int(-1), b])])
        }
        ("neg", 1) => Expr::call("mul", [Expr::Int(-1), args.into_iter().next()?]),
        ("int", 1) => Expr::call("trunc", args),
        ("ite", 3) => Expr::call("where", args),
        ("add" | "mul" | "floordiv" | "mod" | "truediv" | "pow" | "max" | "min", 2) => {
            Expr::call(function, args)
        }
        ("eq" | "ne" | "lt" | "le" | "gt" | "ge" | "lshift" | "rshift", 2) => Expr::call(function, args),
        // Python's `&` and `|` are logical on truth values only.
        ("and" | "or", 2) if arguments.iter().all(|a| matches!(a, Argument::Bool(_))) => {
            Expr::call(function, args)
        }
        ("not" | "float" | "trunc" | "floor" | "ceil", 1) => Expr::call(function, args),
        _ => return None,
    };
    call.evaluate(&|_| None).ok()
}

fn of_tensor(target: &str, tensor: &Tensor, rest: &[Argument]) -> Option<Number> {
    let sizes = tensor.ty.shape.known()?;
    match (target, rest) {
        ("aten.sym_size.int", [Argument::Int(axis)]) => {
            let axis = if *axis < 0 { axis.checked_add(sizes.len() as i64)? } else { *axis };
            sizes.get(usize::try_from(axis).ok()?).map(|&n| Number::Int(n as i64))
        }
        ("aten.sym_numel.default", []) => Some(Number::Int(sizes.iter().product::<usize>() as i64)),
        _ => None,
    }
}

/// Are they the same number, whatever their types?
pub(super) fn equal(a: Number, b: Number) -> bool {
    match (a.as_int(), b.as_int()) {
        (Some(a), Some(b)) => a == b,
        _ => a.as_f64() == b.as_f64(),
    }
}

fn expr(argument: &Argument) -> Option<Expr> {
    match argument {
        Argument::Int(n) => Some(Expr::Int(*n)),
        Argument::Float(x) => Real::new(*x).map(Expr::Real),
        Argument::Bool(b) => Some(Expr::Int(i64::from(*b))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::{DType, TensorType};

    #[test]
    fn pythons_operators_are_followed() {
        let ints = |a, b| [Argument::Int(a), Argument::Int(b)];
        for (target, a, b, expected) in [
            ("_operator.sub", 3, 5, Number::Int(-2)),
            ("_operator.floordiv", -7, 2, Number::Int(-4)),
            ("_operator.truediv", 7, 2, Number::Real(3.5)),
            ("torch.sym_max", 7, 2, Number::Int(7)),
            ("_operator.ge", 7, 2, Number::Bool(true)),
        ] {
            assert_eq!(apply(target, &ints(a, b)), Some(expected), "{target}");
        }
        let bools = [Argument::Bool(true), Argument::Bool(false)];
        assert_eq!(apply("_operator.and_", &bools), Some(Number::Bool(false)));
        assert_eq!(apply("_operator.and_", &ints(6, 3)), None);
        let x = Tensor { name: "x".into(), ty: TensorType::new(DType::F32, &[2, 7]) };
        assert_eq!(
            apply("aten.sym_size.int", &[Argument::Tensor(x), Argument::Int(-1)]),
            Some(Number::Int(7))
        );
        assert!(equal(Number::Int(2), Number::Real(2.0)) && !equal(Number::Int(2), Number::Int(3)));
    }
}
