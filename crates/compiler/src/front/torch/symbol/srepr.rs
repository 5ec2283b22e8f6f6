//! Reads a sympy `srepr`, such as `Mul(Integer(2), Symbol('s77', positive=True, integer=True))`.

use ir::{Expr, Real};

/// The deepest nesting that is read, so that no text can exhaust the stack.
const DEPTH: usize = 128;

/// The expression that a `srepr` spells. Errs in words.
pub(in super::super) fn parse(text: &str) -> Result<Expr, String> {
    let mut reader = Reader { rest: text, depth: 0 };
    let expr = match reader.value()? {
        Value::Expr(expr) => expr,
        other => return Err(format!("{other:?} is no expression")),
    };
    if !reader.rest.trim().is_empty() {
        return Err(format!("'{}' is left over", reader.rest));
    }
    Ok(expr)
}

/// What stands between commas.
#[derive(Debug)]
enum Value {
    Expr(Expr),
    Text(String),
    /// `positive=True` and the like, which say nothing that matters here.
    Keyword,
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        if let Some(quoted) = self.rest.strip_prefix(['\'', '"']) {
            let quote = &self.rest[..1];
            let (text, rest) = quoted.split_once(quote).ok_or("a text has no end")?;
            self.rest = rest;
            return Ok(Value::Text(text.to_owned()));
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return self.number().map(Value::Expr);
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        if self.take('=') {
            self.value()?;
            return Ok(Value::Keyword);
        }
        if !self.take('(') {
            return match name {
                "true" | "True" => Ok(Value::Expr(Expr::Int(1))),
                "false" | "False" => Ok(Value::Expr(Expr::Int(0))),
                _ => Err(format!("'{name}' before '{}' is no expression", self.rest)),
            };
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("an expression is nested more than {DEPTH} deep"));
        }
        let (exprs, texts) = self.arguments()?;
        self.depth -= 1;
        call(name, exprs, &texts).map(Value::Expr)
    }

    fn arguments(&mut self) -> Result<(Vec<Expr>, Vec<String>), String> {
        let (mut exprs, mut texts) = (Vec::new(), Vec::new());
        while !self.take(')') {
            match self.value()? {
                Value::Expr(expr) => exprs.push(expr),
                Value::Text(text) => texts.push(text),
                Value::Keyword => {}
            }
            if !self.take(',') && !self.rest.starts_with(')') {
                return Err(format!("')' is missing before '{}'", self.rest));
            }
        }
        Ok((exprs, texts))
    }

    fn number(&mut self) -> Result<Expr, String> {
        let word = self.word(|c| c.is_ascii_digit() || "+-.eE".contains(c));
        let number =
            if word.contains(['.', 'e', 'E']) { real(word) } else { word.parse().ok().map(Expr::Int) };
        number.ok_or_else(|| format!("'{word}' is not a 64-bit number"))
    }

    fn word(&mut self, within: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !within(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }
}

fn real(text: &str) -> Option<Expr> {
    text.parse().ok().and_then(Real::new).map(Expr::Real)
}

/// The sympy and torch function `head` as one of [`Expr`]'s.
fn call(head: &str, mut args: Vec<Expr>, texts: &[String]) -> Result<Expr, String> {
    let wrong = |args: &[Expr]| format!("{head} of {} arguments is not known", args.len() + texts.len());
    let ours = match (head, args.len()) {
        ("Symbol" | "Dummy", 0) => {
            let name = texts.first().ok_or_else(|| wrong(&args))?;
            let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            return if plain {
                Ok(Expr::symbol(name))
            } else {
                Err(format!("'{name}' is no name of a symbol"))
            };
        }
        // The text has more digits than an f64 holds, so it rounds to the f64 it was printed from.
        ("Float", 0) => {
            return texts.first().and_then(|t| real(t)).ok_or_else(|| wrong(&args));
        }
        ("Integer" | "Identity", 1) => return Ok(args.remove(0)),
        ("Float", 1) => "float",
        ("ModularIndexing", 3) => {
            let modulus = args.remove(2);
            return Ok(Expr::call("mod", [Expr::call("floordiv", args), modulus]));
        }
        ("RoundDecimal", 2) if args[1] == Expr::Int(0) => {
            args.truncate(1);
            return Ok(Expr::call("float", [Expr::call("round", args)]));
        }
        ("Add", _) => "add",
        ("Mul", _) => "mul",
        ("Max", 1..) => "max",
        ("Min", 1..) => "min",
        ("And", _) => "and",
        ("Or", _) => "or",
        ("Not", 1) => "not",
        ("Pow" | "PowByNatural" | "FloatPow", 2) => "pow",
        ("FloorDiv" | "CleanDiv", 2) => "floordiv",
        ("CeilDiv", 2) => "ceildiv",
        ("Mod" | "PythonMod", 2) => "mod",
        ("IntTrueDiv" | "FloatTrueDiv" | "Rational", 2) => "truediv",
        ("LShift", 2) => "lshift",
        ("RShift", 2) => "rshift",
        ("ToFloat", 1) => "float",
        ("TruncToFloat", 1) => return Ok(Expr::call("float", [Expr::call("trunc", args)])),
        ("TruncToInt", 1) => "trunc",
        ("FloorToInt" | "floor", 1) => "floor",
        ("CeilToInt" | "ceiling", 1) => "ceil",
        ("RoundToInt", 1) => "round",
        ("Where", 3) => "where",
        ("Equality", 2) => "eq",
        ("Unequality", 2) => "ne",
        ("StrictLessThan", 2) => "lt",
        ("LessThan", 2) => "le",
        ("StrictGreaterThan", 2) => "gt",
        ("GreaterThan", 2) => "ge",
        _ => return Err(wrong(&args)),
    };
    // A sum or product of one is that one.
    if matches!(ours, "add" | "mul") && args.len() == 1 {
        return Ok(args.remove(0));
    }
    Ok(Expr::call(ours, args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_archives_hold_is_read() {
        for (text, shown) in [
            ("Symbol('s77', positive=True, integer=True)", "s77"),
            ("Mul(Integer(2), Symbol('s77', positive=True, integer=True))", "2*s77"),
            (
                "Add(FloorDiv(Add(Symbol('s53', positive=True, integer=True), Integer(-1)), Integer(2)), Integer(1))",
                "floor((s53-1)/2)+1",
            ),
            ("Max(Integer(1), Symbol('u0', integer=True))", "max(1,u0)"),
            ("LessThan(Symbol('s0'), IntTrueDiv(Symbol('s1'), Integer(2)))", "le(s0,truediv(s1,2))"),
            ("ModularIndexing(Symbol('s0'), Integer(4), Integer(3))", "mod(floor(s0/4),3)"),
            ("TruncToInt(Mul(ToFloat(Symbol('s0')), Float('1.5', precision=53)))", "trunc(float(s0)*1.5)"),
            ("true", "1"),
        ] {
            assert_eq!(parse(text).map(|e| e.to_string()).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_or_damaged_is_an_error() {
        let deep = "Add(".repeat(100_000);
        for text in [
            "",
            "Symbol()",
            "Symbol('a b')",
            "Frob(Integer(1))",
            "Add(Integer(1)",
            "Integer(99999999999999999999)",
            "Symbol('s0') x",
            "'s0'",
            "Symbol('s0",
            "FloorDiv(Integer(1))",
            "s0",
            &deep,
        ] {
            assert!(parse(text).is_err(), "{}", &text[..text.len().min(30)]);
        }
    }
}
