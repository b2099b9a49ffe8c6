//! The contract's sentences about clocks and deadlines.

use serde_json::json;

use super::tests::{NEW, OLD, deadline, one, planned, status};
use super::world::{at, exploited};
use super::*;
use crate::name::Severity;

#[test]
fn an_unknown_severity_counts_as_the_sla_says() {
    let mut world = one();
    world.observation.advisories[0].severity = Severity::Unknown;
    world.policy("p", json!({"include": [{"severity": {"atLeast": "critical"}}]}));
    assert_eq!(deadline(&world), "2026-11-25T00:00:00Z", "counts as high");
    world.sla("s", json!({"rules": [{"when": "advisory.severity == \"low\"", "within": "1d"}], "default": {"within": "30d"}, "unknownSeverity": "low"}));
    assert_eq!(deadline(&world), "2026-11-19T00:00:00Z");
    assert!(
        world.lines()[0].contains(" #1 "),
        "a rule without a name is its place: {:?}",
        world.lines()
    );
}

#[test]
fn the_clock_starts_where_the_rule_says() {
    let mut world = one();
    world.memory.advisories.insert("A-1".into(), at("2026-11-10T00:00:00Z"));
    world.memory.assets.insert("a".into(), at("2026-11-12T00:00:00Z"));
    let scope = [("a".into(), at("2026-11-14T00:00:00Z"))].into();
    world.memory.changes.scopes.insert("p".into(), scope);
    let with = |clock: &str, unknown: &str| json!({"clock": clock, "unknownDate": unknown, "default": {"within": "1d"}, "rules": []});
    for (clock, unknown, expected) in [
        ("published", "detected", "2026-11-19T00:00:00Z"),
        ("detected", "detected", "2026-11-13T00:00:00Z"),
        ("inScope", "detected", "2026-11-15T00:00:00Z"),
        ("available", "detected", "2026-11-13T00:00:00Z"),
        ("available", "block", "-"),
        ("exploited", "block", "-"),
    ] {
        world.sla("s", with(clock, unknown));
        assert_eq!(deadline(&world), expected, "{clock} {unknown}");
    }
    world.observation.advisories[0].published = None;
    world.sla("s", with("published", "detected"));
    assert_eq!(deadline(&world), "2026-11-13T00:00:00Z");
    world.sla("s", with("published", "block"));
    let refused = status(&world);
    assert!(
        refused.starts_with("unknown: the publication date is unknown, and `unknownDate: block` gives no deadline"),
        "{refused}"
    );
    assert!(refused.contains("record the date in an Advisory"), "{refused}");
    assert!(!planned(&world));
    world.memory = Memory::default();
    world.sla("s", with("published", "detected"));
    assert_eq!(deadline(&world), "2026-11-21T12:00:00Z", "never seen before = seen now");
    world.sla(
        "s",
        json!({"clock": "published", "rules": [{"clock": "detected", "within": "2d"}], "default": {"within": "1d"}}),
    );
    assert_eq!(deadline(&world), "2026-11-22T12:00:00Z", "a rule's own clock");
}

#[test]
fn next_cycle_is_the_second_cut_after_the_clock() {
    let mut world = one();
    world.sla(
        "s",
        json!({"rules": [{"within": "next-cycle"}], "default": {"within": "30d"}}),
    );
    assert_eq!(deadline(&world), "2026-12-18T00:00:00Z", "no cadence: the default");
    world.policy("p", json!({"cadence": {"rrule": "FREQ=MONTHLY;BYDAY=2TU", "offset": "1d", "start": "06:00", "timezone": "Europe/Berlin"}}));
    assert_eq!(
        deadline(&world),
        "2027-01-13T05:00:00Z",
        "2026-12-09 is the first, 2027-01-13 the second"
    );
    world.policy("p", json!({}));
    world.sla("s", json!({"rules": [], "default": {"within": "next-cycle"}}));
    assert!(
        status(&world).starts_with("unknown: `within: next-cycle` needs a cadence"),
        "{}",
        status(&world)
    );
}

