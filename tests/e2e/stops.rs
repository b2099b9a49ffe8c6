//! What stops a rollout, what it says then, and what lets it go on.

use super::play::{ROLLOUT, critical_proposed, patched, staging_released, test_released};
use crate::support::Sandbox;

#[test]
fn a_failed_asset_halts_its_wave_and_names_it() {
    let mut estate = staging_released();
    // s1 was tried: a day later it still shows the old version.
    estate.world().observe("2026-11-22T02:00:00Z");
    let run = estate.at("2026-11-22T02:05:00Z").reconcile();
    run.did("wave staging failed")
        .did("wave staging halted")
        .did("s1: failed: openssl-libs is still 1:3.0.7-24.el9");
    assert_eq!(
        estate.released(ROLLOUT),
        ["test/01", "staging/01"],
        "the rest is untouched"
    );
    let said = estate.run(&["permit", ROLLOUT, "staging", "01"]).exits(1);
    assert!(said.out.contains("halted"), "{}", said.out);
    estate.reconcile().quiet();

    // Repaired by hand, and resumed with the approval it needs.
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.reconcile().did_not("resumed");
    estate.merge("resume");
    estate.reconcile().did("resumed").did("released wave staging batch 01");
    patched(&estate, &["s1"], "2026-11-22T03:00:00Z");
    estate
        .at("2026-11-22T03:05:00Z")
        .reconcile()
        .did("1 passed")
        .did("released wave staging batch 02");
    estate.audited();
}

#[test]
fn a_wave_goes_on_only_when_every_asset_is_there() {
    let mut estate = test_released();
    patched(&estate, &["t1"], "2026-11-20T13:00:00Z");
    let run = estate.at("2026-11-20T13:05:00Z").reconcile();
    run.did_not("verified").waits_for("1 of 2 needed assets pass; t2:");
    estate.world().observe("2026-11-21T11:00:00Z");
    let run = estate.at("2026-11-21T11:05:00Z").reconcile();
    run.did_not("staging")
        .waits_for("t2: openssl-libs is still 1:3.0.7-24.el9");
    assert!(!estate.moves(ROLLOUT).iter().any(|m| m.starts_with("staging:")));
}

#[test]
fn a_failure_that_is_tolerated_does_not_break_the_soak() {
    let mut estate = Sandbox::estate();
    let (before, after) = (
        "soak: 12h",
        "maxFailures: 1\n      promoteAt: {patched: 50%}\n      soak: 12h",
    );
    estate.edit("fleets/strategies.yaml", before, after);
    estate.at("2026-11-20T12:00:00Z").reconcile();
    estate.merge("test");
    estate
        .at("2026-11-20T12:10:00Z")
        .reconcile()
        .did("released wave test batch 01");
    patched(&estate, &["t1"], "2026-11-20T13:00:00Z");
    // A day later t2 has failed for good, which the wave allows.
    estate.world().observe("2026-11-21T13:00:00Z");
    estate
        .at("2026-11-21T13:05:00Z")
        .reconcile()
        .did("verified")
        .did_not("soak-broken");
    estate.reconcile().quiet();
    estate.world().observe("2026-11-22T02:00:00Z");
    estate.at("2026-11-22T02:05:00Z").reconcile().did("wave test promoted");
    estate.audited();
}

#[test]
fn a_straggler_that_is_let_go_is_counted() {
    let mut estate = test_released();
    patched(&estate, &["t1"], "2026-11-20T13:00:00Z");
    estate.at("2026-11-20T13:05:00Z").reconcile().did_not("verified");
    let waive = [
        "evidence",
        "waive",
        ROLLOUT,
        "test",
        "t2",
        "--reason",
        "in repair",
        "--until",
        "2026-12-24",
        "--as",
        "anna",
    ];
    let said = estate.does(&waive).exits(0);
    assert!(said.out.contains("t2 is let go"), "{}", said.out);
    estate.reconcile().did("wave test verified");
    let line = estate
        .ledger(ROLLOUT)
        .into_iter()
        .find(|l| l["event"] == "waived")
        .unwrap();
    assert_eq!(
        (&line["actor"], &line["data"]["reason"]),
        (&"anna".into(), &"in repair".into())
    );
}

