//! A wave that fails under `onFailure: rollback`: what is asked for, what may go back when, and when it is back.

use super::play::{ROLLOUT, patched};
use crate::support::Sandbox;

const OLD: &str = "1:3.0.7-24.el9";

/// The first wave may be rolled back exactly, and its two machines go one after the other; `rules` are more of its fields.
fn estate(rules: &str) -> Sandbox {
    let mut estate = Sandbox::estate();
    estate.edit(
        "fleets/strategies.yaml",
        "      batches: [\"100%\"]\n      soak: 12h",
        &format!("      batches: [1, 1]\n      soak: 12h\n      onFailure: rollback{rules}"),
    );
    estate.edit(
        "fleets/classes.yaml",
        "  criticality: low\n",
        "  criticality: low\n  protection: {backup: none, rollback: package-downgrade}\n",
    );
    estate.at("2026-11-20T12:00:00Z").reconcile();
    estate.merge("test");
    estate
        .at("2026-11-20T12:10:00Z")
        .reconcile()
        .did("released wave test batch 01");
    estate
}

/// The executor says that it failed on t1.
fn failed_on_t1(estate: &mut Sandbox) {
    let plan = estate.frozen(ROLLOUT);
    let result = serde_json::json!({
        "formatVersion": "1.0", "rollout": ROLLOUT, "wave": "test", "batch": "01", "asset": "t1",
        "patchset": plan["patchset"]["digest"], "action": "patch", "status": "failed", "stage": "patch",
        "startedAt": "2026-11-20T12:16:00Z", "finishedAt": "2026-11-20T12:20:00Z",
    });
    std::fs::write(estate.path().join("t1.json"), result.to_string()).unwrap();
    let file = estate.path().join("t1.json").display().to_string();
    estate.at("2026-11-20T12:25:00Z");
    estate.does(&["evidence", "add", ROLLOUT, "test", &file]).exits(0);
}

/// t1 failed, which the wave allows for one, and the other batch has run.
fn half_failed() -> Sandbox {
    let mut estate = estate("\n      maxFailures: 1");
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-25.el9");
    failed_on_t1(&mut estate);
    estate.world().observe("2026-11-20T12:40:00Z");
    estate
        .at("2026-11-20T12:45:00Z")
        .reconcile()
        .did("released wave test batch 02");
    estate
}

/// Both ran, took something else and failed.
fn failed() -> Sandbox {
    let mut estate = half_failed();
    estate.world().set_version("t2", "openssl-libs", "1:3.0.7-25.el9");
    estate.world().observe("2026-11-21T13:00:00Z");
    estate
        .at("2026-11-21T13:05:00Z")
        .reconcile()
        .did("wave test failed")
        .did("wave test halted")
        .did("roll wave test back");
    estate
}

/// The request to roll the first wave back.
fn asked(estate: &Sandbox) -> serde_json::Value {
    let all = estate.pull_requests();
    let prefix = format!("patchwave/{ROLLOUT}/rollback.test.");
    let found = all
        .iter()
        .rev()
        .find(|p| p["branch"].as_str().unwrap().starts_with(&prefix));
    found
        .cloned()
        .unwrap_or_else(|| panic!("nothing asks to roll back: {all:#?}"))
}

fn merge(estate: &mut Sandbox) {
    let number = asked(estate)["number"].to_string();
    estate.does(&["-q", "forge", "merge", &number]).exits(0);
}

fn may_go_back(estate: &Sandbox, batch: &str, asset: &str) -> crate::support::Said {
    estate.run_with(
        &[("PATCHWAVE_ACTION", "rollback")],
        &["permit", ROLLOUT, "test", batch, asset],
    )
}

