//! Forges: the contract every one keeps, and what only the local one has.
#![expect(clippy::disallowed_methods, reason = "the fixtures are files")]

#[cfg(test)]
mod contract;
#[cfg(feature = "github")]
#[cfg(test)]
mod double;
#[cfg(feature = "github")]
#[cfg(test)]
mod github;
#[cfg(feature = "github")]
#[cfg(test)]
mod github_scene;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod local;
#[cfg(feature = "github")]
#[cfg(test)]
mod served;
#[cfg(test)]
mod support;
