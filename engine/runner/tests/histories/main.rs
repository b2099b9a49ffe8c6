//! Whole histories in process: ended between any two effects, and at random.
#![expect(clippy::disallowed_methods, reason = "the machines are files")]

#[cfg(test)]
mod crash;
#[cfg(test)]
#[path = "../../../../tests/support/exports.rs"]
mod exports;
#[cfg(test)]
mod play;
#[cfg(test)]
mod race;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tamper;
#[cfg(test)]
#[path = "../../../../tests/support/world.rs"]
mod world;
