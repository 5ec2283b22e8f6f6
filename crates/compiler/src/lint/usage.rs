//! One operator as a target sees it, and what speaks against it.

use ir::{DType, TensorType};
use serde::Serialize;

use super::profile::{Condition, OperandCondition, Rules};
use crate::dialect::tfl::{Builtin, Call, Operand, Options, element};
use crate::ops::Order;

/// One operator with what it reads and makes, as far as that is known.
#[derive(Clone, Debug)]
pub struct Usage<'a> {
    /// Which operator.
    pub builtin: Builtin,
    /// Its options.
    pub options: &'a Options,
    /// What it reads; `None` where an optional operand is left out.
    pub operands: Vec<Option<Port>>,
    /// What it makes.
    pub results: Vec<Port>,
}

/// A tensor that an operator reads or makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The dtype; `None` for strings, resources and the like.
    pub dtype: Option<DType>,
    /// The number of axes; `None` where it is not known.
    pub rank: Option<usize>,
    /// The sizes; `None` where one of them is not known.
    pub sizes: Option<Vec<usize>>,
    /// As a report shows it: `FLOAT32[1,3,8,8]`.
    pub shown: String,
    /// Does it lie in the file? `None` where that is not known yet.
    pub constant: Option<bool>,
    /// Its elements, where it is a small constant of integers.
    pub numbers: Option<Vec<i64>>,
}

/// Constants of more elements than this are not read as numbers.
pub(super) const NUMBERS: usize = 64;

impl Port {
    /// A tensor of this type.
    pub fn of(ty: &TensorType, constant: Option<bool>) -> Self {
        let sizes: Vec<String> = ty.shape.0.iter().map(ToString::to_string).collect();
        let named = element(ty.dtype).map_or_else(|_| ty.dtype.to_string(), |e| e.to_string());
        Port {
            dtype: Some(ty.dtype),
            rank: Some(ty.rank()),
            sizes: ty.sizes().ok(),
            shown: format!("{named}[{}]", sizes.join(",")),
            constant,
            numbers: None,
        }
    }
}

/// What kind of limit is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The builtin is lacking.
    Builtin,
    /// A tensor has too many axes.
    Rank,
    /// A tensor is of a forbidden dtype.
    DType,
    /// A permutation is forbidden.
    Permutation,
    /// The builtin is not used as the target asks.
    Condition,
    /// An input or output is not as the target asks.
    Interface,
}

/// One thing that speaks against an operator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Broken {
    /// What kind of limit is met.
    pub kind: Kind,
    /// Which limit, in words that are the same for all that meet it: `GATHER_ND is forbidden`.
    pub limit: String,
    /// What about this operator meets it, where the limit does not say it all.
    pub detail: Option<String>,
}

impl Broken {
    fn new(kind: Kind, limit: impl Into<String>) -> Self {
        Broken { kind, limit: limit.into(), detail: None }
    }

    fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Limit and detail as one clause.
    pub fn text(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.limit),
            None => self.limit.clone(),
        }
    }
}

impl<'a> Usage<'a> {
    /// A call on operands of these types, the node's inputs; `constant` says of each whether it lies in the file.
    pub fn of_call(
        call: &'a Call,
        inputs: &[&TensorType],
        constant: Option<&[bool]>,
        results: &[&TensorType],
    ) -> Self {
        let port = |operand: &Operand| match operand {
            Operand::Input(i) => Some(Port::of(inputs[*i], constant.map(|c| c[*i]))),
            Operand::Constant(tensor) => {
                let few = tensor.dtype().is_int() && tensor.count() <= NUMBERS;
                Some(Port { numbers: few.then(|| tensor.to_i64s()), ..Port::of(&tensor.ty(), Some(true)) })
            }
            Operand::Absent => None,
        };
        Usage {
            builtin: call.operator,
            options: &call.options,
            operands: call.operands.iter().map(port).collect(),
            results: results.iter().map(|ty| Port::of(ty, Some(false))).collect(),
        }
    }

    /// The permutation of a TRANSPOSE, where it is known.
    pub fn permutation(&self) -> Option<Order> {
        if self.builtin != Builtin::TRANSPOSE {
            return None;
        }
        let numbers = self.operands.get(1)?.as_ref()?.numbers.as_ref()?;
        let rank = numbers.len() as i64;
        let counted = numbers.iter().map(|&n| usize::try_from(if n < 0 { n + rank } else { n }).ok());
        Order::new(counted.collect::<Option<Vec<_>>>()?).ok()
    }

