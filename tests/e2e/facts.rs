//! What observations and advisories do to a rollout: unknown never passes, and what is gone is closed with a reason.

use super::play::{ROLLOUT, patched, proposed, staging_proposed, staging_released, test_released, test_soaking};
use crate::support::Sandbox;

#[test]
fn a_stale_observation_never_passes() {
    let mut estate = test_soaking();
    // Nobody has looked since 13:00; two days later the soak is over, and nothing is known.
    let run = estate.at("2026-11-22T13:00:00Z").reconcile();
    run.did_not("promoted").waits_for("stale");
    assert!(!estate.moves(ROLLOUT).contains(&"test:promoted".to_owned()));
    estate.world().observe("2026-11-22T13:00:00Z");
    estate.at("2026-11-22T13:05:00Z").reconcile().did("wave test promoted");
}

#[test]
fn one_silent_asset_keeps_the_next_wave_closed_and_is_named() {
    let mut estate = test_released();
    let world = estate.world();
    world.patch(&estate.frozen(ROLLOUT), &["t1"]);
    world.observe_only(&["t1", "s1", "s2", "p1", "p2", "p3"], "2026-11-20T13:00:00Z");
    let run = estate.at("2026-11-20T13:05:00Z").reconcile();
    run.did_not("verified")
        .waits_for("t2: not observed since its release at 2026-11-20T12:10:00Z");
    world.observe_only(&["t1", "s1", "s2", "p1", "p2", "p3"], "2026-11-22T13:00:00Z");
    let run = estate.at("2026-11-22T13:05:00Z").reconcile();
    run.did_not("verified")
        .did_not("staging")
        .waits_for("t2: its newest observation, of 2026-11-20T06:00:00Z, is stale");
}

