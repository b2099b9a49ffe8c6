//! Why an asset's findings are judged as they are: the same code as [`super::assess`], with its steps written down.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::case::Case;
use super::finding::{Decision, Status, Timeliness};
use super::found::{self, Cause, Found};
use super::matching::FixIndex;
use super::rules::Rules;
use super::scope::{self, Answers};
use super::trace::{Step, Steps};
use super::{coverage, judge, parts};
use crate::history::Memory;
use crate::load::Catalog;
use crate::load::wire::{Lane, Lifecycle};
use crate::observe::{Asset, Observation};

/// Why an asset is judged as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The asset.
    pub asset: Arc<str>,
    /// The instant it is judged at.
    pub now: Timestamp,
    /// Class, scope, coverage, observation: what holds for every finding of the asset.
    pub steps: Vec<Step>,
    /// One entry a finding, or a hit that no policy claims, by advisory, package, architecture.
    pub findings: Vec<FindingTrace>,
}

/// Why one finding is judged as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingTrace {
    /// The advisory's id.
    pub advisory: Arc<str>,
    /// The package.
    pub package: Arc<str>,
    /// Its architecture.
    pub arch: Arc<str>,
    /// Installed (or running) version.
    pub installed: Arc<str>,
    /// First fixed version, if there is one.
    pub fixed: Option<Arc<str>>,
    /// Status; none when no policy claims it, so that it is no finding.
    pub status: Option<Status>,
    /// Timeliness.
    pub timeliness: Option<Timeliness>,
    /// Deadline.
    pub deadline: Option<Timestamp>,
    /// Lane.
    pub lane: Option<Lane>,
    /// Risk decision.
    pub decision: Option<Decision>,
    /// The policy that wins.
    pub policy: Option<Arc<str>>,
    /// Everything that decided, in order.
    pub steps: Vec<Step>,
}

/// Explains one asset, or one advisory on it (by id or alias). None when `asset_index` is not one of the observation.
///
/// Inputs as for [`super::assess`]; the judgements are the same because the same functions make them.
pub fn explain(
    catalog: &Catalog,
    observation: &Observation,
    memory: &Memory,
    now: Timestamp,
    asset_index: usize,
    advisory: Option<&str>,
) -> Option<Trace> {
    let asset = observation.assets.get(asset_index)?;
    let rules = Rules::new(catalog, observation, memory, now);
    let mut steps = Steps::recording();
    explain_facts(observation, asset, &mut steps);
    let (choice, profile) = super::scoped(&rules, asset, &mut Answers::default(), &mut steps);
    let index = FixIndex::new(observation, now);
    let only = Some(asset_index);
    let findings = parts::with_parts(observation, &index, only, found::find(observation, &index, only));
    let list = findings.list_of.get(asset_index).copied().flatten();
    let hits = list
        .and_then(|list| findings.lists.get(list as usize))
        .map_or(&[][..], |l| l);
    let mut traces = Vec::new();
    for found in hits.iter().filter_map(|hit| findings.found.get(*hit as usize)) {
        let Some(record) = observation.advisories.get(found.hit.advisory as usize) else {
            continue;
        };
        let class = scope::chosen(&rules, choice.index());
        let (hit, cause) = (&found.hit, &found.cause);
        let case = Case {
            rules: &rules,
            profile: &profile,
            asset,
            class,
            advisory: record,
            hit,
            cause,
        };
        if advisory.is_none_or(|name| case.is_called(name)) {
            traces.push(finding(&case, found));
        }
    }
    if let Some(name) = advisory.filter(|_| traces.is_empty()) {
        explain_absence(observation, name, now, &mut steps);
    }
    Some(Trace {
        asset: Arc::clone(&asset.name),
        now,
        steps: steps.take(),
        findings: traces,
    })
}

