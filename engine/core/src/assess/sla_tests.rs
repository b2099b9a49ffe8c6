//! Decision tables end to end, and every field of an SLA by a test that fails when the field is ignored.

use serde_json::{Value, json};

use super::tests::{NEW, deadline, one, status};
use super::world::{World, at, exploited, resource};
use super::*;
use crate::load::wire::SourceKind;
use crate::name::Severity;
use crate::observe::{CveFacts, SourceStatus, Ssvc};

/// A source of exploited vulnerabilities that was read, or that failed.
pub(crate) fn kev_source(world: &mut World, failure: Option<&str>) {
    let spec = json!({"kind": "advisories", "type": "kev", "path": "kev.json"});
    world.catalog.sources.insert("kev".into(), resource("kev", spec));
    world.observation.sources = vec![SourceStatus {
        name: "kev".into(),
        kind: SourceKind::Advisories,
        account: crate::observe::Account::default(),
        fetched_at: None,
        stale: false,
        failure: failure.map(str::to_owned),
        digest: String::new(),
    }];
}

pub(crate) fn cve(name: &str, kev: Option<&str>, ssvc: &str) -> CveFacts {
    CveFacts {
        cve: name.into(),
        exploited: kev.and_then(exploited),
        epss: None,
        ssvc: Ssvc::from_code(ssvc),
    }
}

/// The advisory has these CVEs, as merging would join them.
pub(crate) fn give(world: &mut World, cves: Vec<CveFacts>) {
    let advisory = &mut world.observation.advisories[0];
    advisory.aliases = cves.iter().map(|c| Arc::clone(&c.cve)).collect();
    advisory.exploited = cves.iter().filter_map(|c| c.exploited.clone()).min_by_key(|e| e.since);
    advisory.cves = cves;
}

pub(crate) fn bod() -> Value {
    json!({"table": {"pack": "cisa-bod-26-04"}, "default": {"within": "90d"}, "outcomes": {
        "FSU": {"within": "next-cycle"}, "60D": {"within": "60d"}, "14D": {"within": "14d"},
        "3D": {"within": "3d", "lane": "emergency"}, "3DF": {"within": "3d", "lane": "emergency", "forensics": true}}})
}

fn exposure(world: &mut World, exposure: &str) {
    world.class(
        "c",
        json!({"selector": {}, "environment": "prod", "target": "ansible", "window": "w", "exposure": exposure}),
    );
}

fn first(world: &World) -> Judgement {
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap();
    finding.judgement.clone()
}

/// `rule deadline lane forensics`.
fn told(world: &World) -> String {
    let j = first(world);
    let deadline = j.deadline.map_or("-".into(), |d| d.to_string());
    let forensics = if j.forensics { " forensics" } else { "" };
    format!(
        "{} {} {}{forensics}",
        j.rule.unwrap(),
        deadline.replace("T00:00:00Z", ""),
        j.lane.as_str()
    )
}

fn bod_world() -> World {
    let mut world = one();
    kev_source(&mut world, None);
    world.sla("s", bod());
    world.policy(
        "p",
        json!({"cadence": {"rrule": "FREQ=YEARLY;BYMONTH=3,9;BYMONTHDAY=1"}}),
    );
    world
}

