//! # What it does
//! Checks the names in PolicyTests: assets and advisories that are expected must be given, resources must exist, and an
//! asset stands there once.
//!
//! # Why is this bad
//! An expectation about an asset that is not in the test fails for ever, or, with `absent`, holds for ever and proves
//! nothing.
//!
//! # Example
//! ```yaml
//! assets: [{name: web-1}]
//! expect: {findings: [{asset: web-2, advisory: EX-1}]}
//! ```
//!
//! # Fix
//! Correct the name, or give the asset or advisory in the test.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::load::known::OBSERVATION_FIELDS;
use crate::load::sites::texts_at;
use crate::source::{DocId, escape_token};

/// Names in PolicyTests.
pub static RULE: Rule = Rule {
    name: "policy_tests",
    codes: &[
        Code::DanglingReference,
        Code::DuplicateName,
        Code::MissingField,
        Code::UnknownField,
    ],
    check,
};

/// Where a test names assets of its own.
const ASSETS: &[&[&str]] = &[
    &["spec", "expect", "assets", "*", "asset"],
    &["spec", "expect", "findings", "*", "asset"],
    &["spec", "expect", "refusals", "*", "asset"],
    &["spec", "expect", "windows", "*", "asset"],
    &["spec", "expect", "rollouts", "*", "waves", "*", "batches", "*", "*"],
    &[
        "spec", "expect", "rollouts", "*", "waves", "*", "batches", "*", "assets", "*",
    ],
];

/// Where a test names advisories of its own, or of the repository.
const ADVISORIES: &[&[&str]] = &[
    &["spec", "expect", "findings", "*", "advisory"],
    &["spec", "expect", "rollouts", "*", "advisories", "*"],
];

/// Where a test names resources of the repository. Being named by a test is no use of a resource, so these stand apart
/// from the references between resources.
const RESOURCES: &[(&[&str], &str)] = &[
    (&["spec", "assets", "*", "fleet"], "Fleet"),
    (&["spec", "expect", "assets", "*", "class"], "AssetClass"),
    (&["spec", "expect", "assets", "*", "policies", "*"], "PatchPolicy"),
    (&["spec", "expect", "findings", "*", "policy"], "PatchPolicy"),
    (&["spec", "expect", "findings", "*", "sla"], "SlaPolicy"),
    (&["spec", "expect", "rollouts", "*", "policy"], "PatchPolicy"),
    (&["spec", "expect", "waiting", "*", "policy"], "PatchPolicy"),
    (&["spec", "expect", "windows", "*", "name"], "MaintenanceWindow"),
];

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let of_repository = repository_advisories(context);
    for (id, doc) in context.documents.iter().filter(|(_, doc)| doc.kind() == "PolicyTest") {
        let assets = given_assets(context, id, &doc.value, diagnostics);
        let mut unknown = |path: &[&str], known: &dyn Fn(&str) -> bool, what: &str, names: &[&str]| {
            for (pointer, name) in texts_at(&doc.value, path).into_iter().filter(|(_, name)| !known(name)) {
                let message = format!("there is no {what} `{name}`");
                let diagnostic = context.at(Code::DanglingReference, id, &pointer, message);
                diagnostics.push(diagnostic.maybe_help(nearest_or_list(name, names.iter().copied())));
            }
        };
        let names: Vec<&str> = assets.values().copied().collect();
        let is_asset = |name: &str| assets.contains_key(&name.to_lowercase());
        for path in ASSETS {
            unknown(path, &is_asset, "asset in this test called", &names);
        }
        let mut advisories: Vec<&str> = texts_at(&doc.value, &["spec", "advisories", "*", "id"])
            .into_iter()
            .chain(texts_at(&doc.value, &["spec", "advisories", "*", "aliases", "*"]))
            .map(|(_, name)| name)
            .collect();
        advisories.extend(&of_repository);
        for path in ADVISORIES {
            unknown(
                path,
                &|name| advisories.contains(&name),
                "advisory in this test or repository called",
                &advisories,
            );
        }
        for (path, kind) in RESOURCES {
            let known = context.names.get(*kind);
            let names: Vec<&str> = known
                .into_iter()
                .flat_map(|names| names.keys().map(String::as_str))
                .collect();
            unknown(path, &|name| names.contains(&name), kind, &names);
        }
    }
}

/// Ids and aliases of the Advisory resources.
fn repository_advisories<'a>(context: &Context<'a>) -> Vec<&'a str> {
    let resources = context.catalog.advisories.values();
    let names = resources.flat_map(|advisory| {
        let id = advisory.spec.id.as_deref().unwrap_or(&advisory.name);
        std::iter::once(id).chain(advisory.spec.aliases.iter().map(String::as_str))
    });
    names.collect()
}

/// Facts that an observation does not have: one that is passed over in silence would prove nothing.
fn unknown_fields(context: &Context<'_>, id: DocId, pointer: &str, asset: &Value, diagnostics: &mut Diagnostics) {
    let known = || {
        OBSERVATION_FIELDS
            .iter()
            .copied()
            .filter(|f| *f != "asset")
            .chain(["name", "fleet"])
    };
    let fields = asset.as_object().into_iter().flat_map(|asset| asset.keys());
    for field in fields.filter(|field| !known().any(|known| known == field.as_str())) {
        let pointer = format!("{pointer}/{}", escape_token(field));
        let message = format!("`{field}` is no fact of an asset");
        let diagnostic = context.at_key(Code::UnknownField, id, &pointer, message);
        diagnostics.push(diagnostic.maybe_help(nearest_or_list(field, known())));
    }
}

/// The assets a test gives, by their name in lowercase.
fn given_assets<'d>(
    context: &Context<'_>,
    id: DocId,
    test: &'d Value,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, &'d str> {
    let mut given: BTreeMap<String, (&str, String)> = BTreeMap::new();
    let assets = test.pointer("/spec/assets").and_then(Value::as_array);
    for (index, asset) in assets.into_iter().flatten().enumerate() {
        let pointer = format!("/spec/assets/{index}");
        unknown_fields(context, id, &pointer, asset, diagnostics);
        let Some(name) = asset.get("name").and_then(Value::as_str) else {
            let diagnostic = context.at(Code::MissingField, id, &pointer, "an asset of a test needs a `name`");
            diagnostics.push(diagnostic.help("write for example `name: web-1`; the other facts are optional"));
            continue;
        };
        let pointer = format!("{pointer}/name");
        match given.get(&name.to_lowercase()) {
            None => drop(given.insert(name.to_lowercase(), (name, pointer))),
            Some((_, first)) => {
                let message = format!("there is already an asset `{name}` in this test");
                let diagnostic = context.at(Code::DuplicateName, id, &pointer, message);
                diagnostics.push(
                    diagnostic
                        .help("rename or remove one of the two; names are compared without regard to case")
                        .related(context.documents.locate(id, first), "the other one"),
                );
            }
        }
    }
    given.into_iter().map(|(key, (name, _))| (key, name)).collect()
}
