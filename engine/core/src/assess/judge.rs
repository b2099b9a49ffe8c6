//! How a hit is judged on a kind of asset: who claims it, by when, and its status.

use std::sync::Arc;

use super::case::Case;
use super::claim;
use super::deadline::{self, Ruling};
use super::decision::decide;
use super::exception::{self, Relief};
use super::finding::{Judgement, Status, Timeliness, Unplanned};
use super::found::Cause;
use super::rules::Policy;
use super::scope::Answer;
use super::trace::Steps;
use crate::load::wire::{AdvisoryType, Exposure, Mode, PatchPolicySpec};
use crate::name::{Amount, Severity};

/// What one policy says of a finding.
struct Claim<'a> {
    policy: &'a Policy<'a>,
    ruling: Ruling,
    timeliness: Timeliness,
    /// Why this policy cannot be heard.
    unknown: Option<String>,
    held: Option<String>,
    manual: Option<AdvisoryType>,
}

impl Claim<'_> {
    /// Whether the policy would carry the finding now.
    fn acts(&self) -> bool {
        self.unknown.is_none() && self.held.is_none() && self.manual.is_none() && self.policy.unplanned().is_none()
    }
}

/// A judgement with the policies whose claims contradict each other, if any.
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    /// What must be said of rules: claims that contradict each other, conditions without an answer.
    pub(super) notes: Vec<String>,
}

/// Judges one hit on one kind of asset; none when no policy claims it.
pub(super) fn judge(case: &Case<'_>, steps: &mut Steps) -> Option<Judged> {
    let relief = exception::relief(case, steps);
    let claims: Vec<(usize, Claim<'_>)> = case
        .profile
        .policies
        .iter()
        .filter_map(|(index, scope)| Some((*index, claim_of(case, *index, scope, &relief, steps)?)))
        .collect();
    // The policy that would carry it comes first: a hold binds its own policy only. Then the earliest deadline.
    let order = |(index, claim): &&(usize, Claim<'_>)| {
        (
            claim.unknown.is_some(),
            !claim.acts(),
            claim.ruling.deadline.is_none(),
            claim.ruling.deadline,
            *index,
        )
    };
    let (_, winner) = claims.iter().min_by_key(order)?;
    let binding = earliest(winner, &claims);
    let conflict = conflict(&claims);
    explain_losers(case, winner, &claims, steps);
    explain_binding(case, winner, binding, steps);
    let timeliness = binding.timeliness;
    let (status, detail) = status(case, winner, timeliness, &relief, steps);
    let (status, detail, planned_from_stale) = stale(case, status, detail, winner, steps);
    let unplanned = match &conflict {
        Some(_) => Some(Unplanned::Conflict),
        None => winner
            .policy
            .unplanned()
            .or_else(|| case.hit.is_fixed_in_source_only().then_some(Unplanned::FixedInSource)),
    };
    let detail = match source_words(case) {
        Some(words) => Some(detail.map_or_else(|| words.clone(), |detail| joined(detail, Some(&words)))),
        None => detail,
    };
    let conflicting = conflict.map(|(a, b, field)| conflict_words(case, a, b, field));
    let advice = "give them the same, or let one of them exclude what the other claims";
    let mut notes: Vec<String> = conflicting.iter().map(|words| format!("{words}; {advice}")).collect();
    notes.extend(claims.iter().filter_map(|(_, c)| c.unknown.clone()));
    steps.say("status", || {
        let why = detail.as_ref().map_or(String::new(), |d| format!(": {d}"));
        (format!("{status}{why}; {}", timeliness.as_str()), String::new())
    });
    let judgement = Judgement {
        status,
        timeliness,
        clock_start: binding.ruling.start,
        deadline: binding.ruling.deadline,
        original: binding.ruling.original,
        // Whoever carries it, and whichever deadline binds: a triage that one policy asks for is asked for.
        forensics: claims
            .iter()
            .any(|(_, c)| c.ruling.forensics && c.policy.spec().mode != Mode::Observe),
        lane: winner.ruling.lane,
        policy: Some(Arc::clone(&winner.policy.resource.name)),
        sla: binding.policy.sla.map(|s| Arc::clone(&s.name)),
        rule: Some(Arc::clone(&binding.ruling.rule)),
        decision: decision(case, winner.policy),
        planned_from_stale,
        unplanned,
        detail: conflicting
            .map(|words| joined(words, relief.partial.as_deref()))
            .or(detail)
            .map(Arc::from),
    };
    Some(Judged { judgement, notes })
}

/// The claim whose deadline is the earliest: it binds whichever policy carries the finding, so that a hold cannot move it.
/// A policy that only observes, or that cannot be heard, binds nobody but itself.
fn earliest<'c, 'a>(winner: &'c Claim<'a>, claims: &'c [(usize, Claim<'a>)]) -> &'c Claim<'a> {
    let counts = |claim: &&Claim<'_>| {
        claim.ruling.deadline.is_some() && claim.unknown.is_none() && claim.policy.spec().mode != Mode::Observe
    };
    if winner.unknown.is_some() || winner.policy.spec().mode == Mode::Observe {
        return winner;
    }
    let carried_first = |claim: &&Claim<'_>| (claim.ruling.deadline, !std::ptr::eq(*claim, winner));
    let real = claims.iter().map(|(_, claim)| claim).filter(counts);
    real.min_by_key(carried_first).unwrap_or(winner)
}

