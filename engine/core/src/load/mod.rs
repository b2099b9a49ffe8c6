//! From YAML texts to a typed catalog, with every problem found at once.
mod catalog;
pub mod expr;
pub mod wire;

pub use catalog::*;
