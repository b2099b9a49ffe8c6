//! What happened, counted: a history in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::fmt;

use crate::ledger::Ledger;

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<String, u64>);

impl Counts {
    /// Once more.
    pub fn add(&mut self, what: &str) {
        match self.0.get_mut(what) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(what.to_owned(), 1);
            }
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (what, count) in other.0 {
            *self.0.entry(what).or_default() += count;
        }
        self
    }

    /// How often it happened.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// What the ledger has more than it had.
    pub fn add_lines(&mut self, before: &Ledger, now: &Ledger) {
        for (rollout, lines) in now {
            let known = before.get(rollout).map(Vec::len);
            if known.is_none() {
                self.add("rollouts");
                if rollout.contains("-emergency") {
                    self.add("rollouts of the emergency lane");
                }
            }
            for line in lines.iter().skip(known.unwrap_or(0)) {
                match line.event.as_str() {
                    "wave" => self.add(&format!("waves {}", line.text("moved"))),
                    event => self.add(&format!("ledger: {event}")),
                }
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(what, count)| writeln!(f, "{count:>12} {what}"))
    }
}
