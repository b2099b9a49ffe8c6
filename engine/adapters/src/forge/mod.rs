//! Forges: where pull requests are opened, rollouts merged and the ledger kept.
//!
//! [`Forge`] is what the engine asks of any forge, in few calls; [`People`] is the people's part, which only a forge
//! without people of its own (the local one) and the fake offer. Invariants, kept by one contract suite over every
//! implementation:
//!
//! - **idempotent**: an operation done twice leaves what doing it once leaves, and the second time writes nothing;
//! - **ref-last**: objects first, one reference last: between any two writes the forge is valid, and what a crash left
//!   half done is finished or shown as done by the next run;
//! - **people-first**: a branch that carries a person's commit is never overwritten;
//! - **append-only**: the ledger branch only ever grows, by compare-and-swap.

mod branches;
mod cloned;
mod fake;
#[cfg(feature = "github")]
pub mod gitea;
#[cfg(feature = "github")]
pub mod github;
mod guarded;
#[cfg(feature = "github")]
mod hosted;
mod intake;
mod ledger;
pub mod local;
mod on_git;
mod plumbing;
mod records;
#[cfg(feature = "github")]
mod rest;

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::propose::{ForgeOp, ForgeView};

pub use cloned::ClonedForge;
pub use fake::FakeForge;
#[cfg(feature = "github")]
pub use gitea::{GiteaForge, GiteaSettings};
#[cfg(feature = "github")]
pub use github::{GithubForge, GithubSettings};
pub use guarded::GuardedForge;
pub use local::LocalForge;
pub use plumbing::{ENGINE_EMAIL, ENGINE_NAME, Layout};

/// What the engine asks of a forge.
pub trait Forge {
    /// Brings the base branch up to date with commits made outside the forge, where the forge does not get them by
    /// itself. On a forge that people push to there is nothing to do.
    ///
    /// # Errors
    /// [`ForgeError`] if the outside cannot be read, or changed the same lines as the forge did.
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError>;

    /// Everything a decision may depend on. Reads only.
    ///
    /// # Errors
    /// [`ForgeError`] if the forge cannot be read.
    fn view(&self) -> Result<ForgeView, ForgeError>;

    /// Does one operation as the engine.
    ///
    /// # Errors
    /// [`ForgeError`] if it could not be tried or finished; what the forge *declines* is [`Applied::Refused`].
    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError>;

    /// Moves the ledger branch from `expected_head` to one commit that holds `files` (names without folder → full new
    /// content; other files stay). The caller puts the trailers in `message`.
    ///
    /// # Errors
    /// [`ForgeError`] if a file would lose or change a byte it already has, or the forge cannot be written.
    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError>;

    /// The highest fencing number of a lease that the ledger has seen.
    ///
    /// # Errors
    /// [`ForgeError`] if the forge cannot be read.
    fn fence(&self) -> Result<Option<u64>, ForgeError>;

    /// How many reference updates this value has made: 0 after a run with nothing to do.
    fn writes(&self) -> u64;
}

