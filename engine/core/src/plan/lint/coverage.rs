//! What must be done is done, waits or is refused, and nothing else is: worked out once for assets with the same findings
//! and the same targets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Faults;
use super::estate::{Estate, Shared};
use super::parts;
use crate::assess::Status;
use crate::history::{Target, WaveState};
use crate::load::wire::{Lane, Mode};
use crate::lookup::Lookup;
use crate::plan::{Plan, Rollout, carrier};
use crate::time::Boundary;
use crate::version::compare;

/// The lists of targets an asset takes, with the rollout of each.
type Taken = Vec<(usize, Shared)>;

/// Every planned finding is carried, or refused by name, or counted among those that wait.
pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let closers: Vec<Closers> = plan.rollouts.iter().map(|r| Closers::new(estate, r)).collect();
    let carried = carried(plan);
    let refused: BTreeSet<&str> = plan.refusals.iter().map(|r| r.asset.as_ref()).collect();
    let broken = plan.refusals.iter().any(|r| r.reason.as_ref() == "limit");
    let mut left: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
    let mut known: Lookup<(u32, Taken), BTreeMap<Arc<str>, usize>> = Lookup::default();
    let assets = estate.observation.assets.iter().zip(&estate.assessment.list_of);
    for ((asset, list), index) in assets.zip(0..) {
        let taken = carried.get(asset.name.as_ref()).map_or(&[][..], |taken| taken);
        let alike = (
            *list,
            taken.iter().map(|(r, targets)| (*r, Shared::of(targets))).collect(),
        );
        let open = known
            .entry(alike)
            .or_insert_with(|| uncovered(estate, &closers, taken, index));
        for (policy, count) in open.iter() {
            let entry = left.entry(Arc::clone(policy)).or_default();
            entry.0 += count;
            entry.1 += if refused.contains(asset.name.as_ref()) {
                0
            } else {
                *count
            };
        }
    }
    let waiting: BTreeMap<&str, usize> = plan.waiting.iter().map(|w| (w.policy.as_ref(), w.findings)).collect();
    for (policy, (uncovered, unrefused)) in left {
        let Some(resource) = estate.catalog.policies.get(&policy) else {
            continue;
        };
        let speaks = |m: &str| m.starts_with("paused") || m.contains("finding(s)");
        let noted = plan.notes.iter().any(|n| n.subject == policy && speaks(&n.message));
        let zone = &estate.catalog.zone.0;
        let paused = resource
            .spec
            .pause
            .as_ref()
            .is_some_and(|p| p.until.resolve(Boundary::End, zone) > estate.now);
        let counted = waiting.get(policy.as_ref()).copied().unwrap_or(0);
        if resource.spec.mode == Mode::Observe || broken || (noted && (paused || counted == 0)) {
            continue;
        }
        if counted < unrefused || counted > uncovered {
            let message = format!(
                "{unrefused} to {uncovered} findings are neither carried nor refused, and {counted} are said to wait"
            );
            faults.add("coverage", &policy, message);
        }
    }
    for (policy, counted) in waiting {
        if counted == 0 {
            faults.add("coverage", policy, "nothing waits, and yet it is said to");
        }
    }
    no_extra(estate, plan, &closers, faults);
}

/// For each asset: the rollouts it is in, by index, with its targets.
type Carried<'p> = Lookup<&'p str, Vec<(usize, &'p Arc<[usize]>)>>;

fn carried(plan: &Plan) -> Carried<'_> {
    let mut carried: Carried<'_> = Lookup::default();
    for (index, rollout) in plan.rollouts.iter().enumerate() {
        for wave in rollout
            .waves
            .iter()
            .filter(|w| !matches!(w.state, WaveState::Superseded | WaveState::RolledBack))
        {
            for asset in wave.batches.iter().flat_map(|b| &b.assets) {
                carried.entry(&asset.name).or_default().push((index, &asset.targets));
            }
        }
    }
    carried
}

/// For each hit the targets of one rollout that would close it.
struct Closers {
    /// On the release the hit is on.
    here: Vec<Vec<usize>>,
    /// Whatever the release.
    anywhere: Vec<Vec<usize>>,
}

