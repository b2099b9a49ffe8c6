//! The independent checker: is this plan what the rules allow? It shares no code with the planner and works everything out
//! again from the resources, the slow and obvious way where that is affordable, so that a fault of one is not a fault of
//! both.

mod budgets;
mod content;
mod coverage;
mod estate;
mod order;
mod parts;
mod tested;
mod times;
mod versions;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use self::estate::Estate;
use super::Plan;
use crate::assess::Assessment;
use crate::history::History;
use crate::load::Catalog;
use crate::observe::Observation;

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Which rule: `order`, `soak`, `window`, `freeze`, `budget`, `twice`, `coverage`, `target`, `tested`, `size`,
    /// `digest`, …
    pub rule: &'static str,
    /// Rollout, wave or asset.
    pub subject: Arc<str>,
    /// What is wrong, with names and numbers.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]: {}", self.subject, self.rule, self.message)
    }
}

/// Faults as they are found; a set, so that the order of looking does not show.
#[derive(Default)]
struct Faults(BTreeSet<Fault>);

impl Faults {
    fn add(&mut self, rule: &'static str, subject: &str, message: impl Into<String>) {
        self.0.insert(Fault {
            rule,
            subject: subject.into(),
            message: message.into(),
        });
    }
}

/// Everything that is wrong with `plan`; nothing for every plan that [`super::plan()`] makes of the same input.
pub fn lint(
    plan: &Plan,
    catalog: &Catalog,
    observation: &Observation,
    assessment: &Assessment,
    history: &History,
) -> Vec<Fault> {
    let estate = Estate {
        catalog,
        observation,
        assessment,
        history,
        now: plan.now,
    };
    let mut faults = Faults::default();
    order::check(&estate, plan, &mut faults);
    times::check(&estate, plan, &mut faults);
    budgets::check(&estate, plan, &mut faults);
    content::check(&estate, plan, &mut faults);
    tested::check(&estate, plan, &mut faults);
    coverage::check(&estate, plan, &mut faults);
    parts::check(&estate, plan, &mut faults);
    faults.0.into_iter().collect()
}
