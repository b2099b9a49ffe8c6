//! What people do on the forge: they close, push, approve; and what the engine may do by itself.

use super::play::{ROLLOUT, proposed, staging_proposed};
use crate::support::Sandbox;

#[test]
fn a_pull_request_closed_by_a_person_means_not_now() {
    let mut estate = proposed();
    estate.does(&["forge", "close", "1", "--as", "anna"]).exits(0);
    let run = estate.at("2026-11-20T13:00:00Z").reconcile();
    run.did_not("opened").waits_for("closed by anna ('not now')");
    assert_eq!(
        estate.pull_requests().len(),
        1,
        "it is not asked again under another name"
    );
    estate.reconcile().quiet();
    // At three quarters of the fourteen days it is asked again, and says so.
    estate.world().observe("2026-11-29T00:00:00Z");
    let run = estate.at("2026-11-29T00:05:00Z").reconcile();
    run.did("opened or updated pull request");
    assert_eq!(estate.pull_request("test")["state"], "open");
}

#[test]
fn a_later_wave_closed_by_a_person_means_not_now() {
    let mut estate = staging_proposed();
    estate.does(&["forge", "close", "2", "--as", "anna"]).exits(0);
    let run = estate.at("2026-11-21T01:10:00Z").reconcile();
    run.did_not("opened")
        .waits_for("closed by anna ('not now'); asked again when an SLA is at risk");
    estate.reconcile().quiet();
    estate.world().observe("2026-11-29T00:00:00Z");
    let run = estate.at("2026-11-29T00:05:00Z").reconcile();
    run.did("opened or updated pull request").did_not("closed");
    assert_eq!(estate.pull_request("staging")["state"], "open");
    estate.merge("staging");
    estate.reconcile().did("released wave staging batch 01");
}

#[test]
fn a_persons_commit_is_never_overwritten() {
    let mut estate = proposed();
    let branch = format!("patchwave/{ROLLOUT}/test");
    estate.push(&branch, "berta", &[("rollouts/NOTES.md", "think of the backup\n")]);
    let before = estate.refs()[&format!("refs/heads/{branch}")].clone();
    // The plan changes: another advisory joins while the first wave is not approved.
    estate.write("fleets/advisories/ALSA-2026-7002.json", &second_advisory());
    let run = estate.at("2026-11-20T13:00:00Z").reconcile();
    run.waits_for("carries a person's commit")
        .did("commented on pull request #1");
    assert_eq!(estate.refs()[&format!("refs/heads/{branch}")], before);
    estate.reconcile().quiet();
    let comments = estate.pull_request("test")["comments"].as_array().unwrap().len();
    assert_eq!(comments, 1, "once");
}

fn second_advisory() -> String {
    let file = crate::support::home().join("tests/scenarios/estate/fleets/advisories/ALSA-2026-7001.json");
    let text = std::fs::read_to_string(file).unwrap();
    text.replace("7001", "7002")
        .replace("70001", "70002")
        .replace("openssl-libs", "bash")
        .replace("1:3.0.7-29.el9_4", "5.1.8-10.el9_4")
}

#[test]
fn a_newcomer_joins_while_the_first_wave_is_not_approved() {
    let mut estate = proposed();
    estate.write("fleets/advisories/ALSA-2026-7002.json", &second_advisory());
    let run = estate.at("2026-11-20T13:00:00Z").reconcile();
    run.did("opened or updated pull request #1");
    let plan: serde_json::Value = serde_json::from_slice(
        &estate
            .forge_file(
                &format!("refs/heads/patchwave/{ROLLOUT}/test"),
                &format!("rollouts/{ROLLOUT}/plan.json"),
            )
            .unwrap(),
    )
    .unwrap();
    assert_eq!(plan["revision"], 2);
    assert_eq!(plan["patchset"]["targets"].as_array().unwrap().len(), 2);
    estate.reconcile().quiet();
    estate.merge("test");
    estate.reconcile().did("released wave test batch 01");
}

#[test]
fn approved_by_nobody_is_merged_by_the_engine_where_the_strategy_says_so() {
    let mut estate = Sandbox::estate();
    estate.edit(
        "fleets/strategies.yaml",
        "soak: 12h\n      approval: {pullRequest: {reviewers: 1}}",
        "soak: 12h\n      approval: automatic",
    );
    let run = estate.at("2026-11-20T12:00:00Z").reconcile();
    run.did("merged pull request #1 (approval: automatic)")
        .did("released wave test batch 01");
    let pull_request = estate.pull_request("test");
    assert_eq!(
        (&pull_request["state"], &pull_request["endedBy"]),
        (&"merged".into(), &"patchwave".into())
    );
    estate.reconcile().quiet();
}

#[test]
fn an_automatic_approval_stops_at_a_persons_commit() {
    let mut estate = proposed();
    let branch = format!("patchwave/{ROLLOUT}/test");
    estate.push(&branch, "berta", &[("rollouts/NOTES.md", "think of the backup\n")]);
    estate.edit(
        "fleets/strategies.yaml",
        "soak: 12h\n      approval: {pullRequest: {reviewers: 1}}",
        "soak: 12h\n      approval: automatic",
    );
    let run = estate.at("2026-11-20T13:00:00Z").reconcile();
    run.did_not("merged").did_not("released");
    assert_eq!(estate.pull_request("test")["state"], "open");
}

#[test]
fn the_authors_own_approval_does_not_count() {
    let mut estate = proposed();
    estate.does(&["forge", "approve", "1", "--as", "patchwave"]);
    estate.does(&["forge", "merge", "1", "--as", "anna"]).exits(0);
    estate.reconcile().did_not("released").waits_for("0 of 1 approvals");
    // It did no harm, and it is not forgotten.
    let audit = estate.run(&["audit", "verify"]).exits(0);
    assert!(
        audit
            .out
            .contains("wave test, pull request 1: anna merged it with 0 of 1 approvals"),
        "{}",
        audit.out
    );
    // The rest can be given afterwards; the bypass stays a finding.
    estate.at("2026-11-20T12:05:00Z");
    estate.does(&["forge", "approve", "1", "--as", "berta"]).exits(0);
    estate.reconcile().did("wave test approved");
    let audit = estate.run(&["audit", "verify"]).exits(0);
    assert!(
        audit.out.contains("anna merged it with 0 of 1 approvals"),
        "{}",
        audit.out
    );
}
