//! Recurring local times: an RFC 5545 rule, a start of day, a zone, and a shift in whole days.
//!
//! The rule is expanded to dates as if it were in UTC; each date is shifted by the offset, joined with the start time,
//! and only then turned into an instant with jiff's bundled tz database. So there is one tz database, the same on every
//! machine, and RFC 5545's words on clock changes hold: a start in a gap uses the offset before the gap, a start in a
//! fold the first of the two.

use chrono::{Datelike as _, TimeZone as _};
use jiff::civil::{Date, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use super::rule::{self, Frequency, Rule};

/// How far ahead, or back, any search looks, in years. A rule that opens less often than this is not a schedule.
pub const SEARCH_YEARS: i64 = 50;

/// A day or two either way, because a local date and the date of the instant in another zone differ.
const MARGIN_DAYS: i64 = 2;

/// What a resource says about when something recurs.
#[derive(Clone, Debug)]
pub struct RecurrenceSpec {
    /// The rule as RFC 5545 writes the value of RRULE: `FREQ=MONTHLY;BYDAY=2TU`.
    pub rrule: String,
    /// The local time of day it starts at. RFC 5545 takes it from DTSTART; `BYHOUR` is refused.
    pub start: Time,
    /// The zone `start` is read in.
    pub zone: TimeZone,
    /// Whole calendar days added to each date of the rule: Patch Tuesday plus 4. Negative shifts back.
    pub offset_days: i64,
    /// The date of DTSTART: no date of the rule (before `offset_days`) is earlier, and intervals and counts begin here.
    pub from: Option<Date>,
}

/// Why a recurrence cannot be read. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    /// A part without `=`.
    #[error("`{part}` is not NAME=value; a rule looks like `FREQ=WEEKLY;BYDAY=TU,TH` (RFC 5545, 3.3.10)")]
    Syntax {
        /// The part as written, upper case.
        part: String,
    },
    /// A name RFC 5545 does not have.
    #[error("`{part}` is not a part of an RFC 5545 rule; the first date goes into `from`, the time into `start`")]
    UnknownPart {
        /// The name as written, upper case.
        part: String,
    },
    /// A value or combination that RFC 5545 does not allow.
    #[error("{part}: {why} (RFC 5545, 3.3.10)")]
    NotRfc5545 {
        /// The part at fault.
        part: String,
        /// What is wrong and what to write.
        why: String,
    },
    /// `FREQ=HOURLY` and shorter.
    #[error("FREQ={frequency} recurs within a day; use FREQ=DAILY or longer, with `start` and `duration`")]
    SubDaily {
        /// The frequency as written.
        frequency: String,
    },
    /// `BYHOUR`, `BYMINUTE`, `BYSECOND`.
    #[error("{part} sets a time of day; write it in `start`, one schedule for each time")]
    TimeOfDay {
        /// The part at fault.
        part: String,
    },
    /// `INTERVAL` above 1 without a first date.
    #[error("INTERVAL={interval} needs `from: DATE`: without a first date nobody can say which periods are skipped")]
    IntervalNeedsFrom {
        /// The interval as written.
        interval: u16,
    },
    /// `COUNT` without a first date.
    #[error("COUNT needs `from: DATE`: without a first date nobody can say where the counting starts")]
    CountNeedsFrom,
    /// A rule whose day would come from DTSTART.
    #[error("the rule names no day: add {names}, or `from: DATE` to take the day from")]
    DayNeedsFrom {
        /// The parts that would name one.
        names: &'static str,
    },
    /// The expander refused what passed the checks above.
    #[error("the rule cannot be expanded: {0}")]
    Expander(String),
}

/// A recurrence that can be asked for its instants.
#[derive(Clone, Debug)]
pub struct Recurrence {
    rule: Rule,
    parsed: RRule<Unvalidated>,
    start: Time,
    zone: TimeZone,
    offset_days: i64,
    from: Option<Date>,
    /// The date of the last occurrence that COUNT allows. Known once, it lets every question begin near its answer.
    last: Option<Date>,
    impossible: bool,
}

