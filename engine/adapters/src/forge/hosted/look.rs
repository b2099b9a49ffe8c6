//! Reading everything a decision may depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use patchwave_core::propose::{Approved, Comment, ForgeView, PullRequest, PullRequestState};

use super::roles::Roles;
use super::statuses::statuses;
use super::words::{DASHBOARD_LABEL, dashboard_in, plain};
use super::{Host, is_own, name_of, wire};
use crate::forge::ForgeError;
use crate::forge::branches::people_of;
use crate::forge::plumbing::{CommitInfo, LEDGER, MAIN, Plumbing, read_files};
use crate::forge::records::branch_ref;
use crate::forge::rest::kept::Trust;

/// So often is read again what does not yet show what this process wrote: replicas of the forge catch up within seconds, and
/// what a list does not show even then is read alone.
pub(super) const CATCH_UP_TRIES: u32 = 5;
/// So much of a commit's id is shown, as Git shortens them in large repositories.
const COMMIT_CHARS_SHOWN: usize = 12;
/// Between two of these tries.
pub(super) const CATCH_UP_WAIT: Duration = Duration::from_secs(1);

/// Everything a decision may depend on. `engine_refs` are the engine's branches and where they point.
pub(in crate::forge) fn look(
    host: &impl Host,
    git: &impl Plumbing,
    engine_refs: &BTreeMap<String, String>,
) -> Result<ForgeView, ForgeError> {
    let base_head = git.target(MAIN)?.ok_or_else(|| host.hub().no_base())?;
    let ledger_head = engine_refs.get(LEDGER).cloned();
    let ledger = read_files(git, ledger_head.as_deref(), "")?;
    let mut pull_requests = Vec::new();
    let pulls = engine_pulls(host)?;
    let ended = pulls.iter().filter(|pull| pull.state != "open");
    git.bring_pulls(&ended.map(|pull| pull.number).collect::<Vec<_>>())?;
    for pull in &pulls {
        pull_requests.push(pull_request(host, git, pull, engine_refs, &base_head)?);
    }
    let merged = pull_requests
        .iter()
        .zip(&pulls)
        .filter(|(pull, _)| pull.state == PullRequestState::Merged);
    let merged: Vec<(&str, &str)> = merged
        .map(|(pull, shown)| (pull.head.as_str(), shown.updated_at.as_str()))
        .collect();
    let statuses = statuses(host, &merged)?;
    pull_requests.sort_by_key(|pull| pull.number);
    let roles = read_roles(host)?;
    Ok(ForgeView {
        merged_files: rollouts_at(host, git, &base_head)?,
        base_head,
        pull_requests,
        ledger,
        ledger_head,
        dashboard: dashboard(host)?.map(|(_, body)| body),
        members: Some(roles.members()),
        unread_roles: roles.unread(),
        statuses,
    })
}

/// The files of the rollouts folder in a commit, relative to the project.
fn rollouts_at(host: &impl Host, git: &impl Plumbing, commit: &str) -> Result<BTreeMap<String, Vec<u8>>, ForgeError> {
    let layout = &host.hub().layout;
    let files = read_files(git, Some(commit), &layout.rollouts_path())?.into_iter();
    Ok(files
        .filter_map(|(path, bytes)| Some((path.strip_prefix(&layout.prefix)?.to_owned(), bytes)))
        .collect())
}

/// Every pull request the engine opened: its own, from its own branches of this repository, into the base branch.
fn engine_pulls(host: &impl Host) -> Result<Vec<wire::Pull>, ForgeError> {
    let hub = host.hub();
    let path = hub.api.repo(&format!("pulls?state=all&{}", host.pulls_in_order()));
    let mut found = BTreeMap::new();
    for tried in 0..=CATCH_UP_TRIES {
        let listed: Vec<wire::Pull> = hub.api.need_pages(&path, Trust::Asked)?;
        found = listed.into_iter().map(|pull| (pull.number, pull)).collect();
        if behind(host, &found).is_empty() || tried == CATCH_UP_TRIES {
            break;
        }
        (hub.patience.sleep)(CATCH_UP_WAIT);
    }
    for number in behind(host, &found) {
        let path = hub.api.repo(&format!("pulls/{number}"));
        found.insert(number, hub.api.need(&path, Trust::Asked)?);
    }
    let mut pulls = Vec::new();
    for pull in found.into_values() {
        if is_engines(host, &pull)? {
            pulls.push(pull);
        }
    }
    Ok(pulls)
}

