//! What hits each asset, found once per distinct package, set and kernel, before anything is judged.
//!
//! Invariant \[once\]: a distinct package of a release is matched once, a distinct (set, release, kernel, restarts) is
//! walked once; an asset only points to its list.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;

use super::finding::Hit;
use super::matching::{FixIndex, Installed, Verdict};
use super::release::{Interner, Release, hit, installed, newer, releases};
use super::{kernel, matching};
use crate::load::wire::Lifecycle;
use crate::lookup::Lookup;
use crate::observe::{Asset, Observation, PackageId, PackageSetId, PackageState, RestartNeeded};
use crate::version::Scheme;

/// Why a hit stands: what a status may rest on besides the versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Cause {
    /// The installed version lacks the fix.
    Open,
    /// The same, and the fix is behind this entitlement.
    Entitled(Arc<str>),
    /// The next boot has the fix; the running kernel has not.
    Reboot,
    /// The installed version has the fix; a process still runs the old code.
    OldCode,
    /// It cannot be told whether the advisory applies.
    Undecidable(Arc<str>),
}

/// A hit on a kernel before it is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) advisory: u32,
    pub(super) scheme: Scheme,
    pub(super) name: Arc<str>,
    pub(super) arch: Arc<str>,
    pub(super) installed: Arc<str>,
    pub(super) fixed: Option<Arc<str>>,
    pub(super) cause: Cause,
}

/// A hit and why it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Found {
    pub(super) hit: Hit,
    pub(super) cause: Cause,
}

/// Every distinct hit, and which assets have which.
#[derive(Default)]
pub(super) struct Findings {
    /// Distinct, sorted by advisory, package, arch, versions.
    pub(super) found: Vec<Found>,
    /// Distinct lists of indexes into `found`, each ascending.
    pub(super) lists: Vec<Arc<[u32]>>,
    /// For each asset its list; none for one without observed packages or release.
    pub(super) list_of: Vec<Option<u32>>,
    /// For each asset the packages that are half-configured.
    pub(super) broken: BTreeMap<usize, Vec<PackageId>>,
}

impl Findings {
    /// The order of `found`.
    pub(super) fn by_advisory(a: &Found, b: &Found) -> Ordering {
        by_advisory(a, b)
    }
}

/// What a list depends on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key<'o> {
    os: (&'o str, &'o str),
    set: PackageSetId,
    kernel: (Option<&'o str>, Option<&'o str>),
    restarts: BTreeSet<&'o str>,
}

fn key(asset: &Asset) -> Option<Key<'_>> {
    let facts = &asset.facts;
    let os = facts
        .os
        .as_ref()
        .filter(|os| !os.id.is_empty() && !os.version.is_empty())?;
    let kernel = facts.kernel.as_ref();
    let set = facts
        .packages
        .filter(|_| asset.observed_at.is_some() && asset.lifecycle != Lifecycle::Retired)?;
    Some(Key {
        os: (&os.id, os.major()),
        set,
        kernel: (
            kernel.and_then(|k| k.running.as_deref()),
            kernel.and_then(|k| k.default_boot.as_deref()),
        ),
        restarts: facts.restart_needed.iter().flat_map(|r| restarted(r)).collect(),
    })
}

fn restarted(needed: &[RestartNeeded]) -> impl Iterator<Item = &str> {
    needed.iter().flat_map(|r| r.packages.iter().map(|p| p.as_ref()))
}

/// What walking one set gives.
struct Walk {
    hits: Vec<u32>,
    kernels: Vec<PackageId>,
    broken: Vec<PackageId>,
}

