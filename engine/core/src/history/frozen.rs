//! `plan.json` as history reads it back; its types are those that rendering writes.
pub use crate::render::wire::{FrozenAsset, FrozenBatch, FrozenRollout, FrozenWave, ResultStatus, read_plan_json, read_result};
