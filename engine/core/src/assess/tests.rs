//! Every sentence of the contract about findings, one test each.

use serde_json::json;

use super::world::{World, at, deb, debian, exploited, kernel, rpm};
use super::*;
use crate::load::wire::Lane;
use crate::observe::{LivePatch, RestartNeeded};

pub(super) const OLD: &str = "1:3.0.7-24.el9";
pub(super) const NEW: &str = "1:3.0.7-27.el9";

pub(super) fn openssl() -> Vec<world::P<'static>> {
    vec![
        ("openssl-libs", OLD, "x86_64", "openssl", ""),
        ("bash", "5.1.8-9.el9", "x86_64", "bash", ""),
    ]
}

/// One asset with one finding.
pub(super) fn one() -> World {
    let mut world = World::plain();
    world.asset("a", &[("env", "prod")], &openssl());
    world.advisory("A-1", vec![rpm("openssl-libs", NEW)]).aliases = vec!["CVE-2026-1".into(), "CVE-2026-2".into()];
    world
}

/// The dialect's example repository, as far as assessing goes.
fn dialect() -> World {
    let mut world = World::empty();
    let class = |env: &str, priority: i64, environment: &str, criticality: &str, exposure: &str, tier: Option<&str>| {
        let mut labels = json!({"env": env});
        if let Some(tier) = tier {
            labels["tier"] = tier.into();
        }
        json!({"selector": {"matchLabels": labels}, "priority": priority, "environment": environment,
               "criticality": criticality, "exposure": exposure, "target": "ansible", "window": "any-time"})
    };
    world.class("test", class("test", 10, "test", "low", "internal", None));
    world.class("staging", class("staging", 10, "staging", "medium", "internal", None));
    world.class("critical", class("prod", 10, "prod", "critical", "public", None));
    world.class(
        "database",
        class("prod", 20, "prod", "critical", "internal", Some("db")),
    );
    world.sla(
        "standard",
        json!({"rules": [
            {"name": "exploited", "exploited": true, "clock": "exploited", "within": "24h", "lane": "emergency"},
            {"name": "critical-public", "severity": "critical", "exposure": "public", "within": "24h", "lane": "emergency"},
            {"name": "critical", "severity": "critical", "within": "5d"},
            {"name": "high", "when": "advisory.severity == \"high\" && asset.class.criticality != \"low\"", "within": "7d"}],
            "default": {"within": "30d"}, "atRisk": "75%"}),
    );
    world.policy(
        "linux-security",
        json!({
            "scope": {"selector": {"matchLabels": {"managed": "true"},
                      "matchExpressions": [{"key": "env", "operator": "In", "values": ["test", "staging", "prod"]}]},
                      "when": "asset.os.family in [\"rhel\", \"debian\"]"},
            "include": [{"types": ["security"], "severity": {"atLeast": "low"}},
                        {"packages": ["kernel*", "linux-image-*"], "types": ["security", "bugfix"]}],
            "exclude": [{"advisories": ["ALBA-2026:0001"]}],
            "holds": [{"packages": ["postgresql*"], "versions": ">= 16", "until": "2027-03-31"}],
            "release": {"minAge": "12h", "manual": ["enhancement"]},
            "sla": "standard", "rollout": "standard",
            "cadence": {"rrule": "FREQ=MONTHLY;BYDAY=2TU", "offset": "1d", "start": "06:00", "timezone": "Europe/Berlin"},
            "baseline": {"asOf": "2026-10-01", "approvedBy": "ciso", "expires": "2027-03-31", "burnDown": [
                {"exploited": true, "within": "14d"}, {"severity": "critical", "within": "30d"}, {"within": "90d"}]}}),
    );
    world.exception(
        "legacy-erp-openssl",
        json!({"selector": {"matchLabels": {"app": "legacy-erp"}}, "advisories": ["CVE-2026-0101"],
               "packages": ["openssl*"], "expires": "2027-01-31", "outcome": "mitigated", "onExpiry": "restart-clock"}),
    );
    world.advisory("ALSA-2026:0101", vec![rpm("openssl-libs", NEW)]).aliases = vec!["CVE-2026-0101".into()];
    world
}

