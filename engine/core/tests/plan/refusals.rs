//! What is not done, and the rest that goes on all the same.

use std::collections::BTreeMap;

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use patchwave_core::load::wire::Reversibility;
use patchwave_core::name::Severity;
use patchwave_core::plan::{Plan, json, text};

fn plan_of(changes: &[(&str, &str)], machines: &[Machine]) -> Plan {
    world(changes, machines, &[openssl()]).plan(at(NOW))
}

fn policy(fields: &str) -> (&'static str, String) {
    ("  rollout: standard\n", format!("  rollout: standard\n{fields}"))
}

fn waves(plan: &Plan) -> Vec<(String, Vec<Vec<String>>)> {
    let waves = plan.rollouts.iter().flat_map(|r| &r.waves);
    let owned = |b: Vec<Vec<&str>>| {
        b.into_iter()
            .map(|x| x.into_iter().map(str::to_owned).collect())
            .collect()
    };
    waves.map(|w| (w.name.to_string(), owned(batches(w)))).collect()
}

#[test]
fn what_no_earlier_wave_takes_or_runs_is_untested() {
    let mut machines = one_each();
    machines.retain(|m| m.name != "t1");
    let plan = plan_of(&[], &machines);
    assert_eq!(
        refusals(&plan),
        [("untested", "p1"), ("untested", "s1")],
        "a refused asset proves nothing"
    );
    assert!(plan.rollouts.is_empty() && plan.waiting.is_empty());
    // A test machine that was freshly observed to run it proves it; a stale one does not.
    let mut runs = machine("t1", &[("env", "test")]);
    runs.packages[0].1 = "1:3.0.7-27.el9".into();
    machines.push(runs);
    assert_eq!(refusals(&plan_of(&[], &machines)), []);
    machines.last_mut().unwrap().stale = true;
    assert_eq!(refusals(&plan_of(&[], &machines)).len(), 2);
    // Nor does one of another release.
    let other = machines.last_mut().unwrap();
    (other.stale, other.version) = (false, "8.9".into());
    assert_eq!(refusals(&plan_of(&[], &machines)).len(), 2);
}

#[test]
fn likeness_must_be_met() {
    let (from, to) = policy("  requires: {likeness: [tier]}\n");
    let mut machines = one_each();
    machines[0].labels.insert("tier".into(), "db".into());
    machines[1].labels.insert("tier".into(), "web".into());
    machines[2].labels.insert("tier".into(), "web".into());
    let plan = plan_of(&[(from, &to)], &machines);
    assert_eq!(refusals(&plan), [("untested", "p1")]);
    assert!(
        plan.refusals[0].detail.contains("tier=db"),
        "{}",
        plan.refusals[0].detail
    );
    assert_eq!(waves(&plan).len(), 2);
}

#[test]
fn a_canary_goes_first_and_alone_and_approval_is_asked_for() {
    let (from, canary) = policy("  requires: {untested: canary}\n");
    let machines: Vec<Machine> = ["a", "b", "c"].iter().map(|n| machine(n, &[("env", "prod")])).collect();
    let plan = plan_of(&[(from, &canary)], &machines);
    assert_eq!(
        waves(&plan),
        [(
            "prod".to_owned(),
            vec![vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]]
        )]
    );
    let (from, extra) = policy("  requires: {untested: extra-approval}\n");
    let plan = plan_of(&[(from, &extra)], &machines);
    assert!(plan.rollouts[0].waves[0].extra_approval);
    let (from, free) = policy("  requires: {tested: false}\n");
    assert_eq!(refusals(&plan_of(&[(from, &free)], &machines)), []);
}

#[test]
fn a_list_of_packages_without_the_fix_is_a_refusal_and_no_list_is_not() {
    let mut machines = one_each();
    machines[0].available = Some(vec![("openssl-libs".into(), "1:3.0.7-26.el9".into())]);
    let plan = plan_of(&[], &machines);
    assert_eq!(refusals(&plan), [("not-installable", "p1")]);
    assert!(plan.rollouts[0].installability_unknown);
    for machine in &mut machines {
        machine.available = Some(vec![("openssl-libs".into(), "1:3.0.7-27.el9".into())]);
    }
    let plan = plan_of(&[], &machines);
    assert_eq!(
        (refusals(&plan), plan.rollouts[0].installability_unknown),
        (vec![], false)
    );
}

