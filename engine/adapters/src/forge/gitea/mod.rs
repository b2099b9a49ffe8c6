//! Gitea and Forgejo.
//!
//! Branches and the ledger are written by pushing (`hosted::remote`), because their API can neither write a tree nor
//! move a branch back; pull requests, reviews, comments and the dashboard are those of `hosted`, in the words of
//! GitHub's API that Gitea took over. What differs is here: labels are named by id, who closed a pull request stands in its
//! timeline, and an approval says whether it was dismissed, is stale, and is of somebody whose review counts.
//!
//! Scopes of the token: `write:repository`, `write:issue`, `read:organization`, `read:user`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use http::Method;
use jiff::Timestamp;
use patchwave_core::propose::{ForgeOp, ForgeView};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hosted::remote::{Mirror, Remote};
use super::hosted::roles::{RoleName, Stands};
use super::hosted::wire::{Label, Pull, Team, User};
use super::hosted::{self, Host, Hub, HubSettings};
use super::plumbing::{Layout, Plumbing};
use super::rest::address::{encoded, split_url};
use super::rest::api::{Repeat, Style};
use super::rest::exchange::Answer;
use super::rest::kept::Trust;
use super::rest::{Credential, Patience};
use super::{Appended, Applied, Forge, ForgeError, TakenIn, ledger};
use crate::secret::Secret;
use crate::state::StateStore;

/// How Gitea is spoken to. A page holds at most 50 entries unless its administrator wrote something else.
const STYLE: Style = Style {
    name: "Gitea",
    accept: "application/json",
    page: "limit=50",
    permission,
};

/// Colour of labels the engine makes; Gitea wants one, people may change it.
const LABEL_COLOUR: &str = "#2f6f9f";

/// What a Gitea forge is made from.
#[derive(Clone)]
pub struct GiteaSettings {
    /// API base: `https://HOST/api/v1`.
    pub api_url: String,
    /// `owner/name`.
    pub repository: String,
    /// The branch rollouts are merged into.
    pub base: String,
    /// The token.
    pub token: Secret,
    /// Where the project and its rollouts lie in the repository.
    pub layout: Layout,
    /// Names from `roles`: teams (`acme/sre`, or `sre` for one of the owner's) and people.
    pub roles: BTreeSet<String>,
    /// Where the repository is cloned from, if not below the same site as the API: `https://HOST/owner/name.git`.
    pub clone_url: Option<String>,
    /// Folder of the copy that is fetched into and pushed from. It holds nothing that the forge does not.
    pub copy: PathBuf,
    /// Where answers are kept from one run to the next.
    pub state: Option<StateStore>,
    /// How long to wait for what.
    pub patience: Patience,
}

/// A repository on Gitea or Forgejo.
pub struct GiteaForge {
    hub: Hub,
    remote: Remote,
}

impl std::fmt::Debug for GiteaForge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GiteaForge")
            .field("repository", &self.hub.api.repository())
            .finish_non_exhaustive()
    }
}

impl GiteaForge {
    /// A forge; nothing is asked of it yet.
    ///
    /// # Errors
    /// [`ForgeError`] for a repository or an address that is none, or a folder that cannot be written.
    pub fn new(settings: GiteaSettings) -> Result<Self, ForgeError> {
        let hub = Hub::new(
            &STYLE,
            HubSettings {
                api_url: settings.api_url,
                repository: settings.repository,
                base: settings.base,
                credential: Credential::Token(settings.token),
                layout: settings.layout,
                roles: settings.roles,
                state: settings.state,
                patience: settings.patience,
            },
        )?;
        let beside = hub.api.clone_url("/api/v1").ok_or_else(|| {
            ForgeError::terminal(
                "the address of the forge is not that of Gitea's API",
                "write `spec.forge.apiUrl` as https://HOST/api/v1",
            )
        })?;
        let url = settings.clone_url.unwrap_or(beside);
        // Held to what every address is held to that a token is sent to.
        split_url(&url)?;
        let remote = Remote::new(&settings.copy, &url, &hub.base)?;
        Ok(Self { hub, remote })
    }

