//! What must change on which asset by when, and why.
//!
//! Three steps, each done once for whatever is alike: `found` matches distinct packages and walks distinct package
//! sets; an asset's `case::Profile` is everything of it that can change a judgement; `judged` judges each distinct
//! (profile, subject) and puts together each distinct (profile, hit list). Nothing depends on the number of threads or on
//! the order in which sources were read.

mod absence;
mod case;
mod claim;
mod claims;
mod deadline;
mod decision;
mod display;
mod exception;
mod explain;
pub(crate) mod facts;
mod finding;
mod found;
mod judge;
mod judged;
mod kernel;
mod matching;
mod parts;
mod release;
mod remarks;
pub mod rows;
mod rules;
mod scope;
mod tabled;
mod timeline;
mod trace;
mod unsourced;

#[cfg(test)]
pub(crate) mod world;

#[cfg(test)]
mod deadline_tests;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod said_tests;
#[cfg(test)]
pub(crate) mod sla_tests;
#[cfg(test)]
mod tests;

pub use absence::{may_be_away, retire_gone};
pub(crate) use claims::Claims;
pub use explain::{FindingTrace, Trace, explain};
pub use finding::*;
pub use trace::Step;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rayon::prelude::*;

use self::case::Profile;
use self::rules::Rules;
use self::scope::{Answer, Answers, ClassChoice};
use self::trace::Steps;
use crate::history::Memory;
use crate::load::Catalog;
use crate::load::wire::Lifecycle;
use crate::lookup::Lookup;
use crate::observe::{Asset, Observation};

/// Every finding of every asset, judged at `now`.
///
/// Rows are given for observed assets that are not retired, for hits that at least one policy in scope claims. What is
/// no finding but must be said (never observed, no coverage, no class, no policy, half-configured packages) stands in
/// `remarks`; what concerns rules stands in `diagnostics`.
///
/// Decisions where the contract leaves room:
/// - A finding is breached after its deadline, not at it.
/// - An asset whose release no fresh advisory source claims is `unknown` by a remark; the findings it has are still
///   judged and planned: that a feed is old does not make what it said untrue.
/// - `next-cycle` under a policy without cadence takes the SLA's default, if that is a duration, else the finding is
///   `unknown`.
/// - Where several policies claim a finding, one that would carry it beats one that holds it back or only observes;
///   among those the earliest deadline wins. The deadline and `timeliness` are those of the earliest of all that do
///   more than observe, so a hold cannot hide a breach; the lane is that of the policy that carries it.
pub fn assess(catalog: &Catalog, observation: &Observation, memory: &Memory, now: Timestamp) -> Assessment {
    let rules = Rules::new(catalog, observation, memory, now);
    let scoped = scopes(&rules, observation);
    let index = matching::FixIndex::new(observation, now);
    let findings = parts::with_parts(observation, &index, None, found::find(observation, &index, None));
    let judged = judged::judge_all(&rules, observation, &findings, &scoped);
    let (remarks, mut diagnostics) = remarks::say(&rules, observation, &index, &findings, &scoped);
    diagnostics.extend(judged.notes);
    diagnostics.sort();
    diagnostics.dedup();
    Assessment {
        hits: judged.hits,
        judgements: judged.judgements,
        lists: judged.lists,
        list_of: judged.list_of,
        class_of: scoped.class_names(&rules),
        remarks,
        diagnostics,
    }
}

/// The class of every asset, in order of the observation: the one with the highest priority that matches. None where no
/// class matches, several of the highest priority do, or one that could win cannot be decided.
pub fn classes(catalog: &Catalog, observation: &Observation) -> Vec<Option<Arc<str>>> {
    let memory = Memory::default();
    // Neither time nor memory bears on a class.
    let rules = Rules::new(catalog, observation, &memory, Timestamp::UNIX_EPOCH);
    scopes(&rules, observation).class_names(&rules)
}

/// The names of the policies in whose scope each asset is, in order of the observation; each list sorted.
pub fn scope(catalog: &Catalog, observation: &Observation) -> Vec<Vec<Arc<str>>> {
    // Neither time nor memory bears on a scope.
    Claims::new(catalog, observation, &Memory::default(), Timestamp::UNIX_EPOCH).scope()
}

