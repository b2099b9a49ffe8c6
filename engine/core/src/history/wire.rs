//! What is written under `rollouts/<name>/` and read back: the frozen plan, its parts, openings and result files.
//!
//! Every format starts with `formatVersion`; a reader takes a newer minor version (and members it does not know) and
//! refuses a newer major one. Nothing here depends on the time of writing \[Frozen\].

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::history::Target;
use crate::load::wire::{Approval, Gate, Lane, OnFailure, PromoteAt, Reversibility};
use crate::name::Amount;
use crate::time::Opening;

/// Version of every format of this module: `major.minor`.
pub const FORMAT_VERSION: &str = "1.0";

const MAJOR: u32 = 1;

/// Name of the file that holds a wave's openings; it moves with freezes and overrides, so no wave digest covers it.
pub const OPENINGS_FILE: &str = "openings.json";

/// Why a written file cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not JSON or YAML, or not of this shape.
    #[error(
        "{file} cannot be read: {reason}; take it again from where it was written: the pull request, or the run of the executor"
    )]
    Malformed {
        /// The file.
        file: &'static str,
        /// What the parser says, with line and column.
        reason: String,
    },
    /// Written by a newer engine.
    #[error(
        "{file} has formatVersion {found}, this engine reads {MAJOR}.x; run the engine that wrote it, or a newer one"
    )]
    Newer {
        /// The file.
        file: &'static str,
        /// Its version.
        found: String,
    },
}

/// `plan.json`: the frozen projection of a rollout. The `now` of the run, schedule instants, slack, staleness and
/// states are not in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenRollout {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The rollout.
    #[serde(flatten)]
    pub rollout: RolloutHead,
    /// What it carries.
    pub patchset: Patchset,
    /// The MaintenanceWindows its batches run in, as specified at the cut, by name.
    pub windows: BTreeMap<String, Value>,
    /// Waves in order of the strategy; empty ones left out.
    pub waves: Vec<FrozenWave>,
}

/// What a rollout is called and where it comes from. Also the body of `rollout.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutHead {
    /// `<policy>-<date of the cut>[-emergency][-2]`.
    pub name: String,
    /// The PatchPolicy.
    pub policy: String,
    /// The RolloutStrategy.
    pub strategy: String,
    /// The lane.
    pub lane: Lane,
    /// Rises only when the patch-set digest changes.
    pub revision: u32,
    /// When it was cut.
    pub cut: Timestamp,
    /// Cut between cadence instants because waiting would have been too late.
    pub expedited: bool,
    /// How often newcomers restarted it.
    pub restarts: u32,
    /// Something freezes the content; if not, later waves may see other packages.
    pub reproducible: bool,
    /// At least one target's availability on some asset was unknown.
    pub installability_unknown: bool,
    /// Advisories behind it, sorted.
    pub advisories: Vec<String>,
    /// Assets on which forensic triage is asked for, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forensics: Vec<String>,
}

/// A patch set and its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Patchset {
    /// See [`crate::render::patchset_digest`].
    pub digest: String,
    /// Sorted targets.
    pub targets: Vec<Target>,
}

/// One wave as frozen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenWave {
    /// Its name.
    pub name: String,
    /// Position among the strategy's waves, from 1.
    pub number: u32,
    /// Waves that must be promoted first.
    pub needs: Vec<String>,
    /// Soak in seconds, after the lane.
    pub soak_seconds: i64,
    /// Who must agree.
    pub approval: Approval,
    /// When it may go on.
    pub promote_at: PromoteAt,
    /// More failures than this halt it.
    pub max_failures: Amount,
    /// What happens when too much failed.
    pub on_failure: OnFailure,
    /// Conditions for promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Earliest deadline of its findings that held at the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Windows that had another specification when this wave was merged than they have in the rollout's list now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub windows: BTreeMap<String, Value>,
    /// Batches in order.
    pub batches: Vec<FrozenBatch>,
}

impl FrozenRollout {
    /// The specification of a window as a wave was merged with it; none for one that nobody wrote (`outside`).
    pub fn window<'a>(&'a self, wave: &'a FrozenWave, name: &str) -> Option<&'a Value> {
        wave.windows.get(name).or_else(|| self.windows.get(name))
    }
}

impl FrozenWave {
    /// Its folder, relative to the rollout's: `waves/01-test`.
    pub fn folder(&self) -> String {
        format!("waves/{:02}-{}", self.number, self.name)
    }

    /// The file of its openings, relative to the rollout's.
    pub fn openings_file(&self) -> String {
        format!("{}/{OPENINGS_FILE}", self.folder())
    }
}

/// One batch as frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenBatch {
    /// `01`, `02`, …
    pub id: String,
    /// Names of the windows of its assets joined by `+`; `outside` in an emergency lane outside windows.
    pub window: String,
    /// Its assets, in order of name.
    pub assets: Vec<FrozenAsset>,
}

