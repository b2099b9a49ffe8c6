//! # What it does
//! Compares the environments of asset classes with those of waves: an environment that no wave takes, and a wave for an
//! environment that no class has.
//!
//! # Why is this bad
//! Assets in no wave are refused when planned, and a misspelt environment makes a wave that is always skipped.
//!
//! # Example
//! ```yaml
//! waves: [{name: test, environments: [tset]}]      # the classes say `test`
//! ```
//!
//! # Fix
//! Correct the word, or add a wave.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};

/// Environments without a wave, waves without an environment.
pub static RULE: Rule = Rule {
    name: "environments",
    codes: &[Code::WaveUncovered, Code::UnknownEnvironment],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let catalog = context.catalog;
    let classes: BTreeMap<&str, _> = catalog
        .classes
        .values()
        .map(|c| (c.spec.environment.as_str(), c))
        .collect();
    // Without classes there is nothing to compare with, and another diagnostic says what is missing.
    if classes.is_empty() || catalog.strategies.is_empty() {
        return;
    }
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    for r in catalog.strategies.values() {
        for (w, wave) in r.spec.waves.iter().enumerate() {
            for (i, environment) in wave.environments.iter().enumerate() {
                taken.insert(environment);
                if classes.contains_key(environment.as_str()) {
                    continue;
                }
                let pointer = format!("/spec/waves/{w}/environments/{i}");
                let message =
                    format!("no AssetClass has the environment `{environment}`, so it adds no asset to this wave");
                let help = nearest_or_list(environment, classes.keys().copied());
                diagnostics.push(
                    context
                        .at(Code::UnknownEnvironment, r.doc, &pointer, message)
                        .maybe_help(help),
                );
            }
        }
    }
    for (environment, class) in classes.iter().filter(|(environment, _)| !taken.contains(*environment)) {
        let message = format!(
            "no wave of any RolloutStrategy takes the environment `{environment}`: its assets are never patched"
        );
        let diagnostic = context.at(Code::WaveUncovered, class.doc, "/spec/environment", message);
        diagnostics.push(diagnostic.maybe_help(nearest_or_list(environment, taken.iter().copied())));
    }
}
