//! What can be said about a model, as plain data; the faces render it.

pub mod histogram;
