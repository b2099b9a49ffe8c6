//! The catalog made ready for judging: rules in order of name, cadences expanded once, and which facts they read.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;

use super::finding::Unplanned;
use super::timeline::Past;
use crate::history::Memory;
use crate::load::expr::{ExprError, FactValue};
use crate::load::table::DecisionTable;
use crate::load::wire::{
    AssetClassSpec, Clock, Exclude, Include, Mode, PatchExceptionSpec, PatchPolicySpec, SlaPolicySpec, UnknownDate,
};
use crate::load::{Catalog, Resource, schedule};
use crate::name::{LabelSelector, Severity};
use crate::observe::{AdvisoryRecord, Observation, SourceStatus};
use crate::time::{Boundary, Recurrence};

/// A PatchPolicy with what it names.
pub(super) struct Policy<'c> {
    pub(super) resource: &'c Resource<PatchPolicySpec>,
    pub(super) sla: Option<&'c Resource<SlaPolicySpec>>,
    /// The decision table of the SLA, if it has one that can be asked.
    pub(super) table: Option<&'c DecisionTable>,
    /// Some clock of the SLA starts when an asset comes into scope.
    pub(super) counts_scope: bool,
    pub(super) cadence: Option<Recurrence>,
    /// First index of its selectors in [`Rules::selectors`]: one for each SLA rule, then the baseline's.
    pub(super) selectors_from: usize,
}

impl Policy<'_> {
    pub(super) fn spec(&self) -> &PatchPolicySpec {
        &self.resource.spec
    }

    /// Severity after `unknownSeverity`.
    pub(super) fn severity(&self, severity: Severity) -> Severity {
        match (severity, self.sla) {
            (Severity::Unknown, Some(sla)) => sla.spec.unknown_severity,
            (Severity::Unknown, None) => Severity::High,
            (known, _) => known,
        }
    }

    pub(super) fn unplanned(&self) -> Option<Unplanned> {
        (self.spec().mode == Mode::Observe).then_some(Unplanned::ObserveOnly)
    }
}

/// Which parts of a hit conditions can tell apart, beyond advisory and package name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HitFacts {
    pub(super) arch: bool,
    pub(super) module: bool,
    pub(super) installed: bool,
    pub(super) fixed: bool,
}

/// Everything authored that judging needs.
pub(super) struct Rules<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) memory: &'c Memory,
    pub(super) observation: &'c Observation,
    pub(super) now: Timestamp,
    /// Some catalogue of exploited vulnerabilities was read: what does not stand in it is not in it.
    pub(super) kev_known: bool,
    /// Some clock starts when a fix is available.
    pub(super) available: bool,
    /// By advisory; made when first asked for, because most advisories hit nothing.
    pasts: Vec<OnceLock<Past>>,
    no_place: OnceLock<Past>,
    pub(super) policies: Vec<Policy<'c>>,
    pub(super) classes: Vec<&'c Resource<AssetClassSpec>>,
    pub(super) exceptions: Vec<&'c Resource<PatchExceptionSpec>>,
    /// Label selectors that are asked about a finding's asset; none = everything.
    pub(super) selectors: Vec<Option<&'c LabelSelector>>,
    /// Facts of the asset that conditions about findings read, without those of its class.
    pub(super) asset_facts: Vec<&'static str>,
    pub(super) hit_facts: HitFacts,
    /// Some clock may start when an asset was first seen.
    pub(super) first_seen: bool,
    /// Some fix is behind an entitlement.
    pub(super) entitlements: bool,
}

impl<'c> Rules<'c> {
    pub(super) fn new(catalog: &'c Catalog, observation: &'c Observation, memory: &'c Memory, now: Timestamp) -> Self {
        let mut selectors = Vec::new();
        let policies: Vec<Policy<'c>> = catalog
            .policies
            .values()
            .map(|resource| {
                let sla = catalog.slas.get(resource.spec.sla.as_str());
                let selectors_from = selectors.len();
                selectors.extend(
                    sla.iter()
                        .flat_map(|s| s.spec.rules.iter().map(|r| r.selector.as_ref())),
                );
                selectors.push(resource.spec.baseline.as_ref().and_then(|b| b.selector.as_ref()));
                let cadence = resource
                    .spec
                    .cadence
                    .as_ref()
                    .and_then(|c| schedule::recurrence(c, &catalog.zone.0).ok());
                Policy {
                    resource,
                    sla,
                    table: sla.and_then(|s| catalog.tables.get(&s.name)).map(Arc::as_ref),
                    counts_scope: sla.is_some_and(|s| s.spec.clocks().contains(&Clock::InScope)),
                    cadence,
                    selectors_from,
                }
            })
            .collect();
        let facts = finding_facts(catalog, &policies);
        let asset_facts = facts
            .iter()
            .copied()
            .filter(|f| f.starts_with("asset.") && !f.starts_with("asset.class."));
        let hold_versions = policies
            .iter()
            .any(|p| p.spec().holds.iter().any(|h| h.versions.is_some()));
        let hit_facts = HitFacts {
            arch: facts.contains("finding.arch"),
            module: facts.contains("finding.module"),
            installed: facts.contains("finding.installed") || facts.contains("finding.running"),
            fixed: hold_versions || facts.contains("finding.fixed"),
        };
        let kev = |status: &&SourceStatus| {
            let spec = catalog.sources.get(status.name.as_ref());
            status.failure.is_none() && spec.is_some_and(|s| s.spec.format == "kev")
        };
        Self {
            memory,
            observation,
            now,
            kev_known: observation.sources.iter().find(kev).is_some(),
            available: (policies.iter().filter_map(|p| p.sla)).any(|s| s.spec.clocks().contains(&Clock::Available)),
            pasts: observation.advisories.iter().map(|_| OnceLock::new()).collect(),
            no_place: OnceLock::new(),
            classes: catalog.classes.values().collect(),
            exceptions: catalog.exceptions.values().collect(),
            asset_facts: asset_facts.collect(),
            first_seen: first_seen_matters(&policies, observation),
            entitlements: observation
                .advisories
                .iter()
                .any(|a| a.fixes.iter().any(|f| f.entitlement.is_some())),
            catalog,
            policies,
            selectors,
            hit_facts,
        }
    }

