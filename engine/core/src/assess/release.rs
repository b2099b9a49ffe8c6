//! The distinct packages of each release of a distribution: their hits, and their place among versions of the same name.
//!
//! Invariant \[once\]: a distinct package is matched once on a release, whatever number of assets have it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::finding::Hit;
use super::found::{Cause, Found};
use super::kernel;
use super::matching::{FixIndex, Installed, Verdict, stream};
use crate::lookup::Lookup;
use crate::observe::{Observation, Package, PackageId, PackageSetId, PackageState};
use crate::version::{Scheme, ranks};

/// OS id and release.
pub(super) type Os<'o> = (&'o str, &'o str);

/// What is known of a distinct package on a release, dense by package id so that walking a set is array look-ups.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    /// Packages of the same name and architecture have the same group.
    pub(super) group: u32,
    /// Order of versions within the name.
    pub(super) rank: u32,
    /// Where its hits stand.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kernel: bool,
    pub(super) broken: bool,
}

/// The packages of one release, with their hits.
pub(super) struct Release<'o> {
    pub(super) os: Os<'o>,
    pub(super) slots: Vec<Slot>,
    /// Whether walking a set has to stop at the package at all.
    pub(super) relevant: Vec<bool>,
    /// Ids into the interned hits.
    pub(super) hits: Vec<u32>,
}

/// Interns hits; ids are in order of first sight until `Findings` sorts them.
#[derive(Default)]
pub(super) struct Interner {
    pub(super) found: Vec<Found>,
    ids: Lookup<Found, u32>,
}

impl Interner {
    pub(super) fn id(&mut self, found: Found) -> u32 {
        let all = &mut self.found;
        *self.ids.entry(found).or_insert_with_key(|found| {
            all.push(found.clone());
            all.len() as u32 - 1
        })
    }
}

/// Matches the packages of every release that some asset has installed.
pub(super) fn releases<'o>(
    observation: &'o Observation,
    index: &FixIndex<'_>,
    wanted: impl Iterator<Item = (Os<'o>, PackageSetId)>,
    interner: &mut Interner,
) -> BTreeMap<Os<'o>, Release<'o>> {
    let tables = &observation.tables;
    let mut sets: BTreeMap<(&str, &str), BTreeSet<PackageSetId>> = BTreeMap::new();
    for (os, set) in wanted {
        sets.entry(os).or_default().insert(set);
    }
    let mut releases = BTreeMap::new();
    for (os, sets) in sets {
        let Some(scheme) = index.scheme(os.0) else { continue };
        let mut used = vec![false; tables.packages().len()];
        for id in sets.iter().flat_map(|set| tables.set(*set)) {
            if let Some(slot) = used.get_mut(id.0 as usize) {
                *slot = true;
            }
        }
        let ids: Vec<PackageId> = used
            .iter()
            .enumerate()
            .filter(|(_, used)| **used)
            .map(|(i, _)| PackageId(i as u32))
            .collect();
        let matched: Vec<Vec<Found>> = ids
            .par_iter()
            .map(|id| package_hits(observation, index, os, *id))
            .collect();
        releases.insert(os, release(observation, scheme, os, &ids, matched, interner));
    }
    releases
}

