//! Advisories when merging: the resources people write, the newest copy of each record, and KEV joined onto them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::advisory::{AdvisoryRecord, Ecosystem, Exploited, ExploitedRecord, Fix};
use super::asset::Provenance;
use super::ecosystem::OsvEcosystem;
use super::estate::Note;
use super::merge::{MergeInput, note};
use crate::load::wire::{AdvisoryFix, AdvisorySpec, AdvisoryType, ComponentKind, ComponentMatch};
use crate::name::Severity;
use crate::time::Boundary;
use jiff::tz::TimeZone;

/// The records of one source, each id once. A feed that holds an older copy of a record beside a newer one means the
/// newer: an old copy must not bring back what was withdrawn. Copies that were modified at the same time are parts of
/// one (some feeds write a file for each release): their fixes and aliases are put together.
pub(super) fn newest(mut records: Vec<AdvisoryRecord>, notes: &mut Vec<Note>) -> Vec<AdvisoryRecord> {
    records.sort_by(|a, b| {
        let key = |r: &AdvisoryRecord| (r.modified, r.withdrawn);
        a.id.cmp(&b.id)
            .then_with(|| key(b).cmp(&key(a)))
            .then_with(|| a.provenance.cmp(&b.provenance))
    });
    let mut kept: Vec<AdvisoryRecord> = Vec::with_capacity(records.len());
    for record in records {
        match kept.last_mut() {
            Some(last) if last.id == record.id => {
                let same_time = (last.modified, last.withdrawn) == (record.modified, record.withdrawn);
                if same_time {
                    put_together(last, record);
                } else {
                    let message = format!(
                        "stands twice in source `{}`, modified at different times; the copy in {} is newer and counts",
                        record.provenance.source, last.provenance.file
                    );
                    note(notes, false, &record.id, message);
                }
            }
            _ => kept.push(record),
        }
    }
    kept
}

fn put_together(into: &mut AdvisoryRecord, part: AdvisoryRecord) {
    into.severity = into.severity.max(part.severity);
    into.types.extend(part.types);
    into.types.sort();
    into.types.dedup();
    into.aliases.extend(part.aliases);
    into.aliases.sort();
    into.aliases.dedup();
    into.fixes.extend(part.fixes);
    into.fixes.sort();
    into.fixes.dedup();
}

/// The Advisory resources as records.
pub(super) fn own(input: &MergeInput<'_>, notes: &mut Vec<Note>) -> Vec<AdvisoryRecord> {
    input
        .advisories
        .iter()
        .map(|(name, spec, at)| record(name, spec, at, input.zone, notes))
        .collect()
}

/// An Advisory resource as a record; what matches nothing is noted.
pub(crate) fn record(
    name: &str,
    spec: &AdvisorySpec,
    at: &Provenance,
    zone: &TimeZone,
    notes: &mut Vec<Note>,
) -> AdvisoryRecord {
    let id: Arc<str> = spec.id.as_deref().unwrap_or(name).into();
    let mut aliases: Vec<Arc<str>> = spec.aliases.iter().map(|alias| Arc::from(alias.as_str())).collect();
    aliases.retain(|alias| *alias != id);
    aliases.sort();
    aliases.dedup();
    let start = |when: Option<crate::time::When>| when.map(|when| when.resolve(Boundary::Start, zone));
    let exploited = (spec.exploited || spec.exploited_since.is_some()).then(|| Exploited {
        since: start(spec.exploited_since),
        ransomware: None,
        provenance: Some(at.clone()),
    });
    let mut fixes = Vec::new();
    for fix in &spec.fixes {
        match own_fix(fix) {
            Ok(fix) => fixes.push(fix),
            Err(why) => note(notes, false, &id, why),
        }
    }
    fixes.sort();
    fixes.dedup();
    AdvisoryRecord {
        id,
        aliases,
        severity: spec.severity.unwrap_or(Severity::Unknown),
        types: if spec.types.is_empty() {
            vec![AdvisoryType::Security]
        } else {
            spec.types.clone()
        },
        published: start(spec.published),
        modified: None,
        withdrawn: None,
        fixes,
        reboot: None,
        exploited,
        cves: Vec::new(),
        provenance: at.clone(),
    }
}

