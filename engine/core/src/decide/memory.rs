//! What the estate remembers: the first run, what was first seen when, which facts changed, which cuts were dealt with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{Decision, World};
use crate::history::{Changed, Event, MEMORY_FILE, Taken};
use crate::load::wire::{Clock, Exposure, Lifecycle, SlaPolicySpec};
use crate::observe::{PackageSetId, Score, Ssvc};

/// Records the first run and whatever is seen for the first time.
pub fn remember(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    let memory = &world.history.memory;
    if memory.first_run.is_none() {
        decision.record(MEMORY_FILE.into(), Event::FirstRun {});
    }
    let observation = world.observation;
    let mut advisories: Vec<Arc<str>> = observation
        .advisories
        .iter()
        .map(|a| &a.id)
        .filter(|id| !memory.advisories.contains_key(*id))
        .cloned()
        .collect();
    let assets: Vec<Arc<str>> = observation
        .assets
        .iter()
        .map(|a| &a.name)
        .filter(|n| !memory.assets.contains_key(*n))
        .cloned()
        .collect();
    let mut exploited: Vec<Arc<str>> = observation
        .advisories
        .iter()
        .filter(|a| a.exploited.is_some())
        .flat_map(|a| &a.aliases)
        .filter(|alias| alias.starts_with("CVE-") && !memory.exploited.contains_key(*alias))
        .cloned()
        .collect();
    for list in [&mut advisories, &mut exploited] {
        list.sort();
        list.dedup();
    }
    if !(advisories.is_empty() && assets.is_empty() && exploited.is_empty()) {
        decision.record(
            MEMORY_FILE.into(),
            Event::Seen {
                advisories,
                assets,
                exploited,
            },
        );
    }
    let changed = changed(world);
    if !changed.is_empty() {
        decision.record(MEMORY_FILE.into(), Event::Changed(changed));
    }
}

/// The facts an SLA reads that are not as they are remembered.
///
/// Only of advisories with findings: a finding born under a rule never moved to it. What a source does not say today is
/// no change, so a source that fails changes nothing.
fn changed(world: &World<'_>) -> Changed {
    let changes = &world.history.memory.changes;
    let mut changed = Changed::default();
    let mut hit: Vec<u32> = world.assessment.hits.iter().map(|h| h.advisory).collect();
    hit.sort_unstable();
    hit.dedup();
    let mut scored: BTreeSet<&Arc<str>> = BTreeSet::new();
    for advisory in hit
        .iter()
        .filter_map(|index| world.observation.advisories.get(*index as usize))
    {
        if last(&changes.severities, &advisory.id) != Some(advisory.severity) {
            put(&mut changed.severities, advisory.severity, &advisory.id);
        }
        for facts in &advisory.cves {
            // Several advisories name one CVE.
            if !scored.insert(&facts.cve) {
                continue;
            }
            let before = last(&changes.answers, &facts.cve).unwrap_or(Ssvc::UNKNOWN);
            let answers = facts.ssvc.or(before);
            if answers != before {
                put(&mut changed.ssvc, answers.code(), &facts.cve);
            }
            let before = changes.scores.get(&facts.cve).and_then(|taken| taken.last());
            if let Some(epss) = &facts.epss
                && Score::is_news(before.map(|(_, taken)| taken.score), epss.score)
            {
                let model = epss.model.clone().unwrap_or_default();
                let of_model = changed.epss.entry(model).or_default();
                of_model.insert(Arc::clone(&facts.cve), epss.score.probability());
            }
        }
    }
    exposures(world, &mut changed);
    scopes(world, &mut changed);
    available(world, &mut changed);
    for lists in [
        changed.exposures.values_mut().collect::<Vec<_>>(),
        changed.severities.values_mut().collect(),
    ] {
        lists.into_iter().for_each(|list| list.sort());
    }
    changed.ssvc.values_mut().for_each(|list| list.sort());
    changed
}

fn last<T: Copy>(all: &BTreeMap<Arc<str>, Taken<T>>, name: &Arc<str>) -> Option<T> {
    all.get(name).and_then(|taken| taken.last()).map(|(_, value)| *value)
}

