//! The JSON of a saved program, as PyTorch's export schema (major version 8) writes it.
//!
//! Fields that are not read here are ignored. A form of argument that is not known is kept as such, because only
//! one that is in use matters.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The file `models/<name>.json`.
#[derive(Debug, Deserialize)]
pub(super) struct ExportedProgram {
    pub(super) graph_module: GraphModule,
    #[serde(default)]
    pub(super) range_constraints: IndexMap<String, RangeConstraint>,
    pub(super) schema_version: SchemaVersion,
    #[serde(default)]
    pub(super) torch_version: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct SchemaVersion {
    pub(super) major: i64,
    pub(super) minor: i64,
}

/// The range in which the exporter has checked a symbol; `None` is unbounded.
#[derive(Debug, Deserialize)]
pub(super) struct RangeConstraint {
    pub(super) min_val: Option<i64>,
    pub(super) max_val: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GraphModule {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
    #[serde(default)]
    pub(super) module_call_graph: Vec<ModuleCall>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ModuleCall {
    pub(super) signature: Option<CallSignature>,
}

/// How `forward` packs its arguments and results, as trees in JSON.
#[derive(Debug, Deserialize)]
pub(super) struct CallSignature {
    #[serde(default)]
    pub(super) in_spec: String,
    #[serde(default)]
    pub(super) out_spec: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Graph {
    pub(super) inputs: Vec<Argument>,
    pub(super) outputs: Vec<Argument>,
    pub(super) nodes: Vec<Node>,
    pub(super) tensor_values: IndexMap<String, TensorMeta>,
    #[serde(default)]
    pub(super) sym_int_values: IndexMap<String, Symbolic>,
    #[serde(default)]
    pub(super) sym_float_values: IndexMap<String, Symbolic>,
    #[serde(default)]
    pub(super) sym_bool_values: IndexMap<String, Symbolic>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) target: String,
    pub(super) inputs: Vec<NamedArgument>,
    pub(super) outputs: Vec<Argument>,
    #[serde(default)]
    pub(super) metadata: IndexMap<String, String>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NamedArgument {
    pub(super) name: String,
    pub(super) arg: Argument,
}

/// Dtype and place of a tensor; also what a weight's entry says of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TensorMeta {
    pub(super) dtype: i64,
    pub(super) sizes: Vec<Symbolic>,
    pub(super) strides: Vec<Symbolic>,
    pub(super) storage_offset: Option<Symbolic>,
    pub(super) layout: Option<i64>,
    pub(super) device: Option<Device>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Device {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) index: Option<i64>,
}

/// The config of weights or of constants: what is stored under each name.
#[derive(Debug, Deserialize)]
pub(super) struct PayloadConfig {
    pub(super) config: IndexMap<String, Payload>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Payload {
    pub(super) path_name: String,
    #[serde(default)]
    pub(super) use_pickle: bool,
    pub(super) tensor_meta: Option<TensorMeta>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Signature {
    pub(super) input_specs: Vec<InputSpec>,
    pub(super) output_specs: Vec<OutputSpec>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Name {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InputSpec {
    Parameter { arg: Name, parameter_name: String },
    Buffer { arg: Name, buffer_name: String },
    TensorConstant { arg: Name, tensor_constant_name: String },
    UserInput { arg: Argument },
    ConstantInput {},
    CustomObj {},
    Token {},
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutputSpec {
    UserOutput {},
    LossOutput {},
    BufferMutation { buffer_name: String },
    ParameterMutation { parameter_name: String },
    UserInputMutation { user_input_name: String },
    GradientToParameter {},
    GradientToUserInput {},
    Token {},
}

/// An argument of a node, an input or an output of a graph.
#[derive(Debug)]
pub(super) enum Argument {
    None,
    Tensor(String),
    Tensors(Vec<Option<String>>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
    /// An integer, real number or truth value, by name or as it is.
    Symbol(Symbol),
    Symbols(Vec<Symbol>),
    DType(i64),
    MemoryFormat(i64),
    Layout(i64),
    Device(Device),
    Complex(f64, f64),
    Graph(Box<Graph>),
    /// A form that is not known here, by its tag.
    Unknown(String),
}

/// A size, a real number or a truth value: a literal, or an expression over symbols.
#[derive(Clone, Debug)]
pub(super) enum Symbolic {
    Int(i64),
    Float(f64),
    Bool(bool),
    /// A sympy `srepr`, and the value it had in the example of the export.
    Expr {
        text: String,
        hint: Option<i64>,
    },
}

/// One number of an argument.
#[derive(Clone, Debug)]
pub(super) enum Symbol {
    Name(String),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// A real number; infinities and NaN are texts.
struct Float(f64);

impl<'de> Deserialize<'de> for Float {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Float;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a real number")
            }
            fn visit_f64<E>(self, x: f64) -> Result<Float, E> {
                Ok(Float(x))
            }
            fn visit_i64<E>(self, n: i64) -> Result<Float, E> {
                Ok(Float(n as f64))
            }
            fn visit_u64<E>(self, n: u64) -> Result<Float, E> {
                Ok(Float(n as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Float, E> {
                match text {
                    "Infinity" => Ok(Float(f64::INFINITY)),
                    "-Infinity" => Ok(Float(f64::NEG_INFINITY)),
                    "NaN" => Ok(Float(f64::NAN)),
                    _ => Err(E::custom(format!("'{text}' is not a real number"))),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A value that is read from an object with exactly one key, its tag.
trait Union: Sized {
    fn read<'de, A: MapAccess<'de>>(tag: &str, map: &mut A) -> Result<Self, A::Error>;
}

struct UnionReader<U>(PhantomData<U>);

impl<'de, U: Union> Visitor<'de> for UnionReader<U> {
    type Value = U;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<U, A::Error> {
        let tag: String =
            map.next_key()?.ok_or_else(|| de::Error::custom("an object with one key is empty"))?;
        let value = U::read(&tag, &mut map)?;
        match map.next_key::<String>()? {
            None => Ok(value),
            Some(second) => Err(de::Error::custom(format!("'{tag}' and '{second}' stand side by side"))),
        }
    }
}

macro_rules! union {
    ($($t:ty),*) => { $(impl<'de> Deserialize<'de> for $t {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(UnionReader(PhantomData))
        }
    })* };
}
union!(Argument, Symbolic, Symbol);

#[derive(Deserialize)]
struct ExprText {
    expr_str: String,
    #[serde(default)]
    hint: Option<serde_json::Value>,
}

impl Union for Symbolic {
    fn read<'de, A: MapAccess<'de>>(tag: &str, map: &mut A) -> Result<Self, A::Error> {
        match tag {
            "as_int" => map.next_value().map(Symbolic::Int),
            "as_float" => map.next_value::<Float>().map(|x| Symbolic::Float(x.0)),
            "as_bool" => map.next_value().map(Symbolic::Bool),
            "as_expr" => {
                let expr: ExprText = map.next_value()?;
                let hint = expr.hint.as_ref().and_then(|h| h.get("as_int").unwrap_or(h).as_i64());
                Ok(Symbolic::Expr { text: expr.expr_str, hint })
            }
            other => Err(de::Error::custom(format!("a size or number cannot be '{other}'"))),
        }
    }
}

impl Union for Symbol {
    fn read<'de, A: MapAccess<'de>>(tag: &str, map: &mut A) -> Result<Self, A::Error> {
        match tag {
            "as_name" => map.next_value().map(Symbol::Name),
            "as_int" => map.next_value().map(Symbol::Int),
            "as_float" => map.next_value::<Float>().map(|x| Symbol::Float(x.0)),
            "as_bool" => map.next_value().map(Symbol::Bool),
            other => Err(de::Error::custom(format!("a number of an argument cannot be '{other}'"))),
        }
    }
}

#[derive(Deserialize)]
struct GraphArgument {
    graph: Graph,
}

#[derive(Deserialize)]
struct ComplexValue {
    real: Float,
    imag: Float,
}

/// A list item that is a tensor or nothing.
#[derive(Deserialize)]
enum OptionalTensor {
    #[serde(rename = "as_tensor")]
    Tensor(Name),
    #[serde(rename = "as_none")]
    None(IgnoredAny),
}

impl From<OptionalTensor> for Option<String> {
    fn from(tensor: OptionalTensor) -> Self {
        match tensor {
            OptionalTensor::Tensor(tensor) => Some(tensor.name),
            OptionalTensor::None(_) => None,
        }
    }
}

impl Union for Argument {
    fn read<'de, A: MapAccess<'de>>(tag: &str, map: &mut A) -> Result<Self, A::Error> {
        Ok(match tag {
            "as_none" => map.next_value::<IgnoredAny>().map(|_| Argument::None)?,
            "as_tensor" => Argument::Tensor(map.next_value::<Name>()?.name),
            "as_tensors" => {
                Argument::Tensors(map.next_value::<Vec<Name>>()?.into_iter().map(|t| Some(t.name)).collect())
            }
            "as_optional_tensors" => Argument::Tensors(
                map.next_value::<Vec<OptionalTensor>>()?.into_iter().map(Option::from).collect(),
            ),
            "as_optional_tensor" => match Option::from(map.next_value::<OptionalTensor>()?) {
                Some(name) => Argument::Tensor(name),
                None => Argument::None,
            },
            "as_int" => Argument::Int(map.next_value()?),
            "as_float" => Argument::Float(map.next_value::<Float>()?.0),
            "as_bool" => Argument::Bool(map.next_value()?),
            "as_string" => Argument::Text(map.next_value()?),
            "as_ints" => Argument::Ints(map.next_value()?),
            "as_floats" => Argument::Floats(map.next_value::<Vec<Float>>()?.iter().map(|x| x.0).collect()),
            "as_bools" => Argument::Bools(map.next_value()?),
            "as_strings" => Argument::Texts(map.next_value()?),
            "as_sym_int" | "as_sym_float" | "as_sym_bool" => Argument::Symbol(map.next_value()?),
            "as_sym_ints" | "as_sym_floats" | "as_sym_bools" => Argument::Symbols(map.next_value()?),
            "as_scalar_type" => Argument::DType(map.next_value()?),
            "as_memory_format" => Argument::MemoryFormat(map.next_value()?),
            "as_layout" => Argument::Layout(map.next_value()?),
            "as_device" => Argument::Device(map.next_value()?),
            "as_complex" => {
                let value: ComplexValue = map.next_value()?;
                Argument::Complex(value.real.0, value.imag.0)
            }
            "as_graph" => Argument::Graph(Box::new(map.next_value::<GraphArgument>()?.graph)),
            other => {
                map.next_value::<IgnoredAny>()?;
                Argument::Unknown(other.to_owned())
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Argument, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn arguments_are_told_by_their_tag() {
        assert!(matches!(read(r#"{"as_float":"-Infinity"}"#), Ok(Argument::Float(f64::NEG_INFINITY))));
        assert!(matches!(read(r#"{"as_int":9223372036854775807}"#), Ok(Argument::Int(i64::MAX))));
        assert!(matches!(read(r#"{"as_none":true}"#), Ok(Argument::None)));
        assert!(
            matches!(read(r#"{"as_wonder":[{"x":[1]}]}"#), Ok(Argument::Unknown(tag)) if tag == "as_wonder")
        );
        let Ok(Argument::Tensors(list)) =
            read(r#"{"as_optional_tensors":[{"as_none":true},{"as_tensor":{"name":"i"}}]}"#)
        else {
            panic!("a list of tensors")
        };
        assert_eq!(list, [None, Some("i".to_owned())]);
        let Ok(Argument::Symbols(list)) = read(r#"{"as_sym_ints":[{"as_name":"n"},{"as_int":-1}]}"#) else {
            panic!("a list of numbers")
        };
        assert!(matches!(&list[..], [Symbol::Name(n), Symbol::Int(-1)] if n == "n"));
    }

    #[test]
    fn an_object_that_is_no_union_is_an_error() {
        for json in
            [r#"{}"#, r#"{"as_int":1,"as_float":2.0}"#, r#"{"as_int":1.5}"#, "3", r#"{"as_float":"twelve"}"#]
        {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