    fn mirror(&self) -> Mirror<'_, Self> {
        Mirror::new(self, &self.remote)
    }

    /// The people of one of an organisation's teams; the outer none = the organisation does not show its teams, the inner
    /// one = none is called so.
    fn team(&self, organisation: &str, name: &str) -> Result<Option<Option<BTreeSet<String>>>, ForgeError> {
        let api = &self.hub.api;
        let path = api.top(&format!("orgs/{organisation}/teams?{}", STYLE.page));
        let Some(teams) = api.pages::<Team>(&path, Trust::Asked)? else {
            return Ok(None);
        };
        let Some(team) = teams.into_iter().find(|team| team.name.eq_ignore_ascii_case(name)) else {
            return Ok(Some(None));
        };
        let path = api.top(&format!("teams/{}/members?{}", team.id, STYLE.page));
        let members: Option<Vec<User>> = api.pages(&path, Trust::Asked)?;
        Ok(members.map(|people| Some(people.into_iter().map(|user| user.login).collect())))
    }

    /// Whether the repository is a person's, who has no teams. Gitea answers 405 to the question for its teams then.
    fn is_a_persons(&self, owner: &str) -> Result<bool, ForgeError> {
        let api = &self.hub.api;
        Ok(owner == self.hub.owner && api.status_of(&api.repo("teams"))? == 405)
    }
}

/// That there is an organisation; nothing of it is read.
#[derive(Serialize, Deserialize)]
struct Organisation {}

impl Host for GiteaForge {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn ask_login(&self) -> Result<String, ForgeError> {
        let api = &self.hub.api;
        Ok(api.need::<User>(&api.top("user"), Trust::Asked)?.login)
    }

