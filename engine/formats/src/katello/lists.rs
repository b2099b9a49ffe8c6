//! The lists beside a host: packages, and the errata that bring others.

use patchwave_core::lookup::Lookup;
use patchwave_core::observe::PackageId;
use serde_json::value::RawValue;

use super::text;
use crate::fields::{Fields, Text, excerpt};
use crate::reading::{Reading, Row, package};
use crate::sheet::ListField;

/// How many rows all pages of a list have together, as a page says: those that its search finds.
pub(super) fn total(page: &Fields<'_>) -> Option<u64> {
    ["subtotal", "total"]
        .into_iter()
        .find_map(|name| page.get::<u64>(name).ok().flatten())
}

/// The rows of a list that is whole.
///
/// # Errors
/// Why it is none, or not whole.
fn rows(raw: &RawValue) -> Result<Vec<&RawValue>, String> {
    let elements: Vec<&RawValue> = match raw.get().starts_with('[') {
        true => serde_json::from_str(raw.get()).map_err(|error| error.to_string())?,
        false => vec![raw],
    };
    let mut rows = Vec::new();
    let mut all = 0;
    for element in elements {
        let page = Fields::parse(element.get().as_bytes()).ok();
        match page.as_ref().filter(|page| page.raw("results").is_some()) {
            Some(page) => {
                rows.extend(page.get::<Vec<&RawValue>>("results")?.unwrap_or_default());
                all = total(page).unwrap_or_default().max(all);
            }
            None if raw.get().starts_with('[') => rows.push(element),
            None => return Err(format!("it reads {}, which is no page", excerpt(raw.get()))),
        }
    }
    if all > rows.len() as u64 {
        return Err(format!(
            "it holds {} of {all} rows, and what is not on it is not absent; ask for all pages",
            rows.len()
        ));
    }
    Ok(rows)
}

/// A package in parts.
struct Parts<'t> {
    name: &'t str,
    /// None where the text does not say.
    epoch: Option<&'t str>,
    /// Version and release.
    version: String,
    arch: &'t str,
}

impl Parts<'_> {
    /// In full, with an epoch only where it is not 0; `fallback` where the text does not say.
    fn full(&self, fallback: Option<&str>) -> String {
        match self.epoch.or(fallback) {
            Some(epoch) if epoch.bytes().any(|digit| digit != b'0') => format!("{epoch}:{}", self.version),
            _ => self.version.clone(),
        }
    }
}

/// `name-[epoch:]version-release.arch`, the epoch also before the name, as Katello has written it over the years.
fn parse(nvrea: &str) -> Option<Parts<'_>> {
    let nvrea = nvrea.trim();
    let nvrea = nvrea.strip_suffix(".rpm").unwrap_or(nvrea);
    let is_epoch = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, nvra) = match nvrea.split_once(':') {
        Some((epoch, rest)) if is_epoch(epoch) => (Some(epoch), rest),
        _ => (None, nvrea),
    };
    let (nvr, arch) = nvra.rsplit_once('.')?;
    let (nv, release) = nvr.rsplit_once('-')?;
    let (name, version) = nv.rsplit_once('-')?;
    let (epoch, version) = match version.split_once(':') {
        Some((epoch, version)) if is_epoch(epoch) => (Some(epoch), version),
        Some(_) => return None,
        None => (before, version),
    };
    let whole = [name, version, release, arch].iter().all(|part| !part.is_empty());
    whole.then(|| Parts {
        name,
        epoch,
        version: format!("{version}-{release}"),
        arch,
    })
}

/// What was lost of a list, told once with the first and how many more.
#[derive(Default)]
struct Lost {
    first: Option<String>,
    more: usize,
}

impl Lost {
    fn add(&mut self, why: String) {
        match self.first {
            None => self.first = Some(why),
            Some(_) => self.more += 1,
        }
    }

    fn report(self, list: &str, reading: &mut Reading<'_, '_>) {
        match (self.first, self.more) {
            (Some(why), 0) => reading.drop_field(&format!("`{list}`: {why}")),
            (Some(why), more) => reading.drop_field(&format!("`{list}`: {why}; and {more} more in this list")),
            (None, _) => {}
        }
    }
}