/// Matches every asset of the observation, or `only` one, against every standing advisory.
pub(super) fn find(observation: &Observation, index: &FixIndex<'_>, only: Option<usize>) -> Findings {
    let wanted = |(at, asset)| key(asset).filter(|_| only.is_none_or(|only| only == at));
    let keys: Vec<Option<Key<'_>>> = observation.assets.par_iter().enumerate().map(wanted).collect();
    let mut key_ids: Lookup<&Key<'_>, u32> = Lookup::default();
    let mut distinct: Vec<&Key<'_>> = Vec::new();
    let key_of: Vec<Option<u32>> = keys
        .iter()
        .map(|key| {
            key.as_ref().map(|key| {
                *key_ids.entry(key).or_insert_with(|| {
                    distinct.push(key);
                    distinct.len() as u32 - 1
                })
            })
        })
        .collect();
    let mut interner = Interner::default();
    let releases = releases(
        observation,
        index,
        distinct.iter().map(|key| (key.os, key.set)),
        &mut interner,
    );
    let walks: Vec<Walk> = distinct
        .par_iter()
        .map_init(
            || Stamps::new(observation),
            |stamps, key| walk(observation, releases.get(&key.os), key, stamps),
        )
        .collect();
    let mut kernels: Lookup<KernelKey<'_>, Vec<u32>> = Lookup::default();
    let mut raw_lists: Vec<Vec<u32>> = Vec::with_capacity(walks.len());
    let mut broken_of_key: Vec<Vec<PackageId>> = Vec::with_capacity(walks.len());
    for (key, walk) in distinct.iter().zip(walks) {
        let mut hits = walk.hits;
        if !walk.kernels.is_empty() {
            let at = (key.os, key.kernel, walk.kernels);
            let ids = kernels.entry(at).or_insert_with_key(|(os, kernel, ids)| {
                kernel_hits(observation, index, *os, *kernel, ids, &mut interner)
            });
            hits.extend_from_slice(ids);
        }
        if !key.restarts.is_empty() {
            old_code(observation, index, key, &mut hits, &mut interner);
        }
        raw_lists.push(hits);
        broken_of_key.push(walk.broken);
    }
    let broken = key_of.iter().enumerate().filter_map(|(asset, key)| {
        let broken = broken_of_key.get((*key)? as usize)?;
        (!broken.is_empty()).then(|| (asset, broken.clone()))
    });
    let broken = broken.collect();
    finish(interner.found, raw_lists, &key_of, broken)
}

/// Sorts the hits, renumbers the lists, and keeps each distinct list once.
fn finish(
    found: Vec<Found>,
    raw_lists: Vec<Vec<u32>>,
    key_of: &[Option<u32>],
    broken: BTreeMap<usize, Vec<PackageId>>,
) -> Findings {
    let mut order: Vec<(u32, Found)> = found.into_iter().enumerate().map(|(i, f)| (i as u32, f)).collect();
    order.par_sort_unstable_by(|(_, a), (_, b)| by_advisory(a, b));
    let mut place = vec![0_u32; order.len()];
    for (new, (old, _)) in order.iter().enumerate() {
        if let Some(slot) = place.get_mut(*old as usize) {
            *slot = new as u32;
        }
    }
    let sorted: Vec<Arc<[u32]>> = raw_lists
        .into_par_iter()
        .map(|mut list| {
            list.iter_mut()
                .for_each(|id| *id = place.get(*id as usize).copied().unwrap_or(*id));
            list.sort_unstable();
            list.dedup();
            list.into()
        })
        .collect();
    let mut ids: Lookup<Arc<[u32]>, u32> = Lookup::default();
    let mut lists: Vec<Arc<[u32]>> = Vec::new();
    let list_of_key: Vec<u32> = sorted
        .into_iter()
        .map(|list| {
            *ids.entry(list).or_insert_with_key(|list| {
                lists.push(Arc::clone(list));
                lists.len() as u32 - 1
            })
        })
        .collect();
    let list_of = key_of
        .iter()
        .map(|key| list_of_key.get((*key)? as usize).copied())
        .collect();
    Findings {
        found: order.into_iter().map(|(_, f)| f).collect(),
        lists,
        list_of,
        broken,
    }
}

/// Advisories of an observation are sorted by id, so their index orders as their id does.
fn by_advisory(a: &Found, b: &Found) -> Ordering {
    let (x, y) = (&a.hit, &b.hit);
    (x.advisory, &x.package, &x.arch)
        .cmp(&(y.advisory, &y.package, &y.arch))
        .then_with(|| a.cmp(b))
}

/// Scratch for walking sets: the newest member seen of each group, valid while its stamp is the current one.
struct Stamps {
    stamp: u32,
    best: Vec<(u32, PackageId)>,
}

impl Stamps {
    fn new(observation: &Observation) -> Self {
        Self {
            stamp: 0,
            best: vec![(0, PackageId(0)); observation.tables.packages().len()],
        }
    }
}

