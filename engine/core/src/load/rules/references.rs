//! # What it does
//! Checks that every name of another resource exists.
//!
//! # Why is this bad
//! A policy whose SLA does not exist gives no deadline, and nobody would notice.
//!
//! # Example
//! ```yaml
//! spec:
//!   sla: standrad      # there is an SlaPolicy `standard`
//! ```
//!
//! # Fix
//! Correct the name, or add the resource.

use std::collections::BTreeSet;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::load::documents::Documents;
use crate::load::sites::texts_at;
use crate::source::DocId;

/// Dangling references.
pub static RULE: Rule = Rule {
    name: "references",
    codes: &[Code::DanglingReference],
    check,
};

/// Which fields name which kind (`*` = every entry of a list).
const REFERENCES: &[(&str, &[&str], &str)] = &[
    ("AssetClass", &["spec", "validation", "*"], "ValidationSuite"),
    ("AssetClass", &["spec", "window"], "MaintenanceWindow"),
    ("AssetClass", &["spec", "window", "default"], "MaintenanceWindow"),
    ("Fleet", &["spec", "sources", "*"], "Source"),
    ("Override", &["spec", "freeze"], "ChangeFreeze"),
    ("Override", &["spec", "policy"], "PatchPolicy"),
    ("Override", &["spec", "window"], "MaintenanceWindow"),
    ("PatchPolicy", &["spec", "rollout"], "RolloutStrategy"),
    ("PatchPolicy", &["spec", "sla"], "SlaPolicy"),
    (
        "RolloutStrategy",
        &["spec", "waves", "*", "gates", "*", "source"],
        "Source",
    ),
    ("ValidationSuite", &["spec", "checks", "*", "source"], "Source"),
];

/// A field that names another resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The document it stands in.
    pub doc: DocId,
    /// Where in it, as a JSON Pointer.
    pub pointer: String,
    /// The kind it names.
    pub target: &'static str,
    /// The name it says, which need not exist.
    pub name: &'a str,
}

/// Every reference between resources, in order of the documents.
pub fn references(documents: &Documents) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    for (doc, document) in documents.iter() {
        for (_, path, target) in REFERENCES.iter().filter(|(kind, ..)| *kind == document.kind()) {
            let named = texts_at(&document.value, path).into_iter();
            found.extend(named.map(|(pointer, name)| Reference {
                doc,
                pointer,
                target,
                name,
            }));
        }
    }
    found
}

/// The kind that a field names; `path` is that of the field, list entries as numbers. For a field that is still empty.
pub fn target_of(kind: &str, path: &[&str]) -> Option<&'static str> {
    let fits = |pattern: &[&str]| {
        let entry = |step: &str| step.bytes().all(|b| b.is_ascii_digit());
        let mut steps = pattern.iter().zip(path);
        pattern.len() == path.len() && steps.all(|(want, step)| want == step || (*want == "*" && entry(step)))
    };
    let mut places = REFERENCES.iter();
    places
        .find(|(of, pattern, _)| *of == kind && fits(pattern))
        .map(|(_, _, target)| *target)
}

/// Every name that any resource refers to, with its kind.
pub(super) fn named<'a>(context: &Context<'a>) -> BTreeSet<(&'static str, &'a str)> {
    let found = references(context.documents).into_iter();
    found.map(|reference| (reference.target, reference.name)).collect()
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for Reference {
        doc,
        pointer,
        target,
        name,
    } in references(context.documents)
    {
        let known = context.names.get(target);
        if known.is_some_and(|names| names.contains_key(name)) {
            continue;
        }
        let message = format!("there is no {target} `{name}`");
        let names = known.into_iter().flat_map(|names| names.keys().map(String::as_str));
        let help =
            nearest_or_list(name, names).unwrap_or_else(|| format!("add a resource of kind {target} named `{name}`"));
        diagnostics.push(context.at(Code::DanglingReference, doc, &pointer, message).help(help));
    }
}
