//! Render targets as people write them: `templates/<name>/target.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ComponentKind, Content, Reversibility};
use crate::version::Scheme;

/// `target.yaml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSpec {
    /// `1.0`.
    #[schemars(regex(pattern = r"^1\.[0-9]+$"))]
    pub format_version: String,
    /// Name of the target: the name of its folder.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: String,
    /// For people.
    pub description: String,
    /// Version schemes whose packages it can install; empty for a pack that installs no packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ecosystems: Vec<Scheme>,
    /// What else it updates: kinds of components, as advisories name them (`os` is a Windows build).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<ComponentKind>,
    /// It replaces assets by new images instead of patching them (`remedy: replace`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaces: bool,
    /// It installs everything an advisory brings, whatever part of it the plan chose: an asset on which that is more is
    /// refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_advisories: bool,
    /// What it freezes between the waves (`content` of a class).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub content: BTreeSet<Content>,
    /// Facts of an asset without which nothing can be rendered for it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<Need>,
    /// The tools that accepted its golden files, each with its version and what was shown; empty = `unproven`: written
    /// after its vendor's documentation, and no tool has taken it here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_by: Vec<String>,
    /// Command lines for the runbook, as somebody types them in the wave's folder.
    #[serde(default, skip_serializing_if = "Commands::is_empty")]
    pub runbook: Commands,
    /// What nobody can promise with this tool, a sentence each; shown in docs/targets.md.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// What it can do.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The files it makes.
    #[schemars(length(min = 1))]
    pub files: Vec<FileSpec>,
}

/// Command lines of a target; `{batch}` stands for the number of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Commands {
    /// Days and hours ahead: what is looked at without touching anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<String>,
    /// What runs a batch, and looks again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
    /// What takes a release back that has not been carried out yet, where clients take what is released to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub withdraw: Vec<String>,
    /// What goes back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub back: Vec<String>,
}

impl Commands {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.run.is_empty() && self.withdraw.is_empty() && self.back.is_empty()
    }
}

/// What a target can do. The planner refuses what it cannot, before anything is rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capabilities {
    /// Who begins.
    pub control: Delivery,
    /// It installs exactly the version asked for.
    pub pins: bool,
    /// It can make clients install by a given time.
    pub deadline: bool,
    /// It can keep clients from installing before a given time.
    pub not_before: bool,
    /// It can stop an asset that has begun.
    pub stop_in_flight: bool,
    /// What a client does that missed the window.
    pub late_clients: LateClients,
    /// Who decides about reboots.
    pub reboot: RebootControl,
    /// The ways back it can render, apart from none.
    pub rollback: BTreeSet<Way>,
    /// How near to an asset the hooks of its class can run.
    pub hooks: HookReach,
    /// Kinds of `protection.backup` it can take, or have taken, just before an asset is touched. The age of a regular
    /// backup (`maxAge`) is a thing of `backupEvidence`.
    pub backups: BTreeSet<String>,
    /// It refuses an asset whose regular backup is not proved to be fresh (`protection.maxAge`).
    pub backup_evidence: bool,
    /// It reads the role of a member just before that member is touched (`services[].ha`).
    pub roles: bool,
    /// It runs the checks of ValidationSuites on the asset (`command`, `http`).
    pub checks: bool,
    /// It measures the workloads of ValidationSuites before and after an asset (`workload`).
    pub workloads: bool,
}

/// A fact of an asset that a target cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Need {
    /// What an update server offers it, by id and revision.
    Updates,
    /// The content view it gets its packages from.
    Content,
    /// What its cluster says of it as a node.
    Kubernetes,
    /// What its GPU driver says.
    Gpu,
}

impl Need {
    /// The word used in `target.yaml` and in observations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updates => "updates",
            Self::Content => "content",
            Self::Kubernetes => "kubernetes",
            Self::Gpu => "gpu",
        }
    }

    /// Why nothing can be rendered without it, in words that follow "because it".
    pub const fn why(self) -> &'static str {
        match self {
            Self::Updates => "names updates by id and revision, and none were observed",
            Self::Content => "works on content views, and none was observed",
            Self::Kubernetes => "works on nodes of a cluster, and the asset was not observed as one",
            Self::Gpu => "works on GPU drivers, and none was observed",
        }
    }
}

/// How near to an asset hooks can run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HookReach {
    /// Nowhere.
    #[default]
    None,
    /// Before and after a batch.
    Batch,
    /// Before and after each asset too.
    Asset,
}

/// Who begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    /// The executor begins with each asset: a permit is asked at that moment.
    #[default]
    Push,
    /// Clients take what is released to their group.
    Pull,
}

/// What a client does that missed the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LateClients {
    /// It installs nothing.
    #[default]
    Skip,
    /// It installs when it comes back.
    Install,
}

/// Who decides about reboots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebootControl {
    /// The artifact does, as the class says.
    #[default]
    Controlled,
    /// The client does.
    Client,
    /// Nothing is ever rebooted.
    None,
}

/// A way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To a snapshot.
    Snapshot,
    /// To exactly the earlier versions.
    Exact,
}

impl Capabilities {
    /// Whether the target can render this way back. None needs nothing.
    pub fn can_return(&self, kind: Reversibility) -> bool {
        match kind {
            Reversibility::None => true,
            Reversibility::Snapshot => self.rollback.contains(&Way::Snapshot),
            Reversibility::Exact => self.rollback.contains(&Way::Exact),
        }
    }
}

/// One kind of file a target makes: rendered from `template`, or copied from `copy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSpec {
    /// Path relative to the wave's folder; `{batch}` and `{asset}` stand for their names. Below `<target>/` or
    /// `rollback/<target>/`.
    pub path: String,
    /// A Handlebars template of the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A file of the folder that is copied as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// Folders whose files are all copied below `path`, for example `[common/tasks, tasks]`; a later one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<String>,
    /// Which of those files only some waves need, by the beginning of their path below their folder: the package managers,
    /// types of service (`ha.type`) and kinds of backup of which a wave has one, for example `{apt-: [apt], roles/etcd: [etcd]}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, Vec<String>>,
    /// How values are written; `none` only with `copy` and `folders`.
    pub escape: Escape,
    /// How many there are.
    #[serde(default)]
    pub per: Per,
}

/// How many files of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// One a wave.
    #[default]
    Wave,
    /// One a batch.
    Batch,
    /// One an asset.
    Asset,
}

/// How `{{value}}` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    /// A double-quoted YAML 1.2 scalar.
    Yaml,
    /// A JSON string.
    Json,
    /// A double-quoted value without line breaks.
    Ini,
    /// A single-quoted POSIX shell word.
    Shell,
    /// Text of a Markdown line or table cell.
    Markdown,
    /// A single-quoted PowerShell string.
    Powershell,
    /// No values at all: the file is copied as it is.
    None,
}
