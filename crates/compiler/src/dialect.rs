//! Foreign words as data: one call of another framework, its arguments read by name.

pub mod aten;
pub mod tfl;
