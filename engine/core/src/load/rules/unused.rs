//! # What it does
//! Finds strategies, SLAs, windows, suites and inventory sources that nothing refers to.
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

use super::references::named;
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
    let named = named(context);
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
    // A label of an asset may name any window.
    let by_label = catalog
        .classes
        .values()
        .any(|c| matches!(c.spec.window, WindowChoice::FromLabel { .. }));
    if !by_label {
        catalog
            .windows
            .values()
            .for_each(|r| unused("MaintenanceWindow", &r.name, r.doc, "AssetClass"));
    }
    let inventory = catalog
        .sources
        .values()
        .filter(|r| r.spec.kind == SourceKind::Inventory);
    inventory.for_each(|r| unused("Source", &r.name, r.doc, "Fleet"));
}
