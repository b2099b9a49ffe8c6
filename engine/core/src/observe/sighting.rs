//! Sightings: everything that one source says of one name. Records of one source with different names are never
//! merged, so this is the smallest thing that identity looks at.

use std::cmp::Ordering;
use std::sync::Arc;

use super::asset::{AssetRecord, Facts, Identity};
use super::estate::Note;
use super::merge::note;
use super::tables::Tables;

/// Everything that one source says of one name.
#[derive(Debug)]
pub(super) struct Sighting {
    /// Which source; as large as [`LISTED`] for an asset that a Fleet lists.
    pub(super) origin: usize,
    /// The name as the newest record spells it.
    pub(super) name: Arc<str>,
    /// Its records, newest first; none for a listed asset.
    pub(super) records: Vec<AssetRecord>,
    /// The newest key of each kind that is one.
    pub(super) identity: Identity,
}

/// The "source" of what a Fleet lists by hand.
pub(super) const LISTED: usize = usize::MAX;

impl Sighting {
    /// An asset that a Fleet lists: it has a name, and nothing else to know it by.
    pub(super) fn listed(name: &str) -> Self {
        Self {
            origin: LISTED,
            name: name.into(),
            records: Vec::new(),
            identity: Identity::default(),
        }
    }
}

/// The sightings of one source, by name.
pub(super) fn sightings(
    origin: usize,
    mut records: Vec<AssetRecord>,
    tables: &Tables,
    notes: &mut Vec<Note>,
) -> Vec<Sighting> {
    records.sort_by(|a, b| compare_names(&a.name, &b.name).then_with(|| newest_first(a, b, tables)));
    let mut sightings: Vec<Sighting> = Vec::new();
    for record in records {
        match sightings.last_mut() {
            Some(last) if last.name.eq_ignore_ascii_case(&record.name) => {
                tell_oddities(last, &record, tables, notes);
                last.records.push(record);
            }
            _ => sightings.push(Sighting {
                origin,
                name: Arc::clone(&record.name),
                identity: Identity::default(),
                records: vec![record],
            }),
        }
    }
    for sighting in &mut sightings {
        let newest = |key: fn(&Identity) -> &Option<Arc<str>>| {
            sighting
                .records
                .iter()
                .find_map(|record| key(&record.facts.identity).clone().filter(|k| is_key(k)))
        };
        sighting.identity = Identity {
            machine_id: newest(|i| &i.machine_id),
            fqdn: newest(|i| &i.fqdn),
            serial: newest(|i| &i.serial),
            bios_uuid: newest(|i| &i.bios_uuid),
        };
    }
    sightings
}

/// Names are keys without regard to case; they are ASCII by their grammar.
pub(super) fn compare_names(a: &str, b: &str) -> Ordering {
    let folded = |text: &str| text.bytes().map(|byte| byte.to_ascii_lowercase()).collect::<Vec<_>>();
    // Nearly all names are lowercase already; comparing them as they are saves the copies.
    match a.bytes().chain(b.bytes()).any(|byte| byte.is_ascii_uppercase()) {
        true => folded(a).cmp(&folded(b)),
        false => a.cmp(b),
    }
}

/// Newest first; of one time by content, so that the order of records in a file does not count.
fn newest_first(a: &AssetRecord, b: &AssetRecord, tables: &Tables) -> Ordering {
    b.observed_at.cmp(&a.observed_at).then_with(|| {
        content(&a.facts, tables)
            .cmp(&content(&b.facts, tables))
            .then_with(|| a.name.cmp(&b.name))
            .then_with(|| a.provenance.cmp(&b.provenance))
    })
}

/// A text that is the same for the same facts, whatever numbers the tables gave.
fn content(facts: &Facts, tables: &Tables) -> String {
    let list = |set: Option<super::PackageSetId>| {
        let mut rows: Vec<String> = set
            .map_or(&[][..], |set| tables.set(set))
            .iter()
            .map(|id| {
                let p = tables.package(*id);
                let texts = [p.name, p.version, p.arch, p.source, p.module].map(|symbol| tables.text(symbol));
                format!("{texts:?} {} {:?}", p.held, p.state)
            })
            .collect();
        rows.sort();
        (set.is_some(), rows)
    };
    let (packages, available) = (list(facts.packages), list(facts.available));
    let rest = Facts {
        packages: None,
        available: None,
        ..facts.clone()
    };
    format!("{rest:?} {packages:?} {available:?}")
}

fn tell_oddities(last: &Sighting, record: &AssetRecord, tables: &Tables, notes: &mut Vec<Note>) {
    if last.name != record.name {
        let message = format!(
            "source `{}` also spells it `{}`; names are the same asset without regard to case",
            record.provenance.source, record.name
        );
        note(notes, false, &last.name, message);
    }
    let before = last.records.last();
    if let Some(before) = before.filter(|before| before.observed_at == record.observed_at)
        && content(&before.facts, tables) != content(&record.facts, tables)
    {
        let message = format!(
            "source `{}` has two different observations of {}; one of them was preferred by its content",
            record.provenance.source, record.observed_at
        );
        note(notes, false, &last.name, message);
    }
}

/// Whether a value tells machines apart. Firmware without a serial number fills in phrases that thousands of machines
/// share; systemd writes `uninitialized` into images.
fn is_key(value: &str) -> bool {
    const PHRASES: &[&str] = &[
        "none",
        "n/a",
        "na",
        "null",
        "unknown",
        "uninitialized",
        "not specified",
        "not applicable",
        "not available",
        "default string",
        "system serial number",
        "to be filled by o.e.m.",
        "localhost",
        "localhost.localdomain",
        "localhost4",
        "localhost6",
    ];
    let value = value.trim();
    let repeated = value
        .bytes()
        .filter(|byte| *byte != b'-')
        .all(|byte| matches!(byte, b'0'))
        || value
            .bytes()
            .filter(|byte| *byte != b'-')
            .all(|byte| matches!(byte, b'f' | b'F'));
    !repeated && !PHRASES.iter().any(|phrase| phrase.eq_ignore_ascii_case(value))
}
