//! Nothing untested: every target of a wave that needs others was proved by one of them, on an asset that is like it.

use std::collections::{BTreeMap, BTreeSet};

use super::Faults;
use super::estate::{Estate, Shared};
use super::parts;
use crate::history::WaveState;
use crate::load::wire::Untested;
use crate::lookup::{Lookup, Seen};
use crate::observe::{Asset, PackageState, parts_of};
use crate::plan::{Batch, BatchAsset, Plan, Rollout, Wave};
use crate::version::compare;

/// What an asset is like: the architecture of the machine and the labels; release, package and module are the target's.
type Like<'a> = (&'a str, Vec<&'a str>);
/// A target, by index, on assets of one likeness.
type Kind<'a> = (usize, Like<'a>);

pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    for rollout in &plan.rollouts {
        let required = estate.catalog.policies.get(&rollout.policy).map(|p| &p.spec.requires);
        let Some(requires) = required.filter(|r| r.tested) else {
            continue;
        };
        let rule = Rule {
            estate,
            rollout,
            likeness: &requires.likeness,
        };
        let taken: BTreeMap<&str, BTreeSet<Kind<'_>>> = rollout
            .waves
            .iter()
            .map(|w| (w.name.as_ref(), rule.takes(&w.batches)))
            .collect();
        for wave in rollout.waves.iter().filter(|w| w.state == WaveState::Pending) {
            rule.wave(wave, &taken, requires.untested, faults);
        }
    }
}

struct Rule<'r, 'a> {
    estate: &'r Estate<'a>,
    rollout: &'r Rollout,
    likeness: &'r [String],
}

