//! The steps that led to a judgement: what was looked at, the fact, and where the rule stands.

use serde::Serialize;

/// One step of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What was decided: `class`, `scope`, `include`, `hold`, `exception`, `rule`, `clock`, `deadline`, …
    pub what: &'static str,
    /// The fact and what follows from it.
    pub fact: String,
    /// `file:line` of the rule; empty when no resource is behind the step.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at: String,
}

/// Where steps go: nowhere while a whole estate is judged, into a list when one finding is explained. The words are made
/// only when somebody reads them, and both go through the same code, so an explanation cannot differ from the judgement.
#[derive(Debug, Default)]
pub(super) struct Steps(Option<Vec<Step>>);

impl Steps {
    pub(super) fn recording() -> Self {
        Self(Some(Vec::new()))
    }

    /// Adds a step; `make` gives the fact and the place.
    pub(super) fn say(&mut self, what: &'static str, make: impl FnOnce() -> (String, String)) {
        if let Some(steps) = &mut self.0 {
            let (fact, at) = make();
            steps.push(Step { what, fact, at });
        }
    }

    pub(super) fn take(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }
}
