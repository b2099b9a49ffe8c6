//! When: each wave after what it needs and its soak, each batch in the earliest opening that holds it.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::batches::{self, Placed, Work};
use super::budget::{Bookings, Budgets};
use super::calendar::{CalendarId, Calendars, Reading};
use super::carry::{Member, earlier, name_of};
use super::context::Context;
use super::graph;
use super::prepare::{Prepared, PreparedWave};
use super::ready::Lane;
use super::screen::image_of;
use super::slots::{self, Rules, Site, Slot};
use super::{Batch, BatchAsset, BatchWindow, Binding, Image, Wave, patchset_digest};
use crate::history::Target;
use crate::history::{BatchProgress, OpenRollout, WaveState};
use crate::load::wire::{self, Estimate, Lifecycle, RebootPolicy, Remedy};
use crate::time::Opening;

/// Limits that are left out, to see which of them bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Without {
    pub(super) window: bool,
    pub(super) freeze: bool,
    pub(super) soak: bool,
    pub(super) size: bool,
    pub(super) budget: bool,
    pub(super) predecessor: bool,
    /// Advisories need no age.
    pub(super) min_age: bool,
}

impl Without {
    /// All limits hold.
    pub(super) const NOTHING: Self = Self {
        window: false,
        freeze: false,
        soak: false,
        size: false,
        budget: false,
        predecessor: false,
        min_age: false,
    };
}

/// What placing reads of the resources of a rollout: as they are written, or as an edit would have them.
#[derive(Clone, Copy)]
pub(super) struct Terms<'t> {
    pub(super) strategy: &'t wire::RolloutStrategySpec,
    pub(super) min_age_seconds: i64,
    pub(super) without: Without,
}

