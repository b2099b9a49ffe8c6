//! A run that is killed, at whatever moment, is brought to its end by the next one: with the same references, pull requests
//! and ledger as a run that nobody disturbed.
//!
//! `PATCHWAVE_KILLS` says how often, `PATCHWAVE_SEED` which moments; `cargo run -p xtask -- kill --times 200` is the long form.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::play::{self, proposed};
use crate::support::{Sandbox, Saved};

/// How many kills there are unless the environment says otherwise.
const KILLS: usize = 40;
/// Moments are drawn from a little more than an undisturbed duration: the machine may be slower the next time.
const SPAN_PERCENT: u64 = 120;
/// A moment after the end kills nothing and is drawn again, so often.
const DRAWS_MAX: u64 = 100;
/// The references are looked at this often to learn when an undisturbed run moves them.
const GLANCE: Duration = Duration::from_micros(500);

fn asked<T: std::str::FromStr<Err: std::fmt::Debug>>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|n| n.parse().unwrap())
}

/// The n-th number of a fixed sequence (SplitMix64), below `limit`.
fn drawn(n: u64, limit: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % limit.max(1)
}

/// Starts a reconcile at an instant.
fn started(folder: &Path, now: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_patchwave"))
        .args(["--now", now, "reconcile", "--once"])
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// When a run ended, and when what `seen` shows had changed before, each after its start.
fn watched<T: PartialEq>(mut child: Child, seen: impl Fn() -> T) -> (Duration, Vec<Duration>) {
    let start = Instant::now();
    let (mut last, mut moves) = (seen(), Vec::new());
    loop {
        let ended = child.try_wait().unwrap();
        let next = seen();
        if next != last {
            moves.push(start.elapsed());
            last = next;
        }
        if let Some(status) = ended {
            assert!(status.success(), "{status}");
            return (start.elapsed(), moves);
        }
        std::thread::sleep(GLANCE);
    }
}

/// What the draws of kill `n` begin with.
fn seed(n: usize) -> u64 {
    let story: u64 = asked("PATCHWAVE_SEED").unwrap_or(1);
    (story << 32) + n as u64 * DRAWS_MAX
}

/// A moment to kill: every second one anywhere in the run, the others around one of its effects.
fn moment(seed: u64, (whole, moves): &(Duration, Vec<Duration>)) -> Duration {
    let span = u64::try_from(whole.as_micros()).unwrap() * SPAN_PERCENT / 100;
    let anywhere = drawn(seed, span);
    let moved = usize::try_from(drawn(seed ^ 0xe, moves.len() as u64)).unwrap();
    let around = moves.get(moved).filter(|_| seed % 2 == 1).map(|at| {
        let at = u64::try_from(at.as_micros()).unwrap();
        // From a little before it to half as late again: effects come late in a run.
        at * 9 / 10 + drawn(seed ^ 0xa, at / 2)
    });
    Duration::from_micros(around.unwrap_or(anywhere))
}

/// Whether the run was still there to be killed.
fn killed(mut child: Child, after: Duration) -> bool {
    std::thread::sleep(after);
    let _ = child.kill();
    child.wait().unwrap().signal().is_some()
}

/// Where a run begins, and what it comes to when nobody disturbs it.
struct Station {
    name: &'static str,
    from: Saved,
    now: &'static str,
    times: (Duration, Vec<Duration>),
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
}

impl Station {
    fn new(name: &'static str, from: &Sandbox, now: &'static str) -> Self {
        let from = from.save();
        let sandbox = from.restore();
        let before = references(&sandbox);
        let times = watched(started(sandbox.path(), now, &[]), || references(&sandbox));
        let after = references(&sandbox);
        assert_ne!(before, after, "{name}: the run has no effect");
        Self {
            name,
            from,
            now,
            times,
            before,
            after,
        }
    }
}

/// What every reference holds; nothing where there is no forge yet. The commits of the ledger carry the number of the lease,
/// which counts runs, so two that hold the same are not the same.
fn references(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let there = sandbox.path().join(".patchwave/forge.git").exists();
    if there {
        trees(&sandbox.forge())
    } else {
        BTreeMap::new()
    }
}

fn trees(git: &git2::Repository) -> BTreeMap<String, String> {
    let held = git.references().unwrap().flatten().filter_map(|reference| {
        // One that is being moved right now may be gone.
        let tree = reference.peel_to_tree().ok()?;
        Some((reference.name().ok()?.to_owned(), tree.id().to_string()))
    });
    held.collect()
}

fn stations() -> Vec<Station> {
    let mut merged = proposed();
    merged.merge("test");
    let soaked = play::test_soaking();
    soaked.world().observe("2026-11-21T01:00:00Z");
    let mut second = play::staging_proposed();
    second.merge("staging");
    vec![
        Station::new("the first run of all", &Sandbox::estate(), "2026-11-20T12:00:00Z"),
        Station::new("a merge is released", &merged, "2026-11-20T12:10:00Z"),
        Station::new("a soak is over", &soaked, "2026-11-21T01:05:00Z"),
        Station::new("the second wave is released", &second, "2026-11-21T01:10:00Z"),
    ]
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many moments were between two effects is what a reader of the log asks"
)]
fn a_run_killed_at_any_moment_is_finished_by_the_next() {
    let (kills, stations) = (asked("PATCHWAVE_KILLS").unwrap_or(KILLS), stations());
    let (amid, locks) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let left: BTreeSet<(usize, BTreeMap<String, String>)> = (0..kills)
        .into_par_iter()
        .map(|n| {
            let station = &stations[n % stations.len()];
            let (sandbox, at) = (0..DRAWS_MAX)
                .find_map(|draw| {
                    let sandbox = station.from.restore();
                    let at = moment(seed(n) + draw, &station.times);
                    killed(started(sandbox.path(), station.now, &[]), at).then_some((sandbox, at))
                })
                .unwrap_or_else(|| panic!("{}: no draw was early enough", station.name));
            let found = references(&sandbox);
            if found != station.before && found != station.after {
                amid.fetch_add(1, Ordering::Relaxed);
            }
            locks.fetch_add(usize::from(holds_a_lock(sandbox.path())), Ordering::Relaxed);
            let told = format!("kill {n} at {at:?}: {}", station.name);
            let said = sandbox.run_at(station.now, &["reconcile", "--once"]);
            assert_eq!(said.code, 0, "{told}: {said:?}");
            assert_eq!(references(&sandbox), station.after, "{told}");
            assert!(!holds_a_lock(sandbox.path()), "{told}: a lock stays");
            // The same references are the same ledger: a few audits stand for all.
            if n < stations.len() {
                sandbox.audited_at(station.now);
            }
            (n % stations.len(), found)
        })
        .collect();
    let (amid, locks) = (amid.into_inner(), locks.into_inner());
    println!(
        "{kills} kills of a run on the local forge: {amid} between two effects, {locks} left a lock, {} states",
        left.len()
    );
    assert!(
        amid * 8 >= kills,
        "only {amid} of {kills} kills were between two effects"
    );
}

