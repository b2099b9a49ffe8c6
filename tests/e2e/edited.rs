//! What people edit in files that the engine wrote: before the merge, after it, and after the approval.

use super::play::{ROLLOUT, critical_proposed, patched, proposed, staging_proposed};
use crate::support::Sandbox;

#[test]
fn the_edited_set_of_the_first_wave_becomes_the_frozen_one() {
    let mut estate = proposed();
    let branch = format!("patchwave/{ROLLOUT}/test");
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file(&format!("refs/heads/{branch}"), &path).unwrap()).unwrap();
    // The person knows of a newer build.
    let edited = plan.replace("1:3.0.7-29.el9_4", "1:3.0.7-30.el9_4");
    assert_ne!(plan, edited);
    estate.push(&branch, "berta", &[(&path, &edited)]);
    estate.merge("test");
    // What an executor would refuse is not released: its files are not what SHA256SUMS lists.
    let run = estate.at("2026-11-20T12:10:00Z").reconcile();
    run.did("wave test approved: edited by a person before the merge")
        .did_not("released")
        .waits_for("plan.json is not the file SHA256SUMS lists");
    estate.push_listed("main", "berta", ROLLOUT, &[(&path, &edited)]);
    let run = estate.at("2026-11-20T12:15:00Z").reconcile();
    run.did("released wave test batch 01");
    // The edited set is what has to be shown now: the old target is not enough.
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-29.el9_4");
    estate.world().set_version("t2", "openssl-libs", "1:3.0.7-30.el9_4");
    estate.world().observe("2026-11-20T13:00:00Z");
    let run = estate.at("2026-11-20T13:05:00Z").reconcile();
    run.did("1 passed")
        .waits_for("t1: openssl-libs is still 1:3.0.7-29.el9_4, not 1:3.0.7-30.el9_4");
}

#[test]
fn nobody_edits_the_approvals_away() {
    let mut estate = critical_proposed();
    let branch = format!("patchwave/{ROLLOUT}/critical");
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file(&format!("refs/heads/{branch}"), &path).unwrap()).unwrap();
    let edited = plan.replace("\"reviewers\": 2", "\"reviewers\": 0");
    assert_ne!(plan, edited);
    estate.push(&branch, "berta", &[(&path, &edited)]);
    let number = estate.pull_request("critical")["number"].to_string();
    estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
    // A later wave is what was proposed, or it is not approved at all.
    let run = estate.reconcile();
    run.did("wave critical edited").did_not("released");
}

#[test]
fn nobody_edits_the_approvals_of_a_first_wave_away() {
    let mut estate = proposed();
    let branch = format!("patchwave/{ROLLOUT}/test");
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file(&format!("refs/heads/{branch}"), &path).unwrap()).unwrap();
    let edited = plan.replacen("\"reviewers\": 1", "\"reviewers\": 0", 1);
    assert_ne!(plan, edited);
    estate.push_listed(&branch, "berta", ROLLOUT, &[(&path, &edited)]);
    let number = estate.pull_request("test")["number"].to_string();
    estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
    estate.reconcile().did_not("released").waits_for("0 of 1 approvals");
}

/// The small estate, whose first wave needs nobody's approval; it is asked for, and not merged yet.
fn automatic() -> Sandbox {
    let mut estate = Sandbox::estate();
    let before = "      soak: 12h\n      approval: {pullRequest: {reviewers: 1}}\n";
    estate.edit(
        "fleets/strategies.yaml",
        before,
        "      soak: 12h\n      approval: automatic\n",
    );
    estate.at("2026-11-20T12:00:00Z");
    estate.does(&["-q", "propose"]).exits(0);
    estate
}

#[test]
fn what_a_person_wrote_is_approved_also_where_the_engines_own_needs_nobody() {
    for merged in [true, false] {
        let mut estate = automatic();
        let branch = format!("patchwave/{ROLLOUT}/test");
        let path = format!("rollouts/{ROLLOUT}/plan.json");
        let plan = String::from_utf8(estate.forge_file(&format!("refs/heads/{branch}"), &path).unwrap()).unwrap();
        let edited = plan.replace("1:3.0.7-29.el9_4", "1:3.0.7-30.el9_4");
        assert_ne!(plan, edited);
        // Also one who commits in the engine's name: the content tells.
        estate.push_listed(&branch, "patchwave", ROLLOUT, &[(&path, &edited)]);
        if merged {
            let number = estate.pull_request("test")["number"].to_string();
            estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
            estate
                .reconcile()
                .did_not("approved")
                .waits_for("pull request 1 was merged by berta with 0 of 1 approvals");
        } else {
            estate
                .reconcile()
                .did_not("merged")
                .did_not("approved")
                .did_not("released");
        }
        estate.run(&["permit", ROLLOUT, "test", "01"]).exits(1);
    }
}

