//! # What it does
//! Finds SLA rules that can never match, because earlier rules, alone or together, match everything they do.
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

use super::selection;
use super::{Context, Rule};
use crate::diag::{Code, Diagnostics};
use crate::load::Resource;
use crate::load::wire::{AdvisoryType, Criticality, Exposure, SlaPolicySpec, SlaRule};
use crate::name::{Severity, SeverityMatch};

/// Rules behind those that take everything they take.
pub static RULE: Rule = Rule {
    name: "shadowed",
    codes: &[Code::ShadowedRule],
    check,
};

/// More rules than this are not compared with each other: nobody writes so many by hand.
const RULES_MAX: usize = 400;

/// Cases that are tried for one rule; where there were more, nothing is said.
const CASES_MAX: usize = 20_000;

fn check(context: &Context<'_>, diagnostics: &mut Diagnostics) {
    for r in context
        .catalog
        .slas
        .values()
        .filter(|r| r.spec.rules.len() <= RULES_MAX)
    {
        for (i, rule) in r.spec.rules.iter().enumerate() {
            let earlier = r.spec.rules.get(..i).unwrap_or_default();
            let alone = earlier
                .iter()
                .position(|wide| covers(wide, rule))
                .map(|first| vec![first]);
            let Some(before) = alone.or_else(|| together(earlier, rule)) else {
                continue;
            };
            diagnostics.push(said(context, r, i, &before));
        }
    }
}

fn said(context: &Context<'_>, r: &Resource<SlaPolicySpec>, i: usize, before: &[usize]) -> crate::diag::Diagnostic {
    let name = |i: usize| {
        let own = r.spec.rules.get(i).and_then(|rule| rule.name.clone());
        own.unwrap_or_else(|| format!("#{}", i + 1))
    };
    let names: Vec<String> = before.iter().map(|i| format!("`{}`", name(*i))).collect();
    let verb = if before.len() == 1 { "matches" } else { "together match" };
    let message = format!(
        "the rule `{}` is never reached: {} {verb} all that it matches",
        name(i),
        names.join(", ")
    );
    let diagnostic = context
        .at_key(Code::ShadowedRule, r.doc, &format!("/spec/rules/{i}"), message)
        .help("the first match wins: put the narrower rule first");
    before.iter().fold(diagnostic, |diagnostic, first| {
        let place = context.documents.locate_key(r.doc, &format!("/spec/rules/{first}"));
        diagnostic.related(place, "this rule comes first")
    })
}

/// Whether `wide` surely matches whatever `narrow` matches. Only what can be told without facts counts.
fn covers(wide: &SlaRule, narrow: &SlaRule) -> bool {
    fn part<T: PartialEq>(wide: Option<&T>, narrow: Option<&T>) -> bool {
        wide.is_none() || wide == narrow
    }
    let severities = |rule: &SlaRule| SEVERITIES.iter().filter(|s| takes(rule.severity.as_ref(), **s)).count();
    let severity = SEVERITIES
        .iter()
        .all(|s| !takes(narrow.severity.as_ref(), *s) || takes(wide.severity.as_ref(), *s));
    let types =
        wide.types.is_empty() || (!narrow.types.is_empty() && narrow.types.iter().all(|t| wide.types.contains(t)));
    severity
        && severities(narrow) > 0
        && types
        && same_facts(wide, narrow)
        && part(wide.exploited.as_ref(), narrow.exploited.as_ref())
        && part(wide.exposure.as_ref(), narrow.exposure.as_ref())
        && part(wide.criticality.as_ref(), narrow.criticality.as_ref())
        && part(wide.environment.as_ref(), narrow.environment.as_ref())
}

/// Whether what only facts can tell (labels, conditions) is no narrower in `wide`.
fn same_facts(wide: &SlaRule, narrow: &SlaRule) -> bool {
    (wide.when.is_none() || wide.when == narrow.when)
        && selection::covers(wide.selector.as_ref(), narrow.selector.as_ref())
}

const SEVERITIES: &[Severity] = &[
    Severity::Unknown,
    Severity::None,
    Severity::Low,
    Severity::Medium,
    Severity::High,
    Severity::Critical,
];

