//! What every step of planning looks up: classes, services and package keys, each worked out once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::debian_kernel::carrier;
use super::matching;
use super::service_finder::ServiceFinder;
use super::steps::{Steps, steps};
use super::{PlanNote, Refusal};
use crate::assess::{Assessment, Claims, Hit, Judgement};
use crate::history::{History, Target};
use crate::load::wire::{AssetClassSpec, Lifecycle, Service};
use crate::load::{Catalog, Resource};
use crate::lookup::Lookup;
use crate::name::LabelSelector;
use crate::observe::{AdvisoryRecord, Articles, Asset, Observation};
use crate::version::Scheme;

/// Everything the planner reads, indexed. Assets are meant by their index in the observation, whose order is that of
/// their names, so comparing indexes compares names.
pub(super) struct Context<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) observation: &'a Observation,
    pub(super) assessment: &'a Assessment,
    pub(super) history: &'a History,
    pub(super) now: Timestamp,
    /// The class of each asset, if exactly one wins.
    pub(super) classes: Vec<Option<&'a Resource<AssetClassSpec>>>,
    /// Distinct package keys of hits, by number.
    keys: Vec<PackageKey>,
    key_ids: Lookup<PackageKey, u32>,
    /// The number of the key of each hit's package.
    key_of_hit: Vec<u32>,
    /// Distinct releases (id, major), sorted.
    releases: Vec<(Arc<str>, Arc<str>)>,
    /// The number of each asset's release, if its operating system is known.
    release_of: Vec<Option<u32>>,
    /// Services, split by environment.
    pub(super) services: Services<'a>,
    /// Which policy would take what.
    pub(super) claims: Claims<'a>,
    scopes: BTreeMap<Arc<str>, Vec<u32>>,
    /// Which articles bring a Windows build.
    pub(super) articles: Articles<'a>,
    steps: Steps,
}

/// A target without its version: what is updated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PackageKey {
    pub(super) scheme: Scheme,
    pub(super) os_id: Arc<str>,
    pub(super) os_major: Arc<str>,
    pub(super) arch: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) module: Option<Arc<str>>,
}

impl PackageKey {
    fn of_hit(hit: &Hit) -> Self {
        Self {
            scheme: hit.scheme,
            os_id: Arc::clone(&hit.os_id),
            os_major: Arc::clone(&hit.os_major),
            arch: Arc::clone(&hit.arch),
            name: carrier(hit),
            module: hit.module.clone(),
        }
    }

    pub(super) fn of_target(target: &Target) -> Self {
        Self {
            scheme: target.scheme,
            os_id: Arc::clone(&target.os_id),
            os_major: Arc::clone(&target.os_major),
            arch: Arc::clone(&target.arch),
            name: Arc::clone(&target.name),
            module: target.module.clone(),
        }
    }

    pub(super) fn at(&self, version: &Arc<str>) -> Target {
        Target {
            scheme: self.scheme,
            os_id: Arc::clone(&self.os_id),
            os_major: Arc::clone(&self.os_major),
            arch: Arc::clone(&self.arch),
            name: Arc::clone(&self.name),
            module: self.module.clone(),
            version: Arc::clone(version),
        }
    }
}

/// What is said besides the rollouts; sets, so that nothing is said twice and the order is fixed.
#[derive(Default)]
pub(super) struct Said {
    pub(super) refusals: BTreeSet<Refusal>,
    pub(super) notes: BTreeSet<PlanNote>,
}

impl Said {
    pub(super) fn note(&mut self, subject: &Arc<str>, message: impl Into<String>) {
        self.notes.insert(PlanNote {
            subject: Arc::clone(subject),
            message: message.into(),
        });
    }
}

impl<'a> Context<'a> {
    pub(super) fn new(
        catalog: &'a Catalog,
        observation: &'a Observation,
        assessment: &'a Assessment,
        history: &'a History,
        now: Timestamp,
    ) -> Self {
        let class_of = |index: usize| {
            let name = assessment.class_of.get(index)?.as_ref()?;
            catalog.classes.get(name)
        };
        let classes: Vec<_> = (0..observation.assets.len()).map(class_of).collect();
        let services = Services::new(catalog, observation, &classes);
        let mut key_ids: Lookup<PackageKey, u32> = Lookup::default();
        let mut keys = Vec::new();
        let key_of_hit = assessment.hits.iter().map(PackageKey::of_hit);
        let key_of_hit = key_of_hit
            .map(|key| {
                *key_ids.entry(key).or_insert_with_key(|key| {
                    keys.push(key.clone());
                    keys.len() as u32 - 1
                })
            })
            .collect();
        let (releases, release_of) = releases(observation);
        let claims = Claims::new(catalog, observation, &history.memory, now);
        let scopes = scopes(&claims, observation);
        Self {
            catalog,
            observation,
            assessment,
            history,
            now,
            classes,
            keys,
            key_ids,
            key_of_hit,
            releases,
            release_of,
            services,
            articles: Articles::new(&observation.advisories),
            claims,
            scopes,
            steps: steps(observation, assessment),
        }
    }

