//! When a policy cuts, and what: at a cadence instant, at each run without one, or at once where waiting is too late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::candidates::Candidates;
use super::context::Context;
use crate::assess::Row;
use crate::load::schedule;
use crate::load::wire::{Lane, Mode, PatchPolicySpec};
use crate::load::{Catalog, Resource};
use crate::time::{Boundary, Recurrence};

/// How often newcomers may restart an open rollout. Each restart asks the same people to approve the same wave again;
/// after three the newcomers wait for the next cut.
pub(super) const RESTARTS_MAX: u32 = 3;

/// What a policy does at this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cycle {
    /// It only reports.
    Observes,
    /// Nothing new until then.
    Paused(Timestamp),
    /// It cuts everything now; the instant is the one the rollout is named by.
    Cuts(Timestamp),
    /// It waits for an instant; none = there is no further one.
    Waits(Option<Timestamp>),
}

/// Where the policy is in its cycle.
pub(super) fn cycle(ctx: &Context<'_>, policy: &Resource<PatchPolicySpec>) -> Cycle {
    if policy.spec.mode == Mode::Observe {
        return Cycle::Observes;
    }
    let pause = policy
        .spec
        .pause
        .as_ref()
        .map(|p| p.until.resolve(Boundary::End, &ctx.catalog.zone.0));
    if let Some(until) = pause.filter(|until| *until > ctx.now) {
        return Cycle::Paused(until);
    }
    let Some(cadence) = cadence(ctx.catalog, policy) else {
        return Cycle::Cuts(ctx.now);
    };
    let due = due(ctx, policy, &cadence, ctx.now);
    due.map_or_else(|| Cycle::Waits(cadence.next_after(ctx.now)), Cycle::Cuts)
}

/// The newest cadence instant up to `at` that is still to be cut.
fn due(
    ctx: &Context<'_>,
    policy: &Resource<PatchPolicySpec>,
    cadence: &Recurrence,
    at: Timestamp,
) -> Option<Timestamp> {
    let newest = if cadence.starts_from(at).next() == Some(at) {
        Some(at)
    } else {
        cadence.last_before(at)
    };
    // Instants before the first run there ever was are not made up for; without a ledger this is that run.
    let first_run = ctx.history.memory.first_run.unwrap_or(ctx.now);
    let made = ctx.history.memory.cuts.get(&policy.name).copied();
    newest.filter(|at| *at >= first_run && made.is_none_or(|made| made < *at))
}

/// When a policy cuts that is paused until then: at once, if an instant fell into the pause.
pub(super) fn after_pause(
    ctx: &Context<'_>,
    policy: &Resource<PatchPolicySpec>,
    until: Timestamp,
) -> Option<Timestamp> {
    let missed = cadence(ctx.catalog, policy).and_then(|c| due(ctx, policy, &c, until));
    missed.map_or_else(|| next_cut(ctx.catalog, policy, until), |_| Some(until))
}

/// The next instant after `at` at which the policy cuts; `at` itself for a policy without cadence.
pub(super) fn next_cut(catalog: &Catalog, policy: &Resource<PatchPolicySpec>, at: Timestamp) -> Option<Timestamp> {
    match cadence(catalog, policy) {
        None => Some(at),
        Some(cadence) => cadence.starts_from(at).next(),
    }
}

fn cadence(catalog: &Catalog, policy: &Resource<PatchPolicySpec>) -> Option<Recurrence> {
    let cadence = policy.spec.cadence.as_ref()?;
    schedule::recurrence(cadence, &catalog.zone.0).ok()
}

/// `<policy>-<date of the cut>[-emergency][-2]`, free among `taken`; the date is that of the cadence's zone, else of the
/// project's.
pub(super) fn name(
    catalog: &Catalog,
    policy: &Resource<PatchPolicySpec>,
    cut: Timestamp,
    lane: Lane,
    taken: &mut BTreeSet<Arc<str>>,
) -> Arc<str> {
    let named = policy.spec.cadence.as_ref().and_then(|c| c.timezone.as_deref());
    let zone = named
        .and_then(|name| TimeZone::get(name).ok())
        .unwrap_or_else(|| catalog.zone.0.clone());
    let date = cut.to_zoned(zone).date();
    let suffix = if lane == Lane::Emergency { "-emergency" } else { "" };
    let base = format!("{}-{date}{suffix}", policy.name);
    let numbered = (2_u32..).map(|n| format!("{base}-{n}"));
    let free = std::iter::once(base.clone())
        .chain(numbered)
        .find(|n| !taken.contains(n.as_str()));
    let name: Arc<str> = free.unwrap_or(base).into();
    taken.insert(Arc::clone(&name));
    name
}

/// The planned findings of each policy in order of its name, by asset, then hit.
pub(super) fn candidates(ctx: &Context<'_>) -> Vec<(Arc<str>, Candidates)> {
    let names: Vec<&Arc<str>> = ctx.catalog.policies.keys().collect();
    let policy_of = |judgement: &crate::assess::Judgement| {
        let policy = judgement.policy.as_ref().filter(|_| judgement.is_planned())?;
        names.binary_search(&policy).ok()
    };
    let of_judgement: Vec<Option<usize>> = ctx.assessment.judgements.iter().map(policy_of).collect();
    // Once for each list: assets that are alike share it.
    let split = |rows: &Arc<[Row]>| {
        let mut of_policy: BTreeMap<usize, Vec<Row>> = BTreeMap::new();
        for row in rows.iter() {
            let policy = of_judgement.get(row.judgement as usize).copied().flatten();
            // Without a fixing version there is nothing to carry; such a finding is `unpatchable` or says so itself.
            if let Some(policy) = policy.filter(|_| ctx.hit(row.hit).is_some_and(|h| h.fixed.is_some())) {
                of_policy.entry(policy).or_default().push(*row);
            }
        }
        let shared = of_policy.into_iter().map(|(policy, rows)| (policy, Arc::from(rows)));
        shared.collect()
    };
    let lists: Vec<Vec<(usize, Arc<[Row]>)>> = ctx.assessment.lists.iter().map(split).collect();
    let mut found: Vec<Candidates> = vec![Candidates::default(); names.len()];
    for (asset, list) in (0_u32..)
        .zip(&ctx.assessment.list_of)
        .take(ctx.observation.assets.len())
    {
        for (policy, rows) in lists.get(*list as usize).into_iter().flatten() {
            let slot = found.get_mut(*policy);
            slot.into_iter().for_each(|all| all.push(asset, Arc::clone(rows)));
        }
    }
    names.into_iter().cloned().zip(found).collect()
}
