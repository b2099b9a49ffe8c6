//! By when a finding must be fixed: which rule or outcome, which clock, how long.
//!
//! Deadline = clock start + `within` of the first matching rule, or of the table's outcome (design §5.3). A finding that
//! moves to a stricter rule (it is exploited, its severity rose, its asset became exposed, EPSS or SSVC say more) gets
//! min(deadline as if nothing had changed, event + new `within`); the original clock is kept beside it.

use std::sync::Arc;

use jiff::Timestamp;

use super::case::Case;
use super::finding::{OriginalClock, Timeliness};
use super::rules::{Policy, rule_name};
use super::scope::Answer;
use super::tabled;
use super::timeline::{Timeline, View};
use super::trace::Steps;
use crate::load::Resource;
use crate::load::wire::{BurnDown, Clock, Lane, SlaPolicySpec, SlaRule, SlaWithin, UnknownDate};
use crate::name::{Amount, Severity};
use crate::time::Boundary;

/// What a policy's SLA says of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    /// The rule that gave the lane and, but for a move, the deadline.
    pub(super) rule: Arc<str>,
    pub(super) lane: Lane,
    /// Forensic triage is asked for.
    pub(super) forensics: bool,
    pub(super) start: Option<Timestamp>,
    pub(super) deadline: Option<Timestamp>,
    /// The clock before the first move to a stricter rule that changed the deadline.
    pub(super) original: Option<OriginalClock>,
    /// Why there is no right answer.
    pub(super) unknown: Option<String>,
    within: SlaWithin,
    /// JSON pointer into the SLA, or into the policy for the baseline.
    pointer: String,
    of_policy: bool,
}

impl Ruling {
    fn is_of(&self, other: &Self) -> bool {
        (&self.pointer, self.of_policy) == (&other.pointer, other.of_policy)
    }
}

/// The SLA's word. `restart` is the end of an exception after which the clock starts anew.
pub(super) fn ruling(policy: &Policy<'_>, case: &Case<'_>, restart: Option<Timestamp>, steps: &mut Steps) -> Ruling {
    let timeline = Timeline::of(case, policy.table.is_some());
    let quiet = || Steps::default();
    let Some((_, last)) = timeline.later.last() else {
        return clocked(policy, case, &timeline.first, restart, steps);
    };
    // Only what counts now is explained rule by rule; what was before is told by the moves.
    let last = clocked(policy, case, last, restart, steps);
    let mut kept = clocked(policy, case, &timeline.first, restart, &mut quiet());
    let mut before = &timeline.first;
    let count = timeline.later.len();
    for (index, (event, view)) in timeline.later.iter().enumerate() {
        let next = match index + 1 == count {
            true => last.clone(),
            false => clocked(policy, case, view, restart, &mut quiet()),
        };
        let news = || view.news(before);
        kept = moved(policy, case, kept, next, *event, restart, &news, steps);
        before = view;
    }
    kept
}