/// One asset of a batch as frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenAsset {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: String,
    /// The render target; the first, where several update it.
    pub target: String,
    /// The render target of each target, in their order; empty where `target` takes all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// The image it is replaced by, where its class replaces instead of patching.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<FrozenImage>,
    /// Indexes into the patch set, ascending.
    pub targets: Vec<usize>,
    /// The version of each target's package it had, same order.
    pub before: Vec<String>,
    /// How good its way back is.
    pub rollback: Reversibility,
}

/// An image that replaces an asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrozenImage {
    /// Its name.
    pub name: String,
    /// The version the asset ran when the rollout was frozen.
    pub from: String,
    /// What it must hold, as a name: the first digits of the SHA-256 of its targets.
    pub id: String,
}

/// `rollout.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutFile {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The rollout.
    #[serde(flatten)]
    pub rollout: RolloutHead,
    /// Digest of its patch set.
    pub patchset: String,
    /// Names of its waves, in order.
    pub waves: Vec<String>,
}

/// `patchset.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PatchsetFile {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The patch set.
    #[serde(flatten)]
    pub patchset: Patchset,
}

/// `openings.json` of a wave: when each batch may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpeningsFile {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The rollout.
    pub rollout: String,
    /// The wave.
    pub wave: String,
    /// The first instant looked at: the cut.
    pub from: Timestamp,
    /// The last: 30 days past the deadline that held at the cut.
    pub until: Timestamp,
    /// By batch id.
    pub batches: BTreeMap<String, BatchOpenings>,
}

/// When one batch may start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchOpenings {
    /// Names of its windows.
    pub window: String,
    /// `true` = no further asset is started after the end of the opening.
    pub stop_at_end: bool,
    /// The openings in order.
    pub openings: Vec<BatchOpening>,
}

/// One opening with the last instant a batch may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchOpening {
    /// Its edges.
    #[serde(flatten)]
    pub opening: Opening,
    /// The first instant at which it is too late to start: the end less the cutoff. Absent where there is no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_before: Option<Timestamp>,
}

/// `rollback-<stop>.yaml` of a rollout: what a pull request asks to take back. It is read again when it is merged, so what a
/// person took out of it before stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackFile {
    /// [`FORMAT_VERSION`] of the writer.
    pub format_version: String,
    /// The rollout.
    pub rollout: String,
    /// The wave that failed.
    pub wave: String,
    /// SHA-256 of the ledger line that halted it.
    pub answers: String,
    /// The assets that go back, by batch.
    pub batches: BTreeMap<String, Vec<RollbackAsset>>,
}

/// One asset that is to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackAsset {
    /// Its name.
    pub name: String,
    /// How good its way back is.
    pub rollback: Reversibility,
    /// What it had before.
    pub versions: Vec<RollbackVersion>,
}

/// One package on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RollbackVersion {
    /// The package.
    pub name: String,
    /// The version the wave brought.
    pub from: String,
    /// The version before it.
    pub to: String,
}

/// What an executor writes of one asset. Members it has nothing to say about may be missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "patchwave result file, version 1")]
pub struct ResultFile {
    /// `1.1` (`1.0` had no `preflight` and no `restartNeeded`); readers take any `1.x`.
    #[schemars(regex(pattern = r"^1\.[0-9]+$"))]
    pub format_version: String,
    /// The rollout.
    pub rollout: String,
    /// The wave.
    pub wave: String,
    /// The batch.
    pub batch: String,
    /// The asset.
    pub asset: String,
    /// Digest of the patch set that was to be installed.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub patchset: String,
    /// SHA-256 of the `SHA256SUMS` that the executor checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<String>,
    /// Patch, rollback or preflight.
    pub action: ResultAction,
    /// How it ended.
    pub status: ResultStatus,
    /// Where it was when it ended: `permit`, `digest`, `window`, `preflight`, `hooks`, `patch`, …, `done`.
    pub stage: String,
    /// Why, unless `ok`.
    #[serde(default)]
    pub reason: String,
    /// When the executor began with the asset.
    pub started_at: String,
    /// When it ended; absent while `started`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// Whether anything was changed.
    #[serde(default)]
    pub changed: bool,
    /// Whether it was rebooted.
    #[serde(default)]
    pub rebooted: bool,
    /// Whether it waits for a reboot; absent = not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_reboot: Option<bool>,
    /// Packages of the patch set as they were and are.
    #[serde(default)]
    pub packages: Vec<ResultPackage>,
    /// The whole transaction of the dry run, as the package manager words it.
    #[serde(default)]
    pub transaction: Vec<String>,
    /// What the protection hook printed: the id of the snapshot or dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<String>,
    /// Services, and programs outside a service, that still run code which was replaced below them.
    #[serde(default)]
    pub restart_needed: Vec<String>,
}

/// One package of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultPackage {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Versions found before, usually one.
    pub before: Vec<String>,
    /// Versions found after; empty = not read.
    pub after: Vec<String>,
}