/// Whether Git would find a reference locked.
fn holds_a_lock(folder: &Path) -> bool {
    let mut open = vec![folder.join(".patchwave/forge.git/refs")];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "lock") {
                return true;
            }
        }
    }
    false
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

#[cfg(feature = "github")]
mod on_github {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::double::{Double, Handle, TOKEN};

    /// So many times fewer kills than on the local forge: each costs a story from its beginning.
    const SHARE: usize = 4;
    const FIRST: &str = "2026-11-20T12:00:00Z";
    const SECOND: &str = "2026-11-20T12:10:00Z";

    /// A project on a double of its own, before its first run or before the one that releases.
    fn story(double: &Double, name: &str, released: bool) -> (Sandbox, Handle) {
        let now: Timestamp = FIRST.parse().unwrap();
        let files = BTreeMap::from([("README.md".to_owned(), b"patching\n".to_vec())]);
        let handle = double.repository(&format!("acme/{name}"), &files, now);
        let sandbox = Sandbox::estate();
        let forge = format!(
            "forge: {{type: github, repository: {}, apiUrl: \"{}\", tokenFrom: {{env: FORGE_TOKEN}}}}",
            handle.full_name,
            double.url()
        );
        sandbox.edit("patchwave.yaml", "forge: {type: local}", &forge);
        if released {
            run(&sandbox, FIRST);
            let mut repo = handle.lock();
            repo.clock = SECOND.parse().unwrap();
            let number = repo.issues.values().find(|issue| issue.pull.is_some()).unwrap().number;
            repo.review(number, "anna", "APPROVED");
            repo.merge(number, "anna", "Merge\n").unwrap();
        }
        (sandbox, handle)
    }