#[test]
fn a_failed_wave_goes_back_batch_by_batch() {
    let mut estate = failed();
    let asked = asked(&estate);
    let body = asked["body"].as_str().unwrap();
    assert!(body.contains("| 01 | t1 | exact |"), "{body}");
    assert!(body.contains("| 02 | t2 | exact |"), "{body}");
    assert!(body.contains("at once, also outside maintenance windows"), "{body}");
    estate.reconcile().quiet().waits_for("asks to roll it back");
    // Asked for is not allowed.
    let said = may_go_back(&estate, "01", "t1").exits(1);
    assert!(said.out.contains("nobody approved"), "{}", said.out);

    merge(&mut estate);
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did("wave test may be rolled back")
        .did("wave test batch 01 may go back")
        .did_not("batch 02 may go back");
    may_go_back(&estate, "01", "t1").exits(0);
    let said = may_go_back(&estate, "02", "t2").exits(1);
    assert!(said.out.contains("waits to go back"), "{}", said.out);
    // A permit to patch is another thing.
    estate.run(&["permit", ROLLOUT, "test", "01"]).exits(1);

    estate.world().set_version("t1", "openssl-libs", OLD);
    estate.world().observe("2026-11-21T13:20:00Z");
    estate
        .at("2026-11-21T13:25:00Z")
        .reconcile()
        .did("wave test batch 01 is back: 1 assets")
        .did("wave test batch 02 may go back");
    let said = may_go_back(&estate, "01", "t1").exits(1);
    assert!(said.out.contains("back already"), "{}", said.out);
    let run = estate.reconcile();
    run.quiet().waits_for("t2: not observed since it was let go back");
    estate.world().observe("2026-11-21T13:30:00Z");
    let run = estate.at("2026-11-21T13:35:00Z").reconcile();
    run.did_not("rolled-back")
        .waits_for("openssl-libs is 1:3.0.7-25.el9, not 1:3.0.7-24.el9 as before");
    estate.world().set_version("t2", "openssl-libs", OLD);
    estate.world().observe("2026-11-21T13:40:00Z");
    let run = estate.at("2026-11-21T13:45:00Z").reconcile();
    run.did("wave test rolled-back").did_not("staging");
    estate.reconcile().quiet().waits_for("what it fixed is open again");
    // The waves after it have no place any more; how late they would be is not told anew at every run.
    let plan = estate.run(&["plan"]).exits(0).out;
    assert!(plan.contains("has no place in time"), "{plan}");
    estate.at("2026-11-21T14:00:00Z").reconcile().quiet();
    estate.audited();
}

#[test]
fn what_is_as_it_was_is_not_rolled_back() {
    let mut estate = half_failed();
    // t2 was never changed at all.
    estate.world().observe("2026-11-21T13:00:00Z");
    estate.at("2026-11-21T13:05:00Z").reconcile().did("roll wave test back");
    let body = asked(&estate)["body"].as_str().unwrap().to_owned();
    assert!(body.contains("t1"), "{body}");
    assert!(!body.contains("| t2 |"), "{body}");
}

/// A check that failed and a %post that rpm calls a success leave right versions behind: only the executor has seen it.
#[test]
fn right_versions_after_a_run_that_failed_do_not_pass() {
    let mut estate = estate("");
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-29.el9_4");
    failed_on_t1(&mut estate);
    estate.world().observe("2026-11-20T12:40:00Z");
    let run = estate.at("2026-11-20T12:45:00Z").reconcile();
    run.did("wave test halted")
        .did("roll wave test back")
        .did_not("batch 02");
    let status = estate.run(&["status"]).exits(0).out;
    assert!(
        status.contains("t1: failed: its versions are right, but its run failed"),
        "{status}"
    );
    assert!(asked(&estate)["body"].as_str().unwrap().contains("| 01 | t1 | exact |"));
    estate.audited();
}

#[test]
fn what_passed_in_another_batch_stays() {
    let mut estate = estate("");
    patched(&estate, &["t1"], "2026-11-20T12:40:00Z");
    estate
        .at("2026-11-20T12:45:00Z")
        .reconcile()
        .did("released wave test batch 02");
    estate.world().set_version("t2", "openssl-libs", "1:3.0.7-25.el9");
    estate.world().observe("2026-11-21T13:00:00Z");
    estate.at("2026-11-21T13:05:00Z").reconcile().did("roll wave test back");
    let body = asked(&estate)["body"].as_str().unwrap().to_owned();
    assert!(
        body.contains("| 02 | t2 | exact |") && !body.contains("| 01 | t1 |"),
        "{body}"
    );
    merge(&mut estate);
    estate
        .at("2026-11-21T13:10:00Z")
        .reconcile()
        .did("batch 02 may go back");
    may_go_back(&estate, "01", "t1").exits(1);
    estate.world().set_version("t2", "openssl-libs", OLD);
    estate.world().observe("2026-11-21T13:20:00Z");
    let run = estate.at("2026-11-21T13:25:00Z").reconcile();
    run.did("batch 02 is back: 1 assets").did("wave test rolled-back");
    estate.audited();
}

