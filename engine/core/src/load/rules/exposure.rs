//! # What it does
//! Says which asset classes leave out `exposure`.
//!
//! # Why is this bad
//! Unknown exposure counts as public, so the strictest deadlines apply, perhaps without need.
//!
//! # Example
//! ```yaml
//! kind: AssetClass
//! spec: {selector: {}, environment: test, target: ansible, window: any-time}
//! ```
//!
//! # Fix
//! Write `exposure: public | partner | internal | isolated`.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};

/// Classes without exposure.
pub static RULE: Rule = Rule {
    name: "exposure",
    codes: &[Code::ExposureMissing],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for class in context.catalog.classes.values().filter(|c| c.spec.exposure.is_none()) {
        let message = format!(
            "the class `{}` does not say its `exposure`, so it counts as public",
            class.name
        );
        diagnostics.push(
            context
                .at_key(Code::ExposureMissing, class.doc, "/spec", message)
                .help("write `exposure: public`, `partner`, `internal` or `isolated`"),
        );
    }
}
