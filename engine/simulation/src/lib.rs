//! Random histories of an estate, played in memory, and what must never happen in one.
//!
//! People merge, close, edit, halt and resume; machines are patched, fail, fall silent and wait for reboots; feeds fail and
//! come back; clocks differ; runs crash and overtake each other. After every step every invariant is asked. An invariant
//! shares no code with what it judges, and each has a [`Fault`] that breaks it on purpose: one that no fault can break
//! proves nothing.
//!
//! This crate is no part of the engine: it is used by tests and by `cargo run -p xtask -- simulate`.

mod bush;
mod counts;
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

use std::ops::Range;

pub use bush::{Failure, HISTORIES, Played};
pub use counts::Counts;
pub use faults::Fault;
use rayon::prelude::*;

/// Plays the histories of these numbers, on every core; a bush in which one fails is not played to its end.
pub fn simulate(seeds: Range<u64>, fault: Option<Fault>) -> Played {
    let bushes: Vec<Range<u64>> = bushes(&seeds).collect();
    let played = bushes.into_par_iter().map(|wanted| bush::grow(&wanted, fault, false));
    played.reduce(Played::default, Played::plus)
}

/// The histories of these numbers, bush by bush.
pub fn bushes(seeds: &Range<u64>) -> impl Iterator<Item = Range<u64>> + use<> {
    let Range { start, end } = *seeds;
    (start / HISTORIES..end.div_ceil(HISTORIES))
        .map(move |bush| start.max(bush * HISTORIES)..end.min((bush + 1) * HISTORIES))
}

/// Plays one history and tells it; none = it does not fail.
pub fn tell(seed: u64, fault: Option<Fault>) -> Option<Failure> {
    bush::grow(&(seed..seed + 1), fault, true).failed.pop()
}

#[cfg(test)]
mod tests;
