//! Random histories of an estate, played in memory, and what must never happen in one.
//!
//! People merge, close, edit, halt and resume; machines are patched, fail, fall silent and wait for reboots; feeds fail and
//! come back; clocks differ; runs crash and overtake each other. After every step every invariant is asked. An invariant
//! shares no code with what it judges, and each has a [`Fault`] that breaks it on purpose: one that no fault can break
//! proves nothing.
//!
//! This crate is no part of the engine: it is used by tests and by `cargo run -p xtask -- simulate`.

mod dice;
mod engine;
mod estate;
mod executor;
mod faults;
mod history;
mod invariants;
mod ledger;
mod machines;
mod people;

pub use faults::Fault;
pub use history::{Counts, Failure, play};

use rayon::prelude::*;

/// Plays `histories` histories from seed `first` on, on every core.
///
/// # Errors
/// The failing history of the lowest seed; `play` with its seed plays it again.
pub fn simulate(first: u64, histories: u64) -> Result<Counts, Box<Failure>> {
    let seeds: Vec<u64> = (first..first.saturating_add(histories)).collect();
    let played = seeds.into_par_iter().map(|seed| play(seed, None));
    let both = |a: Result<Counts, Box<Failure>>, b: Result<Counts, Box<Failure>>| match (a, b) {
        (Ok(a), Ok(b)) => Ok(a.plus(b)),
        (Err(a), Err(b)) => Err(if a.seed <= b.seed { a } else { b }),
        (Err(e), Ok(_)) | (Ok(_), Err(e)) => Err(e),
    };
    played.reduce(|| Ok(Counts::default()), both)
}

#[cfg(test)]
mod tests;
