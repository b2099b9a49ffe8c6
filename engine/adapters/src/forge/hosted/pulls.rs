//! Pull requests, comments and the dashboard: brought in line, each write only where something differs.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;

use super::look::{
    CATCH_UP_TRIES, CATCH_UP_WAIT, dashboard, is_engines, listed_comments, read_roles, reviewers, reviews,
};
use super::words::{
    CLOSED_MARKER, DASHBOARD_LABEL, DASHBOARD_MARKER, DASHBOARD_TITLE, is_own_label, plain, slug, without_marker,
};
use super::{Host, is_own, name_of, wire};
use crate::forge::branches::trailers_of;
use crate::forge::plumbing::Plumbing;
use crate::forge::rest::api::Repeat;
use crate::forge::rest::fault;
use crate::forge::rest::kept::Trust;
use crate::forge::{Applied, ForgeError, Refusal};

/// Longest text of a pull request, an issue or a comment that GitHub takes, in characters; Gitea takes more.
const TEXT_CHARS_MAX: usize = 65_536;
/// Longest title that both take: GitHub 256 characters, Gitea one fewer.
const TITLE_CHARS_MAX: usize = 255;
/// Longest name of a label that both take: GitHub refuses a longer one, Gitea's own pages do.
const LABEL_CHARS_MAX: usize = 50;
/// So much of a digest ends a label that was cut, so that two long names stay two.
const LABEL_DIGEST_CHARS: usize = 8;
/// Ends a text that was cut.
const CUT: &str = "\n\n… (cut here: the forge takes no longer text; the files of this branch hold all of it)\n";

/// What is wanted of a pull request, in the lengths forges take.
pub(super) struct Wanted<'a> {
    branch: &'a str,
    title: String,
    body: String,
    labels: BTreeSet<String>,
    reviewers: BTreeSet<&'a str>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(branch: &'a str, title: &str, body: &str, labels: &'a [String], reviewers: &'a [String]) -> Self {
        Self {
            branch,
            title: title.chars().take(TITLE_CHARS_MAX).collect(),
            body: fitting(body),
            labels: labels.iter().map(|label| fitting_label(label)).collect(),
            reviewers: reviewers.iter().map(String::as_str).collect(),
        }
    }
}

const fn done(number: Option<u64>) -> Applied {
    Applied::Done { number, commit: None }
}

fn read_pull(host: &impl Host, number: u64) -> Result<Option<wire::Pull>, ForgeError> {
    let api = &host.hub().api;
    api.get(&api.repo(&format!("pulls/{number}")), Trust::Asked)
}

/// A pull request that was merged, once a replica shows it as that; none = none does within the tries.
fn read_merged(host: &impl Host, number: u64) -> Result<Option<wire::Pull>, ForgeError> {
    for tried in 0..=CATCH_UP_TRIES {
        let merged = read_pull(host, number)?.filter(|pull| pull.merged_at.is_some());
        if merged.is_some() || tried == CATCH_UP_TRIES {
            return Ok(merged);
        }
        (host.hub().patience.sleep)(CATCH_UP_WAIT);
    }
    Ok(None)
}

fn wrote_pull(host: &impl Host, pull: &wire::Pull) {
    host.hub().own().pulls.insert(pull.number, pull.clone());
}

/// The open pull request of a branch, whoever opened it.
fn open_pull(host: &impl Host, branch: &str) -> Result<Option<wire::Pull>, ForgeError> {
    let api = &host.hub().api;
    let path = api.repo(&format!("pulls?state=open&{}", host.open_pulls_of(branch)));
    let listed: Vec<wire::Pull> = api.need_pages(&path, Trust::Asked)?;
    let here = |pull: &wire::Pull| {
        let repo = pull.head.repo.as_ref();
        pull.head.branch() == branch
            && pull.base.branch() == host.hub().base
            && repo.is_some_and(|r| r.full_name.eq_ignore_ascii_case(api.repository()))
    };
    if let Some(found) = listed.into_iter().find(here) {
        return Ok(Some(found));
    }
    // One this process has just opened may not be in the list yet.
    let own: Vec<u64> = host.hub().own().pulls.keys().copied().collect();
    for number in own.into_iter().rev() {
        if let Some(pull) = read_pull(host, number)?
            && pull.head.branch() == branch
            && pull.state == "open"
        {
            return Ok(Some(pull));
        }
    }
    Ok(None)
}

