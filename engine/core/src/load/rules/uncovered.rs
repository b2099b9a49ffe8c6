//! # What it does
//! Finds listed assets whose labels no asset class selects.
//!
//! # Why is this bad
//! An asset without a class has no environment, no window and no tool: it is in no wave and never patched.
//!
//! # Example
//! ```yaml
//! assets: [{name: web-3, labels: {env: prd}}]      # the classes select `env: prod`
//! ```
//!
//! # Fix
//! Correct the label, or add a class. Labels that only a source reports are judged when it has been read.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::Lifecycle;

/// Listed assets without a class.
pub static RULE: Rule = Rule {
    name: "uncovered",
    codes: &[Code::AssetUncovered],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let classes: Vec<_> = context.catalog.classes.values().collect();
    // A condition may select by anything that is observed, and so may labels of a source that are not listed.
    if classes.is_empty() || classes.iter().any(|c| c.spec.when.is_some()) {
        return;
    }
    for fleet in context.catalog.fleets.values() {
        if fleet.spec.assets.len().saturating_mul(classes.len()) > super::TRIALS_MAX {
            continue;
        }
        for (i, asset) in fleet.spec.assets.iter().enumerate() {
            let label = |key: &str| {
                asset
                    .labels
                    .get(key)
                    .or_else(|| fleet.spec.labels.get(key))
                    .map(String::as_str)
            };
            let selected = classes
                .iter()
                .any(|c| c.spec.selector.as_ref().is_some_and(|s| s.matches(label)));
            // Without any label of its own, the labels surely come from a source.
            if selected || asset.labels.is_empty() || asset.lifecycle == Some(Lifecycle::Retired) {
                continue;
            }
            let message = format!(
                "no AssetClass selects the asset `{}` by its labels, so it would never be patched",
                asset.name
            );
            let pointer = format!("/spec/assets/{i}/labels");
            let diagnostic = context.at(Code::AssetUncovered, fleet.doc, &pointer, message);
            diagnostics
                .push(diagnostic.help("correct a label or add a class, unless a source reports what is missing"));
        }
    }
}
