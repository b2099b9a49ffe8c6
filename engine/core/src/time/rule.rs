//! The text of a recurrence rule (RFC 5545, section 3.3.10), checked part by part.
//!
//! The `rrule` crate expands rules, but it stops at the first fault, accepts forms the RFC forbids, and reads a
//! floating `UNTIL` in the zone of the machine. So every part is checked here, `UNTIL` and `COUNT` are taken out, and
//! what is left is handed on as text.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

use super::recurrence::RecurrenceError;

/// How often the rule's period comes round. Shorter periods than a day are refused: the hour is the field `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// The last moment a rule may start at, in the three forms `UNTIL` is written in.
///
/// The RFC asks for UTC where the start has a zone; a date and a local time have only one sensible reading beside a
/// zone (the whole day, the local clock), so they are read that way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Instant(Timestamp),
    Local(DateTime),
}

impl Until {
    /// Whether an occurrence at the local time `at`, before any offset in days, is still inside.
    pub(super) fn admits(&self, at: DateTime, zone: &TimeZone) -> bool {
        match self {
            Self::Local(until) => at <= *until,
            Self::Instant(until) => zone
                .to_ambiguous_timestamp(at)
                .compatible()
                .is_ok_and(|instant| instant <= *until),
        }
    }
}

/// A rule whose parts are all in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) frequency: Frequency,
    pub(super) interval: u16,
    pub(super) count: Option<usize>,
    pub(super) until: Option<Until>,
    pub(super) week_start: Weekday,
    /// `BYMONTH` and `BYMONTHDAY`, where both are given.
    month_days: Option<(Vec<i64>, Vec<i64>)>,
    /// The rule without `UNTIL` and `COUNT`, with the day that RFC 5545 takes from DTSTART written out.
    pub(super) expandable: String,
}

impl Rule {
    /// Whether none of the months has any of the days, as with 30 February: known without a walk through the years.
    pub(super) fn has_no_day(&self) -> bool {
        let Some((months, days)) = &self.month_days else {
            return false;
        };
        let length = |month: &i64| match month {
            2 => 29,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        !months
            .iter()
            .any(|month| days.iter().any(|day| day.abs() <= length(month)))
    }
}

/// The list parts that hold numbers, and the largest number either side of zero. `BYMONTH` alone has no negative form.
const NUMBER_LISTS: [(&str, i64); 5] = [
    ("BYMONTH", 12),
    ("BYMONTHDAY", 31),
    ("BYYEARDAY", 366),
    ("BYWEEKNO", 53),
    ("BYSETPOS", 366),
];
/// All occurrences of a rule with COUNT are walked once, when it is read; a century of days keeps that short.
const COUNT_MAX: usize = 36_525;
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];
const TIME_PARTS: [&str; 3] = ["BYHOUR", "BYMINUTE", "BYSECOND"];

/// The parts of one rule, upper case, and the faults found so far.
struct Parts {
    values: BTreeMap<String, String>,
    faults: Vec<RecurrenceError>,
}

/// Reads and checks `text`; `from` is the date of the first possible occurrence (DTSTART's date).
pub(super) fn parse(text: &str, from: Option<Date>) -> Result<Rule, Vec<RecurrenceError>> {
    let mut parts = split(text);
    let frequency = parts.frequency();
    for (name, limit) in NUMBER_LISTS {
        parts.check_numbers(name, limit);
    }
    parts.check_weekdays(frequency);
    parts.check_combinations(frequency);
    for name in TIME_PARTS {
        if parts.values.contains_key(name) {
            parts.faults.push(RecurrenceError::TimeOfDay { part: name.to_owned() });
        }
    }
    let week_start = parts.week_start();
    let interval = parts.number::<u16>("INTERVAL").unwrap_or(1);
    let count = parts.number::<usize>("COUNT");
    let until = parts.until();
    if count.is_some() && parts.values.contains_key("UNTIL") {
        parts.fault("UNTIL", "COUNT and UNTIL must not stand in one rule; keep one of them");
    }
    if count.is_some_and(|count| count > COUNT_MAX) {
        parts.fault(
            "COUNT",
            format!("is above {COUNT_MAX}, a century of days; end the rule with UNTIL, or leave it open"),
        );
    }
    if from.is_none() && interval > 1 {
        parts.faults.push(RecurrenceError::IntervalNeedsFrom { interval });
    }
    if from.is_none() && count.is_some() {
        parts.faults.push(RecurrenceError::CountNeedsFrom);
    }
    if let Some(frequency) = frequency {
        parts.take_day_from(frequency, from);
    }
    let month_days = parts.numbers("BYMONTH").zip(parts.numbers("BYMONTHDAY"));
    let Parts { mut values, faults } = parts;
    values.retain(|name, _| !matches!(name.as_str(), "UNTIL" | "COUNT"));
    let expandable = values
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join(";");
    match frequency {
        Some(frequency) if faults.is_empty() => Ok(Rule {
            frequency,
            interval,
            count,
            until,
            week_start,
            month_days,
            expandable,
        }),
        _ => Err(faults),
    }
}

