//! What is read of the answers of both forges: Gitea's are GitHub's with some fields more and some fewer. Everything else
//! they hold is left alone, and not kept either.
//!
//! <https://docs.github.com/en/rest>, <https://docs.gitea.com/api/>

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::forge::plumbing::{Author, CommitInfo};

/// A list that may be null, as Gitea says "none".
fn or_none<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Object {
    pub(in crate::forge) sha: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Signature {
    pub(in crate::forge) name: String,
    pub(in crate::forge) email: String,
    pub(in crate::forge) date: Timestamp,
}

/// A commit as lists hold it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct ListedCommit {
    pub(in crate::forge) sha: String,
    pub(in crate::forge) commit: ListedCommitText,
    pub(in crate::forge) parents: Vec<Object>,
    /// The account of the author, where GitHub knows one by the address.
    #[serde(default)]
    pub(in crate::forge) author: Option<User>,
    #[serde(default)]
    pub(in crate::forge) committer: Option<User>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct ListedCommitText {
    pub(in crate::forge) message: String,
    pub(in crate::forge) author: Signature,
    pub(in crate::forge) committer: Signature,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct User {
    pub(in crate::forge) login: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Label {
    #[serde(default)]
    pub(in crate::forge) id: u64,
    #[serde(default)]
    pub(in crate::forge) name: String,
}

/// A team: GitHub's is named by its slug, Gitea's has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Team {
    #[serde(default)]
    pub(in crate::forge) id: u64,
    #[serde(default)]
    pub(in crate::forge) slug: Option<String>,
    #[serde(default)]
    pub(in crate::forge) name: String,
}

impl Team {
    /// Its name as `roles` and requests have it.
    pub(in crate::forge) fn called(&self) -> &str {
        self.slug.as_deref().unwrap_or(&self.name)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Repository {
    pub(in crate::forge) full_name: String,
}

/// A side of a pull request; its repository is gone if a fork was deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Side {
    #[serde(rename = "ref", default)]
    name: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    pub(in crate::forge) sha: String,
    pub(in crate::forge) repo: Option<Repository>,
}

impl Side {
    /// The branch. Gitea names another reference once the branch is gone, and keeps the branch's name in the label.
    pub(in crate::forge) fn branch(&self) -> &str {
        match &self.label {
            Some(label) if self.name.starts_with("refs/") => label,
            _ => &self.name,
        }
    }
}

/// A pull request; `merged_by` is there only where one is read alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Pull {
    pub(in crate::forge) number: u64,
    pub(in crate::forge) state: String,
    pub(in crate::forge) title: String,
    pub(in crate::forge) body: Option<String>,
    pub(in crate::forge) user: Option<User>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::forge) labels: Vec<Label>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::forge) requested_reviewers: Vec<User>,
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::forge) requested_teams: Vec<Team>,
    /// The same on Gitea.
    #[serde(default, deserialize_with = "or_none")]
    pub(in crate::forge) requested_reviewers_teams: Vec<Team>,
    pub(in crate::forge) head: Side,
    pub(in crate::forge) base: Side,
    pub(in crate::forge) created_at: Timestamp,
    pub(in crate::forge) updated_at: String,
    pub(in crate::forge) closed_at: Option<Timestamp>,
    pub(in crate::forge) merged_at: Option<Timestamp>,
    pub(in crate::forge) merge_commit_sha: Option<String>,
    pub(in crate::forge) merged_by: Option<User>,
    /// Why it can or cannot be merged, on GitHub.
    pub(in crate::forge) mergeable_state: Option<String>,
    /// Whether it can be merged; GitHub does not know it at first.
    pub(in crate::forge) mergeable: Option<bool>,
}