fn member(world: &mut World, name: &str, env: &str, tier: &str) {
    let mut packages = openssl();
    packages.push(("kernel-core", "5.14.0-427.13.1.el9_4", "x86_64", "kernel", ""));
    let running = "5.14.0-427.13.1.el9_4.x86_64";
    let asset = world.asset(name, &[("managed", "true"), ("env", env), ("tier", tier)], &packages);
    asset.facts.kernel = kernel(running, running);
}

#[test]
fn the_one_right_answer_of_the_dialect() {
    let mut world = dialect();
    for (name, env, tier) in [
        ("t1", "test", "web"),
        ("s1", "staging", "web"),
        ("t2", "test", "db"),
        ("s2", "staging", "db"),
        ("web-1", "prod", "web"),
        ("web-2", "prod", "web"),
        ("db-1", "prod", "db"),
        ("db-2", "prod", "db"),
    ] {
        member(&mut world, name, env, tier);
    }
    let rest = |name: &str, rule: &str, deadline: &str| {
        format!("{name} ALSA-2026:0101 openssl-libs {OLD} {NEW} due on-time {rule} {deadline} linux-security")
    };
    let expected: Vec<String> = ["db-1", "db-2", "s1", "s2", "t1", "t2", "web-1", "web-2"]
        .iter()
        .map(|name| match name.starts_with('t') {
            true => rest(name, "default", "2026-12-18T00:00:00Z"),
            false => rest(name, "high", "2026-11-25T00:00:00Z"),
        })
        .collect();
    assert_eq!(world.lines(), expected);
    let assessment = world.assess();
    assert!(
        assessment
            .findings(&world.observation)
            .all(|f| f.judgement.lane == Lane::Routine && f.judgement.is_planned())
    );
    assert_eq!((assessment.remarks, assessment.diagnostics), (vec![], vec![]));
    let classes: Vec<_> = assessment
        .class_of
        .iter()
        .map(|c| c.as_deref().unwrap_or("-").to_owned())
        .collect();
    assert_eq!(
        classes,
        [
            "database", "database", "staging", "staging", "test", "test", "critical", "critical"
        ]
    );
}

#[test]
fn the_policy_test_of_the_dialect() {
    let mut world = dialect();
    world.asset(
        "a1",
        &[("managed", "true"), ("env", "prod"), ("tier", "web")],
        &[("openssl-libs", OLD, "x86_64", "", "")],
    );
    world.observation.advisories.clear();
    let advisory = world.advisory("TEST-1", vec![rpm("openssl-libs", NEW)]);
    advisory.published = Some(at("2026-11-19T00:00:00Z"));
    advisory.exploited = exploited("2026-11-20T00:00:00Z");
    let expected =
        format!("a1 TEST-1 openssl-libs {OLD} {NEW} due on-time exploited 2026-11-21T00:00:00Z linux-security");
    assert_eq!(world.lines(), [expected]);
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap();
    assert_eq!(
        (finding.judgement.lane, finding.judgement.decision),
        (Lane::Emergency, Decision::Act)
    );
}

/// Status and detail of the only finding; `-` when there is none.
pub(super) fn status(world: &World) -> String {
    let assessment = world.assess();
    let mut all = assessment.findings(&world.observation);
    let words = all.next().map_or("-".to_owned(), |f| {
        let detail = f.judgement.detail.as_ref().map_or(String::new(), |d| format!(": {d}"));
        format!("{}{detail}", f.judgement.status)
    });
    assert!(all.next().is_none(), "one finding only: {:?}", world.lines());
    words
}

pub(super) fn planned(world: &World) -> bool {
    world
        .assess()
        .findings(&world.observation)
        .any(|f| f.judgement.is_planned())
}