fn explain_facts(observation: &Observation, asset: &Asset, steps: &mut Steps) {
    steps.say("observation", || {
        let fact = match (asset.observed_at, asset.stale) {
            (None, _) => "never observed: unknown".to_owned(),
            (Some(at), true) => format!("observed {at}; stale, so findings are unknown and planned from these facts"),
            (Some(at), false) => format!("observed {at}; fresh"),
        };
        let from = asset
            .provenance
            .first()
            .map_or(String::new(), |p| format!("{}:{}", p.file, p.record));
        (fact, from)
    });
    if asset.lifecycle == Lifecycle::Retired {
        steps.say("lifecycle", || ("retired: it has no findings".into(), String::new()));
    }
    let (fresh, stale) = coverage(observation, asset);
    steps.say("coverage", || {
        let list = |names: Vec<&str>| names.join(", ");
        let release = asset
            .facts
            .os
            .as_ref()
            .map_or("an unknown release".into(), |os| format!("{} {}", os.id, os.major()));
        let fact = match (fresh.is_empty(), stale.is_empty()) {
            (false, _) => format!("{release} is covered by {}", list(fresh.into_iter().collect())),
            (true, false) => format!(
                "no advisory coverage of {release}: {} is stale",
                list(stale.into_iter().collect())
            ),
            (true, true) => format!("no advisory coverage of {release}: no source claims it"),
        };
        (fact, String::new())
    });
}

fn finding(case: &Case<'_>, found: &Found) -> FindingTrace {
    let (hit, advisory) = (&found.hit, case.advisory);
    let mut steps = Steps::recording();
    steps.say("hit", || {
        let fixed = hit
            .fixed
            .as_ref()
            .map_or("no fixed version is published".into(), |f| format!("fixed in {f}"));
        let why = match &found.cause {
            Cause::Open => format!("{} {} is affected, {fixed}", hit.package, hit.installed),
            Cause::Entitled(needs) => {
                format!(
                    "{} {} is affected, {fixed}, which needs `{needs}`",
                    hit.package, hit.installed
                )
            }
            Cause::Reboot => format!(
                "the running {} {} is affected, {fixed}; the next boot has it",
                hit.package, hit.installed
            ),
            Cause::OldCode => format!(
                "{} {} has the fix, but a process still runs old code",
                hit.package, hit.installed
            ),
            Cause::Undecidable(reason) => format!("{} {}: {reason}", hit.package, hit.installed),
        };
        (
            why,
            format!("{}:{}", advisory.provenance.file, advisory.provenance.record),
        )
    });
    steps.say("advisory", || {
        let published = advisory
            .published
            .map_or("on an unknown date".into(), |p| p.to_string());
        let exploited = if case.is_exploited() {
            format!(", exploited since {}", case.exploited_since())
        } else {
            String::new()
        };
        (
            format!(
                "{} is {}, published {published}{exploited}",
                advisory.id, advisory.severity
            ),
            String::new(),
        )
    });
    let judgement = judge::judge(case, &mut steps).map(|j| j.judgement);
    if judgement.is_none() {
        steps.say("scope", || {
            ("no policy claims it: it is no finding".into(), String::new())
        });
    }
    FindingTrace {
        advisory: Arc::clone(&advisory.id),
        package: Arc::clone(&hit.package),
        arch: Arc::clone(&hit.arch),
        installed: Arc::clone(&hit.installed),
        fixed: hit.fixed.clone(),
        status: judgement.as_ref().map(|j| j.status),
        timeliness: judgement.as_ref().map(|j| j.timeliness),
        deadline: judgement.as_ref().and_then(|j| j.deadline),
        lane: judgement.as_ref().map(|j| j.lane),
        decision: judgement.as_ref().map(|j| j.decision),
        policy: judgement.and_then(|j| j.policy),
        steps: steps.take(),
    }
}

/// Why a named advisory is no finding here.
fn explain_absence(observation: &Observation, name: &str, now: Timestamp, steps: &mut Steps) {
    let mut named = observation
        .advisories
        .iter()
        .filter(|a| *a.id == *name || a.aliases.iter().any(|alias| **alias == *name))
        .peekable();
    if named.peek().is_none() {
        steps.say("advisory", || (format!("no source knows `{name}`"), String::new()));
    }
    for advisory in named {
        steps.say("advisory", || {
            let at = format!("{}:{}", advisory.provenance.file, advisory.provenance.record);
            let fact = match advisory.withdrawn.filter(|w| *w <= now) {
                Some(withdrawn) => format!("{} was withdrawn {withdrawn}", advisory.id),
                None => format!(
                    "{} hits nothing: no package it names is installed here below its fix",
                    advisory.id
                ),
            };
            (fact, at)
        });
    }
}
