//! Reading other formats into a graph.

pub mod torch;
