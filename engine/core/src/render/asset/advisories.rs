//! Which advisories of a rollout an asset's targets fix.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::Target;
use crate::observe::{Asset, Fix, Symbol};
use crate::plan::BatchAsset;
use crate::render::RenderInput;
use crate::version::compare;

/// The advisories behind each target, worked out once for a rollout.
pub(in crate::render) struct Behind<'a> {
    input: RenderInput<'a>,
    /// For each target the places of its advisories in the rollout's list.
    of_target: Vec<BTreeSet<usize>>,
    /// The same of fixes that are named by source: they are for a target only where it was built from that source.
    of_source: Vec<BTreeMap<Symbol, BTreeSet<usize>>>,
}

impl<'a> Behind<'a> {
    /// An advisory is behind a target with a fix for it that its version has.
    pub(in crate::render) fn new(input: &RenderInput<'a>) -> Self {
        let targets = &input.rollout.targets;
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, target) in targets.iter().enumerate() {
            by_name.entry(&target.name).or_default().push(index);
        }
        let everything: Vec<usize> = (0..targets.len()).collect();
        let mut behind = Self {
            input: *input,
            of_target: vec![BTreeSet::new(); targets.len()],
            of_source: vec![BTreeMap::new(); targets.len()],
        };
        let known = &input.observation.advisories;
        for (place, id) in input.rollout.advisories.iter().enumerate() {
            let first = known.partition_point(|advisory| advisory.id < *id);
            let same = known.iter().skip(first).take_while(|advisory| advisory.id == *id);
            for fix in same.flat_map(|advisory| &advisory.fixes) {
                let named = by_name.get(fix.package.as_ref()).map_or(&[][..], Vec::as_slice);
                let asked = if fix.by_source || fix.package.is_empty() {
                    &everything
                } else {
                    named
                };
                let fixed = |index: &&usize| targets.get(**index).is_some_and(|target| is_fixed_by(fix, target));
                asked
                    .iter()
                    .filter(fixed)
                    .for_each(|index| behind.add(*index, place, fix));
            }
        }
        behind
    }

    fn add(&mut self, index: usize, place: usize, fix: &Fix) {
        let same_name = self
            .input
            .rollout
            .targets
            .get(index)
            .is_some_and(|t| t.name == fix.package);
        if !fix.by_source || same_name {
            self.of_target.get_mut(index).map(|places| places.insert(place));
        } else if let Some(source) = self.input.observation.tables.symbol(&fix.package) {
            // A source that no observation names built nothing.
            let sources = self.of_source.get_mut(index);
            sources.map(|sources| sources.entry(source).or_default().insert(place));
        }
    }

    /// The ids of the advisories that some target of an asset fixes, in order of the rollout.
    pub(super) fn of(&self, observed: &Asset, planned: &BatchAsset) -> Vec<String> {
        let mut places: BTreeSet<usize> = BTreeSet::new();
        let mut by_source: BTreeMap<Symbol, Vec<&BTreeMap<Symbol, BTreeSet<usize>>>> = BTreeMap::new();
        let tables = &self.input.observation.tables;
        for index in planned.targets.iter() {
            places.extend(self.of_target.get(*index).into_iter().flatten());
            let sources = self.of_source.get(*index).filter(|sources| !sources.is_empty());
            let target = self.input.rollout.targets.get(*index);
            let name = target.and_then(|target| tables.symbol(&target.name));
            if let Some((name, sources)) = name.zip(sources) {
                by_source.entry(name).or_default().push(sources);
            }
        }
        // Which source a binary was built from is what the asset says of it.
        let set = observed.facts.packages.filter(|_| !by_source.is_empty());
        for package in set
            .map_or(&[][..], |set| tables.set(set))
            .iter()
            .map(|id| tables.package(*id))
        {
            let sources = by_source.get(&package.name).into_iter().flatten();
            places.extend(sources.filter_map(|sources| sources.get(&package.source)).flatten());
        }
        let ids = places
            .iter()
            .filter_map(|place| self.input.rollout.advisories.get(*place));
        ids.map(ToString::to_string).collect()
    }
}

fn is_fixed_by(fix: &Fix, target: &Target) -> bool {
    let ecosystem = &fix.ecosystem;
    let here = match target.kind() {
        Some(kind) => *ecosystem.os_id == *kind.as_str(),
        None => ecosystem.os_id == target.os_id && ecosystem.release.as_ref().is_none_or(|r| *r == target.os_major),
    };
    let named = fix.by_source || fix.package.is_empty() || fix.package == target.name;
    let has = |fixed: &str| compare(ecosystem.scheme, fixed, &target.version).is_le();
    here && named && ecosystem.scheme == target.scheme && fix.fixed.as_deref().is_some_and(has)
}
