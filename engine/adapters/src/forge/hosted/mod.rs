//! Forges on a server with pull requests of their own: everything GitHub and Gitea have in common.
//!
//! Gitea took over the words of GitHub's API, so one set of [`wire`] types and one set of rules serve both; [`Host`] is
//! what they say or do differently. Invariants beside those of [`super::Forge`]:
//!
//! - **marker-last**: the hidden marker of a pull request is written after its labels and reviewers, so that one a crash
//!   left half made is finished by the next run;
//! - **own writes**: what this process wrote is believed over a replica that does not show it yet;
//! - **quiet**: nothing is written that is there already.
//!
//! The engine's account is known by name from the forge itself; in a view it is called as the engine is, and a person whose
//! login happens to be the engine's name is shown with an `@`.

pub(super) mod look;
mod program;
pub(super) mod pulls;
pub(super) mod remote;
pub(super) mod roles;
pub(super) mod statuses;
pub(super) mod wire;
pub(super) mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;
use jiff::Timestamp;
use patchwave_core::propose::{CommitStatus, ForgeOp};
use serde_json::Value;

use super::branches::{self, BranchContent};
use super::plumbing::{ENGINE_NAME, Layout, Plumbing};
use super::rest::api::{Api, Style};
use super::rest::exchange::Answer;
use super::rest::kept::Trust;
use super::rest::{Credential, Patience};
use super::{Applied, ForgeError};
use crate::state::StateStore;
use roles::{RoleName, Stands};
use words::{owner_of, shown_name};

/// What one forge says or does differently from the other.
pub(super) trait Host {
    /// What all of them have.
    fn hub(&self) -> &Hub;

    /// The login of the account whose token this is.
    fn ask_login(&self) -> Result<String, ForgeError>;

    /// What a name in `roles` is.
    fn stands_for(&self, role: RoleName<'_>) -> Result<Stands, ForgeError>;

    /// The query that lists every pull request, the oldest first.
    fn pulls_in_order(&self) -> &'static str;

    /// The query that lists at least the open pull requests of a branch.
    fn open_pulls_of(&self, branch: &str) -> String;

    /// The head an ended pull request had, where the forge does not say it in the pull request itself.
    fn ended_head(&self, git: &impl Plumbing, pull: &wire::Pull) -> Result<String, ForgeError>;

    /// So many commits of an ended pull request the forge lists at most, if it stops anywhere.
    fn commits_listed_max(&self) -> Option<usize>;

    /// Who closed a pull request.
    fn closed_by(&self, number: u64, trust: Trust<'_>) -> Result<Option<wire::User>, ForgeError>;

    /// When a kept answer about the reviews of a pull request is as good as a new one.
    fn trust_of_reviews<'a>(&self, pull: &'a wire::Pull) -> Trust<'a>;

    /// How requests name labels, each made if there is none yet.
    fn labels_named(&self, names: &[&str]) -> Result<Vec<Value>, ForgeError>;

    /// How a path names a label.
    fn label_in_path(&self, label: &wire::Label) -> String;

    /// The path below the repository of a commit with the accounts of those who made it.
    fn commit_in_path(&self, commit: &str) -> String;

    /// Whether this answer says that the branch has an open pull request already.
    fn has_pull_already(&self, answer: &Answer) -> bool;

    /// Why a pull request cannot be merged, as far as the forge says it beforehand.
    fn unmet(&self, pull: &wire::Pull) -> Option<&'static str>;

    /// The request that merges a pull request with a merge commit if its head still is this one.
    fn merge_request(&self, number: u64, head: &str, title: &str, message: &str) -> (Method, String, Value);

    /// The forge has merged a pull request with this commit.
    fn merged_as(&self, commit: &str) -> Result<(), ForgeError>;
}

/// What a forge on a server is made from.
pub(super) struct HubSettings {
    pub(super) api_url: String,
    pub(super) repository: String,
    pub(super) base: String,
    pub(super) credential: Credential,
    pub(super) layout: Layout,
    pub(super) roles: BTreeSet<String>,
    pub(super) state: Option<StateStore>,
    pub(super) patience: Patience,
}

/// One repository on a server.
pub(super) struct Hub {
    pub(super) api: Api,
    pub(super) owner: String,
    pub(super) base: String,
    pub(super) layout: Layout,
    pub(super) roles: BTreeSet<String>,
    pub(super) patience: Patience,
    own: Mutex<Own>,
}

/// What this process wrote, which replicas may not show yet.
#[derive(Default)]
pub(super) struct Own {
    /// Reference → where it was and where it is.
    pub(super) refs: BTreeMap<String, (Option<String>, String)>,
    /// Pull request → how it was answered to our last change.
    pulls: BTreeMap<u64, wire::Pull>,
    /// (Pull request, marker) → comment and its text.
    comments: BTreeMap<(u64, String), (u64, String)>,
    /// Number and text of the dashboard issue.
    dashboard: Option<(u64, String)>,
    /// Commit → its status.
    statuses: BTreeMap<String, CommitStatus>,
    login: Option<String>,
}

impl Hub {
    /// # Errors
    /// [`ForgeError`] for a repository, a branch or an address that is none.
    pub(super) fn new(style: &'static Style, settings: HubSettings) -> Result<Self, ForgeError> {
        let repository = settings.repository.trim_matches('/');
        let owner = owner_of(repository).ok_or_else(|| {
            ForgeError::terminal(
                format!("{repository:?} is no repository of {}", style.name),
                "write `spec.forge.repository` as owner/name",
            )
        })?;
        let owner = owner.to_owned();
        let branch = format!("refs/heads/{}", settings.base);
        if !git2::Reference::is_valid_name(&branch) || settings.base.contains(['?', '#', '%', ' ']) {
            return Err(ForgeError::terminal(
                format!("{:?} is no name of a branch", settings.base),
                "correct `spec.forge.base` in patchwave.yaml",
            ));
        }
        let patience = settings.patience.clone();
        let api = Api::new(
            style,
            &settings.api_url,
            repository,
            settings.credential,
            settings.patience,
            settings.state,
        )?;
        Ok(Self {
            api,
            owner,
            base: settings.base,
            layout: settings.layout,
            roles: settings.roles,
            patience,
            own: Mutex::new(Own::default()),
        })
    }

