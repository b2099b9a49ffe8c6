//! The contract's sentences about rules: who claims a finding, by when, what is said of it.

use serde_json::json;

use super::tests::{NEW, OLD, deadline, one, openssl, planned, status};
use super::world::{World, at, exploited, line};
use super::*;
use crate::load::wire::Lifecycle;
use crate::name::Severity;

#[test]
fn include_is_any_of_and_exclude_takes_out_again() {
    let mut world = one();
    for (include, exclude, expected) in [
        (json!([{"types": ["bugfix"]}]), json!([]), "-"),
        (
            json!([{"types": ["bugfix"]}, {"packages": ["openssl*"]}]),
            json!([]),
            "due",
        ),
        (
            json!([{"types": ["security"], "packages": ["kernel*"]}]),
            json!([]),
            "-",
        ),
        (json!([{"advisories": ["CVE-2026-2"]}]), json!([]), "due"),
        (json!([{"severity": {"atLeast": "critical"}}]), json!([]), "-"),
        (json!([{"when": "asset.labels.env == \"prod\""}]), json!([]), "due"),
        (json!([{"types": ["security"]}]), json!([{"advisories": ["A-1"]}]), "-"),
        (
            json!([{"types": ["security"]}]),
            json!([{"packages": ["openssl*"], "severity": "low"}]),
            "due",
        ),
        (json!([{"when": "finding.lane == \"routine\""}]), json!([]), "due"),
    ] {
        world.policy("p", json!({"include": include, "exclude": exclude}));
        assert_eq!(status(&world), expected, "{include} {exclude}");
    }
}

#[test]
fn a_hold_keeps_back_but_hides_nothing() {
    let mut world = one();
    world.policy(
        "p",
        json!({"holds": [{"packages": ["openssl*"], "until": "2027-03-31", "reason": "not certified"}]}),
    );
    assert_eq!(
        status(&world),
        "held: held by policy `p` until 2027-03-31: not certified"
    );
    assert!(!planned(&world));
    world.now = at("2026-12-30T00:00:00Z");
    let line = &world.lines()[0];
    assert!(line.contains("held breached"), "{line}");
    for (hold, expected) in [
        (
            json!({"packages": ["openssl*"], "versions": ">= 4", "until": "2027-03-31"}),
            "breached",
        ),
        (
            json!({"packages": ["openssl*"], "versions": ">= 3, < 4", "until": "2027-03-31"}),
            "held",
        ),
        (json!({"packages": ["openssl*"], "until": "2026-12-29"}), "breached"),
        (json!({"packages": ["openssl*"], "until": "2026-12-30"}), "held"),
        (json!({"advisories": ["CVE-2026-1"], "until": "2027-03-31"}), "held"),
    ] {
        world.policy("p", json!({"holds": [hold]}));
        assert!(status(&world).starts_with(expected), "{hold} {}", status(&world));
    }
}

#[test]
fn manual_types_wait_for_a_person() {
    let mut world = one();
    world.policy("p", json!({"release": {"manual": ["security"]}}));
    assert_eq!(
        status(&world),
        "awaiting-approval: a person must ask for security advisories"
    );
    assert!(!planned(&world));
}

