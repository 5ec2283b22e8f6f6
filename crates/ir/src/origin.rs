//! Where a value came from: the PyTorch line, and the rules that reshaped it since.

use std::fmt;

use indexmap::IndexSet;

/// One line of a Python traceback.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The file, with the common prefix of all files taken off.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The function that holds the line.
    pub function: String,
    /// The text of the line, where the archive has it.
    pub code: String,
}

/// An operator call as PyTorch recorded it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// The call stack, outermost frame first.
    pub frames: Vec<Frame>,
    /// The index in `frames` of the user's own line, where there is one.
    pub user: Option<usize>,
    /// The module's path, such as `layer1.0.bn1`; empty at the top.
    pub module: String,
    /// The module's class, such as `torch.nn.modules.batchnorm.BatchNorm2d`.
    pub class: String,
    /// The operator overload, such as `aten.conv2d.default`.
    pub target: String,
    /// The name of the FX node.
    pub node: String,
}

impl Leaf {
    /// The user's own line.
    pub fn line(&self) -> Option<&Frame> {
        self.user.and_then(|i| self.frames.get(i))
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line() {
            write!(f, "{}:{} in {}, ", line.file, line.line, line.function)?;
        }
        if !self.module.is_empty() {
            write!(f, "module {}, ", self.module)?;
        }
        write!(f, "{} \"{}\"", self.target, self.node)
    }
}

/// A place in an [`Origins`] table: four bytes per node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OriginId(pub u32);

impl fmt::Display for OriginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

/// Where a node came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A call in the archive.
    Leaf(Leaf),
    /// What a rule or pass made of other nodes, the one whose output it replaces first.
    Derived {
        /// The rule's name.
        rule: String,
        /// The origins of the nodes it replaced.
        from: Vec<OriginId>,
    },
}

/// The interned origins of a graph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    table: IndexSet<Origin>,
}

impl Origins {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The place of this origin, which is added where it is new.
    pub fn intern(&mut self, origin: Origin) -> OriginId {
        OriginId(self.table.insert_full(origin).0 as u32)
    }

    /// What `rule` made of the nodes with these origins. One that derives from a single origin by the same rule
    /// twice is not nested again.
    pub fn derive(&mut self, rule: &str, from: &[OriginId]) -> OriginId {
        let mut unique: Vec<OriginId> = Vec::new();
        for &id in from {
            if !unique.contains(&id) {
                unique.push(id);
            }
        }
        if let [only] = unique[..]
            && matches!(self.get(only), Origin::Derived { rule: r, .. } if r == rule)
        {
            return only;
        }
        self.intern(Origin::Derived { rule: rule.to_string(), from: unique })
    }

    /// The origin at this place. Panics for an id of another table.
    pub fn get(&self, id: OriginId) -> &Origin {
        &self.table[id.0 as usize]
    }

    /// The number of origins.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Is the table empty?
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Every origin, in the order of its id.
    pub fn iter(&self) -> impl Iterator<Item = (OriginId, &Origin)> {
        self.table.iter().enumerate().map(|(i, o)| (OriginId(i as u32), o))
    }

    /// The calls in the archive that a node came from, the most telling first, each once.
    pub fn leaves(&self, id: OriginId) -> Vec<&Leaf> {
        let mut seen = IndexSet::new();
        let mut leaves = Vec::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.get(id) {
                Origin::Leaf(leaf) => leaves.push(leaf),
                Origin::Derived { from, .. } => stack.extend(from.iter().rev()),
            }
        }
        leaves
    }

    /// The call in the archive that tells best where a node came from.
    pub fn leaf(&self, id: OriginId) -> Option<&Leaf> {
        self.leaves(id).into_iter().next()
    }
}