    /// Height and width of the weight of a convolution, or of the window of a pool, in taps.
    pub fn window(&self) -> Option<[usize; 2]> {
        use Builtin as B;
        match self.builtin {
            B::CONV_2D | B::DEPTHWISE_CONV_2D => match self.operands.get(1)?.as_ref()?.sizes.as_deref()? {
                &[_, height, width, _] => Some([height, width]),
                _ => None,
            },
            B::AVERAGE_POOL_2D | B::MAX_POOL_2D | B::L2_POOL_2D => {
                let taps = |name: &str| {
                    let mut shown = self.options.shown();
                    shown.find(|(option, _)| *option == name).and_then(|(_, value)| value.parse().ok())
                };
                Some([taps("filter_height")?, taps("filter_width")?])
            }
            _ => None,
        }
    }

    fn tensors(&self) -> impl Iterator<Item = (&'static str, &Port)> {
        let reads = self.operands.iter().flatten().map(|port| ("reads", port));
        reads.chain(self.results.iter().map(|port| ("makes", port)))
    }
}

impl Rules {
    /// Is nothing asked?
    pub fn is_empty(&self) -> bool {
        *self == Rules::default()
    }

    /// Everything that speaks against an operator.
    pub fn broken(&self, usage: &Usage<'_>) -> Vec<Broken> {
        let mut found = Vec::new();
        found.extend(self.builtin(usage.builtin));
        found.extend(self.dtype(usage));
        if let Some(most) = self.max_rank {
            let above = usage.tensors().find(|(_, port)| port.rank.is_some_and(|rank| rank > most));
            found.extend(above.map(|(verb, port)| {
                Broken::new(Kind::Rank, format!("a tensor has more than {most} axes"))
                    .because(format!("{verb} {}", port.shown))
            }));
        }
        found.extend(self.permutation(usage));
        // An operator that is lacking meets no finer condition.
        if found.first().is_none_or(|broken| broken.kind != Kind::Builtin) {
            found.extend(self.conditions(usage));
        }
        found
    }

    /// What speaks against a builtin wherever it stands.
    pub fn builtin(&self, builtin: Builtin) -> Option<Broken> {
        if self.forbid.contains(&builtin) {
            return Some(Broken::new(Kind::Builtin, format!("{builtin} is forbidden")));
        }
        let listed = || self.conditions.iter().any(|c| c.builtins.contains(&builtin));
        (self.others_forbidden && !listed()).then(|| {
            Broken::new(Kind::Builtin, format!("{builtin} is none of the builtins that are allowed"))
        })
    }

    /// What speaks against the dtypes of an operator's tensors.
    pub fn dtype(&self, usage: &Usage<'_>) -> Option<Broken> {
        let forbidden = |port: &Port| port.dtype.filter(|dtype| self.dtypes.contains(dtype));
        usage.tensors().find_map(|(verb, port)| {
            let dtype = forbidden(port)?;
            Some(
                Broken::new(Kind::DType, format!("{dtype} is forbidden"))
                    .because(format!("{verb} {}", port.shown)),
            )
        })
    }

    fn permutation(&self, usage: &Usage<'_>) -> Option<Broken> {
        if usage.builtin != Builtin::TRANSPOSE || self.orders.is_empty() {
            return None;
        }
        let Some(order) = usage.permutation() else {
            return Some(
                Broken::new(Kind::Permutation, "some permutations are forbidden")
                    .because("this one is computed at run time"),
            );
        };
        self.forbids_order(&order)
            .then(|| Broken::new(Kind::Permutation, format!("TRANSPOSE by {:?} is forbidden", order.axes())))
    }

    /// Is this permutation forbidden?
    pub fn forbids_order(&self, order: &Order) -> bool {
        self.orders.contains(order)
    }

    /// What speaks against the way in which a builtin is used.
    pub fn conditions(&self, usage: &Usage<'_>) -> Vec<Broken> {
        let own = self.conditions.iter().filter(|c| c.builtins.contains(&usage.builtin));
        own.filter_map(|condition| condition.broken(usage)).collect()
    }
}

