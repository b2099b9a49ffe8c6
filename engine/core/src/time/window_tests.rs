//! Windows as the example resources write them, and what must hold for every window.

use jiff::civil::{Time, date, time};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::time::{Freeze, FreezeSpan, RecurrenceSpec};

const HOUR: i64 = 3600;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn schedule(rrule: &str, start: Time, zone: &str, offset_days: i64, hours: i64) -> WindowSchedule {
    let zone = TimeZone::get(zone).unwrap();
    let spec = RecurrenceSpec {
        rrule: rrule.into(),
        start,
        zone,
        offset_days,
        from: Some(date(2020, 1, 1)),
    };
    WindowSchedule {
        recurrence: Recurrence::new(spec).unwrap(),
        duration_seconds: hours * HOUR,
    }
}

fn window(schedules: Vec<WindowSchedule>) -> Window {
    Window {
        name: "w".into(),
        schedules,
        cutoff_seconds: 2700,
        overrun: Overrun::Finish,
    }
}

fn prod_nights() -> Window {
    window(vec![
        schedule("FREQ=WEEKLY;BYDAY=TU,TH", time(22, 0, 0, 0), "Europe/Berlin", 0, 6),
        schedule("FREQ=MONTHLY;BYDAY=2TU", time(2, 0, 0, 0), "America/New_York", 4, 4),
    ])
}

fn any_time() -> Window {
    window(vec![schedule("FREQ=DAILY", time(0, 0, 0, 0), "UTC", 0, 24)])
}

fn frozen(from: &str, to: &str) -> FreezeSet {
    let spans = vec![FreezeSpan::Once {
        from: at(from),
        to: at(to),
    }];
    FreezeSet::new(vec![Freeze {
        name: "year-end".into(),
        reason: "year-end closing".into(),
        spans,
    }])
}

fn listed(window: &Window, now: &str, freezes: &FreezeSet, count: usize) -> Vec<String> {
    let edge = |edge: Option<Timestamp>| edge.map_or("-".to_owned(), |at| at.to_string());
    let openings = window.openings(at(now), freezes).take(count);
    openings
        .map(|opening| format!("{} {}", edge(opening.start), edge(opening.end)))
        .collect()
}

#[test]
fn the_next_production_night_is_tuesday() {
    let openings = listed(&prod_nights(), "2026-11-22T13:08:00Z", &FreezeSet::EMPTY, 2);
    assert_eq!(
        openings,
        [
            "2026-11-24T21:00:00Z 2026-11-25T03:00:00Z",
            "2026-11-26T21:00:00Z 2026-11-27T03:00:00Z"
        ]
    );
}

#[test]
fn patch_tuesday_plus_four_is_a_saturday() {
    let openings = listed(&prod_nights(), "2026-12-11T12:00:00Z", &FreezeSet::EMPTY, 1);
    assert_eq!(openings, ["2026-12-12T07:00:00Z 2026-12-12T11:00:00Z"]);
}

#[test]
fn the_current_opening_comes_first_with_its_true_start() {
    let expected = ["2026-11-24T21:00:00Z 2026-11-25T03:00:00Z"];
    for now in ["2026-11-24T21:00:00Z", "2026-11-25T02:59:59.5Z"] {
        assert_eq!(listed(&prod_nights(), now, &FreezeSet::EMPTY, 1), expected);
    }
    let next = ["2026-11-26T21:00:00Z 2026-11-27T03:00:00Z"];
    assert_eq!(
        listed(&prod_nights(), "2026-11-25T03:00:00Z", &FreezeSet::EMPTY, 1),
        next
    );
}

#[test]
fn a_window_that_never_closes_is_one_opening_without_edges() {
    assert_eq!(
        listed(&any_time(), "2026-11-20T12:00:00Z", &FreezeSet::EMPTY, 5),
        ["- -"]
    );
    let status = any_time().status(at("2026-11-20T12:00:00Z"), &FreezeSet::EMPTY);
    assert_eq!(
        status,
        WindowStatus {
            closed: false,
            reason: None,
            next_open: None
        }
    );
}

