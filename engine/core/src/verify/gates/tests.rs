//! Gates by what they must never let through.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::load::wire::{GateMatch, GateScope, Lifecycle};
use crate::observe::{Asset, Facts};
use crate::time::DurationSeconds;

const PATCHED: &str = "2026-11-20T12:00:00Z";
const NOW: &str = "2026-11-20T14:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn minutes_ago(minutes: i64) -> Timestamp {
    at(NOW) - SignedDuration::from_mins(minutes)
}

fn asset(name: &str, fqdn: Option<&str>) -> Asset {
    let mut facts = Facts::default();
    facts.identity.fqdn = fqdn.map(Into::into);
    Asset {
        name: name.into(),
        fleet: "f".into(),
        labels: Arc::default(),
        address: None,
        lifecycle: Lifecycle::Active,
        observed_at: Some(at(PATCHED)),
        stale: false,
        facts,
        provenance: Vec::new(),
    }
}

/// Two assets, `a` and `b`, patched at [`PATCHED`].
fn estate() -> Vec<Asset> {
    vec![asset("a", Some("a.example")), asset("b", Some("b.example"))]
}

fn judged(gate: &Gate, reading: &GateReading, assets: &[Asset], recorded: Option<&GateProgress>) -> GateResult {
    let assets: Vec<GateAsset<'_>> = assets
        .iter()
        .map(|asset| GateAsset {
            name: &asset.name,
            asset: Some(asset),
            patched_at: at(PATCHED),
            result: None,
        })
        .collect();
    let scene = GateScene {
        assets: &assets,
        soaking_since: Some(at(PATCHED)),
        stale_after: Some(DurationSeconds::hours(36)),
        recorded,
        now: at(NOW),
    };
    judge_gate(gate, 1, Some(reading), &scene).unwrap()
}

fn gate() -> Gate {
    Gate {
        promql: Some("up{job=\"node\"}".into()),
        source: Some("prometheus".into()),
        matching: Some(GateMatch {
            label: "instance".into(),
            to: "asset.fqdn".into(),
            strip_port: true,
        }),
        is: Some("== 1".into()),
        ..Gate::default()
    }
}

fn series(instance: &str, value: f64, sampled: Timestamp) -> Series {
    Series {
        labels: BTreeMap::from([("instance".into(), instance.into()), ("job".into(), "node".into())]),
        at: at(NOW),
        value,
        sampled_at: Some(sampled),
        before: Vec::new(),
    }
}

fn answer(series: Vec<Series>) -> GateReading {
    Ok(GateAnswer::Series(SeriesAnswer { series, step: None }))
}

fn green() -> Vec<Series> {
    vec![
        series("a.example:9100", 1.0, minutes_ago(1)),
        series("b.example:9100", 1.0, minutes_ago(1)),
    ]
}

#[track_caller]
fn shows(result: &GateResult, state: GateState, why: &str) {
    assert_eq!(result.state, state, "{result:?}");
    assert!(result.reason.as_deref().unwrap_or_default().contains(why), "{result:?}");
}

#[test]
fn every_asset_needs_a_sample_that_satisfies() {
    let result = judged(&gate(), &answer(green()), &estate(), None);
    shows(&result, GateState::Passed, "");
    assert_eq!(result.samples.len(), 2);
    let one = vec![series("a.example:9100", 1.0, minutes_ago(1))];
    shows(
        &judged(&gate(), &answer(one), &estate(), None),
        GateState::Unmet,
        "b: no sample has instance `b.example`",
    );
    shows(
        &judged(&gate(), &answer(vec![]), &estate(), None),
        GateState::Unmet,
        "the answer is empty",
    );
    let mut red = green();
    red[1].value = 0.0;
    shows(
        &judged(&gate(), &answer(red), &estate(), None),
        GateState::Red,
        "b: its value is 0, not == 1",
    );
    shows(
        &judged(&gate(), &Err("connection refused".into()), &estate(), None),
        GateState::Unreadable,
        "refused",
    );
    shows(
        &judged(&gate(), &answer(green()), &[], None),
        GateState::Unmet,
        "no asset of the wave has passed",
    );
}

