//! `wsus`: what a Windows Server Update Services server knows of its computers, as the shipped script exports it.
//!
//! The contract of the export, version 1. One JSON object a server, UTF-8 or UTF-16 with a byte order mark:
//!
//! ```json
//! {"version": 1, "server": "wsus01.corp.example", "generated_at": "2026-11-20T19:00:00Z", "computers": [
//!   {"id": "6f1c…", "fqdn": "web7.corp.example", "os": "Windows Server 2022 Standard", "os_build": "10.0.20348.2700",
//!    "arch": "AMD64", "groups": ["PW-Staging"], "last_reported": "2026-11-20T03:11:00Z", "updates": [
//!      {"update_id": "fb95c1c8-de23-4089-ae29-fd3351d55421", "revision": 201, "kbs": ["5034439"],
//!       "title": "2026-11 Cumulative Update …", "state": "NotInstalled", "approval": "Install",
//!       "eula": false, "uninstallable": false, "superseded": false}]}]}
//! ```
//!
//! - Needed are `fqdn` of a computer, and `update_id`, `revision` and `state` of an update. Everything else may be
//!   missing, and missing is unknown. `version` may be missing and is then 1.
//! - `state` is the name of an `UpdateInstallationState`, `approval` that of an `UpdateApprovalAction`, both as text
//!   (`.ToString()`): as numbers, which is what ConvertTo-Json makes of an enumeration, they are not taken.
//! - Instants are UTC: what the API of the server gives has no kind, so the script says `SpecifyKind(…, 'Utc')`.
//! - `os_build` (`osBuild` is as good) is the build with its update revision.
//! - A list of one may be its element, an instant `/Date(…)/`; see [`powershell`].
//!
//! Facts are as old as `last_reported`, not as the export. A computer that never reported, or without that instant,
//! stays an asset, but nothing of its updates or build is believed.

mod powershell;
#[cfg(test)]
mod tests;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::{Batch, Facts, Identity, Os, Provenance};

use crate::cut::{EMPTY, split, without_mark};
use crate::documents::read_documents;
use crate::fields::{Fields, Text, excerpt};
use crate::os_names::machine;
use crate::reading::{Reading, asset_name};
use crate::sheet::Sheet;
use crate::windows::{build_of, release_of};
use crate::{FormatEntry, InputFile};

use updates::Texts;

/// The version of the contract that is read.
const VERSION: u64 = 1;
/// Groups that every computer is in, or that say that it is in none.
const BUILT_IN_GROUPS: &[&str] = &["All Computers", "Unassigned Computers"];
const FIELDS: &[&str] = &[
    "id",
    "fqdn",
    "os",
    "os_build",
    "osBuild",
    "arch",
    "groups",
    "last_reported",
    "updates",
];

