//! What is said of a missed deadline, word by word; and the notes of a plan.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use patchwave_core::history::{History, WaveState};
use patchwave_core::plan::{Binding, Plan, Wave};

fn late(changes: &[(&str, &str)]) -> (Plan, Wave) {
    let plan = world(changes, &one_each(), &[openssl()]).plan(at(NOW));
    let wave = plan.rollouts[0].waves.last().unwrap().clone();
    assert!(wave.slack_seconds.is_none_or(|s| s < 0), "{wave:#?}");
    (plan, wave)
}

const TIGHT: (&str, &str) = ("severity: high, within: 30d", "severity: high, within: 7d");

/// Published on the 18th, seven days: 120 h of soak are 9 h too long for the night of the 24th.
#[test]
fn the_longest_soak_that_fits_is_said_with_its_place() {
    let (plan, wave) = late(&[
        TIGHT,
        ("environments: [test], soak: 24h", "environments: [test], soak: 120h"),
    ]);
    assert_eq!(wave.binding, Some(Binding::Soak));
    let place = "policies/all.yaml:";
    let soak = wave.fixes.iter().find(|f| f.contains("soak: ")).unwrap();
    assert!(
        soak.contains("in wave test of strategy standard") && soak.contains(place),
        "{soak}"
    );
    assert!(soak.contains("(now 5d)"), "{soak}");
    let refusal = plan.refusals.iter().find(|r| &*r.reason == "deadline").unwrap();
    assert_eq!(refusal.fixes, wave.fixes);
}

/// Sunday's window comes too late: one more opening at the usual time, on the last day that will do.
#[test]
fn an_opening_is_written_as_it_would_stand_in_the_window() {
    let sundays = ("window: {fromLabel: window, default: nights}", "window: sundays");
    let soak = ("environments: [test], soak: 24h", "environments: [test], soak: 60h");
    let (_, wave) = late(&[TIGHT, sundays, soak]);
    assert_eq!(wave.binding, Some(Binding::Window));
    let fix = &wave.fixes[0];
    for part in [
        "\"rrule\":\"FREQ=DAILY;COUNT=1\"",
        "\"start\":\"02:00\"",
        "\"timezone\":\"UTC\"",
        "of window sundays",
    ] {
        assert!(fix.contains(part), "{fix}");
    }
    assert!(
        wave.fixes
            .iter()
            .any(|f| f.contains("Override") && f.contains("\"what\":\"window\""))
    );
}

#[test]
fn two_limits_that_bind_together_are_edited_together() {
    let sundays = ("window: {fromLabel: window, default: nights}", "window: sundays");
    let soak = ("environments: [test], soak: 24h", "environments: [test], soak: 200h");
    let monthly = ("FREQ=WEEKLY;BYDAY=SU", "FREQ=MONTHLY;BYMONTHDAY=10");
    let (plan, wave) = late(&[TIGHT, sundays, monthly, soak]);
    assert_eq!(wave.fixes.len(), 1, "{:#?}", wave.fixes);
    assert!(
        wave.edits[0].len() > 1 && wave.fixes[0].contains(", and "),
        "{:#?}",
        wave.fixes
    );
    let refusal = plan.refusals.iter().find(|r| &*r.reason == "deadline").unwrap();
    assert!(refusal.detail.contains("which bind together"), "{}", refusal.detail);
}

#[test]
fn what_nothing_mends_says_so() {
    let (plan, wave) = late(&[("severity: high, within: 30d", "severity: high, within: 1d")]);
    assert!(wave.fixes.is_empty());
    let refusal = plan
        .refusals
        .iter()
        .find(|r| &*r.reason == "deadline" && r.detail.contains("wave prod"));
    assert!(
        refusal.unwrap().detail.contains("the deadline has passed already"),
        "{refusal:?}"
    );
}

/// A gate that must hold for two days holds the next wave back like a soak of two days.
#[test]
fn the_hold_of_a_gate_counts_where_it_is_longer_than_the_soak() {
    let start = |changes: &[(&str, &str)]| {
        let plan = world(changes, &one_each(), &[openssl()]).plan(at(NOW));
        plan.rollouts[0].waves[1].batches[0].start.unwrap()
    };
    let gate = "environments: [test], soak: 24h, gates: [{result: ok, for: 48h}]";
    let soak = "environments: [test], soak: 48h";
    let plain = "environments: [test], soak: 24h";
    assert_eq!(start(&[(plain, gate)]), start(&[(plain, soak)]));
}

