use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{AdvisoryType, Criticality, Exposure, Lane};
use crate::name::{Amount, LabelSelector, Severity, SeverityMatch};
use crate::time::DurationSeconds;

/// Kind `SlaPolicy`: from which instant the clock runs, and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlaPolicySpec {
    /// When the clock starts, unless a rule says otherwise.
    #[serde(default)]
    pub clock: Clock,
    /// What to do when the clock's date is not known.
    #[serde(default)]
    pub unknown_date: UnknownDate,
    /// The severity an advisory without one counts as.
    #[serde(default = "high")]
    pub unknown_severity: Severity,
    /// Ordered rules; the first match wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<SlaRule>,
    /// A decision table instead of rules, in the JSON form CERT/CC publishes for SSVC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<SlaTable>,
    /// What each outcome of the table means.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, SlaOutcome>,
    /// The deadline of a finding that no rule matches.
    pub default: SlaOutcome,
    /// Share of the time after which a finding is at risk.
    #[serde(default = "three_quarters")]
    pub at_risk: Amount,
}

impl SlaPolicySpec {
    /// Every clock it names, that of its default included.
    pub fn clocks(&self) -> Vec<Clock> {
        let rules = self.rules.iter().filter_map(|r| r.clock);
        let outcomes = self.outcomes.values().filter_map(|o| o.clock);
        rules
            .chain(outcomes)
            .chain(self.default.clock)
            .chain([self.clock])
            .collect()
    }
}

fn high() -> Severity {
    Severity::High
}

fn three_quarters() -> Amount {
    Amount::Share(7500)
}

/// The instant a clock starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Clock {
    /// The advisory was published.
    #[default]
    Published,
    /// The fix became available to the asset.
    Available,
    /// The later of: advisory first seen, asset first seen.
    Detected,
    /// Exploitation became known.
    Exploited,
    /// The asset came into scope.
    InScope,
}

impl Clock {
    /// The word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Available => "available",
            Self::Detected => "detected",
            Self::Exploited => "exploited",
            Self::InScope => "inScope",
        }
    }
}

/// What to do when the clock's date is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnknownDate {
    /// Count from when it was first seen.
    #[default]
    Detected,
    /// Give no deadline and report it.
    Block,
}

/// One rule; what is given is ANDed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlaRule {
    /// Name shown in traces; absent = its position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Only exploited, or only not exploited, advisories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exploited: Option<bool>,
    /// Severity, after `unknownSeverity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<SeverityMatch>,
    /// Exposure of the asset's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
    /// Criticality of the asset's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,
    /// Environment of the asset's class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Advisory types the rule is for; empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<AdvisoryType>,
    /// Labels that the asset must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// CEL over `asset`, `advisory`, `finding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// When the clock starts for this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// How long: a duration, or `next-cycle`.
    pub within: SlaWithin,
    /// The lane that matching findings take.
    #[serde(default)]
    pub lane: Lane,
    /// Also asks for forensic triage.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forensics: bool,
}

/// Where a decision table comes from: exactly one of `pack` and `file`. It may ask `cisa:KEV`, `cisa:PE` (or `cisa:AE`),
/// `ssvc:A`, `ssvc:TI`, `ssvc:E`, `ssvc:EXP`, and `patchwave:SEVERITY`, `patchwave:EXPOSURE`, `patchwave:CRITICALITY`, whose
/// values are the words of resources. What is not known of a CVE, and each CVE of several, takes the strictest outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlaTable {
    /// Name of a decision table that comes with the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pack: Option<String>,
    /// A JSON file in the repository, in the form CERT/CC publishes; the path counts from its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// What a rule or table outcome gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlaOutcome {
    /// How long: a duration, or `next-cycle`.
    pub within: SlaWithin,
    /// The lane findings of this outcome take.
    #[serde(default)]
    pub lane: Lane,
    /// When the clock starts for this outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<Clock>,
    /// Also asks for forensic triage.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forensics: bool,
}

/// A duration, or `next-cycle`: the second cut after the clock starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlaWithin {
    /// Elapsed time from the clock start.
    For(DurationSeconds),
    /// The second cut after the clock starts.
    NextCycle,
}

impl std::fmt::Display for SlaWithin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::For(duration) => duration.fmt(f),
            Self::NextCycle => f.write_str("next-cycle"),
        }
    }
}

impl Serialize for SlaWithin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SlaWithin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        enum Word {
            #[serde(rename = "next-cycle")]
            NextCycle,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(Word),
            Duration(serde_json::Value),
        }
        match Written::deserialize(deserializer)? {
            Written::Word(Word::NextCycle) => Ok(Self::NextCycle),
            Written::Duration(value) => DurationSeconds::deserialize(value)
                .map(Self::For)
                .map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for SlaWithin {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SlaWithin".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let duration = generator.subschema_for::<DurationSeconds>();
        json_schema!({
            "description": "A duration, or `next-cycle` = the second cut after the clock starts.",
            "anyOf": [
                {"const": "next-cycle", "description": "By the second cut after the clock starts."},
                duration
            ],
            "examples": ["72h", "14d", "next-cycle"]
        })
    }
}
