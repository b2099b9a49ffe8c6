//! When the batches of a wave may start: every opening from the cut to 30 days past the deadline that held at the cut.
//!
//! A late merge then needs no new pull request, and a missed window is simply missed.

use jiff::Timestamp;

use super::wire::{BatchOpening, BatchOpenings};
use crate::time::{FreezeSet, Opening, Overrun, Window};

/// Days of openings past the deadline that held at the cut.
pub const PAST_DEADLINE_DAYS: i64 = 30;

/// Days of openings after the cut of a wave without deadline: a quarter, so that a monthly window has opened three times.
pub const WITHOUT_DEADLINE_DAYS: i64 = 90;

/// The last instant openings are looked for.
pub fn openings_until(cut: Timestamp, deadline: Option<Timestamp>) -> Timestamp {
    let days = |at: Timestamp, days: i64| {
        at.checked_add(jiff::SignedDuration::from_hours(24 * days))
            .unwrap_or(Timestamp::MAX)
    };
    deadline.map_or_else(
        || days(cut, WITHOUT_DEADLINE_DAYS),
        |deadline| days(deadline.max(cut), PAST_DEADLINE_DAYS),
    )
}

/// The times from `from` until `until` in which every one of `windows` is open and nothing of `freezes` covers it, with
/// the last instant to start: the end less the longest cutoff.
///
/// No window at all (the emergency lane outside windows) is open but for the freezes; give it as a window that is always
/// open. Openings that begin after `until` are left out; one that began before `from` keeps its start.
pub fn batch_openings(
    name: &str,
    windows: &[(&Window, &FreezeSet)],
    from: Timestamp,
    until: Timestamp,
) -> BatchOpenings {
    let open = windows
        .iter()
        .map(|(window, freezes)| {
            let openings = window.openings(from, freezes);
            openings
                .take_while(|o| o.start.is_none_or(|start| start < until))
                .collect::<Vec<_>>()
        })
        .reduce(|a, b| both(&a, &b))
        .unwrap_or_default();
    let cutoff = windows
        .iter()
        .map(|(window, _)| window.cutoff_seconds)
        .max()
        .unwrap_or(0);
    let late = |end: Timestamp| {
        end.checked_sub(jiff::SignedDuration::from_secs(cutoff))
            .unwrap_or(Timestamp::MIN)
    };
    BatchOpenings {
        window: name.to_owned(),
        stop_at_end: windows.iter().any(|(window, _)| window.overrun == Overrun::Stop),
        openings: open
            .into_iter()
            .map(|opening| BatchOpening {
                opening,
                start_before: opening.end.map(late),
            })
            .collect(),
    }
}

/// What two lists of openings, each disjoint and in order, share.
fn both(a: &[Opening], b: &[Opening]) -> Vec<Opening> {
    let mut shared = Vec::new();
    for x in a {
        for y in b {
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
        assert_eq!(both(&nights, &weekend), expected);
        assert_eq!(both(&nights, &[opening("", "")]), nights);
    }

    #[test]
    fn thirty_days_past_the_deadline() {
        let cut = at("2026-11-20T12:00:00Z");
        assert_eq!(
            openings_until(cut, Some(at("2026-11-25T00:00:00Z"))),
            at("2026-12-25T00:00:00Z")
        );
        assert_eq!(openings_until(cut, None), at("2027-02-18T12:00:00Z"));
        // A breached deadline: openings count from the cut.
        assert_eq!(
            openings_until(cut, Some(at("2026-01-01T00:00:00Z"))),
            at("2026-12-20T12:00:00Z")
        );
    }
}
