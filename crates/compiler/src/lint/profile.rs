//! A hardware profile: what a target can run, as data that a file of TOML says.

mod read;

use std::fs;
use std::path::Path;

use ir::{DType, Diagnostic};

use crate::dialect::tfl::Builtin;
use crate::ops::Order;

ir::codes! {
    /// A hardware profile cannot be read.
    UNREADABLE_PROFILE = "unreadable-profile", Io;

    /// No hardware profile has this name.
    ///
    /// `edgewright profiles` lists those there are. A profile of your own is named by its path, with a slash in it or
    /// the ending `.toml`; `edgewright profiles template` prints one to begin with.
    UNKNOWN_PROFILE = "unknown-profile", Usage;

    /// A hardware profile says something that is not understood.
    ///
    /// Keys, builtins, dtypes and options that do not exist are refused rather than passed over: a limit that is
    /// misspelt would be none. `edgewright profiles template` prints every key with what it means.
    MALFORMED_PROFILE = "malformed-profile", Invalid;
}

/// The profiles that come with the program, in the order in which they are listed.
const EMBEDDED: &[(&str, &str)] = &[
    ("litert-cpu", include_str!("../../../../profiles/litert-cpu.toml")),
    ("xnnpack-only", include_str!("../../../../profiles/xnnpack-only.toml")),
    ("xnnpack-fast", include_str!("../../../../profiles/xnnpack-fast.toml")),
    ("bstm", include_str!("../../../../profiles/bstm.toml")),
    (TEMPLATE, include_str!("../../../../profiles/template.toml")),
];

/// The profile that is no target, but the one to begin with.
const TEMPLATE: &str = "template";

/// What a target can run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// What it is called: its name, or the path of its file.
    pub name: String,
    /// What the target is, in one line.
    pub about: String,
    /// The text that says it all.
    pub text: String,
    /// What it asks of operators and of the tensors between them.
    pub rules: Rules,
    /// What it asks of inputs and outputs.
    pub interface: Interface,
}

/// What a target asks of operators and of the tensors that they read and make.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Builtins that it lacks.
    pub forbid: Vec<Builtin>,
    /// Does it lack every builtin that no condition names?
    pub others_forbidden: bool,
    /// The most axes that a tensor may have.
    pub max_rank: Option<usize>,
    /// Dtypes that no tensor may have.
    pub dtypes: Vec<DType>,
    /// Permutations that TRANSPOSE must not have.
    pub orders: Vec<Order>,
    /// What it asks of single builtins.
    pub conditions: Vec<Condition>,
}

/// What a target asks of some builtins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// Which.
    pub builtins: Vec<Builtin>,
    /// The dtypes that they may make.
    pub dtypes: Option<Vec<DType>>,
    /// The dtypes that their first two operands may have together.
    pub pairs: Option<Vec<(DType, DType)>>,
    /// The most axes of what they read and make.
    pub max_rank: Option<usize>,
    /// The fewest operands.
    pub min_operands: Option<usize>,
    /// The most operands.
    pub max_operands: Option<usize>,
    /// The most taps of a weight or window, height times width.
    pub max_window: Option<usize>,
    /// Options with the only value that they may have, as a report shows it.
    pub options: Vec<(String, String)>,
    /// What is asked of single operands.
    pub operands: Vec<OperandCondition>,
}

/// What a target asks of one operand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperandCondition {
    /// Which operand, from 0.
    pub index: usize,
    /// Must it lie in the file?
    pub constant: bool,
    /// The dtypes that it may have.
    pub dtypes: Option<Vec<DType>>,
    /// The number of axes that it must have.
    pub rank: Option<usize>,
    /// The values that its elements may have, where it is a small constant of integers.
    pub only: Option<Vec<i64>>,
    /// The values that its elements must not have.
    pub never: Vec<i64>,
}

/// What a target asks of inputs and outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Do images come and go with their channels last?
    pub channels_last: bool,
    /// The most axes; leading ones of size 1 are dropped to keep it.
    pub max_rank: Option<usize>,
}

impl Profile {
    /// Names and texts of the profiles that come with the program.
    pub fn embedded() -> impl Iterator<Item = (&'static str, &'static str)> {
        EMBEDDED.iter().copied()
    }

    /// The profile of this name, or in the file at this path.
    pub fn find(name: &str) -> Result<Self, Vec<Diagnostic>> {
        if let Some((name, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
            let profile = Profile::read(name, text)?;
            return Ok(match *name {
                // Its own line is for the copy.
                TEMPLATE => {
                    Profile { about: "no target: a file to copy for a profile of your own".into(), ..profile }
                }
                _ => profile,
            });
        }
        if name.contains(['/', '\\']) || name.ends_with(".toml") {
            let text = fs::read_to_string(Path::new(name)).map_err(|e| {
                vec![Diagnostic::new(UNREADABLE_PROFILE, format!("{name} cannot be read: {e}"))]
            })?;
            return Profile::read(name, &text);
        }
        let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
        let diagnostic = Diagnostic::new(UNKNOWN_PROFILE, format!("no profile is called '{name}'"));
        Err(vec![match ir::nearest(name, names.iter().copied()) {
            Some(near) => diagnostic.help(format!("did you mean {near}?")),
            None => diagnostic
                .note(format!("there are {}", names.join(", ")))
                .help("a profile of your own is named by its path, such as ./mine.toml"),
        }])
    }

    /// The profile that a text says; `name` is what it is called in what is wrong with it. Errs with everything that
    /// is not understood, each with its line.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        read::profile(name, text)
    }
}
