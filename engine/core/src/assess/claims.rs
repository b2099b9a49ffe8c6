//! Whether a policy would take a hit on an asset: for planning, which also touches assets without a row for it.

use std::sync::Arc;

use jiff::Timestamp;

use super::case::Case;
use super::finding::Hit;
use super::found::Cause;
use super::rules::Rules;
use super::scope::{self, Answer};
use super::trace::Steps;
use super::{Scoped, claim, deadline, exception};
use crate::history::Memory;
use crate::load::Catalog;
use crate::observe::Observation;

/// Rules and scopes made ready for questions about single hits.
pub(crate) struct Claims<'a> {
    rules: Rules<'a>,
    scoped: Scoped,
    observation: &'a Observation,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(catalog: &'a Catalog, observation: &'a Observation, memory: &'a Memory, now: Timestamp) -> Self {
        let rules = Rules::new(catalog, observation, memory, now);
        let scoped = super::scopes(&rules, observation);
        Self {
            rules,
            scoped,
            observation,
        }
    }

    /// The names of the policies in whose scope each asset is, in order of the observation; each list sorted.
    pub(crate) fn scope(&self) -> Vec<Vec<Arc<str>>> {
        super::scope_names(&self.rules, &self.scoped)
    }

    /// The number of the asset's kind: [`Claims::takes`] answers alike for all assets of one kind.
    pub(crate) fn kind_of(&self, index: u32) -> u32 {
        self.scoped.profile_of.get(index as usize).copied().unwrap_or(u32::MAX)
    }

    /// Whether `policy` includes `hit` on the asset at `index`, and neither excludes nor holds it. What cannot be decided
    /// is not taken.
    pub(crate) fn takes(&self, index: u32, policy: &str, hit: &Hit) -> bool {
        self.answer(index, policy, hit).unwrap_or(false)
    }

    fn answer(&self, index: u32, policy: &str, hit: &Hit) -> Option<bool> {
        let profile = self.scoped.profile_of.get(index as usize)?;
        let profile = self.scoped.profiles.get(*profile as usize)?;
        let in_scope = profile
            .policies
            .iter()
            .filter(|(_, answer)| *answer == Answer::Yes)
            .filter_map(|(i, _)| self.rules.policies.get(*i));
        let policy = in_scope.into_iter().find(|p| *p.resource.name == *policy)?;
        let case = Case {
            rules: &self.rules,
            profile,
            asset: self.observation.assets.get(index as usize)?,
            class: scope::chosen(&self.rules, profile.class),
            advisory: self.observation.advisories.get(hit.advisory as usize)?,
            hit,
            cause: &Cause::Open,
        };
        let steps = &mut Steps::default();
        let relief = exception::relief(&case, steps);
        let lane = deadline::ruling(policy, &case, relief.restart, steps).lane;
        let claimed = claim::claims(policy, &case, lane, steps) == Answer::Yes;
        Some(claimed && claim::held(policy, &case, steps).is_none())
    }
}
