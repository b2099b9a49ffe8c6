//! The order of the stages: what is read, handed on, and executed, in which order, how often.
//!
//! The runner decides nothing and parses no arguments: it calls core's stages with what adapters read, and hands what
//! core wants done back to adapters. The instant `now` is an argument of every call.
//!
//! | module | does |
//! | --- | --- |
//! | [`repository`] | reads and loads the user's repository |
//! | [`sources`] | reads every source and merges what they say |
//! | [`survey`] | looks at everything: forge, ledger, facts; assesses and plans |
//! | [`artifacts`] | the render targets there are, and the files of a wave |
//! | [`reconcile`] | look → decide → execute until nothing is left |
//! | [`forge`] | which forge the project has, and opening it |
//! | [`lease`] | at most one runner acts at a time |
//! | `daemon` | one run after another, and the endpoints; behind the feature `daemon` |
//! | [`people`] | what people ask for: halt, resume, evidence, waivers |

pub mod artifacts;
#[cfg(feature = "daemon")]
pub mod daemon;
pub mod forge;
pub mod lease;
pub mod people;
pub mod reconcile;
pub mod repository;
pub mod sources;
pub mod survey;

/// Why a run could not go on. What is wrong with resources is no error of a run: it stands in the diagnostics.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct RunError {
    /// What happened, where, and why it matters.
    pub what: String,
    /// What to do.
    pub help: String,
}

impl RunError {
    /// An error with advice.
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
        }
    }
}

impl From<patchwave_adapters::forge::ForgeError> for RunError {
    fn from(error: patchwave_adapters::forge::ForgeError) -> Self {
        Self {
            what: error.what,
            help: error.help,
        }
    }
}
