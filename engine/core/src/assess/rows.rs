//! Findings as rows of NDJSON and CSV, appended to a buffer the caller writes out when it likes.
//!
//! Keys, their order and their words are fixed by the command-line contract. A value that is not known is `null` in
//! NDJSON and empty in CSV. `forensics` (only where it is asked for), `originalClockStart` and `originalDeadline` (only where a
//! stricter rule overtook them) and `detail` (only where there is one) come last.

use jiff::Timestamp;

use super::finding::Finding;
use crate::observe::Observation;

/// The columns of [`csv_row`], in the order of the keys of [`ndjson_row`].
pub const COLUMNS: [&str; 24] = [
    "asset",
    "advisory",
    "aliases",
    "ecosystem",
    "package",
    "arch",
    "installed",
    "fixed",
    "severity",
    "exploited",
    "epss",
    "decision",
    "status",
    "timeliness",
    "clockStart",
    "deadline",
    "lane",
    "policy",
    "sla",
    "rule",
    "forensics",
    "originalClockStart",
    "originalDeadline",
    "detail",
];

/// Appends one finding as a line of JSON, line end included. Nothing is appended for a finding of another observation.
pub fn ndjson_row(finding: &Finding<'_>, observation: &Observation, out: &mut Vec<u8>) {
    let Finding {
        asset, hit, judgement, ..
    } = finding;
    let Some(advisory) = observation.advisories.get(hit.advisory as usize) else {
        return;
    };
    out.push(b'{');
    text(out, "asset", &asset.name);
    text(out, "advisory", &advisory.id);
    key(out, "aliases");
    out.push(b'[');
    for (index, alias) in advisory.aliases.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, alias);
    }
    out.push(b']');
    text(out, "ecosystem", hit.scheme.as_str());
    text(out, "package", &hit.package);
    text(out, "arch", &hit.arch);
    text(out, "installed", &hit.installed);
    maybe(out, "fixed", hit.fixed.as_deref());
    text(out, "severity", advisory.severity.as_str());
    raw(
        out,
        "exploited",
        if advisory.exploited.is_some() { "true" } else { "false" },
    );
    match advisory.epss() {
        Some(epss) => raw(out, "epss", &epss.score.to_string()),
        None => raw(out, "epss", "null"),
    }
    text(out, "decision", judgement.decision.as_str());
    text(out, "status", judgement.status.as_str());
    text(out, "timeliness", judgement.timeliness.as_str());
    instant(out, "clockStart", judgement.clock_start);
    instant(out, "deadline", judgement.deadline);
    text(out, "lane", judgement.lane.as_str());
    maybe(out, "policy", judgement.policy.as_deref());
    maybe(out, "sla", judgement.sla.as_deref());
    maybe(out, "rule", judgement.rule.as_deref());
    if judgement.forensics {
        raw(out, "forensics", "true");
    }
    if let Some(original) = &judgement.original {
        instant(out, "originalClockStart", original.clock_start);
        instant(out, "originalDeadline", original.deadline);
    }
    if let Some(detail) = &judgement.detail {
        text(out, "detail", detail);
    }
    out.extend_from_slice(b"}\n");
}

fn key(out: &mut Vec<u8>, key: &str) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn raw(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    out.extend_from_slice(value.as_bytes());
}

fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    string(out, value);
}

fn maybe(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    match value {
        Some(value) => text(out, name, value),
        None => raw(out, name, "null"),
    }
}

fn instant(out: &mut Vec<u8>, name: &str, at: Option<Timestamp>) {
    match at {
        Some(at) => text(out, name, &at.to_string()),
        None => raw(out, name, "null"),
    }
}

/// Names and versions hardly ever need an escape; the few that do go through the library.
fn string(out: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(serde_json::Value::from(value).to_string().as_bytes());
    }
}

/// Appends the line of column names.
pub fn csv_header(out: &mut Vec<u8>) {
    out.extend_from_slice(COLUMNS.join(",").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends one finding as a line of CSV (RFC 4180); aliases are separated by blanks.
pub fn csv_row(finding: &Finding<'_>, observation: &Observation, out: &mut Vec<u8>) {
    let Finding {
        asset, hit, judgement, ..
    } = finding;
    let Some(advisory) = observation.advisories.get(hit.advisory as usize) else {
        return;
    };
    let aliases: Vec<&str> = advisory.aliases.iter().map(|a| a.as_ref()).collect();
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let fields: [&str; 24] = [
        &asset.name,
        &advisory.id,
        &aliases.join(" "),
        hit.scheme.as_str(),
        &hit.package,
        &hit.arch,
        &hit.installed,
        hit.fixed.as_deref().unwrap_or_default(),
        advisory.severity.as_str(),
        if advisory.exploited.is_some() { "true" } else { "false" },
        &advisory.epss().map_or_else(String::new, |e| e.score.to_string()),
        judgement.decision.as_str(),
        judgement.status.as_str(),
        judgement.timeliness.as_str(),
        &at(judgement.clock_start),
        &at(judgement.deadline),
        judgement.lane.as_str(),
        judgement.policy.as_deref().unwrap_or_default(),
        judgement.sla.as_deref().unwrap_or_default(),
        judgement.rule.as_deref().unwrap_or_default(),
        if judgement.forensics { "true" } else { "" },
        &at(judgement.original.and_then(|o| o.clock_start)),
        &at(judgement.original.and_then(|o| o.deadline)),
        judgement.detail.as_deref().unwrap_or_default(),
    ];
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        csv_field(out, field);
    }
    out.extend_from_slice(b"\r\n");
}

/// Quotes where RFC 4180 asks for it. A value from a feed that a spreadsheet would take for a formula gets a quote mark
/// in front, because such a table is opened with a double click.
fn csv_field(out: &mut Vec<u8>, field: &str) {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quoted = formula || field.contains(['"', ',', '\n', '\r']);
    if !quoted {
        out.extend_from_slice(field.as_bytes());
        return;
    }
    out.push(b'"');
    if formula {
        out.push(b'\'');
    }
    out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}
