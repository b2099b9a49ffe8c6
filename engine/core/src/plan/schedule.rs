//! When: each wave after what it needs and its soak, each batch in the earliest opening that holds it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::batches::{self, Placed, Work};
use super::budget::{Bookings, Budgets};
use super::calendar::{CalendarId, Calendars, Reading};
use super::carry::{Member, earlier, name_of};
use super::context::Context;
use super::prepare::{Prepared, PreparedWave};
use super::ready::Lane;
use super::slots::{self, Rules, Site, Slot};
use super::{Batch, BatchAsset, BatchWindow, Binding, Wave};
use crate::history::{BatchProgress, OpenRollout, WaveState};
use crate::load::wire::{self, Estimate, RebootPolicy};
use crate::time::Opening;

/// A limit that is left out to see whether it is the one that binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// All limits hold.
    Nothing,
    /// One of them does not.
    Limit(Binding),
    /// Advisories need no age.
    MinAge,
}

/// `at` plus seconds, kept within what a timestamp can hold.
pub(super) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// Books what is disrupted already: assets released and not yet passed. One that failed, or that is silent for longer
/// than it was to take, keeps its place in every budget until somebody hears of it.
pub(super) fn book_running(ctx: &Context<'_>, budgets: &Budgets, bookings: &mut Bookings) {
    for open in &ctx.history.open {
        for batch in open.waves.iter().flat_map(|w| &w.batches) {
            let Some(released) = batch.released_at else { continue };
            for name in batch.disrupted() {
                let Some(asset) = ctx.asset_index(name) else { continue };
                let expected = later(released, duration(ctx, open_estimate(ctx, open), asset));
                let silent = batch.failed.contains_key(name) || expected <= ctx.now;
                let finish = if silent { Timestamp::MAX } else { expected };
                bookings.book(budgets, asset, released, finish);
            }
        }
    }
}

fn open_estimate(ctx: &Context<'_>, open: &OpenRollout) -> Estimate {
    let strategy = ctx.catalog.strategies.get(&open.strategy);
    strategy.and_then(|s| s.spec.estimate.clone()).unwrap_or_default()
}

/// How long one asset is out of service.
fn duration(ctx: &Context<'_>, estimate: Estimate, asset: u32) -> i64 {
    let never = ctx
        .class(asset)
        .is_some_and(|c| c.spec.disruption.reboot == RebootPolicy::Never);
    let reboot = if never { 0 } else { estimate.reboot.seconds() };
    estimate.per_asset.seconds().saturating_add(reboot)
}

/// Places one rollout, in the places the others have left, and books what it takes.
pub(super) fn schedule(
    ctx: &Context<'_>,
    calendars: &mut Calendars,
    budgets: &Budgets,
    bookings: &mut Bookings,
    prepared: &Prepared<'_>,
    without: Without,
) -> Vec<Wave> {
    let specs = &prepared.draft.strategy.spec.waves;
    let needs = prepared
        .graph
        .contracted(|w| prepared.waves.get(w).is_none_or(PreparedWave::is_empty));
    let mut ends: Vec<Option<Timestamp>> = vec![None; specs.len()];
    let mut waves: Vec<Option<Wave>> = vec![None; specs.len()];
    let mut site = Site {
        calendars,
        budgets,
        bookings,
    };
    let first_start = first_start(ctx, prepared, without);
    let none = BTreeSet::new();
    for index in &prepared.graph.order {
        let (Some(spec), Some(wave)) = (specs.get(*index), prepared.waves.get(*index)) else {
            continue;
        };
        if wave.is_empty() {
            continue;
        }
        let needed = needs.get(*index).unwrap_or(&none);
        let soak_seconds = soak_seconds(prepared, spec);
        let after: Option<Vec<Timestamp>> = needed.iter().map(|n| ends.get(*n).copied().flatten()).collect();
        let ignore_order = without == Without::Limit(Binding::Predecessor);
        let earliest = prepared.draft.earliest.max(ctx.now);
        let start = if needed.is_empty() || ignore_order {
            Some(first_start.max(earliest))
        } else {
            after.and_then(|a| a.into_iter().max())
        };
        let start = start.map(|at| at.max(earliest));
        let batches = wave_batches(ctx, &mut site, prepared, *index, start, without);
        let finish = batches
            .iter()
            .map(|b| b.finish)
            .collect::<Option<Vec<_>>>()
            .and_then(|f| f.into_iter().max());
        let soak = if without == Without::Limit(Binding::Soak) {
            0
        } else {
            soak_seconds
        };
        if let Some(end) = ends.get_mut(*index) {
            *end = wave_end(wave, finish, soak);
        }
        let names = needed
            .iter()
            .filter_map(|n| specs.get(*n))
            .map(|w| Arc::from(w.name.as_str()));
        let deadline = wave.everyone().fold(None, |d, m| earlier(d, m.load.deadline));
        let slack = deadline.zip(finish).map(|(d, f)| d.duration_since(f).as_secs());
        if let Some(slot) = waves.get_mut(*index) {
            *slot = Some(Wave {
                name: spec.name.as_str().into(),
                number: u32::try_from(*index + 1).unwrap_or(u32::MAX),
                needs: names.collect(),
                state: wave.state(),
                batches,
                deadline,
                slack_seconds: slack,
                binding: None,
                fixes: Vec::new(),
                extra_approval: wave.extra_approval,
                soak_seconds,
                estimate_assumed: prepared.draft.strategy.spec.estimate.is_none(),
            });
        }
    }
    waves.into_iter().flatten().collect()
}

