//! `osv`: records of the OSV schema, <https://ossf.github.io/osv-schema/>, as AlmaLinux and others publish them.
//!
//! What is read are ids, times, severity and the affected ranges of packages of distributions. Ranges of other
//! ecosystems (`Go`, `npm`, …) are counted in a note: no inventory reports such packages.

mod affected;
mod severity;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::load::wire::AdvisoryType;
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Provenance};
use serde_json::value::RawValue;

pub(crate) use severity::{from_vector, from_word};

use crate::fields::{Fields, Text, excerpt};
use crate::kev::is_cve;
use crate::records::RecordReader;
use crate::sheet::{Known, Sheet};

/// Reads OSV records, one advisory each.
pub(crate) struct Osv;

impl RecordReader for Osv {
    fn record(&self, raw: &[u8], at: &Provenance, _: &Known, sheet: &mut Sheet) {
        let fields = match Fields::parse(raw) {
            Ok(fields) => fields,
            Err(error) => return sheet.skip(at, format!("is no OSV record: {error}")),
        };
        let id = match fields.get::<Text<'_>>("id") {
            Ok(Some(id)) if is_id(&id) => Arc::<str>::from(&*id),
            Ok(Some(id)) => return sheet.skip(at, format!("`{}` cannot be the id of an advisory", excerpt(&id))),
            Ok(None) => return sheet.skip(at, "is no OSV record: it has no `id`"),
            Err(why) => return sheet.skip(at, format!("is no OSV record: {why}")),
        };
        let mut reading = Reading {
            fields,
            id: &id,
            at,
            sheet,
        };
        let affected = reading.affected();
        let alma = id.starts_with("ALSA-")
            || id.starts_with("ALBA-")
            || id.starts_with("ALEA-")
            || affected.fixes.iter().any(|fix| &*fix.ecosystem.os_id == "almalinux");
        let record = AdvisoryRecord {
            aliases: reading.aliases(alma, !affected.fixes.is_empty()),
            severity: if alma {
                reading.alma_severity()
            } else {
                reading.severity(&affected.elements)
            },
            types: vec![type_of(&id)],
            published: reading.time("published"),
            modified: reading.time("modified"),
            withdrawn: reading.time("withdrawn"),
            fixes: affected.fixes,
            reboot: None,
            exploited: None,
            cves: Vec::new(),
            provenance: at.clone(),
            id: Arc::clone(&id),
        };
        sheet.read();
        sheet.batch.advisories.push(record);
    }
}

/// Ids end up in file names, branches and commands, so only what ids are made of is let in.
pub(crate) fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':' | b'.' | b'_' | b'+');
    (1..=128).contains(&text.len())
        && text.bytes().all(allowed)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
}

/// Red Hat and its rebuilds name the type in the id: `ALSA-…`, `ALBA-…`, `ALEA-…`, `RHSA-…`, ….
fn type_of(id: &str) -> AdvisoryType {
    match id.get(..4) {
        Some("ALBA" | "RHBA") => AdvisoryType::Bugfix,
        Some("ALEA" | "RHEA") => AdvisoryType::Enhancement,
        _ => AdvisoryType::Security,
    }
}

/// One record being read.
struct Reading<'r, 'a> {
    fields: Fields<'a>,
    id: &'r str,
    at: &'r Provenance,
    sheet: &'r mut Sheet,
}

impl<'a> Reading<'_, 'a> {
    fn drop_field(&mut self, why: &str) {
        self.sheet.drop_field(self.at, format!("{}: {why}", self.id));
    }

    /// Every text of a list of texts; what is no text is dropped and reported.
    fn texts(&mut self, field: &str) -> Vec<Text<'a>> {
        let list = self.fields.get::<Vec<&'a RawValue>>(field).unwrap_or_else(|why| {
            self.drop_field(&why);
            None
        });
        let mut texts = Vec::new();
        for raw in list.unwrap_or_default() {
            match serde_json::from_str::<Text<'a>>(raw.get()) {
                Ok(text) => texts.push(text),
                Err(error) => self.drop_field(&crate::fields::fault(field, raw, &error)),
            }
        }
        texts
    }

    /// CVEs and other names. Distributions disagree where they put their CVEs: `aliases`, `upstream`, and AlmaLinux
    /// `related`. Debian and Rocky use `related` too, so where a distribution's record names no CVE elsewhere, those
    /// of `related` count; otherwise `related` is only that.
    fn aliases(&mut self, alma: bool, distribution: bool) -> Vec<Arc<str>> {
        let mut names: BTreeSet<Arc<str>> = BTreeSet::new();
        for field in ["aliases", "upstream"] {
            names.extend(
                self.texts(field)
                    .iter()
                    .filter(|name| is_id(name))
                    .map(|name| Arc::from(&**name)),
            );
        }
        if alma || (distribution && !names.iter().any(|name| is_cve(name))) {
            names.extend(
                self.texts("related")
                    .iter()
                    .filter(|name| is_cve(name))
                    .map(|name| Arc::from(&**name)),
            );
        }
        names.remove(self.id);
        names.into_iter().collect()
    }

    /// AlmaLinux says how bad it is only in the first word of the summary: `Important: firefox security update`.
    fn alma_severity(&mut self) -> Severity {
        let summary = self.fields.get::<Text<'a>>("summary").unwrap_or_else(|why| {
            self.drop_field(&why);
            None
        });
        let summary = summary.unwrap_or(Text("".into()));
        let word = summary.split_whitespace().next().unwrap_or_default();
        match word.strip_suffix(':').unwrap_or(word) {
            "Critical" => Severity::Critical,
            "Important" => Severity::High,
            "Moderate" => Severity::Medium,
            "Low" => Severity::Low,
            _ => Severity::Unknown,
        }
    }

    /// What the record says of itself, then what it says of each affected package (the worst counts): words before
    /// CVSS, because a distribution weighs what a base score cannot.
    fn severity(&mut self, affected: &[Fields<'a>]) -> Severity {
        let own = severity::of(&self.fields);
        if own != Severity::Unknown {
            return own;
        }
        affected.iter().map(severity::of).max().unwrap_or(Severity::Unknown)
    }

    /// A time. Before 1990 there were no advisories: tools that write their zero (`0001-01-01T00:00:00Z`, 1970) mean
    /// that they do not know.
    fn time(&mut self, field: &str) -> Option<Timestamp> {
        const NINETEEN_NINETY: i64 = 631_152_000;
        let text = self.fields.get::<Text<'a>>(field).unwrap_or_else(|why| {
            self.drop_field(&why);
            None
        })?;
        match text.trim().parse::<Timestamp>() {
            Ok(time) if time.as_second() >= NINETEEN_NINETY => Some(time),
            Ok(_) => {
                let what = format!("`{field}` reads {}, which stands for unknown", excerpt(&text));
                self.sheet.tally(&self.at.file, &what, 1);
                None
            }
            Err(_) => {
                self.drop_field(&format!("`{field}` was dropped: `{}` is no time", excerpt(&text)));
                None
            }
        }
    }
}
