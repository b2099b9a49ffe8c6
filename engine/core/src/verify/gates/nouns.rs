//! What monitors are asked, and what they said.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::time::DurationSeconds;

/// The name under which one answer for all assets stands.
pub const ALL: &str = "*";

/// Which gate of which wave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GateKey {
    /// The rollout.
    pub rollout: Arc<str>,
    /// The wave.
    pub wave: Arc<str>,
    /// Position among the wave's gates, from 1.
    pub gate: u32,
}

/// What is asked of which source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GateQuestion {
    /// The Source; none = a page that needs no credential.
    pub source: Option<Arc<str>>,
    /// What.
    pub ask: Ask,
}

/// What is asked. Equal questions of several gates are asked once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ask {
    /// The value of a PromQL expression now and, where it must have held, over the time before.
    Promql {
        /// The expression.
        query: String,
        /// The time before now that is wanted as well.
        back: Option<DurationSeconds>,
        /// How many assets are asked about: more of them are asked in longer steps.
        assets: usize,
        /// The instant.
        at: Timestamp,
    },
    /// Every check the monitor has.
    Status,
    /// A page.
    Page {
        /// Its address, or what follows the address of the source.
        address: String,
        /// The instant.
        at: Timestamp,
    },
    /// The change records of a wave.
    Change {
        /// What a record must be about: see [`change_subject`].
        subject: String,
    },
}

/// What change records of a wave carry in `correlation_id`, or in their short description: `<rollout>/<wave>`. Both parts
/// are DNS labels, so the text cannot mean anything else in a query.
pub fn change_subject(rollout: &str, wave: &str) -> String {
    format!("{rollout}/{wave}")
}

/// What a monitor said, or why it could not be read.
pub type GateReading = Result<GateAnswer, String>;

/// What monitors said in one run. A gate that is not here was not asked.
pub type GateReadings = BTreeMap<GateKey, GateReading>;

/// What a monitor said.
#[derive(Clone, Debug, PartialEq)]
pub enum GateAnswer {
    /// Values of an expression.
    Series(SeriesAnswer),
    /// States of hosts and services.
    Checks(Vec<Check>),
    /// A page.
    Page(Page),
    /// Change records.
    Changes(Vec<ChangeRecord>),
}

/// The series of an expression that have a value now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesAnswer {
    /// The series.
    pub series: Vec<Series>,
    /// The distance of the points before; none = only the value of now was asked or saved.
    pub step: Option<DurationSeconds>,
}

/// One series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its labels; none for a scalar.
    pub labels: BTreeMap<String, String>,
    /// When it was evaluated.
    pub at: Timestamp,
    /// Its value; may be no number.
    pub value: f64,
    /// When the sample behind the value was taken; none where the monitor cannot say.
    pub sampled_at: Option<Timestamp>,
    /// Earlier values, oldest first.
    pub before: Vec<(Timestamp, f64)>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// All is well; a host is up.
    Ok,
    /// Worth a look.
    Warning,
    /// Not well; a host is down or cannot be reached.
    Critical,
    /// The check itself could not tell.
    Unknown,
    /// Not checked yet.
    Pending,
}

impl CheckStatus {
    /// The word used in resources and outputs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
            Self::Pending => "pending",
        }
    }
}

/// One check of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What the host goes by: `host_name`, or `Caption`, `DNS`, `IPAddress`.
    pub labels: BTreeMap<String, String>,
    /// The service; empty = the host itself.
    pub service: String,
    /// How it stands.
    pub status: CheckStatus,
    /// When it was last checked.
    pub checked_at: Option<Timestamp>,
    /// Since when it stands so; none where the monitor does not say.
    pub since: Option<Timestamp>,
    /// The monitor has made sure of it (Nagios and Icinga call that a hard state).
    pub confirmed: bool,
    /// Acknowledged, or in a downtime: said with a red one, and changes nothing.
    pub handled: Option<&'static str>,
}

/// A page as it answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// When it was asked.
    pub at: Timestamp,
    /// HTTP status.
    pub status: u16,
    /// Its text.
    pub body: String,
}

/// A change record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRecord {
    /// For example `CHG0030001`.
    pub number: String,
    /// The word of its state, lowercase, as the instance shows it.
    pub state: String,
    /// The number of its state, where it is given.
    pub state_code: Option<i32>,
    /// What it says it is about.
    pub subjects: Vec<String>,
    /// Planned start.
    pub start: Option<Timestamp>,
    /// Planned end.
    pub end: Option<Timestamp>,
    /// Whether it is open.
    pub active: bool,
}