/// Epochs of installed packages by name.
type Epochs = Lookup<String, String>;

/// Reads the lists into the record that is pushed next.
pub(super) fn read(beside: &Fields<'_>, reading: &mut Reading<'_, '_>) {
    let mut installed: Vec<PackageId> = Vec::new();
    let mut newer: Vec<PackageId> = Vec::new();
    let mut epochs = Epochs::default();
    let list = |name: &str, reading: &mut Reading<'_, '_>| {
        let raw = beside.raw(name)?;
        let rows = rows(raw).map_err(|why| reading.drop_field(&format!("list `{name}` was dropped: {why}")));
        Some(rows.ok())
    };
    let (packages, deb_packages) = (list("packages", reading), list("debs", reading));
    // One that is not whole makes both together not whole.
    let whole = packages.as_ref().is_none_or(Option::is_some) && deb_packages.as_ref().is_none_or(Option::is_some);
    let told = packages.is_some() || deb_packages.is_some();
    if let Some(rows) = packages.flatten() {
        rpms(&rows, &mut epochs, &mut installed, &mut newer, reading);
    }
    if let Some(rows) = deb_packages.flatten() {
        debs(&rows, &mut installed, reading);
    }
    if let Some(rows) = list("errata", reading).flatten() {
        errata(&rows, &epochs, &mut newer, reading);
        // What is called upgradable alone is the newest of each package, and others could be installed as well.
        reading.sheet.give_list(ListField::Available, newer);
    }
    if let Some(rows) = list("applicable", reading).flatten() {
        let beyond = rows.iter().filter(|raw| {
            let row = Fields::parse(raw.get().as_bytes()).ok();
            row.and_then(|row| row.get::<bool>("installable").ok()?) == Some(false)
        });
        let beyond = beyond.count() as u64;
        if beyond > 0 {
            let what = "errata are applicable to a host but not in its content";
            reading.sheet.tally(&reading.at.file, what, beyond);
        }
    }
    if told && whole && installed.is_empty() {
        let what = "a host has no package at all, which only one has that has not told them; they are unknown";
        reading.sheet.tally(&reading.at.file, what, 1);
    } else if told && whole {
        reading.sheet.give_list(ListField::Packages, installed);
    }
}

fn rpms(
    rows: &[&RawValue],
    epochs: &mut Epochs,
    installed: &mut Vec<PackageId>,
    newer: &mut Vec<PackageId>,
    reading: &mut Reading<'_, '_>,
) {
    let mut lost = Lost::default();
    let mut without_epoch = 0;
    let mut upgradable: Vec<String> = Vec::new();
    for raw in rows {
        let row = Fields::parse(raw.get().as_bytes()).unwrap_or_default();
        let (nvrea, nvra) = (text(&row, "nvrea"), text(&row, "nvra"));
        let Some(parts) = nvrea.as_deref().or(nvra.as_deref()).and_then(parse) else {
            lost.add(format!(
                "{} was dropped: it is no package with a name, version, release and architecture",
                excerpt(raw.get())
            ));
            continue;
        };
        without_epoch += u64::from(nvrea.is_none());
        if let Some(epoch) = parts.epoch {
            epochs.insert(parts.name.to_owned(), epoch.to_owned());
        }
        add(&parts, None, installed, &mut lost, reading);
        match row.get::<Vec<Text<'_>>>("upgradable_versions") {
            Ok(Some(versions)) => {
                upgradable.extend(versions.iter().map(|version| version.trim().to_owned()));
            }
            Ok(None) => {}
            Err(why) => lost.add(why),
        }
    }
    add_all(&upgradable, epochs, newer, &mut lost, reading);
    if without_epoch > 0 {
        let what = "a package is told without `nvrea`, so its epoch is unknown and taken as 0";
        reading.sheet.tally(&reading.at.file, what, without_epoch);
    }
    lost.report("packages", reading);
}