/// What an executor did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResultAction {
    /// Installed the targets.
    Patch,
    /// Went back.
    Rollback,
    /// Checked ahead of time what is checked before an asset is touched, and touched nothing.
    Preflight,
}

/// How an asset ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ResultStatus {
    /// Touched, and never concluded: the executor or the asset was lost. Counts as failed.
    Started,
    /// Every check passed; of a preflight: it is ready.
    Ok,
    /// Something failed after the asset was touched.
    Failed,
    /// The asset was not touched.
    NotAttempted,
    /// A check of a preflight did not pass.
    NotReady,
}

/// So many true-or-false members of a result file are kept; one of the engine's own has three.
const FACTS_MAX: usize = 64;

/// The members of a result file that are true or false, by their path with dots (`checks.http.ok`): what a `result` gate
/// can ask. Files may have members of their own besides those of [`ResultFile`]. Bytes that are no JSON have none.
pub fn result_facts(bytes: &[u8]) -> BTreeMap<String, bool> {
    let mut facts = BTreeMap::new();
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let mut open = vec![(String::new(), &value)];
    while let Some((path, value)) = open.pop() {
        let members = value.as_object().into_iter().flatten();
        for (name, member) in members {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match member {
                Value::Bool(fact) => {
                    facts.insert(path, *fact);
                }
                Value::Object(_) => open.push((path, member)),
                _ => {}
            }
        }
    }
    while facts.len() > FACTS_MAX {
        facts.pop_last();
    }
    facts
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned {
    format_version: String,
}

/// Refuses a version of a newer major than this engine's.
fn check_version(file: &'static str, found: &str) -> Result<(), ReadError> {
    let major = found.split_once('.').map_or(found, |(major, _)| major).parse::<u32>();
    match major {
        Ok(major) if major <= MAJOR => Ok(()),
        Ok(_) => Err(ReadError::Newer {
            file,
            found: found.to_owned(),
        }),
        Err(_) => Err(ReadError::Malformed {
            file,
            reason: format!("formatVersion `{found}` is not a version"),
        }),
    }
}

fn read_json<T: serde::de::DeserializeOwned>(file: &'static str, bytes: &[u8]) -> Result<T, ReadError> {
    let malformed = |e: serde_json::Error| ReadError::Malformed {
        file,
        reason: e.to_string(),
    };
    // The version is read first: a newer major may have any shape.
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(malformed)?;
    check_version(file, &versioned.format_version)?;
    serde_json::from_slice(bytes).map_err(malformed)
}

fn read_yaml<T: serde::de::DeserializeOwned>(file: &'static str, bytes: &[u8]) -> Result<T, ReadError> {
    let malformed = |reason: String| ReadError::Malformed { file, reason };
    let text = std::str::from_utf8(bytes).map_err(|e| malformed(e.to_string()))?;
    let versioned: Versioned = crate::source::yaml::from_text(text).map_err(malformed)?;
    check_version(file, &versioned.format_version)?;
    crate::source::yaml::from_text(text).map_err(malformed)
}

/// Reads `plan.json`.
///
/// # Errors
/// [`ReadError`]: not JSON, not of this shape, or of a newer major version.
pub fn read_plan_json(bytes: &[u8]) -> Result<FrozenRollout, ReadError> {
    read_json("plan.json", bytes)
}

/// Reads `openings.json`.
///
/// # Errors
/// As [`read_plan_json`].
pub fn read_openings_json(bytes: &[u8]) -> Result<OpeningsFile, ReadError> {
    read_json("openings.json", bytes)
}

/// Reads `rollout.yaml`.
///
/// # Errors
/// As [`read_plan_json`].
pub fn read_rollout_yaml(bytes: &[u8]) -> Result<RolloutFile, ReadError> {
    read_yaml("rollout.yaml", bytes)
}

/// Reads `patchset.yaml`.
///
/// # Errors
/// As [`read_plan_json`].
pub fn read_patchset_yaml(bytes: &[u8]) -> Result<PatchsetFile, ReadError> {
    read_yaml("patchset.yaml", bytes)
}

/// Reads `rollback-<stop>.yaml`.
///
/// # Errors
/// As [`read_plan_json`].
pub fn read_rollback_yaml(bytes: &[u8]) -> Result<RollbackFile, ReadError> {
    read_yaml("the request to roll back", bytes)
}

/// One value of a written format as YAML, with every string quoted: a version such as `1:30` is a number to readers of
/// YAML 1.1.
///
/// # Errors
/// What cannot be written.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string_with_options(value, serde_yaml::ser_options! { quote_all: true }).map_err(|e| e.to_string())
}

/// Reads a result file.
///
/// # Errors
/// As [`read_plan_json`].
pub fn read_result(bytes: &[u8]) -> Result<ResultFile, ReadError> {
    read_json("the result file", bytes)
}
