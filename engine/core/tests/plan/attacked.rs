//! Sentences of the contract that a hostile estate tries to break.

use crate::support::estate::*;
use crate::support::*;
use patchwave_core::history::History;
use patchwave_core::plan::{Plan, PlanNote};

const ONE_WAVE: (&str, &str) = (
    "    - {name: test, environments: [test], soak: 24h}\n    - {name: staging, needs: [test], environments: [staging], soak: 24h}\n    - {name: prod, needs: [staging], environments: [prod], soak: 24h}",
    "    - {name: prod, environments: [prod]}",
);

fn prod(names: &[(&str, &str)]) -> Vec<Machine> {
    let of = |(name, tier): &(&str, &str)| machine(name, &[("env", "prod"), ("tier", tier)]);
    names.iter().map(of).collect()
}

fn starts(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let waves = plan.rollouts.iter().flat_map(|r| &r.waves);
    let batches = waves.flat_map(|w| &w.batches);
    batches
        .map(|b| {
            let names = b.assets.iter().map(|a| a.name.to_string()).collect();
            (b.start.map_or_else(String::new, |s| s.to_string()), names)
        })
        .collect()
}

/// A freeze beats every window: work that is longer than every opening does not run on into it.
#[test]
fn what_overruns_does_not_run_into_a_freeze() {
    let short = ("start: \"22:00\", duration: 4h", "start: \"23:40\", duration: 20m");
    let cutoff = ("  cutoff: 30m\n", "");
    let yaml = resources(&[ONE_WAVE, short, cutoff])
        + "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: closing}\nspec: {selector: {}, from: 2026-11-21, to: 2026-11-25, reason: closing}\n";
    let plan = world_at(&yaml, &prod(&[("p1", "db")]), &[openssl()], History::default(), at(NOW)).plan(at(NOW));
    let waves = plan.rollouts.iter().flat_map(|r| &r.waves);
    let batches: Vec<_> = waves.flat_map(|w| &w.batches).collect();
    assert_eq!(batches.len(), 1);
    for batch in batches {
        let (start, finish) = (batch.start.unwrap(), batch.finish.unwrap());
        let frozen = start < at("2026-11-26T00:00:00Z") && finish > at("2026-11-21T00:00:00Z");
        assert!(!frozen, "{start} to {finish} runs into the freeze");
    }
}

const DB: &str = "  services: [{name: db, members: {matchLabels: {tier: db}}, minAvailable: 1}]";

/// Nobody knows that a member is up which nobody ever saw.
#[test]
fn a_member_that_was_never_observed_is_not_what_keeps_a_service_up() {
    let machines = prod(&[("p1", "db"), ("p2", "db"), ("p3", "db")]);
    let mut observation = observation("f", &[], &machines, &[openssl()], at(NOW));
    let unseen = observation.assets.iter_mut().find(|a| *a.name == *"p3").unwrap();
    unseen.observed_at = None;
    (unseen.facts.packages, unseen.facts.os) = (None, None);
    let yaml = resources(&[ONE_WAVE, ("  services: []", DB)]);
    let plan = World::new(catalog(&yaml, at(NOW)), observation, History::default(), at(NOW)).plan(at(NOW));
    let sizes: Vec<usize> = starts(&plan).iter().map(|(_, names)| names.len()).collect();
    assert_eq!(sizes, [1, 1], "p1 and p2 together leave only what was never seen");
}

/// A hypervisor takes its guests down with it.
#[test]
fn hosts_of_both_members_do_not_go_together() {
    let hosts = (
        "  assets: [{name: p1}]",
        "  assets: [{name: g1, runsOn: h1}, {name: g2, runsOn: h2}]",
    );
    let machines = prod(&[("h1", "host"), ("h2", "host"), ("g1", "db"), ("g2", "db")]);
    let plan = world(&[ONE_WAVE, hosts, ("  services: []", DB)], &machines, &[openssl()]).plan(at(NOW));
    let starts = starts(&plan);
    assert_eq!(starts.iter().map(|(_, names)| names.len()).sum::<usize>(), 4);
    for (start, names) in starts {
        let down = |n: u32| names.contains(&format!("h{n}")) || names.contains(&format!("g{n}"));
        assert!(!(down(1) && down(2)), "{start}: {names:?} takes both members down");
    }
}

/// What is held or waits for approval is not in a rollout; the plan says so.
#[test]
fn what_is_held_is_said() {
    let hold = (
        "  include:\n    - types: [security]",
        "  holds: [{packages: [\"openssl*\"], until: 2026-12-24, reason: not certified}]\n  include:\n    - types: [security]",
    );
    let plan = world(&[ONE_WAVE, hold], &prod(&[("p1", "db")]), &[openssl()]).plan(at(NOW));
    assert!(plan.rollouts.is_empty());
    let said = |n: &PlanNote| n.message.ends_with("1 finding(s) are held by `holds`");
    assert!(plan.notes.iter().any(said), "{:?}", plan.notes);
}
