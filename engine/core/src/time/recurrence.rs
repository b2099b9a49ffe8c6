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
        let last = recurrence.rule.count.and_then(|count| recurrence.rule_dates(begin).take(count).last());
        recurrence.last = last;
        // The Gregorian calendar repeats, so a rule without an occurrence after this date has none after any other. Asked
        // once, the answer spares every later search the walk through all periods. UNTIL is left to those searches, except
        // that a rule that ends before it begins is impossible too.
        recurrence.impossible = match from {
            Some(from) => recurrence.rule_dates(from).next().is_none(),
            None => recurrence.expand(begin).and_then(|mut dates| dates.next()).is_none(),
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
mod tests {
    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    fn spec(rrule: &str, start: Time, zone: &str) -> RecurrenceSpec {
        RecurrenceSpec {
            rrule: rrule.into(),
            start,
            zone: TimeZone::get(zone).unwrap(),
            offset_days: 0,
            from: None,
        }
    }

    fn starts(spec: RecurrenceSpec, at: &str, count: usize) -> Vec<String> {
        let recurrence = Recurrence::new(spec).unwrap();
        recurrence
            .starts_from(at.parse().unwrap())
            .take(count)
            .map(|start| start.to_string())
            .collect()
    }

    #[test]
    fn a_start_in_a_gap_uses_the_offset_before_it() {
        // New York skipped 02:00 to 03:00 on 8 March 2026: 02:30 EST would have been 07:30 UTC.
        let spec = spec("FREQ=DAILY", time(2, 30, 0, 0), "America/New_York");
        let expected = ["2026-03-07T07:30:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"];
        assert_eq!(starts(spec, "2026-03-07T00:00:00Z", 3), expected);
    }

    #[test]
    fn a_start_in_a_fold_is_the_first_of_the_two() {
        // Berlin had 02:30 twice on 25 October 2026: CEST (00:30 UTC) first.
        let spec = spec("FREQ=DAILY", time(2, 30, 0, 0), "Europe/Berlin");
        let expected = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        assert_eq!(starts(spec, "2026-10-24T00:00:00Z", 3), expected);
    }

    #[test]
    fn a_day_that_a_zone_skipped_opens_once() {
        // Samoa had no 30 December 2011: the two local starts are one instant.
        let spec = spec("FREQ=DAILY", time(22, 0, 0, 0), "Pacific/Apia");
        let expected = ["2011-12-30T08:00:00Z", "2011-12-31T08:00:00Z", "2012-01-01T08:00:00Z"];
        assert_eq!(starts(spec, "2011-12-30T00:00:00Z", 3), expected);
    }

    #[test]
    fn an_offset_is_whole_local_days_across_the_end_of_a_month() {
        let last_friday = RecurrenceSpec {
            offset_days: 4,
            ..spec("FREQ=MONTHLY;BYDAY=-1FR", time(2, 0, 0, 0), "America/New_York")
        };
        // 30 October 2026 + 4 days = 3 November, after the clocks went back on 1 November.
        assert_eq!(
            starts(last_friday.clone(), "2026-10-28T00:00:00Z", 2),
            ["2026-11-03T07:00:00Z", "2026-12-01T07:00:00Z"]
        );
        let before = RecurrenceSpec {
            offset_days: -7,
            ..last_friday
        };
        assert_eq!(starts(before, "2026-10-01T00:00:00Z", 1), ["2026-10-23T06:00:00Z"]);
        let far = RecurrenceSpec {
            offset_days: i64::MIN,
            ..spec("FREQ=DAILY", time(2, 0, 0, 0), "UTC")
        };
        assert_eq!(starts(far, "2026-10-01T00:00:00Z", 1), [""; 0]);
    }

    #[test]
    fn intervals_keep_their_phase_however_late_one_asks() {
        let from = Some(date(2024, 1, 31));
        let every = |rrule: &str| RecurrenceSpec {
            from,
            ..spec(rrule, time(1, 0, 0, 0), "UTC")
        };
        assert_eq!(
            starts(every("FREQ=DAILY;INTERVAL=10"), "2024-02-05T00:00:00Z", 2),
            ["2024-02-10T01:00:00Z", "2024-02-20T01:00:00Z"]
        );
        // Weeks from Monday 29 January: 12 and 26 February are in, 5 and 19 are not.
        let weekly = every("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO");
        assert_eq!(
            starts(weekly, "2024-01-01T00:00:00Z", 2),
            ["2024-02-12T01:00:00Z", "2024-02-26T01:00:00Z"]
        );
        assert_eq!(
            starts(every("FREQ=MONTHLY;INTERVAL=5"), "2040-01-01T00:00:00Z", 2),
            ["2041-07-31T01:00:00Z", "2041-12-31T01:00:00Z"]
        );
        assert_eq!(
            starts(every("FREQ=YEARLY;INTERVAL=3"), "2025-01-01T00:00:00Z", 1),
            ["2027-01-31T01:00:00Z"]
        );
    }

    #[test]
    fn count_and_until_end_a_rule_before_the_offset() {
        let counted = RecurrenceSpec {
            from: Some(date(2026, 1, 1)),
            offset_days: 1,
            ..spec("FREQ=DAILY;COUNT=3", time(0, 0, 0, 0), "UTC")
        };
        assert_eq!(
            starts(counted, "2026-01-03T00:00:00Z", 9),
            ["2026-01-03T00:00:00Z", "2026-01-04T00:00:00Z"]
        );
        let until = RecurrenceSpec {
            offset_days: 1,
            ..spec("FREQ=DAILY;UNTIL=20260102", time(0, 0, 0, 0), "UTC")
        };
        assert_eq!(
            starts(until, "2026-01-02T00:00:00Z", 9),
            ["2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"]
        );
    }

    #[test]
    fn neighbours_are_strictly_before_and_after() {
        let recurrence = Recurrence::new(spec("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", time(0, 0, 0, 0), "UTC")).unwrap();
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let leap = at("2024-02-29T00:00:00Z");
        assert_eq!(recurrence.last_before(at("2026-11-20T00:00:00Z")), Some(leap));
        assert_eq!(recurrence.last_before(leap), Some(at("2020-02-29T00:00:00Z")));
        assert_eq!(recurrence.next_after(leap), Some(at("2028-02-29T00:00:00Z")));
    }

    #[test]
    fn impossible_rules_are_known_and_cost_nothing_later() {
        let impossible = Recurrence::new(spec("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", time(1, 0, 0, 0), "UTC")).unwrap();
        assert!(impossible.is_impossible());
        assert_eq!(impossible.next_after(Timestamp::UNIX_EPOCH), None);
        assert_eq!(impossible.last_before(Timestamp::UNIX_EPOCH), None);
        let odd = RecurrenceSpec {
            from: Some(date(2025, 1, 1)),
            ..spec(
                "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
                time(1, 0, 0, 0),
                "UTC",
            )
        };
        assert!(
            Recurrence::new(odd).unwrap().is_impossible(),
            "29 February falls in no odd year"
        );
        assert!(
            !Recurrence::new(spec(
                "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
                time(1, 0, 0, 0),
                "UTC"
            ))
            .unwrap()
            .is_impossible()
        );
    }

    #[test]
    fn a_search_ends_after_fifty_years() {
        let daily = Recurrence::new(spec("FREQ=DAILY", time(1, 0, 0, 0), "UTC")).unwrap();
        let last = daily
            .starts_from("2026-01-01T00:00:00Z".parse().unwrap())
            .last()
            .unwrap();
        assert_eq!(last.to_string(), "2075-12-31T01:00:00Z");
    }

    fn any_list(values: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = String> {
        prop::collection::vec(values, 1..4)
            .prop_map(|list| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
    }

    fn any_part() -> impl Strategy<Value = String> {
        let days = prop::collection::vec(
            ("-?[0-9]{0,2}", prop::sample::select(vec!["MO", "TU", "SU", "XX"])),
            1..4,
        );
        prop_oneof![
            any_list(0..=13).prop_map(|list| format!("BYMONTH={list}")),
            any_list(-32..=32).prop_map(|list| format!("BYMONTHDAY={list}")),
            any_list(-367..=367).prop_map(|list| format!("BYYEARDAY={list}")),
            any_list(-54..=54).prop_map(|list| format!("BYWEEKNO={list}")),
            any_list(-367..=367).prop_map(|list| format!("BYSETPOS={list}")),
            days.prop_map(|days| {
                let days: Vec<_> = days.iter().map(|(number, day)| format!("{number}{day}")).collect();
                format!("BYDAY={}", days.join(","))
            }),
            (0..70_000).prop_map(|interval| format!("INTERVAL={interval}")),
            any::<u64>().prop_map(|count| format!("COUNT={count}")),
            "UNTIL=[0-9]{4}(0[1-9]|1[0-9])[0-3][0-9](T[0-2][0-9]0000Z?)?",
            prop::sample::select(vec!["WKST=SU", "WKST=WE", "WKST=?"]).prop_map(str::to_owned),
            "[ -~]{0,12}",
        ]
    }

    proptest! {
        /// Whatever is written, the answer is a list of faults or a rule whose starts are in order and where they belong.
        #[test]
        fn any_text_is_refused_or_gives_ordered_starts(
            frequency in prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]),
            parts in prop::collection::vec(any_part(), 0..4),
            from in prop::option::weighted(0.8, (1_i16..9999, 1_i8..13, 1_i8..29)),
            offset_days in prop_oneof![Just(0), -40_i64..40, any::<i64>()],
            at in prop_oneof![0_i64..4_000_000_000, Timestamp::MIN.as_second()..Timestamp::MAX.as_second()],
        ) {
            let rrule = std::iter::once(format!("FREQ={frequency}")).chain(parts).collect::<Vec<_>>().join(";");
            let from = from.map(|(year, month, day)| date(year, month, day));
            let zone = TimeZone::get("Europe/Berlin").unwrap();
            let at = Timestamp::from_second(at).unwrap();
            match Recurrence::new(RecurrenceSpec { rrule, start: time(2, 30, 0, 0), zone, offset_days, from }) {
                Err(faults) => prop_assert!(!faults.is_empty()),
                Ok(recurrence) => {
                    let starts: Vec<_> = recurrence.starts_from(at).take(5).collect();
                    prop_assert!(starts.iter().all(|start| *start >= at));
                    prop_assert!(starts.is_sorted_by(|a, b| a < b));
                    let next = starts.iter().copied().find(|start| *start > at);
                    prop_assert_eq!(recurrence.next_after(at), next);
                    if let Some(last) = starts.last() {
                        let previous = recurrence.last_before(*last);
                        prop_assert!(starts.len() < 2 || previous == starts.iter().rev().nth(1).copied());
                    }
                }
            }
        }
    }
}
