//! The kinds as people write them: one module a family, field names and defaults fixed by the contract.
//!
//! These types are wire types: they are what the JSON Schemas in `schemas/v1/` are generated from, and their doc
//! comments are the reference a user sees on hover. Unknown fields are errors. Meaning is given elsewhere.

mod class;
mod compliance;
mod fleet;
mod policy;
mod policy_test;
mod project;
mod sla;
mod strategy;
mod target;
mod window;

pub use class::*;
pub use compliance::*;
pub use fleet::*;
pub use policy::*;
pub use policy_test::*;
pub use project::*;
pub use sla::*;
pub use strategy::*;
pub use target::*;
pub use window::*;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::LabelSelector;

/// The `apiVersion` of every kind.
pub const API_VERSION: &str = "patchwave.dev/v1";

/// `metadata` of every kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A DNS-1123 label, unique per kind: lowercase letters, digits and `-`, at most 63 characters.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: String,
    /// Labels of the resource itself.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free text for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Which assets: `selector` (Kubernetes label selector; `{}` matches all), `when` (CEL over `asset`), or both (ANDed).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssetMatch {
    /// Label selector; `{}` matches every asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// A CEL expression over `asset`, for example `asset.os.family in ["rhel", "debian"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
}

/// What an advisory is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AdvisoryType {
    /// Fixes a vulnerability.
    Security,
    /// Fixes a defect.
    Bugfix,
    /// Adds something.
    Enhancement,
    /// A device driver.
    Driver,
    /// Firmware of a device.
    Firmware,
    /// A platform: hypervisor, Kubernetes, appliance.
    Platform,
}

impl AdvisoryType {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Bugfix => "bugfix",
            Self::Enhancement => "enhancement",
            Self::Driver => "driver",
            Self::Firmware => "firmware",
            Self::Platform => "platform",
        }
    }
}

/// The lane a rollout takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// The regular cycle.
    #[default]
    Routine,
    /// The fast lane: its own soak and windows, everything else kept.
    Emergency,
}

impl Lane {
    /// The lowercase word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routine => "routine",
            Self::Emergency => "emergency",
        }
    }
}

/// Where a secret is found when it is used; secrets never stand in Git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretRef {
    /// Name of an environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
    /// Path of a file holding only the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}
