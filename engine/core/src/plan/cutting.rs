//! What is cut now: everything at a cadence instant, between two what would be too late at the next; and newcomers that
//! join an open rollout.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::candidates::{Candidates, Gathered};
use super::carry::Load;
use super::compose::{Composer, finishes, takes};
use super::cut::{self, RESTARTS_MAX};
use super::limits::{self, Start};
use super::prepare::{Draft, Prepared};
use super::schedule::{later, schedule};
use super::shared::Same;
use super::targets;
use crate::assess::Row;
use crate::history::Target;
use crate::load::Resource;
use crate::load::wire::{Lane, PatchPolicySpec, RolloutStrategySpec};
use crate::lookup::Lookup;

impl<'a> Composer<'a, '_> {
    /// Everything now: what a rule puts into the emergency lane there, the rest into a routine rollout.
    pub(super) fn cut_all(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        free: &Candidates,
        approved: &Candidates,
        instant: Timestamp,
    ) {
        let emergency = self.in_lane(free, Lane::Emergency);
        let urgent = self.draft(
            policy,
            &emergency,
            approved,
            (Lane::Emergency, self.ctx.now, false),
            &[],
        );
        let mut new: Vec<Prepared<'a>> = urgent.into_iter().collect();
        let rest = not_in(&new, &self.in_lane(free, Lane::Routine));
        let regular = self.draft(policy, &rest, approved, (Lane::Routine, instant, false), &new);
        new.extend(regular);
        self.start(policy, new, free);
    }

    /// What would be too late at the next instant goes at once, alone with others like it.
    pub(super) fn cut_late(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        free: &Candidates,
        approved: &Candidates,
        next: Option<Timestamp>,
    ) {
        if free.is_empty() {
            return;
        }
        let late = self.late(policy, free, approved, next);
        let emergency = self.in_lane(&late, Lane::Emergency);
        self.join(policy, &emergency, approved, (Lane::Emergency, true));
        let emergency = self.free(&emergency);
        let urgent = self.draft(policy, &emergency, approved, (Lane::Emergency, self.ctx.now, true), &[]);
        let routine = self.in_lane(&late, Lane::Routine);
        self.join(policy, &routine, approved, (Lane::Routine, true));
        let mut new: Vec<Prepared<'a>> = urgent.into_iter().collect();
        let routine = not_in(&new, &self.free(&routine));
        let needed = self.with_companions(policy, &routine, free);
        let expedited = self.draft(policy, &needed, approved, (Lane::Routine, self.ctx.now, true), &new);
        new.extend(expedited);
        self.start(policy, new, free);
    }

    fn in_lane(&self, candidates: &Candidates, lane: Lane) -> Candidates {
        let is = |row: &Row| self.ctx.judgement(row.judgement).is_some_and(|j| j.lane == lane);
        candidates.filter(|_| (), |_, (), row| is(row))
    }

    /// The candidates whose deadline lies before the finish of their own wave, if all were cut at `next`: those of the
    /// emergency lane in that lane, the others after them.
    fn late(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        free: &Candidates,
        approved: &Candidates,
        next: Option<Timestamp>,
    ) -> Candidates {
        let Some(next) = next else { return free.clone() };
        let Some(strategy) = self.ctx.catalog.strategies.get(policy.spec.rollout.as_str()) else {
            return Candidates::default();
        };
        // What a rollout under way brings too late is not left to the next cut.
        let mut late = Gathered::default();
        late.extend(&self.carried(free, true));
        let mut bookings = self.bookings.clone();
        let mut cut: Vec<Prepared<'a>> = Vec::new();
        for lane in [Lane::Emergency, Lane::Routine] {
            let here = self.in_lane(free, lane);
            if here.is_empty() {
                continue;
            }
            let together = self.together(policy, &here, approved, (lane, false));
            let draft = Draft {
                name: lane.as_str().into(),
                policy,
                strategy,
                lane,
                revision: 1,
                cut: next,
                expedited: false,
                restarts: 0,
                targets: self.targets(policy, &together, approved, &[]),
                open: None,
                earliest: next,
            };
            let prepared = self.prepare(draft, &cut);
            let waves = schedule(self.ctx, self.calendars, self.budgets, &mut bookings, &prepared);
            late.extend(&self.too_late(&prepared, &waves, &here));
            // Better said now than at the next cut.
            self.said.refusals.extend(prepared.refusals.iter().cloned());
            cut.push(prepared);
        }
        let lists = |asset: u32| late.of(asset).iter().map(Same::of).collect::<Vec<_>>();
        free.filter(lists, |_, lists, row| {
            lists.iter().any(|rows| rows.0.binary_search(row).is_ok())
        })
    }

    /// Those of `here` that `prepared`, placed as `waves`, would bring after their deadline. Those it refuses are
    /// remembered.
    fn too_late(&mut self, prepared: &Prepared<'a>, waves: &[super::Wave], here: &Candidates) -> Candidates {
        let finishes = finishes(prepared, waves);
        let carried = prepared.carried();
        let place = |asset: u32| carried.get(&asset).map(|p| (p.wave, Same::of(&p.load)));
        let takes = |place: &Option<(usize, Same<Load>)>, row: &Row| {
            let taking = place.as_ref().filter(|(_, load)| takes(&load.0, &prepared.covers, row));
            taking.map(|(wave, _)| *wave)
        };
        let homeless = here.filter(place, |_, place, row| takes(place, row).is_none());
        self.refuse(prepared, &homeless);
        here.filter(place, |_, place, row| {
            let Some(wave) = takes(place, row) else { return false };
            let deadline = self.ctx.judgement(row.judgement).and_then(|j| j.deadline);
            let finish = finishes.get(wave).copied().flatten();
            deadline.is_some_and(|d| finish.is_none_or(|f| d < f))
        })
    }

    /// Remembers the candidates whose targets are refused.
    fn refuse(&mut self, prepared: &Prepared<'a>, candidates: &Candidates) {
        self.refused.extend(&refused_of(prepared, candidates));
    }

    /// A late finding takes the version that fixes all approved findings of its package, but nothing so young that it
    /// would have to wait for it.
    fn with_companions(&self, policy: &Resource<PatchPolicySpec>, late: &Candidates, free: &Candidates) -> Candidates {
        let min_age = policy.spec.release.min_age.seconds();
        let released = |row: &Row| {
            let advisory = self
                .ctx
                .hit(row.hit)
                .and_then(|h| self.ctx.observation.advisories.get(h.advisory as usize));
            advisory.map_or(self.ctx.now, |a| later(self.ctx.known_since(a), min_age))
        };
        let lists = late.distinct(|_| ());
        let rows = || lists.iter().flat_map(|(_, rows)| rows.iter());
        let Some(by) = rows().map(released).max().map(|at| at.max(self.ctx.now)) else {
            return Candidates::default();
        };
        let keys: BTreeSet<u32> = rows().filter_map(|row| self.ctx.key_id(row.hit)).collect();
        let same = |row: &Row| self.ctx.key_id(row.hit).is_some_and(|key| keys.contains(&key));
        free.filter(|_| (), |_, (), row| same(row) && released(row) <= by)
    }

    /// What versions are chosen for: `needed` and what rollouts like the one it goes into carry already. A choice for the
    /// rest alone could be another one, and would let in at the next run what was refused at this.
    fn together(
        &self,
        policy: &Resource<PatchPolicySpec>,
        needed: &Candidates,
        approved: &Candidates,
        (lane, expedited): (Lane, bool),
    ) -> Candidates {
        let like = self.rollouts.iter();
        let like: Vec<_> = like
            .filter(|(p, _)| is_like(p, &policy.name, lane, expedited))
            .collect();
        if like.is_empty() {
            return needed.clone();
        }
        let mut new = Gathered::default();
        new.extend(needed);
        let kind = |asset: u32| {
            let loads = like
                .iter()
                .map(|(_, carried)| carried.get(&asset).map(|place| Same::of(&place.load)));
            let lists = new.of(asset).iter().map(Same::of);
            (loads.collect::<Vec<_>>(), lists.collect::<Vec<_>>())
        };
        self.in_lane(approved, lane).filter(kind, |_, (loads, lists), row| {
            let mut each = like.iter().zip(loads);
            each.any(|((p, _), load)| load.as_ref().is_some_and(|l| takes(&l.0, &p.covers, row)))
                || lists.iter().any(|list| list.0.binary_search(row).is_ok())
        })
    }

    fn targets(
        &self,
        policy: &Resource<PatchPolicySpec>,
        needed: &Candidates,
        approved: &Candidates,
        already: &[Target],
    ) -> Vec<Target> {
        let versions = targets::versions(self.ctx, policy, needed, approved, already);
        let mut targets: Vec<Target> = versions.iter().map(|(key, version)| key.at(version)).collect();
        targets.sort_unstable();
        targets
    }

    /// A new rollout for `needed`, beside those of `also`, if any asset can take any of it.
    fn draft(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        needed: &Candidates,
        approved: &Candidates,
        (lane, cut, expedited): (Lane, Timestamp, bool),
        also: &[Prepared<'a>],
    ) -> Option<Prepared<'a>> {
        let strategy: &'a Resource<RolloutStrategySpec> =
            self.ctx.catalog.strategies.get(policy.spec.rollout.as_str())?;
        if needed.is_empty() {
            return None;
        }
        let together = self.together(policy, needed, approved, (lane, expedited));
        let draft = Draft {
            name: "".into(),
            policy,
            strategy,
            lane,
            revision: 1,
            cut,
            expedited,
            restarts: 0,
            targets: self.targets(policy, &together, approved, &[]),
            open: None,
            earliest: self.ctx.now,
        };
        let mut prepared = self.without_unused(draft, needed, &[], also);
        self.refuse(&prepared, approved);
        self.said.refusals.extend(prepared.refusals.iter().cloned());
        if prepared.is_empty() {
            return None;
        }
        prepared.draft.name = cut::name(self.ctx.catalog, policy, cut, lane, &mut self.taken);
        Some(prepared)
    }

    /// Prepares a draft and leaves out targets, those in `kept` aside, that help none of the findings it is for: others
    /// may lack them too, but on their account alone nothing is started.
    fn without_unused(
        &mut self,
        draft: Draft<'a>,
        needed: &Candidates,
        kept: &[Target],
        also: &[Prepared<'a>],
    ) -> Prepared<'a> {
        let prepared = self.prepare(draft.clone(), also);
        let carried = prepared.carried();
        let place = |asset: u32| carried.get(&asset).map(|p| Same::of(&p.load));
        let mut used: BTreeSet<usize> = BTreeSet::new();
        for (asset, rows) in needed.distinct(place) {
            let load = carried.get(&asset).map(|p| &p.load);
            let helped = rows
                .iter()
                .filter(|row| load.is_some_and(|l| takes(l, &prepared.covers, row)));
            used.extend(helped.filter_map(|row| prepared.covers.get(row.hit as usize).copied().flatten()));
        }
        let stays = |(index, target): &(usize, &Target)| used.contains(index) || kept.contains(target);
        if draft.targets.iter().enumerate().all(|t| stays(&t)) {
            return prepared;
        }
        let targets = draft.targets.iter().enumerate();
        let targets = targets.filter(stays).map(|(_, t)| t.clone());
        let smaller = Draft {
            targets: targets.collect(),
            ..draft
        };
        let mut again = self.prepare(smaller, also);
        // What was refused with the larger set is refused still; its targets are only not part of the set.
        let refusals: BTreeSet<_> = again.refusals.drain(..).chain(prepared.refusals).collect();
        again.refusals = refusals.into_iter().collect();
        let mut known: Lookup<_, Arc<[Row]>> = Lookup::default();
        for asset in prepared.refused.assets() {
            let alike: Vec<Same<[usize]>> = prepared.refused.of(asset).iter().map(Same::of).collect();
            let list = self.ctx.assessment.list_of.get(asset as usize).copied();
            let rows = known.entry((list, alike)).or_insert_with_key(|(_, lists)| {
                let dropped = |row: &&Row| {
                    let target = prepared.covers.get(row.hit as usize).copied().flatten();
                    let target = target.filter(|t| !used.contains(t));
                    target.is_some_and(|t| lists.iter().any(|list| list.0.contains(&t)))
                };
                let rows = self.ctx.assessment.rows(asset as usize).iter();
                rows.filter(dropped).copied().collect()
            });
            self.refused.add(asset, rows);
        }
        again
    }

    /// Lets newcomers into an open rollout of the same policy and lane while its first wave is unapproved. The version is
    /// the one that fixes everything `approved` of its package, as when it is cut: of both lanes.
    pub(super) fn join(
        &mut self,
        policy: &'a Resource<PatchPolicySpec>,
        newcomers: &Candidates,
        approved: &Candidates,
        (lane, expedited): (Lane, bool),
    ) {
        let newcomers = self.in_lane(newcomers, lane);
        let newcomers = self.free(&newcomers);
        let joinable = |p: &Prepared<'_>| {
            let open = p.draft.open.filter(|o| !o.frozen && o.restarts < RESTARTS_MAX);
            open.is_some() && is_like(p, &policy.name, lane, expedited)
        };
        let Some(position) = self.rollouts.iter().position(|(p, _)| joinable(p)) else {
            return;
        };
        if newcomers.is_empty() {
            return;
        }
        let Some((old, _)) = self.rollouts.get(position) else {
            return;
        };
        let Some(open) = old.draft.open else { return };
        let together = self.together(policy, &newcomers, approved, (lane, expedited));
        let targets = self.targets(policy, &together, approved, &open.targets);
        let draft = Draft {
            targets,
            ..old.draft.clone()
        };
        let mut prepared = self.without_unused(draft, &newcomers, &open.targets, &[]);
        if prepared.draft.targets == open.targets {
            return;
        }
        prepared.draft.revision = open.revision + 1;
        prepared.draft.restarts = open.restarts + 1;
        self.said.note(
            &open.name,
            format!(
                "takes newcomers in as revision {} (restart {} of {RESTARTS_MAX})",
                open.revision + 1,
                open.restarts + 1
            ),
        );
        let carried = prepared.carried();
        if let Some(slot) = self.rollouts.get_mut(position) {
            *slot = (prepared, carried);
        }
    }

    /// Starts what is new, unless it is more than the policy allows in one run.
    fn start(&mut self, policy: &'a Resource<PatchPolicySpec>, new: Vec<Prepared<'a>>, free: &Candidates) {
        let emergency = new.iter().filter(|p| p.draft.lane == Lane::Emergency);
        let emergency_assets: usize = emergency.map(Prepared::asset_count).sum();
        let limited = policy.spec.limits.emergency_assets.is_some() && emergency_assets > 0;
        let scope = if limited {
            self.ctx.in_scope(&policy.name).len()
        } else {
            0
        };
        let start = Start {
            emergency_assets,
            scope,
            new_rollouts: new.len(),
        };
        match limits::broken(self.ctx, policy, &start) {
            None => new.into_iter().for_each(|prepared| self.push(prepared)),
            Some(refusal) => {
                let names: Vec<&str> = new.iter().map(|p| p.draft.name.as_ref()).collect();
                let detail = format!("{} not cut: {}", names.join(", "), refusal.detail);
                for prepared in &new {
                    let carried = prepared.carried();
                    let place = |asset: u32| carried.get(&asset).map(|p| Same::of(&p.load));
                    self.refused.extend(&free.filter(place, |_, load, row| {
                        load.as_ref().is_some_and(|l| takes(&l.0, &prepared.covers, row))
                    }));
                }
                self.said.refusals.insert(super::Refusal { detail, ..refusal });
            }
        }
    }
}

