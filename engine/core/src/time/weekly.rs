//! A maintenance window in the words of tools that know weekdays and a time of day, and nothing else: kured and
//! system-upgrade-controller.
//!
//! Both compare the weekday of *now* with their list and the time of now with one span a day (kured's
//! `pkg/timewindow`, which system-upgrade-controller uses as a library): Saturday 22:00 to 04:00 means Saturday 00:00 to
//! 04:00 and Saturday 22:00 to midnight, and Sunday 02:00 is outside. So what crosses midnight is cut there, unless every
//! day is open. Neither knows the second Tuesday of a month or a freeze: then the filter is a fence wider than the window,
//! and something else has to decide about the day.

use jiff::civil::{Date, Time};

use super::rule::{self, Frequency};

const DAY_SECONDS: i64 = 86_400;

/// One rule of a window, as it was authored.
#[derive(Clone, Debug)]
pub struct WeeklyRule<'a> {
    /// RFC 5545 rule.
    pub rrule: &'a str,
    /// Its first date, if one is written.
    pub from: Option<Date>,
    /// Whole days added to each date of the rule.
    pub offset_days: i64,
    /// Local time of day.
    pub start: Time,
    /// IANA name of the zone.
    pub zone: &'a str,
    /// Elapsed seconds it stays open.
    pub duration_seconds: i64,
}

/// A filter by weekday and time of day.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Weekly {
    /// `su`, `mo`, `tu`, `we`, `th`, `fr`, `sa`, in this order.
    pub days: Vec<&'static str>,
    /// First second of the day's span: `22:00:00`.
    pub start_time: String,
    /// Last second of it, which is inside. Before `start_time` only where every day is open and the span crosses midnight.
    pub end_time: String,
    /// IANA name of the zone.
    pub time_zone: String,
    /// The end was cut at midnight: part of the window is never used.
    pub cut: bool,
    /// It lets in more than the window does: another check must decide about the day.
    pub wider: bool,
}

/// Why a window cannot be said this way, in words that follow "because".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeeklyRefusal {
    /// Two zones.
    #[error("its schedules are of several time zones, and the tool knows one")]
    Zones,
    /// Nothing is left.
    #[error("none of its schedules stays open longer than its cutoff")]
    Empty,
    /// A rule that cannot be read.
    #[error("a rule of it cannot be read")]
    Rule,
}

/// The days as the tools and as RFC 5545 write them.
const DAYS: [(&str, &str); 7] = [
    ("su", "SU"),
    ("mo", "MO"),
    ("tu", "TU"),
    ("we", "WE"),
    ("th", "TH"),
    ("fr", "FR"),
    ("sa", "SA"),
];

/// Spans of one rule: seconds from midnight of the days it opens on, by the number of the day from Sunday.
struct Spans {
    days: [bool; 7],
    start: i64,
    end: i64,
    /// The rule leaves out some of the weeks.
    is_outer: bool,
}

