use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::AdvisoryType;
use crate::name::{Amount, LabelSelector};
use crate::time::DurationSeconds;

/// Kind `AssetClass`: what an asset is, which tool patches it, when, and how carefully.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssetClassSpec {
    /// Label selector; `{}` matches every asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// A CEL condition over `asset` that must hold, beside `selector` or instead of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The highest wins where several classes match an asset; a tie is an error.
    #[serde(default)]
    pub priority: i64,
    /// Environment: waves select by it.
    pub environment: String,
    /// How much depends on the assets; SLA rules and risk decisions read it.
    #[serde(default)]
    pub criticality: Criticality,
    /// Who can reach it; missing counts as public and is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// How confidential its data is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_sensitivity: Option<DataSensitivity>,
    /// Which tool patches it; short for one entry of `targets` that takes every type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Which tool patches which types; the first match wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetChoice>,
    /// When it may be patched: the name of a window, or where to read the name.
    pub window: WindowChoice,
    /// How much may be down at once.
    #[serde(default)]
    pub disruption: Disruption,
    /// What is saved before, and the way back.
    #[serde(default)]
    pub protection: Protection,
    /// No data is lost when it is thrown away; `snapshot-revert` needs it.
    #[serde(default)]
    pub stateless: bool,
    /// What freezes the packages between test and production.
    #[serde(default)]
    pub content: Content,
    /// Patch in place, or replace by a new image.
    #[serde(default)]
    pub remedy: Remedy,
    /// Task files run around the patch.
    #[serde(default)]
    pub hooks: Hooks,
    /// Names of ValidationSuites run after the patch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<String>,
    /// Assets that may be away: laptops, cold standbys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absence: Option<Absence>,
}

/// How much depends on an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Little.
    Low,
    /// Something.
    #[default]
    Medium,
    /// Much.
    High,
    /// The business.
    Critical,
}

impl Criticality {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Who can reach an asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exposure {
    /// The internet.
    #[default]
    Public,
    /// Named partners.
    Partner,
    /// The organisation's own network.
    Internal,
    /// Nothing but its own segment.
    Isolated,
}

impl Exposure {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Partner => "partner",
            Self::Internal => "internal",
            Self::Isolated => "isolated",
        }
    }
}

/// How confidential data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataSensitivity {
    /// Public.
    Public,
    /// Internal.
    Internal,
    /// Confidential.
    Confidential,
    /// Restricted.
    Restricted,
}

impl DataSensitivity {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
        }
    }
}

/// One entry of `targets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetChoice {
    /// For what; absent means everything.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub subject: Option<TargetSubject>,
    /// Name of a render target.
    #[serde(rename = "use")]
    pub target: String,
}

/// What an entry of `targets` is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSubject {
    /// Advisory types; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AdvisoryType>,
}

/// The name of a MaintenanceWindow, or the label that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowChoice {
    /// This window.
    Name(String),
    /// The window named by a label of the asset, else the default.
    FromLabel {
        /// The label key.
        label: String,
        /// The window of assets without the label.
        default: Option<String>,
    },
}

/// A window named by a label of the asset.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WindowFromLabel {
    /// A label of the asset whose value names the window.
    from_label: String,
    /// The window of assets without that label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
}

impl Serialize for WindowChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => name.serialize(serializer),
            Self::FromLabel { label, default } => WindowFromLabel {
                from_label: label.clone(),
                default: default.clone(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for WindowChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        if let serde_json::Value::String(name) = value {
            return Ok(Self::Name(name));
        }
        let WindowFromLabel {
            from_label: label,
            default,
        } = WindowFromLabel::deserialize(&value).map_err(serde::de::Error::custom)?;
        Ok(Self::FromLabel { label, default })
    }
}

impl JsonSchema for WindowChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WindowChoice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = generator.subschema_for::<WindowFromLabel>();
        json_schema!({
            "description": "The name of a MaintenanceWindow, or `{fromLabel: patch-window, default: nights}`.",
            "anyOf": [{"type": "string"}, object],
            "examples": ["nights", {"fromLabel": "patch-window", "default": "nights"}]
        })
    }
}

/// How much may be down at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Disruption {
    /// At most this many at once; shares round down, at least 1.
    pub max_unavailable: Amount,
    /// Counted per `service`, `class`, `site`, or any label key.
    pub per: String,
    /// When a batch may reboot its assets.
    pub reboot: RebootPolicy,
}

impl Default for Disruption {
    fn default() -> Self {
        Self {
            max_unavailable: Amount::Count(1),
            per: "class".into(),
            reboot: RebootPolicy::IfNeeded,
        }
    }
}

/// When to reboot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RebootPolicy {
    /// When the system says that it needs one.
    #[default]
    IfNeeded,
    /// Always.
    Always,
    /// Never; what needs a reboot stays pending-reboot.
    Never,
}

impl RebootPolicy {
    /// The word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IfNeeded => "ifNeeded",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// What is saved before the patch, and the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Protection {
    /// Kind of backup: `none`, `vm-snapshot`, `database-dump`, `etcd-snapshot`, …
    pub backup: String,
    /// Kind of rollback: `none`, `package-downgrade`, `snapshot-revert`, …
    pub rollback: String,
    /// How long the backup is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<DurationSeconds>,
    /// How old a backup may be when the batch starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<DurationSeconds>,
}

impl Default for Protection {
    fn default() -> Self {
        Self {
            backup: "none".into(),
            rollback: "none".into(),
            keep_for: None,
            max_age: None,
        }
    }
}

/// What freezes the packages between test and production.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// A Katello content view version.
    ContentView,
    /// WSUS approvals by update id and revision.
    Wsus,
    /// A snapshot of an apt repository.
    AptSnapshot,
    /// A Pulp publication.
    Pulp,
    /// Nothing: the rollout is marked 'not reproducible'.
    #[default]
    None,
}

impl Content {
    /// The word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ContentView => "content-view",
            Self::Wsus => "wsus",
            Self::AptSnapshot => "apt-snapshot",
            Self::Pulp => "pulp",
            Self::None => "none",
        }
    }
}

/// Patch in place, or replace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// Patch in place.
    #[default]
    Patch,
    /// Replace by a newly built image.
    Replace,
}

/// Task files run around the patch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hooks {
    /// Run once, before the first asset of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before_batch: Vec<Hook>,
    /// Run before each asset is touched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before_asset: Vec<Hook>,
    /// Run after each asset, once it is patched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_asset: Vec<Hook>,
    /// Run once, after the last asset of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after_batch: Vec<Hook>,
    /// Run when an asset has failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<Hook>,
    /// After each asset, also after a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub always: Vec<Hook>,
}

/// One hook: a task file `templates/hooks/<name>.yml`, or a shipped one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hook {
    /// Name of a task file in `templates/hooks/`, or of a shipped hook.
    pub name: String,
    /// How long it may take; default 5m.
    #[serde(default = "five_minutes")]
    pub timeout: DurationSeconds,
}

fn five_minutes() -> DurationSeconds {
    DurationSeconds::minutes(5)
}

/// Assets that may be away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Absence {
    /// How long an asset may be away before that is reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<DurationSeconds>,
    /// An ephemeral asset not seen for this long is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_after: Option<DurationSeconds>,
    /// Why they may be away; shown in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
