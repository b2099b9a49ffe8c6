//! Windows, freezes and pauses: when something may run.

use super::play::{ROLLOUT, critical_proposed, patched, proposed, test_released};

#[test]
fn a_missed_window_is_missed() {
    let mut estate = critical_proposed();
    estate.merge("critical");
    estate
        .reconcile()
        .did("released wave critical batch 01 until 2026-11-22T04:00:00Z");
    estate
        .at("2026-11-22T03:59:00Z")
        .run(&["permit", ROLLOUT, "critical", "01"])
        .exits(0);
    let said = estate
        .at("2026-11-22T04:00:00Z")
        .run(&["permit", ROLLOUT, "critical", "01"])
        .exits(1);
    assert!(said.out.contains("a missed window is missed"), "{}", said.out);
    // Nothing runs late: the next run does not release it into the day.
    let run = estate.at("2026-11-22T05:00:00Z").reconcile();
    run.did_not("released");
}

#[test]
fn a_merge_outside_the_window_waits_for_the_next_opening() {
    let mut estate = critical_proposed();
    estate.world().observe("2026-11-22T09:00:00Z");
    estate.at("2026-11-22T10:00:00Z").merge("critical");
    estate
        .reconcile()
        .did_not("released")
        .waits_for("wave critical batch 01 waits for nights at 2026-11-22T22:00:00Z");
    estate.run(&["permit", ROLLOUT, "critical", "01"]).exits(1);
    estate.world().observe("2026-11-22T21:00:00Z");
    estate
        .at("2026-11-22T22:00:00Z")
        .reconcile()
        .did("released wave critical batch 01 until 2026-11-23T04:00:00Z");
}

const FREEZE: &str = "
---
apiVersion: patchwave.dev/v1
kind: ChangeFreeze
metadata:
  name: sale
spec:
  selector: {matchLabels: {env: prod}}
  from: 2026-11-22T02:10:00Z
  to: 2026-11-24T00:00:00Z
  reason: the sale
";

#[test]
fn a_freeze_that_starts_after_the_merge_blocks_release_and_permit() {
    let mut estate = critical_proposed();
    estate.merge("critical");
    estate.reconcile().did("released wave critical batch 01");
    let text = std::fs::read_to_string(estate.path().join("policies/linux.yaml")).unwrap();
    estate.write("policies/linux.yaml", &format!("{text}{FREEZE}"));
    estate.run(&["permit", ROLLOUT, "critical", "01"]).exits(0);
    let said = estate
        .at("2026-11-22T02:15:00Z")
        .run(&["permit", ROLLOUT, "critical", "01"])
        .exits(1);
    assert!(said.out.contains("sale"), "{}", said.out);
    patched(&estate, &["p1"], "2026-11-22T02:20:00Z");
    let run = estate.at("2026-11-22T02:25:00Z").reconcile();
    run.did("1 passed")
        .did_not("released")
        .waits_for("wave critical batch 02 waits for nights at 2026-11-24T00:00:00Z");
}

#[test]
fn a_paused_policy_releases_nothing_and_goes_on_by_itself() {
    let mut estate = test_released();
    estate.edit(
        "policies/linux.yaml",
        "  strategy: minimal\n",
        "  strategy: minimal\n  pause: {until: 2026-11-20T16:00:00Z, reason: audit}\n",
    );
    let said = estate.run(&["permit", ROLLOUT, "test", "01"]).exits(1);
    assert!(
        said.out.contains("paused until 2026-11-20T16:00:00Z (audit"),
        "{}",
        said.out
    );
    let run = estate.reconcile();
    run.did_not("released").waits_for("paused until");
    estate
        .at("2026-11-20T16:00:00Z")
        .run(&["permit", ROLLOUT, "test", "01"])
        .exits(0);
}

#[test]
fn a_pause_before_the_merge_holds_the_release() {
    let mut estate = proposed();
    estate.edit(
        "policies/linux.yaml",
        "  strategy: minimal\n",
        "  strategy: minimal\n  pause: {until: 2026-11-20T16:00:00Z, reason: audit}\n",
    );
    estate.merge("test");
    estate
        .at("2026-11-20T12:30:00Z")
        .reconcile()
        .did("wave test approved")
        .did_not("released");
    estate
        .at("2026-11-20T16:05:00Z")
        .reconcile()
        .did("released wave test batch 01");
}

#[test]
fn a_clock_that_went_back_gives_no_permit_before_the_release() {
    let mut estate = test_released();
    let said = estate
        .at("2026-11-20T12:00:00Z")
        .run(&["permit", ROLLOUT, "test", "01"])
        .exits(1);
    assert!(said.out.contains("after now"), "{}", said.out);
}
