use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretRef;

/// Kind `Project`, in `patchwave.yaml`: paths, forge, state, defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectSpec {
    /// Where resources, templates and rollouts live, relative to the repository root.
    #[serde(default)]
    pub paths: Paths,
    /// Where pull requests are opened.
    #[serde(default)]
    pub forge: ForgeSpec,
    /// Where rebuildable state (snapshots, ETags) and the lease are kept. Deleting it loses no decision.
    #[serde(default)]
    pub state: StateSpec,
    /// Defaults of the project.
    #[serde(default)]
    pub defaults: ProjectDefaults,
}

/// Folders below the repository root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Paths {
    /// Folder of policies, windows, freezes and exceptions.
    pub policies: String,
    /// Folder of fleets, asset classes, strategies and sources.
    pub fleets: String,
    /// Render targets and hooks.
    pub templates: String,
    /// Written by the engine through pull requests only.
    pub rollouts: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            policies: "policies".into(),
            fleets: "fleets".into(),
            templates: "templates".into(),
            rollouts: "rollouts".into(),
        }
    }
}

/// The forge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeSpec {
    /// Which forge; `local` keeps everything in `.patchwave/forge.git`.
    #[serde(default, rename = "type")]
    pub kind: ForgeType,
    /// The repository on the forge, as `owner/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// API base of GitHub Enterprise Server (`https://HOST/api/v3`) or Gitea (`https://HOST/api/v1`); default that of github.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_url: Option<String>,
    /// Where the token is found; default the environment variable `PATCHWAVE_GITHUB_TOKEN`, on Gitea `PATCHWAVE_GITEA_TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_from: Option<SecretRef>,
    /// A GitHub App that gets itself tokens, instead of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<ForgeApp>,
    /// On GitHub: branches and the ledger are pushed with `git` instead of written through the Git data API. Gitea is always
    /// pushed to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub push: bool,
    /// The branch rollouts are merged into; default `main`.
    #[schemars(extend("default" = "main"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

/// A GitHub App that is installed on the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeApp {
    /// Its id, as its settings show it.
    pub id: u64,
    /// Where its private key is found, as GitHub gave it (PEM).
    pub private_key_from: SecretRef,
}

/// The forges there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForgeType {
    /// A bare repository beside the work tree; people's part is played with `patchwave forge …`.
    #[default]
    Local,
    /// GitHub or GitHub Enterprise.
    Github,
    /// Gitea or Forgejo.
    Gitea,
}

/// The state store: exactly one of `path` and `url`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StateSpec {
    /// A folder; default `.patchwave/state`.
    #[schemars(extend("default" = ".patchwave/state"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `s3://`, `gs://` or `az://`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Defaults for what resources leave out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProjectDefaults {
    /// IANA zone in which bare dates and schedules without a zone are read; default UTC.
    #[schemars(extend("default" = "UTC"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}
