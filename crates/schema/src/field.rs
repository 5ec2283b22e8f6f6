//! What a field of a FlatBuffers table is: its id, name, type and default, and the values it can hold.

use std::fmt;
use std::marker::PhantomData;

/// A number or truth value that lies in a table or a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// One byte, 0 or 1.
    Bool,
    /// Signed, 1 byte.
    I8,
    /// Unsigned, 1 byte.
    U8,
    /// Signed, 2 bytes.
    I16,
    /// Unsigned, 2 bytes.
    U16,
    /// Signed, 4 bytes.
    I32,
    /// Unsigned, 4 bytes.
    U32,
    /// Signed, 8 bytes.
    I64,
    /// Unsigned, 8 bytes.
    U64,
    /// IEEE single precision, 4 bytes.
    F32,
}

impl Scalar {
    /// The size in bytes, which is the alignment too.
    pub const fn width(self) -> usize {
        match self {
            Scalar::Bool | Scalar::I8 | Scalar::U8 => 1,
            Scalar::I16 | Scalar::U16 => 2,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => 4,
            Scalar::I64 | Scalar::U64 => 8,
        }
    }
}

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number in the table itself.
    Scalar(Scalar),
    /// A reference to numbers.
    Vector(Scalar),
    /// A reference to UTF-8 text.
    Text,
    /// A reference to a table.
    Table,
    /// A reference to references to tables.
    Tables,
    /// A reference to a table whose kind the field before names by its tag.
    Union,
}

/// What an absent field means. References that are absent are absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A real number.
    Float(f32),
    /// No vector, text or table.
    Absent,
}

/// What an option field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// An integer or an enum's number.
    Int(i64),
    /// A real number.
    Float(f32),
    /// Text.
    Text(String),
    /// Integers or enum numbers.
    Ints(Vec<i64>),
    /// Real numbers.
    Floats(Vec<f32>),
    /// Truth values.
    Bools(Vec<bool>),
}

/// One field of a table, as data.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The field's id; its place in the vtable is `4 + 2 · id`.
    pub id: u16,
    /// The format's name for it.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its value where it is absent.
    pub default: Default,
    /// The name of an enum's number, where the field is an enum.
    pub label: Option<fn(i64) -> Option<&'static str>>,
}

/// A kind of table.
#[derive(Debug)]
pub struct Table {
    /// The format's name for it.
    pub name: &'static str,
    /// Its fields by rising id.
    pub columns: &'static [Column],
}

impl Table {
    /// The field of this id.
    pub fn column(&self, id: u16) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.id == id)
    }

    /// The field of this name.
    pub fn named(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|c| c.name == name)
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

/// A field whose values are of type `T`: `conv_2d_options::STRIDE_H` is a `Field<i32>`.
pub struct Field<T> {
    /// The kind of table it is a field of.
    pub table: &'static Table,
    /// Its id.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    marker: PhantomData<fn() -> T>,
}

impl<T> Field<T> {
    /// A field of `table`; only generated tables call this.
    pub(crate) const fn new(table: &'static Table, id: u16, name: &'static str) -> Self {
        Field { table, id, name, marker: PhantomData }
    }

    /// Where the vtable says at which place the field lies: `4 + 2 · id` bytes in.
    pub const fn slot(self) -> u16 {
        4 + 2 * self.id
    }
}

impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Field<T> {}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table.name, self.name)
    }
}

/// Stands for the value of a field that refers to tables.
#[derive(Clone, Copy, Debug)]
pub enum Reference {}

/// A Rust type that is a field's value.
pub trait Datum: Sized {
    /// The field type it stands for.
    const KIND: Kind;
    /// The value.
    fn into_value(self) -> Value;
    /// Itself, where `value` is one of this type.
    fn from_value(value: &Value) -> Option<Self>;
    /// Itself, from a field's default; an absent vector or text is an empty one.
    fn from_default(default: Default) -> Option<Self> {
        match default {
            Default::Bool(v) => Self::from_value(&Value::Bool(v)),
            Default::Int(v) => Self::from_value(&Value::Int(v)),
            Default::Float(v) => Self::from_value(&Value::Float(v)),
            Default::Absent => {
                [Value::Ints(vec![]), Value::Floats(vec![]), Value::Bools(vec![]), Value::Text(String::new())]
                    .iter()
                    .find_map(Self::from_value)
            }
        }
    }
}

