//! # What it does
//! In a repository without a source of advisories, finds exceptions for advisories that no Advisory resource has.
//!
//! # Why is this bad
//! A misspelt CVE excuses nothing, and the finding it was meant for goes into its deadline.
//!
//! # Example
//! ```yaml
//! kind: PatchException
//! spec: {advisories: [CVE-2026-10000], expires: 2027-01-01, reason: vendor fix pending, approvedBy: ciso}
//! ```
//!
//! # Fix
//! Correct the id. Where feeds give advisories, only what they say can tell.

use std::collections::BTreeSet;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::load::wire::SourceKind;

/// Exceptions for advisories that are nowhere.
pub static RULE: Rule = Rule {
    name: "excepted",
    codes: &[Code::ExceptionUnknownAdvisory],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let catalog = context.catalog;
    let feeds = catalog
        .sources
        .values()
        .any(|s| matches!(s.spec.kind, SourceKind::Advisories | SourceKind::Scanner));
    if feeds || catalog.advisories.is_empty() {
        return;
    }
    let known: BTreeSet<&str> = catalog
        .advisories
        .values()
        .flat_map(|a| {
            a.spec
                .id
                .as_deref()
                .into_iter()
                .chain([&*a.name])
                .chain(a.spec.aliases.iter().map(String::as_str))
        })
        .collect();
    for r in catalog.exceptions.values() {
        for (i, id) in r
            .spec
            .advisories
            .iter()
            .enumerate()
            .filter(|(_, id)| !known.contains(id.as_str()))
        {
            let message =
                format!("no Advisory of this repository is called `{id}`, and there is no feed that could know it");
            let diagnostic = context.at(
                Code::ExceptionUnknownAdvisory,
                r.doc,
                &format!("/spec/advisories/{i}"),
                message,
            );
            diagnostics.push(diagnostic.maybe_help(nearest_or_list(id, known.iter().copied())));
        }
    }
}