#[test]
fn edges_are_given_up_to_four_hundred_days_away() {
    let always = any_time();
    let freeze = |from: &str, to: &str| frozen(from, to);
    let now = "2026-11-20T00:00:00Z";
    // 400 days before now is 2025-10-16, 400 days after is 2027-12-25.
    let just = freeze("2025-10-15T00:00:00Z", "2025-10-16T00:00:00Z");
    assert_eq!(listed(&always, now, &just, 1), ["2025-10-16T00:00:00Z -"]);
    let longer = freeze("2025-10-14T00:00:00Z", "2025-10-15T23:59:59Z");
    assert_eq!(listed(&always, now, &longer, 1), ["- -"]);
    let ends = freeze("2027-12-25T00:00:00Z", "2027-12-26T00:00:00Z");
    assert_eq!(
        listed(&always, now, &ends, 3),
        ["- 2027-12-25T00:00:00Z", "2027-12-26T00:00:00Z -"]
    );
    let beyond = freeze("2027-12-25T00:00:01Z", "2027-12-26T00:00:00Z");
    assert_eq!(
        listed(&always, now, &beyond, 3),
        ["- -"],
        "nothing is known after an opening without end"
    );
}

#[test]
fn far_off_openings_keep_both_edges() {
    let leap = window(vec![schedule(
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        time(1, 0, 0, 0),
        "UTC",
        0,
        4,
    )]);
    let openings = listed(&leap, "2026-11-20T12:00:00Z", &FreezeSet::EMPTY, 2);
    assert_eq!(
        openings,
        [
            "2028-02-29T01:00:00Z 2028-02-29T05:00:00Z",
            "2032-02-29T01:00:00Z 2032-02-29T05:00:00Z"
        ]
    );
    assert_eq!(
        leap.openings(at("2026-11-20T12:00:00Z"), &FreezeSet::EMPTY).count(),
        13,
        "the search ends after 50 years"
    );
}

#[test]
fn touching_and_overlapping_openings_are_joined() {
    let touching = window(vec![
        schedule("FREQ=WEEKLY;BYDAY=SA", time(0, 0, 0, 0), "UTC", 0, 24),
        schedule("FREQ=WEEKLY;BYDAY=SU", time(0, 0, 0, 0), "UTC", 0, 12),
        schedule("FREQ=WEEKLY;BYDAY=SU", time(6, 0, 0, 0), "UTC", 0, 2),
    ]);
    let openings = listed(&touching, "2026-11-20T12:00:00Z", &FreezeSet::EMPTY, 2);
    assert_eq!(
        openings,
        [
            "2026-11-21T00:00:00Z 2026-11-22T12:00:00Z",
            "2026-11-28T00:00:00Z 2026-11-29T12:00:00Z"
        ]
    );
}

#[test]
fn duration_is_elapsed_time() {
    let nights = window(vec![schedule("FREQ=DAILY", time(23, 0, 0, 0), "Europe/Berlin", 0, 6)]);
    // The clocks went back within this opening: 23:00 CEST to 04:00 CET is six hours.
    let openings = listed(&nights, "2026-10-24T12:00:00Z", &FreezeSet::EMPTY, 1);
    assert_eq!(openings, ["2026-10-24T21:00:00Z 2026-10-25T03:00:00Z"]);
    // A local day of 25 hours is not filled by 24 of them.
    let days = window(vec![schedule("FREQ=DAILY", time(0, 0, 0, 0), "Europe/Berlin", 0, 24)]);
    let openings = listed(&days, "2026-10-24T12:00:00Z", &FreezeSet::EMPTY, 1);
    assert_eq!(openings, ["2025-10-26T23:00:00Z 2026-10-25T22:00:00Z"]);
}

#[test]
fn freezes_are_cut_out_and_named() {
    let year_end = frozen("2026-12-18T00:00:00Z", "2027-01-05T00:00:00Z");
    let openings = listed(&prod_nights(), "2026-12-17T12:00:00Z", &year_end, 2);
    assert_eq!(
        openings,
        [
            "2026-12-17T21:00:00Z 2026-12-18T00:00:00Z",
            "2027-01-05T21:00:00Z 2027-01-06T03:00:00Z"
        ]
    );
    let status = prod_nights().status(at("2026-12-22T22:00:00Z"), &year_end);
    assert_eq!(status.next_open, Some(at("2027-01-05T21:00:00Z")));
    let reason = status.reason.unwrap().to_string();
    assert_eq!(
        reason,
        "frozen by year-end (year-end closing) until 2027-01-05T00:00:00Z"
    );
    assert!(!prod_nights().is_open_at(at("2026-12-22T22:00:00Z"), &year_end));
    assert!(prod_nights().is_open_at(at("2026-12-22T22:00:00Z"), &FreezeSet::EMPTY));
    let outside = prod_nights().status(at("2026-12-20T22:00:00Z"), &year_end);
    assert_eq!(outside.reason, Some(ClosedReason::OutsideSchedules));
}

