//! Times in which nothing may start: change freezes.

use jiff::Timestamp;

use super::recurrence::{Recurrence, SEARCH_YEARS, seconds_after, years_after};
use super::spans::{Span, Spans, merge};

/// When a freeze holds.
#[derive(Clone, Debug)]
pub enum FreezeSpan {
    /// Once, from an instant (included) to an instant (excluded).
    Once {
        /// The first frozen instant.
        from: Timestamp,
        /// The first instant that is free again. Not after `from` = never frozen.
        to: Timestamp,
    },
    /// For some elapsed time after each start of a rule.
    Recurring {
        /// When it starts.
        recurrence: Box<Recurrence>,
        /// Elapsed seconds it lasts.
        duration_seconds: i64,
    },
}

/// A change freeze without its selector: the caller has chosen the freezes that hold for an asset.
#[derive(Clone, Debug)]
pub struct Freeze {
    /// The name of the ChangeFreeze.
    pub name: String,
    /// Why it is there, as authored; may be empty.
    pub reason: String,
    /// When it holds.
    pub spans: Vec<FreezeSpan>,
}

impl Freeze {
    /// Whether nothing may start at `at`.
    pub fn covers(&self, at: Timestamp) -> bool {
        self.spans.iter().any(|span| match span {
            FreezeSpan::Once { from, to } => *from <= at && at < *to,
            FreezeSpan::Recurring {
                recurrence,
                duration_seconds,
            } => covers(recurrence, *duration_seconds, at),
        })
    }

    fn streams(&self, begin: Timestamp, end: Timestamp) -> impl Iterator<Item = Spans<'_>> {
        self.spans.iter().map(move |span| span.stream(begin, end))
    }
}

impl FreezeSpan {
    /// The frozen spans that overlap `begin..end`.
    fn stream(&self, begin: Timestamp, end: Timestamp) -> Spans<'_> {
        match self {
            &Self::Once { from, to } => {
                let overlaps = begin < to && from < end && from < to;
                Box::new(overlaps.then_some(Span { start: from, end: to }).into_iter())
            }
            Self::Recurring {
                recurrence,
                duration_seconds,
            } => Box::new(recurring(recurrence, *duration_seconds, begin, end)),
        }
    }
}

/// The freezes that hold for an asset, or for whatever the caller chose them for. Empty = nothing is frozen.
#[derive(Clone, Debug, Default)]
pub struct FreezeSet {
    freezes: Vec<Freeze>,
}

impl FreezeSet {
    /// No freeze at all.
    pub const EMPTY: Self = Self { freezes: Vec::new() };

    /// The set of `freezes`, in order of name whatever order they come in.
    pub fn new(mut freezes: Vec<Freeze>) -> Self {
        freezes.sort_by(|a, b| a.name.cmp(&b.name));
        Self { freezes }
    }

    /// Whether there is no freeze in the set.
    pub fn is_empty(&self) -> bool {
        self.freezes.is_empty()
    }

    /// The first freeze by name that covers `at`.
    pub fn covering(&self, at: Timestamp) -> Option<&Freeze> {
        self.all_covering(at).next()
    }

    /// Every freeze that covers `at`, by name: each needs its own override.
    pub fn all_covering(&self, at: Timestamp) -> impl Iterator<Item = &Freeze> {
        self.freezes.iter().filter(move |freeze| freeze.covers(at))
    }

    /// The frozen times that overlap `begin..end`, as disjoint, sorted pairs (start included, end excluded) that may reach
    /// beyond both; touching ones are joined.
    pub fn intervals(&self, begin: Timestamp, end: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let joined = super::spans::join(self.spans_between(begin, end), |span| span.end >= end);
        joined.map(|span| (span.start, span.end)).collect()
    }

    /// When the freezes that cover `at` have all ended, those that begin meanwhile included; `None` if not within
    /// [`SEARCH_YEARS`]. An instant that is not frozen is its own answer.
    pub fn free_from(&self, at: Timestamp) -> Option<Timestamp> {
        let limit = years_after(at, SEARCH_YEARS);
        let end = self
            .spans_between(at, limit)
            .scan(at, |reached, span| {
                (span.start <= *reached).then(|| {
                    *reached = span.end.max(*reached);
                    *reached
                })
            })
            .last();
        Some(end.unwrap_or(at)).filter(|end| *end < limit)
    }

