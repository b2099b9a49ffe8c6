//! What forges over a network share: requests with patience, answers kept, and what failures mean.

pub(super) mod api;
mod auth;
pub(super) mod exchange;
pub(super) mod fault;

pub use api::Patience;
pub use auth::{AppKey, Credential};
