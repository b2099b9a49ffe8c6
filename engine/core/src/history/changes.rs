//! Facts that an SLA reads and that change, with the times at which they did: what the stricter-rule formula needs.
//!
//! Only what bears on a finding is remembered, and only when it changes: a line of the ledger names each advisory, asset
//! or CVE once for each value it took.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::load::wire::Exposure;
use crate::name::Severity;
use crate::observe::{Score, Ssvc};

/// Values in the order in which they were taken, each with the time of the line that says so. Never empty.
pub type Taken<T> = Vec<(Timestamp, T)>;

/// A score with the model that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenScore {
    /// The score that counted from then on.
    pub score: Score,
    /// The version of the model, if its file said one.
    pub model: Option<Arc<str>>,
}

/// What the memory keeps of facts that change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Severity as the vendor says it, by advisory that hit something.
    pub severities: BTreeMap<Arc<str>, Taken<Severity>>,
    /// Exposure of its class, by asset.
    pub exposures: BTreeMap<Arc<str>, Taken<Exposure>>,
    /// SSVC answers, by CVE.
    pub answers: BTreeMap<Arc<str>, Taken<Ssvc>>,
    /// EPSS scores that counted, by CVE.
    pub scores: BTreeMap<Arc<str>, Taken<TakenScore>>,
    /// Since when an asset is in scope, by policy whose SLA has the clock `inScope`, then by asset. Leaving and coming
    /// back restarts nothing.
    pub scopes: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Timestamp>>,
    /// Since when a fix can be installed, by class, then by `package version`.
    pub available: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Timestamp>>,
}

/// A line of the ledger about such facts: what took which value at the time of the line. Sorted lists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Advisories by severity.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub severities: BTreeMap<Severity, Vec<Arc<str>>>,
    /// Assets by exposure.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exposures: BTreeMap<Exposure, Vec<Arc<str>>>,
    /// CVEs by the code of their SSVC answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ssvc: BTreeMap<String, Vec<Arc<str>>>,
    /// EPSS scores by model (empty = not said), then by CVE.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub epss: BTreeMap<Arc<str>, BTreeMap<Arc<str>, f64>>,
    /// Assets that came into scope, by policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scopes: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// `package version` that became installable, by class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub available: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

impl Changed {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Changes {
    /// Takes in a line.
    pub fn take_in(&mut self, changed: Changed, at: Timestamp) {
        take(&mut self.severities, changed.severities, at);
        take(&mut self.exposures, changed.exposures, at);
        let answers = changed
            .ssvc
            .into_iter()
            .map(|(code, cves)| (Ssvc::from_code(&code), cves));
        take(&mut self.answers, answers, at);
        for (model, scores) in changed.epss {
            let model = Some(model).filter(|m| !m.is_empty());
            for (cve, score) in scores {
                // What is no probability was not written by this engine.
                let Some(score) = Score::of(score) else { continue };
                let model = model.clone();
                self.scores
                    .entry(cve)
                    .or_default()
                    .push((at, TakenScore { score, model }));
            }
        }
        first(&mut self.scopes, changed.scopes, at);
        first(&mut self.available, changed.available, at);
    }
}

fn take<T: Copy>(
    all: &mut BTreeMap<Arc<str>, Taken<T>>,
    changed: impl IntoIterator<Item = (T, Vec<Arc<str>>)>,
    at: Timestamp,
) {
    for (value, names) in changed {
        for name in names {
            all.entry(name).or_default().push((at, value));
        }
    }
}

fn first(
    all: &mut BTreeMap<Arc<str>, BTreeMap<Arc<str>, Timestamp>>,
    seen: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    at: Timestamp,
) {
    for (group, names) in seen {
        let group = all.entry(group).or_default();
        for name in names {
            group.entry(name).or_insert(at);
        }
    }
}