#[test]
fn what_cannot_be_rendered_is_refused_where_it_is_needed() {
    let prod = "criticality: high\n  exposure: internal\n  target: ansible";
    for (change, reason) in [
        (
            "criticality: high\n  exposure: internal\n  targets: [{for: {types: [driver]}, use: ansible}]",
            "target",
        ),
        (
            "criticality: high\n  exposure: internal\n  target: ansible\n  content: pulp",
            "not built",
        ),
        (
            "criticality: high\n  exposure: internal\n  target: ansible\n  remedy: replace",
            "no-image",
        ),
    ] {
        let plan = plan_of(&[(prod, change)], &one_each());
        assert_eq!(refusals(&plan), [(reason, "p1")], "{change}");
        assert_eq!(waves(&plan).len(), 2, "the others go on");
    }
    // A tool for what does not come up is no obstacle.
    let choice = "criticality: high\n  exposure: internal\n  targets: [{for: {types: [driver]}, use: nvidia}, {for: {types: [security]}, use: ansible}]";
    assert_eq!(refusals(&plan_of(&[(prod, choice)], &one_each())), []);
}

#[test]
fn the_way_back_must_be_as_good_as_the_policy_asks() {
    let (from, exact) = policy("  requires: {reversible: exact}\n");
    let last = (
        "rollback: package-downgrade}\n---\napiVersion: patchwave.dev/v1\nkind: RolloutStrategy",
        "rollback: none}\n---\napiVersion: patchwave.dev/v1\nkind: RolloutStrategy",
    );
    let plan = plan_of(&[last, (from, &exact)], &one_each());
    assert_eq!(refusals(&plan), [("irreversible", "p1")]);
    assert_eq!(
        plan.rollouts[0].waves[0].batches[0].assets[0].rollback,
        Reversibility::Exact
    );
}

#[test]
fn an_asset_in_no_wave_or_two_is_refused() {
    let plan = plan_of(&[("environments: [prod]", "environments: [other]")], &one_each());
    assert_eq!(refusals(&plan), [("no-wave", "p1")]);
    let two = ("environments: [prod], soak", "environments: [prod, staging], soak");
    assert_eq!(
        refusals(&plan_of(&[two], &one_each())),
        [("two-waves", "s1"), ("untested", "p1")]
            .map(|r| r)
            .to_vec()
            .into_iter()
            .filter(|r| r.0 == "two-waves")
            .collect::<Vec<_>>()
    );
    // A wave's own selector tells them apart.
    let split = (
        "environments: [prod], soak: 24h}",
        "environments: [prod], selector: {matchLabels: {part: one}}, soak: 24h}",
    );
    assert_eq!(refusals(&plan_of(&[split], &one_each())), [("no-wave", "p1")]);
}

#[test]
fn both_strategies_never_go_back() {
    let curl = |id: &str, version: &str, published: &str| advisory(id, Severity::High, published, &[("curl", version)]);
    let list = [
        curl("A-1", "2-1", "2026-11-01T00:00:00Z"),
        curl("A-2", "3-1", "2026-11-02T00:00:00Z"),
    ];
    let mut machines = one_each();
    for (machine, version) in machines.iter_mut().zip(["1-1", "2-5", "4-1"]) {
        machine.packages = vec![("curl".into(), version.into(), "curl".into())];
    }
    let (from, free) = policy("  requires: {tested: false}\n");
    let plan = world(&[(from, &free)], &machines, &list).plan(at(NOW));
    let targets: Vec<_> = plan.rollouts[0].targets.iter().map(|t| t.version.as_ref()).collect();
    assert_eq!(targets, ["3-1"], "one version fixes all");
    let assets: Vec<_> = plan.rollouts[0].placement().keys().map(|k| k.to_string()).collect();
    assert_eq!(assets, ["p1", "s1"], "t1 has something newer");
}

