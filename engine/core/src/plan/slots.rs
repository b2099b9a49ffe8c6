//! A place in time: the earliest opening that holds some work, for one calendar or for several at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Binding;
use super::budget::{Bookings, Budgets};
use super::calendar::{CalendarId, Calendars, Reach, Reading};
use super::ready::Lane;
use super::schedule::later;
use crate::time::{Opening, Overrun, earliest_fit};

/// A place in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) window: Arc<str>,
    pub(super) opening: Opening,
    pub(super) start: Timestamp,
    pub(super) finish: Timestamp,
    pub(super) overruns: bool,
}

/// Which limits hold. All do, except while finding out which of them binds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) reading: Reading,
    /// From when on windows need not be open (emergency lane); none = they must.
    pub(super) outside_from: Option<Timestamp>,
    pub(super) budgets: bool,
    pub(super) sizes: bool,
    pub(super) order: bool,
}

/// What placing reads and books.
pub(super) struct Site<'s> {
    pub(super) calendars: &'s mut Calendars,
    pub(super) budgets: &'s Budgets,
    pub(super) bookings: &'s mut Bookings,
}

/// One slot out of several that start together.
pub(super) fn common(slots: Vec<Slot>) -> Option<Slot> {
    let mut slots = slots.into_iter();
    let mut all = slots.next()?;
    let mut names = BTreeSet::from([Arc::clone(&all.window)]);
    for slot in slots {
        names.insert(slot.window);
        all.opening.start = all.opening.start.max(slot.opening.start);
        all.opening.end = super::carry::earlier(all.opening.end, slot.opening.end);
        all.overruns |= slot.overruns;
        all.finish = all.finish.max(slot.finish);
    }
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    all.window = names.join("+").into();
    Some(all)
}

/// The earliest slot of a calendar at or after `at`.
///
/// Where the lane may run outside windows, the window is still taken when it is open by then: it needs no notice.
pub(super) fn fit(
    calendars: &mut Calendars,
    rules: Rules,
    calendar: CalendarId,
    at: Timestamp,
    duration_seconds: i64,
) -> Option<Slot> {
    let (cutoff, overrun) = calendars
        .window(calendar)
        .map_or((0, Overrun::Finish), |w| (w.cutoff_seconds, w.overrun));
    let inside = find(
        calendars,
        calendar,
        rules.reading,
        at,
        duration_seconds,
        cutoff,
        overrun,
    );
    let Some(from) = rules.outside_from else { return inside };
    let reading = if rules.reading == Reading::Full {
        Reading::Outside
    } else {
        Reading::Open
    };
    let outside = find(
        calendars,
        calendar,
        reading,
        at.max(from),
        duration_seconds,
        0,
        Overrun::Finish,
    );
    match (inside, outside) {
        (Some(inside), Some(outside)) if outside.start < inside.start => Some(outside),
        (inside, outside) => inside.or(outside),
    }
}

fn find(
    calendars: &mut Calendars,
    calendar: CalendarId,
    reading: Reading,
    at: Timestamp,
    duration_seconds: i64,
    cutoff_seconds: i64,
    overrun: Overrun,
) -> Option<Slot> {
    let outside = matches!(reading, Reading::Outside | Reading::Open);
    let window = if outside {
        Arc::from("outside")
    } else {
        calendars.window_name(calendar).cloned()?
    };
    let near = calendars.openings(calendar, reading, at, Reach::Near).iter().copied();
    let found = earliest_fit(near, at, duration_seconds, cutoff_seconds, overrun).ok();
    let found = match found.filter(|fit| !fit.overruns) {
        Some(fit) => fit,
        // Only that nothing holds the work needs a look further ahead.
        None => {
            let mut far = calendars.openings(calendar, reading, at, Reach::Far).to_vec();
            if matches!(reading, Reading::Full | Reading::Outside) {
                // What is longer than every opening runs on after its end, but never into a freeze.
                let free = calendars.openings(calendar, Reading::Outside, at, Reach::Far);
                far.retain(|opening| runs_free(free, opening, at, duration_seconds));
            }
            earliest_fit(far.into_iter(), at, duration_seconds, cutoff_seconds, overrun).ok()?
        }
    };
    Some(Slot {
        window,
        opening: found.opening,
        start: found.start,
        finish: later(found.start, duration_seconds),
        overruns: found.overruns,
    })
}

/// Whether work that starts as early in `opening` as it can ends before a freeze begins; `free` is what no freeze covers.
fn runs_free(free: &[Opening], opening: &Opening, at: Timestamp, seconds: i64) -> bool {
    let start = opening.start.map_or(at, |start| start.max(at));
    let finish = later(start, seconds);
    let covers = |span: &Opening| span.start.is_none_or(|s| s <= start) && span.end.is_none_or(|end| finish <= end);
    free.iter().any(covers)
}

/// Places a batch whose assets are fixed: they go together or not at all.
pub(super) fn place_fixed(
    site: &mut Site<'_>,
    assets: &[(u32, Lane)],
    rules: Rules,
    not_before: Timestamp,
) -> Result<Slot, Binding> {
    let lanes: BTreeSet<Lane> = assets.iter().map(|(_, lane)| *lane).collect();
    let duration = lanes.iter().map(|l| l.duration_seconds).max().unwrap_or(0);
    let mut needed: BTreeMap<u32, usize> = BTreeMap::new();
    if rules.budgets {
        assets
            .iter()
            .flat_map(|(a, _)| site.budgets.of(*a))
            .for_each(|id| *needed.entry(*id).or_default() += 1);
    }
    let mut at = not_before;
    loop {
        let slot = meet(site, &lanes, rules, at, duration).ok_or(Binding::Window)?;
        let busy = assets
            .iter()
            .filter_map(|(a, _)| site.bookings.busy_until(*a, slot.start, slot.finish))
            .max();
        let over = needed.iter().find_map(|(id, count)| {
            let limit = site.budgets.get(*id).map_or(usize::MAX, |b| b.limit);
            let over = count + site.bookings.peak(*id, slot.start, slot.finish) > limit;
            over.then(|| site.bookings.next_release(*id, slot.start))
        });
        at = match (busy, over) {
            (None, None) => break Ok(slot),
            (_, Some(None)) => break Err(Binding::Budget),
            (busy, over) => busy.into_iter().chain(over.flatten()).max().unwrap_or(Timestamp::MAX),
        };
        if at == Timestamp::MAX {
            break Err(Binding::Budget);
        }
    }
}

/// The first start that every lane has an opening for: each in turn moves it on until none does.
fn meet(
    site: &mut Site<'_>,
    lanes: &BTreeSet<Lane>,
    rules: Rules,
    not_before: Timestamp,
    seconds: i64,
) -> Option<Slot> {
    // Lanes that never meet move the start on for ever; beyond this it is no plan any more.
    let limit = later(not_before, crate::time::ENDLESS_DAYS * 86_400);
    let mut at = not_before;
    while at <= limit {
        let mut slots = Vec::new();
        for lane in lanes {
            slots.push(fit(site.calendars, rules, lane.calendar, at, seconds)?);
        }
        let start = slots.iter().map(|s| s.start).max()?;
        if slots.iter().all(|s| s.start == start) {
            return common(slots);
        }
        at = start;
    }
    None
}
