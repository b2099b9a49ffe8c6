//! Which exact versions a rollout carries, and which packages of which assets lack them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::context::{Candidate, Context, PackageKey};
use crate::assess::Hit;
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{ComponentKind, PatchPolicySpec, VersionStrategy};
use crate::observe::{PackageId, PackageSetId, PackageState, Part, parts_of};
use crate::version::{Scheme, compare, order};

/// The version each package goes to.
pub(super) type Versions = BTreeMap<PackageKey, Arc<str>>;

/// The targets that fix `needed`, as the policy's `strategy` chooses among what `approved` (which contains `needed`) offers.
///
/// Both strategies take one version for a package on a release: the highest a needed finding asks for (the lowest that
/// fixes them all), or the newest approved one. Cumulative updates are always the newest approved: an older one is not
/// offered any more once a newer is out.
pub(super) fn versions(
    ctx: &Context<'_>,
    policy: &Resource<PatchPolicySpec>,
    needed: &[Candidate],
    approved: &[Candidate],
    already: &[Target],
) -> Versions {
    let strategy = policy.spec.strategy;
    let mut versions = Versions::new();
    already
        .iter()
        .for_each(|t| raise(&mut versions, &PackageKey::of_target(t), &t.version));
    for hit in hits(needed) {
        take(ctx, &mut versions, hit);
    }
    for hit in hits(approved) {
        let Some(key) = ctx.key_of_hit.get(hit as usize) else {
            continue;
        };
        let newest = strategy == VersionStrategy::Latest || is_cumulative(key);
        if newest && versions.contains_key(key) {
            take(ctx, &mut versions, hit);
        }
    }
    cohere(ctx, &policy.name, &mut versions, needed, approved);
    versions
}

/// Windows updates, firmware, images and their like replace all that came before them.
fn is_cumulative(key: &PackageKey) -> bool {
    matches!(key.scheme, Scheme::Windows) || ComponentKind::parse(&key.os_id).is_some_and(Part::is_cumulative)
}

fn hits(candidates: &[Candidate]) -> BTreeSet<u32> {
    let mut hits: Vec<u32> = candidates.iter().map(|c| c.hit).collect();
    hits.sort_unstable();
    hits.dedup();
    hits.into_iter().collect()
}

fn take(ctx: &Context<'_>, versions: &mut Versions, hit: u32) {
    let fixed = ctx.goal(hit);
    if let Some((fixed, key)) = fixed.zip(ctx.key_of_hit.get(hit as usize)) {
        raise(versions, key, fixed);
    }
}

fn raise(versions: &mut Versions, key: &PackageKey, version: &Arc<str>) {
    match versions.get_mut(key) {
        None => {
            versions.insert(key.clone(), Arc::clone(version));
        }
        Some(known) if compare(key.scheme, known, version).is_lt() => *known = Arc::clone(version),
        Some(_) => {}
    }
}

/// Packages built from one source go to one version of it, where that version is known to exist: binary packages of a
/// source carry its version, and half of a pair left behind is how updates break. A version that the policy excludes or
/// holds for one of the packages is not given to it that way either.
fn cohere(ctx: &Context<'_>, policy: &str, versions: &mut Versions, needed: &[Candidate], approved: &[Candidate]) {
    let mut by_source: BTreeMap<SourceKey<'_>, BTreeSet<&PackageKey>> = BTreeMap::new();
    for hit in hits(needed) {
        let (Some(facts), Some(key)) = (ctx.hit(hit), ctx.key_of_hit.get(hit as usize)) else {
            continue;
        };
        if let Some(source) = &facts.source {
            by_source
                .entry((key.scheme, &key.os_id, &key.os_major, &key.arch, source))
                .or_default()
                .insert(key);
        }
    }
    by_source.retain(|_, keys| keys.len() > 1);
    if by_source.is_empty() {
        return;
    }
    let offered = offered(ctx, approved);
    for keys in by_source.into_values() {
        let highest = keys.iter().filter_map(|k| versions.get(*k).map(|v| (k.scheme, v)));
        let Some((_, highest)) = highest.max_by(|(scheme, a), (_, b)| compare(*scheme, a, b)) else {
            continue;
        };
        let highest = Arc::clone(highest);
        let is_offered = |k: &&PackageKey| offered.contains(&(&k.os_id, &k.os_major, &k.name, &highest));
        for key in keys.into_iter().filter(is_offered) {
            if !keeps_back(ctx, policy, needed, key, &highest) {
                raise(versions, key, &highest);
            }
        }
    }
}

type SourceKey<'a> = (Scheme, &'a str, &'a str, &'a str, &'a str);