/// The filter for a window. The tool begins each node by itself, so nothing may begin in the last `cutoff_seconds`.
///
/// # Errors
/// Why there is none.
pub fn weekly(rules: &[WeeklyRule<'_>], cutoff_seconds: i64) -> Result<Weekly, WeeklyRefusal> {
    let spans = rules.iter().map(|rule| spans(rule, cutoff_seconds));
    let spans: Vec<Spans> = spans.collect::<Result<_, _>>()?;
    let open: Vec<&Spans> = spans.iter().filter(|s| s.end > s.start).collect();
    let zone = rules.first().map(|r| r.zone).ok_or(WeeklyRefusal::Empty)?;
    if rules.iter().any(|r| r.zone != zone) {
        return Err(WeeklyRefusal::Zones);
    }
    let first = open.first().ok_or(WeeklyRefusal::Empty)?;
    let is_same = open.iter().all(|s| (s.start, s.end) == (first.start, first.end));
    let is_outer = open.iter().any(|s| s.is_outer);
    if is_same && first.end - first.start <= DAY_SECONDS {
        let mut days = [false; 7];
        for span in &open {
            for (day, own) in days.iter_mut().zip(span.days) {
                *day |= own;
            }
        }
        let crosses = first.end > DAY_SECONDS;
        let cut = crosses && days != [true; 7];
        let end = match (crosses, cut) {
            (true, false) => first.end - DAY_SECONDS,
            _ => first.end.min(DAY_SECONDS),
        };
        return Ok(filter(days, first.start, end, zone, cut, is_outer));
    }
    let parts: Vec<(usize, i64, i64)> = open.iter().flat_map(|s| by_day(s)).collect();
    let start = parts.iter().map(|p| p.1).min().unwrap_or(0);
    let end = parts.iter().map(|p| p.2).max().unwrap_or(DAY_SECONDS);
    let mut days = [false; 7];
    for (day, own) in days.iter_mut().enumerate() {
        *own = parts.iter().any(|p| p.0 == day);
    }
    let count = days.iter().filter(|own| **own).count();
    let fence = i64::try_from(count).unwrap_or(7).saturating_mul(end - start);
    let is_outer = is_outer || fence > measure(parts);
    Ok(filter(days, start, end, zone, false, is_outer))
}

/// The narrower of two filters, for a window that is open only where both are.
pub fn narrower(one: Weekly, other: Weekly) -> Weekly {
    let narrow = if other.days.len() < one.days.len() { other } else { one };
    Weekly { wider: true, ..narrow }
}

fn spans(rule: &WeeklyRule<'_>, cutoff_seconds: i64) -> Result<Spans, WeeklyRefusal> {
    let parsed = rule::parse(rule.rrule, rule.from).map_err(|_| WeeklyRefusal::Rule)?;
    let mut parts = parsed.expandable.split(';').filter_map(|part| part.split_once('='));
    let named = parts
        .clone()
        .find_map(|(name, value)| (name == "BYDAY").then_some(value));
    let shift = usize::try_from(rule.offset_days.rem_euclid(7)).unwrap_or(0);
    let mut days = [false; 7];
    for (index, (_, word)) in DAYS.iter().enumerate() {
        let own = named.is_none_or(|list| list.split(',').any(|item| item.ends_with(word)));
        if let Some(day) = days.get_mut((index + shift) % 7) {
            *day = own;
        }
    }
    let every_week = matches!(parsed.frequency, Frequency::Daily | Frequency::Weekly)
        && parsed.interval == 1
        && parsed.count.is_none()
        && parsed.until.is_none()
        && rule.from.is_none()
        && parts.all(|(name, _)| matches!(name, "FREQ" | "BYDAY" | "INTERVAL" | "WKST"));
    let start = seconds_of(rule.start);
    Ok(Spans {
        days,
        start,
        end: start.saturating_add(rule.duration_seconds.saturating_sub(cutoff_seconds)),
        is_outer: !every_week,
    })
}

fn seconds_of(time: Time) -> i64 {
    i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

/// The parts of a span by day: number of the day, first second, second after the last.
fn by_day(span: &Spans) -> Vec<(usize, i64, i64)> {
    let mut parts = Vec::new();
    for (day, own) in span.days.iter().enumerate() {
        // Longer than a week means every second of it.
        for later in (0..8_i64).take_while(|later| *own && later * DAY_SECONDS < span.end) {
            let begin = (span.start - later * DAY_SECONDS).clamp(0, DAY_SECONDS);
            let end = (span.end - later * DAY_SECONDS).min(DAY_SECONDS);
            if begin < end {
                parts.push(((day + usize::try_from(later).unwrap_or(0)) % 7, begin, end));
            }
        }
    }
    parts
}

/// Seconds of a week that some part covers.
fn measure(mut parts: Vec<(usize, i64, i64)>) -> i64 {
    parts.sort_unstable();
    let (mut total, mut reached) = (0, (0, 0));
    for (day, start, end) in parts {
        let from = if reached.0 == day { start.max(reached.1) } else { start };
        total += (end - from).max(0);
        reached = (day, if reached.0 == day { end.max(reached.1) } else { end });
    }
    total
}

fn filter(days: [bool; 7], start: i64, end: i64, zone: &str, cut: bool, wider: bool) -> Weekly {
    let clock = |at: i64| format!("{:02}:{:02}:{:02}", at / 3600, at / 60 % 60, at % 60);
    // The tools take the end for inside.
    let last = (end - 1).rem_euclid(DAY_SECONDS);
    let all_day = end == start;
    Weekly {
        days: DAYS
            .iter()
            .zip(days)
            .filter(|(_, own)| *own)
            .map(|(d, _)| d.0)
            .collect(),
        start_time: clock(if all_day { 0 } else { start }),
        end_time: clock(if all_day { DAY_SECONDS - 1 } else { last }),
        time_zone: zone.to_owned(),
        cut,
        wider,
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    const EVERY_DAY: [&str; 7] = ["su", "mo", "tu", "we", "th", "fr", "sa"];

    fn rule(rrule: &str, hour: i8, hours: i64) -> WeeklyRule<'_> {
        WeeklyRule {
            rrule,
            from: None,
            offset_days: 0,
            start: time(hour, 0, 0, 0),
            zone: "Europe/Berlin",
            duration_seconds: hours * 3600,
        }
    }

    fn said(rules: &[WeeklyRule<'_>], cutoff: i64) -> (Vec<&'static str>, String, bool, bool) {
        let weekly = weekly(rules, cutoff).unwrap();
        let span = format!("{}-{}", weekly.start_time, weekly.end_time);
        (weekly.days, span, weekly.cut, weekly.wider)
    }

    #[test]
    fn what_a_weekday_filter_can_say_is_said_exactly() {
        let (days, span, cut, wider) = said(&[rule("FREQ=WEEKLY;BYDAY=SA", 10, 4)], 3600);
        assert_eq!(
            (days, span.as_str(), cut, wider),
            (vec!["sa"], "10:00:00-12:59:59", false, false)
        );
        // Every night: a span that wraps means what it should where every day is open.
        let (days, span, cut, wider) = said(&[rule("FREQ=DAILY", 22, 6)], 0);
        assert_eq!(
            (days, span.as_str(), cut, wider),
            (EVERY_DAY.to_vec(), "22:00:00-03:59:59", false, false)
        );
        let (days, span, cut, wider) = said(&[rule("FREQ=DAILY", 22, 24)], 0);
        assert_eq!(
            (days, span.as_str(), cut, wider),
            (EVERY_DAY.to_vec(), "00:00:00-23:59:59", false, false)
        );
        let weekend = said(&[rule("FREQ=WEEKLY;BYDAY=SA", 0, 48)], 0);
        assert_eq!(weekend, (vec!["su", "sa"], "00:00:00-23:59:59".into(), false, false));
    }

    #[test]
    fn what_crosses_midnight_is_cut_there() {
        let (days, span, cut, wider) = said(&[rule("FREQ=WEEKLY;BYDAY=SA", 22, 6)], 0);
        assert_eq!(
            (days, span.as_str(), cut, wider),
            (vec!["sa"], "22:00:00-23:59:59", true, false)
        );
        // With the cutoff it ends at midnight: nothing is lost.
        assert!(!said(&[rule("FREQ=WEEKLY;BYDAY=SA", 22, 6)], 4 * 3600).2);
    }

    #[test]
    fn what_it_cannot_say_becomes_a_wider_fence() {
        let patch_tuesday = WeeklyRule {
            offset_days: 4,
            ..rule("FREQ=MONTHLY;BYDAY=2TU", 10, 4)
        };
        assert_eq!(
            said(&[patch_tuesday], 0),
            (vec!["sa"], "10:00:00-13:59:59".into(), false, true)
        );
        assert!(said(&[rule("FREQ=WEEKLY;BYDAY=SA;UNTIL=20270101", 10, 4)], 0).3);
        assert!(said(&[rule("FREQ=MONTHLY;BYMONTHDAY=1", 10, 4)], 0).3);
        let two = [rule("FREQ=WEEKLY;BYDAY=SA", 10, 4), rule("FREQ=WEEKLY;BYDAY=SU", 12, 6)];
        assert_eq!(
            said(&two, 0),
            (vec!["su", "sa"], "10:00:00-17:59:59".into(), false, true)
        );
        let long = said(&[rule("FREQ=WEEKLY;BYDAY=FR", 22, 30)], 0);
        assert_eq!(long, (vec!["su", "fr", "sa"], "00:00:00-23:59:59".into(), false, true));
    }

    #[test]
    fn what_cannot_be_said_at_all_is_refused() {
        let zones = [
            rule("FREQ=DAILY", 1, 1),
            WeeklyRule {
                zone: "UTC",
                ..rule("FREQ=DAILY", 1, 1)
            },
        ];
        assert_eq!(weekly(&zones, 0), Err(WeeklyRefusal::Zones));
        assert_eq!(weekly(&[rule("FREQ=DAILY", 1, 1)], 3600), Err(WeeklyRefusal::Empty));
        assert_eq!(weekly(&[], 0), Err(WeeklyRefusal::Empty));
        assert_eq!(weekly(&[rule("FREQ=HOURLY", 1, 1)], 0), Err(WeeklyRefusal::Rule));
    }

    /// What the tools do with a filter: the weekday of now, and the time of now.
    fn lets_in(filter: &Weekly, day: usize, second: i64) -> bool {
        let parse = |text: &str| seconds_of(text.parse().unwrap());
        let (start, end) = (parse(&filter.start_time), parse(&filter.end_time));
        let inside = if start <= end {
            (start..=end).contains(&second)
        } else {
            second >= start || second <= end
        };
        filter.days.contains(&EVERY_DAY[day]) && inside
    }

    proptest! {
        #[test]
        fn a_filter_is_exact_unless_it_says_cut_or_wider(
            picks in proptest::collection::vec(0_usize..7, 1..4), hour in 0_i8..24, hours in 1_i64..60, cutoff in 0_i64..4,
        ) {
            let words: Vec<&str> = picks.iter().map(|p| DAYS[*p].1).collect();
            let text = format!("FREQ=WEEKLY;BYDAY={}", words.join(","));
            let Ok(filter) = weekly(&[rule(&text, hour, hours)], cutoff * 3600) else {
                prop_assert!(hours <= cutoff);
                return Ok(());
            };
            let open = |day: usize, second: i64| picks.iter().any(|pick| {
                let start = i64::try_from(*pick).unwrap() * DAY_SECONDS + i64::from(hour) * 3600;
                let now = i64::try_from(day).unwrap() * DAY_SECONDS + second;
                (0..2).any(|week| {
                    let now = now + week * 7 * DAY_SECONDS;
                    (start..start + (hours - cutoff) * 3600).contains(&now)
                })
            });
            for day in 0..7 {
                for second in (0..DAY_SECONDS).step_by(1800) {
                    let (window, tool) = (open(day, second), lets_in(&filter, day, second));
                    prop_assert!(filter.wider || !tool || window, "lets in day {day} at {second}: {filter:?}");
                    prop_assert!(filter.cut || tool || !window, "keeps out day {day} at {second}: {filter:?}");
                }
            }
        }
    }
}
