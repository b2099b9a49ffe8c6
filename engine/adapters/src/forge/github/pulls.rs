//! Pull requests, comments and the dashboard: brought in line, each write only where something differs.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::{GithubForge, wire};
use crate::forge::branches::trailers_of;
use crate::forge::plumbing::Plumbing as _;
use crate::forge::rest::api::{Repeat, Trust, encoded};
use crate::forge::rest::words::{
    CLOSED_MARKER, DASHBOARD_LABEL, DASHBOARD_MARKER, DASHBOARD_TITLE, is_own_label, plain, slug, without_marker,
};
use crate::forge::{Applied, ForgeError, Refusal};

/// Longest text of a pull request, an issue or a comment that GitHub takes, in characters.
const TEXT_CHARS_MAX: usize = 65_536;
/// Longest title it takes.
const TITLE_CHARS_MAX: usize = 256;
/// Ends a text that was cut.
const CUT: &str = "\n\n… (cut here: GitHub takes no longer text; the files of this branch hold all of it)\n";
/// What is wanted of a pull request, in the lengths GitHub takes.
pub(super) struct Wanted<'a> {
    branch: &'a str,
    title: String,
    body: String,
    labels: BTreeSet<&'a str>,
    reviewers: BTreeSet<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(branch: &'a str, title: &str, body: &str, labels: &'a [String], reviewers: &'a [String]) -> Self {
        Self {
            branch,
            title: title.chars().take(TITLE_CHARS_MAX).collect(),
            body: fitting(body),
            labels: labels.iter().map(String::as_str).collect(),
            reviewers: reviewers.iter().map(String::as_str).collect(),
        }
    }
}

impl GithubForge {
    fn read_pull(&self, number: u64) -> Result<Option<wire::Pull>, ForgeError> {
        self.api.get(&self.api.repo(&format!("pulls/{number}")), Trust::Asked)
    }

    fn wrote_pull(&self, pull: &wire::Pull) {
        self.own().pulls.insert(pull.number, pull.updated_at.clone());
    }

    /// The open pull request of a branch, whoever opened it.
    fn open_pull(&self, branch: &str) -> Result<Option<wire::Pull>, ForgeError> {
        let path = format!(
            "pulls?state=open&head={}:{branch}&base={}&per_page=100",
            self.owner, self.base
        );
        let listed: Vec<wire::Pull> = self.api.pages(&self.api.repo(&path), Trust::Asked)?.unwrap_or_default();
        let here = |pull: &wire::Pull| {
            let repo = pull.head.repo.as_ref();
            pull.head.branch == branch && repo.is_some_and(|r| r.full_name.eq_ignore_ascii_case(self.api.repository()))
        };
        if let Some(found) = listed.into_iter().find(here) {
            return Ok(Some(found));
        }
        // One this process has just opened may not be in the list yet.
        let own: Vec<u64> = self.own().pulls.keys().copied().collect();
        for number in own.into_iter().rev() {
            if let Some(pull) = self.read_pull(number)?
                && pull.head.branch == branch
                && pull.state == "open"
            {
                return Ok(Some(pull));
            }
        }
        Ok(None)
    }