fn split(text: &str) -> Parts {
    let mut parts = Parts {
        values: BTreeMap::new(),
        faults: Vec::new(),
    };
    let upper = text.trim().to_ascii_uppercase();
    // Rules are pasted from calendars with the property's name in front.
    let body = upper.strip_prefix("RRULE:").unwrap_or(&upper);
    for part in body.split(';') {
        match part.split_once('=') {
            Some((name, value)) if is_known(name) => {
                if parts.values.insert(name.to_owned(), value.to_owned()).is_some() {
                    parts.fault(name, "stands twice; a part may stand once");
                }
            }
            Some((name, _)) => parts
                .faults
                .push(RecurrenceError::UnknownPart { part: name.to_owned() }),
            None => parts.faults.push(RecurrenceError::Syntax { part: part.to_owned() }),
        }
    }
    parts
}

fn is_known(name: &str) -> bool {
    matches!(name, "FREQ" | "UNTIL" | "COUNT" | "INTERVAL" | "BYDAY" | "WKST")
        || TIME_PARTS.contains(&name)
        || NUMBER_LISTS.iter().any(|(known, _)| *known == name)
}

impl Parts {
    fn fault(&mut self, part: &str, why: impl Into<String>) {
        self.faults.push(RecurrenceError::NotRfc5545 {
            part: part.to_owned(),
            why: why.into(),
        });
    }

    fn frequency(&mut self) -> Option<Frequency> {
        let value = self.values.get("FREQ").cloned();
        match value.as_deref() {
            Some("DAILY") => return Some(Frequency::Daily),
            Some("WEEKLY") => return Some(Frequency::Weekly),
            Some("MONTHLY") => return Some(Frequency::Monthly),
            Some("YEARLY") => return Some(Frequency::Yearly),
            Some(frequency @ ("HOURLY" | "MINUTELY" | "SECONDLY")) => {
                self.faults.push(RecurrenceError::SubDaily {
                    frequency: frequency.to_owned(),
                });
            }
            Some(other) => self.fault("FREQ", format!("`{other}` is none of DAILY, WEEKLY, MONTHLY, YEARLY")),
            None => self.fault("FREQ", "is missing; begin with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"),
        }
        None
    }

