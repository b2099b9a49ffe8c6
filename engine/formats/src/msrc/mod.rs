//! `msrc`: the monthly documents of the Microsoft Security Response Center, CVRF as JSON or XML.
//!
//! Shape: <https://api.msrc.microsoft.com/cvrf/v3.0/swagger/v3/swagger.json>; `GET /cvrf/v3.0/cvrf/2026-Nov` gives JSON
//! with `Accept: application/json`, else XML. A vulnerability is a record and becomes one advisory.
//!
//! What is compared is the build of Windows: each remediation that names the fixed build of a Windows gives one fix for
//! that branch, with the article that brings it. Where a branch is a client and a server (10.0.26100 is Windows 11 24H2 and
//! Windows Server 2025) and their fixes differ, each is for its edition. Products without such a build (Office, SQL Server, .NET, Edge, …) are
//! counted by their family: no inventory reports their versions in a shape that could be compared.
//!
//! Times carry no zone; they are UTC (a release at ten in the morning in Redmond reads 07:00 or 08:00 of that day, the
//! midnight there).

mod json;
mod markup;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use patchwave_core::observe::{Batch, Provenance};

use crate::cut::{EMPTY, split, without_mark};
use crate::documents::read_documents;
use crate::sheet::Sheet;
use crate::{FormatEntry, InputFile};

/// Reads every document, in order of the paths.
pub(crate) fn read(entry: &FormatEntry, source: &Arc<str>, files: &[InputFile<'_>]) -> Batch {
    read_documents(entry, source, files, &document)
}

fn document(bytes: &[u8], at: &Provenance, sheet: &mut Sheet) {
    let bytes = without_mark(bytes).trim_ascii();
    let mut records = Records { at, sheet, record: 0 };
    if bytes.first() == Some(&b'<') {
        markup::read(bytes, &mut records);
    } else {
        match split(bytes) {
            _ if bytes.is_empty() => {}
            Ok(documents) => {
                for (range, _) in documents {
                    json::read(bytes.get(range).unwrap_or_default(), &mut records);
                }
            }
            Err(why) => records.skip(&format!("is neither JSON nor XML: {why}")),
        }
    }
    if records.record == 0 {
        sheet.note(at, EMPTY);
    }
}

/// Where the records of a document go; they are counted through.
struct Records<'r> {
    at: &'r Provenance,
    sheet: &'r mut Sheet,
    record: u32,
}

impl Records<'_> {
    fn next(&mut self) -> Provenance {
        self.record += 1;
        Provenance {
            record: self.record,
            ..self.at.clone()
        }
    }

    fn skip(&mut self, why: &str) {
        let at = self.next();
        self.sheet.skip(&at, why);
    }

    fn vulnerability(&mut self, vulnerability: &Vulnerability, products: &Products) {
        let at = self.next();
        record::take(vulnerability, products, &at, self.sheet);
    }
}

/// Products of a document by their ids.
type Products = BTreeMap<String, Product>;

/// A product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Product {
    name: String,
    /// `Windows`, `Developer Tools`, …; empty if the tree does not say.
    family: String,
}

/// What a document says of one vulnerability, as it stands there. Faults of fields are told where they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Vulnerability {
    id: String,
    /// Ids of products that are known to be affected.
    affected: Vec<String>,
    /// What kind, of which products, and what is said.
    threats: Vec<(Threat, Vec<String>, String)>,
    /// CVSS vectors.
    vectors: Vec<String>,
    remediations: Vec<Remediation>,
    /// Dates of the revisions.
    revisions: Vec<String>,
    /// What was dropped while reading, and why.
    lost: Vec<String>,
}

/// The kinds of threat that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Threat {
    /// Whether it is exploited.
    Exploit,
    /// How bad it is.
    Severity,
}

/// A fix of the vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Remediation {
    products: Vec<String>,
    /// The article, or what else is written there (`Release Notes`).
    article: String,
    /// `Security Update`, `Monthly Rollup`, ….
    sort: String,
    build: String,
    restart: String,
}
