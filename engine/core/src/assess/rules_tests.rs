//! The contract's sentences about rules: who claims a finding, by when, what is said of it.

use serde_json::json;

use super::tests::{deadline, one, openssl, planned, status};
use super::world::{World, at};
use super::*;
use crate::load::wire::Lifecycle;

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
        line(&world).ends_with("due on-time default 2026-11-23T00:00:00Z p"),
        "a hold binds its own policy, and moves no deadline: {}",
        line(&world)
    );
    assert!(planned(&world));
    world.now = at("2026-11-23T00:00:01Z");
    assert!(
        line(&world).contains("breached breached default 2026-11-23T00:00:00Z p"),
        "and hides no breach: {}",
        line(&world)
    );
    world.policy("q", json!({"sla": "fast", "exclude": [{"packages": ["openssl*"]}]}));
    assert!(line(&world).contains("due on-time"), "{}", line(&world));
}

#[test]
fn policies_that_cannot_both_be_followed_are_refused() {
    for (field, other) in [
        ("rollout", json!({"rollout": "other"})),
        ("strategy", json!({"strategy": "latest"})),
        ("requires", json!({"requires": {"reversible": "exact"}})),
    ] {
        let mut world = one();
        world.policy("q", other);
        assert_eq!(
            status(&world),
            format!("due: refused: policies `p` and `q` claim it with different `{field}`")
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
fn a_decision_table_that_could_not_be_read_gives_no_deadline() {
    let mut world = one();
    world.sla(
        "s",
        json!({"table": {"file": "tables/t.json"}, "default": {"within": "60d"}}),
    );
    assert_eq!(
        status(&world),
        "unknown: the decision table of SlaPolicy `s` could not be read: there is no deadline"
    );
    assert!(!planned(&world));
    let notes = world.assess().diagnostics;
    assert_eq!(notes.len(), 1, "{notes:?}");
    world.observation.assets[0].stale = true;
    assert!(!planned(&world), "an old observation does not make a table");
}
