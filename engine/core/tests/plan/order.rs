//! Waves, batches, services, budgets: who goes with whom and who before whom.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use patchwave_core::history::{History, WaveState};
use patchwave_core::load::wire::Lifecycle;
use patchwave_core::plan::{Binding, Plan, Wave, dot, graph, mermaid};

/// So many machines of one environment, `<prefix>1`, `<prefix>2`, …, beside one in test and staging each.
fn prod(names: &[&str], labels: &[(&str, &str)]) -> Vec<Machine> {
    let all = |name: &&str| {
        let mut labels = labels.to_vec();
        labels.push(("env", "prod"));
        machine(name, &labels)
    };
    let others = one_each().into_iter().filter(|m| m.name != "p1");
    names.iter().map(all).chain(others).collect()
}

fn last_wave(plan: &Plan) -> &Wave {
    plan.rollouts[0].waves.last().unwrap()
}

fn plan_of(changes: &[(&str, &str)], machines: &[Machine]) -> Plan {
    world(changes, machines, &[openssl()]).plan(at(NOW))
}

const SIZES: &str = "environments: [prod], soak: 24h}";

#[test]
fn sizes_come_in_order_and_the_last_repeats() {
    let machines = prod(&["a", "b", "c", "d", "e", "f", "g"], &[]);
    for (sizes, expected) in [
        ("[\"100%\"]", vec![7]),
        ("[1, \"30%\"]", vec![1, 2, 2, 2]),
        ("[2, 4]", vec![2, 4, 1]),
        ("[\"5%\", \"50%\", \"100%\"]", vec![1, 3, 3]),
    ] {
        let wave = format!("environments: [prod], soak: 24h, batches: {sizes}}}");
        let plan = plan_of(&[(SIZES, &wave)], &machines);
        let found: Vec<usize> = last_wave(&plan).batches.iter().map(|b| b.assets.len()).collect();
        assert_eq!(found, expected, "{sizes}");
        let ids: Vec<&str> = last_wave(&plan).batches.iter().map(|b| b.id.as_ref()).collect();
        assert_eq!(ids, ["01", "02", "03", "04"][..expected.len()]);
    }
}

#[test]
fn a_budget_splits_a_batch_and_what_is_left_of_the_size_is_the_next() {
    let services = "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, maxUnavailable: 2}";
    let wave = "environments: [prod], soak: 24h, batches: [3, 5]}";
    let mut machines = prod(&["w1", "w2", "w3", "w4"], &[("tier", "web")]);
    machines.extend(prod(&["x1", "x2"], &[]).into_iter().take(2));
    let plan = plan_of(&[("  services: []", services), (SIZES, wave)], &machines);
    // Of the first three: w1, w2 and x1. Of the next five: w3, w4 and x2.
    assert_eq!(
        batches(last_wave(&plan)),
        [vec!["w1", "w2", "x1"], vec!["w3", "w4", "x2"]]
    );
    let two = plan_of(&[("  services: []", services), (SIZES, wave)], &machines[..4]);
    assert!(
        two.refusals.iter().any(|r| r.reason.as_ref() == "untested"),
        "without test and staging nothing is proved"
    );
}

#[test]
fn services_go_one_after_the_other_and_by_label() {
    let services = "  services:
    - {name: db, members: {matchLabels: {tier: db}}, order: {label: role, values: [replica, primary]}}
    - {name: web, members: {matchLabels: {tier: web}}, dependsOn: [db]}";
    let mut machines = prod(&["a-web", "b-web"], &[("tier", "web")]);
    for (name, role) in [("m-db", "primary"), ("n-db", "replica"), ("o-db", "other")] {
        machines.extend(prod(&[name], &[("tier", "db"), ("role", role)]).into_iter().take(1));
    }
    let plan = plan_of(&[("  services: []", services)], &machines);
    assert_eq!(
        batches(last_wave(&plan)),
        [vec!["n-db"], vec!["m-db"], vec!["o-db"], vec!["a-web", "b-web"]]
    );
}

