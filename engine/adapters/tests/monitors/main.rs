//! Monitors over the loopback: what they answer, what they do wrong, and that nothing of a credential is ever told.
#![expect(clippy::disallowed_methods, reason = "files of sources are files")]

#[cfg(test)]
mod misbehaving;
#[cfg(test)]
#[path = "../../../../tests/support/planted.rs"]
mod planted;
#[cfg(test)]
mod products;
#[cfg(test)]
mod support;
