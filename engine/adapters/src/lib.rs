//! Every effect patchwave has on the world, each behind a small trait with its fake beside it.
//!
//! Nothing here decides: adapters read what there is, do what they are told, and say whether it worked. The time is an
//! argument here too, so that the same calls leave the same bytes.
//!
//! | module | what it touches |
//! | --- | --- |
//! | [`files`] | the user's repository and the files sources point at: reading only |
//! | [`forge`] | pull requests, rollouts and the ledger |
//! | [`lease`] | the lease that keeps two runners from acting at once |
//! | [`monitors`] | monitors and change management: asking only |
//! | [`secret`] | tokens, from the environment or a file |
//! | [`state`] | the state store: what can be rebuilt |
//! | `telemetry` | traces for a collector of OpenTelemetry; behind the feature `otel` |
//! | [`mod@write`] | folders that generated files are written to |
#![expect(
    clippy::disallowed_methods,
    reason = "the list fences core and formats; this crate is where files are touched"
)]

pub mod files;
pub mod forge;
pub mod lease;
mod loopback;
pub mod monitors;
pub mod secret;
pub mod state;
#[cfg(feature = "otel")]
pub mod telemetry;
pub mod write;