    pub(super) fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is no such branch on the forge, or the token may not see the repository.
    pub(super) fn no_base(&self) -> ForgeError {
        ForgeError::terminal(
            format!(
                "{} has no branch {}, or the token may not see it",
                self.api.repository(),
                self.base
            ),
            "push a first commit, name the branch in `spec.forge.base`, and check that the token was given access",
        )
    }
}

/// The login of the engine's account, asked once.
fn login(host: &impl Host) -> Result<String, ForgeError> {
    if let Some(login) = host.hub().own().login.clone() {
        return Ok(login);
    }
    let login = host.ask_login()?;
    host.hub().own().login = Some(login.clone());
    Ok(login)
}

/// A login as it stands in a view. No user at all is a deleted account, which both forges call `ghost`.
fn name_of(host: &impl Host, user: Option<&wire::User>) -> Result<String, ForgeError> {
    let shown = user.map_or("ghost", |user| user.login.as_str());
    Ok(shown_name(shown, &login(host)?))
}

fn is_own(host: &impl Host, user: Option<&wire::User>) -> Result<bool, ForgeError> {
    Ok(name_of(host, user)? == ENGINE_NAME)
}

/// Does one operation; branches go through `git`.
pub(super) fn apply(
    host: &impl Host,
    git: &impl Plumbing,
    op: &ForgeOp,
    now: Timestamp,
) -> Result<Applied, ForgeError> {
    match op {
        ForgeOp::PutBranch {
            branch,
            files,
            replace_under,
            message,
        } => {
            let wanted = BranchContent {
                branch,
                files,
                replace_under,
                message,
            };
            branches::put_branch(git, &host.hub().layout, &wanted, now)
        }
        ForgeOp::PutPullRequest {
            branch,
            title,
            body,
            labels,
            reviewers,
        } => match branches::mergeable_head(git, branch)? {
            Ok(_) => pulls::put_pull(host, &pulls::Wanted::new(branch, title, body, labels, reviewers)),
            Err(refusal) => Ok(Applied::Refused(refusal)),
        },
        ForgeOp::PutComment { number, marker, body } => pulls::put_comment(host, *number, marker, body),
        ForgeOp::ClosePullRequest { number, reason } => pulls::close_pull(host, *number, reason),
        ForgeOp::MergePullRequest { number, head } => pulls::merge_pull(host, git, *number, head),
        ForgeOp::PutStatus { commit, status } => statuses::put_status(host, commit, status),
        ForgeOp::PutDashboard { body } => pulls::put_dashboard(host, body),
    }
}
