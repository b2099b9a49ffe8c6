//! The vocabulary of the ledger: every event that is ever recorded, with its facts.
//!
//! In a ledger line `event` is the kebab-case name of the variant and `data` its fields. Adding an optional field is a
//! minor change; changing the meaning of one needs a new name.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::changes::Changed;
use super::gates::GateResult;
use super::state::WaveEvent;

/// One recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "event",
    content = "data",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// The first run there ever was (estate).
    FirstRun {},
    /// Seen for the first time at the time of the line (estate). Sorted lists.
    Seen {
        /// Advisory ids.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        advisories: Vec<Arc<str>>,
        /// Asset names.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        assets: Vec<Arc<str>>,
        /// CVEs in a catalogue of exploited vulnerabilities.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        exploited: Vec<Arc<str>>,
    },
    /// Facts took other values at the time of the line (estate).
    Changed(Changed),
    /// A cadence instant of a policy was dealt with (estate).
    Cut {
        /// The policy.
        policy: Arc<str>,
        /// The instant.
        instant: Timestamp,
    },
    /// A wave moves by the table of states.
    Wave {
        /// The wave.
        wave: Arc<str>,
        /// The move.
        moved: WaveEvent,
        /// The wave digest it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<Arc<str>>,
        /// Number of the pull request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pull_request: Option<u64>,
        /// Who approved, for an approval.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<String>,
        /// Since when it is true, where that is before the time of the line (the observation that showed it).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        /// SHA-256 of the wave's `openings.json` as it was approved: no wave digest covers it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        openings: Option<Arc<str>>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A batch got its permit for one opening.
    Released {
        /// The wave.
        wave: Arc<str>,
        /// The batch.
        batch: Arc<str>,
        /// The wave digest.
        digest: Arc<str>,
        /// Start of the opening; none = open for more than 400 days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opening_start: Option<Timestamp>,
        /// End of the opening; none = no end within 400 days.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        opening_end: Option<Timestamp>,
    },
    /// The way back of a wave that failed was approved: it runs batch by batch, each as soon as there is room for it.
    RollbackStarted {
        /// The wave.
        wave: Arc<str>,
        /// Number of the pull request that asked for it.
        pull_request: u64,
        /// Who approved.
        approvals: Vec<String>,
        /// The assets that go back, by batch.
        batches: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    },
    /// The assets of a batch that go back may be touched now.
    RollbackReleased {
        /// The wave.
        wave: Arc<str>,
        /// The batch.
        batch: Arc<str>,
    },
    /// Every asset of a batch that was to go back shows what it had before.
    WentBack {
        /// The wave.
        wave: Arc<str>,
        /// The batch.
        batch: Arc<str>,
        /// The observation that shows it, by asset.
        seen: BTreeMap<Arc<str>, Timestamp>,
    },
    /// What observations and evidence show of a batch's assets. Only what is new.
    Checked {
        /// The wave.
        wave: Arc<str>,
        /// The batch.
        batch: Arc<str>,
        /// Passed, with the time of the observation that shows it.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        passed: BTreeMap<Arc<str>, Timestamp>,
        /// Failed, with the reason.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        failed: BTreeMap<Arc<str>, String>,
        /// Never touched, with the reason.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        not_attempted: BTreeMap<Arc<str>, String>,
        /// Of the passed: those that were fixed by something else than this rollout.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        out_of_band: Vec<Arc<str>>,
    },
    /// A result file of an executor was added.
    Evidence {
        /// The wave.
        wave: Arc<str>,
        /// The batch.
        batch: Arc<str>,
        /// The asset.
        asset: Arc<str>,
        /// `done`, `failed` or `not-attempted`; of a preflight `ready` or `not-ready`.
        outcome: Arc<str>,
        /// When the executor finished with it.
        at: Timestamp,
        /// Why, where it is not done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// SHA-256 of the result file.
        digest: Arc<str>,
        /// Its members that are true or false, by their path with dots: what a `result` gate asks.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        facts: BTreeMap<String, bool>,
        /// It is of the way back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rollback: bool,
        /// It is of a check ahead of time, which is no attempt.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        preflight: bool,
    },
    /// What monitors showed of gates, where that is news, and of every gate when it decided a move.
    Gates {
        /// The wave.
        wave: Arc<str>,
        /// The batch that was about to be released, where the gates were asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<Arc<str>>,
        /// The gates, in order.
        gates: Vec<GateResult>,
    },
    /// A straggler was let go by a person, counted.
    Waived {
        /// The wave.
        wave: Arc<str>,
        /// The asset.
        asset: Arc<str>,
        /// Why.
        reason: String,
        /// Until when.
        until: Timestamp,
    },
    /// A person stopped the rollout before its next asset.
    Halt {
        /// Why.
        reason: String,
    },
    /// The rollout goes on, with the normal approval.
    Resume {
        /// Number of the pull request that asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pull_request: Option<u64>,
        /// Who approved.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<String>,
    },
}

/// The ledger file of estate-wide facts.
pub const MEMORY_FILE: &str = "memory.ndjson";

/// The ledger file of a rollout.
pub fn ledger_file(rollout: &str) -> String {
    format!("{rollout}.ndjson")
}

impl Event {
    /// `event` and `data` of the ledger line.
    pub fn to_parts(&self) -> (String, serde_json::Value) {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        let event = value
            .get("event")
            .and_then(|e| e.as_str())
            .unwrap_or_default()
            .to_owned();
        let data = value.get_mut("data").map(serde_json::Value::take).unwrap_or_default();
        (event, data)
    }

    /// Reads a line's `event` and `data`; none for an event of a newer engine, which is reported, never guessed.
    pub fn from_parts(event: &str, data: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(serde_json::json!({"event": event, "data": data})).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_its_name_and_its_facts() {
        let event = Event::Wave {
            wave: "test".into(),
            moved: WaveEvent::Promoted,
            digest: Some("ab".into()),
            pull_request: None,
            approvals: vec![],
            since: None,
            openings: None,
            reason: None,
        };
        let (name, data) = event.to_parts();
        assert_eq!(name, "wave");
        assert_eq!(
            data,
            serde_json::json!({"wave": "test", "moved": "promoted", "digest": "ab"})
        );
        assert_eq!(Event::from_parts(&name, &data), Some(event));
        assert_eq!(Event::from_parts("from-the-future", &data), None);
        assert_eq!(Event::FirstRun {}.to_parts().0, "first-run");
    }
}
