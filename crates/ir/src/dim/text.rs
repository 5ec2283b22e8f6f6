//! Expressions as text, and text as expressions: `2*floor(s0/2)`; reading what was written gives it back.

use std::fmt;
use std::str::FromStr;

use super::{Dim, Expr, Real};

/// The deepest nesting that is read, so that no text can exhaust the stack.
const DEPTH: usize = 128;

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(n) => write!(f, "{n}"),
            Dim::Symbolic(e) => write!(f, "{e}"),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(positive) = without_sign(self) {
            return write!(f, "-{}", term(&positive));
        }
        match self {
            Expr::Call(name, args) if &**name == "add" && args.len() > 1 => {
                f.write_str(&summand(&args[0]))?;
                for arg in &args[1..] {
                    match without_sign(arg) {
                        Some(positive) => write!(f, "-{}", term(&positive))?,
                        None => write!(f, "+{}", summand(arg))?,
                    }
                }
                Ok(())
            }
            other => f.write_str(&term(other)),
        }
    }
}

/// An expression as part of a sum.
fn summand(expr: &Expr) -> String {
    if is(expr, "add") { format!("({expr})") } else { expr.to_string() }
}

/// An expression as a product, or as part of one.
fn term(expr: &Expr) -> String {
    match expr {
        Expr::Call(name, args) if &**name == "mul" && args.len() > 1 => {
            args.iter().map(factor).collect::<Vec<_>>().join("*")
        }
        other => factor(other),
    }
}

/// An expression that binds tighter than any operator.
fn factor(expr: &Expr) -> String {
    match expr {
        Expr::Int(n) if *n >= 0 => n.to_string(),
        Expr::Real(x) if x.get().is_sign_positive() => format!("{:?}", x.get()),
        Expr::Int(n) => format!("({n})"),
        Expr::Real(x) => format!("({:?})", x.get()),
        Expr::Symbol(name) => name.to_string(),
        Expr::Call(..) if is(expr, "add") || is(expr, "mul") => format!("({expr})"),
        Expr::Call(name, args) => match (&**name, args.as_slice()) {
            ("floordiv", [a, b]) => format!("floor({}/{})", term(a), factor(b)),
            ("ceildiv", [a, b]) => format!("ceil({}/{})", term(a), factor(b)),
            _ => format!("{name}({})", args.iter().map(Expr::to_string).collect::<Vec<_>>().join(",")),
        },
    }
}

/// Is it a sum or a product of at least two?
fn is(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Call(n, args) if &**n == name && args.len() > 1)
}

/// What `-` is written before, where reading that gives the expression back.
fn without_sign(expr: &Expr) -> Option<Expr> {
    let positive = match expr {
        Expr::Int(n) if *n < 0 => Expr::Int(n.checked_neg()?),
        Expr::Real(x) if x.get().is_sign_negative() => Expr::Real(Real::new(-x.get())?),
        Expr::Call(name, args) if &**name == "mul" => match args.as_slice() {
            [Expr::Int(-1), only] => only.clone(),
            [Expr::Int(n), rest @ ..] if *n < 0 && !rest.is_empty() => {
                let mut args = vec![Expr::Int(n.checked_neg()?)];
                args.extend_from_slice(rest);
                Expr::call("mul", args)
            }
            _ => return None,
        },
        _ => return None,
    };
    (negated(positive.clone()) == *expr).then_some(positive)
}

/// A term with a minus sign before it.
fn negated(term: Expr) -> Expr {
    match term {
        // The sign of a literal is read with it, so only literals from 0 upwards come here.
        Expr::Int(n) => Expr::Int(-n),
        Expr::Real(x) => Real::new(-x.get()).map_or(Expr::Int(0), Expr::Real),
        Expr::Call(name, mut args) if &*name == "mul" && args.len() > 1 => match args[0] {
            Expr::Int(n) if n >= 0 => {
                args[0] = Expr::Int(-n);
                Expr::Call(name, args)
            }
            _ => Expr::call("mul", [Expr::Int(-1), Expr::Call(name, args)]),
        },
        other => Expr::call("mul", [Expr::Int(-1), other]),
    }
}

impl FromStr for Dim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse()? {
            Expr::Int(n) if n < 0 => Err(format!("a size cannot be {n}")),
            expr => Ok(Dim::from(expr)),
        }
    }
}

