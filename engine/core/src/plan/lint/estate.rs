//! The estate as the checker sees it: resources of an asset, looked up one at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::assess::{Assessment, facts};
use crate::history::{History, OpenRollout, WaveProgress};
use crate::load::wire::{AssetClassSpec, Lifecycle, Service, WaveSpec};
use crate::load::{Catalog, Resource};
use crate::name::LabelSelector;
use crate::observe::{Asset, Observation};
use crate::plan::{Rollout, Wave};

pub(super) struct Estate<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) observation: &'a Observation,
    pub(super) assessment: &'a Assessment,
    pub(super) history: &'a History,
    pub(super) now: Timestamp,
}

/// The place in memory of a list the plan shares between assets: equal places are equal lists while the plan is borrowed.
/// Equal lists in two places are only looked at twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shared(usize, usize);

impl Shared {
    pub(super) fn of<T>(list: &Arc<[T]>) -> Self {
        Self(Arc::as_ptr(list).cast::<T>() as usize, list.len())
    }
}

/// A service's members of one environment, by name.
pub(super) struct Group<'a> {
    pub(super) fleet: &'a str,
    pub(super) environment: &'a str,
    pub(super) service: &'a Service,
    pub(super) members: BTreeSet<&'a str>,
}

impl<'a> Estate<'a> {
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.observation
            .assets
            .binary_search_by(|a| a.name.as_ref().cmp(name))
            .ok()
    }

    pub(super) fn asset(&self, name: &str) -> Option<&'a Asset> {
        self.index(name).and_then(|i| self.observation.assets.get(i))
    }

    pub(super) fn class_at(&self, index: usize) -> Option<&'a Resource<AssetClassSpec>> {
        self.catalog.classes.get(self.assessment.class_of.get(index)?.as_ref()?)
    }

    pub(super) fn class(&self, name: &str) -> Option<&'a Resource<AssetClassSpec>> {
        self.class_at(self.index(name)?)
    }

    /// Whether a selector and a condition select an asset; what cannot be judged answers `unreadable`.
    pub(super) fn selects(
        &self,
        asset: &Asset,
        selector: Option<&LabelSelector>,
        when: Option<&str>,
        unreadable: bool,
    ) -> bool {
        let labels = selector.is_none_or(|s| s.matches(|key| asset.label(key)));
        let class = self.class(&asset.name);
        let get = |path: &str| facts::of_asset(asset, path).or_else(|| facts::of_class(class, path));
        let holds = || match when {
            None => true,
            Some(text) => self
                .catalog
                .expression(text)
                .map_or(unreadable, |e| e.eval(&get).unwrap_or(unreadable)),
        };
        labels && holds()
    }

    pub(super) fn wave_specs(&self, rollout: &Rollout) -> &'a [WaveSpec] {
        self.catalog
            .strategies
            .get(&rollout.strategy)
            .map_or(&[], |s| &s.spec.waves)
    }

    pub(super) fn open(&self, rollout: &Rollout) -> Option<&'a OpenRollout> {
        self.history.open.iter().find(|o| o.name == rollout.name)
    }

    pub(super) fn progress(&self, rollout: &Rollout, wave: &Wave) -> Option<&'a WaveProgress> {
        self.open(rollout)?.waves.iter().find(|w| w.name == wave.name)
    }

    /// Every service, split by environment.
    pub(super) fn groups(&self) -> Vec<Group<'a>> {
        let mut by_label: BTreeMap<(&str, &str, &str), Vec<usize>> = BTreeMap::new();
        let mut by_fleet: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, asset) in self.observation.assets.iter().enumerate() {
            if asset.lifecycle == Lifecycle::Retired {
                continue;
            }
            by_fleet.entry(&asset.fleet).or_default().push(index);
            for (key, value) in asset.labels.iter() {
                by_label.entry((&asset.fleet, key, value)).or_default().push(index);
            }
        }
        let mut groups = Vec::new();
        for (fleet, resource) in &self.catalog.fleets {
            for service in &resource.spec.services {
                let labelled = service.members.match_labels.iter();
                let lists = labelled.map(|(k, v)| by_label.get(&(fleet.as_ref(), k.as_str(), v.as_str())));
                let shortest = lists.map(|l| l.map_or(&[][..], |l| l)).min_by_key(|l| l.len());
                let possible = shortest
                    .or_else(|| by_fleet.get(fleet.as_ref()).map(|l| &l[..]))
                    .unwrap_or(&[]);
                groups.extend(self.split(fleet, service, possible));
            }
        }
        groups
    }

    fn split(&self, fleet: &'a Arc<str>, service: &'a Service, possible: &[usize]) -> Vec<Group<'a>> {
        let mut members: BTreeMap<&'a str, BTreeSet<&'a str>> = BTreeMap::new();
        for index in possible {
            let (Some(asset), Some(class)) = (self.observation.assets.get(*index), self.class_at(*index)) else {
                continue;
            };
            if service.members.matches(|key| asset.label(key)) {
                members.entry(&class.spec.environment).or_default().insert(&asset.name);
            }
        }
        members
            .into_iter()
            .map(|(environment, members)| Group {
                fleet,
                environment,
                service,
                members,
            })
            .collect()
    }
}

/// The names of the assets of a wave.
pub(super) fn names(wave: &Wave) -> impl Iterator<Item = &str> {
    wave.batches.iter().flat_map(|b| &b.assets).map(|a| a.name.as_ref())
}