#[test]
fn samples_of_before_the_patch_old_ones_and_those_of_the_future_do_not_count() {
    let of = |sampled| {
        let mut all = green();
        all[0].sampled_at = sampled;
        judged(&gate(), &answer(all), &estate(), None)
    };
    shows(
        &of(Some(at(PATCHED))),
        GateState::Unmet,
        "a: its newest sample, of 2026-11-20T12:00:00Z, is not newer than its patch",
    );
    shows(
        &of(Some(at("2026-11-20T14:06:00Z"))),
        GateState::Unmet,
        "a clock is wrong",
    );
    shows(&of(Some(at("2026-11-20T14:04:00Z"))), GateState::Passed, "");
    // A computed value may rest on samples of five minutes ago.
    shows(&of(None), GateState::Passed, "");
    let mut soon = green();
    for one in &mut soon {
        one.sampled_at = None;
        one.at = at("2026-11-20T12:05:00Z");
    }
    shows(
        &judged(&gate(), &answer(soon), &estate(), None),
        GateState::Unmet,
        "not newer than its patch",
    );
}

#[test]
fn what_is_no_number_is_neither_green_nor_red() {
    for is in ["== 1", "!= 1", "< 1", "> 0"] {
        let mut all = green();
        all[0].value = f64::NAN;
        let gate = Gate {
            is: Some(is.into()),
            ..gate()
        };
        let result = judged(&gate, &answer(all), &estate(), None);
        assert_ne!(result.state, GateState::Passed, "{is}");
    }
    let mut all = green();
    all[0].value = f64::NAN;
    shows(
        &judged(&gate(), &answer(all), &estate(), None),
        GateState::Unmet,
        "a: its value is no number",
    );
}

#[test]
fn without_is_a_filter_needs_a_sample_and_a_value_must_not_be_zero() {
    let zero = |query: &str| {
        let gate = Gate {
            is: None,
            promql: Some(query.into()),
            ..gate()
        };
        let all = vec![
            series("a.example", 0.0, minutes_ago(1)),
            series("b.example", 0.0, minutes_ago(1)),
        ];
        judged(&gate, &answer(all), &estate(), None).state
    };
    assert_eq!(zero("errors == 0"), GateState::Passed, "the filter has let it through");
    assert_eq!(zero("errors == bool 1"), GateState::Red);
    assert_eq!(zero("up"), GateState::Red);
}

#[test]
fn a_sample_that_is_nobodys_helps_nobody() {
    let wrong = Gate {
        matching: Some(GateMatch {
            label: "instnace".into(),
            to: "asset.fqdn".into(),
            strip_port: true,
        }),
        ..gate()
    };
    shows(
        &judged(&wrong, &answer(green()), &estate(), None),
        GateState::Unmet,
        "samples have no label `instnace`; they have instance; job",
    );
    let ports = Gate {
        matching: Some(GateMatch {
            label: "instance".into(),
            to: "asset.fqdn".into(),
            strip_port: false,
        }),
        ..gate()
    };
    shows(
        &judged(&ports, &answer(green()), &estate(), None),
        GateState::Unmet,
        "one has `a.example:9100`",
    );
    let unknown = [asset("a", Some("a.example")), asset("b", None)];
    shows(
        &judged(&gate(), &answer(green()), &unknown, None),
        GateState::Unmet,
        "b: its `asset.fqdn` was not observed",
    );
    // Clones: neither can be told by a sample.
    let twins = [asset("a", Some("a.example")), asset("b", Some("A.example"))];
    let result = judged(&gate(), &answer(green()), &twins, None);
    shows(&result, GateState::Unmet, "a: b has the same `asset.fqdn`");
}

#[test]
fn of_several_samples_of_an_asset_all_must_satisfy() {
    let mut all = green();
    all.push(series("a.example:9200", 0.0, minutes_ago(1)));
    shows(
        &judged(&gate(), &answer(all.clone()), &estate(), None),
        GateState::Red,
        "a: its value is 0",
    );
    all[2].value = 1.0;
    shows(
        &judged(&gate(), &answer(all.clone()), &estate(), None),
        GateState::Passed,
        "",
    );
    all[2].sampled_at = Some(at("2026-11-20T11:00:00Z"));
    shows(
        &judged(&gate(), &answer(all), &estate(), None),
        GateState::Unmet,
        "not newer than its patch",
    );
}