fn put<T: Ord>(lists: &mut BTreeMap<T, Vec<Arc<str>>>, value: T, name: &Arc<str>) {
    lists.entry(value).or_default().push(Arc::clone(name));
}

/// Exposures of assets as their classes say; an asset without a class keeps the one it had.
fn exposures(world: &World<'_>, changed: &mut Changed) {
    let remembered = &world.history.memory.changes.exposures;
    let assets = world.observation.assets.iter().zip(&world.assessment.class_of);
    for (asset, class) in assets.filter(|(asset, _)| asset.lifecycle != Lifecycle::Retired) {
        let class = class.as_ref().and_then(|name| world.catalog.classes.get(name));
        let exposure = class.map(|class| class.spec.exposure.unwrap_or(Exposure::Public));
        // What was never remembered counts as it is now; only from what is not public can a move lead to more exposure.
        let known = last(remembered, &asset.name).unwrap_or(Exposure::Public);
        if let Some(exposure) = exposure.filter(|e| *e != known) {
            put(&mut changed.exposures, exposure, &asset.name);
        }
    }
}

/// Assets in the scope of policies whose SLA counts from there. Nothing is asked where no SLA does.
fn scopes(world: &World<'_>, changed: &mut Changed) {
    let names = |sla: &SlaPolicySpec| sla.clocks().contains(&Clock::InScope);
    let counted: BTreeSet<&Arc<str>> = (world.catalog.policies.values())
        .filter(|policy| {
            world
                .catalog
                .slas
                .get(policy.spec.sla.as_str())
                .is_some_and(|sla| names(&sla.spec))
        })
        .map(|policy| &policy.name)
        .collect();
    if counted.is_empty() {
        return;
    }
    let remembered = &world.history.memory.changes.scopes;
    let scope = crate::assess::scope(world.catalog, world.observation);
    for (asset, policies) in world.observation.assets.iter().zip(scope) {
        for policy in policies.iter().filter(|policy| counted.contains(policy)) {
            let known = remembered
                .get(policy)
                .is_some_and(|assets| assets.contains_key(&asset.name));
            if !known {
                put(&mut changed.scopes, Arc::clone(policy), &asset.name);
            }
        }
    }
}

/// Fixes that can be installed on an asset of a class for the first time, where an SLA counts from there.
fn available(world: &World<'_>, changed: &mut Changed) {
    if !(world.catalog.slas.values()).any(|sla| sla.spec.clocks().contains(&Clock::Available)) {
        return;
    }
    let remembered = &world.history.memory.changes.available;
    // Assets of a class share their lists: the same question is asked once.
    let mut asked: BTreeSet<(&Arc<str>, PackageSetId, u32)> = BTreeSet::new();
    let mut found: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
    for (index, class) in world.assessment.class_of.iter().enumerate() {
        let set = world
            .observation
            .assets
            .get(index)
            .and_then(|asset| asset.facts.available);
        let Some((class, set)) = class.as_ref().zip(set) else {
            continue;
        };
        for row in world.assessment.rows(index) {
            let hit = world.assessment.hits.get(row.hit as usize);
            let offered = hit.filter(|_| asked.insert((class, set, row.hit)));
            let Some(fix) = offered.and_then(|hit| hit.offered(&world.observation.tables, set)) else {
                continue;
            };
            let known = remembered
                .get(class)
                .is_some_and(|fixes| fixes.contains_key(fix.as_str()));
            if !known {
                found.entry(Arc::clone(class)).or_default().insert(fix.into());
            }
        }
    }
    changed.available = found
        .into_iter()
        .map(|(class, fixes)| (class, fixes.into_iter().collect()))
        .collect();
}

/// Records cadence instants whose rollouts are proposed by now. It comes after proposing: a crash before it repeats
/// the cut, and the open rollout that carries the findings makes that harmless.
pub fn remember_cuts(world: &World<'_>, _now: Timestamp, decision: &mut Decision) {
    for (policy, instant) in &world.plan.cuts {
        if world
            .history
            .memory
            .cuts
            .get(policy)
            .is_none_or(|newest| newest < instant)
        {
            decision.record(
                MEMORY_FILE.into(),
                Event::Cut {
                    policy: Arc::clone(policy),
                    instant: *instant,
                },
            );
        }
    }
}
