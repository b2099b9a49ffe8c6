//! Recurrences over clock changes, phases and hostile text.

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
