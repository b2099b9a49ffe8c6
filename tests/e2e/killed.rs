//! A run that is killed, at whatever moment, is brought to its end by the next one: with the same references, pull requests
//! and ledger as a run that nobody disturbed.
//!
//! A share of the kills runs with every test; `PATCHWAVE_KILLS` says how many there are in all.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::play;
use crate::support::{Sandbox, Saved};

/// How many kills there are unless the environment says otherwise.
const KILLS: usize = 40;
/// Moments are drawn from one and a half undisturbed durations: the machine may be slower the next time.
const SPAN_PERCENT: u64 = 150;
/// A moment after the end kills nothing and is drawn again, so often.
const DRAWS_MAX: u64 = 100;
/// The references are looked at this often to learn when an undisturbed run moves them.
const GLANCE: Duration = Duration::from_micros(500);

fn kills(default: usize) -> usize {
    std::env::var("PATCHWAVE_KILLS").map_or(default, |n| n.parse().unwrap())
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

/// Every reference, none where there is no forge yet. What a commit holds, its time and its parents are its name.
fn references(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let there = sandbox.path().join(".patchwave/forge.git").exists();
    if there { sandbox.refs() } else { BTreeMap::new() }
}

fn stations() -> Vec<Station> {
    let mut merged = play::proposed();
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
fn the_next_run_ends_as_an_undisturbed_one_does() {
    let (kills, stations) = (kills(KILLS), stations());
    let (amid, locks) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let left: BTreeSet<(usize, BTreeMap<String, String>)> = (0..kills)
        .into_par_iter()
        .map(|n| {
            let station = &stations[n % stations.len()];
            let (sandbox, at) = (0..DRAWS_MAX)
                .find_map(|draw| {
                    let sandbox = station.from.restore();
                    let at = moment(n as u64 * DRAWS_MAX + draw, &station.times);
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

/// Whether Git would find a reference or the repository locked.
fn holds_a_lock(folder: &Path) -> bool {
    let mut open = vec![folder.join(".patchwave")];
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

#[cfg(feature = "github")]
mod on_github {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::double::{Double, Handle, TOKEN};

    /// Kills beside those on the local forge: each costs a story from its beginning.
    const KILLS: usize = 10;
    const FIRST: &str = "2026-11-20T12:00:00Z";
    const SECOND: &str = "2026-11-20T12:10:00Z";

    /// A project on a double of its own, before its first run or before the one that releases.
    fn story(double: &Double, name: &str, released: bool) -> (Sandbox, Handle) {
        let now: Timestamp = FIRST.parse().unwrap();
        let files = BTreeMap::from([("README.md".to_owned(), b"patching\n".to_vec())]);
        let handle = double.repository(name, &files, now);
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
        let text = json!({"refs": repo.refs(), "issues": issues, "statuses": repo.statuses}).to_string();
        serde_json::from_str(&text.replace(&repo.full_name, "acme/patching")).unwrap()
    }

    #[test]
    #[expect(clippy::print_stdout, reason = "as above")]
    fn the_next_run_ends_as_an_undisturbed_one_does_on_github() {
        let (kills, double) = (super::kills(KILLS), Double::start(0, true));
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
                    let at = moment(n as u64 * DRAWS_MAX + draw, times);
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
        println!(
            "{kills} kills of a run on GitHub: {} between two effects",
            amid.into_inner()
        );
    }
}
