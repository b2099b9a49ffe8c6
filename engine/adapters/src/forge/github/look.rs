//! Reading everything a decision may depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use patchwave_core::propose::{Approved, Comment, ForgeView, PullRequest, PullRequestState};

use super::{GithubForge, git, wire};
use crate::forge::ForgeError;
use crate::forge::branches::people_of;
use crate::forge::plumbing::{LEDGER, MAIN, Plumbing, read_files};
use crate::forge::records::branch_ref;
use crate::forge::rest::api::Trust;
use crate::forge::rest::roles::{RoleName, Roles, Stands};
use crate::forge::rest::words::{DASHBOARD_LABEL, dashboard_in, plain};

/// So often a list is read again that does not yet show what this process wrote, a second apart: replicas of the forge
/// catch up within seconds, and what is missing even then is read alone.
const CATCH_UP_TRIES: u32 = 5;

impl GithubForge {
    pub(super) fn look(&self) -> Result<ForgeView, ForgeError> {
        let base_head = self
            .target(MAIN)?
            .ok_or_else(|| ForgeError::terminal("the base branch vanished", "run the command again"))?;
        let refs = self.engine_refs()?;
        let ledger_head = refs.get(LEDGER).cloned();
        let ledger = read_files(self, ledger_head.as_deref(), "")?;
        let mut pull_requests = Vec::new();
        let pulls = self.engine_pulls()?;
        for pull in &pulls {
            pull_requests.push(self.pull_request(pull, &refs, &base_head)?);
        }
        pull_requests.sort_by_key(|pull| pull.number);
        let roles = self.roles()?;
        Ok(ForgeView {
            merged_files: self.rollouts_at(&base_head)?,
            base_head,
            pull_requests,
            ledger,
            ledger_head,
            dashboard: self.dashboard()?.map(|(_, body)| body),
            members: Some(roles.members()),
            unread_roles: roles.unread(),
            statuses: self.statuses(&pulls)?,
        })
    }

    /// The files of the rollouts folder in a commit, relative to the project.
    fn rollouts_at(&self, commit: &str) -> Result<BTreeMap<String, Vec<u8>>, ForgeError> {
        let files = read_files(self, Some(commit), &self.layout.rollouts_path())?.into_iter();
        Ok(files
            .filter_map(|(path, bytes)| Some((path.strip_prefix(&self.layout.prefix)?.to_owned(), bytes)))
            .collect())
    }

    /// Every pull request the engine opened: its own, from its own branches of this repository, into the base branch.
    fn engine_pulls(&self) -> Result<Vec<wire::Pull>, ForgeError> {
        let path = self.api.repo("pulls?state=all&sort=created&direction=asc&per_page=100");
        let mut found = BTreeMap::new();
        for tried in 0..=CATCH_UP_TRIES {
            let listed: Vec<wire::Pull> = self.api.pages(&path, Trust::Asked)?.unwrap_or_default();
            found = listed.into_iter().map(|pull| (pull.number, pull)).collect();
            if self.behind(&found).is_empty() || tried == CATCH_UP_TRIES {
                break;
            }
            (self.patience.sleep)(Duration::from_secs(1));
        }
        for number in self.behind(&found) {
            let path = self.api.repo(&format!("pulls/{number}"));
            found.insert(number, self.api.need(&path, Trust::Asked)?);
        }
        let mut pulls = Vec::new();
        for pull in found.into_values() {
            if self.is_engines(&pull)? {
                pulls.push(pull);
            }
        }
        Ok(pulls)
    }

    /// The pull requests this process changed that a list does not show, or shows as they were before.
    fn behind(&self, listed: &BTreeMap<u64, wire::Pull>) -> BTreeSet<u64> {
        let own = self.own();
        let late = own.pulls.iter().filter(|(number, changed)| {
            // RFC 3339 in UTC with whole seconds, so the order of the texts is the order of the instants.
            listed.get(number).is_none_or(|pull| pull.updated_at < **changed)
        });
        late.map(|(number, _)| *number).collect()
    }