#[test]
fn what_is_newer_by_now_or_in_other_hands_is_left_alone() {
    let mut estate = failed();
    merge(&mut estate);
    // Somebody has brought something newer since.
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-30.el9_4");
    estate.world().observe("2026-11-21T13:08:00Z");
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did_not("may go back")
        .waits_for("asset t1: openssl-libs is 1:3.0.7-30.el9_4, newer than the 1:3.0.7-29.el9_4 of this wave");
    let words = [
        "evidence",
        "waive",
        ROLLOUT,
        "test",
        "t1",
        "--reason",
        "newer",
        "--until",
        "2026-12-01",
    ];
    estate.does(&words).exits(0);
    estate.reconcile().did("batch 01 is back").did("batch 02 may go back");
    may_go_back(&estate, "01", "t1").exits(1);
    may_go_back(&estate, "02", "t2").exits(0);
}

#[test]
fn what_nobody_reports_is_not_back() {
    let mut estate = failed();
    merge(&mut estate);
    estate
        .at("2026-11-21T13:10:00Z")
        .reconcile()
        .did("batch 01 may go back");
    // The records that report it cannot be read: it is not seen, and that says nothing.
    let fleets = estate.path().join("fleets/observed");
    for file in std::fs::read_dir(&fleets).unwrap() {
        std::fs::write(file.unwrap().path(), "{broken\n").unwrap();
    }
    let run = estate.at("2026-11-21T13:25:00Z").reconcile();
    run.did_not("is back").did_not("rolled-back");
    // Nor is the rollout done with because nothing is known to be left.
    run.did_not("superseded")
        .waits_for("t1: not observed since it was let go back");
}

#[test]
fn a_way_back_needs_the_approvals_of_the_way_there() {
    let mut estate = failed();
    let number = asked(&estate)["number"].to_string();
    estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did_not("may be rolled back")
        .waits_for("rolling back is merged with 0 of 1 approvals");
    may_go_back(&estate, "01", "t1").exits(1);
}

#[test]
fn a_halt_holds_the_way_back() {
    let mut estate = failed();
    merge(&mut estate);
    estate
        .at("2026-11-21T13:10:00Z")
        .reconcile()
        .did("batch 01 may go back");
    estate.does(&["halt", ROLLOUT, "--reason", "wait"]).exits(0);
    let said = may_go_back(&estate, "01", "t1").exits(1);
    assert!(said.out.contains("halted by"), "{}", said.out);
}

#[test]
fn an_edited_request_takes_back_what_is_left_in_it_and_nothing_else() {
    let mut estate = failed();
    let head = asked(&estate)["branch"].as_str().unwrap().to_owned();
    let body = asked(&estate)["body"].as_str().unwrap().to_owned();
    let (_, stop) = body.rsplit_once("digest=").unwrap();
    let path = format!("rollouts/{ROLLOUT}/rollback-{}.yaml", stop.get(..12).unwrap());
    let text = String::from_utf8(estate.forge_file(&format!("refs/heads/{head}"), &path).unwrap()).unwrap();
    let strange = text.replace("'t2'", "'p1'");
    assert_ne!(text, strange);
    estate.push(&head, "berta", &[(&path, &strange)]);
    merge(&mut estate);
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did_not("may be rolled back").waits_for("names p1 in batch 02");
    // Mended in the base branch, without t2, it takes t1 back and is done.
    let (first, _) = text.split_once("\"02\"").unwrap();
    let only = first.trim_end().to_owned() + "\n";
    estate.push("main", "berta", &[(&path, &only)]);
    estate.reconcile().did("batch 01 may go back");
    estate.world().set_version("t1", "openssl-libs", OLD);
    estate.world().observe("2026-11-21T13:20:00Z");
    estate
        .at("2026-11-21T13:25:00Z")
        .reconcile()
        .did("wave test rolled-back")
        .did_not("batch 02");
}

#[test]
fn a_policy_of_halting_asks_for_nothing() {
    let mut estate = super::play::staging_released();
    estate.world().observe("2026-11-22T02:00:00Z");
    let run = estate.at("2026-11-22T02:05:00Z").reconcile();
    run.did("wave staging halted").did_not("roll wave");
}

