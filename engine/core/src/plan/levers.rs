//! What could be edited so that a wave comes earlier: for each kind of limit the fields behind it, and the values each
//! could take from the mildest to the most there is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Wave;
use super::binding::Kind;
use super::budget::Limit;
use super::edit::Edit;
use super::prepare::{Prepared, PreparedWave};
use super::schedule::later;
use super::trial::Situation;
use crate::history::WaveState;
use crate::load::Resource;
use crate::load::wire::{self, MaintenanceWindowSpec, OverrideSpec, OverrideSubject, WindowSchedule};
use crate::name::{Amount, Rounding};
use crate::time::{DurationSeconds, When};

/// A field, or a list that gets one more entry.
pub(super) struct Lever {
    /// Values people would rather have, in this order; each may do or not.
    pub(super) choices: Vec<Edit>,
    /// Values of which each does whatever the one before does.
    pub(super) rungs: Vec<Edit>,
}

impl Lever {
    fn of(rungs: Vec<Edit>) -> Option<Self> {
        (!rungs.is_empty()).then_some(Self {
            choices: Vec::new(),
            rungs,
        })
    }

    /// The most this field can do.
    pub(super) fn most(&self) -> Option<&Edit> {
        self.rungs.last()
    }
}

/// The wave that is late, and what it waits for.
pub(super) struct Case<'c, 'a> {
    pub(super) situation: &'c Situation<'c, 'a>,
    pub(super) prepared: &'c Prepared<'a>,
    /// Positions in the strategy: the wave itself, then the waves before it that hold assets, nearest first.
    pub(super) chain: Vec<usize>,
    /// By when it must be done.
    pub(super) by: Timestamp,
}

impl<'c, 'a> Case<'c, 'a> {
    pub(super) fn new(
        situation: &'c Situation<'c, 'a>,
        prepared: &'c Prepared<'a>,
        wave: usize,
        by: Timestamp,
    ) -> Self {
        let none = BTreeSet::new();
        let before = prepared.graph.ancestors.get(wave).unwrap_or(&none);
        let filled = |w: &usize| prepared.waves.get(*w).is_some_and(|w| !w.is_empty());
        let nearest = prepared.graph.order.iter().rev().copied();
        let chain = nearest.filter(|w| before.contains(w)).filter(filled);
        Self {
            situation,
            prepared,
            chain: std::iter::once(wave).chain(chain).collect(),
            by,
        }
    }

    fn waves(&self) -> impl Iterator<Item = (&'c PreparedWave<'a>, &'c wire::WaveSpec)> + '_ {
        let (waves, specs) = (&self.prepared.waves, &self.prepared.draft.strategy.spec.waves);
        self.chain.iter().filter_map(|w| waves.get(*w).zip(specs.get(*w)))
    }

    /// Assets of the chain that have still to be touched, those of the late wave first.
    fn assets(&self) -> impl Iterator<Item = u32> + '_ {
        let open = self.waves().filter(|(w, _)| !w.state().is_final());
        open.flat_map(|(w, _)| w.everyone().map(|m| m.asset))
    }

    /// The fields of a kind. `relaxed` is the rollout as it would be placed without that limit.
    pub(super) fn levers(&self, kind: Kind, relaxed: &[Wave]) -> Vec<Lever> {
        match kind {
            Kind::Soak => self.soaks(),
            Kind::Size => self.sizes(),
            Kind::Budget => self.budgets(),
            Kind::MinAge => self.min_age(),
            Kind::Opening => self.openings(relaxed),
            Kind::Outside => self.overrides(OverrideSubject::Window, relaxed),
            Kind::Freeze => self.overrides(OverrideSubject::Freeze, relaxed),
            Kind::Order => self.orders(),
        }
    }

    fn soaks(&self) -> Vec<Lever> {
        let strategy = self.prepared.draft.strategy;
        let lane = strategy.spec.lanes.emergency.as_ref().and_then(|l| l.soak);
        let lane = lane.filter(|_| self.prepared.draft.lane == wire::Lane::Emergency);
        let name = || Arc::clone(&strategy.name);
        let of_lane = lane.map(|soak| shorter(soak, |to| Edit::LaneSoak { strategy: name(), to }));
        let mut levers: Vec<Lever> = of_lane.into_iter().filter_map(Lever::of).collect();
        // The soak of the late wave itself comes after its finish.
        let open = self.waves().skip(1).filter(|(w, _)| w.state() != WaveState::Promoted);
        for (_, spec) in open {
            let wave: Arc<str> = spec.name.as_str().into();
            if lane.is_none() {
                let soak = shorter(spec.soak, |to| Edit::Soak {
                    strategy: name(),
                    wave: Arc::clone(&wave),
                    to,
                });
                levers.extend(Lever::of(soak));
            }
            for (gate, hold) in spec.gates.iter().enumerate().filter_map(|(i, g)| Some((i, g.hold?))) {
                let rungs = shorter(hold, |to| Edit::Hold {
                    strategy: name(),
                    wave: Arc::clone(&wave),
                    gate,
                    to,
                });
                levers.extend(Lever::of(rungs));
            }
        }
        levers
    }