    pub(super) fn is_engines(&self, pull: &wire::Pull) -> Result<bool, ForgeError> {
        let here = pull
            .head
            .repo
            .as_ref()
            .is_some_and(|repo| repo.full_name.eq_ignore_ascii_case(self.api.repository()));
        let ours = pull.head.branch.starts_with("patchwave/") && pull.base.branch == self.base;
        Ok(here && ours && self.is_own(pull.user.as_ref())?)
    }

    fn pull_request(
        &self,
        pull: &wire::Pull,
        refs: &BTreeMap<String, String>,
        base_head: &str,
    ) -> Result<PullRequest, ForgeError> {
        let number = pull.number;
        let stamp = Trust::Stamped(&pull.updated_at);
        let state = match (pull.merged_at, pull.state.as_str()) {
            (Some(_), _) => PullRequestState::Merged,
            (None, "open") => PullRequestState::Open,
            (None, _) => PullRequestState::Closed,
        };
        let mut head = pull.head.sha.clone();
        if state == PullRequestState::Open
            && let Some(at) = refs.get(&branch_ref(&pull.head.branch))
        {
            head.clone_from(at);
        }
        let commits = if state == PullRequestState::Open {
            self.commits_between(base_head, &head)?
        } else {
            let path = self.api.repo(&format!("pulls/{number}/commits?per_page=100"));
            let listed: Vec<wire::ListedCommit> = self.api.pages(&path, stamp)?.unwrap_or_default();
            listed.into_iter().map(git::listed).collect()
        };
        let ended_by = match state {
            PullRequestState::Open => None,
            PullRequestState::Merged => {
                let alone: wire::Pull = self.api.need(&self.api.repo(&format!("pulls/{number}")), stamp)?;
                Some(self.name_of(alone.merged_by.as_ref())?)
            }
            PullRequestState::Closed => {
                let alone: wire::Issue = self.api.need(&self.api.repo(&format!("issues/{number}")), stamp)?;
                Some(self.name_of(alone.closed_by.as_ref())?)
            }
        };
        let merged = state == PullRequestState::Merged;
        let mut labels: Vec<String> = pull.labels.iter().map(|label| label.name.clone()).collect();
        labels.sort();
        Ok(PullRequest {
            number,
            branch: pull.head.branch.clone(),
            title: pull.title.clone(),
            body: plain(pull.body.as_deref()),
            labels,
            reviewers: self.reviewers(pull).into_iter().collect(),
            author: self.name_of(pull.user.as_ref())?,
            state,
            committers: people_of(&commits),
            opened_at: pull.created_at,
            approvals: self.approvals(number, stamp)?,
            ended_at: pull.merged_at.or(pull.closed_at),
            ended_by,
            merge_commit: pull.merge_commit_sha.clone().filter(|_| merged),
            comments: self.comments(number, stamp)?,
            files: if merged {
                BTreeMap::new()
            } else {
                self.rollouts_at(&head)?
            },
            head,
        })
    }

    /// People and teams that are asked to review.
    pub(super) fn reviewers(&self, pull: &wire::Pull) -> BTreeSet<String> {
        let people = pull.requested_reviewers.iter().map(|user| user.login.clone());
        let teams = pull.requested_teams.iter().map(|team| team.slug.clone());
        people.chain(teams).collect()
    }

    pub(super) fn reviews(&self, number: u64, trust: Trust<'_>) -> Result<Vec<wire::Review>, ForgeError> {
        let path = self.api.repo(&format!("pulls/{number}/reviews?per_page=100"));
        Ok(self.api.pages(&path, trust)?.unwrap_or_default())
    }

    /// The approvals that stand: a dismissed one has another state, and one whose giver asked for changes later is
    /// withdrawn. A later comment withdraws nothing.
    fn approvals(&self, number: u64, trust: Trust<'_>) -> Result<Vec<Approved>, ForgeError> {
        let mut given: Vec<(String, Approved)> = Vec::new();
        for review in self.reviews(number, trust)? {
            let by = self.name_of(review.user.as_ref())?;
            match (review.state.as_str(), review.commit_id, review.submitted_at) {
                ("APPROVED", Some(head), Some(at)) => given.push((by.clone(), Approved { by, at, head })),
                ("CHANGES_REQUESTED", ..) => given.retain(|(who, _)| *who != by),
                _ => {}
            }
        }
        Ok(given.into_iter().map(|(_, approved)| approved).collect())
    }

