//! # What it does
//! Warns of exceptions and overrides that have ended or end soon, and of exceptions for everything.
//!
//! # Why is this bad
//! What has ended no longer protects anyone from a breach, but still looks as if it did. An exception that names neither
//! advisory nor package is taken for none at all, and one for all packages excuses whatever comes along.
//!
//! # Example
//! ```yaml
//! kind: PatchException
//! spec: {expires: 2020-01-01, reason: legacy, approvedBy: ciso}
//! ```
//!
//! # Fix
//! Remove it, renew it with a new approval, or narrow it.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::time::{Boundary, DurationSeconds};

/// Ended, ending and over-broad exceptions and overrides.
pub static RULE: Rule = Rule {
    name: "exceptions",
    codes: &[
        Code::ExceptionExpired,
        Code::ExceptionExpiring,
        Code::ExceptionTooBroad,
        Code::OverrideExpired,
    ],
    check,
};

/// Two weeks: one meeting of a change board lies in between.
const SOON: DurationSeconds = DurationSeconds::hours(14 * 24);

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let zone = &context.catalog.zone.0;
    for r in context.catalog.exceptions.values() {
        let end = r.spec.expires.resolve(Boundary::End, zone);
        let pointer = "/spec/expires";
        if end <= context.now {
            let message = format!("the exception `{}` ended on {}", r.name, r.spec.expires);
            let diagnostic = context.at(Code::ExceptionExpired, r.doc, pointer, message);
            diagnostics.push(diagnostic.help("remove it, or renew it with a new approval"));
        } else if end.duration_since(context.now) <= SOON.signed() {
            let message = format!("the exception `{}` ends on {}", r.name, r.spec.expires);
            let diagnostic = context.at(Code::ExceptionExpiring, r.doc, pointer, message);
            diagnostics.push(diagnostic.help("patch, mitigate, or renew it with a new approval before then"));
        }
        let everything = r.spec.packages.iter().any(crate::name::Glob::is_everything);
        let assets = r.spec.when.is_none() && r.spec.selector.as_ref().is_none_or(|s| s.is_everything());
        let what = if assets {
            "every finding of every asset"
        } else {
            "every finding of these assets"
        };
        let message = match (r.spec.advisories.is_empty(), r.spec.packages.is_empty(), everything) {
            (true, true, _) => format!(
                "the exception `{}` names neither advisories nor packages, so it excuses nothing; meant is perhaps {what}",
                r.name
            ),
            (true, false, true) => format!("the exception `{}` excuses {what}, also what is not known yet", r.name),
            _ => continue,
        };
        let diagnostic = context.at_key(Code::ExceptionTooBroad, r.doc, "/spec", message);
        diagnostics.push(diagnostic.help("name the `advisories`, the `packages`, or both"));
    }
    for r in context.catalog.overrides.values() {
        if r.spec.until.resolve(Boundary::End, zone) > context.now {
            continue;
        }
        let review = r
            .spec
            .review_by
            .map_or_else(String::new, |by| format!("; it waits for its review by {by}"));
        let message = format!("the override `{}` ended on {}{review}", r.name, r.spec.until);
        let diagnostic = context.at(Code::OverrideExpired, r.doc, "/spec/until", message);
        diagnostics.push(diagnostic.help("remove it once it has been reviewed"));
    }
}
