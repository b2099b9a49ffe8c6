//! What is really installed, and what is known to be broken, merged from every source into one value.
//!
//! Formats turn foreign bytes into [`AssetRecord`]s and [`AdvisoryRecord`]s inside a [`Batch`]; merging (membership,
//! identity, authority, staleness, coverage) makes one [`Observation`] of them. Missing facts stay unknown.

mod advisory;
mod asset;
mod ecosystem;
mod estate;
mod tables;

pub use advisory::*;
pub use asset::*;
pub use ecosystem::OsvEcosystem;
pub use estate::*;
pub use tables::*;
