//! The few fields that are read of GitHub's answers. Everything else they hold is left alone, and not kept either.
//!
//! <https://docs.github.com/en/rest>

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) object: Object,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) sha: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Signature {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) date: Timestamp,
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

/// A commit as lists hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListedCommit {
    pub(super) sha: String,
    pub(super) commit: ListedCommitText,
    pub(super) parents: Vec<Object>,
    /// The account of the author, where GitHub knows one by the address.
    #[serde(default)]
    pub(super) author: Option<User>,
    #[serde(default)]
    pub(super) committer: Option<User>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ListedCommitText {
    pub(super) message: String,
    pub(super) author: Signature,
    pub(super) committer: Signature,
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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) login: String,
}

/// An account of whatever kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) login: String,
    /// `User`, `Organization` or `Bot`.
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Label {
    #[serde(default)]
    pub(super) name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Team {
    pub(super) slug: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Repository {
    pub(super) full_name: String,
}

/// A side of a pull request; its repository is gone if a fork was deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Side {
    #[serde(rename = "ref")]
    pub(super) branch: String,
    pub(super) sha: String,
    pub(super) repo: Option<Repository>,
}

/// A pull request; `merged_by` is there only where one is read alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) state: String,
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) user: Option<User>,
    #[serde(default)]
    pub(super) labels: Vec<Label>,
    #[serde(default)]
    pub(super) requested_reviewers: Vec<User>,
    #[serde(default)]
    pub(super) requested_teams: Vec<Team>,
    pub(super) head: Side,
    pub(super) base: Side,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: String,
    pub(super) closed_at: Option<Timestamp>,
    pub(super) merged_at: Option<Timestamp>,
    pub(super) merge_commit_sha: Option<String>,
    pub(super) merged_by: Option<User>,
    pub(super) mergeable_state: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Review {
    pub(super) user: Option<User>,
    pub(super) state: String,
    pub(super) commit_id: Option<String>,
    pub(super) submitted_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Comment {
    pub(super) id: u64,
    pub(super) user: Option<User>,
    pub(super) body: Option<String>,
    pub(super) created_at: Timestamp,
}

/// An issue; `closed_by` is there only where one is read alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Issue {
    pub(super) number: u64,
    pub(super) user: Option<User>,
    pub(super) body: Option<String>,
    pub(super) closed_by: Option<User>,
    pub(super) pull_request: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Status {
    pub(super) state: String,
    pub(super) context: String,
    pub(super) description: Option<String>,
    pub(super) creator: Option<User>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Merged {
    pub(super) sha: String,
}
