//! Which packages and parts of which assets lack the targets of a rollout.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use crate::history::Target;
use crate::lookup::Lookup;
use crate::observe::{PackageSetId, PackageState, Symbol, parts_of};
use crate::version::{compare, order};

/// How the packages of assets stand to the targets of one rollout. Worked out once for a distinct package, then once
/// for a distinct set, so that an asset costs a lookup; sets that stand alike share one list.
pub(super) struct Standing<'a> {
    ctx: &'a Context<'a>,
    /// For each distinct package: where its orders begin and end.
    ranges: Vec<(u32, u32)>,
    /// The targets a package is about and how it compares.
    orders: Vec<(u32, Ordering)>,
    /// For each target the number of its release, if any asset has it.
    releases: Vec<Option<u32>>,
    sets: Lookup<(PackageSetId, u32), u32>,
    /// Distinct lists; the first is empty.
    lists: Vec<Arc<[Level]>>,
    ids: Lookup<Arc<[Level]>, u32>,
    offers: Lookup<(PackageSetId, u32), Arc<[usize]>>,
    /// The targets that are no packages.
    parts: Vec<(usize, Target)>,
    /// For each asset asked about its list, where there are such targets.
    with_parts: Lookup<u32, u32>,
    /// Scratch: the newest package of each target, valid while its stamp is the current one.
    newest: Vec<(u32, Ordering, Symbol)>,
    stamp: u32,
}

