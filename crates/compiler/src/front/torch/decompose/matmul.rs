//! Products of matrices of every rank, and sums of products written as an equation.

use ir::ValueId;

use super::{Builder, Row};
use crate::dialect::aten::{Malformed, Scalar};
use crate::ops::{Activation, Arithmetic, BatchMatmul, FullyConnected, Order, Reduce, Reduction, Transpose};

pub(super) const ROWS: &[(&[&str], Row)] = &[
    (&["aten.bmm.default", "aten.mm.default"], |b| two(b, "self", "mat2")),
    (&["aten.matmul.default", "aten.linalg_matmul.default"], |b| two(b, "self", "other")),
    (&["aten.mv.default"], |b| two(b, "self", "vec")),
    (&["aten.dot.default", "aten.vdot.default"], |b| {
        two(b, "self", if &*b.call.target == "aten.dot.default" { "tensor" } else { "other" })
    }),
    (&["aten.addmm.default"], |b| added(b, "mat1", "mat2")),
    (&["aten.addmv.default"], |b| added(b, "mat", "vec")),
    (&["aten.baddbmm.default"], |b| added(b, "batch1", "batch2")),
    (&["aten.einsum.default"], einsum),
];

fn two(b: &mut Builder<'_>, left: &str, right: &str) -> Result<Vec<ValueId>, Malformed> {
    let (left, right) = (b.tensor(left)?, b.tensor(right)?);
    Ok(vec![b.product(left, right, None)?])
}

/// `beta · self + alpha · (left · right)`; a beta of zero ignores even NaN.
fn added(b: &mut Builder<'_>, left: &str, right: &str) -> Result<Vec<ValueId>, Malformed> {
    let (bias, left, right) = (b.tensor("self")?, b.tensor(left)?, b.tensor(right)?);
    let (beta, alpha) = (b.call.scalar("beta")?, b.call.scalar("alpha")?);
    let plain = beta.as_f64() == 1.0 && alpha.as_f64() == 1.0;
    if plain && b.connects(left, right) && b.sizes(bias)?.len() == 1 && b.sizes(bias)? == b.sizes(right)?[1..]
    {
        return Ok(vec![b.product(left, right, Some(bias))?]);
    }
    let mut y = b.product(left, right, None)?;
    let scaled = |b: &mut Builder<'_>, value: ValueId, factor: Scalar| match factor.as_f64() == 1.0 {
        true => Ok(value),
        false => {
            let factor = b.number(b.ty(value).dtype, factor);
            b.add(Arithmetic::Mul, &[value, factor])
        }
    };
    y = scaled(b, y, alpha)?;
    if beta.as_f64() != 0.0 {
        let bias = scaled(b, bias, beta)?;
        y = b.add(Arithmetic::Add, &[bias, y])?;
    }
    Ok(vec![y])
}

impl Builder<'_> {
    /// Is the product with `right` a fully connected layer: is it a constant matrix of reals?
    fn connects(&self, left: ValueId, right: ValueId) -> bool {
        let weight = self.ty(right);
        self.graph.is_constant(right)
            && !self.graph.is_constant(left)
            && weight.rank() == 2
            && weight.dtype.is_float()
            && self.ty(left).rank() > 0
    }

    /// `left · right` as PyTorch's `matmul` defines it for all ranks; `bias` only where [`Builder::connects`] holds.
    pub(super) fn product(
        &mut self,
        left: ValueId,
        right: ValueId,
        bias: Option<ValueId>,
    ) -> Result<ValueId, Malformed> {
        if self.connects(left, right) {
            let weight = self.permuted(right, vec![1, 0])?;
            let mut inputs = vec![left, weight];
            inputs.extend(bias);
            return self.add(FullyConnected { activation: Activation::None }, &inputs);
        }
        let (mut a, mut b) = (self.sizes(left)?, self.sizes(right)?);
        if a.is_empty() || b.is_empty() {
            return Err(self.call.malformed(format!("multiplies {} and {}", self.ty(left), self.ty(right))));
        }
        let (row, column) = (a.len() == 1, b.len() == 1);
        if row {
            a.insert(0, 1);
        }
        if column {
            b.push(1);
        }
        let (left, right) = (self.reshape(left, &a)?, self.reshape(right, &b)?);
        let y = self.add(BatchMatmul::plain(), &[left, right])?;
        let mut sizes = self.sizes(y)?;
        if column {
            sizes.pop();
        }
        if row {
            sizes.remove(sizes.len() - 1 - usize::from(!column));
        }
        self.reshape(y, &sizes)
    }

    /// The value with its axes in another order: itself where they stand so.
    fn permuted(&mut self, value: ValueId, axes: Vec<usize>) -> Result<ValueId, Malformed> {
        let order = Order::new(axes).map_err(|m| self.call.malformed(m))?;
        if order.is_identity() {
            return Ok(value);
        }
        self.add(Transpose { order }, &[value])
    }
}

