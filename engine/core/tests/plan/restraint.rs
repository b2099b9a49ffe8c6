//! What a rollout leaves alone: what is newer already, what a policy keeps back, what nobody can judge.

use std::sync::Arc;

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use patchwave_core::history::{History, Memory, WaveState};
use patchwave_core::load::wire::Lane;
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Kernel, Observation, Package, RestartNeeded};
use patchwave_core::plan::Plan;

/// For each asset, `package version` of what it takes.
fn taken(plan: &Plan) -> Vec<String> {
    let rollouts = plan.rollouts.iter();
    let mut taken: Vec<String> = rollouts
        .flat_map(|r| {
            let assets = r.waves.iter().flat_map(|w| &w.batches).flat_map(|b| &b.assets);
            assets.flat_map(|a| {
                a.targets
                    .iter()
                    .filter_map(|t| r.targets.get(*t))
                    .map(|t| format!("{} {} {}", a.name, t.name, t.version))
            })
        })
        .collect();
    taken.sort();
    taken
}

fn plan_with(
    changes: &[(&str, &str)],
    machines: &[Machine],
    advisories: &[AdvisoryRecord],
    edit: impl FnOnce(&mut Observation),
) -> Plan {
    let now = at(NOW);
    let mut observation = observation("f", &[], machines, advisories, now);
    edit(&mut observation);
    World::new(catalog(&resources(changes), now), observation, History::default(), now).plan(now)
}

fn runs(name: &str, packages: &[(&str, &str, &str)]) -> Machine {
    let packages = packages.iter().map(|(n, v, s)| ((*n).into(), (*v).into(), (*s).into()));
    Machine {
        packages: packages.collect(),
        ..machine(name, &[("env", "test")])
    }
}

fn high(id: &str, fixes: &[(&str, &str)]) -> AdvisoryRecord {
    advisory(id, Severity::High, "2026-11-18T00:00:00Z", fixes)
}

#[test]
fn nothing_is_pinned_below_what_is_installed() {
    let machines = [
        runs("t1", &[("openssl-libs", "1:3.0.7-27.el9", "openssl")]),
        runs("t2", &[("openssl-libs", "1:3.0.7-28.el9", "openssl")]),
    ];
    let old_code = |o: &mut Observation| {
        for asset in &mut o.assets {
            let needed = RestartNeeded {
                process: "nginx".into(),
                packages: vec!["openssl-libs".into()],
            };
            asset.facts.restart_needed = Some(Arc::from([needed]));
        }
    };
    let plan = plan_with(&[], &machines, &[openssl()], old_code);
    assert_eq!(taken(&plan), ["t1 openssl-libs 1:3.0.7-27.el9"]);
    assert_eq!(refusals(&plan), [("needs a reboot only", "t2")]);
}

#[test]
fn a_newer_kernel_that_waits_for_its_boot_stays() {
    let old = ("kernel-core", "5.14.0-1.el9", "kernel");
    let machines = [
        runs("t1", &[old, ("kernel-core", "5.14.0-4.el9", "kernel")]),
        runs("t2", &[old, ("kernel-core", "5.14.0-5.el9", "kernel")]),
        runs("t3", &[old]),
    ];
    let running = |o: &mut Observation| {
        for asset in &mut o.assets {
            asset.facts.kernel = Some(Kernel {
                running: Some("5.14.0-1.el9.x86_64".into()),
                default_boot: None,
            });
        }
    };
    let advisories = [high("ALSA-1", &[("kernel-core", "5.14.0-4.el9")])];
    let plan = plan_with(&[], &machines, &advisories, running);
    assert_eq!(
        taken(&plan),
        ["t1 kernel-core 5.14.0-4.el9", "t3 kernel-core 5.14.0-4.el9"]
    );
    assert_eq!(refusals(&plan), [("needs a reboot only", "t2")]);
}

#[test]
fn what_the_policy_excludes_on_an_asset_is_not_taken_along() {
    let mut machines = [
        machine("t1", &[("env", "test")]),
        machine("t2", &[("env", "test"), ("app", "legacy")]),
    ];
    let exclude = "  rollout: standard\n  exclude: [{when: 'has(asset.labels.app)', reason: x}]\n";
    let change = [("  rollout: standard\n", exclude)];
    let plan = plan_with(&change, &machines, &[openssl()], |_| {});
    assert_eq!(taken(&plan), ["t1 openssl-libs 1:3.0.7-27.el9"]);
    assert_eq!(refusals(&plan), []);
    // One that lacks the version for no finding's sake takes it: a rollout has one set.
    machines[1].packages[0].1 = "1:3.0.7-27.el9".into();
    let newer = [openssl(), high("ALSA-2", &[("openssl-libs", "1:3.0.7-28.el9")])];
    let legacy = "  rollout: standard\n  exclude: [{advisories: [ALSA-2], when: 'has(asset.labels.app)', reason: x}]\n";
    let plan = plan_with(&[("  rollout: standard\n", legacy)], &machines, &newer, |_| {});
    assert_eq!(taken(&plan), ["t1 openssl-libs 1:3.0.7-28.el9"]);
}