    fn environment() -> [(&'static str, &'static str); 1] {
        [("FORGE_TOKEN", TOKEN)]
    }

    fn run(sandbox: &Sandbox, now: &str) {
        let arguments = ["--now", now, "reconcile", "--once"];
        let said = crate::support::pw(sandbox.path(), &arguments, "", &environment());
        assert_eq!(said.code, 0, "{said:?}");
    }

    /// Everything people and later runs can see, but for the numbers of comments and the name of the repository.
    fn shown(handle: &Handle) -> Value {
        let repo = handle.lock();
        let issues: Vec<Value> = repo
            .issues
            .values()
            .map(|issue| {
                let comments: Vec<_> = issue.comments.iter().map(|c| (&c.user, &c.body)).collect();
                let pull = issue.pull.as_ref();
                json!({
                    "number": issue.number, "title": issue.title, "body": issue.body, "labels": issue.labels,
                    "open": issue.open, "comments": comments, "branch": pull.map(|p| &p.branch),
                    "people": pull.map(|p| (&p.users, &p.teams)), "merged": pull.map(|p| p.merged.is_some()),
                })
            })
            .collect();
        let text = json!({"refs": trees(&repo.git()), "issues": issues, "statuses": repo.statuses}).to_string();
        serde_json::from_str(&text.replace(&repo.full_name, "acme/patching")).unwrap()
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "as above")]
    fn a_run_killed_at_any_moment_is_finished_by_the_next_on_github() {
        let kills = asked("PATCHWAVE_KILLS").unwrap_or(KILLS).div_ceil(SHARE);
        let double = Double::start(0, true);
        let stations = [(false, FIRST), (true, SECOND)].map(|(released, now)| {
            let (sandbox, handle) = story(&double, &format!("undisturbed-{released}"), released);
            let before = shown(&handle);
            let child = started(sandbox.path(), now, &environment());
            let times = watched(child, || handle.lock().writes().len());
            (released, now, times, before, shown(&handle))
        });
        let amid = AtomicUsize::new(0);
        (0..kills).into_par_iter().for_each(|n| {
            let (released, now, times, before, after) = &stations[n % stations.len()];
            let (sandbox, handle, at) = (0..DRAWS_MAX)
                .find_map(|draw| {
                    let (sandbox, handle) = story(&double, &format!("killed-{n}-{draw}"), *released);
                    let at = moment(seed(n) + draw, times);
                    killed(started(sandbox.path(), now, &environment()), at).then_some((sandbox, handle, at))
                })
                .unwrap();
            let found = shown(&handle);
            amid.fetch_add(usize::from(found != *before && found != *after), Ordering::Relaxed);
            run(&sandbox, now);
            assert_eq!(shown(&handle), *after, "kill {n} at {at:?}");
            handle.lock().log.clear();
            run(&sandbox, now);
            assert_eq!(
                handle.lock().writes(),
                Vec::<&(String, String)>::new(),
                "kill {n} at {at:?}"
            );
        });
        let amid = amid.into_inner();
        println!("{kills} kills of a run on GitHub: {amid} between two effects");
        // Few kills are played here, and of those about a third hits the run between two effects; none at all would prove nothing.
        assert!(
            amid * 20 >= kills,
            "only {amid} of {kills} kills were between two effects"
        );
    }
}
