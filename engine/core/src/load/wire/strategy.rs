use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::name::{Amount, LabelSelector};
use crate::time::DurationSeconds;

/// Kind `RolloutStrategy`: the waves a rollout goes through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolloutStrategySpec {
    /// How long things take until history knows better; without it the defaults, marked as assumed.
    #[schemars(extend("default" = {"perAsset": "15m", "reboot": "10m"}))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// The waves; a DAG by `needs`.
    #[schemars(length(min = 1))]
    pub waves: Vec<WaveSpec>,
    /// What is different in a lane.
    #[serde(default)]
    pub lanes: Lanes,
}

/// How long one asset takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Estimate {
    /// How long patching one asset takes, without its reboot.
    pub per_asset: DurationSeconds,
    /// How long a reboot takes, added unless the class never reboots.
    pub reboot: DurationSeconds,
}

impl Default for Estimate {
    /// Assumed until an estimate is written or history knows better; the plan marks it as assumed.
    fn default() -> Self {
        Self {
            per_asset: DurationSeconds::minutes(15),
            reboot: DurationSeconds::minutes(10),
        }
    }
}

/// One wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaveSpec {
    /// Name of the wave, unique in the strategy.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: String,
    /// Waves that must be promoted first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Environments (of the assets' classes) in this wave.
    #[schemars(length(min = 1))]
    pub environments: Vec<String>,
    /// Narrows the wave to these assets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Sizes as in Ansible's `serial`: the last repeats; shares round down, at least 1.
    #[serde(default = "all_at_once")]
    #[schemars(length(min = 1))]
    pub batches: Vec<Amount>,
    /// More failures than this halt the wave; shares round down, 0 included.
    #[serde(default = "no_failures")]
    pub max_failures: Amount,
    /// When the wave may go on.
    #[serde(default)]
    pub promote_at: PromoteAt,
    /// How long the wave must hold still after its last batch.
    #[serde(default)]
    pub soak: DurationSeconds,
    /// Conditions for promotion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Who must agree before the wave may run.
    #[serde(default)]
    pub approval: Approval,
    /// What happens when too much failed.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn all_at_once() -> Vec<Amount> {
    vec![Amount::ALL]
}

fn no_failures() -> Amount {
    Amount::Count(0)
}

/// When a wave may go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PromoteAt {
    /// Assets that must be patched; shares round up.
    pub patched: Amount,
    /// The assets that `patched` is a share of.
    pub of: PromoteOf,
    /// At least so many assets must be patched, whatever the share.
    pub min: u32,
}

impl Default for PromoteAt {
    fn default() -> Self {
        Self {
            patched: Amount::ALL,
            of: PromoteOf::Reachable,
            min: 1,
        }
    }
}

/// What `patched` is a share of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PromoteOf {
    /// Assets that were attempted: off, unreachable and preflight-failed ones do not count.
    #[default]
    Reachable,
    /// Every asset of the wave.
    All,
}

/// A condition for promotion: exactly one of `promql`, `status`, `http`, `result`, `change`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gate {
    /// A PromQL expression; asked per asset through `match` unless `scope: global`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promql: Option<String>,
    /// The state that every check of each asset must show: `ok`, or `warning` for ok or warning. Acknowledged or in a
    /// downtime, a check counts as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A URL that must answer 200, or what follows the address of `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Text that the page of `http` must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A member of the result file that must be true, for example `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// The state in which an open change record must be, and cover the batch, before a batch is released, for example
    /// `implement`. It is found by `<rollout>/<wave>` in its correlation id or short description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Name of the Source that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How samples find their asset.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<GateMatch>,
    /// Comparison every sample must satisfy, for example `== 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// How long it must have held; runs inside the soak.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<DurationSeconds>,
    /// `asset` (the default) or `global`.
    #[serde(default)]
    pub scope: GateScope,
}

/// How samples find their asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GateMatch {
    /// The label of the sample.
    pub label: String,
    /// The fact of the asset it equals, for example `asset.fqdn`.
    pub to: String,
    /// Drop `:9100` from the label's value first.
    #[serde(default)]
    pub strip_port: bool,
}

/// What a gate is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GateScope {
    /// Every asset of the wave must pass.
    #[default]
    Asset,
    /// One answer for all.
    Global,
}

/// Who must agree to a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// The engine merges its own pull request in the same run.
    Automatic,
    /// So many reviewers approve the pull request.
    PullRequest {
        /// How many.
        reviewers: u32,
    },
}

impl Default for Approval {
    fn default() -> Self {
        Self::PullRequest { reviewers: 1 }
    }
}

/// Approval through the pull request of the wave.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PullRequestApproval {
    /// The pull request needs approvals.
    pull_request: Reviewers,
}

/// How many people must approve.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reviewers {
    /// How many approvals by members of `roles.approvers` the merged digest needs.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    reviewers: u32,
}

fn one() -> u32 {
    1
}

impl Serialize for Approval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Automatic => serializer.serialize_str("automatic"),
            Self::PullRequest { reviewers } => PullRequestApproval {
                pull_request: Reviewers { reviewers },
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Approval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if value == "automatic" {
            return Ok(Self::Automatic);
        }
        let approval = PullRequestApproval::deserialize(&value).map_err(serde::de::Error::custom)?;
        Ok(Self::PullRequest {
            reviewers: approval.pull_request.reviewers,
        })
    }
}

impl JsonSchema for Approval {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Approval".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = generator.subschema_for::<PullRequestApproval>();
        json_schema!({
            "description": "`automatic`, or `{pullRequest: {reviewers: 2}}`.",
            "anyOf": [
                {"const": "automatic", "description": "The engine merges its own pull request in the same run."},
                object
            ],
            "examples": ["automatic", {"pullRequest": {"reviewers": 2}}]
        })
    }
}

/// What happens when too much failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Stop and wait for a person.
    #[default]
    Halt,
    /// Propose the rollback.
    Rollback,
}

/// What is different in a lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lanes {
    /// What is different for findings whose SLA rule says `lane: emergency`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<EmergencyLane>,
}

/// The emergency lane: its own soak and windows; tests, approvals, budgets, compatibility and freezes are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmergencyLane {
    /// Soak of every wave; absent keeps each wave's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak: Option<DurationSeconds>,
    /// Whether the lane may run outside windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_windows: Option<OutsideWindows>,
    /// For tools: free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Whether and how the emergency lane may run outside windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutsideWindows {
    /// Whether the emergency lane may run outside windows.
    pub allowed: bool,
    /// Whose approval it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// How long before the start people are told.
    #[serde(default)]
    pub notice: DurationSeconds,
}