#[test]
fn a_held_finding_stays_where_another_policy_would_not_keep_it() {
    let hold = "  rollout: standard\n  holds: [{packages: [openssl-libs], until: '2027-01-01', reason: x}]\n";
    let plan = plan_with(&[("  rollout: standard\n", hold)], &one_each(), &[openssl()], |_| {});
    assert_eq!(taken(&plan), [""; 0]);
}

#[test]
fn a_package_nobody_can_judge_is_left() {
    let machines = [
        runs("t1", &[("nodejs", "1:18.20.4-0.module_el9+90+b", "nodejs")]),
        runs("t2", &[("nodejs", "1:18.19.0-1.module_el9+90+b", "nodejs")]),
    ];
    // The feed names no stream: only the upstream version of t1 says which fix is meant.
    let fixes = [
        ("nodejs", "1:18.20.4-1.module_el9+100+a"),
        ("nodejs", "1:20.16.0-1.module_el9+101+a"),
    ];
    let record = high("ALSA-7", &fixes);
    let label = |o: &mut Observation| {
        for asset in &mut o.assets {
            let set = asset.facts.packages.unwrap();
            let packages: Vec<Package> = o.tables.set(set).iter().map(|id| o.tables.package(*id)).collect();
            let module = o.tables.intern("nodejs:18");
            let ids = packages
                .into_iter()
                .map(|p| o.tables.package_id(Package { module, ..p }))
                .collect();
            asset.facts.packages = Some(o.tables.set_id(ids));
        }
    };
    let plan = plan_with(&[], &machines, &[record], label);
    assert!(
        plan.refusals.iter().any(|r| r.reason.as_ref() == "unknown"),
        "{:#?}",
        plan.refusals
    );
    assert_eq!(taken(&plan), ["t1 nodejs 1:18.20.4-1.module_el9+100+a"]);
}

#[test]
fn coherence_stops_at_a_hold_and_at_what_is_excluded() {
    let machines = [runs(
        "t1",
        &[("foo", "1.0-1.el9", "foo"), ("foo-libs", "1.0-1.el9", "foo")],
    )];
    let advisories = [
        high("ALSA-2", &[("foo", "2.0-1.el9")]),
        high("ALSA-3", &[("foo-libs", "1.5-1.el9")]),
        high("ALSA-4", &[("foo-libs", "2.0-1.el9")]),
    ];
    let all = ["t1 foo 2.0-1.el9", "t1 foo-libs 2.0-1.el9"];
    assert_eq!(taken(&plan_with(&[], &machines, &advisories, |_| {})), all);
    let kept = ["t1 foo 2.0-1.el9", "t1 foo-libs 1.5-1.el9"];
    for back in [
        "holds: [{packages: [foo-libs], versions: '>= 2', until: '2027-01-01', reason: x}]",
        "holds: [{advisories: [ALSA-4], until: '2027-01-01', reason: x}]",
        "exclude: [{advisories: [ALSA-4], reason: x}]",
    ] {
        let policy = format!("  rollout: standard\n  {back}\n");
        let plan = plan_with(&[("  rollout: standard\n", &policy)], &machines, &advisories, |_| {});
        assert_eq!(taken(&plan), kept, "{back}");
    }
    let mut withdrawn = advisories.clone();
    withdrawn[2].withdrawn = Some(at("2026-11-19T00:00:00Z"));
    assert_eq!(taken(&plan_with(&[], &machines, &withdrawn, |_| {})), kept);
    let mut other = advisories;
    other[2].fixes[0].ecosystem.release = Some("8".into());
    assert_eq!(taken(&plan_with(&[], &machines, &other, |_| {})), kept);
}

