//! A run that is killed at any moment, by the operating system, is finished by the next one as if nothing had happened.
//!
//! `PATCHWAVE_KILLS` says how often; `cargo run -p xtask -- kill --times 200` is the long form.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::play::{patched, proposed};
use crate::support::{Sandbox, Saved};

/// Kills in `cargo test`.
const KILLS: u64 = 20;

/// A station before a run with much to do, and the instant of that run.
fn stations() -> Vec<(&'static str, Saved, &'static str)> {
    let first = Sandbox::estate();
    let mut merged = proposed();
    merged.merge("test");
    let mut soaked = proposed();
    soaked.merge("test");
    soaked.at("2026-11-20T12:10:00Z").reconcile();
    patched(&soaked, &["t1", "t2"], "2026-11-20T13:00:00Z");
    soaked.at("2026-11-20T13:05:00Z").reconcile();
    soaked.world().observe("2026-11-21T13:06:00Z");
    vec![
        ("the first run", first.save(), "2026-11-20T12:00:00Z"),
        ("after a merge", merged.save(), "2026-11-20T12:10:00Z"),
        ("after a soak", soaked.save(), "2026-11-21T13:10:00Z"),
    ]
}

/// What a run leaves: the tree of every reference. Commits of the ledger carry the number of the lease, which counts
/// runs, and may be one or two for the same lines; their trees may not differ.
fn left(estate: &Sandbox) -> BTreeMap<String, String> {
    let forge = estate.forge();
    let references = forge.references().unwrap().map(Result::unwrap);
    references
        .map(|reference| {
            let name = reference.name().unwrap().to_owned();
            (name, reference.peel_to_tree().unwrap().id().to_string())
        })
        .collect()
}

fn reconcile(estate: &Sandbox, now: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchwave"));
    command
        .args(["--now", now, "-q", "reconcile", "--once"])
        .current_dir(estate.path())
        .env_clear()
        .env("HOME", estate.path())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Numbers that look random and are the same each time (SplitMix64).
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn a_run_killed_at_any_moment_is_finished_by_the_next() {
    let kills = std::env::var("PATCHWAVE_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let mut seed = std::env::var("PATCHWAVE_SEED").map_or(1, |n| n.parse().unwrap());
    let (mut in_time, mut with_writes) = (0_u64, 0_u64);
    let stations = stations();
    for (number, (what, saved, now)) in stations.iter().enumerate() {
        let undisturbed = saved.restore();
        let started = Instant::now();
        assert!(reconcile(&undisturbed, now).status().unwrap().success());
        let took = started.elapsed();
        let (wanted, before) = (left(&undisturbed), saved.restore());
        let before = before
            .path()
            .join(".patchwave/forge.git")
            .exists()
            .then(|| left(&before));
        let share = kills / 3 + u64::from((number as u64) < kills % 3);
        for _ in 0..share {
            let mut estate = saved.restore();
            let mut child = reconcile(&estate, now).spawn().unwrap();
            let after = Duration::from_micros(random(&mut seed) % u64::try_from(took.as_micros()).unwrap());
            std::thread::sleep(after);
            if child.try_wait().unwrap().is_none() {
                in_time += 1;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            if estate.path().join(".patchwave/forge.git").exists() {
                let there = left(&estate);
                with_writes += u64::from(Some(&there) != before.as_ref() && there != wanted);
            }
            estate.at(now).reconcile();
            assert_eq!(left(&estate), wanted, "{what}, killed after {after:?}");
            estate.reconcile().quiet();
            estate.audited();
        }
    }
    let summary = format!(
        "{kills} kills: {in_time} hit a run that was not over, {with_writes} between its first and its last write\n"
    );
    std::io::stdout().write_all(summary.as_bytes()).unwrap();
    assert!(in_time * 2 > kills, "only {in_time} of {kills} kills hit anything");
}

#[test]
fn the_lock_file_of_a_killed_process_is_no_obstacle() {
    let estate = {
        let mut estate = proposed();
        estate.merge("test");
        estate.at("2026-11-20T12:10:00Z");
        estate
    };
    let heads = estate.path().join(".patchwave/forge.git/refs/heads/patchwave");
    std::fs::write(heads.join("ledger.lock"), "half").unwrap();
    std::fs::create_dir_all(estate.path().join(".patchwave/forge.git.new-1")).unwrap();
    estate.run(&["reconcile", "--once"]).exits(0);
    assert!(!heads.join("ledger.lock").exists());
    estate.audited();
}
