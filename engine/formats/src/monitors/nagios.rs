//! Nagios Core 4, `statusjson.cgi?query=servicelist&details=true` and `…hostlist…`. Instants are milliseconds since 1970,
//! 0 = never; a status is one of the bits 1 pending, 2 ok or up, 4 warning or down, 8 unknown or unreachable, 16 critical,
//! or with `formatoptions=enumerate` its word (statusdata.h and jsonutils.c of Nagios Core).

use std::collections::BTreeMap;

use jiff::SignedDuration;
use patchwave_core::verify::{Check, CheckStatus};
use serde::Deserialize;
use serde_json::Value;

use super::{happened, shape};
use crate::fields::excerpt;

#[derive(Deserialize)]
struct Answer {
    result: Head,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    query_time: f64,
    #[serde(default)]
    last_data_update: f64,
    type_code: i64,
    #[serde(default)]
    type_text: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    description: String,
    status: Value,
    #[serde(default)]
    has_been_checked: bool,
    #[serde(default)]
    last_check: f64,
    #[serde(default)]
    last_state_change: f64,
    #[serde(default)]
    state_type: Value,
    #[serde(default)]
    problem_has_been_acknowledged: bool,
    #[serde(default)]
    scheduled_downtime_depth: i64,
}

/// Nagios writes its status file every ten seconds (`status_update_interval`). When the CGI reads one that is older than
/// this, the daemon is not running, and what stands there is of no use.
const STILL_MAX: SignedDuration = SignedDuration::from_mins(10);

/// Every service with its state.
///
/// # Errors
/// What is wrong with the answer, or that Nagios itself stands still.
pub fn nagios_services(bytes: &[u8]) -> Result<Vec<Check>, String> {
    let data = data(bytes)?;
    let hosts: BTreeMap<String, BTreeMap<String, Detail>> = list(data, "servicelist")?;
    let mut checks = Vec::new();
    for (host, services) in hosts {
        for (name, detail) in services {
            let service = if detail.description.is_empty() {
                &name
            } else {
                &detail.description
            };
            checks.push(check(&host, service, &detail, service_status)?);
        }
    }
    Ok(checks)
}

/// The hosts that are down or unreachable. Those that are up say nothing more than their services do, and many
/// installations check hosts only when a service fails, so that their last check is old.
///
/// # Errors
/// As for [`nagios_services`].
pub fn nagios_hosts(bytes: &[u8]) -> Result<Vec<Check>, String> {
    let data = data(bytes)?;
    let hosts: BTreeMap<String, Detail> = list(data, "hostlist")?;
    let checks: Result<Vec<Check>, String> = hosts
        .iter()
        .map(|(host, detail)| check(host, "", detail, host_status))
        .collect();
    Ok(checks?
        .into_iter()
        .filter(|c| c.status == CheckStatus::Critical)
        .collect())
}

fn data(bytes: &[u8]) -> Result<Value, String> {
    let Answer { result, data } = shape("Nagios", bytes)?;
    if result.type_code != 0 {
        let (kind, why) = (excerpt(&result.type_text), excerpt(&result.message));
        return Err(format!("Nagios refuses the query: {kind}: {why}"));
    }
    let asked = happened(result.query_time / 1000.0);
    if let (Some(asked), Some(updated)) = (asked, happened(result.last_data_update / 1000.0))
        && asked.duration_since(updated) > STILL_MAX
    {
        return Err(format!(
            "Nagios stands still: its data is of {updated}, asked at {asked}"
        ));
    }
    Ok(data)
}

fn list<T: serde::de::DeserializeOwned>(mut data: Value, name: &str) -> Result<T, String> {
    let list = data.get_mut(name).map(Value::take);
    let list = list.ok_or_else(|| format!("the answer of Nagios has no `{name}`; ask with `details=true`"))?;
    serde_json::from_value(list).map_err(|e| format!("`{name}` of Nagios cannot be read: {e}; ask with `details=true`"))
}

fn check(
    host: &str,
    service: &str,
    detail: &Detail,
    status: fn(&Value) -> Option<CheckStatus>,
) -> Result<Check, String> {
    let found = status(&detail.status);
    let found = found.ok_or_else(|| {
        let shown = excerpt(&detail.status.to_string());
        format!("the status of {} on {} is `{shown}`", excerpt(service), excerpt(host))
    })?;
    let handled = match (
        detail.scheduled_downtime_depth > 0,
        detail.problem_has_been_acknowledged,
    ) {
        (true, _) => Some("in a downtime"),
        (false, true) => Some("acknowledged"),
        (false, false) => None,
    };
    Ok(Check {
        labels: BTreeMap::from([("host_name".to_owned(), host.to_owned())]),
        service: excerpt(service),
        status: if detail.has_been_checked {
            found
        } else {
            CheckStatus::Pending
        },
        checked_at: happened(detail.last_check / 1000.0),
        since: happened(detail.last_state_change / 1000.0),
        confirmed: detail.state_type != 0 && detail.state_type != "soft",
        handled,
    })
}

fn service_status(status: &Value) -> Option<CheckStatus> {
    Some(match (status.as_i64(), status.as_str()) {
        (Some(1), _) | (_, Some("pending")) => CheckStatus::Pending,
        (Some(2), _) | (_, Some("ok")) => CheckStatus::Ok,
        (Some(4), _) | (_, Some("warning")) => CheckStatus::Warning,
        (Some(8), _) | (_, Some("unknown")) => CheckStatus::Unknown,
        (Some(16), _) | (_, Some("critical")) => CheckStatus::Critical,
        _ => return None,
    })
}

fn host_status(status: &Value) -> Option<CheckStatus> {
    Some(match (status.as_i64(), status.as_str()) {
        (Some(1), _) | (_, Some("pending")) => CheckStatus::Pending,
        (Some(2), _) | (_, Some("up")) => CheckStatus::Ok,
        (Some(4 | 8), _) | (_, Some("down" | "unreachable")) => CheckStatus::Critical,
        _ => return None,
    })
}