/// The ruling after an event: the stricter-rule formula.
#[expect(clippy::too_many_arguments, reason = "the formula has this many operands")]
fn moved(
    policy: &Policy<'_>,
    case: &Case<'_>,
    old: Ruling,
    new: Ruling,
    event: Timestamp,
    restart: Option<Timestamp>,
    news: &dyn Fn() -> String,
    steps: &mut Steps,
) -> Ruling {
    if new.is_of(&old) {
        // The same rule; its clock may have found a date meanwhile, unless a move has set the deadline.
        return match old.original {
            Some(_) => Ruling {
                unknown: new.unknown,
                ..old
            },
            None => new,
        };
    }
    // True before its clock ran: it never was under the other rule.
    if old.start.is_none_or(|start| event <= start) {
        return new;
    }
    let at = restart.map_or(event, |r| r.max(event));
    let renewed = add(policy, new.within, at).ok();
    let keeps_old = old.deadline.is_some_and(|old| renewed.is_none_or(|new| old <= new));
    steps.say("move", || {
        let fact = format!(
            "{} since {event}: min({} under rule `{}` with its clock from {}, {event} + {} = {}) = {}",
            news(),
            shown(old.deadline),
            old.rule,
            shown(old.start),
            new.within,
            shown(renewed),
            shown(if keeps_old { old.deadline } else { renewed }),
        );
        (fact, place(policy, case, &new))
    });
    let (start, deadline) = if keeps_old {
        (old.start, old.deadline)
    } else {
        (Some(at), renewed)
    };
    let original = OriginalClock {
        clock_start: old.start,
        deadline: old.deadline,
    };
    Ruling {
        start,
        deadline,
        original: old.original.or((!keeps_old).then_some(original)),
        unknown: new.unknown.or(old.unknown),
        ..new
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

/// A rule, or an outcome of a table, before its clock is read.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) rule: Arc<str>,
    pub(super) lane: Lane,
    pub(super) forensics: bool,
    pub(super) within: SlaWithin,
    pub(super) clock: Option<Clock>,
    pub(super) pointer: String,
    pub(super) unknown: Option<String>,
}

fn clocked(policy: &Policy<'_>, case: &Case<'_>, view: &View, restart: Option<Timestamp>, steps: &mut Steps) -> Ruling {
    if let Some(ruling) = baseline(policy, case, view, restart, steps) {
        return ruling;
    }
    let Some(sla) = policy.sla else {
        let name = &policy.spec().sla;
        return unruled("none", "/spec/sla", format!("there is no SlaPolicy `{name}`"), true);
    };
    match (&sla.spec.table, policy.table) {
        (Some(_), Some(table)) => {
            // Strictest first: the earliest, then the emergency lane, then forensics.
            let strictness = |chosen: &Chosen| {
                let r = timed(policy, case, sla, chosen.clone(), restart, &mut Steps::default());
                (r.deadline.is_none(), r.deadline, r.lane == Lane::Routine, !r.forensics)
            };
            let possible = tabled::outcomes(table, policy, sla, case, view, steps);
            let Some(chosen) = possible.into_iter().min_by_key(strictness) else {
                let why = format!("the decision table of SlaPolicy `{}` gives nothing", sla.name);
                return unruled("table", "/spec/table", why, false);
            };
            steps.say("rule", || {
                let forensics = if chosen.forensics { ", with forensic triage" } else { "" };
                let fact = format!("outcome `{}`: within {}{forensics}", chosen.rule, chosen.within);
                (fact, case.rules.at(sla, &chosen.pointer))
            });
            timed(policy, case, sla, chosen, restart, steps)
        }
        (Some(_), None) => {
            // Its default is for what the table leaves open; taking it for everything would make findings look on time.
            let at = case.rules.placed(sla, "/spec/table");
            let why = format!(
                "the decision table of SlaPolicy `{}`{at} could not be read: there is no deadline",
                sla.name
            );
            steps.say("rule", || (why.clone(), case.rules.at(sla, "/spec/table")));
            unruled("table", "/spec/table", why, false)
        }
        (None, _) => {
            let chosen = choose(policy, case, view, steps);
            timed(policy, case, sla, chosen, restart, steps)
        }
    }
}

/// No answer, and why.
fn unruled(rule: &str, pointer: &str, why: String, of_policy: bool) -> Ruling {
    Ruling {
        rule: rule.into(),
        lane: Lane::Routine,
        forensics: false,
        start: None,
        deadline: None,
        original: None,
        unknown: Some(why),
        within: SlaWithin::NextCycle,
        pointer: pointer.into(),
        of_policy,
    }
}

/// Reads the clock of what was chosen, and adds.
fn timed(
    policy: &Policy<'_>,
    case: &Case<'_>,
    sla: &Resource<SlaPolicySpec>,
    chosen: Chosen,
    restart: Option<Timestamp>,
    steps: &mut Steps,
) -> Ruling {
    let clock = chosen.clock.unwrap_or(sla.spec.clock);
    let mut unknown = chosen.unknown;
    let dated = clock_start(policy, case, clock);
    let start = match (dated, sla.spec.unknown_date) {
        (Some(start), _) => Some(start),
        (None, UnknownDate::Detected) => Some(case.detected()),
        (None, UnknownDate::Block) => {
            let at = case.rules.placed(sla, "/spec/unknownDate");
            unknown.get_or_insert(format!(
                "{}, and `unknownDate: block`{at} gives no deadline then: record the date in an Advisory, or let \
                 `unknownDate: detected` count from the first sight",
                undated(clock)
            ));
            None
        }
    };
    let start = start.map(|start| restart.map_or(start, |r| r.max(start)));
    steps.say("clock", || {
        let how = match dated {
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
        forensics: chosen.forensics,
        start,
        deadline,
        original: None,
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

fn undated(clock: Clock) -> String {
    match clock {
        Clock::Published => "the publication date is unknown".into(),
        Clock::Available => "that the fix is available to the asset was not observed".into(),
        Clock::Exploited => "it is not known to be exploited, so the clock `exploited` has no start".into(),
        Clock::Detected | Clock::InScope => "the first sight is unknown".into(),
    }
}

fn clock_start(policy: &Policy<'_>, case: &Case<'_>, clock: Clock) -> Option<Timestamp> {
    match clock {
        Clock::Published => case.advisory.published,
        Clock::Available => case.available_since(),
        Clock::Detected => Some(case.detected()),
        Clock::Exploited => case.is_exploited().then(|| case.exploited_since()),
        Clock::InScope => Some(case.in_scope_since(policy)),
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

fn choose(policy: &Policy<'_>, case: &Case<'_>, view: &View, steps: &mut Steps) -> Chosen {
    let mut unknown = None;
    let sla = policy.sla.map(|s| (&s.spec, s));
    let rules = sla.iter().flat_map(|(spec, _)| spec.rules.iter()).enumerate();
    for (index, rule) in rules {
        let pointer = format!("/spec/rules/{index}");
        let name = rule_name(rule.name.as_ref(), index);
        let at = || sla.map_or_else(String::new, |(_, s)| case.rules.at(s, &pointer));
        match rule_matches(policy, case, rule, policy.selectors_from + index, view) {
            Answer::Yes => {
                steps.say("rule", || (format!("rule `{name}` is the first that matches"), at()));
                return Chosen {
                    rule: name,
                    lane: rule.lane,
                    forensics: rule.forensics,
                    within: rule.within,
                    clock: rule.clock,
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
        forensics: outcome.is_some_and(|o| o.forensics),
        within: outcome.map_or(SlaWithin::NextCycle, |o| o.within),
        clock: outcome.and_then(|o| o.clock),
        pointer: "/spec/default".into(),
        unknown,
    }
}

/// What is given is ANDed. An asset without a class has no criticality or environment a rule could match; a missing
/// exposure counts as public.
fn rule_matches(policy: &Policy<'_>, case: &Case<'_>, rule: &SlaRule, selector: usize, view: &View) -> Answer {
    let severity = policy.severity(view.severity);
    let class = case.class.map(|c| &c.spec);
    let plain = rule.exploited.is_none_or(|wanted| wanted == view.exploited)
        && rule.severity.as_ref().is_none_or(|m| m.matches(severity))
        && rule.exposure.is_none_or(|e| view.exposure == Some(e))
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
        (Some(text), true) => case.holds(policy, text, view, None),
    }
}

/// The burn-down deadline of a finding in the policy's baseline: published by `asOf`, the baseline not expired, the asset
/// selected. It replaces the SLA's rule, and runs in the routine lane. Without a date an advisory is in no baseline.
fn baseline(
    policy: &Policy<'_>,
    case: &Case<'_>,
    view: &View,
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
    let severity = policy.severity(view.severity);
    let (index, burn) = baseline
        .burn_down
        .iter()
        .enumerate()
        .find(|(_, b)| burns(b, severity, view.exploited))?;
    let start = restart.map_or(as_of, |r| r.max(as_of));
    let deadline = add(policy, burn.within, start);
    let ruling = Ruling {
        rule: "baseline".into(),
        lane: Lane::Routine,
        forensics: false,
        start: Some(start),
        original: None,
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