/// The pull requests this process changed that a list does not show, or shows as they were before.
fn behind(host: &impl Host, listed: &BTreeMap<u64, wire::Pull>) -> BTreeSet<u64> {
    let own = host.hub().own();
    let late = own.pulls.iter().filter(|(number, changed)| {
        let listed = listed.get(number);
        listed.is_none_or(|pull| pull.is_behind(changed))
    });
    late.map(|(number, _)| *number).collect()
}

pub(super) fn is_engines(host: &impl Host, pull: &wire::Pull) -> Result<bool, ForgeError> {
    let hub = host.hub();
    let here = pull
        .head
        .repo
        .as_ref()
        .is_some_and(|repo| repo.full_name.eq_ignore_ascii_case(hub.api.repository()));
    let ours = pull.head.branch().starts_with("patchwave/") && pull.base.branch() == hub.base;
    Ok(here && ours && is_own(host, pull.user.as_ref())?)
}

fn pull_request(
    host: &impl Host,
    git: &impl Plumbing,
    pull: &wire::Pull,
    refs: &BTreeMap<String, String>,
    base_head: &str,
) -> Result<PullRequest, ForgeError> {
    let api = &host.hub().api;
    let number = pull.number;
    let stamp = Trust::Stamped(&pull.updated_at);
    let state = match (pull.merged_at, pull.state.as_str()) {
        (Some(_), _) => PullRequestState::Merged,
        (None, "open") => PullRequestState::Open,
        (None, _) => PullRequestState::Closed,
    };
    let open = state == PullRequestState::Open;
    let head = match refs.get(&branch_ref(pull.head.branch())).filter(|_| open) {
        Some(at) => at.clone(),
        None if open => pull.head.sha.clone(),
        None => host.ended_head(git, pull)?,
    };
    let (commits, all) = if open {
        (git.commits_between(base_head, &head)?, true)
    } else {
        let path = api.repo(&format!("pulls/{number}/commits?{}", api.page()));
        let listed: Vec<wire::ListedCommit> = api.need_pages(&path, stamp)?;
        let all = host.commits_listed_max().is_none_or(|max| listed.len() < max);
        (listed.into_iter().map(CommitInfo::from).collect(), all)
    };
    let ended_by = match state {
        PullRequestState::Open => None,
        PullRequestState::Merged => {
            let alone: wire::Pull = api.need(&api.repo(&format!("pulls/{number}")), stamp)?;
            Some(name_of(host, alone.merged_by.as_ref())?)
        }
        PullRequestState::Closed => Some(name_of(host, host.closed_by(number, stamp)?.as_ref())?),
    };
    let merged = state == PullRequestState::Merged;
    let mut labels: Vec<String> = pull.labels.iter().map(|label| label.name.clone()).collect();
    labels.sort();
    Ok(PullRequest {
        number,
        branch: pull.head.branch().to_owned(),
        title: pull.title.clone(),
        body: plain(pull.body.as_deref()),
        labels,
        reviewers: reviewers(pull).into_iter().collect(),
        author: name_of(host, pull.user.as_ref())?,
        state,
        committers: people_of(&commits),
        committers_unknown: committers_unknown(&commits, all),
        opened_at: pull.created_at,
        approvals: approvals(host, pull, &head)?,
        ended_at: pull.merged_at.or(pull.closed_at),
        ended_by,
        merge_commit: pull.merge_commit_sha.clone().filter(|_| merged),
        comments: comments(host, number, stamp)?,
        files: if merged {
            BTreeMap::new()
        } else {
            rollouts_at(host, git, &head)?
        },
        head,
    })
}

/// Why it is not known who made every one of these commits, which may not be `all` of a pull request; none if it is known.
fn committers_unknown(commits: &[CommitInfo], all: bool) -> Option<String> {
    if !all {
        let count = commits.len();
        return Some(format!(
            "the forge lists no more than {count} commits of a pull request, and this one has as many"
        ));
    }
    let commit = commits.iter().find(|commit| commit.unattributed)?;
    let short: String = commit.id.chars().take(COMMIT_CHARS_SHOWN).collect();
    Some(format!(
        "who made commit {short} is not known to the forge: no account has the address it is signed with"
    ))
}

/// People and teams that are asked to review.
pub(super) fn reviewers(pull: &wire::Pull) -> BTreeSet<String> {
    let people = pull.requested_reviewers.iter().map(|user| user.login.clone());
    let teams = pull.requested_teams.iter().chain(&pull.requested_reviewers_teams);
    people.chain(teams.map(|team| team.called().to_owned())).collect()
}