    pub(super) fn asset(&self, index: u32) -> Option<&'a Asset> {
        self.observation.assets.get(index as usize)
    }

    pub(super) fn asset_index(&self, name: &str) -> Option<u32> {
        let found = self
            .observation
            .assets
            .binary_search_by(|a| a.name.as_ref().cmp(name))
            .ok()?;
        u32::try_from(found).ok()
    }

    pub(super) fn class(&self, index: u32) -> Option<&'a Resource<AssetClassSpec>> {
        self.classes.get(index as usize).copied().flatten()
    }

    pub(super) fn hit(&self, index: u32) -> Option<&'a Hit> {
        self.assessment.hits.get(index as usize)
    }

    /// The version a rollout takes for a hit: its fix, or the next step on the way there.
    pub(super) fn goal(&self, index: u32) -> Option<&Arc<str>> {
        self.steps
            .get(&index)
            .or_else(|| self.assessment.hits.get(index as usize)?.fixed.as_ref())
    }

    /// Whether what a rollout takes for the hit is only a step on the way to its fix.
    pub(super) fn is_step(&self, index: u32) -> bool {
        self.steps.contains_key(&index)
    }

    pub(super) fn judgement(&self, index: u32) -> Option<&'a Judgement> {
        self.assessment.judgements.get(index as usize)
    }

    /// The number of the key of a hit's package.
    pub(super) fn key_id(&self, hit: u32) -> Option<u32> {
        self.key_of_hit.get(hit as usize).copied()
    }

    /// The number of a package key, if any hit has it.
    pub(super) fn id_of_key(&self, key: &PackageKey) -> Option<u32> {
        self.key_ids.get(key).copied()
    }

    /// The key of a hit's package.
    pub(super) fn key(&self, hit: u32) -> Option<&PackageKey> {
        self.keys.get(self.key_id(hit)? as usize)
    }

    /// The number of an asset's release (id and major), if its operating system is known.
    pub(super) fn release(&self, asset: u32) -> Option<u32> {
        self.release_of.get(asset as usize).copied().flatten()
    }

    /// The number of a release that some asset has.
    pub(super) fn release_id(&self, os_id: &str, os_major: &str) -> Option<u32> {
        let like = |r: &(Arc<str>, Arc<str>)| (r.0.as_ref(), r.1.as_ref()).cmp(&(os_id, os_major));
        self.releases.binary_search_by(like).ok().map(|at| at as u32)
    }

    /// When an advisory was published, or else first seen: what nobody dated is as young as our knowledge of it.
    pub(super) fn known_since(&self, advisory: &AdvisoryRecord) -> Timestamp {
        let seen = || self.history.memory.advisories.get(&advisory.id).copied();
        advisory.published.or_else(seen).unwrap_or(self.now)
    }

    /// Whether `selector` and `when` match the asset; an asset that cannot be judged is taken as `unreadable` says.
    pub(super) fn matches(
        &self,
        index: u32,
        selector: Option<&LabelSelector>,
        when: Option<&str>,
        unreadable: bool,
    ) -> bool {
        let Some(asset) = self.asset(index) else { return false };
        matching::matches(self.catalog, asset, self.class(index), selector, when).unwrap_or(unreadable)
    }

    /// The assets a policy is about, ascending. Retired ones are nobody's any more.
    pub(super) fn in_scope(&self, policy: &str) -> &[u32] {
        self.scopes.get(policy).map_or(&[], |v| v)
    }
}

type Releases = (Vec<(Arc<str>, Arc<str>)>, Vec<Option<u32>>);

/// Distinct releases, sorted, and the number of each asset's.
fn releases(observation: &Observation) -> Releases {
    let distinct: BTreeSet<(&str, &str)> = observation
        .assets
        .iter()
        .filter_map(|a| a.facts.os.as_ref())
        .map(|os| (os.id.as_ref(), os.major()))
        .collect();
    let distinct: Vec<(&str, &str)> = distinct.into_iter().collect();
    let number = |a: &Asset| {
        let os = a.facts.os.as_ref()?;
        let at = distinct.binary_search(&(os.id.as_ref(), os.major())).ok()?;
        Some(at as u32)
    };
    let numbers = observation.assets.iter().map(number).collect();
    let owned = distinct.iter().map(|(id, major)| (Arc::from(*id), Arc::from(*major)));
    (owned.collect(), numbers)
}

