//! One kind of asset and one hit: what every rule about findings is asked about.

use std::sync::Arc;

use jiff::Timestamp;

use super::facts;
use super::finding::Hit;
use super::found::Cause;
use super::rules::{Policy, Rules};
use super::scope::Answer;
use super::timeline::{Past, Series, View};
use crate::load::Resource;
use crate::load::expr::FactValue;
use crate::load::wire::{AssetClassSpec, Exposure, Lane};
use crate::name::Severity;
use crate::observe::{AdvisoryRecord, Asset, LivePatch, PackageSetId};

/// Everything of an asset that can change how its hits are judged. Assets with equal profiles are judged alike.
///
/// Invariant \[profile\]: nothing else of the asset may be read while judging; what conditions read is in
/// `facts` by value, so any asset of the profile can stand for all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Profile {
    /// Index of its class.
    pub(super) class: Option<usize>,
    /// Policies in scope, by index.
    pub(super) policies: Vec<(usize, Answer)>,
    /// Exceptions in scope, by index.
    pub(super) exceptions: Vec<(usize, Answer)>,
    /// Answers of [`Rules::selectors`], in its order.
    pub(super) selectors: Vec<bool>,
    /// Its observation is stale.
    pub(super) stale: bool,
    /// When it was first seen, where any clock may start there.
    pub(super) first_seen: Option<Timestamp>,
    /// Advisories and CVEs covered by a live patch, with its engine.
    pub(super) live_patch: Option<(Arc<str>, Vec<Arc<str>>)>,
    /// Its entitlements, where a fix may need one; none = not observed.
    pub(super) entitlements: Option<Vec<Arc<str>>>,
    /// The exposure of its class over time; none where no class wins.
    pub(super) exposure: Option<Series<Exposure>>,
    /// Since when it is in scope, by the name of each policy whose SLA has the clock `inScope`.
    pub(super) in_scope: Vec<(Arc<str>, Timestamp)>,
    /// What it can install, where a clock starts when a fix is available.
    pub(super) available: Option<PackageSetId>,
    /// Values of the facts that conditions about findings read.
    pub(super) facts: String,
}

impl Profile {
    pub(super) fn live_patch(patch: Option<&Arc<LivePatch>>) -> Option<(Arc<str>, Vec<Arc<str>>)> {
        patch
            .filter(|p| !p.fixes.is_empty())
            .map(|p| (Arc::clone(&p.engine), p.fixes.clone()))
    }
}

/// A hit on a kind of asset.
pub(super) struct Case<'a> {
    pub(super) rules: &'a Rules<'a>,
    pub(super) profile: &'a Profile,
    /// Any asset of the profile.
    pub(super) asset: &'a Asset,
    pub(super) class: Option<&'a Resource<AssetClassSpec>>,
    pub(super) advisory: &'a AdvisoryRecord,
    pub(super) hit: &'a Hit,
    pub(super) cause: &'a Cause,
}

impl Case<'_> {
    /// The value of a fact for a condition.
    fn fact(&self, severity: Severity, view: &View, lane: Option<Lane>, path: &str) -> Option<FactValue> {
        if path == "asset.class.exposure" {
            return view.exposure.map(|e| FactValue::Str(e.as_str().to_owned()));
        }
        facts::of_asset(self.asset, path)
            .or_else(|| facts::of_class(self.class, path))
            .or_else(|| facts::of_advisory(self.advisory, severity, view, path))
            .or_else(|| facts::of_finding(self.hit, self.cause, lane, path))
    }

    /// Answers a condition about this finding as a policy sees it, with the facts of `view`.
    pub(super) fn holds(&self, policy: &Policy<'_>, text: &str, view: &View, lane: Option<Lane>) -> Answer {
        let severity = policy.severity(view.severity);
        Answer::of(self.rules.holds(text, &|path| self.fact(severity, view, lane, path)))
    }

    /// What is known of the advisory over time.
    pub(super) fn past(&self) -> &Past {
        self.rules.past(self.hit.advisory, self.advisory)
    }

    pub(super) fn is_exploited(&self) -> bool {
        self.past().exploited.is_some()
    }

    /// When exploitation became known: as the catalogue says, else when we first saw it there, else now.
    pub(super) fn exploited_since(&self) -> Timestamp {
        self.past().exploited.unwrap_or(self.rules.now)
    }

    /// When the advisory and the asset were both seen.
    pub(super) fn detected(&self) -> Timestamp {
        let asset = self
            .profile
            .first_seen
            .unwrap_or_else(|| self.rules.asset_seen(&self.asset.name));
        self.rules.advisory_seen(&self.advisory.id).max(asset)
    }

    /// When the asset came into the policy's scope; one not remembered there is in it since now.
    pub(super) fn in_scope_since(&self, policy: &Policy<'_>) -> Timestamp {
        let of = |(name, _): &&(Arc<str>, Timestamp)| *name == policy.resource.name;
        let since = self.profile.in_scope.iter().find(of).map(|(_, since)| *since);
        since.unwrap_or(self.rules.now)
    }

    /// Since when the fix can be installed on the asset: since it was first seen among what a machine of its class can
    /// install, now at the latest. None while the asset's list of available packages is unknown or lacks the fix.
    ///
    /// Sources list what is available, not since when, so the memory counts from the first sight; by class, because its
    /// assets take their content from one place, and a copy of the list for each asset would not be small.
    pub(super) fn available_since(&self) -> Option<Timestamp> {
        let fix = self
            .hit
            .offered(&self.rules.observation.tables, self.profile.available?)?;
        let of_class = self
            .class
            .and_then(|c| self.rules.memory.changes.available.get(&c.name));
        Some(
            of_class
                .and_then(|fixes| fixes.get(fix.as_str()))
                .copied()
                .unwrap_or(self.rules.now),
        )
    }

    /// Whether the advisory has this id or alias.
    pub(super) fn is_called(&self, name: &str) -> bool {
        *self.advisory.id == *name || self.advisory.aliases.iter().any(|alias| **alias == *name)
    }

    /// Its CVEs.
    pub(super) fn cves(&self) -> impl Iterator<Item = &Arc<str>> {
        let own = Some(&self.advisory.id).filter(|id| id.starts_with("CVE-"));
        own.into_iter()
            .chain(self.advisory.aliases.iter().filter(|alias| alias.starts_with("CVE-")))
    }
}
