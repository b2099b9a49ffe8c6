//! By when a finding must be fixed: which rule, which clock, how long.
//!
//! Deadline = clock start + `within` of the first matching rule (design §5.3). A finding that moves to a stricter rule
//! because exploitation became known gets min(deadline as if it were not, event + new `within`). Changes of severity and
//! exposure are not remembered, so exploitation is the one move that can be computed.

use std::sync::Arc;

use jiff::Timestamp;

use super::case::Case;
use super::rules::{Policy, rule_name};
use super::scope::Answer;
use super::trace::Steps;
use crate::load::Resource;
use crate::load::wire::{BurnDown, Clock, Exposure, Lane, SlaPolicySpec, SlaRule, SlaWithin, UnknownDate};
use crate::name::{Amount, Severity};
use crate::time::Boundary;

use super::finding::Timeliness;

/// What a policy's SLA says of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    /// The rule that gave the lane and, but for a move, the deadline.
    pub(super) rule: Arc<str>,
    pub(super) lane: Lane,
    pub(super) start: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
    /// Why there is no right answer.
    pub(super) unknown: Option<String>,
    within: SlaWithin,
    /// JSON pointer into the SLA, or into the policy for the baseline.
    pointer: String,
    of_policy: bool,
}

/// The SLA's word. `restart` is the end of an exception after which the clock starts anew.
pub(super) fn ruling(policy: &Policy<'_>, case: &Case<'_>, restart: Option<Timestamp>, steps: &mut Steps) -> Ruling {
    let plain_only = !case.is_exploited();
    let mut quiet = Steps::default();
    let plain = clocked(
        policy,
        case,
        false,
        restart,
        if plain_only { &mut *steps } else { &mut quiet },
    );
    if plain_only {
        return plain;
    }
    let strict = clocked(policy, case, true, restart, steps);
    if strict.pointer == plain.pointer && strict.of_policy == plain.of_policy {
        return strict;
    }
    let event = case.exploited_since();
    // Known exploited before its clock ran: it never was under the other rule.
    if plain.start.is_none_or(|start| event <= start) {
        return strict;
    }
    let moved = restart.map_or(event, |r| r.max(event));
    let renewed = add(policy, strict.within, moved).ok();
    let keeps_old = plain.deadline.is_some_and(|old| renewed.is_none_or(|new| old <= new));
    steps.say("move", || {
        let fact = format!(
            "exploited since {event}: min({} under rule `{}` with its clock from {}, {event} + {} = {}) = {}",
            shown(plain.deadline),
            plain.rule,
            shown(plain.start),
            strict.within,
            shown(renewed),
            shown(if keeps_old { plain.deadline } else { renewed }),
        );
        (fact, place(policy, case, &strict))
    });
    let (start, deadline) = if keeps_old {
        (plain.start, plain.deadline)
    } else {
        (Some(moved), renewed)
    };
    Ruling {
        start,
        deadline,
        unknown: strict.unknown.or(plain.unknown),
        ..strict
    }
}

fn shown(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "no deadline".into(), |at| at.to_string())
}

fn place(policy: &Policy<'_>, case: &Case<'_>, ruling: &Ruling) -> String {
    match policy.sla {
        Some(sla) if !ruling.of_policy => case.rules.at(sla, &ruling.pointer),
        _ => case.rules.at(policy.resource, &ruling.pointer),
    }
}

/// A rule before its clock is read.
struct Chosen {
    rule: Arc<str>,
    lane: Lane,
    within: SlaWithin,
    clock: Option<Clock>,
    pointer: String,
    unknown: Option<String>,
}

fn clocked(
    policy: &Policy<'_>,
    case: &Case<'_>,
    exploited: bool,
    restart: Option<Timestamp>,
    steps: &mut Steps,
) -> Ruling {
    if let Some(ruling) = baseline(policy, case, exploited, restart, steps) {
        return ruling;
    }
    let Some(sla) = policy.sla else {
        let name = &policy.spec().sla;
        return Ruling {
            rule: "none".into(),
            lane: Lane::Routine,
            start: None,
            deadline: None,
            unknown: Some(format!("there is no SlaPolicy `{name}`")),
            within: SlaWithin::NextCycle,
            pointer: "/spec/sla".into(),
            of_policy: true,
        };
    };
    if sla.spec.table.is_some() {
        return tabled(case, sla, steps);
    }
    let chosen = choose(policy, case, exploited, steps);
    let clock = chosen.clock.unwrap_or(sla.spec.clock);
    let mut unknown = chosen.unknown;
    let start = match (clock_start(case, clock), sla.spec.unknown_date) {
        (Some(start), _) => Some(start),
        (None, UnknownDate::Detected) => Some(case.detected()),
        (None, UnknownDate::Block) => {
            unknown.get_or_insert(format!(
                "{}, and `unknownDate: block` gives no deadline then",
                undated(clock)
            ));
            None
        }
    };
    let start = start.map(|start| restart.map_or(start, |r| r.max(start)));
    steps.say("clock", || {
        let how = match clock_start(case, clock) {
            Some(_) => format!("clock `{}` starts {}", clock.as_str(), shown(start)),
            None => format!(
                "{}: counted from {}, when it was first seen",
                undated(clock),
                shown(start)
            ),
        };
        let again = restart.map_or(String::new(), |r| {
            format!("; an exception that ended {r} started it anew")
        });
        (how + &again, case.rules.at(sla, "/spec/clock"))
    });
    let mut within = chosen.within;
    let deadline = start.and_then(|start| {
        add(policy, within, start)
            .or_else(|why| {
                // Without a cycle the SLA's default is the next best word, if it is a duration.
                within = Some(sla.spec.default.within)
                    .filter(|w| matches!(w, SlaWithin::For(_)))
                    .ok_or_else(|| why.clone())?;
                steps.say("deadline", || {
                    (
                        format!("{why}: the default counts"),
                        case.rules.at(sla, "/spec/default"),
                    )
                });
                add(policy, within, start)
            })
            .map_err(|why: String| unknown = Some(why))
            .ok()
    });
    let ruling = Ruling {
        rule: chosen.rule,
        lane: chosen.lane,
        start,
        deadline,
        unknown,
        within,
        pointer: chosen.pointer,
        of_policy: false,
    };
    steps.say("deadline", || {
        let fact = format!(
            "{} + {} = {}",
            shown(ruling.start),
            ruling.within,
            shown(ruling.deadline)
        );
        (fact, place(policy, case, &ruling))
    });
    ruling
}

