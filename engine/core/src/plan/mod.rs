//! Which rollouts there are, and for each: waves, batches, openings, slack, refusals.

mod nouns;

pub use nouns::*;
