//! # What it does
//! Warns of overrides whose review date has passed.
//!
//! # Why is this bad
//! An override went around a freeze or a window. Somebody promised to look at it afterwards, and did not.
//!
//! # Example
//! ```yaml
//! kind: Override
//! spec: {what: freeze, freeze: year-end, by: ciso, until: 2026-01-10, reviewBy: 2026-01-15}
//! ```
//!
//! # Fix
//! Review it, and remove it if it has ended.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::time::Boundary;

/// Overrides that nobody has reviewed in time.
pub static RULE: Rule = Rule {
    name: "reviews",
    codes: &[Code::ReviewOverdue],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let zone = &context.catalog.zone.0;
    for r in context.catalog.overrides.values() {
        let Some(by) = r.spec.review_by else { continue };
        if by.resolve(Boundary::End, zone) > context.now {
            continue;
        }
        let message = format!("the override `{}` was to be reviewed by {by}", r.name);
        let diagnostic = context.at(Code::ReviewOverdue, r.doc, "/spec/reviewBy", message);
        diagnostics.push(diagnostic.help("review it, and remove it if it has ended; else set the next date"));
    }
}