pub(super) fn release<'o>(
    observation: &Observation,
    scheme: Scheme,
    os: Os<'o>,
    ids: &[PackageId],
    matched: Vec<Vec<Found>>,
    interner: &mut Interner,
) -> Release<'o> {
    let tables = &observation.tables;
    let mut slots = vec![Slot::default(); tables.packages().len()];
    let mut relevant = vec![false; tables.packages().len()];
    let mut hits = Vec::new();
    // Rank-encode: one sort a name, after which walking a set compares integers.
    let mut by_name: BTreeMap<_, Vec<PackageId>> = BTreeMap::new();
    for id in ids {
        by_name.entry(tables.package(*id).name).or_default().push(*id);
    }
    let mut groups: Lookup<_, u32> = Lookup::default();
    for members in by_name.values() {
        let versions: Vec<&str> = members
            .iter()
            .map(|id| tables.text(tables.package(*id).version))
            .collect();
        for (id, rank) in members.iter().zip(ranks(scheme, &versions)) {
            let package = tables.package(*id);
            let next = groups.len() as u32;
            let group = *groups.entry((package.name, package.arch)).or_insert(next);
            if let Some(slot) = slots.get_mut(id.0 as usize) {
                slot.group = group;
                slot.rank = rank;
                slot.kernel = kernel::family(tables.text(package.name)).is_some();
                slot.broken = package.state == PackageState::HalfConfigured;
            }
        }
    }
    let mut hit_groups = vec![false; groups.len()];
    for (id, found) in ids.iter().zip(matched) {
        let Some(slot) = slots.get_mut(id.0 as usize) else {
            continue;
        };
        slot.start = hits.len() as u32;
        hits.extend(found.into_iter().map(|f| interner.id(f)));
        slot.end = hits.len() as u32;
        if let Some(group) = hit_groups.get_mut(slot.group as usize) {
            *group |= slot.end > slot.start;
        }
    }
    for id in ids {
        let (Some(slot), Some(flag)) = (slots.get(id.0 as usize), relevant.get_mut(id.0 as usize)) else {
            continue;
        };
        let hit = hit_groups.get(slot.group as usize).copied().unwrap_or_default();
        let there = tables.package(*id).state != PackageState::ConfigFiles;
        *flag = there && (hit || slot.kernel || slot.broken);
    }
    Release {
        os,
        slots,
        relevant,
        hits,
    }
}

pub(super) fn package_hits(
    observation: &Observation,
    index: &FixIndex<'_>,
    os: (&str, &str),
    id: PackageId,
) -> Vec<Found> {
    let package = observation.tables.package(id);
    let installed = installed(observation, package);
    if package.state == PackageState::ConfigFiles || kernel::family(installed.name).is_some() {
        return Vec::new();
    }
    let matches = index.matches(os.0, os.1, &installed).into_iter();
    matches
        .filter_map(|m| {
            let (fixed, cause) = match m.verdict {
                Verdict::Fixed(_) => return None,
                Verdict::Affected(fixed, needs) => (fixed, needs.map_or(Cause::Open, Cause::Entitled)),
                Verdict::Undecidable(reason) => (None, Cause::Undecidable(reason.into())),
            };
            let hit = hit(os, &installed.matched_by(m.of_source), m.advisory, m.scheme, fixed);
            Some(Found { hit, cause })
        })
        .collect()
}

pub(super) fn installed(observation: &Observation, package: Package) -> Installed<'_> {
    let text = |symbol| observation.tables.text(symbol);
    Installed {
        name: text(package.name),
        version: text(package.version),
        arch: text(package.arch),
        source: text(package.source),
        source_version: text(package.source_version),
        module: text(package.module),
        edition: None,
    }
}

pub(super) fn hit(
    os: (&str, &str),
    package: &Installed<'_>,
    advisory: u32,
    scheme: Scheme,
    fixed: Option<Arc<str>>,
) -> Hit {
    Hit {
        advisory,
        scheme,
        os_id: os.0.into(),
        os_major: os.1.into(),
        package: package.name.into(),
        arch: package.arch.into(),
        module: stream(package.module).map(Arc::from),
        installed: package.version.into(),
        fixed,
        source: Some(package.source).filter(|s| !s.is_empty()).map(Arc::from),
        source_version: Some(package.source_version).filter(|s| !s.is_empty()).map(Arc::from),
    }
}

/// The highest version of a name and architecture is the installed one. Spellings of one version go by their text, so
/// that the order in which sources were read never shows.
pub(super) fn newer(observation: &Observation, a: (u32, PackageId), b: (u32, PackageId)) -> bool {
    let texts = |id: PackageId| {
        let package = observation.tables.package(id);
        let i = installed(observation, package);
        (package.state, i.version, i.module, i.source, i.source_version)
    };
    a.0.cmp(&b.0).then_with(|| texts(b.1).cmp(&texts(a.1))) == Ordering::Greater
}
