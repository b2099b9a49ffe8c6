use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdvisoryType, AssetMatch, Schedule, SlaWithin};
use crate::name::{Amount, Glob, LabelSelector, SeverityMatch};
use crate::time::{DurationSeconds, When};

/// Kind `PatchPolicy`: what is patched, by when, and how it is rolled out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchPolicySpec {
    /// What the policy is for, in words; shown in plans and pull requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `observe` reports only, `propose` opens pull requests, `enforce` also refuses to be bypassed.
    #[serde(default)]
    pub mode: Mode,
    /// Team that owns the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Who is accountable, responsible, tests, approves, deploys and is informed.
    #[serde(default)]
    pub roles: Roles,
    /// Which assets the policy is for.
    pub scope: AssetMatch,
    /// Which advisories: any one of these.
    #[schemars(length(min = 1))]
    pub include: Vec<Include>,
    /// Which advisories not, even if included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<Exclude>,
    /// What waits until a date.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// When an advisory may roll out.
    #[serde(default)]
    pub release: Release,
    /// Which of the fixing versions is taken.
    #[serde(default)]
    pub strategy: VersionStrategy,
    /// Name of the SlaPolicy that gives deadlines.
    pub sla: String,
    /// Name of the RolloutStrategy that gives waves.
    pub rollout: String,
    /// When routine rollouts are cut; without it every run cuts what no open rollout carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cadence: Option<Cadence>,
    /// What must be proved before a wave may carry a target.
    #[serde(default)]
    pub requires: Requires,
    /// The circuit breaker: more than this in one run is refused until a person confirms.
    #[serde(default)]
    pub limits: Limits,
    /// Findings that existed at a date get their own burn-down deadlines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// What the policy wants to reach; reported, decides nothing.
    #[serde(default)]
    pub objectives: Objectives,
    /// Nothing new is cut, proposed or released while it lasts; ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// How far a policy goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Reports only.
    Observe,
    /// Opens pull requests.
    #[default]
    Propose,
    /// Opens pull requests and refuses to be bypassed.
    Enforce,
}

/// People and teams around a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Roles {
    /// Who answers for the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accountable: Option<String>,
    /// Teams that do the work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responsible: Vec<String>,
    /// Look at the first waves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub testers: Vec<String>,
    /// Their approval on the merged digest counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Run the jobs; an approval by a deployer does not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deployers: Vec<String>,
    /// Teams that are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub informed: Vec<String>,
}

/// Selects advisories; what is given is ANDed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Include {
    /// Advisory types this is for; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AdvisoryType>,
    /// Severities this is for; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityMatch>,
    /// Globs of package names, for example `openssl*`; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Glob>,
    /// Advisory ids or aliases (CVEs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
    /// CEL over `asset`, `advisory`, `finding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// Takes advisories out of the policy again; what is given is ANDed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exclude {
    /// Advisory types this is for; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AdvisoryType>,
    /// Severities this is for; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityMatch>,
    /// Globs of package names, for example `kernel*`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Glob>,
    /// Advisory ids or aliases (CVEs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
    /// CEL over `asset`, `advisory`, `finding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Why these are left out; shown in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Keeps packages back until a date. A hold binds its own policy only and cannot hide a breach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// Package name globs; empty with `advisories` given means any package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Glob>,
    /// Advisory ids or aliases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
    /// Fixing versions held, for example `>= 16` or `>= 16, < 17`; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<String>,
    /// Why it waits; shown wherever the hold binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The hold ends by itself.
    pub until: When,
}

/// When an advisory may roll out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// Minimum age of an advisory at the start of the first wave; does not bind the emergency lane.
    #[serde(default)]
    pub min_age: DurationSeconds,
    /// Types that a person must ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual: Vec<AdvisoryType>,
}

/// Which fixing version is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionStrategy {
    /// The lowest version that fixes all approved findings of the package.
    #[default]
    Minimal,
    /// The newest approved version.
    Latest,
}

/// The regular cycle: an RFC 5545 rule with its offset, start and zone.
pub type Cadence = Schedule;

/// What must be proved before a wave carries a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Requires {
    /// A wave takes only what an earlier wave proved.
    pub tested: bool,
    /// What happens to a target no earlier wave can prove.
    pub untested: Untested,
    /// Labels that must be equal between the asset that proves and the asset that takes.
    pub likeness: Vec<String>,
    /// How good the way back must be.
    pub reversible: Reversibility,
}

impl Default for Requires {
    fn default() -> Self {
        Self {
            tested: true,
            untested: Untested::Refuse,
            likeness: Vec::new(),
            reversible: Reversibility::None,
        }
    }
}

/// What happens to a target no earlier wave can prove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Untested {
    /// It is refused, with its reason.
    #[default]
    Refuse,
    /// One asset goes first, alone.
    Canary,
    /// One more approval is needed.
    ExtraApproval,
}

/// How good a way back is: none < snapshot < exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reversibility {
    /// No way back.
    #[default]
    None,
    /// Back to a snapshot: later data is lost.
    Snapshot,
    /// Back to exactly the earlier versions.
    Exact,
}

impl Reversibility {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Snapshot => "snapshot",
            Self::Exact => "exact",
        }
    }
}

/// The circuit breaker: more than this in one run wants a person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Assets in the emergency lane, as a count or a share of the assets in scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency_assets: Option<Amount>,
    /// Rollouts cut in one run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_rollouts: Option<u32>,
}

/// Findings published by `asOf` burn down on their own clock, reported apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    /// A finding whose advisory was published by then is in the baseline.
    pub as_of: When,
    /// Who approved that old findings get their own deadlines.
    pub approved_by: String,
    /// The baseline ends; what is left is on the ordinary clock.
    pub expires: When,
    /// Deadlines counted from `asOf`; the first match wins.
    pub burn_down: Vec<BurnDown>,
    /// Restricts the baseline to these assets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// One burn-down deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BurnDown {
    /// Only exploited, or only not exploited, advisories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited: Option<bool>,
    /// Severities this deadline is for; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityMatch>,
    /// How long after `asOf` the finding must be gone.
    pub within: SlaWithin,
}

/// What the policy wants to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objectives {
    /// Share of the assets in scope, observed and covered, on which no finding of this policy is past its deadline, or only
    /// accepted on record (an exception, a mitigation, no fix).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliance: Option<Amount>,
    /// Mean time from the start of the clock to the patch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_time_to_patch: Option<DurationSeconds>,
    /// Other objectives by name, for reports.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, String>,
}

/// A pause that ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// When it ends by itself; a bare date means the end of that day.
    pub until: When,
    /// Why nothing goes on; shown in status and reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who asked for the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