#[test]
fn a_halt_stops_before_the_next_asset_and_needs_an_approval_to_end() {
    let mut estate = staging_released();
    estate.run(&["permit", ROLLOUT, "staging", "01", "s1"]).exits(0);
    estate
        .does(&["halt", ROLLOUT, "--reason", "the shop is slow", "--as", "anna"])
        .exits(0);
    let said = estate.run(&["permit", ROLLOUT, "staging", "01", "s1"]).exits(1);
    assert!(
        said.out.contains("halted by anna") && said.out.contains("the shop is slow"),
        "{}",
        said.out
    );
    // What was under way is still looked at; nothing new starts.
    patched(&estate, &["s1"], "2026-11-21T01:30:00Z");
    let run = estate.at("2026-11-21T01:35:00Z").reconcile();
    run.did("1 passed").did_not("released").waits_for("halted by anna");
    let status = estate.run(&["status"]).exits(0);
    assert!(
        status.out.contains("HALTED by anna: the shop is slow"),
        "{}",
        status.out
    );

    estate.does(&["resume", ROLLOUT]).exits(0);
    // Merged by somebody without an approval: that is not enough.
    let number = estate.pull_request("resume")["number"].to_string();
    estate.does(&["forge", "merge", &number, "--as", "anna"]).exits(0);
    estate
        .reconcile()
        .did_not("resumed")
        .waits_for("resume is merged with 0 of");
    estate.audited();
}

#[test]
fn a_rollout_can_be_halted_and_resumed_twice() {
    let mut estate = staging_released();
    for round in 1..=2 {
        estate
            .does(&["halt", ROLLOUT, "--reason", &format!("stop {round}")])
            .exits(0);
        estate.reconcile().did_not("resumed");
        estate.does(&["resume", ROLLOUT]).exits(0);
        estate.merge("resume");
        estate.reconcile().did("resumed");
    }
    patched(&estate, &["s1"], "2026-11-21T01:30:00Z");
    estate
        .at("2026-11-21T01:35:00Z")
        .reconcile()
        .did("released wave staging batch 02");
    estate.audited();
}

#[test]
fn what_is_not_halted_cannot_be_resumed() {
    let mut estate = staging_released();
    let said = estate.does(&["resume", ROLLOUT]).exits(1);
    assert!(said.err.contains("is not halted"), "{}", said.err);
    estate.does(&["halt", ROLLOUT, "--reason", "a moment"]).exits(0);
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    estate.reconcile().did("resumed");
    let said = estate.does(&["resume", ROLLOUT]).exits(1);
    assert!(said.err.contains("is not halted"), "{}", said.err);
}

#[test]
fn a_halted_rollout_proposes_and_merges_nothing() {
    let mut estate = super::play::test_soaking();
    estate.edit(
        "fleets/strategies.yaml",
        "soak: 24h\n      approval: {pullRequest: {reviewers: 1}}",
        "soak: 24h\n      approval: automatic",
    );
    estate.does(&["halt", ROLLOUT, "--reason", "wait"]).exits(0);
    estate.world().observe("2026-11-21T01:00:00Z");
    let run = estate.at("2026-11-21T01:05:00Z").reconcile();
    run.did_not("staging").did_not("merged").waits_for("halted by");
}

