//! When each asset may be touched: its window, minus the freezes that hold for it, changed by the overrides it has.
//!
//! Assets with the same window, freezes and overrides share one calendar, so an estate has a handful of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::context::Context;
use super::schedule::later;
use crate::load::wire::{MaintenanceWindowSpec, OverrideSpec, OverrideSubject, WindowChoice};
use crate::load::{Catalog, Resource, schedule};
use crate::lookup::Lookup;
use crate::time::{Boundary, ENDLESS_DAYS, Freeze, FreezeSet, Opening, Overrun, Window};

/// How far openings are worked out at first, in days: most work fits into one of the next weeks.
const NEAR_DAYS: i64 = 45;

/// How far ahead openings are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The next weeks: enough wherever something fits without overrunning.
    Near,
    /// As far as one fit ever looks.
    Far,
}

/// A calendar of some assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CalendarId(pub(super) u32);

/// Which part of a calendar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Reading {
    /// Windows and freezes.
    Full,
    /// Freezes only: the emergency lane where it may run outside windows.
    Outside,
    /// Windows only: to tell whether a freeze is what binds.
    Unfrozen,
    /// Nothing: to tell whether window and freeze together bind.
    Open,
}

#[derive(Clone)]
struct Spec {
    window: Arc<str>,
    freezes: Vec<usize>,
    overrides: Vec<usize>,
}

/// Window, freezes and overrides: assets that agree in them share a calendar.
type Key = (Arc<str>, Vec<usize>, Vec<usize>);

/// An override that can still matter.
#[derive(Clone)]
struct Lift {
    subject: OverrideSubject,
    freezes: Vec<usize>,
    window: Option<String>,
    from: Timestamp,
    until: Timestamp,
}

/// Windows, freezes and overrides of a catalog, and which of them each asset has.
#[derive(Clone)]
pub(super) struct Calendars {
    now: Timestamp,
    windows: BTreeMap<Arc<str>, Window>,
    freezes: Vec<Freeze>,
    lifts: Vec<Lift>,
    specs: Vec<Spec>,
    of_asset: Vec<Option<CalendarId>>,
    /// What was worked out, and how far.
    openings: Lookup<CalendarId, BTreeMap<Reading, (Timestamp, Vec<Opening>)>>,
}

impl Calendars {
    pub(super) fn new(ctx: &Context<'_>) -> Self {
        let catalog = ctx.catalog;
        let windows = catalog.windows.iter();
        let windows = windows
            .map(|(name, w)| (Arc::clone(name), readable(catalog, name, w)))
            .collect();
        let freezes: Vec<Freeze> = catalog
            .freezes
            .iter()
            .map(|(name, f)| schedule::freeze(catalog, name, &f.spec))
            .collect();
        let mut calendars = Self {
            now: ctx.now,
            windows,
            freezes,
            lifts: Vec::new(),
            specs: Vec::new(),
            of_asset: Vec::new(),
            openings: Lookup::default(),
        };
        calendars.assign(ctx);
        calendars
    }

    /// The same, as if the catalog had the overrides `more` too. Calendars they do not concern keep their ids and what is
    /// known of them.
    pub(super) fn lifted(&self, ctx: &Context<'_>, more: &[&OverrideSpec]) -> Self {
        let mut calendars = self.clone();
        let first = self.lifts.len();
        calendars.lifts.extend(more.iter().map(|spec| lift(ctx.catalog, spec)));
        let mut known: BTreeMap<Key, CalendarId> = BTreeMap::new();
        for (asset, id) in (0_u32..).zip(&mut calendars.of_asset) {
            let Some(spec) = id.and_then(|id| self.specs.get(id.0 as usize)) else {
                continue;
            };
            let selects = |o: &OverrideSpec| ctx.matches(asset, o.selector.as_ref(), o.when.as_deref(), false);
            let new = (first..).zip(more).filter(|(_, o)| selects(o)).map(|(i, _)| i);
            let concerns = |i: &usize| {
                calendars
                    .lifts
                    .get(*i)
                    .is_some_and(|l| l.concerns(&spec.window, &spec.freezes))
            };
            let new: Vec<usize> = new.filter(concerns).collect();
            if new.is_empty() {
                continue;
            }
            let spec = Spec {
                overrides: [spec.overrides.as_slice(), &new].concat(),
                ..spec.clone()
            };
            let key = (Arc::clone(&spec.window), spec.freezes.clone(), spec.overrides.clone());
            let specs = &mut calendars.specs;
            *id = Some(*known.entry(key).or_insert_with(|| {
                specs.push(spec);
                CalendarId(u32::try_from(specs.len() - 1).unwrap_or(u32::MAX))
            }));
        }
        calendars
    }

    /// Lets a window open otherwise.
    pub(super) fn replace(&mut self, name: &Arc<str>, window: Window) {
        self.windows.insert(Arc::clone(name), window);
        let concerned = (0..)
            .map(CalendarId)
            .zip(&self.specs)
            .filter(|(_, s)| s.window == *name);
        for (id, _) in concerned {
            self.openings.remove(&id);
        }
    }

