use serde_json::json;

use super::*;
use crate::history::append;
use crate::load::wire::Lane;

fn rollout(state: WaveState) -> OpenRollout {
    let assets = ["a", "b"].map(|name| (Arc::from(name), vec![0]));
    let batch = BatchProgress {
        id: "01".into(),
        assets: assets.into(),
        released_at: Some(at(0)),
        ..BatchProgress::default()
    };
    let wave = WaveProgress {
        name: "test".into(),
        state,
        digest: None,
        openings: None,
        batches: vec![batch],
        soaking_since: None,
        not_before: None,
        gates: BTreeMap::new(),
        promoted_at: None,
        failed_at: None,
        reason: None,
    };
    OpenRollout {
        name: "linux-2026-11-20".into(),
        policy: "linux".into(),
        strategy: "standard".into(),
        lane: Lane::Routine,
        revision: 1,
        cut: at(0),
        expedited: false,
        targets: Vec::new(),
        frozen: true,
        restarts: 0,
        waves: vec![wave],
        halted: None,
    }
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

fn line(minute: i64) -> LedgerLine {
    LedgerLine {
        v: 1,
        seq: 0,
        prev: String::new(),
        time: at(minute),
        actor: "patchwave".into(),
        event: String::new(),
        data: json!({}),
    }
}

fn checked(passed: &[&str], not_attempted: &[&str]) -> Event {
    Event::Checked {
        wave: "test".into(),
        batch: "01".into(),
        passed: passed.iter().map(|a| (Arc::from(*a), at(9))).collect(),
        failed: BTreeMap::new(),
        not_attempted: not_attempted
            .iter()
            .map(|a| (Arc::from(*a), "off".to_owned()))
            .collect(),
        out_of_band: Vec::new(),
    }
}

fn disrupted(rollout: &OpenRollout) -> Vec<&str> {
    let batches = rollout.waves.iter().flat_map(|w| &w.batches);
    batches.flat_map(|b| b.disrupted()).map(AsRef::as_ref).collect()
}

#[test]
fn a_resume_puts_nothing_back_into_service() {
    let mut rollout = rollout(WaveState::Halted);
    let resume = Event::Resume {
        pull_request: Some(1),
        approvals: Vec::new(),
    };
    apply(&mut rollout, &line(1), checked(&["a"], &[]));
    apply(&mut rollout, &line(2), resume);
    assert_eq!(rollout.waves[0].batches[0].released_at, None);
    assert_eq!(
        disrupted(&rollout),
        ["b"],
        "touched before the halt, and not seen to be well since"
    );
    // Released again, and its executor never began: what was touched the first time is down all the same.
    let released = Event::Released {
        wave: "test".into(),
        batch: "01".into(),
        digest: "d".into(),
        opening_start: None,
        opening_end: None,
    };
    apply(&mut rollout, &line(3), released);
    apply(&mut rollout, &line(4), checked(&[], &["b"]));
    assert_eq!(disrupted(&rollout), ["b"]);
    apply(&mut rollout, &line(5), checked(&["b"], &[]));
    assert_eq!(disrupted(&rollout), Vec::<&str>::new());
}

#[test]
fn what_was_never_touched_is_not_down() {
    let mut rollout = rollout(WaveState::Released);
    apply(&mut rollout, &line(1), checked(&[], &["b"]));
    assert_eq!(disrupted(&rollout), ["a"]);
}

#[test]
fn a_failure_is_a_stop_of_its_own() {
    let mut ledger = Vec::new();
    let write = |ledger: &mut Vec<u8>, moved: &str| {
        let data = json!({"wave": "test", "moved": moved});
        let line = append(ledger, at(0), "patchwave", "wave", data).unwrap();
        ledger.extend_from_slice(&line);
    };
    write(&mut ledger, "halted");
    let halted = last_stop(&ledger);
    assert!(halted.is_some());
    // A pull request that answered the halt must not answer the failure, in the moment before it is halted in turn.
    write(&mut ledger, "failed");
    assert_ne!(last_stop(&ledger), halted);
}

#[test]
fn a_check_ahead_of_time_is_no_attempt() {
    let mut rollout = rollout(WaveState::Released);
    let said = |outcome: &str, preflight: bool| Event::Evidence {
        wave: "test".into(),
        batch: "01".into(),
        asset: "a".into(),
        outcome: outcome.into(),
        at: at(1),
        reason: None,
        digest: "d".into(),
        facts: BTreeMap::new(),
        rollback: false,
        preflight,
    };
    apply(&mut rollout, &line(1), said("not-ready", true));
    let batch = &rollout.waves[0].batches[0];
    assert!(batch.evidence.is_empty());
    assert_eq!(&*batch.readiness["a"].outcome, "not-ready");
    apply(&mut rollout, &line(2), said("done", false));
    apply(&mut rollout, &line(3), said("ready", true));
    let batch = &rollout.waves[0].batches[0];
    assert_eq!(&*batch.evidence["a"].outcome, "done");
    assert_eq!(&*batch.readiness["a"].outcome, "ready");
}
