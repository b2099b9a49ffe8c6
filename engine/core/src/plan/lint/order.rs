//! Who goes before whom: waves after what they need and its soak, batches one after the other, services in their order.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Faults;
use super::estate::{Estate, Group, names};
use crate::history::WaveState;
use crate::load::wire::{Lane, Service};
use crate::plan::{Batch, Plan, Rollout, Wave};

pub(super) fn check<'p>(estate: &Estate<'p>, plan: &'p Plan, faults: &mut Faults) {
    let groups = estate.groups();
    let mut seen = BTreeSet::new();
    for rollout in &plan.rollouts {
        if !seen.insert(&rollout.name) {
            faults.add("twice", &rollout.name, "two rollouts have this name");
        }
        waves(estate, rollout, faults);
        for wave in &rollout.waves {
            batches(estate, rollout, wave, faults);
            if wave.state == WaveState::Pending {
                sizes(estate, rollout, wave, faults);
                services(&groups, estate, rollout, wave, faults);
            }
        }
    }
    locks(estate, plan, faults);
}

/// The wave graph of the strategy, without waves that hold no asset, and each wave after what it needs.
fn waves(estate: &Estate<'_>, rollout: &Rollout, faults: &mut Faults) {
    let specs = estate.wave_specs(rollout);
    let present: BTreeMap<&str, &Wave> = rollout.waves.iter().map(|w| (w.name.as_ref(), w)).collect();
    for wave in &rollout.waves {
        let mut expected: BTreeSet<&str> = BTreeSet::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open = vec![wave.name.as_ref()];
        while let Some(name) = open.pop() {
            for need in specs
                .iter()
                .filter(|s| s.name == name)
                .flat_map(|s| &s.needs)
                .map(String::as_str)
            {
                if need == wave.name.as_ref() {
                    faults.add("order", &rollout.name, format!("wave {need} needs itself"));
                }
                if seen.insert(need) {
                    if present.contains_key(need) {
                        expected.insert(need);
                    } else {
                        open.push(need);
                    }
                }
            }
        }
        let given: BTreeSet<&str> = wave.needs.iter().map(AsRef::as_ref).collect();
        if given != expected {
            faults.add(
                "order",
                &rollout.name,
                format!("wave {} needs {given:?}, not {expected:?}", wave.name),
            );
        }
        for need in given.iter().filter_map(|n| present.get(n)) {
            after(estate, rollout, wave, need, faults);
        }
    }
}

/// `wave` starts nothing before `need` is promoted or would be.
fn after(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, need: &Wave, faults: &mut Faults) {
    let start = wave
        .batches
        .iter()
        .filter(|b| !b.released)
        .filter_map(|b| b.start)
        .min();
    let Some(start) = start else { return };
    let spec = estate.wave_specs(rollout).iter().find(|s| *s.name == *need.name);
    let emergency = estate
        .catalog
        .strategies
        .get(&rollout.strategy)
        .and_then(|s| s.spec.lanes.emergency.as_ref());
    let soak = match (rollout.lane, emergency.and_then(|e| e.soak)) {
        (Lane::Emergency, Some(soak)) => soak.seconds(),
        _ => spec.map_or(0, |s| s.soak.seconds()),
    };
    if soak != need.soak_seconds {
        faults.add(
            "soak",
            &rollout.name,
            format!("wave {} soaks {} s, not {soak} s", need.name, need.soak_seconds),
        );
    }
    let progress = estate.progress(rollout, need);
    let soaked = |from: Timestamp| {
        from.saturating_add(SignedDuration::from_secs(soak))
            .unwrap_or(Timestamp::MAX)
    };
    let end = match need.state {
        WaveState::Promoted => return,
        WaveState::Soaking => progress.and_then(|p| p.soaking_since).map(soaked),
        _ => need
            .batches
            .iter()
            .map(|b| b.finish)
            .collect::<Option<Vec<_>>>()
            .and_then(|f| f.into_iter().max())
            .map(soaked),
    };
    match end {
        None => faults.add(
            "order",
            &rollout.name,
            format!("wave {} has times, but {} before it has none", wave.name, need.name),
        ),
        Some(end) if start < end => {
            faults.add(
                "soak",
                &rollout.name,
                format!(
                    "wave {} starts {start}, before {end} when {} has soaked",
                    wave.name, need.name
                ),
            );
        }
        Some(_) => {}
    }
}