/// The assets of each policy.
fn scopes(claims: &Claims<'_>, observation: &Observation) -> BTreeMap<Arc<str>, Vec<u32>> {
    let mut scopes: BTreeMap<Arc<str>, Vec<u32>> = BTreeMap::new();
    let assets = observation.assets.iter().zip(claims.scope()).zip(0_u32..);
    for ((_, policies), index) in assets.filter(|((a, _), _)| a.lifecycle != Lifecycle::Retired) {
        policies
            .into_iter()
            .for_each(|p| scopes.entry(p).or_default().push(index));
    }
    scopes
}

/// A service within one environment.
pub(super) struct ServiceGroup<'a> {
    pub(super) fleet: &'a str,
    pub(super) environment: &'a str,
    pub(super) spec: &'a Service,
    /// Members, ascending.
    pub(super) members: Vec<u32>,
}

/// Every service of every fleet, split by environment.
#[derive(Default)]
pub(super) struct Services<'a> {
    pub(super) groups: Vec<ServiceGroup<'a>>,
    /// Groups of each asset, ascending.
    of_asset: Lookup<u32, Vec<u32>>,
    by_name: BTreeMap<(&'a str, &'a str, &'a str), u32>,
    /// Every service of every fleet, with members or without.
    specs: BTreeMap<(&'a str, &'a str), &'a Service>,
}

impl<'a> Services<'a> {
    fn new(
        catalog: &'a Catalog,
        observation: &'a Observation,
        classes: &[Option<&'a Resource<AssetClassSpec>>],
    ) -> Self {
        let mut members: BTreeMap<(&'a str, &'a str, &'a str), Vec<u32>> = BTreeMap::new();
        let mut specs: BTreeMap<(&'a str, &'a str), &'a Service> = BTreeMap::new();
        let finders: BTreeMap<&str, ServiceFinder<'a>> = catalog
            .fleets
            .iter()
            .map(|(name, fleet)| (name.as_ref(), ServiceFinder::new(&fleet.spec.services)))
            .collect();
        for (index, (asset, class)) in observation.assets.iter().zip(classes).enumerate() {
            let (Some(class), Ok(index)) = (class, u32::try_from(index)) else {
                continue;
            };
            let Some((fleet, finder)) = finders.get_key_value(asset.fleet.as_ref()) else {
                continue;
            };
            if asset.lifecycle == Lifecycle::Retired {
                continue;
            }
            for (_, spec) in finder.of(asset) {
                specs.insert((fleet, spec.name.as_str()), spec);
                members
                    .entry((fleet, spec.name.as_str(), class.spec.environment.as_str()))
                    .or_default()
                    .push(index);
            }
        }
        let all = |fleet: &'a str, list: &'a [Service]| list.iter().map(move |s| ((fleet, s.name.as_str()), s));
        let fleets = catalog.fleets.iter();
        let mut services = Self {
            specs: fleets
                .flat_map(|(name, f)| all(name.as_ref(), &f.spec.services))
                .collect(),
            ..Self::default()
        };
        for ((fleet, name, environment), members) in members {
            let Some(spec) = specs.get(&(fleet, name)) else {
                continue;
            };
            let id = u32::try_from(services.groups.len()).unwrap_or(u32::MAX);
            members
                .iter()
                .for_each(|m| services.of_asset.entry(*m).or_default().push(id));
            services.by_name.insert((fleet, name, environment), id);
            services.groups.push(ServiceGroup {
                fleet,
                environment,
                spec,
                members,
            });
        }
        services
    }

    pub(super) fn of(&self, asset: u32) -> &[u32] {
        self.of_asset.get(&asset).map_or(&[], |v| v)
    }

    pub(super) fn group(&self, id: u32) -> Option<&ServiceGroup<'a>> {
        self.groups.get(id as usize)
    }

    /// The groups that `id` depends on directly, in its own environment and fleet; a service without members there stands
    /// for what it depends on itself.
    pub(super) fn depends_on(&self, id: u32) -> impl Iterator<Item = u32> + '_ {
        let (mut found, mut seen) = (BTreeSet::new(), BTreeSet::new());
        if let Some(group) = self.group(id) {
            let mut open: Vec<&str> = group.spec.depends_on.iter().map(String::as_str).collect();
            while let Some(name) = open.pop() {
                if !seen.insert(name) {
                    continue;
                }
                if let Some(there) = self.by_name.get(&(group.fleet, name, group.environment)) {
                    found.insert(*there);
                } else if let Some(spec) = self.specs.get(&(group.fleet, name)) {
                    open.extend(spec.depends_on.iter().map(String::as_str));
                }
            }
        }
        found.into_iter()
    }
}