#[test]
fn every_row_of_bod_26_04() {
    // PE, KEV, A, then the outcome for a partial and for a total technical impact.
    let published =
        "N N N FSU FSU|N N Y 60D 60D|N Y N 14D 14D|N Y Y 14D 3DF|Y N N 60D 14D|Y N Y 14D 3D|Y Y N 14D 3DF|Y Y Y 3D 3DF";
    // Published 2026-11-18, and known exploited before: nothing moves. The second cut is that of September.
    let meaning = |outcome: &str| match outcome {
        "FSU" => "FSU 2027-09-01 routine",
        "60D" => "60D 2027-01-17 routine",
        "14D" => "14D 2026-12-02 routine",
        "3D" => "3D 2026-11-21 emergency",
        _ => "3DF 2026-11-21 emergency forensics",
    };
    let mut rows = 0;
    for row in published.split('|') {
        let words: Vec<&str> = row.split(' ').collect();
        for (impact, outcome) in [("P", words[3]), ("T", words[4])] {
            let mut world = bod_world();
            exposure(&mut world, if words[0] == "Y" { "public" } else { "partner" });
            let kev = (words[1] == "Y").then_some("2026-11-01T00:00:00Z");
            give(
                &mut world,
                vec![cve("CVE-2026-1", kev, &format!("N{}{impact}", words[2]))],
            );
            assert_eq!(told(&world), meaning(outcome), "{row} {impact}");
            assert!(world.assess().diagnostics.is_empty(), "everything is known");
            rows += 1;
        }
    }
    assert_eq!(rows, 16);
}

#[test]
fn what_is_not_known_takes_the_strictest_outcome_and_is_counted() {
    let mut world = bod_world();
    for (place, kev, ssvc, expected) in [
        ("isolated", None, "---", "60D"),
        ("isolated", None, "-N-", "FSU"),
        ("public", None, "-N-", "14D"),
        ("public", None, "--P", "14D"),
        ("public", None, "---", "3D"),
        ("public", Some("2026-11-01T00:00:00Z"), "---", "3DF"),
    ] {
        exposure(&mut world, place);
        give(&mut world, vec![cve("CVE-2026-1", kev, ssvc)]);
        assert!(
            told(&world).starts_with(&format!("{expected} ")),
            "{place} {ssvc}: {}",
            told(&world)
        );
        let notes = world.assess().diagnostics;
        assert!(notes[0].message.contains("not known of 1 of 1 advisories"), "{notes:?}");
    }
    let trace = explain(&world.catalog, &world.observation, &world.memory, world.now, 0, None).unwrap();
    let steps: Vec<&str> = trace.findings[0].steps.iter().map(|s| s.fact.as_str()).collect();
    assert!(
        steps
            .iter()
            .any(|s| s.contains("ssvc:A:2.0.0 is not known") && s.contains("the strictest that is possible counts")),
        "{steps:#?}"
    );
    // Without a catalogue of exploited vulnerabilities nobody knows what stands in it.
    give(&mut world, vec![cve("CVE-2026-1", None, "NNT")]);
    assert!(told(&world).starts_with("14D "));
    kev_source(&mut world, Some("it is gone"));
    assert!(told(&world).starts_with("3DF "), "{}", told(&world));
    // What has no CVE was never answered.
    give(&mut world, vec![]);
    assert!(told(&world).starts_with("3D "), "{}", told(&world));
    // An asset without a class is exposed for all that is known.
    kev_source(&mut world, None);
    give(&mut world, vec![cve("CVE-2026-1", None, "NNP")]);
    world.class(
        "c",
        json!({"selector": {"matchLabels": {"x": "y"}}, "environment": "prod", "target": "t", "window": "w"}),
    );
    assert!(told(&world).starts_with("60D "), "{}", told(&world));
}

#[test]
fn the_strictest_cve_of_an_advisory_counts() {
    let mut world = bod_world();
    exposure(&mut world, "public");
    let mild = cve("CVE-2026-1", None, "NNP");
    give(&mut world, vec![mild.clone(), cve("CVE-2026-2", None, "NYT")]);
    assert_eq!(told(&world), "3D 2026-11-21 emergency");
    // Exploitation of one and the answers of the other are not mixed.
    give(
        &mut world,
        vec![
            cve("CVE-2026-1", Some("2026-11-01T00:00:00Z"), "NNP"),
            cve("CVE-2026-2", None, "NNT"),
        ],
    );
    assert_eq!(told(&world), "14D 2026-12-02 routine");
    // A bulletin that is exploited, and no catalogue that says by which CVE: by each.
    give(&mut world, vec![cve("CVE-2026-1", None, "NNT")]);
    world.observation.advisories[0].exploited = exploited("2026-11-01T00:00:00Z");
    assert_eq!(told(&world), "3DF 2026-11-21 emergency forensics");
}