#[test]
fn what_needs_nobody_goes_by_itself() {
    let mut estate = automatic();
    estate
        .reconcile()
        .did("merged pull request #1 (approval: automatic)")
        .did("released wave test batch 01");
}

#[test]
fn an_edit_of_the_base_branch_after_the_merge_is_approved_by_nobody() {
    let mut estate = proposed();
    let number = estate.pull_request("test")["number"].to_string();
    estate.does(&["forge", "merge", &number, "--as", "berta"]).exits(0);
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
    let edited = plan.replace("1:3.0.7-29.el9_4", "1:3.0.7-30.el9_4");
    estate.push_listed("main", "berta", ROLLOUT, &[(&path, &edited)]);
    // Who approves now sees what the pull request holds, which is not what would run.
    estate.does(&["forge", "approve", &number, "--as", "anna"]).exits(0);
    let waits = "somebody edited them on the base branch, which nobody approved; revert the edit";
    estate.reconcile().did_not("approved").waits_for(waits);
    estate.push_listed("main", "berta", ROLLOUT, &[(&path, &plan)]);
    estate
        .reconcile()
        .did("wave test approved")
        .did("released wave test batch 01");
}

/// What `plan.json` says of how a wave goes on is approved with it: changed after the approval, the wave stops.
#[test]
fn the_rules_of_an_approved_wave_are_what_was_approved() {
    for (from, to) in [
        ("\"soakSeconds\": 43200", "\"soakSeconds\": 0"),
        ("\"onFailure\": \"halt\"", "\"onFailure\": \"rollback\""),
        ("\"strategy\": \"standard\"", "\"strategy\": \"swift\""),
    ] {
        let mut estate = super::play::test_soaking();
        let path = format!("rollouts/{ROLLOUT}/plan.json");
        let plan = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
        let edited = plan.replacen(from, to, 1);
        assert_ne!(plan, edited, "{from}");
        estate.push_listed("main", "berta", ROLLOUT, &[(&path, &edited)]);
        let said = estate.run(&["audit", "verify"]).exits(1);
        assert!(
            said.out.contains("what was merged is not what was approved"),
            "{}",
            said.out
        );
        estate.reconcile().did("wave test halted: edited").did_not("promoted");
    }
}

#[test]
fn a_plan_in_the_wrong_folder_or_lane_is_not_believed() {
    for (from, to) in [
        ("\"lane\": \"routine\"", "\"lane\": \"emergency\""),
        ("\"policy\": \"linux\"", "\"policy\": \"lin\""),
    ] {
        let estate = super::play::test_soaking();
        let path = format!("rollouts/{ROLLOUT}/plan.json");
        let plan = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
        let edited = plan.replacen(from, to, 1);
        assert_ne!(plan, edited, "{from}");
        estate.push_listed("main", "berta", ROLLOUT, &[(&path, &edited)]);
        let said = estate.run(&["reconcile", "--once"]).exits(1);
        assert!(
            said.err.contains("whose rules hold cannot be told; revert the edit"),
            "{}",
            said.err
        );
    }
}

#[test]
fn the_openings_of_an_approved_wave_are_what_was_approved() {
    let mut estate = super::play::test_soaking();
    let path = format!("rollouts/{ROLLOUT}/waves/01-test/openings.json");
    let openings = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
    let edited = openings
        .replace("\"stopAtEnd\": false", "\"stopAtEnd\": true")
        .replace("2026", "2027");
    estate.push_listed("main", "berta", ROLLOUT, &[(&path, &edited)]);
    let said = estate.run(&["audit", "verify"]).exits(1);
    assert!(
        said.out.contains("openings.json: was approved with the SHA-256"),
        "{}",
        said.out
    );
    estate.reconcile().did("wave test halted: edited").did_not("promoted");
}

#[test]
fn the_edited_files_of_a_later_wave_halt_it() {
    let mut estate = staging_proposed();
    let branch = format!("patchwave/{ROLLOUT}/staging");
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file(&format!("refs/heads/{branch}"), &path).unwrap()).unwrap();
    let edited = plan.replace("1:3.0.7-29.el9_4", "1:3.0.7-30.el9_4");
    assert_ne!(plan, edited);
    estate.push(&branch, "berta", &[(&path, &edited)]);
    estate.merge("staging");
    let run = estate.at("2026-11-21T01:10:00Z").reconcile();
    run.did("wave staging edited")
        .did("wave staging superseded: edited")
        .did("wave critical superseded: edited")
        .did_not("released");
    estate.at("2026-11-21T02:10:00Z").reconcile().did_not("released");
    let said = estate.run(&["permit", ROLLOUT, "staging", "01"]).exits(1);
    assert!(said.out.contains("there is no open rollout"), "{}", said.out);
    // What it had not fixed yet is open again, and goes through every wave at the next cut.
    let plan = estate.run(&["plan"]).exits(0);
    assert!(plan.out.contains("s1"), "{}", plan.out);
}

