//! `ansible-facts`: facts as Ansible keeps them, one file a host.
//!
//! Two shapes: the files of the `jsonfile` fact cache, and those of `ansible -m setup --tree DIR`, which stand in
//! `ansible_facts`. Neither says whose facts they are: the asset is the name of the file (`inventory_hostname`), without
//! `.json` where that stands at its end. Facts are as old as `ansible_date_time`; a file without it is skipped, so
//! `package_facts` alone is not enough: gather `setup` before it into the same cache.
//!
//! `package_facts` tells what the package manager calls installed, and neither holds, half-configured packages nor
//! source packages; that is noted for hosts with apt, whose vendors publish by source package, and such a host is unknown
//! where fixes are named so. A value that Ansible wrapped (`__ansible_unsafe`) is that value, one in a vault is unknown.

mod packages;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use patchwave_core::observe::{Batch, Facts, Identity, Kernel, Os, Provenance};
use serde_json::value::RawValue;

use crate::container::document_name;
use crate::cut::{EMPTY, without_mark};
use crate::documents::read_documents;
use crate::fields::{Fields, Text, excerpt, instant};
use crate::os_names::os_of;
use crate::reading::{Reading, asset_name};
use crate::sheet::Sheet;
use crate::{FormatEntry, InputFile};

/// What Ansible and firmware say where there is nothing.
const NOTHING: &[&str] = &[
    "NA",
    "N/A",
    "None",
    "Not Specified",
    "Unknown",
    "Default string",
    "To Be Filled By O.E.M.",
];

/// Reads every file, in order of the paths. A file is a record.
pub(crate) fn read(entry: &FormatEntry, source: &Arc<str>, files: &[InputFile<'_>], now: Timestamp) -> Batch {
    read_documents(entry, source, files, &|bytes, at, sheet| {
        let bytes = without_mark(bytes).trim_ascii();
        if bytes.is_empty() {
            return sheet.note(at, EMPTY);
        }
        let at = Provenance {
            record: 1,
            ..at.clone()
        };
        if let Err(why) = host(bytes, &at, now, sheet) {
            sheet.skip(&at, why);
        }
    })
}

fn host(bytes: &[u8], at: &Provenance, now: Timestamp, sheet: &mut Sheet) -> Result<(), String> {
    let name = document_name(&at.file).unwrap_or_default();
    let name = name.strip_suffix(".json").unwrap_or(&name);
    let name = asset_name(name).map_err(|why| format!("the file is to be called as its host: {why}"))?;
    let whole = Fields::parse(bytes).map_err(|error| format!("is no facts of a host: {error}"))?;
    let fields = match whole.get::<Fields<'_>>("ansible_facts")? {
        Some(inner) => inner,
        None => failed(whole, &name)?,
    };
    let facts = Gathered(fields);
    let observed_at = facts.time().ok_or_else(|| {
        format!("{name} has no `ansible_date_time`, and facts without a time cannot be trusted; gather `setup` as well")
    })?;
    let mut reading = Reading {
        fields: Fields::default(),
        name: &name,
        at,
        sheet,
    };
    let windows = facts
        .text("os_family", &mut reading)
        .is_some_and(|family| &*family == "Windows");
    let read = Facts {
        identity: identity(&facts, &mut reading),
        os: os(&facts, &mut reading),
        // What Windows calls its kernel is its build without the revision.
        kernel: facts
            .text("kernel", &mut reading)
            .filter(|_| !windows)
            .map(|running| Kernel {
                running: Some(running),
                default_boot: None,
            }),
        boot_time: facts
            .value::<i64>("uptime_seconds", &mut reading)
            .filter(|seconds| *seconds >= 0)
            .and_then(|seconds| observed_at.checked_sub(SignedDuration::from_secs(seconds)).ok()),
        pending_reboot: facts.value("reboot_pending", &mut reading),
        ..Facts::default()
    };
    if let Some(raw) = facts.raw("packages") {
        packages::read(raw, &mut reading);
    }
    sheet.take_asset(at, name, (observed_at, now), read);
    Ok(())
}

/// What a host left that could not be asked.
fn failed<'a>(whole: Fields<'a>, name: &str) -> Result<Fields<'a>, String> {
    let said = |field| whole.get::<bool>(field).ok().flatten() == Some(true);
    if said("unreachable") || said("failed") {
        let why = whole.raw("msg").map_or("", RawValue::get);
        return Err(format!("{name} could not be asked: {}", excerpt(why)));
    }
    Ok(whole)
}

/// Facts by their names without `ansible_`, which stand with it and, inside `ansible_facts` of newer callers, without.
struct Gathered<'a>(Fields<'a>);

impl<'a> Gathered<'a> {
    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let raw = self.0.raw(&format!("ansible_{name}")).or_else(|| self.0.raw(name))?;
        Some(unwrapped(raw))
    }

    fn value<T: serde::Deserialize<'a>>(&self, name: &str, reading: &mut Reading<'_, '_>) -> Option<T> {
        let raw = self.raw(name)?;
        serde_json::from_str(raw.get())
            .map_err(|error| reading.drop_field(&crate::fields::fault(name, raw, &error)))
            .ok()
    }

    /// A text that says something.
    fn text(&self, name: &str, reading: &mut Reading<'_, '_>) -> Option<Arc<str>> {
        let text: Text<'a> = self.value(name, reading)?;
        let text = text.trim();
        (!text.is_empty() && !NOTHING.iter().any(|nothing| nothing.eq_ignore_ascii_case(text))).then(|| text.into())
    }

    fn time(&self) -> Option<Timestamp> {
        let time: Fields<'a> = serde_json::from_str(self.raw("date_time")?.get()).ok()?;
        let text = |name| {
            let text: Text<'a> = serde_json::from_str(unwrapped(time.raw(name)?).get()).ok()?;
            Some(text)
        };
        let epoch = || Timestamp::from_second(text("epoch")?.trim().parse().ok()?).ok();
        text("iso8601").and_then(|text| instant(&text)).or_else(epoch)
    }
}

/// The value that Ansible marked as untrusted, or with tags of its own.
fn unwrapped(raw: &RawValue) -> &RawValue {
    let Ok(fields) = Fields::parse(raw.get().as_bytes()) else {
        return raw;
    };
    let tagged = fields.raw("__ansible_type").and_then(|_| fields.raw("value"));
    fields.raw("__ansible_unsafe").or(tagged).unwrap_or(raw)
}

fn identity(facts: &Gathered<'_>, reading: &mut Reading<'_, '_>) -> Identity {
    let fqdn = facts.text("fqdn", reading);
    Identity {
        machine_id: facts.text("machine_id", reading),
        // Where the host cannot resolve its own name it is that of its loopback.
        fqdn: fqdn.filter(|name| !name.contains("localhost")),
        serial: facts.text("product_serial", reading),
        bios_uuid: facts.text("product_uuid", reading),
    }
}

fn os(facts: &Gathered<'_>, reading: &mut Reading<'_, '_>) -> Option<Os> {
    let distribution = facts.text("distribution", reading)?;
    let version = facts.text("distribution_version", reading).unwrap_or_default();
    let arch = facts.text("architecture", reading).unwrap_or_default();
    let name = format!("{distribution} {version}");
    let os = os_of(&name, &arch);
    if os.is_none() {
        let what = format!("no operating system and version can be told from `{}`", excerpt(&name));
        reading.sheet.tally(&reading.at.file, &what, 1);
    }
    os
}