pub(super) fn put_pull(host: &impl Host, wanted: &Wanted<'_>) -> Result<Applied, ForgeError> {
    let api = &host.hub().api;
    let (pull, opened) = match open_pull(host, wanted.branch)? {
        Some(pull) => (pull, false),
        None => match create_pull(host, wanted)? {
            Some(pull) => (pull, true),
            // Somebody else opened it since, or the list was late.
            None => match open_pull(host, wanted.branch)? {
                Some(pull) => (pull, false),
                None => {
                    return Err(ForgeError::retryable(
                        format!(
                            "{} says {} has a pull request already, and shows none",
                            api.style().name,
                            wanted.branch
                        ),
                        "run the command again in a minute",
                    ));
                }
            },
        },
    };
    if !is_engines(host, &pull)? {
        return Ok(Applied::Refused(Refusal::Declined {
            number: pull.number,
            reason: format!(
                "{} opened it for the engine's branch; close it, and the engine opens its own",
                name_of(host, pull.user.as_ref())?
            ),
        }));
    }
    let mut changed = opened;
    changed |= put_labels(host, &pull, &wanted.labels)?;
    changed |= put_reviewers(host, &pull, &wanted.reviewers)?;
    // Last, because the marker in the text says that all of it is done.
    if pull.title != wanted.title || plain(pull.body.as_deref()).trim_end() != wanted.body.trim_end() {
        let body = json!({"title": wanted.title, "body": wanted.body});
        let path = api.repo(&format!("pulls/{}", pull.number));
        let pull: wire::Pull = api.put(Method::PATCH, &path, body, Repeat::Safe)?;
        wrote_pull(host, &pull);
        changed = true;
    }
    Ok(if changed {
        done(Some(pull.number))
    } else {
        Applied::Unchanged
    })
}

/// Opens a pull request without the marker; none = there is one already.
fn create_pull(host: &impl Host, wanted: &Wanted<'_>) -> Result<Option<wire::Pull>, ForgeError> {
    let hub = host.hub();
    let body = json!({
        "title": wanted.title,
        "body": without_marker(&wanted.body),
        "head": wanted.branch,
        "base": hub.base,
    });
    let (request, answer) = hub
        .api
        .write(Method::POST, &hub.api.repo("pulls"), body, Repeat::Safe)?;
    if host.has_pull_already(&answer) {
        return Ok(None);
    }
    let pull: wire::Pull = hub.api.success(&request, &answer)?;
    wrote_pull(host, &pull);
    Ok(Some(pull))
}

/// Brings the engine's labels in line. Those the forge does not take do not stop the rest.
fn put_labels(host: &impl Host, pull: &wire::Pull, wanted: &BTreeSet<String>) -> Result<bool, ForgeError> {
    let api = &host.hub().api;
    let there = |name: &String| pull.labels.iter().any(|label| label.name == *name);
    let missing: Vec<&str> = wanted.iter().filter(|name| !there(name)).map(String::as_str).collect();
    let path = api.repo(&format!("issues/{}/labels", pull.number));
    let mut changed = false;
    if !missing.is_empty() {
        let named = host.labels_named(&missing)?;
        let (request, answer) = api.write(Method::POST, &path, json!({"labels": named}), Repeat::Safe)?;
        if answer.status == 422 {
            tracing::warn!(
                "pull request {} does not get the labels {}: {}",
                pull.number,
                missing.join(", "),
                fault::message(&answer)
            );
        } else {
            let _: Vec<wire::Label> = api.success(&request, &answer)?;
            changed = true;
        }
    }
    let ours = |label: &&wire::Label| is_own_label(&label.name) && !wanted.contains(label.name.as_str());
    let gone: Vec<&wire::Label> = pull.labels.iter().filter(ours).collect();
    for label in &gone {
        let one = format!("{path}/{}", host.label_in_path(label));
        let (request, answer) = api.write(Method::DELETE, &one, serde_json::Value::Null, Repeat::Safe)?;
        if answer.status != 404 && !answer.is_success() {
            return Err(api.fault(&request, &answer));
        }
    }
    Ok(changed || !gone.is_empty())
}