fn explain_binding(case: &Case<'_>, winner: &Claim<'_>, binding: &Claim<'_>, steps: &mut Steps) {
    if std::ptr::eq(winner, binding) {
        return;
    }
    steps.say("deadline", || {
        let (carrier, earliest) = (&winner.policy.resource.name, &binding.policy.resource.name);
        let deadline = binding.ruling.deadline.map_or_else(String::new, |d| d.to_string());
        (
            format!("the deadline of policy `{earliest}` is the earliest and binds, though `{carrier}` carries it: {deadline}"),
            case.rules.at(binding.policy.resource, "/spec/sla"),
        )
    });
}

/// Why no version of the binary package can be named.
fn source_words(case: &Case<'_>) -> Option<String> {
    let hit = case.hit;
    let (source, fixed) = hit.source.as_ref().zip(hit.fixed.as_ref())?;
    hit.is_fixed_in_source_only().then(|| {
        format!(
            "the fix is version {fixed} of the source `{source}`; which version of {} has it is not known",
            hit.package
        )
    })
}

/// A detail and what else must not be lost.
fn joined(detail: String, more: Option<&str>) -> String {
    match more {
        Some(more) => format!("{detail}; {more}"),
        None => detail,
    }
}

fn decision(case: &Case<'_>, policy: &Policy<'_>) -> super::finding::Decision {
    let class = case.class.map(|c| &c.spec);
    let exposure = class.map(|c| c.exposure.unwrap_or(Exposure::Public));
    decide(
        policy.severity(case.advisory.severity),
        case.is_exploited(),
        case.past().epss(),
        exposure,
        class.map(|c| c.criticality),
    )
}