#[test]
fn one_answer_for_all_must_be_asked_for() {
    let global = Gate {
        scope: GateScope::Global,
        matching: None,
        ..gate()
    };
    let scalar = Series {
        labels: BTreeMap::new(),
        ..series("", 1.0, minutes_ago(1))
    };
    let result = judged(&global, &answer(vec![scalar.clone()]), &estate(), None);
    shows(&result, GateState::Passed, "");
    assert!(result.samples.contains_key(ALL));
    shows(
        &judged(&global, &answer(vec![]), &estate(), None),
        GateState::Unmet,
        "the answer is empty",
    );
    let unsaid = Gate {
        matching: None,
        ..gate()
    };
    shows(
        &judged(&unsaid, &answer(vec![scalar]), &estate(), None),
        GateState::Unmet,
        "neither `match` nor `scope: global`",
    );
}

/// A gate that must have held for half an hour, asked for in steps of a minute.
fn held(before: impl Fn(i64) -> Option<f64>) -> GateResult {
    let gate = Gate {
        hold: Some(DurationSeconds(1800)),
        ..gate()
    };
    let mut all = green();
    for one in &mut all {
        one.before = (1..=30)
            .rev()
            .filter_map(|m| Some((minutes_ago(m), before(m)?)))
            .collect();
    }
    let answer = Ok(GateAnswer::Series(SeriesAnswer {
        series: all,
        step: Some(DurationSeconds(60)),
    }));
    judged(&gate, &answer, &estate(), None)
}

#[test]
fn a_gate_must_have_held_at_every_step_of_its_span() {
    shows(&held(|_| Some(1.0)), GateState::Passed, "");
    let result = held(|m| Some(if m == 10 { 0.0 } else { 1.0 }));
    shows(&result, GateState::Holding, "it must hold until 2026-11-20T14:21:00Z");
    shows(&held(|m| (m != 10 && m != 11).then_some(1.0)), GateState::Holding, "");
    shows(&held(|m| (m < 29).then_some(1.0)), GateState::Holding, "");
    shows(
        &held(|m| Some(if m == 30 { f64::NAN } else { 1.0 })),
        GateState::Holding,
        "",
    );
}

#[test]
fn what_was_before_the_soak_does_not_count_as_held() {
    let gate = Gate {
        hold: Some(DurationSeconds::hours(3)),
        ..gate()
    };
    let mut all = green();
    for one in &mut all {
        one.before = (1..=180).rev().map(|m| (minutes_ago(m), 1.0)).collect();
    }
    let answer = Ok(GateAnswer::Series(SeriesAnswer {
        series: all,
        step: Some(DurationSeconds(60)),
    }));
    let result = judged(&gate, &answer, &estate(), None);
    shows(&result, GateState::Holding, "it must hold until 2026-11-20T15:00:00Z");
    assert_eq!(result.since, at(PATCHED));
}

#[test]
fn where_nobody_knows_since_when_the_looks_count() {
    let gate = Gate {
        hold: Some(DurationSeconds(1800)),
        ..gate()
    };
    let recorded = |state, since: i64| GateProgress {
        asks: String::new(),
        state,
        since: minutes_ago(since),
        reason: None,
        was_green: true,
        saw_red: false,
        red_until: None,
        of_release: false,
    };
    let look = |recorded: Option<GateProgress>| judged(&gate, &answer(green()), &estate(), recorded.as_ref()).state;
    assert_eq!(look(None), GateState::Holding);
    assert_eq!(look(Some(recorded(GateState::Holding, 30))), GateState::Passed);
    assert_eq!(look(Some(recorded(GateState::Holding, 29))), GateState::Holding);
    assert_eq!(
        look(Some(recorded(GateState::Unreadable, 90))),
        GateState::Holding,
        "the look before saw nothing"
    );
    assert_eq!(look(Some(recorded(GateState::Red, 90))), GateState::Holding);
}

fn check(host: &str, status: CheckStatus) -> Check {
    Check {
        labels: BTreeMap::from([("host_name".into(), host.into())]),
        service: "app".into(),
        status,
        checked_at: Some(minutes_ago(1)),
        since: Some(at("2026-11-20T11:00:00Z")),
        confirmed: true,
        handled: None,
    }
}

