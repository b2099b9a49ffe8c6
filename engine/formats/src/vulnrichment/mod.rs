//! `vulnrichment`: CVE records (CVE JSON 5) to which CISA has added its SSVC answers.
//!
//! Shape: <https://github.com/cisagov/vulnrichment>, one file a CVE. The answers stand in the ADP container of CISA, in
//! `metrics[].other` of type `ssvc`, as a list of maps of one key each; the proposed successor is a list of
//! `selections`. Neither has a schema, and keys and values differ in case between records, so case never counts.
//! `other` of type `kev` names an entry of the catalogue of exploited vulnerabilities.

use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::{CveRecord, Exploitation, Exploited, ExploitedRecord, Provenance, Ssvc};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt};
use crate::kev::{day, is_cve};
use crate::records::RecordReader;
use crate::sheet::{Known, Sheet};

/// Reads CVE records.
pub(crate) struct Vulnrichment;

impl RecordReader for Vulnrichment {
    fn record(&self, raw: &[u8], at: &Provenance, _: &Known, sheet: &mut Sheet) {
        let cve = match id(raw) {
            Ok(cve) => cve,
            Err(why) => return sheet.skip(at, why),
        };
        let containers = match adp(raw) {
            Ok(containers) => containers,
            Err(why) => return sheet.skip(at, format!("{cve}: {why}")),
        };
        sheet.read();
        let mut answered = false;
        for container in containers {
            let container: Value = match serde_json::from_str(container.get()) {
                Ok(container) => container,
                Err(error) => {
                    sheet.drop_field(at, format!("{cve}: a container of `adp` was dropped: {error}"));
                    continue;
                }
            };
            if is_cisa(&container) {
                answered |= metrics(&cve, &container, at, sheet);
            }
        }
        if !answered {
            sheet.tally(
                &at.file,
                "records have no answers of CISA; what they ask stays unknown",
                1,
            );
        }
    }
}