/// The soak of a wave, after the lane.
fn soak_seconds(prepared: &Prepared<'_>, spec: &wire::WaveSpec) -> i64 {
    let lane = prepared
        .draft
        .strategy
        .spec
        .lanes
        .emergency
        .as_ref()
        .and_then(|l| l.soak);
    match prepared.draft.lane {
        wire::Lane::Emergency => lane.unwrap_or(spec.soak).seconds(),
        wire::Lane::Routine => spec.soak.seconds(),
    }
}

/// When what needs this wave may start: recorded facts first, the plan where there are none yet.
fn wave_end(wave: &PreparedWave<'_>, finish: Option<Timestamp>, soak_seconds: i64) -> Option<Timestamp> {
    let progress = wave.progress;
    match wave.state() {
        WaveState::Promoted => progress.and_then(|p| p.promoted_at).or(finish),
        WaveState::Soaking => progress
            .and_then(|p| p.soaking_since)
            .or(finish)
            .map(|at| later(at, soak_seconds)),
        WaveState::Failed | WaveState::RollingBack | WaveState::RolledBack | WaveState::Superseded => None,
        _ => finish.map(|at| later(at, soak_seconds)),
    }
}

/// `release.minAge` holds at the start of the first wave of a routine rollout.
fn first_start(ctx: &Context<'_>, prepared: &Prepared<'_>, without: Without) -> Timestamp {
    let draft = &prepared.draft;
    if draft.lane == wire::Lane::Emergency || without == Without::MinAge {
        return draft.earliest;
    }
    let min_age = draft.policy.spec.release.min_age.seconds();
    let hits = ctx
        .assessment
        .hits
        .iter()
        .zip(&prepared.covers)
        .filter(|(_, target)| target.is_some());
    let advisories: BTreeSet<u32> = hits.map(|(hit, _)| hit.advisory).collect();
    let ages = advisories
        .into_iter()
        .filter_map(|a| ctx.observation.advisories.get(a as usize));
    ages.map(|advisory| later(ctx.known_since(advisory), min_age))
        .max()
        .map_or(draft.earliest, |at| at.max(draft.earliest))
}

