//! What the graph asks of an operator set, and the attributes operators print and parse.

use std::fmt;

use crate::types::TensorType;

/// Why an operator cannot take inputs of the given types: one clause with the real numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(pub String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of operators that a [`crate::Graph`] can hold.
pub trait Operator: Clone + PartialEq + fmt::Debug + Send + Sync + Sized + 'static {
    /// The operator's name in the text form.
    fn name(&self) -> &'static str;

    /// Its attributes, by name, in a fixed order.
    fn attributes(&self) -> Attributes;

    /// The operator of this name and these attributes. Errs where there is none.
    fn parse(name: &str, attributes: &Attributes) -> Result<Self, String>;

    /// The types of its outputs for inputs of the given types.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, Mismatch>;

    /// Can the target run it on these types? Errs with the limit that it meets.
    fn legal(&self, inputs: &[&TensorType], outputs: &[&TensorType]) -> Result<(), Mismatch>;

    /// Does it run on the target even where all that it reads is constant? Its result is then no constant: a weight
    /// that is stored in fewer bits is widened when the model is loaded.
    fn at_run_time(&self) -> bool {
        false
    }
}

/// The value of one attribute in the text form.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// `true`, `false`
    Bool(bool),
    /// `3`
    Int(i64),
    /// `0.5`, `inf`, `nan`
    Float(f64),
    /// `same`: a word
    Word(String),
    /// `[1,2]`, also nested
    List(Vec<Attribute>),
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Bool(b) => write!(f, "{b}"),
            Attribute::Int(n) => write!(f, "{n}"),
            // Debug keeps the point of a whole number, so that it reads back as a float.
            Attribute::Float(x) => write!(f, "{x:?}"),
            Attribute::Word(w) => f.write_str(w),
            Attribute::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Named attributes in a fixed order; absent optional ones are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(pub Vec<(String, Attribute)>);

impl Attributes {
    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, a)| a)
    }

    /// Adds the attribute, unless it is one that is absent.
    pub fn put<T: ToAttribute>(&mut self, name: &str, value: &T) {
        self.0.extend(value.to_attribute().map(|a| (name.to_string(), a)));
    }

    /// Reads a field. Errs where the text has none of this name, or one of another kind.
    pub fn field<T: FromAttribute>(&self, name: &str) -> Result<T, String> {
        T::from_attribute(self.get(name)).ok_or_else(|| match self.get(name) {
            Some(found) => format!("attribute {name}={found} is of the wrong kind"),
            None => format!("attribute {name} is missing"),
        })
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

/// A field of an operator that can be printed as an attribute.
pub trait ToAttribute {
    /// The attribute; `None` leaves it out.
    fn to_attribute(&self) -> Option<Attribute>;
}

/// A field of an operator that can be read from an attribute.
pub trait FromAttribute: Sized {
    /// The field; `None` where the attribute is of another kind. An absent attribute is `None`.
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self>;
}

macro_rules! integers {
    ($($t:ty),*) => { $(
        impl ToAttribute for $t {
            fn to_attribute(&self) -> Option<Attribute> { i64::try_from(*self).ok().map(Attribute::Int) }
        }
        impl FromAttribute for $t {
            fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
                match attribute? { Attribute::Int(n) => <$t>::try_from(*n).ok(), _ => None }
            }
        }
    )* };
}
integers!(usize, i64, i32, u32);

impl ToAttribute for bool {
    fn to_attribute(&self) -> Option<Attribute> {
        Some(Attribute::Bool(*self))
    }
}

impl FromAttribute for bool {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        match attribute? {
            Attribute::Bool(b) => Some(*b),
            _ => None,
        }
    }
}

macro_rules! floats {
    ($($t:ty),*) => { $(
        impl ToAttribute for $t {
            fn to_attribute(&self) -> Option<Attribute> { Some(Attribute::Float(f64::from(*self))) }
        }
        impl FromAttribute for $t {
            fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
                match attribute? {
                    Attribute::Float(x) => Some(*x as $t),
                    Attribute::Int(n) => Some(*n as $t),
                    _ => None,
                }
            }
        }
    )* };
}
floats!(f32, f64);

impl ToAttribute for crate::DType {
    fn to_attribute(&self) -> Option<Attribute> {
        Some(Attribute::Word(self.name().into()))
    }
}

impl FromAttribute for crate::DType {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        match attribute? {
            Attribute::Word(w) => w.parse().ok(),
            _ => None,
        }
    }
}

impl<T: ToAttribute> ToAttribute for Option<T> {
    fn to_attribute(&self) -> Option<Attribute> {
        self.as_ref()?.to_attribute()
    }
}

impl<T: FromAttribute> FromAttribute for Option<T> {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        match attribute {
            None => Some(None),
            some => T::from_attribute(some).map(Some),
        }
    }
}

impl<T: ToAttribute> ToAttribute for Vec<T> {
    fn to_attribute(&self) -> Option<Attribute> {
        Some(Attribute::List(self.iter().filter_map(T::to_attribute).collect()))
    }
}

impl<T: FromAttribute> FromAttribute for Vec<T> {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        match attribute? {
            Attribute::List(items) => items.iter().map(|i| T::from_attribute(Some(i))).collect(),
            _ => None,
        }
    }
}

impl<T: ToAttribute, const N: usize> ToAttribute for [T; N] {
    fn to_attribute(&self) -> Option<Attribute> {
        Some(Attribute::List(self.iter().filter_map(T::to_attribute).collect()))
    }
}

impl<T: FromAttribute, const N: usize> FromAttribute for [T; N] {
    fn from_attribute(attribute: Option<&Attribute>) -> Option<Self> {
        Vec::from_attribute(attribute)?.try_into().ok()
    }
}
