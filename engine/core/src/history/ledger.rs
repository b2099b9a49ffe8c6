//! The ledger: append-only chains of what happened, one file a rollout and one (`memory`) for the estate.
//!
//! A line is `{v, seq, prev, time, actor, event, data}`; `prev` is the SHA-256 (hex) of the previous line's bytes
//! without its newline, and 64 zeros before the first. Lines are RFC 8785 JSON, so equal values are equal bytes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Version of the line format.
pub const LEDGER_VERSION: u32 = 1;

/// `prev` of a first line.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One line of a ledger file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// Format version.
    pub v: u32,
    /// Position in its file, from 0.
    pub seq: u64,
    /// SHA-256 of the previous line's bytes.
    pub prev: String,
    /// When it was recorded: the `now` of the run.
    pub time: Timestamp,
    /// Who: `patchwave`, or a person.
    pub actor: String,
    /// What happened; the vocabulary is [`crate::verify`]'s.
    pub event: String,
    /// Its facts.
    pub data: serde_json::Value,
}