fn id(raw: &[u8]) -> Result<Arc<str>, String> {
    let fields = Fields::parse(raw).map_err(|error| format!("is no CVE record: {error}"))?;
    let metadata = fields.get::<Fields<'_>>("cveMetadata")?;
    let id = metadata.map(|m| m.get::<Text<'_>>("cveId")).transpose()?.flatten();
    match id {
        Some(id) if is_cve(&id) => Ok((*id).into()),
        Some(id) => Err(format!("`{}` is no CVE id", excerpt(&id))),
        None => Err("is no CVE record: it has no `cveMetadata.cveId`".into()),
    }
}

/// The containers of authorised data publishers; none is no fault.
fn adp(raw: &[u8]) -> Result<Vec<&RawValue>, String> {
    let fields = Fields::parse(raw).map_err(|error| error.to_string())?;
    let containers = fields.get::<Fields<'_>>("containers")?;
    let adp = containers.map(|c| c.get::<Vec<&RawValue>>("adp")).transpose()?;
    Ok(adp.flatten().unwrap_or_default())
}

/// By its title, or by the short name of its publisher, which the title does not always name.
fn is_cisa(container: &Value) -> bool {
    let says = |value: Option<&Value>, word: &str| {
        value
            .and_then(Value::as_str)
            .is_some_and(|t| t.eq_ignore_ascii_case(word))
    };
    says(container.get("title"), "CISA ADP Vulnrichment")
        || says(container.pointer("/providerMetadata/shortName"), "CISA-ADP")
}

/// Reads the metrics of a container; whether an answer was among them.
fn metrics(cve: &Arc<str>, container: &Value, at: &Provenance, sheet: &mut Sheet) -> bool {
    let metrics = container.get("metrics").and_then(Value::as_array);
    let others = metrics.into_iter().flatten().filter_map(|metric| metric.get("other"));
    let mut answered = false;
    for other in others {
        let kind = other.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(content) = other.get("content") else { continue };
        if kind.eq_ignore_ascii_case("ssvc") {
            let mut ssvc = Ssvc::UNKNOWN;
            for (question, answer) in answers(content) {
                if let Err(why) = take(&mut ssvc, question, answer) {
                    sheet.drop_field(at, format!("{cve}: {why}"));
                }
            }
            let given = content.get("timestamp").and_then(Value::as_str);
            answered |= ssvc != Ssvc::UNKNOWN;
            sheet.batch.cves.push(CveRecord {
                cve: Arc::clone(cve),
                epss: None,
                ssvc,
                at: given.and_then(|text| text.parse::<Timestamp>().ok()),
            });
        } else if kind.eq_ignore_ascii_case("kev") {
            let added = content.get("dateAdded").and_then(Value::as_str).unwrap_or_default();
            let since = day(added);
            if let Err(why) = &since {
                sheet.drop_field(at, format!("{cve}: `dateAdded` {why}"));
            }
            sheet.batch.exploited.push(ExploitedRecord {
                cve: Arc::clone(cve),
                exploited: Exploited {
                    since: since.ok(),
                    ransomware: None,
                    provenance: Some(at.clone()),
                },
            });
        }
    }
    answered
}

/// Questions with their answers: `options`, a list of maps (or one map), or `selections`, a list of
/// `{name | key, values}`. Of several values of a selection the last counts: they go from mild to strict.
fn answers(content: &Value) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    let maps: Vec<&Value> = match content.get("options") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for map in maps.into_iter().filter_map(Value::as_object) {
        found.extend(
            map.iter()
                .filter_map(|(question, answer)| Some((question.as_str(), answer.as_str()?))),
        );
    }
    let selections = content.get("selections").and_then(Value::as_array);
    for selection in selections.into_iter().flatten() {
        let text = |key: &str| selection.get(key).and_then(Value::as_str);
        let values = selection.get("values").and_then(Value::as_array);
        let last = values.and_then(|values| values.last()).and_then(|value| {
            let named = |key: &str| value.get(key).and_then(Value::as_str);
            value.as_str().or_else(|| named("key")).or_else(|| named("name"))
        });
        found.extend(text("key").or_else(|| text("name")).zip(last));
    }
    found
}