fn debs(rows: &[&RawValue], installed: &mut Vec<PackageId>, reading: &mut Reading<'_, '_>) {
    let mut lost = Lost::default();
    for raw in rows {
        let row = Fields::parse(raw.get().as_bytes()).unwrap_or_default();
        let field = |name: &str| text(&row, name).unwrap_or_default();
        let (name, version) = (field("name"), field("version"));
        let arch = text(&row, "architecture").unwrap_or_else(|| field("arch"));
        let row = Row {
            name: &name,
            version: &version,
            arch: &arch,
            source: "",
        };
        match package(row, &mut reading.sheet.batch.tables) {
            Ok(id) => installed.push(id),
            Err(why) => lost.add(why),
        }
    }
    lost.report("debs", reading);
}

/// Packages that errata bring which the host can install now.
fn errata(rows: &[&RawValue], epochs: &Epochs, available: &mut Vec<PackageId>, reading: &mut Reading<'_, '_>) {
    let mut lost = Lost::default();
    for raw in rows {
        let Ok(row) = Fields::parse(raw.get().as_bytes()) else {
            lost.add(format!("{} was dropped: it is no erratum", excerpt(raw.get())));
            continue;
        };
        if row.get::<bool>("installable").ok().flatten() == Some(false) {
            continue;
        }
        match row.get::<Vec<Text<'_>>>("packages") {
            Ok(packages) => {
                let names: Vec<String> = packages
                    .unwrap_or_default()
                    .iter()
                    .map(|name| name.trim().to_owned())
                    .collect();
                add_all(&names, epochs, available, &mut lost, reading);
            }
            Err(why) => lost.add(why),
        }
    }
    lost.report("errata", reading);
}

fn add_all(
    names: &[String],
    epochs: &Epochs,
    into: &mut Vec<PackageId>,
    lost: &mut Lost,
    reading: &mut Reading<'_, '_>,
) {
    for name in names {
        match parse(name) {
            Some(parts) if matches!(parts.arch, "src" | "nosrc") => {}
            Some(parts) => add(&parts, epochs.get(parts.name).map(String::as_str), into, lost, reading),
            None => lost.add(format!("`{}` was dropped: it is no package", excerpt(name))),
        }
    }
}

fn add(
    parts: &Parts<'_>,
    epoch: Option<&str>,
    into: &mut Vec<PackageId>,
    lost: &mut Lost,
    reading: &mut Reading<'_, '_>,
) {
    let version = parts.full(epoch);
    let row = Row {
        name: parts.name,
        version: &version,
        arch: parts.arch,
        source: "",
    };
    match package(row, &mut reading.sheet.batch.tables) {
        Ok(id) => into.push(id),
        Err(why) => lost.add(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nvrea_is_taken_apart_wherever_the_epoch_stands() {
        let shown =
            |text: &str, epoch: Option<&str>| parse(text).map(|p| format!("{} {} {}", p.name, p.full(epoch), p.arch));
        for (text, expected) in [
            (
                "openssl-libs-1:3.0.7-27.el9.x86_64",
                "openssl-libs 1:3.0.7-27.el9 x86_64",
            ),
            (
                "1:openssl-libs-3.0.7-27.el9.x86_64",
                "openssl-libs 1:3.0.7-27.el9 x86_64",
            ),
            ("bash-0:5.1.8-9.el9.x86_64.rpm", "bash 5.1.8-9.el9 x86_64"),
            ("penguin-0.9.1-1.noarch", "penguin 0.9.1-1 noarch"),
        ] {
            assert_eq!(shown(text, None).as_deref(), Some(expected));
        }
        assert_eq!(shown("a-1-2.noarch", Some("32")).as_deref(), Some("a 32:1-2 noarch"));
        assert_eq!(shown("a-0:1-2.noarch", Some("32")).as_deref(), Some("a 1-2 noarch"));
        for text in [
            "",
            "bash",
            "bash-5",
            "bash-5-1",
            "-5-1.noarch",
            "a-x:5-1.noarch",
            "a-5-.noarch",
        ] {
            assert_eq!(shown(text, None), None, "{text}");
        }
    }
}
