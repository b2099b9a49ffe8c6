//! From YAML texts to a typed catalog, with every problem found at once.
pub mod expr;
pub mod wire;