pub(super) fn reviews(host: &impl Host, number: u64, trust: Trust<'_>) -> Result<Vec<wire::Review>, ForgeError> {
    let api = &host.hub().api;
    let path = api.repo(&format!("pulls/{number}/reviews?{}", api.page()));
    api.need_pages(&path, trust)
}

/// The approvals that stand: a dismissed one and one of somebody whose review the repository does not count are none, and
/// one whose giver asked for changes later is withdrawn, for good: it does not come back when that later review is dismissed,
/// and GitHub no longer says what a dismissed review was. A later comment withdraws nothing. One that the forge calls
/// stale stands for the head it was given for, and never for the head there is.
fn approvals(host: &impl Host, pull: &wire::Pull, head_now: &str) -> Result<Vec<Approved>, ForgeError> {
    let mut given: Vec<(String, Approved)> = Vec::new();
    for review in reviews(host, pull.number, host.trust_of_reviews(pull))? {
        let by = name_of(host, review.user.as_ref())?;
        let counts = !review.dismissed && review.official != Some(false);
        match (review.state.as_str(), review.commit_id, review.submitted_at) {
            ("APPROVED", Some(head), Some(at)) if counts && !(review.stale && head == head_now) => {
                given.push((by.clone(), Approved { by, at, head }));
            }
            ("CHANGES_REQUESTED" | "REQUEST_CHANGES" | "DISMISSED", ..) => given.retain(|(who, _)| *who != by),
            ("APPROVED", ..) if review.dismissed => given.retain(|(who, _)| *who != by),
            _ => {}
        }
    }
    Ok(given.into_iter().map(|(_, approved)| approved).collect())
}

pub(super) fn listed_comments(
    host: &impl Host,
    number: u64,
    trust: Trust<'_>,
) -> Result<Option<Vec<wire::Comment>>, ForgeError> {
    let api = &host.hub().api;
    api.pages(&api.repo(&format!("issues/{number}/comments?{}", api.page())), trust)
}

fn comments(host: &impl Host, number: u64, trust: Trust<'_>) -> Result<Vec<Comment>, ForgeError> {
    let listed = listed_comments(host, number, trust)?.unwrap_or_default();
    listed
        .into_iter()
        .map(|comment| {
            Ok(Comment {
                by: name_of(host, comment.user.as_ref())?,
                at: comment.created_at,
                body: plain(comment.body.as_deref()),
            })
        })
        .collect()
}

/// The dashboard issue and its text without the marker. A closed one counts: people who close it want it out of sight,
/// not another one.
pub(super) fn dashboard(host: &impl Host) -> Result<Option<(u64, String)>, ForgeError> {
    let hub = host.hub();
    if let Some(own) = hub.own().dashboard.clone() {
        return Ok(Some(own));
    }
    let query = format!("issues?labels={DASHBOARD_LABEL}&state=all&{}", hub.api.page());
    let listed: Vec<wire::Issue> = hub.api.pages(&hub.api.repo(&query), Trust::Asked)?.unwrap_or_default();
    let mut found = None;
    for issue in listed.into_iter().filter(|issue| issue.pull_request.is_none()) {
        if let Some(body) = dashboard_in(&plain(issue.body.as_deref()))
            && is_own(host, issue.user.as_ref())?
            && found.as_ref().is_none_or(|(number, _)| issue.number > *number)
        {
            found = Some((issue.number, body));
        }
    }
    Ok(found)
}

/// Whom the names in `roles` stand for.
pub(super) fn read_roles(host: &impl Host) -> Result<Roles, ForgeError> {
    let hub = host.hub();
    Roles::read(&hub.roles, &hub.owner, |role| host.stands_for(role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::plumbing::Author;

    #[test]
    fn commits_that_are_not_all_listed_are_of_nobody_knows_whom() {
        let engines = CommitInfo {
            id: "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678".to_owned(),
            parents: Vec::new(),
            author: Author::engine(),
            committer: Author::engine(),
            at: jiff::Timestamp::UNIX_EPOCH,
            unattributed: false,
            message: String::new(),
        };
        let one = [engines];
        assert_eq!(committers_unknown(&one, true), None);
        assert!(committers_unknown(&one, false).is_some_and(|why| why.contains("no more than 1 commits")));
        let [engines] = one;
        let strangers = [CommitInfo {
            unattributed: true,
            ..engines
        }];
        assert!(
            committers_unknown(&strangers, true).is_some_and(|why| why.contains("commit 1a2b3c4d5e6f is not known"))
        );
    }
}