impl Recurrence {
    /// Checks `spec`. All faults are returned at once.
    pub fn new(spec: RecurrenceSpec) -> Result<Self, Vec<RecurrenceError>> {
        let RecurrenceSpec {
            rrule,
            start,
            zone,
            offset_days,
            from,
        } = spec;
        let rule = rule::parse(&rrule, from)?;
        let expander = |error: rrule::RRuleError| vec![RecurrenceError::Expander(error.to_string())];
        let parsed: RRule<Unvalidated> = rule.expandable.parse().map_err(expander)?;
        let begin = from.unwrap_or(date(2000, 1, 1));
        // The expander's own check depends on the rule, not on the date it begins at.
        midnight(begin)
            .map(|begin| parsed.clone().validate(begin))
            .transpose()
            .map_err(expander)?;
        let mut recurrence = Self {
            rule,
            parsed,
            start,
            zone,
            offset_days,
            from,
            last: None,
            impossible: false,
        };
        let last = recurrence
            .rule
            .count
            .and_then(|count| recurrence.rule_dates(begin).take(count).last());
        recurrence.last = last;
        // The Gregorian calendar repeats, so a rule without an occurrence after this date has none after any other. Asked
        // once, the answer spares every later search the walk through all periods. UNTIL is left to those searches, except
        // that a rule that ends before it begins is impossible too.
        let never = recurrence.rule.has_no_day();
        recurrence.impossible = never
            || match from {
                Some(from) => recurrence.rule_dates(from).next().is_none(),
                // The calendar repeats after 400 years, weekdays included, and the expander ends with the year 9999: the last
                // such cycle is the shortest walk that sees every year there is.
                None => recurrence
                    .expand(date(9600, 1, 1))
                    .and_then(|mut dates| dates.next())
                    .is_none(),
            };
        Ok(recurrence)
    }

    /// Whether the rule has no occurrence at any time, such as 30 February. Does not depend on the clock.
    pub const fn is_impossible(&self) -> bool {
        self.impossible
    }

    /// The starts at or after `at`, in order, up to [`SEARCH_YEARS`] ahead; computed as they are asked for.
    pub fn starts_from(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        self.starts_between(at, years_after(at, SEARCH_YEARS))
    }

    /// The starts from `begin` (included) to `end` (excluded), in order; computed as they are asked for.
    pub fn starts_between(&self, begin: Timestamp, end: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let first = add_days(
            begin.to_zoned(self.zone.clone()).date(),
            MARGIN_DAYS.saturating_add(self.offset_days).saturating_neg(),
        );
        let dates = if self.impossible || begin >= end {
            None
        } else {
            Some(self.rule_dates(first))
        };
        let instants = dates.into_iter().flatten().map_while(|day| self.instant_on(day));
        let mut last = None;
        // Where a zone skipped a whole day two local dates are the same instant; it is one start.
        instants
            .skip_while(move |at| *at < begin)
            .take_while(move |at| *at < end)
            .filter(move |at| last.replace(*at) != Some(*at))
    }