/// A value whose axes have names.
struct Named {
    value: ValueId,
    axes: Vec<char>,
}

/// The first of the names that stand for the axes of an ellipsis, which no equation can contain.
const ELLIPSIS: u32 = 0xE000;

/// Operands are multiplied from the left to the right; an axis is summed away as soon as nothing needs it.
fn einsum(b: &mut Builder<'_>) -> Result<Vec<ValueId>, Malformed> {
    let text: String = b.call.text("equation")?.chars().filter(|c| !c.is_whitespace()).collect();
    let wrong = || Malformed(format!("the equation '{text}' is not supported"));
    let operands: Vec<ValueId> = b.call.tensors("tensors")?.into_iter().map(|t| b.value(t)).collect();
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (&*text, None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != operands.len() {
        return Err(wrong());
    }
    let ranks: Vec<usize> = operands.iter().map(|&v| b.ty(v).rank()).collect();
    let named: Vec<Vec<char>> = terms
        .iter()
        .zip(&ranks)
        .map(|(term, &rank)| names(term, Some(rank)).ok_or_else(wrong))
        .collect::<Result<_, _>>()?;
    let widest = named
        .iter()
        .flatten()
        .filter(|&&c| c as u32 >= ELLIPSIS)
        .max()
        .map_or(0, |&c| c as u32 - ELLIPSIS + 1);
    let output: Vec<char> = match output {
        Some(output) if output.contains("...") => {
            names(output, Some(output.len() - 3 + widest as usize)).ok_or_else(wrong)?
        }
        Some(output) => names(output, None).ok_or_else(wrong)?,
        None => implied(&named),
    };
    let known = |c: &char| named.iter().any(|axes| axes.contains(c));
    let repeats = |axes: &[char]| axes.iter().enumerate().any(|(i, c)| axes[..i].contains(c));
    if named.iter().any(|axes| repeats(axes)) || repeats(&output) || !output.iter().all(known) {
        return Err(wrong());
    }
    let mut all =
        operands.into_iter().zip(named).map(|(value, axes)| Named { value, axes }).collect::<Vec<_>>();
    all.reverse();
    let mut result = all.pop().ok_or_else(wrong)?;
    loop {
        let needed = |c: &char| output.contains(c) || all.iter().any(|n| n.axes.contains(c));
        result = summed(b, result, &needed)?;
        let Some(next) = all.pop() else { break };
        let wanted = |c: &char| output.contains(c) || all.iter().any(|n| n.axes.contains(c));
        let own = |c: &char| wanted(c) || result.axes.contains(c);
        let next = summed(b, next, &own)?;
        result = multiplied(b, result, next, &wanted)?;
    }
    let axes = output.iter().map(|c| result.axes.iter().position(|r| r == c).ok_or_else(wrong));
    let axes = axes.collect::<Result<_, _>>()?;
    Ok(vec![b.permuted(result.value, axes)?])
}

/// The names of the axes in one term; an ellipsis stands for as many as the rank leaves, counted from the last.
fn names(term: &str, rank: Option<usize>) -> Option<Vec<char>> {
    if !term.is_ascii() {
        return None;
    }
    let (before, after) = match term.split_once("...") {
        Some((before, after)) => (before, Some(after)),
        None => (term, None),
    };
    let letters = before.len() + after.map_or(0, str::len);
    let mut axes: Vec<char> = before.chars().collect();
    match (after, rank) {
        (Some(after), Some(rank)) => {
            let spread = u32::try_from(rank.checked_sub(letters)?).ok()?;
            axes.extend((0..spread).rev().map(|i| char::from_u32(ELLIPSIS + i)).collect::<Option<Vec<_>>>()?);
            axes.extend(after.chars());
        }
        (Some(_), None) => return None,
        (None, rank) if rank.is_some_and(|r| r != letters) => return None,
        (None, _) => {}
    }
    let letter = |c: &char| c.is_ascii_alphabetic() || *c as u32 >= ELLIPSIS;
    axes.iter().all(letter).then_some(axes)
}

/// The axes of the result where the equation does not say: those of an ellipsis, then the letters that stand once, in
/// the order of the alphabet.
fn implied(named: &[Vec<char>]) -> Vec<char> {
    let mut once: Vec<char> = Vec::new();
    let all: Vec<char> = named.iter().flatten().copied().collect();
    for &c in &all {
        let count = all.iter().filter(|&&other| other == c).count();
        if (count == 1 || c as u32 >= ELLIPSIS) && !once.contains(&c) {
            once.push(c);
        }
    }
    once.sort_by_key(|&c| {
        (u32::from((c as u32) < ELLIPSIS), if c as u32 >= ELLIPSIS { u32::MAX - c as u32 } else { c as u32 })
    });
    once
}

/// The value summed over the axes that nothing needs.
fn summed(b: &mut Builder<'_>, named: Named, needed: &dyn Fn(&char) -> bool) -> Result<Named, Malformed> {
    let axes: Vec<usize> = (0..named.axes.len()).filter(|&i| !needed(&named.axes[i])).collect();
    if axes.is_empty() {
        return Ok(named);
    }
    let value = b.add(Reduce { function: Reduction::Sum, axes, keep: false }, &[named.value])?;
    Ok(Named { value, axes: named.axes.into_iter().filter(needed).collect() })
}

/// The axes of two factors, by what becomes of them.
struct Axes {
    /// Those that both have and the result needs.
    batch: Vec<char>,
    /// Those that the left has alone.
    rows: Vec<char>,
    /// Those that both have and that are summed.
    summed: Vec<char>,
    /// Those that the right has alone.
    columns: Vec<char>,
}

/// Two values as one batch of products of matrices: the axes that both have and the result needs, those of the left,
/// those that are summed, those of the right.
fn multiplied(
    b: &mut Builder<'_>,
    left: Named,
    right: Named,
    wanted: &dyn Fn(&char) -> bool,
) -> Result<Named, Malformed> {
    let of = |axes: &[char], keep: &dyn Fn(&char) -> bool| {
        axes.iter().copied().filter(keep).collect::<Vec<char>>()
    };
    let (in_left, in_right) = (|c: &char| left.axes.contains(c), |c: &char| right.axes.contains(c));
    let axes = Axes {
        batch: of(&left.axes, &|c| in_right(c) && wanted(c)),
        rows: of(&left.axes, &|c| !in_right(c)),
        summed: of(&left.axes, &|c| in_right(c) && !wanted(c)),
        columns: of(&right.axes, &|c| !in_left(c)),
    };
    let (left_sizes, right_sizes) = (b.sizes(left.value)?, b.sizes(right.value)?);
    let size = |c: &char| -> Result<usize, Malformed> {
        let find = |axes: &[char], sizes: &[usize]| axes.iter().position(|a| a == c).map(|i| sizes[i]);
        match (find(&left.axes, &left_sizes), find(&right.axes, &right_sizes)) {
            (Some(a), Some(b)) if a != b => Err(Malformed(format!("the axis '{c}' has sizes {a} and {b}"))),
            (Some(n), _) | (_, Some(n)) => Ok(n),
            (None, None) => Ok(1),
        }
    };
    let sizes = |axes: &[char]| axes.iter().map(size).collect::<Result<Vec<usize>, _>>();
    let count = |axes: &[char]| sizes(axes).map(|s| s.iter().product::<usize>());
    if let Some(split) = in_place(&left.axes, &axes, &count)? {
        return repeated(b, &left, &right, &axes, split, &sizes);
    }
    let Axes { batch, rows, summed, columns } = axes;
    let (n, m, k, p) = (count(&batch)?, count(&rows)?, count(&summed)?, count(&columns)?);
    let result_sizes = [sizes(&batch)?, sizes(&rows)?, sizes(&columns)?].concat();
    let a = b.permuted(left.value, places(&left.axes, [&batch, &rows, &summed]))?;
    let c = b.permuted(right.value, places(&right.axes, [&batch, &summed, &columns]))?;
    let (a, c) = match batch.is_empty() {
        true => (b.reshape(a, &[m, k])?, b.reshape(c, &[k, p])?),
        false => (b.reshape(a, &[n, m, k])?, b.reshape(c, &[n, k, p])?),
    };
    // Without a sum, a product of elements is the plainer word.
    let y = match summed.is_empty() {
        true => b.add(Arithmetic::Mul, &[a, c])?,
        false => b.product(a, c, None)?,
    };
    Ok(Named { value: b.reshape(y, &result_sizes)?, axes: [batch, rows, columns].concat() })
}

/// Where each of the axes stands among those of a value.
fn places(from: &[char], to: [&[char]; 3]) -> Vec<usize> {
    to.concat().iter().filter_map(|c| from.iter().position(|f| f == c)).collect()
}

/// The most elements of a matrix that is read anew for each row.
const SINGLE: usize = 1 << 12;

/// The rows of the left that stand before its batch axes, and those that stand behind them, where it can stay in its
/// order: for the former the right is repeated. `None` where the plain form has no axes to move, or where there are no
/// rows behind and a matrix would be large.
fn in_place(
    left: &[char],
    axes: &Axes,
    count: &dyn Fn(&[char]) -> Result<usize, Malformed>,
) -> Result<Option<[Vec<char>; 2]>, Malformed> {
    let Some(start) = axes.batch.first().and_then(|c| left.iter().position(|l| l == c)) else {
        return Ok(None);
    };
    let behind = start + axes.batch.len();
    let end = left.len() - axes.summed.len();
    let stands = left[start..].starts_with(&axes.batch) && left.ends_with(&axes.summed) && behind <= end;
    if start == 0 || axes.summed.is_empty() || !stands {
        return Ok(None);
    }
    let (outer, inner) = (left[..start].to_vec(), left[behind..end].to_vec());
    let alone = inner.is_empty() && count(&axes.summed)?.saturating_mul(count(&axes.columns)?) > SINGLE;
    Ok((!alone).then_some([outer, inner]))
}

/// The sizes of axes by their names.
type Sizes<'a> = &'a dyn Fn(&[char]) -> Result<Vec<usize>, Malformed>;

/// A batch of products of matrices, the right ones of which serve all that stands before the batch in the left value:
/// that keeps its order.
fn repeated(
    b: &mut Builder<'_>,
    left: &Named,
    right: &Named,
    axes: &Axes,
    [outer, inner]: [Vec<char>; 2],
    sizes: Sizes<'_>,
) -> Result<Named, Malformed> {
    let Axes { batch, summed, columns, .. } = axes;
    let count = |axes: &[char]| sizes(axes).map(|s| s.iter().product::<usize>());
    let (before, n, m, k, p) =
        (count(&outer)?, count(batch)?, count(&inner)?, count(summed)?, count(columns)?);
    let a = b.reshape(left.value, &[before, n, m, k])?;
    let turned = places(&right.axes, [batch, columns, summed]);
    let plain = places(&right.axes, [batch, summed, columns]);
    let transpose_b = b.graph.is_constant(right.value) || turned.is_sorted();
    let (order, [rows, last]) = if transpose_b { (turned, [p, k]) } else { (plain, [k, p]) };
    let c = b.permuted(right.value, order)?;
    let c = b.reshape(c, &[n, rows, last])?;
    let y = b.add(BatchMatmul { transpose_a: false, transpose_b }, &[a, c])?;
    let all = [outer, batch.clone(), inner, columns.clone()].concat();
    Ok(Named { value: b.reshape(y, &sizes(&all)?)?, axes: all })
}