/// How an asset stands to one target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Level {
    /// Index of the target.
    pub(super) target: usize,
    /// The newest installed version against the target's.
    pub(super) order: Ordering,
    /// The newest installed version.
    pub(super) version: Arc<str>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(ctx: &'a Context<'a>, targets: &[Target]) -> Self {
        let tables = &ctx.observation.tables;
        let mut named: Lookup<Symbol, Vec<(u32, &Target)>> = Lookup::default();
        for (index, target) in (0..).zip(targets) {
            if let Some(name) = tables.symbol(&target.name) {
                named.entry(name).or_default().push((index, target));
            }
        }
        let (mut ranges, mut orders) = (Vec::with_capacity(tables.packages().len()), Vec::new());
        for package in tables.packages() {
            let from = orders.len() as u32;
            let about = named
                .get(&package.name)
                .filter(|_| package.state != PackageState::ConfigFiles);
            if let Some(about) = about {
                let stream = tables.known(package.module).map(stream_of);
                let about = about.iter().filter(|(_, t)| *t.arch == *tables.text(package.arch));
                let about = about.filter(|(_, t)| t.module.as_deref().map(stream_of) == stream);
                orders.extend(about.map(|(i, t)| (*i, compare(t.scheme, tables.text(package.version), &t.version))));
            }
            ranges.push((from, orders.len() as u32));
        }
        let release = |t: &Target| ctx.release_id(&t.os_id, &t.os_major);
        let empty: Arc<[Level]> = Arc::from([]);
        Self {
            ctx,
            ranges,
            orders,
            releases: targets.iter().map(release).collect(),
            sets: Lookup::default(),
            lists: vec![Arc::clone(&empty)],
            ids: Lookup::from_iter([(empty, 0)]),
            offers: Lookup::default(),
            parts: (0..)
                .zip(targets.iter().cloned())
                .filter(|(_, t)| t.kind().is_some())
                .collect(),
            with_parts: Lookup::default(),
            newest: vec![(0, Ordering::Less, Symbol(0)); targets.len()],
            stamp: 0,
        }
    }

    /// The targets the asset has something for, on its release or branch, ascending.
    pub(super) fn of(&mut self, asset: u32) -> Arc<[Level]> {
        let id = self.id(asset);
        self.lists.get(id as usize).map_or_else(|| Arc::from([]), Arc::clone)
    }

    /// The number of the asset's list: assets with equal numbers stand alike.
    pub(super) fn id(&mut self, asset: u32) -> u32 {
        if self.parts.is_empty() {
            return self.id_of_set(asset);
        }
        if let Some(id) = self.with_parts.get(&asset) {
            return *id;
        }
        let mut id = self.id_of_set(asset);
        let parts = self.of_parts(asset);
        if !parts.is_empty() {
            let packages = self.lists.get(id as usize).into_iter().flat_map(|list| list.iter());
            let mut levels: Vec<Level> = packages.cloned().chain(parts).collect();
            levels.sort_by_key(|level| level.target);
            id = self.number(levels.into());
        }
        self.with_parts.insert(asset, id);
        id
    }

    /// The number of a list.
    fn number(&mut self, levels: Arc<[Level]>) -> u32 {
        let lists = &mut self.lists;
        *self.ids.entry(levels).or_insert_with_key(|levels| {
            lists.push(Arc::clone(levels));
            lists.len() as u32 - 1
        })
    }

    /// How what is installed of each part stands to the targets for it. A branch is where a version comes from, so an
    /// asset that has the target's version is at it whatever branch that made it.
    fn of_parts(&self, asset: u32) -> Vec<Level> {
        let Some(asset) = self.ctx.asset(asset) else {
            return Vec::new();
        };
        let parts = parts_of(asset);
        let mut levels: Vec<Level> = Vec::new();
        for (index, target) in &self.parts {
            let same = parts.iter().filter(|p| target.is_for(p));
            let stands = same.filter_map(|p| {
                let version = &p.version;
                let order = order(target.scheme, version, &target.version)?;
                (p.branch == *target.os_major || order.is_eq()).then_some((order, version))
            });
            // Of several instances the oldest is what the asset has.
            if let Some((order, version)) = stands.min_by_key(|(order, _)| *order) {
                levels.push(Level {
                    target: *index,
                    order,
                    version: version.as_str().into(),
                });
            }
        }
        levels
    }

    /// The number of the list of its packages.
    fn id_of_set(&mut self, asset: u32) -> u32 {
        let set = self.ctx.asset(asset).and_then(|a| a.facts.packages);
        let Some((set, release)) = set.zip(self.ctx.release(asset)) else {
            return 0;
        };
        if let Some(id) = self.sets.get(&(set, release)) {
            return *id;
        }
        let levels = self.levels(set, release);
        let id = self.number(levels);
        self.sets.insert((set, release), id);
        id
    }

    /// The targets whose exact version is in the set.
    pub(super) fn offers(&mut self, asset: u32, set: PackageSetId) -> Arc<[usize]> {
        let Some(release) = self.ctx.release(asset) else {
            return Arc::from([]);
        };
        if let Some(offers) = self.offers.get(&(set, release)) {
            return Arc::clone(offers);
        }
        let packages = self.ctx.observation.tables.set(set).iter();
        let orders = packages.filter_map(|id| self.ranges.get(id.0 as usize));
        let orders = orders.filter_map(|(from, to)| self.orders.get(*from as usize..*to as usize));
        let here = |t: u32| self.releases.get(t as usize).copied().flatten() == Some(release);
        let exact = orders.flatten().filter(|(t, order)| order.is_eq() && here(*t));
        let exact: BTreeSet<usize> = exact.map(|(t, _)| *t as usize).collect();
        let offers: Arc<[usize]> = exact.into_iter().collect();
        self.offers.insert((set, release), Arc::clone(&offers));
        offers
    }

    fn levels(&mut self, set: PackageSetId, release: u32) -> Arc<[Level]> {
        let tables = &self.ctx.observation.tables;
        self.stamp += 1;
        let mut touched: Vec<u32> = Vec::new();
        for id in tables.set(set) {
            let Some((from, to)) = self.ranges.get(id.0 as usize).filter(|(from, to)| from < to) else {
                continue;
            };
            let version = tables.package(*id).version;
            for (target, order) in self.orders.get(*from as usize..*to as usize).unwrap_or_default() {
                let here = self.releases.get(*target as usize).copied().flatten() == Some(release);
                let Some(known) = self.newest.get_mut(*target as usize).filter(|_| here) else {
                    continue;
                };
                if known.0 != self.stamp {
                    *known = (self.stamp, *order, version);
                    touched.push(*target);
                }
                // Among several installed ones below the target which is newest only matters for display.
                else if known.1 < *order || (known.1 == *order && tables.text(known.2) < tables.text(version)) {
                    *known = (self.stamp, *order, version);
                }
            }
        }
        touched.sort_unstable();
        let levels = touched.into_iter().filter_map(|target| {
            let (_, order, version) = *self.newest.get(target as usize)?;
            Some(Level {
                target: target as usize,
                order,
                version: tables.shared(version),
            })
        });
        levels.collect()
    }
}

/// How a list stands to one target.
pub(super) fn level(levels: &[Level], target: usize) -> Option<&Level> {
    let at = levels.binary_search_by_key(&target, |l| l.target).ok()?;
    levels.get(at)
}

/// `name:stream` of a module label, whatever follows it.
fn stream_of(module: &str) -> &str {
    let end = module.match_indices(':').nth(1).map_or(module.len(), |(at, _)| at);
    module.get(..end).unwrap_or(module)
}