/// Whether the policy keeps back `version` of a package it goes for otherwise: by what it says of the findings at hand
/// with that version, or of every finding that asks for it.
fn keeps_back(ctx: &Context<'_>, policy: &str, needed: &[Candidate], key: &PackageKey, version: &Arc<str>) -> bool {
    let is_of_key = |hit: u32| ctx.key_of_hit.get(hit as usize) == Some(key);
    let candidates = needed.iter().filter(|c| is_of_key(c.hit));
    let pairs: Vec<(u32, &Hit)> = candidates.filter_map(|c| Some((c.asset, ctx.hit(c.hit)?))).collect();
    let raised = |hit: &Hit| Hit {
        fixed: Some(Arc::clone(version)),
        ..hit.clone()
    };
    if pairs
        .iter()
        .any(|(asset, hit)| !ctx.claims.takes(*asset, policy, &raised(hit)))
    {
        return true;
    }
    let keys = ctx.key_of_hit.iter().zip(&ctx.assessment.hits);
    let mut asking = keys
        .filter(|(k, hit)| *k == key && hit.fixed.as_ref() == Some(version))
        .map(|(_, hit)| hit)
        .peekable();
    let takes = |hit: &Hit| pairs.iter().any(|(asset, _)| ctx.claims.takes(*asset, policy, hit));
    asking.peek().is_some() && !asking.any(takes)
}

/// Release (id and major), package, version.
type Offer<'a> = (&'a str, &'a str, &'a str, &'a str);

/// What the advisories behind approved findings fix on a release, or its assets' lists of available packages name.
fn offered<'a>(ctx: &Context<'a>, approved: &[Candidate]) -> BTreeSet<Offer<'a>> {
    let mut offered: BTreeSet<Offer<'a>> = BTreeSet::new();
    for hit in hits(approved).into_iter().filter_map(|h| ctx.hit(h)) {
        let fixes = ctx.observation.advisories.get(hit.advisory as usize);
        for fix in fixes.into_iter().flat_map(|a| &a.fixes) {
            let (ecosystem, fixed) = (&fix.ecosystem, fix.fixed.as_deref());
            let here = ecosystem.os_id == hit.os_id && ecosystem.release.as_ref().is_none_or(|r| *r == hit.os_major);
            if let Some(fixed) = fixed.filter(|_| here) {
                offered.insert((&hit.os_id, &hit.os_major, &fix.package, fixed));
            }
        }
    }
    let tables = &ctx.observation.tables;
    let assets = ctx.observation.assets.iter();
    let sets: BTreeSet<(&str, &str, PackageSetId)> = assets
        .filter_map(|a| a.facts.os.as_ref().zip(a.facts.available))
        .map(|(os, set)| (os.id.as_ref(), os.major(), set))
        .collect();
    for (os_id, os_major, set) in sets {
        offered.extend(tables.set(set).iter().map(|id| {
            let package = tables.package(*id);
            (os_id, os_major, tables.text(package.name), tables.text(package.version))
        }));
    }
    offered
}

/// How the packages of assets stand to the targets of one rollout. Worked out once for a distinct package, then once
/// for a distinct set, so that an asset costs a lookup.
pub(super) struct Standing<'a> {
    ctx: &'a Context<'a>,
    /// For a distinct package: the targets it is about and how it compares.
    packages: FxHashMap<PackageId, Vec<(usize, Ordering)>>,
    /// Indexes of targets by release.
    by_os: BTreeMap<(Arc<str>, Arc<str>), Vec<usize>>,
    sets: FxHashMap<(PackageSetId, u32), Arc<[Level]>>,
    offers: FxHashMap<(PackageSetId, u32), Arc<[usize]>>,
    /// The targets that are no packages.
    parts: Vec<(usize, Target)>,
}