    /// Answers a condition of the catalog. One that did not compile has no answer for anybody.
    pub(super) fn holds(&self, text: &str, get: &dyn Fn(&str) -> Option<FactValue>) -> Result<bool, ExprError> {
        match self.catalog.expression(text) {
            Some(expression) => expression.eval(get),
            None => Err(ExprError::Evaluation(format!("`{text}` is not a valid condition"))),
        }
    }

    /// `file:line` of a value of a resource.
    pub(super) fn at<T>(&self, resource: &Resource<T>, pointer: &str) -> String {
        self.catalog.at(resource.doc, pointer)
    }

    /// The same in brackets, for the middle of a sentence; nothing when the place is not known.
    pub(super) fn placed<T>(&self, resource: &Resource<T>, pointer: &str) -> String {
        let at = self.at(resource, pointer);
        if at.is_empty() { at } else { format!(" ({at})") }
    }

    /// What is known of an advisory of the observation over time.
    pub(super) fn past(&self, index: u32, advisory: &AdvisoryRecord) -> &Past {
        // Every hit is about an advisory of this observation, so there is a place for it.
        let place = self.pasts.get(index as usize).unwrap_or(&self.no_place);
        place.get_or_init(|| Past::new(self, advisory))
    }

    /// When the advisory was first seen; one never remembered is seen now.
    pub(super) fn advisory_seen(&self, id: &str) -> Timestamp {
        self.memory.advisories.get(id).copied().unwrap_or(self.now)
    }

    /// When the asset was first seen; one never remembered is seen now.
    pub(super) fn asset_seen(&self, name: &str) -> Timestamp {
        self.memory.assets.get(name).copied().unwrap_or(self.now)
    }

    /// The end of an exception: the first instant it no longer holds.
    pub(super) fn expiry(&self, exception: &PatchExceptionSpec) -> Timestamp {
        exception.expires.resolve(Boundary::End, &self.catalog.zone.0)
    }
}

/// Every fact read by a condition that is asked about a finding.
fn finding_facts(catalog: &Catalog, policies: &[Policy<'_>]) -> BTreeSet<&'static str> {
    let includes = policies
        .iter()
        .flat_map(|p| p.spec().include.iter().map(|i: &Include| i.when.as_ref()));
    let excludes = policies
        .iter()
        .flat_map(|p| p.spec().exclude.iter().map(|e: &Exclude| e.when.as_ref()));
    let slas = policies
        .iter()
        .filter_map(|p| p.sla)
        .flat_map(|s| s.spec.rules.iter().map(|r| r.when.as_ref()));
    let texts = includes.chain(excludes).chain(slas).flatten();
    texts
        .filter_map(|text| catalog.expression(text))
        .flat_map(|e| e.facts.iter().copied())
        .collect()
}

/// Whether first-seen times of assets can change any deadline; if not, assets need not be told apart by them.
fn first_seen_matters(policies: &[Policy<'_>], observation: &Observation) -> bool {
    let counts = |clock: Clock| match clock {
        // `available` falls back on the first sight where the fix is not available.
        Clock::Detected | Clock::Available => true,
        Clock::Published | Clock::Exploited | Clock::InScope => false,
    };
    let undated = observation.advisories.iter().any(|a| a.published.is_none());
    policies.iter().filter_map(|p| p.sla).any(|sla| {
        let clocks = sla.spec.clocks();
        // `exploited` on an advisory that is not exploited has no date either.
        let exploited = clocks.contains(&Clock::Exploited);
        clocks.into_iter().any(counts) || ((undated || exploited) && sla.spec.unknown_date == UnknownDate::Detected)
    })
}

/// The word for a rule without a name: its place, counted from 1.
pub(super) fn rule_name(name: Option<&String>, index: usize) -> Arc<str> {
    name.map_or_else(|| format!("#{}", index + 1).into(), |n| n.as_str().into())
}