impl Pull {
    /// Whether it is shown as it was before a change that was answered with `changed`. Instants are whole seconds, so within
    /// one the texts tell.
    pub(in crate::forge) fn is_behind(&self, changed: &Self) -> bool {
        // Long ago if the forge's text is no instant.
        let at = |pull: &Self| pull.updated_at.parse().unwrap_or(Timestamp::MIN);
        let (shown, own) = (at(self), at(changed));
        let texts = |pull: &Self| (pull.state.clone(), pull.title.clone(), pull.body.clone());
        shown < own || (shown == own && texts(self) != texts(changed))
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Review {
    pub(in crate::forge) user: Option<User>,
    pub(in crate::forge) state: String,
    pub(in crate::forge) commit_id: Option<String>,
    pub(in crate::forge) submitted_at: Option<Timestamp>,
    /// A team that was asked, on Gitea.
    pub(in crate::forge) team: Option<Team>,
    /// Whether it was withdrawn, on Gitea; GitHub gives it another state.
    #[serde(default)]
    pub(in crate::forge) dismissed: bool,
    /// Whether it was given by somebody whose review the repository counts, on Gitea.
    pub(in crate::forge) official: Option<bool>,
    /// Whether the branch changed since, on Gitea.
    #[serde(default)]
    pub(in crate::forge) stale: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Comment {
    pub(in crate::forge) id: u64,
    pub(in crate::forge) user: Option<User>,
    pub(in crate::forge) body: Option<String>,
    pub(in crate::forge) created_at: Timestamp,
}

/// An issue; `closed_by` is there only where one is read alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Issue {
    pub(in crate::forge) number: u64,
    pub(in crate::forge) user: Option<User>,
    pub(in crate::forge) body: Option<String>,
    pub(in crate::forge) closed_by: Option<User>,
    pub(in crate::forge) pull_request: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Status {
    #[serde(default)]
    pub(in crate::forge) id: u64,
    state: Option<String>,
    status: Option<String>,
    pub(in crate::forge) context: String,
    pub(in crate::forge) description: Option<String>,
    pub(in crate::forge) creator: Option<User>,
}

impl Status {
    /// `pending`, `success`, …: GitHub calls it the state, Gitea the status.
    pub(in crate::forge) fn word(&self) -> &str {
        self.state.as_deref().or(self.status.as_deref()).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::forge) struct Merged {
    pub(in crate::forge) sha: String,
}

/// The account GitHub commits with what people do in its web interface; the person is the author.
const WEB_FLOW: &str = "web-flow";

impl From<ListedCommit> for CommitInfo {
    /// Approvals come from accounts, so people are named by theirs; the name in a commit is whatever its author wrote.
    fn from(found: ListedCommit) -> Self {
        let mut unattributed = false;
        let mut who = |signature: Signature, account: Option<User>| {
            let mut by = Author {
                name: signature.name,
                email: signature.email,
            };
            if by.is_engine() {
                return by;
            }
            match account {
                Some(account) => by.name = account.login,
                None => unattributed = true,
            }
            by
        };
        let ListedCommitText {
            message,
            author,
            committer,
        } = found.commit;
        let at = committer.date;
        let author = who(author, found.author);
        let mut committer = who(committer, found.committer);
        if committer.name == WEB_FLOW && !author.is_engine() {
            committer = author.clone();
        }
        Self {
            id: found.sha,
            parents: found.parents.into_iter().map(|parent| parent.sha).collect(),
            at,
            author,
            committer,
            unattributed,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::plumbing::{ENGINE_EMAIL, ENGINE_NAME};

    /// A commit by these names, each with its account if there is one.
    fn commit(author: (&str, Option<&str>), committer: (&str, Option<&str>)) -> CommitInfo {
        let signature = |name: &str| Signature {
            name: name.to_owned(),
            email: if name == ENGINE_NAME {
                ENGINE_EMAIL
            } else {
                "one@laptop"
            }
            .to_owned(),
            date: Timestamp::UNIX_EPOCH,
        };
        let account = |login: Option<&str>| {
            login.map(|login| User {
                login: login.to_owned(),
            })
        };
        let text = ListedCommitText {
            message: String::new(),
            author: signature(author.0),
            committer: signature(committer.0),
        };
        let listed = ListedCommit {
            sha: "1a2b".to_owned(),
            commit: text,
            parents: Vec::new(),
            author: account(author.1),
            committer: account(committer.1),
        };
        listed.into()
    }

    #[test]
    fn only_accounts_name_people() {
        let maria = ("Maria M.", Some("maria"));
        let known = commit(maria, ("Lena", Some("lena")));
        assert_eq!(
            (known.author.name.as_str(), known.committer.name.as_str()),
            ("maria", "lena")
        );
        assert!(!known.unattributed);
        assert!(commit(maria, ("Some One", None)).unattributed && commit(("Some One", None), maria).unattributed);
        let engines = commit((ENGINE_NAME, Some("whoever")), (ENGINE_NAME, None));
        assert!(engines.is_engines() && !engines.unattributed);
    }

    #[test]
    fn what_github_commits_for_a_person_is_the_persons() {
        let web = ("GitHub", Some(WEB_FLOW));
        assert_eq!(commit(("Maria M.", Some("maria")), web).committer.name, "maria");
        // Nobody can make such a commit the engine's.
        assert!(!commit((ENGINE_NAME, None), web).is_engines());
    }
}
