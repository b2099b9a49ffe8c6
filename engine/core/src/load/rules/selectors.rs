//! # What it does
//! Finds selectors that no labels can satisfy, and, in a repository that lists all its assets, selectors that match none
//! of them.
//!
//! # Why is this bad
//! A policy that selects nothing patches nothing, and a freeze that selects nothing freezes nothing; both look as if they
//! did.
//!
//! # Example
//! ```yaml
//! kind: PatchPolicy
//! spec: {scope: {selector: {matchLabels: {os: linus}}}}       # the assets have `os: linux`
//! ```
//!
//! # Fix
//! Correct the label, or remove the resource.

use super::selection::{Listed, contradiction, listed, lists_are_complete};
use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::name::LabelSelector;
use crate::source::DocId;

/// Selectors that select nothing.
pub static RULE: Rule = Rule {
    name: "selectors",
    codes: &[Code::SelectsNothing, Code::SelectorImpossible],
    check,
};

/// A selector, where it stands, and whose it is.
struct Site<'a> {
    doc: DocId,
    pointer: String,
    selector: &'a LabelSelector,
    whose: String,
}

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let assets: Vec<Listed<'_>> = if lists_are_complete(context.catalog) {
        listed(context.catalog).collect()
    } else {
        Vec::new()
    };
    let mut trials = 0_usize;
    for site in sites(context) {
        if let Some(key) = contradiction(site.selector) {
            let message = format!(
                "no value of the label `{key}` satisfies this selector, so {} selects nothing",
                site.whose
            );
            let diagnostic = context.at_key(Code::SelectorImpossible, site.doc, &site.pointer, message);
            diagnostics.push(diagnostic.help("requirements are ANDed: remove one of those that exclude each other"));
            continue;
        }
        trials = trials.saturating_add(assets.len());
        if assets.is_empty()
            || trials > super::TRIALS_MAX
            || assets.iter().any(|a| site.selector.matches(|key| a.label(key)))
        {
            continue;
        }
        let message = format!("{} selects none of the {} listed assets", site.whose, assets.len());
        let diagnostic = context.at_key(Code::SelectsNothing, site.doc, &site.pointer, message);
        diagnostics.push(diagnostic.maybe_help(advice(site.selector, &assets)));
    }
}

/// The first label of the selector that no asset has with this value.
fn advice(selector: &LabelSelector, assets: &[Listed<'_>]) -> Option<String> {
    let labels = selector.match_labels.iter();
    let (key, value) = labels
        .into_iter()
        .find(|(key, value)| !assets.iter().any(|a| a.label(key) == Some(value)))?;
    let values: Vec<&str> = assets.iter().filter_map(|a| a.label(key)).collect();
    if values.is_empty() {
        return Some(format!("no listed asset has the label `{key}`"));
    }
    nearest_or_list(value, values).map(|help| format!("`{key}`: {help}"))
}

fn sites<'a>(context: &Context<'a>) -> Vec<Site<'a>> {
    let catalog = context.catalog;
    let mut sites: Vec<Site<'a>> = Vec::new();
    let mut add = |doc: DocId, pointer: String, selector: Option<&'a LabelSelector>, whose: String| {
        // What selects everything has nothing to select in an empty repository, which is no fault of its own.
        sites.extend(selector.filter(|s| !s.is_everything()).map(|selector| Site {
            doc,
            pointer,
            selector,
            whose,
        }));
    };
    for r in catalog.policies.values() {
        add(
            r.doc,
            "/spec/scope/selector".into(),
            r.spec.scope.selector.as_ref(),
            format!("the policy `{}`", r.name),
        );
        let baseline = r.spec.baseline.as_ref().and_then(|b| b.selector.as_ref());
        add(
            r.doc,
            "/spec/baseline/selector".into(),
            baseline,
            format!("the baseline of `{}`", r.name),
        );
    }
    for r in catalog.classes.values() {
        add(
            r.doc,
            "/spec/selector".into(),
            r.spec.selector.as_ref(),
            format!("the class `{}`", r.name),
        );
    }
    for r in catalog.freezes.values() {
        add(
            r.doc,
            "/spec/selector".into(),
            r.spec.selector.as_ref(),
            format!("the freeze `{}`", r.name),
        );
    }
    for r in catalog.overrides.values() {
        add(
            r.doc,
            "/spec/selector".into(),
            r.spec.selector.as_ref(),
            format!("the override `{}`", r.name),
        );
    }
    for r in catalog.exceptions.values() {
        add(
            r.doc,
            "/spec/selector".into(),
            r.spec.selector.as_ref(),
            format!("the exception `{}`", r.name),
        );
    }
    for r in catalog.matrices.values() {
        add(
            r.doc,
            "/spec/selector".into(),
            r.spec.selector.as_ref(),
            format!("the matrix `{}`", r.name),
        );
    }
    for r in catalog.profiles.values() {
        add(
            r.doc,
            "/spec/selector".into(),
            r.spec.selector.as_ref(),
            format!("the profile `{}`", r.name),
        );
    }
    for r in catalog.slas.values() {
        for (i, rule) in r.spec.rules.iter().enumerate() {
            let name = rule.name.clone().unwrap_or_else(|| format!("#{}", i + 1));
            add(
                r.doc,
                format!("/spec/rules/{i}/selector"),
                rule.selector.as_ref(),
                format!("the rule `{name}`"),
            );
        }
    }
    for r in catalog.strategies.values() {
        for (i, wave) in r.spec.waves.iter().enumerate() {
            add(
                r.doc,
                format!("/spec/waves/{i}/selector"),
                wave.selector.as_ref(),
                format!("the wave `{}`", wave.name),
            );
        }
    }
    for r in catalog.fleets.values() {
        for (i, service) in r.spec.services.iter().enumerate() {
            let whose = format!("the service `{}`", service.name);
            add(
                r.doc,
                format!("/spec/services/{i}/members"),
                Some(&service.members),
                whose,
            );
        }
    }
    sites
}
