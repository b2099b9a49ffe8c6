//! GitHub and GitHub Enterprise Server.
//!
//! Branches, files and the ledger go through the Git data API (or, where asked for, are pushed) under the same rules as on
//! every other forge; pull requests, reviews, comments and the dashboard are those of `hosted`. What is unchanged is asked for
//! conditionally, which GitHub does not count against the rate limit.
//!
//! Permissions of the token: Contents, Pull requests and Issues: write; Commit statuses and Checks: write where those are
//! shown; Members: read where approvers are teams.

mod git;
mod objects;
mod roles;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use http::Method;
use jiff::Timestamp;
use patchwave_core::propose::{ForgeOp, ForgeView};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use super::rest::{AppKey, Credential, Patience};

use super::hosted::remote::{Mirror, Remote};
use super::hosted::roles::{RoleName, Stands};
use super::hosted::wire::{Issue, Label, Pull, User};
use super::hosted::{self, Host, Hub, HubSettings};
use super::plumbing::{Layout, Plumbing};
use super::rest::address::encoded;
use super::rest::api::Style;
use super::rest::exchange::Answer;
use super::rest::fault;
use super::rest::kept::Trust;
use super::{Appended, Applied, Forge, ForgeError, TakenIn, ledger};
use crate::state::StateStore;
use objects::Objects;

/// The API of github.com.
pub const DEFAULT_API_URL: &str = "https://api.github.com";

/// How GitHub is spoken to.
const STYLE: Style = Style {
    name: "GitHub",
    accept: "application/vnd.github+json",
    page: "per_page=100",
    permission: fault::permission_of_github,
};

/// What a GitHub forge is made from.
#[derive(Clone)]
pub struct GithubSettings {
    /// API base; [`DEFAULT_API_URL`], or `https://HOST/api/v3` on GitHub Enterprise Server.
    pub api_url: String,
    /// `owner/name`.
    pub repository: String,
    /// The branch rollouts are merged into.
    pub base: String,
    /// A token, or an App that gets itself tokens.
    pub credential: Credential,
    /// Where the project and its rollouts lie in the repository.
    pub layout: Layout,
    /// Names from `roles`: teams (`acme/sre`, `@acme/sre`, or `sre` for one of the owner's) and people.
    pub roles: BTreeSet<String>,
    /// Folder of a copy that is fetched into and pushed from; none = branches are written through the Git data API.
    pub copy: Option<PathBuf>,
    /// A clone of the repository, looked at for contents before the forge is asked.
    pub clone: Option<PathBuf>,
    /// Where answers are kept from one run to the next.
    pub state: Option<StateStore>,
    /// How long to wait for what.
    pub patience: Patience,
}

/// A repository on GitHub.
pub struct GithubForge {
    hub: Hub,
    objects: Objects,
    remote: Option<Remote>,
}

impl std::fmt::Debug for GithubForge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GithubForge")
            .field("repository", &self.hub.api.repository())
            .finish_non_exhaustive()
    }
}

impl GithubForge {
    /// A forge; nothing is asked of it yet.
    ///
    /// # Errors
    /// [`ForgeError`] for a repository or an address that is none.
    pub fn new(settings: GithubSettings) -> Result<Self, ForgeError> {
        let objects = Objects::new(settings.clone, settings.state.clone());
        let hub = Hub::new(
            &STYLE,
            HubSettings {
                api_url: settings.api_url,
                repository: settings.repository,
                base: settings.base,
                credential: settings.credential,
                layout: settings.layout,
                roles: settings.roles,
                state: settings.state,
                patience: settings.patience,
            },
        )?;
        let remote = settings.copy.map(|copy| {
            // The API has a host of its own on github.com, and a folder on a server of one's own.
            let url = hub
                .api
                .clone_url("/api/v3")
                .unwrap_or_else(|| hub.api.clone_url_beside("api."));
            Remote::new(&copy, &url, &hub.base)
        });
        Ok(Self {
            hub,
            objects,
            remote: remote.transpose()?,
        })
    }
}

impl Host for GithubForge {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    /// GraphQL tells it for every kind of token; the REST call does not.
    fn ask_login(&self) -> Result<String, ForgeError> {
        #[derive(Serialize, Deserialize)]
        struct Viewed {
            viewer: User,
        }
        let viewed = self
            .hub
            .api
            .graphql::<Viewed>("query { viewer { login } }", json!({}), false)?;
        let viewed = viewed.map_err(|why| {
            ForgeError::terminal(
                format!("GitHub does not say whose token this is: {why}"),
                "use a token of an account or of a GitHub App",
            )
        })?;
        Ok(viewed.viewer.login)
    }

    fn stands_for(&self, role: RoleName<'_>) -> Result<Stands, ForgeError> {
        roles::stands_for(&self.hub.api, role)
    }