#[test]
fn a_branch_that_only_asks_says_nothing_of_the_plan() {
    let mut estate = failed();
    let branch = asked(&estate)["branch"].as_str().unwrap().to_owned();
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
    estate.push(&branch, "berta", &[(&path, "{broken")]);
    estate.reconcile().quiet();
    estate.push(
        &branch,
        "berta",
        &[(&path, &plan.replace("\"soakSeconds\": 43200", "\"soakSeconds\": 0"))],
    );
    estate.reconcile().quiet();
    estate.does(&["halt", ROLLOUT, "--reason", "look"]).exits(0);
}

#[test]
fn what_may_still_run_is_taken_back_as_well() {
    let mut estate = Sandbox::estate();
    let (before, after) = ("      soak: 12h", "      soak: 12h\n      onFailure: rollback");
    estate.edit("fleets/strategies.yaml", before, after);
    let (before, after) = (
        "  criticality: low\n",
        "  criticality: low\n  protection: {backup: none, rollback: package-downgrade}\n",
    );
    estate.edit("fleets/classes.yaml", before, after);
    estate.at("2026-11-20T12:00:00Z").reconcile();
    estate.merge("test");
    estate
        .at("2026-11-20T12:10:00Z")
        .reconcile()
        .did("released wave test batch 01");
    // One of the two fails while nobody knows how far the other has come.
    failed_on_t1(&mut estate);
    estate.world().observe("2026-11-20T12:26:00Z");
    estate
        .at("2026-11-20T12:28:00Z")
        .reconcile()
        .did("wave test failed")
        .did("roll wave test back");
    let body = asked(&estate)["body"].as_str().unwrap().to_owned();
    assert!(body.contains("| 01 | t1 |") && body.contains("| 01 | t2 |"), "{body}");
    // The opening is over, and the other was never changed: nobody has to take it back.
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-25.el9");
    estate.world().observe("2026-11-21T13:00:00Z");
    estate.at("2026-11-21T13:05:00Z").reconcile();
    let body = asked(&estate)["body"].as_str().unwrap().to_owned();
    assert!(body.contains("| 01 | t1 |") && !body.contains("| 01 | t2 |"), "{body}");
    estate.reconcile().quiet();
}

#[test]
fn half_way_back_is_not_back() {
    let mut estate = failed();
    merge(&mut estate);
    estate
        .at("2026-11-21T13:10:00Z")
        .reconcile()
        .did("batch 01 may go back");
    estate.world().set_version("t1", "openssl-libs", OLD);
    estate.world().pending_reboot("t1", true);
    estate.world().observe("2026-11-21T13:20:00Z");
    let run = estate.at("2026-11-21T13:25:00Z").reconcile();
    run.did_not("is back").waits_for("t1: it waits for a reboot");
    // Nobody waits for one that a person lets go.
    let words = [
        "evidence",
        "waive",
        ROLLOUT,
        "test",
        "t1",
        "--reason",
        "broken",
        "--until",
        "2026-12-01",
    ];
    estate.does(&words).exits(0);
    estate.reconcile().did("wave test batch 01 is back");
}

#[test]
fn back_and_on_at_once_goes_back() {
    let mut estate = failed();
    estate.does(&["resume", ROLLOUT]).exits(0);
    merge(&mut estate);
    estate.merge("resume");
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did_not("resumed").did("wave test may be rolled back");
    estate.reconcile().quiet();
}

#[test]
fn a_resume_closes_the_request_to_go_back() {
    let mut estate = failed();
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did("resumed");
    assert_eq!(asked(&estate)["state"], "closed");
}

#[test]
fn what_was_rolled_back_is_not_asked_for_again() {
    let mut estate = failed();
    merge(&mut estate);
    estate.at("2026-11-21T13:10:00Z").reconcile();
    for asset in ["t1", "t2"] {
        estate.world().set_version(asset, "openssl-libs", OLD);
    }
    estate.world().observe("2026-11-21T13:20:00Z");
    estate.at("2026-11-21T13:25:00Z").reconcile();
    estate.world().observe("2026-11-21T13:30:00Z");
    estate.at("2026-11-21T13:35:00Z").reconcile().did("rolled-back");
    let before = estate.pull_requests().len();
    estate.world().observe("2026-11-23T13:30:00Z");
    let run = estate.at("2026-11-23T13:35:00Z").reconcile();
    run.did_not("proposed").waits_for("what it fixed is open again");
    assert_eq!(estate.pull_requests().len(), before);
}
