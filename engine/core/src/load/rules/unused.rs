//! # What it does
//! Finds strategies, SLAs, windows, suites and sources that nothing refers to. An override is no use of a window: it only
//! lifts one.
//!
//! # Why is this bad
//! Mostly a reference was forgotten or a resource left behind; an inventory source in no fleet reports assets nobody
//! patches.
//!
//! # Example
//! ```yaml
//! kind: SlaPolicy
//! metadata: {name: strict}      # every policy says `sla: standard`
//! ```
//!
//! # Fix
//! Refer to it, or remove it.

use std::collections::BTreeSet;

use super::references::references;
use super::selection::{listed, lists_are_complete};
use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::{SourceKind, WindowChoice};
use crate::source::DocId;

/// Resources without a reference.
pub static RULE: Rule = Rule {
    name: "unused",
    codes: &[Code::UnusedResource],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let catalog = context.catalog;
    let found = references(context.documents).into_iter();
    let is_use = |doc: DocId| context.documents.get(doc).is_some_and(|d| d.kind() != "Override");
    let named: BTreeSet<(&str, &str)> = found.filter(|r| is_use(r.doc)).map(|r| (r.target, r.name)).collect();
    let mut unused = |kind: &'static str, name: &str, doc: DocId, who: &str| {
        if !named.contains(&(kind, name)) {
            let message = format!("the {kind} `{name}` is named by no {who}");
            let diagnostic = context.at(Code::UnusedResource, doc, "/metadata/name", message);
            diagnostics.push(diagnostic.help("refer to it, or remove it"));
        }
    };
    catalog
        .slas
        .values()
        .for_each(|r| unused("SlaPolicy", &r.name, r.doc, "PatchPolicy"));
    catalog
        .strategies
        .values()
        .for_each(|r| unused("RolloutStrategy", &r.name, r.doc, "PatchPolicy"));
    catalog
        .suites
        .values()
        .for_each(|r| unused("ValidationSuite", &r.name, r.doc, "AssetClass"));
    if let Some(by_label) = windows_by_label(context) {
        catalog
            .windows
            .values()
            .filter(|r| !by_label.contains(&*r.name))
            .for_each(|r| unused("MaintenanceWindow", &r.name, r.doc, "AssetClass"));
    }
    for r in catalog.sources.values() {
        match r.spec.kind {
            SourceKind::Inventory => unused("Source", &r.name, r.doc, "Fleet"),
            SourceKind::Monitor | SourceKind::Change => unused("Source", &r.name, r.doc, "gate and no check"),
            // Advisories, scanners and patch status are read whoever asks.
            SourceKind::Advisories | SourceKind::Scanner | SourceKind::PatchStatus => {}
        }
    }
}

/// The windows that labels of listed assets name; none if a source may report a label that names any window.
fn windows_by_label<'a>(context: &Context<'a>) -> Option<BTreeSet<&'a str>> {
    let catalog = context.catalog;
    let labels: BTreeSet<&str> = catalog
        .classes
        .values()
        .filter_map(|c| match &c.spec.window {
            WindowChoice::FromLabel { label, .. } => Some(label.as_str()),
            WindowChoice::Name(_) => None,
        })
        .collect();
    if !labels.is_empty() && !lists_are_complete(catalog) {
        return None;
    }
    let assets = listed(catalog);
    Some(
        assets
            .flat_map(|a| labels.iter().filter_map(move |key| a.label(key)))
            .collect(),
    )
}