/// Whether a rollout is one that such findings go into. A regular one carries everything of its policy, an expedited one
/// only what cannot wait.
fn is_like(prepared: &Prepared<'_>, policy: &str, lane: Lane, expedited: bool) -> bool {
    let draft = &prepared.draft;
    let kind = lane == Lane::Emergency || draft.expedited == expedited;
    kind && *draft.policy.name == *policy && draft.lane == lane
}

/// The candidates that none of `new` carries.
fn not_in(new: &[Prepared<'_>], candidates: &Candidates) -> Candidates {
    let carried: Vec<_> = new.iter().map(|p| (p, p.carried())).collect();
    let place = |asset: u32| {
        let of = carried.iter().map(|(_, c)| c.get(&asset).map(|p| Same::of(&p.load)));
        of.collect::<Vec<_>>()
    };
    candidates.filter(place, |_, loads, row| {
        let mut each = carried.iter().zip(loads);
        !each.any(|((p, _), load)| load.as_ref().is_some_and(|l| takes(&l.0, &p.covers, row)))
    })
}

/// The candidates whose targets a rollout refuses.
pub(super) fn refused_of(prepared: &Prepared<'_>, candidates: &Candidates) -> Candidates {
    candidates.filter(
        |asset| prepared.refused.of(asset).iter().map(Same::of).collect::<Vec<_>>(),
        |_, lists, row| {
            let target = prepared.covers.get(row.hit as usize).copied().flatten();
            target.is_some_and(|t| lists.iter().any(|list| list.0.contains(&t)))
        },
    )
}