fn claim_of<'a>(
    case: &Case<'a>,
    index: usize,
    scope: &Answer,
    relief: &Relief,
    steps: &mut Steps,
) -> Option<Claim<'a>> {
    let policy = case.rules.policies.get(index)?;
    // The lane an include may ask for is the SLA's; its words are told only once the policy is known to claim.
    let lane = deadline::ruling(policy, case, relief.restart, &mut Steps::default()).lane;
    let claimed = claim::claims(policy, case, lane, steps);
    if claimed == Answer::No {
        return None;
    }
    let ruling = deadline::ruling(policy, case, relief.restart, steps);
    let name = &policy.resource.name;
    let unknown = match (scope, claimed) {
        (Answer::Unknown(why), _) => {
            let at = case.rules.placed(policy.resource, "/spec/scope");
            Some(format!("scope of policy `{name}`{at} cannot be decided: {why}"))
        }
        (_, Answer::Unknown(why)) => Some(why.to_string()),
        _ => ruling.unknown.clone(),
    };
    if case.advisory.severity == Severity::Unknown {
        steps.say("severity", || {
            let at = policy
                .sla
                .map_or_else(String::new, |sla| case.rules.at(sla, "/spec/unknownSeverity"));
            let counted = policy.severity(Severity::Unknown);
            (
                format!("policy `{name}`: the severity is unknown and counts as {counted} (`unknownSeverity`)"),
                at,
            )
        });
    }
    let at_risk = policy.sla.map_or(Amount::Share(7_500), |s| s.spec.at_risk);
    let timeliness = deadline::timeliness(&ruling, at_risk, case.rules.now);
    let held = claim::held(policy, case, steps);
    let manual = manual(policy.spec(), case);
    if let Some(kind) = manual {
        steps.say("release", || {
            let at = case.rules.at(policy.resource, "/spec/release/manual");
            (
                format!("policy `{name}`: a person must ask for {} advisories", kind.as_str()),
                at,
            )
        });
    }
    Some(Claim {
        policy,
        ruling,
        timeliness,
        unknown,
        held,
        manual,
    })
}

/// The type that makes the advisory wait for a person; one of several types suffices.
fn manual(policy: &PatchPolicySpec, case: &Case<'_>) -> Option<AdvisoryType> {
    case.advisory
        .types
        .iter()
        .copied()
        .find(|kind| policy.release.manual.contains(kind))
}