    pub(super) fn put_pull(&self, wanted: &Wanted<'_>) -> Result<Applied, ForgeError> {
        let (pull, opened) = match self.open_pull(wanted.branch)? {
            Some(pull) => (pull, false),
            None => match self.create_pull(wanted)? {
                Some(pull) => (pull, true),
                // Somebody else opened it since, or the list was late.
                None => match self.open_pull(wanted.branch)? {
                    Some(pull) => (pull, false),
                    None => {
                        return Err(ForgeError::retryable(
                            format!(
                                "GitHub says {} has a pull request already, and shows none",
                                wanted.branch
                            ),
                            "run the command again in a minute",
                        ));
                    }
                },
            },
        };
        if !self.is_engines(&pull)? {
            return Ok(Applied::Refused(Refusal::Declined {
                number: pull.number,
                reason: format!(
                    "{} opened it for the engine's branch; close it, and the engine opens its own",
                    self.name_of(pull.user.as_ref())?
                ),
            }));
        }
        let mut changed = opened;
        changed |= self.put_labels(&pull, &wanted.labels)?;
        changed |= self.put_reviewers(&pull, &wanted.reviewers)?;
        // Last, because the marker in the text says that all of it is done.
        if pull.title != wanted.title || plain(pull.body.as_deref()).trim_end() != wanted.body.trim_end() {
            let body = json!({"title": wanted.title, "body": wanted.body});
            let path = self.api.repo(&format!("pulls/{}", pull.number));
            let pull: wire::Pull = self.api.put(Method::PATCH, &path, body, Repeat::Safe)?;
            self.wrote_pull(&pull);
            changed = true;
        }
        Ok(if changed {
            Applied::Done {
                number: Some(pull.number),
                commit: None,
            }
        } else {
            Applied::Unchanged
        })
    }

    /// Opens a pull request without the marker; none = there is one already.
    fn create_pull(&self, wanted: &Wanted<'_>) -> Result<Option<wire::Pull>, ForgeError> {
        let body = json!({
            "title": wanted.title,
            "body": without_marker(&wanted.body),
            "head": wanted.branch,
            "base": self.base,
            "maintainer_can_modify": false,
        });
        let (request, answer) = self
            .api
            .write(Method::POST, &self.api.repo("pulls"), body, Repeat::Safe)?;
        if answer.status == 422 && crate::forge::rest::fault::message(&answer).contains("already exists") {
            return Ok(None);
        }
        let pull: wire::Pull = self.api.success(&request, &answer)?;
        self.wrote_pull(&pull);
        Ok(Some(pull))
    }

    fn put_labels(&self, pull: &wire::Pull, wanted: &BTreeSet<&str>) -> Result<bool, ForgeError> {
        let there: BTreeSet<&str> = pull.labels.iter().map(|label| label.name.as_str()).collect();
        let missing: Vec<&&str> = wanted.difference(&there).collect();
        let path = self.api.repo(&format!("issues/{}/labels", pull.number));
        if !missing.is_empty() {
            let _: Vec<wire::Label> = self
                .api
                .put(Method::POST, &path, json!({"labels": missing}), Repeat::Safe)?;
        }
        let ours = |label: &&&str| is_own_label(label);
        let gone: Vec<&&str> = there.difference(wanted).filter(ours).collect();
        for label in &gone {
            let one = format!("{path}/{}", encoded(label));
            let (request, answer) = self
                .api
                .write(Method::DELETE, &one, serde_json::Value::Null, Repeat::Safe)?;
            if answer.status != 404 {
                let _: Vec<wire::Label> = self.api.success(&request, &answer)?;
            }
        }
        Ok(!missing.is_empty() || !gone.is_empty())
    }

    /// Asks those to review who were not asked and have not answered. One who cannot be asked does not stop the rest.
    fn put_reviewers(&self, pull: &wire::Pull, wanted: &BTreeSet<&str>) -> Result<bool, ForgeError> {
        let mut known = self.reviewers(pull);
        if wanted.iter().all(|name| known.contains(slug(name))) {
            return Ok(false);
        }
        let mut given = BTreeSet::new();
        for review in self.reviews(pull.number, Trust::Asked)? {
            given.extend(review.user.map(|user| user.login));
        }
        known.extend(given.iter().cloned());
        let author = pull.user.as_ref().map(|user| user.login.as_str());
        let roles = self.roles()?;
        let path = self.api.repo(&format!("pulls/{}/requested_reviewers", pull.number));
        let mut changed = false;
        for name in wanted {
            let name_slug = slug(name);
            let team = roles.team(name);
            // A team whose member has answered is not asked again.
            let answered = team.is_some_and(|team| team.iter().any(|who| given.contains(who)));
            if known.contains(name_slug) || author == Some(name_slug) || answered {
                continue;
            }
            let kind = if team.is_some() || name.contains('/') {
                "team_reviewers"
            } else {
                "reviewers"
            };
            let (request, answer) = self
                .api
                .write(Method::POST, &path, json!({kind: [name_slug]}), Repeat::Safe)?;
            if answer.status == 422 {
                tracing::warn!(
                    "{name} cannot be asked to review pull request {}: {}",
                    pull.number,
                    crate::forge::rest::fault::message(&answer)
                );
                continue;
            }
            let pull: wire::Pull = self.api.success(&request, &answer)?;
            self.wrote_pull(&pull);
            changed = true;
        }
        Ok(changed)
    }

