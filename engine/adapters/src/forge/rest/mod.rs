//! What forges over a network share: requests with patience, answers kept, and what failures mean.

pub(super) mod api;
pub(super) mod exchange;
pub(super) mod fault;

pub use api::Patience;