pub(super) fn deadline(world: &World) -> String {
    let assessment = world.assess();
    let finding = assessment
        .findings(&world.observation)
        .next()
        .unwrap_or_else(|| panic!("no finding"));
    finding.judgement.deadline.map_or("-".into(), |d| d.to_string())
}

#[test]
fn a_finding_needs_its_own_release_architecture_and_a_standing_advisory() {
    let world = one();
    assert_eq!(status(&world), "due");
    let mut other = world.clone();
    other.observation.assets[0].facts.os.as_mut().unwrap().version = "8.10".into();
    assert_eq!(status(&other), "-", "a fix for release 9 says nothing of 8");
    let mut other = world.clone();
    other.observation.assets[0].facts.os.as_mut().unwrap().id = "rocky".into();
    assert_eq!(status(&other), "-");
    let mut every = world.clone();
    every.observation.advisories[0].fixes[0].ecosystem.release = None;
    assert_eq!(status(&every), "due", "no release = every release");
    for (arch, expected) in [("x86_64", "due"), ("aarch64", "-"), ("noarch", "due")] {
        let mut other = world.clone();
        other.observation.advisories[0].fixes[0].arch = Some(arch.into());
        assert_eq!(status(&other), expected, "{arch}");
    }
    for (withdrawn, expected) in [("2026-11-20T12:00:00Z", "-"), ("2026-11-20T12:00:01Z", "due")] {
        let mut other = world.clone();
        other.observation.advisories[0].withdrawn = Some(at(withdrawn));
        assert_eq!(status(&other), expected, "withdrawn {withdrawn}");
    }
    let mut fixed = World::plain();
    fixed.asset("a", &[], &[("openssl-libs", NEW, "x86_64", "", "")]);
    fixed.advisory("A-1", vec![rpm("openssl-libs", NEW)]);
    assert_eq!(status(&fixed), "-");
}

#[test]
fn what_is_not_installed_is_not_affected() {
    let mut world = one();
    let tables = &mut world.observation.tables;
    let left = crate::observe::Package {
        name: tables.intern("openssl-libs"),
        version: tables.intern(OLD),
        state: crate::observe::PackageState::ConfigFiles,
        ..Default::default()
    };
    let broken = crate::observe::Package {
        state: crate::observe::PackageState::HalfConfigured,
        ..left
    };
    let (left, broken) = (tables.package_id(left), tables.package_id(broken));
    let (left, broken) = (tables.set_id(vec![left]), tables.set_id(vec![broken]));
    world.observation.assets[0].facts.packages = Some(left);
    assert_eq!(status(&world), "-");
    world.observation.assets[0].facts.packages = Some(broken);
    assert_eq!(status(&world), "due");
    let remarks = world.assess().remarks;
    assert_eq!((remarks.len(), remarks[0].status.as_ref()), (1, "half-configured"));
}

#[test]
fn the_highest_version_of_a_name_and_architecture_is_the_installed_one() {
    let mut world = World::plain();
    world.asset(
        "a",
        &[],
        &[
            ("lib", "1-1", "x86_64", "", ""),
            ("lib", "3-1", "x86_64", "", ""),
            ("lib", "1-1", "i686", "", ""),
        ],
    );
    world.advisory("A-1", vec![rpm("lib", "2-1")]);
    assert_eq!(
        world.lines(),
        ["a A-1 lib 1-1 2-1 due on-time high 2026-11-25T00:00:00Z p"]
    );
    assert_eq!(world.assess().hits[0].arch.as_ref(), "i686");
}

#[test]
fn an_advisory_from_two_sources_is_one_finding() {
    let mut world = one();
    let mut second = world.observation.advisories[0].clone();
    second.provenance.source = "other".into();
    second.fixes[0].fixed = Some("1:3.0.7-30.el9".into());
    world.observation.advisories.push(second);
    assert_eq!(status(&world), "due");
}

