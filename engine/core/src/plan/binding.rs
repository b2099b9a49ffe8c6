//! Why a deadline is missed: which limit, left out alone, would make it, and which edit does that.

use jiff::Timestamp;

use super::budget::{Bookings, Budgets};
use super::calendar::Calendars;
use super::carry::place;
use super::context::Context;
use super::prepare::Prepared;
use super::schedule::{Without, schedule};
use super::{Binding, Refusal, Wave};
use crate::time::DurationSeconds;

/// In the order in which one would rather edit: a window is an agreement with users, a freeze with the business, a soak
/// and sizes are caution, budgets and order keep services up.
const TRIED: [Binding; 6] = [
    Binding::Window,
    Binding::Freeze,
    Binding::Soak,
    Binding::Size,
    Binding::Budget,
    Binding::Predecessor,
];

/// Fills `binding` and `fixes` of every wave that misses its deadline or has no place in time, and gives back what is to
/// be said of each. `before` are the bookings without this rollout.
pub(super) fn explain(
    ctx: &Context<'_>,
    calendars: &mut Calendars,
    budgets: &Budgets,
    before: &Bookings,
    prepared: &Prepared<'_>,
    waves: &mut [Wave],
) -> Vec<Refusal> {
    if waves.iter().all(|w| !is_missed(w)) {
        return Vec::new();
    }
    let mut tried = Vec::new();
    for limit in TRIED {
        let mut bookings = before.clone();
        tried.push((
            limit,
            schedule(ctx, calendars, budgets, &mut bookings, prepared, Without::Limit(limit)),
        ));
    }
    let mut bookings = before.clone();
    let aged = schedule(ctx, calendars, budgets, &mut bookings, prepared, Without::MinAge);
    let mut refusals = Vec::new();
    for wave in waves.iter_mut().filter(|w| is_missed(w)) {
        let finish_without = |(limit, waves): &(Binding, Vec<Wave>)| {
            let same = waves.iter().find(|w| w.name == wave.name)?;
            Some((*limit, finish_of(same)?, is_missed(same)))
        };
        let outcomes: Vec<(Binding, Timestamp, bool)> = tried.iter().filter_map(finish_without).collect();
        let makes_it = outcomes.iter().find(|(.., missed)| !missed);
        let finish = finish_of(wave);
        let helps = |(_, f, _): &&(Binding, Timestamp, bool)| finish.is_none_or(|now| *f < now);
        // Nothing alone makes it: the one that helps most is named, the first in order among equals.
        let best = outcomes.iter().filter(helps).min_by_key(|(_, f, _)| *f);
        let best = makes_it.or(best);
        wave.binding = best
            .map(|(limit, ..)| *limit)
            .or_else(|| wave.batches.iter().find_map(|b| b.blocked));
        wave.fixes = wave
            .binding
            .map_or_else(Vec::new, |b| fixes(ctx, calendars, prepared, wave, b));
        // Waiting for an age is a soak before the first wave.
        let young = aged.iter().find(|w| w.name == wave.name);
        let earlier = young.filter(|w| finish_of(w).is_some_and(|f| finish.is_none_or(|now| f < now)));
        let decides = earlier.filter(|w| makes_it.is_none() && (best.is_none() || !is_missed(w)));
        if earlier.is_some() {
            let at = place(ctx, prepared.draft.policy, "/spec/release/minAge");
            let fix = format!("lower `release.minAge` ({at}), or let a rule of the SLA put it into the emergency lane");
            if decides.is_some() {
                wave.binding = Some(Binding::Soak);
                wave.fixes.clear();
            }
            wave.fixes.push(fix);
        }
        refusals.push(refusal(prepared, wave, best.copied()));
    }
    refusals
}

pub(super) fn is_missed(wave: &Wave) -> bool {
    wave.slack_seconds.is_some_and(|s| s < 0)
        || (!wave.state.is_final() && wave.batches.iter().any(|b| b.start.is_none()))
}

fn finish_of(wave: &Wave) -> Option<Timestamp> {
    let finishes: Option<Vec<Timestamp>> = wave.batches.iter().map(|b| b.finish).collect();
    finishes?.into_iter().max()
}