#[test]
fn what_was_not_reached_before_a_resume_is_tried_again() {
    let mut estate = staging_released();
    let plan = estate.frozen(ROLLOUT);
    let result = serde_json::json!({
        "formatVersion": "1.0", "rollout": ROLLOUT, "wave": "staging", "batch": "01", "asset": "s1",
        "patchset": plan["patchset"]["digest"], "action": "patch", "status": "not-attempted", "stage": "preflight",
        "reason": "unreachable", "startedAt": "2026-11-21T01:12:00Z", "finishedAt": "2026-11-21T01:13:00Z",
    });
    std::fs::write(estate.path().join("s1.json"), result.to_string()).unwrap();
    let file = estate.path().join("s1.json").display().to_string();
    estate.at("2026-11-21T01:14:00Z");
    estate.does(&["evidence", "add", ROLLOUT, "staging", &file]).exits(0);
    estate.world().observe("2026-11-21T01:15:00Z");
    estate
        .at("2026-11-21T01:30:00Z")
        .reconcile()
        .did("released wave staging batch 02");
    // The other batch fails, and a person lets the wave go on.
    estate.world().observe("2026-11-22T02:00:00Z");
    estate.at("2026-11-22T02:05:00Z").reconcile().did("wave staging halted");
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    estate.reconcile().did("resumed").did("released wave staging batch 01");
    patched(&estate, &["s1"], "2026-11-22T03:00:00Z");
    estate
        .at("2026-11-22T03:05:00Z")
        .reconcile()
        .did("1 passed")
        .did("released wave staging batch 02");
    patched(&estate, &["s2"], "2026-11-22T04:00:00Z");
    estate
        .at("2026-11-22T04:05:00Z")
        .reconcile()
        .did("wave staging verified");
    estate.audited();
}

/// The machines of the first wave need nothing yet, so that the second is asked for.
fn staging_first() -> Sandbox {
    let mut estate = Sandbox::estate();
    let world = estate.world();
    for asset in ["t1", "t2"] {
        world.set_version(asset, "openssl-libs", "1:3.0.7-29.el9_4");
    }
    world.observe("2026-11-20T11:00:00Z");
    let run = estate.at("2026-11-20T12:00:00Z").reconcile();
    run.did("wave staging proposed");
    estate
}

#[test]
fn a_wave_under_way_waits_for_one_before_it_that_got_work_again() {
    let mut estate = staging_first();
    estate.merge("staging");
    estate
        .at("2026-11-20T12:10:00Z")
        .reconcile()
        .did("released wave staging batch 01");
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-24.el9");
    patched(&estate, &["s1"], "2026-11-20T12:40:00Z");
    let run = estate.at("2026-11-20T12:45:00Z").reconcile();
    run.did("1 passed").did("wave test proposed").did_not("batch 02");
    estate.reconcile().quiet();
    estate.merge("test");
    estate
        .at("2026-11-20T12:50:00Z")
        .reconcile()
        .did("released wave test batch 01")
        .did_not("wave staging batch 02");
}

#[test]
fn what_is_not_next_any_more_is_asked_for_no_longer() {
    let mut estate = staging_first();
    let world = estate.world();
    // Before anybody merges it, something shows that the first wave is not free of it either.
    world.set_version("t1", "openssl-libs", "1:3.0.7-24.el9");
    world.observe("2026-11-20T12:30:00Z");
    let run = estate.at("2026-11-20T12:35:00Z").reconcile();
    run.did("wave test proposed")
        .did("closed pull request #1: not yet: wave staging comes after test now");
    estate.reconcile().quiet();
    assert_eq!(estate.pull_request("staging")["state"], "closed");
    // It comes when the first wave has proved it.
    estate.merge("test");
    estate
        .at("2026-11-20T12:40:00Z")
        .reconcile()
        .did("released wave test batch 01");
    patched(&estate, &["t1"], "2026-11-20T13:00:00Z");
    estate.at("2026-11-20T13:05:00Z").reconcile().did("wave test verified");
    estate.world().observe("2026-11-21T01:30:00Z");
    let run = estate.at("2026-11-21T01:35:00Z").reconcile();
    run.did("wave test promoted").did("wave staging proposed");
    assert_eq!(estate.pull_request("staging")["state"], "open");
    estate.merge("staging");
    estate.reconcile().did("released wave staging batch 01");
    estate.audited();
}

#[test]
fn a_batch_that_others_finished_holds_nobody_up() {
    let mut estate = staging_released();
    estate.world().observe("2026-11-22T02:00:00Z");
    estate.at("2026-11-22T02:05:00Z").reconcile().did("wave staging halted");
    // s1 is repaired by hand before anybody asks to go on: nothing is left to release in batch 01.
    patched(&estate, &["s1"], "2026-11-22T02:30:00Z");
    estate.at("2026-11-22T02:35:00Z").does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    estate
        .reconcile()
        .did("resumed")
        .did("1 passed")
        .did("released wave staging batch 02");
}

