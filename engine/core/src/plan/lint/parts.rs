//! What is no package, and what runs under what: components on the assets that have them, Kubernetes one minor release at
//! a time and control planes first, hosts before their guests.

use std::collections::BTreeMap;

use super::Faults;
use super::estate::Estate;
use crate::assess::Hit;
use crate::history::{Target, WaveState};
use crate::observe::{Asset, Part, parts_of};
use crate::plan::{Batch, BatchAsset, Plan, Rollout, Wave};
use crate::version::compare;

pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    for rollout in &plan.rollouts {
        for wave in rollout.waves.iter().filter(|w| w.state == WaveState::Pending) {
            clusters(estate, rollout, wave, faults);
            hosts(estate, rollout, wave, faults);
            let has_kubelets = rollout.targets.iter().any(is_kubelet);
            let assets = wave.batches.iter().flat_map(|b| &b.assets);
            for planned in assets.filter(|_| has_kubelets) {
                one_minor(estate, rollout, planned, faults);
            }
        }
    }
}

/// The part of an asset that a target is for, on the branch it was planned from.
pub(super) fn part_of(asset: &Asset, target: &Target) -> Option<Part> {
    target.kind()?;
    let mut parts = parts_of(asset).into_iter();
    parts.find(|p| target.is_for(p) && p.branch == *target.os_major)
}

/// Whether the asset runs exactly the version of a target that is no package.
pub(super) fn runs(asset: &Asset, target: &Target) -> bool {
    let mut parts = parts_of(asset).into_iter().filter(|p| target.is_for(p));
    parts.any(|p| compare(target.scheme, p.running.as_ref().unwrap_or(&p.version), &target.version).is_eq())
}

fn is_kubelet(target: &Target) -> bool {
    *target.os_id == *"kubernetes" && *target.name == *"kubelet"
}

/// Major and minor number.
fn minor(version: &str) -> (u64, u64) {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether a kubelet target is a step on the way to what fixes a finding.
pub(super) fn is_step(hit: &Hit, target: &Target) -> bool {
    let fixed = hit.fixed.as_deref().unwrap_or_default();
    is_kubelet(target) && minor(&hit.installed) < minor(&target.version) && minor(&target.version) < minor(fixed)
}

/// Whether nobody has to offer a version: every minor release of Kubernetes begins with `.0`.
pub(super) fn is_first_of_minor(target: &Target) -> bool {
    let (major, minor) = minor(&target.version);
    is_kubelet(target) && *target.version == *format!("{major}.{minor}.0")
}

fn one_minor(estate: &Estate<'_>, rollout: &Rollout, planned: &BatchAsset, faults: &mut Faults) {
    let Some(asset) = estate.asset(&planned.name) else {
        return;
    };
    let targets = planned.targets.iter().filter_map(|t| rollout.targets.get(*t));
    for target in targets.filter(|t| is_kubelet(t)) {
        let here = part_of(asset, target);
        let jumps = here.filter(|p| minor(&target.version).1 > minor(&p.version).1 + 1);
        if let Some(part) = jumps {
            let message = format!(
                "{} would go from {} to {} at once",
                planned.name, part.version, target.version
            );
            faults.add("skew", &rollout.name, message);
        }
    }
}

/// Workers after the control plane of their cluster, and never newer than it.
fn clusters(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, faults: &mut Faults) {
    type Nodes<'w> = Vec<(bool, &'w BatchAsset, &'w Batch)>;
    let mut clusters: BTreeMap<(&str, &str, &str), Nodes<'_>> = BTreeMap::new();
    for (batch, planned) in wave.batches.iter().flat_map(|b| b.assets.iter().map(move |a| (b, a))) {
        let (Some(asset), Some(class)) = (estate.asset(&planned.name), estate.class(&planned.name)) else {
            continue;
        };
        if let Some(role) = asset.facts.kubernetes.as_ref().and_then(|k| k.role.as_deref()) {
            let key = (
                asset.fleet.as_ref(),
                asset.label("cluster").unwrap_or(""),
                class.spec.environment.as_str(),
            );
            clusters
                .entry(key)
                .or_default()
                .push((role == "control-plane", planned, batch));
        }
    }
    for nodes in clusters.values() {
        for (_, control_plane, last) in nodes.iter().filter(|(is_control_plane, ..)| *is_control_plane) {
            for (_, worker, first) in nodes.iter().filter(|(is_control_plane, ..)| !is_control_plane) {
                let late = first.start.is_some_and(|s| last.finish.is_none_or(|f| s < f));
                if late {
                    let message = format!(
                        "{} starts before control plane {} is done",
                        worker.name, control_plane.name
                    );
                    faults.add("control-plane", &rollout.name, message);
                }
            }
        }
    }
}

/// A host is done before a guest of the same wave starts.
fn hosts(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, faults: &mut Faults) {
    let place: BTreeMap<&str, &Batch> = wave
        .batches
        .iter()
        .flat_map(|b| b.assets.iter().map(move |a| (a.name.as_ref(), b)))
        .collect();
    let listed = estate.catalog.fleets.values().flat_map(|f| &f.spec.assets);
    let runs_on: BTreeMap<&str, &str> = listed
        .filter_map(|a| Some((a.name.as_str(), a.runs_on.as_deref()?)))
        .collect();
    for (name, guest) in &place {
        let label = || estate.asset(name).and_then(|a| a.label("runs-on"));
        let host = runs_on.get(name).copied().or_else(label).filter(|h| h != name);
        let Some(host) = host.and_then(|h| place.get(h)) else {
            continue;
        };
        if guest.start.is_some_and(|s| host.finish.is_none_or(|f| s < f)) {
            let message = format!("{name} starts before the host it runs on is done");
            faults.add("host", &rollout.name, message);
        }
    }
}