/// When the emergency lane may run outside windows: at once, after the notice that people are to get.
fn rules(prepared: &Prepared<'_>, without: Without) -> Rules {
    let draft = &prepared.draft;
    let emergency = draft
        .strategy
        .spec
        .lanes
        .emergency
        .as_ref()
        .filter(|_| draft.lane == wire::Lane::Emergency);
    let outside = emergency.and_then(|l| l.outside_windows.as_ref()).filter(|o| o.allowed);
    let outside_from = outside.map(|o| later(draft.cut, o.notice.seconds()));
    let is = |limit| without == Without::Limit(limit);
    Rules {
        reading: if is(Binding::Freeze) {
            Reading::Unfrozen
        } else {
            Reading::Full
        },
        outside_from: if is(Binding::Window) {
            Some(Timestamp::MIN)
        } else {
            outside_from
        },
        budgets: !is(Binding::Budget),
        sizes: !is(Binding::Size),
        order: !is(Binding::Predecessor),
    }
}

/// The batches of one wave; without `start` they have no times, because what goes before has none.
fn wave_batches(
    ctx: &Context<'_>,
    site: &mut Site<'_>,
    prepared: &Prepared<'_>,
    index: usize,
    start: Option<Timestamp>,
    without: Without,
) -> Vec<Batch> {
    let (Some(wave), Some(spec)) = (prepared.waves.get(index), prepared.draft.strategy.spec.waves.get(index)) else {
        return Vec::new();
    };
    let estimate = prepared.draft.strategy.spec.estimate.clone().unwrap_or_default();
    let lane = |asset: u32| Lane {
        calendar: site_calendar(site.calendars, asset),
        duration_seconds: duration(ctx, estimate.clone(), asset),
    };
    if !wave.fixed.is_empty() {
        let lanes: Vec<Vec<(u32, Lane)>> = wave
            .fixed
            .iter()
            .map(|(_, m)| m.iter().map(|m| (m.asset, lane(m.asset))).collect())
            .collect();
        return fixed_batches(ctx, site, wave, &lanes, rules(prepared, without), start);
    }
    let assets: Vec<u32> = wave.members.iter().map(|m| m.asset).collect();
    let lanes: Vec<Lane> = assets.iter().map(|a| lane(*a)).collect();
    let work = Work {
        assets: &assets,
        lanes: &lanes,
        canaries: &wave.canaries,
        graph: &wave.precedence,
        sizes: &spec.batches,
    };
    let placed = match start {
        Some(start) => batches::place(site, &work, rules(prepared, without), start),
        None => without_times(site, &work, rules(prepared, without), ctx.now),
    };
    let placed = placed.into_iter().zip(1_usize..);
    placed
        .map(|(placed, number)| {
            let Placed {
                positions,
                slot,
                blocked,
            } = placed;
            let members = positions.iter().filter_map(|p| wave.members.get(*p));
            let longest = positions
                .iter()
                .filter_map(|p| lanes.get(*p))
                .map(|l| l.duration_seconds)
                .max();
            batch(
                ctx,
                &format!("{number:02}"),
                members,
                slot,
                blocked,
                longest.unwrap_or(0),
            )
        })
        .collect()
}

/// Who would go with whom, although nobody knows when.
fn without_times(site: &mut Site<'_>, work: &Work<'_>, rules: Rules, now: Timestamp) -> Vec<Placed> {
    let mut bookings = Bookings::default();
    let mut elsewhere = Site {
        calendars: site.calendars,
        budgets: site.budgets,
        bookings: &mut bookings,
    };
    let mut placed = batches::place(&mut elsewhere, work, rules, now);
    for batch in &mut placed {
        batch.slot = None;
        batch.blocked = Some(Binding::Predecessor);
    }
    placed
}

fn site_calendar(calendars: &Calendars, asset: u32) -> CalendarId {
    calendars.of(asset).unwrap_or(CalendarId(u32::MAX))
}