    fn min_age(&self) -> Vec<Lever> {
        let policy = self.prepared.draft.policy;
        let rungs = shorter(policy.spec.release.min_age, |to| Edit::MinAge {
            policy: Arc::clone(&policy.name),
            to,
        });
        Lever::of(rungs).into_iter().collect()
    }

    /// The last size of each wave, larger; then everything at once. What is in a pull request keeps its batches.
    fn sizes(&self) -> Vec<Lever> {
        let strategy = &self.prepared.draft.strategy.name;
        let lever = |(wave, spec): (&PreparedWave<'_>, &wire::WaveSpec)| {
            let count = wave.members.len();
            let (last, first) = spec.batches.split_last()?;
            let edit = |to: Vec<Amount>| Edit::Batches {
                strategy: Arc::clone(strategy),
                wave: spec.name.as_str().into(),
                to,
            };
            let now = last.of(count, Rounding::DownAtLeastOne);
            let larger = (now + 1..=count)
                .filter_map(|n| u32::try_from(n).ok())
                .map(Amount::Count);
            let mut rungs: Vec<Edit> = larger.map(|n| edit([first, &[n]].concat())).collect();
            if spec.batches != [Amount::ALL] && count > 1 {
                rungs.push(edit(vec![Amount::ALL]));
            }
            Lever::of(rungs).filter(|_| wave.fixed.is_empty())
        };
        self.waves().filter_map(lever).collect()
    }

    /// Every field that limits how many of the assets may be down, one more at a time up to all of them.
    fn budgets(&self) -> Vec<Lever> {
        let budgets = self.situation.budgets;
        let mut order: Vec<&Limit> = Vec::new();
        let mut fields: BTreeMap<&Limit, (Amount, usize, usize)> = BTreeMap::new();
        for asset in self.assets() {
            for budget in budgets.of(asset).iter().filter_map(|id| budgets.get(*id)) {
                for (field, amount) in &budget.fields {
                    let known = fields.entry(field).or_insert_with(|| {
                        order.push(field);
                        (*amount, 0, 0)
                    });
                    if budget.members > known.1 {
                        (known.1, known.2) = (budget.members, budget.unseen);
                    }
                }
            }
        }
        let lever = |field: &Limit| {
            let (amount, members, unseen) = fields.get(field).copied()?;
            let now = field.of(amount, members, unseen);
            let counts = (now + 1..=members).filter_map(|down| {
                let said = if matches!(field, Limit::Least(..)) {
                    members.checked_sub(down + unseen)?
                } else {
                    down
                };
                u32::try_from(said).ok().map(Amount::Count)
            });
            Lever::of(counts.map(|to| limit_edit(field, to)).collect())
        };
        order.into_iter().filter_map(lever).collect()
    }

    /// Services of the assets: what they depend on, and their order.
    fn orders(&self) -> Vec<Lever> {
        let ctx = self.situation.ctx;
        let mut seen = BTreeSet::new();
        let mut edits = Vec::new();
        for group in self.assets().flat_map(|a| ctx.services.of(a)) {
            let Some(group) = ctx.services.group(*group) else {
                continue;
            };
            if !seen.insert((group.fleet, group.spec.name.as_str())) {
                continue;
            }
            let (fleet, service): (Arc<str>, Arc<str>) = (group.fleet.into(), group.spec.name.as_str().into());
            edits.extend(group.spec.depends_on.iter().map(|on| Edit::DropDependency {
                fleet: Arc::clone(&fleet),
                service: Arc::clone(&service),
                on: on.as_str().into(),
            }));
            edits.extend(group.spec.order.as_ref().map(|_| Edit::DropOrder { fleet, service }));
        }
        edits.into_iter().filter_map(|e| Lever::of(vec![e])).collect()
    }