/// `at` plus seconds, kept within what a timestamp can hold.
pub(super) fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// Books what is disrupted already: assets released and not yet passed. One that failed, or that is silent for longer
/// than it was to take, keeps its place in every budget until somebody hears of it.
pub(super) fn book_running(ctx: &Context<'_>, budgets: &Budgets, bookings: &mut Bookings) {
    // What somebody works on is down already, and nobody knows until when.
    let assets = (0_u32..).zip(&ctx.observation.assets);
    for (asset, _) in assets.filter(|(_, a)| a.lifecycle == Lifecycle::Maintenance) {
        bookings.book(budgets, asset, ctx.now, Timestamp::MAX);
    }
    for open in &ctx.history.open {
        for batch in open.waves.iter().flat_map(|w| &w.batches) {
            // Resumed and not released again: what it touched before is still down. Released later than now: another
            // runner's clock is ahead, and the release is a fact all the same.
            let released = batch.released_at.unwrap_or(ctx.now);
            let start = released.min(ctx.now);
            for name in batch.disrupted() {
                let Some(asset) = ctx.asset_index(name) else { continue };
                let expected = later(released, duration(ctx, open_estimate(ctx, open), asset));
                let silent = batch.released_at.is_none() || batch.failed.contains_key(name) || expected <= ctx.now;
                let finish = if silent { Timestamp::MAX } else { expected };
                bookings.book(budgets, asset, start, finish);
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
) -> Vec<Wave> {
    let terms = Terms {
        strategy: &prepared.draft.strategy.spec,
        min_age_seconds: prepared.draft.policy.spec.release.min_age.seconds(),
        without: Without::NOTHING,
    };
    schedule_under(ctx, calendars, budgets, bookings, prepared, terms)
}

/// As [`schedule`], under other terms.
pub(super) fn schedule_under(
    ctx: &Context<'_>,
    calendars: &mut Calendars,
    budgets: &Budgets,
    bookings: &mut Bookings,
    prepared: &Prepared<'_>,
    terms: Terms<'_>,
) -> Vec<Wave> {
    let specs = &terms.strategy.waves;
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
    let first_start = first_start(ctx, prepared, terms);
    let none = BTreeSet::new();
    for index in &prepared.graph.order {
        let (Some(spec), Some(wave)) = (specs.get(*index), prepared.waves.get(*index)) else {
            continue;
        };
        if wave.is_empty() {
            continue;
        }
        let needed = needs.get(*index).unwrap_or(&none);
        let soak_seconds = soak_seconds(prepared, terms.strategy, spec);
        let after: Option<Vec<Timestamp>> = needed.iter().map(|n| ends.get(*n).copied().flatten()).collect();
        let earliest = prepared.draft.earliest.max(ctx.now);
        let start = if needed.is_empty() || terms.without.predecessor {
            Some(first_start.max(earliest))
        } else {
            after.and_then(|a| a.into_iter().max())
        };
        let start = start.map(|at| at.max(earliest));
        let batches = wave_batches(ctx, &mut site, prepared, *index, start, terms);
        let finish = batches
            .iter()
            .map(|b| b.finish)
            .collect::<Option<Vec<_>>>()
            .and_then(|f| f.into_iter().max());
        let soak = if terms.without.soak {
            0
        } else {
            soak_seconds.max(hold_seconds(spec))
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
                edits: Vec::new(),
                extra_approval: wave.extra_approval,
                soak_seconds,
                estimate_assumed: prepared.draft.strategy.spec.estimate.is_none(),
            });
        }
    }
    waves.into_iter().flatten().collect()
}

/// The soak of a wave, after the lane.
fn soak_seconds(prepared: &Prepared<'_>, strategy: &wire::RolloutStrategySpec, spec: &wire::WaveSpec) -> i64 {
    let lane = strategy.lanes.emergency.as_ref().and_then(|l| l.soak);
    match prepared.draft.lane {
        wire::Lane::Emergency => lane.unwrap_or(spec.soak).seconds(),
        wire::Lane::Routine => spec.soak.seconds(),
    }
}

/// How long the gates of a wave must have held before it is promoted. They are asked while it soaks, so the longer of
/// the two decides.
fn hold_seconds(spec: &wire::WaveSpec) -> i64 {
    let holds = spec.gates.iter().filter_map(|g| g.hold);
    holds.map(|h| h.seconds()).max().unwrap_or(0)
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
fn first_start(ctx: &Context<'_>, prepared: &Prepared<'_>, terms: Terms<'_>) -> Timestamp {
    let draft = &prepared.draft;
    if draft.lane == wire::Lane::Emergency || terms.without.min_age {
        return draft.earliest;
    }
    let min_age = terms.min_age_seconds;
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
fn rules(prepared: &Prepared<'_>, terms: Terms<'_>) -> Rules {
    let draft = &prepared.draft;
    let emergency = terms.strategy.lanes.emergency.as_ref();
    let emergency = emergency.filter(|_| draft.lane == wire::Lane::Emergency);
    let outside = emergency.and_then(|l| l.outside_windows.as_ref()).filter(|o| o.allowed);
    let outside_from = outside.map(|o| later(draft.cut, o.notice.seconds()));
    let without = terms.without;
    Rules {
        reading: if without.freeze {
            Reading::Unfrozen
        } else {
            Reading::Full
        },
        outside_from: if without.window {
            Some(Timestamp::MIN)
        } else {
            outside_from
        },
        budgets: !without.budget,
        sizes: !without.size,
        order: !without.predecessor,
    }
}

/// The batches of one wave; without `start` they have no times, because what goes before has none.
fn wave_batches(
    ctx: &Context<'_>,
    site: &mut Site<'_>,
    prepared: &Prepared<'_>,
    index: usize,
    start: Option<Timestamp>,
    terms: Terms<'_>,
) -> Vec<Batch> {
    let (Some(wave), Some(spec)) = (prepared.waves.get(index), terms.strategy.waves.get(index)) else {
        return Vec::new();
    };
    let estimate = terms.strategy.estimate.clone().unwrap_or_default();
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
        return fixed_batches(
            ctx,
            site,
            (wave, &prepared.draft.targets),
            &lanes,
            rules(prepared, terms),
            start,
        );
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
        Some(start) => batches::place(site, &work, rules(prepared, terms), start),
        None => without_times(site, &work, rules(prepared, terms), ctx.now),
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
                &prepared.draft.targets,
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
    (wave, targets): (&PreparedWave<'_>, &[Target]),
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
    // When every batch so far is over: one that was resumed stands before one that ran before it.
    let mut over = ctx.now;
    let mut batches: Vec<Batch> = Vec::new();
    let assets: Vec<Vec<u32>> = lanes
        .iter()
        .map(|l| l.iter().map(|(asset, _)| *asset).collect())
        .collect();
    let apart = if rules.order {
        graph::apart(ctx, &assets)
    } else {
        vec![Vec::new(); assets.len()]
    };
    for (((progress, members), lanes), apart) in wave.fixed.iter().zip(lanes).zip(apart) {
        let openings = apart.iter().filter_map(|earlier| batches.get(*earlier)?.window.end);
        at = at.map(|at| openings.fold(at, Timestamp::max));
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
            (None, Some(at)) if runs => match place_again(ctx, site, progress, lanes, rules, at) {
                Ok(slot) => (Some(slot), None),
                Err(binding) => (None, Some(binding)),
            },
            (None, _) => (None, Some(Binding::Predecessor)),
        };
        over = slot.as_ref().map_or(over, |s| s.finish.max(over));
        // What goes before the wave is waited for by each batch: it may have got work again since the first one was released.
        at = slot.as_ref().and(start).map(|start| start.max(over));
        let mut planned = batch(ctx, targets, &progress.id, members.iter(), slot, blocked, longest);
        planned.released = progress.released_at.is_some() || done;
        batches.push(planned);
    }
    batches
}

/// Places a batch that is to come, and books it. What an earlier release of it touched is down since then, and until it is
/// through: it does not stand in its own way.
fn place_again(
    ctx: &Context<'_>,
    site: &mut Site<'_>,
    progress: &BatchProgress,
    lanes: &[(u32, Lane)],
    rules: Rules,
    at: Timestamp,
) -> Result<Slot, Binding> {
    let is_down = |asset: u32| ctx.asset(asset).is_some_and(|a| progress.touched.contains(&a.name));
    let down: BTreeSet<u32> = lanes.iter().map(|(asset, _)| *asset).filter(|a| is_down(*a)).collect();
    for asset in &down {
        site.bookings.give_back(site.budgets, *asset, ctx.now, Timestamp::MAX);
    }
    let placed = slots::place_fixed(site, lanes, rules, at);
    for (asset, _) in lanes {
        let span = match &placed {
            Ok(slot) if down.contains(asset) => Some((ctx.now, slot.finish)),
            Ok(slot) => Some((slot.start, slot.finish)),
            Err(_) => down.contains(asset).then_some((ctx.now, Timestamp::MAX)),
        };
        if let Some((start, finish)) = span {
            site.bookings.book(site.budgets, *asset, start, finish);
        }
    }
    placed
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
    targets: &[Target],
    id: &str,
    members: impl Iterator<Item = &'m Member>,
    slot: Option<Slot>,
    blocked: Option<Binding>,
    duration_seconds: i64,
) -> Batch {
    let members: Vec<&Member> = members.collect();
    let assets = members.iter().map(|m| asset(ctx, targets, m)).collect();
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

fn asset(ctx: &Context<'_>, targets: &[Target], member: &Member) -> BatchAsset {
    BatchAsset {
        name: name_of(ctx, member.asset),
        targets: Arc::clone(&member.load.targets),
        before: Arc::clone(&member.load.before),
        rollback: member.rollback,
        class: ctx
            .class(member.asset)
            .map_or_else(|| Arc::from(""), |c| Arc::clone(&c.name)),
        target: Arc::clone(&member.render_target),
        tools: tools(member),
        image: image(ctx, targets, member),
        deadline: member.load.deadline,
        stale: member.load.stale,
    }
}

/// The tool of each target of a member, same order; none where one takes them all.
fn tools(member: &Member) -> Vec<Arc<str>> {
    if member.tools.is_empty() {
        return Vec::new();
    }
    let tool = |index: &usize| Arc::clone(member.tools.get(index).unwrap_or(&member.render_target));
    let tools: Vec<Arc<str>> = member.targets().iter().map(tool).collect();
    let several = tools.iter().any(|tool| *tool != member.render_target);
    if several { tools } else { Vec::new() }
}

/// The image a member of a class that replaces its assets is replaced by.
fn image(ctx: &Context<'_>, targets: &[Target], member: &Member) -> Option<Image> {
    let (asset, class) = (ctx.asset(member.asset)?, ctx.class(member.asset)?);
    let runs = (class.spec.remedy == Remedy::Replace)
        .then(|| image_of(asset))
        .flatten()?;
    // What the rollout carries for the release: an image is built once for all assets that run it, whatever each lacks.
    let os = asset.facts.os.as_ref()?;
    let content = targets
        .iter()
        .filter(|t| t.os_id == os.id && *t.os_major == *os.major());
    let content: Vec<Target> = content.cloned().collect();
    let digest = patchset_digest(&content);
    Some(Image {
        name: runs.product.into(),
        from: runs.version.into(),
        id: digest.get(..12).unwrap_or(&digest).into(),
    })
}
