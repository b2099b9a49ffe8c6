//! Where conditions stand in resources, and what each may read.
//!
//! Conditions are read from the documents, not from the typed resources: a document with another fault still has its
//! conditions checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::documents::Documents;
use super::expr::{self, ExprFault, Expression, facts::Scope};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::DocId;

/// Where each kind has conditions: path (`*` = every entry of a list) and what may be read there.
const PLACES: &[(&str, &[&str], Scope)] = &[
    ("AssetClass", &["spec", "when"], Scope::Class),
    ("ChangeFreeze", &["spec", "when"], Scope::Asset),
    ("CompatibilityMatrix", &["spec", "when"], Scope::Asset),
    ("Override", &["spec", "when"], Scope::Asset),
    ("PatchException", &["spec", "when"], Scope::Asset),
    ("PatchPolicy", &["spec", "exclude", "*", "when"], Scope::Finding),
    ("PatchPolicy", &["spec", "include", "*", "when"], Scope::Finding),
    ("PatchPolicy", &["spec", "scope", "when"], Scope::Asset),
    ("SlaPolicy", &["spec", "rules", "*", "when"], Scope::Finding),
];

/// One `when:`.
struct Site<'a> {
    doc: DocId,
    pointer: String,
    text: &'a str,
    scope: Scope,
}

/// Every text at a path (`*` = every entry of a list), with its pointer.
pub(super) fn texts_at<'a>(value: &'a Value, path: &[&str]) -> Vec<(String, &'a str)> {
    fn walk<'a>(value: &'a Value, path: &[&str], pointer: String, found: &mut Vec<(String, &'a str)>) {
        let Some((step, rest)) = path.split_first() else {
            found.extend(value.as_str().map(|text| (pointer, text)));
            return;
        };
        if *step == "*" {
            for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                walk(item, rest, format!("{pointer}/{i}"), found);
            }
        } else if let Some(next) = value.get(step) {
            walk(next, rest, format!("{pointer}/{step}"), found);
        }
    }
    let mut found = Vec::new();
    walk(value, path, String::new(), &mut found);
    found
}

fn sites(documents: &Documents) -> Vec<Site<'_>> {
    let mut sites = Vec::new();
    for (doc, document) in documents.iter() {
        for (_, path, scope) in PLACES.iter().filter(|(kind, ..)| *kind == document.kind()) {
            let found = texts_at(&document.value, path).into_iter();
            sites.extend(found.map(|(pointer, text)| Site {
                doc,
                pointer,
                text,
                scope: *scope,
            }));
        }
    }
    sites
}

type Compiled = Result<(Arc<Expression>, Vec<ExprFault>), Vec<ExprFault>>;

/// Compiles every condition once, reports its faults at every place it stands, and gives those without errors.
pub(super) fn compile(documents: &Documents, diagnostics: &mut Diagnostics) -> BTreeMap<String, Arc<Expression>> {
    let mut results: BTreeMap<&str, Compiled> = BTreeMap::new();
    for site in sites(documents) {
        let compiled = || expr::compile(site.text).map(|(e, warnings)| (Arc::new(e), warnings));
        let result = results.entry(site.text).or_insert_with(compiled);
        let (Ok((_, faults)) | Err(faults)) = &*result;
        diagnostics.extend(faults.iter().map(|fault| diagnostic(documents, &site, fault)));
        if let Ok((expression, _)) = result {
            for path in expression.facts.iter().filter(|path| !site.scope.has(path)) {
                diagnostics.push(diagnostic(documents, &site, &out_of_scope(&site, path)));
            }
        }
    }
    results
        .into_iter()
        .filter_map(|(text, result)| Some((text.to_owned(), result.ok()?.0)))
        .collect()
}

fn out_of_scope(site: &Site<'_>, path: &str) -> ExprFault {
    ExprFault {
        code: Code::FactOutOfScope,
        severity: Code::FactOutOfScope.severity(),
        message: format!("`{path}` is not known here"),
        help: Some(site.scope.allows().into()),
        at: site.text.find(path).map(|start| start..start + path.len()),
    }
}

fn diagnostic(documents: &Documents, site: &Site<'_>, fault: &ExprFault) -> Diagnostic {
    let inside = fault
        .at
        .clone()
        .and_then(|at| documents.locate_inside(site.doc, &site.pointer, site.text, at));
    let location = inside.unwrap_or_else(|| documents.locate(site.doc, &site.pointer));
    let diagnostic = Diagnostic::new(fault.code, fault.message.clone())
        .at(location, site.pointer.clone())
        .maybe_help(fault.help.clone());
    Diagnostic {
        severity: fault.severity,
        ..diagnostic
    }
}