/// An SLA written as a decision table has no answer until tables are built; its default is for what the table leaves
/// open, so taking that for everything would make findings look on time that are not.
fn tabled(case: &Case<'_>, sla: &Resource<SlaPolicySpec>, steps: &mut Steps) -> Ruling {
    let place = case.rules.placed(sla, "/spec/table");
    let why = format!("decision tables are not built yet: SlaPolicy `{}`{place} gives no deadline", sla.name);
    steps.say("rule", || (why.clone(), case.rules.at(sla, "/spec/table")));
    Ruling {
        rule: "table".into(),
        lane: Lane::Routine,
        start: None,
        deadline: None,
        unknown: Some(why),
        within: SlaWithin::NextCycle,
        pointer: "/spec/table".into(),
        of_policy: false,
    }
}

fn undated(clock: Clock) -> String {
    match clock {
        Clock::Published => "the publication date is unknown".into(),
        Clock::Available => "when the fix became available was not observed".into(),
        Clock::Exploited => "it is not known to be exploited, so the clock `exploited` has no start".into(),
        Clock::Detected | Clock::InScope => "the first sight is unknown".into(),
    }
}

fn clock_start(case: &Case<'_>, clock: Clock) -> Option<Timestamp> {
    match clock {
        Clock::Published => case.advisory.published,
        // Sources list what is available, not since when.
        Clock::Available => None,
        Clock::Detected => Some(case.detected()),
        Clock::Exploited => case.is_exploited().then(|| case.exploited_since()),
        Clock::InScope => Some(case.in_scope_since()),
    }
}

/// `within` after `start`. `next-cycle` is the second cut strictly after it, so that a fix published just before a cut
/// has a whole cycle; without a cadence there is no cycle.
fn add(policy: &Policy<'_>, within: SlaWithin, start: Timestamp) -> Result<Timestamp, String> {
    match within {
        SlaWithin::For(duration) => Ok(start.checked_add(duration.signed()).unwrap_or(Timestamp::MAX)),
        SlaWithin::NextCycle => {
            let name = &policy.resource.name;
            let Some(cadence) = &policy.cadence else {
                return Err(format!(
                    "`within: next-cycle` needs a cadence, and policy `{name}` has none"
                ));
            };
            let mut cuts = cadence.starts_from(start).filter(|cut| *cut > start);
            cuts.nth(1)
                .ok_or_else(|| format!("the cadence of policy `{name}` has no second cut after {start}"))
        }
    }
}

fn choose(policy: &Policy<'_>, case: &Case<'_>, exploited: bool, steps: &mut Steps) -> Chosen {
    let mut unknown = None;
    let sla = policy.sla.map(|s| (&s.spec, s));
    let rules = sla.iter().flat_map(|(spec, _)| spec.rules.iter()).enumerate();
    for (index, rule) in rules {
        let pointer = format!("/spec/rules/{index}");
        let name = rule_name(rule.name.as_ref(), index);
        let at = || sla.map_or_else(String::new, |(_, s)| case.rules.at(s, &pointer));
        match rule_matches(policy, case, rule, policy.selectors_from + index, exploited) {
            Answer::Yes => {
                steps.say("rule", || (format!("rule `{name}` is the first that matches"), at()));
                let (lane, within, clock) = (rule.lane, rule.within, rule.clock);
                return Chosen {
                    rule: name,
                    lane,
                    within,
                    clock,
                    pointer,
                    unknown,
                };
            }
            Answer::No => steps.say("rule", || (format!("rule `{name}` does not match"), at())),
            Answer::Unknown(why) => {
                steps.say("rule", || (format!("rule `{name}` cannot be decided: {why}"), at()));
                let place = sla.map_or_else(String::new, |(_, s)| case.rules.placed(s, &pointer));
                unknown.get_or_insert(format!("SLA rule `{name}`{place} cannot be decided: {why}"));
            }
        }
    }
    let outcome = sla.map(|(spec, _)| &spec.default);
    steps.say("rule", || {
        (
            "no rule matches: the default".into(),
            sla.map_or_else(String::new, |(_, s)| case.rules.at(s, "/spec/default")),
        )
    });
    Chosen {
        rule: "default".into(),
        lane: outcome.map_or(Lane::Routine, |o| o.lane),
        within: outcome.map_or(SlaWithin::NextCycle, |o| o.within),
        clock: outcome.and_then(|o| o.clock),
        pointer: "/spec/default".into(),
        unknown,
    }
}