    fn windows(&self) -> Vec<&'c Resource<MaintenanceWindowSpec>> {
        let calendars = self.situation.calendars;
        let mut seen = BTreeSet::new();
        let names = self.assets().filter_map(|a| calendars.window_name(calendars.of(a)?));
        let names: Vec<_> = names.filter(|n| seen.insert(Arc::clone(n))).collect();
        let windows = &self.situation.ctx.catalog.windows;
        names.into_iter().filter_map(|n| windows.get(n)).collect()
    }

    /// One more opening of each window: at its usual time on one of the days left, else from when the work could start.
    fn openings(&self, relaxed: &[Wave]) -> Vec<Lever> {
        let lever = |window: &'c Resource<MaintenanceWindowSpec>| {
            let usual = window.spec.schedules.first()?;
            let begin = self.first_start(relaxed, &window.name)?;
            let spec = |start: Timestamp, seconds: i64| once(self.situation, usual, start, seconds);
            let edit = |schedule| Edit::Opening {
                window: Arc::clone(&window.name),
                schedule,
            };
            // All the work in one go is as short as one opening may be, if it is the only one that is missing.
            let seconds = self.last_finish(relaxed)?.duration_since(begin).as_secs() + window.spec.cutoff.seconds();
            let days = self.usual_days(usual, begin);
            let choices = days.into_iter().chain(spec(begin, seconds)).map(edit);
            // Work may start no later than the cutoff before the end.
            let most = self.by.duration_since(begin).as_secs() + window.spec.cutoff.seconds();
            let step = if most > 2 * 86_400 { 3600 } else { 900 };
            let lengths = (1..=most / step)
                .map(|n| n * step)
                .chain((most % step > 0).then_some(most));
            let rungs = lengths.filter_map(|seconds| Some(edit(spec(begin, seconds)?)));
            Some(Lever {
                choices: choices.collect(),
                ..Lever::of(rungs.collect())?
            })
        };
        self.windows().into_iter().filter_map(lever).collect()
    }

    fn last_finish(&self, relaxed: &[Wave]) -> Option<Timestamp> {
        let late = self.chain.first()?;
        let mut waves = relaxed.iter().filter(|w| (w.number as usize).wrapping_sub(1) == *late);
        super::binding::finish_of(waves.next()?)
    }

    /// When the first work in `window` could start if windows did not count, on a full minute.
    fn first_start(&self, relaxed: &[Wave], window: &Arc<str>) -> Option<Timestamp> {
        let calendars = self.situation.calendars;
        let ctx = self.situation.ctx;
        let mine = |wave: &&Wave| self.chain.contains(&((wave.number as usize).wrapping_sub(1)));
        let inside = |name: &str| {
            let id = ctx.asset_index(name).and_then(|a| calendars.of(a));
            id.and_then(|id| calendars.window_name(id)) == Some(window)
        };
        let batches = relaxed.iter().filter(mine).flat_map(|w| &w.batches);
        let batches = batches.filter(|b| !b.released && b.assets.iter().any(|a| inside(&a.name)));
        Some(whole(batches.filter_map(|b| b.start).min()?.max(ctx.now), 60))
    }

    /// The usual opening once more on each of the days from `begin` to the deadline, the latest first, because that is
    /// the longest notice; at most so many as people would look through.
    fn usual_days(&self, usual: &WindowSchedule, begin: Timestamp) -> Vec<WindowSchedule> {
        const DAYS_MAX: usize = 7;
        let Some((zone, time)) = zone_of(self.situation, usual).zip(usual.start.parse::<jiff::civil::Time>().ok())
        else {
            return Vec::new();
        };
        let last = self.by.to_zoned(zone.clone()).date();
        let days = std::iter::successors(Some(last), |day| day.yesterday().ok()).take(DAYS_MAX);
        let starts = days.filter_map(|day| day.to_datetime(time).to_zoned(zone.clone()).ok());
        let starts = starts
            .map(|z| z.timestamp())
            .take_while(|at| later(*at, usual.duration.seconds()) > begin);
        let in_time = starts.filter(|at| *at < self.by);
        in_time
            .filter_map(|at| once(self.situation, usual, at, usual.duration.seconds()))
            .collect()
    }

    /// An Override of each freeze or window for each class, an hour longer at a time.
    fn overrides(&self, what: OverrideSubject, relaxed: &[Wave]) -> Vec<Lever> {
        let finish = self.last_finish(relaxed);
        let (ctx, calendars) = (self.situation.ctx, self.situation.calendars);
        let mut pairs: Vec<(String, Arc<str>)> = Vec::new();
        for asset in self.assets() {
            let (Some(id), Some(class)) = (calendars.of(asset), ctx.class(asset)) else {
                continue;
            };
            let names: Vec<String> = match what {
                OverrideSubject::Window => calendars.window_name(id).map(|n| n.to_string()).into_iter().collect(),
                _ => calendars.freezes_before(id, self.by).map(str::to_owned).collect(),
            };
            for name in names {
                let pair = (name, Arc::clone(&class.name));
                if !pairs.contains(&pair) {
                    pairs.push(pair);
                }
            }
        }
        pairs
            .into_iter()
            .filter_map(|(of, class)| self.lift(what, &of, &class, finish))
            .collect()
    }

    fn lift(&self, what: OverrideSubject, of: &str, class: &str, finish: Option<Timestamp>) -> Option<Lever> {
        let catalog = self.situation.ctx.catalog;
        let class = catalog.classes.get(class)?;
        let freeze = catalog.freezes.get(of).filter(|_| what == OverrideSubject::Freeze);
        let roles = &self.prepared.draft.policy.spec.roles;
        let entitled = freeze.into_iter().flat_map(|f| &f.spec.overridable_by);
        let by = entitled.chain(&roles.approvers).chain(&roles.accountable).next();
        let by = by.map_or("whoever decides", String::as_str).to_owned();
        let name: String = format!("{of}-{}", class.name).chars().take(63).collect();
        let name: Arc<str> = name.trim_end_matches('-').into();
        if catalog.overrides.contains_key(&name) {
            return None;
        }
        let named = |subject| (what == subject).then(|| of.to_owned());
        let edit = |until: Timestamp| Edit::Override {
            name: Arc::clone(&name),
            spec: Box::new(OverrideSpec {
                what,
                freeze: named(OverrideSubject::Freeze),
                window: named(OverrideSubject::Window),
                policy: None,
                selector: class.spec.selector.clone(),
                when: class.spec.when.clone(),
                by: by.clone(),
                reason: None,
                ticket: None,
                from: None,
                until: When::Instant(until),
                review_by: None,
            }),
        };
        let now = self.situation.ctx.now;
        let hours = self.by.duration_since(now).as_hours().max(0);
        let begin = whole(now, 3600);
        let ends = (1..=hours).map(|h| begin.saturating_add(SignedDuration::from_hours(h)).unwrap_or(self.by));
        let ends = ends.filter(|end| *end < self.by).chain([self.by]);
        // Until the work is done: nothing that ends before is enough, and mostly nothing more is needed.
        let done = finish.map(|f| whole(f, 3600).min(self.by)).filter(|end| *end > now);
        Some(Lever {
            choices: done.map(edit).into_iter().collect(),
            ..Lever::of(ends.map(edit).collect())?
        })
    }
}

