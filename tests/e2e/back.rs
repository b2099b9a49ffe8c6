//! A wave that fails under `onFailure: rollback`: what is asked for, what may go back when, and when it is back.

use super::play::{ROLLOUT, patched};
use crate::support::Sandbox;

const OLD: &str = "1:3.0.7-24.el9";
const BRANCH: &str = "rollback/test";

/// The first wave may be rolled back exactly, and its two machines go one after the other.
fn estate() -> Sandbox {
    let mut estate = Sandbox::estate();
    estate.edit(
        "fleets/strategies.yaml",
        "      batches: [\"100%\"]\n      soak: 12h",
        "      batches: [1, 1]\n      soak: 12h\n      onFailure: rollback",
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
    patched(&estate, &["t1"], "2026-11-20T12:40:00Z");
    estate
        .at("2026-11-20T12:45:00Z")
        .reconcile()
        .did("released wave test batch 02");
    estate
}

/// Both ran: t1 has its target, t2 took something else and failed.
fn failed() -> Sandbox {
    let mut estate = estate();
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

fn may_go_back(estate: &Sandbox, batch: &str, asset: &str) -> crate::support::Said {
    estate.run_with(
        &[("PATCHWAVE_ACTION", "rollback")],
        &["permit", ROLLOUT, "test", batch, asset],
    )
}

#[test]
fn a_failed_wave_goes_back_batch_by_batch() {
    let mut estate = failed();
    let asked = estate.pull_request(BRANCH);
    let body = asked["body"].as_str().unwrap();
    assert!(body.contains("| 01 | t1 | exact |"), "{body}");
    assert!(body.contains("| 02 | t2 | exact |"), "{body}");
    assert!(body.contains("at once, also outside maintenance windows"), "{body}");
    estate.reconcile().quiet().waits_for("asks to roll it back");
    // Asked for is not allowed.
    let said = may_go_back(&estate, "01", "t1").exits(1);
    assert!(said.out.contains("nobody approved"), "{}", said.out);

    estate.merge(BRANCH);
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
    let mut estate = estate();
    // t2 was never changed at all.
    estate.world().observe("2026-11-21T13:00:00Z");
    estate.at("2026-11-21T13:05:00Z").reconcile().did("roll wave test back");
    let body = estate.pull_request(BRANCH)["body"].as_str().unwrap().to_owned();
    assert!(body.contains("t1"), "{body}");
    assert!(!body.contains("| t2 |"), "{body}");
}

#[test]
fn a_way_back_needs_the_approvals_of_the_way_there() {
    let mut estate = failed();
    let number = estate.pull_request(BRANCH)["number"].to_string();
    estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
    let run = estate.at("2026-11-21T13:10:00Z").reconcile();
    run.did_not("may be rolled back")
        .waits_for("rolling back is merged with 0 of 1 approvals");
    may_go_back(&estate, "01", "t1").exits(1);
}

#[test]
fn a_halt_holds_the_way_back() {
    let mut estate = failed();
    estate.merge(BRANCH);
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
    let head = estate.pull_request(BRANCH)["branch"].as_str().unwrap().to_owned();
    let body = estate.pull_request(BRANCH)["body"].as_str().unwrap().to_owned();
    let (_, stop) = body.rsplit_once("digest=").unwrap();
    let path = format!("rollouts/{ROLLOUT}/rollback-{}.yaml", stop.get(..12).unwrap());
    let text = String::from_utf8(estate.forge_file(&format!("refs/heads/{head}"), &path).unwrap()).unwrap();
    let strange = text.replace("'t2'", "'p1'");
    assert_ne!(text, strange);
    estate.push(&head, "berta", &[(&path, &strange)]);
    estate.merge(BRANCH);
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
