//! Availability at every instant, by a sweep over everything that is planned or running.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Faults;
use super::estate::Estate;
use crate::load::wire::{Lifecycle, RebootPolicy};
use crate::name::Amount;
use crate::plan::Plan;

/// Something that is down for a while.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Outage {
    start: Timestamp,
    finish: Timestamp,
    planned: bool,
}

/// A group and how many of it may be down.
struct Rule<'a> {
    label: String,
    limit: usize,
    members: BTreeSet<&'a str>,
}

pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let outages = outages(estate, plan);
    for rule in rules(estate) {
        let mut down: Vec<Outage> = rule
            .members
            .iter()
            .filter_map(|m| outages.get(m))
            .flatten()
            .copied()
            .collect();
        down.sort_unstable();
        if let Some((at, count)) = worst(&down).filter(|(_, count)| *count > rule.limit) {
            let message = format!(
                "{count} of {} are down at {at}; at most {} may be",
                rule.members.len(),
                rule.limit
            );
            faults.add("budget", &rule.label, message);
        }
    }
}

/// The instant a planned outage starts at which the most are down.
fn worst(sorted: &[Outage]) -> Option<(Timestamp, usize)> {
    let mut ends: BTreeMap<Timestamp, usize> = BTreeMap::new();
    let (mut down, mut worst) = (0_usize, None::<(Timestamp, usize)>);
    let planned: BTreeSet<Timestamp> = sorted.iter().filter(|o| o.planned).map(|o| o.start).collect();
    let mut outages = sorted.iter().peekable();
    while let Some(outage) = outages.next() {
        while let Some(entry) = ends.first_entry().filter(|e| *e.key() <= outage.start) {
            down -= entry.remove();
        }
        down += 1;
        *ends.entry(outage.finish).or_default() += 1;
        // Whatever starts at the same instant counts before judging it.
        let last = outages.peek().is_none_or(|next| next.start > outage.start);
        if last && planned.contains(&outage.start) && worst.is_none_or(|(_, most)| down > most) {
            worst = Some((outage.start, down));
        }
    }
    worst
}

/// When each asset is down: planned batches, and what runs or failed already.
fn outages<'p>(estate: &Estate<'p>, plan: &'p Plan) -> BTreeMap<&'p str, Vec<Outage>> {
    let mut outages: BTreeMap<&str, Vec<Outage>> = BTreeMap::new();
    for batch in plan
        .rollouts
        .iter()
        .flat_map(|r| &r.waves)
        .flat_map(|w| &w.batches)
        .filter(|b| !b.released)
    {
        let (Some(start), Some(finish)) = (batch.start, batch.finish) else {
            continue;
        };
        for asset in batch.assets.iter().filter(|_| start < finish) {
            outages.entry(&asset.name).or_default().push(Outage {
                start,
                finish,
                planned: true,
            });
        }
    }
    let worked_on = estate
        .observation
        .assets
        .iter()
        .filter(|a| a.lifecycle == Lifecycle::Maintenance);
    for asset in worked_on {
        outages.entry(&asset.name).or_default().push(Outage {
            start: estate.now,
            finish: Timestamp::MAX,
            planned: false,
        });
    }
    for open in &estate.history.open {
        let estimate = estate
            .catalog
            .strategies
            .get(&open.strategy)
            .and_then(|s| s.spec.estimate.clone());
        let estimate = estimate.unwrap_or_default();
        for batch in open.waves.iter().flat_map(|w| &w.batches) {
            let Some(start) = batch.released_at else { continue };
            for name in batch.assets.keys() {
                if batch.passed.contains(name) || batch.not_attempted.contains_key(name) {
                    continue;
                }
                let boots = estate
                    .class(name)
                    .is_none_or(|c| c.spec.disruption.reboot != RebootPolicy::Never);
                let seconds = estimate.per_asset.seconds() + if boots { estimate.reboot.seconds() } else { 0 };
                let expected = start
                    .saturating_add(SignedDuration::from_secs(seconds))
                    .unwrap_or(Timestamp::MAX);
                let silent = batch.failed.contains_key(name) || expected <= estate.now;
                let finish = if silent { Timestamp::MAX } else { expected };
                outages.entry(name).or_default().push(Outage {
                    start,
                    finish,
                    planned: false,
                });
            }
        }
    }
    outages
}

fn rules<'a>(estate: &Estate<'a>) -> Vec<Rule<'a>> {
    let mut in_service: BTreeSet<&str> = BTreeSet::new();
    let mut rules = Vec::new();
    let serves = |name: &&str| estate.asset(name).is_none_or(|a| a.lifecycle != Lifecycle::Standby);
    for mut group in estate.groups() {
        group.members = group.members.into_iter().filter(serves).collect();
        if group.members.is_empty() {
            continue;
        }
        let count = group.members.len();
        in_service.extend(group.members.iter().copied());
        let own = group.service.max_unavailable.map(|a| at_most(a, count));
        let kept = group
            .service
            .min_available
            .map(|a| count.saturating_sub(at_least(a, count)));
        let classes = group
            .members
            .iter()
            .filter_map(|m| estate.class(m))
            .map(|c| &c.spec.disruption);
        let classes = classes
            .filter(|d| d.per == "service")
            .map(|d| at_most(d.max_unavailable, count));
        let of_ha = group.service.ha.as_ref().map(|_| 1);
        if let Some(limit) = own.into_iter().chain(kept).chain(classes).chain(of_ha).min() {
            let label = format!("service {} in {}", group.service.name, group.environment);
            rules.push(Rule {
                label,
                limit,
                members: group.members,
            });
        }
    }
    let mut others: BTreeMap<(String, &str), BTreeSet<&'a str>> = BTreeMap::new();
    for (index, asset) in estate.observation.assets.iter().enumerate() {
        let Some(class) = estate.class_at(index).filter(|_| asset.lifecycle != Lifecycle::Retired) else {
            continue;
        };
        let key = class.spec.disruption.per.as_str();
        if key == "service" && in_service.contains(asset.name.as_ref()) {
            continue;
        }
        let value = if matches!(key, "service" | "class") {
            None
        } else {
            asset.label(key)
        };
        let label = value.map_or_else(|| "class".to_owned(), |v| format!("{key} {v} of class"));
        others.entry((label, &class.name)).or_default().insert(&asset.name);
    }
    for ((label, class), members) in others {
        let Some(spec) = estate.catalog.classes.get(class) else {
            continue;
        };
        let limit = at_most(spec.spec.disruption.max_unavailable, members.len());
        rules.push(Rule {
            label: format!("{label} {class}"),
            limit,
            members,
        });
    }
    rules
}

/// `maxUnavailable`: shares round down, but at least one unless a 0 is written.
fn at_most(amount: Amount, of: usize) -> usize {
    match amount {
        Amount::Count(n) => n as usize,
        Amount::Share(0) => 0,
        Amount::Share(share) => (of * share as usize / 10_000).max(1),
    }
}

/// `minAvailable`: shares round up.
fn at_least(amount: Amount, of: usize) -> usize {
    match amount {
        Amount::Count(n) => n as usize,
        Amount::Share(share) => (of * share as usize).div_ceil(10_000),
    }
}