#[test]
fn a_merge_without_enough_approvals_starts_nothing() {
    let mut estate = critical_proposed();
    let number = estate.pull_request("critical")["number"].to_string();
    estate.does(&["forge", "approve", &number, "--as", "anna"]).exits(0);
    estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
    let run = estate.reconcile();
    run.did_not("approved").did_not("released");
    run.waits_for("was merged by berta with 1 of 2 approvals (anna); nothing runs before the rest is there");
    // A second person approves what is merged; the first cannot count twice.
    estate.does(&["forge", "approve", &number, "--as", "anna"]);
    estate.reconcile().did_not("approved");
}

#[test]
fn a_halted_last_wave_leaves_what_passed_alone() {
    let mut estate = critical_proposed();
    estate.merge("critical");
    estate.reconcile().did("released wave critical batch 01");
    patched(&estate, &["p1"], "2026-11-22T02:30:00Z");
    estate
        .at("2026-11-22T02:35:00Z")
        .reconcile()
        .did("released wave critical batch 02");
    // p2 is patched, p3 is not, and the opening ends.
    patched(&estate, &["p2"], "2026-11-22T04:10:00Z");
    let run = estate.at("2026-11-22T04:15:00Z").reconcile();
    run.did("1 passed, 1 failed")
        .did("wave critical halted")
        .did("p3: failed");
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    estate
        .reconcile()
        .did("resumed")
        .waits_for("wave critical batch 02 waits for nights at 2026-11-22T22:00:00Z");
    estate.world().observe("2026-11-22T22:00:00Z");
    estate
        .at("2026-11-22T22:05:00Z")
        .reconcile()
        .did("released wave critical batch 02");
    let permit = estate
        .run(&["permit", ROLLOUT, "critical", "02", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(
        permit["permit"]["assets"],
        serde_json::json!(["p3"]),
        "what has passed is not touched again"
    );
    estate.run(&["permit", ROLLOUT, "critical", "02", "p2"]).exits(1);
    patched(&estate, &["p3"], "2026-11-22T22:30:00Z");
    estate
        .at("2026-11-22T22:35:00Z")
        .reconcile()
        .did("wave critical verified");
    estate.audited();
}

#[test]
fn without_its_policy_nothing_of_a_rollout_runs() {
    let estate = test_released();
    estate.run(&["permit", ROLLOUT, "test", "01"]).exits(0);
    let policy = std::fs::read_to_string(estate.path().join("policies/linux.yaml")).unwrap();
    assert!(policy.contains("name: linux\n"), "{policy}");
    estate.edit("policies/linux.yaml", "name: linux\n", "name: other\n");
    let said = estate.run(&["permit", ROLLOUT, "test", "01"]).exits(1);
    assert!(said.out.contains("policy linux is gone"), "{}", said.out);
}

/// What pull requests remember of the ledger: lines that are gone are told, and nothing is released again.
#[test]
fn a_ledger_that_lost_lines_or_is_gone_decides_nothing() {
    for (cut, what) in [
        (None, "memory.ndjson: is gone"),
        (Some(3), "lines were cut off"),
        (Some(1), "when the dashboard was written: lines were cut off"),
    ] {
        let estate = critical_proposed();
        let forge = estate.forge();
        let mut ledger = forge.find_reference("refs/heads/patchwave/ledger").unwrap();
        if let Some(commits) = cut {
            let mut commit = ledger.peel_to_commit().unwrap();
            for _ in 0..commits {
                commit = commit.parent(0).unwrap();
            }
            ledger.set_target(commit.id(), "cut off").unwrap();
        } else {
            ledger.delete().unwrap();
        }
        let said = estate.run(&["reconcile", "--once"]).exits(1);
        assert!(said.err.contains(what), "{}", said.err);
        assert!(
            said.err
                .contains("push the commit the branch patchwave/ledger had before"),
            "{}",
            said.err
        );
        let said = estate.run(&["audit", "verify"]).exits(1);
        assert!(said.out.contains(what), "{}", said.out);
    }
}