/// Batches follow each other, none starts in the past, ids count up, and the numbers of the wave are those of its batches.
fn batches(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, faults: &mut Faults) {
    let mut add = |message: String| faults.add("batch", &rollout.name, format!("wave {}: {message}", wave.name));
    if wave.batches.is_empty() {
        add("has no batch".to_owned());
    }
    let mut before: Option<Timestamp> = None;
    for (number, batch) in wave.batches.iter().enumerate() {
        if batch.assets.is_empty() && wave.state == WaveState::Pending {
            add(format!("batch {} is empty", batch.id));
        }
        if wave.state == WaveState::Pending && *batch.id != *format!("{:02}", number + 1) {
            add(format!("batch {} is number {}", batch.id, number + 1));
        }
        if let (Some(start), Some(finish)) = (batch.start, batch.finish) {
            if finish < start || finish.duration_since(start).as_secs() != batch.duration_seconds {
                add(format!("batch {} takes from {start} to {finish}", batch.id));
            }
            if !batch.released && start < estate.now {
                add(format!("batch {} starts {start}, in the past", batch.id));
            }
            if !batch.released && before.is_some_and(|b| start < b) {
                add(format!(
                    "batch {} starts {start}, before the one before it is done",
                    batch.id
                ));
            }
            before = before.max(Some(finish));
        } else if batch.blocked.is_none() {
            add(format!("batch {} has no time and no reason", batch.id));
        }
    }
    let deadline = wave
        .batches
        .iter()
        .flat_map(|b| &b.assets)
        .filter_map(|a| a.deadline)
        .min();
    if deadline != wave.deadline {
        add(format!("deadline {:?}, not {deadline:?}", wave.deadline));
    }
    let finishes: Option<Vec<Timestamp>> = wave.batches.iter().map(|b| b.finish).collect();
    let finish = finishes.and_then(|f| f.into_iter().max());
    let slack = deadline.zip(finish).map(|(d, f)| d.duration_since(f).as_secs());
    if slack != wave.slack_seconds {
        add(format!("slack {:?}, not {slack:?}", wave.slack_seconds));
    }
}

/// No batch is larger than what is left of the size it comes from.
fn sizes(estate: &Estate<'_>, rollout: &Rollout, wave: &Wave, faults: &mut Faults) {
    let Some(spec) = estate.wave_specs(rollout).iter().find(|s| *s.name == *wave.name) else {
        return;
    };
    let total = names(wave).count();
    let sizes: Vec<usize> = spec
        .batches
        .iter()
        .map(|amount| match *amount {
            crate::name::Amount::Count(n) => n as usize,
            crate::name::Amount::Share(0) => 0,
            crate::name::Amount::Share(share) => (total * share as usize / 10_000).max(1),
        })
        .filter(|n| *n > 0)
        .collect();
    let (mut next, mut left) = (0, 0);
    for batch in &wave.batches {
        if left == 0 {
            left = sizes.get(next).or(sizes.last()).copied().unwrap_or(usize::MAX);
            next += 1;
        }
        if batch.assets.len() > left {
            let message = format!(
                "wave {} batch {} has {} assets where {left} may go",
                wave.name,
                batch.id,
                batch.assets.len()
            );
            faults.add("size", &rollout.name, message);
        }
        left = left.saturating_sub(batch.assets.len());
    }
}

/// What an asset's batch is, in a wave.
type Place<'p> = BTreeMap<&'p str, &'p Batch>;

/// `dependsOn`, `order` and `platform` within the wave.
fn services<'p>(groups: &[Group<'p>], estate: &Estate<'_>, rollout: &Rollout, wave: &'p Wave, faults: &mut Faults) {
    let place: Place<'p> = wave
        .batches
        .iter()
        .flat_map(|b| b.assets.iter().map(move |a| (a.name.as_ref(), b)))
        .collect();
    for group in groups {
        let here: Vec<(&str, &Batch)> = within(&place, group);
        if here.is_empty() {
            continue;
        }
        for name in &group.service.depends_on {
            let same = |g: &&Group<'_>| g.fleet == group.fleet && g.environment == group.environment;
            let Some(dependency) = groups.iter().filter(same).find(|g| g.service.name == *name) else {
                continue;
            };
            let before = within(&place, dependency);
            // An asset of both, or of what that depends on in turn, goes with what is depended on.
            let first = foundations(groups, dependency);
            let only: Vec<(&str, &Batch)> = here
                .iter()
                .filter(|(a, _)| !first.iter().any(|g| g.members.contains(a)))
                .copied()
                .collect();
            let both = |a: &str| group.members.contains(a);
            let before: Vec<(&str, &Batch)> = before.into_iter().filter(|(a, _)| !both(a)).collect();
            precede(
                &before,
                &only,
                dependency.service.platform,
                &format!("{name} before {}", group.service.name),
                rollout,
                faults,
            );
        }
        if group.service.ha.is_some() {
            together(&here, group.service, rollout, faults);
        }
        if let Some(order) = &group.service.order {
            let rank = |name: &str| {
                let value = estate.asset(name).and_then(|a| a.label(&order.label));
                value
                    .and_then(|v| order.values.iter().position(|x| x == v))
                    .unwrap_or(order.values.len())
            };
            for wanted in 1..=order.values.len() {
                let earlier: Vec<_> = here.iter().filter(|(a, _)| rank(a) < wanted).copied().collect();
                let later: Vec<_> = here.iter().filter(|(a, _)| rank(a) == wanted).copied().collect();
                precede(
                    &earlier,
                    &later,
                    false,
                    &format!("{} by {}", group.service.name, order.label),
                    rollout,
                    faults,
                );
            }
        }
    }
}