impl Condition {
    fn broken(&self, usage: &Usage<'_>) -> Option<Broken> {
        let limit = |text: String| Some(Broken::new(Kind::Condition, format!("{} {text}", usage.builtin)));
        if let Some(dtypes) = &self.dtypes {
            let other = usage.results.iter().find(|port| port.dtype.is_none_or(|d| !dtypes.contains(&d)));
            if let Some(port) = other {
                return limit(format!("must make {}", one_of(dtypes)))
                    .map(|b| b.because(format!("makes {}", port.shown)));
            }
        }
        if let Some(pairs) = &self.pairs {
            let operand = |i: usize| usage.operands.get(i).and_then(Option::as_ref);
            if let (Some(a), Some(b)) = (operand(0), operand(1)) {
                let allowed = pairs.iter().any(|&(x, y)| (Some(x), Some(y)) == (a.dtype, b.dtype));
                if !allowed {
                    return limit("has no kernel for these dtypes together".into())
                        .map(|broken| broken.because(format!("reads {} and {}", a.shown, b.shown)));
                }
            }
        }
        if let Some(most) = self.max_rank
            && let Some((verb, port)) =
                usage.tensors().find(|(_, port)| port.rank.is_some_and(|rank| rank > most))
        {
            return limit(format!("takes at most {most} axes"))
                .map(|b| b.because(format!("{verb} {}", port.shown)));
        }
        let given = usage.operands.iter().flatten().count();
        if self.min_operands.is_some_and(|least| given < least) {
            return limit(format!("takes {} operands or more", self.min_operands.unwrap_or(0)))
                .map(|b| b.because(format!("reads {given}")));
        }
        if self.max_operands.is_some_and(|most| given > most) {
            return limit(format!("takes at most {} operands", self.max_operands.unwrap_or(0)))
                .map(|b| b.because(format!("reads {given}")));
        }
        if let (Some(most), Some([height, width])) = (self.max_window, usage.window())
            && height.saturating_mul(width) > most
        {
            return limit(format!("takes windows of at most {most} taps"))
                .map(|b| b.because(format!("has {height}×{width}")));
        }
        for (name, wanted) in &self.options {
            let shown = usage.options.shown().find(|(option, _)| *option == name).map(|(_, value)| value);
            if let Some(shown) = shown.filter(|shown| shown != wanted) {
                return limit(format!("must have {name}={wanted}"))
                    .map(|b| b.because(format!("has {name}={shown}")));
            }
        }
        self.operands.iter().find_map(|condition| {
            let port = usage.operands.get(condition.index)?.as_ref()?;
            let (limit_text, detail) = condition.broken(port)?;
            limit(limit_text).map(|b| b.because(detail))
        })
    }
}

impl OperandCondition {
    /// The limit that an operand meets, and how.
    fn broken(&self, port: &Port) -> Option<(String, String)> {
        let index = self.index;
        if self.constant && port.constant == Some(false) {
            return Some((
                format!("must have a constant as operand {index}"),
                format!("{} is computed at run time", port.shown),
            ));
        }
        if let Some(dtypes) = &self.dtypes
            && port.dtype.is_none_or(|d| !dtypes.contains(&d))
        {
            return Some((
                format!("must have {} as operand {index}", one_of(dtypes)),
                format!("reads {}", port.shown),
            ));
        }
        if let Some(rank) = self.rank
            && port.rank.is_some_and(|own| own != rank)
        {
            return Some((
                format!("must have {rank} axes in operand {index}"),
                format!("reads {}", port.shown),
            ));
        }
        let numbers = port.numbers.as_ref()?;
        let odd =
            |n: &&i64| self.only.as_ref().is_some_and(|only| !only.contains(n)) || self.never.contains(n);
        let number = numbers.iter().find(odd)?;
        let asked = match &self.only {
            Some(only) => format!("must have only {only:?} in operand {index}"),
            None => format!("must have none of {:?} in operand {index}", self.never),
        };
        Some((asked, format!("has {number}")))
    }
}

fn one_of(dtypes: &[DType]) -> String {
    let names: Vec<&str> = dtypes.iter().map(|d| d.name()).collect();
    names.join(" or ")
}
