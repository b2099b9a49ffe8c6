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
use crate::load::sites::texts_at;

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

/// Every name that any resource refers to, with its kind.
pub(super) fn named<'a>(context: &Context<'a>) -> BTreeSet<(&'static str, &'a str)> {
    let mut named = BTreeSet::new();
    for (_, doc) in context.documents.iter() {
        for (_, path, target) in REFERENCES.iter().filter(|(kind, ..)| *kind == doc.kind()) {
            named.extend(texts_at(&doc.value, path).into_iter().map(|(_, name)| (*target, name)));
        }
    }
    named
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for (id, doc) in context.documents.iter() {
        for (_, path, target) in REFERENCES.iter().filter(|(kind, ..)| *kind == doc.kind()) {
            for (pointer, name) in texts_at(&doc.value, path) {
                let known = context.names.get(*target);
                if known.is_some_and(|names| names.contains_key(name)) {
                    continue;
                }
                let message = format!("there is no {target} `{name}`");
                let names = known.into_iter().flat_map(|names| names.keys().map(String::as_str));
                let help = nearest_or_list(name, names)
                    .unwrap_or_else(|| format!("add a resource of kind {target} named `{name}`"));
                diagnostics.push(context.at(Code::DanglingReference, id, &pointer, message).help(help));
            }
        }
    }
}
