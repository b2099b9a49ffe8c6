//! What forges over a network share: requests with patience, answers kept, and what failures mean.

pub(super) mod api;
mod exchange;
pub(super) mod fault;
pub(super) mod roles;
pub(super) mod words;

pub use api::Patience;
