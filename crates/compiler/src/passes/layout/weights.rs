//! Flattening before a fully connected layer: rather than the image, the weight is permuted.

use ir::{NodeId, rules};

use crate::ops::{FullyConnected, Graph, Order, Patch, Reshape, Rule, Site, Transpose};

pub(super) const RULES: &[Rule] = rules![permute_weight_instead];

/// The number of leading axes that must stay in place for a reshape whose other axes may be read in any order: all
/// of these become the last axis of its result, which only fully connected layers with constant weights read.
pub(super) fn leading_axes(graph: &Graph, id: NodeId) -> Option<usize> {
    let at = Site::new(graph, id);
    let Reshape { sizes } = at.op()?;
    let users = graph.users(at.output());
    let takes = |&user: &NodeId| {
        let user = Site::new(graph, user);
        user.op::<FullyConnected>().is_some() && user.input(0) == Some(at.output()) && user.is_constant(1)
    };
    if users.len() != graph.use_count(at.output()) || !users.iter().all(takes) {
        return None;
    }
    leading(&at.input_ty(0)?.sizes().ok()?, *sizes.last()?)
}

/// The number of axes before the trailing ones that hold `last` elements together.
fn leading(sizes: &[usize], last: usize) -> Option<usize> {
    let mut count = 1usize;
    let mut at = sizes.len();
    while at > 0 && count < last {
        at -= 1;
        count = count.checked_mul(sizes[at])?;
    }
    (count == last && last > 1).then_some(at)
}

/// Does the order leave this many leading axes in place?
pub(super) fn keeps(order: &Order, leading: usize) -> bool {
    order.axes().iter().take(leading).enumerate().all(|(i, &axis)| i == axis)
}

/// `fully_connected(reshape(transpose(x, p)), w)  =>  fully_connected(reshape(x), w′)`, where the columns of `w′` are
/// those of the constant `w` in the order of `x`
fn permute_weight_instead(at: Site<'_>) -> Option<Patch<'_>> {
    let linear: &FullyConnected = at.op()?;
    let flat = at.producer(0)?;
    let reshape: &Reshape = flat.op()?;
    let transposed = flat.producer(0)?;
    let Transpose { order } = transposed.op()?;
    let sizes = transposed.output_ty().sizes().ok()?;
    let leading = leading(&sizes, *reshape.sizes.last()?)?;
    if !at.is_constant(1) || !keeps(order, leading) || order.is_identity() {
        return None;
    }
    // Trailing axis j of what was transposed is trailing axis `order[j]` of x, so x's axes are found by the inverse.
    let inner = order.axes()[leading..].iter().map(|axis| axis - leading).collect();
    let back = Order::new(inner).ok()?.inverse();
    let columns = Order::new([0].into_iter().chain(back.axes().iter().map(|a| a + 1)).collect()).ok()?;
    let outputs = at.input_ty(1)?.sizes().ok()?[0];
    let mut patch = at.patch();
    patch.consume(&flat);
    patch.consume(&transposed);
    let unfolded = [&[outputs], &sizes[leading..]].concat();
    let weight = patch.add(Reshape { sizes: unfolded }, [at.input(1)?]);
    let weight = patch.add(Transpose { order: columns }, [weight]);
    let weight = patch.add(Reshape { sizes: at.input_ty(1)?.sizes().ok()? }, [weight]);
    let image = patch.add(reshape.clone(), [transposed.input(0)?]);
    let inputs = [image, weight].into_iter().chain(at.inputs().iter().copied().skip(2));
    let result = patch.add(linear.clone(), inputs);
    (patch.ty(result) == at.output_ty()).then(|| patch.replace(at.output(), result))
}