#[test]
fn an_edit_of_needs_makes_no_wave_the_first() {
    let mut estate = staging_proposed();
    let branch = format!("patchwave/{ROLLOUT}/staging");
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file(&format!("refs/heads/{branch}"), &path).unwrap()).unwrap();
    let edited = plan.replacen("\"soakSeconds\": 86400", "\"soakSeconds\": 0", 1);
    let (before, after) = edited.split_once("\"name\": \"staging\"").unwrap();
    let after = after.replacen("\"test\"\n", "\n", 1);
    let edited = format!("{before}\"name\": \"staging\"{after}");
    estate.push_listed(&branch, "berta", ROLLOUT, &[(&path, &edited)]);
    estate.merge("staging");
    let run = estate.at("2026-11-21T01:10:00Z").reconcile();
    run.did("wave staging edited").did_not("released");
}

#[test]
fn files_edited_after_the_approval_halt_the_wave_as_well() {
    let mut estate = staging_proposed();
    estate.merge("staging");
    let run = estate.at("2026-11-21T01:10:00Z").reconcile();
    run.did("released wave staging batch 01");
    let path = format!("rollouts/{ROLLOUT}/plan.json");
    let plan = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
    estate.push(
        "main",
        "berta",
        &[(&path, &plan.replace("1:3.0.7-29.el9_4", "1:3.0.7-30.el9_4"))],
    );
    let said = estate.run(&["permit", ROLLOUT, "staging", "01"]).exits(1);
    assert!(said.out.contains("edited"), "{}", said.out);
    patched(&estate, &["s1"], "2026-11-21T01:30:00Z");
    let run = estate.at("2026-11-21T01:35:00Z").reconcile();
    run.did_not("released wave staging batch 02")
        .did("wave staging halted: edited");
    // Reverted, and resumed with an approval, it goes on.
    estate.push("main", "berta", &[(&path, &plan)]);
    estate.does(&["resume", ROLLOUT]).exits(0);
    estate.merge("resume");
    estate.reconcile().did("resumed").did("released wave staging batch 02");
    estate.audited();
}

#[test]
fn files_edited_after_the_promotion_are_proposed_to_nobody() {
    for listed in [true, false] {
        let mut estate = staging_proposed();
        let path = format!("rollouts/{ROLLOUT}/plan.json");
        let plan = String::from_utf8(estate.forge_file("refs/heads/main", &path).unwrap()).unwrap();
        let edited = plan.replace("1:3.0.7-29.el9_4", "1:3.0.7-30.el9_4");
        assert_ne!(plan, edited);
        match listed {
            true => estate.push_listed("main", "berta", ROLLOUT, &[(&path, &edited)]),
            false => estate.push("main", "berta", &[(&path, &edited)]),
        }
        let run = estate.at("2026-11-21T01:10:00Z").reconcile();
        run.did("halted").did_not("updated pull request");
        estate
            .reconcile()
            .quiet()
            .waits_for("the merged files of wave test are not those that it proved");
        // Asking to go on changes nothing while the edit is there.
        estate.does(&["resume", ROLLOUT]).exits(0);
        estate.merge("resume");
        let waits = "are not those that it proved; revert the edit";
        estate.reconcile().did_not("resumed").waits_for(waits);
        estate.push_listed("main", "berta", ROLLOUT, &[(&path, &plan)]);
        estate.reconcile().did("resumed");
        estate.merge("staging");
        estate.reconcile().did("released wave staging batch 01");
        estate.audited();
    }
}

#[test]
fn an_artifact_deleted_before_the_merge_is_never_released() {
    let mut estate = proposed();
    let branch = format!("patchwave/{ROLLOUT}/test");
    let folder = format!("rollouts/{ROLLOUT}/waves/01-test/");
    let forge = estate.forge();
    let tree = forge
        .find_reference(&format!("refs/heads/{branch}"))
        .unwrap()
        .peel_to_tree()
        .unwrap();
    let mut artifact = None;
    tree.walk(git2::TreeWalkMode::PreOrder, |at, entry| {
        let path = format!("{at}{}", entry.name().unwrap());
        if path.starts_with(&folder) && path.ends_with(".yml") {
            artifact = Some(path);
        }
        git2::TreeWalkResult::Ok
    })
    .unwrap();
    let artifact = artifact.expect("a playbook");
    estate.push(&branch, "berta", &[(&artifact, "- hosts: all\n  tasks: []\n")]);
    estate.merge("test");
    let run = estate.at("2026-11-20T12:10:00Z").reconcile();
    // The edited set of a first wave is what runs; it has its own digest, and it says so.
    run.did("edited by a person before the merge");
    let lines = estate.ledger(ROLLOUT);
    let digest_of = |moved: &str| {
        lines
            .iter()
            .find(|l| l["data"]["moved"] == moved)
            .map(|l| l["data"]["digest"].clone())
    };
    assert_ne!(
        digest_of("proposed"),
        digest_of("approved"),
        "the approval is of what was merged"
    );
}
