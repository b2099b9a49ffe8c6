use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AdvisoryType, Exposure};
use crate::name::{Amount, Glob, LabelSelector, Severity, SeverityMatch};
use crate::time::{DurationSeconds, When};
use crate::version::Scheme;

/// Kind `PatchException`: a recorded decision not to fix, for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchExceptionSpec {
    /// Which assets; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// A CEL condition over `asset` that narrows the exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Advisory ids or aliases; ANDed with `packages`. A CVE closes a finding only when all its CVEs are covered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
    /// Globs of package names; with `advisories` given, both must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Glob>,
    /// When it ends by itself; a bare date means the end of that day.
    pub expires: When,
    /// Why the risk is taken; shown in reports.
    pub reason: String,
    /// Who accepted the risk.
    pub approved_by: String,
    /// The record behind it, for example a risk ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// What lowers the risk meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compensating_controls: Vec<String>,
    /// What the finding counts as.
    #[serde(default)]
    pub outcome: ExceptionOutcome,
    /// Which clock runs after it expired.
    #[serde(default)]
    pub on_expiry: OnExpiry,
}

/// What an excepted finding counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExceptionOutcome {
    /// The risk is accepted.
    #[default]
    Accepted,
    /// The risk is handled otherwise.
    Mitigated,
    /// No fix exists or can be taken.
    Unpatchable,
    /// The asset is not affected.
    NotAffected,
}

/// Which clock runs after an exception expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnExpiry {
    /// The one it had.
    #[default]
    OriginalClock,
    /// A new one, from the expiry.
    RestartClock,
}

/// Kind `CompatibilityMatrix`: which versions go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CompatibilityMatrixSpec {
    /// Which assets; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// A CEL condition over `asset` that narrows the matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Combinations that work; a row maps a component to a version range or a list of values.
    pub rows: Vec<BTreeMap<String, CompatibleValues>>,
}

/// A version range such as `>=12.4 <12.6`, or a list of values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CompatibleValues {
    /// A version range.
    Range(String),
    /// One of these.
    OneOf(Vec<String>),
}

/// Kind `ValidationSuite`: checks run after the patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationSuiteSpec {
    /// The checks, run in this order after the patch.
    pub checks: Vec<ValidationCheck>,
}

/// One check: exactly one of `command`, `workload`, `promql`, `http`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationCheck {
    /// Name of the check, unique in the suite.
    pub name: String,
    /// A command that must exit 0 on the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// A workload whose figure may not fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
    /// A PromQL expression, asked per asset through `match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promql: Option<String>,
    /// A URL that must answer 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Name of the Source that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How samples find their asset.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<super::GateMatch>,
    /// How long the check must hold without a break.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<DurationSeconds>,
    /// How long it may take before it counts as failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<DurationSeconds>,
    /// How often it is tried again.
    #[serde(default)]
    pub retries: u32,
}

/// A workload whose figure may not fall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// The command; prints JSON.
    pub command: String,
    /// The field of its output.
    pub metric: String,
    /// How far the figure may fall below that of before the patch.
    pub max_regression: Amount,
}

/// Kind `ComplianceProfile`: the controls a report is made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComplianceProfileSpec {
    /// The framework, for example `PCI DSS 4.0.1`.
    pub framework: String,
    /// Which assets; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The controls of the standard, each with what measures it.
    pub controls: Vec<Control>,
}

/// One control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Control {
    /// The number of the control in its standard.
    pub id: String,
    /// What the control asks, in the words of the standard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What is measured for it.
    pub measure: Measure,
    /// The share that must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Amount>,
}

/// How a control is measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Measure {
    /// Only findings of these severities; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityMatch>,
    /// Only exploited, or only not exploited, advisories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited: Option<bool>,
    /// Only assets with this exposure; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// The time within which a finding must be fixed to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<DurationSeconds>,
}

/// Kind `NotificationPolicy`: who is told what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotificationPolicySpec {
    /// Events that are told.
    pub events: Vec<NotificationEvent>,
    /// How long before a batch people are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<DurationSeconds>,
    /// Which assets; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Where people are told.
    pub channels: Vec<Channel>,
}

/// What people can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotificationEvent {
    /// A window is planned.
    WindowPlanned,
    /// A pull request was opened.
    WaveProposed,
    /// A batch was released.
    BatchReleased,
    /// A wave was promoted.
    WavePromoted,
    /// A wave was halted.
    WaveHalted,
    /// A deadline is near.
    SlaAtRisk,
    /// A deadline has passed.
    SlaBreached,
    /// An exception ends soon.
    ExceptionExpiring,
    /// A source is stale or failed.
    SourceStale,
}

