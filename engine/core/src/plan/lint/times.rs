//! Openings and freezes, worked out for each asset of each batch from the windows themselves.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Faults;
use super::estate::Estate;
use crate::load::schedule;
use crate::load::wire::{Lane, OverrideSubject, WindowChoice};
use crate::observe::Asset;
use crate::plan::{Batch, Plan, Rollout};
use crate::time::{Boundary, Freeze, FreezeSet, FreezeSpan, Overrun, Window};

/// Windows and freezes of the catalog as values.
struct Clock {
    windows: BTreeMap<String, Window>,
    freezes: BTreeMap<String, Freeze>,
}

pub(super) fn check(estate: &Estate<'_>, plan: &Plan, faults: &mut Faults) {
    let catalog = estate.catalog;
    let windows = catalog.windows.iter();
    let windows = windows
        .filter_map(|(n, w)| Some((n.to_string(), schedule::window(w, catalog).ok()?)))
        .collect();
    let freezes = catalog
        .freezes
        .keys()
        .map(|name| (name.to_string(), freeze(estate, name)))
        .collect();
    let clock = Clock { windows, freezes };
    let mut asked: BTreeMap<(String, Timestamp, i64), Timestamp> = BTreeMap::new();
    for rollout in &plan.rollouts {
        for wave in &rollout.waves {
            for batch in wave.batches.iter().filter(|b| !b.released) {
                let Some(start) = batch.start else { continue };
                for name in batch.assets.iter().map(|a| a.name.as_ref()) {
                    let Some(asset) = estate.asset(name) else { continue };
                    let verdict = at_start(estate, &clock, rollout, asset, batch, start, &mut asked);
                    if let Some((rule, message)) = verdict {
                        faults.add(
                            rule,
                            &rollout.name,
                            format!("wave {} batch {}: {message}", wave.name, batch.id),
                        );
                    }
                }
            }
        }
    }
}

fn freeze(estate: &Estate<'_>, name: &str) -> Freeze {
    let mut spans = Vec::new();
    if let Some(spec) = estate.catalog.freezes.get(name).map(|f| &f.spec) {
        let zone = &estate.catalog.zone.0;
        if let Some(rule) = &spec.rule {
            let recurrence = schedule::recurrence(&schedule::opening_start(rule), zone).ok();
            spans.extend(recurrence.map(|recurrence| FreezeSpan::Recurring {
                recurrence: Box::new(recurrence),
                duration_seconds: rule.duration.seconds(),
            }));
        }
        if spec.from.is_some() || spec.to.is_some() {
            let from = spec.from.map_or(Timestamp::MIN, |f| f.resolve(Boundary::Start, zone));
            let to = spec.to.map_or(Timestamp::MAX, |t| t.resolve(Boundary::End, zone));
            spans.push(FreezeSpan::Once { from, to });
        }
    }
    Freeze {
        name: name.to_owned(),
        reason: String::new(),
        spans,
    }
}

/// What forbids this asset to start then, if anything does.
fn at_start(
    estate: &Estate<'_>,
    clock: &Clock,
    rollout: &Rollout,
    asset: &Asset,
    batch: &Batch,
    start: Timestamp,
    asked: &mut BTreeMap<(String, Timestamp, i64), Timestamp>,
) -> Option<(&'static str, String)> {
    let lifted = |subject: OverrideSubject, named: &str| {
        estate.catalog.overrides.values().map(|o| &o.spec).any(|o| {
            let zone = &estate.catalog.zone.0;
            let this = match subject {
                OverrideSubject::Freeze => estate
                    .catalog
                    .freezes
                    .get(named)
                    .is_some_and(|f| o.lifts_freeze(named, &f.spec)),
                _ => o.what == subject && o.window.as_deref().is_none_or(|window| window == named),
            };
            let runs = o.from.is_none_or(|f| f.resolve(Boundary::Start, zone) <= start)
                && start < o.until.resolve(Boundary::End, zone);
            this && runs && estate.selects(asset, o.selector.as_ref(), o.when.as_deref(), false)
        })
    };
    for name in clock
        .freezes
        .iter()
        .filter(|(_, f)| f.covers(start))
        .map(|(name, _)| name)
    {
        let spec = estate.catalog.freezes.get(name.as_str()).map(|f| &f.spec)?;
        let held = estate.selects(asset, spec.selector.as_ref(), spec.when.as_deref(), true);
        if held && !lifted(OverrideSubject::Freeze, name) {
            return Some((
                "freeze",
                format!("{} would start {start}, inside freeze {name}", asset.name),
            ));
        }
    }
    let name = match &estate.class(&asset.name)?.spec.window {
        WindowChoice::Name(name) => name.clone(),
        WindowChoice::FromLabel { label, default } => {
            asset.label(label).map(str::to_owned).or_else(|| default.clone())?
        }
    };
    if outside_allowed(estate, rollout, start) || lifted(OverrideSubject::Window, &name) {
        return None;
    }
    let Some(window) = clock.windows.get(&name) else {
        return Some(("window", format!("{} has no window `{name}`", asset.name)));
    };
    if !window.is_open_at(start, &FreezeSet::EMPTY) {
        return Some((
            "window",
            format!("{} would start {start}, outside window {name}", asset.name),
        ));
    }
    let needed = batch.duration_seconds.max(window.cutoff_seconds);
    let end = *asked
        .entry((name.clone(), start, needed))
        .or_insert_with(|| open_until(window, start, needed));
    let rest = end.duration_since(start).as_secs();
    if rest < window.cutoff_seconds {
        return Some((
            "cutoff",
            format!("{} would start {start}, {rest} s before {name} closes", asset.name),
        ));
    }
    let finish = start
        .saturating_add(SignedDuration::from_secs(batch.duration_seconds))
        .unwrap_or(Timestamp::MAX);
    let crosses = finish > end && (window.overrun == Overrun::Stop || !batch.overruns);
    crosses.then(|| {
        (
            "window",
            format!(
                "{} would run until {finish}, beyond {end} when {name} closes",
                asset.name
            ),
        )
    })
}

/// Until when the window stays open from `start` on, followed from one occurrence to the next that touches it, for at
/// least `needed_seconds`.
fn open_until(window: &Window, start: Timestamp, needed_seconds: i64) -> Timestamp {
    let shifted = |at: Timestamp, seconds: i64| at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(at);
    let enough = shifted(start, needed_seconds);
    let mut until = start;
    loop {
        let reaching = window.schedules.iter().filter_map(|s| {
            let begin = shifted(until, -s.duration_seconds);
            let starts = s.recurrence.starts_between(begin, shifted(until, 1));
            starts.map(|at| shifted(at, s.duration_seconds)).max()
        });
        match reaching.max().filter(|end| *end > until) {
            Some(end) if end < enough => until = end,
            Some(end) => return end,
            None => return until,
        }
    }
}

/// The emergency lane outside windows, after its notice.
fn outside_allowed(estate: &Estate<'_>, rollout: &Rollout, start: Timestamp) -> bool {
    let lane = estate
        .catalog
        .strategies
        .get(&rollout.strategy)
        .and_then(|s| s.spec.lanes.emergency.as_ref());
    let outside = lane
        .and_then(|l| l.outside_windows.as_ref())
        .filter(|o| o.allowed && rollout.lane == Lane::Emergency);
    outside.is_some_and(|o| {
        rollout
            .cut
            .saturating_add(o.notice.signed())
            .is_ok_and(|from| start >= from)
    })
}
