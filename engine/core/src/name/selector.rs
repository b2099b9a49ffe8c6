//! Kubernetes label selectors: `matchLabels` and `matchExpressions`, all requirements ANDed. An empty selector matches
//! everything (Kubernetes API conventions, LabelSelector).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    /// Every one of these labels has exactly this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Every one of these holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement over a label key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requirement {
    /// Key of the label.
    pub key: String,
    /// How the value is compared.
    pub operator: Operator,
    /// For `In` and `NotIn`: the values. Empty for `Exists` and `DoesNotExist`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// The four operators of Kubernetes label selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Operator {
    /// The label is there and its value is one of `values`.
    In,
    /// The label is missing, or its value is none of `values`.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether `get(key)` (the label's value, if any) satisfies every requirement.
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        let labels = self.match_labels.iter().all(|(key, value)| get(key) == Some(value));
        labels && self.match_expressions.iter().all(|r| r.holds(get(&r.key)))
    }

    /// Whether the selector matches every set of labels.
    pub fn is_everything(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Every label key the selector looks at, in order of writing.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.match_labels
            .keys()
            .map(String::as_str)
            .chain(self.match_expressions.iter().map(|r| r.key.as_str()))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let listed = value.is_some_and(|v| self.values.iter().any(|x| x == v));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_anded() {
        let selector = LabelSelector {
            match_labels: BTreeMap::from([("managed".into(), "true".into())]),
            match_expressions: vec![Requirement {
                key: "env".into(),
                operator: Operator::NotIn,
                values: vec!["prod".into()],
            }],
        };
        let labels = |env: Option<&'static str>| move |key: &str| if key == "env" { env } else { Some("true") };
        assert!(selector.matches(labels(Some("test"))));
        assert!(selector.matches(labels(None)), "NotIn holds for a missing label");
        assert!(!selector.matches(labels(Some("prod"))));
        assert!(LabelSelector::default().is_everything() && LabelSelector::default().matches(|_| None));
    }
}
