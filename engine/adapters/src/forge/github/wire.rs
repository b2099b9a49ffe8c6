//! What is read of GitHub's Git data API, which only GitHub has.
//!
//! <https://docs.github.com/en/rest>

use serde::{Deserialize, Serialize};

use crate::forge::hosted::wire::{ListedCommit, Object, Signature};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) object: Object,
}

/// A commit of the Git data API.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) message: String,
    pub(super) author: Signature,
    pub(super) committer: Signature,
    pub(super) tree: Object,
    pub(super) parents: Vec<Object>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Comparison {
    pub(super) status: String,
    pub(super) total_commits: usize,
    pub(super) merge_base_commit: Object,
    pub(super) commits: Vec<ListedCommit>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tree {
    pub(super) tree: Vec<TreeEntry>,
    #[serde(default)]
    pub(super) truncated: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct TreeEntry {
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) sha: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Blob {
    pub(super) content: String,
}

/// An account of whatever kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) login: String,
    /// `User`, `Organization` or `Bot`.
    #[serde(rename = "type")]
    pub(super) kind: String,
}
