//! What forges over a network share: requests with patience, answers kept, and what failures mean.

pub(super) mod address;
pub(super) mod api;
mod auth;
pub(super) mod exchange;
pub(super) mod fault;
pub(super) mod kept;
mod patience;

pub use auth::{AppKey, Credential};
pub use patience::Patience;
