//! Long simulations: random histories of an estate by the hundred thousand.

use std::io::{self, Error};
use std::ops::Range;
use std::time::Instant;

use patchwave_simulation::{Counts, Failure, Fault, bushes, simulate, tell};

/// What to simulate.
pub struct Options {
    seeds: Range<u64>,
    fault: Option<Fault>,
}

/// How to ask for it.
pub const USAGE: &str = "simulate [--histories N] [--seed S] [--fault NAME]";

/// Histories played between two lines of progress.
const PORTION: u64 = 6_400;

/// The same where the engine is broken on purpose: the first portion that shows it is enough.
const PORTION_BROKEN: u64 = 512;

/// Failing histories that are named for each invariant.
const NAMED_MAX: usize = 3;

impl Options {
    /// Reads the words after `simulate`.
    pub fn parse(words: &[&str]) -> Option<Self> {
        let (mut seed, mut histories, mut fault) = (0, 2_000, None);
        for pair in words.chunks(2) {
            match *pair {
                ["--seed", number] => seed = number.parse().ok()?,
                ["--histories", number] => histories = number.parse().ok()?,
                ["--fault", name] => fault = Some(Fault::ALL.iter().find(|(f, _)| format!("{f:?}") == name)?.0),
                _ => return None,
            }
        }
        let seeds = seed..seed + histories;
        Some(Self { seeds, fault })
    }
}

/// Plays the histories; true = what must never happen never did.
pub fn run(options: &Options) -> io::Result<bool> {
    let Options { seeds, fault } = options;
    let (started, mut counts, mut failed) = (Instant::now(), Counts::default(), Vec::new());
    let size = if fault.is_some() { PORTION_BROKEN } else { PORTION };
    let mut bushes = bushes(seeds);
    while let Some(first) = bushes.next().filter(|_| fault.is_none() || failed.is_empty()) {
        let mut portion = first;
        while portion.end - portion.start < size
            && let Some(next) = bushes.next()
        {
            portion.end = next.end;
        }
        let mut played = simulate(portion.clone(), *fault);
        counts = counts.plus(played.counts);
        // At once, because a long run is not waited for to read them.
        for (failure, (name, why)) in played.failed.iter().flat_map(|f| f.broken.iter().map(move |b| (f, b))) {
            println!("{}: {name}: {why}", failure.seed);
        }
        failed.append(&mut played.failed);
        let (done, seconds) = (counts.of("histories"), started.elapsed().as_secs_f64());
        let rate = f64::from(u32::try_from(done).unwrap_or(u32::MAX)) / seconds;
        println!(
            "{done} histories in {seconds:.0} s ({rate:.0} a second); {} failed",
            failed.len()
        );
    }
    print!("{counts}");
    report(&failed, *fault)?;
    Ok(failed.is_empty())
}

/// Which invariants do not hold, in which histories, and the story of the first.
fn report(failed: &[Failure], fault: Option<Fault>) -> io::Result<()> {
    let Some(first) = failed.first() else { return Ok(()) };
    let told = tell(first.seed, fault).ok_or_else(|| Error::other("a history did not fail again"))?;
    println!("{told}");
    let mut names: Vec<&str> = failed.iter().flat_map(|f| &f.broken).map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let broken = failed.iter().flat_map(|f| {
            f.broken
                .iter()
                .filter(|(n, _)| *n == name)
                .map(|(_, why)| (f.seed, why))
        });
        let broken: Vec<(u64, &String)> = broken.collect();
        println!("{name}: {} histories", broken.len());
        for (seed, why) in broken.iter().take(NAMED_MAX) {
            println!("  {seed}: {why}");
        }
    }
    Ok(())
}