#[test]
fn an_observing_policy_reports_and_plans_nothing() {
    let mut world = one();
    world.policy("p", json!({"mode": "observe"}));
    assert_eq!(status(&world), "due");
    assert!(!planned(&world));
}

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
    let with = |clock: &str, unknown: &str| json!({"clock": clock, "unknownDate": unknown, "default": {"within": "1d"}, "rules": []});
    for (clock, unknown, expected) in [
        ("published", "detected", "2026-11-19T00:00:00Z"),
        ("detected", "detected", "2026-11-13T00:00:00Z"),
        ("inScope", "detected", "2026-11-13T00:00:00Z"),
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
    assert_eq!(
        status(&world),
        "unknown: the publication date is unknown, and `unknownDate: block` gives no deadline then"
    );
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
fn exceptions_close_whole_advisories_or_all_their_cves() {
    for (exceptions, expected) in [
        (vec![json!({"advisories": ["CVE-2026-1"]})], "due: 1 of 2 CVEs excepted"),
        (vec![json!({"advisories": ["CVE-2026-1", "CVE-2026-2"]})], "excepted"),
        (
            vec![
                json!({"advisories": ["CVE-2026-1"]}),
                json!({"advisories": ["CVE-2026-2"]}),
            ],
            "excepted",
        ),
        (
            vec![
                json!({"advisories": ["CVE-2026-1"], "outcome": "mitigated"}),
                json!({"advisories": ["CVE-2026-2"]}),
            ],
            "excepted",
        ),
        (
            vec![json!({"advisories": ["A-1"], "outcome": "unpatchable"})],
            "unpatchable",
        ),
        (
            vec![
                json!({"advisories": ["A-1"], "outcome": "not-affected"}),
                json!({"advisories": ["A-1"]}),
            ],
            "not-affected",
        ),
        (vec![json!({"advisories": ["A-1"], "packages": ["bash"]})], "due"),
        (
            vec![json!({"packages": ["openssl*"], "outcome": "mitigated"})],
            "mitigated",
        ),
        (vec![json!({"advisories": ["A-1"], "expires": "2026-11-19"})], "due"),
        (
            vec![json!({"advisories": ["A-1"], "expires": "2026-11-20"})],
            "excepted",
        ),
        (
            vec![json!({"advisories": ["A-1"], "selector": {"matchLabels": {"env": "test"}}})],
            "due",
        ),
        (
            vec![json!({"advisories": ["A-1"], "when": "asset.labels.env == \"prod\""})],
            "excepted",
        ),
        (vec![json!({"reason": "everything"})], "due"),
        (
            vec![
                json!({"advisories": ["CVE-2026-1"], "expires": "2026-11-01"}),
                json!({"advisories": ["CVE-2026-2"]}),
            ],
            "due: 1 of 2",
        ),
    ] {
        let mut world = one();
        for (index, exception) in exceptions.iter().enumerate() {
            world.exception(&format!("e{index}"), exception.clone());
        }
        let status = status(&world);
        assert!(status.starts_with(expected), "{exceptions:?}: {status}");
        assert_eq!(planned(&world), expected.starts_with("due"));
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

#[test]
fn of_several_policies_the_earliest_deadline_wins() {
    let mut world = one();
    world.sla("fast", json!({"rules": [], "default": {"within": "5d"}}));
    world.policy("q", json!({"sla": "fast"}));
    let line = |world: &World| world.lines()[0].clone();
    assert!(
        line(&world).ends_with("due on-time default 2026-11-23T00:00:00Z q"),
        "{}",
        line(&world)
    );
    world.policy(
        "q",
        json!({"sla": "fast", "holds": [{"packages": ["*"], "until": "2027-01-01"}]}),
    );
    assert!(
        line(&world).ends_with("due on-time high 2026-11-25T00:00:00Z p"),
        "a hold binds its own policy: {}",
        line(&world)
    );
    world.now = at("2026-11-23T00:00:01Z");
    assert!(
        line(&world).contains("due breached"),
        "and hides no breach: {}",
        line(&world)
    );
    world.policy("q", json!({"sla": "fast", "exclude": [{"packages": ["openssl*"]}]}));
    assert!(line(&world).contains("due on-time"), "{}", line(&world));
}

#[test]
fn policies_that_cannot_both_be_followed_are_refused() {
    for other in [
        json!({"rollout": "other"}),
        json!({"strategy": "latest"}),
        json!({"requires": {"reversible": "exact"}}),
    ] {
        let mut world = one();
        world.policy("q", other);
        assert!(
            status(&world).starts_with("due: refused: policies `p` and `q` claim it"),
            "{}",
            status(&world)
        );
        assert!(!planned(&world));
        assert_eq!(world.assess().diagnostics.len(), 1);
    }
    let mut world = one();
    world.policy("q", json!({"rollout": "other", "mode": "observe"}));
    assert!(planned(&world), "an observing policy claims nothing");
}

#[test]
fn a_stale_observation_is_unknown_and_planned_from_its_last_facts() {
    let mut world = one();
    world.observation.assets[0].stale = true;
    assert_eq!(
        status(&world),
        "unknown: the observation is stale; from its last facts it would be due"
    );
    assert!(planned(&world));
    assert_eq!(deadline(&world), "2026-11-25T00:00:00Z");
    assert_eq!(world.assess().remarks.len(), 1);
    world.policy("p", json!({"release": {"manual": ["security"]}}));
    assert!(!planned(&world), "what was not approved is not planned for being stale");
    world.policy("p", json!({}));
    world.exception("e", json!({"advisories": ["A-1"]}));
    assert!(status(&world).starts_with("excepted"), "a record does not grow old");
}

#[test]
fn what_was_not_observed_is_said() {
    let mut world = one();
    world.asset("b", &[], &[]).observed_at = None;
    world.asset("c", &[], &[]).facts.packages = None;
    world.asset("d", &[], &[]).facts.os = None;
    world.asset("e", &[], &[]).facts.os.as_mut().unwrap().version = "7.9".into();
    world.asset("f", &[], &openssl()).lifecycle = Lifecycle::Retired;
    let assessment = world.assess();
    assert_eq!(
        assessment.findings(&world.observation).count(),
        1,
        "retired assets have none"
    );
    let remarks: Vec<String> = assessment
        .remarks
        .iter()
        .map(|r| format!("{} {}: {}", r.asset, r.status, r.detail))
        .collect();
    let starts = [
        "b unknown: was never observed",
        "c unknown: its packages were not observed",
        "d unknown: its operating system was not observed",
        "e unknown: no advisory coverage of almalinux 7: no advisory source claims it",
    ];
    assert_eq!(remarks.len(), starts.len(), "{remarks:?}");
    assert!(remarks.iter().zip(starts).all(|(r, s)| r.starts_with(s)), "{remarks:?}");
    world.observation.coverage.iter_mut().for_each(|c| c.fresh = false);
    let assessment = world.assess();
    assert!(
        assessment.remarks[0]
            .detail
            .contains("only stale sources claim it: almalinux"),
        "{:?}",
        assessment.remarks
    );
    assert!(planned(&world), "an old feed does not make what it said untrue");
}

#[test]
fn an_asset_in_no_policy_is_said_and_has_no_rows() {
    let mut world = one();
    world.policy("p", json!({"scope": {"selector": {"matchLabels": {"env": "test"}}}}));
    let assessment = world.assess();
    assert_eq!(assessment.findings(&world.observation).count(), 0);
    assert_eq!(assessment.remarks[0].status.as_ref(), "no-policy");
    assert_eq!(scope(&world.catalog, &world.observation), [Vec::<Arc<str>>::new()]);
}

#[test]
fn the_highest_priority_class_wins_and_a_tie_is_an_error() {
    let class = |priority: i64, when: &str| json!({"when": when, "priority": priority, "environment": "x", "target": "t", "window": "w"});
    let mut world = one();
    world.class("d", class(5, "asset.labels.env == \"prod\""));
    assert_eq!(classes(&world.catalog, &world.observation), [Some(Arc::from("d"))]);
    world.class("e", class(5, "true"));
    let assessment = world.assess();
    assert_eq!(assessment.class_of, [None]);
    assert!(assessment.diagnostics[0].error && assessment.diagnostics[0].message.contains("`d` and `e`"));
    assert_eq!(assessment.remarks[0].status.as_ref(), "no-class");
    world.class("f", class(7, "asset.labels.tier == \"db\""));
    let assessment = world.assess();
    assert!(
        assessment.remarks[0]
            .detail
            .contains("class `f` cannot be decided: there is no label `tier`"),
        "{:?}",
        assessment.remarks
    );
    world.class("f", class(1, "asset.labels.tier == \"db\""));
    world.catalog.classes.remove("e");
    assert_eq!(
        classes(&world.catalog, &world.observation),
        [Some(Arc::from("d"))],
        "it could not have won"
    );
}

#[test]
fn a_condition_without_an_answer_makes_unknown_not_a_guess() {
    let mut world = one();
    world.policy("p", json!({"scope": {"when": "asset.labels.tier == \"db\""}}));
    assert!(
        status(&world).starts_with("unknown: scope of policy `p` cannot be decided"),
        "{}",
        status(&world)
    );
    world.policy("p", json!({"include": [{"when": "asset.labels.tier == \"db\""}]}));
    assert!(
        status(&world).starts_with("unknown: include 1 of policy `p` cannot be decided"),
        "{}",
        status(&world)
    );
    world.policy("p", json!({"exclude": [{"when": "asset.labels.tier == \"db\""}]}));
    assert!(status(&world).starts_with("unknown: exclude 1"), "{}", status(&world));
    world.policy("p", json!({}));
    world.sla(
        "s",
        json!({"rules": [{"when": "asset.labels.tier == \"db\"", "within": "1d"}], "default": {"within": "30d"}}),
    );
    assert!(
        status(&world).starts_with("unknown: SLA rule `#1` cannot be decided"),
        "{}",
        status(&world)
    );
    assert!(!planned(&world) && !world.assess().diagnostics.is_empty());
    let mut world = one();
    world.exception(
        "e",
        json!({"advisories": ["A-1"], "when": "asset.labels.tier == \"db\""}),
    );
    assert_eq!(status(&world), "due", "no relief");
    assert_eq!(world.assess().remarks.len(), 1);
}

#[test]
fn decision_tables_are_never_silently_skipped() {
    let mut world = one();
    world.sla(
        "s",
        json!({"table": {"pack": "cisa-bod-26-04"}, "outcomes": {}, "default": {"within": "60d"}}),
    );
    let notes = world.assess().diagnostics;
    assert!(
        notes[0].message.contains("decision tables are not built yet"),
        "{notes:?}"
    );
}

#[test]
fn rows_have_the_shape_scripts_rely_on() {
    let mut world = one();
    world.exception("e", json!({"advisories": ["CVE-2026-1"]}));
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap();
    let (mut json, mut csv) = (Vec::new(), Vec::new());
    rows::ndjson_row(&finding, &world.observation, &mut json);
    rows::csv_header(&mut csv);
    rows::csv_row(&finding, &world.observation, &mut csv);
    assert_eq!(
        String::from_utf8(json).unwrap(),
        concat!(
            r#"{"asset":"a","advisory":"A-1","aliases":["CVE-2026-1","CVE-2026-2"],"ecosystem":"rpm","package":"openssl-libs","#,
            r#""arch":"x86_64","installed":"1:3.0.7-24.el9","fixed":"1:3.0.7-27.el9","severity":"high","exploited":false,"#,
            r#""epss":null,"decision":"track","status":"due","timeliness":"on-time","clockStart":"2026-11-18T00:00:00Z","#,
            r#""deadline":"2026-11-25T00:00:00Z","lane":"routine","policy":"p","sla":"s","rule":"high","detail":"1 of 2 CVEs excepted"}"#,
            "\n"
        )
    );
    let csv = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    assert!(
        lines[1].starts_with("a,A-1,CVE-2026-1 CVE-2026-2,rpm,openssl-libs,"),
        "{csv}"
    );
}

#[test]
fn an_explanation_tells_what_the_judgement_says() {
    let mut world = one();
    world.sla("s", json!({"rules": [{"name": "kev", "exploited": true, "within": "1d", "lane": "emergency"}, {"name": "critical", "severity": "critical", "within": "5d"}], "default": {"within": "30d"}}));
    world.observation.advisories[0].exploited = exploited("2026-11-19T00:00:00Z");
    world.policy(
        "q",
        json!({"holds": [{"packages": ["openssl*"], "until": "2027-01-01", "reason": "why not"}]}),
    );
    world.exception("e", json!({"advisories": ["CVE-2026-1"]}));
    let explained = |advisory| {
        explain(
            &world.catalog,
            &world.observation,
            &world.memory,
            world.now,
            0,
            advisory,
        )
        .unwrap()
    };
    let text = explained(Some("CVE-2026-2")).to_string();
    for part in [
        "class `c`: the highest priority that matches, 0",
        "in scope of policy `p`",
        "almalinux 9 is covered by almalinux",
        "exception `e` matches until 2027-01-02T00:00:00Z",
        "include 1 matches",
        "rule `kev` is the first that matches",
        "exploited since 2026-11-19T00:00:00Z: min(2026-12-18T00:00:00Z under rule `default`",
        "= 2026-11-20T00:00:00Z",
        "policy `q` holds it until 2027-01-01: why not",
        "policy `p` (2026-11-20T00:00:00Z) wins over `q` (2026-11-20T00:00:00Z), which does not carry it now",
        "breached: 1 of 2 CVEs excepted; breached",
    ] {
        assert!(text.contains(part), "{part}\nin\n{text}");
    }
    let assessment = world.assess();
    let judged = line(
        &assessment.findings(&world.observation).next().unwrap(),
        &world.observation,
    );
    let finding = &explained(None).findings[0];
    assert!(
        judged.contains(&finding.deadline.unwrap().to_string()) && judged.contains(finding.status.unwrap().as_str())
    );
    assert!(explained(Some("A-9")).to_string().contains("no source knows `A-9`"));
    assert!(serde_json::to_value(explained(None)).unwrap()["findings"][0]["steps"].is_array());
}
