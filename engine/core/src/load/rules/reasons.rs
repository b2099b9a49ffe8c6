//! # What it does
//! Names excludes without a `reason`.
//!
//! # Why is this bad
//! An exclude takes something out of patching, for good. Whoever finds it a year later cannot tell whether it may go.
//!
//! # Example
//! ```yaml
//! exclude: [{packages: ["mssql-server*"]}]
//! ```
//!
//! # Fix
//! Add `reason: …`.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::source::DocId;

/// What does not say why it is there.
pub static RULE: Rule = Rule {
    name: "reasons",
    codes: &[Code::ReasonMissing],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let mut missing = |doc: DocId, pointer: &str, reason: &Option<String>, what: &str| {
        if reason.as_ref().is_none_or(|r| r.trim().is_empty()) {
            let message = format!("{what} does not say why");
            let diagnostic = context.at_key(Code::ReasonMissing, doc, pointer, message);
            diagnostics.push(diagnostic.help("add `reason: …`: whoever meets it later must know whether it may go"));
        }
    };
    for r in context.catalog.policies.values() {
        for (i, exclude) in r.spec.exclude.iter().enumerate() {
            missing(r.doc, &format!("/spec/exclude/{i}"), &exclude.reason, "this exclude");
        }
    }
}
