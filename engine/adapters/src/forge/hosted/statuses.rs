//! The engine's status on merged heads: how far the wave has come, beside the checks of others.
//!
//! A token without the permission for it costs the statuses, never the run.

use std::collections::BTreeMap;

use http::Method;
use patchwave_core::propose::{CommitStatus, StatusState};
use serde_json::json;

use super::words::STATUS_CONTEXT;
use super::{Host, is_own, wire};
use crate::forge::rest::api::{Api, Repeat};
use crate::forge::rest::kept::Trust;
use crate::forge::{Applied, ForgeError, Refusal};

fn statuses_path(api: &Api, commit: &str) -> String {
    api.repo(&format!("commits/{commit}/statuses?{}", api.page()))
}

/// The engine's status on the heads of merged pull requests, which are given with the instants of their last change; none if
/// the token may not see statuses.
pub(super) fn statuses(
    host: &impl Host,
    merged: &[(&str, &str)],
) -> Result<Option<BTreeMap<String, CommitStatus>>, ForgeError> {
    let mut found = BTreeMap::new();
    for &(commit, changed) in merged {
        let own = host.hub().own().statuses.get(commit).cloned();
        let status = match own {
            Some(status) => Some(status),
            None => match status_of(host, commit, Trust::Stamped(changed)) {
                Ok(status) => status,
                Err(why) if why.retryable => return Err(why),
                Err(why) => {
                    tracing::warn!("statuses are left out: {why} ({})", why.help);
                    return Ok(None);
                }
            },
        };
        found.extend(status.map(|status| (commit.to_owned(), status)));
    }
    Ok(Some(found))
}

fn status_of(host: &impl Host, commit: &str, trust: Trust<'_>) -> Result<Option<CommitStatus>, ForgeError> {
    let api = &host.hub().api;
    let listed: Vec<wire::Status> = api.pages(&statuses_path(api, commit), trust)?.unwrap_or_default();
    // The forges list them in different orders, but ids only grow.
    let mut newest: Option<wire::Status> = None;
    for status in listed {
        if status.context == STATUS_CONTEXT
            && newest.as_ref().is_none_or(|newest| status.id > newest.id)
            && is_own(host, status.creator.as_ref())?
        {
            newest = Some(status);
        }
    }
    Ok(newest.map(|status| CommitStatus {
        state: match status.word() {
            "success" => StatusState::Success,
            "pending" => StatusState::Pending,
            _ => StatusState::Failure,
        },
        description: status.description.unwrap_or_default(),
    }))
}

pub(super) fn put_status(host: &impl Host, commit: &str, status: &CommitStatus) -> Result<Applied, ForgeError> {
    let hub = host.hub();
    let own = hub.own().statuses.get(commit).cloned();
    let there = match own {
        Some(status) => Some(status),
        None => status_of(host, commit, Trust::Asked)?,
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
    let path = hub.api.repo(&format!("statuses/{commit}"));
    let (request, answer) = hub.api.write(Method::POST, &path, body, Repeat::Safe)?;
    if answer.status == 403 {
        let fault = hub.api.fault(&request, &answer);
        let reason = format!("{fault}; {}", fault.help);
        return Ok(Applied::Refused(Refusal::Forbidden { reason }));
    }
    let _: wire::Status = hub.api.success(&request, &answer)?;
    hub.api.forget(&statuses_path(&hub.api, commit));
    hub.own().statuses.insert(commit.to_owned(), status.clone());
    Ok(Applied::Done {
        number: None,
        commit: None,
    })
}
