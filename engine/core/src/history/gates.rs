//! What is recorded of gates: the state of each, since when, and the samples it rests on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a gate stands. Only [`GateState::Passed`] lets a wave through; only [`GateState::Red`] can stop one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateState {
    /// Every asset shows what is asked, and has for as long as is asked.
    Passed,
    /// Every asset shows what is asked, not yet for as long as is asked.
    Holding,
    /// The monitor answers, but not for every asset, or not of after its patch.
    Unmet,
    /// The monitor cannot be asked, or its answer cannot be read.
    Unreadable,
    /// At least one asset shows the contrary of what is asked.
    Red,
}

impl GateState {
    /// The word used in outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Holding => "holding",
            Self::Unmet => "unmet",
            Self::Unreadable => "unreadable",
            Self::Red => "red",
        }
    }

    /// What is asked is shown, for however long.
    pub const fn is_green(self) -> bool {
        matches!(self, Self::Passed | Self::Holding)
    }
}

impl fmt::Display for GateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a gate showed at one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateResult {
    /// Position among the gates of its wave, from 1.
    pub gate: u32,
    /// What it asks, in short.
    pub asks: String,
    /// How it stands.
    pub state: GateState,
    /// Since when; of a green one, since when it is shown without a break.
    pub since: Timestamp,
    /// Who or what keeps it from passing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was shown, by asset; `*` where one answer is for all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub samples: BTreeMap<Arc<str>, GateSample>,
}

/// One sample or status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSample {
    /// When it was true.
    pub at: Timestamp,
    /// The value, as text: a number, a status, a change record with its state.
    pub value: String,
}

/// How a gate stands by the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateProgress {
    /// What it asks, in short.
    pub asks: String,
    /// How it stood when that was last news.
    pub state: GateState,
    /// Since when.
    pub since: Timestamp,
    /// Why it did not pass, if it did not.
    pub reason: Option<String>,
    /// It was green, and was not red since: if it is red now, it has turned.
    pub was_green: bool,
    /// It was red before this, and not green since: what nobody could read after that made nothing good.
    pub saw_red: bool,
    /// When it became green after it had been red, if it was: a soak proves nothing before that.
    pub red_until: Option<Timestamp>,
    /// It was asked before the release of a batch, not while the wave soaks.
    pub of_release: bool,
}

impl GateProgress {
    /// How a gate stands after a result was recorded.
    pub fn after(before: Option<&Self>, result: &GateResult, of_release: bool) -> Self {
        let before = before.filter(|b| b.of_release == of_release);
        let was_green = before.is_some_and(|b| b.was_green);
        let saw_red = before.is_some_and(|b| b.saw_red || b.state == GateState::Red);
        let red_until = match before {
            _ if saw_red && result.state.is_green() => Some(result.since),
            before => before.and_then(|b| b.red_until),
        };
        Self {
            asks: result.asks.clone(),
            state: result.state,
            since: result.since,
            reason: result.reason.clone(),
            was_green: result.state.is_green() || (was_green && result.state != GateState::Red),
            saw_red: saw_red && !result.state.is_green(),
            red_until,
            of_release,
        }
    }
}
