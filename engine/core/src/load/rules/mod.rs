//! Rules over the whole catalog: one file a rule, in an explicit list.
//!
//! A rule is added by writing its file (sections *What it does*, *Why is this bad*, *Example*, *Fix*), naming its codes,
//! and listing it in [`RULES`]. A rule reads the catalog and pushes diagnostics; it decides nothing else.

mod approval;
mod approvers;
mod class_order;
mod cycle;
mod environments;
mod excepted;
mod exceptions;
mod exposure;
mod gate_is;
pub mod gates;
mod known_names;
mod openings;
mod over;
mod override_allowed;
mod passed_over;
mod periods;
mod places;
mod policy_tests;
mod reasons;
pub mod references;
mod release_time;
mod required;
mod reviews;
mod secrets;
mod selection;
mod selectors;
mod services;
mod shadowed;
mod snapshot_revert;
mod soak;
mod tables;
mod uncovered;
mod unique;
mod unused;
mod windows;
mod words;

use jiff::Timestamp;

use super::catalog::Catalog;
use super::documents::Documents;
use super::read::Names;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::{DocId, SourceSet};

/// What a rule may look at.
pub struct Context<'a> {
    /// The resources.
    pub catalog: &'a Catalog,
    /// The documents behind them, those that could not be read to the end included.
    pub documents: &'a Documents,
    /// Every name by kind, those of unreadable documents included.
    pub names: &'a Names,
    /// The document of the Project.
    pub project: Option<DocId>,
    /// Which other files there are.
    pub set: &'a SourceSet,
    /// The instant of the run.
    pub now: Timestamp,
}

impl Context<'_> {
    /// A diagnostic at the value of a pointer.
    pub fn at(&self, code: Code, doc: DocId, pointer: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, message).at(self.documents.locate(doc, pointer), pointer)
    }

    /// A diagnostic at the key of a pointer.
    pub fn at_key(&self, code: Code, doc: DocId, pointer: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, message).at(self.documents.locate_key(doc, pointer), pointer)
    }
}

/// One rule.
pub struct Rule {
    /// Its name, that of its file.
    pub name: &'static str,
    /// The codes it may give.
    pub codes: &'static [Code],
    /// The check.
    pub check: fn(&Context<'_>, &mut Diagnostics),
}

/// Every rule. The order does not matter: diagnostics are sorted by place.
pub static RULES: &[&Rule] = &[
    &approval::RULE,
    &approvers::RULE,
    &class_order::RULE,
    &cycle::RULE,
    &environments::RULE,
    &excepted::RULE,
    &exceptions::RULE,
    &exposure::RULE,
    &gate_is::RULE,
    &gates::RULE,
    &known_names::RULE,
    &openings::RULE,
    &over::RULE,
    &override_allowed::RULE,
    &passed_over::RULE,
    &periods::RULE,
    &policy_tests::RULE,
    &reasons::RULE,
    &references::RULE,
    &release_time::RULE,
    &required::RULE,
    &reviews::RULE,
    &secrets::RULE,
    &selectors::RULE,
    &services::RULE,
    &shadowed::RULE,
    &snapshot_revert::RULE,
    &soak::RULE,
    &tables::RULE,
    &uncovered::RULE,
    &unique::RULE,
    &unused::RULE,
    &windows::RULE,
    &words::RULE,
];

pub(super) use known_names::target_folders;

/// Selectors times assets that one rule tries. Lists written by hand stay far below; a list that was generated to hurt must
/// not make `validate` slow, and gets less advice.
const TRIALS_MAX: usize = 5_000_000;

/// Runs every rule.
pub(super) fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for rule in RULES {
        (rule.check)(context, diagnostics);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_listed_once_and_say_what_they_give() {
        assert!(RULES.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(RULES.iter().all(|rule| !rule.codes.is_empty()));
    }
}