/// Asks those to review who were not asked and have not answered. One who cannot be asked does not stop the rest.
fn put_reviewers(host: &impl Host, pull: &wire::Pull, wanted: &BTreeSet<&str>) -> Result<bool, ForgeError> {
    let api = &host.hub().api;
    // As everywhere, names of accounts and teams do not differ by case alone.
    let mut known: BTreeSet<String> = reviewers(pull).iter().map(|name| name.to_ascii_lowercase()).collect();
    let is_in = |names: &BTreeSet<String>, name: &str| names.contains(&name.to_ascii_lowercase());
    if wanted.iter().all(|name| is_in(&known, slug(name))) {
        return Ok(false);
    }
    let mut given = BTreeSet::new();
    for review in reviews(host, pull.number, Trust::Asked)? {
        given.extend(review.user.map(|user| user.login.to_ascii_lowercase()));
        given.extend(review.team.map(|team| team.called().to_ascii_lowercase()));
    }
    known.extend(given.iter().cloned());
    let author = pull.user.as_ref().map(|user| user.login.as_str());
    let roles = read_roles(host)?;
    let path = api.repo(&format!("pulls/{}/requested_reviewers", pull.number));
    let mut changed = false;
    for name in wanted {
        let name_slug = slug(name);
        let team = roles.team(name);
        // A team whose member has answered is not asked again.
        let answered = team.is_some_and(|team| team.iter().any(|who| is_in(&given, who)));
        let is_author = author.is_some_and(|author| author.eq_ignore_ascii_case(name_slug));
        if is_in(&known, name_slug) || is_author || answered {
            continue;
        }
        let kind = if team.is_some() || name.contains('/') {
            "team_reviewers"
        } else {
            "reviewers"
        };
        let (request, answer) = api.write(Method::POST, &path, json!({kind: [name_slug]}), Repeat::Safe)?;
        // Gitea says 404 of somebody it does not know.
        if matches!(answer.status, 404 | 422) {
            tracing::warn!(
                "{name} cannot be asked to review pull request {}: {}",
                pull.number,
                fault::message(&answer)
            );
            continue;
        }
        if !answer.is_success() {
            return Err(api.fault(&request, &answer));
        }
        // GitHub answers with the pull request, Gitea with the reviews it asks for.
        if let Ok(pull) = api.success::<wire::Pull>(&request, &answer) {
            wrote_pull(host, &pull);
        }
        changed = true;
    }
    Ok(changed)
}

pub(super) fn put_comment(host: &impl Host, number: u64, marker: &str, body: &str) -> Result<Applied, ForgeError> {
    let hub = host.hub();
    let text = fitting(&format!("{}\n\n{marker}", body.trim_end()));
    let Some(listed) = listed_comments(host, number, Trust::Asked)? else {
        return Ok(Applied::Refused(Refusal::NoSuchPullRequest { number }));
    };
    let own = hub.own().comments.get(&(number, marker.to_owned())).cloned();
    let mut found = None;
    for comment in listed {
        let said = plain(comment.body.as_deref());
        if said.lines().any(|line| line == marker) && is_own(host, comment.user.as_ref())? {
            found = Some((comment.id, said));
            break;
        }
    }
    let id = match own.or(found) {
        Some((_, said)) if said.trim_end() == text.trim_end() => return Ok(Applied::Unchanged),
        Some((id, _)) => {
            let path = hub.api.repo(&format!("issues/comments/{id}"));
            let edited: wire::Comment = hub.api.put(Method::PATCH, &path, json!({"body": text}), Repeat::Safe)?;
            edited.id
        }
        None => {
            let path = hub.api.repo(&format!("issues/{number}/comments"));
            let made: wire::Comment = hub.api.put(Method::POST, &path, json!({"body": text}), Repeat::Once)?;
            made.id
        }
    };
    hub.own().comments.insert((number, marker.to_owned()), (id, text));
    Ok(done(Some(number)))
}

