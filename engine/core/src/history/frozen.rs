//! `plan.json`: the frozen projection of a rollout that a pull request carries and that is read back after a merge.
//!
//! It holds no observation, no slack and no instant of a schedule: what moves with time goes to the dashboard. That is
//! why the same decision always is the same file, and why nothing is planned again when it is executed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rollout::Target;
use crate::load::wire::{Approval, Lane, OnFailure, PromoteAt, Reversibility};
use crate::name::Amount;

/// Version of the format; a reader refuses a newer major.
pub const FROZEN_FORMAT_VERSION: &str = "1.0";

/// A rollout as frozen in `plan.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FrozenRollout {
    /// [`FROZEN_FORMAT_VERSION`].
    pub format_version: String,
    /// Name.
    pub name: Arc<str>,
    /// PatchPolicy.
    pub policy: Arc<str>,
    /// RolloutStrategy.
    pub strategy: Arc<str>,
    /// Lane.
    pub lane: Lane,
    /// From 1; rises only when the patch-set digest changes.
    pub revision: u32,
    /// When it was cut.
    pub cut: Timestamp,
    /// Cut between cadence instants.
    pub expedited: bool,
    /// How often newcomers restarted it.
    pub restarts: u32,
    /// Patch-set digest.
    pub digest: Arc<str>,
    /// Sorted targets.
    pub targets: Vec<Target>,
    /// Advisories behind it, sorted.
    pub advisories: Vec<Arc<str>>,
    /// Nothing freezes the content.
    pub reproducible: bool,
    /// Waves in order.
    pub waves: Vec<FrozenWave>,
}

/// A wave as frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FrozenWave {
    /// Name.
    pub name: Arc<str>,
    /// Position among the strategy's waves, from 1.
    pub number: u32,
    /// Waves that must be promoted first.
    pub needs: Vec<Arc<str>>,
    /// Soak, after the lane.
    pub soak_seconds: i64,
    /// Who must agree.
    pub approval: Approval,
    /// When it may go on.
    pub promote_at: PromoteAt,
    /// More failures than this halt it.
    pub max_failures: Amount,
    /// What happens then.
    pub on_failure: OnFailure,
    /// Conditions for promotion besides approval and soak, as short texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<String>,
    /// Earliest deadline of its findings as it held at the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Batches in order.
    pub batches: Vec<FrozenBatch>,
}

/// A batch as frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FrozenBatch {
    /// `01`, `02`, …
    pub id: Arc<str>,
    /// Names of the windows of its assets, joined by `+`.
    pub window: Arc<str>,
    /// Its assets.
    pub assets: BTreeMap<Arc<str>, FrozenAsset>,
}

/// An asset of a batch as frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FrozenAsset {
    /// Class.
    pub class: Arc<str>,
    /// Render target.
    pub target: Arc<str>,
    /// Indexes into the rollout's targets, ascending.
    pub targets: Vec<usize>,
    /// Versions when it was cut, same order.
    pub before: Vec<Arc<str>>,
    /// How good its way back is.
    pub rollback: Reversibility,
}

/// Why a `plan.json` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrozenError {
    /// Not the JSON it should be.
    #[error("not a plan.json this engine understands: {0}")]
    Shape(#[from] serde_json::Error),
    /// Written by a newer engine.
    #[error("formatVersion {0} is newer than {FROZEN_FORMAT_VERSION}: use a newer patchwave")]
    Newer(String),
}

impl FrozenRollout {
    /// Reads a `plan.json`, refusing a newer major version.
    ///
    /// # Errors
    /// [`FrozenError`] says what is wrong; the caller adds the path.
    pub fn read(bytes: &[u8]) -> Result<Self, FrozenError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            format_version: String,
        }
        let Head { format_version } = serde_json::from_slice(bytes)?;
        let major = |v: &str| v.split('.').next().and_then(|m| m.parse::<u32>().ok()).unwrap_or(u32::MAX);
        if major(&format_version) > major(FROZEN_FORMAT_VERSION) {
            return Err(FrozenError::Newer(format_version));
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
