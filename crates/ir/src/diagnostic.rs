//! What went wrong, where in the user's Python, and what would mend it; and how that is rendered.

use std::fmt::{self, Write};

use crate::origin::{Frame, Leaf, OriginId, Origins};

/// What the process exits with for a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// A verification, a threshold or a profile check failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// An operator or attribute is not supported.
    Unsupported = 3,
    /// The input is invalid or corrupt.
    Invalid = 4,
    /// A file cannot be read or written, or a memory cap was met.
    Io = 5,
    /// An invariant of ours is broken.
    Internal = 70,
}

/// The kind of a diagnostic: a kebab-case phrase with its explanation.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// `unsupported-operator`
    pub name: &'static str,
    /// The exit status of a process that ends with it.
    pub exit: Exit,
    /// What `explain` prints: what it means, why it is so, what to do.
    pub explanation: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// Declares diagnostic codes: a constant each, whose doc comment is its explanation, and the list of them all.
///
/// ```
/// use edgewright_ir as ir;
/// ir::codes! {
///     /// The archive ends in the middle of an entry.
///     TRUNCATED_ARCHIVE = "truncated-archive", Invalid;
/// }
/// assert_eq!(TRUNCATED_ARCHIVE.name, "truncated-archive");
/// assert_eq!(CODES.len(), 1);
/// ```
#[macro_export]
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $phrase:literal, $exit:ident;)+) => {
        $($(#[doc = $doc])+
        pub const $name: $crate::Code = $crate::Code {
            name: $phrase,
            exit: $crate::Exit::$exit,
            explanation: concat!($($doc, "\n"),+),
        };)+

        /// Every code declared here.
        pub(crate) const CODES: &[$crate::Code] = &[$($name),+];
    };
}

codes! {
    /// An invariant of Edgewright's own is broken.
    ///
    /// Nothing in your model is at fault. The message names the pass and the rule; please report it with the
    /// output of `--dump-ir`.
    BUG = "bug", Internal;
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The result differs from what was asked for only as the ledger says; work goes on.
    Warning,
    /// Nothing is written.
    Error,
}

/// The place in the user's Python, copied out of the origin table; or in another file of theirs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// The user's own line.
    pub line: Option<Frame>,
    /// The module's path; empty at the top, and outside a model.
    pub module: String,
    /// `permute_17 (aten.permute.default)`; empty outside a model.
    pub node: String,
}

impl From<&Leaf> for Place {
    fn from(leaf: &Leaf) -> Self {
        Place {
            line: leaf.line().cloned(),
            module: leaf.module.clone(),
            node: format!("{} ({})", leaf.node, leaf.target),
        }
    }
}

/// One thing to tell the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// Its kind.
    pub code: Code,
    /// How bad it is.
    pub level: Level,
    /// One clause, in PyTorch's and TFLite's words, with the real numbers.
    pub message: String,
    /// Where in the user's Python, each place once; several where one cause has several places.
    pub places: Vec<Place>,
    /// What explains it.
    pub notes: Vec<String>,
    /// An edit the user can make.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            level: Level::Error,
            message: message.into(),
            places: Vec::new(),
            notes: Vec::new(),
            help: None,
        }
    }

    /// A warning.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Diagnostic { level: Level::Warning, ..Diagnostic::new(code, message) }
    }

    /// A broken invariant of ours.
    pub fn bug(message: impl Into<String>) -> Self {
        Diagnostic::new(BUG, message)
    }

    /// At the call that this origin comes from.
    pub fn at(self, origins: &Origins, origin: OriginId) -> Self {
        match origins.leaf(origin) {
            Some(leaf) => self.at_leaf(leaf),
            None => self,
        }
    }

    /// At this call.
    pub fn at_leaf(mut self, leaf: &Leaf) -> Self {
        let place = Place::from(leaf);
        if !self.places.contains(&place) {
            self.places.push(place);
        }
        self
    }

    /// With a note.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// With an edit that would mend it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self))
    }
}

/// The most places of one diagnostic that are shown in full.
const PLACES: usize = 5;

/// A diagnostic as text, in the manner of rustc.
pub fn render(d: &Diagnostic) -> String {
    let mut out = String::new();
    let level = match d.level {
        Level::Warning => "warning",
        Level::Error => "error",
    };
    let width =
        d.places.iter().filter_map(|p| p.line.as_ref()).map(|l| l.line.to_string().len()).max().unwrap_or(2);
    let gutter = " ".repeat(width);
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{level}[{}]: {}", d.code.name, d.message);
    for place in d.places.iter().take(PLACES) {
        if let Some(line) = &place.line {
            let within =
                if line.function.is_empty() { String::new() } else { format!(" in {}", line.function) };
            let _ = writeln!(out, "{gutter}--> {}:{}{within}", line.file, line.line);
            if !line.code.is_empty() {
                let _ = writeln!(out, "{:>width$} |     {}", line.line, line.code);
                let _ = writeln!(out, "{gutter} |");
            }
        }
        if !place.module.is_empty() {
            let _ = writeln!(out, "{gutter} = module   {}", place.module);
        }
        if !place.node.is_empty() {
            let _ = writeln!(out, "{gutter} = node     {}", place.node);
        }
    }
    if let Some(more) = d.places.len().checked_sub(PLACES + 1) {
        let _ = writeln!(out, "{gutter} = note     {} more places like these", more + 1);
    }
    for note in &d.notes {
        let _ = writeln!(out, "{gutter} = note     {note}");
    }
    if let Some(help) = &d.help {
        let _ = writeln!(out, "{gutter} = help     {help}");
    }
    out
}