    pub(super) fn put_comment(&self, number: u64, marker: &str, body: &str) -> Result<Applied, ForgeError> {
        let text = fitting(&format!("{}\n\n{marker}", body.trim_end()));
        let done = Applied::Done {
            number: Some(number),
            commit: None,
        };
        let Some(listed) = self.listed_comments(number, Trust::Asked)? else {
            return Ok(Applied::Refused(Refusal::NoSuchPullRequest { number }));
        };
        let own = self.own().comments.get(&(number, marker.to_owned())).cloned();
        let mut found = None;
        for comment in listed {
            let said = plain(comment.body.as_deref());
            if said.lines().any(|line| line == marker) && self.is_own(comment.user.as_ref())? {
                found = Some((comment.id, said));
                break;
            }
        }
        let id = match own.or(found) {
            Some((_, said)) if said.trim_end() == text.trim_end() => return Ok(Applied::Unchanged),
            Some((id, _)) => {
                let path = self.api.repo(&format!("issues/comments/{id}"));
                let edited: wire::Comment = self
                    .api
                    .put(Method::PATCH, &path, json!({"body": text}), Repeat::Safe)?;
                edited.id
            }
            None => {
                let path = self.api.repo(&format!("issues/{number}/comments"));
                let made: wire::Comment = self.api.put(Method::POST, &path, json!({"body": text}), Repeat::Once)?;
                made.id
            }
        };
        self.own().comments.insert((number, marker.to_owned()), (id, text));
        Ok(done)
    }

    pub(super) fn close_pull(&self, number: u64, reason: &str) -> Result<Applied, ForgeError> {
        let Some(pull) = self.read_pull(number)? else {
            return Ok(Applied::Refused(Refusal::NoSuchPullRequest { number }));
        };
        match (pull.merged_at, pull.state.as_str()) {
            (Some(_), _) => {
                return Ok(Applied::Refused(Refusal::NotOpen {
                    number,
                    state: "merged",
                }));
            }
            (None, "closed") => return Ok(Applied::Unchanged),
            (None, _) => {}
        }
        self.put_comment(number, CLOSED_MARKER, reason)?;
        let path = self.api.repo(&format!("pulls/{number}"));
        let closed: wire::Pull = self
            .api
            .put(Method::PATCH, &path, json!({"state": "closed"}), Repeat::Safe)?;
        self.wrote_pull(&closed);
        Ok(Applied::Done {
            number: Some(number),
            commit: None,
        })
    }

