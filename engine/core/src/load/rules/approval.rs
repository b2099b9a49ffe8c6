//! # What it does
//! Warns of waves with `approval: automatic` that touch production.
//!
//! # Why is this bad
//! The engine merges its own pull request; nobody has looked before production changes.
//!
//! # Example
//! ```yaml
//! waves: [{name: critical, environments: [prod], approval: automatic}]
//! ```
//!
//! # Fix
//! `approval: {pullRequest: {reviewers: 1}}`.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::{Approval, Criticality};

/// Automatic approval in production.
pub static RULE: Rule = Rule {
    name: "approval",
    codes: &[Code::AutomaticInProduction],
    check,
};

/// What production environments are called. An environment also counts as one if a class in it is critical.
const PRODUCTION: &[&str] = &["prod", "production", "prd", "live"];

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let classes = || context.catalog.classes.values();
    let critical = |environment: &str| {
        classes().find(|c| c.spec.environment == environment && c.spec.criticality == Criticality::Critical)
    };
    for r in context.catalog.strategies.values() {
        for (w, wave) in r
            .spec
            .waves
            .iter()
            .enumerate()
            .filter(|(_, wave)| wave.approval == Approval::Automatic)
        {
            let production = |e: &&String| PRODUCTION.contains(&e.to_lowercase().as_str()) || critical(e).is_some();
            let Some(environment) = wave.environments.iter().find(production) else {
                continue;
            };
            let message = format!("the wave `{}` changes `{environment}` and asks nobody", wave.name);
            let mut diagnostic = context
                .at(
                    Code::AutomaticInProduction,
                    r.doc,
                    &format!("/spec/waves/{w}/approval"),
                    message,
                )
                .help("write `approval: {pullRequest: {reviewers: 1}}`");
            if let Some(class) = critical(environment) {
                let place = context.documents.locate(class.doc, "/spec/criticality");
                diagnostic = diagnostic.related(place, format!("the class `{}` is critical", class.name));
            }
            diagnostics.push(diagnostic);
        }
    }
}
