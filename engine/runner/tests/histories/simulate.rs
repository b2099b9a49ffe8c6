//! Random histories: merges, closes, patches, failures, silence, halts, clock jumps. What must never happen never does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use patchwave_adapters::forge::People;
use patchwave_core::history::{Event, GateState, WaveEvent};
use patchwave_core::propose::{ForgeView, PullRequestState, parse_chain};
use patchwave_runner::people;
use patchwave_runner::survey::survey;
use rayon::prelude::*;

use crate::play::{Estate, ROLLOUTS, at};

/// Histories in one run: as many as a debug build plays in about ten seconds on two cores. `PATCHWAVE_HISTORIES` asks for
/// more.
const HISTORIES: u64 = 120;
/// Steps of one history.
const STEPS: usize = 7;

/// A linear congruential generator (Knuth's MMIX constants): the seed is the whole story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const MACHINES: [&str; 7] = ["t1", "t2", "s1", "s2", "p1", "p2", "p3"];

fn history(seed: u64) {
    let gated = seed.is_multiple_of(3);
    let estate = if gated { Estate::gated() } else { Estate::new() };
    let mut dice = Dice(seed);
    let mut now = at("2026-11-20T12:00:00Z");
    let mut before = estate.view();
    for step in 0..STEPS {
        let mut what = happens(&estate, &mut dice, now);
        let mut healthy = true;
        if gated {
            (healthy, what) = monitored(&estate, &mut dice, now, &what);
        }
        let place = format!("seed {seed}, step {step} ({what}) at {now}");
        let run = estate.reconcile(now).unwrap_or_else(|e| panic!("{place}: {e}"));
        let view = estate.view();
        check(&before, &view, &place, &run.done);
        if gated {
            gates_decided(&view, &place);
            let promoted = run.done.iter().any(|line| line.contains("wave test promoted"));
            assert!(
                healthy || !promoted,
                "{place}: promoted, and the monitor shows something else"
            );
        }
        // Looking twice costs as much as the step itself, so it is done now and then.
        if dice.roll(3) == 0 {
            let again = estate.reconcile(now).unwrap_or_else(|e| panic!("{place}, again: {e}"));
            assert_eq!(again.done, Vec::<String>::new(), "{place}: the second run is not quiet");
            assert_eq!(estate.view(), view, "{place}: the second run wrote");
        }
        before = view;
        let minutes = [10, 60, 60 * 7, 60 * 13, 60 * 25, 60 * 80];
        now += SignedDuration::from_mins(minutes[dice.roll(6) as usize]);
        // Clocks of two runners differ: sometimes the next run is a little in the past.
        if dice.roll(10) == 0 {
            now -= SignedDuration::from_mins(12);
        }
    }
}

/// One thing that people, machines or nobody does before the run at `now`.
fn happens(estate: &Estate, dice: &mut Dice, now: Timestamp) -> String {
    let seen = (now - SignedDuration::from_secs(30)).to_string();
    let open: Vec<u64> = estate
        .view()
        .pull_requests
        .iter()
        .filter(|p| p.state == PullRequestState::Open)
        .map(|p| p.number)
        .collect();
    match dice.roll(12) {
        0..=2 => {
            let approvals = dice.roll(3) as usize;
            estate.merge_all(approvals, now).unwrap();
            format!("merged with {approvals}")
        }
        3..=6 => {
            // Executors patch what is released; each may fail, each may be silent afterwards.
            let Some(plan) = estate.plan() else {
                return "nothing to patch".into();
            };
            let released: Vec<String> = released(&estate.view()).into_keys().collect();
            let mut patched = Vec::new();
            for batch in released {
                let (_, rest) = batch.split_once('/').unwrap();
                let (wave, id) = rest.split_once('/').unwrap();
                patched.extend(crate::world::batch_assets(&plan, wave, id));
            }
            patched.retain(|_| dice.roll(5) != 0);
            let names: Vec<&str> = patched.iter().map(String::as_str).collect();
            estate.world().patch(&plan, &names);
            let loud: Vec<&str> = MACHINES.into_iter().filter(|_| dice.roll(8) != 0).collect();
            estate.world().observe_only(&loud, &seen);
            format!("patched {names:?}, seen {loud:?}")
        }
        7 => {
            estate.world().observe(&seen);
            "everything seen".into()
        }
        8 if dice.roll(2) == 0 => {
            let machine = MACHINES[dice.roll(7) as usize];
            let pending = dice.roll(2) == 0;
            estate.world().pending_reboot(machine, pending);
            estate.world().observe(&seen);
            format!("{machine} waits for a reboot: {pending}")
        }
        8 => {
            let machine = MACHINES[dice.roll(7) as usize];
            estate.world().set_version(machine, "openssl-libs", "1:3.0.7-24.el9");
            estate.world().observe(&seen);
            format!("{machine} fell back")
        }
        9 => match open.first() {
            Some(number) => {
                estate.forge.close(*number, "person-9", now).unwrap();
                format!("closed #{number}")
            }
            None => "nothing to close".into(),
        },
        10 => halt_or_resume(estate, dice, now),
        _ => "nothing".into(),
    }
}

