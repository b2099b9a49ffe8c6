//! Why a rollout, a window or a refusal is as it is: facts, and the file and line of each rule that decided.

mod refusal;
mod rollout;
mod window;

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

pub use refusal::{Meaning, explain_refusals, meaning};
pub use rollout::explain_rollout;
pub use window::explain_window;

use super::Plan;
use crate::assess::{Assessment, Step};
use crate::history::History;
use crate::load::Catalog;
use crate::observe::Observation;

/// Everything an explanation reads.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The resources.
    pub catalog: &'a Catalog,
    /// The facts.
    pub observation: &'a Observation,
    /// The findings.
    pub assessment: &'a Assessment,
    /// What has happened.
    pub history: &'a History,
    /// The plan that is explained.
    pub plan: &'a Plan,
}

/// An explanation: what holds for the whole, then part by part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// What is explained.
    pub subject: String,
    /// The instant it is explained at.
    pub now: Timestamp,
    /// What holds for the whole.
    pub steps: Vec<Step>,
    /// Targets and waves of a rollout, classes of a window, single refusals.
    pub parts: Vec<AccountPart>,
}

/// One part of an explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountPart {
    /// What the part is about.
    pub title: String,
    /// What decided, in order.
    pub steps: Vec<Step>,
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} at {}", self.subject, self.now)?;
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        for part in &self.parts {
            writeln!(f, "\n{}", part.title)?;
            for step in &part.steps {
                writeln!(f, "  {step}")?;
            }
        }
        Ok(())
    }
}

fn step(what: &'static str, fact: impl Into<String>, at: impl Into<String>) -> Step {
    Step {
        what,
        fact: fact.into(),
        at: at.into(),
    }
}

/// So many names are written out in one step; the rest is counted.
const NAMES_MAX: usize = 8;

fn names<T: AsRef<str>>(all: &[T]) -> String {
    let shown: Vec<&str> = all.iter().take(NAMES_MAX).map(AsRef::as_ref).collect();
    match all.len().checked_sub(NAMES_MAX).filter(|n| *n > 0) {
        None => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
