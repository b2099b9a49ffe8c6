use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::name::{Amount, LabelSelector};
use crate::time::DurationSeconds;

/// Kind `Fleet`: assets, where they are observed, and the services they form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetSpec {
    /// Labels of every asset of the fleet; an observation's and an asset's own labels win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Keys by which records of different sources are the same asset, best first.
    #[serde(default = "identity_keys")]
    pub identity: Vec<IdentityKey>,
    /// Names of inventory Sources; every asset they report is a member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Assets listed by hand; one never observed is `unknown`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<FleetAsset>,
    /// Services and their order; judged within one environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
}

fn identity_keys() -> Vec<IdentityKey> {
    vec![IdentityKey::MachineId, IdentityKey::Fqdn, IdentityKey::Name]
}

/// A key that tells assets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum IdentityKey {
    /// systemd machine id.
    MachineId,
    /// Fully qualified name.
    Fqdn,
    /// Serial number.
    Serial,
    /// BIOS UUID.
    BiosUuid,
    /// The asset's name.
    Name,
}

/// One asset listed by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FleetAsset {
    /// Unique without regard to case; at most 253 of `[A-Za-z0-9._-]`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,253}$"))]
    pub name: String,
    /// Labels; they win over the fleet's and the observation's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How the executor reaches it; default its fqdn, else its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its lifecycle, when the observation does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// The asset (hypervisor) this one runs on: it goes first. Default the label `runs-on`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_on: Option<String>,
}

/// Where an asset is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// In use.
    #[default]
    Active,
    /// Kept cold.
    Standby,
    /// Being worked on.
    Maintenance,
    /// Comes and goes.
    Ephemeral,
    /// Gone, on record.
    Retired,
}

impl Lifecycle {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Standby => "standby",
            Self::Maintenance => "maintenance",
            Self::Ephemeral => "ephemeral",
            Self::Retired => "retired",
        }
    }
}

/// A service: assets that together do one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// Name of the service, unique in the fleet.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: String,
    /// Which assets of the fleet.
    pub members: LabelSelector,
    /// Team that owns the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// At least so many must be up; shares round up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_available: Option<Amount>,
    /// At most so many may be down; shares round down, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Amount>,
    /// Services whose batches finish and pass first, in the same environment and wave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Order of the members by a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<MemberOrder>,
    /// How the members keep each other up; two of them are never down at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ha: Option<HighAvailability>,
    /// Serves others: goes before everything it serves and never in the same window. It serves what depends on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub platform: bool,
}

/// Order of members by the value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberOrder {
    /// Key of the label whose value orders the members.
    pub label: String,
    /// Its values, first to last; members with another value, or none, come last and are reported.
    pub values: Vec<String>,
}

/// How the members keep each other up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HighAvailability {
    /// For example `postgres-patroni`, `pacemaker`, `galera`, `etcd`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `observed`: the role is read at run time just before each member. Else the label that says it for the order of
    /// members (`primary`, `leader`, `master`, `active` and `writer` last); the role is read at run time all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Kind `Source`: where facts come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceSpec {
    /// What the source gives: inventory, advisories, scanner results, monitoring, change records or patch status.
    pub kind: SourceKind,
    /// Its format or product, for example `native`, `osv`, `kev`, `prometheus`.
    #[serde(rename = "type")]
    pub format: String,
    /// A file or folder, relative to the repository root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Address the source is fetched from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where its credential is found: `user:password` is sent as HTTP Basic, anything else as a bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
    /// A file of certificates (PEM), relative to the repository root: only what they have signed is trusted. Without it the
    /// trust store of the system is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// An observation older than this is stale.
    #[serde(default = "day_and_a_half")]
    pub stale_after: DurationSeconds,
    /// Fact groups for which this source is believed before others, whatever their age.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authoritative_for: Vec<String>,
    /// How columns become facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<String, String>,
}

fn day_and_a_half() -> DurationSeconds {
    DurationSeconds::hours(36)
}

/// What a source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Observations of assets.
    Inventory,
    /// Advisories and facts about them.
    Advisories,
    /// Scanner reports.
    Scanner,
    /// Health for gates.
    Monitor,
    /// Change records.
    Change,
    /// Patch status of other tools.
    PatchStatus,
}