/// What the monitor shows, and whether that is health of after every patch.
fn monitored(estate: &Estate, dice: &mut Dice, now: Timestamp, what: &str) -> (bool, String) {
    let sampled = now - SignedDuration::from_secs(20);
    // Green more often than not, or no history would come to its end.
    let (answer, healthy): (Option<&[(&str, &str)]>, bool) = match dice.roll(10) {
        0 => (None, false),
        1 => (Some(&[("t1", "1")]), false),
        2 => (Some(&[("t1", "1"), ("t2", "0")]), false),
        3 => (Some(&[("t1", "NaN"), ("t2", "1")]), false),
        4 => (Some(&[]), false),
        _ => (Some(&[("t1", "1"), ("t2", "1"), ("p1", "0")]), true),
    };
    estate.monitor_shows(answer.map(|values| (sampled, values)));
    (healthy, format!("{what}; the monitor shows {answer:?}"))
}

/// A promotion of the gated wave stands beside what every one of its gates showed of every asset.
fn gates_decided(view: &ForgeView, place: &str) {
    let events = events(view);
    for pair in events.windows(2) {
        let promoted =
            matches!(&pair[1].1, Event::Wave { wave, moved: WaveEvent::Promoted, .. } if wave.as_ref() == "test");
        if promoted {
            let Event::Gates { gates, .. } = &pair[0].1 else {
                panic!("{place}: promoted without evidence: {:?}", pair[0]);
            };
            assert!(gates.iter().all(|g| g.state == GateState::Passed), "{place}: {gates:?}");
            let shown: Vec<&str> = gates[0].samples.keys().map(AsRef::as_ref).collect();
            assert_eq!(shown, ["t1", "t2"], "{place}");
        }
    }
}

fn halt_or_resume(estate: &Estate, dice: &mut Dice, now: Timestamp) -> String {
    let observed = estate.observed(now);
    let survey = survey(estate.repository(), &observed, Some(&estate.forge), None, now).unwrap();
    let Some(rollout) = survey.history.open.first().map(|r| r.name.clone()) else {
        return "no rollout".into();
    };
    if dice.roll(2) == 0 {
        people::halt(&estate.forge, ROLLOUTS, &rollout, "a test", "person-7", now).unwrap();
        "halted".into()
    } else {
        let resumed = people::resume(&survey, &estate.forge, ROLLOUTS, &rollout, now);
        format!("asked to resume: {}", resumed.is_ok())
    }
}

/// Every released batch, as `rollout/wave/batch`, with how often.
fn released(view: &ForgeView) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (rollout, event) in events(view) {
        if let Event::Released { wave, batch, .. } = event {
            *found.entry(format!("{rollout}/{wave}/{batch}")).or_insert(0) += 1;
        }
    }
    found
}