#[test]
fn an_asset_of_two_services_goes_with_the_one_depended_on() {
    let services = "  services:
    - {name: db, members: {matchLabels: {tier: db}}}
    - {name: all, members: {}, dependsOn: [db]}";
    let mut machines = prod(&["a"], &[]);
    machines.extend(prod(&["b"], &[("tier", "db")]).into_iter().take(1));
    let plan = plan_of(&[("  services: []", services)], &machines);
    assert_eq!(batches(last_wave(&plan)), [["b"], ["a"]]);
}

#[test]
fn a_platform_is_never_in_the_window_of_what_it_serves() {
    let services = "  services:
    - {name: dns, members: {matchLabels: {tier: dns}}, platform: true}
    - {name: web, members: {matchLabels: {tier: web}}, dependsOn: [dns]}";
    let mut machines = prod(&["w"], &[("tier", "web")]);
    machines.extend(prod(&["d"], &[("tier", "dns")]).into_iter().take(1));
    let plan = plan_of(&[("  services: []", services)], &machines);
    let starts: Vec<_> = last_wave(&plan)
        .batches
        .iter()
        .map(|b| b.start.unwrap().to_string())
        .collect();
    assert_eq!(batches(last_wave(&plan)), [["d"], ["w"]]);
    assert_eq!(starts, ["2026-11-22T22:00:00Z", "2026-11-23T22:00:00Z"]);
}

#[test]
fn control_planes_go_before_workers() {
    let mut machines = prod(&["a", "b", "c"], &[]);
    for (machine, role) in machines.iter_mut().zip(["worker", "worker", "control-plane"]) {
        machine.role = Some(role.to_owned());
    }
    assert_eq!(
        batches(last_wave(&plan_of(&[], &machines))),
        [vec!["c"], vec!["a", "b"]]
    );
}

#[test]
fn assets_with_other_windows_are_other_batches() {
    let mut machines = prod(&["a", "c"], &[]);
    machines.extend(prod(&["b"], &[("window", "sundays")]).into_iter().take(1));
    let plan = plan_of(&[], &machines);
    let found: Vec<_> = last_wave(&plan)
        .batches
        .iter()
        .map(|b| (b.window.name.as_ref(), b.start.unwrap().to_string()))
        .collect();
    assert_eq!(batches(last_wave(&plan)), [vec!["a", "c"], vec!["b"]]);
    assert_eq!(
        found,
        [
            ("nights", "2026-11-22T22:00:00Z".to_owned()),
            ("sundays", "2026-11-29T02:00:00Z".to_owned())
        ]
    );
}

#[test]
fn a_wave_without_assets_is_left_out_and_what_needed_it_needs_what_it_needed() {
    let untested = (
        "  rollout: standard\n",
        "  rollout: standard\n  requires: {tested: true}\n",
    );
    let machines: Vec<Machine> = one_each().into_iter().filter(|m| m.name != "s1").collect();
    let plan = plan_of(&[untested], &machines);
    let waves: Vec<_> = plan.rollouts[0]
        .waves
        .iter()
        .map(|w| (w.name.as_ref(), w.number, w.needs.len()))
        .collect();
    assert_eq!(waves, [("test", 1, 0), ("prod", 3, 1)]);
    assert_eq!(plan.rollouts[0].waves[1].needs[0].as_ref(), "test");
    // The soak of test ends on Saturday at 12:30.
    assert_eq!(last_wave(&plan).batches[0].start, Some(at("2026-11-21T22:00:00Z")));
}