/// The first instant at or after `at` that is a whole number of `seconds` after the epoch.
fn whole(at: Timestamp, seconds: i64) -> Timestamp {
    let up = at.as_second() + i64::from(at.subsec_nanosecond() > 0) + seconds - 1;
    Timestamp::from_second(up.div_euclid(seconds) * seconds).unwrap_or(at)
}

fn limit_edit(field: &Limit, to: Amount) -> Edit {
    match field.clone() {
        Limit::Class(class) => Edit::ClassBudget { class, to },
        Limit::Most(fleet, service) => Edit::ServiceBudget { fleet, service, to },
        Limit::Least(fleet, service) => Edit::ServiceFloor { fleet, service, to },
    }
}

/// Shorter durations: by whole hours down to one, then by quarters of an hour to none.
fn shorter(now: DurationSeconds, edit: impl Fn(DurationSeconds) -> Edit) -> Vec<Edit> {
    let hours = (1..=now.seconds() / 3600).rev().map(|h| h * 3600);
    let all = hours.chain([2700, 1800, 900, 0]).filter(|s| *s < now.seconds());
    all.map(|s| edit(DurationSeconds(s))).collect()
}

fn zone_of(situation: &Situation<'_, '_>, usual: &WindowSchedule) -> Option<jiff::tz::TimeZone> {
    match usual.timezone.as_deref() {
        Some(name) => jiff::tz::TimeZone::get(name).ok(),
        None => Some(situation.ctx.catalog.zone.0.clone()),
    }
}

/// An opening that comes once, in the zone of `usual`; none where its start cannot be written there.
fn once(
    situation: &Situation<'_, '_>,
    usual: &WindowSchedule,
    start: Timestamp,
    seconds: i64,
) -> Option<WindowSchedule> {
    let local = start.to_zoned(zone_of(situation, usual)?);
    let time = local.time();
    let text = if time.second() == 0 {
        format!("{:02}:{:02}", time.hour(), time.minute())
    } else {
        format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
    };
    (seconds > 0).then(|| WindowSchedule {
        rrule: "FREQ=DAILY;COUNT=1".to_owned(),
        start: text,
        duration: DurationSeconds(seconds),
        offset: None,
        timezone: usual.timezone.clone(),
        from: Some(When::Date(local.date())),
    })
}
