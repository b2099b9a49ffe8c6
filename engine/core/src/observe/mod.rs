//! What is really installed, and what is known to be broken, merged from every source into one value.
//!
//! Formats turn foreign bytes into [`AssetRecord`]s and [`AdvisoryRecord`]s inside a [`Batch`]; merging (membership,
//! identity, authority, staleness, coverage) makes one [`Observation`] of them. Missing facts stay unknown.

mod advisory;
mod articles;
mod asset;
mod authority;
mod bulletin;
mod cve;
mod ecosystem;
mod edition;
mod estate;
mod identity;
mod membership;
mod merge;
#[cfg(test)]
mod merge_properties;
#[cfg(test)]
mod merge_tests;
mod obstacle;
mod part;
mod sighting;
mod tables;

pub use advisory::*;
pub use articles::Articles;
pub use asset::*;
pub use authority::FACT_GROUPS;
pub use bulletin::own_fix;
pub(crate) use bulletin::record as bulletin_record;
pub use cve::*;
pub use ecosystem::OsvEcosystem;
pub use edition::{WindowsEdition, is_shared_branch};
pub use estate::*;
pub use merge::{MergeInput, SourceBatch, merge};
pub use obstacle::{Obstacle, content_obstacles, is_version_of, node_distribution, node_obstacle};
pub use part::{Part, build_branch, has_parts, minor_release, parts_of};
pub use tables::*;
