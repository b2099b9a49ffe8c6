//! Looking again: what fresh observations and evidence show of a batch, and what that means for its wave.
//!
//! A verdict rests on re-observed running state only. An executor's word, and anything observed before the release, is
//! evidence at most: it can say that an asset was never touched, never that it is done.

mod back;
mod gates;
mod judge;
mod wave;

pub use back::{shows_before, shows_newer};
pub use gates::*;
pub use judge::{AssetVerdict, BatchVerdict, failure_limit, judge_batch};
pub use wave::{WaveVerdict, judge_wave};
