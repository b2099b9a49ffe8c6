//! Every sentence of the contract about findings, one test each.

use serde_json::json;

use super::world::{World, at, deb, debian, exploited, kernel, line, rpm};
use super::*;
use crate::load::wire::{Lane, Lifecycle};
use crate::name::Severity;
use crate::observe::{LivePatch, RestartNeeded};

const OLD: &str = "1:3.0.7-24.el9";
const NEW: &str = "1:3.0.7-27.el9";

fn openssl() -> Vec<world::P<'static>> {
    vec![("openssl-libs", OLD, "x86_64", "openssl", ""), ("bash", "5.1.8-9.el9", "x86_64", "bash", "")]
}

/// One asset with one finding.
fn one() -> World {
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
    world.class("database", class("prod", 20, "prod", "critical", "internal", Some("db")));
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
    assert!(assessment.findings(&world.observation).all(|f| f.judgement.lane == Lane::Routine && f.judgement.is_planned()));
    assert_eq!((assessment.remarks, assessment.diagnostics), (vec![], vec![]));
    let classes: Vec<_> = assessment.class_of.iter().map(|c| c.as_deref().unwrap_or("-").to_owned()).collect();
    assert_eq!(classes, ["database", "database", "staging", "staging", "test", "test", "critical", "critical"]);
}

#[test]
fn the_policy_test_of_the_dialect() {
    let mut world = dialect();
    world.asset("a1", &[("managed", "true"), ("env", "prod"), ("tier", "web")], &[("openssl-libs", OLD, "x86_64", "", "")]);
    world.observation.advisories.clear();
    let advisory = world.advisory("TEST-1", vec![rpm("openssl-libs", NEW)]);
    advisory.published = Some(at("2026-11-19T00:00:00Z"));
    advisory.exploited = exploited("2026-11-20T00:00:00Z");
    let expected = format!("a1 TEST-1 openssl-libs {OLD} {NEW} due on-time exploited 2026-11-21T00:00:00Z linux-security");
    assert_eq!(world.lines(), [expected]);
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap();
    assert_eq!((finding.judgement.lane, finding.judgement.decision), (Lane::Emergency, Decision::Act));
}

/// Status and detail of the only finding; `-` when there is none.
fn status(world: &World) -> String {
    let assessment = world.assess();
    let mut all = assessment.findings(&world.observation);
    let words = all.next().map_or("-".to_owned(), |f| {
        let detail = f.judgement.detail.as_ref().map_or(String::new(), |d| format!(": {d}"));
        format!("{}{detail}", f.judgement.status)
    });
    assert!(all.next().is_none(), "one finding only: {:?}", world.lines());
    words
}

fn planned(world: &World) -> bool {
    world.assess().findings(&world.observation).any(|f| f.judgement.is_planned())
}