fn events(view: &ForgeView) -> Vec<(String, Event)> {
    let mut found = Vec::new();
    for (file, bytes) in &view.ledger {
        for line in parse_chain(bytes).unwrap() {
            found.push((
                file.trim_end_matches(".ndjson").to_owned(),
                Event::from_parts(&line.event, &line.data).unwrap(),
            ));
        }
    }
    found
}

fn check(before: &ForgeView, view: &ForgeView, place: &str, done: &[String]) {
    let place = format!("{place}\n{done:#?}");
    for (file, bytes) in &before.ledger {
        assert!(
            view.ledger.get(file).is_some_and(|now| now.starts_with(bytes)),
            "{place}: {file} lost a line"
        );
    }
    assert_eq!(crate::play::audited(view).faults, [], "{place}");
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    let (mut promoted, mut passed, mut running) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    for (rollout, event) in events(view) {
        match event {
            Event::Wave {
                wave,
                moved,
                digest,
                approvals,
                ..
            } => {
                let key = format!("{rollout}/{wave}");
                match moved {
                    WaveEvent::Approved => {
                        let needed = if wave.as_ref() == "critical" { 2 } else { 1 };
                        assert!(approvals.len() >= needed, "{place}: {key} approved by {approvals:?}");
                        digests.insert(key, digest.expect("a digest").to_string());
                    }
                    WaveEvent::Promoted => {
                        let assets: &[&str] = match wave.as_ref() {
                            "test" => &["t1", "t2"],
                            "staging" => &["s1", "s2"],
                            _ => &["p1", "p2", "p3"],
                        };
                        for asset in assets {
                            let shown = passed.contains(&format!("{key}/{asset}"));
                            assert!(shown, "{place}: {key} promoted, and {asset} never showed its target");
                        }
                        promoted.insert(key);
                    }
                    _ => {}
                }
            }
            Event::Released {
                wave, batch, digest, ..
            } => {
                let key = format!("{rollout}/{wave}");
                assert_eq!(
                    digests.get(&key).map(String::as_str),
                    Some(digest.as_ref()),
                    "{place}: released unapproved"
                );
                let needs = match wave.as_ref() {
                    "staging" => Some("test"),
                    "critical" => Some("staging"),
                    _ => None,
                };
                if let Some(needs) = needs {
                    let there = promoted.contains(&format!("{rollout}/{needs}"));
                    assert!(there, "{place}: {key} released before {needs} was promoted");
                }
                let runs: &mut usize = running.entry(format!("{key}/{batch}")).or_default();
                *runs += 1;
                assert_eq!(*runs, 1, "{place}: {key}/{batch} released twice without a resume");
            }
            Event::Resume { .. } => running.clear(),
            Event::Checked {
                wave, passed: shown, ..
            } => {
                passed.extend(shown.keys().map(|asset| format!("{rollout}/{wave}/{asset}")));
            }
            _ => {}
        }
    }
    one_patch_set(view, &place);
}

/// Every wave of a rollout that was ever merged carries the same targets.
fn one_patch_set(view: &ForgeView, place: &str) {
    let names: BTreeSet<&str> = view.merged_files.keys().filter_map(|p| p.split('/').nth(1)).collect();
    for name in names {
        let Some(plan) = view.merged_files.get(&format!("{ROLLOUTS}/{name}/plan.json")) else {
            continue;
        };
        let plan: serde_json::Value = serde_json::from_slice(plan).unwrap();
        let open = view
            .pull_requests
            .iter()
            .filter(|p| p.state == PullRequestState::Open && p.branch.starts_with(&format!("patchwave/{name}/")));
        for pull in open {
            if let Some(other) = pull.files.get(&format!("{ROLLOUTS}/{name}/plan.json")) {
                let other: serde_json::Value = serde_json::from_slice(other).unwrap();
                assert_eq!(
                    other["patchset"], plan["patchset"],
                    "{place}: {} carries something untested",
                    pull.branch
                );
            }
        }
    }
}

#[test]
fn what_must_never_happen_never_does() {
    let asked = std::env::var("PATCHWAVE_HISTORIES").ok().and_then(|n| n.parse().ok());
    (0..asked.unwrap_or(HISTORIES)).into_par_iter().for_each(history);
}
