//! `kev`: the catalogue of known exploited vulnerabilities of CISA.
//!
//! Shape: <https://github.com/cisagov/kev-data>. `dueDate` is not read: it is a date for federal agencies, stands
//! before `dateAdded` in some entries, and every deadline of ours is counted from a clock of our own.

use std::sync::Arc;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use patchwave_core::observe::{Exploited, ExploitedRecord, Provenance};
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt};
use crate::records::RecordReader;
use crate::sheet::{Known, Sheet};

/// Reads catalogues; one document holds all entries, and an entry is a record.
pub(crate) struct Kev;

impl RecordReader for Kev {
    fn record(&self, raw: &[u8], at: &Provenance, _: &Known, sheet: &mut Sheet) {
        let entries = Fields::parse(raw)
            .map_err(|error| error.to_string())
            .and_then(|catalogue| catalogue.get::<Vec<&RawValue>>("vulnerabilities"));
        let entries = match entries {
            Ok(Some(entries)) => entries,
            Ok(None) => return sheet.skip(at, "is no KEV catalogue: it has no `vulnerabilities`"),
            Err(why) => return sheet.skip(at, format!("is no KEV catalogue: {why}")),
        };
        if entries.is_empty() {
            sheet.note(at, "holds no records");
        }
        for (raw, record) in entries.into_iter().zip(1..) {
            entry(raw, &Provenance { record, ..at.clone() }, sheet);
        }
    }
}

fn entry(raw: &RawValue, at: &Provenance, sheet: &mut Sheet) {
    let fields = match Fields::parse(raw.get().as_bytes()) {
        Ok(fields) => fields,
        Err(error) => return sheet.skip(at, format!("is no entry: {error}")),
    };
    let cve = match text(&fields, "cveID") {
        Ok(Some(cve)) if is_cve(&cve) => cve,
        Ok(Some(other)) => return sheet.skip(at, format!("`{}` is no CVE id", excerpt(&other))),
        Ok(None) => return sheet.skip(at, "has no `cveID`"),
        Err(why) => return sheet.skip(at, why),
    };
    let since = match text(&fields, "dateAdded") {
        Ok(Some(date)) => day(&date),
        Ok(None) => Err("is missing".to_owned()),
        Err(why) => Err(why),
    };
    if let Err(why) = &since {
        sheet.drop_field(
            at,
            format!("{cve}: `dateAdded` {why}; since when it is exploited is unknown"),
        );
    }
    let ransomware = text(&fields, "knownRansomwareCampaignUse").ok().flatten();
    let exploited = Exploited {
        since: since.ok(),
        ransomware: ransomware
            .filter(|use_| use_.eq_ignore_ascii_case("known"))
            .map(|_| true),
        provenance: Some(at.clone()),
    };
    sheet.read();
    sheet.batch.exploited.push(ExploitedRecord { cve, exploited });
}

/// A text without the blanks that some entries end in.
fn text(fields: &Fields<'_>, name: &str) -> Result<Option<Arc<str>>, String> {
    Ok(fields.get::<Text<'_>>(name)?.map(|text| text.trim().into()))
}

/// A date is the beginning of that day, UTC: the earliest that the entry can mean.
pub(crate) fn day(text: &str) -> Result<jiff::Timestamp, String> {
    let parsed = text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
    parsed
        .map(|zoned| zoned.timestamp())
        .map_err(|_| format!("`{}` is no date", excerpt(text)))
}

/// `CVE-2024-12345`: a year of four digits and a number of at least four.
pub(crate) fn is_cve(text: &str) -> bool {
    let digits =
        |part: &str, least| part.len() >= least && part.len() <= 19 && part.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
    parts.is_some_and(|(year, number)| year.len() == 4 && digits(year, 4) && digits(number, 4))
}

#[cfg(test)]
mod tests {
    use crate::InputFile;

    #[test]
    fn entries_become_facts_and_bad_ones_are_told() {
        let text = br#"{"title":"t","count":9,"vulnerabilities":[
            {"cveID":"CVE-2021-34527 ","dateAdded":"2021-11-03","dueDate":"2021-07-20","knownRansomwareCampaignUse":"Known"},
            {"cveID":"CVE-2025-48384","dateAdded":"soon","knownRansomwareCampaignUse":"Unknown"},
            {"cveID":"GHSA-1"}, 7, {}]}"#;
        let files = [InputFile {
            path: "kev.json".into(),
            bytes: text.into(),
        }];
        let batch = crate::read("kev", &"kev".into(), &files, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let read: Vec<_> = batch.exploited.iter().map(|e| (e.cve.as_ref(), &e.exploited)).collect();
        assert_eq!(read[0].0, "CVE-2021-34527");
        assert_eq!(read[0].1.since.unwrap().to_string(), "2021-11-03T00:00:00Z");
        assert_eq!(
            (read[0].1.ransomware, read[1].1.since, read[1].1.ransomware),
            (Some(true), None, None)
        );
        let account = batch.account;
        assert_eq!(
            (
                account.total,
                account.read,
                account.skipped.len(),
                account.dropped_fields.len()
            ),
            (5, 2, 3, 1)
        );
    }
}
