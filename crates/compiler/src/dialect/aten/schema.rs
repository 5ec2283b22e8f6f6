//! The table of ATen overloads: which arguments each has, in order, with defaults, writes and views.

use std::sync::LazyLock;

use indexmap::IndexMap;

use super::Argument;

/// What the operator registry says of one overload.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    /// The arguments in order, by name.
    pub parameters: IndexMap<&'static str, Parameter>,
}

/// One argument of an overload.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameter {
    /// What stands for it where a call leaves it out.
    pub default: Option<Argument>,
    /// Does the call write it?
    pub written: bool,
    /// May the results share its memory?
    pub viewed: bool,
    /// Is it a list of tensors?
    pub list: bool,
}

impl Schema {
    /// The overload of this name, such as `aten.conv2d.default`.
    pub fn of(target: &str) -> Option<&'static Schema> {
        TABLE.get(target)
    }

    /// The arguments that a call writes.
    pub fn written(&self) -> impl Iterator<Item = &'static str> {
        self.parameters.iter().filter(|(_, p)| p.written).map(|(name, _)| *name)
    }

    /// The argument whose memory the results may share.
    pub fn viewed(&self) -> Option<&'static str> {
        self.parameters.iter().find(|(_, p)| p.viewed).map(|(name, _)| *name)
    }
}

static TABLE: LazyLock<IndexMap<&'static str, Schema>> = LazyLock::new(|| {
    include_str!("../aten.schemas")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| read_line(line).expect("the table is written by a script and tested"))
        .collect()
});

/// Reads `aten.add_.Tensor(self!, other, alpha=1)`.
fn read_line(line: &'static str) -> Option<(&'static str, Schema)> {
    let (target, rest) = line.split_once('(')?;
    let mut rest = rest.strip_suffix(')')?;
    let mut parameters = IndexMap::new();
    while !rest.is_empty() {
        let end = rest.find([',', '=']).unwrap_or(rest.len());
        let (name, parameter) = read_name(&rest[..end]);
        rest = &rest[end..];
        let mut parameter = parameter;
        if let Some(value) = rest.strip_prefix('=') {
            let (default, after) = read_value(value)?;
            parameter.default = Some(default);
            rest = after;
        }
        parameters.insert(name, parameter);
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
    Some((target, Schema { parameters }))
}

/// Splits a name from its marks: `[]` a list of tensors, `!` written, `~` viewed.
fn read_name(marked: &'static str) -> (&'static str, Parameter) {
    let name = marked.trim_end_matches(['[', ']', '!', '~']);
    let marks = &marked[name.len()..];
    let parameter = Parameter {
        default: None,
        written: marks.contains('!'),
        viewed: marks.contains('~'),
        list: marks.contains("[]"),
    };
    (name, parameter)
}

/// Reads one default and gives back what follows it.
fn read_value(text: &'static str) -> Option<(Argument, &'static str)> {
    if let Some(rest) = text.strip_prefix('"') {
        let (value, rest) = rest.split_once('"')?;
        return Some((Argument::Text(value.to_owned()), rest));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (values, rest) = rest.split_once(']')?;
        return Some((read_list(values)?, rest));
    }
    let end = text.find(',').unwrap_or(text.len());
    Some((read_word(&text[..end])?, &text[end..]))
}

fn read_word(word: &str) -> Option<Argument> {
    match word {
        "None" => Some(Argument::None),
        "True" => Some(Argument::Bool(true)),
        "False" => Some(Argument::Bool(false)),
        _ => word.parse().map(Argument::Int).or_else(|_| word.parse().map(Argument::Float)).ok(),
    }
}

fn read_list(values: &str) -> Option<Argument> {
    let words: Vec<&str> = values.split(", ").filter(|w| !w.is_empty()).collect();
    if let Some(ints) = words.iter().map(|w| w.parse().ok()).collect::<Option<Vec<i64>>>() {
        return Some(Argument::Ints(ints));
    }
    if let Some(floats) = words.iter().map(|w| w.parse().ok()).collect::<Option<Vec<f64>>>() {
        return Some(Argument::Floats(floats));
    }
    let bools = words.iter().map(|w| match *w {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    });
    bools.collect::<Option<Vec<bool>>>().map(Argument::Bools)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert!(TABLE.len() > 350, "{} overloads", TABLE.len());
        for (target, schema) in TABLE.iter() {
            assert!(target.starts_with("aten."), "{target}");
            for name in schema.parameters.keys() {
                assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{target}: {name}");
            }
        }
    }

    #[test]
    fn defaults_writes_and_views_are_told_apart() {
        let conv = Schema::of("aten.conv2d.default").unwrap();
        assert_eq!(conv.parameters["bias"].default, Some(Argument::None));
        assert_eq!(conv.parameters["stride"].default, Some(Argument::Ints(vec![1, 1])));
        assert_eq!(conv.parameters["groups"].default, Some(Argument::Int(1)));
        assert_eq!(conv.parameters["weight"].default, None);
        assert_eq!(
            Schema::of("aten.conv2d.padding").unwrap().parameters["padding"].default,
            Some(Argument::Text("valid".into()))
        );
        assert_eq!(
            Schema::of("aten.layer_norm.default").unwrap().parameters["eps"].default,
            Some(Argument::Float(1e-5))
        );

        let add = Schema::of("aten.add_.Tensor").unwrap();
        assert_eq!(add.written().collect::<Vec<_>>(), ["self"]);
        assert_eq!(add.viewed(), None);
        let split = Schema::of("aten.split.Tensor").unwrap();
        assert_eq!((split.written().count(), split.viewed()), (0, Some("self")));
        assert!(Schema::of("aten.cat.default").unwrap().parameters["tensors"].list);
    }
}
