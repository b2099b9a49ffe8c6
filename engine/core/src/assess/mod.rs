//! What must change on which asset by when, and why.

mod finding;

pub use finding::*;
