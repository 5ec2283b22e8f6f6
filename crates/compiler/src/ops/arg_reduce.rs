//! Where along an axis the largest or smallest element stands.

use ir::{Attributes, DType, Mismatch, Tensor, TensorType};

use super::definition::{Carried, Definition};
use super::{Order, arity, elementwise, reduce};
use crate::dialect::tfl::{self, Builtin, ElementType, Illegal, arg_max_options, arg_min_options};

/// The index along one axis of the first element that is the largest or smallest; the axis is gone from the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgReduce {
    /// Which element.
    pub extreme: Extreme,
    /// The axis.
    pub axis: usize,
    /// The dtype of the indices: i64 as PyTorch has it, or i32.
    pub dtype: DType,
}

/// Which element is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extreme {
    /// The largest, which NaN is.
    Max,
    /// The largest, as ARG_MAX finds it where there is no NaN.
    MaxNumber,
    /// The smallest, which NaN is.
    Min,
    /// The smallest, as ARG_MIN finds it where there is no NaN.
    MinNumber,
}

impl Extreme {
    const ALL: &[Extreme] = &[Extreme::Max, Extreme::MaxNumber, Extreme::Min, Extreme::MinNumber];

    /// Does `x` come before `found`?
    fn beats(self, x: f64, found: f64) -> bool {
        match self {
            Extreme::Max => x > found || (x.is_nan() && !found.is_nan()),
            Extreme::Min => x < found || (x.is_nan() && !found.is_nan()),
            Extreme::MaxNumber => x > found,
            Extreme::MinNumber => x < found,
        }
    }
}

impl Definition for ArgReduce {
    const NAMES: &'static [&'static str] = &["argmax", "argmax_number", "argmin", "argmin_number"];
    const TFL: &'static [Builtin] = &[Builtin::ARG_MAX, Builtin::ARG_MIN];

    fn name(&self) -> &'static str {
        Self::NAMES[self.extreme as usize]
    }

    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.put("axis", &self.axis);
        attributes.put("dtype", &self.dtype);
        attributes
    }

    fn parse(name: &str, attributes: &Attributes) -> Result<Self, String> {
        let at =
            Self::NAMES.iter().position(|n| *n == name).ok_or_else(|| format!("'{name}' finds nothing"))?;
        let extreme = Extreme::ALL[at];
        Ok(ArgReduce { extreme, axis: attributes.field("axis")?, dtype: attributes.field("dtype")? })
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch> {
        let [input] = arity(inputs)?;
        let mut sizes = input.sizes()?;
        if self.axis >= sizes.len() || sizes[self.axis] == 0 {
            return Err(Mismatch(format!("looks for an element along axis {} of {input}", self.axis)));
        }
        if input.dtype.is_complex() || ![DType::I32, DType::I64].contains(&self.dtype) {
            return Err(Mismatch(format!("finds no {} among {}", self.dtype, input.dtype)));
        }
        sizes.remove(self.axis);
        Ok(vec![TensorType::new(self.dtype, &sizes)])
    }

    fn evaluate(&self, inputs: &[&Tensor]) -> Option<Vec<Tensor>> {
        let input = inputs[0];
        let mut sizes = input.sizes().to_vec();
        sizes.remove(self.axis);
        let found = match input.dtype() {
            dtype if elementwise::is_real(dtype) => {
                let mut values = input.to_f64s();
                first(&mut values, input.sizes(), self.axis, |x, found| self.extreme.beats(x, found))
            }
            dtype if elementwise::is_integer(dtype) || dtype == DType::Bool => {
                let largest = matches!(self.extreme, Extreme::Max | Extreme::MaxNumber);
                let mut values = input.to_i64s();
                first(
                    &mut values,
                    input.sizes(),
                    self.axis,
                    |x, found| {
                        if largest { x > found } else { x < found }
                    },
                )
            }
            _ => return None,
        };
        Some(vec![Tensor::from_i64s(self.dtype, &sizes, found)])
    }

    fn carry(&self, _: &[&TensorType], order: &Order) -> Option<Carried<Self>> {
        let op = ArgReduce { axis: order.position(self.axis), ..*self };
        let result = reduce::without(order, &[self.axis]);
        Some(Carried { op, inputs: vec![order.clone()], outputs: vec![result] })
    }

    fn to_tfl(&self, inputs: &[&TensorType]) -> Result<tfl::Call, Illegal> {
        let number = matches!(self.extreme, Extreme::MaxNumber | Extreme::MinNumber);
        // ARG_MAX and ARG_MIN pass NaN over, and have no kernel for i64 (measured on LiteRT 2.3.0).
        let taken = match inputs[0].dtype {
            DType::F32 => number,
            dtype => [DType::I32, DType::I8, DType::U8, DType::Bool].contains(&dtype),
        };
        if !taken {
            return Err(Illegal(format!("LiteRT has no builtin for {} of {}", self.name(), inputs[0].dtype)));
        }
        let (builtin, output_type) = match self.extreme {
            Extreme::Max | Extreme::MaxNumber => (Builtin::ARG_MAX, arg_max_options::OUTPUT_TYPE),
            Extreme::Min | Extreme::MinNumber => (Builtin::ARG_MIN, arg_min_options::OUTPUT_TYPE),
        };
        let dtype = tfl::element(self.dtype)?;
        Ok(tfl::Call::new(builtin).input(0).int32(self.axis)?.set(output_type, dtype))
    }

    fn from_tfl(node: &tfl::Node<'_>) -> Result<tfl::Imported<Self>, Illegal> {
        let input = node.input(0)?;
        let axis = node.axis(node.int(1)?, input.rank())?;
        let (extreme, output_type): (_, ElementType) = match (node.operator, input.dtype) {
            (Builtin::ARG_MAX, DType::F32) => (Extreme::MaxNumber, node.get(arg_max_options::OUTPUT_TYPE)),
            (Builtin::ARG_MAX, _) => (Extreme::Max, node.get(arg_max_options::OUTPUT_TYPE)),
            (_, DType::F32) => (Extreme::MinNumber, node.get(arg_min_options::OUTPUT_TYPE)),
            _ => (Extreme::Min, node.get(arg_min_options::OUTPUT_TYPE)),
        };
        let dtype = tfl::dtype(output_type)
            .filter(|d| [DType::I32, DType::I64].contains(d))
            .ok_or_else(|| Illegal(format!("{} that gives no i32 or i64 is not read", node.operator)))?;
        Ok(tfl::imported(ArgReduce { extreme, axis, dtype }, [0]))
    }
}

/// For each line along an axis, the index of the first element that none beats.
fn first<T: Copy>(values: &mut [T], sizes: &[usize], axis: usize, beats: impl Fn(T, T) -> bool) -> Vec<i64> {
    let mut found = Vec::new();
    elementwise::each_line(values, sizes, axis, |line| {
        let mut at = 0;
        for (i, &x) in line.iter().enumerate().skip(1) {
            if beats(x, line[at]) {
                at = i;
            }
        }
        found.push(at as i64);
    });
    found
}