fn take(ssvc: &mut Ssvc, question: &str, answer: &str) -> Result<(), String> {
    let said = answer.trim().to_ascii_lowercase();
    let unread = || format!("`{}` is no answer to `{}`", excerpt(answer), excerpt(question));
    match question.trim().to_ascii_lowercase().as_str() {
        "exploitation" | "e" => {
            ssvc.exploitation = Some(match said.as_str() {
                "none" | "n" => Exploitation::None,
                "poc" | "public poc" | "p" => Exploitation::Poc,
                "active" | "a" => Exploitation::Active,
                _ => return Err(unread()),
            });
        }
        "automatable" | "a" => {
            ssvc.automatable = Some(match said.as_str() {
                "yes" | "y" => true,
                "no" | "n" => false,
                _ => return Err(unread()),
            });
        }
        "technical impact" | "ti" => {
            ssvc.total_impact = Some(match said.as_str() {
                "total" | "t" => true,
                "partial" | "p" => false,
                _ => return Err(unread()),
            });
        }
        // Other questions of SSVC are none of ours.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputFile;
    use patchwave_core::observe::Batch;
    use serde_json::json;

    fn cve_record(cve: &str, adp: Value) -> Value {
        json!({"dataType": "CVE_RECORD", "dataVersion": "5.1", "cveMetadata": {"cveId": cve, "state": "PUBLISHED"},
            "containers": {"cna": {"descriptions": []}, "adp": adp}})
    }

    fn ssvc(options: Value) -> Value {
        json!({"other": {"type": "ssvc", "content": {"id": "x", "role": "CISA Coordinator", "version": "2.0.3",
            "timestamp": "2025-02-07T14:33:43.942338Z", "options": options}}})
    }

    fn cisa(metrics: Value) -> Value {
        json!([{"title": "CVE Program Container", "references": []}, {"title": "CISA ADP Vulnrichment", "metrics": metrics}])
    }

    fn read_files(files: &[(&str, String)]) -> Batch {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| InputFile {
                path: (*path).into(),
                bytes: text.as_bytes().to_vec().into(),
            })
            .collect();
        let batch = crate::read("vulnrichment", &"v".into(), &files, Timestamp::UNIX_EPOCH).unwrap();
        let account = &batch.account;
        assert_eq!(account.read + account.skipped.len() as u64, account.total);
        batch
    }

    fn codes(batch: &Batch) -> Vec<String> {
        batch
            .cves
            .iter()
            .map(|r| format!("{} {}", r.cve, r.ssvc.code()))
            .collect()
    }

    #[test]
    fn the_answers_of_cisa_are_read() {
        let metrics = json!([
            {"cvssV3_1": {"baseScore": 7.8}},
            ssvc(json!([{"Exploitation": "active"}, {"Automatable": "no"}, {"Technical Impact": "total"}])),
            {"other": {"type": "kev", "content": {"dateAdded": "2022-03-03", "reference": "https://www.cisa.gov/"}}}]);
        let batch = read_files(&[(
            "CVE-2002-0367.json",
            cve_record("CVE-2002-0367", cisa(metrics)).to_string(),
        )]);
        assert_eq!(codes(&batch), ["CVE-2002-0367 ANT"]);
        assert_eq!(batch.cves[0].at.unwrap().to_string(), "2025-02-07T14:33:43.942338Z");
        assert_eq!(&*batch.exploited[0].cve, "CVE-2002-0367");
        assert_eq!(
            batch.exploited[0].exploited.since.unwrap().to_string(),
            "2022-03-03T00:00:00Z"
        );
    }

    #[test]
    fn shapes_and_cases_differ_between_records() {
        let one_map = ssvc(json!({"EXPLOITATION": "PoC", "automatable": "Yes", "technical impact": "Partial"}));
        let selections = json!({"other": {"type": "SSVC", "content": {"selections": [
            {"namespace": "ssvc", "name": "Exploitation", "version": "1.1.0", "values": ["Public PoC"]},
            {"namespace": "ssvc", "key": "A", "version": "2.0.0", "values": [{"key": "N"}]},
            {"namespace": "ssvc", "key": "TI", "values": [{"key": "P"}, {"key": "T"}]}]}}});
        let by_publisher = json!([{"providerMetadata": {"shortName": "CISA-ADP"}, "metrics": [selections]}]);
        let batch = read_files(&[
            (
                "a.json",
                cve_record("CVE-2024-0001", cisa(json!([one_map]))).to_string(),
            ),
            ("b.json", cve_record("CVE-2024-0002", by_publisher).to_string()),
        ]);
        assert_eq!(codes(&batch), ["CVE-2024-0001 PYP", "CVE-2024-0002 PNT"]);
    }

    #[test]
    fn what_is_not_answered_stays_unknown_and_is_counted() {
        let odd = ssvc(
            json!([{"Exploitation": "maybe"}, {"Automatable": 7}, {"Technical Impact": "total"}, {"Mission": "x"}]),
        );
        let batch = read_files(&[
            ("a.json", cve_record("CVE-2024-0001", cisa(json!([odd]))).to_string()),
            ("b.json", cve_record("CVE-2024-0002", json!([])).to_string()),
            ("c.json", cve_record("CVE-2024-0003", json!("x")).to_string()),
            ("d.json", "{}".to_owned()),
            ("e.json", "[1,{\"cveMetadata\":{\"cveId\":\"GHSA-1\"}}]".to_owned()),
        ]);
        assert_eq!(codes(&batch), ["CVE-2024-0001 --T"]);
        let account = &batch.account;
        assert_eq!((account.total, account.read, account.dropped_fields.len()), (6, 2, 1));
        assert!(
            account.notes.iter().any(|n| n.reason.contains("no answers of CISA")),
            "{:?}",
            account.notes
        );
    }
}