    /// The first start strictly after `at`.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        self.starts_from(at).find(|start| *start > at)
    }

    /// The last start strictly before `at`, up to [`SEARCH_YEARS`] back.
    pub fn last_before(&self, at: Timestamp) -> Option<Timestamp> {
        // Looking back in widening steps costs a daily rule days and a yearly one years, never more than needed.
        [10, 70, 500, 3_700]
            .into_iter()
            .map(|days| seconds_after(at, -days * 86_400))
            .chain([years_after(at, -SEARCH_YEARS)])
            .find_map(|begin| self.starts_between(begin, at).last())
    }

    fn instant_on(&self, day: Date) -> Option<Timestamp> {
        let shifted = day.checked_add(days(self.offset_days)).ok()?;
        self.zone
            .to_ambiguous_timestamp(shifted.to_datetime(self.start))
            .compatible()
            .ok()
    }

    /// The dates of the rule before the offset, from `first` on.
    fn rule_dates(&self, first: Date) -> impl Iterator<Item = Date> + '_ {
        let from = self.from.unwrap_or(Date::MIN);
        let last = self.last.unwrap_or(Date::MAX);
        let first = first.max(from);
        let dates = self
            .phase(first)
            .and_then(|begin| self.expand(begin))
            .into_iter()
            .flatten();
        dates.skip_while(move |day| *day < first).take_while(move |day| {
            *day <= last
                && self
                    .rule
                    .until
                    .as_ref()
                    .is_none_or(|until| until.admits(day.to_datetime(self.start), &self.zone))
        })
    }

    fn expand(&self, begin: Date) -> Option<impl Iterator<Item = Date> + use<>> {
        let begin = midnight(begin)?;
        let validated = self.parsed.clone().validate(begin).ok()?;
        // The limit makes the expander give up after 100,000 empty periods, far beyond what the search bound needs.
        let set = RRuleSet::new(begin).rrule(validated).limit();
        Some(set.into_iter().map_while(|at| {
            let (year, month, day) = (at.year(), at.month(), at.day());
            Date::new(
                i16::try_from(year).ok()?,
                i8::try_from(month).ok()?,
                i8::try_from(day).ok()?,
            )
            .ok()
        }))
    }

    /// The first day of the last period that starts at or before `day` and is not skipped by the interval.
    ///
    /// Expansion begins there rather than at `from`, so that a question about any year costs the same. It is always the
    /// first day of a period, because `BYSETPOS` counts within whole periods.
    fn phase(&self, day: Date) -> Option<Date> {
        let interval = i64::from(self.rule.interval);
        let origin = self.from.unwrap_or(day);
        match self.rule.frequency {
            Frequency::Daily => Some(step_days(origin, day, interval)),
            Frequency::Weekly => Some(step_days(self.week_of(origin), day, interval * 7)),
            Frequency::Monthly => step_months(origin, day, interval),
            Frequency::Yearly => {
                let skipped = (i64::from(day.year()) - i64::from(origin.year())).rem_euclid(interval);
                Date::new(i16::try_from(i64::from(day.year()) - skipped).ok()?, 1, 1).ok()
            }
        }
    }

    fn week_of(&self, day: Date) -> Date {
        add_days(day, -i64::from(day.weekday().since(self.rule.week_start)))
    }
}

/// The last of `origin`, `origin + step`, … that is not after `day`.
fn step_days(origin: Date, day: Date, step: i64) -> Date {
    let between = origin.until(day).map_or(0, |span| i64::from(span.get_days()));
    add_days(day, -between.rem_euclid(step))
}

/// The first of the last month at or before `day`'s that is a multiple of `step` months from `origin`'s.
fn step_months(origin: Date, day: Date, step: i64) -> Option<Date> {
    let months = |day: Date| i64::from(day.year()) * 12 + i64::from(day.month()) - 1;
    let month = months(day) - (months(day) - months(origin)).rem_euclid(step);
    Date::new(
        i16::try_from(month.div_euclid(12)).ok()?,
        i8::try_from(month.rem_euclid(12) + 1).ok()?,
        1,
    )
    .ok()
}

fn add_days(day: Date, count: i64) -> Date {
    day.saturating_add(days(count))
}

/// Whole calendar days; jiff adds a signed duration to a date as days of 24 hours, and does not panic on large ones.
const fn days(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count.saturating_mul(86_400))
}

fn midnight(day: Date) -> Option<chrono::DateTime<Tz>> {
    let (year, month, day) = (
        i32::from(day.year()),
        u32::try_from(day.month()).ok()?,
        u32::try_from(day.day()).ok()?,
    );
    Tz::UTC.with_ymd_and_hms(year, month, day, 0, 0, 0).single()
}

/// `at` plus `seconds`, which may be negative, kept within what a timestamp can hold.
pub(super) fn seconds_after(at: Timestamp, seconds: i64) -> Timestamp {
    let edge = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(edge)
}

/// `at` plus calendar years in UTC, kept within what a timestamp can hold.
pub(super) fn years_after(at: Timestamp, years: i64) -> Timestamp {
    let edge = if years < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.to_zoned(TimeZone::UTC)
        .checked_add(years.years())
        .map_or(edge, |zoned| zoned.timestamp())
}

#[cfg(test)]
#[path = "recurrence_tests.rs"]
mod tests;
