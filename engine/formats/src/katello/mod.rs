//! `katello`: hosts of Foreman with Katello (Satellite), answers of the API as they came.
//!
//! Three shapes are read, as one JSON value, an array of them, or one a line:
//!
//! - the answer of `GET /api/hosts/:id`;
//! - a page of `GET /api/hosts`, `{"total": …, "results": […]}`;
//! - everything of one host together, which is how answers are saved that belong to each other:
//!
//! ```json
//! {"fetched_at": "2026-11-20T03:00:00Z", "host": {"id": 17, "name": "web1.example.com"},
//!  "packages": {"results": []}, "debs": {"results": []}, "errata": {"results": []}, "applicable": {"results": []}}
//! ```
//!
//! with the answers of `/api/hosts/:id`, its `/packages` (`?include_latest_upgradable=true` says more), its `/debs`, its
//! `/errata` (those installable) and its `/errata?include_applicable=true`. Each may be missing; a list may be a page,
//! several pages in an array, or the bare rows.
//!
//! - A host is as old as its last check-in, which is when it last told what is installed, else its last report. One
//!   that never did either stays an asset without packages.
//! - A list of which pages are missing is dropped: what is not on it is not absent.
//! - What a host can install is what its installable errata bring and what the server calls upgradable; without the
//!   errata it is unknown. Epochs that those texts leave out are those of the installed packages.

mod content;
mod host;
mod lists;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use patchwave_core::observe::Provenance;
use serde_json::value::RawValue;

use crate::fields::{Fields, Text, excerpt};
use crate::records::RecordReader;
use crate::sheet::{Known, Sheet};

/// Reads answers; a host is a record.
pub(crate) struct Hosts {
    /// Check-ins later than this are reported.
    pub(crate) now: Timestamp,
}

impl RecordReader for Hosts {
    fn record(&self, raw: &[u8], at: &Provenance, _: &Known, sheet: &mut Sheet) {
        let fields = match Fields::parse(raw) {
            Ok(fields) => fields,
            Err(error) => return sheet.skip(at, format!("is no answer of Foreman: {error}")),
        };
        if fields.raw("results").is_some() && fields.raw("name").is_none() {
            return self.page(&fields, at, sheet);
        }
        let outcome = match fields.get::<Fields<'_>>("host") {
            Ok(Some(host)) => host::read(host, &fields, at, self.now, sheet),
            Ok(None) => match fields.raw("error") {
                Some(error) => Err(format!("is an error of Foreman: {}", excerpt(error.get()))),
                None => host::read(fields, &Fields::default(), at, self.now, sheet),
            },
            Err(why) => Err(why),
        };
        if let Err(why) = outcome {
            sheet.skip(at, why);
        }
    }
}

impl Hosts {
    fn page(&self, fields: &Fields<'_>, at: &Provenance, sheet: &mut Sheet) {
        let rows = match fields.get::<Vec<&RawValue>>("results") {
            Ok(rows) => rows.unwrap_or_default(),
            Err(why) => return sheet.skip(at, format!("is no page of hosts: {why}")),
        };
        if rows.is_empty() {
            sheet.note(at, "holds no records");
        }
        let all = lists::total(fields).unwrap_or_default();
        if all > rows.len() as u64 {
            let what = format!(
                "holds {} of {all} hosts; the other pages should be beside it",
                rows.len()
            );
            sheet.note(at, what);
        }
        for (raw, record) in rows.into_iter().zip(1..) {
            let at = Provenance { record, ..at.clone() };
            let outcome = match Fields::parse(raw.get().as_bytes()) {
                Ok(host) => host::read(host, &Fields::default(), &at, self.now, sheet),
                Err(error) => Err(format!("is no host: {error}")),
            };
            if let Err(why) = outcome {
                sheet.skip(&at, why);
            }
        }
    }
}

/// A text that is not empty; what is no text says nothing.
fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    let text = fields.get::<Text<'_>>(name).ok()??;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
