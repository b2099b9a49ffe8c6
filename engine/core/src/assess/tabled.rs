//! An SLA written as a decision table: which outcomes the facts leave possible.
//!
//! An input that is not known may have any of its values, and each CVE of an advisory is asked for itself: whoever calls
//! takes the strictest of what is possible, so that not knowing is never the mild answer.

use std::collections::BTreeSet;

use super::case::Case;
use super::deadline::Chosen;
use super::rules::Policy;
use super::timeline::{CveView, View};
use super::trace::Steps;
use crate::load::Resource;
use crate::load::table::{DecisionTable, Input};
use crate::load::wire::{Exposure, SlaOutcome, SlaPolicySpec};
use crate::observe::{Exploitation, Ssvc};
use crate::source::escape_token;

/// What the table may give for the finding, each outcome once, in the order of the table.
pub(super) fn outcomes(
    table: &DecisionTable,
    policy: &Policy<'_>,
    sla: &Resource<SlaPolicySpec>,
    case: &Case<'_>,
    view: &View,
    steps: &mut Steps,
) -> Vec<Chosen> {
    let nameless = CveView {
        cve: case.advisory.id.clone(),
        // What has no CVE cannot stand in a catalogue of CVEs; an own bulletin may say that it is exploited.
        kev: Some(view.exploited),
        ssvc: Ssvc::UNKNOWN,
    };
    let cves = if view.cves.is_empty() {
        std::slice::from_ref(&nameless)
    } else {
        view.cves.as_slice()
    };
    let mut possible: BTreeSet<usize> = BTreeSet::new();
    for cve in cves {
        let values: Vec<Option<usize>> = table
            .columns
            .iter()
            .map(|c| value(c.input, policy, case, view, cve))
            .collect();
        let given = table.possible(&values);
        steps.say("table", || {
            (asked(table, cve, &values, &given), case.rules.at(sla, "/spec/table"))
        });
        possible.extend(given);
    }
    let keys = possible.into_iter().filter_map(|index| table.outcomes.get(index));
    keys.map(|key| chosen(sla, key)).collect()
}

/// What an outcome means; one that loading refused takes the default.
fn chosen(sla: &Resource<SlaPolicySpec>, key: &str) -> Chosen {
    let entry = sla.spec.outcomes.get(key);
    let outcome: &SlaOutcome = entry.unwrap_or(&sla.spec.default);
    Chosen {
        rule: key.into(),
        lane: outcome.lane,
        forensics: outcome.forensics,
        within: outcome.within,
        clock: outcome.clock,
        pointer: match entry {
            Some(_) => format!("/spec/outcomes/{}", escape_token(key)),
            None => "/spec/default".into(),
        },
        unknown: None,
    }
}

/// The value of an input as a place in [`Input::keys`]; none = not known.
fn value(input: Input, policy: &Policy<'_>, case: &Case<'_>, view: &View, cve: &CveView) -> Option<usize> {
    let yes = |answer: Option<bool>| answer.map(usize::from);
    match input {
        Input::Kev => yes(cve.kev),
        Input::Automatable => yes(cve.ssvc.automatable),
        Input::TechnicalImpact => yes(cve.ssvc.total_impact),
        Input::Exploitation => match (cve.kev, cve.ssvc.exploitation) {
            (Some(true), _) => Some(Exploitation::Active),
            (_, said) => said,
        }
        .map(|state| match state {
            Exploitation::None => 0,
            Exploitation::Poc => 1,
            Exploitation::Active => 2,
        }),
        // An asset without a class is exposed for all that is known.
        Input::PubliclyExposed | Input::SystemExposure | Input::Exposure => {
            Some(input.exposure(view.exposure.unwrap_or(Exposure::Public)))
        }
        Input::Severity => Some(Input::severity(policy.severity(view.severity))),
        Input::Criticality => case.class.map(|class| Input::criticality(class.spec.criticality)),
    }
}

/// `CVE-2026-1: cisa:KEV:1.0.0 = Y, ssvc:A:2.0.0 unknown: 14D or 3DF; the strictest counts`.
fn asked(table: &DecisionTable, cve: &CveView, values: &[Option<usize>], given: &[usize]) -> String {
    let inputs = table.columns.iter().zip(values).map(|(column, value)| {
        let key = value.and_then(|value| column.input.keys().get(value));
        match key {
            Some(key) => format!("{} = {key}", column.id),
            None => format!("{} is not known", column.id),
        }
    });
    let inputs: Vec<String> = inputs.collect();
    let given: Vec<&str> = (given.iter())
        .filter_map(|g| table.outcomes.get(*g))
        .map(String::as_str)
        .collect();
    let unknown = values.contains(&None);
    let strictest = if unknown {
        "; the strictest that is possible counts"
    } else {
        ""
    };
    format!("{}: {}: {}{strictest}", cve.cve, inputs.join(", "), given.join(" or "))
}
