//! # What it does
//! Checks that names inside a resource are unique: waves, services, rules, checks, and assets over all fleets.
//!
//! # Why is this bad
//! What is found by name must be found once. An asset in two fleets would have two owners and two sets of labels.
//!
//! # Example
//! ```yaml
//! assets: [{name: web-1}, {name: WEB-1}]     # names are compared without regard to case
//! ```
//!
//! # Fix
//! Rename or remove one of the two.

use std::collections::BTreeMap;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::sites::texts_at;
use crate::source::DocId;

/// Duplicate names inside resources.
pub static RULE: Rule = Rule {
    name: "unique",
    codes: &[Code::DuplicateName],
    check,
};

/// Kind, path of the names, what they name.
const LISTS: &[(&str, &[&str], &str)] = &[
    ("ComplianceProfile", &["spec", "controls", "*", "id"], "control"),
    ("Fleet", &["spec", "services", "*", "name"], "service"),
    ("RolloutStrategy", &["spec", "waves", "*", "name"], "wave"),
    ("SlaPolicy", &["spec", "rules", "*", "name"], "rule"),
    ("ValidationSuite", &["spec", "checks", "*", "name"], "check"),
];

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let mut assets: BTreeMap<String, (DocId, String)> = BTreeMap::new();
    for (id, doc) in context.documents.iter() {
        for (_, path, what) in LISTS.iter().filter(|(kind, ..)| *kind == doc.kind()) {
            let mut seen: BTreeMap<&str, String> = BTreeMap::new();
            for (pointer, name) in texts_at(&doc.value, path) {
                let Some(first) = seen.get(name) else {
                    seen.insert(name, pointer);
                    continue;
                };
                let message = format!("there is already a {what} `{name}` in this list");
                let other = context.documents.locate(id, first);
                let diagnostic = context.at(Code::DuplicateName, id, &pointer, message);
                diagnostics.push(
                    diagnostic
                        .help("rename or remove one of the two")
                        .related(other, "the other one"),
                );
            }
        }
        if doc.kind() != "Fleet" {
            continue;
        }
        for (pointer, name) in texts_at(&doc.value, &["spec", "assets", "*", "name"]) {
            let Some((other, first)) = assets.get(&name.to_lowercase()) else {
                assets.insert(name.to_lowercase(), (id, pointer));
                continue;
            };
            let place = if *other == id {
                "in this fleet"
            } else {
                "in another fleet"
            };
            let location = context.documents.locate(*other, first);
            diagnostics.push(
                context
                    .at(
                        Code::DuplicateName,
                        id,
                        &pointer,
                        format!("the asset `{name}` is already listed {place}"),
                    )
                    .help("an asset belongs to one fleet and is listed once; names are compared without regard to case")
                    .related(location, "the other one"),
            );
        }
    }
}
