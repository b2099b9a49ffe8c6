//! Diagnostics: what is wrong, where, why it matters and what to do.
//!
//! A stage never stops at its first problem: it collects them in [`Diagnostics`], which gives them in one order (file,
//! line, column, code) whatever order they were found in. How they look is the business of [`render`].

mod code;
mod manual;
pub mod render;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

pub use code::Code;
pub use manual::{Entry, Manual};

use crate::source::Location;

/// How bad it is. Errors make the exit code 1; warnings and notes never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Must be fixed.
    Error,
    /// Works, but probably not as meant; or depends on the clock or on observations.
    Warning,
    /// Good to know.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// Another place that belongs to the problem.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Related {
    /// Where.
    pub location: Location,
    /// What is there: `first defined here`.
    pub message: String,
}

/// One problem.
///
/// The message says what is wrong and why in one sentence without a final period; the help says what to do. Words taken
/// from the user stand in backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which problem it is.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong and why.
    pub message: String,
    /// Where; `None` only for what concerns no file.
    pub location: Option<Location>,
    /// The same place as a JSON Pointer into the document; empty for a whole document or file.
    pub pointer: String,
    /// What to do.
    pub help: Option<String>,
    /// Other places that matter.
    pub related: Vec<Related>,
}

impl Diagnostic {
    /// A problem with the severity its code has by nature.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into(),
            location: None,
            pointer: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    /// The same at a place.
    #[must_use]
    pub fn at(self, location: Location, pointer: impl Into<String>) -> Self {
        Self {
            location: Some(location),
            pointer: pointer.into(),
            ..self
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// The same with advice, if there is any.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Self {
        Self {
            help: help.or(self.help),
            ..self
        }
    }

    /// The same with one more place.
    #[must_use]
    pub fn related(mut self, location: Location, message: impl Into<String>) -> Self {
        self.related.push(Related {
            location,
            message: message.into(),
        });
        self
    }

    fn order(&self) -> (Option<&Location>, Code, &str, &str, &Option<String>) {
        (
            self.location.as_ref(),
            self.code,
            &self.message,
            &self.pointer,
            &self.help,
        )
    }
}

/// Problems in one order: those of no file first, then by file, line, column, code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Sorts, and drops exact repetitions (two rules may see the same fault through an alias).
    pub fn sort(&mut self) {
        self.list
            .sort_by(|a, b| a.order().cmp(&b.order()).then_with(|| a.related.cmp(&b.related)));
        self.list.dedup();
    }

    /// Whether anything is an error.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|d| d.severity == Severity::Error)
    }

    /// The problems in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.iter().filter(|d| d.severity == severity).count()
    }

    /// Keeps those for which `keep` holds (`validate PATH…`).
    pub fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.list.retain(keep);
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, more: I) {
        self.list.extend(more);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        let mut all = Self {
            list: iter.into_iter().collect(),
        };
        all.sort();
        all
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// More names, or longer ones, are no list that a person has in mind; comparing them would take longer than the rest.
const COMPARED_MAX: usize = 1_000;

/// The known name nearest to a wrong one, as a question; `None` if nothing is near.
///
/// Jaro-Winkler weighs the first letters most, which is how people misspell words they are typing; 0.75 keeps
/// `critcal → critical` and drops words that merely share letters.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    const LENGTH_MAX: usize = 256;
    let wrong = Some(wrong.to_lowercase()).filter(|wrong| wrong.len() <= LENGTH_MAX)?;
    let mut known = known.into_iter().filter(|name| name.len() <= LENGTH_MAX);
    let compared: Vec<&str> = known.by_ref().take(COMPARED_MAX).collect();
    if known.next().is_some() {
        return None;
    }
    compared
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// The same, else the whole list of known names.
pub fn nearest_or_list<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut distinct: BTreeSet<&str> = BTreeSet::new();
    for name in known {
        distinct.insert(name);
        if distinct.len() > COMPARED_MAX {
            return None;
        }
    }
    let known: Vec<&str> = distinct.into_iter().collect();
    /// A longer list is no help.
    const LISTED_MAX: usize = 24;
    nearest(wrong, known.iter().copied())
        .or_else(|| (!known.is_empty() && known.len() <= LISTED_MAX).then(|| format!("known: {}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_files() {
        let at = |file: &str, line| Location {
            file: file.into(),
            line,
            column: 1,
            end_line: line,
            end_column: 2,
        };
        let make = |file, line| Diagnostic::new(Code::UnknownField, "x").at(at(file, line), "");
        let all: Diagnostics = [make("b", 1), make("a", 9), make("a", 10), make("a", 9)]
            .into_iter()
            .collect();
        let places: Vec<_> = all.iter().map(|d| d.location.as_ref().unwrap().to_string()).collect();
        assert_eq!(places, ["a:9:1", "a:10:1", "b:1:1"]);
    }

    #[test]
    fn the_nearest_name_is_a_question() {
        assert_eq!(
            nearest("critcal", ["critical", "high"]).as_deref(),
            Some("did you mean `critical`?")
        );
        assert_eq!(nearest("zzz", ["critical", "high"]), None);
        assert_eq!(nearest_or_list("zzz", ["b", "a"]).as_deref(), Some("known: a, b"));
    }
}
