//! What is carried: digests that name it, versions somebody offers, assets in their wave with a way back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Faults;
use super::estate::Estate;
use super::parts;
use super::versions::Seen;
use crate::canonical;
use crate::history::{Target, WaveState};
use crate::load::wire::Reversibility;
use crate::plan::{BatchAsset, Plan, Rollout, Wave, carrier};

pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let known = known_versions(estate);
    for rollout in &plan.rollouts {
        digest(rollout, faults);
        name(estate, rollout, faults);
        for target in &rollout.targets {
            let open = estate.open(rollout).is_some_and(|o| o.targets.contains(target));
            if !open
                && !parts::is_first_of_minor(target)
                && !known.contains(&(Arc::clone(&target.name), target.version.as_ref()))
            {
                faults.add(
                    "target",
                    &rollout.name,
                    format!("nobody offers {} {}", target.name, target.version),
                );
            }
        }
        let mut seen = Seen::new(estate, rollout);
        for wave in &rollout.waves {
            wave.batches
                .iter()
                .flat_map(|b| &b.assets)
                .for_each(|a| asset(estate, rollout, wave, a, &mut seen, faults));
        }
    }
}

fn digest(rollout: &Rollout, faults: &mut Faults) {
    let sorted: BTreeSet<&Target> = rollout.targets.iter().collect();
    if sorted.len() != rollout.targets.len() || !rollout.targets.is_sorted() {
        faults.add("digest", &rollout.name, "targets are not sorted, or one is there twice");
    }
    let list: Vec<&Target> = sorted.into_iter().collect();
    if canonical::digest(&list).ok().as_deref() != Some(rollout.digest.as_ref()) {
        faults.add(
            "digest",
            &rollout.name,
            "the patch-set digest is not that of the targets",
        );
    }
    let mut assets = rollout.waves.iter().flat_map(|w| &w.batches).flat_map(|b| &b.assets);
    if assets.any(|a| a.targets.iter().any(|t| *t >= rollout.targets.len())) {
        faults.add("target", &rollout.name, "an asset takes a target that is not there");
    }
}

fn name(estate: &Estate<'_>, rollout: &Rollout, faults: &mut Faults) {
    let Some(open) = estate.open(rollout) else {
        if estate.history.names.contains(&rollout.name) {
            faults.add("name", &rollout.name, "the name was taken before");
        }
        if rollout.revision != 1 {
            faults.add("revision", &rollout.name, "a new rollout starts at revision 1");
        }
        return;
    };
    let changed = open.targets != rollout.targets;
    if changed && (open.frozen || rollout.revision != open.revision + 1 || rollout.restarts != open.restarts + 1) {
        faults.add(
            "revision",
            &rollout.name,
            "the patch set changed where it must not, or without a new revision",
        );
    }
    if !changed && rollout.revision != open.revision {
        faults.add(
            "revision",
            &rollout.name,
            "the revision rose without a change of the patch set",
        );
    }
}

/// Every (package, version) that an advisory fixes at or an asset can reach.
fn known_versions<'a>(estate: &Estate<'a>) -> BTreeSet<(Arc<str>, &'a str)> {
    let hits = estate.assessment.hits.iter();
    let mut known: BTreeSet<(Arc<str>, &str)> = hits.filter_map(|h| Some((carrier(h), h.fixed.as_deref()?))).collect();
    let fixes = estate.observation.advisories.iter().flat_map(|a| &a.fixes);
    known.extend(fixes.filter_map(|f| Some((Arc::clone(&f.package), f.fixed.as_deref()?))));
    let tables = &estate.observation.tables;
    let sets: BTreeSet<_> = estate
        .observation
        .assets
        .iter()
        .filter_map(|a| a.facts.available)
        .collect();
    for id in sets.into_iter().flat_map(|s| tables.set(s)) {
        let package = tables.package(*id);
        known.insert((tables.text(package.name).into(), tables.text(package.version)));
    }
    known
}

/// An asset is in the wave of its environment, takes nothing older than it has, and has the way back the policy asks for.
fn asset(
    estate: &Estate<'_>,
    rollout: &Rollout,
    wave: &Wave,
    planned: &BatchAsset,
    seen: &mut Seen,
    faults: &mut Faults,
) {
    if !matches!(wave.state, WaveState::Pending | WaveState::Proposed) {
        return;
    }
    let mut add = |rule, message: String| faults.add(rule, &rollout.name, format!("{}: {message}", planned.name));
    let Some(index) = estate.index(&planned.name) else {
        if wave.state == WaveState::Pending {
            add("member", "is in no fleet".to_owned());
        }
        return;
    };
    let Some(asset) = estate.observation.assets.get(index) else {
        return;
    };
    let class = estate.class_at(index);
    let environment = class.map(|c| c.spec.environment.as_str());
    let takes = estate.wave_specs(rollout).iter().filter(|w| {
        let selected = w.selector.as_ref().is_none_or(|s| s.matches(|key| asset.label(key)));
        selected && environment.is_some_and(|e| w.environments.iter().any(|x| x == e))
    });
    let takes: Vec<&str> = takes.map(|w| w.name.as_str()).collect();
    if wave.state == WaveState::Pending && takes != [wave.name.as_ref()] {
        add("member", format!("is in wave {}, where {takes:?} take it", wave.name));
    }
    for (rule, message) in seen.versions(estate, rollout, asset, planned) {
        add(rule, message.clone());
    }
    let wanted = estate
        .catalog
        .policies
        .get(&rollout.policy)
        .map(|p| p.spec.requires.reversible);
    if wave.state == WaveState::Pending && wanted.is_some_and(|w| planned.rollback < w) {
        add(
            "irreversible",
            format!("its way back is {:?}, the policy wants {wanted:?}", planned.rollback),
        );
    }
    if planned.rollback > Reversibility::None && class.is_some_and(|c| c.spec.protection.rollback == "none") {
        add("irreversible", "its class has no way back at all".to_owned());
    }
}