/// Batches that keep their assets: released ones stand where they were released, the others follow them.
fn fixed_batches(
    ctx: &Context<'_>,
    site: &mut Site<'_>,
    wave: &PreparedWave<'_>,
    lanes: &[Vec<(u32, Lane)>],
    rules: Rules,
    start: Option<Timestamp>,
) -> Vec<Batch> {
    let runs = matches!(
        wave.state(),
        WaveState::Pending
            | WaveState::Proposed
            | WaveState::Approved
            | WaveState::Released
            | WaveState::Running
            | WaveState::Halted
            | WaveState::Edited
    );
    let mut at = start;
    let mut batches = Vec::new();
    for ((progress, members), lanes) in wave.fixed.iter().zip(lanes) {
        let longest = lanes.iter().map(|(_, l)| l.duration_seconds).max().unwrap_or(0);
        let done = !progress.assets.is_empty() && progress.assets.keys().all(|a| progress.passed.contains(a));
        let (slot, blocked) = match (progress.released_at, at) {
            (Some(released), _) => (
                Some(released_slot(site.calendars, progress, lanes, released, longest)),
                None,
            ),
            // Everybody in it shows the targets already, by somebody else's hand: it lies in the past like a released
            // one, and nobody waits for it.
            (None, Some(at)) if done => (
                Some(released_slot(
                    site.calendars,
                    progress,
                    lanes,
                    later(at, -longest),
                    longest,
                )),
                None,
            ),
            (None, Some(at)) if runs => match slots::place_fixed(site, lanes, rules, at) {
                Ok(slot) => (Some(slot), None),
                Err(binding) => (None, Some(binding)),
            },
            (None, _) => (None, Some(Binding::Predecessor)),
        };
        if let Some(slot) = slot.as_ref().filter(|_| progress.released_at.is_none() && !done) {
            lanes
                .iter()
                .for_each(|(asset, _)| site.bookings.book(site.budgets, *asset, slot.start, slot.finish));
        }
        at = slot.as_ref().map(|s| s.finish.max(ctx.now));
        let mut planned = batch(ctx, &progress.id, members.iter(), slot, blocked, longest);
        planned.released = progress.released_at.is_some() || done;
        batches.push(planned);
    }
    batches
}

fn released_slot(
    calendars: &Calendars,
    progress: &BatchProgress,
    lanes: &[(u32, Lane)],
    released: Timestamp,
    seconds: i64,
) -> Slot {
    let names: BTreeSet<&str> = lanes
        .iter()
        .filter_map(|(_, l)| calendars.window_name(l.calendar))
        .map(AsRef::as_ref)
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    Slot {
        window: names.join("+").into(),
        opening: Opening {
            start: None,
            end: progress.opening_end,
        },
        start: released,
        finish: later(released, seconds),
        overruns: false,
    }
}

fn batch<'m>(
    ctx: &Context<'_>,
    id: &str,
    members: impl Iterator<Item = &'m Member>,
    slot: Option<Slot>,
    blocked: Option<Binding>,
    duration_seconds: i64,
) -> Batch {
    let members: Vec<&Member> = members.collect();
    let assets = members.iter().map(|m| asset(ctx, m)).collect();
    let (window, start, finish, overruns) = match slot {
        // Without a start it still has windows: its artifacts name them, and a later run may find an opening.
        None => {
            let names: BTreeSet<String> = members
                .iter()
                .filter_map(|m| super::calendar::window_of(ctx, m.asset))
                .collect();
            let name = names.into_iter().collect::<Vec<_>>().join("+").into();
            (
                BatchWindow {
                    name,
                    ..BatchWindow::default()
                },
                None,
                None,
                false,
            )
        }
        Some(Slot {
            window,
            opening,
            start,
            finish,
            overruns,
        }) => {
            let window = BatchWindow {
                name: window,
                start: opening.start,
                end: opening.end,
            };
            (window, Some(start), Some(finish), overruns)
        }
    };
    Batch {
        id: id.into(),
        window,
        start,
        finish,
        assets,
        duration_seconds,
        overruns,
        blocked,
        released: false,
    }
}

fn asset(ctx: &Context<'_>, member: &Member) -> BatchAsset {
    BatchAsset {
        name: name_of(ctx, member.asset),
        targets: Arc::clone(&member.load.targets),
        before: Arc::clone(&member.load.before),
        rollback: member.rollback,
        class: ctx
            .class(member.asset)
            .map_or_else(|| Arc::from(""), |c| Arc::clone(&c.name)),
        target: Arc::clone(&member.render_target),
        deadline: member.load.deadline,
        stale: member.load.stale,
    }
}