#[test]
fn debian_fixes_name_source_packages() {
    let mut world = World::plain();
    world
        .asset(
            "a",
            &[],
            &[
                ("libssl3", "3.0.11-1", "amd64", "openssl", ""),
                ("openssl", "3.0.11-1", "amd64", "", ""),
            ],
        )
        .facts
        .os = debian();
    world.advisory("DSA-1", vec![deb("openssl", "3.0.13-1~deb12u1")]);
    let rest = "3.0.11-1 3.0.13-1~deb12u1 due on-time high 2026-11-25T00:00:00Z p";
    assert_eq!(
        world.lines(),
        [format!("a DSA-1 libssl3 {rest}"), format!("a DSA-1 openssl {rest}")]
    );
}

#[test]
fn a_fix_behind_a_missing_entitlement_is_unpatchable() {
    let mut world = one();
    world.observation.advisories[0].fixes[0].entitlement = Some("ubuntu-pro".into());
    assert_eq!(status(&world), "due", "what was not observed is not missing");
    world.observation.assets[0].facts.entitlements = Some(vec!["other".into()].into());
    assert_eq!(
        status(&world),
        "unpatchable: no entitlement: the fix needs `ubuntu-pro`"
    );
    world.observation.assets[0].facts.entitlements = Some(vec!["ubuntu-pro".into()].into());
    assert_eq!(status(&world), "due");
    world.observation.assets[0].facts.entitlements = None;
    let free = crate::observe::Fix {
        entitlement: None,
        ..world.observation.advisories[0].fixes[0].clone()
    };
    world.observation.advisories[0].fixes.push(free);
    assert_eq!(status(&world), "due");
}

#[test]
fn no_fix_is_unpatchable_unless_recorded_otherwise() {
    let mut world = one();
    world.observation.advisories[0].fixes[0].fixed = None;
    assert_eq!(status(&world), "unpatchable: no fixed version is published");
    assert!(!planned(&world));
    world.exception("e", json!({"advisories": ["A-1"], "outcome": "mitigated"}));
    assert!(status(&world).starts_with("mitigated"));
}

const K1: &str = "5.14.0-1.el9";
const K2: &str = "5.14.0-2.el9";
const K3: &str = "5.14.0-3.el9";

#[test]
fn of_kernels_side_by_side_the_running_and_the_default_one_count() {
    let release = |v: &str| format!("{v}.x86_64");
    let pending = "pending-reboot: the next boot has the fix; the running kernel has not";
    for (installed, running, default, expected) in [
        (&[K1, K2][..], K2, K2, "-"),
        (&[K1, K2], K1, K2, pending),
        (&[K1, K2], K1, K1, "due"),
        (&[K1, K3], K3, K1, "due"),
        (&[K1], K1, "", "due"),
        (&[K1, K2], K1, "", pending),
        (&[K1, K2], "", "", "-"),
        (&[K1], "", "", "due"),
        (&[K2], K1, K2, pending),
        (&[K1, K2], "", K1, "due"),
    ] {
        let mut world = World::plain();
        let packages: Vec<world::P<'_>> = installed
            .iter()
            .map(|v| ("kernel-core", *v, "x86_64", "kernel", ""))
            .collect();
        let named = |v: &str| if v.is_empty() { String::new() } else { release(v) };
        world.asset("a", &[], &packages).facts.kernel = kernel(&named(running), &named(default));
        world.advisory("A-1", vec![rpm("kernel-core", K2)]);
        assert_eq!(
            status(&world),
            expected,
            "{installed:?} running {running} default {default}"
        );
        if expected == pending {
            assert_eq!(
                world.assess().hits[0].installed.as_ref(),
                K1,
                "the running version is what is judged"
            );
        }
    }
}

