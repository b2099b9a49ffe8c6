//! What a clone knows of a forge that cannot be asked: the branches its last fetch brought.
//!
//! Reading only. A branch of the engine that is not merged stands for its open pull request; its number, its approvals and
//! its comments are not in Git, so they are 0 and empty.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use git2::Repository;
use jiff::Timestamp;
use patchwave_core::propose::{ForgeOp, ForgeView, PullRequest, PullRequestState, marker};

use super::branches::people_of;
use super::local::Store;
use super::plumbing::{ENGINE_NAME, Layout, Plumbing as _, read_files};
use super::{Appended, Applied, Forge, ForgeError, TakenIn};

/// The engine's branches below a place for references.
const BRANCHES: &str = "patchwave/";
/// The ledger among them.
const LEDGER_BRANCH: &str = "patchwave/ledger";

/// A clone as a forge that can only be looked at.
pub struct ClonedForge {
    inner: Option<Inner>,
}

struct Inner {
    store: Store,
    layout: Layout,
    /// `refs/remotes/origin/`, or `refs/heads/` where nothing was ever fetched.
    place: String,
    base: String,
}

impl ClonedForge {
    /// The clone that holds `work_tree`; none if there is none, or it does not have the base branch.
    ///
    /// # Errors
    /// [`ForgeError`] if it cannot be read.
    pub fn open(work_tree: &Path, layout: Layout, base: &str) -> Result<Option<Self>, ForgeError> {
        let Ok(repo) = Repository::discover(work_tree) else {
            return Ok(None);
        };
        // Objects and references of a linked work tree are those of the repository it belongs to.
        let store = Store::open(repo.commondir(), Arc::new(AtomicU64::new(0)), None)?;
        for place in ["refs/remotes/origin/", "refs/heads/"] {
            if store.target(&format!("{place}{base}"))?.is_some() {
                return Ok(Some(Self {
                    inner: Some(Inner {
                        store,
                        layout,
                        place: place.to_owned(),
                        base: base.to_owned(),
                    }),
                }));
            }
        }
        Ok(None)
    }

    /// One that knows nothing.
    #[must_use]
    pub const fn empty() -> Self {
        Self { inner: None }
    }

    /// Where its references lie.
    #[must_use]
    pub fn from(&self) -> &str {
        self.inner.as_ref().map_or("nothing", |inner| &inner.place)
    }
}

impl Inner {
    fn view(&self) -> Result<ForgeView, ForgeError> {
        let Some(base_head) = self.store.target(&format!("{}{}", self.place, self.base))? else {
            return Ok(ForgeView::default());
        };
        let ledger_head = self.store.target(&format!("{}{LEDGER_BRANCH}", self.place))?;
        let mut pull_requests = Vec::new();
        for (branch, head) in self.engine_branches()? {
            if !self.store.is_ancestor(&head, &base_head)? {
                pull_requests.push(self.pull_request(branch, head, &base_head)?);
            }
        }
        Ok(ForgeView {
            merged_files: self.rollouts_at(&base_head)?,
            pull_requests,
            ledger: read_files(&self.store, ledger_head.as_deref(), "")?,
            base_head,
            ledger_head,
            dashboard: None,
            members: None,
            unread_roles: BTreeMap::new(),
            statuses: None,
        })
    }

    fn engine_branches(&self) -> Result<BTreeMap<String, String>, ForgeError> {
        let unreadable = |e: git2::Error| {
            ForgeError::terminal(
                format!("the references of this clone cannot be read: {}", e.message()),
                "check the repository with git fsck",
            )
        };
        let pattern = format!("{}{BRANCHES}*", self.place);
        let mut found = BTreeMap::new();
        for reference in self.store.repo().references_glob(&pattern).map_err(unreadable)? {
            let reference = reference.map_err(unreadable)?;
            let (Ok(name), Some(target)) = (reference.name(), reference.target()) else {
                continue;
            };
            if let Some(branch) = name.strip_prefix(&self.place).filter(|branch| *branch != LEDGER_BRANCH) {
                found.insert(branch.to_owned(), target.to_string());
            }
        }
        Ok(found)
    }

    fn rollouts_at(&self, commit: &str) -> Result<BTreeMap<String, Vec<u8>>, ForgeError> {
        let files = read_files(&self.store, Some(commit), &self.layout.rollouts_path())?.into_iter();
        Ok(files
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&self.layout.prefix)?.to_owned(), bytes)))
            .collect())
    }

    /// A branch as the pull request it is the branch of; what it carries stands in the trailers of its commit.
    fn pull_request(&self, branch: String, head: String, base_head: &str) -> Result<PullRequest, ForgeError> {
        let commit = self.store.commit_info(&head)?;
        let trailer = |name: &str| {
            let mut lines = commit.message.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let carried = trailer("Patchwave-Rollout").zip(trailer("Patchwave-Digest"));
        let body = carried.map_or_else(String::new, |(rollout, digest)| {
            marker(rollout, trailer("Patchwave-Wave").unwrap_or_default(), digest)
        });
        let ahead = self.store.commits_between(base_head, &head)?;
        Ok(PullRequest {
            number: 0,
            title: commit.message.lines().next().unwrap_or_default().to_owned(),
            body,
            labels: Vec::new(),
            reviewers: Vec::new(),
            author: ENGINE_NAME.to_owned(),
            state: PullRequestState::Open,
            committers: people_of(&ahead),
            committers_unknown: None,
            opened_at: commit.at,
            approvals: Vec::new(),
            ended_at: None,
            ended_by: None,
            merge_commit: None,
            comments: Vec::new(),
            files: self.rollouts_at(&head)?,
            branch,
            head,
        })
    }
}

fn reading_only() -> ForgeError {
    ForgeError::terminal(
        "the forge cannot be asked, and a clone of it cannot be written",
        "set the token, or run without --offline",
    )
}

impl Forge for ClonedForge {
    fn take_in(&self, _now: Timestamp) -> Result<TakenIn, ForgeError> {
        Ok(TakenIn::Unchanged)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.inner
            .as_ref()
            .map_or_else(|| Ok(ForgeView::default()), Inner::view)
    }

    fn apply(&self, _op: &ForgeOp, _now: Timestamp) -> Result<Applied, ForgeError> {
        Err(reading_only())
    }

    fn append_ledger(
        &self,
        _expected_head: Option<&str>,
        _files: &BTreeMap<String, Vec<u8>>,
        _message: &str,
        _now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        Err(reading_only())
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        Ok(None)
    }

    fn writes(&self) -> u64 {
        0
    }
}
