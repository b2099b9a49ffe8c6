//! SolarWinds, `POST /SolarWinds/InformationService/v3/Json/Query`
//! (<https://github.com/solarwinds/OrionSDK/wiki/REST>). A node's status is one of the numbers of
//! <https://github.com/solarwinds/OrionSDK/wiki/Status-Values>; instants are UTC without a zone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use patchwave_core::verify::{Check, CheckStatus};
use serde::Deserialize;

use super::shape;
use crate::fields::excerpt;

/// What is asked: every node, and when it was last polled.
pub const SOLARWINDS_QUERY: &str =
    "SELECT Caption, DNS, IPAddress, Status, UnManaged, LastSync FROM Orion.Nodes ORDER BY Caption";

#[derive(Deserialize)]
struct Answer {
    results: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    caption: Option<String>,
    #[serde(rename = "DNS")]
    dns: Option<String>,
    #[serde(rename = "IPAddress")]
    ip_address: Option<String>,
    status: i64,
    #[serde(default)]
    un_managed: bool,
    last_sync: Option<String>,
}

/// Every node with its state.
///
/// # Errors
/// What is wrong with the answer.
pub fn solarwinds_nodes(bytes: &[u8]) -> Result<Vec<Check>, String> {
    let answer: Answer = shape("SolarWinds", bytes)?;
    answer.results.into_iter().map(check).collect()
}

fn check(node: Node) -> Result<Check, String> {
    let named = [
        ("Caption", node.caption),
        ("DNS", node.dns),
        ("IPAddress", node.ip_address),
    ];
    let labels: BTreeMap<String, String> = named
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value.filter(|v| !v.is_empty())?)))
        .collect();
    let status = match node.status {
        1 => CheckStatus::Ok,
        3 => CheckStatus::Warning,
        // Down, Unreachable, Critical.
        2 | 12 | 14 => CheckStatus::Critical,
        // Everything else (Unknown, Unmanaged, Unplugged, External, …) says nothing of its health.
        _ => CheckStatus::Unknown,
    };
    let checked_at = node.last_sync.as_deref().map(instant).transpose()?;
    Ok(Check {
        labels,
        service: String::new(),
        status: if node.un_managed { CheckStatus::Unknown } else { status },
        checked_at,
        since: None,
        confirmed: true,
        handled: None,
    })
}

/// `2026-11-20T12:00:00.123`, with or without a zone.
fn instant(text: &str) -> Result<Timestamp, String> {
    let zoned = text.parse::<Timestamp>().ok();
    let utc = || {
        text.parse::<DateTime>()
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|z| z.timestamp())
    };
    zoned
        .or_else(utc)
        .ok_or_else(|| format!("`LastSync` is `{}`, which is no instant", excerpt(text)))
}