pub(super) fn close_pull(host: &impl Host, number: u64, reason: &str) -> Result<Applied, ForgeError> {
    let api = &host.hub().api;
    let Some(pull) = read_pull(host, number)? else {
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
    put_comment(host, number, CLOSED_MARKER, reason)?;
    let path = api.repo(&format!("pulls/{number}"));
    let closed: wire::Pull = api.put(Method::PATCH, &path, json!({"state": "closed"}), Repeat::Safe)?;
    wrote_pull(host, &closed);
    Ok(done(Some(number)))
}

pub(super) fn merge_pull(
    host: &impl Host,
    git: &impl Plumbing,
    number: u64,
    head: &str,
) -> Result<Applied, ForgeError> {
    let api = &host.hub().api;
    let Some(pull) = read_pull(host, number)? else {
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
    if let Some(reason) = host.unmet(&pull) {
        let reason = reason.to_owned();
        return Ok(Applied::Refused(Refusal::Declined { number, reason }));
    }
    let title = format!("Merge pull request #{number} from {}", pull.head.branch());
    let message = format!("{}\n{}", pull.title, trailers_of(&git.commit_info(head)?));
    let (method, path, body) = host.merge_request(number, head, &title, &message);
    let (request, answer) = api.write(method, &path, body, Repeat::Once)?;
    match answer.status {
        200 => {}
        405 | 409 => {
            let found = read_pull(host, number)?.map_or_else(String::new, |pull| pull.head.sha);
            if found != head {
                return Ok(moved(&found));
            }
            let reason = fault::message(&answer);
            return Ok(Applied::Refused(Refusal::Declined { number, reason }));
        }
        _ => return Err(api.fault(&request, &answer)),
    }
    // GitHub names the commit in its answer, Gitea only in the pull request.
    let named: Option<wire::Merged> = serde_json::from_slice(&answer.body).ok();
    let after = read_merged(host, number)?;
    let commit = named
        .map(|merged| merged.sha)
        .or_else(|| after.as_ref().and_then(|after| after.merge_commit_sha.clone()));
    // One that no replica shows as merged yet is open in none: whoever shows it so is behind.
    let ended = after.unwrap_or_else(|| wire::Pull {
        state: "closed".to_owned(),
        ..pull
    });
    wrote_pull(host, &ended);
    if let Some(commit) = &commit {
        host.merged_as(commit)?;
    }
    Ok(Applied::Done {
        number: Some(number),
        commit,
    })
}

pub(super) fn put_dashboard(host: &impl Host, body: &str) -> Result<Applied, ForgeError> {
    let hub = host.hub();
    let text = fitting(&format!("{body}\n\n{DASHBOARD_MARKER}"));
    let number = match dashboard(host)? {
        Some((_, said)) if fitting(&format!("{said}\n\n{DASHBOARD_MARKER}")) == text => {
            return Ok(Applied::Unchanged);
        }
        Some((number, _)) => {
            let path = hub.api.repo(&format!("issues/{number}"));
            let _: wire::Issue = hub.api.put(Method::PATCH, &path, json!({"body": text}), Repeat::Safe)?;
            number
        }
        None => {
            let labels = host.labels_named(&[DASHBOARD_LABEL])?;
            let issue = json!({"title": DASHBOARD_TITLE, "body": text, "labels": labels});
            let made: wire::Issue = hub
                .api
                .put(Method::POST, &hub.api.repo("issues"), issue, Repeat::Once)?;
            made.number
        }
    };
    hub.own().dashboard = Some((number, body.to_owned()));
    Ok(done(None))
}

/// A label in the length forges take: a longer one keeps its beginning, which says whose it is, and ends in a digest of all of it.
fn fitting_label(label: &str) -> String {
    if label.chars().count() <= LABEL_CHARS_MAX {
        return label.to_owned();
    }
    let digest = patchwave_core::canonical::sha256_hex(label.as_bytes());
    let room = LABEL_CHARS_MAX - LABEL_DIGEST_CHARS - 1;
    let kept: String = label.chars().take(room).collect();
    let end: String = digest.chars().take(LABEL_DIGEST_CHARS).collect();
    format!("{kept}-{end}")
}

/// A text in the length forges take; what is cut goes from before its last line, which is the hidden marker.
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
    fn a_long_label_is_cut_and_stays_one_of_its_own() {
        let label = format!("policy/{}", "x".repeat(63));
        let cut = fitting_label(&label);
        assert_eq!(cut.chars().count(), LABEL_CHARS_MAX);
        assert!(is_own_label(&cut) && cut == fitting_label(&label) && cut == fitting_label(&cut));
        assert_ne!(cut, fitting_label(&format!("{label}y")));
        assert_eq!(
            fitting_label(&format!("policy/{}", "x".repeat(43))),
            format!("policy/{}", "x".repeat(43))
        );
    }

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