fn refusal(prepared: &Prepared<'_>, wave: &Wave, best: Option<(Binding, Timestamp, bool)>) -> Refusal {
    let mut detail = format!("rollout {}, wave {}: ", prepared.draft.name, wave.name);
    detail += &match (wave.deadline, finish_of(wave)) {
        (Some(deadline), Some(finish)) => {
            let missed = DurationSeconds(finish.duration_since(deadline).as_secs());
            format!("finishes {finish}, {missed} after the earliest deadline {deadline}")
        }
        (_, Some(finish)) => format!("finishes {finish}"),
        (Some(deadline), None) => format!("has no place in time; the earliest deadline is {deadline}"),
        (None, None) => "has no place in time".to_owned(),
    };
    if let Some((limit, finish, missed)) = best {
        let verdict = if missed {
            "which is still too late"
        } else {
            "which is in time"
        };
        detail += &format!(
            "; without the limit of {} it would finish {finish}, {verdict}",
            word(limit)
        );
    }
    let reason = if finish_of(wave).is_some() {
        "deadline"
    } else {
        "unscheduled"
    };
    Refusal {
        reason: reason.into(),
        asset: "".into(),
        detail,
        binding: wave.binding,
        fixes: wave.fixes.clone(),
    }
}

const fn word(binding: Binding) -> &'static str {
    match binding {
        Binding::Window => "windows",
        Binding::Soak => "the soak",
        Binding::Size => "batch sizes",
        Binding::Freeze => "freezes",
        Binding::Predecessor => "what goes first",
        Binding::Budget => "disruption budgets",
    }
}

fn fixes(
    ctx: &Context<'_>,
    calendars: &Calendars,
    prepared: &Prepared<'_>,
    wave: &Wave,
    binding: Binding,
) -> Vec<String> {
    let strategy = &prepared.draft.strategy;
    let by = wave.deadline.map_or_else(String::new, |d| format!(" before {d}"));
    let assets = wave
        .batches
        .iter()
        .flat_map(|b| &b.assets)
        .filter_map(|a| ctx.asset_index(&a.name));
    let ids: std::collections::BTreeSet<_> = assets.filter_map(|a| calendars.of(a)).collect();
    let windows: std::collections::BTreeSet<_> = ids.iter().filter_map(|i| calendars.window_name(*i)).collect();
    let at = |pointer: &str| {
        let place = ctx.catalog.at(strategy.doc, pointer);
        if place.is_empty() {
            String::new()
        } else {
            format!(" ({place})")
        }
    };
    let pointer = |field: &str| format!("/spec/waves/{}/{field}", wave.number.saturating_sub(1));
    match binding {
        Binding::Window => {
            let opening = windows.iter().map(|w| format!("add an opening to window {w}{by}"));
            opening
                .chain([format!("or an Override `what: window` for wave {}", wave.name)])
                .collect()
        }
        Binding::Freeze => {
            let from = finish_of(wave).map_or(ctx.now, |_| ctx.now);
            let names: std::collections::BTreeSet<&str> =
                ids.iter().flat_map(|i| calendars.freezes_after(*i, from)).collect();
            names
                .iter()
                .map(|f| format!("an Override `what: freeze` of {f} for wave {}{by}", wave.name))
                .collect()
        }
        Binding::Soak => vec![format!(
            "shorten the soak of the waves before {}{}",
            wave.name,
            at("/spec/waves")
        )],
        Binding::Size => vec![format!(
            "larger `batches` in wave {}{}",
            wave.name,
            at(&pointer("batches"))
        )],
        Binding::Predecessor => vec![
            format!("fewer waves before {}{}", wave.name, at("/spec/waves")),
            "or drop `dependsOn` or `order` between its services".to_owned(),
        ],
        Binding::Budget => vec![
            format!(
                "raise `maxUnavailable` of the services or classes in wave {}",
                wave.name
            ),
            "or bring back what failed and still counts as down".to_owned(),
        ],
    }
}