/// Two policies whose claims on one finding cannot both be followed, and the first field they differ in. Policies that
/// only observe claim nothing; a hold does not undo a claim, it only ends later.
fn conflict(claims: &[(usize, Claim<'_>)]) -> Option<(usize, usize, &'static str)> {
    let mut real = claims.iter().filter(|(_, c)| c.policy.spec().mode != Mode::Observe);
    let (first, a) = real.next()?;
    let a = a.policy.spec();
    real.find_map(|(second, b)| Some((*first, *second, difference(a, b.policy.spec())?)))
}

fn difference(a: &PatchPolicySpec, b: &PatchPolicySpec) -> Option<&'static str> {
    let fields = [
        ("rollout", a.rollout != b.rollout),
        ("strategy", a.strategy != b.strategy),
        ("requires", a.requires != b.requires),
    ];
    fields.into_iter().find_map(|(field, differs)| differs.then_some(field))
}

/// What is refused and which lines decide.
fn conflict_words(case: &Case<'_>, a: usize, b: usize, field: &str) -> String {
    let side = |index: usize| {
        case.rules.policies.get(index).map_or_else(String::new, |policy| {
            let place = case.rules.placed(policy.resource, &format!("/spec/{field}"));
            format!("`{}`{place}", policy.resource.name)
        })
    };
    format!(
        "refused: policies {} and {} claim it with different `{field}`",
        side(a),
        side(b)
    )
}

fn explain_losers(case: &Case<'_>, winner: &Claim<'_>, claims: &[(usize, Claim<'_>)], steps: &mut Steps) {
    for (_, claim) in claims.iter().filter(|(_, c)| !std::ptr::eq(c.policy, winner.policy)) {
        steps.say("policy", || {
            let words = |c: &Claim<'_>| {
                let deadline = c.ruling.deadline.map_or("no deadline".into(), |d| d.to_string());
                format!("`{}` ({deadline})", c.policy.resource.name)
            };
            let why = match (claim.acts(), winner.acts()) {
                (false, true) => "which does not carry it now",
                _ => "which is not earlier",
            };
            let at = case.rules.at(claim.policy.resource, "/spec");
            (
                format!("policy {} wins over {}, {why}", words(winner), words(claim)),
                at,
            )
        });
    }
}

/// The first status that applies, in the order of [`Status`], leaving staleness to [`stale`].
fn status(
    case: &Case<'_>,
    claim: &Claim<'_>,
    timeliness: Timeliness,
    relief: &Relief,
    steps: &mut Steps,
) -> (Status, Option<String>) {
    let mut candidates: Vec<(Status, String)> = Vec::new();
    candidates.extend(relief.closed.clone());
    if let Some(engine) = live_patched(case) {
        steps.say("live-patch", || (format!("{engine} covers it"), String::new()));
        candidates.push((
            Status::Mitigated,
            format!("live patch ({engine}) covers it; the deadline is that of the reboot"),
        ));
    }
    let undecidable = match case.cause {
        Cause::Undecidable(why) => Some(why.to_string()),
        _ => None,
    };
    if case.hit.fixed.is_none() && undecidable.is_none() {
        candidates.push((Status::Unpatchable, "no fixed version is published".into()));
    }
    if let Cause::Entitled(needs) = case.cause
        && case
            .profile
            .entitlements
            .as_ref()
            .is_some_and(|have| !have.contains(needs))
    {
        candidates.push((Status::Unpatchable, format!("no entitlement: the fix needs `{needs}`")));
    }
    if let Some(why) = undecidable.or_else(|| claim.unknown.clone()) {
        candidates.push((Status::Unknown, why));
    }
    match case.cause {
        Cause::Reboot => candidates.push((
            Status::PendingReboot,
            "the next boot has the fix; the running kernel has not".into(),
        )),
        Cause::OldCode => candidates.push((Status::PendingReboot, "a process still runs old code".into())),
        Cause::Open | Cause::Entitled(_) | Cause::Undecidable(_) => {}
    }
    if let Some(held) = &claim.held {
        candidates.push((Status::Held, held.clone()));
    }
    if let Some(kind) = claim.manual {
        candidates.push((
            Status::AwaitingApproval,
            format!("a person must ask for {} advisories", kind.as_str()),
        ));
    }
    let first = candidates.into_iter().min_by_key(|(status, _)| *status);
    let (status, detail) = match first {
        Some((status, detail)) => (status, Some(detail)),
        None => (of_time(timeliness), None),
    };
    let detail = match detail {
        Some(detail) => Some(joined(detail, relief.partial.as_deref())),
        None => relief.partial.clone(),
    };
    (status, detail)
}

const fn of_time(timeliness: Timeliness) -> Status {
    match timeliness {
        Timeliness::Breached => Status::Breached,
        Timeliness::AtRisk => Status::AtRisk,
        Timeliness::OnTime => Status::Due,
    }
}

/// A stale observation makes `unknown` of whatever would come after it, and is planned from the last facts where that
/// would have been planned. What is closed on record stays closed: the record does not grow old.
fn stale(
    case: &Case<'_>,
    status: Status,
    detail: Option<String>,
    claim: &Claim<'_>,
    steps: &mut Steps,
) -> (Status, Option<String>, bool) {
    if !case.profile.stale || status <= Status::Excepted {
        return (status, detail, false);
    }
    steps.say("stale", || {
        (
            format!("the observation is stale; from its last facts it would be {status}"),
            String::new(),
        )
    });
    if status == Status::Unknown {
        return (status, detail, false);
    }
    let planned = claim.unknown.is_none()
        && matches!(
            status,
            Status::PendingReboot | Status::Breached | Status::AtRisk | Status::Due
        );
    let was = detail.map_or(String::new(), |d| format!(" ({d})"));
    (
        Status::Unknown,
        Some(format!(
            "the observation is stale; from its last facts it would be {status}{was}"
        )),
        planned,
    )
}

/// The engine of a live patch that covers the advisory or all its CVEs.
fn live_patched<'a>(case: &Case<'a>) -> Option<&'a str> {
    let (engine, fixes) = case.profile.live_patch.as_ref()?;
    let covered = |name: &Arc<str>| fixes.contains(name);
    let mut cves = case.cves().peekable();
    let all = cves.peek().is_some() && cves.all(covered);
    (covered(&case.advisory.id) || all).then_some(engine.as_ref())
}