#[test]
fn exploitation_moves_to_the_earlier_of_old_and_new() {
    let rules = |clock: &str| json!({"rules": [{"name": "kev", "exploited": true, "within": "3d", "clock": clock, "lane": "emergency"}], "default": {"within": "10d"}});
    let mut world = one();
    for (clock, published, since, expected) in [
        ("published", "2026-11-01", "2026-11-02", "2026-11-05"),
        ("published", "2026-11-01", "2026-11-09", "2026-11-11"),
        ("exploited", "2026-11-01", "2026-11-09", "2026-11-11"),
        ("exploited", "2026-11-01", "2026-11-02", "2026-11-05"),
        ("published", "2026-11-10", "2026-11-01", "2026-11-13"),
        ("exploited", "2026-11-10", "2026-11-01", "2026-11-04"),
    ] {
        world.sla("s", rules(clock));
        let advisory = &mut world.observation.advisories[0];
        advisory.published = Some(at(&format!("{published}T00:00:00Z")));
        advisory.exploited = exploited(&format!("{since}T00:00:00Z"));
        assert_eq!(
            deadline(&world),
            format!("{expected}T00:00:00Z"),
            "{clock} {published} {since}"
        );
        assert!(world.lines()[0].contains(" kev "), "{:?}", world.lines());
    }
    world.observation.advisories[0].exploited = exploited("");
    world.observation.advisories[0].published = Some(at("2026-11-18T00:00:00Z"));
    world
        .memory
        .exploited
        .insert("CVE-2026-2".into(), at("2026-11-19T00:00:00Z"));
    assert_eq!(deadline(&world), "2026-11-22T00:00:00Z", "remembered since");
    world.memory = Memory::default();
    assert_eq!(deadline(&world), "2026-11-23T12:00:00Z", "known since now");
}

#[test]
fn the_baseline_burns_down_from_its_date() {
    let mut world = one();
    let baseline = json!({"asOf": "2026-11-18", "approvedBy": "ciso", "expires": "2026-11-30", "burnDown": [
        {"exploited": true, "within": "3d"}, {"severity": "critical", "within": "30d"}, {"within": "90d"}]});
    world.policy("p", json!({"baseline": baseline}));
    assert_eq!(
        world.lines()[0],
        format!("a A-1 openssl-libs {OLD} {NEW} due on-time baseline 2027-02-16T00:00:00Z p")
    );
    world.observation.advisories[0].exploited = exploited("2026-11-20T00:00:00Z");
    assert_eq!(
        deadline(&world),
        "2026-11-23T00:00:00Z",
        "exploitation moves a baseline finding too"
    );
    world.observation.advisories[0].exploited = None;
    world.observation.advisories[0].published = Some(at("2026-11-18T00:00:01Z"));
    assert!(world.lines()[0].contains(" high "), "published later");
    world.observation.advisories[0].published = Some(at("2026-11-18T00:00:00Z"));
    world.now = at("2026-12-01T00:00:00Z");
    assert!(world.lines()[0].contains(" high "), "the baseline has ended");
}

#[test]
fn at_risk_and_breached_at_their_instants() {
    let mut world = one();
    for (now, expected) in [
        ("2026-11-23T05:59:59Z", "due"),
        ("2026-11-23T06:00:00Z", "at-risk"),
        ("2026-11-25T00:00:00Z", "at-risk"),
        ("2026-11-25T00:00:01Z", "breached"),
    ] {
        world.now = at(now);
        assert_eq!(status(&world), expected, "{now}");
    }
}

#[test]
fn the_clock_after_an_exception_is_as_recorded() {
    let mut world = one();
    world.exception("e", json!({"advisories": ["A-1"], "expires": "2026-11-19"}));
    assert_eq!(deadline(&world), "2026-11-25T00:00:00Z");
    world.exception(
        "e",
        json!({"advisories": ["A-1"], "expires": "2026-11-19", "onExpiry": "restart-clock"}),
    );
    assert_eq!(
        deadline(&world),
        "2026-11-27T00:00:00Z",
        "seven days from the end of 11-19"
    );
}
