//! # What it does
//! Warns of PromQL gates that compare inside the expression, as in `up == 1`, of sources that cannot answer a gate, and of
//! a `match` that no asset can have.
//!
//! # Why is this bad
//! In PromQL a comparison filters: `up{job="node"} == 1` drops every series that is down, so the gate passes as long as a
//! single asset is up (Prometheus documentation, comparison binary operators).
//!
//! # Example
//! ```yaml
//! gates: [{promql: 'up{job="node"} == 1', source: prometheus, match: {label: instance, to: asset.fqdn}}]
//! ```
//!
//! # Fix
//! Ask for the value and say what it must be: `promql: 'up{job="node"}'` with `is: "== 1"`, or compare with `== bool 1`.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics, nearest_or_list};
use crate::load::known::kind_word;
use crate::load::wire::{GateMatch, SourceKind};
use crate::source::DocId;

/// Gates that pass too easily or ask the wrong source.
pub static RULE: Rule = Rule {
    name: "gates",
    codes: &[Code::BareComparison, Code::SourceKindMismatch, Code::UnknownFact],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    let bare = |doc, pointer: String, promql: &Option<String>, diagnostics: &mut Diagnostics| {
        if let Some(query) = promql
            && filters(query)
        {
            let message = "a comparison filters in PromQL: this passes as long as one asset is left over";
            let diagnostic = context.at(Code::BareComparison, doc, &pointer, message);
            diagnostics.push(diagnostic.help("move it into `is:`, or compare with `bool`, as in `== bool 1`"));
        }
    };
    for r in context.catalog.strategies.values() {
        for (w, wave) in r.spec.waves.iter().enumerate() {
            for (g, gate) in wave.gates.iter().enumerate() {
                let pointer = format!("/spec/waves/{w}/gates/{g}");
                if gate.is.is_none() {
                    bare(r.doc, format!("{pointer}/promql"), &gate.promql, diagnostics);
                }
                matched(context, r.doc, &pointer, gate.matching.as_ref(), diagnostics);
                let wanted = if gate.change.is_some() {
                    SourceKind::Change
                } else {
                    SourceKind::Monitor
                };
                asked(
                    context,
                    r.doc,
                    &format!("{pointer}/source"),
                    gate.source.as_deref(),
                    wanted,
                    diagnostics,
                );
            }
        }
    }
    for r in context.catalog.suites.values() {
        for (i, check) in r.spec.checks.iter().enumerate() {
            bare(r.doc, format!("/spec/checks/{i}/promql"), &check.promql, diagnostics);
            matched(
                context,
                r.doc,
                &format!("/spec/checks/{i}"),
                check.matching.as_ref(),
                diagnostics,
            );
            let pointer = format!("/spec/checks/{i}/source");
            asked(
                context,
                r.doc,
                &pointer,
                check.source.as_deref(),
                SourceKind::Monitor,
                diagnostics,
            );
        }
    }
    for r in context.catalog.fleets.values() {
        for (i, name) in r.spec.sources.iter().enumerate() {
            asked(
                context,
                r.doc,
                &format!("/spec/sources/{i}"),
                Some(name),
                SourceKind::Inventory,
                diagnostics,
            );
        }
    }
}

/// What the label of a sample can be compared with: the names an asset goes by, and its labels.
const MATCHABLE: &[&str] = &[
    "asset.address",
    "asset.fqdn",
    "asset.identity.fqdn",
    "asset.identity.machineId",
    "asset.identity.serial",
    "asset.name",
];

fn matched(
    context: &Context<'_>,
    doc: DocId,
    pointer: &str,
    matching: Option<&GateMatch>,
    diagnostics: &mut Diagnostics,
) {
    let Some(to) = matching.map(|m| m.to.as_str()) else {
        return;
    };
    if MATCHABLE.contains(&to) || to.starts_with("asset.labels.") {
        return;
    }
    let message = format!("samples cannot be matched to `{to}`, so the gate would never pass");
    let help = nearest_or_list(to, MATCHABLE.iter().copied().chain(["asset.labels.<key>"]));
    diagnostics.push(
        context
            .at(Code::UnknownFact, doc, &format!("{pointer}/match/to"), message)
            .maybe_help(help),
    );
}

fn asked(
    context: &Context<'_>,
    doc: DocId,
    pointer: &str,
    name: Option<&str>,
    wanted: SourceKind,
    diagnostics: &mut Diagnostics,
) {
    let Some(source) = name.and_then(|name| context.catalog.sources.get(name)) else {
        return;
    };
    if source.spec.kind == wanted {
        return;
    }
    let (is, needs) = (kind_word(source.spec.kind), kind_word(wanted));
    let message = format!(
        "`{}` is a source of {is}, but here a source of {needs} is asked",
        source.name
    );
    let place = context.documents.locate(source.doc, "/spec/kind");
    let diagnostic = context.at(Code::SourceKindMismatch, doc, pointer, message);
    diagnostics.push(
        diagnostic
            .help(format!("name a Source of kind {needs}"))
            .related(place, "the source"),
    );
}

/// Whether a query compares without `bool` (and so filters) outside of strings, label matchers and brackets of labels.
pub fn filters(query: &str) -> bool {
    let mut quote = None;
    let mut braces = 0_usize;
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        if let Some(mark) = quote {
            if c == '\\' {
                rest.next();
            } else if c == mark {
                quote = None;
            }
            continue;
        }
        match c {
            '"' | '\'' | '`' => quote = Some(c),
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            '=' | '!' | '<' | '>' if braces == 0 => {
                if rest.peek() == Some(&'=') {
                    rest.next();
                }
                let after: String = rest.clone().skip_while(|c| c.is_whitespace()).take(4).collect();
                if after != "bool" {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_told_from_matchers() {
        for query in [
            "up == 1",
            "up{job=\"node\"} == 1",
            "rate(x[5m]) < 0.1",
            "a != b",
            "x >= 2 and y > bool 1",
        ] {
            assert!(filters(query), "{query}");
        }
        for query in [
            "up",
            "up{job=\"a == b\"}",
            "up{job!=\"x\", y=~\".*\"}",
            "rate(x[10m]) < bool 0.01",
            "up ==bool 1",
        ] {
            assert!(!filters(query), "{query}");
        }
    }
}
