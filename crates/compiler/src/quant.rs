//! Weights in fewer bits: what is asked, what is decided, what is done.
//!
//! A [`Recipe`] says what is wanted of which operators. [`plan()`] looks at each weight once and decides, per operator,
//! the form that LiteRT's kernels run and run well, with the reason; the decision can be printed before anything
//! changes. [`apply()`] writes it into the graph as weight expressions, which the writer streams.

mod apply;
mod form;
mod plan;
mod recipe;
mod sensitive;
mod weighted;

pub use apply::apply;
pub use form::Form;
pub use plan::{Decision, Outlook, Plan, plan};
pub use recipe::{Compute, Recipe, Wanted};

pub(crate) fn codes() -> impl Iterator<Item = &'static ir::Code> {
    [recipe::CODES, plan::CODES].into_iter().flatten()
}
