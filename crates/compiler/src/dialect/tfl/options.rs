//! The options of one operator: values of fields of its options table.

use std::collections::BTreeMap;
use std::fmt;

use schema::tflite::{BUILTIN_OPTIONS, BUILTIN_OPTIONS2, Builtin, CARRIED};
use schema::{Column, Datum, Default, Field, Table, Value};

/// The options of one operator. Fields at their default are not held, so equal options compare equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    table: Option<&'static Table>,
    values: BTreeMap<u16, Value>,
    /// The union (1 or 2) and tag of a table that this release of the format does not know.
    unknown: Option<(u8, u8)>,
}

impl Options {
    /// The default options of an operator; none for an operator that carries no options table.
    pub fn of(operator: Builtin) -> Self {
        Options { table: carried(operator), ..Options::default() }
    }

    /// The default options of a table.
    pub fn of_table(table: &'static Table) -> Self {
        Options { table: Some(table), ..Options::default() }
    }

    /// No options table, as custom operators have it.
    pub fn none() -> Self {
        Options::default()
    }

    /// A table that is known only by its union (1 or 2) and tag. Such options can be shown, not written.
    pub fn unknown(union: u8, tag: u8) -> Self {
        Options { unknown: Some((union, tag)), ..Options::default() }
    }

    /// The options table, where there is one that we know.
    pub fn table(&self) -> Option<&'static Table> {
        self.table
    }

    /// The union and tag of a table that we do not know.
    pub fn unknown_tag(&self) -> Option<(u8, u8)> {
        self.unknown
    }

    /// The union (1 or 2) and tag by which the format names the options table.
    pub fn tag(&self) -> Option<(u8, u8)> {
        let table = self.table?;
        let unions = [(1, BUILTIN_OPTIONS), (2, BUILTIN_OPTIONS2)];
        unions.iter().find_map(|(union, members)| {
            members.iter().find(|(_, t)| *t == table).map(|(tag, _)| (*union, *tag))
        })
    }

    /// Are these the options that `operator` carries?
    pub fn fit(&self, operator: Builtin) -> bool {
        self.unknown.is_none() && self.table == carried(operator)
    }

    /// A field, or its default. Panics where the table has no such field: that is a fault of the caller's code.
    pub fn get<T: Datum>(&self, field: Field<T>) -> T {
        let column = self.column(field.table, field.id);
        let held = self.values.get(&field.id).and_then(T::from_value);
        held.or_else(|| T::from_default(column.default)).expect("a value is of its field's type")
    }

    /// Sets a field. Panics where the table has no such field: that is a fault of the caller's code.
    pub fn set<T: Datum>(&mut self, field: Field<T>, value: T) {
        self.put(self.column(field.table, field.id), value.into_value());
    }

    /// Sets a field known by its column, whose type `value` must be of.
    pub fn put(&mut self, column: &Column, value: Value) {
        if is_default(column.default, &value) {
            self.values.remove(&column.id);
        } else {
            self.values.insert(column.id, value);
        }
    }

    /// The field of this name.
    pub fn named(&self, name: &str) -> Option<&'static Column> {
        self.table?.named(name)
    }

    /// The value of the field of this name, where it differs from its default.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(&self.named(name)?.id)
    }

    /// The fields that differ from their defaults, by rising id.
    pub fn values(&self) -> impl Iterator<Item = (&'static Column, &Value)> {
        let table = self.table;
        self.values.iter().filter_map(move |(id, value)| Some((table?.column(*id)?, value)))
    }

    /// Every number, truth value and enum of the table as (field, text), those at their defaults too, and what else
    /// was set.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.table.map_or(&[][..], |t| t.columns).iter().filter_map(|column| {
            let default = match column.default {
                Default::Bool(v) => Some(Value::Bool(v)),
                Default::Int(v) => Some(Value::Int(v)),
                Default::Float(v) => Some(Value::Float(v)),
                Default::Absent => None,
            };
            let value = self.values.get(&column.id).or(default.as_ref())?;
            Some((column.name, show(column, value)))
        })
    }

    fn column(&self, table: &'static Table, id: u16) -> &'static Column {
        let own = self.table.is_some_and(|own| own == table);
        assert!(own, "field {id} of {} is asked of options of {:?}", table.name, self.table.map(|t| t.name));
        table.column(id).expect("a field is in its table")
    }
}

/// The options table that an operator carries.
fn carried(operator: Builtin) -> Option<&'static Table> {
    let at = CARRIED.binary_search_by_key(&operator, |(o, _)| *o).ok()?;
    Some(CARRIED[at].1)
}

fn is_default(default: Default, value: &Value) -> bool {
    match (default, value) {
        (Default::Bool(d), Value::Bool(v)) => d == *v,
        (Default::Int(d), Value::Int(v)) => d == *v,
        // Bits, so that -0.0 is kept.
        (Default::Float(d), Value::Float(v)) => d.to_bits() == v.to_bits(),
        _ => false,
    }
}

impl fmt::Display for Options {
    /// `padding=VALID stride_w=2`: the fields that differ from their defaults.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> =
            self.values().map(|(column, value)| format!("{}={}", column.name, show(column, value))).collect();
        f.write_str(&shown.join(" "))
    }
}

fn show(column: &Column, value: &Value) -> String {
    match value {
        Value::Int(v) => {
            column.label.and_then(|label| label(*v)).map_or_else(|| v.to_string(), str::to_string)
        }
        Value::Bool(v) => v.to_string(),
        Value::Float(v) => v.to_string(),
        Value::Text(v) => format!("{v:?}"),
        Value::Ints(v) => format!("{v:?}"),
        Value::Floats(v) => format!("{v:?}"),
        Value::Bools(v) => format!("{v:?}"),
    }
}
