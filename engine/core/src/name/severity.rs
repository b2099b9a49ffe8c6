//! Severity words and how a resource selects by them.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How bad a vendor says an advisory is. Ordered: `none` < `low` < `medium` < `high` < `critical`; `unknown` stands
/// apart (it satisfies every `atLeast`, see [`SeverityMatch`]) and sorts first only so that sorting is total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The feed does not say.
    Unknown,
    /// The feed says that there is no security impact.
    None,
    /// Low.
    Low,
    /// Medium; Red Hat and AlmaLinux write Moderate.
    Medium,
    /// High; Red Hat and AlmaLinux write Important.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// The lowercase word used in every output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = ();

    /// Reads our own words only; the words of vendors are each format's business.
    fn from_str(text: &str) -> Result<Self, ()> {
        [
            Self::Unknown,
            Self::None,
            Self::Low,
            Self::Medium,
            Self::High,
            Self::Critical,
        ]
        .into_iter()
        .find(|s| s.as_str() == text)
        .ok_or(())
    }
}

/// `severity: high`, `severity: [high, critical]` or `severity: {atLeast: low}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeverityMatch {
    /// One of these.
    OneOf(Vec<Severity>),
    /// This or worse; an unknown severity satisfies every `atLeast`.
    AtLeast(Severity),
}

impl SeverityMatch {
    /// Whether `severity` is selected.
    pub fn matches(&self, severity: Severity) -> bool {
        match self {
            Self::OneOf(list) => list.contains(&severity),
            Self::AtLeast(floor) => severity == Severity::Unknown || severity >= *floor,
        }
    }
}

impl fmt::Display for SeverityMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(list) => {
                let words: Vec<_> = list.iter().map(|s| s.as_str()).collect();
                f.write_str(&words.join("|"))
            }
            Self::AtLeast(floor) => write!(f, "at least {floor}"),
        }
    }
}

impl Serialize for SeverityMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OneOf(list) => match list.as_slice() {
                [one] => one.serialize(serializer),
                many => many.serialize(serializer),
            },
            Self::AtLeast(floor) => std::collections::BTreeMap::from([("atLeast", floor)]).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SeverityMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Floor {
            at_least: Severity,
        }
        let value = serde_json::Value::deserialize(deserializer)?;
        match &value {
            serde_json::Value::String(_) => Severity::deserialize(&value).map(|s| Self::OneOf(vec![s])),
            serde_json::Value::Array(_) => Vec::deserialize(&value).map(Self::OneOf),
            _ => Floor::deserialize(&value).map(|f| Self::AtLeast(f.at_least)),
        }
        .map_err(D::Error::custom)
    }
}

impl JsonSchema for SeverityMatch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SeverityMatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<Severity>();
        let mut floor = word.clone();
        floor.insert(
            "description".into(),
            "This severity and every higher one; `unknown` satisfies it.".into(),
        );
        json_schema!({
            "description": "`high`, `[high, critical]`, or `{atLeast: low}` (an unknown severity satisfies every `atLeast`).",
            "anyOf": [
                word,
                {"type": "array", "items": word, "minItems": 1},
                {"type": "object", "properties": {"atLeast": floor}, "required": ["atLeast"], "additionalProperties": false}
            ],
            "examples": ["critical", ["high", "critical"], {"atLeast": "medium"}]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_satisfies_every_floor() {
        let floor = SeverityMatch::AtLeast(Severity::Critical);
        assert!(
            floor.matches(Severity::Unknown) && floor.matches(Severity::Critical) && !floor.matches(Severity::High)
        );
        assert!(!SeverityMatch::OneOf(vec![Severity::High]).matches(Severity::Unknown));
    }
}