    /// Groups the assets by what decides their calendar.
    fn assign(&mut self, ctx: &Context<'_>) {
        let zone = &ctx.catalog.zone.0;
        let written = ctx.catalog.overrides.values().map(|o| &o.spec);
        let live: Vec<&OverrideSpec> = written
            .filter(|o| o.what != OverrideSubject::Limit && o.until.resolve(Boundary::End, zone) > ctx.now)
            .collect();
        self.lifts.extend(live.iter().map(|spec| lift(ctx.catalog, spec)));
        let mut known: BTreeMap<Key, CalendarId> = BTreeMap::new();
        for index in 0..u32::try_from(ctx.observation.assets.len()).unwrap_or(u32::MAX) {
            let Some(window) = window_of(ctx, index).filter(|w| self.windows.contains_key(w.as_str())) else {
                self.of_asset.push(None);
                continue;
            };
            let window: Arc<str> = window.into();
            let selected = |selector, when, unreadable| ctx.matches(index, selector, when, unreadable);
            // What cannot be judged stays frozen, and is not lifted: unknown is not fine.
            let freezes = ctx.catalog.freezes.values().enumerate();
            let freezes: Vec<usize> = freezes
                .filter(|(_, f)| selected(f.spec.selector.as_ref(), f.spec.when.as_deref(), true))
                .map(|(i, _)| i)
                .collect();
            let overrides = live.iter().enumerate();
            let overrides: Vec<usize> = overrides
                .filter(|(_, o)| selected(o.selector.as_ref(), o.when.as_deref(), false))
                .map(|(i, _)| i)
                .filter(|i| self.lifts.get(*i).is_some_and(|l| l.concerns(&window, &freezes)))
                .collect();
            let specs = &mut self.specs;
            let id = *known
                .entry((Arc::clone(&window), freezes.clone(), overrides.clone()))
                .or_insert_with(|| {
                    specs.push(Spec {
                        window,
                        freezes,
                        overrides,
                    });
                    CalendarId(u32::try_from(specs.len() - 1).unwrap_or(u32::MAX))
                });
            self.of_asset.push(Some(id));
        }
    }

    /// The calendar of an asset; none where its class names no window that exists.
    pub(super) fn of(&self, asset: u32) -> Option<CalendarId> {
        self.of_asset.get(asset as usize).copied().flatten()
    }

    /// The window of a calendar.
    pub(super) fn window(&self, id: CalendarId) -> Option<&Window> {
        self.windows.get(&self.specs.get(id.0 as usize)?.window)
    }

    /// The name of a calendar's window.
    pub(super) fn window_name(&self, id: CalendarId) -> Option<&Arc<str>> {
        self.specs.get(id.0 as usize).map(|s| &s.window)
    }

    /// Names of the freezes that keep a calendar closed at some instant from now until `by`.
    pub(super) fn freezes_before(&self, id: CalendarId, by: Timestamp) -> impl Iterator<Item = &str> {
        let ids = self.specs.get(id.0 as usize).map_or(&[][..], |s| &s.freezes);
        let freezes = ids.iter().filter_map(|i| self.freezes.get(*i));
        let holds = move |f: &&Freeze| !FreezeSet::new(vec![(*f).clone()]).intervals(self.now, by).is_empty();
        freezes.filter(holds).map(|f| f.name.as_str())
    }

    /// The openings that end after `from`, as far ahead as `reach` says, perhaps further.
    pub(super) fn openings(&mut self, id: CalendarId, reading: Reading, from: Timestamp, reach: Reach) -> &[Opening] {
        let days = if reach == Reach::Near {
            NEAR_DAYS
        } else {
            ENDLESS_DAYS + 1
        };
        let needed = later(from, days * 86_400);
        let known = self
            .openings
            .get(&id)
            .and_then(|readings| readings.get(&reading))
            .is_some_and(|(horizon, _)| *horizon >= needed);
        if !known {
            // Twice as far as asked, so that a long chain of batches works the calendar out a few times, not at each step.
            let ahead = needed.duration_since(self.now).as_secs().saturating_mul(2);
            let horizon = later(self.now, ahead);
            let list = self.work_out(id, reading, horizon);
            self.openings.entry(id).or_default().insert(reading, (horizon, list));
        }
        let known = self.openings.get(&id).and_then(|readings| readings.get(&reading));
        let list = known.map_or(&[][..], |(_, list)| list);
        let first = list.partition_point(|o| o.end.is_some_and(|end| end <= from));
        list.get(first..).unwrap_or(&[])
    }