fn deadline(world: &World) -> String {
    let assessment = world.assess();
    let finding = assessment.findings(&world.observation).next().unwrap_or_else(|| panic!("no finding"));
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
    let broken = crate::observe::Package { state: crate::observe::PackageState::HalfConfigured, ..left };
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
    world.asset("a", &[], &[("lib", "1-1", "x86_64", "", ""), ("lib", "3-1", "x86_64", "", ""), ("lib", "1-1", "i686", "", "")]);
    world.advisory("A-1", vec![rpm("lib", "2-1")]);
    assert_eq!(world.lines(), ["a A-1 lib 1-1 2-1 due on-time high 2026-11-25T00:00:00Z p"]);
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
    world.asset("a", &[], &[("libssl3", "3.0.11-1", "amd64", "openssl", ""), ("openssl", "3.0.11-1", "amd64", "", "")]).facts.os =
        debian();
    world.advisory("DSA-1", vec![deb("openssl", "3.0.13-1~deb12u1")]);
    let rest = "3.0.11-1 3.0.13-1~deb12u1 due on-time high 2026-11-25T00:00:00Z p";
    assert_eq!(world.lines(), [format!("a DSA-1 libssl3 {rest}"), format!("a DSA-1 openssl {rest}")]);
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
        let packages: Vec<world::P<'_>> = installed.iter().map(|v| ("kernel-core", *v, "x86_64", "kernel", "")).collect();
        let named = |v: &str| if v.is_empty() { String::new() } else { release(v) };
        world.asset("a", &[], &packages).facts.kernel = kernel(&named(running), &named(default));
        world.advisory("A-1", vec![rpm("kernel-core", K2)]);
        assert_eq!(status(&world), expected, "{installed:?} running {running} default {default}");
        if expected == pending {
            assert_eq!(world.assess().hits[0].installed.as_ref(), K1, "the running version is what is judged");
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
    assert_eq!((hit.package.as_ref(), hit.installed.as_ref()), ("linux-image-6.1.0-18-amd64", "6.1.76-1"));
    world.observation.assets[0].facts.kernel = kernel("6.1.0-21-amd64", "6.1.0-21-amd64");
    assert_eq!(status(&world), "-", "older leftovers do not count");
}

#[test]
fn a_process_that_runs_old_code_is_pending() {
    let mut world = World::plain();
    let needed = RestartNeeded { process: "nginx".into(), packages: vec!["openssl-libs".into()] };
    world.asset("a", &[], &[("openssl-libs", NEW, "x86_64", "", "")]).facts.restart_needed = Some(vec![needed].into());
    world.advisory("A-0", vec![rpm("openssl-libs", "1:3.0.7-20.el9")]);
    world.advisory("A-1", vec![rpm("openssl-libs", NEW)]);
    assert_eq!(status(&world), "pending-reboot: a process still runs old code", "only the newest fix is certainly missing");
}

#[test]
fn a_live_patch_that_covers_all_of_it_mitigates() {
    let patch = |fixes: &[&str]| {
        let fixes = fixes.iter().map(|f| Arc::from(*f)).collect();
        Some(Arc::new(LivePatch { engine: "kpatch".into(), fixes }))
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
        assert_eq!(deadline(&world), "2026-11-25T00:00:00Z", "the reboot has its own deadline");
    }
}

#[test]
fn include_is_any_of_and_exclude_takes_out_again() {
    let mut world = one();
    for (include, exclude, expected) in [
        (json!([{"types": ["bugfix"]}]), json!([]), "-"),
        (json!([{"types": ["bugfix"]}, {"packages": ["openssl*"]}]), json!([]), "due"),
        (json!([{"types": ["security"], "packages": ["kernel*"]}]), json!([]), "-"),
        (json!([{"advisories": ["CVE-2026-2"]}]), json!([]), "due"),
        (json!([{"severity": {"atLeast": "critical"}}]), json!([]), "-"),
        (json!([{"when": "asset.labels.env == \"prod\""}]), json!([]), "due"),
        (json!([{"types": ["security"]}]), json!([{"advisories": ["A-1"]}]), "-"),
        (json!([{"types": ["security"]}]), json!([{"packages": ["openssl*"], "severity": "low"}]), "due"),
        (json!([{"when": "finding.lane == \"routine\""}]), json!([]), "due"),
    ] {
        world.policy("p", json!({"include": include, "exclude": exclude}));
        assert_eq!(status(&world), expected, "{include} {exclude}");
    }
}

#[test]
fn a_hold_keeps_back_but_hides_nothing() {
    let mut world = one();
    world.policy("p", json!({"holds": [{"packages": ["openssl*"], "until": "2027-03-31", "reason": "not certified"}]}));
    assert_eq!(status(&world), "held: held by policy `p` until 2027-03-31: not certified");
    assert!(!planned(&world));
    world.now = at("2026-12-30T00:00:00Z");
    let line = &world.lines()[0];
    assert!(line.contains("held breached"), "{line}");
    for (hold, expected) in [
        (json!({"packages": ["openssl*"], "versions": ">= 4", "until": "2027-03-31"}), "breached"),
        (json!({"packages": ["openssl*"], "versions": ">= 3, < 4", "until": "2027-03-31"}), "held"),
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
    assert_eq!(status(&world), "awaiting-approval: a person must ask for security advisories");
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
    assert!(world.lines()[0].contains(" #1 "), "a rule without a name is its place: {:?}", world.lines());
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
    assert_eq!(status(&world), "unknown: the publication date is unknown, and `unknownDate: block` gives no deadline then");
    assert!(!planned(&world));
    world.memory = Memory::default();
    world.sla("s", with("published", "detected"));
    assert_eq!(deadline(&world), "2026-11-21T12:00:00Z", "never seen before = seen now");
    world.sla("s", json!({"clock": "published", "rules": [{"clock": "detected", "within": "2d"}], "default": {"within": "1d"}}));
    assert_eq!(deadline(&world), "2026-11-22T12:00:00Z", "a rule's own clock");
}

#[test]
fn next_cycle_is_the_second_cut_after_the_clock() {
    let mut world = one();
    world.sla("s", json!({"rules": [{"within": "next-cycle"}], "default": {"within": "30d"}}));
    assert_eq!(deadline(&world), "2026-12-18T00:00:00Z", "no cadence: the default");
    world.policy("p", json!({"cadence": {"rrule": "FREQ=MONTHLY;BYDAY=2TU", "offset": "1d", "start": "06:00", "timezone": "Europe/Berlin"}}));
    assert_eq!(deadline(&world), "2027-01-13T05:00:00Z", "2026-12-09 is the first, 2027-01-13 the second");
    world.policy("p", json!({}));
    world.sla("s", json!({"rules": [], "default": {"within": "next-cycle"}}));
    assert!(status(&world).starts_with("unknown: `within: next-cycle` needs a cadence"), "{}", status(&world));
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
        assert_eq!(deadline(&world), format!("{expected}T00:00:00Z"), "{clock} {published} {since}");
        assert!(world.lines()[0].contains(" kev "), "{:?}", world.lines());
    }
    world.observation.advisories[0].exploited = exploited("");
    world.observation.advisories[0].published = Some(at("2026-11-18T00:00:00Z"));
    world.memory.exploited.insert("CVE-2026-2".into(), at("2026-11-19T00:00:00Z"));
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
    assert_eq!(world.lines()[0], format!("a A-1 openssl-libs {OLD} {NEW} due on-time baseline 2027-02-16T00:00:00Z p"));
    world.observation.advisories[0].exploited = exploited("2026-11-20T00:00:00Z");
    assert_eq!(deadline(&world), "2026-11-23T00:00:00Z", "exploitation moves a baseline finding too");
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
        (vec![json!({"advisories": ["CVE-2026-1"]}), json!({"advisories": ["CVE-2026-2"]})], "excepted"),
        (vec![json!({"advisories": ["CVE-2026-1"], "outcome": "mitigated"}), json!({"advisories": ["CVE-2026-2"]})], "excepted"),
        (vec![json!({"advisories": ["A-1"], "outcome": "unpatchable"})], "unpatchable"),
        (vec![json!({"advisories": ["A-1"], "outcome": "not-affected"}), json!({"advisories": ["A-1"]})], "not-affected"),
        (vec![json!({"advisories": ["A-1"], "packages": ["bash"]})], "due"),
        (vec![json!({"packages": ["openssl*"], "outcome": "mitigated"})], "mitigated"),
        (vec![json!({"advisories": ["A-1"], "expires": "2026-11-19"})], "due"),
        (vec![json!({"advisories": ["A-1"], "expires": "2026-11-20"})], "excepted"),
        (vec![json!({"advisories": ["A-1"], "selector": {"matchLabels": {"env": "test"}}})], "due"),
        (vec![json!({"advisories": ["A-1"], "when": "asset.labels.env == \"prod\""})], "excepted"),
        (vec![json!({"reason": "everything"})], "due"),
        (vec![json!({"advisories": ["CVE-2026-1"], "expires": "2026-11-01"}), json!({"advisories": ["CVE-2026-2"]})], "due: 1 of 2"),
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
    world.exception("e", json!({"advisories": ["A-1"], "expires": "2026-11-19", "onExpiry": "restart-clock"}));
    assert_eq!(deadline(&world), "2026-11-27T00:00:00Z", "seven days from the end of 11-19");
}

#[test]
fn of_several_policies_the_earliest_deadline_wins() {
    let mut world = one();
    world.sla("fast", json!({"rules": [], "default": {"within": "5d"}}));
    world.policy("q", json!({"sla": "fast"}));
    let line = |world: &World| world.lines()[0].clone();
    assert!(line(&world).ends_with("due on-time default 2026-11-23T00:00:00Z q"), "{}", line(&world));
    world.policy("q", json!({"sla": "fast", "holds": [{"packages": ["*"], "until": "2027-01-01"}]}));
    assert!(line(&world).ends_with("due on-time high 2026-11-25T00:00:00Z p"), "a hold binds its own policy: {}", line(&world));
    world.now = at("2026-11-23T00:00:01Z");
    assert!(line(&world).contains("due breached"), "and hides no breach: {}", line(&world));
    world.policy("q", json!({"sla": "fast", "exclude": [{"packages": ["openssl*"]}]}));
    assert!(line(&world).contains("due on-time"), "{}", line(&world));
}

#[test]
fn policies_that_cannot_both_be_followed_are_refused() {
    for other in [json!({"rollout": "other"}), json!({"strategy": "latest"}), json!({"requires": {"reversible": "exact"}})] {
        let mut world = one();
        world.policy("q", other);
        assert!(status(&world).starts_with("due: refused: policies `p` and `q` claim it"), "{}", status(&world));
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
    assert_eq!(status(&world), "unknown: the observation is stale; from its last facts it would be due");
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
    assert_eq!(assessment.findings(&world.observation).count(), 1, "retired assets have none");
    let remarks: Vec<String> =
        assessment.remarks.iter().map(|r| format!("{} {}: {}", r.asset, r.status, r.detail)).collect();
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
    assert!(assessment.remarks[0].detail.contains("only stale sources claim it: almalinux"), "{:?}", assessment.remarks);
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
    assert!(assessment.remarks[0].detail.contains("class `f` cannot be decided: there is no label `tier`"), "{:?}", assessment.remarks);
    world.class("f", class(1, "asset.labels.tier == \"db\""));
    world.catalog.classes.remove("e");
    assert_eq!(classes(&world.catalog, &world.observation), [Some(Arc::from("d"))], "it could not have won");
}

#[test]
fn a_condition_without_an_answer_makes_unknown_not_a_guess() {
    let mut world = one();
    world.policy("p", json!({"scope": {"when": "asset.labels.tier == \"db\""}}));
    assert!(status(&world).starts_with("unknown: scope of policy `p` cannot be decided"), "{}", status(&world));
    world.policy("p", json!({"include": [{"when": "asset.labels.tier == \"db\""}]}));
    assert!(status(&world).starts_with("unknown: include 1 of policy `p` cannot be decided"), "{}", status(&world));
    world.policy("p", json!({"exclude": [{"when": "asset.labels.tier == \"db\""}]}));
    assert!(status(&world).starts_with("unknown: exclude 1"), "{}", status(&world));
    world.policy("p", json!({}));
    world.sla("s", json!({"rules": [{"when": "asset.labels.tier == \"db\"", "within": "1d"}], "default": {"within": "30d"}}));
    assert!(status(&world).starts_with("unknown: SLA rule `#1` cannot be decided"), "{}", status(&world));
    assert!(!planned(&world) && !world.assess().diagnostics.is_empty());
    let mut world = one();
    world.exception("e", json!({"advisories": ["A-1"], "when": "asset.labels.tier == \"db\""}));
    assert_eq!(status(&world), "due", "no relief");
    assert_eq!(world.assess().remarks.len(), 1);
}

#[test]
fn decision_tables_are_never_silently_skipped() {
    let mut world = one();
    world.sla("s", json!({"table": {"pack": "cisa-bod-26-04"}, "outcomes": {}, "default": {"within": "60d"}}));
    let notes = world.assess().diagnostics;
    assert!(notes[0].message.contains("decision tables are not built yet"), "{notes:?}");
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
    assert!(lines[1].starts_with("a,A-1,CVE-2026-1 CVE-2026-2,rpm,openssl-libs,"), "{csv}");
}

#[test]
fn an_explanation_tells_what_the_judgement_says() {
    let mut world = one();
    world.sla("s", json!({"rules": [{"name": "kev", "exploited": true, "within": "1d", "lane": "emergency"}, {"name": "critical", "severity": "critical", "within": "5d"}], "default": {"within": "30d"}}));
    world.observation.advisories[0].exploited = exploited("2026-11-19T00:00:00Z");
    world.policy("q", json!({"holds": [{"packages": ["openssl*"], "until": "2027-01-01", "reason": "why not"}]}));
    world.exception("e", json!({"advisories": ["CVE-2026-1"]}));
    let explained = |advisory| explain(&world.catalog, &world.observation, &world.memory, world.now, 0, advisory).unwrap();
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
    let judged = line(&assessment.findings(&world.observation).next().unwrap(), &world.observation);
    let finding = &explained(None).findings[0];
    assert!(judged.contains(&finding.deadline.unwrap().to_string()) && judged.contains(finding.status.unwrap().as_str()));
    assert!(explained(Some("A-9")).to_string().contains("no source knows `A-9`"));
    assert!(serde_json::to_value(explained(None)).unwrap()["findings"][0]["steps"].is_array());
}