#[test]
fn a_source_that_is_gone_is_an_error_and_passes_nothing() {
    let mut estate = test_released();
    patched(&estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
    std::fs::rename(estate.path().join("fleets/observed"), estate.path().join("elsewhere")).unwrap();
    let run = estate.at("2026-11-20T13:05:00Z").reconcile_exits(1);
    run.did_not("verified").did_not("promoted").did_not("closed");
    assert!(run.err.contains("error: source facts"), "{}", run.err);
    std::fs::rename(estate.path().join("elsewhere"), estate.path().join("fleets/observed")).unwrap();
    estate.reconcile().did("wave test verified");
}

#[test]
fn a_feed_that_is_gone_closes_nothing() {
    let mut estate = proposed();
    std::fs::rename(estate.path().join("fleets/advisories"), estate.path().join("elsewhere")).unwrap();
    let run = estate.at("2026-11-20T13:00:00Z").reconcile_exits(1);
    run.did_not("closed").did_not("superseded");
    assert_eq!(estate.pull_request("test")["state"], "open");
    std::fs::rename(estate.path().join("elsewhere"), estate.path().join("fleets/advisories")).unwrap();
    estate.reconcile();
    assert_eq!(estate.pull_requests().len(), 1);
    assert_eq!(estate.pull_request("test")["state"], "open");
}

fn withdraw(estate: &Sandbox) {
    let file = estate.path().join("fleets/advisories/ALSA-2026-7001.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let withdrawn = text.replacen(
        "\"published\"",
        "\"withdrawn\": \"2026-11-20T12:30:00Z\",\n  \"published\"",
        1,
    );
    std::fs::write(&file, withdrawn).unwrap();
}

#[test]
fn an_advisory_withdrawn_before_the_merge_closes_the_pull_request() {
    let mut estate = proposed();
    withdraw(&estate);
    let run = estate.at("2026-11-20T13:00:00Z").reconcile();
    run.did("closed pull request #1: obsolete: no open finding is left")
        .did("superseded");
    let closed = estate.pull_request("test");
    assert_eq!(
        (&closed["state"], &closed["endedBy"]),
        (&"closed".into(), &"patchwave".into())
    );
    estate.reconcile().quiet();
    let status = estate.run(&["status"]).exits(0);
    assert!(status.out.starts_with("no rollout is open"), "{}", status.out);
    estate.audited();
}

#[test]
fn an_advisory_withdrawn_in_the_middle_ends_the_rollout_after_what_runs() {
    let mut estate = staging_proposed();
    withdraw(&estate);
    let run = estate.at("2026-11-21T01:10:00Z").reconcile();
    run.did("closed pull request #2: obsolete")
        .did("wave staging superseded")
        .did("wave critical superseded");
    assert_eq!(estate.released(ROLLOUT), ["test/01"]);
    estate.reconcile().quiet();
    estate.audited();
}

#[test]
fn what_is_released_is_finished_though_its_advisory_is_withdrawn() {
    let mut estate = staging_released();
    withdraw(&estate);
    patched(&estate, &["s1"], "2026-11-21T01:30:00Z");
    let run = estate.at("2026-11-21T01:35:00Z").reconcile();
    run.did("1 passed");
    estate.audited();
}

#[test]
fn what_was_fixed_by_something_else_passes_and_is_reported() {
    let mut estate = staging_proposed();
    // Somebody patched both staging machines by hand before anything was released.
    patched(&estate, &["s1", "s2"], "2026-11-21T01:08:00Z");
    estate.merge("staging");
    let run = estate.at("2026-11-21T01:10:00Z").reconcile();
    run.did("wave staging verified").did_not("released");
    let lines = estate.ledger(ROLLOUT);
    let out_of_band: Vec<String> = lines
        .iter()
        .filter(|l| l["data"]["wave"] == "staging")
        .flat_map(|l| l["data"]["outOfBand"].as_array().cloned().unwrap_or_default())
        .map(|a| a.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(out_of_band, ["s1", "s2"]);
    assert_eq!(estate.released(ROLLOUT), ["test/01"]);
}

#[test]
fn an_asset_that_waits_for_its_reboot_does_not_pass() {
    let mut estate = test_released();
    estate.world().pending_reboot("t2", true);
    patched(&estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
    let run = estate.at("2026-11-20T13:05:00Z").reconcile();
    run.did("1 passed")
        .did_not("verified")
        .waits_for("t2: it waits for a reboot");
    estate.world().pending_reboot("t2", false);
    estate.world().observe("2026-11-20T13:30:00Z");
    estate.at("2026-11-20T13:35:00Z").reconcile().did("wave test verified");
}

#[test]
fn an_asset_that_falls_back_breaks_the_soak() {
    let mut estate = test_soaking();
    estate.world().set_version("t1", "openssl-libs", "1:3.0.7-24.el9");
    estate.world().observe("2026-11-21T13:00:00Z");
    let run = estate.at("2026-11-21T13:05:00Z").reconcile();
    run.did_not("promoted")
        .did("t1: failed: openssl-libs is still 1:3.0.7-24.el9");
    assert!(!estate.moves(ROLLOUT).contains(&"test:promoted".to_owned()));
}

#[test]
fn an_observation_from_before_the_release_proves_nothing() {
    let mut estate = test_released();
    // The release was at 12:10.
    patched(&estate, &["t1", "t2"], "2026-11-20T12:10:00Z");
    let run = estate.at("2026-11-20T12:15:00Z").reconcile();
    let lines = estate.ledger(ROLLOUT);
    let passed_as_ours = lines
        .iter()
        .any(|l| l["event"] == "checked" && l["data"]["outOfBand"].as_array().is_none_or(Vec::is_empty));
    assert!(!passed_as_ours, "{run:#?}");
}

#[test]
fn an_executors_word_alone_is_no_pass() {
    let mut estate = test_released();
    let plan = estate.frozen(ROLLOUT);
    let result = |asset: &str, status: &str| {
        serde_json::json!({
            "formatVersion": "1.0", "rollout": ROLLOUT, "wave": "test", "batch": "01", "asset": asset,
            "patchset": plan["patchset"]["digest"], "action": "patch", "status": status, "stage": "patch",
            "startedAt": "2026-11-20T12:20:00Z", "finishedAt": "2026-11-20T12:25:00Z",
        })
        .to_string()
    };
    std::fs::create_dir(estate.path().join("results")).unwrap();
    std::fs::write(estate.path().join("results/t1.json"), result("t1", "ok")).unwrap();
    std::fs::write(estate.path().join("results/t2.json"), result("t2", "ok")).unwrap();
    let said = estate
        .at("2026-11-20T12:30:00Z")
        .does(&["evidence", "add", ROLLOUT, "test", "results"])
        .exits(0);
    assert!(said.out.contains("recorded 2 of 2"), "{}", said.out);
    let run = estate.reconcile();
    run.did("wave test started")
        .did_not("verified")
        .waits_for("t1: not observed since its release");
    // The machines show the old version after the executor said it was done: that is a failure, at once.
    estate.world().observe("2026-11-20T12:40:00Z");
    estate
        .at("2026-11-20T12:45:00Z")
        .reconcile()
        .did("2 failed")
        .did("wave test halted");
    // A result of another rollout or patch set, from the future, or that ended before it began is refused.
    let digest = plan["patchset"]["digest"].as_str().unwrap();
    for (from, to, why) in [
        (ROLLOUT, "other", "it is of rollout other"),
        (digest, &*"0".repeat(64), "it is of the patch set 0000"),
        ("T12:25:00Z", "T12:51:00Z", "the executor's clock is ahead"),
        ("T12:25:00Z", "T12:19:00Z", "before it began"),
    ] {
        std::fs::write(
            estate.path().join("results/t1.json"),
            result("t1", "ok").replace(from, to),
        )
        .unwrap();
        let said = estate.does(&["evidence", "add", ROLLOUT, "test", "results"]).exits(1);
        assert!(said.err.contains("nothing was recorded"), "{}", said.err);
        assert!(said.err.contains(why), "{}", said.err);
    }
    estate.audited();
}

#[test]
fn a_result_of_before_its_release_is_refused_and_a_clock_a_little_behind_is_forgiven() {
    let mut estate = test_released();
    let digest = estate.frozen(ROLLOUT)["patchset"]["digest"].clone();
    std::fs::create_dir(estate.path().join("results")).unwrap();
    let ended = |estate: &Sandbox, at: &str| {
        let result = serde_json::json!({
            "formatVersion": "1.0", "rollout": ROLLOUT, "wave": "test", "batch": "01", "asset": "t1",
            "patchset": digest, "action": "patch", "status": "ok", "stage": "done", "startedAt": "2026-11-20T12:00:00Z",
            "finishedAt": at,
        });
        std::fs::write(estate.path().join("results/t1.json"), result.to_string()).unwrap();
        estate.run_at("2026-11-20T12:30:00Z", &["evidence", "add", ROLLOUT, "test", "results"])
    };
    // Recorded it would not count as tried, so the executor would touch the machine again.
    let said = ended(&estate, "2026-11-20T12:04:59Z").exits(1);
    for why in [
        "the executor's clock is behind",
        "an earlier release",
        "move the file out of the folder",
    ] {
        assert!(said.err.contains(why), "{}", said.err);
    }
    let reported = |estate: &mut Sandbox| {
        let status = estate
            .at("2026-11-20T12:30:00Z")
            .run(&["status", "--format", "json"])
            .exits(0)
            .json();
        status["rollouts"][0]["waves"][0]["batches"][0]["reported"].clone()
    };
    assert_eq!(reported(&mut estate), serde_json::json!({}));
    // Released at 12:10; the executor's clock is a minute slow.
    for recorded in ["recorded 1 of 1", "recorded 0 of 1"] {
        let said = ended(&estate, "2026-11-20T12:09:00Z").exits(0);
        assert!(said.out.contains(recorded), "{}", said.out);
        assert_eq!(reported(&mut estate), serde_json::json!({"t1": "done"}));
    }
    estate.audited();
}
