//! Answers of monitors and of change management: bytes in, what they said out.
//!
//! One file a product. An answer that is not of the expected shape is an error that says what stands there; nothing is
//! guessed, and no part of an answer is taken for the whole.

mod icinga2;
mod nagios;
mod prometheus;
mod servicenow;
mod solarwinds;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

pub use icinga2::{icinga2_hosts, icinga2_services};
pub use nagios::{nagios_hosts, nagios_services};
pub use prometheus::{prometheus_live, prometheus_saved, prometheus_values};
pub use servicenow::servicenow_changes;
pub use solarwinds::{SOLARWINDS_QUERY, solarwinds_nodes};

use crate::fields::excerpt;

/// Reads JSON of a shape; the error says of what product, what was expected, and how the answer begins.
fn shape<T: DeserializeOwned>(product: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        let start = bytes.get(..120).unwrap_or(bytes);
        let start = excerpt(&String::from_utf8_lossy(start));
        format!("this is no answer of {product}: {error}; it reads `{start}`")
    })
}

/// An instant of seconds since 1970 with a fraction; none where no calendar has it.
fn seconds(seconds: f64) -> Option<Timestamp> {
    let milliseconds = (seconds * 1000.0).round();
    // Beyond this a float is no exact number of milliseconds any more, and no instant of anybody's clock.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (milliseconds.abs() < EXACT)
        .then(|| Timestamp::from_millisecond(milliseconds as i64).ok())
        .flatten()
}

/// The same, where zero or less means never.
fn happened(at: f64) -> Option<Timestamp> {
    (at > 0.0).then(|| seconds(at)).flatten()
}
