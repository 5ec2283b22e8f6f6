//! What changes a graph: rules, and passes that decide over the whole graph.

pub mod accumulate;
pub mod assume;
pub mod dedupe;
pub mod fold;
pub mod fuse;
pub mod interface;
pub mod layout;
pub mod legalize;
pub mod limits;
pub mod lower;
pub mod narrow;
pub mod permutations;
pub mod rank;
pub mod regroup;
pub mod simplify;
pub mod sink;

pub use limits::Limits;
