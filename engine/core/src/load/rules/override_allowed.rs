//! # What it does
//! Refuses an override of a freeze by someone whom the freeze does not name in `overridableBy`.
//!
//! # Why is this bad
//! The freeze says who may lift it. An override by anyone else must open nothing.
//!
//! # Example
//! ```yaml
//! kind: ChangeFreeze                       # year-end
//! spec: {from: 2026-12-18, to: 2027-01-04, overridableBy: [ciso]}
//! ---
//! kind: Override
//! spec: {what: freeze, freeze: year-end, by: team-web, until: 2026-12-22}
//! ```
//!
//! # Fix
//! Ask one of those who may, or add them to the freeze.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};

/// Overrides by people who may not.
pub static RULE: Rule = Rule {
    name: "override_allowed",
    codes: &[Code::OverrideNotAllowed],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for r in context.catalog.overrides.values() {
        let freeze = r
            .spec
            .freeze
            .as_deref()
            .and_then(|name| context.catalog.freezes.get(name));
        // A freeze that names nobody leaves the decision to the review of the override.
        let Some(freeze) = freeze.filter(|f| !f.spec.overridable_by.is_empty()) else {
            continue;
        };
        if freeze.spec.overridable_by.contains(&r.spec.by) {
            continue;
        }
        let may = freeze.spec.overridable_by.join(", ");
        let message = format!("`{}` may not override the freeze `{}`", r.spec.by, freeze.name);
        let place = context.documents.locate(freeze.doc, "/spec/overridableBy");
        let diagnostic = context.at(Code::OverrideNotAllowed, r.doc, "/spec/by", message);
        diagnostics.push(
            diagnostic
                .help(format!("it may be overridden by {may}"))
                .related(place, "said here"),
        );
    }
}