/// Members that keep each other up are never in one batch.
fn together(here: &[(&str, &Batch)], service: &Service, rollout: &Rollout, faults: &mut Faults) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (asset, batch) in here.iter().filter(|(_, b)| b.start.is_some()) {
        if let Some(other) = seen.insert(&batch.id, asset) {
            let message = format!("{other} and {asset} of {} are in batch {}", service.name, batch.id);
            faults.add("ha", &rollout.name, message);
        }
    }
}

/// A service and everything it depends on, directly or not, in its fleet and environment.
fn foundations<'g, 'a>(groups: &'g [Group<'a>], group: &'g Group<'a>) -> Vec<&'g Group<'a>> {
    let mut found = vec![group];
    let mut next = 0;
    while let Some(current) = found.get(next).copied() {
        let names = &current.service.depends_on;
        let same = |g: &&Group<'_>| g.fleet == group.fleet && g.environment == group.environment;
        for deeper in groups.iter().filter(same).filter(|g| names.contains(&g.service.name)) {
            if !found.iter().any(|g| g.service.name == deeper.service.name) {
                found.push(deeper);
            }
        }
        next += 1;
    }
    found
}

fn within<'p>(place: &Place<'p>, group: &Group<'p>) -> Vec<(&'p str, &'p Batch)> {
    let smaller_wave = place.len() < group.members.len();
    if smaller_wave {
        place
            .iter()
            .filter(|(a, _)| group.members.contains(*a))
            .map(|(a, b)| (*a, *b))
            .collect()
    } else {
        group
            .members
            .iter()
            .filter_map(|m| place.get_key_value(m))
            .map(|(a, b)| (*a, *b))
            .collect()
    }
}

/// Every batch of `earlier` is done before any of `later` starts; for platforms, in another opening.
fn precede(
    earlier: &[(&str, &Batch)],
    later: &[(&str, &Batch)],
    apart: bool,
    what: &str,
    rollout: &Rollout,
    faults: &mut Faults,
) {
    let Some((asset, last)) = earlier
        .iter()
        .max_by_key(|(_, b)| b.finish.map_or((1, Timestamp::MAX), |f| (0, f)))
    else {
        return;
    };
    let Some((first, start)) = later
        .iter()
        .filter_map(|(a, b)| b.start.map(|s| (a, s)))
        .min_by_key(|(_, s)| *s)
    else {
        return;
    };
    if last.finish.is_none_or(|finish| start < finish) {
        faults.add(
            "service",
            &rollout.name,
            format!("{what}: {first} starts {start}, before {asset} is done"),
        );
    } else if apart && last.window.end.is_some_and(|end| start < end) {
        faults.add(
            "platform",
            &rollout.name,
            format!("{what}: {first} starts {start}, in the same window as {asset}"),
        );
    }
}

/// Rollout and asset of what a released batch is through with, or never began with: nobody is at work on it, however long
/// the rest of its batch was to take.
fn through<'e>(estate: &Estate<'e>) -> BTreeSet<(&'e str, &'e str)> {
    let mut through = BTreeSet::new();
    for open in &estate.history.open {
        for batch in open.waves.iter().flat_map(|w| &w.batches) {
            let untouched = batch.not_attempted.keys().filter(|a| !batch.touched.contains(*a));
            let assets = batch.passed.iter().chain(untouched);
            through.extend(assets.map(|asset| (open.name.as_ref(), asset.as_ref())));
        }
    }
    through
}

/// No asset twice in a rollout, and in two rollouts only one after the other.
fn locks(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let mut busy: BTreeMap<&str, Vec<(Timestamp, Timestamp, bool, &str)>> = BTreeMap::new();
    let through = through(estate);
    for rollout in &plan.rollouts {
        let mut seen = BTreeSet::new();
        for (wave, batch) in rollout.waves.iter().flat_map(|w| w.batches.iter().map(move |b| (w, b))) {
            // What has run through holds no lock any more, whatever its estimate said.
            let over = batch.released
                && !matches!(
                    wave.state,
                    WaveState::Released | WaveState::Running | WaveState::Verifying
                );
            for asset in &batch.assets {
                if !seen.insert(&asset.name) {
                    faults.add("twice", &rollout.name, format!("{} is in it twice", asset.name));
                }
                let over = over || batch.released && through.contains(&(&*rollout.name, &*asset.name));
                if let (Some(start), Some(finish), false) = (batch.start, batch.finish, over) {
                    busy.entry(&asset.name)
                        .or_default()
                        .push((start, finish, batch.released, &rollout.name));
                }
            }
        }
    }
    for (asset, mut times) in busy {
        times.sort_unstable();
        for (one, next) in times.iter().zip(times.iter().skip(1)) {
            // Two that are released already are facts; nothing that is planned may join them.
            if next.0 < one.1 && !(one.2 && next.2) {
                faults.add(
                    "lock",
                    next.3,
                    format!("touches {asset} from {} while {} does", next.0, one.3),
                );
            }
        }
    }
}
