//! Icinga 2, `/v1/objects/services` and `/v1/objects/hosts`
//! (<https://icinga.com/docs/icinga-2/latest/doc/12-icinga2-api/#querying-objects>). Instants are seconds since 1970 with
//! a fraction; a service's state is 0 ok, 1 warning, 2 critical, 3 unknown, a host's 0 up, 1 down.

use std::collections::BTreeMap;

use patchwave_core::verify::{Check, CheckStatus};
use serde::Deserialize;

use super::{happened, shape};
use crate::fields::excerpt;

#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Object>>,
    error: Option<f64>,
    #[serde(default)]
    status: String,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    name: String,
    attrs: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    host_name: String,
    state: f64,
    #[serde(default)]
    state_type: f64,
    #[serde(default)]
    last_check: f64,
    #[serde(default)]
    last_state_change: f64,
    #[serde(default)]
    acknowledgement: f64,
    #[serde(default)]
    downtime_depth: f64,
}

/// Every service with its state.
///
/// # Errors
/// What is wrong with the answer.
pub fn icinga2_services(bytes: &[u8]) -> Result<Vec<Check>, String> {
    let read = |object: &Object| {
        let host = &object.attrs.host_name;
        // The name of a service is `host!service`.
        let (first, service) = object.name.split_once('!').unwrap_or(("", &object.name));
        let host = if host.is_empty() { first } else { host };
        let status = match object.attrs.state {
            0.0 => CheckStatus::Ok,
            1.0 => CheckStatus::Warning,
            2.0 => CheckStatus::Critical,
            3.0 => CheckStatus::Unknown,
            other => return Err(format!("the state of {} is {other}", excerpt(&object.name))),
        };
        Ok(check(host, service, status, &object.attrs))
    };
    objects(bytes)?.iter().map(read).collect()
}

/// The hosts that are down; those that are up say nothing more than their services do.
///
/// # Errors
/// As for [`icinga2_services`].
pub fn icinga2_hosts(bytes: &[u8]) -> Result<Vec<Check>, String> {
    let down = objects(bytes)?.into_iter().filter(|object| object.attrs.state != 0.0);
    Ok(down
        .map(|object| check(&object.name, "", CheckStatus::Critical, &object.attrs))
        .collect())
}

fn objects(bytes: &[u8]) -> Result<Vec<Object>, String> {
    let answer: Answer = shape("Icinga 2", bytes)?;
    answer.results.ok_or_else(|| {
        let code = answer.error.unwrap_or_default();
        format!("Icinga 2 refuses the query: {code} {}", excerpt(&answer.status))
    })
}

fn check(host: &str, service: &str, status: CheckStatus, attrs: &Attributes) -> Check {
    let checked_at = happened(attrs.last_check);
    let handled = match (attrs.downtime_depth > 0.0, attrs.acknowledgement > 0.0) {
        (true, _) => Some("in a downtime"),
        (false, true) => Some("acknowledged"),
        (false, false) => None,
    };
    Check {
        labels: BTreeMap::from([("host_name".to_owned(), host.to_owned())]),
        service: excerpt(service),
        // A check that never ran has `last_check` -1 and a state that means nothing.
        status: if checked_at.is_some() {
            status
        } else {
            CheckStatus::Pending
        },
        checked_at,
        since: happened(attrs.last_state_change),
        confirmed: attrs.state_type > 0.0,
        handled,
    }
}