    fn stands_for(&self, role: RoleName<'_>) -> Result<Stands, ForgeError> {
        let RoleName {
            organisation,
            name,
            bare,
        } = role;
        let hidden = |why: &str| {
            Ok(Stands::Unknown(format!(
                "{why}: there is no team {organisation}/{name}, or the token may not see it; correct the name, or give the \
                 token the scope read:organization and make its account a member of the organisation"
            )))
        };
        match self.team(organisation, name) {
            Ok(Some(Some(people))) => return Ok(Stands::Team(people)),
            Ok(Some(None)) if bare => {}
            Ok(Some(None)) => return hidden("it is not among the organisation's teams"),
            Ok(None) if bare && self.is_a_persons(organisation)? => {}
            Ok(None) => return hidden(&format!("GET orgs/{organisation}/teams was answered 404")),
            Err(why) if !why.retryable && bare && self.is_a_persons(organisation)? => {}
            Err(why) => return Stands::unknown(why),
        }
        let api = &self.hub.api;
        // Asked for as an account, an organisation is answered like a person.
        match api.get::<Organisation>(&api.top(&format!("orgs/{name}")), Trust::Asked) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Stands::an_organisation(name)),
            Err(why) => return Stands::unknown(why),
        }
        Ok(
            match api.get::<User>(&api.top(&format!("users/{name}")), Trust::Asked)? {
                Some(account) => Stands::Person(account.login),
                None => Stands::neither(organisation, name),
            },
        )
    }

    fn pulls_in_order(&self) -> &'static str {
        "sort=oldest&limit=50"
    }

    fn open_pulls_of(&self, _branch: &str) -> String {
        STYLE.page.to_owned()
    }

    /// A branch that went on is shown as the head of the pull request, too; the reference of the pull request stays.
    fn ended_head(&self, git: &impl Plumbing, pull: &Pull) -> Result<String, ForgeError> {
        let reference = format!("refs/pull/{}/head", pull.number);
        Ok(git.target(&reference)?.unwrap_or_else(|| pull.head.sha.clone()))
    }

    fn commits_listed_max(&self) -> Option<usize> {
        None
    }

    fn closed_by(&self, number: u64, trust: Trust<'_>) -> Result<Option<User>, ForgeError> {
        #[derive(Serialize, Deserialize)]
        struct Event {
            #[serde(rename = "type", default)]
            kind: String,
            user: Option<User>,
        }
        let api = &self.hub.api;
        let path = api.repo(&format!("issues/{number}/timeline?{}", STYLE.page));
        // What it says of the length of a timeline is that of the page.
        let events: Vec<Event> = api.need_pages_to_an_empty_one(&path, trust)?;
        let closed = events.into_iter().rev().find(|event| event.kind == "close");
        Ok(closed.and_then(|event| event.user))
    }

    /// A dismissal does not change when the pull request is said to have changed.
    fn trust_of_reviews<'a>(&self, _pull: &'a Pull) -> Trust<'a> {
        Trust::Asked
    }

    fn labels_named(&self, names: &[&str]) -> Result<Vec<Value>, ForgeError> {
        let api = &self.hub.api;
        let listed: Vec<Label> = api.need_pages(&api.repo(&format!("labels?{}", STYLE.page)), Trust::Asked)?;
        let mut found = Vec::new();
        for name in names {
            let id = match listed.iter().find(|label| label.name == *name) {
                Some(label) => label.id,
                None => {
                    let body = json!({"name": name, "color": LABEL_COLOUR});
                    let made: Label = api.put(Method::POST, &api.repo("labels"), body, Repeat::Once)?;
                    made.id
                }
            };
            found.push(json!(id));
        }
        Ok(found)
    }

    fn label_in_path(&self, label: &Label) -> String {
        encoded(&label.id.to_string())
    }

    fn commit_in_path(&self, commit: &str) -> String {
        format!("git/commits/{commit}?stat=false&verification=false&files=false")
    }

    fn has_pull_already(&self, answer: &Answer) -> bool {
        answer.status == 409
    }

    fn unmet(&self, pull: &Pull) -> Option<&'static str> {
        (pull.mergeable == Some(false))
            .then_some("it conflicts with the base branch, is a draft, or is still being checked")
    }

    fn merge_request(&self, number: u64, head: &str, title: &str, message: &str) -> (Method, String, Value) {
        let path = self.hub.api.repo(&format!("pulls/{number}/merge"));
        let body = json!({
            "Do": "merge", "head_commit_id": head, "MergeTitleField": title, "MergeMessageField": message,
        });
        (Method::POST, path, body)
    }

    fn merged_as(&self, _commit: &str) -> Result<(), ForgeError> {
        // Its Git is read from where it is written.
        Ok(())
    }
}

impl Forge for GiteaForge {
    fn take_in(&self, _now: Timestamp) -> Result<TakenIn, ForgeError> {
        // People push to Gitea itself.
        Ok(TakenIn::Unchanged)
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        let mirror = self.mirror();
        let view = hosted::look::look(self, &mirror, &mirror.engine_refs()?)?;
        self.hub.api.keep();
        Ok(view)
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        hosted::apply(self, &self.mirror(), op, now)
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        ledger::append(&self.mirror(), expected_head, files, message, now)
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        ledger::fence(&self.mirror())
    }

    fn writes(&self) -> u64 {
        self.hub.api.writes() + self.remote.pushes()
    }
}

/// Which scope is missing. Gitea usually says it itself, which stands in the words of its answer.
fn permission(shown: &str, _answer: &Answer) -> String {
    let needed = if shown.contains("/orgs/") || shown.contains("/teams/") {
        "read:organization"
    } else if shown.contains("/issues") || shown.contains("/labels") {
        "write:issue"
    } else if shown.contains("/user") {
        "read:user"
    } else {
        "write:repository"
    };
    format!("give the token the scope {needed}, and its account the right to write to the repository")
}
