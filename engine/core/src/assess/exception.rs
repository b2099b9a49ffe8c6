//! Recorded decisions not to fix: which findings they close, and what their end does to the clock.
//!
//! The one evaluator for every stage. `advisories` and `packages` are ANDed; a match on the advisory's own id covers it
//! as a whole, one on a CVE covers that CVE, and the finding is closed only when all its CVEs are covered.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::case::Case;
use super::finding::Status;
use super::scope::Answer;
use super::trace::Steps;
use crate::load::Resource;
use crate::load::wire::{ExceptionOutcome, OnExpiry, PatchExceptionSpec};

/// What exceptions do to a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Relief {
    /// Closed as this, by these exceptions.
    pub(super) closed: Option<(Status, String)>,
    /// Some but not all CVEs are covered.
    pub(super) partial: Option<String>,
    /// An ended exception starts the clock anew at this instant.
    pub(super) restart: Option<Timestamp>,
}

/// The status an outcome gives.
pub(super) const fn status(outcome: ExceptionOutcome) -> Status {
    match outcome {
        ExceptionOutcome::Accepted => Status::Excepted,
        ExceptionOutcome::Mitigated => Status::Mitigated,
        ExceptionOutcome::Unpatchable => Status::Unpatchable,
        ExceptionOutcome::NotAffected => Status::NotAffected,
    }
}

/// How much of an advisory an exception covers.
enum Cover<'a> {
    Whole,
    Cves(BTreeSet<&'a Arc<str>>),
}

type Exception<'a> = Resource<PatchExceptionSpec>;

/// Asks every exception that is for the asset.
pub(super) fn relief(case: &Case<'_>, steps: &mut Steps) -> Relief {
    let rules = case.rules;
    let (mut active, mut ended) = (Vec::new(), Vec::new());
    for (index, answer) in &case.profile.exceptions {
        let Some(exception) = rules.exceptions.get(*index).copied() else {
            continue;
        };
        if names_nothing(&exception.spec) {
            steps.say("exception", || {
                let fact = format!(
                    "exception `{}` gives no relief: it names neither `advisories` nor `packages`, and naming nothing is no \
                     decision about everything",
                    exception.name
                );
                (fact, rules.at(exception, "/spec"))
            });
            continue;
        }
        let Some(cover) = cover(case, exception) else { continue };
        let expiry = rules.expiry(&exception.spec);
        steps.say("exception", || {
            let name = &exception.name;
            let fact = match answer {
                Answer::Unknown(why) => {
                    format!("exception `{name}` gives no relief: whether it is for this asset cannot be decided: {why}")
                }
                _ if expiry <= rules.now => format!("exception `{name}` matches but ended {expiry}"),
                _ => format!("exception `{name}` matches until {expiry}: {}", exception.spec.reason),
            };
            (fact, rules.at(exception, "/spec"))
        });
        if *answer != Answer::Yes {
            continue;
        }
        if expiry > rules.now {
            active.push((exception, cover));
        } else if exception.spec.on_expiry == OnExpiry::RestartClock {
            ended.push((exception, cover));
        }
    }
    let (closed, partial) = closing(case, &active);
    let restart = closing(case, &ended)
        .0
        .map(|(_, by)| by.iter().map(|e| rules.expiry(&e.spec)).max());
    let named = |by: &[&Exception<'_>]| {
        let words = by
            .iter()
            .map(|e| format!("exception `{}` until {}", e.name, e.spec.expires));
        words.collect::<Vec<_>>().join(", ")
    };
    Relief {
        closed: closed.map(|(status, by)| (status, named(&by))),
        partial,
        restart: restart.flatten(),
    }
}

/// The status that the exceptions together give, and which of them give it; else how far they come.
///
/// One that covers everything gives its own outcome, the first in order of status where there are several. Where only
/// several together cover every CVE, the outcome is the last of theirs: the risk of the least handled CVE remains.
fn closing<'e>(
    case: &Case<'_>,
    matching: &[(&'e Exception<'e>, Cover<'_>)],
) -> (Option<(Status, Vec<&'e Exception<'e>>)>, Option<String>) {
    let all: BTreeSet<&Arc<str>> = case.cves().collect();
    let whole = matching.iter().filter(|(_, cover)| match cover {
        Cover::Whole => true,
        Cover::Cves(cves) => *cves == all,
    });
    if let Some((exception, _)) = whole.min_by_key(|(e, _)| status(e.spec.outcome)) {
        return (Some((status(exception.spec.outcome), vec![exception])), None);
    }
    let covered: BTreeSet<&Arc<str>> = matching
        .iter()
        .flat_map(|(_, cover)| match cover {
            Cover::Cves(cves) => cves.iter().copied().collect::<Vec<_>>(),
            Cover::Whole => Vec::new(),
        })
        .collect();
    if covered.is_empty() {
        return (None, None);
    }
    if covered == all {
        let last = matching.iter().map(|(e, _)| status(e.spec.outcome)).max();
        return (
            last.map(|status| (status, matching.iter().map(|(e, _)| *e).collect())),
            None,
        );
    }
    (None, Some(format!("{} of {} CVEs excepted", covered.len(), all.len())))
}

const fn names_nothing(spec: &PatchExceptionSpec) -> bool {
    spec.advisories.is_empty() && spec.packages.is_empty()
}

/// How much of the finding's advisory an exception speaks of; none when it is about something else.
fn cover<'a>(case: &'a Case<'_>, exception: &Exception<'_>) -> Option<Cover<'a>> {
    let spec = &exception.spec;
    if !spec.packages.is_empty() && !spec.packages.iter().any(|glob| glob.matches(&case.hit.package)) {
        return None;
    }
    if spec.advisories.is_empty() {
        return (!names_nothing(spec)).then_some(Cover::Whole);
    }
    let named = |name: &Arc<str>| spec.advisories.iter().any(|id| **id == **name);
    let is_cve = |name: &Arc<str>| name.starts_with("CVE-");
    // An alias that is no CVE is another name of the same advisory.
    let aliases = case.advisory.aliases.iter().filter(|alias| !is_cve(alias));
    if named(&case.advisory.id) || aliases.into_iter().any(named) {
        return Some(Cover::Whole);
    }
    let cves: BTreeSet<&Arc<str>> = case.cves().filter(|cve| named(cve)).collect();
    (!cves.is_empty()).then_some(Cover::Cves(cves))
}