    pub(super) fn listed_comments(
        &self,
        number: u64,
        trust: Trust<'_>,
    ) -> Result<Option<Vec<wire::Comment>>, ForgeError> {
        let path = self.api.repo(&format!("issues/{number}/comments?per_page=100"));
        self.api.pages(&path, trust)
    }

    fn comments(&self, number: u64, trust: Trust<'_>) -> Result<Vec<Comment>, ForgeError> {
        let listed = self.listed_comments(number, trust)?.unwrap_or_default();
        listed
            .into_iter()
            .map(|comment| {
                Ok(Comment {
                    by: self.name_of(comment.user.as_ref())?,
                    at: comment.created_at,
                    body: plain(comment.body.as_deref()),
                })
            })
            .collect()
    }

    /// The dashboard issue and its text without the marker. A closed one counts: people who close it want it out of sight,
    /// not another one.
    pub(super) fn dashboard(&self) -> Result<Option<(u64, String)>, ForgeError> {
        if let Some(own) = self.own().dashboard.clone() {
            return Ok(Some(own));
        }
        let path = self
            .api
            .repo(&format!("issues?labels={DASHBOARD_LABEL}&state=all&per_page=100"));
        let listed: Vec<wire::Issue> = self.api.pages(&path, Trust::Asked)?.unwrap_or_default();
        let mut found = None;
        for issue in listed.into_iter().filter(|issue| issue.pull_request.is_none()) {
            if let Some(body) = dashboard_in(&plain(issue.body.as_deref()))
                && self.is_own(issue.user.as_ref())?
                && found.as_ref().is_none_or(|(number, _)| issue.number > *number)
            {
                found = Some((issue.number, body));
            }
        }
        Ok(found)
    }

    /// Whom the names in `roles` stand for.
    pub(super) fn roles(&self) -> Result<Roles, ForgeError> {
        Roles::read(&self.roles, &self.owner, |role| self.stands_for(role))
    }

    /// 404 is no answer: GitHub says it of what a token may not see, too. That a bare name is a person's is clear only when
    /// the organisation's teams can be listed without it, or the owner is no organisation and so has no teams.
    fn stands_for(&self, role: RoleName<'_>) -> Result<Stands, ForgeError> {
        let RoleName {
            organisation,
            name,
            bare,
        } = role;
        let teams = format!("orgs/{organisation}/teams");
        let path = self.api.top(&format!("{teams}/{name}/members?per_page=100"));
        match self.api.pages::<wire::User>(&path, Trust::Asked) {
            Ok(Some(members)) => {
                return Ok(Stands::Team(members.into_iter().map(|user| user.login).collect()));
            }
            Ok(None) if bare => {}
            Ok(None) => return Ok(Stands::Unknown(self.no_team(&path, organisation, name))),
            Err(why) => return Stands::unknown(why),
        }
        let owner = self.account(organisation)?;
        if owner.is_none_or(|owner| owner.kind != "User") {
            let listed = match self
                .api
                .pages::<wire::Team>(&self.api.top(&format!("{teams}?per_page=100")), Trust::Asked)
            {
                Ok(listed) => listed,
                Err(why) => return Stands::unknown(why),
            };
            if listed.is_none_or(|teams| teams.iter().any(|team| team.slug.eq_ignore_ascii_case(name))) {
                return Ok(Stands::Unknown(self.no_team(&path, organisation, name)));
            }
        }
        Ok(match self.account(name)? {
            Some(account) => Stands::Person(account.login),
            None => Stands::Unknown(format!(
                "{organisation} has no team {name} that the token may see, and GitHub has no account of that name; correct the \
                 name, or write the team of another organisation as organisation/team"
            )),
        })
    }

    fn account(&self, login: &str) -> Result<Option<wire::Account>, ForgeError> {
        self.api.get(&self.api.top(&format!("users/{login}")), Trust::Asked)
    }

    fn no_team(&self, path: &str, organisation: &str, name: &str) -> String {
        format!(
            "GET {path} was answered 404: there is no team {organisation}/{name}, or the token may not see it; correct the \
             name, or give the token the permission Members: read of the organisation (a classic token: the scope read:org)"
        )
    }
}
