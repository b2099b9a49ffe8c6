//! Why something is not rendered.

use std::fmt;

use super::grammar::{Grammar, shown};
use super::pack::PackFault;

/// One reason why nothing is rendered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RenderFault {
    /// What it is about: `asset web-1`, `target openssl-libs`, `wave test`.
    pub subject: String,
    /// What is wrong, why it matters, what to do. Values in it are shortened and made visible.
    pub message: String,
    /// Where the value stands, if known: a file and record, or `file:line`.
    pub place: Option<String>,
}

impl fmt::Display for RenderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        write!(f, "{}: {}", self.subject, self.message)
    }
}

impl std::error::Error for RenderFault {}

impl From<PackFault> for RenderFault {
    fn from(fault: PackFault) -> Self {
        Self {
            subject: "target".into(),
            message: fault.message,
            place: Some(format!("templates/{}", fault.file)),
        }
    }
}

/// Collects faults; values go through it to be checked.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<RenderFault>,
}

impl Faults {
    pub(super) fn push(&mut self, subject: impl Into<String>, message: impl Into<String>, place: Option<String>) {
        self.list.push(RenderFault {
            subject: subject.into(),
            message: message.into(),
            place,
        });
    }

    /// The value, after its grammar was checked.
    pub(super) fn value(
        &mut self,
        grammar: Grammar,
        field: &str,
        value: &str,
        subject: &str,
        place: Option<&String>,
    ) -> String {
        if let Err(rule) = grammar.check(value) {
            let message = format!(
                "{field} `{}` is not {rule}, so it could mean something else to the executor; correct it where it comes from, or take the asset out of the policy's scope",
                shown(value)
            );
            self.push(shown(subject), message, place.cloned());
        }
        value.to_owned()
    }

    pub(super) fn done(mut self) -> Result<(), Vec<RenderFault>> {
        self.list.sort();
        self.list.dedup();
        if self.list.is_empty() { Ok(()) } else { Err(self.list) }
    }
}
