//! # What it does
//! Counts the listed members of each service in each environment against its `minAvailable`.
//!
//! # Why is this bad
//! A service that needs all its members can spare none, so no batch may ever touch it.
//!
//! # Example
//! ```yaml
//! services: [{name: db, members: {matchLabels: {tier: db}}, minAvailable: 2}]      # two assets have `tier: db`
//! ```
//!
//! # Fix
//! Add a member, or lower `minAvailable`.

use std::collections::BTreeMap;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::{FleetAsset, FleetSpec, Lifecycle};
use crate::name::Rounding;

/// Services that can spare no member.
pub static RULE: Rule = Rule {
    name: "services",
    codes: &[Code::ServiceTooSmall],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for fleet in context.catalog.fleets.values() {
        let classes = context.catalog.classes.len().max(1);
        if fleet
            .spec
            .services
            .len()
            .saturating_mul(fleet.spec.assets.len())
            .saturating_mul(classes)
            > super::TRIALS_MAX
        {
            continue;
        }
        for (s, service) in fleet.spec.services.iter().enumerate() {
            let Some(wanted) = service.min_available else { continue };
            let mut members: BTreeMap<&str, usize> = BTreeMap::new();
            for asset in fleet
                .spec
                .assets
                .iter()
                .filter(|a| a.lifecycle != Some(Lifecycle::Retired))
            {
                let label = |key: &str| label(&fleet.spec, asset, key);
                if service.members.matches(label)
                    && let Some(environment) = environment(context, &label)
                {
                    *members.entry(environment).or_default() += 1;
                }
            }
            for (environment, count) in members {
                let needed = wanted.of(count, Rounding::Up);
                if count > needed {
                    continue;
                }
                let message = format!(
                    "the service `{}` has {count} listed members in `{environment}` and needs {needed} of them, so it can spare none",
                    service.name
                );
                let pointer = format!("/spec/services/{s}/minAvailable");
                let diagnostic = context.at(Code::ServiceTooSmall, fleet.doc, &pointer, message);
                diagnostics.push(
                    diagnostic
                        .help("add a member, or lower `minAvailable`; members that only a source reports count later"),
                );
            }
        }
    }
}

fn label<'a>(fleet: &'a FleetSpec, asset: &'a FleetAsset, key: &str) -> Option<&'a str> {
    asset
        .labels
        .get(key)
        .or_else(|| fleet.labels.get(key))
        .map(String::as_str)
}

/// The environment of the class that labels alone choose; classes with a condition cannot be judged here.
fn environment<'a>(context: &Context<'a>, label: &dyn Fn(&str) -> Option<&'a str>) -> Option<&'a str> {
    let classes = context.catalog.classes.values().filter(|c| c.spec.when.is_none());
    let matching = classes.filter(|c| c.spec.selector.as_ref().is_some_and(|s| s.matches(label)));
    matching
        .max_by_key(|c| c.spec.priority)
        .map(|c| c.spec.environment.as_str())
}