/// A fix of an Advisory resource as the fix of a record.
///
/// # Errors
/// Why it cannot be matched with any asset, for people.
pub fn own_fix(fix: &AdvisoryFix) -> Result<Fix, String> {
    match (&fix.ecosystem, &fix.package, &fix.component) {
        (Some(ecosystem), Some(package), _) => package_fix(fix, ecosystem, package),
        (_, _, Some(component)) => Ok(component_fix(fix, component)),
        _ => Err("has a fix with neither `ecosystem` and `package` nor `component`; it matches nothing".to_owned()),
    }
}

fn package_fix(fix: &AdvisoryFix, ecosystem: &str, package: &str) -> Result<Fix, String> {
    let Some(read) = OsvEcosystem::parse(ecosystem) else {
        return Err(format!(
            "names ecosystem `{ecosystem}`, which no asset can be matched with; write for example `AlmaLinux:9`"
        ));
    };
    Ok(Fix {
        by_source: read.by_source,
        entitlement: read.entitlement.map(Arc::from),
        ..range(fix, read.ecosystem, package.into())
    })
}

/// The fix of a component, as [`super::parts_of`] gives parts of assets: the kind stands where a distribution does, the
/// vendor where its release does, both in lower case; without product the name is empty.
fn component_fix(fix: &AdvisoryFix, component: &ComponentMatch) -> Fix {
    let lower = |text: &Option<String>| text.as_ref().map(|text| Arc::<str>::from(text.to_lowercase()));
    // Nobody else makes these two kinds, so whatever vendor is written means them.
    let one_vendor = matches!(component.kind, ComponentKind::Kubernetes | ComponentKind::Os);
    let vendor = lower(&component.vendor);
    let by_kind = || component.kind.scheme_of(vendor.as_deref().unwrap_or_default());
    let ecosystem = Ecosystem {
        scheme: component.scheme.unwrap_or_else(by_kind),
        os_id: component.kind.as_str().into(),
        release: vendor.clone().filter(|_| !one_vendor),
    };
    range(fix, ecosystem, lower(&component.product).unwrap_or_default())
}

fn range(fix: &AdvisoryFix, ecosystem: Ecosystem, package: Arc<str>) -> Fix {
    let text = |text: &Option<String>| text.as_deref().map(Arc::from);
    Fix {
        ecosystem,
        package,
        by_source: false,
        arch: None,
        module: None,
        edition: None,
        introduced: text(&fix.introduced).filter(|version: &Arc<str>| &**version != "0"),
        fixed: text(&fix.fixed),
        last_affected: None,
        entitlement: None,
        kb: None,
    }
}

/// Joins what is known of exploitation onto every advisory that names the CVE, by id or alias: of several the
/// earliest known beginning.
pub(super) fn join_exploited(advisories: &mut [AdvisoryRecord], exploited: &[ExploitedRecord]) {
    let mut known: BTreeMap<&str, Exploited> = BTreeMap::new();
    for record in exploited {
        join(known.get(&*record.cve).cloned(), &record.exploited).map(|joined| known.insert(&record.cve, joined));
    }
    for advisory in advisories {
        let names = std::iter::once(&advisory.id).chain(&advisory.aliases);
        let found: Vec<&Exploited> = names.filter_map(|name| known.get(&**name)).collect();
        for exploited in found {
            advisory.exploited = join(advisory.exploited.take(), exploited);
        }
    }
}

/// The earlier of two; an unknown beginning is later than any. Use by ransomware of either counts.
pub(super) fn join(one: Option<Exploited>, other: &Exploited) -> Option<Exploited> {
    let Some(one) = one else { return Some(other.clone()) };
    let rank = |e: &Exploited| (e.since.is_none(), e.since, e.provenance.clone());
    let ransomware = one.ransomware.max(other.ransomware);
    let earlier = if rank(other) < rank(&one) { other.clone() } else { one };
    Some(Exploited { ransomware, ..earlier })
}
