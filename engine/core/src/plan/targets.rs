//! Which exact versions a rollout carries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::candidates::Candidates;
use super::context::{Context, PackageKey};
use crate::assess::Hit;
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{ComponentKind, PatchPolicySpec, VersionStrategy};
use crate::lookup::{Lookup, Seen};
use crate::observe::{PackageSetId, Part};
use crate::version::{Scheme, compare};

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
    needed: &Candidates,
    approved: &Candidates,
    already: &[Target],
) -> Versions {
    let strategy = policy.spec.strategy;
    let mut versions = Versions::new();
    already
        .iter()
        .for_each(|t| raise(&mut versions, &PackageKey::of_target(t), &t.version));
    let approved = approved.hits();
    for hit in needed.hits() {
        take(ctx, &mut versions, hit);
    }
    for hit in approved.iter().copied() {
        let Some(key) = ctx.key(hit) else { continue };
        let newest = strategy == VersionStrategy::Latest || is_cumulative(key);
        if newest && versions.contains_key(key) {
            take(ctx, &mut versions, hit);
        }
    }
    cohere(ctx, &policy.name, &mut versions, needed, &approved);
    versions
}

/// Windows updates, firmware, images and their like replace all that came before them.
fn is_cumulative(key: &PackageKey) -> bool {
    matches!(key.scheme, Scheme::Windows) || ComponentKind::parse(&key.os_id).is_some_and(Part::is_cumulative)
}

fn take(ctx: &Context<'_>, versions: &mut Versions, hit: u32) {
    let fixed = ctx.goal(hit);
    if let Some((fixed, key)) = fixed.zip(ctx.key(hit)) {
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
fn cohere(ctx: &Context<'_>, policy: &str, versions: &mut Versions, needed: &Candidates, approved: &[u32]) {
    let mut by_source: BTreeMap<SourceKey<'_>, BTreeSet<&PackageKey>> = BTreeMap::new();
    for hit in needed.hits() {
        let (Some(facts), Some(key)) = (ctx.hit(hit), ctx.key(hit)) else {
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
    let asking = Asking::new(ctx, needed);
    for keys in by_source.into_values() {
        let highest = keys.iter().filter_map(|k| versions.get(*k).map(|v| (k.scheme, v)));
        let Some((_, highest)) = highest.max_by(|(scheme, a), (_, b)| compare(*scheme, a, b)) else {
            continue;
        };
        let highest = Arc::clone(highest);
        let is_offered = |k: &&PackageKey| offered.contains(&(&k.os_id, &k.os_major, &k.name, &highest));
        for key in keys.into_iter().filter(is_offered) {
            if !asking.keeps_back(policy, key, &highest) {
                raise(versions, key, &highest);
            }
        }
    }
}

type SourceKey<'a> = (Scheme, &'a str, &'a str, &'a str, &'a str);

/// The findings at hand by package, one for every kind of asset and hit.
struct Asking<'c, 'a> {
    ctx: &'c Context<'a>,
    /// Asset and hit, by the number of the hit's package key.
    findings: Lookup<u32, Vec<(u32, u32)>>,
    /// Every hit, by the number of its package key.
    hits: Lookup<u32, Vec<u32>>,
}

impl<'c, 'a> Asking<'c, 'a> {
    fn new(ctx: &'c Context<'a>, needed: &Candidates) -> Self {
        let mut asking = Self {
            ctx,
            findings: Lookup::default(),
            hits: Lookup::default(),
        };
        let mut seen: Seen<(u32, u32)> = Seen::default();
        for (asset, rows) in needed.distinct(|asset| ctx.claims.kind_of(asset)) {
            let kind = ctx.claims.kind_of(asset);
            for hit in rows.iter().map(|r| r.hit).filter(|hit| seen.insert((kind, *hit))) {
                let key = ctx.key_id(hit).unwrap_or(u32::MAX);
                asking.findings.entry(key).or_default().push((asset, hit));
            }
        }
        for hit in 0..u32::try_from(ctx.assessment.hits.len()).unwrap_or(u32::MAX) {
            let key = ctx.key_id(hit).unwrap_or(u32::MAX);
            asking.hits.entry(key).or_default().push(hit);
        }
        asking
    }

    /// Whether the policy keeps back `version` of a package it goes for otherwise: by what it says of the findings at
    /// hand with that version, or of every finding that asks for it.
    fn keeps_back(&self, policy: &str, key: &PackageKey, version: &Arc<str>) -> bool {
        let ctx = self.ctx;
        let Some(key) = ctx.id_of_key(key) else { return false };
        let pairs = self.findings.get(&key).map_or(&[][..], |f| f).iter();
        let pairs: Vec<(u32, &Hit)> = pairs
            .filter_map(|(asset, hit)| Some((*asset, ctx.hit(*hit)?)))
            .collect();
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
        let hits = self.hits.get(&key).map_or(&[][..], |h| h).iter();
        let mut asking = hits
            .filter_map(|hit| ctx.hit(*hit))
            .filter(|hit| hit.fixed.as_ref() == Some(version))
            .peekable();
        // What a kind of asset says of a hit, its other assets say too.
        let kinds: BTreeMap<u32, u32> = pairs.iter().map(|(a, _)| (ctx.claims.kind_of(*a), *a)).collect();
        let takes = |hit: &Hit| kinds.values().any(|asset| ctx.claims.takes(*asset, policy, hit));
        asking.peek().is_some() && !asking.any(takes)
    }
}

/// Release (id and major), package, version.
type Offer<'a> = (&'a str, &'a str, &'a str, &'a str);

/// What the advisories behind approved findings fix on a release, or its assets' lists of available packages name.
fn offered<'a>(ctx: &Context<'a>, approved: &[u32]) -> BTreeSet<Offer<'a>> {
    let mut offered: BTreeSet<Offer<'a>> = BTreeSet::new();
    let mut seen: Seen<(u32, &str, &str)> = Seen::default();
    let hits = approved.iter().filter_map(|h| ctx.hit(*h));
    for hit in hits.filter(|h| seen.insert((h.advisory, &h.os_id, &h.os_major))) {
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