fn scope_names(rules: &Rules<'_>, scoped: &Scoped) -> Vec<Vec<Arc<str>>> {
    let name = |index: &usize| rules.policies.get(*index).map(|p| Arc::clone(&p.resource.name));
    let policies_of = |profile: &u32| {
        let profile = scoped.profiles.get(*profile as usize);
        let policies = profile
            .into_iter()
            .flat_map(|p| &p.policies)
            .filter(|(_, answer)| *answer == Answer::Yes);
        policies.filter_map(|(index, _)| name(index)).collect()
    };
    scoped.profile_of.iter().map(policies_of).collect()
}

/// Class, scope and profile of every asset.
pub(crate) struct Scoped {
    class_of: Vec<ClassChoice>,
    profile_of: Vec<u32>,
    /// Distinct, in order of first sight.
    profiles: Vec<Profile>,
}

impl Scoped {
    fn class_names(&self, rules: &Rules<'_>) -> Vec<Option<Arc<str>>> {
        let name = |choice: &ClassChoice| scope::chosen(rules, choice.index()).map(|c| Arc::clone(&c.name));
        self.class_of.iter().map(name).collect()
    }
}

/// So many assets share one store of answers; a thread takes whole runs.
const RUN: usize = 4096;

fn scopes(rules: &Rules<'_>, observation: &Observation) -> Scoped {
    let runs: Vec<Vec<(ClassChoice, Profile)>> = observation
        .assets
        .par_chunks(RUN)
        .map(|run| {
            let mut answers = Answers::default();
            run.iter()
                .map(|asset| scoped(rules, asset, &mut answers, &mut Steps::default()))
                .collect()
        })
        .collect();
    let mut ids: Lookup<Profile, u32> = Lookup::default();
    let mut all = Scoped {
        class_of: Vec::new(),
        profile_of: Vec::new(),
        profiles: Vec::new(),
    };
    for (class, profile) in runs.into_iter().flatten() {
        let id = *ids.entry(profile).or_insert_with_key(|profile| {
            all.profiles.push(profile.clone());
            all.profiles.len() as u32 - 1
        });
        all.class_of.push(class);
        all.profile_of.push(id);
    }
    all
}

/// Class and profile of one asset.
fn scoped<'c>(
    rules: &Rules<'c>,
    asset: &Asset,
    answers: &mut Answers<'c>,
    steps: &mut Steps,
) -> (ClassChoice, Profile) {
    let choice = scope::class(rules, asset, answers, steps);
    let class = choice.index();
    let get = |path: &str| facts::of_asset(asset, path);
    let facts_of = &asset.facts;
    let retired = asset.lifecycle == Lifecycle::Retired;
    let mut profile = Profile {
        class,
        policies: if retired {
            Vec::new()
        } else {
            scope::policies(rules, asset, class, answers, steps)
        },
        exceptions: scope::exceptions(rules, asset, class, answers),
        selectors: rules
            .selectors
            .iter()
            .map(|s| s.is_none_or(|s| scope::labelled(s, asset)))
            .collect(),
        stale: asset.stale,
        first_seen: rules.first_seen.then(|| rules.asset_seen(&asset.name)),
        live_patch: Profile::live_patch(facts_of.live_patch.as_ref()),
        entitlements: facts_of
            .entitlements
            .as_ref()
            .filter(|_| rules.entitlements)
            .map(|e| e.to_vec()),
        exposure: scope::exposure(rules, asset, class),
        in_scope: Vec::new(),
        available: facts_of.available.filter(|_| rules.available),
        facts: scope::fingerprint(&rules.asset_facts, &get),
    };
    profile.in_scope = scope::in_scope(rules, asset, &profile.policies);
    (choice, profile)
}

/// The advisory sources whose claim covers an asset's release, split by freshness: (fresh, stale).
pub(crate) fn coverage<'o>(observation: &'o Observation, asset: &Asset) -> (BTreeSet<&'o str>, BTreeSet<&'o str>) {
    let (mut fresh, mut stale) = (BTreeSet::new(), BTreeSet::new());
    let Some(os) = &asset.facts.os else {
        return (fresh, stale);
    };
    for claim in &observation.coverage {
        if claim.os_id == os.id && claim.release.as_deref().is_none_or(|release| release == os.major()) {
            if claim.fresh {
                fresh.insert(claim.source.as_ref())
            } else {
                stale.insert(claim.source.as_ref())
            };
        }
    }
    (fresh, stale)
}