#[test]
fn the_other_packs_ask_for_the_severity() {
    let mut world = one();
    let outcomes =
        json!({"24H": {"within": "1d", "lane": "emergency"}, "STANDARD": {"within": "40d", "clock": "detected"}});
    world.sla(
        "s",
        json!({"table": {"pack": "critical-24h"}, "outcomes": outcomes, "default": {"within": "1d"}}),
    );
    assert_eq!(
        told(&world),
        "STANDARD 2026-12-30T12:00:00Z routine",
        "the outcome's own clock"
    );
    world.observation.advisories[0].severity = Severity::Critical;
    assert_eq!(told(&world), "24H 2026-11-19 emergency");
    let outcomes = json!({"MONTH": {"within": "30d"}, "OWN": {"within": "90d"}});
    let pci = |unknown: &str| json!({"table": {"pack": "pci-dss-4.0.1"}, "outcomes": outcomes, "default": {"within": "1d"}, "unknownSeverity": unknown});
    world.sla("s", pci("high"));
    assert_eq!(told(&world), "MONTH 2026-12-18 routine");
    world.observation.advisories[0].severity = Severity::Unknown;
    assert_eq!(told(&world), "OWN 2027-02-16 routine");
    world.sla("s", pci("critical"));
    assert_eq!(told(&world), "MONTH 2026-12-18 routine");
}

#[test]
fn next_cycle_of_a_table_without_a_cadence_is_the_default() {
    let mut world = bod_world();
    world.policy("p", json!({}));
    exposure(&mut world, "isolated");
    give(&mut world, vec![cve("CVE-2026-1", None, "NNP")]);
    assert_eq!(told(&world), "FSU 2027-02-16 routine");
    let trace = explain(&world.catalog, &world.observation, &world.memory, world.now, 0, None).unwrap();
    let said = |s: &Step| {
        s.fact
            .contains("needs a cadence, and policy `p` has none: the default counts")
    };
    assert!(trace.findings[0].steps.iter().any(said));
}

/// A rule with one more field is asked in a world that has it, and in the same world changed so that it has not.
#[test]
fn every_field_of_a_rule_is_heard() {
    let matching = || {
        let mut world = one();
        world.observation.advisories[0].exploited = exploited("2026-11-01T00:00:00Z");
        world.class("c", json!({"selector": {}, "environment": "prod", "target": "t", "window": "w", "exposure": "internal", "criticality": "high"}));
        world
    };
    for (field, fits, not) in [
        ("exploited", json!(true), json!(false)),
        ("severity", json!("high"), json!("low")),
        ("exposure", json!("internal"), json!("public")),
        ("criticality", json!("high"), json!("low")),
        ("environment", json!("prod"), json!("test")),
        ("types", json!(["security"]), json!(["firmware"])),
        ("selector", json!({}), json!({"matchLabels": {"no": "such"}})),
        (
            "when",
            json!("asset.class.exposure == \"internal\""),
            json!("asset.class.exposure == \"public\""),
        ),
    ] {
        for (value, expected) in [(fits, "x 2026-11-20"), (not, "default 2026-11-27")] {
            let mut world = matching();
            let mut rule = json!({"name": "x", "within": "2d"});
            rule[field] = value.clone();
            world.sla("s", json!({"rules": [rule], "default": {"within": "9d"}}));
            assert_eq!(told(&world), format!("{expected} routine"), "{field} {value}");
        }
    }
    for (field, value, expected) in [
        ("lane", json!("emergency"), "x 2026-11-20 emergency"),
        ("forensics", json!(true), "x 2026-11-20 routine forensics"),
        ("clock", json!("exploited"), "x 2026-11-03 routine"),
        ("within", json!("1d"), "x 2026-11-19 routine"),
    ] {
        let given = |at: &str| {
            let mut world = matching();
            let mut outcome = json!({"within": "2d"});
            outcome[field] = value.clone();
            match at {
                "rule" => {
                    outcome["name"] = json!("x");
                    world.sla("s", json!({"rules": [outcome], "default": {"within": "9d"}}));
                }
                _ => world.sla("s", json!({"rules": [], "default": outcome})),
            }
            told(&world)
        };
        assert_eq!(given("rule"), expected, "{field}");
        assert_eq!(
            given("default"),
            expected.replace("x ", "default "),
            "{field} of the default"
        );
    }
}