impl FromStr for Expr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut reader = Reader { rest: text, depth: 0 };
        let expr = reader.sum()?;
        if !reader.rest.is_empty() {
            return Err(format!("'{}' is left over in '{text}'", reader.rest));
        }
        Ok(expr)
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
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

    fn need(&mut self, c: char) -> Result<(), String> {
        if self.take(c) { Ok(()) } else { Err(format!("'{c}' is missing before '{}'", self.rest)) }
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let first = if self.take('-') { self.negative()? } else { self.product()? };
        let mut terms = vec![first];
        loop {
            if self.take('+') {
                terms.push(self.product()?);
            } else if self.take('-') {
                terms.push(self.negative()?);
            } else if terms.len() == 1 {
                return Ok(terms.remove(0));
            } else {
                return Ok(Expr::call("add", terms));
            }
        }
    }

    /// A product with a minus sign before it; the sign of a leading literal is read with it.
    fn negative(&mut self) -> Result<Expr, String> {
        if !self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.product().map(negated);
        }
        let first = self.literal(true)?;
        self.product_after(first)
    }

    fn product(&mut self) -> Result<Expr, String> {
        let first = self.factor()?;
        self.product_after(first)
    }

    fn product_after(&mut self, first: Expr) -> Result<Expr, String> {
        let mut factors = vec![first];
        while self.take('*') {
            factors.push(self.factor()?);
        }
        Ok(if factors.len() == 1 { factors.remove(0) } else { Expr::call("mul", factors) })
    }

    fn factor(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("an expression is nested more than {DEPTH} deep"));
        }
        let expr = self.factor_within();
        self.depth -= 1;
        expr
    }

    fn factor_within(&mut self) -> Result<Expr, String> {
        if self.take('(') {
            let inner = self.sum()?;
            self.need(')')?;
            return Ok(inner);
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.literal(false);
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() {
            return Err(format!("a number, a symbol or a function is missing before '{}'", self.rest));
        }
        if !self.take('(') {
            return Ok(Expr::symbol(name));
        }
        self.arguments(name)
    }

    fn arguments(&mut self, name: &str) -> Result<Expr, String> {
        let mut args = Vec::new();
        if self.take(')') {
            return Ok(Expr::call(name, args));
        }
        loop {
            args.push(self.sum()?);
            let over = match name {
                "floor" => "floordiv",
                "ceil" => "ceildiv",
                _ => "",
            };
            if args.len() == 1 && !over.is_empty() && self.take('/') {
                args.push(self.factor()?);
                self.need(')')?;
                return Ok(Expr::call(over, args));
            }
            if !self.take(',') {
                self.need(')')?;
                return Ok(Expr::call(name, args));
            }
        }
    }

    fn literal(&mut self, negative: bool) -> Result<Expr, String> {
        let start = self.rest;
        self.word(|c| c.is_ascii_digit());
        let mut real = false;
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            self.word(|c| c.is_ascii_digit());
            real = true;
        }
        if let Some(rest) = self.rest.strip_prefix(['e', 'E']) {
            self.rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
            self.word(|c| c.is_ascii_digit());
            real = true;
        }
        let digits = &start[..start.len() - self.rest.len()];
        let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
        let number = if real {
            signed.parse().ok().and_then(Real::new).map(Expr::Real)
        } else {
            signed.parse().ok().map(Expr::Int)
        };
        number.ok_or_else(|| format!("'{signed}' is not a 64-bit number"))
    }

    fn word(&mut self, within: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !within(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_prints_as_it_was() {
        for text in [
            "0",
            "-3",
            "s0",
            "-s0",
            "s0+1",
            "s0-1",
            "1-s0",
            "-2*s0+s1",
            "s0-2*s1",
            "2*floor(s0/2)",
            "floor((s0-1)/2)+1",
            "ceil(2*s0/(s1+1))",
            "max(s0,1,s1-1)",
            "floor(s0)",
            "(s0+1)*(s1-2)",
            "s0*(-1)",
            "(-1)*5",
            "s0+(s1+s2)",
            "s0*(s1*s2)",
            "1.5*s0",
            "float(s0)",
            "where(lt(s0,3),1,2)",
            "(-9223372036854775808)",
            "-9223372036854775807",
            "-0.0",
            "1e300",
            "-(s0+1)",
            "-(s0*s1)",
            "-max(s0,1)",
            "floor(-s0/2)",
            "floor((-3)/2)",
            "add(s0)",
            "mul()",
        ] {
            let expr: Expr = text.parse().unwrap();
            assert_eq!(expr.to_string().parse::<Expr>().as_ref(), Ok(&expr), "{text}");
        }
    }

    #[test]
    fn the_text_is_the_shortest_that_says_it() {
        for (text, shown) in [
            ("s0 + -1", "s0-1"),
            ("add(mul(2,s0),mul(-1,s1))", "2*s0-s1"),
            ("floordiv(add(s0,-1),2)", "floor((s0-1)/2)"),
            ("-(2*s0)", "-2*s0"),
        ] {
            let expr: Expr = text.replace("+ -", "-").parse().unwrap();
            assert_eq!(expr.to_string(), shown);
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        let deep = "(".repeat(100_000);
        for text in [
            "",
            "s0+",
            "(s0",
            "s0)",
            "99999999999999999999",
            "max(s0,",
            "s0 s1",
            "*",
            "1e999",
            "floor(1/2/3)",
            &deep,
        ] {
            assert!(text.parse::<Expr>().is_err(), "{}", &text[..text.len().min(20)]);
        }
        assert!("-1".parse::<Dim>().is_err());
        assert_eq!("3".parse::<Dim>(), Ok(Dim::Known(3)));
    }
}