    /// A whole number of at least 1 that fits `N`.
    fn number<N: TryFrom<u64>>(&mut self, name: &str) -> Option<N> {
        let value = self.values.get(name)?.clone();
        let number = plain_digits(&value)
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| *n > 0);
        let number = number.and_then(|n| N::try_from(n).ok());
        if number.is_none() {
            self.fault(
                name,
                format!("`{value}` is not a whole number from 1 up that a schedule can mean"),
            );
        }
        number
    }

    /// The numbers of a list part, if it is given.
    fn numbers(&self, name: &str) -> Option<Vec<i64>> {
        let list = self.values.get(name)?;
        Some(list.split(',').filter_map(signed_digits).collect())
    }

    fn check_numbers(&mut self, name: &str, limit: i64) {
        let Some(list) = self.values.get(name).cloned() else {
            return;
        };
        let lowest = if name == "BYMONTH" { 1 } else { -limit };
        for item in list.split(',') {
            if !signed_digits(item).is_some_and(|n| n != 0 && (lowest..=limit).contains(&n)) {
                self.fault(
                    name,
                    format!("`{item}` is not a number from {lowest} to {limit}, 0 excepted"),
                );
            }
        }
    }

    fn check_weekdays(&mut self, frequency: Option<Frequency>) {
        let Some(list) = self.values.get("BYDAY").cloned() else {
            return;
        };
        let by_week_number = self.values.contains_key("BYWEEKNO");
        for item in list.split(',') {
            let day = WEEKDAYS.iter().find_map(|(name, _)| item.strip_suffix(name));
            match (day, frequency) {
                (None, _) => self.fault("BYDAY", format!("`{item}` is not a weekday like TU, 2TU or -1FR")),
                (Some(""), _) => {}
                (Some(_), Some(Frequency::Daily | Frequency::Weekly)) => self.fault(
                    "BYDAY",
                    format!("`{item}`: a number before the weekday means something with FREQ=MONTHLY or YEARLY only"),
                ),
                (Some(_), Some(Frequency::Yearly)) if by_week_number => {
                    self.fault(
                        "BYDAY",
                        format!("`{item}`: a number before the weekday must not stand beside BYWEEKNO"),
                    );
                }
                (Some(ordinal), _) => {
                    // RFC 5545 also has -5 in a month and -53 in a year. The expander has not; both name a day that
                    // most periods lack, so refusing them costs nobody a window.
                    let (lowest, highest) = if frequency == Some(Frequency::Monthly) {
                        (-4, 5)
                    } else {
                        (-52, 53)
                    };
                    if !signed_digits(ordinal).is_some_and(|n| n != 0 && (lowest..=highest).contains(&n)) {
                        self.fault(
                            "BYDAY",
                            format!("`{item}`: the number must be from {lowest} to {highest}, not 0"),
                        );
                    }
                }
            }
        }
    }

    /// Which parts RFC 5545 allows beside which frequency (the table and notes of section 3.3.10).
    fn check_combinations(&mut self, frequency: Option<Frequency>) {
        let has = |parts: &Self, name: &str| parts.values.contains_key(name);
        if has(self, "BYWEEKNO") && frequency.is_some_and(|f| f != Frequency::Yearly) {
            self.fault("BYWEEKNO", "goes with FREQ=YEARLY only");
        }
        // RFC 5545 takes the weekday from DTSTART, widespread expanders take the whole week: nobody can rely on either.
        if has(self, "BYWEEKNO") && !has(self, "BYDAY") {
            self.fault("BYWEEKNO", "needs BYDAY beside it, to say which day of that week");
        }
        if has(self, "BYYEARDAY") && frequency.is_some_and(|f| f != Frequency::Yearly) {
            self.fault("BYYEARDAY", "goes with FREQ=YEARLY only");
        }
        if has(self, "BYMONTHDAY") && frequency == Some(Frequency::Weekly) {
            self.fault("BYMONTHDAY", "does not go with FREQ=WEEKLY");
        }
        let another = self
            .values
            .keys()
            .any(|name| name.starts_with("BY") && name != "BYSETPOS");
        if has(self, "BYSETPOS") && !another {
            self.fault("BYSETPOS", "picks from the days another BY… part names; there is none");
        }
    }

    fn week_start(&mut self) -> Weekday {
        let Some(value) = self.values.get("WKST").cloned() else {
            return Weekday::Monday;
        };
        match WEEKDAYS.iter().find(|(name, _)| *name == value) {
            Some((_, day)) => *day,
            None => {
                self.fault("WKST", format!("`{value}` is not a weekday like MO"));
                Weekday::Monday
            }
        }
    }

    fn until(&mut self) -> Option<Until> {
        let value = self.values.get("UNTIL")?.clone();
        let until = match value.strip_suffix('Z') {
            Some(utc) => DateTime::strptime("%Y%m%dT%H%M%S", utc)
                .and_then(|at| TimeZone::UTC.to_timestamp(at))
                .map(Until::Instant)
                .ok(),
            None if value.len() == 8 => Date::strptime("%Y%m%d", &value)
                .map(|day| Until::Local(day.at(23, 59, 59, 999_999_999)))
                .ok(),
            None => DateTime::strptime("%Y%m%dT%H%M%S", &value).map(Until::Local).ok(),
        };
        if until.is_none() {
            self.fault("UNTIL", format!("`{value}` is neither 20271231 nor 20271231T235959Z"));
        }
        until
    }

    /// Writes out the day that RFC 5545 derives from DTSTART where the rule names none. Without `from` there is no
    /// DTSTART, and guessing a day would open the window on one nobody chose.
    fn take_day_from(&mut self, frequency: Frequency, from: Option<Date>) {
        let named = ["BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"]
            .iter()
            .any(|name| self.values.contains_key(*name));
        if named || frequency == Frequency::Daily {
            return;
        }
        let Some(from) = from else {
            let names = if frequency == Frequency::Weekly {
                "BYDAY"
            } else {
                "BYDAY or BYMONTHDAY"
            };
            self.faults.push(RecurrenceError::DayNeedsFrom { names });
            return;
        };
        let (name, value) = match frequency {
            Frequency::Weekly => {
                let day = WEEKDAYS
                    .iter()
                    .find(|(_, day)| *day == from.weekday())
                    .map_or("MO", |(name, _)| *name);
                ("BYDAY", day.to_owned())
            }
            _ => ("BYMONTHDAY", from.day().to_string()),
        };
        self.values.insert(name.to_owned(), value);
        if frequency == Frequency::Yearly {
            self.values
                .entry("BYMONTH".to_owned())
                .or_insert_with(|| from.month().to_string());
        }
    }
}