/// What is given is ANDed. An asset without a class has no criticality or environment a rule could match; a missing
/// exposure counts as public.
fn rule_matches(policy: &Policy<'_>, case: &Case<'_>, rule: &SlaRule, selector: usize, exploited: bool) -> Answer {
    let severity = policy.severity(case.advisory.severity);
    let class = case.class.map(|c| &c.spec);
    let plain = rule.exploited.is_none_or(|wanted| wanted == exploited)
        && rule.severity.as_ref().is_none_or(|m| m.matches(severity))
        && rule
            .exposure
            .is_none_or(|e| class.map(|c| c.exposure.unwrap_or(Exposure::Public)) == Some(e))
        && rule.criticality.is_none_or(|c| class.map(|x| x.criticality) == Some(c))
        && rule
            .environment
            .as_ref()
            .is_none_or(|e| class.is_some_and(|c| c.environment == *e))
        && (rule.types.is_empty() || rule.types.iter().any(|t| case.advisory.types.contains(t)))
        && case.profile.selectors.get(selector).copied().unwrap_or(true);
    match (&rule.when, plain) {
        (_, false) => Answer::No,
        (None, true) => Answer::Yes,
        (Some(text), true) => case.holds(policy, text, exploited, None),
    }
}

/// The burn-down deadline of a finding in the policy's baseline: published by `asOf`, the baseline not expired, the asset
/// selected. It replaces the SLA's rule, and runs in the routine lane. Without a date an advisory is in no baseline.
fn baseline(
    policy: &Policy<'_>,
    case: &Case<'_>,
    exploited: bool,
    restart: Option<Timestamp>,
    steps: &mut Steps,
) -> Option<Ruling> {
    let baseline = policy.spec().baseline.as_ref()?;
    let zone = &case.rules.catalog.zone.0;
    let as_of = baseline.as_of.resolve(Boundary::Start, zone);
    let lasts = case.rules.now < baseline.expires.resolve(Boundary::End, zone);
    let selector = policy.selectors_from + policy.sla.map_or(0, |s| s.spec.rules.len());
    let selected = case.profile.selectors.get(selector).copied().unwrap_or(true);
    if !lasts || !selected || case.advisory.published.is_none_or(|p| p > as_of) {
        return None;
    }
    let severity = policy.severity(case.advisory.severity);
    let (index, burn) = baseline
        .burn_down
        .iter()
        .enumerate()
        .find(|(_, b)| burns(b, severity, exploited))?;
    let start = restart.map_or(as_of, |r| r.max(as_of));
    let deadline = add(policy, burn.within, start);
    let ruling = Ruling {
        rule: "baseline".into(),
        lane: Lane::Routine,
        start: Some(start),
        unknown: deadline.as_ref().err().cloned(),
        deadline: deadline.ok(),
        within: burn.within,
        pointer: format!("/spec/baseline/burnDown/{index}"),
        of_policy: true,
    };
    steps.say("baseline", || {
        let fact = format!(
            "published by {as_of}: burns down, {start} + {} = {}",
            burn.within,
            shown(ruling.deadline)
        );
        (fact, place(policy, case, &ruling))
    });
    Some(ruling)
}

fn burns(burn: &BurnDown, severity: Severity, exploited: bool) -> bool {
    burn.exploited.is_none_or(|e| e == exploited) && burn.severity.as_ref().is_none_or(|m| m.matches(severity))
}

/// Where a deadline stands at now. At the deadline itself a finding is still in time; after it, breached. At risk from
/// `atRisk` of the time between clock start and deadline on.
pub(super) fn timeliness(ruling: &Ruling, at_risk: Amount, now: Timestamp) -> Timeliness {
    let Some(deadline) = ruling.deadline else {
        return Timeliness::OnTime;
    };
    if now > deadline {
        return Timeliness::Breached;
    }
    let Some(start) = ruling.start.filter(|start| *start < deadline) else {
        return Timeliness::AtRisk;
    };
    let share = match at_risk {
        Amount::Share(share) => i128::from(share),
        // A count of what? Loading refuses it; the default stands in.
        Amount::Count(_) => 7_500,
    };
    let (spent, whole) = (
        now.as_nanosecond() - start.as_nanosecond(),
        deadline.as_nanosecond() - start.as_nanosecond(),
    );
    if spent * 10_000 >= whole * share {
        Timeliness::AtRisk
    } else {
        Timeliness::OnTime
    }
}
