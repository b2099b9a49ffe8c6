//! When each batch of a rollout may start, from its cut on: for the artifacts, which must not need a new pull request
//! when they are merged late.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::calendar::{Calendars, Reach, Reading};
use super::context::Context;
use super::nouns::{Batch, Rollout};
use crate::assess::Assessment;
use crate::history::History;
use crate::load::Catalog;
use crate::load::wire::Lane;
use crate::observe::Observation;
use crate::time::{Opening, Overrun};

/// When one batch may start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchTimes {
    /// Openings shared by all its assets, freezes taken out, in order.
    pub openings: Vec<Opening>,
    /// No start so long before the end of an opening.
    pub cutoff_seconds: i64,
    /// No further asset is started after the end of an opening.
    pub stop_at_end: bool,
}

/// The times of every batch of the waves in `waves`, from the cut of the rollout until `until(wave)`.
///
/// It looks at resources and the assets' facts only, as of the cut: the same rollout gives the same times whenever it is
/// asked.
pub fn openings_of(
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    rollout: &Rollout,
    waves: &[Arc<str>],
    until: impl Fn(&str) -> Timestamp,
) -> BTreeMap<(Arc<str>, Arc<str>), BatchTimes> {
    let history = History::default();
    let ctx = Context::new(catalog, observation, assessment, &history, rollout.cut);
    let mut calendars = Calendars::new(&ctx);
    let strategy = catalog.strategies.get(&rollout.strategy).map(|s| &s.spec.lanes);
    let outside = rollout.lane == Lane::Emergency
        && strategy
            .and_then(|l| l.emergency.as_ref())
            .and_then(|e| e.outside_windows.as_ref())
            .is_some_and(|o| o.allowed);
    let reading = if outside { Reading::Outside } else { Reading::Full };
    let chosen = rollout.waves.iter().filter(|w| waves.contains(&w.name));
    let mut times = BTreeMap::new();
    for wave in chosen {
        let end = until(&wave.name);
        for batch in &wave.batches {
            let found = batch_times(&ctx, &mut calendars, batch, reading, rollout.cut, end);
            times.insert((Arc::clone(&wave.name), Arc::clone(&batch.id)), found);
        }
    }
    times
}

fn batch_times(
    ctx: &Context<'_>,
    calendars: &mut Calendars,
    batch: &Batch,
    reading: Reading,
    from: Timestamp,
    until: Timestamp,
) -> BatchTimes {
    let ids: std::collections::BTreeSet<_> = batch
        .assets
        .iter()
        .filter_map(|a| ctx.asset_index(&a.name))
        .map(|i| calendars.of(i))
        .collect();
    let mut times = BatchTimes::default();
    let mut shared: Option<Vec<Opening>> = None;
    for id in ids {
        // An asset without a window never opens, and neither does its batch.
        let Some(id) = id else { return BatchTimes::default() };
        if let (Some(window), Reading::Full) = (calendars.window(id), reading) {
            times.cutoff_seconds = times.cutoff_seconds.max(window.cutoff_seconds);
            times.stop_at_end |= window.overrun == Overrun::Stop;
        }
        let openings: Vec<Opening> = calendars
            .openings(id, reading, from, Reach::Far)
            .iter()
            .take_while(|o| o.start.is_none_or(|start| start < until))
            .copied()
            .collect();
        shared = Some(shared.map_or_else(|| openings.clone(), |known| intersect(&known, &openings)));
    }
    times.openings = shared.unwrap_or_default();
    times
}

/// What two lists of openings, each disjoint and in order, share.
fn intersect(a: &[Opening], b: &[Opening]) -> Vec<Opening> {
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let mut shared = Vec::new();
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        let start = match (x.start, y.start) {
            (Some(x), Some(y)) => Some(x.max(y)),
            (one, other) => one.or(other),
        };
        let end = match (x.end, y.end) {
            (Some(x), Some(y)) => Some(x.min(y)),
            (one, other) => one.or(other),
        };
        if !matches!((start, end), (Some(start), Some(end)) if start >= end) {
            shared.push(Opening { start, end });
        }
        let x_ends_first = x.end.is_some_and(|x| y.end.is_none_or(|y| x <= y));
        if x_ends_first {
            left.next();
        } else if y.end.is_some() {
            right.next();
        } else {
            break;
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_two_windows_share() {
        let opening = |start: &str, end: &str| Opening {
            start: (!start.is_empty()).then(|| at(start)),
            end: (!end.is_empty()).then(|| at(end)),
        };
        let nights = [
            opening("2026-11-20T22:00:00Z", "2026-11-21T04:00:00Z"),
            opening("2026-11-21T22:00:00Z", "2026-11-22T04:00:00Z"),
        ];
        let weekend = [opening("2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z")];
        let expected = [
            opening("2026-11-21T00:00:00Z", "2026-11-21T04:00:00Z"),
            opening("2026-11-21T22:00:00Z", "2026-11-22T04:00:00Z"),
        ];
        assert_eq!(intersect(&nights, &weekend), expected);
        assert_eq!(intersect(&nights, &[opening("", "")]), nights);
        assert_eq!(
            intersect(&weekend, &nights),
            expected,
            "the order of the two does not count"
        );
        assert_eq!(intersect(&[opening("", "")], &[opening("", "")]), [opening("", "")]);
        assert!(intersect(&nights, &[]).is_empty());
    }
}