impl Closers {
    fn new(estate: &Estate<'_>, rollout: &Rollout) -> Self {
        let mut by_package: Lookup<_, Vec<(usize, &Target)>> = Lookup::default();
        for (index, target) in rollout.targets.iter().enumerate() {
            let package = (target.name.as_ref(), target.arch.as_ref(), target.module.as_deref());
            by_package.entry(package).or_default().push((index, target));
        }
        let (mut here, mut anywhere) = (Vec::new(), Vec::new());
        for hit in &estate.assessment.hits {
            let package = carrier(hit);
            let same = by_package.get(&(package.as_ref(), hit.arch.as_ref(), hit.module.as_deref()));
            let same: Vec<(usize, &Target)> = same.into_iter().flatten().copied().collect();
            let fixed = |t: &Target| {
                let fixed = hit.fixed.as_ref();
                fixed.is_some_and(|v| compare(t.scheme, v, &t.version).is_le())
            };
            let closing = same.iter().filter(|(_, t)| fixed(t));
            // A step on the way is all that can be carried of it.
            let step = |t: &Target| hit.fixed.is_some() && parts::is_step(hit, t);
            let on_release = same
                .iter()
                .filter(|(_, t)| t.os_id == hit.os_id && t.os_major == hit.os_major && (fixed(t) || step(t)));
            here.push(on_release.map(|(index, _)| *index).collect());
            anywhere.push(closing.map(|(index, _)| *index).collect());
        }
        Self { here, anywhere }
    }
}

/// How many planned findings of an asset none of its rollouts closes, by policy.
fn uncovered(
    estate: &Estate<'_>,
    closers: &[Closers],
    taken: &[(usize, &Arc<[usize]>)],
    index: usize,
) -> BTreeMap<Arc<str>, usize> {
    let taken: Vec<(&Closers, BTreeSet<usize>)> = taken
        .iter()
        .filter_map(|(rollout, targets)| Some((closers.get(*rollout)?, targets.iter().copied().collect())))
        .collect();
    let mut open: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    for row in estate.assessment.rows(index) {
        let Some(judgement) = estate.assessment.judgements.get(row.judgement as usize) else {
            continue;
        };
        let Some(policy) = judgement.policy.as_ref().filter(|_| judgement.is_planned()) else {
            continue;
        };
        let hit = estate.assessment.hits.get(row.hit as usize);
        let closed = taken.iter().any(|(closers, targets)| {
            let closing = closers.here.get(row.hit as usize).into_iter().flatten();
            closing.into_iter().any(|t| targets.contains(t))
        });
        if hit.is_some_and(|h| h.fixed.is_some()) && !closed {
            *open.entry(Arc::clone(policy)).or_default() += 1;
        }
    }
    open
}

/// Nothing is touched that a person or missing facts keep out: an excepted, held or unknown finding stays as it is unless
/// another finding of the same package asks for the update.
fn no_extra(estate: &Estate<'_>, plan: &Plan, closers: &[Closers], faults: &mut Faults) {
    for (rollout, closers) in plan.rollouts.iter().zip(closers) {
        let mut known: Lookup<(u32, Shared), Vec<(usize, Status)>> = Lookup::default();
        // A policy may have the word in its own name.
        let own = rollout.name.strip_prefix(&*rollout.policy).unwrap_or(&rollout.name);
        if (rollout.lane == Lane::Emergency) != own.contains("-emergency") {
            faults.add(
                "name",
                &rollout.name,
                "an emergency rollout says so in its name, and no other does",
            );
        }
        for wave in rollout.waves.iter().filter(|w| w.state == WaveState::Pending) {
            for planned in wave.batches.iter().flat_map(|b| &b.assets) {
                let Some(index) = estate.index(&planned.name) else {
                    continue;
                };
                let list = estate.assessment.list_of.get(index).copied().unwrap_or(u32::MAX);
                let alike = (list, Shared::of(&planned.targets));
                let kept = known
                    .entry(alike)
                    .or_insert_with(|| unwanted(estate, closers, &planned.targets, index));
                for (target, status) in kept.iter() {
                    let name = rollout.targets.get(*target).map_or("", |t| t.name.as_ref());
                    let message = format!("{} takes {name}, which is {status}", planned.name);
                    faults.add("kept", &rollout.name, message);
                }
            }
        }
    }
}

/// The targets of an asset that close only findings which are not to be closed, with what such a finding is.
fn unwanted(estate: &Estate<'_>, closers: &Closers, targets: &[usize], index: usize) -> Vec<(usize, Status)> {
    let wanted: BTreeSet<usize> = targets.iter().copied().collect();
    let (mut asked, mut kept) = (BTreeSet::new(), BTreeMap::new());
    for row in estate.assessment.rows(index) {
        let Some(judgement) = estate.assessment.judgements.get(row.judgement as usize) else {
            continue;
        };
        let closing = closers.anywhere.get(row.hit as usize).into_iter().flatten();
        for target in closing.filter(|t| wanted.contains(t)) {
            if judgement.is_planned() {
                asked.insert(*target);
            } else if judgement.status != Status::Compliant {
                kept.entry(*target).or_insert(judgement.status);
            }
        }
    }
    kept.into_iter().filter(|(target, _)| !asked.contains(target)).collect()
}