#[test]
fn a_window_that_never_opens_is_known_without_a_clock() {
    let never = window(vec![schedule(
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        time(1, 0, 0, 0),
        "UTC",
        0,
        4,
    )]);
    assert!(never.never_opens());
    let status = never.status(at("2026-11-20T12:00:00Z"), &FreezeSet::EMPTY);
    assert_eq!(
        (status.closed, status.reason, status.next_open),
        (true, Some(ClosedReason::NeverOpens), None)
    );
    assert!(window(vec![schedule("FREQ=DAILY", time(1, 0, 0, 0), "UTC", 0, 0)]).never_opens());
    assert!(window(Vec::new()).never_opens());
    assert!(!any_time().never_opens());
}

#[test]
fn a_window_frozen_for_good_is_answered_too() {
    let spans = vec![FreezeSpan::Recurring {
        recurrence: Box::new(any_time().schedules.remove(0).recurrence),
        duration_seconds: 24 * HOUR,
    }];
    let freezes = FreezeSet::new(vec![Freeze {
        name: "always".into(),
        reason: String::new(),
        spans,
    }]);
    let status = any_time().status(at("2026-11-20T12:00:00Z"), &freezes);
    assert_eq!(status.next_open, None);
    assert_eq!(status.reason.unwrap().to_string(), "frozen by always");
}

fn any_schedule() -> impl Strategy<Value = WindowSchedule> {
    let rules = prop::sample::select(vec![
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=3",
        "FREQ=WEEKLY;BYDAY=TU,TH",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU",
        "FREQ=MONTHLY;BYDAY=2TU",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=MO",
        "FREQ=YEARLY;BYYEARDAY=1,-1",
    ]);
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ]);
    (rules, zones, 0_i8..24, -10_i64..10, 1_i64..90).prop_map(|(rule, zone, hour, offset_days, hours)| {
        schedule(rule, time(hour, 30, 0, 0), zone, offset_days, hours)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Openings are disjoint, in order, end after now, keep out of freezes, and agree with the question about an instant.
    #[test]
    fn openings_hold_what_they_promise(
        schedules in prop::collection::vec(any_schedule(), 1..4),
        frozen in prop::collection::vec((-400_i64..2_000, 1_i64..400), 0..4),
        recurring in prop::option::of(any_schedule()),
        now in 1_704_067_200_i64..1_830_297_600,
    ) {
        let now = Timestamp::from_second(now).unwrap();
        let window = window(schedules);
        let mut spans: Vec<_> = frozen.iter().map(|(start, hours)| {
            let from = seconds_after(now, start * HOUR);
            FreezeSpan::Once { from, to: seconds_after(from, hours * HOUR) }
        }).collect();
        spans.extend(recurring.map(|schedule| {
            let WindowSchedule { recurrence, duration_seconds } = schedule;
            FreezeSpan::Recurring { recurrence: Box::new(recurrence), duration_seconds: duration_seconds / 4 }
        }));
        let freezes = FreezeSet::new(vec![Freeze { name: "f".into(), reason: String::new(), spans }]);
        let openings: Vec<_> = window.openings(now, &freezes).take(12).collect();
        let mut reached = None;
        for opening in &openings {
            prop_assert!(opening.end.is_none_or(|end| end > now));
            prop_assert!(reached.is_none() || opening.start > reached, "apart and in order");
            if let (Some(start), Some(end)) = (opening.start, opening.end) {
                prop_assert!(start < end);
                for (from, to) in freezes.intervals(start, end) {
                    prop_assert!(to <= start || end <= from, "{opening:?} meets the freeze {from} {to}");
                }
                prop_assert!(window.is_open_at(start, &freezes));
                prop_assert!(!window.is_open_at(seconds_after(start, -1), &freezes));
                prop_assert!(window.is_open_at(seconds_after(end, -1), &freezes));
                prop_assert!(!window.is_open_at(end, &freezes));
            }
            reached = opening.end;
        }
        let until = openings.last().and_then(|opening| opening.end).unwrap_or_else(|| seconds_after(now, 100 * 86_400));
        for step in (0..).map(|n| seconds_after(now, n * 5 * HOUR)).take_while(|step| *step < until).take(200) {
            let listed = openings.iter().any(|opening| opening.contains(step));
            prop_assert_eq!(window.is_open_at(step, &freezes), listed, "{}", step);
        }
        prop_assert_eq!(window.status(now, &freezes).closed, !window.is_open_at(now, &freezes));
    }
}
