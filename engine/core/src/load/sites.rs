//! Where conditions stand in resources, and what each may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::catalog::Catalog;
use super::expr::{self, ExprFault, Expression, facts::Scope};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::source::DocId;

/// One `when:`.
struct Site {
    doc: DocId,
    pointer: String,
    text: String,
    scope: Scope,
}

fn sites(catalog: &Catalog) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut add = |doc, pointer: String, when: &Option<String>, scope| {
        if let Some(text) = when {
            sites.push(Site { doc, pointer, text: text.clone(), scope });
        }
    };
    for r in catalog.policies.values() {
        add(r.doc, "/spec/scope/when".into(), &r.spec.scope.when, Scope::Asset);
        for (i, include) in r.spec.include.iter().enumerate() {
            add(r.doc, format!("/spec/include/{i}/when"), &include.when, Scope::Finding);
        }
        for (i, exclude) in r.spec.exclude.iter().enumerate() {
            add(r.doc, format!("/spec/exclude/{i}/when"), &exclude.when, Scope::Finding);
        }
    }
    for r in catalog.slas.values() {
        for (i, rule) in r.spec.rules.iter().enumerate() {
            add(r.doc, format!("/spec/rules/{i}/when"), &rule.when, Scope::Finding);
        }
    }
    let when = || "/spec/when".to_owned();
    catalog.classes.values().for_each(|r| add(r.doc, when(), &r.spec.when, Scope::Class));
    catalog.freezes.values().for_each(|r| add(r.doc, when(), &r.spec.when, Scope::Asset));
    catalog.overrides.values().for_each(|r| add(r.doc, when(), &r.spec.when, Scope::Asset));
    catalog.exceptions.values().for_each(|r| add(r.doc, when(), &r.spec.when, Scope::Asset));
    catalog.compatibility.values().for_each(|r| add(r.doc, when(), &r.spec.when, Scope::Asset));
    sites
}

/// Compiles every condition once and reports its faults at every place it stands.
pub(super) fn compile(catalog: &mut Catalog, diagnostics: &mut Diagnostics) {
    let mut results: BTreeMap<String, Result<(Arc<Expression>, Vec<ExprFault>), Vec<ExprFault>>> = BTreeMap::new();
    for site in sites(catalog) {
        let result = results
            .entry(site.text.clone())
            .or_insert_with(|| expr::compile(&site.text).map(|(e, warnings)| (Arc::new(e), warnings)));
        let (Ok((_, faults)) | Err(faults)) = &*result;
        for fault in faults {
            diagnostics.push(diagnostic(catalog, &site, fault));
        }
        if let Ok((expression, _)) = result {
            for path in expression.facts.iter().filter(|path| !site.scope.has(path)) {
                let at = site.text.find(path).map(|start| start..start + path.len());
                let fault = ExprFault {
                    code: Code::FactOutOfScope,
                    severity: Code::FactOutOfScope.severity(),
                    message: format!("`{path}` is not known here"),
                    help: Some(site.scope.allows().into()),
                    at,
                };
                diagnostics.push(diagnostic(catalog, &site, &fault));
            }
        }
    }
    catalog.expressions = results.into_iter().filter_map(|(text, r)| Some((text, r.ok()?.0))).collect();
}

fn diagnostic(catalog: &Catalog, site: &Site, fault: &ExprFault) -> Diagnostic {
    let inside = fault.at.clone().and_then(|at| catalog.locate_inside(site.doc, &site.pointer, &site.text, at));
    let location = inside.unwrap_or_else(|| catalog.locate(site.doc, &site.pointer));
    let mut diagnostic = Diagnostic::new(fault.code, fault.message.clone())
        .at(location, site.pointer.clone())
        .maybe_help(fault.help.clone());
    diagnostic.severity = fault.severity;
    diagnostic
}
