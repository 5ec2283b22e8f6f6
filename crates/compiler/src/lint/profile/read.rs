//! TOML as a profile: every key and every name is known, or told with its line and what may have been meant.

use std::ops::Range;

use ir::{DType, Diagnostic, Frame, Place};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{Condition, Interface, MALFORMED_PROFILE, OperandCondition, Profile, Rules};
use crate::dialect::tfl::{Builtin, Options};
use crate::ops::Order;

/// The most axes that any kernel takes.
const MOST_AXES: usize = 8;

pub(super) fn profile(name: &str, text: &str) -> Result<Profile, Vec<Diagnostic>> {
    let mut reader = Reader { name, text, found: Vec::new() };
    let root = match DeTable::parse(text) {
        Ok(root) => root,
        Err(e) => {
            let message = e.message().trim().replace('\n', ", ");
            reader.wrong(&e.span().unwrap_or(0..0), message, None);
            return Err(reader.found);
        }
    };
    let mut profile = Profile { name: name.to_string(), text: text.to_string(), ..Profile::default() };
    reader.root(root.get_ref(), &mut profile);
    profile.interface.max_rank = profile.interface.max_rank.or(profile.rules.max_rank);
    if reader.found.is_empty() {
        return Ok(profile);
    }
    // Tables hold their keys by name; what is wrong is told from the top of the file down.
    reader.found.sort_by_key(|d| d.places.first().and_then(|p| p.line.as_ref()).map_or(0, |l| l.line));
    Err(reader.found)
}

struct Reader<'t> {
    name: &'t str,
    text: &'t str,
    found: Vec<Diagnostic>,
}