#[test]
fn a_service_that_may_lose_nobody_is_refused_and_the_rest_goes_on() {
    let services = "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, minAvailable: 2}";
    let mut machines = prod(&["w1", "w2"], &[("tier", "web")]);
    machines.extend(prod(&["x"], &[]).into_iter().take(1));
    let plan = plan_of(&[("  services: []", services)], &machines);
    assert_eq!(refusals(&plan), [("budget", "w1"), ("budget", "w2")]);
    assert!(
        plan.refusals
            .iter()
            .all(|r| r.binding == Some(Binding::Budget) && !r.fixes.is_empty())
    );
    assert_eq!(batches(last_wave(&plan)), [["x"]]);
    let three = prod(&["w1", "w2", "w3"], &[("tier", "web")]);
    assert_eq!(
        batches(last_wave(&plan_of(&[("  services: []", services)], &three))),
        [["w1"], ["w2"], ["w3"]]
    );
}

#[test]
fn retired_assets_count_nowhere() {
    let services = "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, minAvailable: 2}";
    let mut machines = prod(&["w1", "w2", "w3"], &[("tier", "web")]);
    machines[2].lifecycle = Lifecycle::Retired;
    let plan = plan_of(&[("  services: []", services)], &machines);
    assert_eq!(refusals(&plan), [("budget", "w1"), ("budget", "w2")]);
}

#[test]
fn budgets_hold_across_rollouts_and_what_failed_keeps_its_place() {
    let services = "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, maxUnavailable: 1}";
    let changes = [
        ("  services: []", services),
        ("window: {fromLabel: window, default: nights}", "window: always"),
    ];
    let mut machines = prod(&["w1", "w2"], &[("tier", "web")]);
    machines
        .iter_mut()
        .for_each(|m| m.packages.push(("curl".into(), "1-1".into(), "curl".into())));
    let now = at(NOW);
    let first = world(&changes, &machines, &[openssl()]).plan(now);
    let curl = advisory(
        "ALSA-2",
        patchwave_core::name::Severity::High,
        "2026-11-19T00:00:00Z",
        &[("curl", "2-1")],
    );
    let both = |history: History| {
        world_at(
            &resources(&changes),
            &machines,
            &[openssl(), curl.clone()],
            history,
            now,
        )
        .plan(now)
    };

    // Two rollouts: at each instant one of the two is down, and no asset is touched by both. The checker says so.
    let plan = both(opened(&first, &[WaveState::Approved]));
    assert_eq!(plan.rollouts.len(), 2);
    assert_ne!(
        last_wave(&plan).batches[0].start,
        plan.rollouts[1].waves[2].batches[0].start
    );

    let mut history = opened(&first, &[WaveState::Promoted, WaveState::Promoted, WaveState::Released]);
    let broken = &mut history.open[0].waves[2].batches;
    broken[0].released_at = Some(at("2026-11-20T11:00:00Z"));
    broken[0].failed.insert("w1".into(), "did not boot".into());
    broken[1].released_at = None;
    let plan = both(history);
    let stuck = &plan.rollouts[0].waves[2];
    assert_eq!((stuck.batches[1].start, stuck.binding), (None, Some(Binding::Budget)));
    assert_eq!(plan.rollouts[1].waves[2].binding, Some(Binding::Budget));
}

#[test]
fn what_is_released_keeps_its_times_and_the_rest_follows() {
    let wave = "environments: [prod], soak: 24h, batches: [1]}";
    let changes = [
        (SIZES, wave),
        ("window: {fromLabel: window, default: nights}", "window: always"),
    ];
    let machines = prod(&["a", "b"], &[]);
    let now = at(NOW);
    let mut world = world(&changes, &machines, &[openssl()]);
    let first = world.plan(now);
    let mut history = opened(&first, &[WaveState::Promoted, WaveState::Promoted, WaveState::Released]);
    let batches = &mut history.open[0].waves[2].batches;
    batches[0].released_at = Some(at("2026-11-20T11:50:00Z"));
    batches[1].released_at = None;
    world.history = history;
    let plan = world.plan(now);
    let times: Vec<_> = last_wave(&plan)
        .batches
        .iter()
        .map(|b| (b.released, b.start.unwrap().to_string()))
        .collect();
    assert_eq!(
        times,
        [
            (true, "2026-11-20T11:50:00Z".to_owned()),
            (false, "2026-11-20T12:20:00Z".to_owned())
        ]
    );
}

