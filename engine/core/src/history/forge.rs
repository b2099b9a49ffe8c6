//! What a forge shows, and the operations that can be asked of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the forge shows at the start of a run: everything a decision may depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgeView {
    /// Commit id (hex) of the head of the base branch.
    pub base_head: String,
    /// Files under the rollouts folder on the base branch: path relative to the repository root → content.
    pub merged_files: BTreeMap<String, Vec<u8>>,
    /// Every pull request the engine ever opened, by number.
    pub pull_requests: Vec<PullRequest>,
    /// The ledger files: name without folder (`memory.ndjson`, `<rollout>.ndjson`) → content.
    pub ledger: BTreeMap<String, Vec<u8>>,
    /// Commit id of the ledger branch, or none when there is none yet.
    pub ledger_head: Option<String>,
    /// The dashboard issue's body, if there is one.
    pub dashboard: Option<String>,
    /// Each name in `roles` → the people it stands for, where the forge knows its people; none where it does not.
    pub members: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Each name in `roles` of which the forge did not say whom it stands for → why, and what to do about it. Such a name is
    /// in `members` not even with nobody: whether somebody is one of them is not known.
    pub unread_roles: BTreeMap<String, String>,
    /// The engine's status on the heads of merged pull requests, by commit; none where the forge shows no statuses.
    pub statuses: Option<BTreeMap<String, CommitStatus>>,
}

/// What the engine says on a commit, beside what others say there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitStatus {
    /// In a word.
    pub state: StatusState,
    /// In a line.
    pub description: String,
}

/// The word of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusState {
    /// Under way.
    Pending,
    /// Done.
    Success,
    /// Stopped; somebody has to look.
    Failure,
}

/// Longest description of a status that forges take, in characters.
const DESCRIPTION_CHARS_MAX: usize = 140;

impl CommitStatus {
    /// A status whose description is cut to what forges take.
    pub fn new(state: StatusState, description: &str) -> Self {
        let line = description.split_whitespace().collect::<Vec<_>>().join(" ");
        let fits = line.chars().count() <= DESCRIPTION_CHARS_MAX;
        let cut = || line.chars().take(DESCRIPTION_CHARS_MAX - 1).chain(['…']).collect();
        Self {
            state,
            description: if fits { line } else { cut() },
        }
    }
}

impl ForgeView {
    /// Why it is not known whom these `roles` stand for, by name, where it is not.
    pub fn unread<'a>(&'a self, roles: &'a [String]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let why = |role: &'a String| Some((role.as_str(), self.unread_roles.get(role)?.as_str()));
        roles.iter().filter_map(why)
    }

    /// Whether a person is known to be one of those that `roles` stand for. On a forge without teams everybody is.
    pub fn is_member(&self, who: &str, roles: &[String]) -> bool {
        let Some(members) = &self.members else { return true };
        let mut people = roles.iter().filter_map(|role| members.get(role)).flatten();
        // Names of accounts do not differ by case alone.
        people.any(|member| member.eq_ignore_ascii_case(who))
    }
}

/// A pull request as the forge shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// The branch it wants to merge, for example `patchwave/<rollout>/<wave>`.
    pub branch: String,
    /// Title.
    pub title: String,
    /// Body; ends with the hidden marker.
    pub body: String,
    /// Labels, sorted.
    pub labels: Vec<String>,
    /// Requested reviewers and teams, sorted.
    pub reviewers: Vec<String>,
    /// Who opened it.
    pub author: String,
    /// Open, merged or closed.
    pub state: PullRequestState,
    /// Head commit of the branch (hex), or the merged head.
    pub head: String,
    /// People with commits on the branch, as the forge names them: sorted, each once. Empty = every commit is the engine's own.
    pub committers: Vec<String>,
    /// Why it is not known who made every commit on the branch; none where it is known. While it is not, nobody is known to
    /// have made none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committers_unknown: Option<String>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Approvals, in order of time.
    pub approvals: Vec<Approved>,
    /// When it was merged or closed.
    pub ended_at: Option<Timestamp>,
    /// Who merged or closed it.
    pub ended_by: Option<String>,
    /// The merge commit.
    pub merge_commit: Option<String>,
    /// Comments, in order of time.
    pub comments: Vec<Comment>,
    /// Unless it is merged: the files under the rollouts folder at its head. A closed one still says what was proposed:
    /// a person's close means 'not now', and the rollout must not be cut again under another name.
    #[serde(skip)]
    pub files: BTreeMap<String, Vec<u8>>,
}

impl PullRequest {
    /// Whether every commit on the branch is the engine's own.
    pub fn engine_only(&self) -> bool {
        self.committers.is_empty()
    }
}

/// The state of a pull request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullRequestState {
    /// Waiting.
    Open,
    /// Merged into the base branch.
    Merged,
    /// Closed without a merge.
    Closed,
}

/// An approval, bound to the head it was given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approved {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The head commit that was approved.
    pub head: String,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub body: String,
}

/// One operation on a forge. Each is idempotent: doing it twice leaves what doing it once leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForgeOp {
    /// Make `branch` exactly one engine commit on top of the base head, holding `files` (and removing `remove`).
    /// Refused by the forge if the branch carries a commit that is not the engine's.
    PutBranch {
        /// Branch name.
        branch: String,
        /// Repository path → content.
        files: BTreeMap<String, Vec<u8>>,
        /// Repository path prefixes (folders) whose other files are removed.
        replace_under: Vec<String>,
        /// Commit message with trailers.
        message: String,
    },
    /// Open a pull request for `branch`, or bring the open one's title, body, labels and reviewers in line.
    PutPullRequest {
        /// Branch name.
        branch: String,
        /// Title.
        title: String,
        /// Body with the hidden marker.
        body: String,
        /// Labels, sorted.
        labels: Vec<String>,
        /// Reviewers and teams, sorted.
        reviewers: Vec<String>,
    },
    /// Comment once: a comment with the same marker line is edited in place.
    PutComment {
        /// Pull request.
        number: u64,
        /// Hidden marker line that identifies the comment.
        marker: String,
        /// Body without the marker.
        body: String,
    },
    /// Close without a merge, with the reason as a comment.
    ClosePullRequest {
        /// Pull request.
        number: u64,
        /// Why.
        reason: String,
    },
    /// Merge as the engine (`approval: automatic`), only if the head still is `head`.
    MergePullRequest {
        /// Pull request.
        number: u64,
        /// The head that was decided on.
        head: String,
    },
    /// Make the engine's status on a commit say this.
    PutStatus {
        /// The commit.
        commit: String,
        /// What it is to say.
        status: CommitStatus,
    },
    /// Make the dashboard issue say this.
    PutDashboard {
        /// Body.
        body: String,
    },
}