    fn pulls_in_order(&self) -> &'static str {
        "sort=created&direction=asc&per_page=100"
    }

    fn open_pulls_of(&self, branch: &str) -> String {
        let Hub { owner, base, .. } = &self.hub;
        let (head, base) = (encoded(&format!("{owner}:{branch}")), encoded(base));
        format!("head={head}&base={base}&per_page=100")
    }

    fn ended_head(&self, _git: &impl Plumbing, pull: &Pull) -> Result<String, ForgeError> {
        Ok(pull.head.sha.clone())
    }

    /// <https://docs.github.com/en/rest/pulls/pulls#list-commits-on-a-pull-request>
    fn commits_listed_max(&self) -> Option<usize> {
        Some(250)
    }

    fn closed_by(&self, number: u64, trust: Trust<'_>) -> Result<Option<User>, ForgeError> {
        let api = &self.hub.api;
        let alone: Issue = api.need(&api.repo(&format!("issues/{number}")), trust)?;
        Ok(alone.closed_by)
    }

    fn trust_of_reviews<'a>(&self, pull: &'a Pull) -> Trust<'a> {
        Trust::Stamped(&pull.updated_at)
    }

    fn labels_named(&self, names: &[&str]) -> Result<Vec<Value>, ForgeError> {
        Ok(names.iter().map(|name| json!(name)).collect())
    }

    fn label_in_path(&self, label: &Label) -> String {
        encoded(&label.name)
    }

    fn commit_in_path(&self, commit: &str) -> String {
        format!("commits/{commit}")
    }

    fn has_pull_already(&self, answer: &Answer) -> bool {
        answer.status == 422 && fault::message(answer).contains("already exists")
    }

    fn unmet(&self, pull: &Pull) -> Option<&'static str> {
        match pull.mergeable_state.as_deref() {
            Some("dirty") => Some("it conflicts with the base branch"),
            Some("blocked") => Some("a rule of the repository (reviews, checks) is not met yet"),
            Some("draft") => Some("it is a draft"),
            _ => None,
        }
    }

    fn merge_request(&self, number: u64, head: &str, title: &str, message: &str) -> (Method, String, Value) {
        let path = self.hub.api.repo(&format!("pulls/{number}/merge"));
        let body = json!({"sha": head, "merge_method": "merge", "commit_title": title, "commit_message": message});
        (Method::PUT, path, body)
    }

    /// A replica of the API may not show the base branch there yet.
    fn merged_as(&self, commit: &str) -> Result<(), ForgeError> {
        if self.remote.is_some() {
            return Ok(());
        }
        let base = format!("refs/heads/{}", self.hub.base);
        let before = self.commit(commit)?.parents.into_iter().next();
        let moved = (before.map(|parent| parent.sha), commit.to_owned());
        self.hub.own().refs.insert(base, moved);
        Ok(())
    }
}

/// Does something with the Git of a forge, whichever way it goes: what is pushed is read where it was pushed, too.
macro_rules! on_git {
    ($forge:ident, $git:ident => $done:expr) => {
        match &$forge.remote {
            Some(remote) => {
                let $git = &Mirror::new($forge, remote);
                $done
            }
            None => {
                let $git = $forge;
                $done
            }
        }
    };
}

impl Forge for GithubForge {
    fn take_in(&self, _now: Timestamp) -> Result<TakenIn, ForgeError> {
        // People push to GitHub itself.
        Ok(TakenIn::Unchanged)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        let view = on_git!(self, git => hosted::look::look(self, git, &git.engine_refs()?))?;
        self.hub.api.keep();
        self.objects.prune();
        Ok(view)
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        on_git!(self, git => hosted::apply(self, git, op, now))
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        on_git!(self, git => ledger::append(git, expected_head, files, message, now))
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        on_git!(self, git => ledger::fence(git))
    }

    fn writes(&self) -> u64 {
        self.hub.api.writes() + self.remote.as_ref().map_or(0, Remote::pushes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_name_in_a_query_adds_nothing_to_it() {
        let forge = GithubForge::new(GithubSettings {
            api_url: DEFAULT_API_URL.to_owned(),
            repository: "acme/patching".to_owned(),
            base: "release+1&state=all".to_owned(),
            credential: Credential::Token(Secret::new("planted")),
            layout: Layout::default(),
            roles: BTreeSet::new(),
            copy: None,
            clone: None,
            state: None,
            patience: Patience::default(),
        })
        .unwrap();
        assert_eq!(
            forge.open_pulls_of("patchwave/r/test"),
            "head=acme%3Apatchwave%2Fr%2Ftest&base=release%2B1%26state%3Dall&per_page=100"
        );
    }
}
