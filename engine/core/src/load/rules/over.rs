//! # What it does
//! Says which freezes, baselines and pauses lie in the past.
//!
//! # Why is this bad
//! It is not: they end by themselves. But a baseline that has ended puts what is left on the ordinary clock, and what is
//! over only hides what still counts.
//!
//! # Example
//! ```yaml
//! pause: {until: 2020-01-01}
//! ```
//!
//! # Fix
//! Remove it.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::source::DocId;
use crate::time::{Boundary, When};

/// What has ended.
pub static RULE: Rule = Rule {
    name: "over",
    codes: &[Code::FreezeOver, Code::BaselineExpired, Code::PauseOver, Code::HoldOver],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let zone = &context.catalog.zone.0;
    let mut over = |code: Code, doc: DocId, pointer: &str, end: When, message: String| {
        if end.resolve(Boundary::End, zone) <= context.now {
            diagnostics.push(context.at(code, doc, pointer, message).help("remove it"));
        }
    };
    for r in context.catalog.freezes.values() {
        if let Some(to) = r.spec.to {
            over(
                Code::FreezeOver,
                r.doc,
                "/spec/to",
                to,
                format!("the freeze `{}` was over on {to}", r.name),
            );
        }
    }
    for r in context.catalog.policies.values() {
        if let Some(b) = &r.spec.baseline {
            let message = format!(
                "the baseline ended on {}: what is left of it is on the ordinary clock",
                b.expires
            );
            over(
                Code::BaselineExpired,
                r.doc,
                "/spec/baseline/expires",
                b.expires,
                message,
            );
        }
        if let Some(p) = &r.spec.pause {
            over(
                Code::PauseOver,
                r.doc,
                "/spec/pause/until",
                p.until,
                format!("the pause ended on {}", p.until),
            );
        }
        for (i, hold) in r.spec.holds.iter().enumerate() {
            let message = format!("the hold ended on {} and keeps nothing back any more", hold.until);
            over(
                Code::HoldOver,
                r.doc,
                &format!("/spec/holds/{i}/until"),
                hold.until,
                message,
            );
        }
    }
}