/// The people's part, for a forge that has no people of its own.
pub trait People {
    /// Approves the current head of a pull request as `by`.
    ///
    /// # Errors
    /// [`ForgeError`] for a name that is not one, or if the forge cannot be read or written.
    fn approve(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError>;

    /// Merges a pull request as `by`; with `head`, only if that still is its head.
    ///
    /// # Errors
    /// As [`People::approve`].
    fn merge(&self, number: u64, by: &str, head: Option<&str>, now: Timestamp) -> Result<Applied, ForgeError>;

    /// Closes a pull request without a merge as `by`.
    ///
    /// # Errors
    /// As [`People::approve`].
    fn close(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError>;
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Done; something was written.
    Done {
        /// The pull request that was opened, changed, merged or closed, if the operation was about one.
        number: Option<u64>,
        /// The commit that was made on a branch or on the base branch, if one was.
        commit: Option<String>,
    },
    /// It already was as asked; nothing was written.
    Unchanged,
    /// The forge declines; nothing was written. A decision must look again.
    Refused(Refusal),
}

/// Why a forge declines an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The branch carries commits that are not the engine's.
    #[error("branch {branch} carries commits of {}, which are never overwritten", people.join(", "))]
    PersonCommits {
        /// The branch.
        branch: String,
        /// Who committed, sorted, each once.
        people: Vec<String>,
    },
    /// The head is not the one that was decided on.
    #[error("the head of pull request {number} is {found}, not {expected}: it moved since it was looked at")]
    HeadMoved {
        /// The pull request.
        number: u64,
        /// The head that was decided on.
        expected: String,
        /// The head there is.
        found: String,
    },
    /// A rule of the forge or of the repository forbids it.
    #[error("the forge declines pull request {number}: {reason}")]
    Declined {
        /// The pull request.
        number: u64,
        /// Why, in the forge's words.
        reason: String,
    },
    /// The account may not do it, and a run can go on without.
    #[error("the forge forbids it: {reason}")]
    Forbidden {
        /// Why, and what to do.
        reason: String,
    },
    /// There is no such pull request.
    #[error("there is no pull request {number}")]
    NoSuchPullRequest {
        /// Its number.
        number: u64,
    },
    /// The pull request is merged or closed.
    #[error("pull request {number} is {state}, not open")]
    NotOpen {
        /// Its number.
        number: u64,
        /// `merged` or `closed`.
        state: &'static str,
    },
    /// There is no such branch.
    #[error("there is no branch {branch}")]
    NoSuchBranch {
        /// The branch.
        branch: String,
    },
    /// The branch holds nothing that the base branch does not hold.
    #[error("branch {branch} holds nothing that the base branch does not hold already")]
    NothingToMerge {
        /// The branch.
        branch: String,
    },
    /// The base branch changed the same files.
    #[error("pull request {number} conflicts with the base branch in {}", paths.join(", "))]
    NotMergeable {
        /// The pull request.
        number: u64,
        /// Conflicting paths, sorted.
        paths: Vec<String>,
    },
}

/// What came of an append to the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The ledger holds the files; its branch stands at `head`.
    Head {
        /// Commit id of the ledger branch.
        head: String,
    },
    /// Somebody else appended first; nothing was written. Read the ledger again and decide again.
    Conflict {
        /// Where the branch stands, or none if there is none.
        head: Option<String>,
    },
}

/// What came of taking in commits made outside the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenIn {
    /// Nothing new.
    Unchanged,
    /// The base branch moved forward to this commit.
    FastForward {
        /// The commit, which was made outside.
        to: String,
    },
    /// The base branch had rollouts of its own, so a merge commit joins both.
    Merged {
        /// The commit made outside.
        head: String,
        /// The merge commit on the base branch.
        commit: String,
        /// Paths changed on both sides, where the forge's content was kept; sorted.
        kept: Vec<String>,
    },
    /// There is no commit outside to take in; the forge stands on its own. The reason is for the user.
    Nothing {
        /// Why, in words.
        reason: String,
    },
}

/// A forge could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ForgeError {
    /// What happened, where, and why it matters.
    pub what: String,
    /// What to do.
    pub help: String,
    /// Whether the same call may succeed when repeated after looking again.
    pub retryable: bool,
}

impl ForgeError {
    /// An error that the same call will meet again.
    #[must_use]
    pub fn terminal(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
            retryable: false,
        }
    }

    /// An error that may be gone when the call is repeated.
    #[must_use]
    pub fn retryable(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
            retryable: true,
        }
    }

    /// The reference was moved by somebody else between looking and writing.
    #[must_use]
    pub(crate) fn overtaken(reference: &str) -> Self {
        Self::retryable(
            format!("{reference} was moved by another process while this one was about to write it"),
            "nothing was lost: run the command again",
        )
    }
}