#[test]
fn debian_kernels_carry_their_release_in_the_name() {
    let packages = [
        ("linux-image-6.1.0-18-amd64", "6.1.76-1", "amd64", "linux", ""),
        ("linux-image-6.1.0-21-amd64", "6.1.90-1", "amd64", "linux", ""),
        ("linux-image-6.1.0-9-amd64", "6.1.27-1", "amd64", "linux", ""),
        ("linux-image-amd64", "6.1.90-1", "amd64", "linux-signed-amd64", ""),
    ];
    let mut world = World::plain();
    let asset = world.asset("a", &[], &packages);
    (asset.facts.os, asset.facts.kernel) = (debian(), kernel("6.1.0-18-amd64", "6.1.0-21-amd64"));
    world.advisory("DSA-1", vec![deb("linux", "6.1.90-1")]);
    assert!(status(&world).starts_with("pending-reboot"));
    let hit = &world.assess().hits[0];
    assert_eq!(
        (hit.package.as_ref(), hit.installed.as_ref()),
        ("linux-image-6.1.0-18-amd64", "6.1.76-1")
    );
    world.observation.assets[0].facts.kernel = kernel("6.1.0-21-amd64", "6.1.0-21-amd64");
    assert_eq!(status(&world), "-", "older leftovers do not count");
}

#[test]
fn a_process_that_runs_old_code_is_pending() {
    let mut world = World::plain();
    let needed = RestartNeeded {
        process: "nginx".into(),
        packages: vec!["openssl-libs".into()],
    };
    world
        .asset("a", &[], &[("openssl-libs", NEW, "x86_64", "", "")])
        .facts
        .restart_needed = Some(vec![needed].into());
    world.advisory("A-0", vec![rpm("openssl-libs", "1:3.0.7-20.el9")]);
    world.advisory("A-1", vec![rpm("openssl-libs", NEW)]);
    assert_eq!(
        status(&world),
        "pending-reboot: a process still runs old code",
        "only the newest fix is certainly missing"
    );
}

#[test]
fn a_live_patch_that_covers_all_of_it_mitigates() {
    let patch = |fixes: &[&str]| {
        let fixes = fixes.iter().map(|f| Arc::from(*f)).collect();
        Some(Arc::new(LivePatch {
            engine: "kpatch".into(),
            fixes,
        }))
    };
    let mut world = one();
    for (fixes, expected) in [
        (&["CVE-2026-1"][..], "due"),
        (&["CVE-2026-1", "CVE-2026-2"], "mitigated"),
        (&["A-1"], "mitigated"),
        (&[], "due"),
    ] {
        world.observation.assets[0].facts.live_patch = patch(fixes);
        assert!(status(&world).starts_with(expected), "{fixes:?} {}", status(&world));
        assert_eq!(
            deadline(&world),
            "2026-11-25T00:00:00Z",
            "the reboot has its own deadline"
        );
    }
}

/// The first asset's only package, of a source with a version of its own.
fn of_source(installed: &str, source_version: &str) -> World {
    let mut world = World::plain();
    world.asset("a", &[], &[]).facts.os = debian();
    let tables = &mut world.observation.tables;
    let package = crate::observe::Package {
        name: tables.intern("dmsetup"),
        version: tables.intern(installed),
        source: tables.intern("lvm2"),
        source_version: tables.intern(source_version),
        ..crate::observe::Package::default()
    };
    let id = tables.package_id(package);
    world.observation.assets[0].facts.packages = Some(tables.set_id(vec![id]));
    world.advisory("D-1", vec![deb("lvm2", "2.03.16-3")]);
    world
}

#[test]
fn a_fix_that_only_the_source_names_is_a_finding_without_target() {
    let world = of_source("2:1.02.185-2", "2.03.16-2");
    assert_eq!(
        status(&world),
        "due: the fix is version 2.03.16-3 of the source `lvm2`; which version of dmsetup has it is not known"
    );
    assert!(!planned(&world));
    let rebuilt = of_source("2.03.16-2+b1", "2.03.16-2");
    assert_eq!((status(&rebuilt).as_str(), planned(&rebuilt)), ("due", true));
    assert_eq!(status(&of_source("2:1.02.185-3", "2.03.16-3")), "-");
}