#[test]
fn each_miss_names_what_binds_and_what_would_help() {
    let tight = ("severity: high, within: 30d", "severity: high, within: 7d");
    let machines = prod(&["a", "b", "c"], &[]);
    let soak = |s: &'static str| ("environments: [test], soak: 24h", s);
    for (changes, expected) in [
        (
            vec![
                tight,
                ("window: {fromLabel: window, default: nights}", "window: sundays"),
                soak("environments: [test], soak: 60h"),
            ],
            Binding::Window,
        ),
        (vec![tight, soak("environments: [test], soak: 120h")], Binding::Soak),
        (
            vec![
                tight,
                ("window: {fromLabel: window, default: nights}", "window: always"),
                (SIZES, "environments: [prod], soak: 24h, batches: [1]}"),
                ("perAsset: 20m", "perAsset: 30h"),
                ("environments: [test], soak: 24h", "environments: [test], soak: 1h"),
                (
                    "environments: [staging], soak: 24h",
                    "environments: [staging], soak: 1h",
                ),
            ],
            Binding::Size,
        ),
        (
            vec![
                tight,
                ("window: {fromLabel: window, default: nights}", "window: always"),
                (
                    "  disruption: {maxUnavailable: 100%, per: class, reboot: ifNeeded}\n  protection: {backup: none, rollback: package-downgrade}\n---\napiVersion: patchwave.dev/v1\nkind: RolloutStrategy",
                    "  disruption: {maxUnavailable: 1, per: class, reboot: ifNeeded}\n  protection: {backup: none, rollback: package-downgrade}\n---\napiVersion: patchwave.dev/v1\nkind: RolloutStrategy",
                ),
                ("perAsset: 20m", "perAsset: 30h"),
                ("environments: [test], soak: 24h", "environments: [test], soak: 1h"),
                (
                    "environments: [staging], soak: 24h",
                    "environments: [staging], soak: 1h",
                ),
            ],
            Binding::Budget,
        ),
    ] {
        let plan = plan_of(&changes, &machines);
        let wave = last_wave(&plan);
        assert!(wave.slack_seconds.unwrap() < 0, "{expected:?}: {wave:#?}");
        assert_eq!(wave.binding, Some(expected), "{:#?}", plan.refusals);
        assert!(!wave.fixes.is_empty());
        assert!(
            refusals(&plan).iter().all(|r| *r == ("deadline", "")),
            "{:?}",
            plan.refusals
        );
    }
}

#[test]
fn overrides_open_a_freeze_and_a_window_for_whom_they_name() {
    let freeze = "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: sale}\nspec: {selector: {matchLabels: {env: prod}}, from: 2026-11-20, to: 2026-12-03}\n";
    let lift = "---\napiVersion: patchwave.dev/v1\nkind: Override\nmetadata: {name: o}\nspec: {what: freeze, freeze: sale, selector: {matchLabels: {tier: web}}, by: boss, until: 2026-11-25}\n";
    let open = "---\napiVersion: patchwave.dev/v1\nkind: Override\nmetadata: {name: w}\nspec: {what: window, window: nights, selector: {matchLabels: {tier: web}}, by: boss, until: 2026-11-25}\n";
    let mut machines = prod(&["a"], &[("tier", "web")]);
    machines.extend(prod(&["b"], &[]).into_iter().take(1));
    let starts = |extra: &str| -> Vec<(Vec<String>, String)> {
        let yaml = resources(&[]) + extra;
        let plan = world_at(&yaml, &machines, &[openssl()], History::default(), at(NOW)).plan(at(NOW));
        let wave = last_wave(&plan).batches.clone();
        wave.iter()
            .map(|b| {
                (
                    b.assets.iter().map(|a| a.name.to_string()).collect(),
                    b.start.unwrap().to_string(),
                )
            })
            .collect()
    };
    let (a, b, night) = (
        vec!["a".to_owned()],
        vec!["b".to_owned()],
        "2026-12-04T00:00:00Z".to_owned(),
    );
    assert_eq!(
        starts(&format!("{freeze}{lift}")),
        [(a.clone(), "2026-11-22T22:00:00Z".into()), (b.clone(), night.clone())]
    );
    assert_eq!(
        starts(&format!("{freeze}{lift}{open}")),
        [(a.clone(), "2026-11-22T13:00:00Z".into()), (b, night.clone())]
    );
    assert_eq!(starts(freeze), [(vec!["a".into(), "b".into()], night)]);
}