impl<'r> Rule<'r, '_> {
    fn like(&self, asset: &'r Asset) -> Like<'r> {
        let arch = asset.facts.os.as_ref().map_or("", |os| os.arch.as_ref());
        // A label that is missing is not the same as one that is empty.
        let labels = self.likeness.iter().map(|key| asset.label(key).unwrap_or("\0"));
        (arch, labels.collect())
    }

    /// Assets that are in the estate, each list of targets and likeness once.
    fn distinct(&self, batches: &'r [Batch]) -> Vec<(&'r BatchAsset, Like<'r>)> {
        let mut seen: Seen<(Shared, Like<'_>)> = Seen::default();
        let mut found = Vec::new();
        for planned in batches.iter().flat_map(|b| &b.assets) {
            let Some(asset) = self.estate.asset(&planned.name) else {
                continue;
            };
            let like = self.like(asset);
            if seen.insert((Shared::of(&planned.targets), like.clone())) {
                found.push((planned, like));
            }
        }
        found
    }

    /// What the assets of a wave take.
    fn takes(&self, batches: &'r [Batch]) -> BTreeSet<Kind<'r>> {
        let count = self.rollout.targets.len();
        let kinds = self.distinct(batches).into_iter().flat_map(|(planned, like)| {
            let known = planned.targets.iter().copied().filter(move |t| *t < count);
            known.map(move |t| (t, like.clone()))
        });
        kinds.collect()
    }

    fn wave(
        &self,
        wave: &'r Wave,
        taken: &BTreeMap<&str, BTreeSet<Kind<'r>>>,
        untested: Untested,
        faults: &mut Faults,
    ) {
        let specs = self.estate.wave_specs(self.rollout);
        let mut needed: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![wave.name.as_ref()];
        while let Some(current) = open.pop() {
            for need in specs.iter().filter(|s| s.name == current).flat_map(|s| &s.needs) {
                if needed.insert(need) {
                    open.push(need);
                }
            }
        }
        if needed.is_empty() {
            return;
        }
        let before: Vec<&BTreeSet<Kind<'_>>> = needed.iter().filter_map(|n| taken.get(n)).collect();
        let here = taken.get(wave.name.as_ref()).into_iter().flatten();
        let unproved: Vec<&Kind<'_>> = here.filter(|k| !before.iter().any(|b| b.contains(*k))).collect();
        if unproved.is_empty() {
            return;
        }
        let running = self.running(&needed);
        let unproved = unproved.into_iter().filter(|k| !running.contains(*k));
        let mut firsts = None;
        for kind in unproved {
            let target = self.rollout.targets.get(kind.0);
            let (name, version) = target.map_or(("", ""), |t| (t.name.as_ref(), t.version.as_ref()));
            match untested {
                Untested::Refuse => {
                    let message = format!("wave {} takes {name} {version}, which nothing has proved", wave.name);
                    faults.add("tested", &self.rollout.name, message);
                }
                Untested::ExtraApproval if !wave.extra_approval => {
                    let message = format!("wave {} needs one more approval", wave.name);
                    faults.add("tested", &self.rollout.name, message);
                }
                Untested::ExtraApproval => {}
                Untested::Canary => {
                    let firsts = firsts.get_or_insert_with(|| self.firsts(wave));
                    // What has no place in time stands together and is not run that way.
                    if firsts
                        .get(kind)
                        .is_some_and(|b| b.start.is_some() && b.assets.len() != 1)
                    {
                        let message = format!("wave {}: {name} has no canary", wave.name);
                        faults.add("tested", &self.rollout.name, message);
                    }
                }
            }
        }
    }

    /// The first batch that takes each kind: where it is unproved, it holds one asset.
    fn firsts(&self, wave: &'r Wave) -> Lookup<Kind<'r>, &'r Batch> {
        let mut firsts: Lookup<Kind<'_>, &Batch> = Lookup::default();
        for batch in &wave.batches {
            for kind in self.takes(std::slice::from_ref(batch)) {
                firsts.entry(kind).or_insert(batch);
            }
        }
        firsts
    }

    /// What fresh assets of some waves run exactly.
    fn running(&self, waves: &BTreeSet<&str>) -> Seen<Kind<'r>> {
        let (estate, tables) = (self.estate, &self.estate.observation.tables);
        let specs = estate.wave_specs(self.rollout).iter();
        let specs: Vec<_> = specs.filter(|w| waves.contains(w.name.as_str())).collect();
        let mut by_name: Lookup<&str, Vec<usize>> = Lookup::default();
        for (index, target) in self.rollout.targets.iter().enumerate() {
            by_name.entry(&target.name).or_default().push(index);
        }
        // A target's package at the target's version, by distinct package.
        let mut exact: Lookup<u32, Vec<usize>> = Lookup::default();
        for (id, package) in (0_u32..).zip(tables.packages()) {
            let named = by_name.get(tables.text(package.name)).into_iter().flatten().copied();
            let equal = named.filter(|index| {
                let target = self.rollout.targets.get(*index);
                target.is_some_and(|t| compare(t.scheme, tables.text(package.version), &t.version).is_eq())
            });
            let equal: Vec<usize> = equal.collect();
            if !equal.is_empty() && package.state != PackageState::ConfigFiles {
                exact.insert(id, equal);
            }
        }
        let others = self.rollout.targets.iter().enumerate();
        let others: Vec<_> = others.filter(|(_, t)| t.kind().is_some()).collect();
        let mut running: Seen<Kind<'_>> = Seen::default();
        let mut seen = Seen::default();
        for (index, asset) in estate.observation.assets.iter().enumerate() {
            let in_wave = || {
                estate.class_at(index).is_some_and(|c| {
                    specs.iter().any(|w| {
                        let selected = w.selector.as_ref().is_none_or(|s| s.matches(|key| asset.label(key)));
                        selected && w.environments.contains(&c.spec.environment)
                    })
                })
            };
            let os = asset.facts.os.as_ref();
            let release = os.map(|os| (os.id.as_ref(), os.major()));
            let own = if others.is_empty() { Vec::new() } else { parts_of(asset) };
            let alike = (asset.facts.packages, release, own, self.like(asset));
            if asset.stale || seen.contains(&alike) || !in_wave() {
                continue;
            }
            let set = asset.facts.packages.map_or(&[][..], |set| tables.set(set));
            for index in set.iter().filter_map(|id| exact.get(&id.0)).flatten() {
                let target = self.rollout.targets.get(*index);
                if target.is_some_and(|t| release == Some((t.os_id.as_ref(), t.os_major.as_ref()))) {
                    running.insert((*index, alike.3.clone()));
                }
            }
            let others = others.iter().filter(|(_, target)| parts::runs(asset, target));
            running.extend(others.map(|(index, _)| (*index, alike.3.clone())));
            seen.insert(alike);
        }
        running
    }
}
