//! GitHub and GitHub Enterprise Server.
//!
//! Branches, files and the ledger go through the Git data API under the same rules as on every other forge; pull
//! requests, reviews, comments and the dashboard are GitHub's own. Invariants beside those of [`super::Forge`]:
//!
//! - **marker-last**: the hidden marker of a pull request is written after its labels and reviewers, so that one a crash
//!   left half made is finished by the next run;
//! - **own writes**: what this process wrote is believed over a replica that does not show it yet;
//! - **quiet**: what is unchanged is asked for conditionally, which GitHub does not count against the rate limit.
//!
//! The engine's account is known by name from the forge itself; in a [`ForgeView`] it is called as the engine is, and a
//! person whose login happens to be the engine's name is shown with an `@`.
//!
//! Permissions of the token: Contents, Pull requests and Issues: write; Commit statuses and Checks: write where those are
//! shown; Members: read where approvers are teams.

mod git;
mod look;
mod objects;
mod pulls;
mod statuses;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use patchwave_core::propose::{CommitStatus, ForgeOp, ForgeView};
use serde::{Deserialize, Serialize};

pub use super::rest::Patience;

use super::branches::{self, BranchContent};
use super::plumbing::{ENGINE_NAME, Layout};
use super::rest::api::Api;
use super::rest::words::{owner_of, shown_name};
use super::{Appended, Applied, Forge, ForgeError, TakenIn, ledger};
use crate::secret::Secret;
use crate::state::StateStore;
use objects::Objects;

/// The API of github.com.
pub const DEFAULT_API_URL: &str = "https://api.github.com";

/// What a GitHub forge is made from.
#[derive(Clone)]
pub struct GithubSettings {
    /// API base; [`DEFAULT_API_URL`], or `https://HOST/api/v3` on GitHub Enterprise Server.
    pub api_url: String,
    /// `owner/name`.
    pub repository: String,
    /// The branch rollouts are merged into.
    pub base: String,
    /// The token.
    pub token: Secret,
    /// Where the project and its rollouts lie in the repository.
    pub layout: Layout,
    /// Names from `roles`: teams (`acme/sre`, `@acme/sre`, or `sre` for one of the owner's) and people.
    pub roles: BTreeSet<String>,
    /// A clone of the repository, looked at for contents before the forge is asked.
    pub clone: Option<PathBuf>,
    /// Where answers are kept from one run to the next.
    pub state: Option<StateStore>,
    /// How long to wait for what.
    pub patience: Patience,
}

/// What this process wrote, which replicas may not show yet.
#[derive(Default)]
struct Own {
    /// Reference → where it was and where it is.
    refs: BTreeMap<String, (Option<String>, String)>,
    /// Pull request → the instant of its last change by us.
    pulls: BTreeMap<u64, String>,
    /// (Pull request, marker) → comment and its text.
    comments: BTreeMap<(u64, String), (u64, String)>,
    /// Number and text of the dashboard issue.
    dashboard: Option<(u64, String)>,
    /// Commit → its status.
    statuses: BTreeMap<String, CommitStatus>,
    login: Option<String>,
}

/// A repository on GitHub.
pub struct GithubForge {
    api: Api,
    owner: String,
    base: String,
    layout: Layout,
    roles: BTreeSet<String>,
    objects: Objects,
    patience: Patience,
    own: Mutex<Own>,
}

impl std::fmt::Debug for GithubForge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GithubForge")
            .field("repository", &self.api.repository())
            .finish_non_exhaustive()
    }
}

impl GithubForge {
    /// A forge; nothing is asked of it yet.
    ///
    /// # Errors
    /// [`ForgeError`] for a repository or an address that is none.
    pub fn new(settings: GithubSettings) -> Result<Self, ForgeError> {
        let repository = settings.repository.trim_matches('/');
        let owner = owner_of(repository).ok_or_else(|| {
            ForgeError::terminal(
                format!("{repository:?} is no repository of GitHub"),
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
        let objects = Objects::new(settings.clone, settings.state.clone());
        let api = Api::new(
            &settings.api_url,
            repository,
            settings.token,
            settings.patience,
            settings.state,
        )?;
        Ok(Self {
            api,
            owner,
            base: settings.base,
            layout: settings.layout,
            roles: settings.roles,
            objects,
            patience,
            own: Mutex::new(Own::default()),
        })
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The login of the engine's account. GraphQL tells it for every kind of token; the REST call does not.
    fn login(&self) -> Result<String, ForgeError> {
        #[derive(Serialize, Deserialize)]
        struct Viewed {
            viewer: wire::User,
        }
        if let Some(login) = self.own().login.clone() {
            return Ok(login);
        }
        let viewed = self
            .api
            .graphql::<Viewed>("query { viewer { login } }", serde_json::json!({}), false)?;
        let login = viewed
            .map_err(|why| {
                ForgeError::terminal(
                    format!("GitHub does not say whose token this is: {why}"),
                    "use a token of an account or of a GitHub App",
                )
            })?
            .viewer
            .login;
        self.own().login = Some(login.clone());
        Ok(login)
    }

    /// A login as it stands in a view. No user at all is a deleted account, which GitHub calls `ghost`.
    fn name_of(&self, user: Option<&wire::User>) -> Result<String, ForgeError> {
        let login = user.map_or("ghost", |user| user.login.as_str());
        Ok(shown_name(login, &self.login()?))
    }

    fn is_own(&self, user: Option<&wire::User>) -> Result<bool, ForgeError> {
        Ok(self.name_of(user)? == ENGINE_NAME)
    }
}

impl Forge for GithubForge {
    fn take_in(&self, _now: Timestamp) -> Result<TakenIn, ForgeError> {
        // People push to GitHub itself.
        Ok(TakenIn::Unchanged)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        let view = self.look()?;
        self.api.keep();
        self.objects.prune();
        Ok(view)
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
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
                branches::put_branch(self, &self.layout, &wanted, now)
            }
            ForgeOp::PutPullRequest {
                branch,
                title,
                body,
                labels,
                reviewers,
            } => match branches::mergeable_head(self, branch)? {
                Ok(_) => self.put_pull(&pulls::Wanted::new(branch, title, body, labels, reviewers)),
                Err(refusal) => Ok(Applied::Refused(refusal)),
            },
            ForgeOp::PutComment { number, marker, body } => self.put_comment(*number, marker, body),
            ForgeOp::ClosePullRequest { number, reason } => self.close_pull(*number, reason),
            ForgeOp::MergePullRequest { number, head } => self.merge_pull(*number, head),
            ForgeOp::PutStatus { commit, status } => self.put_status(commit, status),
            ForgeOp::PutDashboard { body } => self.put_dashboard(body),
        }
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        ledger::append(self, expected_head, files, message, now)
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        ledger::fence(self)
    }

    fn writes(&self) -> u64 {
        self.api.writes()
    }
}