#[test]
fn at_risk_is_a_share_of_the_time() {
    let mut world = one();
    for (share, expected) in [("10%", "at-risk"), ("90%", "due")] {
        world.sla("s", json!({"rules": [], "default": {"within": "10d"}, "atRisk": share}));
        assert_eq!(status(&world), expected, "{share}");
    }
    world.sla(
        "s",
        json!({"clock": "detected", "rules": [], "default": {"within": "10d"}}),
    );
    assert_eq!(deadline(&world), "2026-11-30T12:00:00Z", "the clock of the SLA");
}

#[test]
fn a_fix_counts_from_when_it_is_available() {
    let mut world = one();
    world.sla(
        "s",
        json!({"clock": "available", "unknownDate": "block", "rules": [], "default": {"within": "5d"}}),
    );
    assert!(
        status(&world).starts_with("unknown: that the fix is available"),
        "{}",
        status(&world)
    );
    let offer = |world: &mut World, version: &str| {
        let mut other = World::plain();
        other.observation.tables = world.observation.tables.clone();
        let set = other
            .asset("x", &[], &[("openssl-libs", version, "x86_64", "", "")])
            .facts
            .packages;
        world.observation.tables = other.observation.tables;
        world.observation.assets[0].facts.available = set;
    };
    offer(&mut world, "1:3.0.7-1.el9");
    assert!(status(&world).starts_with("unknown: "), "the list lacks the fix");
    offer(&mut world, NEW);
    assert_eq!(deadline(&world), "2026-11-25T12:00:00Z", "never seen before = seen now");
    let seen = [(format!("openssl-libs {NEW}").into(), at("2026-11-19T00:00:00Z"))].into();
    world.memory.changes.available.insert("c".into(), seen);
    assert_eq!(deadline(&world), "2026-11-24T00:00:00Z");
}

#[test]
fn rows_say_forensics_epss_and_the_original_clock() {
    let mut world = bod_world();
    exposure(&mut world, "public");
    let mut facts = cve("CVE-2026-1", Some("2026-11-19T00:00:00Z"), "NNT");
    facts.epss = crate::observe::Score::of(0.02).map(|score| crate::observe::Epss {
        score,
        model: None,
        at: None,
    });
    give(&mut world, vec![facts]);
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap();
    let mut line = Vec::new();
    rows::ndjson_row(&finding, &world.observation, &mut line);
    let row: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(
        (&row["epss"], &row["forensics"], &row["rule"]),
        (&json!(0.02), &json!(true), &json!("3DF"))
    );
    assert_eq!(row["deadline"], "2026-11-22T00:00:00Z");
    assert_eq!(row["originalClockStart"], "2026-11-18T00:00:00Z");
    assert_eq!(row["originalDeadline"], "2026-12-02T00:00:00Z");
    let mut csv = Vec::new();
    rows::csv_row(&finding, &world.observation, &mut csv);
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.split(',').count(), rows::COLUMNS.len());
    assert!(
        csv.contains(",0.02,") && csv.contains(",true,2026-11-18T00:00:00Z,2026-12-02T00:00:00Z,"),
        "{csv}"
    );
}
