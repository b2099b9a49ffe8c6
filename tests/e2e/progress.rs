//! Rollouts that go as they should, to the last wave; and runs that have nothing to do.

use super::play::{ROLLOUT, critical_proposed, patched, proposed, test_released_anew};
use crate::support::{Sandbox, batch_assets};

#[test]
fn a_rollout_goes_to_its_last_wave() {
    let mut estate = critical_proposed();
    estate.merge("critical");
    // 02:05 lies in the opening of 22:00 to 04:00.
    estate
        .reconcile()
        .did("released wave critical batch 01 until 2026-11-22T04:00:00Z");
    patched(&estate, &["p1"], "2026-11-22T02:30:00Z");
    estate
        .at("2026-11-22T02:35:00Z")
        .reconcile()
        .did("released wave critical batch 02");
    patched(&estate, &["p2", "p3"], "2026-11-22T03:00:00Z");
    estate
        .at("2026-11-22T03:05:00Z")
        .reconcile()
        .did("wave critical verified");
    estate.world().observe("2026-11-23T03:00:00Z");
    estate
        .at("2026-11-23T03:05:00Z")
        .reconcile()
        .did("wave critical promoted");
    estate.reconcile().quiet();
    assert_eq!(
        estate.released(ROLLOUT),
        ["test/01", "staging/01", "staging/02", "critical/01", "critical/02"],
        "every batch once, in order"
    );
    let status = estate.does(&["status"]).exits(0);
    assert!(status.out.starts_with("no rollout is open"), "{}", status.out);
    estate.audited();
    insta::assert_snapshot!("to_the_last_wave", estate.transcript());
}

#[test]
fn the_shipped_example_goes_to_its_last_wave() {
    let mut example = Sandbox::shipped();
    let run = example.at("2026-11-20T12:00:00Z").reconcile();
    run.did("wave test proposed");
    let names = rollouts(&example);
    assert!(!names.is_empty());
    let start: jiff::Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    // Every six hours somebody merges what is open; what is released then is patched at once, batch after batch.
    for step in 0..40 {
        let mut at = start + jiff::SignedDuration::from_hours(6 * step);
        example.at(&at.to_string());
        for open in example.pull_requests().iter().filter(|p| p["state"] == "open") {
            example
                .does(&["-q", "forge", "merge", &open["number"].to_string()])
                .exits(0);
        }
        example
            .world()
            .observe(&(at - jiff::SignedDuration::from_secs(60)).to_string());
        let mut run = example.reconcile();
        while patch_released(&example, &run.done) {
            example
                .world()
                .observe(&(at + jiff::SignedDuration::from_mins(17)).to_string());
            at += jiff::SignedDuration::from_mins(18);
            run = example.at(&at.to_string()).reconcile();
        }
        if rollouts(&example).is_empty() {
            break;
        }
    }
    assert_eq!(rollouts(&example), Vec::<String>::new(), "{}", example.transcript());
    for name in names {
        let moves = example.moves(&name);
        assert!(moves.contains(&"critical:promoted".to_owned()), "{name}: {moves:?}");
        assert!(
            !moves.iter().any(|m| m.ends_with(":failed") || m.ends_with(":halted")),
            "{name}: {moves:?}"
        );
    }
    example.audited();
}

/// The names of the open rollouts.
fn rollouts(sandbox: &Sandbox) -> Vec<String> {
    let status = sandbox.run(&["-q", "status", "--format", "json"]).exits(0).json();
    status["rollouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Executors patch every batch that was just released and has its permit; whether there was one.
fn patch_released(sandbox: &Sandbox, done: &[String]) -> bool {
    let mut any = false;
    for line in done {
        let Some((rollout, rest)) = line.split_once(": released wave ") else {
            continue;
        };
        let mut words = rest.split_whitespace();
        let (wave, batch) = (words.next().unwrap(), words.nth(1).unwrap());
        sandbox.run(&["-q", "permit", rollout, wave, batch]).exits(0);
        let plan = sandbox.frozen(rollout);
        let assets = batch_assets(&plan, wave, batch);
        let assets: Vec<&str> = assets.iter().map(String::as_str).collect();
        sandbox.world().patch(&plan, &assets);
        any = true;
    }
    any
}

#[test]
fn a_second_run_with_nothing_new_writes_nothing() {
    let mut estate = proposed();
    for merge in [false, true] {
        if merge {
            estate.merge("test");
            estate.reconcile();
        }
        let before = estate.refs();
        estate.reconcile().quiet();
        assert_eq!(estate.refs(), before, "every reference as it was");
    }
    // Time alone, with the same observations, changes nothing either.
    let before = estate.refs();
    estate.at("2026-11-20T12:20:00Z").reconcile().quiet();
    assert_eq!(estate.refs(), before);
    let said = estate.run(&["reconcile", "--once", "--detailed-exitcode"]).exits(0);
    assert!(said.out.contains("nothing was written"), "{}", said.out);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (mut one, mut other) = (test_released_anew(), test_released_anew());
    for estate in [&mut one, &mut other] {
        patched(estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
        estate.at("2026-11-20T13:05:00Z").reconcile();
    }
    assert_eq!(
        one.refs(),
        other.refs(),
        "commits, ledger and pull requests of two clones"
    );
    let plan = |estate: &Sandbox| estate.run(&["-q", "plan", "--format", "json"]).exits(0).out;
    assert_eq!(plan(&one), plan(&other));
    assert_eq!(one.transcript(), other.transcript());
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_it_would_do() {
    let estate = Sandbox::estate();
    let said = estate
        .run(&["reconcile", "--once", "--dry-run", "--detailed-exitcode"])
        .exits(2);
    assert!(said.out.contains("would do"), "{}", said.out);
    assert!(!estate.path().join(".patchwave").exists(), "a dry run makes no forge");
}

#[test]
fn proposing_alone_releases_nothing() {
    let mut estate = proposed();
    estate.merge("test");
    estate.does(&["-q", "propose"]).exits(0);
    assert_eq!(estate.released(ROLLOUT), Vec::<String>::new());
    estate.reconcile().did("released wave test batch 01");
}
