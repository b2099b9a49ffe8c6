//! Answers kept for conditional requests, within a run and from one run to the next.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::exchange::Answer;
use super::fault;
use crate::state::StateStore;

/// Where kept answers lie in the state store.
const ANSWERS_KEY: &str = "forge/answers.json";
/// Version of that file; another one is not read.
const FORMAT_VERSION: &str = "1.0";
/// An answer is taken for the state after its time stamp (whole seconds) only if it was given clearly later.
const STAMP_SETTLED_SECONDS: i64 = 5;

/// When a kept answer is as good as a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::forge) enum Trust<'a> {
    /// Only after the forge said that it is unchanged.
    Asked,
    /// Always: it is named by its content.
    Forever,
    /// While the thing it belongs to was last changed at this instant.
    Stamped(&'a str),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// So many entries the list has, where the forge says it: Gitea names the next page of some lists only so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) total: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stamp: Option<String>,
    pub(super) body: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeptFile {
    format_version: String,
    repository: String,
    answers: BTreeMap<String, Kept>,
}

/// Every answer that is kept, by the path that was asked for.
pub(super) struct KeptAnswers {
    /// The API and the repository whose they are.
    of: String,
    state: Option<StateStore>,
    answers: BTreeMap<String, Kept>,
    used: BTreeSet<String>,
    changed: bool,
}

impl KeptAnswers {
    /// What an earlier run kept; nothing if it cannot be read, or is of another repository.
    pub(super) fn read(of: String, state: Option<StateStore>) -> Self {
        let file: Option<KeptFile> = state
            .as_ref()
            .and_then(|state| state.get(ANSWERS_KEY).ok().flatten())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let answers = file
            .filter(|file| file.format_version == FORMAT_VERSION && file.repository == of)
            .map(|file| file.answers)
            .unwrap_or_default();
        Self {
            of,
            state,
            answers,
            used: BTreeSet::new(),
            changed: false,
        }
    }

    /// The answer kept for a path, which this run has now used.
    pub(super) fn of_path(&mut self, path: &str) -> Option<Kept> {
        self.used.insert(path.to_owned());
        self.answers.get(path).cloned()
    }

    pub(super) fn put(&mut self, path: &str, kept: Kept, changed: bool) {
        self.changed |= changed;
        self.answers.insert(path.to_owned(), kept);
    }

    /// Forgets an answer that something just written has made wrong.
    pub(super) fn forget(&mut self, path: &str) {
        self.changed |= self.answers.remove(path).is_some();
    }

    /// Keeps what this run used for the next one, if anything changed. A state store that cannot be written costs requests,
    /// never the run.
    pub(super) fn keep(&mut self) {
        let Some(state) = self.state.as_ref().filter(|_| self.changed) else {
            return;
        };
        self.answers.retain(|path, _| self.used.contains(path));
        let file = KeptFile {
            format_version: FORMAT_VERSION.to_owned(),
            repository: self.of.clone(),
            answers: self.answers.clone(),
        };
        let written = serde_json::to_vec(&file)
            .map_err(|e| e.to_string())
            .and_then(|bytes| state.put(ANSWERS_KEY, &bytes).map_err(|e| e.to_string()));
        match written {
            Ok(()) => self.changed = false,
            Err(why) => tracing::warn!("answers of the forge are not kept: {why}"),
        }
    }
}

/// Whether an answer was given clearly after the instant `stamp`, by the forge's own clock.
pub(super) fn settled(stamp: &str, answer: &Answer) -> bool {
    let changed: Option<jiff::Timestamp> = stamp.parse().ok();
    let given = answer.header("date").and_then(fault::http_date);
    changed
        .zip(given)
        .is_some_and(|(changed, given)| given.as_second() - changed.as_second() >= STAMP_SETTLED_SECONDS)
}
