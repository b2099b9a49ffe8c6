//! Forges: the contract every one keeps, and what only the local one has.
#![expect(clippy::disallowed_methods, reason = "the fixtures are files")]

#[cfg(feature = "github")]
#[cfg(test)]
mod app;
#[cfg(test)]
mod contract;
#[cfg(feature = "github")]
#[cfg(test)]
mod double;
#[cfg(feature = "github")]
#[cfg(test)]
mod gitea;
#[cfg(feature = "github")]
#[cfg(test)]
mod heard;
#[cfg(test)]
mod histories;
#[cfg(feature = "github")]
#[cfg(test)]
mod hosted;
#[cfg(feature = "github")]
#[cfg(test)]
mod hosted_scene;
#[cfg(test)]
mod local;
#[cfg(test)]
mod support;