    pub(super) fn merge_pull(&self, number: u64, head: &str) -> Result<Applied, ForgeError> {
        let Some(pull) = self.read_pull(number)? else {
            return Ok(Applied::Refused(Refusal::NoSuchPullRequest { number }));
        };
        let moved = |found: &str| {
            Applied::Refused(Refusal::HeadMoved {
                number,
                expected: head.to_owned(),
                found: found.to_owned(),
            })
        };
        if pull.head.sha != head {
            return Ok(moved(&pull.head.sha));
        }
        match (pull.merged_at, pull.state.as_str()) {
            (Some(_), _) => return Ok(Applied::Unchanged),
            (None, "open") => {}
            (None, _) => {
                return Ok(Applied::Refused(Refusal::NotOpen {
                    number,
                    state: "closed",
                }));
            }
        }
        // Asking in vain would be a write request at every run.
        let unmet = match pull.mergeable_state.as_deref() {
            Some("dirty") => Some("it conflicts with the base branch"),
            Some("blocked") => Some("a rule of the repository (reviews, checks) is not met yet"),
            Some("draft") => Some("it is a draft"),
            _ => None,
        };
        if let Some(reason) = unmet {
            let reason = reason.to_owned();
            return Ok(Applied::Refused(Refusal::Declined { number, reason }));
        }
        let body = json!({
            "sha": head,
            "merge_method": "merge",
            "commit_title": format!("Merge pull request #{number} from {}", pull.head.branch),
            "commit_message": format!("{}\n{}", pull.title, trailers_of(&self.commit_info(head)?)),
        });
        let path = self.api.repo(&format!("pulls/{number}/merge"));
        let (request, answer) = self.api.write(Method::PUT, &path, body, Repeat::Once)?;
        match answer.status {
            200 => {}
            409 => {
                let now = self.read_pull(number)?.map_or_else(String::new, |pull| pull.head.sha);
                return Ok(moved(&now));
            }
            405 => {
                return Ok(Applied::Refused(Refusal::Declined {
                    number,
                    reason: crate::forge::rest::fault::message(&answer),
                }));
            }
            _ => return Err(self.api.fault(&request, &answer)),
        }
        let merged: wire::Merged = self.api.success(&request, &answer)?;
        let after = self.read_pull(number)?;
        if let Some(after) = after {
            self.wrote_pull(&after);
        }
        let base = format!("refs/heads/{}", self.base);
        let before = self.commit(&merged.sha)?.parents.into_iter().next();
        let moved = (before.map(|parent| parent.sha), merged.sha.clone());
        self.own().refs.insert(base, moved);
        Ok(Applied::Done {
            number: Some(number),
            commit: Some(merged.sha),
        })
    }

    pub(super) fn put_dashboard(&self, body: &str) -> Result<Applied, ForgeError> {
        let text = fitting(&format!("{body}\n\n{DASHBOARD_MARKER}"));
        let done = Applied::Done {
            number: None,
            commit: None,
        };
        let number = match self.dashboard()? {
            Some((_, said)) if fitting(&format!("{said}\n\n{DASHBOARD_MARKER}")) == text => {
                return Ok(Applied::Unchanged);
            }
            Some((number, _)) => {
                let path = self.api.repo(&format!("issues/{number}"));
                let _: wire::Issue = self
                    .api
                    .put(Method::PATCH, &path, json!({"body": text}), Repeat::Safe)?;
                number
            }
            None => {
                let issue = json!({"title": DASHBOARD_TITLE, "body": text, "labels": [DASHBOARD_LABEL]});
                let made: wire::Issue = self
                    .api
                    .put(Method::POST, &self.api.repo("issues"), issue, Repeat::Once)?;
                made.number
            }
        };
        self.own().dashboard = Some((number, body.to_owned()));
        Ok(done)
    }
}

/// A text in the length GitHub takes; what is cut goes from before its last line, which is the hidden marker.
fn fitting(text: &str) -> String {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    let marker = text.trim_end().lines().next_back().unwrap_or_default();
    let room = TEXT_CHARS_MAX.saturating_sub(marker.chars().count() + CUT.chars().count() + 2);
    let kept: String = text.chars().take(room).collect();
    format!("{kept}{CUT}\n{marker}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_and_keeps_its_marker() {
        let text = format!("{}\n<!-- m -->\n", "ä".repeat(70_000));
        let cut = fitting(&text);
        assert!(cut.chars().count() <= TEXT_CHARS_MAX);
        assert!(cut.ends_with("\n<!-- m -->\n") && cut.contains("cut here"));
        assert_eq!(fitting(&cut), cut);
        assert_eq!(fitting("short"), "short");
    }
}