/// Digits only: `parse` alone would let a `+` pass where RFC 5545 has none.
fn plain_digits(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn signed_digits(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(rest) => plain_digits(rest).map(|n| -n),
        None => plain_digits(text.strip_prefix('+').unwrap_or(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        parse(text, None)
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn all_faults_of_a_rule_are_told_at_once() {
        let faults = faults("FREQ=WEEKLY;INTERVAL=2;BYDAY=XX,2TU;BYHOUR=3;BYMONTHDAY=0;COLOUR=RED;WKST=9");
        for expected in [
            "`XX`",
            "`2TU`",
            "BYHOUR",
            "BYMONTHDAY: `0`",
            "does not go with",
            "COLOUR",
            "WKST",
            "from",
        ] {
            assert!(
                faults.iter().any(|fault| fault.contains(expected)),
                "{expected}: {faults:#?}"
            );
        }
        assert_eq!(faults.len(), 8, "{faults:#?}");
    }

    #[test]
    fn what_rfc_5545_forbids_is_refused() {
        for text in [
            "",
            "FREQ",
            "FREQ=",
            "DAILY",
            "FREQ=DAILY;",
            "FREQ=DAILY; BYDAY=TU",
            "FREQ=FORTNIGHTLY",
            "FREQ=DAILY;FREQ=DAILY",
            "FREQ=DAILY;INTERVAL=0",
            "FREQ=DAILY;INTERVAL=+1",
            "FREQ=DAILY;INTERVAL=99999999",
            "FREQ=DAILY;COUNT=99999999",
            "FREQ=MONTHLY;BYDAY=0TU",
            "FREQ=MONTHLY;BYDAY=",
            "FREQ=MONTHLY;BYDAY=6TU",
            "FREQ=MONTHLY;BYMONTHDAY=32",
            "FREQ=MONTHLY;BYMONTHDAY=1,",
            "FREQ=YEARLY;BYMONTH=-1;BYMONTHDAY=1",
            "FREQ=YEARLY;BYWEEKNO=20",
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO",
            "FREQ=MONTHLY;BYYEARDAY=100",
            "FREQ=DAILY;BYSETPOS=1",
            "FREQ=DAILY;UNTIL=2027-01-01",
            "FREQ=DAILY;UNTIL=20271301",
            "DTSTART:20260101T000000Z",
        ] {
            assert!(parse(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn sub_daily_rules_are_refused_by_name() {
        for frequency in ["HOURLY", "MINUTELY", "SECONDLY"] {
            let faults = faults(&format!("FREQ={frequency}"));
            assert!(
                faults
                    .iter()
                    .any(|fault| fault.contains(frequency) && fault.contains("start")),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn what_depends_on_a_first_date_asks_for_one() {
        let first = Some(jiff::civil::date(2026, 11, 24));
        for text in [
            "FREQ=DAILY;INTERVAL=2",
            "FREQ=DAILY;COUNT=3",
            "FREQ=WEEKLY",
            "FREQ=MONTHLY",
            "FREQ=YEARLY;BYMONTH=3",
        ] {
            assert!(
                faults(text).iter().any(|fault| fault.contains("`from: DATE`")),
                "{text}"
            );
            assert!(parse(text, first).is_ok(), "{text}");
        }
        assert_eq!(parse("FREQ=WEEKLY", first).unwrap().expandable, "BYDAY=TU;FREQ=WEEKLY");
        assert_eq!(
            parse("freq=yearly", first).unwrap().expandable,
            "BYMONTH=11;BYMONTHDAY=24;FREQ=YEARLY"
        );
    }

    #[test]
    fn until_has_three_forms() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let admits = |until: &str, at: DateTime| {
            parse(&format!("RRULE:FREQ=DAILY;UNTIL={until}"), None)
                .unwrap()
                .until
                .unwrap()
                .admits(at, &zone)
        };
        let evening = jiff::civil::date(2027, 3, 1).at(22, 0, 0, 0);
        assert!(admits("20270301", evening));
        assert!(!admits("20270228", evening));
        assert!(admits("20270301T220000", evening));
        assert!(admits("20270301T210000Z", evening), "22:00 in Berlin is 21:00 UTC");
        assert!(!admits("20270301T205959Z", evening));
    }
}