#[test]
fn the_graph_has_a_node_a_batch() {
    let wave = "environments: [prod], soak: 24h, batches: [1]}";
    let plan = plan_of(&[(SIZES, wave)], &prod(&["a", "b"], &[]));
    let graph = graph(&plan, "linux-2026-11-20").unwrap();
    let edges: Vec<_> = graph
        .edges
        .iter()
        .map(|e| (e.from.as_str(), e.to.as_str(), e.soak_seconds))
        .collect();
    assert_eq!(
        edges,
        [
            ("test/01", "staging/01", 86_400),
            ("prod/01", "prod/02", 0),
            ("staging/01", "prod/01", 86_400)
        ]
    );
    assert!(
        dot(&plan, "linux-2026-11-20")
            .unwrap()
            .contains("\"prod/01\" -> \"prod/02\";")
    );
    assert!(
        mermaid(&plan, "linux-2026-11-20")
            .unwrap()
            .contains("n0 -->|soak 1d| n1")
    );
    assert_eq!(mermaid(&plan, "no-such"), None);
}

#[test]
fn a_host_goes_before_its_guests_by_listing_or_label() {
    let listed = ("  assets: [{name: p1}]", "  assets: [{name: a, runsOn: z}]");
    let mut machines = prod(&["a", "z"], &[]);
    machines.extend(prod(&["b"], &[("runs-on", "z")]).into_iter().take(1));
    assert_eq!(
        batches(last_wave(&plan_of(&[listed], &machines))),
        [vec!["z"], vec!["a", "b"]]
    );
    // A host that runs on its own guest is refused with the way round.
    let round = (
        "  assets: [{name: p1}]",
        "  assets: [{name: a, runsOn: z}, {name: z, runsOn: a}]",
    );
    let plan = plan_of(&[round], &machines);
    let cycle = plan.refusals.iter().find(|r| r.reason.as_ref() == "cycle").unwrap();
    assert!(cycle.detail.contains("a → z → a"), "{}", cycle.detail);
}

#[test]
fn two_members_of_an_ha_service_are_never_in_one_batch() {
    let service = |ha: &str| {
        let service =
            format!("  services:\n    - {{name: db, members: {{matchLabels: {{tier: db}}}}, maxUnavailable: 3{ha}}}");
        let mut machines = Vec::new();
        for (name, role) in [("a", "primary"), ("b", "replica"), ("c", "replica")] {
            machines.extend(prod(&[name], &[("tier", "db"), ("pg-role", role)]).into_iter().take(1));
        }
        machines.extend(prod(&[], &[]));
        let plan = plan_of(&[("  services: []", &service)], &machines);
        batches(last_wave(&plan))
            .into_iter()
            .map(|b| b.join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(service(""), ["a b c"]);
    assert_eq!(service(", ha: {type: etcd, role: observed}"), ["a", "b", "c"]);
    assert_eq!(
        service(", ha: {type: patroni, role: pg-role}"),
        ["b", "c", "a"],
        "what leads comes last"
    );
}
