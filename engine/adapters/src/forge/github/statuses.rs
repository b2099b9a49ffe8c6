//! The engine's status on merged heads: how far the wave has come, beside the checks of others.
//!
//! A token without the permission for it costs the statuses, never the run.

use std::collections::BTreeMap;

use http::Method;
use patchwave_core::propose::{CommitStatus, StatusState};
use serde_json::json;

use super::{GithubForge, wire};
use crate::forge::rest::api::{Repeat, Trust};
use crate::forge::rest::words::STATUS_CONTEXT;
use crate::forge::{Applied, ForgeError, Refusal};

impl GithubForge {
    fn statuses_path(&self, commit: &str) -> String {
        self.api.repo(&format!("commits/{commit}/statuses?per_page=100"))
    }

    /// The engine's status on the heads of merged pull requests; none if the token may not see statuses.
    pub(super) fn statuses(&self, pulls: &[wire::Pull]) -> Result<Option<BTreeMap<String, CommitStatus>>, ForgeError> {
        let mut found = BTreeMap::new();
        for pull in pulls.iter().filter(|pull| pull.merged_at.is_some()) {
            let commit = &pull.head.sha;
            let own = self.own().statuses.get(commit).cloned();
            let status = match own {
                Some(status) => Some(status),
                None => match self.status_of(commit, Trust::Stamped(&pull.updated_at)) {
                    Ok(status) => status,
                    Err(why) if why.retryable => return Err(why),
                    Err(why) => {
                        tracing::warn!("statuses are left out: {why} ({})", why.help);
                        return Ok(None);
                    }
                },
            };
            found.extend(status.map(|status| (commit.clone(), status)));
        }
        Ok(Some(found))
    }

    fn status_of(&self, commit: &str, trust: Trust<'_>) -> Result<Option<CommitStatus>, ForgeError> {
        let path = self.statuses_path(commit);
        // The newest comes first.
        let listed: Vec<wire::Status> = self.api.pages(&path, trust)?.unwrap_or_default();
        for status in listed {
            if status.context == STATUS_CONTEXT && self.is_own(status.creator.as_ref())? {
                let state = match status.state.as_str() {
                    "success" => StatusState::Success,
                    "pending" => StatusState::Pending,
                    _ => StatusState::Failure,
                };
                let description = status.description.unwrap_or_default();
                return Ok(Some(CommitStatus { state, description }));
            }
        }
        Ok(None)
    }

    pub(super) fn put_status(&self, commit: &str, status: &CommitStatus) -> Result<Applied, ForgeError> {
        let own = self.own().statuses.get(commit).cloned();
        let there = match own {
            Some(status) => Some(status),
            None => self.status_of(commit, Trust::Asked)?,
        };
        if there.as_ref() == Some(status) {
            return Ok(Applied::Unchanged);
        }
        let state = match status.state {
            StatusState::Pending => "pending",
            StatusState::Success => "success",
            StatusState::Failure => "failure",
        };
        let body = json!({"state": state, "context": STATUS_CONTEXT, "description": status.description});
        let path = self.api.repo(&format!("statuses/{commit}"));
        let (request, answer) = self.api.write(Method::POST, &path, body, Repeat::Safe)?;
        if answer.status == 403 {
            let fault = self.api.fault(&request, &answer);
            let reason = format!("{fault}; {}", fault.help);
            return Ok(Applied::Refused(Refusal::Forbidden { reason }));
        }
        let _: wire::Status = self.api.success(&request, &answer)?;
        self.api.forget(&self.statuses_path(commit));
        self.own().statuses.insert(commit.to_owned(), status.clone());
        Ok(Applied::Done {
            number: None,
            commit: None,
        })
    }
}