    fn work_out(&self, id: CalendarId, reading: Reading, horizon: Timestamp) -> Vec<Opening> {
        let Some(spec) = self.specs.get(id.0 as usize) else {
            return Vec::new();
        };
        let frozen = matches!(reading, Reading::Full | Reading::Outside);
        let windowed = matches!(reading, Reading::Full | Reading::Unfrozen);
        let lifts: Vec<&Lift> = spec.overrides.iter().filter_map(|i| self.lifts.get(*i)).collect();
        let mut edges: Vec<Timestamp> = lifts.iter().flat_map(|l| [l.from, l.until]).collect();
        edges.retain(|edge| *edge > self.now && *edge < horizon);
        edges.extend([Timestamp::MIN, Timestamp::MAX]);
        edges.sort_unstable();
        edges.dedup();
        let mut joined: Vec<Opening> = Vec::new();
        for (begin, end) in edges.iter().zip(edges.iter().skip(1)) {
            let at = (*begin).max(self.now);
            let active: Vec<&&Lift> = lifts.iter().filter(|l| l.from <= at && at < l.until).collect();
            let lifted = |i: &usize| active.iter().any(|l| l.freezes.contains(i));
            let freezes = spec.freezes.iter().filter(|i| frozen && !lifted(i));
            let set = FreezeSet::new(freezes.filter_map(|i| self.freezes.get(*i).cloned()).collect());
            let anywhere = !windowed || active.iter().any(|l| l.subject == OverrideSubject::Window);
            let openings: Vec<Opening> = match self.windows.get(&spec.window).filter(|_| !anywhere) {
                None => unfrozen(&set, self.now, horizon),
                Some(window) => {
                    let openings = window.openings(self.now, &set);
                    openings
                        .take_while(|o| o.start.is_none_or(|start| start < (*end).min(horizon)))
                        .collect()
                }
            };
            for opening in openings.into_iter().filter_map(|o| clip(o, *begin, *end)) {
                match joined.last_mut() {
                    Some(last) if last.end.is_some() && last.end == opening.start => last.end = opening.end,
                    _ => joined.push(opening),
                }
            }
        }
        joined
    }
}

impl Lift {
    fn concerns(&self, window: &str, freezes: &[usize]) -> bool {
        match self.subject {
            OverrideSubject::Freeze => self.freezes.iter().any(|f| freezes.contains(f)),
            OverrideSubject::Window => self.window.as_deref().is_none_or(|w| w == window),
            OverrideSubject::Limit => false,
        }
    }
}

fn lift(catalog: &Catalog, spec: &OverrideSpec) -> Lift {
    let zone = &catalog.zone.0;
    let all = catalog.freezes.iter().enumerate();
    let freezes = all.filter(|(_, (name, f))| spec.lifts_freeze(name, &f.spec));
    let from = spec.from.map(|from| from.resolve(Boundary::Start, zone));
    Lift {
        subject: spec.what,
        freezes: freezes.map(|(i, _)| i).collect(),
        window: spec.window.clone(),
        from: from.unwrap_or(Timestamp::MIN),
        until: spec.until.resolve(Boundary::End, zone),
    }
}

fn clip(opening: Opening, begin: Timestamp, end: Timestamp) -> Option<Opening> {
    let start = if begin == Timestamp::MIN {
        opening.start
    } else {
        Some(opening.start.map_or(begin, |s| s.max(begin)))
    };
    let stop = if end == Timestamp::MAX {
        opening.end
    } else {
        Some(opening.end.map_or(end, |e| e.min(end)))
    };
    let empty = start.zip(stop).is_some_and(|(start, stop)| start >= stop);
    (!empty).then_some(Opening { start, end: stop })
}

/// The name of the window an asset's class gives it.
pub(super) fn window_of(ctx: &Context<'_>, asset: u32) -> Option<String> {
    match &ctx.class(asset)?.spec.window {
        WindowChoice::Name(name) => Some(name.clone()),
        WindowChoice::FromLabel { label, default } => {
            let labelled = ctx.asset(asset)?.label(label).map(str::to_owned);
            labelled.or_else(|| default.clone())
        }
    }
}

/// A window whose rules cannot be read is an error when resources are loaded; here it only means: never open.
fn readable(catalog: &Catalog, name: &str, resource: &Resource<MaintenanceWindowSpec>) -> Window {
    let never = || Window {
        name: name.to_owned(),
        schedules: Vec::new(),
        cutoff_seconds: 0,
        overrun: Overrun::Finish,
    };
    schedule::window(resource, catalog).unwrap_or_else(|_| never())
}

/// What no freeze covers, as if a window were always open. What is free at the horizon has no end that matters.
fn unfrozen(set: &FreezeSet, now: Timestamp, horizon: Timestamp) -> Vec<Opening> {
    let (mut free, mut since) = (Vec::new(), None);
    for (from, to) in set.intervals(now, horizon) {
        if since.is_none_or(|since| since < from) && from > now {
            free.push(Opening {
                start: since,
                end: Some(from),
            });
        }
        since = Some(to);
    }
    free.push(Opening {
        start: since,
        end: None,
    });
    free
}
