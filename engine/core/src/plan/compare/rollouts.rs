//! What happens to rollouts and their waves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{RolloutChange, RolloutChangeKind, WaveChange, WavePlace};
use crate::plan::{Plan, Rollout, Wave};

pub(super) fn compare(before: &Plan, after: &Plan) -> Vec<RolloutChange> {
    let by_name = |plan: &'_ Plan| -> BTreeMap<Arc<str>, usize> {
        let rollouts = plan.rollouts.iter().enumerate();
        rollouts.map(|(index, r)| (Arc::clone(&r.name), index)).collect()
    };
    let (was, is) = (by_name(before), by_name(after));
    let names: BTreeSet<&Arc<str>> = was.keys().chain(is.keys()).collect();
    let pick = |plan: &'_ Plan, index: Option<&usize>| index.and_then(|i| plan.rollouts.get(*i)).cloned();
    let change = |name: &Arc<str>| {
        let (old, new) = (pick(before, was.get(name)), pick(after, is.get(name)));
        rollout(name, old.as_ref(), new.as_ref())
    };
    names.into_iter().filter_map(change).collect()
}

fn rollout(name: &Arc<str>, old: Option<&Rollout>, new: Option<&Rollout>) -> Option<RolloutChange> {
    let kind = match (old, new) {
        (None, Some(_)) => RolloutChangeKind::Added,
        (Some(_), None) => RolloutChangeKind::Removed,
        _ => RolloutChangeKind::Moved,
    };
    let targets = |r: Option<&Rollout>| -> BTreeSet<String> {
        let all = r.into_iter().flat_map(|r| &r.targets);
        all.map(|t| format!("{} {}", t.name, t.version)).collect()
    };
    let (was, is) = (targets(old), targets(new));
    let change = RolloutChange {
        rollout: Arc::clone(name),
        kind,
        assets_before: size(old),
        assets_after: size(new),
        targets_added: is.difference(&was).cloned().collect(),
        targets_removed: was.difference(&is).cloned().collect(),
        waves: waves(old, new),
    };
    let same = kind == RolloutChangeKind::Moved
        && change.waves.is_empty()
        && change.targets_added.is_empty()
        && change.targets_removed.is_empty()
        && change.assets_before == change.assets_after;
    (!same).then_some(change)
}

fn size(rollout: Option<&Rollout>) -> usize {
    let waves = rollout.into_iter().flat_map(|r| &r.waves);
    waves.flat_map(|w| &w.batches).map(|b| b.assets.len()).sum()
}

fn waves(old: Option<&Rollout>, new: Option<&Rollout>) -> Vec<WaveChange> {
    let of = |r: Option<&Rollout>| -> Vec<(Arc<str>, WavePlace)> {
        let waves = r.into_iter().flat_map(|r| &r.waves);
        waves.map(|w| (Arc::clone(&w.name), place(w))).collect()
    };
    let (was, is) = (of(old), of(new));
    let find = |list: &[(Arc<str>, WavePlace)], name: &Arc<str>| {
        let found = list.iter().find(|(n, _)| n == name);
        found.map(|(_, place)| place.clone())
    };
    // In the order of the new side, then what only the old one has.
    let gone = was.iter().filter(|(name, _)| find(&is, name).is_none());
    let names = is.iter().chain(gone).map(|(name, _)| name);
    let change = |name: &Arc<str>| WaveChange {
        wave: Arc::clone(name),
        before: find(&was, name),
        after: find(&is, name),
    };
    names.map(change).filter(|w| w.before != w.after).collect()
}

fn place(wave: &Wave) -> WavePlace {
    let finishes: Option<Vec<_>> = wave.batches.iter().map(|b| b.finish).collect();
    WavePlace {
        start: wave.batches.iter().filter_map(|b| b.start).min(),
        finish: finishes.and_then(|f| f.into_iter().max()),
        batches: wave.batches.iter().map(|b| b.assets.len()).collect(),
        slack_seconds: wave.slack_seconds,
        soak_seconds: wave.soak_seconds,
    }
}
