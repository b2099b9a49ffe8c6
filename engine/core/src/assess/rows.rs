//! Findings as rows of NDJSON and CSV, appended to a buffer the caller writes out when it likes.
//!
//! Keys, their order and their words are fixed by the command-line contract. A value that is not known is `null` in
//! NDJSON and empty in CSV. `forensics` (only where it is asked for), `originalClockStart` and `originalDeadline` (only where a
//! stricter rule overtook them) and `detail` (only where there is one) come last.

use jiff::Timestamp;

use super::finding::{Assessment, Finding, Hit, Judgement};
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
    let from = out.len();
    out.push(b'{');
    text(out, "asset", &finding.asset.name);
    let asset = out.len();
    ndjson_rest(finding.hit, finding.judgement, observation, out);
    if out.len() == asset {
        out.truncate(from);
    }
}

/// What follows the asset in a line of JSON: equal for all assets with the same row.
fn ndjson_rest(hit: &Hit, judgement: &Judgement, observation: &Observation, out: &mut Vec<u8>) {
    let Some(advisory) = observation.advisories.get(hit.advisory as usize) else {
        return;
    };
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

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// As [`ndjson_row`].
    Ndjson,
    /// As [`csv_row`], without the line of names.
    Csv,
}

/// Writes the findings of assets as lines: everything but the name of the asset is put together once for a distinct row
/// (hit and judgement), then copied.
pub struct Writer<'a> {
    format: RowFormat,
    assessment: &'a Assessment,
    observation: &'a Observation,
    /// What follows the asset, one text after the other.
    texts: Vec<u8>,
    /// For each hit the distinct judgements it has with the place of the text; mostly one.
    places: Vec<Vec<(u32, usize, usize)>>,
}

impl<'a> Writer<'a> {
    /// Puts together what the rows of all assets consist of.
    pub fn new(assessment: &'a Assessment, observation: &'a Observation, format: RowFormat) -> Self {
        let mut writer = Self {
            format,
            assessment,
            observation,
            texts: Vec::new(),
            places: vec![Vec::new(); assessment.hits.len()],
        };
        for row in assessment.lists.iter().flat_map(|list| list.iter()) {
            let (Some(places), Some(hit), Some(judgement)) = (
                writer.places.get_mut(row.hit as usize),
                assessment.hits.get(row.hit as usize),
                assessment.judgements.get(row.judgement as usize),
            ) else {
                continue;
            };
            if places.iter().all(|(known, ..)| *known != row.judgement) {
                let from = writer.texts.len();
                match format {
                    RowFormat::Ndjson => ndjson_rest(hit, judgement, observation, &mut writer.texts),
                    RowFormat::Csv => csv_rest(hit, judgement, observation, &mut writer.texts),
                }
                places.push((row.judgement, from, writer.texts.len()));
            }
        }
        writer
    }

    /// Appends the rows of the assets in `range` (indexes of the observation), by asset, then hit.
    pub fn rows(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        let mut asset = Vec::new();
        for index in range {
            let Some(name) = self.observation.assets.get(index).map(|a| &a.name) else {
                return;
            };
            asset.clear();
            match self.format {
                RowFormat::Ndjson => {
                    asset.push(b'{');
                    text(&mut asset, "asset", name);
                }
                RowFormat::Csv => csv_field(&mut asset, name),
            }
            for row in self.assessment.rows(index) {
                let places = self.places.get(row.hit as usize).map_or(&[][..], |p| p);
                let place = places.iter().find(|(judgement, ..)| *judgement == row.judgement);
                let rest = place.and_then(|(_, from, to)| self.texts.get(*from..*to));
                if let Some(rest) = rest.filter(|r| !r.is_empty()) {
                    out.extend_from_slice(&asset);
                    out.extend_from_slice(rest);
                }
            }
        }
    }
}

/// A key after the one before it; `asset` is the first of the line.
fn key(out: &mut Vec<u8>, key: &str) {
    if key != FIRST {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

const FIRST: &str = "asset";

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
    let from = out.len();
    csv_field(out, &finding.asset.name);
    let asset = out.len();
    csv_rest(finding.hit, finding.judgement, observation, out);
    if out.len() == asset {
        out.truncate(from);
    }
}

/// What follows the asset in a line of CSV: equal for all assets with the same row.
fn csv_rest(hit: &Hit, judgement: &Judgement, observation: &Observation, out: &mut Vec<u8>) {
    let Some(advisory) = observation.advisories.get(hit.advisory as usize) else {
        return;
    };
    let aliases: Vec<&str> = advisory.aliases.iter().map(|a| a.as_ref()).collect();
    let at = |at: Option<Timestamp>| at.map_or_else(String::new, |at| at.to_string());
    let fields: [&str; 23] = [
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
    for field in fields {
        out.push(b',');
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assess::world::{World, rpm};

    #[test]
    fn rows_written_from_shared_texts_are_the_rows_of_the_findings() {
        let mut world = World::plain();
        world
            .advisory("ALSA-2026:1", vec![rpm("openssl", "1:3.0.7-27.el9")])
            .aliases = vec!["CVE-2026-1".into(), "CVE-2026-\"2\"".into()];
        world.advisory(
            "ALSA-2026:2",
            vec![rpm("openssl", "1:3.0.7-28.el9"), rpm("curl", "7.76.1-30.el9")],
        );
        for name in ["a", "b", "=c"] {
            let packages = [
                ("openssl", "1:3.0.7-24.el9", "x86_64", "", ""),
                ("curl", "7.76.1-26.el9", "x86_64", "", ""),
            ];
            world.asset(name, &[], &packages);
        }
        world.asset("none", &[], &[]);
        let (assessment, observation) = (world.assess(), &world.observation);
        let assets = observation.assets.len();
        for (format, row) in [
            (
                RowFormat::Ndjson,
                ndjson_row as fn(&Finding<'_>, &Observation, &mut Vec<u8>),
            ),
            (RowFormat::Csv, csv_row),
        ] {
            let mut expected = Vec::new();
            assessment
                .findings(observation)
                .for_each(|f| row(&f, observation, &mut expected));
            let mut written = Vec::new();
            let writer = Writer::new(&assessment, observation, format);
            (0..assets).for_each(|index| writer.rows(index..index + 1, &mut written));
            assert_eq!(
                String::from_utf8(written).unwrap(),
                String::from_utf8(expected).unwrap()
            );
        }
        assert_eq!(assessment.findings(observation).count(), 9);
    }
}