type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    fn wrong(&mut self, span: &Range<usize>, message: impl Into<String>, help: Option<String>) {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count();
        let code = self.text.lines().nth(line).unwrap_or_default().trim().to_string();
        let file = self.name.to_string();
        let frame = Frame { file, line: line as u32 + 1, function: String::new(), code };
        let mut diagnostic = Diagnostic::new(MALFORMED_PROFILE, message);
        diagnostic.places.push(Place { line: Some(frame), ..Place::default() });
        diagnostic.help = help;
        self.found.push(diagnostic);
    }

    /// Goes through a table of these keys; `take` reads the value of one.
    fn table<'v, 'i>(
        &mut self,
        place: &str,
        table: &'v DeTable<'i>,
        keys: &[&str],
        mut take: impl FnMut(&mut Self, &str, &'v Value<'i>),
    ) {
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            if keys.contains(&name) {
                take(self, name, value);
                continue;
            }
            let help = match ir::nearest(name, keys.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("{place} has {}", keys.join(", ")),
            };
            self.wrong(&key.span(), format!("{place} has no key '{name}'"), Some(help));
        }
    }

    fn root(&mut self, root: &DeTable<'_>, profile: &mut Profile) {
        let keys = ["about", "operators", "tensors", "transpose", "interface", "operator"];
        let (about, rules, interface) = (&mut profile.about, &mut profile.rules, &mut profile.interface);
        self.table("a profile", root, &keys, |reader, key, value| match key {
            "about" => *about = reader.word(value).unwrap_or_default(),
            "operators" => reader.operators(value, rules),
            "tensors" => reader.tensors(value, rules),
            "transpose" => reader.transpose(value, rules),
            "interface" => reader.interface(value, interface),
            _ => {
                for (span, table) in reader.tables(value) {
                    let condition = reader.condition(&span, table);
                    rules.conditions.push(condition);
                }
            }
        });
    }

    fn operators(&mut self, value: &Value<'_>, rules: &mut Rules) {
        let Some(table) = self.section(value) else { return };
        self.table("[operators]", table, &["forbid", "others"], |reader, key, value| match key {
            "forbid" => rules.forbid = reader.list(value, Self::builtin),
            _ => {
                let choices = [("allowed", false), ("forbidden", true)];
                rules.others_forbidden = reader.choice(value, &choices).unwrap_or_default();
            }
        });
    }

    fn tensors(&mut self, value: &Value<'_>, rules: &mut Rules) {
        let Some(table) = self.section(value) else { return };
        self.table("[tensors]", table, &["max-rank", "forbid"], |reader, key, value| match key {
            "forbid" => rules.dtypes = reader.list(value, Self::dtype),
            _ => rules.max_rank = reader.rank(value),
        });
    }

    fn transpose(&mut self, value: &Value<'_>, rules: &mut Rules) {
        let Some(table) = self.section(value) else { return };
        self.table("[transpose]", table, &["forbid"], |reader, _, value| {
            rules.orders = reader.list(value, Self::order);
        });
    }

    fn interface(&mut self, value: &Value<'_>, interface: &mut Interface) {
        let Some(table) = self.section(value) else { return };
        self.table("[interface]", table, &["layout", "max-rank"], |reader, key, value| match key {
            "layout" => {
                let choices = [("as-in-pytorch", false), ("nhwc", true)];
                interface.channels_last = reader.choice(value, &choices).unwrap_or_default();
            }
            _ => interface.max_rank = reader.rank(value),
        });
    }

    fn condition(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> Condition {
        let mut condition = Condition::default();
        let keys = [
            "names",
            "dtypes",
            "pairs",
            "max-rank",
            "min-operands",
            "max-operands",
            "max-window",
            "options",
            "operand",
        ];
        let mut options = None;
        self.table("[[operator]]", table, &keys, |reader, key, value| match key {
            "names" => condition.builtins = reader.list(value, Self::builtin),
            "dtypes" => condition.dtypes = Some(reader.list(value, Self::dtype)),
            "pairs" => condition.pairs = Some(reader.list(value, Self::pair)),
            "max-rank" => condition.max_rank = reader.rank(value),
            "min-operands" => condition.min_operands = reader.count(value),
            "max-operands" => condition.max_operands = reader.count(value),
            "max-window" => condition.max_window = reader.count(value),
            "options" => options = reader.section(value),
            _ => {
                for (span, table) in reader.tables(value) {
                    let operand = reader.operand(&span, table);
                    condition.operands.push(operand);
                }
            }
        });
        if !table.contains_key("names") {
            self.wrong(span, "[[operator]] names no builtin", Some("add names = [\"CONV_2D\"]".into()));
        }
        if let Some(options) = options {
            condition.options = self.options(options, &condition.builtins);
        }
        condition
    }

    fn operand(&mut self, span: &Range<usize>, table: &DeTable<'_>) -> OperandCondition {
        let mut operand = OperandCondition::default();
        let keys = ["index", "constant", "dtypes", "rank", "only", "never"];
        self.table("[[operator.operand]]", table, &keys, |reader, key, value| match key {
            "index" => operand.index = reader.count(value).unwrap_or_default(),
            "constant" => operand.constant = reader.truth(value).unwrap_or_default(),
            "dtypes" => operand.dtypes = Some(reader.list(value, Self::dtype)),
            "rank" => operand.rank = reader.rank(value),
            "only" => operand.only = Some(reader.list(value, Self::integer)),
            _ => operand.never = reader.list(value, Self::integer),
        });
        if !table.contains_key("index") {
            let help = "add index = 0 for the first operand".to_string();
            self.wrong(span, "[[operator.operand]] does not say which operand", Some(help));
        }
        operand
    }

    /// Options by the names of the format; each of the builtins must have them.
    fn options(&mut self, table: &DeTable<'_>, builtins: &[Builtin]) -> Vec<(String, String)> {
        let mut options = Vec::new();
        for (key, value) in table.iter() {
            let name = key.get_ref().to_string();
            if let Some(without) = builtins.iter().find(|b| Options::of(**b).named(&name).is_none()) {
                let fields = Options::of(*without).table().map_or(&[][..], |t| t.columns);
                let near = ir::nearest(&name, fields.iter().map(|c| c.name));
                let help = near.map(|near| format!("did you mean {near}?"));
                self.wrong(&key.span(), format!("{without} has no option '{name}'"), help);
                continue;
            }
            let shown = match value.get_ref() {
                DeValue::Boolean(truth) => Some(truth.to_string()),
                DeValue::Integer(_) => self.integer(value).map(|n| n.to_string()),
                DeValue::Float(number) => number.as_str().parse::<f32>().ok().map(|x| x.to_string()),
                DeValue::String(word) => Some(word.to_string()),
                _ => self.expected(value, "a number, a truth value or a word"),
            };
            options.extend(shown.map(|shown| (name, shown)));
        }
        options
    }

    fn section<'v, 'i>(&mut self, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => self.expected(value, "a table of keys"),
        }
    }

    fn tables<'v, 'i>(&mut self, value: &'v Value<'i>) -> Vec<(Range<usize>, &'v DeTable<'i>)> {
        let Some(array) = self.array(value, "a block in double brackets, such as [[operator]],") else {
            return Vec::new();
        };
        array.iter().filter_map(|value| Some((value.span(), self.section(value)?))).collect()
    }

    fn array<'v, 'i>(&mut self, value: &'v Value<'i>, what: &str) -> Option<&'v DeArray<'i>> {
        match value.get_ref() {
            DeValue::Array(array) => Some(array),
            _ => self.expected(value, what),
        }
    }

    fn list<T>(
        &mut self,
        value: &Value<'_>,
        mut read: impl FnMut(&mut Self, &Value<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(array) = self.array(value, "a list in brackets") else { return Vec::new() };
        array.iter().filter_map(|value| read(self, value)).collect()
    }

    fn expected<T>(&mut self, value: &Value<'_>, what: &str) -> Option<T> {
        self.wrong(&value.span(), format!("{what} is expected here"), None);
        None
    }

    fn word(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref() {
            DeValue::String(word) => Some(word.to_string()),
            _ => self.expected(value, "a word in quotes"),
        }
    }

    fn truth(&mut self, value: &Value<'_>) -> Option<bool> {
        match value.get_ref() {
            DeValue::Boolean(truth) => Some(*truth),
            _ => self.expected(value, "true or false"),
        }
    }

    fn integer(&mut self, value: &Value<'_>) -> Option<i64> {
        let DeValue::Integer(number) = value.get_ref() else {
            return self.expected(value, "a whole number");
        };
        match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Some(number),
            Err(_) => self.expected(value, "a whole number of 64 bits"),
        }
    }

    fn count(&mut self, value: &Value<'_>) -> Option<usize> {
        let number = self.integer(value)?;
        match usize::try_from(number) {
            Ok(count) => Some(count),
            Err(_) => self.expected(value, "a number that is not negative"),
        }
    }

    fn rank(&mut self, value: &Value<'_>) -> Option<usize> {
        let rank = self.count(value)?;
        if !(1..=MOST_AXES).contains(&rank) {
            let message = format!("{rank} axes are no limit: kernels take 1 to {MOST_AXES}");
            self.wrong(&value.span(), message, Some("leave the key out for no limit".into()));
            return None;
        }
        Some(rank)
    }

    fn choice<T: Copy>(&mut self, value: &Value<'_>, choices: &[(&str, T)]) -> Option<T> {
        let word = self.word(value)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word) {
            return Some(*choice);
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let help = format!("say {}", names.join(" or "));
        self.wrong(&value.span(), format!("'{word}' is none of the choices"), Some(help));
        None
    }

    fn builtin(&mut self, value: &Value<'_>) -> Option<Builtin> {
        let word = self.word(value)?;
        let named = || Builtin::NAMED.iter().filter_map(|b| Some((b.name()?, *b)));
        if let Some((_, builtin)) = named().find(|(name, _)| *name == word) {
            return Some(builtin);
        }
        let near = ir::nearest(&word.to_uppercase(), named().map(|(name, _)| name));
        let help = near.map(|near| format!("did you mean {near}?"));
        self.wrong(&value.span(), format!("no builtin is called '{word}'"), help);
        None
    }

    fn dtype(&mut self, value: &Value<'_>) -> Option<DType> {
        let word = self.word(value)?;
        if let Ok(dtype) = word.parse() {
            return Some(dtype);
        }
        // Other formats' names for the same: int64, float32, FLOAT32.
        let short = word.to_lowercase().replace("float", "f").replace("uint", "u").replace("int", "i");
        let near = ir::nearest(&short, DType::ALL.iter().map(|d| d.name()));
        let help = near.map(|near| format!("did you mean {near}?"));
        self.wrong(&value.span(), format!("no dtype is called '{word}'"), help);
        None
    }

    fn pair(&mut self, value: &Value<'_>) -> Option<(DType, DType)> {
        let before = self.found.len();
        match self.list(value, Self::dtype)[..] {
            [first, second] => Some((first, second)),
            _ if self.found.len() > before => None,
            _ => self.expected(value, "two dtypes, such as [\"f32\", \"i8\"],"),
        }
    }

    fn order(&mut self, value: &Value<'_>) -> Option<Order> {
        let before = self.found.len();
        let axes = self.list(value, Self::count);
        if self.found.len() > before {
            return None;
        }
        match Order::new(axes) {
            Ok(order) if order.is_identity() => {
                let help = "leave it out".to_string();
                self.wrong(
                    &value.span(),
                    "this permutation changes nothing, and is never written",
                    Some(help),
                );
                None
            }
            Ok(order) => Some(order),
            Err(why) => {
                let help = "each axis from 0 stands in it once, as in [0, 2, 3, 1]".to_string();
                self.wrong(&value.span(), why.0, Some(help));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(u32, String)> {
        let found = profile("mine.toml", text).unwrap_err();
        let line = |d: &Diagnostic| d.places[0].line.as_ref().map_or(0, |l| l.line);
        let text = |d: &Diagnostic| format!("{} | {}", d.message, d.help.clone().unwrap_or_default());
        found.iter().map(|d| (line(d), text(d))).collect()
    }

    #[test]
    fn the_profiles_of_the_program_are_read() {
        for (name, text) in Profile::embedded() {
            let read = profile(name, text).unwrap_or_else(|found| panic!("{name}: {found:?}"));
            assert!(!read.about.is_empty(), "{name}");
        }
        let bstm = Profile::find("bstm").unwrap();
        assert_eq!(bstm.rules.forbid, [Builtin::GATHER, Builtin::GATHER_ND, Builtin::SCATTER_ND]);
        assert_eq!(bstm.rules.dtypes, [DType::I64]);
        assert_eq!(bstm.rules.orders[1], Order::new(vec![2, 0, 3, 1]).unwrap());
        assert_eq!(bstm.interface, Interface { channels_last: true, max_rank: Some(4) });
    }

    #[test]
    fn every_key_is_known_or_told_with_its_line() {
        let text = "[operators]\nforbid = [\"GATHER\", \"gather_nd\"]\n[tensors]\nmax_rank = 4\n\
                    forbid = [\"int64\"]\n[transpose]\nforbid = [[0, 2, 2, 1]]\n[interface]\nlayout = \"NHWC\"\n\
                    max-rank = 9\n";
        let told = told(text);
        assert_eq!(told.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4, 5, 7, 9, 10]);
        assert_eq!(told[0].1, "no builtin is called 'gather_nd' | did you mean GATHER_ND?");
        assert_eq!(told[1].1, "[tensors] has no key 'max_rank' | did you mean max-rank?");
        assert_eq!(told[2].1, "no dtype is called 'int64' | did you mean i64?");
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line() {
        let told = told("about = \"x\"\n[tensors\n");
        assert_eq!(told.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2]);
    }
}