macro_rules! integers {
    ($($t:ident $scalar:ident),*) => {$(
        impl Datum for $t {
            const KIND: Kind = Kind::Scalar(Scalar::$scalar);
            fn into_value(self) -> Value {
                Value::Int(self as i64)
            }
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Int(v) => (*v).try_into().ok(),
                    _ => None,
                }
            }
        }

        impl Datum for Vec<$t> {
            const KIND: Kind = Kind::Vector(Scalar::$scalar);
            fn into_value(self) -> Value {
                Value::Ints(self.into_iter().map(|v| v as i64).collect())
            }
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Ints(v) => v.iter().map(|&v| v.try_into().ok()).collect(),
                    _ => None,
                }
            }
        }
    )*};
}

// No option is a u64 scalar or vector; those of Buffer and Operator are written and read by their slots.
integers!(i8 I8, u8 U8, i16 I16, u16 U16, i32 I32, u32 U32, i64 I64);

macro_rules! whole {
    ($($t:ty, $kind:expr, $variant:ident;)*) => {$(
        impl Datum for $t {
            const KIND: Kind = $kind;
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(v) => Some(v.clone()),
                    _ => None,
                }
            }
        }
    )*};
}

whole! {
    bool, Kind::Scalar(Scalar::Bool), Bool;
    f32, Kind::Scalar(Scalar::F32), Float;
    String, Kind::Text, Text;
    Vec<bool>, Kind::Vector(Scalar::Bool), Bools;
    Vec<f32>, Kind::Vector(Scalar::F32), Floats;
}

/// Declares an enum of the format as a number with named values, so that numbers without a name survive.
macro_rules! enumeration {
    ($name:ident : $repr:ident $scalar:ident { $($value:ident = $number:literal,)* }) => {
        #[doc = concat!("The format's `", stringify!($name), "`.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl $name {
            $(
                #[doc = concat!("`", stringify!($value), "`")]
                pub const $value: $name = $name($number);
            )*

            /// Every named value.
            pub const NAMED: &[$name] = &[$($name::$value,)*];

            /// The format's name for it, where the number has one.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($value)),)*
                    _ => None,
                }
            }

            /// The format's name for a number, where it has one.
            pub fn label(number: i64) -> Option<&'static str> {
                $name(number.try_into().ok()?).name()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{} {}", stringify!($name), self.0),
                }
            }
        }

        impl $crate::Datum for $name {
            const KIND: $crate::Kind = $crate::Kind::Scalar($crate::Scalar::$scalar);
            fn into_value(self) -> $crate::Value {
                $crate::Value::Int(self.0.into())
            }
            fn from_value(value: &$crate::Value) -> Option<Self> {
                match value {
                    $crate::Value::Int(v) => (*v).try_into().ok().map($name),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use enumeration;

/// Declares a table's module: its `TABLE` and one typed `Field` per field.
macro_rules! table {
    ($name:ident $module:ident { $($id:literal $constant:ident $field:literal $t:ty, $kind:expr, $default:expr, $label:expr;)* }) => {
        #[doc = concat!("The fields of `", stringify!($name), "`.")]
        pub mod $module {
            #[allow(unused_imports, reason = "a table without fields needs none of them")]
            use crate::{Column, Default as D, Field, Kind as K, Reference, Scalar as S, Table};

            /// Every field of this table.
            pub static TABLE: Table = Table {
                name: stringify!($name),
                columns: &[$(Column { id: $id, name: $field, kind: $kind, default: $default, label: $label },)*],
            };
            $(
                #[doc = concat!("`", $field, "`, id ", stringify!($id), ".")]
                pub const $constant: Field<$t> = Field::new(&TABLE, $id, $field);
            )*
        }
    };
}
pub(crate) use table;
