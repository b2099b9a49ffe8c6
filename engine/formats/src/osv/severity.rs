//! Severity words and CVSS vectors of OSV records.

use std::str::FromStr;

use patchwave_core::name::Severity;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text};

/// An element of `severity`.
#[derive(Deserialize)]
struct Score<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    score: Text<'a>,
}

/// What a record, or one of its affected packages, says: a word in `database_specific` or `ecosystem_specific`, else
/// a word in `severity` (Ubuntu's priority), else the newest CVSS base vector there.
pub(super) fn of(fields: &Fields<'_>) -> Severity {
    let word = ["database_specific", "ecosystem_specific"]
        .into_iter()
        .find_map(|group| {
            let group = fields.get::<Fields<'_>>(group).ok()??;
            let word = |name| {
                group
                    .get::<Text<'_>>(name)
                    .ok()
                    .flatten()
                    .and_then(|text| from_word(&text))
            };
            word("severity").or_else(|| word("ubuntu_priority"))
        });
    word.or_else(|| from_scores(fields)).unwrap_or(Severity::Unknown)
}

fn from_scores(fields: &Fields<'_>) -> Option<Severity> {
    let scores = fields.get::<Vec<&RawValue>>("severity").ok()??;
    let scores: Vec<Score<'_>> = scores
        .into_iter()
        .filter_map(|raw| serde_json::from_str(raw.get()).ok())
        .collect();
    let said = scores.iter().find_map(|score| from_word(&score.score));
    let vectors = ["CVSS_V4", "CVSS_V3", "CVSS_V2"].into_iter();
    let mut ranked = vectors.flat_map(|kind| scores.iter().filter(move |score| &*score.kind == kind));
    said.or_else(|| ranked.find_map(|score| from_vector(&score.score)))
}

/// The words of the vendors that publish OSV records.
pub(crate) fn from_word(word: &str) -> Option<Severity> {
    match word.trim().to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "important" | "high" => Some(Severity::High),
        "moderate" | "medium" => Some(Severity::Medium),
        // Ubuntu's `negligible` is a security problem that is only theoretical.
        "low" | "negligible" => Some(Severity::Low),
        "none" => Some(Severity::None),
        _ => None,
    }
}

/// The qualitative rating of a vector, by the scale of its own version of CVSS.
pub(crate) fn from_vector(vector: &str) -> Option<Severity> {
    match cvss::Cvss::from_str(vector.trim()).ok()?.severity() {
        cvss::Severity::None => Some(Severity::None),
        cvss::Severity::Low => Some(Severity::Low),
        cvss::Severity::Medium => Some(Severity::Medium),
        cvss::Severity::High => Some(Severity::High),
        cvss::Severity::Critical => Some(Severity::Critical),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_beat_vectors_and_newer_vectors_older_ones() {
        for (record, severity) in [
            (
                r#"{"database_specific":{"severity":"MODERATE"},"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}"#,
                "medium",
            ),
            (r#"{"ecosystem_specific":{"ubuntu_priority":"negligible"}}"#, "low"),
            (
                r#"{"severity":[{"type":"Ubuntu","score":"high"},{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"}]}"#,
                "high",
            ),
            (
                r#"{"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}"#,
                "critical",
            ),
            (
                r#"{"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}"#,
                "high",
            ),
            (
                r#"{"severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:P/I:N/A:N"}]}"#,
                "medium",
            ),
            (
                r#"{"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},{"type":"CVSS_V4","score":"CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"}]}"#,
                "medium",
            ),
            (
                r#"{"severity":[{"type":"CVSS_V3","score":"nonsense"}, 7],"database_specific":3}"#,
                "unknown",
            ),
            ("{}", "unknown"),
        ] {
            assert_eq!(
                of(&Fields::parse(record.as_bytes()).unwrap()).as_str(),
                severity,
                "{record}"
            );
        }
    }
}
