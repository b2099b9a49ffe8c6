//! What has happened so far: the estate's memory and every open rollout, folded from the forge and the ledger.
//!
//! Nothing here is decided; it is what later stages may rely on. Deleting the state store changes none of it.

mod anchors;
mod audit;
mod changes;
mod events;
mod fold;
mod forge;
mod frozen;
mod gates;
mod ledger;
mod ledger_chain;
mod rollout;
mod state;
mod sums;
pub mod wire;

pub use anchors::{heads_line, marked_ledger};
pub use audit::{AuditReport, DigestOf, audit};
pub use changes::*;
pub use events::*;
pub use fold::*;
pub use forge::*;
pub use frozen::{RESUME, branch_rollout, branch_wave, proposed_wave};
pub use gates::*;
pub use ledger::*;
pub use ledger_chain::{AppendError, ChainFault, append, head, holds_head, parse_chain};
pub use rollout::*;
pub use state::*;
pub use sums::{openings_digest, sums_faults, unlisted};
pub use wire::{
    FrozenAsset, FrozenBatch, FrozenImage, FrozenRollout, FrozenWave, ResultStatus, read_plan_json, read_result,
};

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

/// What the ledger's `memory` file remembers of the estate. Empty on the first run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The first run there ever was; none = this is it.
    pub first_run: Option<Timestamp>,
    /// When an advisory was first seen.
    pub advisories: BTreeMap<Arc<str>, Timestamp>,
    /// When an asset was first seen. A reinstalled asset keeps it.
    pub assets: BTreeMap<Arc<str>, Timestamp>,
    /// When a CVE was first seen in a catalogue of exploited vulnerabilities.
    pub exploited: BTreeMap<Arc<str>, Timestamp>,
    /// Cadence instants already cut, by policy: the newest.
    pub cuts: BTreeMap<Arc<str>, Timestamp>,
    /// Facts that change: severities, exposures, answers, scores.
    pub changes: Changes,
}

/// Memory and open rollouts.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What the estate remembers.
    pub memory: Memory,
    /// Every rollout that is not ended, sorted by name.
    pub open: Vec<OpenRollout>,
    /// The frozen form of every open rollout.
    pub frozen: BTreeMap<Arc<str>, FrozenRollout>,
    /// The frozen form of every ended rollout whose files are still there.
    pub ended: BTreeMap<Arc<str>, FrozenRollout>,
    /// Names ever taken, so that no name is used twice.
    pub names: std::collections::BTreeSet<Arc<str>>,
}
