//! # What it does
//! Finds SLA rules that can never match, because an earlier rule matches everything they do.
//!
//! # Why is this bad
//! The first match wins, so the stricter rule further down never gives a deadline.
//!
//! # Example
//! ```yaml
//! rules:
//!   - {within: 30d}
//!   - {severity: critical, within: 24h}
//! ```
//!
//! # Fix
//! Put the stricter rule first, or remove it.

use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::wire::SlaRule;
use crate::name::{Severity, SeverityMatch};

/// Rules behind one that takes everything they take.
pub static RULE: Rule = Rule {
    name: "shadowed",
    codes: &[Code::ShadowedRule],
    check,
};

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for r in context.catalog.slas.values() {
        for (i, rule) in r.spec.rules.iter().enumerate() {
            let earlier = r.spec.rules.iter().take(i).position(|earlier| covers(earlier, rule));
            let Some(first) = earlier else { continue };
            let name = |rule: &SlaRule, i: usize| rule.name.clone().unwrap_or_else(|| format!("#{}", i + 1));
            let before = r.spec.rules.get(first).map_or_else(String::new, |e| name(e, first));
            let message = format!(
                "the rule `{}` is never reached: `{before}` matches all that it matches",
                name(rule, i)
            );
            diagnostics.push(
                context
                    .at_key(Code::ShadowedRule, r.doc, &format!("/spec/rules/{i}"), message)
                    .help("the first match wins: put the narrower rule first")
                    .related(
                        context.documents.locate_key(r.doc, &format!("/spec/rules/{first}")),
                        "this rule comes first",
                    ),
            );
        }
    }
}

/// Whether `wide` surely matches whatever `narrow` matches. Only what can be told without facts counts.
fn covers(wide: &SlaRule, narrow: &SlaRule) -> bool {
    fn part<T: PartialEq>(wide: Option<&T>, narrow: Option<&T>) -> bool {
        wide.is_none() || wide == narrow
    }
    let severity = match (&wide.severity, &narrow.severity) {
        (None, _) => true,
        (Some(wide), Some(SeverityMatch::OneOf(words))) => words.iter().all(|word| wide.matches(*word)),
        (Some(SeverityMatch::AtLeast(wide)), Some(SeverityMatch::AtLeast(narrow))) => wide <= narrow,
        (Some(wide), Some(SeverityMatch::AtLeast(floor))) => {
            let above = [
                Severity::None,
                Severity::Low,
                Severity::Medium,
                Severity::High,
                Severity::Critical,
            ];
            wide.matches(Severity::Unknown) && above.iter().filter(|s| *s >= floor).all(|s| wide.matches(*s))
        }
        (Some(_), None) => false,
    };
    let types =
        wide.types.is_empty() || (!narrow.types.is_empty() && narrow.types.iter().all(|t| wide.types.contains(t)));
    let selector = wide
        .selector
        .as_ref()
        .is_none_or(|s| s.is_everything() || Some(s) == narrow.selector.as_ref());
    severity
        && types
        && selector
        && part(wide.exploited.as_ref(), narrow.exploited.as_ref())
        && part(wide.exposure.as_ref(), narrow.exposure.as_ref())
        && part(wide.criticality.as_ref(), narrow.criticality.as_ref())
        && part(wide.environment.as_ref(), narrow.environment.as_ref())
        && part(wide.when.as_ref(), narrow.when.as_ref())
}