    pub(super) fn spans_between(&self, begin: Timestamp, end: Timestamp) -> impl Iterator<Item = Span> + '_ {
        merge(
            self.freezes
                .iter()
                .flat_map(|freeze| freeze.streams(begin, end))
                .collect(),
        )
    }
}

/// Whether `at` lies within `duration_seconds` after a start.
pub(super) fn covers(recurrence: &Recurrence, duration_seconds: i64, at: Timestamp) -> bool {
    recurring(recurrence, duration_seconds, at, seconds_after(at, 1)).any(|span| span.start <= at)
}

/// The spans of a recurrence that end after `begin` and start before `end`.
pub(super) fn recurring(
    recurrence: &Recurrence,
    duration_seconds: i64,
    begin: Timestamp,
    end: Timestamp,
) -> impl Iterator<Item = Span> + '_ {
    recurrence
        .starts_between(seconds_after(begin, duration_seconds.saturating_neg()), end)
        .map(move |start| Span {
            start,
            end: seconds_after(start, duration_seconds),
        })
        .filter(move |span| span.end > begin && span.start < span.end)
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::time::RecurrenceSpec;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn once(name: &str, from: &str, to: &str) -> Freeze {
        Freeze {
            name: name.into(),
            reason: String::new(),
            spans: vec![FreezeSpan::Once {
                from: at(from),
                to: at(to),
            }],
        }
    }

    /// Every last weekday of a quarter's last month, 48 hours from local midnight.
    fn quarter_end() -> Freeze {
        let recurrence = Recurrence::new(RecurrenceSpec {
            rrule: "FREQ=MONTHLY;BYMONTH=3,6,9,12;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1".into(),
            start: time(0, 0, 0, 0),
            zone: TimeZone::get("America/New_York").unwrap(),
            offset_days: 0,
            from: None,
        });
        let span = FreezeSpan::Recurring {
            recurrence: Box::new(recurrence.unwrap()),
            duration_seconds: 48 * 3600,
        };
        Freeze {
            name: "quarter-end".into(),
            reason: "books".into(),
            spans: vec![span],
        }
    }

    #[test]
    fn a_freeze_includes_its_start_and_not_its_end() {
        let set = FreezeSet::new(vec![once("b", "2026-12-18T00:00:00Z", "2027-01-05T00:00:00Z")]);
        assert!(set.covering(at("2026-12-17T23:59:59Z")).is_none());
        assert!(set.covering(at("2026-12-18T00:00:00Z")).is_some());
        assert!(set.covering(at("2027-01-04T23:59:59.999999999Z")).is_some());
        assert!(set.covering(at("2027-01-05T00:00:00Z")).is_none());
    }

    #[test]
    fn the_freeze_that_covers_is_named_whatever_the_order() {
        let year_end = once("year-end", "2026-12-18T00:00:00Z", "2027-01-05T00:00:00Z");
        let set = FreezeSet::new(vec![year_end, quarter_end()]);
        let names = |text| {
            set.all_covering(at(text))
                .map(|freeze| freeze.name.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("2026-12-31T12:00:00Z"), ["quarter-end", "year-end"]);
        assert_eq!(names("2027-01-03T12:00:00Z"), ["year-end"]);
        assert_eq!(names("2027-03-31T12:00:00Z"), ["quarter-end"]);
        assert_eq!(names("2027-03-30T12:00:00Z"), [""; 0]);
    }

    #[test]
    fn intervals_are_joined_and_end_together() {
        let set = FreezeSet::new(vec![
            quarter_end(),
            once("a", "2026-12-20T00:00:00Z", "2026-12-31T05:00:00Z"),
            once("never", "2027-02-02T00:00:00Z", "2027-02-01T00:00:00Z"),
        ]);
        let intervals = set.intervals(at("2026-12-25T00:00:00Z"), at("2027-06-01T00:00:00Z"));
        let expected = [
            ("2026-12-20T00:00:00Z", "2027-01-02T05:00:00Z"),
            ("2027-03-31T04:00:00Z", "2027-04-02T04:00:00Z"),
        ];
        assert_eq!(intervals, expected.map(|(start, end)| (at(start), at(end))));
        assert_eq!(
            set.free_from(at("2026-12-25T00:00:00Z")),
            Some(at("2027-01-02T05:00:00Z"))
        );
        assert_eq!(
            set.free_from(at("2027-02-01T00:00:00Z")),
            Some(at("2027-02-01T00:00:00Z"))
        );
    }
}