/// How one asset's set of packages stands to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        let mut by_name: FxHashMap<&str, Vec<usize>> = FxHashMap::default();
        let mut by_os: BTreeMap<(Arc<str>, Arc<str>), Vec<usize>> = BTreeMap::new();
        for (index, target) in targets.iter().enumerate() {
            by_name.entry(&target.name).or_default().push(index);
            by_os
                .entry((Arc::clone(&target.os_id), Arc::clone(&target.os_major)))
                .or_default()
                .push(index);
        }
        let tables = &ctx.observation.tables;
        let mut packages: FxHashMap<PackageId, Vec<(usize, Ordering)>> = FxHashMap::default();
        for (id, package) in (0_u32..).map(PackageId).zip(tables.packages()) {
            let Some(indexes) = by_name.get(tables.text(package.name)) else {
                continue;
            };
            if package.state == PackageState::ConfigFiles {
                continue;
            }
            let stream = tables.known(package.module).map(stream_of);
            let about = indexes.iter().filter_map(|i| targets.get(*i).map(|t| (*i, t)));
            let about = about.filter(|(_, t)| *t.arch == *tables.text(package.arch));
            let about = about.filter(|(_, t)| t.module.as_deref().map(stream_of) == stream);
            let orders = about.map(|(i, t)| (i, compare(t.scheme, tables.text(package.version), &t.version)));
            let orders: Vec<(usize, Ordering)> = orders.collect();
            if !orders.is_empty() {
                packages.insert(id, orders);
            }
        }
        Self {
            ctx,
            packages,
            by_os,
            sets: FxHashMap::default(),
            offers: FxHashMap::default(),
            parts: (0..)
                .zip(targets.iter().cloned())
                .filter(|(_, t)| t.kind().is_some())
                .collect(),
        }
    }

    /// The targets the asset has something for, on its release or branch, ascending.
    pub(super) fn of(&mut self, asset: u32, set: Option<PackageSetId>) -> Arc<[Level]> {
        let packages = self.of_set(asset, set);
        if self.parts.is_empty() {
            return packages;
        }
        let mut levels = packages.to_vec();
        levels.extend(self.of_parts(asset));
        levels.sort_by_key(|level| level.target);
        levels.into()
    }

    /// How what is installed of each part stands to the targets for it. A branch is where a version comes from, so an asset that
    /// has the target's version is at it whatever branch that made it.
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

    /// The targets the set has a package for, on the release of the asset, ascending.
    fn of_set(&mut self, asset: u32, set: Option<PackageSetId>) -> Arc<[Level]> {
        let nothing = || Arc::from([]);
        let Some(set) = set else { return nothing() };
        let Some(os) = self.ctx.asset(asset).and_then(|a| a.facts.os.as_ref()) else {
            return nothing();
        };
        let release = (Arc::clone(&os.id), Arc::<str>::from(os.major()));
        let Some(position) = self.by_os.keys().position(|k| *k == release) else {
            return nothing();
        };
        let release_id = u32::try_from(position).unwrap_or(u32::MAX);
        if let Some(levels) = self.sets.get(&(set, release_id)) {
            return Arc::clone(levels);
        }
        let levels = self.levels(set, &release);
        self.sets.insert((set, release_id), Arc::clone(&levels));
        levels
    }

    /// The targets whose exact version is in the set.
    pub(super) fn offers(&mut self, asset: u32, set: PackageSetId) -> Arc<[usize]> {
        let Some(os) = self.ctx.asset(asset).and_then(|a| a.facts.os.as_ref()) else {
            return Arc::from([]);
        };
        let release = (Arc::clone(&os.id), Arc::<str>::from(os.major()));
        let Some(position) = self.by_os.keys().position(|k| *k == release) else {
            return Arc::from([]);
        };
        let release_id = u32::try_from(position).unwrap_or(u32::MAX);
        if let Some(offers) = self.offers.get(&(set, release_id)) {
            return Arc::clone(offers);
        }
        let wanted = self.by_os.get(&release).map_or(&[][..], |v| v);
        let packages = self
            .ctx
            .observation
            .tables
            .set(set)
            .iter()
            .filter_map(|id| self.packages.get(id))
            .flatten();
        let exact = packages.filter(|(t, order)| order.is_eq() && wanted.binary_search(t).is_ok());
        let exact: BTreeSet<usize> = exact.map(|(t, _)| *t).collect();
        let offers: Arc<[usize]> = exact.into_iter().collect();
        self.offers.insert((set, release_id), Arc::clone(&offers));
        offers
    }

    fn levels(&self, set: PackageSetId, release: &(Arc<str>, Arc<str>)) -> Arc<[Level]> {
        let tables = &self.ctx.observation.tables;
        let wanted = self.by_os.get(release).map_or(&[][..], |v| v);
        let mut newest: BTreeMap<usize, (Ordering, &str)> = BTreeMap::new();
        for id in tables.set(set) {
            let Some(orders) = self.packages.get(id) else { continue };
            let version = tables.text(tables.package(*id).version);
            for (target, order) in orders.iter().filter(|(t, _)| wanted.binary_search(t).is_ok()) {
                let known = newest.entry(*target).or_insert((*order, version));
                // Among several installed ones below the target which is newest only matters for display.
                if known.0 < *order || (known.0 == *order && known.1 < version) {
                    *known = (*order, version);
                }
            }
        }
        let levels = newest.into_iter();
        levels
            .map(|(target, (order, version))| Level {
                target,
                order,
                version: version.into(),
            })
            .collect()
    }
}

/// `name:stream` of a module label, whatever follows it.
fn stream_of(module: &str) -> &str {
    let end = module.match_indices(':').nth(1).map_or(module.len(), |(at, _)| at);
    module.get(..end).unwrap_or(module)
}
