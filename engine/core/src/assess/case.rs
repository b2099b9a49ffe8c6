//! One kind of asset and one hit: what every rule about findings is asked about.

use std::sync::Arc;

use jiff::Timestamp;

use super::facts;
use super::finding::Hit;
use super::found::Cause;
use super::rules::{Policy, Rules};
use super::scope::Answer;
use crate::load::Resource;
use crate::load::expr::FactValue;
use crate::load::wire::{AssetClassSpec, Lane};
use crate::name::Severity;
use crate::observe::{AdvisoryRecord, Asset, LivePatch};

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
    pub(super) fn fact(
        &self,
        severity: Severity,
        exploited: bool,
        lane: Option<Lane>,
        path: &str,
    ) -> Option<FactValue> {
        facts::of_asset(self.asset, path)
            .or_else(|| facts::of_class(self.class, path))
            .or_else(|| facts::of_advisory(self.advisory, severity, exploited, path))
            .or_else(|| facts::of_finding(self.hit, self.cause, lane, path))
    }

    /// Answers a condition about this finding as a policy sees it.
    pub(super) fn holds(&self, policy: &Policy<'_>, text: &str, exploited: bool, lane: Option<Lane>) -> Answer {
        let severity = policy.severity(self.advisory.severity);
        Answer::of(
            self.rules
                .holds(text, &|path| self.fact(severity, exploited, lane, path)),
        )
    }

    pub(super) fn is_exploited(&self) -> bool {
        self.advisory.exploited.is_some()
    }

    /// When exploitation became known: as the catalogue says, else when we first saw it there, else now.
    pub(super) fn exploited_since(&self) -> Timestamp {
        let said = self.advisory.exploited.as_ref().and_then(|e| e.since);
        let remembered = || {
            let names = self.advisory.aliases.iter().chain([&self.advisory.id]);
            names
                .filter_map(|name| self.rules.memory.exploited.get(name))
                .min()
                .copied()
        };
        said.or_else(remembered).unwrap_or(self.rules.now)
    }

    /// When the advisory and the asset were both seen.
    pub(super) fn detected(&self) -> Timestamp {
        let asset = self
            .profile
            .first_seen
            .unwrap_or_else(|| self.rules.asset_seen(&self.asset.name));
        self.rules.advisory_seen(&self.advisory.id).max(asset)
    }

    /// When the asset came into scope: its first sight, the earliest that is remembered.
    pub(super) fn in_scope_since(&self) -> Timestamp {
        self.profile
            .first_seen
            .unwrap_or_else(|| self.rules.asset_seen(&self.asset.name))
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