/// Reads every export, in order of the paths. A computer is a record.
pub(crate) fn read(entry: &FormatEntry, source: &Arc<str>, files: &[InputFile<'_>], now: Timestamp) -> Batch {
    read_documents(entry, source, files, &|bytes, at, sheet| {
        document(bytes, at, now, sheet)
    })
}

/// One export, or an array or lines of them; computers are counted through.
fn document(bytes: &[u8], at: &Provenance, now: Timestamp, sheet: &mut Sheet) {
    let bytes = without_mark(bytes).trim_ascii();
    let exports = match split(bytes) {
        _ if bytes.is_empty() => Vec::new(),
        Ok(exports) => exports,
        Err(why) => return sheet.skip(at, format!("is not JSON: {why}")),
    };
    if exports.is_empty() {
        sheet.note(at, EMPTY);
    }
    let mut record = 0;
    let mut texts = Texts::default();
    for (range, _) in exports {
        let raw = bytes.get(range).unwrap_or_default();
        if let Err(why) = export(raw, at, now, &mut record, &mut texts, sheet) {
            record += 1;
            sheet.skip(
                &Provenance { record, ..at.clone() },
                format!("is no export of WSUS: {why}"),
            );
        }
    }
}

/// What an export says of itself.
struct Export {
    server: Option<Arc<str>>,
    generated: Option<Timestamp>,
    now: Timestamp,
}

fn export(
    raw: &[u8],
    at: &Provenance,
    now: Timestamp,
    record: &mut u32,
    texts: &mut Texts,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let fields = Fields::parse(raw).map_err(|error| error.to_string())?;
    let version = fields.get::<u64>("version")?.unwrap_or(VERSION);
    if version != VERSION {
        return Err(format!(
            "it has version {version}, and this patchwave reads version {VERSION}"
        ));
    }
    let computers = fields.raw("computers").ok_or("it has no `computers`")?;
    let computers = powershell::list(computers).map_err(|why| format!("`computers` cannot be read: {why}"))?;
    let mut lose = |why: String| sheet.drop_field(at, why);
    let export = Export {
        server: fields
            .get::<Text<'_>>("server")
            .unwrap_or_else(|why| {
                lose(why);
                None
            })
            .map(|text| Arc::from(text.trim()))
            .filter(|text: &Arc<str>| !text.is_empty()),
        generated: fields.raw("generated_at").and_then(|raw| {
            powershell::time(raw).unwrap_or_else(|why| {
                lose(format!("field `generated_at` was dropped: {why}"));
                None
            })
        }),
        now,
    };
    if computers.is_empty() {
        sheet.note(at, EMPTY);
    }
    for raw in computers {
        *record += 1;
        let at = Provenance {
            record: *record,
            ..at.clone()
        };
        let read = match powershell::cut_off(raw) {
            Some(why) => Err(why),
            None => computer(raw.get().as_bytes(), &at, &export, texts, sheet),
        };
        if let Err(why) = read {
            sheet.skip(&at, format!("is no computer: {why}"));
        }
    }
    Ok(())
}

fn computer(raw: &[u8], at: &Provenance, export: &Export, texts: &mut Texts, sheet: &mut Sheet) -> Result<(), String> {
    let fields = Fields::parse(raw).map_err(|error| error.to_string())?;
    let fqdn: Text<'_> = fields.get("fqdn")?.ok_or("it has no `fqdn`, the name of the machine")?;
    let name = asset_name(fqdn.trim())?;
    for (field, _) in &fields.0 {
        if !FIELDS.contains(&&**field) {
            let what = format!("field `{}` is no field of a computer and was ignored", excerpt(field));
            sheet.tally(&at.file, &what, 1);
        }
    }
    let mut reading = Reading {
        fields,
        name: &name,
        at,
        sheet,
    };
    let reported = reported(&mut reading);
    let Some(observed_at) = reported.or(export.generated) else {
        return Err(format!(
            "{name} has no `last_reported` and the export no `generated_at`, and facts without a time cannot be trusted"
        ));
    };
    let mut facts = Facts {
        identity: Identity {
            fqdn: Some(name.to_ascii_lowercase().into()),
            ..Identity::default()
        },
        labels: labels(&mut reading, export),
        os: Some(os(&mut reading)),
        ..Facts::default()
    };
    if reported.is_some() {
        facts.os_build = build(&mut reading);
        updates::read(&mut reading, texts, &mut facts);
    } else {
        let file = &at.file;
        let what = "a computer has never reported, or nobody knows when; its updates and build are unknown";
        reading.sheet.tally(file, what, 1);
    }
    sheet.take_asset(at, name, (observed_at, export.now), facts);
    Ok(())
}

fn reported(reading: &mut Reading<'_, '_>) -> Option<Timestamp> {
    let raw = reading.fields.raw("last_reported")?;
    powershell::time(raw).unwrap_or_else(|why| {
        reading.drop_field(&format!("field `last_reported` was dropped: {why}"));
        None
    })
}

/// The server, and the groups that people made: `wsus/server`, and `wsus/group.<name>` = `true`.
fn labels(reading: &mut Reading<'_, '_>, export: &Export) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut labels = BTreeMap::new();
    if let Some(server) = &export.server {
        labels.insert("wsus/server".into(), Arc::clone(server));
    }
    let groups = reading
        .fields
        .raw("groups")
        .map(powershell::list)
        .transpose()
        .unwrap_or_else(|why| {
            reading.drop_field(&format!("field `groups` was dropped: {why}"));
            None
        });
    for raw in groups.unwrap_or_default() {
        match powershell::word(raw) {
            Some(group) if BUILT_IN_GROUPS.contains(&group.as_str()) || group.is_empty() => {}
            Some(group) => {
                labels.insert(format!("wsus/group.{group}").into(), "true".into());
            }
            None => reading.drop_field(&format!("a group was dropped: {} is no name", excerpt(raw.get()))),
        }
    }
    labels
}

/// Everything that reports to WSUS is Windows; which one, its description says.
fn os(reading: &mut Reading<'_, '_>) -> Os {
    let description = reading.text("os");
    let version = description.as_deref().and_then(release_of);
    if let (Some(description), None) = (&description, &version) {
        let what = format!("no release of Windows can be told from `{}`", excerpt(description));
        reading.sheet.tally(&reading.at.file, &what, 1);
    }
    let arch = reading.text("arch").unwrap_or_default();
    Os {
        family: "windows".into(),
        id: "windows".into(),
        version: version.unwrap_or_default().into(),
        arch: machine(&arch).into(),
    }
}

fn build(reading: &mut Reading<'_, '_>) -> Option<Arc<str>> {
    let text = reading.text("os_build").or_else(|| reading.text("osBuild"))?;
    let build = build_of(&text).map(Arc::from);
    if build.is_none() {
        reading.drop_field(&format!(
            "field `os_build` was dropped: `{}` is no build with its revision, such as 10.0.20348.2700",
            excerpt(&text)
        ));
    }
    build
}