#[test]
fn policies_that_contradict_each_other_are_refused_by_name() {
    let second = "  rollout: standard\n---\napiVersion: patchwave.dev/v1\nkind: PatchPolicy\nmetadata: {name: other}\nspec:\n  scope: {selector: {}}\n  include: [{types: [security]}]\n  sla: sla\n  rollout: standard\n  strategy: latest\n";
    let plan = plan_with(&[("  rollout: standard\n", second)], &one_each(), &[openssl()], |_| {});
    assert_eq!(
        refusals(&plan),
        [("conflict", "p1"), ("conflict", "s1"), ("conflict", "t1")]
    );
    let detail = &plan.refusals[0].detail;
    assert!(detail.contains("`linux`") && detail.contains("`other`"), "{detail}");
}

/// For each rollout its name and the assets it takes.
fn who(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let assets = |r: &patchwave_core::plan::Rollout| r.placement().into_keys().map(|n| n.to_string()).collect();
    plan.rollouts.iter().map(|r| (r.name.to_string(), assets(r))).collect()
}

#[test]
fn what_is_exploited_while_a_rollout_is_under_way_overtakes_it() {
    let now = at(NOW);
    let first = world(&[], &one_each(), &[openssl()]).plan(now);
    let states = [WaveState::Approved, WaveState::Pending, WaveState::Pending];
    let known = [exploited(openssl(), "2026-11-20T10:00:00Z")];
    let yaml = resources(&[(
        "outsideWindows: {allowed: true, approvers: [boss], notice: 2h}",
        "outsideWindows: {allowed: true, approvers: [boss], notice: 1h}",
    )]);
    let history = opened(&first, &states);
    let plan = world_at(&yaml, &one_each(), &known, history.clone(), now).plan(now);
    let urgent = plan
        .rollouts
        .iter()
        .find(|r| r.lane == Lane::Emergency)
        .expect("cut at once");
    assert!(urgent.placement().contains_key("p1") && urgent.placement().contains_key("s1"));
    // The routine one lets go of what it has not begun.
    let routine = plan.rollouts.iter().find(|r| r.lane == Lane::Routine).unwrap();
    assert_eq!(
        routine
            .placement()
            .into_keys()
            .map(|n| n.to_string())
            .collect::<Vec<_>>(),
        ["t1"]
    );
    assert!(plan.waiting.is_empty(), "{:?}", plan.waiting);
    // The same again once the emergency rollout is open.
    let mut both = history;
    let opened = opened(&plan, &[WaveState::Pending; 3]);
    both.open
        .extend(opened.open.into_iter().filter(|o| o.lane == Lane::Emergency));
    both.names.extend(opened.names);
    let again = world_at(&yaml, &one_each(), &known, both, now).plan(now);
    assert_eq!(who(&again), who(&plan));
}

/// A second policy with the same rollout, for the assets with `side: both` or `side: right`.
const SECOND: &str = "  scope: {selector: {matchExpressions: [{key: side, operator: In, values: [both, left]}]}}\n  include:\n    - types: [security]\n  sla: sla\n  rollout: standard\n---\napiVersion: patchwave.dev/v1\nkind: PatchPolicy\nmetadata: {name: second}\nspec:\n  scope: {selector: {matchExpressions: [{key: side, operator: In, values: [both, right]}]}}\n  include: [{types: [security]}]\n  sla: sla\n  rollout: standard\n";
const FIRST: &str = "  scope: {selector: {}}\n  include:\n    - types: [security]\n  sla: sla\n  rollout: standard\n";