#[test]
fn every_check_of_every_asset_must_stand_as_asked() {
    let gate = |status: &str| Gate {
        status: Some(status.into()),
        ..Gate::default()
    };
    let judge =
        |status: &str, checks: Vec<Check>| judged(&gate(status), &Ok(GateAnswer::Checks(checks)), &estate(), None);
    let ok = || vec![check("a", CheckStatus::Ok), check("B.example", CheckStatus::Ok)];
    shows(&judge("ok", ok()), GateState::Passed, "");
    shows(
        &judge("ok", vec![check("a", CheckStatus::Ok)]),
        GateState::Unmet,
        "b: the monitor has no check of it",
    );
    let with = |other: Check| {
        let mut all = ok();
        all.push(other);
        all
    };
    shows(
        &judge("ok", with(check("a", CheckStatus::Warning))),
        GateState::Red,
        "a: `app` is warning",
    );
    shows(
        &judge("warning", with(check("a", CheckStatus::Warning))),
        GateState::Passed,
        "",
    );
    shows(
        &judge("warning", with(check("a", CheckStatus::Critical))),
        GateState::Red,
        "critical",
    );
    shows(
        &judge("ok", with(check("a", CheckStatus::Unknown))),
        GateState::Unmet,
        "unknown",
    );
    shows(
        &judge("ok", with(check("a", CheckStatus::Pending))),
        GateState::Unmet,
        "not checked yet",
    );
    shows(
        &judge("green", ok()),
        GateState::Unmet,
        "no status that a gate can ask for",
    );
    // In a downtime it is as critical as ever; in a soft state it is not certain yet.
    let downtime = Check {
        handled: Some("in a downtime"),
        ..check("a", CheckStatus::Critical)
    };
    shows(&judge("ok", with(downtime)), GateState::Red, "(in a downtime)");
    let soft = Check {
        confirmed: false,
        ..check("a", CheckStatus::Critical)
    };
    shows(&judge("ok", with(soft)), GateState::Unmet, "is being checked again");
    let old = Check {
        checked_at: Some(at(PATCHED)),
        ..check("a", CheckStatus::Ok)
    };
    shows(&judge("ok", with(old)), GateState::Unmet, "not newer than its patch");
    // A check of another host is nobody's here.
    shows(
        &judge("ok", with(check("c", CheckStatus::Critical))),
        GateState::Passed,
        "",
    );
}

#[test]
fn a_page_must_answer_200_with_what_is_asked() {
    let page = |status: u16, body: &str| {
        let gate = Gate {
            http: Some("https://shop.example/health".into()),
            contains: Some("\"ok\"".into()),
            ..Gate::default()
        };
        let page = Page {
            at: at(NOW),
            status,
            body: body.into(),
        };
        judged(&gate, &Ok(GateAnswer::Page(page)), &estate(), None)
    };
    shows(&page(200, "{\"state\": \"ok\"}"), GateState::Passed, "");
    shows(&page(200, "{}"), GateState::Red, "without `\"ok\"`");
    shows(&page(503, "{\"state\": \"ok\"}"), GateState::Red, "answers 503");
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(1.0),
        Just(1.0),
        Just(1.0),
        Just(0.0),
        Just(f64::NAN),
        Just(f64::INFINITY)
    ]
}

proptest! {
    /// A gate passes only if every asset has a sample, every one of them newer than the patch and equal to 1; the order of
    /// the answer does not matter.
    #[test]
    fn only_what_is_shown_of_every_asset_passes(
        drawn in proptest::collection::vec((0..3_usize, any_value(), -60_i64..130), 0..8),
    ) {
        let hosts = ["a.example", "b.example:9100", "c.example"];
        let all: Vec<Series> = drawn
            .iter()
            .map(|(host, value, minutes)| series(hosts[*host], *value, minutes_ago(*minutes)))
            .collect();
        let fine = |host: usize| {
            let mut own = drawn.iter().filter(|(h, ..)| *h == host).peekable();
            let fresh = |minutes: i64| (-5..120).contains(&minutes);
            own.peek().is_some() && own.all(|(_, value, minutes)| *value == 1.0 && fresh(*minutes))
        };
        let result = judged(&gate(), &answer(all.clone()), &estate(), None);
        prop_assert_eq!(result.state == GateState::Passed, fine(0) && fine(1), "{:?}", result);
        let reversed = all.into_iter().rev().collect();
        prop_assert_eq!(judged(&gate(), &answer(reversed), &estate(), None).state, result.state);
    }

    /// More samples never turn a gate that has not passed into one that has, unless they are of an asset that had none.
    #[test]
    fn no_sample_heals_another(value in any_value(), minutes in 0_i64..130) {
        let mut all = green();
        all[0].value = 0.0;
        all.push(series("a.example:9200", value, minutes_ago(minutes)));
        prop_assert_ne!(judged(&gate(), &answer(all), &estate(), None).state, GateState::Passed);
    }
}