#[test]
fn packages_of_one_source_go_together() {
    let libs = advisory(
        "A-1",
        Severity::High,
        "2026-11-01T00:00:00Z",
        &[("ssl-libs", "2-1"), ("ssl", "2-1")],
    );
    let newer = advisory("A-2", Severity::High, "2026-11-02T00:00:00Z", &[("ssl-libs", "3-1")]);
    let mut machines = one_each();
    for machine in &mut machines {
        machine.packages = vec![
            ("ssl".into(), "1-1".into(), "ssl".into()),
            ("ssl-libs".into(), "1-1".into(), "ssl".into()),
        ];
    }
    let versions = |machines: &[Machine]| -> Vec<(String, String)> {
        let plan = world(&[], machines, &[libs.clone(), newer.clone()]).plan(at(NOW));
        plan.rollouts[0]
            .targets
            .iter()
            .map(|t| (t.name.to_string(), t.version.to_string()))
            .collect()
    };
    let pair = |a: &str, b: &str| vec![("ssl".to_owned(), a.to_owned()), ("ssl-libs".to_owned(), b.to_owned())];
    assert_eq!(versions(&machines), pair("2-1", "3-1"), "nobody knows of an ssl 3-1");
    for machine in &mut machines {
        machine.available = Some(vec![("ssl".into(), "3-1".into()), ("ssl-libs".into(), "3-1".into())]);
    }
    assert_eq!(versions(&machines), pair("3-1", "3-1"));
}

#[test]
fn an_exception_keeps_an_asset_out_and_only_it() {
    let exception = "---\napiVersion: patchwave.dev/v1\nkind: PatchException\nmetadata: {name: erp}\nspec: {selector: {matchLabels: {app: erp}}, advisories: [ALSA-1], expires: 2027-01-31, reason: vendor, approvedBy: ciso, outcome: accepted}\n";
    let mut machines = one_each();
    machines.push(machine("p2", &[("env", "prod"), ("app", "erp")]));
    let yaml = resources(&[]) + exception;
    let plan = world_at(&yaml, &machines, &[openssl()], Default::default(), at(NOW)).plan(at(NOW));
    let assets: Vec<_> = plan.rollouts[0].placement().keys().map(|k| k.to_string()).collect();
    assert_eq!(
        (assets, refusals(&plan)),
        (vec!["p1".to_owned(), "s1".to_owned(), "t1".to_owned()], vec![])
    );
}

#[test]
fn the_same_plan_is_the_same_bytes_and_says_what_scripts_read() {
    let plan = plan_of(&[], &one_each());
    let inputs = BTreeMap::from([("observation".to_owned(), "0".repeat(64))]);
    let document = json(&plan, &inputs).unwrap();
    assert_eq!(document, json(&plan_of(&[], &one_each()), &inputs).unwrap());
    let value: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(value["formatVersion"], "1.0");
    let rollout = &value["rollouts"][0];
    assert_eq!(
        (&rollout["name"], &rollout["lane"], &rollout["revision"]),
        (&"linux-2026-11-20".into(), &"routine".into(), &1.into())
    );
    assert_eq!(rollout["patchset"]["targets"][0]["name"], "openssl-libs");
    let wave = &rollout["waves"][2];
    assert_eq!(
        (&wave["needs"][0], &wave["state"]),
        (&"staging".into(), &"pending".into())
    );
    let batch = &wave["batches"][0];
    assert_eq!(
        (&batch["id"], &batch["window"]["name"], &batch["assets"][0]),
        (&"01".into(), &"nights".into(), &"p1".into())
    );
    assert_eq!(batch["details"]["p1"]["before"][0], "1:3.0.7-24.el9");
    assert!(wave["slack"].as_i64().unwrap() > 0);
    assert_eq!(value["summary"]["assets"], 3);
    let words = text(&plan);
    assert!(
        words.contains("Rollout linux-2026-11-20 (revision 1; routine)"),
        "{words}"
    );
    assert!(
        words.contains("openssl-libs to 1:3.0.7-27.el9 on almalinux 9 x86_64"),
        "{words}"
    );
}

#[test]
fn nothing_is_started_only_for_assets_that_another_rollout_has() {
    // The one in staging is refused: nothing proves it there. That alone must not send the test machine round again.
    let (from, likeness) = policy("  requires: {likeness: [tier]}\n");
    let mut machines = one_each();
    machines.retain(|m| m.name != "p1");
    machines[0].labels.insert("tier".into(), "db".into());
    let now = at(NOW);
    let mut world = world(&[(from, &likeness)], &machines, &[openssl()]);
    let first = world.plan(now);
    assert_eq!((first.rollouts.len(), refusals(&first)), (1, vec![("untested", "s1")]));
    world.history = opened(&first, &[patchwave_core::history::WaveState::Approved]);
    let again = world.plan(now);
    assert_eq!((again.rollouts.len(), refusals(&again)), (1, vec![("untested", "s1")]));
}
