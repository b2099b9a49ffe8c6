//! What is said of the judgements: details, notes, the standing of assets, rows and explanations.

use serde_json::json;

use super::tests::{one, status};
use super::world::{P, World, deb, debian, exploited, line, rpm};
use super::*;
use crate::load::wire::Lifecycle;
use crate::name::Severity;

#[test]
fn what_is_excepted_in_part_is_said_beside_any_status() {
    let mut world = one();
    world.exception("e", json!({"advisories": ["CVE-2026-1"]}));
    assert_eq!(status(&world), "due: 1 of 2 CVEs excepted");
    world.policy("p", json!({"holds": [{"packages": ["*"], "until": "2027-01-01"}]}));
    assert_eq!(
        status(&world),
        "held: held by policy `p` until 2027-01-01; 1 of 2 CVEs excepted"
    );
    world.policy("p", json!({"release": {"manual": ["security"]}}));
    assert!(
        status(&world).ends_with("advisories; 1 of 2 CVEs excepted"),
        "{}",
        status(&world)
    );
    world.policy("p", json!({}));
    world.policy("q", json!({"rollout": "other"}));
    assert!(
        status(&world).ends_with("`rollout`; 1 of 2 CVEs excepted"),
        "{}",
        status(&world)
    );
}

#[test]
fn an_unknown_severity_is_said_once_a_source_and_in_the_trace() {
    let mut world = one();
    world.advisory("A-2", vec![rpm("other", "2-1")]).severity = Severity::Unknown;
    world.observation.advisories[0].severity = Severity::Unknown;
    let assessment = world.assess();
    let notes: Vec<_> = assessment.diagnostics.iter().map(|n| n.message.as_str()).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].starts_with("2 advisories without severity (first A-1): "),
        "{notes:?}"
    );
    let trace = explain(&world.catalog, &world.observation, &world.memory, world.now, 0, None).unwrap();
    let said = |step: &Step| step.what == "severity" && step.fact.contains("counts as high");
    assert!(trace.findings[0].steps.iter().any(said), "{trace}");
}

#[test]
fn only_an_asset_that_was_judged_is_compliant() {
    let mut world = one();
    world.observation.advisories.clear();
    world.asset("never", &[], &[]).observed_at = None;
    world.asset("old", &[], &[]).stale = true;
    world.asset("retired", &[], &[]).lifecycle = Lifecycle::Retired;
    world.asset("uncovered", &[], &[]).facts.os.as_mut().unwrap().version = "7.9".into();
    let standing = |world: &World| {
        let assessment = world.assess();
        let assets = world.observation.assets.iter().enumerate();
        assets
            .map(|(index, asset)| {
                let status = assessment.asset_status(&world.observation, index);
                format!("{} {}", asset.name, status.map_or("-", Status::as_str))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        standing(&world),
        [
            "a compliant",
            "never unknown",
            "old unknown",
            "retired -",
            "uncovered unknown"
        ]
    );
    assert_eq!(standing(&one()), ["a -"], "its finding speaks");
    world.policy("p", json!({"scope": {"selector": {"matchLabels": {"x": "y"}}}}));
    assert_eq!(standing(&world)[0], "a -", "nobody looks at it");
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
    world.exception("broad", json!({"reason": "everything"}));
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
        "exception `broad` gives no relief: it names neither `advisories` nor `packages`",
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

#[test]
fn where_fixes_are_named_by_source_and_no_source_was_told_an_asset_is_unknown_and_says_so_once() {
    let remarks = |packages: &[P<'_>]| {
        let mut world = World::plain();
        world.asset("deb1", &[], packages).facts.os = debian();
        world.advisory("D-1", vec![deb("openssl", "3.0.15-1")]);
        world.advisory("D-2", vec![deb("zlib", "1:1.3-1")]);
        let assessment = world.assess();
        let compliant = assessment.asset_status(&world.observation, 0) == Some(Status::Compliant);
        let said = assessment.remarks.into_iter();
        (
            said.map(|r| format!("{}: {}", r.status, r.detail)).collect::<Vec<_>>(),
            compliant,
        )
    };
    let (said, compliant) = remarks(&[
        ("libssl3", "3.0.11-1", "amd64", "", ""),
        ("zlib1g", "1:1.2-1", "amd64", "", ""),
        ("openssl", "3.0.15-1", "amd64", "", ""),
    ]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("unknown: the source packages of its packages were not observed")
            && said[0].contains("debian 12")
            && said[0].contains("2 of its packages"),
        "{said:?}"
    );
    assert!(!compliant);
    // Packages that are called like their source are compared; a list that tells sources leaves out those.
    let called_alike = remarks(&[("openssl", "3.0.15-1", "amd64", "", "")]);
    assert_eq!(called_alike, (vec![], true));
    let told = remarks(&[
        ("bash", "5.2-1", "amd64", "", ""),
        ("libssl3", "3.0.15-1", "amd64", "openssl", ""),
    ]);
    assert_eq!(told, (vec![], true));
}
