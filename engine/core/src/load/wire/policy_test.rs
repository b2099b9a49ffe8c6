use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdvisoryFix, AdvisoryType, Lane, Lifecycle};
use crate::name::Severity;
use crate::time::{DurationSeconds, When};

/// Kind `PolicyTest`: a unit test of the policies in this repository.
///
/// `patchwave test` lets the repository's policies, classes, strategies, windows and exceptions judge the assets and
/// advisories written here, as of `now`, and compares what comes out with `expect`. Nothing else is read: no source, no
/// ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTestSpec {
    /// What the test shows, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The instant of the test.
    pub now: When,
    /// Assets, as native observations with `name` for the asset. Optional: `labels`, `observedAt` (default: `now`) and
    /// `fleet`, a Fleet whose labels and services count for it (default: the Fleet that lists the name, else none).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<serde_json::Map<String, serde_json::Value>>,
    /// Advisories. The repository's own Advisory resources are there as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<TestAdvisory>,
    /// What earlier runs left behind; default: this is the first run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<TestMemory>,
    /// What must come out.
    pub expect: Expectations,
}

/// An advisory of a test.
// The fields it shares with `AdvisorySpec` stand in both: serde's `flatten` and `deny_unknown_fields` do not go together, and a
// misspelt field that is taken silently is worse than a field declared twice. Both share the types of their fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestAdvisory {
    /// Its id.
    pub id: String,
    /// CVEs and other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it is about; default security.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AdvisoryType>,
    /// How bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// When it was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<When>,
    /// Whether it is exploited; for decision tables: whether its CVEs stand in the catalogue that a `kev` source of the
    /// repository gives. Without such a source a table cannot know, and takes the strictest outcome.
    #[serde(default)]
    pub exploited: bool,
    /// Since when exploitation is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited_since: Option<When>,
    /// What CISA answers for its CVEs; what is left out is not answered. Needs a CVE as id or alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssvc: Option<TestSsvc>,
    /// What fixes it.
    pub fixes: Vec<AdvisoryFix>,
}

/// SSVC answers, as a `vulnrichment` source gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestSsvc {
    /// State of exploitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploitation: Option<TestExploitation>,
    /// Whether exploitation can be automated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatable: Option<bool>,
    /// How much an attacker gains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technical_impact: Option<TestImpact>,
}

/// State of exploitation, in the words of SSVC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestExploitation {
    /// Nothing is known.
    None,
    /// A proof of concept is public.
    Poc,
    /// Attackers use it.
    Active,
}

/// Technical impact, in the words of SSVC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TestImpact {
    /// Limited control or disclosure.
    Partial,
    /// Total control.
    Total,
}

/// What earlier runs left behind, as the ledger remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestMemory {
    /// The first run there ever was. Cuts before it are not made up for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_run: Option<When>,
    /// The newest cut of each policy that was dealt with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cuts: BTreeMap<String, When>,
    /// When each advisory was first seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub advisories: BTreeMap<String, When>,
    /// When each asset was first seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assets: BTreeMap<String, When>,
    /// When each CVE was first seen in a catalogue of exploited vulnerabilities.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exploited: BTreeMap<String, When>,
}

/// What a test expects; only what is written is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expectations {
    /// Assets: the class that takes them, what can be said of them as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<ExpectedAsset>,
    /// Findings, each found by asset and advisory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<ExpectedFinding>,
    /// Rollouts, each found by policy, name or lane.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<ExpectedRollout>,
    /// Findings that wait for a later cut, by policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<ExpectedWaiting>,
    /// Refusals, each found by asset, reason and detail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<ExpectedRefusal>,
    /// The next openings of maintenance windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<ExpectedWindow>,
}

/// What is expected of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedAsset {
    /// The asset.
    pub asset: String,
    /// The AssetClass that takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Its status as a whole: `compliant` without findings, `unknown` without the facts or the feed to judge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The PatchPolicies in whose scope it is, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<String>>,
}

/// One expected finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedFinding {
    /// The asset.
    pub asset: String,
    /// The advisory, by id or alias.
    pub advisory: String,
    /// The package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The version that fixes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// When its clock started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_start: Option<When>,
    /// Its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<When>,
    /// Its lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// The PatchPolicy that carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The SlaPolicy that gave the deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sla: Option<String>,
    /// The SLA rule that decided: its name, `#3` without a name, or `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its timeliness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeliness: Option<String>,
    /// The risk decision: `track`, `track*`, `attend` or `act`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// A part of what the status rests on, for example the name of the exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The asset's lifecycle in the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// True when the finding must not exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// One expected rollout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedRollout {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The PatchPolicy it is made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Whether it is cut between two cadence instants because waiting would be too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expedited: Option<bool>,
    /// Its targets, all of them: package to version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<BTreeMap<String, String>>,
    /// The advisories it closes, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisories: Option<Vec<String>>,
    /// Waves, each found by its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<ExpectedWave>,
    /// True when there must be no such rollout.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// One expected wave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedWave {
    /// Its name.
    pub name: String,
    /// The waves it needs, all of them; those without assets are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// Its batches in order, all of them: the assets of each, or more of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batches: Option<Vec<ExpectedBatch>>,
    /// When its first batch starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<When>,
    /// When its last batch finishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<When>,
    /// Its earliest deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<When>,
    /// Deadline minus finish, exactly; not for a wave that misses its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<DurationSeconds>,
    /// How much of the time must be left at least: `0s` says only that the deadline is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack_at_least: Option<DurationSeconds>,
    /// Whether it misses its deadline, or has no place in time at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<bool>,
    /// What binds where a deadline is missed: window, soak, freeze, size, budget, predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// True when the rollout must have no such wave.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// One expected batch: its assets, or an object that says more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExpectedBatch {
    /// Its assets, all of them, in any order.
    Assets(Vec<String>),
    /// More of it.
    Detailed(DetailedBatch),
}

/// One expected batch with its times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DetailedBatch {
    /// Its assets, all of them, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets: Option<Vec<String>>,
    /// The name of its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// When it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<When>,
    /// When it finishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<When>,
}

/// Findings that are expected to wait for a later cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedWaiting {
    /// The PatchPolicy.
    pub policy: String,
    /// The cut they wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<When>,
    /// How many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<u64>,
    /// True when nothing must wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// One expected refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedRefusal {
    /// Why, for example `untested`, `irreversible`, `budget`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The asset that is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// A part of the detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// True when there must be no such refusal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// What is expected of one maintenance window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedWindow {
    /// The MaintenanceWindow.
    pub name: String,
    /// An asset of the test whose freezes count; default: no freeze counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// Whether it is open at `now`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// Its next openings, the current one first; as many as are written are compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub openings: Vec<ExpectedOpening>,
}

/// One expected opening.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectedOpening {
    /// When it opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<When>,
    /// When it closes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<When>,
}