#[test]
fn two_policies_do_not_carry_one_update_twice() {
    let sided = |name: &str, env: &str, side: &str| machine(name, &[("env", env), ("side", side)]);
    let machines = [
        sided("t1", "test", "left"),
        sided("t2", "test", "both"),
        sided("t3", "test", "right"),
    ];
    let plan = plan_with(&[(FIRST, SECOND)], &machines, &[openssl()], |_| {});
    let named = |name: &str, assets: &[&str]| {
        (
            name.to_owned(),
            assets.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        who(&plan),
        [
            named("linux-2026-11-20", &["t1", "t2"]),
            named("second-2026-11-20", &["t3"])
        ]
    );
    // What proves it for a later wave stays, and the deadline is that of the first.
    let machines = [sided("t2", "test", "both"), sided("s1", "staging", "right")];
    let plan = plan_with(&[(FIRST, SECOND)], &machines, &[openssl()], |_| {});
    assert_eq!(refusals(&plan), []);
    assert_eq!(
        who(&plan),
        [
            named("linux-2026-11-20", &["t2"]),
            named("second-2026-11-20", &["s1", "t2"])
        ]
    );
    assert_eq!(plan.rollouts[1].waves[0].deadline, None);
}

#[test]
fn what_nobody_dated_ages_from_when_it_was_seen() {
    let aged = "  rollout: standard\n  release: {minAge: 3d}\n";
    let mut undated = openssl();
    undated.published = None;
    let yaml = resources(&[("  rollout: standard\n", aged)]);
    for (seen, expected) in [
        (None, "2026-11-23T12:00:00Z"),
        (Some("2026-11-19T00:00:00Z"), "2026-11-22T00:00:00Z"),
    ] {
        let advisories = seen.map(|s| ("ALSA-1".into(), at(s))).into_iter().collect();
        let memory = Memory {
            advisories,
            ..Memory::default()
        };
        let history = History {
            memory,
            ..History::default()
        };
        let plan = world_at(&yaml, &one_each()[2..], &[undated.clone()], history, at(NOW)).plan(at(NOW));
        assert_eq!(
            plan.rollouts[0].waves[0].batches[0].start,
            Some(at(expected)),
            "{seen:?}"
        );
    }
}

#[test]
fn an_age_that_makes_a_rollout_late_says_so() {
    let aged = "  rollout: standard\n  release: {minAge: 40d}\n";
    let plan = plan_with(
        &[("  rollout: standard\n", aged)],
        &one_each()[2..],
        &[openssl()],
        |_| {},
    );
    let wave = &plan.rollouts[0].waves[0];
    assert!(wave.slack_seconds.unwrap() < 0 && wave.binding.is_some());
    assert!(
        wave.fixes.iter().any(|f| f.contains("release.minAge")),
        "{:?}",
        wave.fixes
    );
}

#[test]
fn a_debian_kernel_comes_by_its_metapackage_or_not_at_all() {
    let image = ("linux-image-6.1.0-18-amd64", "6.1.76-1", "linux");
    let machines = [
        runs("t1", &[image, ("linux-image-amd64", "6.1.76-1", "linux-signed-amd64")]),
        runs("t2", &[image]),
        runs(
            "t3",
            &[
                image,
                ("linux-image-6.1.0-28-amd64", "6.1.119-1", "linux"),
                ("linux-image-amd64", "6.1.119-1", "linux"),
            ],
        ),
    ];
    let mut record = high("DSA-1", &[("linux", "6.1.119-1")]);
    for fix in &mut record.fixes {
        fix.by_source = true;
        fix.ecosystem = patchwave_core::observe::Ecosystem {
            scheme: patchwave_core::version::Scheme::Deb,
            os_id: "debian".into(),
            release: Some("12".into()),
        };
    }
    let debian = |o: &mut Observation| {
        for asset in &mut o.assets {
            let os = asset.facts.os.as_mut().unwrap();
            (os.family, os.id, os.version) = ("debian".into(), "debian".into(), "12".into());
            asset.facts.kernel = Some(Kernel {
                running: Some("6.1.0-18-amd64".into()),
                default_boot: None,
            });
        }
        o.coverage[0].os_id = "debian".into();
    };
    let plan = plan_with(&[], &machines, &[record], debian);
    // The third only reboots into what it has.
    assert_eq!(
        taken(&plan),
        ["t1 linux-image-amd64 6.1.119-1", "t3 linux-image-amd64 6.1.119-1"]
    );
    assert_eq!(refusals(&plan), [("not-installable", "t2")]);
    assert!(plan.refusals[0].detail.contains("the fix is another package"));
}

#[test]
fn an_order_holds_through_a_service_without_members() {
    let services = "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, dependsOn: [cache]}\n    - {name: cache, members: {matchLabels: {tier: cache}}, dependsOn: [db]}\n    - {name: db, members: {matchLabels: {tier: db}}}\n";
    let machines = [
        machine("a", &[("env", "test"), ("tier", "web")]),
        machine("b", &[("env", "test"), ("tier", "db")]),
    ];
    let plan = plan_with(&[("  services: []\n", services)], &machines, &[openssl()], |_| {});
    assert_eq!(batches(&plan.rollouts[0].waves[0]), [["b"], ["a"]]);
}

#[test]
fn what_falls_into_a_pause_is_cut_at_its_end() {
    let paused = "  rollout: standard\n  cadence: {rrule: FREQ=DAILY, start: '06:00', timezone: UTC}\n  pause: {until: '2026-11-22T10:00:00Z', reason: x, by: y}\n";
    let plan = plan_with(&[("  rollout: standard\n", paused)], &one_each(), &[openssl()], |_| {});
    assert_eq!(plan.waiting[0].cut, at("2026-11-22T10:00:00Z"));
}
