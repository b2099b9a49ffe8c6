//! Maintenance windows: when work may start, and until when.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::freeze::{FreezeSet, covers, recurring};
use super::recurrence::{Recurrence, SEARCH_YEARS, seconds_after, years_after};
use super::spans::{Span, Spans, join, merge, subtract};

/// How many days an opening is followed, ahead and back, before it counts as endless. More than a year, so that a rule of
/// any calendar shape has shown a gap by then if it has one.
pub const ENDLESS_DAYS: i64 = 400;

const ENDLESS_SECONDS: i64 = ENDLESS_DAYS * 86_400;

/// What happens to a batch that is still running when its opening ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overrun {
    /// The batch goes on to its last asset.
    #[default]
    Finish,
    /// No further asset is started.
    Stop,
}

/// One rule of a window and how long it stays open each time.
#[derive(Clone, Debug)]
pub struct WindowSchedule {
    /// When it opens.
    pub recurrence: Recurrence,
    /// Elapsed seconds it stays open, whatever clocks do meanwhile. Not above 0 = never open.
    pub duration_seconds: i64,
}

/// A maintenance window: open whenever one of its schedules is.
#[derive(Clone, Debug)]
pub struct Window {
    /// The name of the MaintenanceWindow.
    pub name: String,
    /// The schedules, in authored order.
    pub schedules: Vec<WindowSchedule>,
    /// No batch starts in the last so many seconds of an opening.
    pub cutoff_seconds: i64,
    /// What happens to a batch at the end of the opening.
    pub overrun: Overrun,
}

/// A time in which a window is open and nothing is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Opening {
    /// The first instant; absent = open for more than [`ENDLESS_DAYS`] days already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The first instant after it; absent = still open [`ENDLESS_DAYS`] days from now, or from its start if that is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

impl Opening {
    /// Whether `at` is inside: not before the start, before the end.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= at) && self.end.is_none_or(|end| at < end)
    }
}

/// Why a window is closed at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ClosedReason {
    /// Its schedules are open, but a freeze covers the instant.
    Frozen {
        /// The name of the first freeze, by name, that covers the instant.
        freeze: String,
        /// That freeze's reason as authored; may be empty.
        reason: String,
        /// When no freeze covers the asset any more; absent = not within [`SEARCH_YEARS`] years.
        #[serde(skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// None of its schedules is open at the instant.
    OutsideSchedules,
    /// None of its schedules opens at any time.
    NeverOpens,
}

impl fmt::Display for ClosedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen { freeze, reason, until } => {
                write!(f, "frozen by {freeze}")?;
                if !reason.is_empty() {
                    write!(f, " ({reason})")?;
                }
                until.map_or(Ok(()), |until| write!(f, " until {until}"))
            }
            Self::OutsideSchedules => f.write_str("outside its schedules"),
            Self::NeverOpens => f.write_str("none of its schedules ever opens"),
        }
    }
}

/// Whether a window is closed now, why, and when it opens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowStatus {
    /// Closed by its schedules or by a freeze. The cutoff does not close a window.
    pub closed: bool,
    /// Why; absent if and only if it is open.
    pub reason: Option<ClosedReason>,
    /// The first start after now; absent = none is known. Of an open window it is the opening after the current one, so a
    /// window that never closes has none.
    pub next_open: Option<Timestamp>,
}

impl Window {
    /// Whether no schedule has an occurrence at any time (30 February, a duration of 0). Does not depend on the clock;
    /// a rule that has ended (`UNTIL`, `COUNT`) is not meant here but shows as no opening.
    pub fn never_opens(&self) -> bool {
        self.schedules
            .iter()
            .all(|schedule| schedule.recurrence.is_impossible() || schedule.duration_seconds <= 0)
    }

    /// The openings whose end is after `now`, the current one first, disjoint and in order, up to [`SEARCH_YEARS`] ahead;
    /// computed as they are asked for.
    ///
    /// Overlapping and touching openings of all schedules are joined, then `freezes` are taken out. The cutoff does not
    /// shorten them. An opening without end is the last one given.
    ///
    /// An end is given up [`ENDLESS_DAYS`] from now, or from the opening's own start where that is later: an opening of
    /// four hours two years ahead, or across the very instant 400 days away, keeps the end it plainly has.
    pub fn openings<'a>(&'a self, now: Timestamp, freezes: &'a FreezeSet) -> impl Iterator<Item = Opening> + 'a {
        let oldest = seconds_after(now, -ENDLESS_SECONDS);
        // History only tells when the current opening began; while the window is closed there is none. One second more
        // shows whether what starts 400 days ago only carries on what ends there.
        let begin = if self.is_scheduled_at(now) {
            seconds_after(oldest, -1)
        } else {
            now
        };
        let end = years_after(now, SEARCH_YEARS);
        let open = subtract(self.scheduled(begin, end), freezes.spans_between(begin, end));
        let is_endless = move |span: Span| span.end > seconds_after(span.start.max(now), ENDLESS_SECONDS);
        join(open, is_endless)
            .filter(move |span| span.end > now)
            .map(move |span| Opening {
                start: (span.start >= oldest).then_some(span.start),
                end: (!is_endless(span)).then_some(span.end),
            })
    }

    /// Whether the window is open at `at` and nothing in `freezes` covers that instant.
    pub fn is_open_at(&self, at: Timestamp, freezes: &FreezeSet) -> bool {
        self.is_scheduled_at(at) && freezes.covering(at).is_none()
    }

    /// Whether it is closed at `now`, why, and when it opens next.
    pub fn status(&self, now: Timestamp, freezes: &FreezeSet) -> WindowStatus {
        let reason = match freezes.covering(now) {
            _ if self.never_opens() => Some(ClosedReason::NeverOpens),
            _ if !self.is_scheduled_at(now) => Some(ClosedReason::OutsideSchedules),
            None => None,
            Some(freeze) => Some(ClosedReason::Frozen {
                freeze: freeze.name.clone(),
                reason: freeze.reason.clone(),
                until: freezes.free_from(now),
            }),
        };
        let next_open = self
            .openings(now, freezes)
            .filter_map(|opening| opening.start)
            .find(|start| *start > now);
        WindowStatus {
            closed: reason.is_some(),
            reason,
            next_open,
        }
    }

    fn is_scheduled_at(&self, at: Timestamp) -> bool {
        self.schedules
            .iter()
            .any(|schedule| covers(&schedule.recurrence, schedule.duration_seconds, at))
    }

    /// When the schedules are open, freezes aside: all that ends after `begin` and starts before `end`.
    fn scheduled(&self, begin: Timestamp, end: Timestamp) -> impl Iterator<Item = Span> + '_ {
        let streams = self.schedules.iter().map(
            |WindowSchedule {
                 recurrence,
                 duration_seconds,
             }| { Box::new(recurring(recurrence, *duration_seconds, begin, end)) as Spans<'_> },
        );
        merge(streams.collect())
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
