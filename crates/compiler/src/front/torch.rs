//! Reading what `torch.export` saved.

pub mod decompose;