fn walk(observation: &Observation, release: Option<&Release<'_>>, key: &Key<'_>, stamps: &mut Stamps) -> Walk {
    let mut walk = Walk {
        hits: Vec::new(),
        kernels: Vec::new(),
        broken: Vec::new(),
    };
    let Some(release) = release else { return walk };
    stamps.stamp += 1;
    let slot = |id: PackageId| release.slots.get(id.0 as usize).copied().unwrap_or_default();
    let relevant = |id: &&PackageId| release.relevant.get(id.0 as usize).copied().unwrap_or_default();
    let mut plain = Vec::new();
    for id in observation.tables.set(key.set).iter().filter(relevant) {
        let this = slot(*id);
        if this.broken {
            walk.broken.push(*id);
        }
        if this.kernel {
            walk.kernels.push(*id);
            continue;
        }
        let Some(best) = stamps.best.get_mut(this.group as usize) else {
            continue;
        };
        if best.0 != stamps.stamp {
            *best = (stamps.stamp, *id);
            plain.push(this.group);
        } else if newer(observation, (this.rank, *id), (slot(best.1).rank, best.1)) {
            best.1 = *id;
        }
    }
    for group in plain {
        let Some((_, id)) = stamps.best.get(group as usize) else {
            continue;
        };
        let this = slot(*id);
        walk.hits.extend_from_slice(
            release
                .hits
                .get(this.start as usize..this.end as usize)
                .unwrap_or_default(),
        );
    }
    debug_assert_eq!(release.os, key.os);
    walk
}

type KernelKey<'o> = ((&'o str, &'o str), (Option<&'o str>, Option<&'o str>), Vec<PackageId>);

fn kernel_hits(
    observation: &Observation,
    index: &FixIndex<'_>,
    os: (&str, &str),
    (running, default_boot): (Option<&str>, Option<&str>),
    ids: &[PackageId],
    interner: &mut Interner,
) -> Vec<u32> {
    let packages: Vec<Installed<'_>> = ids
        .iter()
        .map(|id| installed(observation, observation.tables.package(*id)))
        .collect();
    let raws = kernel::matches(index, os, &packages, running, default_boot);
    raws.into_iter()
        .filter_map(|raw| {
            let same = |p: &&Installed<'_>| *p.name == *raw.name && *p.arch == *raw.arch;
            let exact = packages.iter().filter(same).find(|p| *p.version == *raw.installed);
            let like = exact.or_else(|| packages.iter().find(same))?;
            // A kernel's fix is a version of its image, see `signed_source` in matching.
            let package = Installed {
                version: &raw.installed,
                source_version: "",
                ..*like
            };
            let hit = hit(os, &package, raw.advisory, raw.scheme, raw.fixed);
            Some(interner.id(Found { hit, cause: raw.cause }))
        })
        .collect()
}

/// Processes that still run replaced code: the installed package has the fix, what runs has not. Nobody says from which
/// version the old code is, so only the newest fix the package has is claimed: that one is certainly missing.
fn old_code(
    observation: &Observation,
    index: &FixIndex<'_>,
    key: &Key<'_>,
    hits: &mut Vec<u32>,
    interner: &mut Interner,
) {
    for id in observation.tables.set(key.set) {
        let package = observation.tables.package(*id);
        let here = installed(observation, package);
        let named = key.restarts.contains(here.name) && package.state != PackageState::ConfigFiles;
        if !named || kernel::family(here.name).is_some() {
            continue;
        }
        let fixed: Vec<(matching::Match, Arc<str>)> = index
            .matches(key.os.0, key.os.1, &here)
            .into_iter()
            .filter_map(|m| match &m.verdict {
                Verdict::Fixed(Some(fixed)) => Some((m.clone(), Arc::clone(fixed))),
                _ => None,
            })
            .collect();
        let order = |a: &Arc<str>, b: &Arc<str>, scheme| crate::version::compare(scheme, a, b);
        let newest = fixed
            .iter()
            .max_by(|a, b| order(&a.1, &b.1, a.0.scheme))
            .map(|(_, fixed)| Arc::clone(fixed));
        for (m, at) in fixed {
            if newest.as_ref().is_some_and(|n| order(&at, n, m.scheme).is_eq()) {
                let hit = hit(key.os, &here.matched_by(m.of_source), m.advisory, m.scheme, Some(at));
                hits.push(interner.id(Found {
                    hit,
                    cause: Cause::OldCode,
                }));
            }
        }
    }
}
