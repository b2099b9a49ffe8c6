//! What `package_facts` tells: for each name a list, because several versions or architectures may be installed.

use patchwave_core::observe::PackageId;
use serde_json::value::RawValue;

use super::unwrapped;
use crate::fields::{Fields, Text, excerpt, fault};
use crate::reading::{Reading, Row, package};
use crate::sheet::ListField;

/// Reads the packages into the record that is pushed next.
pub(super) fn read(raw: &RawValue, reading: &mut Reading<'_, '_>) {
    let names = match Fields::parse(raw.get().as_bytes()) {
        Ok(names) => names,
        Err(error) => return reading.drop_field(&fault("packages", raw, &error)),
    };
    let mut packages: Vec<PackageId> = Vec::new();
    let mut first_lost: Option<String> = None;
    let mut more_lost = 0;
    let mut debs = 0;
    for (name, raw) in &names.0 {
        let rows = serde_json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or_else(|_| vec![raw]);
        for raw in rows {
            match one(name, unwrapped(raw), reading) {
                Ok((id, deb)) => {
                    packages.push(id);
                    debs += u64::from(deb);
                }
                Err(why) if first_lost.is_none() => first_lost = Some(why),
                Err(_) => more_lost += 1,
            }
        }
    }
    match (first_lost, more_lost) {
        (Some(why), 0) => reading.drop_field(&format!("`packages`: {why}")),
        (Some(why), more) => reading.drop_field(&format!("`packages`: {why}; and {more} more in this list")),
        (None, _) => {}
    }
    let file = &reading.at.file;
    if debs > 0 {
        let what = "package_facts does not tell held, half-configured or source packages; fixes that Debian and Ubuntu \
                    publish by source are found only for packages of the same name";
        reading.sheet.tally(file, what, 1);
    }
    if packages.is_empty() {
        let what = "a host has no package at all, which only one has that has not told them; they are unknown";
        return reading.sheet.tally(file, what, 1);
    }
    reading.sheet.give_list(ListField::Packages, packages);
}

/// A row of rpm has version, release and epoch apart, one of apt has all in its version; `source` is the manager.
fn one(name: &str, raw: &RawValue, reading: &mut Reading<'_, '_>) -> Result<(PackageId, bool), String> {
    let lost = |why: &str| {
        format!(
            "`{}` was dropped: {why}; it reads {}",
            excerpt(name),
            excerpt(raw.get())
        )
    };
    let row = Fields::parse(raw.get().as_bytes()).map_err(|_| lost("it is no package"))?;
    let text = |field: &str| -> Option<String> {
        let raw = unwrapped(row.raw(field)?);
        let text = serde_json::from_str::<Text<'_>>(raw.get())
            .map(|text| text.trim().to_owned())
            .ok();
        let text = text.or_else(|| {
            serde_json::from_str::<u64>(raw.get())
                .map(|number| number.to_string())
                .ok()
        })?;
        (!text.is_empty() && text != "(none)").then_some(text)
    };
    let mut version = text("version").ok_or_else(|| lost("it has no version"))?;
    if let Some(release) = text("release") {
        version = format!("{version}-{release}");
    }
    let epoch = text("epoch").unwrap_or_default();
    if !epoch.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(lost("its epoch is no number"));
    }
    if epoch.bytes().any(|digit| digit != b'0') {
        version = format!("{epoch}:{version}");
    }
    let (name, arch) = (
        text("name").unwrap_or_else(|| name.to_owned()),
        text("arch").unwrap_or_default(),
    );
    let deb = text("source").is_some_and(|manager| manager == "apt");
    let row = Row {
        name: &name,
        version: &version,
        arch: &arch,
        source: "",
    };
    package(row, &mut reading.sheet.batch.tables).map(|id| (id, deb))
}
