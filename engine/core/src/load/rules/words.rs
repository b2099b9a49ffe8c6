//! # What it does
//! Checks words that the world outside decides: ecosystems of packages, the kinds of high availability, and label keys
//! that budgets, orders and windows are read from.
//!
//! # Why is this bad
//! A fix for `almalinux:9` matches no asset, and the advisory looks as if nobody had it. A budget per `servce` counts the
//! values of a label that nobody has.
//!
//! # Example
//! ```yaml
//! kind: Advisory
//! spec: {fixes: [{ecosystem: "almalinux:9", package: bash, fixed: 5.1.8-9.el9}]}
//! ```
//!
//! # Fix
//! Write the name as the OSV schema defines it, and the label as the assets have it.

use std::collections::BTreeSet;

use super::selection::lists_are_complete;
use super::{Context, Rule};
use crate::diag::{Code, Diagnostic, Diagnostics, Severity, nearest, nearest_or_list};
use crate::load::known;
use crate::load::sites::texts_at;
use crate::load::wire::WindowChoice;
use crate::source::DocId;

/// Words that nothing in this repository defines.
pub static RULE: Rule = Rule {
    name: "words",
    codes: &[Code::UnknownName, Code::EcosystemUnmatched, Code::UnknownLabel],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for (id, doc) in context.documents.iter() {
        let paths: &[&[&str]] = match doc.kind() {
            "Advisory" => &[&["spec", "fixes", "*", "ecosystem"]],
            "PolicyTest" => &[&["spec", "advisories", "*", "fixes", "*", "ecosystem"]],
            "Fleet" => {
                for (pointer, kind) in texts_at(&doc.value, &["spec", "services", "*", "ha", "type"]) {
                    availability(context, id, &pointer, kind, diagnostics);
                }
                &[]
            }
            _ => &[],
        };
        for (pointer, name) in paths.iter().flat_map(|path| texts_at(&doc.value, path)) {
            ecosystem(context, id, &pointer, name, diagnostics);
        }
    }
    labels(context, diagnostics);
}

fn ecosystem(context: &Context<'_>, doc: DocId, pointer: &str, name: &str, diagnostics: &mut Diagnostics) {
    let (vendor, release) = name.split_once(':').map_or((name, None), |(v, r)| (v, Some(r)));
    let matched = known::ECOSYSTEMS.iter().find(|e| e.name == vendor);
    let numbered = |text: &str| text.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
    match matched {
        Some(found) => {
            let fits = release.is_none_or(|r| !found.numbered || numbered(r));
            if !fits || (release.is_none() && !found.alone) {
                let message = format!("`{name}` names no release of {vendor}, so it matches no asset");
                let diagnostic = context.at(Code::UnknownName, doc, pointer, message);
                diagnostics.push(diagnostic.help(format!("write for example `{}`", found.example)));
            }
        }
        None if known::OTHER_ECOSYSTEMS.contains(&vendor) => {
            let message = format!("no inventory reports packages of `{vendor}`, so this fix matches nothing");
            let diagnostic = context.at(Code::EcosystemUnmatched, doc, pointer, message);
            diagnostics.push(diagnostic.help("name the package of the distribution, or a `component`"));
        }
        None => {
            let names = known::ECOSYSTEMS
                .iter()
                .map(|e| e.name)
                .chain(known::OTHER_ECOSYSTEMS.iter().copied());
            let with_release = |near: String| match (release, near.split('`').nth(1)) {
                (Some(release), Some(vendor)) => format!("did you mean `{vendor}:{release}`?"),
                _ => near,
            };
            let help = nearest(vendor, names).map(with_release);
            let help = help.unwrap_or_else(|| {
                let matched: Vec<&str> = known::ECOSYSTEMS.iter().map(|e| e.name).collect();
                format!("matched are: {}; for example `AlmaLinux:9`", matched.join(", "))
            });
            let message = format!("the OSV schema has no ecosystem `{vendor}`");
            diagnostics.push(context.at(Code::UnknownName, doc, pointer, message).help(help));
        }
    }
}

/// A kind of high availability that patchwave does not know needs a probe of one's own, so the word is only doubted.
fn availability(context: &Context<'_>, doc: DocId, pointer: &str, kind: &str, diagnostics: &mut Diagnostics) {
    if known::HA_TYPES.contains(&kind) {
        return;
    }
    let message = format!(
        "`{kind}` is no kind of high availability that is known, so its role must be probed by a script of yours"
    );
    let diagnostic = context.at(Code::UnknownName, doc, pointer, message);
    diagnostics.push(Diagnostic {
        severity: Severity::Warning,
        ..diagnostic.maybe_help(nearest_or_list(kind, known::HA_TYPES.iter().copied()))
    });
}

/// What `per` counts besides labels.
const COUNTED: &[&str] = &["class", "service", "site"];

/// Label keys that are read somewhere but that no asset, fleet or selector has. Where sources may report labels, only a
/// key close to a known one is doubted.
fn labels(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let catalog = context.catalog;
    let mut read: Vec<(DocId, String, &str, &str)> = Vec::new();
    for r in catalog.classes.values() {
        let per = r.spec.disruption.per.as_str();
        if !COUNTED.contains(&per) {
            read.push((r.doc, "/spec/disruption/per".into(), per, "counts by"));
        }
        if let WindowChoice::FromLabel { label, .. } = &r.spec.window {
            read.push((r.doc, "/spec/window/fromLabel".into(), label, "reads its window from"));
        }
    }
    for r in catalog.fleets.values() {
        for (i, service) in r.spec.services.iter().enumerate() {
            if let Some(order) = &service.order {
                read.push((
                    r.doc,
                    format!("/spec/services/{i}/order/label"),
                    &order.label,
                    "orders its members by",
                ));
            }
        }
    }
    if read.is_empty() {
        return;
    }
    let known = keys(context);
    let complete = lists_are_complete(catalog);
    for (doc, pointer, key, does) in read.into_iter().filter(|(_, _, key, _)| !known.contains(key)) {
        let counted = if does == "counts by" { COUNTED } else { &[] };
        let near = nearest(key, known.iter().copied().chain(counted.iter().copied()));
        if near.is_none() && !complete {
            continue;
        }
        let message = format!("this {does} the label `{key}`, which no listed asset and no selector has");
        let diagnostic = context.at(Code::UnknownLabel, doc, &pointer, message);
        let help = near.unwrap_or_else(|| "add the label to the assets, or correct the word".into());
        diagnostics.push(diagnostic.help(help));
    }
}

/// Every label key that assets and fleets have, and that selectors ask for.
fn keys<'a>(context: &Context<'a>) -> BTreeSet<&'a str> {
    let catalog = context.catalog;
    let mut keys: BTreeSet<&str> = BTreeSet::new();
    for fleet in catalog.fleets.values() {
        keys.extend(fleet.spec.labels.keys().map(String::as_str));
        keys.extend(
            fleet
                .spec
                .assets
                .iter()
                .flat_map(|a| a.labels.keys())
                .map(String::as_str),
        );
        keys.extend(fleet.spec.services.iter().flat_map(|s| s.members.keys()));
    }
    let classes = catalog.classes.values().filter_map(|r| r.spec.selector.as_ref());
    let policies = catalog.policies.values().filter_map(|r| r.spec.scope.selector.as_ref());
    keys.extend(classes.chain(policies).flat_map(|s| s.keys()));
    keys
}
