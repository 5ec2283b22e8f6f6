//! What reads a value whose channels each have a number, down to the weights that take the numbers in.

use ir::{TensorType, ValueId};

use crate::ops::{Op, PadMode, Padding, Site};

/// An operator that reads a value whose channels have numbers.
pub(super) struct Reader<'g> {
    pub(super) site: Site<'g>,
    pub(super) value: ValueId,
    pub(super) role: Role,
}

/// What a reader does with the numbers.
pub(super) enum Role {
    /// Its weight takes them in, with a column for each along this axis.
    Takes { column: usize },
    /// It passes them on, to these channels of its result.
    Passes(Channels),
}

/// What weights are asked to take in.
pub(super) struct Wanted {
    /// Is it shifts, or factors?
    pub(super) shifts: bool,
    /// Which operators may pass it on.
    pub(super) passed_by: fn(&Op) -> bool,
    /// From more readers than this, none behind them is looked at.
    pub(super) most: usize,
}

impl Wanted {
    /// All that read the output of this site, and all that read what these pass on, up to the weights. `None` where
    /// something among them can do neither, or reads the numbers twice.
    pub(super) fn readers<'g>(&self, at: Site<'g>, channels: Channels) -> Option<Vec<Reader<'g>>> {
        let graph = at.graph();
        let mut readers: Vec<Reader<'g>> = Vec::new();
        let mut reached = vec![(at.output(), channels)];
        let mut next = 0;
        while let Some(&(value, channels)) = reached.get(next) {
            next += 1;
            let users = graph.users(value);
            if users.is_empty() || graph.outputs().contains(&value) || readers.len() > self.most {
                return None;
            }
            for &user in users {
                let site = Site::new(graph, user);
                if readers.iter().any(|other| other.site.id() == user) {
                    return None;
                }
                let role = self.role(site, value, channels)?;
                if let Role::Passes(behind) = role {
                    reached.push((site.output(), behind));
                }
                readers.push(Reader { site, value, role });
            }
        }
        Some(readers)
    }

    /// What an operator that reads this value does with the numbers of its channels.
    fn role(&self, site: Site<'_>, value: ValueId, channels: Channels) -> Option<Role> {
        let op = &site.node().op;
        if (self.passed_by)(op) {
            return channels.behind(site, value).map(Role::Passes);
        }
        let (axis, column, padded) = match op {
            Op::FullyConnected(_) => (site.graph().ty(value).rank().checked_sub(1)?, 1, false),
            Op::Conv2d(conv) if conv.groups == 1 => {
                (conv.layout.channel(), conv.layout.channel(), conv.padding != [Padding::default(); 2])
            }
            _ => return None,
        };
        let constant = (1..site.inputs().len()).all(|i| site.is_constant(i));
        // Zeros round an image are not shifted. Shifts leave the weight as it is, whoever reads it too.
        let fits = || if self.shifts { !padded } else { !is_tied(site, site.inputs()[1]) };
        (site.inputs()[0] == value && channels.are_on(axis) && constant && fits())
            .then_some(Role::Takes { column })
    }
}

/// The axis of a value's channels; any, where one number is for all.
#[derive(Clone, Copy)]
pub(super) struct Channels(pub(super) Option<usize>);

impl Channels {
    /// Those that numbers of this type are for, in a value of this rank that they broadcast with.
    pub(super) fn of(numbers: &TensorType, rank: usize) -> Option<Self> {
        let sizes = numbers.sizes().ok()?;
        let lead = rank.checked_sub(sizes.len())?;
        let mut long = (0..sizes.len()).filter(|&axis| sizes[axis] != 1);
        let axis = long.next().map(|axis| lead + axis);
        long.next().is_none().then_some(Channels(axis))
    }

    fn are_on(self, axis: usize) -> bool {
        self.0.is_none_or(|own| own == axis)
    }

    /// Where an operator that treats each channel alike has them in its result.
    fn behind(self, site: Site<'_>, value: ValueId) -> Option<Self> {
        match &site.node().op {
            Op::Transpose(transpose) => Some(Channels(self.0.map(|axis| transpose.order.position(axis)))),
            Op::Reshape(reshape) => {
                let Some(axis) = self.0 else { return Some(self) };
                let (from, to) = (site.graph().ty(value).sizes().ok()?, &reshape.sizes);
                let inner = |sizes: &[usize], axis: usize| sizes[axis + 1..].iter().product::<usize>();
                let same = |&new: &usize| to[new] == from[axis] && inner(to, new) == inner(&from, axis);
                Some(Channels(Some((0..to.len()).find(same)?)))
            }
            Op::Pad(pad) => {
                let kept = self.0.is_none_or(|axis| pad.padding[axis] == Padding::default());
                (kept && (pad.mode != PadMode::Constant || pad.value == 0.0)).then_some(self)
            }
            Op::Resize(resize) => self.are_on(resize.layout.channel()).then_some(self),
            Op::Concat(concat) => self.are_on(concat.axis).then_some(Channels(Some(concat.axis))),
            _ => None,
        }
    }
}

/// Do others read the weight at run time too? A scaled one would be a second copy.
pub(super) fn is_tied(at: Site<'_>, weight: ValueId) -> bool {
    let graph = at.graph();
    let Some(root) = graph.largest_constant(weight) else { return true };
    let Some(constant) = graph.constant(root) else { return true };
    let equals = |&v: &ValueId| {
        let other = graph.constant(v).filter(|_| graph.ty(v) == graph.ty(root));
        other.is_some_and(|other| v == root || other.fingerprint() == constant.fingerprint())
    };
    let at_run_time = |v: ValueId| {
        let users = graph.users(v).iter();
        users.filter(|&&user| !graph.is_constant(graph.node(user).outputs[0])).count()
    };
    graph.value_ids().into_iter().filter(equals).map(at_run_time).sum::<usize>() > 1
}
