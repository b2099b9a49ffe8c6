//! How diagnostics look: one file a format. Each is a function from diagnostics to text.

pub mod json;
pub mod text;