/// Where a notice goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Channel {
    /// How people are told.
    #[serde(rename = "type")]
    pub kind: ChannelType,
    /// An address without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where a secret address is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<super::SecretRef>,
    /// Mail addresses that are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Folder that calendars are written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How a notice travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelType {
    /// An HTTP POST.
    Webhook,
    /// Mail.
    Email,
    /// An iCalendar file.
    Icalendar,
}

/// Kind `Advisory`: a bulletin without a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdvisorySpec {
    /// The vendor's id; default the resource's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// CVEs and other ids of the same problem; they link, and never merge, advisories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Where the bulletin stands, for example its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Who wrote it down and answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What it is about; default security.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AdvisoryType>,
    /// The vendor's severity; absent counts as `unknownSeverity` of the SLA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// When the vendor published it; clocks of `published` start here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<When>,
    /// Whether it is exploited.
    #[serde(default)]
    pub exploited: bool,
    /// Since when exploitation is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited_since: Option<When>,
    /// Which version of which package fixes it.
    pub fixes: Vec<AdvisoryFix>,
}

/// What fixes an advisory: a package of an ecosystem, or a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdvisoryFix {
    /// OSV ecosystem, for example `AlmaLinux:9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecosystem: Option<String>,
    /// Name of the package, as its ecosystem spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// A component instead of a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentMatch>,
    /// The first affected version; absent means all before the fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduced: Option<String>,
    /// The first fixed version; absent means that there is no fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
}

/// Which component. Kind, vendor and product are compared without regard to case; what is left out matches any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentMatch {
    /// What it is.
    pub kind: ComponentKind,
    /// Vendor name as observed, for example `netapp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Product name as observed, for example `BIOS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// How its versions are ordered; default `nvidia` for kind `gpu`, `semver` for `kubernetes` and for charts (`application`
    /// of vendor `helm`), `windows` for `os`, else `dotted`. Versions that the scheme cannot order make the finding unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
}

/// What a component is: the kinds of observed `components`, and three that are facts of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ComponentKind {
    /// Firmware.
    Firmware,
    /// A hypervisor.
    Hypervisor,
    /// A storage system.
    Storage,
    /// A backup system.
    Backup,
    /// A database.
    Database,
    /// A language runtime.
    Runtime,
    /// An application.
    Application,
    /// An image an asset was made from.
    Image,
    /// `kubelet`, or the container runtime by its name (`containerd`, `cri-o`), of the fact `kubernetes`.
    Kubernetes,
    /// `driver` or `cuda` of the fact `gpu`; vendor `nvidia`.
    Gpu,
    /// The fact `osBuild`; vendor `microsoft`, product `windows`. A fix speaks of builds of its own branch only.
    Os,
}

impl ComponentKind {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firmware => "firmware",
            Self::Hypervisor => "hypervisor",
            Self::Storage => "storage",
            Self::Backup => "backup",
            Self::Database => "database",
            Self::Runtime => "runtime",
            Self::Application => "application",
            Self::Image => "image",
            Self::Kubernetes => "kubernetes",
            Self::Gpu => "gpu",
            Self::Os => "os",
        }
    }

    /// How its versions are ordered where an advisory does not say: as Kubernetes, NVIDIA and Microsoft define theirs, and
    /// everything else as dotted numbers with suffixes, which answers only where it can tell.
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Kubernetes => Scheme::Semver,
            Self::Gpu => Scheme::Nvidia,
            Self::Os => Scheme::Windows,
            _ => Scheme::Dotted,
        }
    }

    /// How versions of what `vendor` (lower case) makes of this kind are ordered: charts, which are `application` of vendor
    /// `helm`, have semantic versions (<https://helm.sh/docs/topics/charts/#the-chartyaml-file>); else as [`Self::scheme`].
    pub fn scheme_of(self, vendor: &str) -> Scheme {
        match self {
            Self::Application if vendor == "helm" => Scheme::Semver,
            _ => self.scheme(),
        }
    }

    /// The kind of that word, as observations spell it.
    pub fn parse(word: &str) -> Option<Self> {
        const ALL: [ComponentKind; 11] = [
            ComponentKind::Firmware,
            ComponentKind::Hypervisor,
            ComponentKind::Storage,
            ComponentKind::Backup,
            ComponentKind::Database,
            ComponentKind::Runtime,
            ComponentKind::Application,
            ComponentKind::Image,
            ComponentKind::Kubernetes,
            ComponentKind::Gpu,
            ComponentKind::Os,
        ];
        ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}