fn notes(plan: &Plan) -> Vec<String> {
    plan.notes
        .iter()
        .map(|n| format!("{}: {}", n.subject, n.message))
        .collect()
}

#[test]
fn members_that_an_order_does_not_name_are_reported() {
    let service = "  services:\n    - {name: db, members: {matchLabels: {env: prod}}, order: {label: role, values: [replica, primary]}}";
    let plan = world(&[("  services: []", service)], &one_each(), &[openssl()]).plan(at(NOW));
    assert!(
        notes(&plan)
            .iter()
            .any(|n| n.starts_with("db: 1 of 1 members") && n.contains("they go last")),
        "{:?}",
        notes(&plan)
    );
}

#[test]
fn a_freeze_that_cannot_be_judged_is_reported() {
    let freeze = "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: sale}\nspec: {when: 'asset.class.environment == \"prod\"', from: 2026-11-20, to: 2026-11-21}\n";
    let mut machines = one_each();
    machines.push(machine("stray", &[]));
    let plan = world_at(
        &(resources(&[]) + freeze),
        &machines,
        &[openssl()],
        History::default(),
        at(NOW),
    )
    .plan(at(NOW));
    assert!(
        notes(&plan)
            .iter()
            .any(|n| n.starts_with("sale: ") && n.contains("it holds for them")),
        "{:?}",
        notes(&plan)
    );
}

#[test]
fn an_asset_without_a_class_is_told_about_classes() {
    let mut machines = one_each();
    machines.push(machine("stray", &[]));
    let plan = world(&[], &machines, &[openssl()]).plan(at(NOW));
    let refusal = plan.refusals.iter().find(|r| &*r.asset == "stray").unwrap();
    assert_eq!(
        refusal.fixes,
        ["let one AssetClass match it, or give one of those that do a higher `priority`"]
    );
}

#[test]
fn a_platform_in_a_window_without_end_is_reported() {
    let services = "  services:\n    - {name: dns, members: {matchLabels: {tier: dns}}, platform: true}\n    - {name: web, members: {matchLabels: {tier: web}}, dependsOn: [dns]}";
    let always = ("window: {fromLabel: window, default: nights}", "window: always");
    let mut machines = one_each();
    machines.push(machine("d1", &[("env", "prod"), ("tier", "dns")]));
    machines.push(machine("w1", &[("env", "prod"), ("tier", "web")]));
    let plan = world(&[("  services: []", services), always], &machines, &[openssl()]).plan(at(NOW));
    assert!(
        notes(&plan)
            .iter()
            .any(|n| n.contains("because that window never ends")),
        "{:?}",
        notes(&plan)
    );
}

#[test]
fn an_open_rollout_that_nobody_needs_any_more_says_so() {
    let first = world(&[], &one_each(), &[openssl()]).plan(at(NOW));
    let history = opened(&first, &[WaveState::Approved, WaveState::Approved, WaveState::Approved]);
    let needed = world_at(&resources(&[]), &one_each(), &[openssl()], history.clone(), at(NOW)).plan(at(NOW));
    assert!(
        notes(&needed).iter().all(|n| !n.contains("help no open finding")),
        "{:?}",
        notes(&needed)
    );
    let withdrawn = world_at(&resources(&[]), &one_each(), &[], history, at(NOW)).plan(at(NOW));
    assert!(
        notes(&withdrawn)
            .iter()
            .any(|n| n.contains("1 of its 1 targets help no open finding")),
        "{:?}",
        notes(&withdrawn)
    );
}

/// Lateness at the next cut is that of the lane the finding would take there: the emergency lane of this strategy soaks
/// an hour where the routine one soaks two days.
#[test]
fn an_emergency_is_late_only_if_its_own_lane_is() {
    let cadence = (
        "  rollout: standard\n",
        "  rollout: standard\n  cadence: {rrule: FREQ=DAILY, start: \"18:00\", timezone: UTC}\n",
    );
    let within = ("clock: exploited, within: 24h", "clock: exploited, within: 48h");
    let record = exploited(openssl(), "2026-11-20T00:00:00Z");
    let plan = world(&[cadence, within], &one_each(), &[record]).plan(at(NOW));
    assert!(
        plan.rollouts.is_empty(),
        "it waits for the cut at 18:00: {:#?}",
        plan.rollouts
    );
    assert_eq!(plan.waiting.len(), 1);
}