const TYPES: &[AdvisoryType] = &[
    AdvisoryType::Security,
    AdvisoryType::Bugfix,
    AdvisoryType::Enhancement,
    AdvisoryType::Driver,
    AdvisoryType::Firmware,
    AdvisoryType::Platform,
];

fn takes(wanted: Option<&SeverityMatch>, severity: Severity) -> bool {
    wanted.is_none_or(|wanted| wanted.matches(severity))
}

/// One finding as the fields of rules see it. An environment that no rule names is `None`.
#[derive(Clone, Copy)]
struct Case<'a> {
    severity: Severity,
    exploited: bool,
    exposure: Exposure,
    criticality: Criticality,
    environment: Option<&'a str>,
    kind: AdvisoryType,
}

impl Case<'_> {
    fn is_taken_by(self, rule: &SlaRule) -> bool {
        takes(rule.severity.as_ref(), self.severity)
            && rule.exploited.is_none_or(|e| e == self.exploited)
            && rule.exposure.is_none_or(|e| e == self.exposure)
            && rule.criticality.is_none_or(|c| c == self.criticality)
            && rule.environment.as_deref().is_none_or(|e| Some(e) == self.environment)
            && (rule.types.is_empty() || rule.types.contains(&self.kind))
    }
}

/// The earlier rules that together match whatever `narrow` matches: every case it can meet is tried.
fn together(earlier: &[SlaRule], narrow: &SlaRule) -> Option<Vec<usize>> {
    let rivals: Vec<(usize, &SlaRule)> = earlier
        .iter()
        .enumerate()
        .filter(|(_, wide)| same_facts(wide, narrow))
        .collect();
    let cases = cases(&rivals, narrow)?;
    let mut taken_by = Vec::new();
    for case in cases.iter().filter(|case| case.is_taken_by(narrow)) {
        let (first, _) = rivals.iter().find(|(_, rule)| case.is_taken_by(rule))?;
        taken_by.push(*first);
    }
    taken_by.sort_unstable();
    taken_by.dedup();
    (!taken_by.is_empty()).then_some(taken_by)
}

/// Every case that can make a difference: of what no rival asks for, one stands for all.
fn cases<'a>(rivals: &[(usize, &'a SlaRule)], narrow: &'a SlaRule) -> Option<Vec<Case<'a>>> {
    let asked = |asks: &dyn Fn(&SlaRule) -> bool| asks(narrow) || rivals.iter().any(|(_, rule)| asks(rule));
    fn some<T: Copy>(all: &[T], asked: bool) -> &[T] {
        all.get(..if asked { all.len() } else { 1 }).unwrap_or(all)
    }
    let severities = some(SEVERITIES, asked(&|r| r.severity.is_some()));
    let exploited = some(&[true, false], asked(&|r| r.exploited.is_some()));
    let exposures = [
        Exposure::Public,
        Exposure::Partner,
        Exposure::Internal,
        Exposure::Isolated,
    ];
    let exposures = some(&exposures, asked(&|r| r.exposure.is_some()));
    let criticalities = [
        Criticality::Low,
        Criticality::Medium,
        Criticality::High,
        Criticality::Critical,
    ];
    let criticalities = some(&criticalities, asked(&|r| r.criticality.is_some()));
    let kinds = some(TYPES, asked(&|r| !r.types.is_empty()));
    let named = rivals.iter().map(|(_, rule)| *rule).chain([narrow]);
    let mut environments: Vec<Option<&str>> = named.map(|rule| rule.environment.as_deref()).chain([None]).collect();
    environments.sort_unstable();
    environments.dedup();
    let count = [
        severities.len(),
        exploited.len(),
        exposures.len(),
        criticalities.len(),
        kinds.len(),
        environments.len(),
    ];
    if count.iter().product::<usize>().saturating_mul(rivals.len()) > CASES_MAX {
        return None;
    }
    let mut cases = vec![];
    for severity in severities {
        for exploited in exploited {
            for exposure in exposures {
                for criticality in criticalities {
                    for kind in kinds {
                        cases.extend(environments.iter().map(|environment| Case {
                            severity: *severity,
                            exploited: *exploited,
                            exposure: *exposure,
                            criticality: *criticality,
                            environment: *environment,
                            kind: *kind,
                        }));
                    }
                }
            }
        }
    }
    Some(cases)
}
