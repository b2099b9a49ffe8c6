//! A rollout as it was frozen, and how far each of its waves has come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::gates::GateProgress;
use super::state::WaveState;
use crate::load::wire::{ComponentKind, Lane};
use crate::observe::Part;
use crate::version::Scheme;

/// One exact target of a patch set: this package at this version, on this release and architecture.
/// Neither asset nor advisory nor time is in it: that is what makes a patch set content-addressed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Version order.
    pub scheme: Scheme,
    /// `ID` of os-release.
    pub os_id: Arc<str>,
    /// Release (see [`crate::observe::Os::major`]).
    pub os_major: Arc<str>,
    /// Architecture of the package.
    pub arch: Arc<str>,
    /// Package name.
    pub name: Arc<str>,
    /// Module stream `name:stream`, for modular packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<Arc<str>>,
    /// The exact version.
    pub version: Arc<str>,
}

impl Target {
    /// What it is for where it is no package: the kind of component stands where a distribution does.
    pub fn kind(&self) -> Option<ComponentKind> {
        ComponentKind::parse(&self.os_id)
    }

    /// Whether a part of an asset is what it updates, whatever version and branch the part has.
    pub fn is_for(&self, part: &Part) -> bool {
        self.kind() == Some(part.kind) && *self.name == *part.product
    }
}

/// A rollout that is not ended: proposed, merged or running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRollout {
    /// Its name, stable once proposed.
    pub name: Arc<str>,
    /// The policy behind it.
    pub policy: Arc<str>,
    /// The strategy it follows.
    pub strategy: Arc<str>,
    /// Its lane.
    pub lane: Lane,
    /// Rises only when the patch-set digest changes.
    pub revision: u32,
    /// When it was cut (the instant its name's date comes from).
    pub cut: Timestamp,
    /// Cut between cadence instants because waiting would have been too late.
    pub expedited: bool,
    /// The patch set, sorted.
    pub targets: Vec<Target>,
    /// The first wave is approved: the set takes nobody in any more.
    pub frozen: bool,
    /// How often newcomers restarted it (at most 3).
    pub restarts: u32,
    /// Waves in order of the strategy.
    pub waves: Vec<WaveProgress>,
    /// A person stopped it; nothing of it runs until it is resumed.
    pub halted: Option<Halted>,
}

/// That a person stopped a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// What an executor said of an asset: evidence, never a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `done`, `failed` or `not-attempted`; of a preflight `ready` or `not-ready`.
    pub outcome: Arc<str>,
    /// When the executor finished with it.
    pub at: Timestamp,
    /// Why, where it is not done.
    pub reason: Option<String>,
    /// Members of the result file that are true or false, by their path with dots.
    pub facts: BTreeMap<String, bool>,
}

/// How far one wave has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveProgress {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub state: WaveState,
    /// The wave digest that was proposed or merged, if it ever was.
    pub digest: Option<Arc<str>>,
    /// SHA-256 of its `openings.json` as it was approved; none before, or where an earlier engine recorded none.
    pub openings: Option<Arc<str>>,
    /// Batches frozen when it was proposed; empty while pending.
    pub batches: Vec<BatchProgress>,
    /// When its soak began.
    pub soaking_since: Option<Timestamp>,
    /// Its soak cannot begin before this instant: when it was broken, or a person let the wave go on after a stop.
    pub not_before: Option<Timestamp>,
    /// What its gates last showed, by their position from 1.
    pub gates: BTreeMap<u32, GateProgress>,
    /// When it was promoted.
    pub promoted_at: Option<Timestamp>,
    /// When it failed, if it did and nobody let it go on since.
    pub failed_at: Option<Timestamp>,
    /// Why it is halted or failed, if it is.
    pub reason: Option<String>,
}

/// How far one batch has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchProgress {
    /// `01`, `02`, … within the wave.
    pub id: Arc<str>,
    /// Its assets with the indexes of their targets in the rollout's patch set.
    pub assets: BTreeMap<Arc<str>, Vec<usize>>,
    /// When it got its permit.
    pub released_at: Option<Timestamp>,
    /// Start of the opening it was released for; none = open for more than 400 days.
    pub opening_start: Option<Timestamp>,
    /// End of the opening it was released for; none = the opening has no end.
    pub opening_end: Option<Timestamp>,
    /// Assets whose checks passed, by observation newer than the release.
    pub passed: BTreeSet<Arc<str>>,
    /// The observation that first showed the targets of an asset that passed: it was patched before this instant.
    pub passed_at: BTreeMap<Arc<str>, Timestamp>,
    /// Assets that failed, with the reason.
    pub failed: BTreeMap<Arc<str>, String>,
    /// Assets that were never touched (off, unreachable, preflight failed, window missed), with the reason.
    pub not_attempted: BTreeMap<Arc<str>, String>,
    /// Assets that an earlier release of this batch may have touched and that have not passed since. A person let the
    /// rollout go on, which repairs nothing: they are down until their checks pass.
    pub touched: BTreeSet<Arc<str>>,
    /// Assets a person let go, until when.
    pub waived: BTreeMap<Arc<str>, Timestamp>,
    /// What the executor said.
    pub evidence: BTreeMap<Arc<str>, Said>,
    /// What its last check ahead of time said of each asset: no attempt, and it decides nothing.
    pub readiness: BTreeMap<Arc<str>, Said>,
    /// Its way back, where one was approved.
    pub way_back: Option<WayBack>,
}

/// How far a batch that goes back has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayBack {
    /// The assets that go back.
    pub assets: BTreeSet<Arc<str>>,
    /// When they were allowed to.
    pub released_at: Option<Timestamp>,
    /// They show what they had before.
    pub done: bool,
    /// What the executor said of it.
    pub evidence: BTreeMap<Arc<str>, Said>,
}

impl BatchProgress {
    /// Assets released and not yet passed: they are disrupted until their checks pass; a failed or silent one keeps
    /// consuming its budget, whoever resumes the rollout. One never touched does not.
    pub fn disrupted(&self) -> impl Iterator<Item = &Arc<str>> {
        let released = self.released_at.is_some();
        self.assets.keys().filter(move |a| {
            let tried = released && !self.not_attempted.contains_key(*a);
            (tried || self.touched.contains(*a)) && !self.passed.contains(*a)
        })
    }
}
